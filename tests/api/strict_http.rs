//! The rules of RFC 9112 (2.2 and 3.2) for a request's head are enforced, and nothing else is taken for a head.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Answer, Server, blocking, raw};

async fn refused(server: &Server, request: &str, why: &str) {
    let answer = raw(server.address, request.to_owned()).await;
    assert_eq!(answer.refusal(), (400, "INVALID_REQUEST".to_owned()), "{request:?}");
    let body: Value = answer.json();
    let message = body["message"].as_str().or_else(|| body["errors"][0].as_str()).expect("a message");
    assert!(message.contains(why), "{message} does not say {why}");
    assert_eq!(answer.headers["connection"], "close", "{request:?}");
    assert!(answer.headers.contains_key("x-request-id"), "{request:?}");
}

async fn taken(server: &Server, request: &str) -> Answer {
    let answer = raw(server.address, request.to_owned()).await;
    assert_eq!(answer.status.as_u16(), 200, "{request:?}: {answer:?}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_must_have_exactly_one_host() {
    let server = Server::start().await;
    let close = "Connection: close\r\n\r\n";
    for path in ["/health", "/api/nowhere", "/nowhere", "/docs", "/console/", "/metrics", "/api/api-keys/verify"] {
        refused(&server, &format!("GET {path} HTTP/1.1\r\n{close}"), "no Host").await;
        refused(&server, &format!("GET {path} HTTP/1.1\r\nHost: a\r\nHost: a\r\n{close}"), "more than one Host").await;
    }
    for host in ["a b", "user@a", "a/b", "a:b:c", "a, b"] {
        refused(&server, &format!("GET /health HTTP/1.1\r\nHost: {host}\r\n{close}"), "Host header").await;
    }
    refused(&server, &format!("GET http://a/health HTTP/1.1\r\n{close}"), "no Host").await;
    for host in ["a", "a:80", "127.0.0.1:3000", "[::1]:3000", "", "xn--bcher-kva.example", "under_score"] {
        taken(&server, &format!("GET /health HTTP/1.1\r\nHost: {host}\r\n{close}")).await;
    }
    let absolute = format!("GET http://a/health HTTP/1.1\r\nhOST: a\r\n{close}").into_bytes();
    assert_eq!(statuses(server.address, vec![absolute]).await, [200]);
    // HTTP/1.0 has no Host; health checks use it.
    taken(&server, "GET /health HTTP/1.0\r\n\r\n").await;
    refused(&server, "GET /health HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "more than one Host").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_of_a_head_must_end_in_cr_lf() {
    let server = Server::start().await;
    let good = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    taken(&server, good).await;
    for (at, _) in good.match_indices("\r\n") {
        let bare = format!("{}{}", &good[..at], &good[at + 1..]);
        refused(&server, &bare, "CR LF").await;
    }
    refused(&server, "GET /api/nowhere HTTP/1.1\nHost: a\n\n", "CR LF").await;
    for (before, status) in [("\n", 400), ("\r\n", 200)] {
        let request = format!("{before}{good}").into_bytes();
        assert_eq!(statuses(server.address, vec![request]).await, [status], "{before:?} before the first line");
    }
    refused(&server, "GET /health HTTP/1.0\n\n", "CR LF").await;
}

/// Sends pieces one after the other. Returns the statuses of all responses until the server closes the connection.
async fn statuses(address: SocketAddr, pieces: Vec<Vec<u8>>) -> Vec<u16> {
    blocking(move || {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("at once");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
        for piece in pieces {
            if stream.write_all(&piece).is_err() {
                break;
            }
        }
        let mut received = Vec::new();
        let _ = stream.read_to_end(&mut received);
        let text = String::from_utf8_lossy(&received).into_owned();
        let answers = text.split("HTTP/1.1 ").skip(1);
        answers.map(|answer| answer[..3].parse().expect("a status")).collect()
    })
    .await
}

/// A request without a credential, with a body.
fn post(headers: &str, body: &str) -> String {
    format!("POST /systemevent HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{headers}\r\n{body}")
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_checked_wherever_they_start_and_bodies_never() {
    let server = Server::start().await;
    // Its lines end in LF only.
    let body = "{\n\n\"take\": 1\n}\n\n";
    let length = post(&format!("Content-Length: {}\r\n", body.len()), body);
    let (first, second) = body.split_at(7);
    let chunks =
        format!("{:x};a=b\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\nTrailer: c\r\n\r\n", first.len(), second.len());
    let chunked = post("Transfer-Encoding: chunked\r\n", &chunks);
    let get = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
    let bare = "GET /health HTTP/1.1\r\nHost: a\n\r\n";
    let last = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let cases: [(&[&str], &[u16]); 8] = [
        (&[&length, get, last], &[401, 200, 200]),
        (&[&chunked, get, last], &[401, 200, 200]),
        (&[&chunked, &length, &chunked, last], &[401, 401, 401, 200]),
        (&[get, get, get, last], &[200, 200, 200, 200]),
        (&[&length, bare, last], &[401, 400]),
        (&[&chunked, bare, last], &[401, 400]),
        (&[get, get, bare, last], &[200, 200, 400]),
        (&[bare, last], &[400]),
    ];
    for (requests, expected) in cases {
        let all = requests.concat().into_bytes();
        let whole = statuses(server.address, vec![all.clone()]).await;
        assert_eq!(whole, expected, "{requests:?}");
        let each = requests.iter().map(|request| request.as_bytes().to_vec()).collect();
        assert_eq!(statuses(server.address, each).await, expected, "{requests:?}");
        let bytes = all.iter().map(|byte| vec![*byte]).collect();
        assert_eq!(statuses(server.address, bytes).await, expected, "byte by byte: {requests:?}");
        for at in (0..all.len()).step_by(5) {
            let halves = vec![all[..at].to_vec(), all[at..].to_vec()];
            assert_eq!(statuses(server.address, halves).await, expected, "cut at {at}: {requests:?}");
        }
    }
}
