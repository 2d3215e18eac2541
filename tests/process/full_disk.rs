//! A disk filled to the last byte by another program: the server starts, accepts revocations, and says what is wrong.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::harness::{Home, Owner, Server, registration};

/// A small disk in memory, mounted in a folder of `home`.
pub struct Disk(pub PathBuf);

impl Disk {
    /// `None` if this process may not mount.
    pub fn of(home: &Home) -> Option<Self> {
        Self::mounted(home, "disk", "size=24m")
    }

    fn mounted(home: &Home, name: &str, options: &str) -> Option<Self> {
        let folder = home.path(name);
        fs::create_dir(&folder).expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&folder);
        mount.output().is_ok_and(|output| output.status.success()).then(|| Self(folder))
    }

    pub fn fill(&self) {
        let mut filler = File::options().create(true).append(true).open(self.0.join("filler")).expect("a file");
        while filler.write_all(&[b'x'; 4_096]).is_ok() {}
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

const DATABASE: [&str; 4] = ["--database", "disk/orgkeys.db", "--disk-reserve", "8MiB"];

fn start(home: &Home) -> Server {
    home.start_with(&mut home.serve(&DATABASE))
}

fn deletes_all_keys(server: &Server, owner: &Owner) -> u16 {
    server.call_as(owner, "DELETE", &format!("/organization/{}/key", owner.org)).status
}

fn is_full(server: &Server, owner: &Owner, pem: &str, at: i64) {
    let body = registration(&owner.org, pem, "203.0.113.9", at);
    assert_eq!(server.call("POST", "/register", None, Some(&body)).refusal(), (503, "STORAGE_FULL".to_owned()));
}

#[test]
fn a_server_starts_on_a_full_disk_and_accepts_every_revocation() {
    let home = Home::new();
    // The second one has no room for any file.
    let disks = Disk::of(&home).zip(Disk::mounted(&home, "crowded", "nr_inodes=1"));
    let Some((disk, _crowded)) = disks else {
        println!("skipped: a small disk cannot be mounted here (it needs root and mount)");
        return;
    };
    let server = start(&home);
    let owner = server.owner();
    let advice = server.shown.lines().find_map(|line| line.split_once("orgkeys token revoke "));
    let id = advice.expect("how to revoke the token").1.to_owned();
    let (_, pem) = server.key(&owner);
    assert_eq!(server.stop().0, Some(0));
    disk.fill();
    let server = home.start_with(&mut home.serve(&[&DATABASE[..], &["--socket", "crowded/a.sock"]].concat()));
    assert!(home.log().contains("the disk is too full for the socket"), "{}", home.log());
    disk.fill();
    let now = crate::harness::now().millis();
    is_full(&server, &owner, &pem, now);
    for number in 0..124 {
        assert_eq!(deletes_all_keys(&server, &owner), 200, "revocation {number}");
    }
    server.kill();
    disk.fill();
    let server = start(&home);
    assert_eq!(deletes_all_keys(&server, &owner), 200);
    assert_eq!(server.stop().0, Some(0));
    // A command that revokes works too.
    home.done(&[&["token", "revoke", &id][..], &DATABASE[..2]].concat());
    fs::remove_file(disk.0.join("filler")).expect("removed");
    let server = start(&home);
    let refused = server.call_as(&owner, "GET", "/user/profile").refusal();
    assert_eq!(refused, (401, "TOKEN_REVOKED".to_owned()));
    assert_eq!(server.stop().0, Some(0));
    assert!(home.done(&["audit", "verify", "--database", "disk/orgkeys.db"]).starts_with("The audit log is intact"));
}

#[test]
fn without_a_reserve_commands_that_write_report_the_full_disk() {
    let home = Home::new();
    let Some(disk) = Disk::of(&home) else {
        println!("skipped: a small disk cannot be mounted here (it needs root and mount)");
        return;
    };
    let server = start(&home);
    assert_eq!(server.stop().0, Some(0));
    fs::remove_file(disk.0.join("orgkeys.db.reserve")).expect("removed");
    disk.fill();
    let before = fs::read(disk.0.join("orgkeys.db")).expect("bytes");
    let revoke = ["token", "revoke", "token-00000000-0000-7000-8000-000000000000"];
    for words in [&["serve", "--listen", "127.0.0.1:0"][..], &revoke, &["org", "create", "--name", "b"]] {
        let ran = home.run(&[words, &DATABASE[..2]].concat());
        assert_eq!(ran.code, Some(1), "{words:?}: {ran:?}");
        assert!(
            ran.stderr.contains("orgkeys.db is full (") && ran.stderr.contains("free at least"),
            "{words:?}: {ran:?}"
        );
        assert!(fs::read(disk.0.join("orgkeys.db")).expect("bytes") == before, "{words:?}");
    }
    assert!(home.done(&["audit", "verify", "--database", "disk/orgkeys.db"]).starts_with("The audit log is intact"));
    assert!(home.done(&["token", "list", "--database", "disk/orgkeys.db"]).starts_with("token-"));
    let doctor = home.run(&["doctor", "--json", "--database", "disk/orgkeys.db"]);
    let disk_line = crate::harness::objects(&doctor.stdout).into_iter().find(|found| found["check"] == "disk");
    assert_eq!(disk_line.expect("a finding")["ok"], json!(false));
}
