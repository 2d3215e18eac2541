//! Which addresses has a name? Asked of the system, on threads of its own: one that hangs must not take the place of a request's work.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, oneshot};

/// The most names that are looked up at once; what the system has not given up counts.
const MOST: usize = 32;

/// The stack of a thread that looks a name up.
const STACK: usize = 512 * 1024;

/// Knows the addresses of names; a test hands in one that lies.
pub trait Resolver: Send + Sync {
    /// The addresses of `name`, the best first.
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's own resolver, with its hosts file and its settings.
pub struct System(Arc<Semaphore>);

impl Default for System {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl Resolver for System {
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let (slots, name) = (Arc::clone(&self.0), name.to_owned());
        Box::pin(async move {
            let slot = slots.acquire_owned().await.map_err(io::Error::other)?;
            let (answer, answered) = oneshot::channel();
            let thread = std::thread::Builder::new().name("resolver".to_owned()).stack_size(STACK);
            thread.spawn(move || {
                let found = (name.as_str(), 0).to_socket_addrs();
                // Nobody waits any more when the try's time is over.
                let _ = answer.send(found.map(|found| found.map(|address| address.ip()).collect()));
                drop(slot);
            })?;
            answered.await.map_err(io::Error::other)?
        })
    }
}
