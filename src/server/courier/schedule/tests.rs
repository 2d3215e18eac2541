use uuid::Uuid;

use super::*;

const FAILED: Outcome = Outcome::Failed { why: "the connection was refused" };

fn delivery(number: u128) -> DeliveryId {
    Uuid::from_u128(number).into()
}

/// A webhook of an organization, with a delivery for each number, which is also the time at which it is due.
fn candidate(org: u128, webhook: u128, numbers: std::ops::Range<u128>) -> Candidate {
    let waiting = numbers.map(|number| (at(number), delivery(number)));
    Candidate {
        webhook: Uuid::from_u128(webhook).into(),
        org: Uuid::from_u128(org).into(),
        backoff_epoch: 0,
        waiting: waiting.collect(),
    }
}

fn at(number: u128) -> Time {
    Time::from_millis(i64::try_from(number).expect("a small number"))
}

fn attempt(candidate: &Candidate, id: DeliveryId) -> Attempt {
    let (webhook, org, backoff_epoch) = (candidate.webhook, candidate.org, candidate.backoff_epoch);
    Attempt { id, webhook, org, url: String::new(), attempts: 0, backoff_epoch, secrets: Vec::new(), body: Vec::new() }
}

/// Begins the chosen deliveries and returns them.
fn begin(schedule: &mut Schedule, candidates: &[Candidate], now: Instant) -> Vec<DeliveryId> {
    let choice = schedule.choose(candidates, at(1_000_000), now);
    for id in &choice.deliveries {
        let of = candidates.iter().find(|candidate| candidate.waiting.iter().any(|(_, waiting)| waiting == id));
        schedule.begin(attempt(of.expect("a candidate"), *id).in_flight());
    }
    choice.deliveries
}

#[test]
fn each_delivery_is_chosen_once_longest_due_first() {
    let mut schedule = Schedule::new(MAX_IN_FLIGHT);
    let candidates = [candidate(1, 1, 5..7), candidate(2, 2, 3..5)];
    let now = Instant::now();
    assert_eq!(begin(&mut schedule, &candidates, now), [3, 4, 5, 6].map(delivery));
    assert_eq!(begin(&mut schedule, &candidates, now), []);
}

#[test]
fn a_delivery_that_is_not_due_sets_the_next_check() {
    let mut schedule = Schedule::new(MAX_IN_FLIGHT);
    let now = Instant::now();
    let choice = schedule.choose(&[candidate(1, 1, 5..9), candidate(1, 2, 7..9)], at(5), now);
    assert_eq!(choice, Choice { deliveries: vec![delivery(5)], next: Some(at(6)) });
}

#[test]
fn hanging_receivers_never_take_the_last_slots() {
    let mut schedule = Schedule::new(MAX_IN_FLIGHT);
    let now = Instant::now();
    // Each belongs to a different organization, and all are due longer than the good one.
    let hanging: Vec<_> = (2..12).map(|webhook| candidate(webhook, webhook, webhook * 10..webhook * 10 + 9)).collect();
    let held = begin(&mut schedule, &hanging, now).len();
    assert!((MAX_IN_FLIGHT - LAST_PLACES..MAX_IN_FLIGHT).contains(&held), "{held}");
    assert_eq!(begin(&mut schedule, &hanging, now), [], "the last places are not for them");
    for number in 900..940 {
        let good = candidate(1, 1, number..number + 1);
        let all = [&hanging[..], std::slice::from_ref(&good)].concat();
        assert_eq!(begin(&mut schedule, &all, now), [delivery(number)]);
        schedule.end(&attempt(&good, delivery(number)), &Outcome::Taken { status: 204 }, now);
    }
}

#[test]
fn a_failed_webhook_pauses_and_is_then_probed_by_one_attempt() {
    let mut schedule = Schedule::new(MAX_IN_FLIGHT);
    let (now, dead) = (Instant::now(), candidate(1, 1, 0..10_000));
    let candidates = std::slice::from_ref(&dead);
    let first = begin(&mut schedule, candidates, now);
    assert_eq!(first.len(), MAX_OF_WEBHOOK);
    for id in &first {
        schedule.end(&attempt(&dead, *id), &FAILED, now);
    }
    assert_eq!(begin(&mut schedule, candidates, now), [], "however many wait");
    let mut end = schedule.next_backoff_end(now).expect("an end");
    for _ in 0..4 {
        assert_eq!(begin(&mut schedule, candidates, end - Duration::from_millis(1)), []);
        assert_eq!(begin(&mut schedule, candidates, end), [delivery(0)]);
        assert_eq!(begin(&mut schedule, candidates, end), [], "one try alone");
        schedule.end(&attempt(&dead, delivery(0)), &FAILED, end);
        end = schedule.next_backoff_end(end).expect("an end");
    }
    schedule.end_backoffs();
    assert_eq!(begin(&mut schedule, candidates, end).len(), MAX_OF_WEBHOOK, "somebody is in a hurry");
}

