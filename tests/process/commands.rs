//! Every command: its output, its exit code, and its error messages.

use serde_json::json;

use crate::harness::{Home, Server, failed, keys, objects, run, sqlite};

#[test]
fn the_command_line_creates_organization_user_and_token() {
    let home = Home::new();
    drop(home.first_start());
    let org = home.done(&["org", "create", "--name", "acme", "--json"]);
    let org = &objects(&org)[0];
    assert_eq!((keys(org), &org["name"]), (vec!["id", "name", "createdAt"], &json!("acme")));
    let id = org["id"].as_str().expect("an id");
    let words =
        ["user", "create", "--org", id, "--email", "ada@example.org", "--role", "ADMINISTRATOR", "--name", "Ada"];
    let user = &objects(&home.done(&[&words[..], &["--last-name", "Lovelace", "--json"]].concat()))[0];
    let expected = json!({
        "id": user["id"], "email": "ada@example.org", "name": "Ada", "lastName": "Lovelace", "orgId": id,
        "orgRole": 254, "orgRoleDescription": "ADMINISTRATOR",
        "invitationToken": user["invitationToken"], "invitationExpiresAt": user["invitationExpiresAt"],
    });
    assert_eq!(*user, expected);
    let token =
        &objects(&home.done(&["token", "create", "--user", "ADA@example.org", "--ttl", "30d", "--json"]))[0].clone();
    assert_eq!(keys(token), ["id", "userId", "token", "expiresAt"]);
    assert_eq!(token["userId"], user["id"]);
    let secret = token["token"].as_str().expect("a token");
    let listed = objects(&home.done(&["token", "list", "--user", "ada@example.org", "--json"]));
    let expected = json!({
        "id": token["id"], "userId": user["id"], "name": null, "createdAt": listed[0]["createdAt"], "expiresAt": token["expiresAt"],
        "revokedAt": null, "lastUsed": null,
    });
    assert_eq!(listed, [expected]);
    let server = home.start();
    let profile = server.call("GET", "/user/profile", Some(secret), None);
    assert_eq!((profile.status, &profile.json()["data"]["orgId"]), (200, &json!(id)));
    assert_eq!(server.stop().0, Some(0));
    let token_id = token["id"].as_str().expect("an id");
    let revoked = home.done(&["token", "revoke", token_id, "--json"]);
    assert_eq!(objects(&revoked), [json!({ "id": token_id, "success": true })]);
    assert_eq!(home.run(&["token", "revoke", token_id]).code, Some(1), "a second time");
    let server = home.start();
    let refused = server.call("GET", "/user/profile", Some(secret), None);
    assert_eq!(refused.refusal(), (401, "TOKEN_REVOKED".to_owned()));
}

#[test]
fn reset_password_issues_an_invitation_to_set_a_new_one() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let profile = server.call_as(&owner, "GET", "/user/profile").json();
    let id = profile["data"]["id"].as_str().expect("an id");
    let put = |server: &Server, body| server.call("PUT", &format!("/user/{id}"), Some(&owner.token), Some(&body));
    assert_eq!(put(&server, json!({ "password": "a cat on 3 roofs" })).status, 200);
    home.done(&["user", "reset-password", "--user", "owner@localhost"]);
    assert_eq!(server.stop().0, Some(0));
    let reset = objects(&home.done(&["user", "reset-password", "--user", "OWNER@localhost", "--json"]))[0].clone();
    assert_eq!((keys(&reset), &reset["userId"]), (vec!["userId", "email", "token", "expiresAt"], &json!(id)));
    let text = home.done(&["user", "reset-password", "--user", id]);
    let token = text.lines().next().expect("a token");
    assert_eq!((token.len(), &token[..4]), (40, "oki_"));
    assert!(text.contains("owner@localhost can use it until 2"), "{text}");
    let ran = home.run(&["user", "reset-password", "--user", "nobody@example.org"]);
    assert_eq!((ran.code, ran.stderr.contains("see `orgkeys user list`")), (Some(1), true), "{ran:?}");
    let server = home.start();
    let profile = server.call_as(&owner, "GET", "/user/profile").json();
    assert_eq!(profile["data"]["validated"], true, "an access token that is not a session stays valid");
    let take = |token: &serde_json::Value| {
        let body = json!({ "token": token, "password": "another cat on 3 roofs" });
        server.call("POST", "/user/verify-email", None, Some(&body))
    };
    assert_eq!(
        take(&reset["token"]).refusal(),
        (400, "INVALID_TOKEN".to_owned()),
        "the second invitation replaces the first"
    );
    assert_eq!(take(&json!(token)).status, 200);
    let old = json!({ "password": "a third cat, on 3 roofs", "currentPassword": "a cat on 3 roofs" });
    assert_eq!(put(&server, old).refusal(), (400, "WRONG_PASSWORD".to_owned()));
}

