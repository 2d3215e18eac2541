//! Databases that released versions wrote: the current program opens each, and everything in it still works.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use orgkeys::crypto::webhook_signature;
use secrecy::SecretSlice;
use serde_json::{Value, json};

use crate::harness::{Home, Owner, Server, accepted, integrity, now, registration, sqlite};

/// A released database, the heads of its chains, and the secrets that it knows the hashes of.
pub struct Fixture {
    pub name: String,
    database: Vec<u8>,
    key_file: Vec<u8>,
    heads: Vec<u8>,
    secrets: Value,
}

impl Fixture {
    /// Those of all released versions.
    pub fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        entries.filter(|path| path.is_dir()).map(|path| Self::read(&path)).collect()
    }

    fn read(folder: &Path) -> Self {
        let file = |name: &str| fs::read(folder.join(name)).expect(name);
        let mut database = Vec::new();
        GzDecoder::new(file("orgkeys.db.gz").as_slice()).read_to_end(&mut database).expect("compressed");
        Self {
            name: folder.file_name().expect("a name").to_string_lossy().into_owned(),
            database,
            key_file: file("orgkeys.db.key"),
            heads: file("heads"),
            secrets: serde_json::from_slice(&file("secrets.json")).expect("JSON"),
        }
    }

    /// A copy of it where the program finds it.
    pub fn home(&self) -> Home {
        let home = Home::new();
        let private = |path: PathBuf| fs::set_permissions(path, Permissions::from_mode(0o600)).expect("private");
        private(home.write("orgkeys.db", &self.database));
        private(home.write("orgkeys.db.key", &self.key_file));
        home.write("heads", &self.heads);
        home
    }
}

fn text<'a>(secrets: &'a Value, name: &str) -> &'a str {
    secrets[name].as_str().unwrap_or_else(|| panic!("{name} is not in secrets.json"))
}

#[test]
fn a_released_database_has_rows_in_every_table() {
    let fixtures = Fixture::all();
    assert!(!fixtures.is_empty());
    for fixture in fixtures {
        let home = fixture.home();
        let conn = sqlite(&home.database);
        let mut statement = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").expect("sql");
        let tables = statement.query_map([], |row| row.get::<_, String>(0)).expect("tables");
        for table in tables.map(|table| table.expect("a table")) {
            let sql = format!("SELECT EXISTS (SELECT * FROM {table})");
            let has_rows: bool = conn.query_row(&sql, [], |row| row.get(0)).expect("a row");
            assert!(has_rows, "{}: {table} is empty", fixture.name);
        }
    }
}

#[test]
fn everything_in_a_released_database_still_works() {
    for fixture in Fixture::all() {
        let home = fixture.home();
        let verified = |after: &str| {
            let found = home.done(&["audit", "verify", "--head", "heads", "--json"]);
            let found: Value = serde_json::from_str(&found).expect("JSON");
            let chains = fixture.heads.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
            assert_eq!((&found["success"], found["chains"].as_u64()), (&json!(true), Some(chains as u64)), "{after}");
        };
        let server = home.start_with(&mut home.serve(&["--webhook-allow", "127.0.0.0/8"]));
        verified("opened");
        let organizations = fixture.secrets["organizations"].as_array().expect("a list");
        assert_eq!(organizations.len(), 2);
        for organization in organizations {
            credentials(&server, organization);
            nodes(&server, organization);
            api_keys(&server, organization);
            webhook(&server, organization);
        }
        assert_eq!(server.stop().0, Some(0), "{}", home.log());
        verified("used");
        assert_eq!(integrity(&home.database), "ok");
    }
}

fn owner(organization: &Value) -> Owner {
    Owner { org: text(organization, "id").to_owned(), token: text(organization, "ownerToken").to_owned() }
}

/// A token and a password.
fn credentials(server: &Server, organization: &Value) {
    let profile = server.call_as(&owner(organization), "GET", "/user/profile");
    assert_eq!((profile.status, &profile.json()["data"]["orgId"]), (200, &organization["id"]), "{profile:?}");
    let login = |password: &str| {
        let body = json!({ "email": organization["email"], "password": password });
        server.call("POST", "/user/login", None, Some(&body))
    };
    let signed_in = login(text(organization, "password"));
    let token = signed_in.json()["accessToken"].as_str().expect("a token").to_owned();
    let path = format!("/user/{}", text(organization, "userId"));
    assert_eq!(server.call("GET", &path, Some(&token), None).status, 200);
    assert_eq!(login("a cat on 4 roofs").status, 401);
}

/// An organization key, with which a node that is known registers again, and a blocked one and a used signature do not.
fn nodes(server: &Server, organization: &Value) {
    let owner = owner(organization);
    let register = |body: &Value| server.call("POST", "/register", None, Some(body));
    let key = text(organization, "privateKey");
    let known = register(&registration(&owner.org, key, text(organization, "nodeIp"), now().millis() / 1_000));
    assert_eq!((known.status, &known.json()["data"]["keyId"]), (200, &organization["keyId"]), "{known:?}");
    let blocked = registration(&owner.org, key, text(organization, "blockedNodeIp"), now().millis() / 1_000);
    assert_eq!(register(&blocked).refusal(), (400, "NODE_DELETED".to_owned()));
    assert_eq!(register(&organization["usedRegistration"]).refusal(), (400, "TIMESTAMP_TOO_OLD".to_owned()));
    let listed = server.call_as(&owner, "GET", &format!("/organization/{}/key", owner.org)).json();
    let keys = listed["data"].as_array().expect("keys");
    assert!(keys.iter().any(|key| key["id"] == organization["keyId"]), "{listed}");
}

