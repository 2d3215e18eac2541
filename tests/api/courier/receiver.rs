//! Webhook receivers, each with a behaviour of its own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::harness::within;

/// What the receiver does once it has read the request.
enum Manner {
    /// Writes these bytes and closes the connection.
    Answer(Vec<u8>),
    /// Writes the first if the request contains this word, else the second, and closes the connection.
    Choose(&'static str, [Vec<u8>; 2]),
    /// Writes the first, and then the second over and over.
    Endless(Vec<u8>, Vec<u8>),
    /// Writes these bytes, and then a byte every 100 ms.
    Drip(Vec<u8>),
    /// Does nothing.
    Silent,
}

#[derive(Default)]
struct Record {
    connections: AtomicUsize,
    open: AtomicUsize,
    most: AtomicUsize,
    requests: Mutex<Vec<String>>,
    ended: Notify,
}

/// A receiver on a port of its own, which stops with the test.
pub struct Receiver {
    pub address: SocketAddr,
    record: Arc<Record>,
    accepting: JoinHandle<()>,
}

impl Receiver {
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        Self::start("127.0.0.1:0", Manner::Answer(answer.into())).await
    }

    pub async fn answering_at(address: &str, answer: &str) -> Self {
        Self::start(address, Manner::Answer(answer.into())).await
    }

    /// Accepts requests that contain this word, and gives this response to all others.
    pub async fn liking(word: &'static str, other: &str) -> Self {
        Self::start("127.0.0.1:0", Manner::Choose(word, [b"HTTP/1.1 204 No Content\r\n\r\n".into(), other.into()]))
            .await
    }

    pub async fn endless(first: &str, again: String) -> Self {
        Self::start("127.0.0.1:0", Manner::Endless(first.into(), again.into())).await
    }

    pub async fn dripping(first: &str) -> Self {
        Self::start("127.0.0.1:0", Manner::Drip(first.into())).await
    }

    pub async fn silent() -> Self {
        Self::start("127.0.0.1:0", Manner::Silent).await
    }

    async fn start(address: &str, manner: Manner) -> Self {
        let bound = TcpListener::bind(address).await.expect("a port");
        let (address, record) = (bound.local_addr().expect("an address"), Arc::new(Record::default()));
        let (noting, manner) = (Arc::clone(&record), Arc::new(manner));
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = bound.accept().await.expect("a connection");
                noting.connections.fetch_add(1, Ordering::SeqCst);
                noting.most.fetch_max(noting.open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let (manner, noting) = (Arc::clone(&manner), Arc::clone(&noting));
                tokio::spawn(async move {
                    serve(stream, &manner, &noting).await;
                    noting.open.fetch_sub(1, Ordering::SeqCst);
                    noting.ended.notify_one();
                });
            }
        });
        Self { address, record, accepting }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.record.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.record.open.load(Ordering::SeqCst)
    }

    /// The largest number of connections that were open at once.
    pub fn most(&self) -> usize {
        self.record.most.load(Ordering::SeqCst)
    }

    /// The requests that it read.
    pub fn requests(&self) -> Vec<String> {
        self.record.requests.lock().expect("not poisoned").clone()
    }

    /// Waits until the client has ended a connection.
    pub async fn ended(&self) {
        within("the client ends the connection", self.record.ended.notified()).await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, manner: &Manner, record: &Record) {
    let Some(request) = read(&mut stream).await else { return };
    record.requests.lock().expect("not poisoned").push(request.clone());
    match manner {
        Manner::Answer(bytes) => {
            let _ = stream.write_all(bytes).await;
        }
        Manner::Choose(word, [liked, other]) => {
            let _ = stream.write_all(if request.contains(word) { liked } else { other }).await;
        }
        Manner::Endless(first, again) => {
            let _ = stream.write_all(first).await;
            while stream.write_all(again).await.is_ok() {}
        }
        Manner::Drip(first) => {
            let _ = stream.write_all(first).await;
            while stream.write_all(b"y").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Manner::Silent => {
            let _ = stream.read(&mut [0]).await;
        }
    }
}

/// A whole request, or nothing if the client disconnected first.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        if body.len() >= length.parse().expect("a number") {
            return Some(text.into_owned());
        }
    }
}
