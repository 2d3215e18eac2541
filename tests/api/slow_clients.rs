//! Slow, endless and excess clients: the server ends their connections, and serves good clients meanwhile.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{interval, timeout};

use crate::harness::{Server, with_body};

/// Far beyond every deadline of these servers, so it is reached only when one is missed.
const BOUND: Duration = Duration::from_secs(25);

/// The pace at which an attacker sends.
const PACE: Duration = Duration::from_millis(20);

const GOOD: &str = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
const LAST: &str = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// A server that waits 300 ms for everything.
async fn impatient() -> Server {
    Server::with(|flags| {
        let flags = flags.with("header_timeout", "300ms").with("request_timeout", "300ms");
        flags.with("idle_timeout", "300ms")
    })
    .await
}

async fn connected(address: SocketAddr, first: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(first.as_bytes()).await.expect("sent");
    stream
}

/// Everything received on a connection until the server ends it, by closing or resetting it.
async fn until_ended(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let (mut all, mut piece) = (Vec::new(), [0; 4_096]);
    loop {
        match timeout(BOUND, stream.read(&mut piece)).await.expect("the server ends it") {
            Ok(0) => break,
            Ok(length) => all.extend_from_slice(&piece[..length]),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
                break;
            }
        }
    }
    String::from_utf8(all).expect("text")
}

/// Whether a good client is served. The machine may be too busy for 300 ms, but not over and over.
async fn is_served(address: SocketAddr) -> bool {
    for _ in 0..50 {
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        if stream.write_all(LAST.as_bytes()).await.is_ok() && until_ended(&mut stream).await.starts_with("HTTP/1.1 200")
        {
            return true;
        }
    }
    false
}

/// One response on a connection that stays open: its status line and its body.
async fn answer(stream: &mut (impl AsyncBufRead + Unpin)) -> (String, Value) {
    let (mut head, mut length) = (Vec::<String>::new(), 0);
    loop {
        let mut line = String::new();
        let read = timeout(BOUND, stream.read_line(&mut line)).await.expect("an answer").expect("readable");
        assert!(read > 0, "the connection ended in {head:?}");
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        head.push(line.trim_end().to_owned());
    }
    let mut body = vec![0; length];
    timeout(BOUND, stream.read_exact(&mut body)).await.expect("a body").expect("readable");
    (head.swap_remove(0), serde_json::from_slice(&body).expect("JSON"))
}

/// Checks that a response is this refusal, complete, and the last one on its connection.
fn assert_refused(answer: &str, status: &str, body: &Value) {
    let (head, rest) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
    assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    assert!(head.to_lowercase().contains("\r\nconnection: close"), "{answer}");
    assert_eq!(&serde_json::from_str::<Value>(rest).expect("JSON"), body);
}

fn too_large() -> Value {
    let message = "The body is larger than 64 KiB";
    json!({ "success": false, "message": message, "errorCode": "BODY_TOO_LARGE", "errorMessage": message })
}