fn api_keys(server: &Server, organization: &Value) {
    let owner = owner(organization);
    let verify = |name: &str, project: Option<&Value>| {
        let body = json!({ "apiKey": organization[name], "projectId": project });
        let answer = server.call("POST", "/api/api-keys/verify", Some(&owner.token), Some(&body));
        answer.json()["result"]["code"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    };
    let project = Some(&organization["projectId"]);
    assert_eq!(verify("apiKey", None), "VALID");
    assert_eq!(verify("projectApiKey", project), "VALID");
    assert_eq!(verify("successorApiKey", None), "VALID");
    assert_eq!(verify("deletedApiKey", None), "NOT_FOUND");
}

/// A webhook's secret, which the key file opens.
fn webhook(server: &Server, organization: &Value) {
    let owner = owner(organization);
    let receiver = TcpListener::bind("127.0.0.1:0").expect("a port");
    let path = format!("/organization/{}/webhooks/{}", owner.org, text(organization, "webhook"));
    let url = json!({ "url": format!("http://{}/hook", receiver.local_addr().expect("an address")) });
    assert_eq!(server.call("PUT", &path, Some(&owner.token), Some(&url)).status, 200);
    assert_eq!(server.call_as(&owner, "POST", &format!("{path}/test")).status / 100, 2);
    let secret = text(organization, "webhookSecret").strip_prefix("whsec_").expect("a secret");
    let secret = [SecretSlice::from(STANDARD.decode(secret).expect("base64"))];
    let (id, timestamp, signature, body) = delivery(&receiver);
    let expected = webhook_signature::sign(&secret, &id, timestamp.parse().expect("a number"), &body);
    assert!(signature.split(' ').any(|one| one == expected), "{signature} is not {expected}");
}

/// The first delivery that arrives: its id, timestamp, signature and body.
fn delivery(receiver: &TcpListener) -> (String, String, String, Vec<u8>) {
    let mut stream = accepted(receiver);
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    let head: Vec<String> =
        reader.by_ref().lines().map(|line| line.expect("a line")).take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| {
        let mut lines = head.iter().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| *known == name).expect(name).1.to_owned()
    };
    let mut body = vec![0; header("content-length").parse().expect("a length")];
    reader.read_exact(&mut body).expect("a body");
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").expect("answered");
    (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"), body)
}

#[test]
fn an_older_program_refuses_a_newer_database_and_returns_to_the_copy_of_the_upgrade() {
    let fixture = Fixture::all().pop().expect("a fixture");
    let home = fixture.home();
    let organization = &fixture.secrets["organizations"][0];
    assert_eq!(home.start().stop().0, Some(0), "as the older program left it");
    let version: i64 = schema(&home.database);
    // What a newer program does with it: the copy, the upgrade, and a change.
    let copy = format!("orgkeys.db.v{version}");
    fs::copy(&home.database, home.path(&copy)).expect("copied");
    let newer = sqlite(&home.database);
    newer.execute_batch("ALTER TABLE org ADD newer TEXT").expect("upgraded");
    newer.pragma_update(None, "user_version", version + 1).expect("upgraded");
    newer.close().expect("closed");

    let before = fs::read(&home.database).expect("bytes");
    let refused = home.run(&["serve", "--listen", "127.0.0.1:0"]);
    let expected = format!(
        "was written by a newer orgkeys (schema {}, this program supports {version}): run that version, or restore a \
         backup from before the upgrade",
        version + 1
    );
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains(&expected), "{refused:?}");
    assert!(fs::read(&home.database).expect("bytes") == before, "the newer database was changed");

    let restored = home.done(&["restore", "--keep-tokens", &copy]);
    let kept =
        home.files().into_iter().find(|name| name.starts_with("orgkeys.db.before-")).expect("the newer database");
    assert!(restored.contains(&kept), "{restored}");
    assert_eq!(schema(&home.path(&kept)), version + 1);
    let server = home.start();
    credentials(&server, organization);
    api_keys(&server, organization);
    let key = text(organization, "privateKey");
    let again = registration(text(organization, "id"), key, text(organization, "nodeIp"), now().millis() / 1_000);
    let refused = server.call("POST", "/register", None, Some(&again)).refusal();
    assert_eq!(refused, (400, "TIMESTAMP_TOO_OLD".to_owned()), "used signatures are unknown for a while");
    assert_eq!(server.stop().0, Some(0));
    home.done(&["audit", "verify", "--head", "heads"]);
}

/// The version in a database's header.
fn schema(database: &Path) -> i64 {
    let header = fs::read(database).expect("a database");
    i64::from(u32::from_be_bytes(header[60..64].try_into().expect("four bytes")))
}
