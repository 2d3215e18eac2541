//! How an event stream ends: with its credential, at a shutdown, or by a slow client, but never for lack of events.

use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};
use orgkeys::actions::admin::Ttl;
use orgkeys::domain::audit::{Actor, Draft};
use orgkeys::domain::id::OrgId;
use orgkeys::domain::role::Role;
use orgkeys::store::{self, Options, Room, Store, StoreError};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::sleep;

use crate::access::token;
use crate::harness::{BEGIN, Identity, Server, blocking, until};
use crate::sessions;
use crate::stream::{Reader, changes, happen};

/// The gauge of open streams.
async fn open(server: &Server) -> String {
    let metrics = server.call(Method::GET, "/metrics", None).await;
    let text = String::from_utf8(metrics.body.to_vec()).expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix("orgkeys_event_streams "));
    line.expect("a gauge").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_credential_and_says_where_to_resume() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let mut streams = Vec::new();
    let mut people = Vec::new();
    for _ in 0..4 {
        let person = server.member_of(&owner.org, Role::Administrator).await;
        streams.push(Reader::of(&server, &person, "").await);
        people.push(person);
    }
    let (id, key) = server.api_key(&owner, Role::Administrator, &[]).await;
    streams.push(Reader::open(&server, ("x-api-key", &key), &owner.org, "", None).await);
    let short = token(&server, &owner, Ttl::For(Duration::from_mins(1))).await;
    let mut ending = Reader::open(&server, ("authorization", &format!("Bearer {short}")), &owner.org, "", None).await;
    let mut good = Reader::of(&server, &owner, "").await;

    happen(&server, &owner, "before").await;
    let mut before = 0;
    for stream in streams.iter_mut().chain([&mut ending, &mut good]) {
        // Some first receive the event of a token that was created after theirs.
        let mut about = json!("user");
        while about != "org" {
            let (id, _, event) = stream.event().await;
            (before, about) = (id, event["context"].clone());
        }
    }
    server.revoke(&people[0]).await;
    let people_path = |person: &Identity| format!("/organization/users/{}", person.user);
    server.call_as(&owner, Method::DELETE, &people_path(&people[1]), None).await;
    for (person, role) in [(&people[2], 0), (&people[3], 255)] {
        server.call_as(&owner, Method::PUT, &people_path(person), Some(&json!({ "orgRole": role }))).await;
    }
    let off = format!("/api/organizations/{}/api-keys/{id}", owner.org);
    server.call_as(&owner, Method::DELETE, &off, None).await;
    let wanted = [
        ("credential", "The access token was revoked: sign in again, or use another token"),
        ("credential", "The access token was revoked: sign in again, or use another token"),
        ("role", "Your role has changed: reconnect to receive the events that your new role may see"),
        ("role", "Your role has changed: reconnect to receive the events that your new role may see"),
        ("credential", "The API key is unknown to this server"),
    ];
    for (stream, (reason, message)) in streams.iter_mut().zip(wanted) {
        let end = stream.end().await;
        assert_eq!((&end["reason"], &end["message"]), (&json!(reason), &json!(message)));
        assert!(end["resumeFrom"].as_i64() >= Some(before), "{end}");
    }
    server.pass(60_000);
    happen(&server, &owner, "after").await;
    let end = ending.end().await;
    assert_eq!(end["reason"], "credential");
    assert_eq!(end["message"], "The access token has expired: sign in again, or use another token");
    // Nobody receives events after their credential ended, and everybody else receives all of them.
    let mut last = String::new();
    while last != "updated org" {
        let (_, name, event) = good.event().await;
        last = format!("{name} {}", event["context"].as_str().expect("a word"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiring_token_ends_its_stream_even_without_events() {
    let server = Server::with(|flags| flags.with("stream_comment", "24h")).await;
    let owner = server.owner_of("acme").await;
    let short = token(&server, &owner, Ttl::For(Duration::from_millis(200))).await;
    let mut reader = Reader::open(&server, ("authorization", &format!("Bearer {short}")), &owner.org, "", None).await;
    server.pass(199);
    assert!(reader.message().await.expect("the beginning").starts_with("retry: 2000"));
    server.pass(1);
    assert_eq!(reader.end().await["reason"], "credential");
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshing_a_session_keeps_its_streams_open() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let person = sessions::person(&server, &owner.org, Role::Administrator).await;
    let session = person.session(&server).await;
    let mut reader = Reader::of(&server, &session.identity, "").await;
    server.pass(3_599_000);
    let body = json!({ "refreshToken": session.refresh });
    assert_eq!(server.call(Method::POST, "/user/refresh", Some(&body)).await.status, StatusCode::OK);
    server.pass(3_599_000);
    happen(&server, &owner, "a").await;
    assert_eq!(reader.event().await.1, "updated");
    server.pass(1_000);
    happen(&server, &owner, "b").await;
    assert_eq!(reader.end().await["reason"], "credential");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_streams_at_once() {
    let server = Server::with(|flags| flags.with("stop_timeout", "50s")).await;
    let owner = server.owner_of("acme").await;
    let mut readers = Vec::new();
    for _ in 0..20 {
        readers.push(Reader::of(&server, &owner, "").await);
    }
    happen(&server, &owner, "a").await;
    let mut last = 0;
    for reader in &mut readers {
        (last, ..) = reader.event().await;
    }
    let began = Instant::now();
    let stopped = server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(25), "it waited for the streams");
    for reader in &mut readers {
        let end = json!({ "reason": "stopped", "message": "The server is stopping: reconnect and resume from resumeFrom", "resumeFrom": last });
        assert_eq!(reader.end().await, end);
    }
    let server = stopped.start().await;
    happen(&server, &owner, "b").await;
    let mut reader = Reader::again(&server, &owner, last).await;
    assert_eq!(reader.event().await.1, "updated");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_stream_sends_comments_and_outlives_connection_timeouts() {
    let server = Server::with(|flags| {
        flags.with("stream_comment", "100ms").with("idle_timeout", "100ms").with("header_timeout", "100ms")
    })
    .await;
    let owner = server.owner_of("acme").await;
    let mut reader = Reader::of(&server, &owner, "").await;
    let beginning = reader.message().await.expect("the beginning");
    let id = beginning.strip_prefix("retry: 2000\n").expect("when to try again");
    for _ in 0..5 {
        assert_eq!(reader.message().await, Some(format!(": still here\n{id}")));
    }
    happen(&server, &owner, "a").await;
    assert_eq!(reader.event().await.1, "updated");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_21st_stream_of_a_credential_is_refused_until_one_closes() {
    let server = Server::with(|flags| flags.with("stream_comment", "20ms")).await;
    let owner = server.owner_of("acme").await;
    let path = format!("/organization/{}/events/stream", owner.org);
    let mut readers = Vec::new();
    for _ in 0..20 {
        readers.push(Reader::of(&server, &owner, "").await);
    }
    assert_eq!(open(&server).await, "20");
    let answer = server.call_as(&owner, Method::GET, &path, None).await;
    assert_eq!(answer.refusal(), (429, "TOO_MANY_REQUESTS".to_owned()));
    assert_eq!(answer.headers["retry-after"], "10");
    // Another credential of the same user has its own limit.
    let more = token(&server, &owner, Ttl::Never).await;
    drop(Reader::open(&server, ("authorization", &format!("Bearer {more}")), &owner.org, "", None).await);
    drop(readers.pop());
    // A closed connection is noticed when the next comment is written.
    let is_free = async || server.call_as(&owner, Method::GET, &path, None).await.status == StatusCode::OK;
    until("a stream is released", is_free).await;
    drop(readers);
    until("all streams are released", async || open(&server).await == "0").await;
    // A HEAD request holds no stream.
    assert_eq!(server.call_as(&owner, Method::HEAD, &path, None).await.status, StatusCode::OK);
    until("all streams are released", async || open(&server).await == "0").await;
}

/// Records more events than any socket buffer holds.
async fn fill(database: std::path::PathBuf, org: OrgId) {
    blocking(move || {
        let store = Store::open(&Options { path: database, readers: 1, room: Room::new(0, 0) }).expect("a store");
        let written = store.write(move |tx| {
            for _ in 0..400 {
                let draft = Draft {
                    org: Some(org),
                    at: BEGIN,
                    actor: Actor { kind: "system", id: "system".to_owned(), name: None },
                    action: "org.update",
                    context: Some(4),
                    context_id: Some(org.to_string()),
                    project: None,
                    change: Some(1),
                    outcome: "done",
                    address: None,
                    request_id: None,
                    detail: Some(json!({ "much": "x".repeat(50_000) }).to_string()),
                };
                store::audit::append(tx, &draft)?;
            }
            Ok::<_, StoreError>(())
        });
        written.wait().expect("written");
    })
    .await;
}

/// A server with this `request_timeout`, and an organization with that many events.
async fn much(request_timeout: &str) -> (Server, Identity) {
    let server = Server::with(|flags| flags.with("request_timeout", request_timeout)).await;
    let owner = server.owner_of("acme").await;
    let database = server.database.clone();
    let stopped = server.stop().await;
    fill(database, OrgId::parse(&owner.org).expect("an id")).await;
    (stopped.start().await, owner)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_is_disconnected_with_a_reason_and_resumes_without_a_gap() {
    let (server, owner) = much("10s").await;
    // A busy machine may fill the client's buffers so late that its pause is too short. Then it pauses once more.
    let begun = Instant::now();
    while !pauses(&server, &owner).await {
        assert!(begun.elapsed() < Duration::from_mins(1), "no stream ended because of a slow client");
    }
}

/// Reads the first event, pauses, and reads the rest, on another stream if the first one ends. Returns whether it did.
async fn pauses(server: &Server, owner: &Identity) -> bool {
    let mut reader = Reader::of(server, owner, "?after=0&context=4&event=1").await;
    let (mut last, ..) = reader.event().await;
    // Longer than a client may stop reading, shorter than until its connection is closed.
    sleep(Duration::from_secs(6)).await;
    let (mut ids, mut has_ended) = (vec![last], false);
    while ids.len() < 400 {
        let (id, name, data) = reader.event().await;
        if name == "end" {
            assert_eq!((&data["reason"], &data["resumeFrom"]), (&json!("slow"), &json!(last)));
            assert_eq!(reader.message().await, None);
            reader = Reader::again(server, owner, last).await;
            has_ended = true;
        } else {
            last = id;
            ids.push(id);
        }
    }
    assert_eq!(ids, changes(server, &owner.org).await);
    has_ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_loses_its_stream_and_others_do_not() {
    let (server, owner) = much("3s").await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let mut lazy = socket.connect(server.address).await.expect("connected");
    let head = format!(
        "GET /organization/{}/events/stream?after=0 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n",
        owner.org, owner.token
    );
    lazy.write_all(head.as_bytes()).await.expect("sent");
    let mut first = [0; 15];
    lazy.read_exact(&mut first).await.expect("the beginning");
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    assert_eq!(open(&server).await, "1");

    let mut good = Reader::of(&server, &owner, "?after=0&context=4&event=1").await;
    assert_eq!(good.events(400).await.len(), 400);
    until("it is disconnected", async || open(&server).await == "1").await;
    // The other client continues.
    happen(&server, &owner, "a").await;
    assert_eq!(good.event().await.1, "updated");
}
