//! The requests that the client composes: what its words mean to the API, and how it asks for one page after the other.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

use crate::harness::{Home, Ran, accepted, objects, output_of, run};

/// The body that a command would send.
fn body(home: &Home, words: &[&str]) -> Value {
    let shown = home.done(&[words, &["--dry-run", "--url", "http://127.0.0.1:1"]].concat());
    let (_, body) = shown.split_once("\n\n").unwrap_or_else(|| panic!("{words:?} has no body: {shown}"));
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

#[test]
fn roles_ends_and_lengths_are_sent_as_the_api_has_them() {
    let home = Home::new();
    let rotate =
        |overlap: &str| body(&home, &["key", "rotate", "key-1", "--overlap", overlap])["overlapSeconds"].clone();
    assert_eq!([rotate("1h"), rotate("0s"), rotate("2d")], [json!(3_600), json!(0), json!(172_800)]);
    let update = |end: &str| body(&home, &["key", "update", "key-1", "--retires", end]);
    assert_eq!(update("never"), json!({ "retireAt": null }));
    assert_eq!(update("2030-01-02T03:04:05Z"), json!({ "retireAt": "2030-01-02T03:04:05.000Z" }));
    let hours = update("2h")["retireAt"].as_str().map(str::to_owned);
    let [from, until] =
        [115, 125].map(|minutes| crate::harness::now().plus(std::time::Duration::from_mins(minutes)).to_string());
    assert!(hours.as_ref() > Some(&from) && hours.as_ref() < Some(&until), "{hours:?}");
    let create = |words: &[&str]| body(&home, &[&["api-key", "create", "--name", "x", "--role"], words].concat());
    let made = create(&["administrator", "--expires", "never"]);
    assert_eq!((&made["roleId"], &made["listProjectsId"]), (&json!(254), &json!([])));
    assert_eq!(made["userApiKey"], json!({ "apiName": "x", "hasExpireTime": false }));
    let made = create(&["1", "--expires", "2030-01-02T03:04:05Z", "--project", "a", "--project", "b", "--note", "n"]);
    let key = json!({ "apiName": "x", "hasExpireTime": true, "expireDateTime": "2030-01-02T03:04:05.000Z" });
    assert_eq!(
        made,
        json!({ "userApiKey": key, "roleId": 1, "listProjectsId": ["a", "b"], "note": "n" }),
        "in any order"
    );
    // What is not said.
    let rotated = body(&home, &["key", "rotate", "key-1"]);
    assert_eq!((&rotated["overlapSeconds"], &rotated["retireWhenUnused"]), (&json!(604_800), &json!(true)));
    assert_eq!(body(&home, &["api-key", "rotate", "7"])["overlapSeconds"], json!(86_400));
    assert_eq!(update("1d").as_object().map(serde_json::Map::len), Some(1), "only what is said is changed");
    for (words, query) in [
        (&["audit", "list"][..], "?after=0&limit=50"),
        (&["audit", "list", "--after", "7"], "?after=7&limit=1000"),
        (&["audit", "list", "--limit", "1001"], "?after=0&limit=1000"),
    ] {
        let shown = home.done(&[words, &["--dry-run", "--url", "http://127.0.0.1:1"]].concat());
        assert!(shown.lines().next().is_some_and(|line| line.ends_with(query)), "{words:?}: {shown}");
    }
    for (words, says) in [
        // Nothing is sent, not even to learn the organization.
        (&["api", "listNodes", "--take", "many", "--url", "http://127.0.0.1:1"][..], "--take must be a whole number"),
        (&["key", "rotate", "key-1", "--overlap", "soon"], "overlap must be a duration such as 24h"),
        (&["key", "update", "key-1", "--retires", "soon"], "retires must be a time (RFC 3339), a duration"),
        (&["api-key", "create", "--name", "x", "--role", "KING", "--expires", "1d"], "role must be USER, BILLING"),
        (&["api-key", "create", "--name", "x", "--role", "2.5", "--expires", "1d"], "role must be USER, BILLING"),
        (&["api-key", "create", "--name", "x", "--role", "USER", "--expires", ""], "expires must be a time"),
        (
            &["key", "rotate", "key-1", "--public-key", "x", "--out", "key.pem"],
            "for your own --public-key: leave out --out",
        ),
    ] {
        let ran = home.run(words);
        assert_eq!((ran.code, ran.stderr.contains(says)), (Some(2), true), "{words:?}: {ran:?}");
    }
}

#[test]
fn a_body_comes_from_the_command_line_a_file_or_standard_input() {
    let home = Home::new();
    let expected = json!({ "email": "a@b", "deviceInfo": "x" });
    let file = home.write("body.json", expected.to_string());
    for source in [&expected.to_string(), "@body.json", "@-"] {
        let words = ["api", "loginUser", "--dry-run", "--url", "http://127.0.0.1:1", "--body", source];
        let mut command = home.orgkeys(&words);
        command.stdin(File::open(&file).expect("a file")).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = output_of(source, command.spawn().expect("it runs"));
        let shown = String::from_utf8(output.stdout).expect("text");
        let (_, body) = shown.split_once("\n\n").unwrap_or_else(|| panic!("{source}: {shown}"));
        assert_eq!(serde_json::from_str::<Value>(body).expect("JSON"), expected, "{source}");
    }
}

/// A server that answers one connection after the other with these bodies. Returns the first line of each request.
fn scripted(bodies: Vec<Value>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = thread::spawn(move || {
        let answer = |body: Value| {
            let mut stream = accepted(&listener);
            let mut request = [0; 4_096];
            let read = stream.read(&mut request).expect("a request");
            let body = body.to_string();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
            stream.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes()).expect("sent");
            let line = String::from_utf8_lossy(&request[..read]).lines().next().unwrap_or_default().to_owned();
            line.trim_end_matches(" HTTP/1.1").to_owned()
        };
        bodies.into_iter().map(answer).collect()
    });
    (url, asked)
}

