//! The courier: a task that sends webhook deliveries. It reads what is pending, attempts what its schedule chooses, and
//! records the results.

mod backoff;
mod connect;
mod http_sender;
mod notifier;
mod outages;
mod resolver;
pub mod schedule;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

pub use http_sender::HttpSender;
pub use notifier::DeliveryNotifier;
use outages::Outages;
pub use resolver::{Resolver, SystemResolver};
use schedule::{LOOK, MAX_IN_FLIGHT, Schedule, TOGETHER};

use super::panicked;
use crate::actions::delivery::{self, DeliveryCandidates};
use crate::domain::delivery::{Attempt, Outcome, Tried};
use crate::domain::id::{DeliveryId, WebhookId};
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::engine::system::System;

/// How long attempts in flight may still take when the server stops. Attempts that are aborted are retried after the
/// next start.
const LAST: Duration = Duration::from_secs(1);

/// The outcome of an attempt that was aborted, which only a bug can cause.
const BROKEN: Outcome = Outcome::Failed { why: "the attempt was aborted by an internal error" };

/// The courier and its attempts in flight.
pub struct Courier {
    system: Arc<System>,
    sender: Arc<HttpSender>,
    notifier: DeliveryNotifier,
    schedule: Schedule,
    tries: JoinSet<Outcome>,
    attempts: HashMap<Id, (Arc<Attempt>, AbortHandle)>,
    /// Results that are not on disk yet. While there are any, no new attempt begins, because its result could not be
    /// stored.
    unrecorded: Vec<Tried>,
    /// The webhooks whose secret cannot be decrypted, which was already logged.
    unopened: HashSet<WebhookId>,
    outages: Outages,
}

/// The attempts that were in flight when the server stopped.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttemptsAtStop {
    /// How many ended in time.
    pub finished: usize,
    /// How many were aborted. They are made again after the next start.
    pub aborted: usize,
}

impl Courier {
    /// Creates a courier for the deliveries of `system`, which sends with `sender` and is woken by `notifier`.
    #[must_use]
    pub fn new(system: Arc<System>, sender: HttpSender, notifier: DeliveryNotifier) -> Self {
        Self {
            system,
            sender: Arc::new(sender),
            notifier,
            schedule: Schedule::new(MAX_IN_FLIGHT),
            tries: JoinSet::new(),
            attempts: HashMap::new(),
            unrecorded: Vec::new(),
            unopened: HashSet::new(),
            outages: Outages::default(),
        }
    }

    /// Sends what is due until `stop`. Returns what became of the attempts in flight.
    pub async fn run(mut self, stop: CancellationToken) -> AttemptsAtStop {
        while self.round(&stop).await {}
        let in_flight = self.attempts.len();
        let _ = timeout(LAST, async {
            while let Some(ended) = self.tries.join_next_with_id().await {
                self.take_in(ended);
            }
        })
        .await;
        let aborted = self.attempts.len();
        self.tries.shutdown().await;
        self.record().await;
        AttemptsAtStop { finished: in_flight - aborted, aborted }
    }

    /// Begins what is due, waits until something happens, and records it. Returns `false` when it is time to stop. Only
    /// the waiting is cancelled, so no outcome is recorded twice.
    async fn round(&mut self, stop: &CancellationToken) -> bool {
        let began = Instant::now();
        let next = self.look().await;
        let pause = Schedule::pause(began.elapsed());
        tokio::select! {
            () = self.notifier.notified() => {}
            Some(ended) = self.tries.join_next_with_id() => self.take_in(ended),
            () = sleep_until(next) => {}
            () = stop.cancelled() => return false,
        }
        let going_on = stop.run_until_cancelled(sleep(pause)).await.is_some();
        while let Some(ended) = self.tries.try_join_next_with_id() {
            self.take_in(ended);
        }
        self.record().await;
        if self.notifier.is_hurried() {
            self.schedule.end_backoffs();
        }
        going_on
    }

    /// Begins what is due and has a slot. Returns when to look again if nothing happens before.
    async fn look(&mut self) -> Instant {
        let now = Instant::now();
        let idle = now + LOOK;
        if !self.unrecorded.is_empty() {
            return idle;
        }
        match self.begin_due(now).await {
            Ok(next) => {
                [Some(idle), next, self.schedule.next_backoff_end(now)].into_iter().flatten().min().unwrap_or(idle)
            }
            Err(problem) => {
                tracing::warn!(problem, "due webhook deliveries could not be read; retrying");
                idle
            }
        }
    }

