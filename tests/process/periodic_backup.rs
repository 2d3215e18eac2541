//! The backups that a running server makes by itself: verified, private, announced when they fail, and never at the
//! expense of other files or of the server.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use orgkeys::crypto::chain::hex;
use rustix::process::Signal;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::doctor::examined;
use crate::full_disk::Disk;
use crate::harness::{Home, Server, eventually, integrity, mode, now, past_triggers, registration};
use crate::leftovers::large;
use crate::log::{lines, wait_for};

const MADE: &str = "a backup was made and verified";
const FAILED: &str = "a periodic backup failed; further failures are not logged until one succeeds";
const RECOVERED: &str = "periodic backups succeed again";

/// The flags of a server that makes a backup every second.
const EVERY_SECOND: [&str; 6] = ["--backup-dir", "backups", "--backup-interval", "1s", "--disk-reserve", "4KiB"];

fn start(home: &Home, flags: &[&str]) -> Server {
    home.start_with(&mut home.serve(&[&EVERY_SECOND, flags].concat()))
}

/// The finished backups, the oldest first.
fn backups(home: &Home) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(home.path("backups")) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "backup")).collect();
    paths.sort();
    paths
}

fn drafts(home: &Home) -> usize {
    let Ok(entries) = fs::read_dir(home.path("backups")) else { return 0 };
    entries
        .filter(|entry| entry.as_ref().expect("an entry").path().extension().is_some_and(|end| end == "orgkeys-draft"))
        .count()
}

fn metric(server: &Server, name: &str) -> f64 {
    let text = String::from_utf8(server.call("GET", "/metrics", None, None).body).expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("orgkeys_{name} ")));
    line.unwrap_or_else(|| panic!("no {name}: {text}")).parse().expect("a number")
}

fn failures(server: &Server, at_least: u32) {
    eventually("failures are counted", || {
        (metric(server, "periodic_backup_failures_total") >= f64::from(at_least)).then_some(())
    });
}

/// A finding of the doctor about backups with this interval and this time to keep them.
fn finding(home: &Home, check: &str, interval: &str, keep: &str) -> Value {
    let flags =
        ["--backup-dir", "backups", "--backup-interval", interval, "--backup-keep", keep, "--disk-reserve", "4KiB"];
    let found = examined(home, &flags);
    found.into_iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("no {check}"))
}

#[test]
fn a_running_server_makes_private_backups_that_verify_and_can_be_restored() {
    let (home, before) = (Home::new(), now());
    let server = start(&home, &[]);
    let owner = server.owner();
    server.key(&owner);
    // The first of them may have begun before the key was there.
    let enough = backups(&home).len() + 3;
    let made = eventually("three more backups", || Some(backups(&home)).filter(|made| made.len() >= enough));
    assert_eq!((mode(&home.path("backups")), made.iter().map(|path| mode(path)).max()), (0o700, Some(0o600)));
    let logged = wait_for(&home, MADE, made.len());
    for path in &made {
        let file = path.to_str().expect("text");
        assert_eq!(integrity(path), "ok");
        home.done(&["audit", "verify", "--database", file]);
        let name = path.file_name().expect("a name").to_str().expect("text");
        let line = logged.iter().find(|line| line["file"].as_str().expect("a path").ends_with(name)).expect("a line");
        assert_eq!(line["sha256"], hex(&Sha256::digest(fs::read(path).expect("bytes"))));
    }
    let [interval, took, last] =
        ["periodic_backup_interval_seconds", "periodic_backup_seconds", "periodic_backup_timestamp_seconds"]
            .map(|name| metric(&server, name));
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let [from, until] = [before, now()].map(|time| (time.millis() / 1_000) as f64);
    assert!((from..=until).contains(&last), "{from} {last} {until}");
    assert!((interval - 1.0).abs() < f64::EPSILON && took > 0.0 && took < 60.0, "{interval} {took}");
    assert!(metric(&server, "backup_timestamp_seconds") >= last, "it is the last backup, whoever made it");
    assert!(metric(&server, "periodic_backup_failures_total").abs() < f64::EPSILON, "{}", home.log());
    // They are too many for an entry of their own in the audit log.
    assert!(!home.done(&["audit", "export"]).contains("server.backup"), "a periodic backup was recorded");
    for check in ["backup", "backup_dir"] {
        assert_eq!(finding(&home, check, "1m", "1h")["ok"], true, "although nobody ran `orgkeys backup`");
    }
    // A command may make one at the same time. The server's next one is the last again.
    home.done(&["backup", "by-hand.db"]);
    let of_the_command = metric(&server, "backup_timestamp_seconds");
    let later = eventually("a later backup", || {
        Some(metric(&server, "periodic_backup_timestamp_seconds")).filter(|time| *time > of_the_command)
    });
    assert!(metric(&server, "backup_timestamp_seconds") >= later);
    assert_eq!(server.stop().0, Some(0));
    assert_eq!(drafts(&home), 0);
    let newest = backups(&home).pop().expect("a backup");
    let standby = Home::new();
    standby.done(&["restore", newest.to_str().expect("text"), "--keep-tokens"]);
    let keys = standby.start().call_as(&owner, "GET", &format!("/organization/{}/key", owner.org)).json();
    assert_eq!(keys["data"].as_array().map(Vec::len), Some(1), "{keys}");
}