#[test]
fn a_new_backoff_epoch_ends_the_pause() {
    let mut schedule = Schedule::new(MAX_IN_FLIGHT);
    let (now, mut hook) = (Instant::now(), candidate(1, 1, 0..1));
    schedule.end(&attempt(&hook, delivery(0)), &FAILED, now);
    assert_eq!(begin(&mut schedule, std::slice::from_ref(&hook), now), []);
    hook.backoff_epoch = 1;
    assert_eq!(begin(&mut schedule, std::slice::from_ref(&hook), now), [delivery(0)]);
}

#[test]
fn a_4xx_response_causes_no_pause() {
    let mut schedule = Schedule::new(MAX_IN_FLIGHT);
    let (now, hook) = (Instant::now(), candidate(1, 1, 0..1));
    for _ in 0..40 {
        assert_eq!(begin(&mut schedule, std::slice::from_ref(&hook), now), [delivery(0)]);
        schedule.end(&attempt(&hook, delivery(0)), &Outcome::Refused { status: 422, retry_after: None }, now);
    }
}

#[test]
fn failed_webhooks_take_at_most_half_of_the_slots() {
    let mut schedule = Schedule::new(MAX_IN_FLIGHT);
    let now = Instant::now();
    let dead: Vec<_> = (0..20).map(|number| candidate(number, number, number..number + 1)).collect();
    for hook in &dead {
        schedule.end(&attempt(hook, hook.waiting[0].1), &FAILED, now);
    }
    let end = schedule.next_backoff_end(now).expect("an end");
    let probed = begin(&mut schedule, &dead, end);
    assert_eq!(probed, (0..16).map(delivery).collect::<Vec<_>>());
    assert_eq!(begin(&mut schedule, &dead, end), []);
    schedule.break_off(probed[0]);
    assert_eq!(begin(&mut schedule, &dead, end).len(), 1);
    let well = candidate(99, 99, 500..504);
    assert_eq!(begin(&mut schedule, &[&dead[..], &[well]].concat(), end).len(), MAX_OF_WEBHOOK);
}

#[test]
fn a_failure_is_forgotten_five_minutes_after_its_pause() {
    let mut schedule = Schedule::new(MAX_IN_FLIGHT);
    let (now, hook) = (Instant::now(), candidate(1, 1, 0..10));
    schedule.end(&attempt(&hook, delivery(0)), &FAILED, now);
    let forgotten = now + Duration::from_secs(1) + Duration::from_mins(5);
    let moment = Duration::from_millis(1);
    let due = |schedule: &mut Schedule, now| schedule.choose(std::slice::from_ref(&hook), at(10), now).deliveries.len();
    assert_eq!(due(&mut schedule, forgotten - moment), 1, "a probe");
    assert_eq!(due(&mut schedule, forgotten), MAX_OF_WEBHOOK);
}

#[test]
fn a_failed_webhook_sets_the_next_check_once_its_pause_has_ended() {
    let mut schedule = Schedule::new(MAX_IN_FLIGHT);
    let (now, hook) = (Instant::now(), candidate(1, 1, 7..8));
    schedule.end(&attempt(&hook, delivery(7)), &FAILED, now);
    let choice = schedule.choose(&[hook], at(5), now + Duration::from_secs(1));
    assert_eq!(choice, Choice { deliveries: vec![], next: Some(at(7)) });
}

#[test]
fn webhooks_that_are_still_paused_take_no_probe_from_those_whose_pause_has_ended() {
    let mut schedule = Schedule::new(MAX_IN_FLIGHT);
    let now = Instant::now();
    // As many as may be probed at the same time, and due for longer.
    let paused: Vec<_> = (1..17).map(|number| candidate(number, number, number..number + 1)).collect();
    let asks = Outcome::Refused { status: 503, retry_after: Some(Duration::from_hours(1)) };
    for hook in &paused {
        schedule.end(&attempt(hook, hook.waiting[0].1), &asks, now);
    }
    let ready = candidate(99, 99, 500..501);
    schedule.end(&attempt(&ready, delivery(500)), &FAILED, now);
    let all = [&paused[..], &[ready]].concat();
    assert_eq!(begin(&mut schedule, &all, now + Duration::from_secs(1)), [delivery(500)]);
}

#[test]
fn each_check_is_followed_by_a_proportional_pause() {
    for (took, pause) in [(0, 20), (1, 20), (10, 90), (100, 900), (10_000, 5_000)] {
        let pause = Duration::from_millis(pause);
        assert_eq!(Schedule::pause(Duration::from_millis(took)), pause);
    }
}
