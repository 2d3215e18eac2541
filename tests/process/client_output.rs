//! What the client prints: formats, both homes of a list, and nothing that controls a terminal.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::thread;

use orgkeys::domain::time::Time;
use serde_json::{Value, json};

use crate::client::{call, done};
use crate::harness::{Home, Ran, accepted, objects, run};

/// A server that answers every request with this body. Ends with the test's process.
pub fn impostor(status: &'static str, body: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request);
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    address
}

/// Calls an impostor.
fn ask(home: &Home, address: SocketAddr, words: &[&str]) -> Ran {
    run(home.orgkeys(words).env("ORGKEYS_URL", format!("http://{address}")).env("ORGKEYS_TOKEN", "okp_x"))
}

#[test]
fn a_list_is_a_table_json_or_values_between_tabs() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let done = |words: &[&str]| done(&home, &server, &owner, words);
    done(&["project", "create", "Shop"]);
    done(&["project", "create", "東京"]);
    let tsv = done(&["project", "list"]);
    assert_eq!((tsv.lines().count(), tsv.lines().all(|line| line.split('\t').count() == 3)), (2, true), "{tsv}");
    assert_eq!(done(&["project", "list", "-o", "tsv"]), tsv, "the default in a pipe");
    let table = done(&["project", "list", "-o", "table"]);
    let mut lines = table.lines();
    assert!(lines.next().expect("a heading").starts_with("ID  "), "{table}");
    assert_eq!(lines.count(), 2);
    let rows = objects(&done(&["project", "list", "--output", "jsonl"]));
    let json: Value = serde_json::from_str(&done(&["project", "list", "-o", "json"])).expect("JSON");
    assert_eq!(json, Value::from(rows.clone()));
    for words in [["project", "list", "--json"], ["--json", "project", "list"], ["project", "--json", "list"]] {
        assert_eq!(done(&words), done(&["project", "list", "-o", "json"]));
    }
    assert!(rows.iter().any(|row| row["name"] == "東京") && rows[0]["publicId"].is_string());
    // A raw call knows no columns, so it shows every field.
    let fields = rows[0].as_object().expect("a row").len();
    for (format, lines) in [("tsv", 2), ("jsonl", 2), ("table", 3)] {
        let raw = done(&["api", "listProjects", "-o", format]);
        assert_eq!(raw.lines().count(), lines, "{raw}");
        let is_whole = raw.lines().all(|line| line.split('\t').count() == fields);
        assert_eq!(is_whole, format == "tsv", "{raw}");
    }
    assert!(done(&["api", "getMetrics", "-o", "tsv"]).contains("\n# HELP "), "what is no JSON is passed on");
    let ran = call(&home, &server, &owner, &["project", "list", "-o", "tsv", "--json"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(call(&home, &server, &owner, &["project", "list", "-o", "xml"]).code, Some(2));
}

#[test]
fn every_page_of_a_list_is_shown() {
    let home = Home::new();
    let page = |from: usize, to: usize| (from..to).map(|n| json!({ "id": format!("node-{n}") })).collect::<Vec<_>>();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = thread::spawn(move || {
        let mut asked = Vec::new();
        for (from, to) in [(0, 1_000), (1_000, 2_000), (2_000, 2_001)] {
            let mut stream = accepted(&listener);
            let mut request = [0; 4_096];
            let read = stream.read(&mut request).expect("a request");
            asked.push(String::from_utf8_lossy(&request[..read]).lines().next().unwrap_or_default().to_owned());
            let body = json!({ "success": true, "data": page(from, to), "total": 2_001 }).to_string();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).expect("sent");
        }
        asked
    });
    let ran = run(home
        .orgkeys(&["api", "getHealth", "--dry-run"])
        .env("ORGKEYS_URL", format!("http://{address}"))
        .env("ORGKEYS_TOKEN", "okp_x"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    home.write("p", "");
    std::fs::create_dir_all(home.path(".config/orgkeys")).expect("a folder");
    let text =
        format!("[profiles.a]\nurl = \"http://{address}\"\norganization = \"org-1\"\naccess_token = \"okp_x\"\n");
    let path = home.write(".config/orgkeys/profiles.toml", text);
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    let ran = run(home.orgkeys(&["node", "list", "--profile", "a"]).env("HOME", home.path("")));
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 2_001), "{ran:?}");
    let path = "GET /organization/org-1/nodes";
    let expected = ["skip=0&take=1000", "skip=1000&take=1000", "skip=2000&take=1000"];
    assert_eq!(asked.join().expect("asked"), expected.map(|query| format!("{path}?{query} HTTP/1.1")));
}

