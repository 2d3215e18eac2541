//! Every operation of the API over the socket, without a credential: it works, or is refused in plain words.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::ask;
use crate::harness::Home;

/// The operations that only a user has: one's own account, sessions, tokens and read marks.
const OF_A_USER: [&str; 13] = [
    "confirmPassword",
    "createToken",
    "createWebSession",
    "deleteToken",
    "deleteWebSession",
    "getProfile",
    "listTokens",
    "loginUser",
    "logoutUser",
    "markSystemEventsRead",
    "markSystemEventsUnread",
    "refreshSession",
    "updateAccount",
];

fn json(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi").join(name);
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

#[test]
fn every_operation_works_or_is_refused_cleanly() {
    let home = Home::new();
    let (_server, owner) = home.first_start();
    let (document, examples) = (json("orgkeys.json"), json("examples.json"));
    let (mut refused, mut seen, mut worked) = (BTreeSet::new(), 0, BTreeSet::new());
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let id = operation["operationId"].as_str().expect("an id");
            // It has no end, and is followed elsewhere.
            if id == "streamEvents" {
                continue;
            }
            let example = &examples[id];
            let mut path = path.clone();
            for (name, value) in example["parameters"].as_object().into_iter().flatten() {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let value = if value.starts_with("org-") { &owner.org } else { &value };
                path = path.replace(&format!("{{{name}}}"), value);
            }
            let line = format!("{} {path}", method.to_uppercase());
            let body = if example["request"].is_null() { String::new() } else { example["request"].to_string() };
            let answer = ask(&home, &line, &[], &body);
            seen += 1;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            assert!((200..500).contains(&answer.status), "{id}: {line}: {answer:?}");
            if answer.status < 300 {
                worked.insert(id.to_owned());
            } else if text.contains("NO_ACCOUNT") {
                assert_eq!(answer.status, 403, "{id}");
                assert!(text.contains("to act as a user, send an access token"), "{id}: {text}");
                refused.insert(id.to_owned());
            } else if answer.status != 302 {
                let code = answer.json();
                let code = code["errorCode"].as_str().or_else(|| code["resultInfo"].as_str()).unwrap_or_default();
                assert!(!code.is_empty() && code != "ACCESS_DENIED" && code != "NO_CREDENTIAL", "{id}: {text}");
            }
        }
    }
    assert!(seen > 60, "{seen} operations");
    assert_eq!(refused, OF_A_USER.map(str::to_owned).into());
    assert!(worked.len() >= 25, "{worked:?}");
}
