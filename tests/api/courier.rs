//! A single delivery attempt, against receivers that behave, misbehave and lie.

mod down;
mod end_to_end;
mod hostile_urls;
mod receiver;
mod retry_after;
mod running;
mod slots;
mod tls;

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use orgkeys::crypto::webhook_signature;
use orgkeys::domain::delivery::{Attempt, Outcome};
use orgkeys::domain::id::{DeliveryId, OrgId, WebhookId};
use orgkeys::domain::time::{Clock, Time};
use orgkeys::engine::environment::Environment;
use orgkeys::server::clock;
use orgkeys::server::courier::{HttpSender, Resolver};
use receiver::Receiver;
use secrecy::SecretSlice;
use standardwebhooks::Webhook;
use uuid::Uuid;

use crate::closed_port::ClosedPort;
use crate::harness::BEGIN;

/// 32 bytes, as `whsec_` secrets have.
const SECRET: [u8; 32] = [7; 32];
const OTHER: [u8; 32] = [9; 32];
const BODY: &str = r#"{"event":"key.delete","seq":7}"#;

/// A resolver that gives these answers in turn, and repeats the last one.
pub struct Lying {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    pub asked: AtomicUsize,
}

impl Lying {
    pub fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers =
            answers.iter().map(|answer| answer.iter().map(|text| text.parse().expect("an address")).collect());
        Arc::new(Self { answers: Mutex::new(answers.collect()), asked: AtomicUsize::new(0) })
    }
}

impl Resolver for Lying {
    fn resolve(&self, _name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().expect("not poisoned");
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(async move { Ok(answer) })
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Time {
        Time::from_millis(BEGIN)
    }
}

/// A clock that a test moves.
struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A sender that may reach these networks and asks this resolver.
pub fn sender(resolver: Arc<Lying>, opened: &[&str]) -> HttpSender {
    let opened = opened.iter().map(|net| net.parse().expect("a network")).collect();
    HttpSender::new(resolver, opened, Environment::new(Arc::new(Still), clock::system_seed))
}

/// A sender that may reach this machine and resolves no names.
pub fn at_home() -> HttpSender {
    sender(Lying::new(&[&[]]), &["127.0.0.0/8"])
}

pub fn attempt(number: u128, url: &str) -> Attempt {
    Attempt {
        id: DeliveryId::from(Uuid::from_u128(number)),
        webhook: WebhookId::from(Uuid::from_u128(1)),
        org: OrgId::from(Uuid::from_u128(1)),
        url: url.to_owned(),
        attempts: 0,
        backoff_epoch: 0,
        secrets: vec![SecretSlice::from(SECRET.to_vec())],
        body: BODY.as_bytes().to_vec(),
    }
}

async fn outcome_of(answer: impl Into<Vec<u8>>) -> Outcome {
    let receiver = Receiver::answering(answer).await;
    at_home().send(&attempt(1, &receiver.url())).await
}

/// The headers of a request.
fn headers(head: &str) -> HeaderMap {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let header = |(name, value): (&str, &str)| {
        (name.parse::<HeaderName>().expect("a name"), HeaderValue::from_str(value).expect("a value"))
    };
    lines.map(header).collect()
}

fn refused(status: u16) -> Outcome {
    Outcome::Refused { status, retry_after: None }
}

fn why(outcome: &Outcome) -> &'static str {
    let Outcome::Failed { why } = outcome else { panic!("an answer: {outcome:?}") };
    why
}

#[tokio::test]
async fn a_receiver_gets_one_plain_request() {
    let receiver = Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let attempt = attempt(5, &format!("{}/hook?a=b%20c", receiver.url()));
    assert_eq!(at_home().send(&attempt).await, Outcome::Taken { status: 204 });
    let requests = receiver.requests();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
    let lines: Vec<_> = head.lines().filter(|line| !line.starts_with("webhook-signature: ")).collect();
    let host = format!("host: {}", receiver.address);
    assert_eq!(
        lines,
        [
            "POST /hook?a=b%20c HTTP/1.1",
            &host,
            "content-type: application/json",
            concat!("user-agent: orgkeys/", env!("CARGO_PKG_VERSION")),
            "connection: close",
            "webhook-id: delivery-00000000-0000-0000-0000-000000000005",
            "webhook-timestamp: 1705314600",
            "content-length: 30",
        ]
    );
    assert_eq!(body, BODY);
}

