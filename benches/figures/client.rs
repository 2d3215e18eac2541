//! A blocking HTTP client with one connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::load;

/// A connection that stays open while requests are sent on it, one after the other.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The response to a request.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Head and body.
    pub text: String,
    /// How long it took.
    pub took: Duration,
}

impl Client {
    /// Connects.
    pub fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, buffer: vec![0; 64 * 1_024] }
    }

    /// Sends a request and reads the complete response.
    pub fn ask(&mut self, request: &[u8]) -> Answer {
        let sent = Instant::now();
        self.stream.write_all(request).expect("sent");
        let mut filled = 0;
        while load::whole(&self.buffer[..filled]).is_none() {
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
            let read = self.stream.read(&mut self.buffer[filled..]).expect("an answer");
            assert_ne!(read, 0, "the connection ended early");
            filled += read;
        }
        let (took, text) = (sent.elapsed(), String::from_utf8_lossy(&self.buffer[..filled]).into_owned());
        let status = text.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, text, took }
    }
}

/// Returns the given percentile of the times, and sorts them.
pub fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len() * percent / 100).copied().unwrap_or_default()
}
