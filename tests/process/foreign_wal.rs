//! Read-only commands change nothing, and a write-ahead log is used only if it belongs to the database beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Home, Ran, received, run, sqlite};

/// Each command that only reads; `{copy}` is a file for a backup.
const READING: [&[&str]; 9] = [
    &["doctor"],
    &["doctor", "--quick"],
    &["audit", "verify"],
    &["audit", "head"],
    &["audit", "export"],
    &["backup", "{copy}"],
    &["org", "list"],
    &["user", "list"],
    &["token", "list"],
];

/// Every other command that opens a database.
const WRITING: [&[&str]; 3] =
    [&["serve", "--listen", "127.0.0.1:0"], &["org", "create", "--name", "b"], &["clock", "accept"]];

/// The contents of the database, its log and the log's index.
fn bytes(database: &Path) -> [Option<Vec<u8>>; 3] {
    ["", "-wal", "-shm"].map(|suffix| fs::read(beside(database, suffix)).ok())
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", database.display()))
}

/// The exit code of a command that refuses the database. The doctor reports it as something that needs attention.
fn not_done(words: &[&str]) -> i32 {
    if words == ["audit", "verify"] { 2 } else { 1 }
}

fn run_on(home: &Home, database: &Path, words: &[&str]) -> Ran {
    let copy = home.path("copy.db").display().to_string();
    let words: Vec<&str> = words.iter().map(|word| if *word == "{copy}" { copy.as_str() } else { word }).collect();
    run(home.orgkeys(&words).args(["--database", &database.display().to_string()]))
}

/// The database of a stopped server. If it was `killed`, its last entry is in the log only.
fn left(killed: bool) -> Home {
    let home = Home::new();
    let (server, owner) = home.first_start();
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
    if killed {
        server.kill();
        assert!(fs::metadata(home.path("orgkeys.db-wal")).expect("a log").len() > 0);
    } else {
        assert_eq!(server.stop().0, Some(0));
        assert!(!home.path("orgkeys.db-wal").exists());
    }
    home
}

/// Runs each read-only command on `database`; none may change a byte, and all must see four entries.
fn read_everything(home: &Home, database: &Path) {
    let before = bytes(database);
    for words in READING {
        let ran = run_on(home, database, words);
        // The doctor may report the missing backup, but nothing else.
        let is_well = if words[0] == "doctor" { ran.stdout.contains("intact: 4 entries") } else { ran.code == Some(0) };
        assert!(is_well, "{words:?}: {ran:?}");
        assert!(bytes(database) == before, "{words:?} changed the database at {}", database.display());
    }
}

#[test]
fn read_only_commands_change_no_byte_after_a_shutdown_or_a_kill() {
    for killed in [false, true] {
        let home = left(killed);
        read_everything(&home, &home.database);
        if killed {
            // Copies are often made without the index of the log.
            fs::remove_file(home.path("orgkeys.db-shm")).expect("removed");
            read_everything(&home, &home.database);
        }
        // A server continues with what they left.
        let server = home.start();
        assert_eq!(server.stop().0, Some(0));
        assert!(home.done(&["audit", "verify"]).starts_with("The audit log is intact"));
    }
}

/// A folder that is mounted read-only at another place until this is dropped.
struct ReadOnly(PathBuf);

