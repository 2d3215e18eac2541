//! Makes the periodic backups when they are due, on a thread of its own.
//! This is a task of its own and no job, because a backup takes longer than the other jobs may wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::actions::periodic_backup::PeriodicBackups;

/// The scheduling priority of the thread: a copy and its verification leave the processor to requests.
const NICE: i32 = 10;

/// Makes backups until `stop`. Then one that is being copied is given up, and one that is being verified may take
/// `patience`; after that, the process ends without it.
pub async fn run(backups: Arc<PeriodicBackups>, stop: CancellationToken, patience: Duration) {
    let stopping = Arc::new(AtomicBool::new(false));
    let mut wait = backups.first_wait();
    while stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
        let mut next_wait = start(&backups, &stopping);
        tokio::select! {
            // A thread that panicked, or that could not be started, sends nothing.
            next = &mut next_wait => wait = next.unwrap_or_else(|_| {
                backups.failed("the thread that makes them ended early: see the log for the reason");
                backups.interval()
            }),
            () = stop.cancelled() => {
                stopping.store(true, Ordering::Relaxed);
                let _ = tokio::time::timeout(patience, next_wait).await;
                return;
            }
        }
    }
}

/// Makes one backup on a new thread, which sends how long to wait for the next. The threads of the runtime are not used:
/// they would keep the process from ending.
fn start(backups: &Arc<PeriodicBackups>, stopping: &Arc<AtomicBool>) -> oneshot::Receiver<Duration> {
    let (send, next_wait) = oneshot::channel();
    let (backups, stopping) = (Arc::clone(backups), Arc::clone(stopping));
    let work = move || {
        // On Linux, this is the priority of the thread, not of the process.
        let _ = rustix::process::setpriority_process(None, NICE);
        let _ = send.send(backups.run(&stopping));
    };
    if let Err(error) = thread::Builder::new().name("backup".to_owned()).spawn(work) {
        tracing::warn!(%error, "no thread could be started for a backup");
    }
    next_wait
}
