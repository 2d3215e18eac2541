//! A full disk: changes are refused, revocations still succeed, nothing is lost, and the server recovers once there is room.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::{Method, StatusCode};
use orgkeys::actions::audit;
use orgkeys::domain::role::Role;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::access::{Column, Credential, Scene, filled};
use crate::harness::{Identity, Server, blocking, registration};
use crate::openapi::{WRITES_NOTHING, operations};
use crate::sessions::{PASSWORD, person};
use crate::web_sessions::{Browser, owner};

/// The size of a page of the database.
const PAGE: u64 = 4_096;

/// The usual `disk_reserve`.
const RESERVE: u64 = 64 << 20;

/// An owner with two keys, a node registered with the second, and a member who will be deleted.
struct Acme {
    owner: Identity,
    keys: Vec<String>,
    pem: String,
    leaving: Identity,
}

impl Acme {
    async fn on(server: &Server) -> Self {
        let owner = server.owner_of("acme").await;
        let ((first, _), (second, pem)) = (server.key(&owner).await, server.key(&owner).await);
        assert_eq!(server.register(&owner.org, &pem, "first").await.status, StatusCode::OK);
        let leaving = server.member_of(&owner.org, Role::Administrator).await;
        Self { owner, keys: vec![first, second], pem, leaving }
    }

    fn path(&self, rest: &str) -> String {
        format!("/organization/{}/{rest}", self.owner.org)
    }

