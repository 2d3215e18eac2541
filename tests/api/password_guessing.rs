//! Password guessing: how many guesses are checked, whom the limits block, and for how long.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use hyper::Method;
use orgkeys::actions::refusals;
use orgkeys::api::http::password_work::PasswordWork;
use orgkeys::domain::role::Role;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::harness::{Answer, Identity, Server, blocking, entries, until, within};
use crate::sessions::{PASSWORD, Person, conn, log_in, person};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// Where the attacker calls from.
const ATTACKER: &str = "198.51.100.66";

/// Where the user usually signs in.
const HOME: &str = "192.0.2.1";

async fn behind_a_proxy() -> (Server, Identity, Person) {
    let server = Server::with(|flags| flags.with("trusted_proxy", "127.0.0.1")).await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    (server, owner, ada)
}

async fn guess(server: &Server, from: &str, email: &str) -> u16 {
    log_in(server, from, email, "another password").await.status.as_u16()
}

async fn signs_in(server: &Server, from: &str, person: &Person) -> u16 {
    log_in(server, from, &person.email, PASSWORD).await.status.as_u16()
}

/// Inserts failed logins at the current time, each from a network of its own.
pub fn tried(server: &Server, email: &str, networks: std::ops::Range<u32>) {
    let (conn, account) = (conn(server), Sha256::digest(email.to_lowercase()));
    for network in networks {
        let network = std::net::Ipv4Addr::from_bits(0x0a00_0000 + network).to_ipv6_mapped().octets();
        let sql = "INSERT INTO wrong_password (at, account, network) VALUES (?1, ?2, ?3)";
        conn.execute(sql, (server.now(), account.as_slice(), network)).expect("inserted");
    }
}

fn on_disk(server: &Server) -> i64 {
    conn(server).query_row("SELECT count(*) FROM wrong_password", [], |row| row.get(0)).expect("a number")
}

fn retry_after(answer: &Answer) -> &str {
    assert_eq!(answer.refusal(), (429, "TOO_MANY_ATTEMPTS".to_owned()));
    answer.headers["retry-after"].to_str().expect("text")
}

