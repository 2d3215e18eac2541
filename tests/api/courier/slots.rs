//! Slots of the running courier with the real database: a receiver that hangs holds a few, and delays no other webhook or organization.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hyper::Method;
use serde_json::{Value, json};

use super::end_to_end::until;
use super::receiver::Receiver;
use crate::harness::{Identity, Server};
use crate::webhooks::Hook;

async fn server() -> Server {
    Server::with(|flags| flags.with("webhook_allow", "127.0.0.0/8")).await
}

async fn good() -> Receiver {
    Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await
}

/// Creates so many webhooks of an organization to the same receiver. They get only their test deliveries.
async fn hooks(server: &Server, owner: &Identity, receiver: &Receiver, count: usize) -> Vec<Hook> {
    let mut made = Vec::new();
    for _ in 0..count {
        made.push(Hook::make(server, owner, &json!({ "url": receiver.url(), "contexts": [1] })).await);
    }
    made
}

/// Sends so many test events to each webhook, all at the same time: an attempt that hangs ends after 15 seconds, and
/// the last must start before that, on a busy machine too.
async fn test(server: &Server, owned: &[(Identity, Vec<Hook>)], tests: usize) {
    let each = owned.iter().flat_map(|(owner, hooks)| hooks.iter().map(move |hook| (owner, hook)));
    join_all(each.flat_map(|(owner, hook)| (0..tests).map(move |_| hook.tested(server, owner)))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hanging_webhooks_leave_slots_to_a_third_of_their_organization() {
    let (server, hanging, receiver) = (server().await, Receiver::silent().await, good().await);
    let owner = server.owner_of("acme").await;
    let hung = hooks(&server, &owner, &hanging, 2).await;
    let well = hooks(&server, &owner, &receiver, 1).await;
    test(&server, &[(owner.clone(), hung)], 8).await;
    until(&server, "both hang", async || hanging.open() >= 6).await;
    test(&server, &[(owner, well)], 20).await;
    until(&server, "the third has all", async || receiver.connections() == 20).await;
    assert_eq!((hanging.most(), hanging.connections()), (6, 6));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_4_slots_and_an_organization_8() {
    let (server, one, many, receiver) =
        (server().await, Receiver::silent().await, Receiver::silent().await, good().await);
    let [single, crowd, quiet] =
        [server.owner_of("single").await, server.owner_of("crowd").await, server.owner_of("quiet").await];
    let of_one = hooks(&server, &single, &one, 1).await;
    let of_many = hooks(&server, &crowd, &many, 10).await;
    let well = hooks(&server, &quiet, &receiver, 1).await;
    let (single, crowd) = ([(single, of_one)], [(crowd, of_many)]);
    tokio::join!(test(&server, &single, 6), test(&server, &crowd, 2));
    until(&server, "both organizations hang", async || one.open() == 4 && many.open() == 8).await;
    // Everything that can start has started before a third organization's event arrives.
    test(&server, &[(quiet, well)], 10).await;
    until(&server, "the third organization's arrive", async || receiver.connections() == 10).await;
    assert_eq!((one.most(), many.most()), (4, 8));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_hang_on_all_slots_but_one_delay_nobody_else() {
    let (server, hanging, receiver) = (server().await, Receiver::silent().await, good().await);
    let (mut large, mut small) = (Vec::new(), Vec::new());
    for name in ["a", "b", "c"] {
        let owner = server.owner_of(name).await;
        large.push((owner.clone(), hooks(&server, &owner, &hanging, 8).await));
    }
    for name in ["d", "e", "f", "g", "h", "i", "j"] {
        let owner = server.owner_of(name).await;
        small.push((owner.clone(), hooks(&server, &owner, &hanging, 1).await));
    }
    let quiet = server.owner_of("quiet").await;
    let well = hooks(&server, &quiet, &receiver, 1).await;
    test(&server, &large, 2).await;
    until(&server, "three organizations hold all their slots", async || hanging.open() == 24).await;
    test(&server, &small, 2).await;
    until(&server, "all slots but one are held", async || hanging.open() == 31).await;
    test(&server, &[(quiet, well)], 20).await;
    until(&server, "the healthy receiver has all", async || receiver.connections() == 20).await;
    assert_eq!(hanging.most(), 31);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_deleted_during_an_attempt_hold_no_slot() {
    let (server, hanging, receiver) = (server().await, Receiver::silent().await, good().await);
    let (loud, quiet) = (server.owner_of("loud").await, server.owner_of("quiet").await);
    let well = hooks(&server, &quiet, &receiver, 1).await;
    for hook in hooks(&server, &loud, &hanging, 9).await {
        let before = hanging.connections();
        for _ in 0..4 {
            hook.tested(&server, &loud).await;
        }
        until(&server, "it is tried", async || hanging.connections() > before).await;
        hook.call(&server, &loud, Method::DELETE, "", Value::Null).await;
    }
    let deleted = Instant::now();
    test(&server, &[(quiet, well)], 1).await;
    until(&server, "the other organization's arrives", async || receiver.connections() == 1).await;
    until(&server, "the attempts of deleted webhooks have ended", async || hanging.open() == 0).await;
    assert!(deleted.elapsed() < Duration::from_secs(10), "an attempt was left to itself, and gave up after 15 s");
    server.stop().await;
}