#[test]
fn old_backups_go_only_if_they_are_earlier_states_of_this_database() {
    let (home, other) = (Home::new(), Home::new());
    drop(other.first_start());
    other.done(&["backup", "copy.db"]);
    let (server, owner) = home.first_start();
    fs::create_dir(home.path("backups")).expect("a folder");
    for name in ["orgkeys-2020-01-01T000000.000Z.backup", "orgkeys-2020-01-02T000000.000Z.backup", "weekly.backup"] {
        home.done(&["backup", &format!("backups/{name}")]);
    }
    // What was undone by a restore is only in a backup from before it.
    server.key(&owner);
    home.done(&["backup", "backups/orgkeys-2020-02-01T000000.000Z.backup"]);
    assert_eq!(server.stop().0, Some(0));
    home.done(&["restore", "backups/weekly.backup", "--keep-tokens"]);
    let foreign = |name: &str| home.path("backups").join(name);
    fs::copy(other.path("copy.db"), foreign("orgkeys-2020-02-02T000000.000Z.backup")).expect("copied");
    fs::write(foreign("orgkeys-2020-02-03T000000.000Z.backup"), "notes").expect("written");
    std::os::unix::fs::symlink(home.path("backups/weekly.backup"), foreign("orgkeys-2020-02-04T000000.000Z.backup"))
        .expect("a link");
    fs::create_dir(foreign("orgkeys-2020-02-05T000000.000Z.backup")).expect("a folder");
    fs::copy(foreign("weekly.backup"), foreign("orgkeys-2020-02-06.backup")).expect("copied");
    fs::copy(foreign("weekly.backup"), home.path("twice.db")).expect("copied");
    fs::hard_link(home.path("twice.db"), foreign("orgkeys-2020-02-07T000000.000Z.backup")).expect("a link");
    let server = start(&home, &["--backup-keep", "1m"]);
    let old = |day: &str| foreign(&format!("orgkeys-2020-01-0{day}T000000.000Z.backup")).exists();
    eventually("both old ones are removed", || (!old("1") && !old("2")).then_some(()));
    let made = backups(&home).len();
    eventually("two more backups", || (backups(&home).len() >= made + 2).then_some(()));
    let names: Vec<String> =
        backups(&home).iter().map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect();
    let kept: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !name.starts_with("orgkeys-2") || name.starts_with("orgkeys-2020"))
        .collect();
    assert_eq!(
        kept,
        [
            "orgkeys-2020-02-01T000000.000Z.backup",
            "orgkeys-2020-02-02T000000.000Z.backup",
            "orgkeys-2020-02-03T000000.000Z.backup",
            "orgkeys-2020-02-04T000000.000Z.backup",
            "orgkeys-2020-02-05T000000.000Z.backup",
            "orgkeys-2020-02-06.backup",
            "orgkeys-2020-02-07T000000.000Z.backup",
            "weekly.backup",
        ]
    );
    assert_eq!(fs::read(foreign("orgkeys-2020-02-03T000000.000Z.backup")).expect("bytes"), b"notes");
    assert!(lines(&home, FAILED).is_empty(), "{}", home.log());
    assert_eq!(server.stop().0, Some(0));
    // With a short time, all but the newest go.
    let newest =
        backups(&home).into_iter().rfind(|path| !kept.iter().any(|name| path.ends_with(name))).expect("a backup");
    let server = start(&home, &["--backup-keep", "1s"]);
    eventually("the newest of the last server is removed once there are newer ones", || {
        (!newest.exists()).then_some(())
    });
    assert!(backups(&home).len() > kept.len(), "{:?}", backups(&home));
    drop(server);
}