#[test]
fn without_json_each_object_is_one_line_starting_with_its_id() {
    let home = Home::new();
    drop(home.first_start());
    let org = home.done(&["org", "create", "--name", "acme"]);
    let id = org.split_whitespace().next().expect("an id");
    assert_eq!(org, format!("{id}  acme\n"));
    let orgs = home.done(&["org", "list"]);
    assert_eq!((orgs.lines().count(), orgs.starts_with(&org)), (2, true), "newest first: {orgs}");
    let words = ["user", "create", "--org", id, "--email", "ada@example.org", "--role", "0"];
    let user = home.done(&[&words[..], &["--without-invitation"]].concat());
    assert!(user.ends_with(&format!("  {id}  USER           ada@example.org\n")), "{user}");
    assert_eq!(home.done(&["user", "list", "--org", id]), user);
    assert_eq!(home.done(&["user", "list"]).lines().count(), 2);
    let token = home.done(&["token", "create", "--user", "ada@example.org", "--ttl", "never"]);
    let mut made = token.lines();
    let (secret, rest) = (made.next().expect("a token"), made.next().expect("a line"));
    assert_eq!((secret.len(), &secret[..4]), (40, "okp_"));
    assert!(rest.ends_with("does not expire. The token is shown only once."), "{rest}");
    let listed = home.done(&["token", "list"]);
    assert!(listed.lines().next().expect("a line").ends_with("does not expire  last used never"), "{listed}");
    assert!(!listed.contains(secret));
    let token_id = rest.split_whitespace().next().expect("an id");
    assert_eq!(home.done(&["token", "revoke", token_id]), format!("{token_id} was revoked\n"));
    assert!(home.done(&["token", "list"]).lines().next().expect("a line").contains("  revoked at 2"));
    let longest = home.done(&["token", "create", "--user", "ada@example.org", "--ttl", "3650d"]);
    let end = longest.split(" expires at ").nth(1).and_then(|rest| rest.split(". ").next()).expect("an end");
    sqlite(&home.database)
        .execute_batch("UPDATE token SET name = 'laptop', last_used = 86400000 WHERE created_at = (SELECT max(created_at) FROM token)")
        .expect("named");
    let listed = home.done(&["token", "list", "--user", "ada@example.org"]);
    let expected = format!("  expires at {end}  last used 1970-01-02T00:00:00.000Z  laptop");
    assert!(listed.lines().next().expect("a line").ends_with(&expected), "{listed}");
}

#[test]
fn failing_commands_exit_1_and_name_a_remedy() {
    let home = Home::new();
    for words in [
        &["org", "list"][..],
        &["user", "list"],
        &["token", "list"],
        &["audit", "verify"],
        &["backup", "x.db"],
        &["org", "create", "--name", "a"],
        &["token", "revoke", "token-1"],
        &["clock", "accept"],
    ] {
        let ran = home.run(words);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(failed(words)), ""), "{words:?}: {ran:?}");
        let expected = format!(
            "orgkeys: {} does not exist. This command works on the server's own machine: ",
            home.database.display()
        );
        assert!(ran.stderr.starts_with(&expected), "{ran:?}");
        assert!(home.files().is_empty(), "{words:?} made {:?}", home.files());
    }
    let (_, owner) = home.first_start();
    let unknown = "org-00000000-0000-7000-8000-000000000000";
    let user = |org, email, role| vec!["user", "create", "--org", org, "--email", email, "--role", role];
    let cases = [
        (vec!["org", "create", "--name", ""], "must be 1 to 100 characters long"),
        (user(unknown, "a@example.org", "USER"), "see `orgkeys org list`"),
        (user("acme", "a@example.org", "USER"), "see `orgkeys org list`"),
        (user(&owner.org, "OWNER@localhost", "USER"), "The email address is already in use on this server"),
        (user(&owner.org, "a@example.org", "KING"), "--role must be USER, BILLING"),
        (user(&owner.org, "nobody", "USER"), "email"),
        (vec!["user", "list", "--org", "acme"], "see `orgkeys org list`"),
        (vec!["token", "create", "--user", "nobody@example.org"], "see `orgkeys user list`"),
        (vec!["token", "create", "--user", "owner@localhost", "--ttl", "soon"], "--ttl must be a duration"),
        (vec!["token", "create", "--user", "owner@localhost", "--ttl", "0s"], "--ttl must be a duration"),
        (vec!["token", "create", "--user", "owner@localhost", "--ttl", "3651d"], "--ttl must be a duration"),
        (vec!["token", "revoke", "token-1"], "see `orgkeys token list`"),
    ];
    for (words, expected) in cases {
        let ran = home.run(&words);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{words:?}: {ran:?}");
        assert!(ran.stderr.starts_with("orgkeys: ") && ran.stderr.contains(expected), "{words:?}: {ran:?}");
    }
}

