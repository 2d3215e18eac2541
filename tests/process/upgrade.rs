//! A database of an earlier schema is upgraded by the first program that writes to it: completely or not at all, and with a
//! copy of before.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use orgkeys::actions::audit;
use orgkeys::domain::event::Head;
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
    let heads: Vec<Head> = fs::read_to_string(home.path("heads")).expect("heads").lines().map(head).collect();
    assert!(!heads.is_empty());
    for database in [&home.database, &copy] {
        audit::verify(database, &heads).unwrap_or_else(|error| panic!("{case}: {}: {error:?}", database.display()));
    }
}

/// A line of `orgkeys audit head`.
fn head(line: &str) -> Head {
    let mut fields = line.split(' ');
    let mut next = || fields.next().expect("a field").to_owned();
    Head { org: next(), seq: next().parse().expect("a number"), hash: next() }
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
    // Most of the time goes by in waiting for the disk.
    const AT_ONCE: usize = 4;
    let library_home = Home::new();
    let library = &library(&library_home);
    for (fixture, before) in &earlier() {
        let killed: usize = thread::scope(|scope| {
            let turns =
                (1..=AT_ONCE).map(|first| scope.spawn(move || kills(fixture, *before, library, first, AT_ONCE)));
            turns.collect::<Vec<_>>().into_iter().map(|turn| turn.join().expect("upgraded")).sum()
        });
        assert!(killed > 20, "it was killed at {killed} calls only");
    }
}

/// Kills an upgrade at its `first` call and at every `step`-th after it, each in a fresh database, and upgrades again.
/// Returns the number of kills.
fn kills(fixture: &Fixture, before: i32, library: &Path, first: usize, step: usize) -> usize {
    for (killed, at) in (first..).step_by(step).enumerate() {
        let home = fixture.home();
        let mut writes = home.orgkeys(&WRITES);
        let output = output(writes.env("LD_PRELOAD", library).env("KILL_AT", at.to_string()));
        if output.status.signal() != Some(9) {
            assert!(output.status.success(), "{at}: {output:?}");
            check(&home, before, "not killed");
            return killed;
        }
        let found = version_of_copy(&home);
        assert!(found == before || found == VERSION, "{at}: version {found}");
        home.done(&WRITES);
        check(&home, before, &format!("killed at call {at}"));
    }
    unreachable!("every upgrade makes its last call")
}

/// The version of a database as a killed process left it, read in a copy, since reading it with its log changes the files.
fn version_of_copy(home: &Home) -> i32 {
    let other = Home::new();
    for suffix in ["", "-wal"] {
        let from = home.path(&format!("orgkeys.db{suffix}"));
        if from.exists() {
            fs::copy(from, other.path(&format!("orgkeys.db{suffix}"))).expect("copied");
        }
    }
    version(&other.database)
}