#[test]
fn a_copy_that_does_not_verify_is_discarded_and_removes_nothing() {
    let home = Home::new();
    assert_eq!(home.first_start().0.stop().0, Some(0));
    fs::create_dir(home.path("backups")).expect("a folder");
    home.done(&["backup", "backups/orgkeys-2020-01-01T000000.000Z.backup"]);
    let conn = past_triggers(&home.database);
    conn.execute_batch("UPDATE audit SET actor_id = 'x' WHERE id = 2").expect("changed");
    conn.close().expect("closed");
    let server = start(&home, &["--backup-keep", "1s"]);
    failures(&server, 3);
    assert_eq!(
        (backups(&home).len(), server.call("GET", "/ready", None, None).status),
        (1, 200),
        "{:?}",
        backups(&home)
    );
    let logged = lines(&home, FAILED);
    assert_eq!((logged.len(), &logged[0]["level"]), (1, &Value::from("ERROR")), "{logged:?}");
    let why = logged[0]["error"].as_str().expect("a reason");
    assert!(why.contains("the database or the disk is damaged (") && why.ends_with("run `orgkeys doctor`"), "{why}");
    let late = finding(&home, "backup_dir", "1s", "1m");
    assert!(late["message"].as_str().expect("text").contains("has none since 2020-01-01"), "{late}");
    assert_eq!(server.stop().0, Some(0));
    assert_eq!(drafts(&home), 0);
}

