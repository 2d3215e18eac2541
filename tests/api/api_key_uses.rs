//! The last use of an API key, which is written once in a while.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::{Method, StatusCode};
use orgkeys::actions::api_key;
use orgkeys::domain::role::Role;

use crate::api_keys::keys_of;
use crate::harness::{Server, blocking};

#[tokio::test(flavor = "multi_thread")]
async fn a_use_that_cannot_be_written_on_a_full_disk_is_written_later() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, secret) = server.api_key(&owner, Role::User, &[]).await;
    server.pass(1_500);
    assert_eq!(server.call_with_key(&secret, Method::GET, "/node", None).await.status, StatusCode::OK);
    server.room.store(1, Ordering::Relaxed);
    let system = Arc::clone(&server.system);
    let refused = blocking(move || api_key::flush_uses(&system).expect_err("no room")).await;
    assert_eq!(refused.code, "STORAGE_FULL", "{refused:?}");
    server.room.store(0, Ordering::Relaxed);
    let server = server.restart().await;
    let listed = server.call_as(&owner, Method::GET, &keys_of(&owner), None).await.result();
    assert_eq!(listed[0]["lastUsed"], "2024-01-15T10:30:01.500Z");
}
