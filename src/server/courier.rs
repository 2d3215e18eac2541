//! Who carries webhook deliveries out? One task beside the requests, which asks what is due, tries it, and tells what came of it.

mod connect;
mod desk;
mod http_sender;
mod notifier;
mod resolver;
mod rests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

pub use desk::{Desk, Office};
pub use http_sender::HttpSender;
pub use notifier::DeliveryNotifier;
pub use resolver::{Resolver, System};
use rests::Backoffs;

use super::panicked;
use crate::actions::delivery::{Due, Hands};
use crate::domain::delivery::{Attempt, Outcome, Tried};
use crate::domain::id::{DeliveryId, WebhookId};

/// The most tries at once: of all webhooks, of those that were down last time, and of one.
const MOST: usize = 32;
const MOST_DOUBTFUL: usize = 16;
const MOST_OF_ONE: usize = 4;

/// A look at what is due at least this often; a clock that was set needs no other care.
const LOOK: Duration = Duration::from_secs(5);

/// What happens within this time is looked at and settled together. A look that took longer is followed by a pause in
/// which it could be done so many times: it must not take the machine from the requests.
const TOGETHER: Duration = Duration::from_millis(20);
const IDLE_SHARE: u32 = 9;

/// How long what is under way may still take when the server stops. What is cut off is tried again after the start.
const LAST: Duration = Duration::from_secs(1);

/// A broken try, which only an error of ours can cause.
const BROKEN: Outcome = Outcome::Failed { why: "the try broke off" };

/// The courier and what it has in its hands.
pub struct Courier {
    desk: Arc<dyn Desk>,
    sender: Arc<HttpSender>,
    notifier: DeliveryNotifier,
    rests: Backoffs,
    tries: JoinSet<Outcome>,
    under_way: HashMap<Id, (Arc<Attempt>, AbortHandle)>,
    /// What came of tries and is not on disk yet. While there is some nothing new is tried: it could not be remembered.
    unsettled: Vec<Tried>,
    /// The webhooks that wait since their secret cannot be opened, which was said once.
    unopened: HashSet<WebhookId>,
}

impl Courier {
    /// A courier that asks at `desk`, carries with `sender` and listens to `notifier`.
    #[must_use]
    pub fn new(desk: Arc<dyn Desk>, sender: HttpSender, notifier: DeliveryNotifier) -> Self {
        let (tries, under_way) = (JoinSet::new(), HashMap::new());
        Self {
            desk,
            sender: Arc::new(sender),
            notifier,
            rests: Backoffs::default(),
            tries,
            under_way,
            unsettled: Vec::new(),
            unopened: HashSet::new(),
        }
    }

