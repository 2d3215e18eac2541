//! Load from many clients on one thread, which takes as little as possible of the cores that it shares with the server.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use crate::http::AsyncClient;
use crate::machine::percentile;
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
    pub cpu: Duration,
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
    let count = u32::try_from(times.len()).expect("a number").max(1);
    let (median, p99) = (percentile(&mut times, 50), percentile(&mut times, 99));
    Load { rate: f64::from(count) / took.as_secs_f64(), median, p99, cpu: cpu / count }
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
    let (mut client, mut times) = (AsyncClient::new(address).await, Vec::new());
    loop {
        // Taken in a statement of its own, so that the borrow is not held across the next await.
        let request = (next.borrow_mut())();
        let Some(request) = request else { return times };
        let answer = client.ask(&request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        times.push(answer.took);
    }
}
