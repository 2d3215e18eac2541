//! The audit log on the command line: verified and exported, with damage located.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Home, keys, objects, past_triggers, sqlite};

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
        (&format!("{export}{{}}\n"), &text, "line 5 is not an exported entry"),
        (&String::new(), &text, "entries at its end are missing"),
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

/// An export, and what somebody says are its heads, may come from anywhere.
#[test]
fn what_is_printed_of_an_export_cannot_control_the_terminal() {
    let home = Home::new();
    let entry = json!({
        "id": 1, "org": "\u{1b}]0;title\u{7}\u{9b}2J\u{202e}", "seq": 2, "at": 0, "actorKind": "", "actorId": "",
        "actorName": null, "action": "", "context": null, "contextId": null, "project": null, "change": null,
        "outcome": "", "address": null, "requestId": null, "detail": null, "prevHash": "", "hash": "",
    });
    home.write("log", entry.to_string());
    let ran = home.run(&["audit", "verify", "--file", "log"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains(r"\u001b]0;title\u0007\u009b2J\u202e"), "{ran:?}");
    assert!(!ran.stderr.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{ran:?}");
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

#[test]
fn audit_verify_tells_a_broken_log_from_one_that_it_could_not_look_at() {
    let home = Home::new();
    assert_eq!(home.first_start().0.stop().0, Some(0));
    let heads = home.done(&["audit", "head"]);
    let export = home.done(&["audit", "export"]);
    for (name, contents) in [
        ("heads", heads.as_str()),
        ("log", &export),
        ("empty", ""),
        ("blank", "\n  \n"),
        (
            "notes.txt",
            "not a database, and longer than the header of one would be: not a database, and longer than that",
        ),
        ("wrong.toml", "listn = 1"),
    ] {
        home.write(name, contents);
    }
    sqlite(&home.path("foreign.db")).execute_batch("CREATE TABLE notes (id)").expect("a table");
    fs::create_dir(home.path("folder")).expect("a folder");
    for (words, expected) in [
        (&["--database", "missing.db"][..], "missing.db does not exist"),
        (&["--database", "foreign.db"], "is a database of another program"),
        (&["--database", "notes.txt"], "it has no SQLite header"),
        (&["--database", "empty"], "it has no SQLite header"),
        (&["--database", "folder"], "cannot read"),
        (&["--config", "wrong.toml"], "listn is not a setting"),
        (&["--file", "missing"], "missing: "),
        (&["--file", "notes.txt"], "line 1 is not an exported entry"),
        (&["--file", "foreign.db"], "line 1 "),
        (&["--file", "folder"], "line 1 cannot be read"),
        (&["--file", "empty"], "it contains no entry, so there is nothing to verify"),
        (&["--head", "missing"], "missing: "),
        (&["--head", "empty"], "empty contains no head"),
        (&["--head", "blank"], "blank contains no head"),
        (&["--head", "notes.txt"], "is not output of `orgkeys audit head`"),
        (&["--file", "log", "--head", "empty"], "empty contains no head"),
    ] {
        let ran = home.run(&[&["audit", "verify"], words].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{words:?}: {ran:?}");
        assert!(ran.stderr.contains(expected) && ran.stderr.lines().count() == 1, "{words:?}: {ran:?}");
    }
    home.done(&["audit", "verify", "--head", "heads"]);
    past_triggers(&home.database).execute_batch("DELETE FROM audit WHERE id = 2").expect("broken");
    for words in [&[][..], &["--head", "heads"], &["--json"]] {
        assert_eq!(home.run(&[&["audit", "verify"], words].concat()).code, Some(1), "{words:?}");
    }
}
