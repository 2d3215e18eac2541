//! A database that is moved, removed or overwritten under a running server ends it, without loss of acknowledged changes.

use std::fs;

use serde_json::json;

use crate::harness::{Answer, Home, Owner, Server, objects, sqlite};

/// The exit code of `sysexits.h` for an I/O error.
const EX_IOERR: i32 = 74;

/// A server that has acknowledged a project with this name.
fn with_project(home: &Home, name: &str) -> (Server, Owner) {
    let server = home.start_with(&mut home.serve(&["--log-format", "json"]));
    let owner = server.owner();
    assert_eq!(project(&server, &owner, name).expect("answered").status, 201);
    (server, owner)
}

fn project(server: &Server, owner: &Owner, name: &str) -> std::io::Result<Answer> {
    let path = format!("/api/organizations/{}/projects", owner.org);
    crate::harness::call(server.address, "POST", &path, Some(&owner.token), Some(&json!({ "name": name })))
}

/// The server exits by itself, says why, and acknowledges nothing meanwhile.
fn ends(home: &Home, server: Server, owner: &Owner, expected: &str, case: &str) {
    if let Ok(answer) = project(&server, owner, "too late") {
        assert!(answer.status >= 500, "{case}: acknowledged: {answer:?}");
    }
    let (code, _) = server.ended();
    assert_eq!(code, Some(EX_IOERR), "{case}: {}", home.log());
    let last = objects(&home.log()).pop().expect("a line");
    assert!(last["message"].as_str().is_some_and(|message| message.contains(expected)), "{case}: {last}");
}

/// The projects of a server, as JSON.
fn projects(home: &Home, owner: &Owner) -> String {
    let server = home.start();
    server.call_as(owner, "GET", &format!("/api/organizations/{}/projects", owner.org)).json().to_string()
}

#[test]
fn a_server_whose_database_is_moved_or_replaced_exits_without_acknowledging_changes() {
    let other = Home::new();
    let (server, _) = with_project(&other, "of another");
    server.stop();
    for case in ["renamed", "replaced", "overwritten", "cut"] {
        let home = Home::new();
        let (server, owner) = with_project(&home, "kept");
        let (aside, log) = (home.path("aside.db"), home.path("aside.db-wal"));
        match case {
            "renamed" => fs::rename(&home.database, &aside).expect("moved"),
            "replaced" => {
                fs::rename(&home.database, &aside).expect("moved");
                fs::copy(&other.database, home.path("new.db")).expect("copied");
                fs::rename(home.path("new.db"), &home.database).expect("put in place");
            }
            _ => {
                fs::copy(&home.database, &aside).expect("copied");
                fs::copy(home.path("orgkeys.db-wal"), &log).expect("copied");
                if case == "cut" {
                    let file = fs::OpenOptions::new().write(true).open(&home.database).expect("the file");
                    file.set_len(100 * 1_024).expect("cut");
                } else {
                    fs::copy(&other.database, &home.database).expect("overwritten");
                }
            }
        }
        ends(&home, server, &owner, "was moved, removed or overwritten while the server was running", case);
        if case == "overwritten" {
            let (now, put) = (fs::read(&home.database).expect("a file"), fs::read(&other.database).expect("a file"));
            assert!(now == put, "nothing was written into it");
        }
        fs::rename(aside, &home.database).expect("put back");
        if log.exists() {
            fs::rename(log, home.path("orgkeys.db-wal")).expect("put back");
        }
        let found = projects(&home, &owner);
        assert!(found.contains("\"kept\"") && !found.contains("of another"), "{case}: {found}");
        home.done(&["audit", "verify"]);
    }
}

#[test]
fn a_server_whose_folder_is_replaced_by_a_file_exits() {
    let home = Home::new();
    fs::create_dir(home.path("data")).expect("a folder");
    let server = home.start_with(home.serve(&["--log-format", "json"]).args(["--database", "data/keys.db"]));
    let owner = server.owner();
    assert_eq!(project(&server, &owner, "kept").expect("answered").status, 201);
    fs::rename(home.path("data"), home.path("moved")).expect("moved");
    home.write("data", "in its place");
    ends(&home, server, &owner, "was moved, removed or overwritten while the server was running", "a file");
}

#[test]
fn a_server_whose_log_is_removed_or_replaced_restores_it_and_exits() {
    for case in ["orgkeys.db-wal", "orgkeys.db-shm", "beside a reader", "exchanged"] {
        let home = Home::new();
        let (server, owner) = with_project(&home, "kept");
        let (older, log) = (home.path("older"), home.path("orgkeys.db-wal"));
        fs::copy(&log, &older).expect("copied");
        // A snapshot that blocks checkpoints.
        let reader = sqlite(&home.database);
        if case == "beside a reader" {
            reader.execute_batch("BEGIN; SELECT * FROM org").expect("a snapshot");
        }
        assert_eq!(project(&server, &owner, "kept too").expect("answered").status, 201);
        match case {
            "exchanged" => fs::rename(older, log).expect("put in its place"),
            "beside a reader" => fs::remove_file(log).expect("removed"),
            name => fs::remove_file(home.path(name)).expect("removed"),
        }
        ends(&home, server, &owner, "No acknowledged change is lost: the -wal is in its place", case);
        drop(reader);
        let found = projects(&home, &owner);
        assert!(found.contains("\"kept\"") && found.contains("\"kept too\""), "{case}: {found}");
        home.done(&["audit", "verify"]);
    }
}

#[test]
fn a_server_whose_log_is_overwritten_or_truncated_exits_without_a_checkpoint() {
    let other = Home::new();
    let (another, _) = with_project(&other, "of another");
    for case in ["cut", "zeros", "another"] {
        let home = Home::new();
        let (server, owner) = with_project(&home, "kept");
        let log = home.path("orgkeys.db-wal");
        let before = fs::read(&home.database).expect("the file");
        let write = |path: &std::path::Path, bytes: &[u8]| {
            use std::io::Write;
            // Not recreated, as `fs::write` would: its length stays.
            fs::OpenOptions::new().write(true).open(path).expect("the file").write_all(bytes).expect("written");
        };
        match case {
            "cut" => fs::OpenOptions::new().write(true).open(&log).expect("the log").set_len(0).expect("cut"),
            "zeros" => write(&log, &[0; 4_096]),
            _ => write(&log, &fs::read(other.path("orgkeys.db-wal")).expect("a log")),
        }
        ends(
            &home,
            server,
            &owner,
            "was overwritten or truncated by another program while the server was running",
            case,
        );
        assert!(fs::read(&home.database).expect("the file") == before, "{case}: something was moved");
    }
    drop(another);
}

#[test]
fn another_program_that_reads_or_checkpoints_does_no_harm() {
    let home = Home::new();
    let (server, owner) = with_project(&home, "kept");
    for number in 0..3 {
        // Closing the last connection to a database removes its log: SQLite's locks must show that there is another connection.
        let reader = sqlite(&home.database);
        let count: i64 = reader.query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).expect("a number");
        assert!(count > 0);
        drop(reader);
        assert_eq!(project(&server, &owner, &format!("after {number}")).expect("answered").status, 201);
    }
    assert!(home.files().contains(&"orgkeys.db-wal".to_owned()), "{:?}", home.files());
    // Nor does a checkpoint by another program end the server.
    sqlite(&home.database).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("moved");
    for _ in 0..3 {
        assert_eq!(project(&server, &owner, "after that").expect("answered").status, 201);
    }
    assert_eq!(server.stop().0, Some(0));
    home.done(&["audit", "verify"]);
}
