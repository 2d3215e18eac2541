//! Resolves host names with the system's resolver, on separate threads, so that a lookup that hangs does not block
//! requests.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, oneshot};

/// The maximum number of concurrent lookups, including those that nobody waits for any more.
const MOST: usize = 32;

/// The stack size of a lookup thread.
const STACK: usize = 512 * 1024;

/// Resolves host names. Tests pass in their own implementation.
pub trait Resolver: Send + Sync {
    /// Returns the addresses of `name`, the preferred one first.
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver, with its hosts file and settings.
pub struct SystemResolver(Arc<Semaphore>);

impl Default for SystemResolver {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl Resolver for SystemResolver {
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let (slots, name) = (Arc::clone(&self.0), name.to_owned());
        Box::pin(async move {
            let slot = slots.acquire_owned().await.map_err(io::Error::other)?;
            let (answer, answered) = oneshot::channel();
            let thread = std::thread::Builder::new().name("resolver".to_owned()).stack_size(STACK);
            thread.spawn(move || {
                let found = (name.as_str(), 0).to_socket_addrs();
                // Nobody waits for the result after the attempt has timed out.
                let _ = answer.send(found.map(|found| found.map(|address| address.ip()).collect()));
                drop(slot);
            })?;
            answered.await.map_err(io::Error::other)?
        })
    }
}