#[test]
fn nothing_from_a_server_controls_the_terminal() {
    let home = Home::new();
    let evil = "\u{1b}]0;title\u{7}\u{9b}2J\u{202e}x\ty\nz";
    let is_clean = |ran: &Ran| {
        let is_clean = |text: &str| !text.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']);
        assert!(is_clean(&ran.stdout) && is_clean(&ran.stderr), "{ran:?}");
    };
    let data = json!({ "success": true, "data": [{ "id": evil, "ip": evil }], "message": evil });
    let address = impostor("200 OK", data.to_string());
    for format in ["table", "tsv", "json", "jsonl"] {
        let ran = ask(&home, address, &["api", "findNodes", "-o", format]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        // What is passed on as it is came as JSON, which escapes the lowest of them by itself.
        if format != "json" {
            is_clean(&ran);
        }
    }
    let ran = ask(&home, address, &["api", "findNodes", "-o", "tsv"]);
    assert_eq!((ran.stdout.lines().count(), ran.stdout.matches('\t').count()), (1, 1), "{ran:?}");
    let refusal = json!({ "success": false, "message": evil, "errorCode": "X" }).to_string();
    let ran = ask(&home, impostor("400 Bad Request", refusal), &["api", "findNodes", "-o", "table"]);
    assert_eq!(ran.code, Some(1));
    is_clean(&ran);
}

#[test]
fn a_raw_call_prints_refusals_for_scripts_and_the_head_if_it_is_asked_for() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let other = "org-00000000-0000-7000-8000-000000000000";
    let refused = |words: &[&str]| {
        let ran = call(&home, &server, &owner, &[&["api", "getOrganization", "--orgId", other], words].concat());
        assert_eq!((ran.code, ran.stderr.contains("status 403")), (Some(4), true), "{ran:?}");
        ran.stdout
    };
    for format in [&[][..], &["-o", "json"], &["-o", "jsonl"]] {
        let printed = objects(&refused(format));
        assert!(printed.len() == 1 && printed[0]["success"] == false, "{printed:?}");
    }
    assert_eq!((refused(&["-o", "table"]), refused(&["-o", "tsv"])), (String::new(), String::new()));
    let head = |text: &str| {
        let (head, body) = text.split_once("\n\n").unwrap_or_else(|| panic!("{text}"));
        (
            head.lines().next().unwrap_or_default().to_owned(),
            head.contains("\ncontent-type: application/json"),
            objects(body),
        )
    };
    let (line, has_type, body) = head(&refused(&["--include"]));
    assert_eq!((line.as_str(), has_type, &body[0]["success"]), ("HTTP/1.1 403", true, &json!(false)));
    let (line, has_type, body) = head(&done(&home, &server, &owner, &["api", "getProfile", "-i"]));
    assert_eq!((line.as_str(), has_type, &body[0]["success"]), ("HTTP/1.1 200", true, &json!(true)));
    let out = done(&home, &server, &owner, &["api", "getProfile", "--out", "profile.json"]);
    assert_eq!(out, "");
    assert_eq!(objects(&fs::read_to_string(home.path("profile.json")).expect("a file"))[0]["success"], json!(true));
}

