//! The event stream: its content, its order, who receives it, and where it resumes.

use std::collections::VecDeque;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Method, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use orgkeys::domain::role::Role;
use serde_json::{Value, json};

use crate::contract;
use crate::harness::{Answer, Identity, Server, entries, with_body, within};

/// A client of the stream.
pub struct Reader {
    body: Incoming,
    text: String,
    messages: VecDeque<String>,
    pub headers: HeaderMap,
}

impl Reader {
    /// Opens a stream with a header that has the credential.
    pub async fn open(
        server: &Server,
        (name, value): (&str, &str),
        org: &str,
        query: &str,
        last: Option<&str>,
    ) -> Self {
        let path = format!("/organization/{org}/events/stream{query}");
        let mut request = server.request(Method::GET, &path).header(name, value);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = with_body(request, None);
        let path = request.uri().path().to_owned();
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let response = within("a stream opens", client.request(request)).await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let head = contract::checked(&Method::GET, &path, Answer { status, headers, body: Bytes::new() });
        assert_eq!(status, StatusCode::OK, "{query}");
        Self { body: response.into_body(), text: String::new(), messages: VecDeque::new(), headers: head.headers }
    }

    /// Opens a stream as a user.
    pub async fn of(server: &Server, who: &Identity, query: &str) -> Self {
        let bearer = format!("Bearer {}", who.token);
        Self::open(server, ("authorization", &bearer), &who.org, query, None).await
    }

    /// Resumes a stream as a user.
    pub async fn again(server: &Server, who: &Identity, last: i64) -> Self {
        let bearer = format!("Bearer {}", who.token);
        Self::open(server, ("authorization", &bearer), &who.org, "", Some(&last.to_string())).await
    }

    /// The next message as sent; `None` once the server has ended the stream.
    pub async fn message(&mut self) -> Option<String> {
        while self.messages.is_empty() {
            let frame = within("the next message of a stream", self.body.frame()).await?;
            let data = frame.ok()?.into_data().expect("data");
            self.text.push_str(std::str::from_utf8(&data).expect("text"));
            while let Some(end) = self.text.find("\n\n") {
                self.messages.push_back(self.text[..end].to_owned());
                self.text.drain(..end + 2);
            }
        }
        self.messages.pop_front()
    }

    /// The next event, with its id and name; comments and messages without data are skipped.
    pub async fn event(&mut self) -> (i64, String, Value) {
        // A stream that has lost an event goes on with comments, so messages alone do not end the wait.
        let event = async {
            loop {
                let message = self.message().await.expect("the stream goes on");
                let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                if let Some(data) = field("data: ") {
                    return (field("id: ").expect("an id"), field("event: ").expect("a name"), data);
                }
            }
        };
        let (id, name, data) = within("the next event of a stream", event).await;
        contract::check_message(&id, &name, &data);
        (id.parse().expect("a number"), name, serde_json::from_str(&data).expect("JSON"))
    }

    /// The next `count` events, with their ids.
    pub async fn events(&mut self, count: usize) -> Vec<(i64, Value)> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            let (id, _, event) = self.event().await;
            events.push((id, event));
        }
        events
    }

    /// The data of the last message, after which nothing follows.
    pub async fn end(&mut self) -> Value {
        let end = async {
            loop {
                let (_, name, data) = self.event().await;
                if name == "end" {
                    break data;
                }
            }
        };
        let data = within("the end of a stream", end).await;
        assert_eq!(self.message().await, None);
        data
    }
}

