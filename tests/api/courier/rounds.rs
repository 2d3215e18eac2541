//! The courier at work, at a desk of the test's own: nobody waits for a receiver that is somebody else's.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use orgkeys::actions::delivery::{Due, Hands};
use orgkeys::domain::delivery::{Outcome, Tried};
use orgkeys::domain::id::{DeliveryId, WebhookId};
use orgkeys::domain::time::Time;
use orgkeys::engine::error::Error;
use orgkeys::server::courier::{Courier, DeliveryNotifier, Desk};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::receiver::Receiver;
use super::{at_home, attempt, nobody};
use crate::harness::{BEGIN, Server};

/// Long enough for what must happen, and below what a hanging receiver holds.
const SOON: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Papers {
    /// Delivery, webhook, URL; the longest due first. What fails stays due.
    waiting: Vec<(u128, u128, String)>,
    settled: Vec<(DeliveryId, Outcome)>,
    asked: usize,
    disk_is_full: bool,
}

/// Deliveries in memory.
#[derive(Default)]
struct Paper(Mutex<Papers>);

impl Paper {
    fn with<T>(&self, work: impl FnOnce(&mut Papers) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// So many deliveries from a number on, of one webhook.
    fn add(&self, webhook: u128, url: &str, deliveries: std::ops::Range<u128>) {
        self.with(|papers| papers.waiting.extend(deliveries.map(|number| (number, webhook, url.to_owned()))));
    }

    fn taken(&self) -> Vec<DeliveryId> {
        self.outcomes(|outcome| matches!(outcome, Outcome::Taken { .. }))
    }

    fn failed(&self) -> Vec<DeliveryId> {
        self.outcomes(|outcome| !matches!(outcome, Outcome::Taken { .. }))
    }

    fn outcomes(&self, which: impl Fn(&Outcome) -> bool) -> Vec<DeliveryId> {
        self.with(|papers| papers.settled.iter().filter(|(_, outcome)| which(outcome)).map(|(id, _)| *id).collect())
    }
}

impl Desk for Paper {
    fn due(&self, hands: &Hands, most: usize) -> Result<Due, Error> {
        self.with(|papers| {
            papers.asked += 1;
            let attempts = papers.waiting.iter().filter_map(|(number, webhook, url)| {
                let webhook = WebhookId::from(Uuid::from_u128(*webhook));
                let id = DeliveryId::from(Uuid::from_u128(*number));
                let waits = || hands.under_way.iter().all(|tried| tried.delivery != id);
                let alone = hands.full.contains(&webhook) || hands.resting.contains(&(webhook, 0));
                let mut attempt = (!alone && waits()).then(|| attempt(*number, url))?;
                attempt.webhook = webhook;
                Some(attempt)
            });
            Ok(Due { attempts: attempts.take(most).collect(), ..Due::default() })
        })
    }

    fn settle(&self, tries: Vec<Tried>) -> Result<(), Error> {
        let outcomes: Vec<_> = tries.into_iter().map(|tried| (tried.id, tried.outcome)).collect();
        self.with(|papers| {
            if papers.disk_is_full {
                return Err(Error::internal("the disk is full"));
            }
            let taken: HashSet<_> = (outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Taken { .. })))
                .map(|(delivery, _)| *delivery)
                .collect();
            papers.waiting.retain(|(number, _, _)| !taken.contains(&DeliveryId::from(Uuid::from_u128(*number))));
            papers.settled.extend(outcomes);
            Ok(())
        })
    }

    fn now(&self) -> Time {
        Time::from_millis(BEGIN)
    }
}

/// A courier at work.
struct Running {
    paper: Arc<Paper>,
    bell: DeliveryNotifier,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(paper: Paper) -> Self {
        let (paper, bell, stop) = (Arc::new(paper), DeliveryNotifier::default(), CancellationToken::new());
        let courier = Courier::new(Arc::clone(&paper) as Arc<dyn Desk>, at_home(), bell.clone());
        let task = tokio::spawn(courier.run(stop.clone()));
        Self { paper, bell, stop, task }
    }

