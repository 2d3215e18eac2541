//! The audit log, polled over HTTP: page by page, complete, with its hashes, and without recording every poll.

use std::collections::HashSet;
use std::sync::Arc;

use hyper::{Method, StatusCode};
use orgkeys::actions::{admin, audit};
use orgkeys::domain::event::Head;
use orgkeys::domain::role::Role;
use serde_json::{Value, json};

use crate::harness::{Answer, Identity, Server, blocking, entries};

async fn page(server: &Server, reader: &Identity, query: &str) -> Value {
    let path = format!("/organization/{}/audit{query}", reader.org);
    let answer = server.call_as(reader, Method::GET, &path, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

async fn head(server: &Server, reader: &Identity) -> Answer {
    server.call_as(reader, Method::GET, &format!("/organization/{}/audit/head", reader.org), None).await
}

fn actions(page: &Value) -> Vec<&str> {
    page["data"].as_array().expect("entries").iter().map(|entry| entry["action"].as_str().expect("text")).collect()
}

/// How many entries the reader's organization has.
async fn length(server: &Server, reader: &Identity) -> usize {
    entries(&server.database).await.iter().filter(|entry| entry.org == reader.org).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_equal_an_export_byte_for_byte_and_verify() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let user = server.member_of(&owner.org, Role::User).await;
    for _ in 0..4 {
        server.events(&owner).await;
        server.events(&other).await;
        let denied = server.call_as(&user, Method::GET, &format!("/organization/{}/key", owner.org), None).await;
        assert_eq!(denied.status, StatusCode::FORBIDDEN);
    }
    let (mut lines, mut after) = (String::new(), 0);
    loop {
        let page = page(&server, &owner, &format!("?after={after}&limit=3")).await;
        let data = page["data"].as_array().expect("entries");
        assert!(data.len() <= 3);
        for entry in data {
            lines.extend([entry.to_string(), "\n".to_owned()]);
        }
        after = page["next"].as_i64().expect("a number");
        if page["next"] == page["last"] {
            break;
        }
    }
    server.events(&owner).await;
    let head: Head = serde_json::from_slice(&head(&server, &owner).await.body).expect("a head");
    assert_eq!((&head.org, head.seq), (&owner.org, after + 1));
    let exported = entries(&server.database).await;
    let own: String = exported
        .iter()
        .filter(|entry| entry.org == owner.org && entry.seq <= after)
        .map(|entry| serde_json::to_string(entry).expect("text") + "\n")
        .collect();
    assert_eq!(lines, own, "the entries of the pages equal those of an export, byte for byte");
    for needed in ["event.list", "access.denied", "audit.read", "org.create"] {
        assert!(lines.contains(&format!("\"action\":\"{needed}\"")), "{needed}");
    }
    let count = audit::verify_file(lines.as_bytes(), &[]).expect("whole").entries;
    assert_eq!(i64::try_from(count), Ok(after));
    let cut = [head];
    let error = audit::verify_file(lines.as_bytes(), &cut).expect_err("one entry short of the head");
    assert!(error.message.ends_with("entries at its end are missing"), "{error:?}");
    let database = server.database.clone();
    blocking(move || audit::verify(&database, &cut).expect("the head is one of the database's")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_and_the_head_have_this_exact_format() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let first = entries(&server.database).await.into_iter().find(|entry| entry.org == owner.org).expect("an entry");
    let expected = json!({
        "success": true, "message": "Audit entries retrieved successfully", "data": [first], "next": 1, "last": 3,
        "removed": 0,
    });
    assert_eq!(page(&server, &owner, "?limit=1").await, expected);
    let answer = head(&server, &owner).await;
    let last = entries(&server.database).await;
    let last = last.iter().find(|entry| entry.org == owner.org && entry.seq == 4).expect("the page's entry");
    let expected = format!("{{\"org\":\"{}\",\"seq\":4,\"hash\":\"{}\"}}\n", owner.org, last.hash);
    assert_eq!(String::from_utf8_lossy(&answer.body), expected, "one line, as `audit head --json` prints it");
}

/// After a restore from an older backup, a reader who continues after an entry that is gone must notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_after_an_entry_that_does_not_exist_is_refused() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let other = server.owner_of("other").await;
    server.events(&other).await;
    let last = page(&server, &owner, "").await["last"].as_i64().expect("a number") + 1;
    let own = page(&server, &owner, &format!("?after={}", last - 1)).await;
    assert_eq!((actions(&own), &own["last"]), (vec!["audit.read"], &json!(last)));
    let empty = page(&server, &owner, &format!("?after={last}")).await;
    assert_eq!((&empty["data"], &empty["next"], &empty["last"]), (&json!([]), &json!(last), &json!(last)));
    for beyond in [last + 1, last + 2, i64::MAX] {
        let path = format!("/organization/{}/audit?after={beyond}", owner.org);
        let answer = server.call_as(&owner, Method::GET, &path, None).await;
        assert_eq!((answer.status, &answer.json()["errorCode"]), (StatusCode::BAD_REQUEST, &json!("INVALID_FIELD")));
        let message = answer.json()["message"].as_str().expect("a message").to_owned();
        assert!(message.contains(&format!("the last entry of the audit log is {last}")), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limit_and_after_are_validated() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    for (query, status) in [
        ("?limit=1", 200),
        ("?limit=0", 400),
        ("?limit=1000", 200),
        ("?limit=1001", 400),
        ("?limit=x", 400),
        ("?after=0", 200),
        ("?after=-1", 400),
        ("?after=9223372036854775808", 400),
        ("?after=1;DROP", 400),
    ] {
        let path = format!("/organization/{}/audit{query}", owner.org);
        let answer = server.call_as(&owner, Method::GET, &path, None).await;
        assert_eq!(answer.status.as_u16(), status, "{query}: {answer:?}");
    }
    for (query, message) in [
        ("?limit=0".to_owned(), "limit must be at least 1"),
        ("?limit=1001".to_owned(), "limit must be at most 1000"),
        (format!("?action={}", "x".repeat(65)), "action must be at most 64 characters long"),
        ("?action=%1f".to_owned(), "action must match the pattern in the API document"),
    ] {
        let path = format!("/organization/{}/audit{query}", owner.org);
        let answer = server.call_as(&owner, Method::GET, &path, None).await;
        assert_eq!((answer.refusal(), &answer.json()["message"]), ((400, "INVALID_FIELD".to_owned()), &json!(message)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_100_entries_unless_a_limit_is_given() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (system, org) = (Arc::clone(&server.system), owner.org.clone());
    blocking(move || {
        for number in 0..101 {
            let email = format!("{number}@example.org");
            admin::create_user(&system, &org, &email, Role::User, "", "").expect("a user");
        }
    })
    .await;
    for (query, expected) in [("", 100), ("?order=newest", 100), ("?limit=101", 101)] {
        assert_eq!(page(&server, &owner, query).await["data"].as_array().map(Vec::len), Some(expected), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_polls_are_not_recorded_until_there_is_a_new_entry() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let mut after = page(&server, &owner, "").await["next"].as_i64().expect("a number");
    let begun = length(&server, &owner).await;
    let own = page(&server, &owner, &format!("?after={after}")).await;
    assert_eq!(actions(&own), ["audit.read"]);
    after = own["next"].as_i64().expect("a number");
    for second in 0..60 {
        server.pass(1_000);
        let quiet = page(&server, &owner, &format!("?after={after}")).await;
        assert_eq!((actions(&quiet).len(), &quiet["next"]), (0, &json!(after)), "{second}");
        assert_eq!(head(&server, &owner).await.json()["seq"], after);
    }
    assert_eq!(length(&server, &owner).await, begun, "a minute of polling recorded nothing");
    server.events(&owner).await;
    let news = page(&server, &owner, &format!("?after={after}")).await;
    assert_eq!(actions(&news), ["event.list"]);
    let recorded = entries(&server.database).await.pop().expect("an entry");
    let expected = format!(r#"{{"after":{after},"count":1,"quietReads":121}}"#);
    assert_eq!(
        (recorded.action.as_str(), recorded.detail),
        ("audit.read", Some(expected)),
        "all quiet reads are counted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_polls_are_recorded_hourly_and_two_pollers_do_not_feed_each_other() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let other = server.member_of(&owner.org, Role::Administrator).await;
    let after = page(&server, &owner, "").await["last"].as_i64().expect("a number") + 1;
    let begun = length(&server, &owner).await;
    server.pass(3_600_000 - 1);
    page(&server, &owner, &format!("?after={after}")).await;
    assert_eq!(length(&server, &owner).await, begun);
    server.pass(1);
    page(&server, &owner, &format!("?after={after}")).await;
    assert_eq!(length(&server, &owner).await, begun + 1, "an hour after the last recorded read");
    let shown = page(&server, &other, &format!("?after={after}")).await;
    assert_eq!((actions(&shown), length(&server, &owner).await), (vec!["audit.read"], begun + 2));
    for _ in 0..5 {
        for reader in [&owner, &other] {
            server.pass(1_000);
            let shown = page(&server, reader, &format!("?after={after}")).await;
            assert_eq!(actions(&shown), ["audit.read", "audit.read"], "each sees the other's reads");
        }
    }
    assert_eq!(length(&server, &owner).await, begun + 2);
    // A refusal is a new entry.
    let user = server.member_of(&owner.org, Role::User).await;
    let path = format!("/organization/{}/audit", owner.org);
    assert_eq!(server.call_as(&user, Method::GET, &path, None).await.status, StatusCode::FORBIDDEN);
    page(&server, &other, &format!("?after={after}")).await;
    assert_eq!(entries(&server.database).await.pop().expect("an entry").actor_id, other.user);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_shutdown_records_the_quiet_polls_counted_so_far() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let other = server.member_of(&owner.org, Role::Administrator).await;
    let after = page(&server, &owner, "").await["last"].as_i64().expect("a number") + 1;
    page(&server, &other, &format!("?after={after}")).await;
    for _ in 0..5 {
        page(&server, &owner, &format!("?after={after}")).await;
    }
    let begun = length(&server, &owner).await;
    let server = server.restart().await;
    assert_eq!(length(&server, &owner).await, begun + 1, "no entry for a reader without quiet reads");
    let polled = entries(&server.database).await.into_iter().rfind(|entry| entry.org == owner.org).expect("an entry");
    assert_eq!((polled.action.as_str(), polled.change), ("audit.polled", None));
    let detail = polled.detail.expect("a detail");
    assert_eq!(detail, json!({ "quietReads": 5, "userId": owner.user }).to_string());
    let shown = page(&server, &owner, &format!("?after={after}")).await;
    assert_eq!(actions(&shown), ["audit.read", "audit.polled"]);
    let again = page(&server, &owner, &format!("?after={}", shown["next"])).await;
    let length = length(&server, &owner).await;
    assert_eq!((actions(&again), length), (vec!["audit.read"], begun + 2), "this read is recorded as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_read_during_writes_are_complete_and_in_order() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let other = server.owner_of("other").await;
    let writing = async {
        for _ in 0..40 {
            tokio::join!(server.events(&owner), server.events(&other));
        }
    };
    let reading = async {
        let (mut entries, mut after) = (Vec::new(), 0);
        for _ in 0..40 {
            let page = page(&server, &owner, &format!("?after={after}&limit=7")).await;
            entries.extend(page["data"].as_array().expect("entries").clone());
            after = page["next"].as_i64().expect("a number");
        }
        entries
    };
    let ((), entries) = tokio::join!(writing, reading);
    let numbers: Vec<i64> = entries.iter().map(|entry| entry["seq"].as_i64().expect("a number")).collect();
    assert_eq!(numbers, (1..).take(entries.len()).collect::<Vec<_>>());
    assert_eq!(
        entries.iter().map(|entry| entry["org"].clone()).collect::<HashSet<_>>(),
        HashSet::from([json!(owner.org)])
    );
}