#[tokio::test]
async fn a_third_party_library_verifies_a_delivery_with_either_secret() {
    let receiver = Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut attempt = attempt(5, &receiver.url());
    attempt.secrets.push(SecretSlice::from(OTHER.to_vec()));
    // The library uses the real time and rejects old messages.
    let opened = vec!["127.0.0.0/8".parse().expect("a network")];
    let sender = HttpSender::new(Lying::new(&[&[]]), opened, clock::system());
    assert_eq!(sender.send(&attempt).await, Outcome::Taken { status: 204 });
    let requests = receiver.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").expect("a head and a body");
    let headers = headers(head);
    for (secret, right) in [(SECRET, true), (OTHER, true), ([8; 32], false)] {
        let verifier = Webhook::from_bytes(secret.to_vec()).expect("a secret");
        assert_eq!(verifier.verify(body.as_bytes(), &headers).is_ok(), right);
        assert!(verifier.verify(b"{}", &headers).is_err());
    }
}

#[tokio::test]
async fn the_response_status_decides_the_outcome() {
    for status in [200, 201, 202, 204, 299] {
        assert_eq!(outcome_of(format!("HTTP/1.1 {status} X\r\n\r\n")).await, Outcome::Taken { status });
    }
    for status in [101, 300, 304, 400, 401, 404, 409, 411, 429, 500, 503, 599] {
        assert_eq!(outcome_of(format!("HTTP/1.1 {status} X\r\n\r\n")).await, refused(status), "{status}");
    }
    assert_eq!(outcome_of("HTTP/1.1 410 Gone\r\n\r\n").await, Outcome::Gone);
    let waiting = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(outcome_of(waiting).await, Outcome::Taken { status: 200 });
}