impl ReadOnly {
    /// `None` if this process may not mount.
    fn of(folder: &Path, at: &Path) -> Option<Self> {
        fs::create_dir(at).expect("a folder");
        let mount = |words: &[&str]| {
            let ran = Command::new("mount").args(words).arg(at).output();
            ran.is_ok_and(|ran| ran.status.success())
        };
        let mounted = mount(&["--bind", &folder.display().to_string()]);
        let guard = mounted.then(|| Self(at.to_owned()))?;
        mount(&["-o", "remount,ro,bind"]).then_some(guard)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn read_only_commands_work_on_a_read_only_disk() {
    let (mounts, live) = (Home::new(), Home::new());
    let (server, owner) = live.first_start();
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
    let copy = Home::new();
    for suffix in ["", "-wal"] {
        fs::copy(beside(&live.database, suffix), beside(&copy.database, suffix)).expect("copied");
    }
    for (name, home) in [("stopped", left(false)), ("killed", left(true)), ("copied", copy)] {
        let folder = home.database.parent().expect("a folder");
        let Some(disk) = ReadOnly::of(folder, &mounts.path(name)) else {
            println!("skipped: a read-only disk cannot be mounted here (it needs root and mount)");
            return;
        };
        read_everything(&mounts, &disk.0.join("orgkeys.db"));
        fs::remove_file(mounts.path("copy.db")).expect("removed");
    }
    // What cannot be checked there is checked in the copy, before that replaces anything.
    let broken = left(false);
    let break_it = "PRAGMA ignore_check_constraints = ON; UPDATE org SET is_business = 7";
    sqlite(&broken.database).execute_batch(break_it).expect("changed");
    let disk = ReadOnly::of(broken.database.parent().expect("a folder"), &mounts.path("broken")).expect("mounted");
    let ran = mounts.run(&["restore", &disk.0.join("orgkeys.db").display().to_string()]);
    assert_eq!((ran.code, ran.stderr.contains("The backup is damaged (")), (Some(1), true), "{ran:?}");
    assert!(!mounts.database.exists());
}

/// Checks that each command refuses the log beside the database, names both and changes nothing.
fn is_refused(home: &Home, what: &str) {
    let before = bytes(&home.database);
    for words in READING.into_iter().chain(WRITING) {
        let ran = run_on(home, &home.database, words);
        let output = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, Some(not_done(words)), "{what}: {words:?}: {ran:?}");
        assert!(output.contains("orgkeys.db-wal is not the write-ahead log of "), "{what}: {words:?}: {ran:?}");
        assert!(output.contains("is the database that you want, move "), "{what}: {words:?}: {ran:?}");
        assert!(bytes(&home.database) == before, "{what}: {words:?} changed the database");
    }
    assert!(!home.path("copy.db").exists(), "{what}");
}

#[test]
fn the_log_of_another_database_is_refused_and_the_remedy_works() {
    let (stopped, killed) = (left(false), left(true));
    let whole = stopped.done(&["audit", "head"]);
    fs::copy(killed.path("orgkeys.db-wal"), stopped.path("orgkeys.db-wal")).expect("copied");
    is_refused(&stopped, "another database's log");
    fs::rename(stopped.path("orgkeys.db-wal"), stopped.path("foreign-wal")).expect("moved away");
    assert_eq!(stopped.done(&["audit", "head"]), whole);
    assert_eq!(stopped.start().stop().0, Some(0));
}

#[test]
fn a_backup_or_copy_beside_a_later_log_is_refused() {
    let home = left(false);
    fs::copy(&home.database, home.path("stopped.db")).expect("copied");
    let server = home.start();
    home.done(&["backup", "backup.db"]);
    server.kill();
    let (database, log) = (home.database.clone(), home.path("orgkeys.db-wal"));
    let later = fs::read(&log).expect("a log");
    for earlier in ["backup.db", "stopped.db"] {
        fs::copy(home.path(earlier), &database).expect("put in place");
        is_refused(&home, earlier);
    }
    // A restore does it properly: the log is set aside with the database to which it belongs.
    home.done(&["restore", "backup.db"]);
    let aside = home.files().into_iter().find(|name| name.contains(".before-") && name.ends_with("-wal"));
    assert!(fs::read(home.path(&aside.expect("a log"))).expect("bytes") == later);
    assert!(home.done(&["audit", "verify"]).starts_with("The audit log is intact"));
}

#[test]
fn an_earlier_log_of_the_same_database_is_refused() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    server.key(&owner);
    let early = fs::read(home.path("orgkeys.db-wal")).expect("a log");
    server.key(&owner);
    assert_eq!(server.stop().0, Some(0));
    home.write("orgkeys.db-wal", &early);
    is_refused(&home, "a log from before the stop");
}

#[test]
fn a_database_with_two_hard_links_is_refused_until_one_is_removed() {
    let home = left(false);
    fs::create_dir(home.path("other")).expect("a folder");
    fs::hard_link(&home.database, home.path("other/orgkeys.db")).expect("a second name");
    for name in ["orgkeys.db", "other/orgkeys.db"] {
        let before = bytes(&home.path(name));
        for words in READING.into_iter().chain(WRITING) {
            let ran = run_on(&home, &home.path(name), words);
            let output = format!("{}{}", ran.stdout, ran.stderr);
            assert_eq!(ran.code, Some(not_done(words)), "{name}: {words:?}: {ran:?}");
            assert!(output.contains("has 2 names (hard links)"), "{name}: {words:?}: {ran:?}");
            assert!(output.contains("remove all but one"), "{name}: {words:?}: {ran:?}");
        }
        assert!(bytes(&home.path(name)) == before);
    }
    fs::remove_file(home.path("other/orgkeys.db")).expect("removed");
    assert_eq!(home.start().stop().0, Some(0));
}

/// The home of a killed server whose log extends the database.
fn grown() -> Home {
    let home = Home::new();
    let (server, owner) = home.first_start();
    for _ in 0..120 {
        assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
    }
    server.kill();
    home
}

