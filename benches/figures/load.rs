//! Many clients on one thread, so that they take as little as they can of the cores that they share with the server.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::program::Program;
use crate::report;

/// Connections that are kept open while requests are sent on them, one after the other.
pub const CONNECTIONS: usize = 64;

/// What a load came to.
pub struct Load {
    /// Answers a second.
    pub rate: f64,
    /// The time within which half of the answers came.
    pub median: Duration,
    /// The time within which 99 of 100 did.
    pub p99: Duration,
    /// The server's processor time for each.
    cpu: Duration,
}

impl Load {
    /// The load in words.
    pub fn text(&self) -> String {
        let (median, p99) = (report::ms(self.median), report::ms(self.p99));
        let rate = report::rate(self.rate);
        format!("{rate}, median {median}, p99 {p99}, {} µs of a core each", self.cpu.as_micros())
    }
}

/// Gives the next request to send; nothing when it is enough.
type Next = Rc<RefCell<dyn FnMut() -> Option<Rc<[u8]>>>>;

/// Sends what `next` gives over [`CONNECTIONS`] connections until it gives nothing more. Every answer must be a 200.
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

/// Sends one request again and again, first a little to warm up, then for `time`.
pub fn repeat(server: &Program, request: &[u8], time: Duration) -> Load {
    let request: Rc<[u8]> = Rc::from(request);
    let send_for = |time: Duration| {
        let (request, end) = (Rc::clone(&request), Instant::now() + time);
        run(server, move || (Instant::now() < end).then(|| Rc::clone(&request)))
    };
    send_for(time / 5);
    send_for(time)
}

/// The load with the middle rate.
pub fn middle(mut loads: Vec<Load>) -> Load {
    loads.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let middle = loads.len() / 2;
    loads.swap_remove(middle)
}

/// One connection; gives how long each answer took.
async fn client(address: SocketAddr, next: Next) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let (mut times, mut buffer, mut filled) = (Vec::new(), vec![0; 64 * 1_024], 0);
    loop {
        // Taken in a statement of its own: the next await must not hold it.
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

/// The length of an answer, once all of it is there.
pub fn whole(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let mut lines = bytes[..head].split(|byte| *byte == b'\n');
    let length = lines.find_map(|line| line.strip_prefix(b"content-length: "))?;
    let length: usize = std::str::from_utf8(length).ok()?.trim().parse().ok()?;
    let end = head + 4 + length;
    (bytes.len() >= end).then_some(end)
}