#[tokio::test]
async fn retry_after_is_read_as_seconds_and_as_a_date() {
    let answer = outcome_of("HTTP/1.1 429 X\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(answer, Outcome::Refused { status: 429, retry_after: Some(Duration::from_mins(2)) });
    let answer = outcome_of("HTTP/1.1 503 X\r\nRetry-After: Mon, 15 Jan 2024 11:30:00 GMT\r\n\r\n").await;
    assert_eq!(answer, Outcome::Refused { status: 503, retry_after: Some(Duration::from_hours(1)) });
}

#[tokio::test]
async fn the_time_of_a_delivery_is_that_of_the_clock_even_after_it_was_set_back() {
    let wall_clock = Arc::new(Moved(AtomicI64::new(BEGIN + 3_600_000)));
    let env = Environment::new(Arc::clone(&wall_clock) as Arc<dyn Clock>, clock::system_seed);
    let before = env.now();
    for (now, date) in [(BEGIN + 3_600_000, "11:31"), (BEGIN, "10:31"), (BEGIN + 600_000, "10:41")] {
        wall_clock.0.store(now, Ordering::SeqCst);
        assert_eq!(env.now(), before, "the server's own time does not go back");
        let answer = format!("HTTP/1.1 503 X\r\nretry-after: Mon, 15 Jan 2024 {date}:00 GMT\r\n\r\n");
        let receiver = Receiver::answering(answer).await;
        let opened = vec!["127.0.0.0/8".parse().expect("a network")];
        let attempt = attempt(5, &receiver.url());
        let outcome = HttpSender::new(Lying::new(&[&[]]), opened, env.clone()).send(&attempt).await;
        assert_eq!(outcome, Outcome::Refused { status: 503, retry_after: Some(Duration::from_mins(1)) }, "{date}");
        let headers = headers(receiver.requests()[0].split_once("\r\n\r\n").expect("a head").0);
        let seconds = now / 1_000;
        assert_eq!(headers["webhook-timestamp"], seconds.to_string());
        let signature = webhook_signature::sign(&attempt.secrets, &attempt.id.to_string(), seconds, &attempt.body);
        assert_eq!(headers["webhook-signature"], signature);
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let canary = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    for status in [301, 302, 303, 307, 308] {
        let answer =
            format!("HTTP/1.1 {status} X\r\nlocation: {}/elsewhere\r\ncontent-length: 0\r\n\r\n", canary.url());
        assert_eq!(outcome_of(answer).await, refused(status));
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn responses_that_are_not_http_fail_without_quoting_their_content() {
    let broken = "the receiver's response is not HTTP, or is too long";
    assert_eq!(why(&outcome_of("SSH-2.0-OpenSSH_9.9 c4n4ry\r\n").await), broken);
    assert_eq!(why(&outcome_of("HTTP/1.1 200 OK\r\nc4n4ry\u{0}: x\r\n\r\n").await), broken);
    assert_eq!(why(&outcome_of(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(17_000))).await), broken);
    assert!(matches!(
        outcome_of(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(15_000))).await,
        Outcome::Taken { .. }
    ));
    assert_eq!(why(&outcome_of("").await), "the receiver closed the connection without a response");
    assert_eq!(why(&outcome_of("HTTP/1.1 20").await), "the receiver closed the connection without a response");
    let closed = ClosedPort::new();
    let url = format!("http://{}/", closed.address);
    assert_eq!(why(&at_home().send(&attempt(1, &url)).await), "the connection was refused");
}

#[tokio::test]
async fn endless_responses_are_read_only_in_part() {
    // Endless headers, endless interim responses, an endless body: the receiver can write only as much as is read and as
    // the socket buffers hold.
    let body =
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "3e8\r\n".to_owned() + &"x".repeat(1_000) + "\r\n");
    let heads = ("HTTP/1.1 200 OK\r\n", format!("x: {}\r\n", "y".repeat(100)));
    let interim = ("", format!("HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n", "y".repeat(1_000)));
    for ((first, again), taken) in [(body, true), (heads, false), (interim, false)] {
        let receiver = Receiver::endless(first, again).await;
        let began = Instant::now();
        let outcome = at_home().send(&attempt(1, &receiver.url())).await;
        assert_eq!(matches!(outcome, Outcome::Taken { status: 200 }), taken, "{outcome:?}");
        assert!(began.elapsed() < Duration::from_secs(10));
        // It ends because the connection is closed.
        receiver.ended().await;
    }
}

#[tokio::test]
async fn a_slow_response_body_does_not_delay_the_outcome() {
    let receiver = Receiver::dripping("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await;
    let began = Instant::now();
    assert_eq!(at_home().send(&attempt(1, &receiver.url())).await, Outcome::Taken { status: 200 });
    assert!(began.elapsed() < Duration::from_secs(10));
    receiver.ended().await;
}

#[tokio::test]
async fn a_receiver_that_hangs_or_drips_headers_is_abandoned_after_15_seconds() {
    let (silent, dripping) = (Receiver::silent().await, Receiver::dripping("HTTP/1.1 200 OK\r\nx: ").await);
    let sender = at_home();
    let began = Instant::now();
    let (silent, dripping) = (attempt(1, &silent.url()), attempt(2, &dripping.url()));
    let (first, second) = tokio::join!(sender.send(&silent), sender.send(&dripping));
    assert_eq!([why(&first), why(&second)], ["the receiver did not respond in time"; 2]);
    assert!((15..20).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_courier_reads_no_proxy_environment_variables() {
    // The variables belong to the whole process, where other tests run too, so this checks that no source file reads them.
    let mut paths = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/courier")];
    let mut files = 0;
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let text = std::fs::read_to_string(path).expect("text");
        assert!(!text.contains("env::var") && !text.to_lowercase().contains("_proxy"));
        files += 1;
    }
    assert!(files > 4, "{files} files");
}
