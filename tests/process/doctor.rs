//! What `orgkeys doctor` reports about each possible problem, and about a healthy server.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use orgkeys::actions::admin;
use orgkeys::actions::open::open;
use orgkeys::domain::time::{Clock, Time};
use orgkeys::engine::environment::Environment;
use orgkeys::engine::limits::Limits;
use orgkeys::server::clock;
use orgkeys::store::{Options, Room};
use serde_json::Value;

use crate::harness::{Home, now, objects, past_triggers, run, sqlite};

/// A stopped server's database, with a backup and no problems.
pub fn healthy() -> Home {
    let home = Home::new();
    let (server, _) = home.first_start();
    assert_eq!(server.stop().0, Some(0));
    home.done(&["backup", "copy.db"]);
    home
}

/// The doctor's findings; its exit code must match them.
pub fn examined(home: &Home, words: &[&str]) -> Vec<Value> {
    let ran = home.run(&[&["doctor", "--json"], words].concat());
    let found = objects(&ran.stdout);
    let ill = found.iter().any(|finding| finding["ok"] == false);
    assert_eq!(ran.code, Some(i32::from(ill)), "{ran:?}");
    assert!(!found.is_empty(), "{ran:?}");
    for finding in &found {
        assert_eq!(finding["ok"] == true, finding["remedy"].is_null(), "{finding}");
    }
    found
}

/// Expects exactly this problem, with this message and this remedy.
pub fn finds(home: &Home, words: &[&str], check: &str, message: &str, remedy: &str) {
    let found = examined(home, words);
    let ill: Vec<&Value> = found.iter().filter(|finding| finding["ok"] == false).collect();
    assert_eq!(ill.len(), 1, "{found:?}");
    let text = |field: &str| ill[0][field].as_str().expect("text");
    assert_eq!(text("check"), check, "{found:?}");
    assert!(text("message").contains(message), "{ill:?} does not say {message:?}");
    assert!(text("remedy").contains(remedy), "{ill:?} does not say {remedy:?}");
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn a_healthy_database_passes_with_and_without_its_server() {
    let home = healthy();
    let before = fs::read(&home.database).expect("bytes");
    let checks: Vec<Value> = examined(&home, &[]).into_iter().map(|finding| finding["check"].clone()).collect();
    assert_eq!(
        checks,
        [
            "disk",
            "wal",
            "modes",
            "backup",
            "file",
            "clock",
            "integrity",
            "audit",
            "nodes",
            "keys",
            "tokens",
            "secrets",
            "key_file",
            "webhooks",
            "settings"
        ]
    );
    assert!(fs::read(&home.database).expect("bytes") == before, "the doctor changed the database");
    let _server = home.start();
    assert!(examined(&home, &["--quick"]).iter().all(|finding| finding["ok"] == true));
    let text = home.done(&["doctor"]);
    assert_eq!(text.lines().count(), 16, "{text}");
    assert!(
        text.lines().take(15).all(|line| line.starts_with("ok    ")) && text.ends_with("All checks passed\n"),
        "{text}"
    );
}

#[test]
fn a_missing_database_or_an_invalid_setting_exits_2() {
    let home = Home::new();
    for words in [&["doctor"][..], &["doctor", "--nodes-max", "0"]] {
        let ran = home.run(words);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.stderr.starts_with("orgkeys: "), "{ran:?}");
    }
    assert!(home.files().is_empty(), "{:?}", home.files());
}

