//! Webhooks as administrators see them: created, shown without their secret, updated, rotated and limited.

use base64::prelude::{BASE64_STANDARD, Engine};
use futures_util::future::join_all;
use hyper::{Method, StatusCode};
use orgkeys::domain::role::Role;
use serde_json::{Value, json};

use crate::harness::{Answer, BEGIN, Identity, Server, entries};
use crate::outbox_limit::change;

/// A webhook, and its secret if it was shown.
#[derive(Clone, Debug)]
pub struct Hook {
    pub id: String,
    pub secret: String,
}

impl Hook {
    pub fn path(owner: &Identity, rest: &str) -> String {
        format!("/organization/{}/webhooks{rest}", owner.org)
    }

    pub async fn make(server: &Server, owner: &Identity, body: &Value) -> Self {
        let made = server.call_as(owner, Method::POST, &Self::path(owner, ""), Some(body)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        let data = &made.json()["data"];
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Self { id: text(&data["id"]), secret: text(&data["secret"]) }
    }

    /// The webhooks of an organization, newest first.
    pub async fn all(server: &Server, owner: &Identity) -> Vec<Self> {
        let listed = server.call_as(owner, Method::GET, &Self::path(owner, ""), None).await.json();
        let hooks = listed["data"].as_array().expect("webhooks").iter();
        hooks.map(|hook| Self { id: hook["id"].as_str().expect("an id").to_owned(), secret: String::new() }).collect()
    }

    pub async fn call(&self, server: &Server, owner: &Identity, method: Method, rest: &str, body: Value) -> Answer {
        let path = Self::path(owner, &format!("/{}{rest}", self.id));
        server.call_as(owner, method, &path, Some(&body).filter(|body| !body.is_null())).await
    }

    pub async fn shown(&self, server: &Server, owner: &Identity) -> Value {
        self.call(server, owner, Method::GET, "", Value::Null).await.json()["data"].clone()
    }

    /// Sends a test event. Returns the id of the delivery.
    pub async fn tested(&self, server: &Server, owner: &Identity) -> String {
        let tested = self.call(server, owner, Method::POST, "/test", Value::Null).await;
        assert_eq!(tested.status, StatusCode::OK, "{tested:?}");
        tested.json()["data"]["deliveryId"].as_str().expect("an id").to_owned()
    }

    pub async fn deliveries(&self, server: &Server, owner: &Identity, query: &str) -> Value {
        let listed = self.call(server, owner, Method::GET, &format!("/deliveries{query}"), Value::Null).await;
        assert_eq!(listed.status, StatusCode::OK, "{listed:?}");
        listed.json()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_shows_its_secret_once() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let body =
        json!({ "url": "https://a.example/x?k=v", "name": "chat", "contexts": [10, 0], "events": [2], "api": 1 });
    let made = server.call_as(&owner, Method::POST, &Hook::path(&owner, ""), Some(&body)).await;
    assert_eq!(
        (made.status, &made.headers["cache-control"]),
        (StatusCode::CREATED, &"no-store".parse().expect("a value"))
    );
    let mut answer = made.json();
    let secret = answer["data"].as_object_mut().expect("data").remove("secret").expect("a secret");
    let secret = secret.as_str().expect("text").strip_prefix("whsec_").expect("its form").to_owned();
    assert_eq!(BASE64_STANDARD.decode(&secret).expect("base64").len(), 32);
    let mut hook = json!({
        "id": answer["data"]["id"], "orgId": owner.org, "url": "https://a.example/x?k=v", "name": "chat",
        "contexts": [0, 10], "events": [2], "disabled": false, "disabledWhy": null,
        "createdAt": "2024-01-15T10:30:00.000Z", "previousSecretUntil": null, "lastAt": null, "lastStatus": null,
        "lastWhy": null,
    });
    assert_eq!(answer, json!({ "success": true, "message": "Webhook created successfully", "data": hook }));
    let one = Hook { id: hook["id"].as_str().expect("an id").to_owned(), secret: String::new() };
    assert!(one.id.starts_with("webhook-"), "{one:?}");
    assert_eq!(one.shown(&server, &owner).await, hook);
    let second = Hook::make(&server, &owner, &json!({ "url": "http://b.example" })).await;
    let listed = server.call_as(&owner, Method::GET, &Hook::path(&owner, ""), None).await.json();
    assert_eq!((&listed["data"][0]["id"], &listed["data"][1]), (&json!(second.id), &hook), "newest first");

    let change = json!({ "name": "", "contexts": [], "disabled": true });
    let changed = one.call(&server, &owner, Method::PUT, "", change).await;
    for (field, value) in [
        ("name", json!("")),
        ("contexts", json!([])),
        ("disabled", json!(true)),
        ("disabledWhy", json!("administrator")),
    ] {
        hook[field] = value;
    }
    let expected = json!({ "success": true, "message": "Webhook updated successfully", "data": hook });
    assert_eq!((changed.status, changed.json()), (StatusCode::OK, expected));
    assert_eq!(one.shown(&server, &owner).await, hook);
    let off = one.call(&server, &owner, Method::POST, "/test", Value::Null).await;
    assert_eq!(off.refusal(), (409, "WEBHOOK_DISABLED".to_owned()));

    let deleted = one.call(&server, &owner, Method::DELETE, "", Value::Null).await;
    assert_eq!(deleted.json(), json!({ "success": true, "message": "Webhook deleted successfully" }));
    assert_eq!(Hook::all(&server, &owner).await.len(), 1);
    // Neither the URL nor the secret is recorded in the audit log.
    let recorded = serde_json::to_string(&entries(&server.database).await).expect("JSON");
    for word in ["a.example", "k=v", "whsec", &secret] {
        assert!(!recorded.contains(word), "{word} is recorded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_webhook_leaves_what_it_does_not_name() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let whole =
        json!({ "url": "https://a.example/", "name": "ours", "contexts": [1, 2], "events": [0], "disabled": true });
    let hook = Hook::make(&server, &owner, &whole).await;
    for (field, value) in [
        ("disabled", json!(false)),
        ("events", json!([1, 2])),
        ("contexts", json!([3])),
        ("url", json!("https://b.example/")),
        ("name", json!("theirs")),
    ] {
        let mut expected = hook.shown(&server, &owner).await;
        let changed = hook.call(&server, &owner, Method::PUT, "", json!({ field: value })).await;
        assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
        expected[field] = value;
        let mut shown = hook.shown(&server, &owner).await;
        for hook in [&mut expected, &mut shown] {
            hook["disabledWhy"] = Value::Null;
        }
        assert_eq!(shown, expected, "{field}");
    }
    // A URL that could not be set any more stays, until it is changed.
    change(&server, "UPDATE webhook SET url = 'https://10.0.0.1/'").await;
    for (url, status) in [("https://10.0.0.1/", 200), ("https://10.0.0.1/x", 400)] {
        let changed = hook.call(&server, &owner, Method::PUT, "", json!({ "url": url, "name": "inside" })).await;
        assert_eq!(changed.status, status, "{changed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_webhook_requests_are_refused_and_the_field_is_named() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let url = |length: usize| format!("https://a.example/{}", "b".repeat(length - 18));
    let good = [
        json!({ "url": url(2_048) }),
        json!({ "url": "https://a.example", "name": "n".repeat(100), "contexts": (0..14).collect::<Vec<_>>(), "events": [0, 1, 2] }),
    ];
    let hook = Hook::make(&server, &owner, &good[0]).await;
    Hook::make(&server, &owner, &good[1]).await;
    for (field, value) in [
        ("url", json!(url(2_049))),
        ("url", json!("")),
        ("url", json!("a.example")),
        ("url", json!("https://")),
        ("url", json!("https://a b")),
        ("url", json!("https://user:password@a.example")),
        ("url", json!("https://a.example/\u{7}")),
        ("name", json!("n".repeat(101))),
        ("name", json!("a\nb")),
        ("contexts", json!([14])),
        ("contexts", json!([-1])),
        ("contexts", json!("10")),
        ("events", json!([3])),
        ("events", json!([0, 4_294_967_296_u64])),
        ("disabled", json!("no")),
    ] {
        let mut body = json!({ "url": "https://a.example" });
        body[field] = value.clone();
        let made = server.call_as(&owner, Method::POST, &Hook::path(&owner, ""), Some(&body)).await;
        let changed = hook.call(&server, &owner, Method::PUT, "", json!({ field: value })).await;
        for answer in [made, changed] {
            assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()), "{body}");
            let message = answer.json()["message"].as_str().expect("text").to_owned();
            assert!(message.contains(field), "{body}: {message}");
        }
    }
    let nothing = server.call_as(&owner, Method::POST, &Hook::path(&owner, ""), Some(&json!({}))).await;
    assert_eq!(nothing.refusal(), (400, "INVALID_FIELD".to_owned()));
    for (rest, body) in [
        ("/rotate-secret", json!({ "overlapSeconds": -1 })),
        ("/rotate-secret", json!({ "overlapSeconds": 604_801 })),
        ("/replay", json!({ "since": "yesterday" })),
        ("/replay", json!({ "since": "2024-01-15T10:30:00" })),
        ("/replay", json!({})),
    ] {
        let answer = hook.call(&server, &owner, Method::POST, rest, body.clone()).await;
        assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()), "{rest} {body}");
    }
    for query in ["?take=0", "?take=1001", "?skip=-1", "?state=lost"] {
        let answer = hook.call(&server, &owner, Method::GET, &format!("/deliveries{query}"), Value::Null).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creations_cannot_exceed_10_webhooks() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let (path, body) = (Hook::path(&owner, ""), json!({ "url": "https://a.example" }));
    let answers = join_all((0..30).map(|_| server.call_as(&owner, Method::POST, &path, Some(&body)))).await;
    let made = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
    assert_eq!((made, Hook::all(&server, &owner).await.len()), (10, 10));
    let refused = answers.iter().find(|answer| answer.status != StatusCode::CREATED).expect("a refusal");
    let message =
        "Maximum number of webhooks (10) has been reached. Please delete existing webhooks before creating new ones.";
    let expected = json!({ "success": false, "message": message, "errorCode": "WEBHOOK_LIMIT_REACHED" });
    assert_eq!((refused.status, refused.json()), (StatusCode::BAD_REQUEST, expected));
    Hook::make(&server, &other, &body).await;
    let first = Hook::all(&server, &owner).await.remove(0);
    first.call(&server, &owner, Method::DELETE, "", Value::Null).await;
    Hook::make(&server, &owner, &body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_of_another_organization_looks_missing() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let administrator = server.member_of(&owner.org, Role::Administrator).await;
    let theirs = Hook::make(&server, &other, &json!({ "url": "https://a.example" })).await;
    let delivery = theirs.tested(&server, &other).await;
    let missing =
        Hook { id: format!("webhook-{}", &theirs.id["webhook-".len()..].replace('7', "8")), ..theirs.clone() };
    let malformed = Hook { id: "%00".to_owned(), ..theirs.clone() };
    let calls = [
        (Method::GET, String::new(), Value::Null),
        (Method::PUT, String::new(), json!({ "url": "https://evil.example" })),
        (Method::DELETE, String::new(), Value::Null),
        (Method::POST, "/rotate-secret".to_owned(), Value::Null),
        (Method::POST, "/test".to_owned(), Value::Null),
        (Method::GET, "/deliveries".to_owned(), Value::Null),
        (Method::POST, format!("/deliveries/{delivery}/replay"), Value::Null),
        (Method::POST, "/replay".to_owned(), json!({ "since": "2024-01-15T00:00:00Z" })),
    ];
    for (method, rest, body) in calls {
        for hook in [&theirs, &missing, &malformed] {
            let answer = hook.call(&server, &administrator, method.clone(), &rest, body.clone()).await;
            assert_eq!(answer.refusal(), (404, "WEBHOOK_NOT_FOUND".to_owned()), "{method} {rest}");
        }
    }
    // A delivery of another webhook does not belong to this one.
    let own = Hook::make(&server, &owner, &json!({ "url": "https://a.example" })).await;
    let answer = own.call(&server, &owner, Method::POST, &format!("/deliveries/{delivery}/replay"), Value::Null).await;
    assert_eq!(answer.refusal(), (404, "DELIVERY_NOT_FOUND".to_owned()));
    assert_eq!(theirs.shown(&server, &other).await["url"], "https://a.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_cannot_be_rotated_with_overlap_while_two_secrets_sign() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let hook = Hook::make(&server, &owner, &json!({ "url": "https://a.example" })).await;
    let rotate = async |body| hook.call(&server, &owner, Method::POST, "/rotate-secret", body).await;
    let rotated = rotate(Value::Null).await;
    assert_eq!(
        (rotated.status, rotated.headers["cache-control"].to_str().expect("text")),
        (StatusCode::OK, "no-store")
    );
    let data = rotated.json()["data"].clone();
    assert_ne!(data["secret"], hook.secret);
    assert_eq!(data["previousSecretUntil"], "2024-01-16T10:30:00.000Z");
    server.pass(86_399_999);
    assert_eq!(rotate(json!({ "overlapSeconds": 1 })).await.refusal(), (409, "WEBHOOK_ALREADY_ROTATED".to_owned()));
    assert_eq!(hook.shown(&server, &owner).await["previousSecretUntil"], "2024-01-16T10:30:00.000Z");
    server.pass(1);
    assert_eq!(hook.shown(&server, &owner).await["previousSecretUntil"], Value::Null);
    let listed = server.call_as(&owner, Method::GET, &Hook::path(&owner, ""), None).await.json();
    assert_eq!(listed["data"][0]["previousSecretUntil"], Value::Null);
    let again = rotate(json!({ "overlapSeconds": 0 })).await.json();
    assert_eq!(again["data"]["previousSecretUntil"], Value::Null);
    rotate(json!({ "overlapSeconds": 604_800 })).await;
    let cut_off = rotate(json!({ "overlapSeconds": 0 })).await.json();
    assert_eq!(cut_off["data"]["previousSecretUntil"], Value::Null, "a leaked secret can be ended at once");
    let week = rotate(json!({ "overlapSeconds": 604_800 })).await.json();
    assert_eq!(week["data"]["previousSecretUntil"], "2024-01-23T10:30:00.000Z");
    assert_eq!(server.now() - BEGIN, 86_400_000);
}
