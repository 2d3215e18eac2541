//! The audit log newest first: complete, filtered, and of one organization.

use hyper::{Method, StatusCode};
use orgkeys::domain::audit::Entry;
use orgkeys::domain::role::Role;
use orgkeys::domain::time::Time;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::harness::{Identity, Server, entries};

async fn page(server: &Server, reader: &Identity, query: &str) -> Value {
    let path = format!("/organization/{}/audit?order=newest{query}", reader.org);
    let answer = server.call_as(reader, Method::GET, &path, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{query}: {answer:?}");
    answer.json()
}

/// The numbers of all entries that a query selects, and of how many pages.
async fn walk(server: &Server, reader: &Identity, query: &str) -> (Vec<i64>, usize) {
    let (mut seqs, mut before, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = page(server, reader, &format!("&limit=4{query}{before}")).await;
        let data = page["data"].as_array().expect("entries");
        assert!(data.len() <= 4 && data.iter().all(|entry| entry["org"] == reader.org), "{page}");
        seqs.extend(data.iter().map(|entry| entry["seq"].as_i64().expect("a number")));
        pages += 1;
        match page["next"].as_i64().expect("a number") {
            0 => return (seqs, pages),
            next => before = format!("&before={next}"),
        }
    }
}

fn time(millis: i64) -> String {
    utf8_percent_encode(&Time::from_millis(millis).to_string(), NON_ALPHANUMERIC).to_string()
}

/// Whether a filter selects an entry.
type Selects = Box<dyn Fn(&Entry) -> bool>;

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_what_the_filters_select_newest_first() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let user = server.member_of(&owner.org, Role::User).await;
    let (key, secret) = server.api_key(&owner, Role::User, &[]).await;
    let (_, pem) = server.key(&owner).await;
    let node = server.register(&owner.org, &pem, "10.0.0.1").await.json()["data"]["id"].clone();
    server.pass(1_000);
    let began = server.now();
    for _ in 0..3 {
        server.events(&owner).await;
        server.events(&other).await;
        let path = format!("/organization/{}/nodes", owner.org);
        server.call_with_key(&secret, Method::GET, &path, None).await;
        let denied = server.call_as(&user, Method::GET, &format!("/organization/{}/audit", owner.org), None).await;
        assert_eq!(denied.status, StatusCode::FORBIDDEN);
        server.pass(1_000);
    }
    let newest = page(&server, &owner, "&limit=1").await;
    assert_eq!((&newest["data"][0]["seq"], &newest["next"]), (&newest["last"], &newest["last"]), "the last entry");
    let last = newest["last"].as_i64().expect("a number");
    let node = node.as_str().expect("an id").to_owned();
    let (by_node, by_key, by_user) = (node.clone(), key.to_string(), user.user.clone());
    let of = |action: &'static str| -> Selects { Box::new(move |entry: &Entry| entry.action == action) };
    let by = |actor: String| -> Selects { Box::new(move |entry: &Entry| entry.actor_id == actor) };
    let cases: Vec<(String, Selects)> = vec![
        (String::new(), Box::new(|_| true)),
        ("&action=&actorId=".into(), Box::new(|_| true)),
        ("&action=node.list".into(), of("node.list")),
        ("&action=node.register".into(), of("node.register")),
        ("&action=node".into(), Box::new(|_| false)),
        (format!("&actorId={by_node}"), by(by_node)),
        (format!("&actorId={by_key}"), by(by_key)),
        (format!("&actorId={by_user}"), by(by_user.clone())),
        ("&actorId=system".into(), by("system".to_owned())),
        (format!("&actorId={}", other.user), Box::new(|_| false)),
        ("&outcome=refused".into(), Box::new(|entry| entry.outcome == "refused")),
        ("&outcome=done".into(), Box::new(|entry| entry.outcome == "done")),
        (format!("&outcome=done&actorId={by_user}"), Box::new(|_| false)),
        (format!("&outcome=refused&action=access.denied&actorId={by_user}"), by(by_user)),
        (format!("&from={}", time(began + 1_000)), Box::new(move |entry| entry.at > began)),
        (format!("&from={}", time(began + 1_001)), Box::new(move |entry| entry.at > began + 1_000)),
        (format!("&to={}", time(began)), Box::new(move |entry| entry.at <= began)),
        (format!("&to={}", time(began - 1)), Box::new(move |entry| entry.at < began)),
        (
            format!("&from={}&to={}&action=event.list", time(began), time(began + 1_000)),
            Box::new(move |entry| entry.action == "event.list" && entry.at <= began + 1_000),
        ),
        (format!("&from={}&to={}", time(began + 1), time(began)), Box::new(|_| false)),
    ];
    for (query, selects) in cases {
        // From the newest entry on that existed before the reading began.
        let (seqs, pages) = walk(&server, &owner, &query).await;
        let exported = entries(&server.database).await;
        let own = exported.iter().rev().filter(|entry| entry.org == owner.org && selects(entry));
        let seqs: Vec<i64> = seqs.into_iter().filter(|seq| *seq <= last).collect();
        assert_eq!(seqs, own.map(|entry| entry.seq).filter(|seq| *seq <= last).collect::<Vec<_>>(), "{query}");
        assert!(pages >= seqs.len() / 4, "{query}");
    }
    let exported = entries(&server.database).await;
    let read = exported.iter().rfind(|entry| entry.action == "audit.read").expect("it is recorded");
    let detail: Value = serde_json::from_str(read.detail.as_deref().expect("a detail")).expect("JSON");
    assert!(detail.get("before").is_some() && detail.get("after").is_none(), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_before_an_entry_continues_there_and_polls_are_not_recorded() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let first = page(&server, &owner, "&limit=2").await;
    let next = first["next"].as_i64().expect("a number");
    let second = page(&server, &owner, &format!("&limit=2&before={next}")).await;
    assert_eq!(second["data"][0]["seq"], next - 1);
    let end = page(&server, &owner, "&before=1").await;
    assert_eq!((&end["data"], &end["next"]), (&json!([]), &json!(0)));
    // A page begins where the time span ends, also if the entry is later.
    server.pass(1_000);
    for _ in 0..2 {
        server.events(&owner).await;
    }
    let (to, latest) = (time(server.now() - 1), page(&server, &owner, "&limit=1").await["data"][0]["seq"].as_i64());
    let latest = latest.expect("a number");
    let spanned = page(&server, &owner, &format!("&limit=1&to={to}&before={latest}")).await;
    assert_eq!(spanned["data"][0]["seq"], latest - 2);
    let length = async || entries(&server.database).await.iter().filter(|entry| entry.org == owner.org).count();
    let before = length().await;
    for _ in 0..3 {
        page(&server, &owner, "&action=audit.read").await;
    }
    assert_eq!(length().await, before, "pages that show only reads of the log are counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_validated_and_belong_to_an_order() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    for (query, status) in [
        ("order=oldest&after=0".to_owned(), 200),
        ("order=latest".to_owned(), 400),
        ("order=newest&after=0".to_owned(), 400),
        ("order=newest&before=1".to_owned(), 200),
        ("order=newest&before=0".to_owned(), 400),
        ("order=newest&before=1000".to_owned(), 400),
        ("order=newest&before=9223372036854775808".to_owned(), 400),
        ("order=newest&limit=1000".to_owned(), 200),
        ("order=newest&limit=1001".to_owned(), 400),
        ("order=newest&outcome=failed".to_owned(), 400),
        (format!("order=newest&action={}", "a".repeat(64)), 200),
        (format!("order=newest&action={}", "a".repeat(65)), 400),
        (format!("order=newest&actorId={}", "a".repeat(300)), 200),
        (format!("order=newest&actorId={}", "a".repeat(301)), 400),
        ("order=newest&from=2024-01-15".to_owned(), 400),
        ("order=newest&from=2024-01-15T10:30:00%2B01:00".to_owned(), 200),
        ("order=newest&to=now".to_owned(), 400),
        ("before=1".to_owned(), 400),
        ("action=node.list".to_owned(), 400),
        ("actorId=system".to_owned(), 400),
        ("outcome=done".to_owned(), 400),
        ("order=oldest&from=2024-01-15T10:30:00Z".to_owned(), 400),
        ("to=2024-01-15T10:30:00Z".to_owned(), 400),
    ] {
        let path = format!("/organization/{}/audit?{query}", owner.org);
        let answer = server.call_as(&owner, Method::GET, &path, None).await;
        assert_eq!(answer.status.as_u16(), status, "{query}: {answer:?}");
    }
}
