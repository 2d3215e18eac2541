//! The end and the name of a key are changed.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::{DAY, keys_of, moment, register_all, rotated, shown, state};
use crate::harness::{Answer, BEGIN, Identity, Server};

async fn put(server: &Server, owner: &Identity, key: &str, body: &Value) -> Answer {
    server.call_as(owner, Method::PUT, &keys_of(owner, &format!("/{key}")), Some(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_key_can_be_moved_taken_back_and_brought_about() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, pem) = server.key(&owner).await;
    register_all(&server, &owner, &pem, 0..1).await;
    let (next, _) = rotated(&server, &owner, &key, &json!({})).await;

    let later = put(&server, &owner, &key, &json!({ "retireAt": moment(BEGIN + 30 * DAY), "name": "old" })).await;
    assert_eq!(later.status, StatusCode::OK, "{later:?}");
    let data = later.json()["data"].clone();
    let facts = ["state", "name", "retireAt", "successorId"].map(|name| data[name].clone());
    assert_eq!(facts, [json!("retiring"), json!("old"), json!(moment(BEGIN + 30 * DAY)), json!(next)]);
    assert_eq!(data["nodeKeys"].as_array().map(Vec::len), Some(1));
    let (action, _, detail) = super::history(&server).await.pop().expect("an entry");
    let expected = json!({ "retireAt": moment(BEGIN + 30 * DAY), "retireWhenUnused": true, "renamed": true });
    assert_eq!((action.as_str(), detail), ("org_key.update", expected));
    let same = put(&server, &owner, &key, &json!({ "name": "old" })).await;
    assert_eq!(same.json()["data"]["lastUsed"], json!(moment(BEGIN)));
    let (_, _, detail) = super::history(&server).await.pop().expect("an entry");
    assert_eq!(detail["renamed"], false, "it had that name");

    put(&server, &owner, &key, &json!({ "retireAt": null })).await;
    let data = shown(&server, &owner, &key).await;
    assert_eq!(
        (&data["state"], &data["retireAt"], &data["successorId"]),
        (&json!("active"), &json!(null), &json!(null))
    );
    rotated(&server, &owner, &key, &json!({ "retireWhenUnused": true })).await;
    put(&server, &owner, &key, &json!({ "retireWhenUnused": false })).await;
    assert_eq!(shown(&server, &owner, &key).await["retireWhenUnused"], false);

    put(&server, &owner, &key, &json!({ "retireAt": "2000-01-01T00:00:00Z" })).await;
    let data = shown(&server, &owner, &key).await;
    assert_eq!((&data["state"], &data["retireAt"]), (&json!("retired"), &json!(moment(BEGIN))));
    assert_eq!(state(&server, &owner, &key).await.1, 1, "the node that it had stays beside it");
    let (action, _, detail) = super::history(&server).await.pop().expect("an entry");
    assert_eq!((action.as_str(), detail), ("org_key.retired", json!({ "why": "administrator", "nodes": 1 })));
    // Ending it again changes nothing, and it can be brought back.
    server.pass(1_000);
    put(&server, &owner, &key, &json!({ "retireAt": moment(BEGIN) })).await;
    assert_eq!(shown(&server, &owner, &key).await["retireAt"], json!(moment(BEGIN)));
    put(&server, &owner, &key, &json!({ "retireAt": moment(BEGIN + DAY) })).await;
    register_all(&server, &owner, &pem, 0..1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_beyond_a_limit_are_refused() {
    let server = Server::with(|flags| flags.with("org_keys_max", "1")).await;
    let owner = server.owner_of("acme").await;
    let (key, _) = server.key(&owner).await;
    let year = 365 * DAY;
    for (body, problem) in [
        (json!({ "retireAt": moment(BEGIN + year + 1) }), "at most 365 days"),
        (json!({ "retireAt": "tomorrow" }), "RFC 3339"),
        (json!({ "name": "a".repeat(101) }), "characters"),
    ] {
        let refused = put(&server, &owner, &key, &body).await;
        assert_eq!(refused.refusal(), (400, "INVALID_FIELD".to_owned()), "{body}");
        assert!(refused.json()["message"].as_str().expect("text").contains(problem), "{refused:?}");
    }
    assert_eq!(
        put(&server, &owner, "key-1", &json!({ "name": "a" })).await.refusal(),
        (404, "KEY_NOT_FOUND".to_owned())
    );
    assert_eq!(put(&server, &owner, &key, &json!({ "retireAt": moment(BEGIN + year) })).await.status, StatusCode::OK);
    let moved = put(&server, &owner, &key, &json!({ "retireAt": moment(BEGIN + year - 1) })).await;
    assert_eq!(moved.status, StatusCode::OK, "the one retiring key stays the only one");
    let (other, _) = server.key(&owner).await;
    let refused = put(&server, &owner, &key, &json!({ "retireAt": null })).await;
    assert_eq!(refused.refusal(), (400, "KEY_LIMIT_REACHED".to_owned()));
    let refused = put(&server, &owner, &other, &json!({ "retireAt": moment(BEGIN + year) })).await;
    assert_eq!(refused.refusal(), (409, "TOO_MANY_RETIRING".to_owned()));
    // A key that has an end already has left its place, so its successor needs one.
    let refused = super::rotate(&server, &owner, &key, &json!({})).await;
    assert_eq!(refused.refusal(), (400, "KEY_LIMIT_REACHED".to_owned()));
    for body in [json!({ "overlapSeconds": -1 }), json!({ "overlapSeconds": 31_536_001 })] {
        assert_eq!(super::rotate(&server, &owner, &other, &body).await.refusal(), (400, "INVALID_FIELD".to_owned()));
    }
    // Neither does one that has ended come back into a place that is taken.
    assert_eq!(put(&server, &owner, &key, &json!({ "retireAt": moment(BEGIN) })).await.status, StatusCode::OK);
    let refused = put(&server, &owner, &key, &json!({ "retireAt": null })).await;
    assert_eq!(refused.refusal(), (400, "KEY_LIMIT_REACHED".to_owned()));
    assert_eq!(put(&server, &owner, &other, &json!({ "retireAt": moment(BEGIN + year) })).await.status, StatusCode::OK);
    let refused = put(&server, &owner, &key, &json!({ "retireAt": moment(BEGIN + year) })).await;
    assert_eq!(refused.refusal(), (409, "TOO_MANY_RETIRING".to_owned()));
    // A rotation without overlap ends the key at once, which is recorded.
    assert_eq!(put(&server, &owner, &other, &json!({ "retireAt": null })).await.status, StatusCode::OK);
    let at_once = json!({ "publicKey": server.pair().public, "overlapSeconds": 0 });
    assert_eq!(super::rotate(&server, &owner, &other, &at_once).await.status, StatusCode::OK);
    let ended = ("org_key.retired".to_owned(), other, json!({ "why": "administrator", "nodes": 0 }));
    assert_eq!(super::history(&server).await.pop(), Some(ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_id_that_is_misspelled_does_not_look_like_a_key_without_nodes() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, pem) = server.key(&owner).await;
    register_all(&server, &owner, &pem, 0..3).await;
    let nodes = async |query: &str| {
        let path = format!("/organization/{}/nodes?keyId={query}", owner.org);
        server.call_as(&owner, Method::GET, &path, None).await
    };
    let page = nodes(&format!("{key}&skip=1&take=1")).await.json();
    assert_eq!((&page["total"], &page["data"][0]["ip"]), (&json!(3), &json!(super::ip(1))));
    let (others, _) = server.key(&server.owner_of("other").await).await;
    for id in ["", "key-1", &key[..key.len() - 1], &others] {
        assert_eq!(nodes(id).await.refusal(), (404, "KEY_NOT_FOUND".to_owned()), "{id}");
    }
}
