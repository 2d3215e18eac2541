//! API key verification: by services that ask, and by proxies that forward what a client presented.

use hyper::{Method, StatusCode};
use orgkeys::domain::role::Role;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Answer, Identity, Server, with_body};

const VERIFY: &str = "/api/api-keys/verify";

/// The headers that a proxy copies, in the order of organization, key, role and projects.
const HEADERS: [&str; 4] = ["x-orgkeys-organization", "x-orgkeys-key", "x-orgkeys-role", "x-orgkeys-projects"];

/// An API key with its secret.
struct Key {
    id: i64,
    secret: String,
}

async fn project(server: &Server, owner: &Identity, name: &str) -> String {
    let path = format!("/api/organizations/{}/projects", owner.org);
    let made = server.call_as(owner, Method::POST, &path, Some(&json!({ "name": name }))).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    made.json()["result"]["publicId"].as_str().expect("an id").to_owned()
}

/// Creates a key; `window` overrides fields of the default body.
async fn key(server: &Server, owner: &Identity, role: Role, projects: &[&str], window: Value) -> Key {
    let mut user_api_key = json!({ "apiName": "a service", "hasExpireTime": false });
    user_api_key.as_object_mut().expect("an object").extend(window.as_object().expect("an object").clone());
    let body = json!({ "listProjectsId": projects, "roleId": role.number(), "userApiKey": user_api_key });
    let path = format!("/api/organizations/{}/api-keys", owner.org);
    let made = server.call_as(owner, Method::POST, &path, Some(&body)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let result = &made.json()["result"];
    Key { id: result["id"].as_i64().expect("an id"), secret: result["apiKey"].as_str().expect("a key").to_owned() }
}

async fn delete(server: &Server, owner: &Identity, key: &Key) {
    let path = format!("/api/organizations/{}/api-keys/{}", owner.org, key.id);
    assert_eq!(server.call_as(owner, Method::DELETE, &path, None).await.status, StatusCode::OK);
}

/// Asks about a key, as a service does.
async fn ask(server: &Server, caller: &Identity, body: Value) -> Answer {
    server.call_as(caller, Method::POST, VERIFY, Some(&body)).await
}

/// The verdict on a key that a service asks about.
async fn verdict(server: &Server, caller: &Identity, body: Value) -> String {
    let answer = ask(server, caller, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let answer = answer.json();
    let code = answer["result"]["code"].as_str().expect("a code").to_owned();
    assert_eq!(answer["result"]["valid"], code == "VALID");
    assert_eq!(answer["resultInfo"], json!(code));
    code
}

/// Presents headers to an organization's verification endpoint, as a proxy does.
async fn present(server: &Server, query: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = server.request(Method::GET, &format!("{VERIFY}{query}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(with_body(request, None)).await
}

/// The status, the code and the four headers of a response to a proxy.
fn told(answer: &Answer) -> (u16, String, [String; 4]) {
    assert_eq!(answer.headers["cache-control"], "no-store");
    let header = |name: &str| {
        let mut values = answer.headers.get_all(name).iter();
        let value = values.next().unwrap_or_else(|| panic!("no {name}")).to_str().expect("text").to_owned();
        assert!(values.next().is_none(), "{name} twice");
        value
    };
    let code = answer.json()["resultInfo"].as_str().expect("a code").to_owned();
    (answer.status.as_u16(), code, HEADERS.map(header))
}

/// The response without the headers that always differ.
fn same(answer: &Answer) -> Answer {
    let mut answer = answer.clone();
    answer.headers.remove("x-request-id");
    answer.headers.remove("date");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_checks_validity_dates_project_and_role() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (web, shop) = (project(&server, &owner, "web").await, project(&server, &owner, "shop").await);
    let window = json!({
        "startDateTime": "2024-01-15T10:31:00Z", "hasExpireTime": true, "expireDateTime": "2024-01-15T12:32:00+01:00",
    });
    let limited = key(&server, &owner, Role::Billing, &[&web], window).await;
    let ask = async |extra: Value| {
        let mut body = json!({ "apiKey": limited.secret });
        body.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        verdict(&server, &owner, body).await
    };
    server.pass(59_999);
    assert_eq!(ask(json!({})).await, "NOT_YET_VALID", "a millisecond before it starts");
    server.pass(1);
    assert_eq!(ask(json!({})).await, "VALID", "when it starts");
    assert_eq!(ask(json!({ "projectId": web, "role": 1 })).await, "VALID");
    assert_eq!(ask(json!({ "projectId": "" })).await, "VALID", "as if it was left out");
    assert_eq!(ask(json!({ "projectId": shop })).await, "WRONG_PROJECT");
    assert_eq!(ask(json!({ "projectId": "project-1" })).await, "WRONG_PROJECT");
    assert_eq!(ask(json!({ "role": 2 })).await, "INSUFFICIENT_ROLE");
    server.pass(60 * 60_000 + 59_999);
    assert_eq!(ask(json!({})).await, "VALID", "a millisecond before it expires");
    server.pass(1);
    assert_eq!(ask(json!({})).await, "EXPIRED", "when it expires");
    let told = server.call_as(&owner, Method::POST, VERIFY, Some(&json!({ "apiKey": limited.secret }))).await.result();
    assert!(told["apiKeyId"].is_number(), "a key that is not valid is named, too: {told}");
    let whole = key(&server, &owner, Role::Administrator, &[], json!({})).await;
    let other = server.owner_of("other").await;
    let theirs = project(&server, &other, "theirs").await;
    for (project, code) in [(&web, "VALID"), (&shop, "VALID"), (&theirs, "WRONG_PROJECT")] {
        let body = json!({ "apiKey": whole.secret, "projectId": project });
        assert_eq!(verdict(&server, &owner, body).await, code, "{project}");
    }
    assert_eq!(verdict(&server, &owner, json!({ "apiKey": whole.secret, "role": 255 })).await, "INSUFFICIENT_ROLE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_gets_all_details_of_a_key_of_its_organization() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let web = project(&server, &owner, "web").await;
    let window = json!({ "hasExpireTime": true, "expireDateTime": "9999-12-31T23:59:59.999Z" });
    let good = key(&server, &owner, Role::Workspaces, &[&web], window).await;
    let caller = server.member_of(&owner.org, Role::User).await;
    let answer = ask(&server, &caller, json!({ "apiKey": good.secret })).await;
    let expected = json!({
        "success": true, "errors": [], "messages": ["The API key is valid"],
        "result": {
            "valid": true, "code": "VALID", "apiKeyId": good.id, "organizationId": owner.org, "roleId": 2,
            "projects": [web], "expireDate": "9999-12-31T23:59:59.999Z",
        },
        "resultInfo": "VALID", "statusCode": 200,
    });
    assert_eq!(answer.json(), expected);
    // A service may authenticate with its own key instead of a user's token.
    let request = server.request(Method::POST, VERIFY).header("x-api-key", &good.secret);
    let by_key = server.send(with_body(request, Some(&json!({ "apiKey": good.secret })))).await;
    assert_eq!(by_key.json(), expected);
    for (body, code) in [
        (json!({ "apiKey": "o".repeat(200) }), "NOT_FOUND"),
        (json!({ "apiKey": good.secret, "projectId": "p".repeat(100) }), "WRONG_PROJECT"),
        (json!({ "apiKey": good.secret, "projectId": null, "role": null }), "VALID"),
    ] {
        assert_eq!(verdict(&server, &caller, body).await, code);
    }
    for body in [
        json!({}),
        json!({ "apiKey": 7 }),
        json!({ "apiKey": "o".repeat(201) }),
        json!({ "apiKey": good.secret, "role": 7 }),
        json!({ "apiKey": good.secret, "projectId": "p".repeat(101) }),
    ] {
        let answer = ask(&server, &caller, body).await;
        assert_eq!((answer.status, &answer.json()["resultInfo"]), (StatusCode::BAD_REQUEST, &json!("INVALID_FIELD")));
    }
    let nobody = server.call(Method::POST, VERIFY, Some(&json!({ "apiKey": good.secret }))).await;
    assert_eq!((nobody.status, &nobody.json()["resultInfo"]), (StatusCode::UNAUTHORIZED, &json!("NO_CREDENTIAL")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_organization_looks_unknown() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let theirs = key(&server, &other, Role::Administrator, &[], json!({})).await;
    let deleted = key(&server, &owner, Role::User, &[], json!({})).await;
    delete(&server, &owner, &deleted).await;
    let elsewhere = Server::start().await;
    let never = key(&elsewhere, &elsewhere.owner_of("acme").await, Role::User, &[], json!({})).await;
    let malformed = format!("{}!", &theirs.secret[..39]);
    let door = format!("?organization={}", owner.org);
    let mut asked = Vec::new();
    let mut presented = Vec::new();
    for secret in [&theirs.secret, &deleted.secret, &never.secret, &malformed] {
        asked.push(same(&ask(&server, &owner, json!({ "apiKey": secret })).await));
        presented.push(same(&present(&server, &door, &[("x-api-key", secret)]).await));
    }
    assert_eq!(asked[0].json()["result"]["code"], "NOT_FOUND");
    assert_eq!(told(&presented[0]), (401, "NOT_FOUND".to_owned(), Default::default()));
    assert_eq!(presented[0].headers["www-authenticate"], "Bearer");
    for answers in [asked, presented] {
        assert!(answers.windows(2).all(|two| two[0] == two[1]), "they can be distinguished: {answers:?}");
    }
    let own = present(&server, &format!("?organization={}", other.org), &[("x-api-key", &theirs.secret)]).await;
    assert_eq!(own.status, StatusCode::OK, "it is valid in its own organization");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_gets_yes_or_no_and_always_every_header() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (web, shop) = (project(&server, &owner, "web").await, project(&server, &owner, "shop").await);
    let limited = key(&server, &owner, Role::Billing, &[&web, &shop], json!({})).await;
    let whole = key(&server, &owner, Role::User, &[], json!({})).await;
    let soon = key(&server, &owner, Role::User, &[], json!({ "startDateTime": "2024-01-15T10:31:00Z" })).await;
    let door = format!("?organization={}", owner.org);
    let bearer = format!("Bearer {}", limited.secret);
    let valid = |key: &Key, role: &str, projects: &str| {
        (200, "VALID".to_owned(), [owner.org.clone(), key.id.to_string(), role.to_owned(), projects.to_owned()])
    };
    let both = valid(&limited, "1", &format!("{web},{shop}"));
    let no = |status, code: &str| (status, code.to_owned(), <[String; 4]>::default());
    let basic = ("authorization", "Basic dXNlcjpwYXNz");
    let (key, whole_key) = (("x-api-key", limited.secret.as_str()), ("x-api-key", whole.secret.as_str()));
    let token = format!("Bearer {}", owner.token);
    let cases: Vec<(String, Vec<(&str, &str)>, _)> = vec![
        (door.clone(), vec![key], both.clone()),
        (door.clone(), vec![("authorization", &bearer)], both.clone()),
        // The Authorization header may belong to the application behind the proxy.
        (door.clone(), vec![key, basic], both.clone()),
        (door.clone(), vec![key, ("authorization", &token)], both.clone()),
        (door.clone(), vec![key, basic, basic], both.clone()),
        (door.clone(), vec![whole_key, ("authorization", &bearer)], valid(&whole, "0", "")),
        (door.clone(), vec![key, ("x-orgkeys-projects", "project-forged")], both.clone()),
        (format!("{door}&project={web}&role=1"), vec![key], both.clone()),
        (door.clone(), vec![("x-api-key", ""), ("authorization", &bearer)], both.clone()),
        (door.clone(), vec![("authorization", &token)], no(401, "NOT_FOUND")),
        (door.clone(), vec![("authorization", &bearer), basic], no(401, "NOT_FOUND")),
        (door.clone(), vec![key, whole_key], no(401, "NOT_FOUND")),
        (door.clone(), vec![], no(401, "NOT_FOUND")),
        (String::new(), vec![key], no(401, "NOT_FOUND")),
        ("?organization=org-1".to_owned(), vec![key], no(401, "NOT_FOUND")),
        (format!("{door}&organization=org-1"), vec![key], no(401, "NOT_FOUND")),
        (door.clone(), vec![("x-api-key", &soon.secret)], no(401, "NOT_YET_VALID")),
        (format!("{door}&project=project-1"), vec![whole_key], no(403, "WRONG_PROJECT")),
        (format!("{door}&role=2"), vec![key], no(403, "INSUFFICIENT_ROLE")),
    ];
    for (query, headers, expected) in cases {
        assert_eq!(told(&present(&server, &query, &headers).await), expected, "{query} {headers:?}");
    }
}

/// A limit that the server does not understand must not be ignored: whoever configured the proxy relies on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxys_query_with_an_empty_repeated_or_unknown_parameter_is_refused() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let web = project(&server, &owner, "web").await;
    let key = key(&server, &owner, Role::Administrator, &[], json!({})).await;
    let presented = [("x-api-key", key.secret.as_str())];
    let (org, twice) = (format!("&organization={}", owner.org), format!("&project={web}&project={web}"));
    for (query, problem) in [
        ("&role=", "is empty"),
        ("&role", "is empty"),
        ("&project=", "is empty"),
        ("&project&role=0", "is empty"),
        ("&role=0&organization=", "is empty"),
        ("&roles=254", "unknown"),
        ("&Role=254", "unknown"),
        ("&role%20=254", "unknown"),
        ("&role[]=254", "unknown"),
        ("&=254", "unknown"),
        ("&%FF=1", "unknown"),
        ("&api-version=1", "unknown"),
        ("&role=0&role=254", "twice"),
        ("&role=0&role=0", "twice"),
        (twice.as_str(), "twice"),
        (org.as_str(), "twice"),
        ("&role=3", "role must be"),
        ("&role=253", "role must be"),
        ("&role=256", "role must be"),
        ("&role=-1", "role must be"),
        ("&role=1.0", "role must be"),
        ("&role=0%20", "role must be"),
        ("&role=OWNER", "role must be"),
    ] {
        let answer = present(&server, &format!("?organization={}{query}", owner.org), &presented).await;
        assert_eq!(told(&answer), (401, "NOT_FOUND".to_owned(), Default::default()), "{query}");
        let message = answer.json()["errors"][0].as_str().expect("a message").to_owned();
        assert!(message.contains(problem), "{query}: {message}");
    }
    let project = format!("&project={web}&role=254");
    for query in ["", "&", "&&role=254", "&role=0", &project, "&%72ole=254"] {
        let answer = present(&server, &format!("?organization={}{query}", owner.org), &presented).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_announces_a_body_is_answered_without_waiting_for_it() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let key = key(&server, &owner, Role::User, &[], json!({})).await;
    for body in ["Content-Length: 70000", "Transfer-Encoding: chunked"] {
        let mut proxy = TcpStream::connect(server.address).await.expect("connected");
        let (org, secret) = (&owner.org, &key.secret);
        let head =
            format!("GET {VERIFY}?organization={org} HTTP/1.1\r\nHost: a\r\nx-api-key: {secret}\r\n{body}\r\n\r\n");
        proxy.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        proxy.read_to_string(&mut answer).await.expect("the connection is ended, since the body may still come");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_key_is_refused_as_soon_as_its_deletion_is_acknowledged() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let door = format!("?organization={}", owner.org);
    for _ in 0..5 {
        let expiring_with = key(&server, &owner, Role::User, &[], json!({})).await;
        let headers = [("x-api-key", expiring_with.secret.as_str())];
        let verifications = futures_util::future::join_all((0..64).map(|_| present(&server, &door, &headers)));
        let deletion = async {
            delete(&server, &owner, &expiring_with).await;
            // Sent after the response to the deletion, so none of them may be VALID.
            futures_util::future::join_all((0..8).map(|_| present(&server, &door, &headers))).await
        };
        let (before, after) = futures_util::future::join(verifications, deletion).await;
        assert!(before.iter().all(|answer| matches!(answer.status.as_u16(), 200 | 401)), "{before:?}");
        assert!(after.iter().all(|answer| answer.status == StatusCode::UNAUTHORIZED), "{after:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_works_after_a_restart_and_is_counted_but_not_recorded() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let good = key(&server, &owner, Role::User, &[], json!({})).await;
    let door = format!("?organization={}", owner.org);
    let server = server.restart().await;
    let before = crate::harness::entries(&server.database).await.len();
    for _ in 0..3 {
        assert_eq!(present(&server, &door, &[("x-api-key", &good.secret)]).await.status, StatusCode::OK);
    }
    ask(&server, &owner, json!({ "apiKey": "oka_" })).await;
    assert_eq!(crate::harness::entries(&server.database).await.len(), before);
    let metrics = server.call(Method::GET, "/metrics", None).await;
    let metrics = String::from_utf8(metrics.body.to_vec()).expect("text");
    for line in [
        "orgkeys_api_key_verifications_total{outcome=\"VALID\"} 3",
        "orgkeys_api_key_verifications_total{outcome=\"NOT_FOUND\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}
