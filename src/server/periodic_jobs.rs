//! Runs the periodic jobs of the server.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::actions::jobs::Jobs;

/// Runs the jobs that are due at each tick until `stop`, one tick after the other.
pub async fn run(jobs: Arc<Jobs>, tick: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(tick);
    ticks.tick().await;
    let mut number = 0_u32;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let running = Arc::clone(&jobs);
        let failures = spawn_blocking(move || running.run_due(number)).await;
        for (job, error) in failures.unwrap_or_default() {
            tracing::warn!(job, %error, "a periodic job failed; it runs again when it is next due");
        }
        number = number.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tempfile::TempDir;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::actions::admin;
    use crate::domain::time::{Clock, Time};
    use crate::engine::environment::Environment;
    use crate::engine::limits::Limits;
    use crate::engine::system;
    use crate::store::{self, Options, Room, Store};

    const NOW: Time = Time::from_millis(1_705_314_600_000);

    /// A clock that counts how often it is read, which is at least once in each tick.
    struct Counting(AtomicUsize);

    impl Clock for Counting {
        fn now(&self) -> Time {
            self.0.fetch_add(1, Ordering::Relaxed);
            NOW
        }
    }

    async fn until(what: &str, is_so: impl Fn() -> bool) {
        let looking = async {
            while !is_so() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_mins(1), looking).await.unwrap_or_else(|_| panic!("not within a minute: {what}"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_jobs_run_again_and_again_after_failures_too_until_the_stop() {
        let folder = TempDir::new().expect("a folder");
        let options = Options { path: folder.path().join("a.db"), readers: 1, room: Room::new(0, 0) };
        let room = Arc::clone(&options.room.limit);
        let store = Store::open(&options).expect("a store");
        let clock = Arc::new(Counting(AtomicUsize::new(0)));
        let env = Environment::new(Arc::clone(&clock) as Arc<dyn Clock>, || [7; 32]);
        let (app, system) = system::start(store, env, Limits::default()).expect("a system");
        let (system, hour) = (Arc::new(system), NOW.hour());
        let org = admin::create_org(&system, "acme").expect("an organization").id;
        let (jobs, stop) = (Arc::new(Jobs::new(Arc::clone(&system), 0)), CancellationToken::new());
        let running = tokio::spawn(run(jobs, Duration::from_millis(1), stop.clone()));
        // One of the jobs writes how many calls there were.
        let written = || {
            let counts = system.read(|tx| Ok(store::hourly_count::list(tx, org, hour, hour)?)).expect("counts");
            counts.iter().map(|count| count.count).sum::<i64>()
        };
        app.count_call(org, 200);
        until("the jobs run", || written() == 1).await;
        room.store(1, Ordering::Relaxed);
        app.count_call(org, 200);
        let before = clock.0.load(Ordering::Relaxed);
        until("the jobs fail several times", || clock.0.load(Ordering::Relaxed) > before + 100).await;
        assert_eq!(written(), 1, "there is no room");
        room.store(0, Ordering::Relaxed);
        until("the jobs run again", || written() == 2).await;
        stop.cancel();
        timeout(Duration::from_mins(1), running).await.expect("it ends").expect("it runs");
    }
}