#[test]
fn an_answer_that_is_not_from_orgkeys_is_no_answer() {
    let home = Home::new();
    let page = "<html>Welcome</html>".to_owned();
    for (status, code) in [("200 OK", 8), ("404 Not Found", 8), ("502 Bad Gateway", 8), ("503 Service Unavailable", 7)]
    {
        let address = impostor(status, page.clone());
        let ran = ask(&home, address, &["whoami"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{status}: {ran:?}");
    }
    // A label of a name has at most 63 letters.
    let ran = home.run(&["api", "getHealth", "--url", &format!("http://{}.example", "a".repeat(64))]);
    assert_eq!(
        (ran.code, ran.stderr.contains(".example could not be resolved: check the URL")),
        (Some(8), true),
        "{ran:?}"
    );
}

#[test]
fn users_are_listed_from_the_server_that_is_named_else_from_this_machine() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let remote = done(&home, &server, &owner, &["user", "list"]);
    let named = run(home
        .orgkeys(&["user", "list", "--url", &format!("http://{}", server.address)])
        .env("ORGKEYS_TOKEN", &owner.token));
    assert_eq!((named.code, &named.stdout), (Some(0), &remote), "{named:?}");
    for (flag, words) in [
        ("--org", &["user", "list", "--org", "x"][..]),
        ("--config", &["user", "list", "--config", "x", "--url", "http://127.0.0.1:1"]),
        ("--database", &["user", "list", "--database", "x", "--url", "http://127.0.0.1:1"]),
        ("--database", &["--database", "x", "user", "list", "--profile", "x"]),
    ] {
        let ran = call(&home, &server, &owner, words);
        assert_eq!((ran.code, ran.stderr.contains(flag)), (Some(2), true), "{ran:?}");
    }
    // A flag that names the database comes before the variable that names a server.
    let mut beside = home.orgkeys(&["user", "list", "--database", "orgkeys.db"]);
    let beside = run(beside.env("ORGKEYS_URL", "http://127.0.0.1:1")).stdout;
    assert!(beside.contains("  OWNER  ") && !beside.contains('\t'), "{beside}");
    // A profile in use names a server, too.
    let text = "current = \"gone\"\n[profiles.gone]\nurl = \"http://127.0.0.1:1\"\naccess_token = \"okp_x\"\n";
    fs::create_dir_all(home.path(".config/orgkeys")).expect("a folder");
    let profiles = home.write(".config/orgkeys/profiles.toml", text);
    fs::set_permissions(profiles, fs::Permissions::from_mode(0o600)).expect("set");
    let chosen = |words: &[&str]| run(home.orgkeys(words).env("HOME", home.path("")));
    assert_eq!(chosen(&["user", "list"]).code, Some(8), "nothing listens there");
    assert_eq!(chosen(&["key", "list"]).code, Some(8));
    for words in [&["user", "list", "--database", "orgkeys.db"][..], &["key", "list", "--database", "orgkeys.db"]] {
        assert_eq!(chosen(words).code, Some(0), "{words:?}");
    }
    assert_eq!(chosen(&["org", "list"]).code, Some(0), "always of this machine");
    assert_eq!(server.stop().0, Some(0));
    let local = home.done(&["user", "list"]);
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&local), words(&remote), "the same columns");
    let json: Value = serde_json::from_str(&home.done(&["user", "list", "-o", "json"])).expect("JSON");
    assert_eq!(json[0]["email"], "owner@localhost");
    assert_eq!(home.done(&["user", "list", "-o", "tsv"]), remote);
    assert_eq!(home.done(&["user", "list", "--columns", "email,role"]), "owner@localhost\tOWNER\n");
    let ran = home.run(&["user", "list", "--dry-run"]);
    assert_eq!((ran.code, ran.stderr.contains("--dry-run is for a call to a server")), (Some(2), true), "{ran:?}");
}

