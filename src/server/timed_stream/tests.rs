//! In-memory clients, some of them slow, under short deadlines.

use std::convert::Infallible;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;

use super::*;

/// Far beyond every deadline here: reached only if a deadline is missed.
const NEVER: Duration = Duration::from_secs(20);

/// A short idle timeout; the other timeouts are long.
const IDLE: Timeouts = Timeouts { head: NEVER, request: NEVER, idle: Duration::from_millis(50) };

async fn serve(stream: DuplexStream, deadlines: Timeouts, last: bool) -> hyper::Result<()> {
    let deadlines = ConnectionDeadlines::new(deadlines);
    let on_request = Arc::clone(&deadlines);
    let service = service_fn(move |request: Request<Incoming>| {
        let deadlines = Arc::clone(&on_request);
        async move {
            deadlines.answering();
            // As with an action on another thread, the connection's task yields and is woken again.
            tokio::task::yield_now().await;
            drop(request);
            let response = Response::builder().header("connection", if last { "close" } else { "keep-alive" });
            let body = deadlines.answered(last, format!("{}done", "x".repeat(2_000)));
            Ok::<_, Infallible>(response.body(body).expect("a response"))
        }
    });
    http1::Builder::new().serve_connection(TokioIo::new(TimedStream::new(stream, deadlines)), service).await
}

#[test]
fn a_connection_is_busy_from_a_complete_head_until_its_response_is_sent() {
    for last in [false, true] {
        let deadlines = ConnectionDeadlines::new(IDLE);
        deadlines.received();
        assert!(!deadlines.is_busy(), "the head is not complete");
        deadlines.answering();
        assert!(deadlines.is_busy());
        let body = deadlines.answered(last, String::new());
        assert!(deadlines.is_busy(), "a stop would cut off the response");
        drop(body);
        assert!(deadlines.is_busy(), "the rest of the response is not sent");
        deadlines.sent();
        assert_eq!(deadlines.is_busy(), last, "a connection that closes is busy until it is closed");
    }
}

#[tokio::test]
async fn a_connection_with_an_immediate_request_is_closed_when_idle() {
    let (mut client, server) = duplex(4_096);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
    // On a separate task, which only its own timer wakes.
    let serving = tokio::spawn(serve(server, IDLE, false));
    timeout(NEVER / 2, serving).await.expect("it ends").expect("it runs").expect("in order");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("read");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("done"), "{answer}");
}

#[tokio::test]
async fn a_client_that_reads_slowly_but_steadily_is_not_idle() {
    let (mut client, server) = duplex(64);
    let serving = tokio::spawn(serve(server, IDLE, false));
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
    let (mut answer, mut piece) = (Vec::new(), [0; 64]);
    let mut deadlines = tokio::time::interval(IDLE.idle / 8);
    loop {
        deadlines.tick().await;
        match timeout(NEVER, client.read(&mut piece)).await.expect("it ends").expect("read") {
            0 => break,
            length => answer.extend_from_slice(&piece[..length]),
        }
    }
    assert!(answer.ends_with(b"done"), "{} bytes", answer.len());
    serving.await.expect("it runs").expect("in order");
}

#[tokio::test]
async fn a_client_that_reads_slowly_but_steadily_gets_all_of_a_long_response() {
    // Less than the whole response takes. The machine may be too busy for one step of it, but not over and over.
    let deadlines = Timeouts { head: NEVER, request: Duration::from_millis(200), idle: NEVER };
    for _ in 0..20 {
        let (mut client, server) = duplex(64);
        let serving = tokio::spawn(serve(server, deadlines, true));
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
        let (mut answer, mut piece) = (Vec::new(), [0; 64]);
        while let Ok(length @ 1..) = timeout(NEVER, client.read(&mut piece)).await.expect("it ends") {
            answer.extend_from_slice(&piece[..length]);
            tokio::time::sleep(deadlines.request / 20).await;
        }
        let _ = serving.await.expect("it runs");
        if answer.ends_with(b"done") {
            return;
        }
    }
    panic!("the response is cut off");
}

/// Serves a body that pauses for `pause` before each of its `pieces` pieces.
async fn serve_in_pieces(stream: DuplexStream, deadlines: Timeouts, pieces: usize, pause: Duration, size: usize) {
    let deadlines = ConnectionDeadlines::new(deadlines);
    let on_request = Arc::clone(&deadlines);
    let service = service_fn(move |_: Request<Incoming>| {
        on_request.answering();
        let body = futures_util::stream::unfold(0, move |given| async move {
            tokio::time::sleep(pause).await;
            (given < pieces).then(|| (Ok::<_, std::io::Error>("x".repeat(size)), given + 1))
        });
        let body: poem::Response = poem::Body::from_bytes_stream(body).into();
        let response = hyper::Response::from(body);
        let response = response.map(|body| on_request.answered(false, body));
        async move { Ok::<_, Infallible>(response) }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(TimedStream::new(stream, deadlines)), service).await;
}

#[tokio::test]
async fn a_response_that_pauses_is_not_idle_until_it_has_ended() {
    let (mut client, server) = duplex(4_096);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
    let serving = tokio::spawn(serve_in_pieces(server, IDLE, 3, IDLE.idle * 3, 4));
    let mut answer = String::new();
    timeout(NEVER / 2, client.read_to_string(&mut answer)).await.expect("it ends").expect("read");
    assert_eq!(answer.matches("xxxx").count(), 3, "{answer}");
    assert!(answer.ends_with("0\r\n\r\n"), "{answer}");
    timeout(NEVER / 2, serving).await.expect("it ends").expect("it runs");
}

#[tokio::test]
async fn an_endless_response_that_nobody_reads_is_aborted() {
    let (mut client, server) = duplex(64);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
    let deadlines = Timeouts { request: Duration::from_millis(50), idle: NEVER, ..IDLE };
    let serving = serve_in_pieces(server, deadlines, usize::MAX, Duration::ZERO, 1_000);
    timeout(NEVER / 2, serving).await.expect("it ends");
}

#[tokio::test]
async fn the_rest_of_a_refused_request_is_discarded_until_the_client_closes() {
    let (mut client, server) = duplex(64);
    let serving = tokio::spawn(serve(server, IDLE, true));
    client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n").await.expect("written");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("read");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("done"), "{answer}");
    client.write_all(&[b'x'; 10_000]).await.expect("taken although nobody wants it");
    drop(client);
    timeout(NEVER, serving).await.expect("it ends").expect("it runs").expect("in order");
}

#[tokio::test]
async fn what_follows_a_malformed_head_is_discarded_until_the_client_closes() {
    let (mut client, server) = duplex(64);
    let serving = tokio::spawn(serve(server, IDLE, false));
    client.write_all(b"GET / HTTP/1.1\r\nno header\r\n\r\n").await.expect("written");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("read");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    client.write_all(&[b'x'; 10_000]).await.expect("taken although nobody wants it");
    drop(client);
    assert!(timeout(NEVER, serving).await.expect("it ends").expect("it runs").is_err(), "hyper reports the head");
}

#[tokio::test]
async fn a_refused_client_that_keeps_sending_is_disconnected() {
    let (mut client, server) = duplex(4_096);
    let deadlines = Timeouts { request: Duration::from_millis(50), ..IDLE };
    let serving = tokio::spawn(serve(server, deadlines, true));
    client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n").await.expect("written");
    let flood = async { while client.write_all(&[b'x'; 64]).await.is_ok() {} };
    timeout(NEVER / 2, flood).await.expect("it ends");
    serving.await.expect("it runs").expect("in order");
}