/// The response without the headers that always differ.
fn told(mut answer: Answer) -> Answer {
    for header in ["x-request-id", "date"] {
        answer.headers.remove(header);
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn of_1000_guesses_10_are_checked_and_the_user_still_signs_in() {
    let (server, _, ada) = behind_a_proxy().await;
    let server = Arc::new(server);
    assert_eq!(signs_in(&server, HOME, &ada).await, 200);
    let before = entries(&server.database).await.len();
    let (mut wrong, mut limited) = (0, 0);
    for _ in 0..20 {
        let calls = (0..50).map(|_| {
            let (server, email) = (Arc::clone(&server), ada.email.clone());
            tokio::spawn(async move { guess(&server, ATTACKER, &email).await })
        });
        for call in calls.collect::<Vec<_>>() {
            match call.await.expect("an answer") {
                401 => wrong += 1,
                429 => limited += 1,
                other => panic!("{other}"),
            }
        }
    }
    assert_eq!((wrong, limited, on_disk(&server)), (10, 990, 10));
    assert_eq!(signs_in(&server, ATTACKER, &ada).await, 429, "even the right password is not checked any more");
    assert_eq!(signs_in(&server, HOME, &ada).await, 200);
    let recorded = entries(&server.database).await.split_off(before);
    assert_eq!(recorded.len(), 1, "only the successful login has an entry of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_guesses_block_an_account_for_one_network() {
    let (server, owner, ada) = behind_a_proxy().await;
    let bob = person(&server, &owner.org, Role::User).await;
    for number in 0..9 {
        let email = if number % 2 == 0 { ada.email.clone() } else { ada.email.to_uppercase() };
        assert_eq!(guess(&server, ATTACKER, &email).await, 401);
    }
    assert_eq!(signs_in(&server, ATTACKER, &ada).await, 200, "nine are below the limit");
    assert_eq!(guess(&server, ATTACKER, &ada.email).await, 401, "a successful login resets nothing");
    assert_eq!(signs_in(&server, ATTACKER, &ada).await, 429, "a known network has the same limit");
    assert_eq!(signs_in(&server, "198.51.100.67", &ada).await, 200);
    assert_eq!(signs_in(&server, ATTACKER, &bob).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ipv6_network_is_a_64_prefix() {
    let (server, _, ada) = behind_a_proxy().await;
    for number in 0..10 {
        assert_eq!(guess(&server, &format!("2001:db8::{number:x}:1"), &ada.email).await, 401);
    }
    assert_eq!(signs_in(&server, "2001:db8::ffff", &ada).await, 429);
    assert_eq!(signs_in(&server, "2001:db8:0:1::1", &ada).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_guesses_block_an_account_except_from_its_known_networks() {
    let (server, _, ada) = behind_a_proxy().await;
    assert_eq!(signs_in(&server, HOME, &ada).await, 200);
    tried(&server, &ada.email, 0..99);
    assert_eq!(signs_in(&server, ATTACKER, &ada).await, 200);
    assert_eq!(guess(&server, "198.51.100.67", &ada.email).await, 401);
    for elsewhere in ["198.51.100.67", "198.51.100.68"] {
        assert_eq!(signs_in(&server, elsewhere, &ada).await, 429);
    }
    for _ in 0..10 {
        assert_eq!(guess(&server, HOME, &ada.email).await, 401, "a known network has its own limit of ten");
    }
    assert_eq!(signs_in(&server, HOME, &ada).await, 429);
    assert_eq!(signs_in(&server, ATTACKER, &ada).await, 200, "another known network has its own limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_guesses_block_a_network_except_for_accounts_that_use_it() {
    let (server, owner, ada) = behind_a_proxy().await;
    let bob = person(&server, &owner.org, Role::User).await;
    assert_eq!(signs_in(&server, HOME, &ada).await, 200);
    for number in 0..29 {
        assert_eq!(guess(&server, HOME, &format!("nobody-{}@example.org", number / 10)).await, 401);
    }
    assert_eq!(guess(&server, HOME, "nobody-3@example.org").await, 401, "the thirtieth");
    assert_eq!(guess(&server, HOME, "nobody-4@example.org").await, 429);
    assert_eq!(signs_in(&server, HOME, &bob).await, 429);
    assert_eq!(signs_in(&server, HOME, &ada).await, 200);
    assert_eq!(signs_in(&server, "192.0.2.2", &bob).await, 200);
    assert_eq!(on_disk(&server), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guess_counts_for_15_minutes_even_across_a_restart() {
    let (mut server, _, ada) = behind_a_proxy().await;
    assert_eq!(guess(&server, ATTACKER, &ada.email).await, 401);
    server.pass(60_500);
    for _ in 0..9 {
        assert_eq!(guess(&server, ATTACKER, &ada.email).await, 401);
    }
    server = server.restart().await;
    let answer = log_in(&server, ATTACKER, &ada.email, PASSWORD).await;
    assert_eq!(retry_after(&answer), "840", "839.5 s, rounded up");
    let message = "Too many wrong passwords: wait for the number of seconds in Retry-After, then try again";
    let expected = json!({
        "success": false, "message": message,
        "errorCode": "TOO_MANY_ATTEMPTS", "error_code": "TOO_MANY_ATTEMPTS",
    });
    assert_eq!(answer.json(), expected);
    server.pass(839_499);
    assert_eq!(retry_after(&log_in(&server, ATTACKER, &ada.email, PASSWORD).await), "1");
    server.pass(1);
    assert_eq!(guess(&server, ATTACKER, &ada.email).await, 401, "the first has expired, so one more is checked");
    assert_eq!(retry_after(&log_in(&server, ATTACKER, &ada.email, PASSWORD).await), "61", "60.5 s");
    server.pass(60_500);
    assert_eq!(signs_in(&server, ATTACKER, &ada).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_limits_the_longest_wait_is_told() {
    let (server, _, ada) = behind_a_proxy().await;
    tried(&server, &ada.email, 0..90);
    server.pass(5 * MINUTE);
    (0..10).for_each(|_| tried(&server, &ada.email, 100..101));
    for (from, wait) in [("10.0.0.100", "900"), ("10.0.0.101", "600")] {
        assert_eq!(retry_after(&log_in(&server, from, &ada.email, PASSWORD).await), wait, "{from}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_guesses_are_deleted() {
    let (server, _, ada) = behind_a_proxy().await;
    tried(&server, &ada.email, 0..6);
    server.pass(15 * MINUTE - 1);
    guess(&server, ATTACKER, "nobody@example.org").await;
    assert_eq!(on_disk(&server), 7);
    server.pass(1);
    for left in [4, 3, 4] {
        guess(&server, ATTACKER, "nobody@example.org").await;
        assert_eq!(on_disk(&server), left);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_is_known_for_30_days_after_the_last_login() {
    let (server, _, ada) = behind_a_proxy().await;
    assert_eq!(signs_in(&server, HOME, &ada).await, 200);
    server.pass(DAY);
    assert_eq!(signs_in(&server, HOME, &ada).await, 200);
    server.pass(30 * DAY - 1);
    tried(&server, &ada.email, 0..100);
    assert_eq!(guess(&server, HOME, &ada.email).await, 401, "a failed login does not extend it");
    server.pass(1);
    assert_eq!(signs_in(&server, HOME, &ada).await, 429);
    server.pass(15 * MINUTE);
    assert_eq!(signs_in(&server, HOME, &ada).await, 200);
    tried(&server, &ada.email, 0..100);
    assert_eq!(signs_in(&server, HOME, &ada).await, 200, "known again");
    let networks: i64 =
        conn(&server).query_row("SELECT count(*) FROM known_network", [], |row| row.get(0)).expect("one");
    assert_eq!(networks, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_known_email_addresses_get_the_same_responses() {
    let (server, _, ada) = behind_a_proxy().await;
    let mut sides = Vec::new();
    for (email, from) in [(ada.email.as_str(), ATTACKER), ("nobody@example.org", "198.51.100.67")] {
        let mut answers = Vec::new();
        for _ in 0..12 {
            answers.push(told(log_in(&server, from, email, "another password").await));
        }
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 429, 429]);
        sides.push(answers);
    }
    assert_eq!(sides[0], sides[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_logins_of_members_are_recorded_per_minute_and_others_never() {
    let (server, owner, ada) = behind_a_proxy().await;
    let other = server.owner_of("other").await;
    let eve = person(&server, &other.org, Role::User).await;
    let before = entries(&server.database).await.len();
    for _ in 0..12 {
        guess(&server, ATTACKER, &ada.email).await;
        guess(&server, "198.51.100.67", "nobody@example.org").await;
    }
    guess(&server, "2001:db8::1", &ada.email).await;
    guess(&server, HOME, &eve.email).await;
    let flush = async || {
        let system = Arc::clone(&server.system);
        blocking(move || refusals::flush(&system, false).expect("flushed")).await;
    };
    server.pass(MINUTE);
    flush().await;
    flush().await;
    let recorded = entries(&server.database).await.split_off(before);
    let mut counts: Vec<(String, Value)> = Vec::new();
    for entry in &recorded {
        let about = (entry.action.as_str(), entry.context, entry.context_id.as_deref(), entry.outcome.as_str());
        assert_eq!(about, ("session.refused", Some(3), Some(entry.org.as_str()), "refused"));
        assert_eq!((entry.actor_kind.as_str(), &entry.address, &entry.request_id), ("system", &None, &None));
        let detail = serde_json::from_str(entry.detail.as_deref().expect("a detail")).expect("JSON");
        counts.push((entry.org.clone(), detail));
    }
    counts.sort_by_key(|(org, detail)| (*org != owner.org, detail.to_string()));
    let count = |org: &Identity, code: &str, network: &str, count: u64| {
        let minute = "2024-01-15T10:30:00.000Z";
        (org.org.clone(), json!({ "errorCode": code, "network": network, "minute": minute, "count": count }))
    };
    let expected = [
        count(&owner, "INVALID_CREDENTIALS", ATTACKER, 10),
        count(&owner, "INVALID_CREDENTIALS", "2001:db8::", 1),
        count(&owner, "TOO_MANY_ATTEMPTS", ATTACKER, 2),
        count(&other, "INVALID_CREDENTIALS", HOME, 1),
    ];
    assert_eq!(counts, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_concurrent_logins_succeed_while_other_calls_are_answered() {
    let (server, owner, ada) = behind_a_proxy().await;
    let (server, answered) = (Arc::new(server), Arc::new(AtomicUsize::new(0)));
    let logins: Vec<_> = (0..100)
        .map(|_| {
            let (server, ada, answered) = (Arc::clone(&server), ada.clone(), Arc::clone(&answered));
            tokio::spawn(async move {
                let status = signs_in(&server, HOME, &ada).await;
                answered.fetch_add(1, Ordering::SeqCst);
                status
            })
        })
        .collect();
    let (_, key) = server.api_key(&owner, Role::User, &[]).await;
    let verification = json!({ "apiKey": key });
    for _ in 0..25 {
        let verified = server.call_as(&owner, Method::POST, "/api/api-keys/verify", Some(&verification)).await;
        assert_eq!(verified.result()["code"], "VALID");
        assert!(answered.load(Ordering::SeqCst) < 100, "other calls wait for the logins");
    }
    for login in logins {
        assert_eq!(login.await.expect("an answer"), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_passwords_are_checked_at_once_and_256_wait_even_if_clients_disconnect() {
    let server = Server::start().await;
    let (work, gate) = (PasswordWork::default(), watch::Sender::new(false));
    let counts: [Arc<AtomicUsize>; 3] = Default::default();
    let call = || {
        let (work, app, mut open) = (work.clone(), Arc::clone(&server.app), gate.subscribe());
        let ([now, most, done], runtime) = (counts.clone(), Handle::current());
        Box::pin(async move {
            let looked_at = work.run(&app, move |_| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                runtime.block_on(open.wait_for(|open| *open)).expect("it opens");
                now.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            });
            looked_at.await.map_err(|error| (error.code, error.retry_after))
        })
    };
    let counted = || counts.each_ref().map(|count| count.load(Ordering::SeqCst));
    // Each is polled once, so that all have their places before one more is tried.
    let mut unwoken = Context::from_waker(Waker::noop());
    let mut calls: Vec<_> = (0..258).map(|_| call()).collect();
    assert!(calls.iter_mut().all(|call| call.as_mut().poll(&mut unwoken).is_pending()));
    assert_eq!(call().await, Err(("SERVER_BUSY", Some(Duration::from_secs(1)))));
    until("two passwords are being checked", async || counted()[0] == 2).await;
    // The clients of these two disconnect; their work continues and keeps its slots.
    drop(calls.drain(..2));
    assert_eq!(counted(), [2, 2, 0]);
    gate.send_replace(true);
    for call in calls {
        assert_eq!(within("a check ends", call).await, Ok(()));
    }
    // One of the two without a client may be the last to end.
    until("all 258 checks end", async || counted()[2] == 258).await;
    assert_eq!(counted(), [0, 2, 258]);
}