#[test]
fn an_invalid_command_line_exits_2() {
    let home = Home::new();
    for words in [&["serve", "--listn", "x"][..], &["serf"], &["org", "create"], &["token", "create"], &[]] {
        let ran = home.run(words);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{words:?}: {ran:?}");
        assert!(home.files().is_empty());
    }
    let ran = home.run(&["serve", "--listn", "127.0.0.1:0"]);
    assert!(ran.stderr.contains("--listen"), "the nearest right flag is not named: {ran:?}");
    assert!(home.done(&["--version"]).starts_with("orgkeys 0."));
}

#[test]
fn a_generated_token_is_fresh_and_touches_no_database() {
    let home = Home::new();
    let (one, two) = (home.done(&["token", "generate"]), home.done(&["token", "generate", "--json"]));
    let two = objects(&two)[0]["token"].as_str().expect("a token").to_owned();
    for token in [one.trim_end(), &two] {
        assert_eq!((token.len(), &token[..4]), (40, "okp_"), "{token}");
    }
    assert_ne!(one.trim_end(), two);
    assert!(home.files().is_empty());
}

#[test]
fn config_shows_where_each_setting_comes_from_and_masks_secrets() {
    let home = Home::new();
    home.write("orgkeys.toml", "max = 7\nreaders = 8\nsignature_window = \"100s\"\nmetrics_token = \"verysecret\"\n");
    let token = home.done(&["token", "generate"]);
    let mut command = home.orgkeys(&["config", "--config", "orgkeys.toml", "--max", "9", "--json"]);
    command.env("ORGKEYS_MAX", "8").env("ORGKEYS_READERS", "10").env("ORGKEYS_BOOTSTRAP_TOKEN", token.trim());
    let ran = run(&mut command);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let shown = objects(&ran.stdout);
    for (name, value, source) in [
        ("org_keys_max", "9", "flag"),
        ("readers", "10", "environment"),
        ("signature_window", "100s", "file"),
        ("listen", "127.0.0.1:3000", "default"),
        ("metrics_token", "********", "file"),
        ("bootstrap_token", "********", "environment"),
    ] {
        let expected = json!({ "name": name, "value": value, "source": source });
        assert!(shown.contains(&expected), "{expected} is not in {}", ran.stdout);
    }
    let text = run(home.orgkeys(&["config"]).env("ORGKEYS_CONFIG", "orgkeys.toml")).stdout;
    assert_eq!(text.lines().count(), shown.len());
    let line = text.lines().find(|line| line.starts_with("org_keys_max ")).expect("a line");
    assert_eq!(line.split_whitespace().take(3).collect::<Vec<_>>(), ["org_keys_max", "7", "file"]);
    for text in [&ran.stdout, &text] {
        assert!(!text.contains("verysecret") && !text.contains(token.trim()));
    }
}

