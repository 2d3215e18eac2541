//! Ids and dates of what is created while the clock is ahead, and after it was set back.

use std::sync::Arc;

use hyper::Method;
use orgkeys::actions::admin::{self, Ttl};
use orgkeys::domain::role::Role;
use orgkeys::domain::time::Time;
use serde_json::{Value, json};

use crate::access::token;
use crate::api_keys::keys_of;
use crate::clock::{DAY, TEN_YEARS, set, status};
use crate::harness::{BEGIN, Identity, Server, blocking, entries};
use crate::password_guessing::tried;
use crate::sessions::{conn, log_in, person};
use crate::users::{USERS, guest};
use crate::webhooks::Hook;

/// Creates one row of a table.
async fn create(server: &Server, owner: &Identity, pem: &str, table: &str, number: u32) {
    match table {
        "org" => {
            let system = Arc::clone(&server.system);
            blocking(move || admin::create_org(&system, "another").expect("an organization")).await;
        }
        "person" => {
            let new = guest(&format!("{number}@example.org"), 0);
            let made = server.call_as(owner, Method::POST, USERS, Some(&new)).await;
            assert!(made.status.is_success(), "{made:?}");
        }
        "token" => drop(token(server, owner, Ttl::Never).await),
        "org_key" => drop(server.key(owner).await),
        "node" => drop(server.register(&owner.org, pem, &format!("10.0.0.{number}")).await),
        "project" => drop(server.project(owner, "a").await),
        "webhook" => drop(Hook::make(server, owner, &json!({ "url": "https://a.example", "contexts": [1] })).await),
        _ => drop(Hook::all(server, owner).await[0].tested(server, owner).await),
    }
}

fn newest(server: &Server, table: &str) -> Vec<u8> {
    let sql = format!("SELECT max(id) FROM {table}");
    conn(server).query_row(&sql, [], |row| row.get(0)).expect("an id")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_created_after_the_clock_was_set_back_is_still_listed_first() {
    let mut server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let mut ahead = TEN_YEARS;
    for table in ["webhook", "delivery", "org_key", "node", "project", "person", "token", "org"] {
        // Further ahead than for the table before, whose newest id would otherwise do.
        ahead += DAY;
        // A start would create another token.
        server = set(server, ahead, false).await;
        create(&server, &owner, &pem, table, 1).await;
        let before = newest(&server, table);
        server = set(server, -ahead, true).await;
        create(&server, &owner, &pem, table, 2).await;
        assert!(newest(&server, table) > before, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_created_or_used_with_the_clock_ahead_has_no_date_in_the_future() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let server = set(server, TEN_YEARS, false).await;
    server.key(&owner).await;
    server.api_key(&owner, Role::User, &[]).await;
    let secret = token(&server, &owner, Ttl::Never).await;
    assert_eq!(status(&server, &secret).await, 200);
    let server = set(server, -TEN_YEARS, false).await;
    let now = json!(Time::from_millis(server.now()).to_string());
    let shown = async |path: &str| server.call_as(&owner, Method::GET, path, None).await.json();
    let key = shown(&format!("/organization/{}/key", owner.org)).await["data"][0]["createdAt"].clone();
    let api_key = shown(&keys_of(&owner)).await["result"][0]["createdAt"].clone();
    let all = shown("/token").await;
    let used = all["tokens"].as_array().expect("tokens").iter().find(|token| token["current"] == false);
    let used: Value = used.unwrap_or_else(|| panic!("{all}")).clone();
    let (created, used) = (used["createdAt"].clone(), used["lastUsed"].clone());
    assert_eq!([key, api_key, created, used], [now.clone(), now.clone(), now.clone(), now]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_and_a_known_network_from_ahead_last_no_longer_than_others() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let server = set(server, TEN_YEARS, false).await;
    ada.session(&server).await;
    let made = server.call_as(&owner, Method::POST, USERS, Some(&guest("eve@example.org", 0))).await.json();
    let server = set(server, -TEN_YEARS, false).await;
    let path = format!("{USERS}/{}", made["data"]["id"].as_str().expect("an id"));
    let eve = server.call_as(&owner, Method::GET, &path, None).await.json();
    assert_eq!(eve["invitedUntil"], json!(Time::from_millis(server.now() + 3 * DAY).to_string()), "{eve}");
    let guess = async || log_in(&server, "127.0.0.1", &ada.email, "another password").await.status.as_u16();
    server.pass(30 * DAY - 1);
    tried(&server, &ada.email, 0..100);
    assert_eq!(guess().await, 401);
    server.pass(1);
    assert_eq!(guess().await, 429, "30 days after the moment of the correction");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_clean_stop_is_remembered() {
    let server = Server::start().await;
    // Shortly before the next look at the clock.
    server.pass(29_000);
    let stopped = server.stop().await;
    stopped.pass(-20_000);
    let server = stopped.start().await;
    server.owner_of("acme").await;
    let last = entries(&server.database).await.pop().expect("an entry");
    assert_eq!(last.at, BEGIN + 29_000);
}
