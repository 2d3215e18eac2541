//! Slots of the running courier with the real database: a receiver that hangs holds a few, and delays no other webhook or organization.

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

/// A webhook that gets only its test deliveries.
async fn hook(server: &Server, owner: &Identity, receiver: &Receiver) -> Hook {
    Hook::make(server, owner, &json!({ "url": receiver.url(), "contexts": [1] })).await
}

/// So many webhooks to the same receiver, each with so many test deliveries.
async fn tested(server: &Server, owner: &Identity, receiver: &Receiver, hooks: usize, tests: usize) -> Vec<Hook> {
    let mut made = Vec::new();
    for _ in 0..hooks {
        let hook = hook(server, owner, receiver).await;
        for _ in 0..tests {
            hook.tested(server, owner).await;
        }
        made.push(hook);
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hanging_webhooks_leave_slots_to_a_third_of_their_organization() {
    let (server, hanging, receiver) = (server().await, Receiver::silent().await, good().await);
    let owner = server.owner_of("acme").await;
    tested(&server, &owner, &hanging, 2, 8).await;
    until(&server, "both hang", async || hanging.open() >= 6).await;
    tested(&server, &owner, &receiver, 1, 20).await;
    until(&server, "the third has all", async || receiver.connections() == 20).await;
    assert_eq!((hanging.most(), hanging.connections()), (6, 6));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_4_slots_and_an_organization_8() {
    let (server, one, many) = (server().await, Receiver::silent().await, Receiver::silent().await);
    let (single, crowd) = (server.owner_of("single").await, server.owner_of("crowd").await);
    tested(&server, &single, &one, 1, 6).await;
    tested(&server, &crowd, &many, 10, 2).await;
    until(&server, "both organizations hang", async || one.open() == 4 && many.open() == 8).await;
    // Everything that can start has started before a third organization's event arrives.
    let (quiet, receiver) = (server.owner_of("quiet").await, good().await);
    tested(&server, &quiet, &receiver, 1, 10).await;
    until(&server, "the third organization's arrive", async || receiver.connections() == 10).await;
    assert_eq!((one.most(), many.most()), (4, 8));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_hang_on_all_slots_but_one_delay_nobody_else() {
    let (server, hanging, receiver) = (server().await, Receiver::silent().await, good().await);
    for (name, hooks) in ["a", "b", "c"]
        .into_iter()
        .map(|name| (name, 8))
        .chain(["d", "e", "f", "g", "h", "i", "j"].map(|name| (name, 1)))
    {
        let owner = server.owner_of(name).await;
        tested(&server, &owner, &hanging, hooks, 2).await;
    }
    until(&server, "all slots but one are held", async || hanging.open() == 31).await;
    let owner = server.owner_of("quiet").await;
    tested(&server, &owner, &receiver, 1, 20).await;
    until(&server, "the healthy receiver has all", async || receiver.connections() == 20).await;
    assert_eq!(hanging.most(), 31);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_deleted_during_an_attempt_hold_no_slot() {
    let (server, hanging, receiver) = (server().await, Receiver::silent().await, good().await);
    let (loud, quiet) = (server.owner_of("loud").await, server.owner_of("quiet").await);
    for _ in 0..9 {
        let before = hanging.connections();
        let hook = tested(&server, &loud, &hanging, 1, 4).await.remove(0);
        until(&server, "it is tried", async || hanging.connections() > before).await;
        hook.call(&server, &loud, Method::DELETE, "", Value::Null).await;
    }
    tested(&server, &quiet, &receiver, 1, 1).await;
    until(&server, "the other organization's arrives", async || receiver.connections() == 1).await;
    until(&server, "the attempts of deleted webhooks have ended", async || hanging.open() == 0).await;
    server.stop().await;
}
