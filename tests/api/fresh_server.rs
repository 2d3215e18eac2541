//! The document's request examples: each works as shown on a fresh server, or has something to fill in.

use hyper::Method;
use serde_json::Value;

use crate::contract::DOCUMENT;
use crate::harness::Server;
use crate::openapi::operations;

/// The names of an organization's id in paths. The documentation page fills in the caller's own.
const OWN_ORGANIZATION: [&str; 3] = ["{idOrg}", "{orgId}", "{organizationId}"];

/// Operations that need more than the document can show, each for a reason.
const NOT_SHOWN: [&str; 2] = [
    // It ends the session of a browser, with its cookie.
    "deleteWebSession",
    // A proxy calls it, with the headers of its own client.
    "verifyPresentedApiKey",
];

const THREE_YEARS_MILLIS: i64 = 3 * 365 * 24 * 60 * 60 * 1_000;

/// Whether an example has something to fill in.
fn is_open(example: &Value) -> bool {
    match example {
        Value::String(text) => text.ends_with("..."),
        Value::Array(items) => items.iter().any(is_open),
        Value::Object(fields) => fields.values().any(is_open),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_works_on_a_fresh_server_or_has_something_to_fill_in() {
    let server = Server::start().await;
    // The examples were recorded in the past.
    server.pass(THREE_YEARS_MILLIS);
    let owner = server.owner_of("acme").await;
    let (mut sent, mut open) = (Vec::new(), Vec::new());
    for (method, path, operation) in operations() {
        let id = operation["operationId"].as_str().expect("an id");
        let path = OWN_ORGANIZATION.iter().fold(path.to_owned(), |path, name| path.replace(name, &owner.org));
        let body = operation.pointer("/requestBody/content/application~1json/example");
        if path.contains('{') || body.is_some_and(is_open) {
            open.push(id);
        } else if !NOT_SHOWN.contains(&id) {
            let method = method.to_uppercase().parse::<Method>().expect("a method");
            let answer = server.call_as(&owner, method, &path, body).await;
            assert!(answer.status.is_success(), "{id}: {answer:?}");
            sent.push(id);
        }
    }
    assert!(sent.len() > 20 && open.len() > 20, "{sent:?}, {open:?}");
    for id in ["createApiKey", "updateApiKey", "createProject", "createUser", "createWebhook"] {
        assert!(sent.contains(&id), "{id} must work as shown");
    }
    let keys = server.call_as(&owner, Method::GET, &format!("/api/organizations/{}/api-keys", owner.org), None).await;
    let keys = keys.result();
    let ends = keys.as_array().expect("keys").iter().filter_map(|key| key["expireDate"].as_str());
    assert!(ends.into_iter().all(|end| end > "2090"), "a key that soon expires: {keys}");
}

#[test]
fn no_id_is_filled_in_that_exists_nowhere() {
    for (method, path, operation) in operations() {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter.get("example").is_none(), "{method} {path}: {}", parameter["name"]);
        }
    }
}

#[test]
fn the_groups_are_in_the_order_of_their_use() {
    let names: Vec<_> = DOCUMENT["tags"].as_array().expect("tags").iter().map(|tag| tag["name"].as_str()).collect();
    assert_eq!(names.first(), Some(&Some("organization keys")));
    let used: std::collections::BTreeSet<_> =
        operations().into_iter().map(|(_, _, operation)| operation["tags"][0].as_str()).collect();
    assert_eq!(names.into_iter().collect::<std::collections::BTreeSet<_>>(), used);
}
