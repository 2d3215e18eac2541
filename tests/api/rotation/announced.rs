//! The end of a key is announced before and when it comes.

use serde_json::{Value, json};

use super::{DAY, moment, register_all, rotated, state};
use crate::announcements::{announced, keep_house};
use crate::harness::{BEGIN, Server};

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_announced_seven_days_and_one_day_before_and_when_it_comes() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, pem) = server.key(&owner).await;
    register_all(&server, &owner, &pem, 0..3).await;
    rotated(&server, &owner, &key, &json!({ "overlapSeconds": 10 * DAY / 1_000 })).await;
    let mut expected: Vec<(String, Value)> = Vec::new();
    // (how much time passes, the lead time that is announced then)
    for (millis, days) in [(3 * DAY - 1, 0), (1, 7), (6 * DAY - 1, 0), (1, 1), (DAY - 1, 0)] {
        server.pass(millis);
        for _ in 0..2 {
            keep_house(&server).await;
        }
        if days > 0 {
            let detail = json!({ "days": days, "nodes": 3, "ends": moment(BEGIN + 10 * DAY) });
            expected.push((key.clone(), detail));
        }
        assert_eq!(announced(&server, "org_key.retiring").await, expected, "{days} days");
        assert_eq!(announced(&server, "org_key.retired").await, []);
    }
    server.pass(1);
    assert_eq!(
        state(&server, &owner, &key).await,
        ("retired".to_owned(), 3),
        "the state does not wait for the announcement"
    );
    for _ in 0..2 {
        keep_house(&server).await;
    }
    assert_eq!(announced(&server, "org_key.retired").await, [(key.clone(), json!({ "why": "time", "nodes": 3 }))]);
    assert_eq!(announced(&server, "org_key.retiring").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_set_near_is_not_announced_at_once() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, _) = server.key(&owner).await;
    rotated(&server, &owner, &key, &json!({})).await;
    keep_house(&server).await;
    assert_eq!(announced(&server, "org_key.retiring").await, [], "the rotation has just said so");
    server.pass(6 * DAY);
    keep_house(&server).await;
    assert_eq!(announced(&server, "org_key.retiring").await.len(), 1);
    // A deleted key has no end.
    let path = super::keys_of(&owner, &format!("/{key}"));
    server.call_as(&owner, hyper::Method::DELETE, &path, None).await;
    server.pass(DAY);
    keep_house(&server).await;
    assert_eq!(announced(&server, "org_key.retired").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_moved_is_announced_again() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, _) = server.key(&owner).await;
    rotated(&server, &owner, &key, &json!({ "overlapSeconds": 10 * DAY / 1_000 })).await;
    let lead_times = async || {
        keep_house(&server).await;
        let announced = announced(&server, "org_key.retiring").await;
        announced.into_iter().map(|(_, detail)| detail["days"].clone()).collect::<Vec<_>>()
    };
    server.pass(9 * DAY);
    assert_eq!(lead_times().await, [1]);
    let later = json!({ "retireAt": moment(BEGIN + 20 * DAY) });
    server.call_as(&owner, hyper::Method::PUT, &super::keys_of(&owner, &format!("/{key}")), Some(&later)).await;
    server.pass(4 * DAY);
    assert_eq!(lead_times().await, [1, 7]);
    server.pass(6 * DAY);
    assert_eq!(lead_times().await, [1, 7, 1]);
}
