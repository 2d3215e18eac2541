//! Refused signed calls: counted per minute, organization and network, and recorded once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::{Method, StatusCode};
use orgkeys::actions::{audit, refusals};
use orgkeys::config::Flags;
use orgkeys::domain::audit::Entry;
use orgkeys::domain::role::Role;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{Answer, Identity, Server, blocking, entries, registration, until, with_body};
use crate::races::overtaken;
use crate::sessions::{PASSWORD, log_in, person};

/// Calls with a timestamp of the day before, from an address that a trusted proxy states.
async fn refused(server: &Server, org: &str, from: &str) -> Answer {
    let body = json!({
        "ip": "203.0.113.7", "region": "eu", "timestamp": server.now() / 1_000 - 86_400, "id_org": org,
        "signature": format!("{}==", "A".repeat(342)), "status": "active", "version": "1",
    });
    let request = server.request(Method::POST, "/register").header("x-forwarded-for", from);
    let answer = server.send(with_body(request, Some(&body))).await;
    assert_eq!(answer.refusal().0, 400);
    answer
}

async fn behind_a_proxy() -> (Server, Identity, String) {
    let server = Server::with(|flags| flags.with("trusted_proxy", "127.0.0.1")).await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    (server, owner, pem)
}

pub async fn flush(server: &Server) {
    let system = Arc::clone(&server.system);
    blocking(move || refusals::flush(&system, false).expect("flushed")).await;
}

