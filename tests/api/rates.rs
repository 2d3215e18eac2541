//! Rate limits per user, per API key and per organization: nobody uses up the share of another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};
use orgkeys::actions::admin::{self, Ttl};
use orgkeys::config::{FIELDS, Flags, Texts, resolve};
use orgkeys::domain::role::Role;
use orgkeys::server::limits;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{Answer, Identity, Server, blocking, registration};
use crate::http_clients::exhaust;
use crate::statistics::verify;
use crate::webhooks::Hook;

/// Another access token of the same user.
async fn another(server: &Server, person: &Identity) -> Identity {
    let (system, mut person) = (Arc::clone(&server.system), person.clone());
    blocking(move || {
        let (secret, token) = admin::create_token(&system, &person.user, Ttl::Never).expect("a token");
        (person.token, person.token_id) = (secret.expose_secret().to_owned(), token.id.to_string());
        person
    })
    .await
}

/// The most calls that a bucket of one per second has got back since then.
fn came_back(since: Instant) -> usize {
    usize::try_from(since.elapsed().as_secs()).expect("a number") + 1
}

async fn profile(server: &Server, person: &Identity) -> Answer {
    server.call_as(person, Method::GET, "/user/profile", None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_access_tokens_give_a_user_at_most_twice_the_calls() {
    let server = Server::with(|flags| flags.with("caller_rate", "1")).await;
    let ada = server.owner_of("acme").await;
    let mut tokens = vec![ada.clone()];
    for _ in 0..11 {
        tokens.push(another(&server, &ada).await);
    }
    // A thief who uses up the calls of a stolen token leaves the user enough to revoke it.
    let (began, mut taken, mut held) = (Instant::now(), 0, None);
    let stolen = &tokens[0];
    for _ in 0..12 {
        taken += usize::from(profile(&server, stolen).await.status == StatusCode::OK);
    }
    assert!((4..=4 + came_back(began)).contains(&taken), "{taken} calls in {:?}", began.elapsed());
    assert_eq!(profile(&server, &tokens[1]).await.status, StatusCode::OK);
    for token in tokens[1..].iter().cycle().take(48) {
        let answer = profile(&server, token).await;
        if answer.status == StatusCode::OK {
            taken += 1;
        } else {
            held.get_or_insert(answer);
        }
    }
    assert!((7..=7 + 2 * came_back(began)).contains(&taken), "{taken} calls in {:?}", began.elapsed());
    let expected = "This user has reached the limit of 2 calls per second across all their sessions and access tokens: slow down, or ask \
       the server's administrator to raise caller_rate";
    assert_eq!(held.expect("a limited call").json()["message"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_api_key_has_a_rate_limit_apart_from_its_creators() {
    let server = Server::with(|flags| flags.with("caller_rate", "1")).await;
    let owner = server.owner_of("acme").await;
    let (_, first) = server.api_key(&owner, Role::User, &[]).await;
    let (_, second) = server.api_key(&owner, Role::User, &[]).await;
    let began = Instant::now();
    let (mut taken, mut held) = (0, None);
    for _ in 0..40 {
        let answer = server.call_with_key(&first, Method::GET, "/node", None).await;
        if answer.status == StatusCode::OK {
            taken += 1;
        } else {
            held = Some(answer);
        }
    }
    assert!((4..=4 + came_back(began)).contains(&taken), "{taken} calls in {:?}", began.elapsed());
    let expected = "This API key has reached the limit of 1 calls per second: slow down, or ask the server's administrator to raise caller_rate";
    assert_eq!(held.expect("a limited call").json()["message"], expected);
    assert_eq!(server.call_with_key(&second, Method::GET, "/node", None).await.status, StatusCode::OK);
    assert_eq!(profile(&server, &owner).await.status, StatusCode::OK);
    for _ in 0..16 {
        verify(&server, &owner, &first).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_changes_1000_rows_costs_more_than_30_calls() {
    let server = Server::with(|flags| flags.with("caller_rate", "1")).await;
    let few = server.owner_of("few").await;
    let many = server.owner_of("many").await;
    for (person, ids, held) in [(&few, 19, false), (&many, 1_000, true)] {
        let ids: Vec<i64> = (1..=ids).collect();
        let marked = server.call_as(person, Method::POST, "/systemevent/read", Some(&json!({ "ids": ids }))).await;
        assert_eq!(marked.status, StatusCode::OK, "{marked:?}");
        let next = profile(&server, person).await;
        assert_eq!(next.status == StatusCode::TOO_MANY_REQUESTS, held, "{next:?}");
        let wait: Option<u64> =
            next.headers.get("retry-after").map(|wait| wait.to_str().expect("text").parse().expect("s"));
        assert_eq!(wait.is_some_and(|wait| wait > 30), held, "{wait:?}");
    }
    // So does one that may replay 1,000 deliveries.
    let owner = server.owner_of("hooks").await;
    let hook = Hook::make(&server, &owner, &json!({ "url": "https://a.example" })).await;
    let since = json!({ "since": "2024-01-15T00:00:00Z" });
    assert_eq!(hook.call(&server, &owner, Method::POST, "/replay", since).await.status, StatusCode::OK);
    assert_eq!(profile(&server, &owner).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_and_api_keys_of_an_organization_share_its_rate_limit() {
    let server = Server::with(|flags| flags.with("org_rate", "3")).await;
    let owner = server.owner_of("acme").await;
    let (_, key) = server.api_key(&owner, Role::User, &[]).await;
    let member = server.member_of(&owner.org, Role::User).await;
    let began = Instant::now();
    // Creating the key was one call.
    let (mut taken, mut held) = (1, None);
    for round in 0..48 {
        let answer = match round % 3 {
            0 => profile(&server, &owner).await,
            1 => profile(&server, &member).await,
            _ => server.call_with_key(&key, Method::GET, "/node", None).await,
        };
        if answer.status == StatusCode::OK {
            taken += 1;
        } else {
            held = Some(answer);
        }
    }
    assert!((12..=12 + 3 * came_back(began)).contains(&taken), "{taken} calls in {:?}", began.elapsed());
    let held = held.expect("a limited call");
    assert_eq!(held.refusal(), (429, "TOO_MANY_REQUESTS".to_owned()));
    assert_eq!(held.headers["retry-after"], "1");
    let expected = "This organization has reached the limit of 3 calls per second across all its users and API keys: slow down, or ask the \
       server's administrator to raise org_rate";
    assert_eq!(held.json()["message"], expected);
    for _ in 0..16 {
        verify(&server, &owner, &key).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_at_its_rate_limit_does_not_limit_others() {
    let rates = [("caller_rate", "2"), ("org_rate", "5"), ("signed_rate", "1")];
    let server =
        Server::with(|flags| rates.into_iter().fold(flags, |flags, (name, rate)| flags.with(name, rate))).await;
    let server = Arc::new(server);
    let greedy = server.owner_of("greedy").await;
    let (_, pem) = server.key(&greedy).await;
    let mut spending = JoinSet::new();
    for _ in 0..8 {
        let (server, member) = (Arc::clone(&server), server.member_of(&greedy.org, Role::User).await);
        spending.spawn(async move {
            let mut held = 0;
            for _ in 0..40 {
                held += usize::from(profile(&server, &member).await.status == StatusCode::TOO_MANY_REQUESTS);
            }
            held
        });
    }
    let (_, _, answer) = until_held(&server, &greedy.org, &pem, "greedy").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    let modest = server.owner_of("modest").await;
    let (_, pem) = server.key(&modest).await;
    for number in 0..7 {
        assert_eq!(profile(&server, &modest).await.status, StatusCode::OK, "call {number}");
        let node = server.register(&modest.org, &pem, &format!("modest-{number}")).await;
        assert_eq!(node.status, StatusCode::OK, "node {number}: {node:?}");
    }
    let held: usize = spending.join_all().await.into_iter().sum();
    assert!(held > 100, "the greedy organization was limited only {held} times");
}

/// Registers nodes until a call is limited. Returns how many succeeded, and the limited call.
async fn until_held(server: &Server, org: &str, pem: &str, region: &str) -> (usize, Value, Answer) {
    for number in 0..1_000 {
        let (ip, now) = (format!("{region}-{number}"), server.now() / 1_000);
        let body = registration(org, pem, &ip, now);
        let answer = server.call(Method::POST, "/register", Some(&body)).await;
        if answer.status != StatusCode::OK {
            return (number, body, answer);
        }
    }
    panic!("1,000 calls were not too many");
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_calls_are_rate_limited_and_a_limited_call_can_be_resent() {
    let server = Server::with(|flags| flags.with("signed_rate", "2")).await;
    let owner = server.owner_of("acme").await;
    let other = server.owner_of("other").await;
    let ((_, pem), (_, other_pem)) = (server.key(&owner).await, server.key(&other).await);
    let began = Instant::now();
    let (taken, held, answer) = until_held(&server, &owner.org, &pem, "a").await;
    assert!((120..=120 + 2 * came_back(began)).contains(&taken), "{taken} in {:?}", began.elapsed());
    assert_eq!(answer.refusal(), (429, "TOO_MANY_REQUESTS".to_owned()));
    assert_eq!(answer.headers["retry-after"], "1");
    let advice = answer.json()["errorMessage"].as_str().expect("advice").to_owned();
    assert!(advice.contains("2 accepted signed calls per second") && advice.contains("raise signed_rate"), "{advice}");
    assert_eq!(server.register(&other.org, &other_pem, "b").await.status, StatusCode::OK, "another organization");
    // No signature is checked for an organization at its limit. What comes back meanwhile goes to a call that is accepted.
    let mut forged = held.clone();
    forged["region"] = "elsewhere".into();
    let mut number = 0;
    let told = loop {
        let told = server.call(Method::POST, "/register", Some(&forged)).await.status;
        number += 1;
        if server.register(&owner.org, &pem, &format!("c-{number}")).await.status != StatusCode::OK {
            break told;
        }
    };
    assert_eq!(told, StatusCode::TOO_MANY_REQUESTS);
    // Unregistering is a signed call too.
    server.pass(1_000);
    let mut left = StatusCode::OK;
    for number in 0..1_000 {
        let leaving = registration(&owner.org, &pem, &format!("a-{number}"), server.now() / 1_000);
        left = server.call(Method::POST, "/unregister", Some(&leaving)).await.status;
        if left != StatusCode::OK {
            break;
        }
    }
    assert_eq!(left, StatusCode::TOO_MANY_REQUESTS);
    let began = Instant::now();
    let mut again = server.call(Method::POST, "/register", Some(&held)).await;
    while again.status == StatusCode::TOO_MANY_REQUESTS {
        assert!(began.elapsed() < Duration::from_secs(30), "nothing comes back");
        tokio::time::sleep(Duration::from_millis(20)).await;
        again = server.call(Method::POST, "/register", Some(&held)).await;
    }
    assert_eq!(again.status, StatusCode::OK, "its signature was not used up: {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_signed_calls_use_up_none_of_an_organizations_rate() {
    let server = Server::with(|flags| flags.with("signed_rate", "1").with("nodes_max", "80")).await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let captured = registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000);
    assert_eq!(server.call(Method::POST, "/register", Some(&captured)).await.status, StatusCode::OK);
    let mut forged = captured.clone();
    forged["region"] = "elsewhere".into();
    for _ in 0..100 {
        assert_eq!(server.call(Method::POST, "/register", Some(&captured)).await.refusal().1, "SIGNATURE_REPLAYED");
        assert_eq!(server.call(Method::POST, "/unregister", Some(&captured)).await.refusal().1, "SIGNATURE_REPLAYED");
        assert_eq!(server.call(Method::POST, "/register", Some(&forged)).await.refusal().1, "BAD_SIGNATURE");
    }
    let place = format!("/organization/{}/node/203.0.113.7", owner.org);
    assert_eq!(server.call_as(&owner, Method::DELETE, &place, None).await.status, StatusCode::OK);
    server.pass(1_000);
    let deleted = registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000);
    for _ in 0..100 {
        assert_eq!(server.call(Method::POST, "/register", Some(&deleted)).await.refusal().1, "NODE_DELETED");
    }
    let (taken, _, answer) = until_held(&server, &owner.org, &pem, "a").await;
    assert!(taken >= 59, "only {taken} were left");
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
}

#[test]
fn default_rates_let_all_nodes_register_at_once_or_every_minute() {
    let settings = resolve(&Flags::default(), &Texts::new(), None).expect("settings").settings;
    let limits = limits(&settings);
    assert_eq!((limits.nodes, limits.signed_rate, limits.signed_burst()), (10_000, 200, 12_000));
    // What docs/configuration.md says. A rate of 0 would be none.
    let rates = (limits.caller_rate, limits.org_rate, limits.refused_rate, limits.refused_burst);
    assert_eq!(rates, (50, 500, 20, 100));
    assert!(limits.signed_rate * 60 >= limits.nodes && limits.signed_burst() >= limits.nodes);
}

/// A server with the default rates.
async fn untouched() -> Server {
    Server::with(|flags| {
        let rates = FIELDS.iter().filter(|field| field.name.ends_with("_rate"));
        rates.fold(flags, |flags, field| flags.with(field.name, field.default))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_512_nodes_can_register_at_once() {
    let server = Arc::new(untouched().await);
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let pem = Arc::<str>::from(pem);
    let mut calls = JoinSet::new();
    for part in 0..16 {
        let (server, org, pem) = (Arc::clone(&server), owner.org.clone(), Arc::clone(&pem));
        calls.spawn(async move {
            for number in 0..32 {
                let answer = server.register(&org, &pem, &format!("node-{part}-{number}")).await;
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            }
        });
    }
    calls.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_users_organizations_and_networks_are_limited() {
    let server = untouched().await;
    let owner = server.owner_of("acme").await;
    let ids: Vec<i64> = (1..=1_000).collect();
    // Each of these calls counts as 50 calls. At most 200 are allowed at once by an access token, and 2,000 by an
    // organization.
    let began = Instant::now();
    let mark = async |who: &Identity| {
        server.call_as(who, Method::POST, "/systemevent/read", Some(&json!({ "ids": ids }))).await
    };
    let until_held = async |who: &Identity| {
        for call in 0..1_000 {
            let answer = mark(who).await;
            if answer.status != StatusCode::OK {
                return (call, answer);
            }
        }
        panic!("there is no limit");
    };
    let (calls, held) = until_held(&owner).await;
    let back = came_back(began);
    assert!((4..=5 + back).contains(&calls), "{calls} calls");
    assert!(held.json()["message"].as_str().is_some_and(|message| message.contains("raise caller_rate")), "{held:?}");
    let mut all = calls;
    let held = loop {
        let member = server.member_of(&owner.org, Role::User).await;
        let (calls, held) = until_held(&member).await;
        all += calls;
        if held.json()["message"].as_str().is_some_and(|message| message.contains("raise org_rate")) {
            break held;
        }
        let back = 10 * came_back(began);
        assert!(all <= 41 + back, "{all} calls, and the organization has no limit");
    };
    assert_eq!(held.refusal().1, "TOO_MANY_REQUESTS");
    let began = Instant::now();
    let (refused, held) = exhaust(&server, &owner.org, &["192.0.2.1"], 1_000).await;
    let back = 20 * came_back(began);
    assert!((100..=100 + back).contains(&refused), "{refused} calls were refused");
    assert_eq!(held.refusal().1, "TOO_MANY_REQUESTS");
}
