//! Load from many clients on one thread, which takes as little as possible of the cores that it shares with the server.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::program::Program;
use crate::report;

/// Connections that stay open while requests are sent on them, one after the other.
pub const CONNECTIONS: usize = 64;

/// The result of a load.
pub struct Load {
    /// Responses per second.
    pub rate: f64,
    /// The median response time.
    pub median: Duration,
    /// The 99th percentile of the response times.
    pub p99: Duration,
    /// The server's processor time per request.
    cpu: Duration,
}

impl Load {
    /// Describes the load.
    pub fn text(&self) -> String {
        let (median, p99) = (report::ms(self.median), report::ms(self.p99));
        let rate = report::rate(self.rate);
        format!("{rate}, median {median}, p99 {p99}, {} µs of a core each", self.cpu.as_micros())
    }
}

/// Returns the next request to send, or `None` when there are no more.
type Next = Rc<RefCell<dyn FnMut() -> Option<Rc<[u8]>>>>;

/// Sends the requests from `next` over [`CONNECTIONS`] connections until there are no more. Every response must have
/// status 200.
pub fn run(server: &Program, next: impl FnMut() -> Option<Rc<[u8]>> + 'static) -> Load {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let (next, clients): (Next, _) = (Rc::new(RefCell::new(next)), LocalSet::new());
    let (cpu, started) = (server.cpu(), Instant::now());
    let mut times = runtime.block_on(clients.run_until(async {
        let clients: Vec<_> =
            (0..CONNECTIONS).map(|_| tokio::task::spawn_local(client(server.address, Rc::clone(&next)))).collect();
        let mut times = Vec::new();
        for client in clients {
            times.extend(client.await.expect("a client"));
        }
        times
    }));
    let (took, cpu) = (started.elapsed(), server.cpu().saturating_sub(cpu));
    times.sort_unstable();
    let count = u32::try_from(times.len()).expect("a number").max(1);
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    Load { rate: f64::from(count) / took.as_secs_f64(), median: at(50), p99: at(99), cpu: cpu / count }
}

/// Sends one request repeatedly, first as a short warm-up, then for `time`.
pub fn repeat(server: &Program, request: &[u8], time: Duration) -> Load {
    let request: Rc<[u8]> = Rc::from(request);
    let send_for = |time: Duration| {
        let (request, end) = (Rc::clone(&request), Instant::now() + time);
        run(server, move || (Instant::now() < end).then(|| Rc::clone(&request)))
    };
    send_for(time / 5);
    send_for(time)
}

/// Returns the load with the middle rate.
pub fn middle(mut loads: Vec<Load>) -> Load {
    loads.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let middle = loads.len() / 2;
    loads.swap_remove(middle)
}

/// Drives one connection; returns how long each response took.
async fn client(address: SocketAddr, next: Next) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let (mut times, mut buffer, mut filled) = (Vec::new(), vec![0; 64 * 1_024], 0);
    loop {
        // Taken in a statement of its own, so that the borrow is not held across the next await.
        let request = (next.borrow_mut())();
        let Some(request) = request else { return times };
        let sent = Instant::now();
        stream.write_all(&request).await.expect("sent");
        while whole(&buffer[..filled]).is_none() {
            if filled == buffer.len() {
                buffer.resize(filled * 2, 0);
            }
            let read = stream.read(&mut buffer[filled..]).await.expect("an answer");
            assert_ne!(read, 0, "the connection ended early");
            filled += read;
        }
        times.push(sent.elapsed());
        assert!(buffer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&buffer[..filled]));
        filled = 0;
    }
}

/// Returns the length of a response once it is complete.
pub fn whole(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let mut lines = bytes[..head].split(|byte| *byte == b'\n');
    let length = lines.find_map(|line| line.strip_prefix(b"content-length: "))?;
    let length: usize = std::str::from_utf8(length).ok()?.trim().parse().ok()?;
    let end = head + 4 + length;
    (bytes.len() >= end).then_some(end)
}