#[test]
fn an_unknown_key_is_an_error_and_an_unknown_variable_a_warning() {
    let home = Home::new();
    home.write("orgkeys.toml", "listn = \"127.0.0.1:0\"\n");
    for command in ["config", "serve", "healthcheck"] {
        let ran = home.run(&[command, "--config", "orgkeys.toml"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
        assert_eq!(ran.stderr, "orgkeys: orgkeys.toml: listn is not a setting; did you mean listen?\n");
    }
    let ran =
        run(home.orgkeys(&["config"]).env("ORGKEYS_LISTN", "x").env("ORGKEYS_PORT_3000_TCP", "tcp://10.0.0.1:3000"));
    assert_eq!(ran.code, Some(0));
    let warnings: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(
        warnings[0],
        "orgkeys: warning: the variable ORGKEYS_LISTN is not a setting; did you mean ORGKEYS_LISTEN?"
    );
    assert!(
        warnings[1].starts_with("orgkeys: warning: the variable ORGKEYS_PORT_3000_TCP is not a setting"),
        "{warnings:?}"
    );
    assert_eq!(warnings.len(), 2);
    let ran = run(home.orgkeys(&["config"]).env("ORGKEYS_MAX", "101"));
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (Some(1), "orgkeys: org_keys_max must be 1 to 100 (set by environment)\n")
    );
    let ran = home.run(&["config", "--config", "missing.toml"]);
    assert_eq!((ran.code, ran.stderr.starts_with("orgkeys: missing.toml: ")), (Some(1), true), "{ran:?}");
}

/// A self-signed certificate for localhost, in `<name>.crt` and `<name>.key`.
pub fn certificate(home: &Home, name: &str) {
    let (key, cert) = (format!("{name}.key"), format!("{name}.crt"));
    let mut openssl = std::process::Command::new("openssl");
    openssl.current_dir(home.path("")).args(["req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    let ran = run(openssl.args(["-keyout", &key, "-out", &cert]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn completions_and_the_api_document_are_printed() {
    let home = Home::new();
    let bash = home.done(&["completions", "bash"]);
    assert!(bash.contains("complete -F _orgkeys") && bash.contains("healthcheck"), "{bash}");
    assert_eq!(home.run(&["completions", "tcl"]).code, Some(2));
    let document = home.done(&["openapi"]);
    assert!(home.files().is_empty());
    let served = home.start().call("GET", "/openapi.json", None, None);
    assert_eq!((served.status, String::from_utf8(served.body).expect("text")), (200, document));
}

#[test]
fn the_output_of_sign_is_accepted_unchanged() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    home.write("key.pem", server.key(&owner).1);
    let words = ["sign", "--key", "key.pem", "--ip", "203.0.113.7", "--region", "eu-1"];
    let body = home.done(&[&words[..], &["--org", &owner.org, "--provider", "aws", "--services", "5"]].concat());
    assert_eq!(body.lines().count(), 1);
    let body = objects(&body)[0].clone();
    let fields = ["ip", "region", "timestamp", "signature", "id_org", "provider", "status", "version", "nodeServices"];
    assert_eq!(keys(&body), fields);
    let answer = server.call("POST", "/register", None, Some(&body));
    assert_eq!((answer.status, &answer.json()["data"]["provider"]), (200, &json!("AWS")), "{answer:?}");
    let body = objects(&home.done(&[&words[..], &["--timestamp", "2024-01-15T10:30:00Z"]].concat()))[0].clone();
    assert_eq!(body["timestamp"], "2024-01-15T10:30:00Z");
    let answer = server.call("POST", "/register", None, Some(&body));
    assert_eq!(answer.refusal(), (400, "TIMESTAMP_TOO_OLD".to_owned()));
    // A number is sent as one, and anything else as it was given.
    for (timestamp, sent) in [
        ("1705314600", json!(1_705_314_600)),
        ("1705314600000", json!(1_705_314_600_000_u64)),
        ("01705314600", json!("01705314600")),
    ] {
        let body = objects(&home.done(&[&words[..], &["--timestamp", timestamp]].concat()))[0].clone();
        assert_eq!(body["timestamp"], sent);
    }
    let plain = objects(&home.done(&words))[0].clone();
    assert_eq!(keys(&plain), ["ip", "region", "timestamp", "signature", "status", "version", "nodeServices"]);
    assert_eq!(json!([plain["status"], plain["version"], plain["nodeServices"]]), json!(["active", "1.0.0", 0]));
    let (version, status) = ("v".repeat(65), "s".repeat(33));
    for (given, expected) in [
        (["--key", "missing.pem", "--ip", "a", "--status", "b"], "orgkeys: missing.pem: "),
        (["--key", "key.pem", "--ip", "a|b", "--status", "b"], "orgkeys: ip must not contain '|'"),
        (["--key", "key.pem", "--ip", "a", "--provider", "ACME"], "orgkeys: provider must be S3, GCS"),
        (["--key", "key.pem", "--ip", "a", "--status", &status], "orgkeys: status must"),
        (["--key", "key.pem", "--ip", "a", "--node-version", &version], "orgkeys: version must"),
    ] {
        let ran = home.run(&[&["sign", "--region", "b"][..], &given].concat());
        assert_eq!((ran.code, ran.stderr.starts_with(expected)), (Some(1), true), "{ran:?}");
    }
    home.write("public.pem", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n");
    let ran = home.run(&["sign", "--key", "public.pem", "--ip", "a", "--region", "b"]);
    assert!(ran.stderr.starts_with("orgkeys: public.pem: the file contains a public key"), "{ran:?}");
}

#[test]
fn a_database_path_may_contain_any_characters() {
    let home = Home::new();
    for name in ["a b?c#d%20é&mode=ro.db", "-.db", "file:x.db"] {
        let path = home.path(name).display().to_string();
        let mut serve = home.orgkeys(&["serve", "--listen", "127.0.0.1:0", "--database", &path]);
        assert_eq!(home.start_with(&mut serve).stop().0, Some(0), "{name}");
        for words in [&["audit", "verify"][..], &["org", "list"], &["backup", "copy.db"]] {
            home.done(&[words, &["--database", &path]].concat());
        }
        assert!(home.path(name).exists(), "{:?}", home.files());
    }
}