    /// Waits until it is so, ringing meanwhile as commits do.
    async fn until(&self, what: &str, so: impl Fn(&Paper) -> bool) {
        let began = Instant::now();
        while !so(&self.paper) {
            assert!(began.elapsed() < SOON, "not yet: {what}");
            self.bell.notify();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn stop(self) -> Arc<Paper> {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.task).await.expect("it stops soon").expect("it runs");
        self.paper
    }
}

async fn good() -> Receiver {
    Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await
}

#[tokio::test]
async fn deliveries_are_carried_out_and_settled_once_each() {
    let (receiver, paper) = (good().await, Paper::default());
    paper.add(1, &receiver.url(), 0..100);
    let running = Running::start(paper);
    running.until("all are taken", |paper| paper.taken().len() == 100).await;
    let paper = running.stop().await;
    assert_eq!(paper.taken().into_iter().collect::<HashSet<_>>().len(), 100);
    assert_eq!((paper.with(|papers| papers.settled.len()), receiver.connections()), (100, 100));
}

#[tokio::test]
async fn webhooks_that_hang_keep_nobody_waiting() {
    let (hanging, receiver, paper) = (Receiver::silent().await, good().await, Paper::default());
    // All places but one are held, seven times four and three, by deliveries that have been due for longer.
    for webhook in 2..9 {
        paper.add(webhook, &hanging.url(), webhook * 1_000..webhook * 1_000 + 500);
    }
    paper.add(9, &hanging.url(), 9_000..9_003);
    paper.add(1, &receiver.url(), 0..40);
    let running = Running::start(paper);
    running.until("the good one has all", |paper| paper.taken().len() == 40).await;
    running.until("four of each are under way", |_| hanging.connections() >= 31).await;
    running.stop().await;
    assert_eq!(hanging.connections(), 31, "and no more");
}

#[tokio::test]
async fn ten_thousand_deliveries_to_nobody_cost_next_to_nothing() {
    let (receiver, paper, dead) = (good().await, Paper::default(), format!("http://{}/", nobody().await));
    paper.add(2, &dead, 100_000..110_000);
    paper.add(1, &receiver.url(), 0..200);
    let running = Running::start(paper);
    let began = Instant::now();
    running.until("the good one has all", |paper| paper.taken().len() == 200).await;
    // Four at first, and then one after each rest: a rest is a second and more.
    let most = 4 + usize::try_from(began.elapsed().as_secs()).expect("a number");
    let tried = running.paper.failed().len();
    assert!((1..=most).contains(&tried), "{tried} tries");
    running.stop().await;
}

#[tokio::test]
async fn a_webhook_that_failed_is_left_alone_until_somebody_is_in_a_hurry() {
    let (paper, dead) = (Paper::default(), format!("http://{}/", nobody().await));
    paper.add(1, &dead, 0..1);
    let running = Running::start(paper);
    running.until("it failed", |paper| paper.failed().len() == 1).await;
    let began = Instant::now();
    for failures in 2..20 {
        running.bell.hurry();
        running.until("it failed again", |paper| paper.failed().len() >= failures).await;
    }
    // Left alone each time it would have taken 1 + 2 + 4 + 8 + ... seconds.
    assert!(began.elapsed() < SOON);
    running.stop().await;
}

#[tokio::test]
async fn a_receiver_that_answers_what_it_thinks_of_each_event_is_not_left_alone() {
    let (receiver, paper) = (Receiver::answering("HTTP/1.1 422 X\r\n\r\n").await, Paper::default());
    paper.add(1, &receiver.url(), 0..1);
    let running = Running::start(paper);
    // What fails stays due here. Left alone it would be tried five times in as long as this may take.
    running.until("it was tried often", |paper| paper.failed().len() >= 40).await;
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_written_is_kept_and_nothing_new_is_tried_meanwhile() {
    let (receiver, paper) = (good().await, Paper::default());
    paper.with(|papers| papers.disk_is_full = true);
    paper.add(1, &receiver.url(), 0..10);
    let running = Running::start(paper);
    running.until("four were tried", |_| receiver.connections() == 4).await;
    let looked = Instant::now();
    running.until("it was rung for a while", |_| looked.elapsed() > Duration::from_millis(300)).await;
    assert_eq!(receiver.connections(), 4);
    running.paper.with(|papers| papers.disk_is_full = false);
    running.until("all are taken", |paper| paper.taken().len() == 10).await;
    assert_eq!(receiver.connections(), 10, "none was tried again");
    running.stop().await;
}

#[tokio::test]
async fn a_stop_cuts_off_what_hangs_and_remembers_what_came_in() {
    let (hanging, receiver, paper) = (Receiver::silent().await, good().await, Paper::default());
    paper.add(2, &hanging.url(), 100..104);
    paper.add(1, &receiver.url(), 0..4);
    let running = Running::start(paper);
    running.until("all are under way", |_| hanging.connections() == 4 && receiver.connections() == 4).await;
    let began = Instant::now();
    let paper = running.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!((paper.taken().len(), paper.failed().len()), (4, 0), "what was cut off is tried again");
}

#[tokio::test]
async fn without_anything_due_it_is_hardly_asked() {
    let running = Running::start(Paper::default());
    running.until("it looked", |paper| paper.with(|papers| papers.asked > 0)).await;
    let (asked, began) = (running.paper.with(|papers| papers.asked), Instant::now());
    for _ in 0..10_000 {
        running.bell.notify();
    }
    running.until("it was rung for a while", |_| began.elapsed() > Duration::from_millis(400)).await;
    let looks = running.paper.with(|papers| papers.asked) - asked;
    assert!(looks <= 25 + usize::try_from(began.elapsed().as_millis() / 20).expect("a number"), "{looks} looks");
    running.stop().await;
}

#[tokio::test]
async fn a_server_that_stopped_leaves_nothing_of_its_courier_behind() {
    let server = Server::start().await;
    server.owner_of("acme").await;
    server.courier.hurry();
    let bell = server.courier.clone();
    // The next start takes the database's lock, which the courier would hold with the app.
    let server = server.restart().await;
    bell.hurry();
    server.owner_of("globex").await;
    server.stop().await;
}