fn too_slow() -> Value {
    let message = "The request did not arrive in time";
    json!({ "success": false, "message": message, "errorCode": "REQUEST_TIMEOUT", "errorMessage": message })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stalls_mid_request_is_disconnected() {
    let server = impatient().await;
    let post = "POST /register HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    let halves = ["", "GET /hea", "GET /health HTTP/1.1\r\nHost: a\r\nAcc"];
    let half_bodies = [
        format!("{post}Content-Length: 100\r\n\r\n{{\"ip\":"),
        format!("{post}Transfer-Encoding: chunked\r\n\r\n5\r\n{{\"i"),
    ];
    let mut silent = Vec::new();
    for half in halves {
        silent.push(connected(server.address, half).await);
    }
    let mut refused = Vec::new();
    for half in &half_bodies {
        refused.push(connected(server.address, half).await);
    }
    assert!(is_served(server.address).await);
    for mut stream in silent {
        assert_eq!(until_ended(&mut stream).await, "");
    }
    for mut stream in refused {
        assert_refused(&until_ended(&mut stream).await, "408", &too_slow());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_byte_by_byte_gains_no_time() {
    let server = impatient().await;
    let cases = [
        ("GET /health HTTP/1.1\r\nX: ", "a", ""),
        ("POST /register HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n", "408"),
        ("POST /register HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n", "a", "408"),
    ];
    for (first, drip, status) in cases {
        let (mut incoming, mut outgoing) = connected(server.address, first).await.into_split();
        let dripping = tokio::spawn(async move {
            let mut pace = interval(PACE);
            while outgoing.write_all(drip.as_bytes()).await.is_ok() {
                pace.tick().await;
            }
        });
        assert!(is_served(server.address).await);
        let answer = until_ended(&mut incoming).await;
        if status.is_empty() {
            assert_eq!(answer, "");
        } else {
            assert_refused(&answer, status, &too_slow());
        }
        drop(incoming);
        timeout(BOUND, dripping).await.expect("the connection was closed").expect("it runs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_or_gigabyte_body_is_refused_before_it_arrives() {
    let server = Server::start().await;
    for expect in ["", "Expect: 100-continue\r\n"] {
        let first = format!("POST /register HTTP/1.1\r\nHost: a\r\n{expect}Content-Length: 1073741824\r\n\r\n");
        let mut stream = connected(server.address, &first).await;
        // None of the body is sent, and the server would wait 30 s for it: this is a response to the head alone.
        assert_refused(&until_ended(&mut stream).await, "413", &too_large());
    }
    for first in [
        "POST /register HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /register HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n",
    ] {
        let (mut incoming, mut outgoing) = connected(server.address, first).await.into_split();
        let flooding = tokio::spawn(async move {
            let chunk = format!("1000\r\n{}\r\n", "x".repeat(4_096));
            // Four megabytes a second: without an end, and without keeping a processor busy.
            let mut turns = interval(Duration::from_millis(1));
            while outgoing.write_all(chunk.as_bytes()).await.is_ok() {
                turns.tick().await;
            }
        });
        assert_refused(&until_ended(&mut incoming).await, "413", &too_large());
        assert!(is_served(server.address).await);
        timeout(BOUND, flooding).await.expect("the connection was closed").expect("it runs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_head_of_a_mebibyte_is_refused() {
    let server = Server::start().await;
    let (mut incoming, mut outgoing) = connected(server.address, "GET /health HTTP/1.1\r\nX: ").await.into_split();
    let sending = tokio::spawn(async move { outgoing.write_all(&vec![b'x'; 1024 * 1024]).await });
    let answer = until_ended(&mut incoming).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    sending.await.expect("it runs").ok();
    assert!(is_served(server.address).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn deeply_nested_json_is_refused_without_harm() {
    let server = Server::start().await;
    for body in ["[".repeat(60_000), "{\"ip\":".repeat(10_000)] {
        let request = with_body(server.request(Method::POST, "/register"), Some(&Value::Null)).map(|_| body.into());
        let answer = server.send(request).await;
        assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()));
        assert_eq!(answer.json()["errorMessage"], answer.json()["message"]);
    }
    assert_eq!(server.call(Method::GET, "/health", None).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_is_disconnected() {
    let server = impatient().await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let mut stream = socket.connect(server.address).await.expect("connected");
    // Each response is over a megabyte: the socket buffers hold some of them, and then nothing moves.
    let request = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n";
    let asking = async { while stream.write_all(request).await.is_ok() {} };
    let (in_time, good) = tokio::join!(timeout(BOUND, asking), is_served(server.address));
    in_time.expect("the server ends the connection");
    assert!(good);
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start().await;
    let paths = ["/health", "/", "/ready", "/nowhere"].repeat(10);
    let all: Vec<_> = paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    let mut stream = BufReader::new(connected(server.address, &all.concat()).await);
    let root = concat!("orgkeys ", env!("CARGO_PKG_VERSION"));
    for path in paths {
        let (status, message) = match path {
            "/health" => ("HTTP/1.1 200 OK", "The server is running"),
            "/" => ("HTTP/1.1 200 OK", root),
            "/ready" => ("HTTP/1.1 200 OK", "Changes can be stored"),
            _ => ("HTTP/1.1 404 Not Found", "No such path: see /docs"),
        };
        let (line, body) = answer(&mut stream).await;
        assert_eq!((line.as_str(), body["message"].as_str()), (status, Some(message)), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_may_be_idle_until_the_idle_timeout() {
    // A pause longer than header_timeout is allowed, since no head has begun.
    let server = Server::with(|flags| flags.with("header_timeout", "50ms")).await;
    let mut stream = None;
    for _ in 0..50 {
        let fresh = connected(server.address, GOOD).await;
        let mut piece = [0; 1];
        if fresh.peek(&mut piece).await.is_ok_and(|length| length == 1) {
            stream = Some(BufReader::new(fresh));
            break;
        }
    }
    let mut stream = stream.expect("the machine is not always too busy");
    for _ in 0..3 {
        assert_eq!(answer(&mut stream).await.0, "HTTP/1.1 200 OK");
        tokio::time::sleep(PACE * 5).await;
        stream.write_all(GOOD.as_bytes()).await.expect("still open");
    }
    // Once the next head has begun, it has no more time than the first one.
    assert_eq!(answer(&mut stream).await.0, "HTTP/1.1 200 OK");
    stream.write_all(b"GET /hea").await.expect("still open");
    assert_eq!(until_ended(&mut stream).await, "");

    let server = Server::with(|flags| flags.with("idle_timeout", "300ms")).await;
    let mut stream = BufReader::new(connected(server.address, GOOD).await);
    assert_eq!(answer(&mut stream).await.0, "HTTP/1.1 200 OK");
    assert_eq!(until_ended(&mut stream).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_beyond_the_limit_waits_until_one_closes() {
    let server = Server::with(|flags| flags.with("max_connections", "2")).await;
    let mut inside = Vec::new();
    for _ in 0..2 {
        let mut stream = BufReader::new(connected(server.address, GOOD).await);
        assert_eq!(answer(&mut stream).await.0, "HTTP/1.1 200 OK");
        inside.push(stream);
    }
    let mut waiting = BufReader::new(connected(server.address, GOOD).await);
    let early = timeout(PACE * 10, waiting.fill_buf()).await;
    assert!(early.is_err(), "answered beyond the limit: {early:?}");
    drop(inside.pop());
    assert_eq!(answer(&mut waiting).await.0, "HTTP/1.1 200 OK");
    inside[0].write_all(GOOD.as_bytes()).await.expect("still open");
    assert_eq!(answer(&mut inside[0]).await.0, "HTTP/1.1 200 OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_closed_connection_is_answered_and_then_closed_at_once() {
    let server = Server::start().await;
    for (sent, answers) in [(GOOD, 1), (&GOOD.repeat(3), 3), (LAST, 1), ("", 0), ("GET /hea", 0)] {
        let mut stream = connected(server.address, sent).await;
        stream.shutdown().await.expect("closed");
        // An idle connection would stay open for 75 s, one with half a head for 10 s.
        let given = timeout(Duration::from_secs(5), until_ended(&mut stream)).await.expect("ended at once");
        assert_eq!(given.matches("HTTP/1.1 200 OK\r\n").count(), answers, "{sent:?}: {given:?}");
    }
    // A connection that is idle after its response, and whose client closes its side then.
    let mut stream = BufReader::new(connected(server.address, GOOD).await);
    assert_eq!(answer(&mut stream).await.0, "HTTP/1.1 200 OK");
    stream.get_mut().shutdown().await.expect("closed");
    assert_eq!(timeout(Duration::from_secs(5), until_ended(&mut stream)).await.expect("ended at once"), "");
}