/// The details of an organization's recorded refusal counts, in a fixed order.
pub async fn counted(server: &Server, org: &str) -> Vec<Value> {
    let found = entries(&server.database).await.into_iter().filter(|entry| entry.action == "node.refused");
    let found: Vec<Entry> = found.filter(|entry| entry.org == org).collect();
    for entry in &found {
        let about = (entry.context, entry.context_id.as_deref(), entry.change, entry.outcome.as_str());
        assert_eq!(about, (Some(9), Some(org), None, "refused"));
        assert_eq!((entry.actor_kind.as_str(), &entry.address, &entry.request_id), ("system", &None, &None));
    }
    let details = found.iter().map(|entry| entry.detail.clone().expect("a detail"));
    let details: BTreeSet<String> = details.collect();
    assert_eq!(details.len(), found.len(), "no count is recorded twice");
    details.iter().map(|detail| serde_json::from_str(detail).expect("JSON")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_counted_per_minute_and_recorded_once_it_has_ended() {
    let (server, owner, pem) = behind_a_proxy().await;
    for from in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"] {
        refused(&server, &owner.org, from).await;
    }
    let mut bad = registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000);
    bad["region"] = json!("elsewhere");
    let request = server.request(Method::POST, "/unregister").header("x-forwarded-for", "192.0.2.1");
    assert_eq!(server.send(with_body(request, Some(&bad))).await.refusal().1, "BAD_SIGNATURE");
    server.pass(59_999);
    flush(&server).await;
    assert_eq!(counted(&server, &owner.org).await, Vec::<Value>::new(), "the minute has not ended");
    refused(&server, &owner.org, "192.0.2.2").await;
    server.pass(1);
    refused(&server, &owner.org, "192.0.2.2").await;
    for _ in 0..2 {
        flush(&server).await;
        let minute = "2024-01-15T10:30:00.000Z";
        let count = |code: &str, network: &str, count: u64| json!({ "errorCode": code, "network": network, "minute": minute, "count": count });
        let expected = [
            count("BAD_SIGNATURE", "192.0.2.1", 1),
            count("TIMESTAMP_TOO_OLD", "192.0.2.1", 2),
            count("TIMESTAMP_TOO_OLD", "192.0.2.2", 2),
            count("TIMESTAMP_TOO_OLD", "2001:db8:0:1::", 1),
            count("TIMESTAMP_TOO_OLD", "2001:db8::", 2),
        ];
        assert_eq!(counted(&server, &owner.org).await, expected);
    }
    let database = server.database.clone();
    blocking(move || audit::verify(&database, &[]).expect("whole")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_to_an_account_that_is_not_active_are_recorded_even_with_the_right_password() {
    let (server, owner, _) = behind_a_proxy().await;
    let ada = person(&server, &owner.org, Role::User).await;
    let path = format!("/organization/users/{}", ada.identity.user);
    assert_eq!(server.call_as(&owner, Method::DELETE, &path, None).await.status, StatusCode::OK);
    assert_eq!(log_in(&server, "192.0.2.1", &ada.email, PASSWORD).await.refusal().1, "USER_INACTIVE");
    server.pass(60_000);
    flush(&server).await;
    let entries = entries(&server.database).await;
    let entry = entries.iter().find(|entry| entry.action == "session.refused").expect("an entry");
    let network = json!({
        "errorCode": "USER_INACTIVE", "network": "192.0.2.1", "minute": "2024-01-15T10:30:00.000Z", "count": 1,
    });
    let detail: Value = serde_json::from_str(entry.detail.as_deref().expect("a detail")).expect("JSON");
    assert_eq!((&entry.org, detail), (&owner.org, network));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_shutdown_records_the_counts_of_the_current_minute() {
    let (server, owner, _) = behind_a_proxy().await;
    let other = server.owner_of("other").await;
    refused(&server, &owner.org, "192.0.2.1").await;
    refused(&server, &other.org, "192.0.2.1").await;
    refused(&server, &other.org, "192.0.2.1").await;
    let server = server.restart().await;
    for (org, count) in [(&owner.org, 1), (&other.org, 2)] {
        let recorded = counted(&server, org).await;
        assert_eq!((recorded.len(), &recorded[0]["count"]), (1, &json!(count)));
    }
    let server = server.restart().await;
    assert_eq!(counted(&server, &owner.org).await.len(), 1, "and not again");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_counted_separately_for_256_networks_per_organization() {
    let (server, owner, _) = behind_a_proxy().await;
    let other = server.owner_of("other").await;
    for number in 0..259 {
        refused(&server, &owner.org, &format!("10.0.{}.{}", number / 256, number % 256)).await;
    }
    refused(&server, &owner.org, "10.0.0.255").await;
    refused(&server, &other.org, "10.0.9.9").await;
    server.pass(60_000);
    flush(&server).await;
    let recorded = counted(&server, &owner.org).await;
    let of =
        |network: &str| recorded.iter().find(|count| count["network"] == network).map(|count| count["count"].clone());
    assert_eq!(recorded.len(), 257);
    assert_eq!((of("other"), of("10.0.0.255"), of("10.0.1.0")), (Some(json!(3)), Some(json!(2)), None));
    let others = counted(&server, &other.org).await;
    assert_eq!((others.len(), &others[0]["network"]), (1, &json!("10.0.9.9")), "each organization has its own 256");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_unknown_organizations_or_invalid_bodies_are_not_recorded() {
    let (server, owner, _) = behind_a_proxy().await;
    let before = entries(&server.database).await.len();
    refused(&server, "org-018d0b6a-5c80-7000-8000-000000000001", "192.0.2.1").await;
    let body = json!({ "id_org": owner.org });
    assert_eq!(server.call(Method::POST, "/register", Some(&body)).await.refusal().1, "INVALID_FIELD");
    server.pass(60_000);
    flush(&server).await;
    assert_eq!(entries(&server.database).await.len(), before);
}

/// The error codes and counts of an organization's refusals, after their minute has ended.
async fn codes(server: &Server, org: &str) -> Vec<(Value, Value)> {
    server.pass(60_000);
    flush(server).await;
    let counted = counted(server, org).await.into_iter();
    counted.map(|count| (count["errorCode"].clone(), count["count"].clone())).collect()
}

/// Waits until so many changes are queued for the writer.
async fn wait_for(server: &Server, waiting: u64) {
    let what = format!("{waiting} changes wait for the writer");
    until(what, async || server.app.writer_metrics().waiting == waiting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_refused_because_its_key_was_just_deleted_is_counted() {
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    for path in ["/register", "/unregister", "/secrets"] {
        let (_, pem) = server.key(&owner).await;
        let (caller, body) = (Arc::clone(&server), registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000));
        let call = move || async move { caller.call(Method::POST, path, Some(&body)).await };
        let delete = |conn: &Connection| assert_eq!(conn.execute("DELETE FROM org_key", []), Ok(1));
        let answer = overtaken(&server, call, delete).await;
        assert_eq!(answer.refusal(), (400, "BAD_SIGNATURE".to_owned()), "{path}");
    }
    assert_eq!(codes(&server, &owner.org).await, [(json!("BAD_SIGNATURE"), json!(3))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_counted_even_if_the_client_has_disconnected() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let body = registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000);
    assert_eq!(server.call(Method::POST, "/register", Some(&body)).await.status, StatusCode::OK);
    let holder = Connection::open(&server.database).expect("the file");
    holder.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let body = body.to_string();
    let head = format!(
        "POST /register HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}",
        body.len()
    );
    let mut client = TcpStream::connect(server.address).await.expect("connected");
    client.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.expect("sent");
    wait_for(&server, 1).await;
    drop(client);
    holder.execute_batch("COMMIT").expect("committed");
    wait_for(&server, 0).await;
    let answered = "orgkeys_requests_total{operation=\"registerNode\",status=\"400\"} 1\n";
    let metrics = async || server.call(Method::GET, "/metrics", None).await.body;
    until("the call is answered", async || String::from_utf8_lossy(&metrics().await).contains(answered)).await;
    assert_eq!(codes(&server, &owner.org).await, [(json!("SIGNATURE_REPLAYED"), json!(1))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_lost_with_its_transaction_is_counted_when_the_client_retries() {
    let server = Arc::new(Server::with(|flags| flags.with("disk_reserve", "256KiB")).await);
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let used = registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000);
    assert_eq!(server.call(Method::POST, "/register", Some(&used)).await.status, StatusCode::OK);
    let holder = Connection::open(&server.database).expect("the file");
    let register = |body: Value| {
        let server = Arc::clone(&server);
        tokio::spawn(async move { server.call(Method::POST, "/register", Some(&body)).await })
    };
    let (mut lost, mut refused) = (0, 0);
    for attempt in 0..20 {
        let fresh = |number| registration(&owner.org, &pem, &format!("{attempt}-{number}"), server.now() / 1_000);
        let pages: u32 = holder.query_row("PRAGMA page_count", [], |row| row.get(0)).expect("pages");
        server.room.store((u64::from(pages) + 20) * 4_096 + 256 * 1_024, Ordering::Relaxed);
        holder.execute_batch("BEGIN IMMEDIATE").expect("the lock");
        // The first waits for the lock in its own transaction; all others form the next one, which does not fit.
        let mut calls = vec![register(fresh(0))];
        wait_for(&server, 1).await;
        let replayed = register(used.clone());
        wait_for(&server, 2).await;
        calls.extend((1..200).map(|number| register(fresh(number))));
        wait_for(&server, 201).await;
        holder.execute_batch("COMMIT").expect("committed");
        match replayed.await.expect("an answer").refusal() {
            (503, _) => lost += 1,
            // The writer was so slow that it batched the first two together.
            answer => {
                assert_eq!(answer, (400, "SIGNATURE_REPLAYED".to_owned()));
                refused += 1;
            }
        }
        for call in calls {
            call.await.expect("an answer");
        }
        if lost > 0 {
            break;
        }
    }
    assert_eq!(lost, 1, "the used signature was never lost with its transaction");
    server.room.store(0, Ordering::Relaxed);
    let again = server.call(Method::POST, "/register", Some(&used)).await;
    assert_eq!(again.refusal(), (400, "SIGNATURE_REPLAYED".to_owned()));
    assert_eq!(codes(&server, &owner.org).await, [(json!("SIGNATURE_REPLAYED"), json!(refused + 1))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unrecorded_counts_stay_bounded_and_are_recorded_in_changes_of_128() {
    let flags = |flags: Flags| flags.with("trusted_proxy", "127.0.0.1").with("disk_reserve", "256KiB");
    let server = Server::with(flags).await;
    let owner = server.owner_of("acme").await;
    server.room.store(1, Ordering::Relaxed);
    let mut made = 0;
    for minute in 0..4 {
        // More networks than are counted separately, and different ones in each minute.
        for number in 0..(260 - 60 * minute) {
            refused(&server, &owner.org, &format!("10.{minute}.{}.{}", number / 256, number % 256)).await;
            made += 1;
        }
        server.pass(60_000);
        let system = Arc::clone(&server.system);
        let full = blocking(move || refusals::flush(&system, false)).await.expect_err("the disk is full");
        assert_eq!(full.code, "STORAGE_FULL");
    }
    server.room.store(0, Ordering::Relaxed);
    let before = server.app.writer_metrics().writes;
    flush(&server).await;
    assert_eq!(server.app.writer_metrics().writes - before, 256 / 128);
    let recorded = counted(&server, &owner.org).await;
    let total: u64 = recorded.iter().map(|count| count["count"].as_u64().expect("a count")).sum();
    assert_eq!((recorded.len(), total), (256, made));
}