#[test]
fn a_list_shows_the_columns_that_are_chosen() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let done = |words: &[&str]| done(&home, &server, &owner, words);
    done(&["project", "create", "Shop"]);
    let all = done(&["project", "list"]);
    let id = all.split('\t').next().expect("an id");
    assert_eq!(done(&["project", "list", "--columns", "name,id"]), format!("Shop\t{id}\n"));
    let table = done(&["project", "list", "--columns", "id,name", "-o", "table"]);
    assert!(table.starts_with("ID ") && table.lines().all(|line| line.split_whitespace().count() == 2), "{table}");
    let tail = done(&["audit", "tail", "-n", "1", "--columns", "object,about"]);
    assert_eq!(tail, format!("workspace\t{id}\n"));
    assert_eq!(done(&["audit", "list", "--columns", "seq", "--after", "0", "--limit", "2"]), "1\n2\n");
    for (words, says) in [
        (&["project", "list", "--columns", "name,colour"][..], "no column colour: the columns of this list are id, "),
        (&["project", "list", "--columns", ""], "there is no column : the columns"),
        (&["audit", "tail", "--columns", "Id"], "no column Id: the columns of this list are id, time, event, "),
        (&["project", "list", "--columns", "id", "-o", "json"], "--columns is for a table or tsv"),
        (&["key", "create", "--columns", "id"], "unexpected argument"),
    ] {
        let ran = call(&home, &server, &owner, words);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.contains(says)), (Some(2), "", true), "{ran:?}");
    }
}

#[test]
fn the_audit_log_that_is_listed_can_be_verified() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    for name in ["a", "b", "c"] {
        done(&home, &server, &owner, &["project", "create", name]);
    }
    let listed = done(&home, &server, &owner, &["audit", "list", "--after", "0", "-o", "jsonl"]);
    home.write("audit.jsonl", &listed);
    assert!(home.done(&["audit", "verify", "--file", "audit.jsonl"]).contains("is intact"));
    let last = done(&home, &server, &owner, &["audit", "list", "--limit", "2", "-o", "jsonl"]);
    let (all, last) = (objects(&listed), objects(&last));
    assert_eq!(last.len(), 2);
    assert!(last[0]["seq"].as_u64() >= all.last().expect("entries")["seq"].as_u64(), "the newest");
    let some = done(&home, &server, &owner, &["audit", "list", "--after", "1", "--limit", "2", "-o", "jsonl"]);
    assert_eq!(objects(&some), all[1..3]);
    // Each column shows the field that it is named after.
    let written = |row: &Value, fields: &[&str]| {
        let cell = |field: &&str| match &row[*field] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Number(at) if *field == "at" => Time::from_millis(at.as_i64().expect("a time")).to_string(),
            other => other.to_string(),
        };
        fields.iter().map(cell).collect::<Vec<_>>().join("\t") + "\n"
    };
    let lines = |rows: &[Value], fields: &[&str]| rows.iter().map(|row| written(row, fields)).collect::<String>();
    let fields = ["seq", "at", "actorId", "action", "contextId", "outcome", "address"];
    let listed = done(&home, &server, &owner, &["audit", "list", "--after", "0", "--limit", "6"]);
    assert_eq!(listed, lines(&all[..6], &fields));
    let tail = |format: &str| done(&home, &server, &owner, &["audit", "tail", "-n", "3", "-o", format]);
    let fields = ["id", "timestamp", "event", "context", "contextId", "userName"];
    assert_eq!(tail("tsv"), lines(&objects(&tail("jsonl")), &fields));
}

#[test]
fn help_and_completions_know_every_operation_and_noun() {
    let home = Home::new();
    let help = home.done(&["api", "--help"]);
    for operation in ["createOrganizationKey", "streamEvents", "rotateWebhookSecret"] {
        assert!(help.contains(operation), "{help}");
    }
    let help = home.done(&["api", "createApiKey", "--help"]);
    assert!(
        help.contains("--userApiKey.apiName <TEXT>") && help.contains("Name of the key: 1 to 100 characters"),
        "{help}"
    );
    let help = home.done(&["help", "key", "create"]);
    for text in ["orgkeys key create --out key.pem", "--profile <NAME>", "  6    a conflict (409)"] {
        assert!(help.contains(text), "{help}");
    }
    let bash = home.done(&["completions", "bash"]);
    assert!(bash.contains("createOrganizationKey") && bash.contains("api-key") && bash.contains("--dry-run"));
    let help = home.done(&["--help"]);
    for command in
        ["api ", "key ", "node ", "api-key ", "project ", "webhook ", "login ", "logout ", "whoami ", "profile "]
    {
        assert!(help.contains(&format!("\n  {command}")), "{command}: {help}");
    }
}