#[test]
fn the_audit_log_is_read_page_by_page_and_no_further_than_it_went_at_the_beginning() {
    let home = Home::new();
    let me = || json!({ "success": true, "data": { "orgId": "org-1" } });
    let page = |from: u64, to: u64, last: u64| {
        let entries: Vec<Value> = (from..=to).map(|seq| json!({ "seq": seq })).collect();
        json!({ "success": true, "data": entries, "last": last })
    };
    let listed = |words: &[&str], bodies: Vec<Value>| {
        // A proxy serves the API below a path.
        let (url, asked) = scripted(bodies);
        let url = format!("{url}/keys/");
        let words = [&["audit", "list", "-o", "jsonl", "--url", &url], words].concat();
        let ran: Ran = run(home.orgkeys(&words).env("ORGKEYS_TOKEN", "okp_x"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let seqs: Vec<u64> =
            objects(&ran.stdout).iter().map(|entry| entry["seq"].as_u64().expect("a number")).collect();
        let asked = asked.join().expect("asked");
        assert_eq!(asked[0], "GET /keys/user/profile");
        assert!(asked[1..].iter().all(|line| line.starts_with("GET /keys/organization/org-1/audit")), "{asked:?}");
        let queries = asked.iter().skip(1).map(|line| line.rsplit('/').next().unwrap_or_default().to_owned());
        (seqs.first().copied(), seqs.last().copied(), seqs.len(), queries.collect::<Vec<_>>())
    };
    // A limit of more than a page.
    let (first, last, count, asked) =
        listed(&["--after", "0", "--limit", "1200"], vec![me(), page(1, 1_000, 5_000), page(1_001, 1_200, 5_000)]);
    assert_eq!((first, last, count), (Some(1), Some(1_200), 1_200));
    assert_eq!(asked, ["audit?after=0&limit=1000", "audit?after=1000&limit=200"]);
    // Without one, to the entry that was the last when it began: reading adds entries.
    let (first, last, count, asked) =
        listed(&["--after", "7"], vec![me(), page(8, 1_007, 1_500), page(1_008, 1_502, 1_502)]);
    assert_eq!((first, last, count), (Some(8), Some(1_502), 1_495));
    assert_eq!(asked, ["audit?after=7&limit=1000", "audit?after=1007&limit=1000"]);
    // The last 50 if nothing is said, or so many as are asked for.
    let head = json!({ "success": true, "org": "org-1", "seq": 90, "hash": "" });
    let (.., count, asked) = listed(&[], vec![me(), head.clone(), page(41, 90, 91)]);
    assert_eq!((count, &asked[1]), (50, &"audit?after=40&limit=50".to_owned()));
    let (.., count, asked) = listed(&["--limit", "91"], vec![me(), head, page(1, 90, 90)]);
    assert_eq!((count, &asked[1]), (90, &"audit?after=0&limit=91".to_owned()));
}

#[test]
fn a_list_that_is_longer_than_the_server_shows_says_so() {
    let home = Home::new();
    let me = json!({ "success": true, "data": { "orgId": "org-1" } });
    let page = json!({ "success": true, "data": vec![json!({ "id": "n" }); 1_000], "total": 20_000 });
    let (url, asked) = scripted([vec![me], vec![page; 11]].concat());
    let ran = run(home
        .orgkeys(&["webhook", "deliveries", "webhook-1", "--columns", "id", "--url", &url])
        .env("ORGKEYS_TOKEN", "okp_x"));
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 11_000), "{}", ran.stderr);
    assert!(ran.stderr.contains("only the first 11000 are shown"), "{}", ran.stderr);
    assert!(asked.join().expect("asked")[11].ends_with("?skip=10000&take=1000"));
}