    /// Begins what is due and has a slot. Returns when the next delivery is due.
    async fn begin_due(&mut self, now: Instant) -> Result<Option<Instant>, String> {
        let in_flight = self.schedule.in_flight();
        let DeliveryCandidates { webhooks, unopened, ended } =
            self.ask(move |system| delivery::candidates(system, &in_flight)).await?;
        self.warn(unopened);
        self.break_off(&ended);
        let clock = delivery::now(&self.system);
        let choice = self.schedule.choose(&webhooks, clock, now);
        if !choice.deliveries.is_empty() {
            for attempt in self.ask(move |system| delivery::attempts(system, &choice.deliveries)).await? {
                self.begin(attempt);
            }
        }
        let until = |due: Time| Duration::from_millis(u64::try_from(due.millis() - clock.millis()).unwrap_or(0));
        Ok(choice.next.map(|due| now + until(due).max(TOGETHER)))
    }

    /// Runs blocking work on a blocking thread.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&System) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, String> {
        let system = Arc::clone(&self.system);
        let asked = spawn_blocking(move || work(&system)).await;
        asked.map_err(|ended| panicked(&ended).to_owned())?.map_err(|error| error.to_string())
    }

    /// Logs each webhook whose secret cannot be decrypted, once until that changes.
    fn warn(&mut self, unopened: Vec<WebhookId>) {
        for webhook in news(&mut self.unopened, unopened) {
            tracing::warn!(%webhook, "a webhook is paused: its secret was changed in the database and cannot be decrypted; rotate the secret");
        }
    }

    fn begin(&mut self, attempt: Attempt) {
        self.schedule.begin(attempt.in_flight());
        let (sender, attempt) = (Arc::clone(&self.sender), Arc::new(attempt));
        let own = Arc::clone(&attempt);
        let task = self.tries.spawn(async move { sender.send(&own).await });
        self.attempts.insert(task.id(), (attempt, task));
    }

    /// Aborts attempts of deliveries that have ended, so that they do not hold a slot. Their results are not recorded.
    fn break_off(&mut self, ended: &[DeliveryId]) {
        self.attempts.retain(|_, (attempt, task)| {
            let goes_on = !ended.contains(&attempt.id);
            if !goes_on {
                task.abort();
            }
            goes_on
        });
        for delivery in ended {
            self.schedule.break_off(*delivery);
        }
    }

    fn take_in(&mut self, ended: Result<(Id, Outcome), JoinError>) {
        let (task, outcome) = ended.unwrap_or_else(|error| (error.id(), BROKEN));
        let Some((attempt, _)) = self.attempts.remove(&task) else { return };
        tracing::debug!(delivery = %attempt.id, webhook = %attempt.webhook, ?outcome, "a webhook delivery was attempted");
        let now = Instant::now();
        self.outages.record(&attempt, &outcome, now);
        self.schedule.end(&attempt, &outcome, now);
        self.unrecorded.push(attempt.ended(outcome));
    }

    async fn record(&mut self) {
        if self.unrecorded.is_empty() {
            return;
        }
        let tries = self.unrecorded.clone();
        match self.ask(move |system| delivery::record_results(system, tries)).await {
            Ok(()) => self.unrecorded.clear(),
            Err(problem) => tracing::warn!(problem, "results of webhook deliveries could not be written; retrying"),
        }
    }
}

/// Returns what is in `now` and not in `before`, and replaces `before`.
fn news(before: &mut HashSet<WebhookId>, now: Vec<WebhookId>) -> Vec<WebhookId> {
    let before = std::mem::replace(before, now.iter().copied().collect());
    now.into_iter().filter(|webhook| !before.contains(webhook)).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_webhooks_not_reported_before_count_as_news() {
        let [one, two] = [1, 2].map(|number| WebhookId::from(Uuid::from_u128(number)));
        let mut known = HashSet::new();
        for (now, expected) in [
            (vec![one], vec![one]),
            (vec![one], vec![]),
            (vec![two, one], vec![two]),
            (vec![two], vec![]),
            (vec![one, two], vec![one]),
        ] {
            assert_eq!(news(&mut known, now), expected);
        }
    }
}
