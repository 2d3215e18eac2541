//! How is a server asked? Requests as they are written, and clients that send one after the other on a connection that stays open.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The length of a buffer before an answer needs more.
const BUFFER: usize = 4 * 1_024;

/// A request without a body: its method and path, and its headers.
pub fn request(operation: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("{operation} HTTP/1.1\r\n");
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    (text + "\r\n").into_bytes()
}

/// A request that posts JSON, with its headers but those of the body.
pub fn post(path: &str, headers: &[(&str, &str)], json: &str) -> Vec<u8> {
    let length = json.len().to_string();
    let of_body = [("content-type", "application/json"), ("content-length", length.as_str())];
    let mut bytes = request(&format!("POST {path}"), &[headers, &of_body].concat());
    bytes.extend_from_slice(json.as_bytes());
    bytes
}

/// Sends a request on a connection of its own; the answer is still to be read.
pub fn send(address: SocketAddr, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    stream.write_all(request).expect("sent");
    stream
}

/// Sends a request on a connection of its own and gives the answer's status and its head and body.
pub fn call(address: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut client = Client::new(address);
    let answer = client.ask(request);
    (answer.status, answer.text())
}

/// A client with one connection, on a thread of its own.
pub struct Client {
    stream: TcpStream,
    answer: Buffer,
}

impl Client {
    /// Connects.
    pub fn new(address: SocketAddr) -> Self {
        Self { stream: send(address, &[]), answer: Buffer::default() }
    }

    /// Sends a request and waits for all of the answer.
    pub fn ask(&mut self, request: &[u8]) -> Answer<'_> {
        let sent = Instant::now();
        self.stream.write_all(request).expect("sent");
        self.answer.filled = 0;
        while !self.answer.is_whole() {
            let read = self.stream.read(self.answer.room()).expect("an answer");
            self.answer.fill(read);
        }
        self.answer.read(sent.elapsed())
    }
}

/// One of many clients on a thread.
pub struct AsyncClient {
    stream: tokio::net::TcpStream,
    answer: Buffer,
}

impl AsyncClient {
    /// Connects.
    pub async fn new(address: SocketAddr) -> Self {
        let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, answer: Buffer::default() }
    }

    /// Sends a request and waits for all of the answer.
    pub async fn ask(&mut self, request: &[u8]) -> Answer<'_> {
        let sent = Instant::now();
        self.stream.write_all(request).await.expect("sent");
        self.answer.filled = 0;
        while !self.answer.is_whole() {
            let read = self.stream.read(self.answer.room()).await.expect("an answer");
            self.answer.fill(read);
        }
        self.answer.read(sent.elapsed())
    }
}

/// What a server answered.
pub struct Answer<'b> {
    /// The status.
    pub status: u16,
    /// How long it took.
    pub took: Duration,
    bytes: &'b [u8],
}

impl Answer<'_> {
    /// The head and the body.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes).into_owned()
    }
}

/// What has come of an answer.
struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { bytes: vec![0; BUFFER], filled: 0 }
    }
}

impl Buffer {
    /// Where more of it goes.
    fn room(&mut self) -> &mut [u8] {
        if self.filled == self.bytes.len() {
            self.bytes.resize(self.filled * 2, 0);
        }
        &mut self.bytes[self.filled..]
    }

    fn fill(&mut self, read: usize) {
        assert_ne!(read, 0, "the connection ended early");
        self.filled += read;
    }

    fn is_whole(&self) -> bool {
        is_whole(&self.bytes[..self.filled]).unwrap_or(false)
    }

    fn read(&self, took: Duration) -> Answer<'_> {
        let bytes = &self.bytes[..self.filled];
        let status = bytes.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        Answer { status: status.expect("a status"), took, bytes }
    }
}

/// Whether all of an answer is there, once its head is.
fn is_whole(bytes: &[u8]) -> Option<bool> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let mut lines = bytes[..head].split(|byte| *byte == b'\n');
    let length = lines.find_map(|line| line.strip_prefix(b"content-length: "))?;
    let length: usize = std::str::from_utf8(length).ok()?.trim().parse().ok()?;
    Some(bytes.len() >= head + 4 + length)
}
