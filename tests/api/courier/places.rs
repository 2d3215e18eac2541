//! Places of the running courier at the real desk: a receiver that hangs holds a few, and neither its neighbours nor other organizations wait for it.

use hyper::Method;
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::whole::until;
use crate::harness::{Identity, Server};
use crate::webhooks::Hook;

async fn server() -> Server {
    Server::with(|flags| flags.with("webhook_allow", "127.0.0.0/8")).await
}

async fn good() -> Receiver {
    Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await
}

/// A webhook that hears of its tests alone.
async fn hook(server: &Server, owner: &Identity, receiver: &Receiver) -> Hook {
    Hook::make(server, owner, &json!({ "url": receiver.url(), "contexts": [1] })).await
}

/// So many webhooks to the same receiver, each of which is tested so often.
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
async fn two_webhooks_that_hang_leave_places_to_a_third_of_their_organization() {
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
async fn one_webhook_has_four_places_and_an_organization_eight() {
    let (server, one, many) = (server().await, Receiver::silent().await, Receiver::silent().await);
    let (single, crowd) = (server.owner_of("single").await, server.owner_of("crowd").await);
    tested(&server, &single, &one, 1, 6).await;
    tested(&server, &crowd, &many, 10, 2).await;
    until(&server, "they hang", async || one.open() == 4 && many.open() == 8).await;
    // Everything that could still be begun is, before a third organization's event arrives.
    let (quiet, receiver) = (server.owner_of("quiet").await, good().await);
    tested(&server, &quiet, &receiver, 1, 10).await;
    until(&server, "another's arrive", async || receiver.connections() == 10).await;
    assert_eq!((one.most(), many.most()), (4, 8));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_receivers_on_all_places_but_one_keep_nobody_else_waiting() {
    let (server, hanging, receiver) = (server().await, Receiver::silent().await, good().await);
    for (name, hooks) in ["a", "b", "c"]
        .into_iter()
        .map(|name| (name, 8))
        .chain(["d", "e", "f", "g", "h", "i", "j"].map(|name| (name, 1)))
    {
        let owner = server.owner_of(name).await;
        tested(&server, &owner, &hanging, hooks, 2).await;
    }
    until(&server, "all places but one are held", async || hanging.open() == 31).await;
    let owner = server.owner_of("quiet").await;
    tested(&server, &owner, &receiver, 1, 20).await;
    until(&server, "the good one has all", async || receiver.connections() == 20).await;
    assert_eq!(hanging.most(), 31);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_are_deleted_while_they_are_tried_hold_no_place() {
    let (server, hanging, receiver) = (server().await, Receiver::silent().await, good().await);
    let (loud, quiet) = (server.owner_of("loud").await, server.owner_of("quiet").await);
    for _ in 0..9 {
        let before = hanging.connections();
        let hook = tested(&server, &loud, &hanging, 1, 4).await.remove(0);
        until(&server, "it is tried", async || hanging.connections() > before).await;
        hook.call(&server, &loud, Method::DELETE, "", Value::Null).await;
    }
    tested(&server, &quiet, &receiver, 1, 1).await;
    until(&server, "another's arrives", async || receiver.connections() == 1).await;
    until(&server, "what nobody waits for has ended", async || hanging.open() == 0).await;
    server.stop().await;
}