#[test]
fn an_outage_is_logged_once_and_so_is_its_end() {
    let home = Home::new();
    let missing = ["--backup-dir", "missing/backups"];
    let server = home.start_with(&mut home.serve(&[&missing[..], &EVERY_SECOND[2..]].concat()));
    let owner = server.owner();
    failures(&server, 2);
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
    let why = lines(&home, FAILED).pop().expect("a line")["error"].as_str().expect("a reason").to_owned();
    assert!(why.starts_with("cannot write backups to the directory missing/backups: No such file"), "{why}");
    assert!(metric(&server, "periodic_backup_timestamp_seconds").abs() < f64::EPSILON, "none was made");
    fs::create_dir(home.path("missing")).expect("a folder");
    wait_for(&home, RECOVERED, 1);
    assert_eq!(lines(&home, FAILED).len(), 1);
    assert!(lines(&home, RECOVERED)[0]["failures"].as_u64() >= Some(2), "{}", home.log());
    // Another server that writes to the same directory.
    let lock = File::options().write(true).open(home.path("missing/backups/orgkeys.lock")).expect("a lock");
    lock.lock().expect("taken");
    let again = wait_for(&home, FAILED, 2).pop().expect("a line")["error"].as_str().expect("a reason").to_owned();
    assert!(again.starts_with("another server is writing a backup to missing/backups: give each server"), "{again}");
    drop(lock);
    wait_for(&home, RECOVERED, 2);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_backup_never_takes_the_space_that_the_server_needs() {
    let home = Home::new();
    let Some(disk) = Disk::of(&home) else {
        println!("skipped: a small disk cannot be mounted here (it needs root and mount)");
        return;
    };
    let flags = |reserve| {
        [
            "--database",
            "disk/orgkeys.db",
            "--backup-dir",
            "disk/backups",
            "--backup-interval",
            "1s",
            "--disk-reserve",
            reserve,
        ]
    };
    let start = |reserve| home.start_with(&mut home.serve(&flags(reserve)));
    // The disk has 24 MiB, of which twice the reserve is to stay free.
    let server = start("8MiB");
    let owner = server.owner();
    let (_, pem) = server.key(&owner);
    failures(&server, 2);
    let why = lines(&home, FAILED).pop().expect("a line")["error"].as_str().expect("a reason").to_owned();
    assert!(why.contains("must leave 16 MiB free: free disk space, or lower backup_keep"), "{why}");
    assert!(lines(&home, MADE).is_empty(), "{}", home.log());
    let body = registration(&owner.org, &pem, "203.0.113.9", now().millis());
    assert_eq!(server.call("POST", "/register", None, Some(&body)).status, 200);
    assert_eq!(server.stop().0, Some(0));
    let server = start("1MiB");
    wait_for(&home, MADE, 2);
    disk.fill();
    wait_for(&home, FAILED, 2);
    let keys = format!("/organization/{}/key", owner.org);
    assert_eq!(server.call_as(&owner, "DELETE", &keys).status, 200, "a revocation uses the reserve");
    fs::remove_file(disk.0.join("filler")).expect("removed");
    wait_for(&home, RECOVERED, 1);
    assert_eq!(server.stop().0, Some(0));
    assert!(home.done(&["audit", "verify", "--database", "disk/orgkeys.db"]).starts_with("The audit log is intact"));
}

#[test]
fn a_stop_in_the_middle_of_a_backup_is_clean() {
    let home = large();
    for _ in 0..3 {
        let server = start(&home, &[]);
        eventually("a backup begins", || (drafts(&home) > 0).then_some(()));
        server.signal(Signal::TERM);
        assert_eq!(server.ended().0, Some(0));
        assert_eq!(drafts(&home), 0);
        assert!(!home.path("orgkeys.db-wal").exists(), "the database was closed");
    }
    assert!(lines(&home, FAILED).is_empty(), "{}", home.log());
    for path in backups(&home) {
        assert_eq!(integrity(&path), "ok");
    }
}

#[test]
fn requests_are_answered_while_a_backup_is_written() {
    let home = large();
    let token = home.done(&["token", "create", "--user", "owner@localhost"]);
    let token = token.lines().next().expect("a token");
    let server = start(&home, &[]);
    // A profile is returned only when its entry in the audit log is on disk.
    eventually("a change during a backup", || {
        eventually("a backup begins", || (drafts(&home) > 0).then_some(()));
        assert_eq!(server.call("GET", "/user/profile", Some(token), None).status, 200);
        (drafts(&home) > 0).then_some(())
    });
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn the_doctor_says_what_keeps_backups_from_being_made_or_kept() {
    let home = Home::new();
    assert_eq!(home.first_start().0.stop().0, Some(0));
    let says = |interval: &str, keep: &str, text: &str| {
        let found = finding(&home, "backup_dir", interval, keep);
        assert!(found["ok"] == false && found["message"].as_str().expect("text").contains(text), "{found}");
    };
    says("1m", "1h", "The directory backups cannot be read: No such file");
    fs::create_dir(home.path("backups")).expect("a folder");
    says("1m", "1h", "The server makes a backup every 60 s, but backups contains no backup");
    home.done(&["backup", "backups/orgkeys-2020-01-01T000000.000Z.backup"]);
    says("1m", "1h", "backups has none since 2020-01-01T00:00:00.000Z");
    // Of the last second, however long this takes.
    let newest = now().plus(Duration::from_hours(1)).to_string().replace(':', "");
    home.done(&["backup", &format!("backups/orgkeys-{newest}.backup")]);
    assert_eq!(finding(&home, "backup_dir", "1m", "1h")["ok"], true);
    // Three intervals are late enough to be told. Each file is looked at within a minute of its making.
    fs::remove_file(home.path("backups").join(format!("orgkeys-{newest}.backup"))).expect("removed");
    for (minutes, ok) in [(178, true), (180, false)] {
        let at = now().minus(Duration::from_mins(minutes)).to_string().replace(':', "");
        let file = home.write(&format!("backups/orgkeys-{at}.backup"), "");
        let found = finding(&home, "backup_dir", "1h", "1h");
        assert_eq!(found["ok"], ok, "{minutes} minutes: {found}");
        let has_both = found["message"].as_str().expect("text").ends_with("; backups has 2");
        assert_eq!(has_both, ok, "{found}");
        fs::remove_file(file).expect("removed");
    }
    home.done(&["backup", &format!("backups/orgkeys-{newest}.backup")]);
    // A year of backups every second has no room on any disk.
    says("1s", "366d", "but the backups that backup_keep asks for need ");
}
