//! What `orgkeys doctor` and the metrics call old, late or soon, to the millisecond.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Method;
use orgkeys::actions::doctor::{self, Patient};
use orgkeys::actions::periodic_backup::BackupPlan;
use orgkeys::domain::time::Time;
use orgkeys::store::backup;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{BEGIN, Server, blocking};
use crate::outbox_limit::change;
use crate::webhooks::Hook;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Whether a check passes now.
async fn passes(server: &Server, backups: Option<BackupPlan>, check: &'static str) -> bool {
    let database = server.database.clone();
    blocking(move || {
        let patient =
            Patient { database: &database, reserve: 0, most: 0, nodes: 10, key_file: None, backups, quick: true };
        let found = doctor::examine(&patient, Time::from_millis(BEGIN)).expect("it can be looked at");
        found.iter().filter(|finding| finding.check == check).all(|finding| finding.ok)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_late_or_soon_has_two_sides() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    Hook::make(&server, &owner, &json!({ "url": "https://a.example/x", "contexts": [0] })).await;
    let folder = TempDir::new().expect("a folder");
    let made: PathBuf = folder.path().join("by-hand.db");
    for (age, is_well) in [(7 * DAY - 1, true), (7 * DAY, false)] {
        let (database, made) = (server.database.clone(), made.clone());
        let at = Time::from_millis(BEGIN - age);
        blocking(move || backup::make(&database, &made, at).expect("a backup").1.expect("noted")).await;
        assert_eq!(passes(&server, None, "backup").await, is_well, "a backup of {age} ms ago");
    }
    for (age, is_well) in [(3 * HOUR - 1, true), (3 * HOUR, false)] {
        let name = Time::from_millis(BEGIN - age).to_string().replace(':', "");
        let file = folder.path().join(format!("orgkeys-{name}.backup"));
        fs::write(&file, "").expect("written");
        let hour = Duration::from_hours(1);
        let plan = BackupPlan { dir: folder.path().to_owned(), interval: hour, keep: hour };
        assert_eq!(passes(&server, Some(plan), "backup_dir").await, is_well, "a periodic backup of {age} ms ago");
        fs::remove_file(file).expect("removed");
    }
    for (state, made, ended, is_well) in [
        ("failed", 2 * DAY, Some(DAY), true),
        ("failed", 2 * DAY, Some(DAY - 1), false),
        ("pending", HOUR, None, true),
        ("pending", HOUR + 1, None, false),
    ] {
        let (made_at, ended_at) = (BEGIN - made, ended.map_or("NULL".to_owned(), |ago| (BEGIN - ago).to_string()));
        let sql = format!(
            "DELETE FROM delivery; INSERT INTO delivery (id, webhook, event, state, due_at, attempts, created_at, ended_at)
             SELECT randomblob(16), id, (SELECT max(id) FROM audit), '{state}', {made_at}, 1, {made_at}, {ended_at} FROM webhook"
        );
        change(&server, &sql).await;
        assert_eq!(passes(&server, None, "webhooks").await, is_well, "{state} {made} {ended:?}");
    }
    change(
        &server,
        "INSERT INTO org_key (id, org, public_key, created_at) SELECT randomblob(16), org, randomblob(294), 0 FROM webhook;
         INSERT INTO node (id, org, ip, ip_key, region, provider, status, version, services, key, last_contact)
         SELECT randomblob(16), org, '192.0.2.1', '192.0.2.1', 'eu', '', '', '', 0, id, 0 FROM org_key",
    )
    .await;
    for (left, is_well) in [(0, true), (1, false), (DAY, false), (DAY + 1, true)] {
        change(&server, &format!("UPDATE org_key SET retire_at = {}", BEGIN + left)).await;
        assert_eq!(passes(&server, None, "keys").await, is_well, "a key that retires in {left} ms");
        let metrics = server.call(Method::GET, "/metrics", None).await;
        let metrics = String::from_utf8(metrics.body.to_vec()).expect("text");
        for (name, nodes) in [("retiring_keys", i32::from(left > 0)), ("keys_retiring_soon", i32::from(!is_well))] {
            assert!(metrics.contains(&format!("\norgkeys_nodes_on_{name} {nodes}\n")), "{left}: {metrics}");
        }
    }
}
