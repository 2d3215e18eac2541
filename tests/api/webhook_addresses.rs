//! Addresses in a webhook's URL: forbidden ones are refused on creation and update, with the reason.

use hyper::{Method, StatusCode};
use serde_json::json;

use crate::harness::Server;
use crate::webhooks::Hook;

#[tokio::test(flavor = "multi_thread")]
async fn forbidden_addresses_are_refused_at_once_but_names_are_accepted() {
    let server = Server::with(|flags| flags.with("webhook_allow", "10.1.0.0/16,127.0.0.1/32")).await;
    let owner = server.owner_of("acme").await;
    let hook = Hook::make(&server, &owner, &json!({ "url": "https://a.example" })).await;
    let private = "url is not a permitted destination: the address is in a private network; to permit it, \
                   add the network to webhook_allow";
    let clear =
        "url is not a permitted destination: http:// is permitted only to networks in webhook_allow; use https://";
    let cloud = "url is not a permitted destination: the address is a cloud metadata service, which is never permitted";
    let stands_in = "url is not a permitted destination: the address is mapped, translated or tunnelled to another \
                     one; to permit it, add both networks to webhook_allow";
    for (url, expected) in [
        ("https://10.2.0.0/x", private),
        ("https://10.0.255.255", private),
        ("https://127.0.0.2", private),
        ("https://0x7f.2/", private),
        ("https://2130706434", private),
        ("https://[::1]", private),
        ("https://[::ffff:10.1.0.1]", stands_in),
        ("https://169.254.169.254/latest", cloud),
        ("http://1.1.1.1", clear),
        ("http://[2606:4700::1111]", clear),
    ] {
        let body = json!({ "url": url });
        let made = server.call_as(&owner, Method::POST, &Hook::path(&owner, ""), Some(&body)).await;
        let changed = hook.call(&server, &owner, Method::PUT, "", body).await;
        for answer in [made, changed] {
            let expected = json!({ "success": false, "message": expected, "errorCode": "INVALID_FIELD" });
            assert_eq!((answer.status, answer.json()), (StatusCode::BAD_REQUEST, expected), "{url}");
        }
    }
    assert_eq!(hook.shown(&server, &owner).await["url"], "https://a.example", "nothing was changed");
    for url in [
        "https://10.1.0.0",
        "http://10.1.255.255:8080/x",
        "http://127.0.0.1",
        "https://1.1.1.1",
        "https://[2606:4700::1111]",
        "http://a.example",
        "https://localhost",
    ] {
        let changed = hook.call(&server, &owner, Method::PUT, "", json!({ "url": url })).await;
        assert_eq!(changed.status, StatusCode::OK, "{url}: {changed:?}");
        let made = Hook::make(&server, &owner, &json!({ "url": url, "disabled": true })).await;
        made.call(&server, &owner, Method::DELETE, "", json!(null)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_permission_the_response_does_not_depend_on_the_address() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    for url in ["https://10.0.0.1", "https://a.example"] {
        let answer = server.call_as(&other, Method::POST, &Hook::path(&owner, ""), Some(&json!({ "url": url }))).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{url}");
    }
}
