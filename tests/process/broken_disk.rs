//! A disk that fails during a commit: the server exits at once, and no acknowledged change is lost.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::harness::{Home, call, objects, run};

/// The exit code of `sysexits.h` for an I/O error.
const EX_IOERR: i32 = 74;

/// Compiles the library that breaks the disk of the program into which it is preloaded.
fn library(home: &Home) -> PathBuf {
    let (source, library) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/broken_disk.c"), home.path("broken_disk.so"));
    let compiled = run(Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source));
    assert_eq!(compiled.code, Some(0), "{compiled:?}");
    library
}

#[test]
fn a_disk_failure_during_a_commit_ends_the_server_without_losing_acknowledged_changes() {
    for broken in ["sync", "write"] {
        let home = Home::new();
        let (broken_while, mut serve) = (home.path("broken"), home.serve(&["--log-format", "json"]));
        serve.env("LD_PRELOAD", library(&home)).env("BROKEN_WHILE", &broken_while).env("BROKEN_CALL", broken);
        let server = home.start_with(&mut serve);
        let owner = server.owner();
        let (key, _) = server.key(&owner);
        home.write("broken", "");
        let (address, path) = (server.address, format!("/api/organizations/{}/projects", owner.org));
        let callers: Vec<_> = (0..8)
            .map(|number| {
                let (path, token) = (path.clone(), owner.token.clone());
                let body = json!({ "name": format!("project {number}") });
                std::thread::spawn(move || call(address, "POST", &path, Some(&token), Some(&body)))
            })
            .collect();
        let (code, printed) = server.ended();
        for caller in callers {
            let answer = caller.join().expect("it called");
            assert!(answer.is_err(), "{broken}: the commit is uncertain, yet it was answered: {answer:?}");
        }
        assert_eq!((code, printed.as_str()), (Some(EX_IOERR), ""), "{broken}: {}", home.log());
        let last = objects(&home.log()).pop().expect("a line");
        let message = last["message"].as_str().unwrap_or_default();
        for part in ["could not be written to disk", "No acknowledged change is lost", "restart the server"] {
            assert!(message.contains(part), "{broken}: {last}");
        }
        assert!(
            home.files().contains(&"orgkeys.db-wal".to_owned()),
            "{broken}: it continued to write: {:?}",
            home.files()
        );

        std::fs::remove_file(broken_while).expect("mended");
        let server = home.start();
        let keys = server.call_as(&owner, "GET", &format!("/organization/{}/key", owner.org)).json();
        assert_eq!(keys["data"][0]["id"], json!(key), "{broken}: {keys}");
        home.done(&["audit", "verify"]);
    }
}

#[test]
fn a_disk_failure_during_a_command_is_reported_like_the_servers() {
    let home = Home::new();
    drop(home.first_start());
    home.write("broken", "");
    let mut create = home.orgkeys(&["org", "create", "--name", "another"]);
    create.env("LD_PRELOAD", library(&home)).env("BROKEN_WHILE", home.path("broken")).env("BROKEN_CALL", "sync");
    let ran = run(&mut create);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(EX_IOERR), ""), "{ran:?}");
    assert!(ran.stderr.starts_with("orgkeys: a commit could not be written to disk"), "{ran:?}");
    std::fs::remove_file(home.path("broken")).expect("mended");
    home.done(&["audit", "verify"]);
}