    /// Carries out what is due until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while self.round(&stop).await {}
        let _ = timeout(LAST, async {
            while let Some(ended) = self.tries.join_next_with_id().await {
                self.take_in(ended);
            }
        })
        .await;
        self.tries.shutdown().await;
        self.settle().await;
    }

    /// Looks, waits until something happens, and takes it in; `false` when it is time to stop. Nothing but the waiting is
    /// broken off, so no outcome is told twice.
    async fn round(&mut self, stop: &CancellationToken) -> bool {
        let began = Instant::now();
        let next = self.look().await;
        let pause = (began.elapsed() * IDLE_SHARE).clamp(TOGETHER, LOOK);
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
        self.settle().await;
        if self.notifier.is_hurried() {
            self.rests.end();
        }
        going_on
    }

    /// Begins what is due and has a place; gives when to look again if nothing happens before.
    async fn look(&mut self) -> Instant {
        let now = Instant::now();
        let mut next = self.rests.next(now).map_or(now + LOOK, |rested| rested.min(now + LOOK));
        if !self.unsettled.is_empty() {
            return now + LOOK;
        }
        let mut full: Vec<_> = self.webhooks().filter(|webhook| !self.has_place(*webhook)).collect();
        while self.under_way.len() < MOST {
            let most = MOST - self.under_way.len();
            let due = match self.ask(now, &full, most).await {
                Ok(due) => due,
                Err(problem) => {
                    tracing::warn!(problem, "what is due for webhooks could not be read; it is tried again");
                    return now + LOOK;
                }
            };
            self.warn(due.unopened);
            self.break_off(&due.over);
            let before = full.len();
            for attempt in due.attempts {
                if full.contains(&attempt.webhook) {
                    continue;
                }
                self.rests.end_backoff(attempt.webhook, attempt.backoff_epoch);
                if self.has_place(attempt.webhook) {
                    self.begin(attempt);
                } else {
                    full.push(attempt.webhook);
                }
            }
            // One webhook's many must not hide another's few.
            if full.len() == before {
                if let Some(due) = due.next {
                    let millis = due.millis().saturating_sub(self.desk.now().millis());
                    next = next.min(now + Duration::from_millis(u64::try_from(millis).unwrap_or(0)).max(TOGETHER));
                }
                break;
            }
        }
        next
    }

    async fn ask(&mut self, now: Instant, full: &[WebhookId], most: usize) -> Result<Due, String> {
        let under_way = self.under_way.values().map(|(attempt, _)| attempt.begun()).collect();
        let (desk, hands) =
            (Arc::clone(&self.desk), Hands { under_way, resting: self.rests.now(now), full: full.to_vec() });
        let asked = spawn_blocking(move || desk.due(&hands, most)).await;
        asked.map_err(|ended| panicked(&ended).to_owned())?.map_err(|error| error.to_string())
    }

    /// Says of each webhook whose secret cannot be opened that it waits, once until that changes.
    fn warn(&mut self, unopened: Vec<WebhookId>) {
        for webhook in news(&mut self.unopened, unopened) {
            tracing::warn!(%webhook, "a webhook waits: its secret was changed in the database; rotate it");
        }
    }

    /// The webhook of each try that is under way.
    fn webhooks(&self) -> impl Iterator<Item = WebhookId> {
        self.under_way.values().map(|(attempt, _)| attempt.webhook)
    }

    /// Whether one more of this webhook may be tried. One that was down last time is asked by one try whether it is back.
    fn has_place(&self, webhook: WebhookId) -> bool {
        let own = self.webhooks().filter(|other| *other == webhook).count();
        if self.rests.is_half_open(webhook) {
            own == 0 && self.webhooks().filter(|other| self.rests.is_half_open(*other)).count() < MOST_DOUBTFUL
        } else {
            own < MOST_OF_ONE
        }
    }

    fn begin(&mut self, attempt: Attempt) {
        let (sender, attempt) = (Arc::clone(&self.sender), Arc::new(attempt));
        let own = Arc::clone(&attempt);
        let task = self.tries.spawn(async move { sender.send(&own).await });
        self.under_way.insert(task.id(), (attempt, task));
    }

    /// Breaks off tries that nobody waits for any more, so that they hold no place; nothing is told of them.
    fn break_off(&mut self, over: &[DeliveryId]) {
        self.under_way.retain(|_, (attempt, task)| {
            let goes_on = !over.contains(&attempt.id);
            if !goes_on {
                task.abort();
            }
            goes_on
        });
    }

    fn take_in(&mut self, ended: Result<(Id, Outcome), JoinError>) {
        let (task, outcome) = ended.unwrap_or_else(|error| (error.id(), BROKEN));
        let Some((attempt, _)) = self.under_way.remove(&task) else { return };
        tracing::debug!(delivery = %attempt.id, webhook = %attempt.webhook, ?outcome, "a webhook was tried");
        self.rests.learn(&attempt, &outcome, Instant::now());
        self.unsettled.push(attempt.ended(outcome));
    }

    async fn settle(&mut self) {
        if self.unsettled.is_empty() {
            return;
        }
        let (desk, tries) = (Arc::clone(&self.desk), self.unsettled.clone());
        let settled = spawn_blocking(move || desk.settle(tries)).await;
        match settled
            .map_err(|ended| panicked(&ended).to_owned())
            .and_then(|done| done.map_err(|error| error.to_string()))
        {
            Ok(()) => self.unsettled.clear(),
            Err(problem) => tracing::warn!(problem, "what came of webhooks could not be written; it is tried again"),
        }
    }
}

/// What is now and was not before, which is forgotten.
fn news(before: &mut HashSet<WebhookId>, now: Vec<WebhookId>) -> Vec<WebhookId> {
    let before = std::mem::replace(before, now.iter().copied().collect());
    now.into_iter().filter(|webhook| !before.contains(webhook)).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_stays_as_it_is_is_said_once() {
        let [one, two] = [1, 2].map(|number| WebhookId::from(Uuid::from_u128(number)));
        let mut known = HashSet::new();
        for (now, said) in [
            (vec![one], vec![one]),
            (vec![one], vec![]),
            (vec![two, one], vec![two]),
            (vec![two], vec![]),
            (vec![one, two], vec![one]),
        ] {
            assert_eq!(news(&mut known, now), said);
        }
    }
}