    /// The nodes' addresses, newest first.
    async fn nodes(&self, server: &Server) -> Vec<String> {
        let answer = server.call_as(&self.owner, Method::GET, &self.path("nodes"), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let nodes = answer.json()["data"].as_array().expect("nodes").clone();
        nodes.iter().map(|node| node["ip"].as_str().expect("an address").to_owned()).collect()
    }

    /// Everything that changes or records something is refused as a whole, with a time to retry.
    async fn is_refused(&self, server: &Server, ip: &str) {
        let advice = "The disk is full: nothing was changed. Deleting still works; free disk space and try again";
        let body = json!({ "success": false, "message": advice, "errorCode": "STORAGE_FULL" });
        let (keys, nodes) = (self.path("key"), self.path("nodes"));
        let mut answers = Vec::new();
        let register = server.register(&self.owner.org, &self.pem, ip).await;
        let mut signed = body.clone();
        signed["errorMessage"] = json!(advice);
        assert_eq!((register.status, register.json()), (StatusCode::SERVICE_UNAVAILABLE, signed));
        assert_eq!(register.headers["retry-after"], "60");
        for (method, path) in [
            (Method::POST, keys.as_str()),
            (Method::GET, keys.as_str()),
            (Method::GET, nodes.as_str()),
            (Method::GET, "/user/profile"),
            (Method::GET, "/ready"),
        ] {
            answers.push(server.call_as(&self.owner, method, path, None).await);
        }
        for answer in answers {
            assert_eq!((answer.status, answer.json()), (StatusCode::SERVICE_UNAVAILABLE, body.clone()));
            assert_eq!(answer.headers["retry-after"], "60");
        }
        for path in ["/health", "/metrics", "/openapi.json"] {
            assert_eq!(server.call(Method::GET, path, None).await.status, StatusCode::OK, "{path}");
        }
    }

    /// A user, a key and a node can still be revoked.
    async fn revokes(&self, server: &Server) {
        let person = format!("/organization/users/{}", self.leaving.user);
        let answer = server.call_as(&self.owner, Method::DELETE, &person, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let answer = server.call_as(&self.leaving, Method::GET, "/user/profile", None).await;
        assert_eq!(answer.refusal(), (401, "TOKEN_REVOKED".to_owned()));
        // At a different time, so that the signature differs from that of the registration.
        let unregistration = registration(&self.owner.org, &self.pem, "first", server.now() / 1_000 - 1);
        let answer = server.call(Method::POST, "/unregister", Some(&unregistration)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let key = self.path(&format!("key/{}", self.keys[0]));
        let answer = server.call_as(&self.owner, Method::DELETE, &key, None).await;
        let deleted = json!({ "success": true, "message": "Organization key deleted successfully" });
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, deleted));
    }

    async fn key_ids(&self, server: &Server) -> Vec<Value> {
        let answer = server.call_as(&self.owner, Method::GET, &self.path("key"), None).await;
        answer.json()["data"].as_array().expect("keys").iter().map(|key| key["id"].clone()).collect()
    }
}

/// Verifies every chain, and that nodes and their entries match one to one.
async fn verify(server: &Server, acme: &Acme, nodes: &[String]) {
    let (database, org) = (server.database.clone(), acme.owner.org.clone());
    let mut nodes: Vec<_> = nodes.to_vec();
    blocking(move || {
        audit::verify(&database, &[]).expect("every chain is whole");
        let mut exported = Vec::new();
        audit::export(&database, &mut exported).expect("exported");
        let entries: Vec<Value> = serde_json::Deserializer::from_slice(&exported)
            .into_iter()
            .map(|entry| entry.expect("an entry"))
            .filter(|entry: &Value| entry["org"] == org.as_str())
            .collect();
        let named = |action: &str| {
            let of = entries.iter().filter(|entry| entry["action"] == action);
            of.map(|entry| entry["actorName"].as_str().expect("an address").to_owned()).collect::<Vec<_>>()
        };
        let (mut registered, unregistered) = (named("node.register"), named("node.unregister"));
        registered.retain(|ip| !unregistered.contains(ip));
        registered.sort();
        nodes.sort();
        assert_eq!(registered, nodes);
    })
    .await;
}

/// The pages of the database, including those in its log.
async fn pages(server: &Server) -> u64 {
    let database = server.database.clone();
    blocking(move || {
        let conn = rusqlite::Connection::open(database).expect("opened beside the server");
        conn.query_row("PRAGMA page_count", [], |row| row.get::<_, u32>(0)).expect("a number").into()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_file_refuses_changes_accepts_revocations_and_recovers() {
    let server = Arc::new(Server::with(|flags| flags.with("disk_reserve", "256KiB")).await);
    let acme = Arc::new(Acme::on(&server).await);
    server.room.store((pages(&server).await + 40) * PAGE + 256 * 1_024, Ordering::Relaxed);
    let (mut acknowledged, mut refused) = (vec!["first".to_owned()], 0);
    for round in 0..40 {
        let calls: Vec<_> = (0..64)
            .map(|number| {
                let (server, acme, ip) = (Arc::clone(&server), Arc::clone(&acme), format!("node-{round}-{number}"));
                tokio::spawn(async move { (server.register(&acme.owner.org, &acme.pem, &ip).await, ip) })
            })
            .collect();
        for call in calls {
            let (answer, ip) = call.await.expect("an answer");
            if answer.status == StatusCode::OK {
                acknowledged.push(ip);
            } else {
                assert_eq!(answer.refusal(), (503, "STORAGE_FULL".to_owned()));
                refused += 1;
            }
        }
        if refused >= 64 {
            break;
        }
    }
    assert!(acknowledged.len() > 10 && refused >= 64, "{} taken, {refused} refused", acknowledged.len());
    // A batch that did not fit may have left some room: the limit is set to the current end of the file.
    server.room.store(pages(&server).await * PAGE + 256 * 1_024, Ordering::Relaxed);
    acme.is_refused(&server, "one-too-many").await;
    verify(&server, &acme, &acknowledged).await;

    acme.revokes(&server).await;
    acknowledged.retain(|ip| ip != "first");
    acme.is_refused(&server, "still-too-many").await;
    verify(&server, &acme, &acknowledged).await;

    server.room.store(0, Ordering::Relaxed);
    assert_eq!(server.register(&acme.owner.org, &acme.pem, "later").await.status, StatusCode::OK);
    acknowledged.push("later".to_owned());
    acknowledged.sort();
    let mut nodes = acme.nodes(&server).await;
    nodes.sort();
    assert_eq!(nodes, acknowledged);
    assert_eq!(acme.key_ids(&server).await, [acme.keys[1].as_str()]);
    verify(&server, &acme, &acknowledged).await;
    let server = Arc::into_inner(server).expect("no more calls").restart().await;
    assert_eq!(server.call(Method::GET, "/ready", None).await.status, StatusCode::OK);
    verify(&server, &acme, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_a_web_session_can_confirm_its_password_to_delete() {
    let server = Server::with(|flags| flags.with("disk_reserve", "256KiB")).await;
    let ada = owner(&server).await;
    let browser = Browser::of(&server, &ada.email).await;
    let key = format!("/organization/{}/key/{}", ada.identity.org, server.key(&ada.identity).await.0);
    server.pass(15 * 60_000);
    server.room.store(pages(&server).await * PAGE + 256 * 1_024, Ordering::Relaxed);
    assert_eq!(browser.call(&server, Method::GET, "/user/profile", None).await.refusal().1, "STORAGE_FULL");
    let asked = browser.call(&server, Method::DELETE, &key, None).await.refusal().1;
    assert_eq!(asked, "PASSWORD_CONFIRMATION_REQUIRED");
    assert_eq!(browser.confirm(&server, PASSWORD).await.status, StatusCode::OK);
    assert_eq!(browser.call(&server, Method::DELETE, &key, None).await.status, StatusCode::OK);
}

/// What docs/operations.md lists. Whatever adds or changes something is not asked here: most of it is in `is_refused`.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_takes_something_away_may_use_the_reserve() {
    let mut scene = Scene::new().await;
    let column = Column::new(Credential::Token(scene.owner.token.clone()), &scene.owner.user);
    let mut permitted = Vec::new();
    for (method, path, operation) in operations() {
        let name = operation["operationId"].as_str().expect("an id");
        let adds = ["post", "put"].contains(&method) && !["logoutUser", "unregisterNode"].contains(&name);
        if adds || WRITES_NOTHING.contains(&name) {
            continue;
        }
        scene.server.room.store(0, Ordering::Relaxed);
        let (ids, body) = scene.ready(name, &column).await;
        let browser = match name {
            "deleteWebSession" => {
                let person = person(&scene.server, &scene.owner.org, Role::User).await;
                Some(Browser::of(&scene.server, &person.email).await)
            }
            _ => None,
        };
        // The reserve is a part of what the file may have, and nothing else is left.
        scene.server.room.store(RESERVE, Ordering::Relaxed);
        let answer = match browser {
            Some(browser) => browser.call(&scene.server, Method::DELETE, path, None).await,
            None => scene.call(method, &filled(path, &ids), &column.credential, body.as_ref()).await,
        };
        if answer.status.is_success() {
            permitted.push(name);
        } else {
            assert_eq!(answer.refusal(), (503, "STORAGE_FULL".to_owned()), "{name}");
        }
    }
    permitted.sort_unstable();
    let expected = [
        "deleteApiKey",
        "deleteNode",
        "deleteOrganizationKey",
        "deleteOrganizationKeys",
        "deleteProject",
        "deleteSecret",
        "deleteToken",
        "deleteUser",
        "deleteWebSession",
        "deleteWebhook",
        "logoutUser",
        "removeProjectMember",
        "unregisterNode",
    ];
    assert_eq!(permitted, expected);
}

/// A small disk of its own, in memory.
struct Disk(TempDir);

impl Disk {
    /// `None` where this process may not mount one.
    fn of(size: &str) -> Option<Self> {
        let folder = TempDir::new().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Fills the disk but for `left` bytes, with a file of another program.
    fn fill(&self, left: u64) {
        let disk = rustix::fs::statvfs(self.0.path()).expect("the disk's figures");
        let mut bytes = (disk.f_bavail * disk.f_frsize).saturating_sub(left);
        let mut filler = File::options().create(true).append(true).open(self.path("filler")).expect("a file");
        while bytes > 0 {
            let piece = bytes.min(PAGE);
            if filler.write_all(&vec![b'x'; usize::try_from(piece).expect("a page")]).is_err() {
                break;
            }
            bytes -= piece;
        }
    }

    /// Empties the file. Removing it would not be enough: a process that another test is starting has it open until it
    /// runs its own program.
    fn free(&self) {
        File::create(self.path("filler")).expect("emptied");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a failed test may still have open files there.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_changes_accepts_revocations_and_recovers() {
    let Some(disk) = Disk::of("size=8m") else {
        println!("skipped: a small disk cannot be mounted here (it needs root and mount)");
        return;
    };
    let database = text(&disk.path("orgkeys.db"));
    let server = Server::with(|flags| flags.with("database", database).with("disk_reserve", "1MiB")).await;
    let acme = Acme::on(&server).await;

    // Another program takes all free bytes; the reserve is a file of the server, so it stays.
    disk.fill(0);
    acme.is_refused(&server, "one-too-many").await;
    acme.revokes(&server).await;
    verify(&server, &acme, &[]).await;

    // It also takes what the revocations have left of the released part.
    disk.fill(0);
    acme.is_refused(&server, "still-too-many").await;
    let revocations = 124;
    for number in 0..revocations {
        let answer = server.call_as(&acme.owner, Method::DELETE, &acme.path("key"), None).await;
        assert_eq!(answer.status, StatusCode::OK, "revocation {number}: {answer:?}");
    }
    assert_eq!(server.call(Method::GET, "/health", None).await.status, StatusCode::OK);
    let text = crate::metrics::metrics(&server).await;
    assert!(text.contains("_reserve_bytes 1048576\n") && !text.contains("_held_bytes 1048576\n"), "{text}");

    disk.free();
    let (_, pem) = server.key(&acme.owner).await;
    assert_eq!(server.register(&acme.owner.org, &pem, "later").await.status, StatusCode::OK);
    assert_eq!(acme.nodes(&server).await, ["later"]);
    verify(&server, &acme, &["later".to_owned()]).await;
    let deletions = json!({ "context": 10, "event": 2, "take": 1 });
    let answer = server.call_as(&acme.owner, Method::POST, "/systemevent", Some(&deletions)).await;
    assert_eq!(answer.json()["total"], 1 + revocations, "exactly the acknowledged deletions");
    let stopped = server.stop().await;
    drop((stopped, disk));
}