#[test]
fn disk_space_log_file_modes_and_backups_are_checked() {
    let home = healthy();
    finds(&home, &["--disk-reserve", "1000000GiB"], "disk", "only revocations are accepted", "Free disk space");
    let most = ["--disk-reserve", "4KiB", "--database-max", "64KiB"];
    finds(&home, &most, "disk", "of the 64 KiB that database_max allows", "Raise database_max");
    // At nine tenths of what is left beside the reserve.
    let size = fs::metadata(&home.database).expect("a file").len();
    for (spare, ok) in [(1, true), (0, false)] {
        let most = (4_096 + (size / 9 + spare) * 10).to_string();
        let found = examined(&home, &["--quick", "--disk-reserve", "4KiB", "--database-max", &most]);
        assert_eq!(found.iter().all(|finding| finding["ok"] == true), ok, "{size} of {most}: {found:?}");
    }
    let wal = home.path("orgkeys.db-wal");
    let log = fs::File::create(&wal).expect("a file");
    chmod(&wal, 0o600);
    log.set_len((64 << 20) - 1).expect("a length");
    assert!(examined(&home, &[]).iter().all(|finding| finding["ok"] == true));
    fs::File::create(&wal).expect("a file").set_len(64 << 20).expect("a length");
    chmod(&wal, 0o600);
    finds(&home, &[], "wal", "The write-ahead log has grown to 64 MiB", "lsof");
    let _ = fs::remove_file(&wal);
    chmod(&home.database, 0o640);
    finds(&home, &[], "modes", "orgkeys.db is accessible to other users: its mode is 0640", "chmod 0600 ");
    chmod(&home.database, 0o600);
    chmod(&home.path("orgkeys.db.key"), 0o604);
    finds(&home, &[], "modes", "orgkeys.db.key is accessible to other users: its mode is 0604", "chmod 0600 ");
    chmod(&home.database, 0o666);
    let open = examined(&home, &["--quick"]);
    assert_eq!(open.iter().filter(|finding| finding["check"] == "modes").count(), 2, "each file is named: {open:?}");
    let text = home.run(&["doctor", "--quick"]).stdout;
    assert!(text.ends_with(&format!("\n2 of {} checks need attention\n", open.len())), "{text}");
    chmod(&home.database, 0o600);
    chmod(&home.path("orgkeys.db.key"), 0o600);
    let marker = home.path("orgkeys.db.last-backup");
    let mut made: Value = serde_json::from_slice(&fs::read(&marker).expect("a marker")).expect("JSON");
    for (hours, ok) in [(7 * 24 - 1, true), (7 * 24 + 1, false)] {
        made["at"] = now().minus(Duration::from_hours(hours)).to_string().into();
        home.write("orgkeys.db.last-backup", made.to_string());
        if ok {
            assert!(examined(&home, &[]).iter().all(|finding| finding["ok"] == true));
        } else {
            finds(&home, &[], "backup", "more than 7 days old", "orgkeys backup FILE");
        }
    }
    // A backup of the server's own is as good.
    fs::create_dir(home.path("backups")).expect("a folder");
    home.write(&format!("backups/orgkeys-{}.backup", now().to_string().replace(':', "")), "");
    let own = ["--backup-dir", "backups", "--backup-interval", "1h", "--backup-keep", "1h"];
    assert!(examined(&home, &own).iter().all(|finding| finding["ok"] == true));
    fs::remove_file(&marker).expect("removed");
    finds(&home, &[], "backup", "never been backed up", "orgkeys backup FILE");
}

#[test]
fn damaged_foreign_and_newer_files_are_distinguished() {
    let home = healthy();
    let conn = sqlite(&home.database);
    conn.execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE org SET is_business = 7").expect("changed");
    drop(conn);
    finds(&home, &[], "integrity", "The database is damaged: ", "orgkeys restore FILE");
    let home = healthy();
    let conn = past_triggers(&home.database);
    conn.execute_batch("UPDATE audit SET actor_id = 'x' WHERE id = 2").expect("changed");
    drop(conn);
    finds(&home, &[], "audit", "its contents were changed", "copy it to a safe place");
    let conn = sqlite(&home.database);
    conn.execute_batch("PRAGMA user_version = 99").expect("changed");
    drop(conn);
    finds(&home, &[], "file", "was written by a newer orgkeys", "follow the message above");
    let conn = sqlite(&home.database);
    conn.execute_batch("PRAGMA application_id = 1").expect("changed");
    drop(conn);
    finds(&home, &[], "file", "is a database of another program", "Name the right file");
    chmod(&home.write("orgkeys.db", "no database at all"), 0o600);
    finds(&home, &[], "file", "orgkeys.db is damaged", "Copy the file to a safe place");
}