/// Changes the organization, which causes one event.
pub async fn happen(server: &Server, who: &Identity, what: &str) {
    let path = format!("/organization/{}", who.org);
    let answer = server.call_as(who, Method::PUT, &path, Some(&json!({ "city": what }))).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

/// The event ids of an organization's changes, from the audit log.
pub async fn changes(server: &Server, org: &str) -> Vec<i64> {
    let all = entries(&server.database).await;
    all.into_iter().filter(|entry| entry.org == org && entry.action == "org.update").map(|entry| entry.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_clients_receive_2000_events_once_each_and_in_order() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let other = server.owner_of("other").await;
    let mut readers = Vec::new();
    for _ in 0..5 {
        let admin = server.member_of(&owner.org, Role::Administrator).await;
        for _ in 0..10 {
            readers.push(Reader::of(&server, &admin, "?context=4").await);
        }
    }
    let reading = readers.into_iter().map(|mut reader| {
        tokio::spawn(async move { reader.events(2_000).await.into_iter().map(|(id, _)| id).collect::<Vec<_>>() })
    });
    let reading: Vec<_> = reading.collect();
    let writing = (0..20).map(|_| async {
        for number in 0..100 {
            happen(&server, &owner, &number.to_string()).await;
            if number % 10 == 0 {
                happen(&server, &other, "elsewhere").await;
            }
        }
    });
    futures_util::future::join_all(writing).await;
    let recorded = changes(&server, &owner.org).await;
    assert_eq!(recorded.len(), 2_000);
    for reader in reading {
        assert_eq!(reader.await.expect("it runs"), recorded);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_starts_with_its_position_and_sends_events_as_listed() {
    // No comment comes in between, however busy the machine is.
    let server = Server::with(|flags| flags.with("stream_comment", "24h")).await;
    let owner = server.owner_of("acme").await;
    let mut reader = Reader::of(&server, &owner, "").await;
    let header = |name: &str| reader.headers[name].to_str().expect("text").to_owned();
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!((header("cache-control"), header("x-accel-buffering")), ("no-store".to_owned(), "no".to_owned()));
    let opened = entries(&server.database).await.pop().expect("an entry");
    assert_eq!((opened.action.as_str(), opened.detail.as_deref()), ("event.stream", Some(r#"{"after":null}"#)));
    assert_eq!(reader.message().await, Some(format!("retry: 2000\nid: {}", opened.id)));
    happen(&server, &owner, "Rome\\nParis").await;
    let (key, _) = server.key(&owner).await;
    let listed = server.events(&owner).await;
    for (index, name) in [(1, "updated"), (0, "created")] {
        let event = &listed[index];
        let message = format!("id: {}\nevent: {name}\ndata: {event}", event["id"]);
        assert_eq!(reader.message().await, Some(message));
    }
    assert_eq!(listed[0]["contextId"], key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_keeps_reconnecting_misses_no_event() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let mut first = Reader::of(&server, &owner, "?context=4").await;
    let message = first.message().await.expect("the beginning");
    let mut last: i64 = message.rsplit_once("id: ").expect("an id").1.parse().expect("a number");
    // It disconnects before anything happens.
    drop(first);
    let writing = async {
        let writers = (0..4).map(|_| async {
            for number in 0..100 {
                happen(&server, &owner, &number.to_string()).await;
            }
        });
        futures_util::future::join_all(writers).await;
    };
    let reading = async {
        let mut ids = Vec::new();
        while ids.len() < 400 {
            let mut reader = Reader::again(&server, &owner, last).await;
            for (id, event) in reader.events((400 - ids.len()).min(37)).await {
                last = id;
                assert_eq!(event["id"], id);
                ids.push(id);
            }
        }
        ids
    };
    let ((), ids) = tokio::join!(writing, reading);
    assert_eq!(ids, changes(&server, &owner.org).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn last_event_id_takes_precedence_over_after_and_empty_values_are_ignored() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    happen(&server, &owner, "a").await;
    happen(&server, &owner, "b").await;
    let recorded = changes(&server, &owner.org).await;
    let bearer = format!("Bearer {}", owner.token);
    let credential = ("authorization", bearer.as_str());
    let a = recorded[0].to_string();
    let all = Reader::open(&server, credential, &owner.org, "?after=0&context=4&event=1", None).await;
    let after = Reader::open(&server, credential, &owner.org, &format!("?context=4&after={a}"), None).await;
    let header = Reader::open(&server, credential, &owner.org, "?context=4&after=0", Some(&a)).await;
    let empty = Reader::open(&server, credential, &owner.org, "?context=4&after=", Some("")).await;
    happen(&server, &owner, "c").await;
    let recorded = changes(&server, &owner.org).await;
    for (mut reader, from) in [(all, 0), (after, 1), (header, 1), (empty, 2)] {
        let ids: Vec<i64> = reader.events(3 - from).await.into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, recorded[from..]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_event_id_is_refused_and_not_quoted() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let last = entries(&server.database).await.len();
    let path = format!("/organization/{}/events/stream", owner.org);
    let beyond = (last + 1).to_string();
    let long = "9".repeat(1_000);
    let bad = ["-1", "+1", "1e3", "0x1", "1.0", "abc", "1;DROP TABLE audit", "9223372036854775807", &beyond, &long];
    for value in bad {
        let get = server.request(Method::GET, &path).header("authorization", format!("Bearer {}", owner.token));
        let answer = server.send(with_body(get.header("last-event-id", value), None)).await;
        assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()), "{value}");
        let body = String::from_utf8(answer.body.to_vec()).expect("text");
        assert!(!body.contains(value) && body.contains("Last-Event-ID"), "{value}: {body}");
    }
    for value in ["1%002", "%D9%A3", "%FF", "%201", "1,2"] {
        let answer = server.call_as(&owner, Method::GET, &format!("{path}?after={value}"), None).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{value}: {answer:?}");
    }
    let bytes = hyper::header::HeaderValue::from_bytes(b"\xff\xfe").expect("a value");
    let get = || server.request(Method::GET, &path).header("authorization", format!("Bearer {}", owner.token));
    let twice = get().header("last-event-id", "1").header("last-event-id", "2");
    for request in [get().header("last-event-id", bytes), twice] {
        let answer = server.send(with_body(request, None)).await;
        assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()));
    }
    // None of that was recorded, so the last entry is still the last, and it is accepted.
    let answer = server.call_as(&owner, Method::GET, &format!("{path}?after={last}"), None).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_filters_pass_matching_events_and_invalid_filters_are_refused() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let admin = server.member_of(&owner.org, Role::Administrator).await;
    let project = server.project(&admin, "a").await;
    let (key, pem) = server.key(&owner).await;
    assert_eq!(server.register(&owner.org, &pem, "203.0.113.7").await.status, StatusCode::OK);
    happen(&server, &owner, "last").await;
    // Each filter passes exactly these of the events since the organization was created, and the last change after them.
    let cases = [
        (format!("contextId={key}"), vec!["orgkey created"]),
        (format!("workspaceId={project}"), vec!["workspace created"]),
        (format!("userId={}&event=0", admin.user), vec!["workspace created"]),
        ("context=9".to_owned(), vec!["flashbacknode created"]),
        ("context=4&event=1".to_owned(), vec!["org updated"]),
        ("event=0&context=10&userId=".to_owned() + &owner.user, vec!["orgkey created"]),
        ("event=0".to_owned(), vec!["org created", "user created", "user created", "workspace created"]),
    ];
    for (query, wanted) in cases {
        let mut reader = Reader::of(&server, &owner, &format!("?after=0&{query}")).await;
        let events = reader.events(wanted.len()).await;
        let events: Vec<String> = events
            .iter()
            .map(|(_, event)| {
                let word = |name: &str| event[name].as_str().expect("a word").to_owned();
                format!("{} {}", word("context"), word("event"))
            })
            .collect();
        assert_eq!(events, wanted, "{query}");
    }
    let path = format!("/organization/{}/events/stream", owner.org);
    for query in ["context=14", "context=-1", "context=key", "event=3", "userId=%07", "contextId=a%0Ab"] {
        let answer = server.call_as(&owner, Method::GET, &format!("{path}?{query}"), None).await;
        assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()), "{query}");
    }
    for (length, status) in [(300, StatusCode::OK), (301, StatusCode::BAD_REQUEST)] {
        let query = format!("{path}?workspaceId={}", "a".repeat(length));
        assert_eq!(server.call_as(&owner, Method::GET, &query, None).await.status, status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn below_administrator_callers_receive_only_their_own_events() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let other = server.owner_of("other").await;
    let user = server.member_of(&owner.org, Role::User).await;
    let (_, strong) = server.api_key(&owner, Role::Administrator, &[]).await;
    let (_, weak) = server.api_key(&owner, Role::User, &[]).await;
    let (_, pem) = server.key(&owner).await;
    server.register(&owner.org, &pem, "203.0.113.7").await;
    let mut strong_reader = Reader::open(&server, ("x-api-key", &strong), &owner.org, "", None).await;
    let mut weak_reader = Reader::open(&server, ("x-api-key", &weak), &owner.org, "?after=0", None).await;
    let mut own = Reader::of(&server, &user, "?after=0").await;
    let mut not_theirs = Reader::of(&server, &user, &format!("?after=0&userId={}", owner.user)).await;
    happen(&server, &other, "elsewhere").await;
    happen(&server, &owner, "a").await;
    let rename = json!({ "name": "Eve" });
    let path = format!("/user/{}", user.user);
    server.call_as(&user, Method::PUT, &path, Some(&rename)).await;
    server.call_with_key(&strong, Method::DELETE, &format!("/organization/{}/node/203.0.113.7", owner.org), None).await;
    let told = |(_, _, event): (i64, String, Value)| format!("{} by {}", event["context"], event["userName"]);
    assert_eq!(told(strong_reader.event().await), "\"org\" by \"Ada Lovelace\"");
    assert_eq!(told(strong_reader.event().await), "\"user\" by \"Eve Lovelace\"");
    assert_eq!(told(strong_reader.event().await), "\"flashbacknode\" by \"service\"");
    assert_eq!(told(own.event().await), "\"user\" by \"Eve Lovelace\"");
    // The other two received nothing before the end.
    server.stop().await;
    for reader in [&mut weak_reader, &mut not_theirs, &mut own] {
        let (_, name, _) = reader.event().await;
        assert_eq!(name, "end");
    }
}