#[test]
fn a_backup_beside_the_log_of_another_database_is_refused() {
    let home = grown();
    home.done(&["backup", "backup.db"]);
    let small = left(true);
    fs::copy(home.path("backup.db"), &small.database).expect("put in place");
    is_refused(&small, "a longer file");
    let small = left(true);
    fs::copy(small.path("orgkeys.db-wal"), home.path("orgkeys.db-wal")).expect("put in place");
    is_refused(&home, "a smaller log");
}

#[test]
fn an_interrupted_checkpoint_is_finished_by_the_next_start() {
    const PAGE: usize = 4_096;
    let home = grown();
    let log = fs::read(home.path("orgkeys.db-wal")).expect("a log");
    // The first page in its last version from the log: it announces pages that the file does not have yet.
    let mut frames = log[32..].chunks_exact(24 + PAGE);
    let first = frames.rfind(|frame| frame[..4] == [0, 0, 0, 1]).expect("the first page");
    let mut file = fs::read(&home.database).expect("bytes");
    file[..PAGE].copy_from_slice(&first[24..]);
    let told = u32::from_be_bytes([file[28], file[29], file[30], file[31]]) as usize;
    assert!(told > file.len() / PAGE, "the file is as long as its first page says");
    fs::write(&home.database, file).expect("written");
    let before = bytes(&home.database);
    assert!(home.done(&["audit", "verify"]).starts_with("The audit log is intact: 123 entries"));
    assert!(bytes(&home.database) == before);
    assert_eq!(home.start().stop().0, Some(0));
    assert!(home.done(&["audit", "verify"]).starts_with("The audit log is intact: 123 entries"));
}

#[test]
fn a_log_that_a_reader_kept_from_checkpointing_is_still_accepted() {
    let home = left(false);
    let reader = crate::harness::sqlite(&home.database);
    reader.execute_batch("BEGIN; SELECT count(*) FROM org").expect("a snapshot");
    let server = home.start();
    assert_eq!(server.stop().0, Some(0));
    drop(reader);
    assert!(home.done(&["audit", "verify"]).starts_with("The audit log is intact"));
    let server = home.start();
    server.kill();
    assert_eq!(home.start().stop().0, Some(0));
}

#[test]
fn a_bind_mounted_database_is_refused_beside_its_running_server() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    fs::create_dir(home.path("other")).expect("a folder");
    let other = home.path("other/orgkeys.db");
    fs::write(&other, "").expect("a place");
    let mounted = Command::new("mount").arg("--bind").arg(&home.database).arg(&other).output();
    if !mounted.is_ok_and(|ran| ran.status.success()) {
        println!("skipped: a file cannot be mounted here (it needs root and mount)");
        return;
    }
    let results =
        READING.into_iter().chain(WRITING).map(|words| (words, run_on(&home, &other, words))).collect::<Vec<_>>();
    let _ = Command::new("umount").arg("-l").arg(&other).status();
    for (words, ran) in results {
        let output = format!("{}{}", ran.stdout, ran.stderr);
        assert!(ran.code == Some(not_done(words)) && output.contains("under another name"), "{words:?}: {ran:?}");
    }
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
}

#[test]
fn links_and_pipes_in_place_of_lock_or_reserve_are_not_followed() {
    for name in ["orgkeys.db.lock", "orgkeys.db.reserve"] {
        for kind in ["link", "second name", "pipe"] {
            let home = left(false);
            let victim = home.write("victim", "precious");
            fs::remove_file(home.path(name)).expect("removed");
            match kind {
                "link" => std::os::unix::fs::symlink(&victim, home.path(name)).expect("a link"),
                "second name" => fs::hard_link(&victim, home.path(name)).expect("a name"),
                _ => assert!(Command::new("mkfifo").arg(home.path(name)).status().expect("it runs").success()),
            }
            let ran = home.run(&["org", "create", "--name", "b"]);
            if name.ends_with("lock") {
                assert!(ran.code == Some(1) && ran.stderr.contains("find out who put it there"), "{kind}: {ran:?}");
            } else {
                // Without a reserve the command works, and warns.
                assert_eq!(ran.code, Some(0), "{kind}: {ran:?}");
            }
            assert_eq!(fs::read_to_string(&victim).expect("text"), "precious", "{name}: {kind}");
        }
    }
}

#[test]
fn a_start_waits_for_a_read_only_command() {
    let home = left(false);
    let lock = fs::File::open(&home.database).expect("the database");
    lock.lock_shared().expect("as a read-only command");
    let (mut child, lines) = crate::harness::spawn(&mut home.serve(&[]), &home.path("stderr.log"));
    // It waits for the lock, and another read-only command still gets in.
    assert!(lines.try_recv().is_err(), "it listens although a command is reading");
    assert!(home.done(&["audit", "verify"]).starts_with("The audit log is intact"));
    drop(lock);
    while !received("the server starts", &lines).starts_with("listening on ") {}
    child.kill().expect("killed");
    child.wait().expect("waited");
}