#[test]
fn a_clock_behind_the_database_is_reported_and_can_be_accepted() {
    struct Ahead(Time);
    impl Clock for Ahead {
        fn now(&self) -> Time {
            self.0
        }
    }
    let home = healthy();
    let ahead = Environment::new(Arc::new(Ahead(now().plus(Duration::from_hours(1)))), clock::system_seed);
    let options = Options { path: home.database.clone(), readers: 1, room: Room::new(0, 0) };
    let (_, system) = open(&options, Limits::default(), ahead).expect("opened");
    admin::create_org(&system, "acme").expect("an organization");
    drop(system);
    for _ in 0..2 {
        finds(&home, &[], "clock", "but the database has recorded", "Correct the system clock");
        home.done(&["clock", "accept"]);
        assert!(examined(&home, &[]).iter().all(|finding| finding["ok"] == true));
        sqlite(&home.database).execute_batch("UPDATE server SET high_water = 4102444800000").expect("changed");
    }
}

#[test]
fn an_unusable_or_expiring_certificate_is_reported() {
    let home = healthy();
    let certificate = |days: &str| {
        let words = ["req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=localhost", "-days", days];
        let ran = run(home_command(&home, "openssl").args(words).args(["-keyout", "key.pem", "-out", "cert.pem"]));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        chmod(&home.path("key.pem"), 0o640);
    };
    let tls = ["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--listen", "0.0.0.0:3000"];
    certificate("15");
    let well = examined(&home, &tls).into_iter().find(|finding| finding["check"] == "tls").expect("looked at");
    assert_eq!(well["ok"], true, "{well}");
    chmod(&home.path("key.pem"), 0o644);
    finds(&home, &tls, "modes", "key.pem is accessible to other users: its mode is 0644", "chmod 0640 key.pem");
    // Its expiry has a four-digit year, as in all certificates from 2050 on.
    certificate("36500");
    let well = examined(&home, &tls).into_iter().find(|finding| finding["check"] == "tls").expect("looked at");
    assert!(well["message"].as_str().expect("text").starts_with("The certificate is valid until 21"), "{well}");
    home.write("v3", "basicConstraints=CA:FALSE");
    for words in [
        "req -newkey ed25519 -nodes -subj /CN=localhost -keyout key.pem -out request.pem",
        "x509 -req -in request.pem -signkey key.pem -days -1 -extfile v3 -out cert.pem",
    ] {
        let ran = run(home_command(&home, "openssl").args(words.split(' ')));
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    finds(&home, &tls, "tls", "The certificate cert.pem expired at 2", "Renew the certificate");
    // The chain ends with the first of its certificates that does.
    let expired = fs::read_to_string(home.path("cert.pem")).expect("a certificate");
    certificate("15");
    let first = fs::read_to_string(home.path("cert.pem")).expect("a certificate");
    home.write("cert.pem", first + &expired);
    finds(&home, &tls, "tls", "The certificate cert.pem expired at 2", "Renew the certificate");
    certificate("13");
    finds(&home, &tls, "tls", "expires within 14 days: at 2", "the server reloads it automatically");
    home.write("cert.pem", "no certificate");
    finds(&home, &tls, "tls", "the certificate cert.pem cannot be used", "in PEM");
}

#[test]
fn insecure_settings_are_reported() {
    let home = healthy();
    finds(&home, &["--listen", "0.0.0.0:3000"], "settings", "unencrypted: 0.0.0.0:3000", "TLS proxy");
    finds(
        &home,
        &["--trusted-proxy", "10.0.0.1,0.0.0.0/0"],
        "settings",
        "trusted_proxy is 0.0.0.0/0",
        "the address of your proxy",
    );
    finds(&home, &["--quick", "--trusted-proxy", "10.0.0.1,::/0"], "settings", "trusted_proxy is ::/0", "your proxy");
    for words in [&["--trusted-proxy", "10.0.0.0/8,::1"][..], &["--listen", "[::1]:3000"], &["--listen", "127.9.9.9:1"]]
    {
        let found = examined(&home, &[&["--quick"], words].concat());
        assert!(found.iter().all(|finding| finding["ok"] == true), "{words:?}: {found:?}");
    }
    home.write("short", "fifteen-letters");
    finds(&home, &["--metrics-token-file", "short"], "settings", "can be guessed", "orgkeys token generate");
    home.write("long", "sixteen-letters.");
    assert!(examined(&home, &["--metrics-token-file", "long"]).iter().all(|finding| finding["ok"] == true));
    let text = home.run(&["doctor", "--listen", "0.0.0.0:3000"]).stdout;
    assert!(text.contains("ACT   settings   Tokens cross") && text.contains("-> Set tls_cert"), "{text}");
    assert!(text.ends_with("1 of 15 checks needs attention\n"), "{text}");
}

fn home_command(home: &Home, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(home.path(""));
    command
}

#[test]
fn access_tokens_of_owners_and_administrators_that_expire_soon_are_reported() {
    let home = healthy();
    let set = |sql: &str| sqlite(&home.database).execute_batch(sql).expect("changed");
    let (day, now) = (86_400_000, now().millis());
    let lasting = |life: i64, left: i64| {
        let (made, ends) = (now + (left - life) * day, now + left * day);
        set(&format!("UPDATE token SET created_at = {made}, expires_at = {ends}"));
    };
    let advice = "orgkeys token create --user EMAIL";
    lasting(90, 15);
    assert!(examined(&home, &[]).iter().all(|finding| finding["ok"] == true));
    lasting(90, 14);
    let message = "Access tokens of owners and administrators expire within 14 days: token-";
    finds(&home, &[], "tokens", message, advice);
    finds(&home, &[], "tokens", " of owner@localhost at 2", "POST /token");
    lasting(14, 13);
    assert!(examined(&home, &[]).iter().all(|finding| finding["ok"] == true), "its whole life is short");
    lasting(90, 13);
    let copies = "INSERT INTO token (id, person, digest, created_at, expires_at) WITH RECURSIVE number (n) AS
        (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 3)
        SELECT randomblob(16), person, randomblob(32), created_at, expires_at + n FROM token, number";
    set(copies);
    finds(&home, &[], "tokens", " of owner@localhost at 2", advice);
    finds(&home, &[], "tokens", "Z, and 1 more", advice);
    for spared in ["role = 2", "deleted_at = 1, deleted_by = 255"] {
        set(&format!("UPDATE person SET {spared}"));
        assert!(examined(&home, &[]).iter().all(|finding| finding["ok"] == true), "{spared}");
        set("UPDATE person SET role = 254, deleted_at = NULL, deleted_by = NULL");
        finds(&home, &[], "tokens", message, advice);
    }
    set("UPDATE token SET revoked_at = 1");
    assert!(examined(&home, &[]).iter().all(|finding| finding["ok"] == true));
}

#[test]
fn keys_that_nodes_sign_with_and_that_retire_within_a_day_are_reported() {
    let home = healthy();
    let set = |sql: &str| sqlite(&home.database).execute_batch(sql).expect("changed");
    set("INSERT INTO org_key (id, org, public_key, created_at) SELECT randomblob(16), id, randomblob(294), 0 FROM org;
        INSERT INTO node (id, org, ip, ip_key, region, provider, status, version, services, key, last_contact)
        SELECT randomblob(16), org, '192.0.2.1', '192.0.2.1', 'eu', '', '', '', 0, id, 0 FROM org_key");
    let well = || assert!(examined(&home, &[]).iter().all(|finding| finding["ok"] == true));
    let (day, now) = (86_400_000, now().millis());
    let ends = |millis: i64| set(&format!("UPDATE org_key SET retire_at = {}", now + millis));
    well();
    ends(day + 600_000);
    well();
    ends(day);
    finds(&home, &[], "keys", "1 node signs with key-", "nodes?keyId=");
    ends(-1);
    well();
    ends(day / 2);
    set("UPDATE node SET key = NULL");
    well();
}

#[test]
fn an_organization_near_its_node_limit_is_reported() {
    let home = healthy();
    let seed = "INSERT INTO node (id, org, ip, ip_key, region, provider, status, version, services, last_contact)
        WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 8)
        SELECT randomblob(16), org.id, n, n, 'eu', '', '', '', 0, 0 FROM number, org";
    sqlite(&home.database).execute_batch(seed).expect("seeded");
    assert!(examined(&home, &["--nodes-max", "10"]).iter().all(|finding| finding["ok"] == true));
    finds(&home, &["--nodes-max", "8"], "nodes", " has 8 of the 8 nodes that nodes_max allows", "POST /unregister");
    sqlite(&home.database).execute_batch("UPDATE node SET deleted_at = 1 WHERE ip = '1'").expect("deleted");
    finds(&home, &["--nodes-max", "5"], "nodes", " has 8 of the 5 nodes", "raise nodes_max");
}
