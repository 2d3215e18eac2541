//! The audit log on the command line: verified and exported, with damage located.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Home, keys, objects, past_triggers};

#[test]
fn audit_commands_work_beside_a_running_server_and_detect_edits() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    server.call_as(&owner, "GET", "/user/profile");
    let output = home.done(&["audit", "verify"]);
    assert_eq!(output, "The audit log is intact: 4 entries in 1 chain\n");
    let expected = json!({ "success": true, "entries": 4, "chains": 1 });
    assert_eq!(objects(&home.done(&["audit", "verify", "--json"])), [expected]);
    let (text, json) = (home.done(&["audit", "head"]), home.done(&["audit", "head", "--json"]));
    let head = objects(&json)[0].clone();
    assert_eq!((keys(&head), &head["org"], &head["seq"]), (vec!["org", "seq", "hash"], &json!(owner.org), &json!(4)));
    assert_eq!(text, format!("{} 4 {}\n", owner.org, head["hash"].as_str().expect("a hash")));
    let export = home.done(&["audit", "export"]);
    let actions: Vec<Value> = objects(&export).iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["org.create", "user.create", "token.create", "user.profile"]);
    server.call_as(&owner, "GET", "/user/profile");
    for (name, contents) in [("head", &text), ("head.json", &json), ("log", &export)] {
        home.write(name, contents);
    }
    for words in [
        vec!["--head", "head"],
        vec!["--head", "head.json"],
        vec!["--file", "log"],
        vec!["--file", "log", "--head", "head"],
    ] {
        home.done(&[&["audit", "verify"][..], &words].concat());
    }
    let cut: String = export.lines().take(3).flat_map(|line| [line, "\n"]).collect();
    let changed = export.replace("user.profile", "user.profit");
    let first_and_later = export.lines().take(1).chain(export.lines().skip(2));
    let missing: String = first_and_later.flat_map(|line| [line, "\n"]).collect();
    let rewritten = format!("{} 4 {}\n", owner.org, "0".repeat(64));
    for (log, head, expected) in [
        (&cut, &text, "entries at its end are missing"),
        (&changed, &text, "its contents were changed"),
        (&missing, &text, "an entry is missing"),
        (&export, &rewritten, "the chain was rewritten"),
        (&export, &"nonsense".to_owned(), "is not output of `orgkeys audit head`"),
        (&"{}\n".to_owned(), &text, "line 1 is not an exported entry"),
    ] {
        fs::write(home.path("log"), log).expect("written");
        fs::write(home.path("head"), head).expect("written");
        let ran = home.run(&["audit", "verify", "--file", "log", "--head", "head"]);
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.contains(expected)),
            (Some(1), "", true),
            "{expected}: {ran:?}"
        );
    }
}

#[test]
fn audit_verify_names_a_changed_entry() {
    let home = Home::new();
    drop(home.first_start());
    let change = "UPDATE audit SET actor_id = 'somebody' WHERE id = 2";
    past_triggers(&home.database).execute_batch(change).expect("changed");
    let ran = home.run(&["audit", "verify"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.starts_with("orgkeys: The audit log is broken: entry 2 (number 2 of org-"), "{ran:?}");
    assert!(ran.stderr.ends_with("): its contents were changed\n"), "{ran:?}");
}
