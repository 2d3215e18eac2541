//! An organization's own data: who sees it, and who may change it.

use hyper::{Method, StatusCode};
use orgkeys::domain::role::Role;
use serde_json::{Value, json};

use crate::harness::Server;

#[tokio::test(flavor = "multi_thread")]
async fn administrators_update_the_organization_and_members_read_it() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let administrator = server.member_of(&owner.org, Role::Administrator).await;
    let user = server.member_of(&owner.org, Role::User).await;
    let path = format!("/organization/{}", owner.org);
    let mut expected = json!({
        "id": owner.org, "name": "acme", "domain": "", "website": "", "address1": "", "address2": "", "city": "",
        "zipcode": "", "phone": "", "state": "", "country": "", "deletedAt": null, "reposDisabled": false,
        "is_business": false, "mfaEnforced": false,
    });
    let enveloped = |message: &str, data: &Value| json!({ "success": true, "message": message, "data": data });
    let got = server.call_as(&user, Method::GET, &path, None).await;
    assert_eq!((got.status, got.json()), (StatusCode::OK, enveloped("Organization retrieved successfully", &expected)));
    let whole = json!({
        "name": "Acme Ltd", "domain": "acme.example", "website": "https://acme.example", "address1": "1 High Street",
        "address2": "2nd floor", "city": "London", "zipcode": "SW1A 1AA", "phone": "+44 20 7946 0000",
        "state": "Greater London", "country": "UK", "is_business": true, "mfaEnforced": false,
    });
    for (field, value) in whole.as_object().expect("fields") {
        expected[field] = value.clone();
    }
    let put = server.call_as(&administrator, Method::PUT, &path, Some(&whole)).await;
    assert_eq!((put.status, put.json()), (StatusCode::OK, enveloped("Organization updated successfully", &expected)));
    let profile = server.call_as(&owner, Method::GET, "/user/profile", None).await.json();
    assert_eq!(profile["data"]["isBusiness"], true);
    let part = json!({ "city": "", "state": null, "phone": "none" });
    (expected["city"], expected["phone"]) = (json!(""), json!("none"));
    let put = server.call_as(&owner, Method::PUT, &path, Some(&part)).await;
    assert_eq!((put.status, &put.json()["data"]), (StatusCode::OK, &expected), "omitted fields keep their values");
    let server = server.restart().await;
    assert_eq!(server.call_as(&user, Method::GET, &path, None).await.json()["data"], expected);
    let others = server.call_as(&other, Method::GET, &format!("/organization/{}", other.org), None).await.json();
    assert_eq!((&others["data"]["name"], &others["data"]["domain"]), (&json!("other"), &json!("")));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_of_an_organization_is_validated() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let path = format!("/organization/{}", owner.org);
    let limits = [
        ("name", 100),
        ("domain", 253),
        ("website", 200),
        ("address1", 200),
        ("address2", 200),
        ("city", 200),
        ("zipcode", 200),
        ("phone", 200),
        ("state", 200),
        ("country", 200),
    ];
    let put = async |field: &str, value: Value| {
        server.call_as(&owner, Method::PUT, &path, Some(&json!({ field: value }))).await
    };
    for (field, most) in limits {
        assert_eq!(put(field, json!("é".repeat(most))).await.status, StatusCode::OK, "{field}");
        for value in ["é".repeat(most + 1), "a\tb".to_owned()] {
            let refused = put(field, json!(value)).await;
            assert_eq!(refused.refusal(), (400, "INVALID_FIELD".to_owned()), "{field}");
            assert!(refused.json()["message"].as_str().expect("text").contains(field), "{refused:?}");
        }
    }
    for (field, value) in [("name", json!("")), ("mfaEnforced", json!(true)), ("is_business", json!("yes"))] {
        assert_eq!(put(field, value).await.refusal(), (400, "INVALID_FIELD".to_owned()), "{field}");
    }
    let second_factor = put("mfaEnforced", json!(true)).await.json();
    assert_eq!(second_factor["message"], "mfaEnforced must not be true: multi-factor authentication is not supported");
}
