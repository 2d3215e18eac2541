//! The metrics: they describe the server, and never name an organization.

use std::sync::Arc;

use hyper::Method;
use orgkeys::domain::delivery::Outcome;
use orgkeys::domain::time::Time;
use rusqlite::Connection;
use serde_json::json;
use tokio::net::TcpStream;

use crate::api_keys::keys_of;
use crate::harness::{BEGIN, Identity, Server, new_api_key, raw, registration, until};
use crate::outbox::settle;
use crate::rotation::rotate;
use crate::sessions;
use crate::webhooks::Hook;

const DAY: i64 = 24 * 60 * 60_000;

/// The text of `GET /metrics`.
pub async fn metrics(server: &Server) -> String {
    let answer = server.call(Method::GET, "/metrics", None).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    String::from_utf8(answer.body.to_vec()).expect("text")
}

/// Expects each of these lines in the metrics.
async fn expect(server: &Server, lines: &[&str]) {
    let text = metrics(server).await;
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line} is not in {text}");
    }
}

/// The samples of one metric: their labels and their values, in order.
fn samples(text: &str, name: &str) -> Vec<(String, f64)> {
    let all = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
    all.map(|(labels, value)| (labels.to_owned(), value.parse().expect("a number"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_counter_exists_from_the_start_with_zero() {
    let server = Server::start().await;
    let text = metrics(&server).await;
    let labels = |name: &str| samples(&text, name).into_iter().map(|(labels, value)| (labels, value.to_string()));
    let mut found: Vec<_> = labels("orgkeys_api_key_verifications_total").collect();
    found.sort();
    let verdicts = ["DISABLED", "EXPIRED", "INSUFFICIENT_ROLE", "NOT_FOUND", "NOT_YET_VALID", "VALID", "WRONG_PROJECT"];
    assert_eq!(found, verdicts.map(|verdict| (format!("outcome=\"{verdict}\""), "0".to_owned())));
    let signed: Vec<_> = labels("orgkeys_signed_calls_total").collect();
    for call in ["register", "unregister"] {
        for outcome in ["accepted", "BAD_SIGNATURE", "SIGNATURE_REPLAYED", "NODE_DELETED", "STORAGE_FULL"] {
            let sample = (format!("call=\"{call}\",outcome=\"{outcome}\""), "0".to_owned());
            assert!(signed.contains(&sample), "{sample:?} is not in {signed:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_counted_while_it_is_open() {
    let server = Server::start().await;
    // Each on a connection of its own, since the client of these tests keeps some open.
    let open = async || {
        let answer =
            raw(server.address, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned()).await;
        let text = String::from_utf8(answer.body.to_vec()).expect("text");
        let count = text.lines().find_map(|line| line.strip_prefix("orgkeys_connections ")).expect("a count");
        count.parse::<u32>().expect("a number")
    };
    until("only this call is counted", async || open().await == 1).await;
    let stream = TcpStream::connect(server.address).await.expect("a connection");
    until("a silent one is counted", async || open().await == 2).await;
    drop(stream);
    until("it is no longer counted", async || open().await == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_operation_and_status_and_timed() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let keys = format!("/organization/{}/key", owner.org);
    for (count, token, status) in [(3, &owner, 200), (2, &Identity { token: "okp_x".to_owned(), ..owner.clone() }, 401)]
    {
        for _ in 0..count {
            assert_eq!(server.call_as(token, Method::GET, &keys, None).await.status.as_u16(), status);
        }
    }
    assert_eq!(server.call(Method::GET, "/nowhere", None).await.status.as_u16(), 404);
    let text = metrics(&server).await;
    let mut requests = samples(&text, "orgkeys_requests_total");
    requests.sort_by(|a, b| a.0.cmp(&b.0));
    let labelled = |operation: &str, status: u16| format!("operation=\"{operation}\",status=\"{status}\"");
    let expected = [
        (labelled("listOrganizationKeys", 200), 3.0),
        (labelled("listOrganizationKeys", 401), 2.0),
        (labelled("none", 404), 1.0),
    ];
    assert_eq!(requests, expected);
    let label = "operation=\"listOrganizationKeys\"";
    let of =
        |name: &str| samples(&text, name).into_iter().filter(|(labels, _)| labels.contains(label)).collect::<Vec<_>>();
    assert_eq!(of("orgkeys_request_seconds_count"), [(label.to_owned(), 5.0)]);
    assert!(of("orgkeys_request_seconds_sum")[0].1 > 0.0, "{text}");
    let buckets = of("orgkeys_request_seconds_bucket");
    assert!(buckets.len() == 15 && buckets.is_sorted_by(|a, b| a.1 <= b.1), "{buckets:?}");
    assert_eq!(buckets.last().expect("a bucket"), &(format!("le=\"+Inf\",{label}"), 5.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_wait_for_the_writer_are_counted() {
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    expect(&server, &["orgkeys_writer_waiting 0"]).await;
    let holder = Connection::open(&server.database).expect("the file");
    holder.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let (server, owner) = (Arc::clone(&server), owner.clone());
            tokio::spawn(async move { server.events(&owner).await })
        })
        .collect();
    until("three calls wait for the writer", async || server.app.writer_metrics().waiting == 3).await;
    expect(&server, &["orgkeys_writer_waiting 3"]).await;
    holder.execute_batch("COMMIT").expect("committed");
    for call in calls {
        call.await.expect("an answer");
    }
    expect(&server, &["orgkeys_writer_waiting 0"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_calls_are_counted_by_outcome() {
    let server = Server::with(|flags| flags.with("refused_rate", "1").with("refused_burst", "4")).await;
    let owner = server.owner_of("acme").await;
    expect(&server, &["orgkeys_signed_calls_total{call=\"register\",outcome=\"accepted\"} 0"]).await;
    let (_, pem) = server.key(&owner).await;
    let now = server.now() / 1_000;
    let good = registration(&owner.org, &pem, "10.0.0.1", now);
    let mut forged = good.clone();
    forged["ip"] = json!("10.0.0.2");
    let bodies = [
        (good.clone(), 200),
        (good, 400),
        (registration(&owner.org, &pem, "10.0.0.1", now - 301), 400),
        (json!({ "ip": 7 }), 400),
        (json!("x".repeat(70_000)), 413),
        (forged.clone(), 400),
        (forged.clone(), 400),
        (forged, 429),
    ];
    for (body, status) in bodies {
        let answer = server.call(Method::POST, "/register", Some(&body)).await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    }
    let refused =
        |code: &str, count: u32| format!("orgkeys_signed_calls_total{{call=\"register\",outcome=\"{code}\"}} {count}");
    let lines = [
        refused("accepted", 1),
        refused("SIGNATURE_REPLAYED", 1),
        refused("TIMESTAMP_TOO_OLD", 1),
        refused("INVALID_FIELD", 1),
        refused("BODY_TOO_LARGE", 1),
        refused("BAD_SIGNATURE", 2),
        refused("TOO_MANY_REQUESTS", 1),
        "orgkeys_signed_calls_total{call=\"unregister\",outcome=\"accepted\"} 0".to_owned(),
    ];
    expect(&server, &lines.each_ref().map(String::as_str)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_cover_all_organizations_and_name_none() {
    let server = Server::start().await;
    let (acme, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let mut keys = Vec::new();
    for owner in [&acme, &other] {
        let (key, pem) = server.key(owner).await;
        keys.push(key);
        for ip in ["10.0.0.1", "10.0.0.2"] {
            assert_eq!(server.register(&owner.org, &pem, ip).await.status.as_u16(), 200);
        }
        // Each expiry is the last moment within a range, or the first beyond it.
        for millis in [DAY, DAY + 1, 7 * DAY, 30 * DAY, 30 * DAY + 1] {
            let mut body = new_api_key("service", 0, &[]);
            body["userApiKey"]["hasExpireTime"] = json!(true);
            body["userApiKey"]["expireDateTime"] = json!(Time::from_millis(BEGIN + millis).to_string());
            server.call_as(owner, Method::POST, &keys_of(owner), Some(&body)).await.result();
        }
    }
    let within = |days: u32, count: u32| format!("orgkeys_api_keys_expiring{{within=\"{days}d\"}} {count}");
    let (one, seven, thirty) = (within(1, 2), within(7, 6), within(30, 8));
    let mut lines = vec![
        "orgkeys_org_keys 2",
        "orgkeys_keys{state=\"active\"} 2",
        "orgkeys_nodes_on_retiring_keys 0",
        "orgkeys_nodes 4",
        "orgkeys_nodes_silent 0",
        "orgkeys_api_keys 10",
    ];
    lines.extend(["orgkeys_nodes_largest 2", "orgkeys_nodes_max 10000"]);
    lines.extend([one.as_str(), &seven, &thirty, "orgkeys_event_streams 0", "orgkeys_webhook_deliveries_pending 0"]);
    lines.extend(["process_start_time_seconds 1705314600", "orgkeys_build_info{version=\"0.2.0\"} 1"]);
    expect(&server, &lines).await;
    server.pass(15 * 60_000 - 1);
    expect(&server, &["orgkeys_nodes_silent 0"]).await;
    server.pass(1);
    expect(&server, &["orgkeys_nodes_silent 4"]).await;
    for (owner, key, overlap) in [(&acme, &keys[0], 60 * 60), (&other, &keys[1], 7 * 24 * 60 * 60)] {
        let terms = json!({ "publicKey": server.pair().public, "overlapSeconds": overlap });
        assert!(rotate(&server, owner, key, &terms).await.status.is_success());
    }
    let (active, retiring) = ("orgkeys_keys{state=\"active\"} 2", "orgkeys_keys{state=\"retiring\"} 2");
    expect(&server, &["orgkeys_org_keys 4", active, retiring, "orgkeys_nodes_on_retiring_keys 4"]).await;
    expect(&server, &["orgkeys_nodes_on_keys_retiring_soon 2"]).await;
    server.pass(60 * 60_000);
    expect(&server, &["orgkeys_org_keys 3", "orgkeys_keys{state=\"retired\"} 1"]).await;
    let text = metrics(&server).await;
    assert!(!text.contains("org-") && !text.contains("acme") && !text.contains("10.0.0."), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn database_size_limits_and_batches_are_measured() {
    let server = Server::with(|flags| flags.with("database_max", "1GiB")).await;
    let text = metrics(&server).await;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in {text}")).parse::<f64>().expect("a number")
    };
    for name in ["orgkeys_database_bytes", "orgkeys_wal_bytes", "orgkeys_disk_free_bytes"] {
        assert!(value(name) > 0.0, "{name}");
    }
    let set = ("orgkeys_database_max_bytes", "orgkeys_disk_reserve_bytes");
    assert_eq!((value(set.0), value(set.1)), (1_073_741_824.0, 67_108_864.0));
    let (batches, changes) = (value("orgkeys_writer_batch_changes_count"), value("orgkeys_writer_batch_changes_sum"));
    assert!(batches > 0.0 && changes >= batches, "{batches} {changes}");
    let all = value("orgkeys_writer_batch_changes_bucket{le=\"+Inf\"}");
    assert!((all - batches).abs() < 0.5, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_deliveries_are_counted_with_the_age_of_the_oldest() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let hook = async |url: &str| Hook::make(&server, &owner, &json!({ "url": url, "contexts": [1] })).await;
    let (first, second) = (hook("https://a.example").await, hook("https://b.example").await);
    let shows = async |pending: u32, age: u32, failing: u32| {
        let lines = [
            format!("orgkeys_webhook_deliveries_pending {pending}"),
            format!("orgkeys_webhook_oldest_pending_seconds {age}"),
            format!("orgkeys_webhooks_failing {failing}"),
        ];
        expect(&server, &lines.each_ref().map(String::as_str)).await;
    };
    shows(0, 0, 0).await;
    let old = first.tested(&server, &owner).await;
    server.pass(59_999);
    second.tested(&server, &owner).await;
    shows(2, 59, 0).await;
    server.pass(1);
    shows(2, 60, 0).await;
    // A failed attempt does not reset the age.
    settle(&server, vec![(old.clone(), Outcome::Refused { status: 500, retry_after: None })]).await;
    shows(2, 60, 1).await;
    let switch = async |off: bool| {
        first.call(&server, &owner, Method::PUT, "", json!({ "disabled": off })).await;
    };
    switch(true).await;
    server.pass(10_000);
    shows(2, 10, 0).await;
    switch(false).await;
    shows(2, 70, 1).await;
    settle(&server, vec![(old, Outcome::Taken { status: 200 })]).await;
    shows(1, 10, 0).await;
    // A webhook that was switched off because its receiver is gone still counts as failing.
    let last = first.tested(&server, &owner).await;
    settle(&server, vec![(last, Outcome::Gone)]).await;
    shows(1, 10, 1).await;
    sessions::change(&server, "UPDATE webhook SET disabled = 'overfull' WHERE disabled = 'gone'");
    shows(1, 10, 1).await;
}
