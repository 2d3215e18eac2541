//! A database that is moved, removed or overwritten under a running server ends it, and nothing that was acknowledged is lost.

use std::fs;

use serde_json::json;

use crate::harness::{Answer, Home, Owner, Server, objects};

/// What `sysexits.h` has for an error of input or output.
const EX_IOERR: i32 = 74;

/// A server that has acknowledged a project by this name.
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

/// The server ends by itself, says why, and answers nobody with success meanwhile.
fn ends(home: &Home, server: Server, owner: &Owner, said: &str, case: &str) {
    if let Ok(answer) = project(&server, owner, "too late") {
        assert!(answer.status >= 500, "{case}: acknowledged: {answer:?}");
    }
    let (code, _) = server.ended();
    assert_eq!(code, Some(EX_IOERR), "{case}: {}", home.log());
    let last = objects(&home.log()).pop().expect("a line");
    assert!(last["message"].as_str().is_some_and(|message| message.contains(said)), "{case}: {last}");
}

/// The names of the projects that a server has.
fn projects(home: &Home, owner: &Owner) -> String {
    let server = home.start();
    server.call_as(owner, "GET", &format!("/api/organizations/{}/projects", owner.org)).json().to_string()
}

#[test]
fn a_server_whose_database_is_moved_or_replaced_ends_before_it_acknowledges_what_would_be_lost() {
    let other = Home::new();
    drop(with_project(&other, "of another"));
    for case in ["renamed", "replaced", "overwritten"] {
        let home = Home::new();
        let (server, owner) = with_project(&home, "kept");
        let aside = home.path("aside.db");
        match case {
            "renamed" => fs::rename(&home.database, &aside).expect("moved"),
            "replaced" => {
                fs::rename(&home.database, &aside).expect("moved");
                fs::copy(&other.database, home.path("new.db")).expect("copied");
                fs::rename(home.path("new.db"), &home.database).expect("put in place");
            }
            _ => {
                fs::copy(&home.database, &aside).expect("copied");
                fs::copy(&other.database, &home.database).expect("overwritten");
            }
        }
        if case == "overwritten" {
            // It is noticed before anything is moved into it.
            let (code, _) = server.ended();
            assert_eq!(code, Some(EX_IOERR), "{}", home.log());
            assert!(home.log().contains("was moved, removed or overwritten while the server ran"), "{}", home.log());
            assert_eq!(fs::read(&home.database).expect("a file"), fs::read(&other.database).expect("a file"));
        } else {
            ends(&home, server, &owner, "was moved, removed or overwritten while the server ran", case);
        }
        fs::rename(aside, &home.database).expect("put back");
        let found = projects(&home, &owner);
        assert!(found.contains("\"kept\"") && !found.contains("of another"), "{case}: {found}");
        home.done(&["audit", "verify"]);
    }
}

#[test]
fn a_server_whose_log_is_removed_moves_it_into_the_database_and_ends() {
    for removed in ["orgkeys.db-wal", "orgkeys.db-shm"] {
        let home = Home::new();
        let (server, owner) = with_project(&home, "kept");
        fs::remove_file(home.path(removed)).expect("removed");
        ends(&home, server, &owner, "the -wal or the -shm of ", removed);
        let found = projects(&home, &owner);
        assert!(found.contains("\"kept\""), "{removed}: {found}");
        home.done(&["audit", "verify"]);
    }
}
