//! A database of an earlier schema is upgraded by the first program that writes to it: completely or not at all, and with a
//! copy of before.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use orgkeys::store::migrate::VERSION;
use serde_json::Value;

use crate::harness::{Home, integrity, mode, output, run, sqlite};
use crate::released::Fixture;

/// A command that writes to the database.
const WRITES: [&str; 4] = ["org", "create", "--name", "another"];

fn version(database: &Path) -> i32 {
    sqlite(database).query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a version")
}

/// The fixtures whose schema is older than the current one, each with the version of its schema.
fn earlier() -> Vec<(Fixture, i32)> {
    let all = Fixture::all().into_iter().map(|fixture| {
        let found = version(&fixture.home().database);
        (fixture, found)
    });
    all.filter(|(_, found)| *found < VERSION).collect()
}

/// Checks that the database is whole and upgraded, and that the copy of before is whole too.
fn check(home: &Home, before: i32, case: &str) {
    let copy = home.path(&format!("orgkeys.db.v{before}"));
    assert_eq!((version(&home.database), version(&copy)), (VERSION, before), "{case}");
    assert_eq!((integrity(&home.database).as_str(), integrity(&copy).as_str()), ("ok", "ok"), "{case}");
    for database in [&home.database, &copy] {
        let database = database.display().to_string();
        home.done(&["audit", "verify", "--head", "heads", "--database", &database]);
    }
}

/// Compiles the library that kills the program into which it is preloaded.
fn library(home: &Home) -> PathBuf {
    let (source, library) =
        (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/kill_at.c"), home.path("kill_at.so"));
    let compiled = run(Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source));
    assert_eq!(compiled.code, Some(0), "{compiled:?}");
    library
}

#[test]
fn the_first_start_upgrades_keeps_a_copy_and_records_it() {
    let earlier = earlier();
    assert!(!earlier.is_empty());
    for (fixture, before) in earlier {
        let home = fixture.home();
        // What only reads the file does not upgrade it.
        let doctor = home.run(&["doctor", "--quick", "--json"]);
        assert!(doctor.stdout.contains(&format!("The schema has version {before}")), "{doctor:?}");
        home.done(&["audit", "verify", "--head", "heads"]);
        assert_eq!(version(&home.database), before);
        assert_eq!(home.start().stop().0, Some(0), "{}", home.log());
        check(&home, before, &fixture.name);
        assert_eq!(mode(&home.path(&format!("orgkeys.db.v{before}"))), 0o600);
        let exported = home.done(&["audit", "export"]);
        let entries = exported.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let upgrades: Vec<_> = entries.filter(|entry| entry["action"] == "server.upgrade").collect();
        assert_eq!(upgrades.len(), 1, "{exported}");
        let expected = format!(r#"{{"from":{before},"to":{VERSION}}}"#);
        assert_eq!((upgrades[0]["org"].as_str(), upgrades[0]["detail"].as_str()), (Some("server"), Some(&*expected)));
        // Another start upgrades nothing.
        assert_eq!(home.start().stop().0, Some(0));
        assert!(!home.path(&format!("orgkeys.db.v{VERSION}")).exists());
    }
}

#[test]
fn an_upgrade_that_is_killed_at_any_step_happens_at_the_next_start() {
    let library_home = Home::new();
    let library = library(&library_home);
    for (fixture, before) in earlier() {
        let mut killed = 0;
        for at in 1.. {
            let home = fixture.home();
            let mut writes = home.orgkeys(&WRITES);
            let output = output(writes.env("LD_PRELOAD", &library).env("KILL_AT", at.to_string()));
            if output.status.signal() != Some(9) {
                assert!(output.status.success(), "{at}: {output:?}");
                check(&home, before, "not killed");
                break;
            }
            killed += 1;
            let found = version_of_copy(&home);
            assert!(found == before || found == VERSION, "{at}: version {found}");
            home.done(&WRITES);
            check(&home, before, &format!("killed at call {at}"));
        }
        assert!(killed > 20, "it was killed at {killed} calls only");
    }
}

/// The version of a database as a killed process left it, read in a copy, since reading it with its log changes the files.
fn version_of_copy(home: &Home) -> i32 {
    let other = Home::new();
    for suffix in ["", "-wal"] {
        let from = home.path(&format!("orgkeys.db{suffix}"));
        if from.exists() {
            std::fs::copy(from, other.path(&format!("orgkeys.db{suffix}"))).expect("copied");
        }
    }
    version(&other.database)
}
