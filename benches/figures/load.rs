//! Many clients on one thread, so that they take as little as they can of the cores that they share with the server.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use crate::http::AsyncClient;
use crate::machine::percentile;
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
    let count = u32::try_from(times.len()).expect("a number").max(1);
    let (median, p99) = (percentile(&mut times, 50), percentile(&mut times, 99));
    Load { rate: f64::from(count) / took.as_secs_f64(), median, p99, cpu: cpu / count }
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
    let (mut client, mut times) = (AsyncClient::new(address).await, Vec::new());
    loop {
        // Taken in a statement of its own: the next await must not hold it.
        let request = (next.borrow_mut())();
        let Some(request) = request else { return times };
        let answer = client.ask(&request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        times.push(answer.took);
    }
}
