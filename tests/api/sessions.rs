//! Sessions: started with a password, renewed with single-use refresh tokens, and ended.

use std::sync::LazyLock;

use hyper::{Method, StatusCode};
use orgkeys::crypto::password;
use orgkeys::domain::id::UserId;
use orgkeys::domain::role::Role;
use orgkeys::server::clock;
use rusqlite::Connection;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::harness::{Answer, Identity, Server, entries, with_body};

pub const PASSWORD: &str = "correct horse battery staple";

pub const DAY: i64 = 24 * 3_600_000;

/// How long after its first use a refresh token that is used again does not end its session.
pub const GRACE: i64 = 10_000;

static HASH: LazyLock<String> =
    LazyLock::new(|| password::hash(&SecretString::from(PASSWORD), &mut clock::system().rng()).expect("a hash"));

/// A member with a password.
#[derive(Clone)]
pub struct Person {
    pub identity: Identity,
    pub email: String,
}

/// A new member of an organization, who signs in with [`PASSWORD`].
pub async fn person(server: &Server, org: &str, role: Role) -> Person {
    let identity = server.member_of(org, role).await;
    let id = UserId::parse(&identity.user).expect("an id");
    let sql = "UPDATE person SET password = ?2 WHERE id = ?1 RETURNING email";
    let email = conn(server).query_row(sql, (id.as_bytes(), HASH.as_str()), |row| row.get(0)).expect("a user");
    Person { identity, email }
}

/// A connection beside the server's own.
pub fn conn(server: &Server) -> Connection {
    Connection::open(&server.database).expect("the file")
}

/// Changes exactly one row of the database.
pub fn change(server: &Server, sql: &str) {
    assert_eq!(conn(server).execute(sql, []), Ok(1), "{sql}");
}

pub fn count(server: &Server, sql: &str) -> i64 {
    conn(server).query_row(sql, [], |row| row.get(0)).expect("a number")
}

/// Signs in from an address that a trusted proxy states.
pub async fn log_in(server: &Server, from: &str, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password, "deviceInfo": "a test" });
    let request = server.request(Method::POST, "/user/login").header("x-forwarded-for", from);
    server.send(with_body(request, Some(&body))).await
}

impl Person {
    /// Signs in and returns the session.
    pub async fn session(&self, server: &Server) -> Session {
        let answer = log_in(server, "127.0.0.1", &self.email, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        Session::of(&self.identity, &answer.json())
    }
}

/// What a client stores of a session.
#[derive(Clone)]
pub struct Session {
    pub identity: Identity,
    pub refresh: String,
}

impl Session {
    pub fn of(identity: &Identity, body: &Value) -> Self {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let identity = Identity { token: text("accessToken"), token_id: text("tokenId"), ..identity.clone() };
        Self { identity, refresh: text("refreshToken") }
    }

    pub async fn refreshed(&self, server: &Server) -> Answer {
        server.call(Method::POST, "/user/refresh", Some(&json!({ "refreshToken": self.refresh }))).await
    }

    /// Renews the session, which must succeed.
    pub async fn renewed(&self, server: &Server) -> Self {
        let answer = self.refreshed(server).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let next = Self::of(&self.identity, &answer.json());
        Self { identity: Identity { token_id: self.identity.token_id.clone(), ..next.identity }, ..next }
    }

    pub async fn logged_out(&self, server: &Server) -> Answer {
        server.call(Method::POST, "/user/logout", Some(&json!({ "refreshToken": self.refresh }))).await
    }

    /// The result of a call with its access token.
    pub async fn status(&self, server: &Server) -> (u16, String) {
        let answer = server.call_as(&self.identity, Method::GET, "/user/profile", None).await;
        if answer.status == StatusCode::OK { (200, String::new()) } else { answer.refusal() }
    }
}

pub fn revoked() -> (u16, String) {
    (401, "TOKEN_REVOKED".to_owned())
}

pub fn ok() -> (u16, String) {
    (200, String::new())
}

pub fn refused() -> Value {
    json!({
        "success": false, "message": "The refresh token is no longer valid: sign in again",
        "errorCode": "INVALID_REFRESH_TOKEN", "error_code": "INVALID_REFRESH_TOKEN",
    })
}

/// The body of the refusal of a refresh token that was used a moment ago.
pub fn already_used() -> Value {
    json!({
        "success": false,
        "message": "The refresh token was used a moment ago, perhaps by another tab: go on with the tokens that this use returned. \
            The session has not ended",
        "errorCode": "REFRESH_ALREADY_USED", "error_code": "REFRESH_ALREADY_USED",
    })
}

/// The actions of the entries since the `before`th.
pub async fn actions(server: &Server, before: usize) -> Vec<String> {
    entries(&server.database).await.split_off(before).into_iter().map(|entry| entry.action).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn login_refresh_and_logout_responses_have_the_documented_format() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::Workspaces).await;
    let answer = log_in(&server, "127.0.0.1", &ada.email.to_uppercase(), PASSWORD).await;
    let body = answer.json();
    let (access, refresh) = (body["accessToken"].as_str().expect("text"), body["refreshToken"].as_str().expect("text"));
    assert!(access.starts_with("okp_") && refresh.starts_with("okr_"), "{body}");
    let session = body["tokenId"].as_str().expect("text");
    assert!(session.starts_with("token-"));
    let expected = json!({
        "success": true, "message": "Signed in successfully", "accessToken": access, "refreshToken": refresh,
        "tokenId": session, "expiresAt": server.now() / 1_000 + 3_600,
        "user": {
            "id": ada.identity.user, "email": ada.email, "name": "Ada", "orgId": owner.org, "orgRole": 2,
        },
    });
    assert_eq!(
        (answer.status, &body, &answer.headers["cache-control"]),
        (StatusCode::OK, &expected, &"no-store".parse().expect("a value"))
    );
    assert_eq!(answer.headers["connection"], "close", "so that no buffer of the connection keeps the password");
    let first = Session::of(&ada.identity, &body);
    assert_eq!(first.status(&server).await, ok());
    let profile = server.call_as(&first.identity, Method::GET, "/user/profile", None).await;
    assert!(!profile.headers.contains_key("connection"), "{profile:?}");

    server.pass(1_000_500);
    let answer = first.refreshed(&server).await;
    let body = answer.json();
    let (next, next_refresh) = (&body["accessToken"], &body["refreshToken"]);
    let expected = json!({
        "success": true, "message": "Session renewed successfully", "token": next, "accessToken": next,
        "refreshToken": next_refresh, "expiresAt": (server.now() + 3_600_000) / 1_000,
    });
    assert_eq!(
        (answer.status, &body, &answer.headers["cache-control"]),
        (StatusCode::OK, &expected, &"no-store".parse().expect("a value"))
    );
    assert!(next != access && next_refresh != refresh, "{body}");
    assert_eq!(
        first.status(&server).await,
        (401, "INVALID_TOKEN".to_owned()),
        "the previous access token ends at once"
    );
    let second = Session::of(&ada.identity, &body);
    assert_eq!(second.status(&server).await, ok());

    let answer = second.logged_out(&server).await;
    let done = json!({ "success": true, "message": "Signed out successfully" });
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, done.clone()));
    assert_eq!(second.status(&server).await, revoked());
    let answer = second.refreshed(&server).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::UNAUTHORIZED, refused()));
    let unknown = clock_secret();
    for token in [&second.refresh, &unknown, "", "okr_1", access] {
        let answer = server.call(Method::POST, "/user/logout", Some(&json!({ "refreshToken": token }))).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, done.clone()), "signing out twice is not an error");
        let answer = server.call(Method::POST, "/user/refresh", Some(&json!({ "refreshToken": token }))).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::UNAUTHORIZED, refused()));
    }
}

/// A well-formed refresh token that no server has issued.
fn clock_secret() -> String {
    use secrecy::ExposeSecret;
    let secret = orgkeys::crypto::secret::SecretKind::RefreshToken.fresh(&mut clock::system().rng());
    secret.expose_secret().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_accepted_under_both_names() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let mut session = person(&server, &owner.org, Role::User).await.session(&server).await;
    for path in ["/user/refresh", "/user/logout"] {
        for (one, other) in [(json!(session.refresh), json!("okr_1")), (Value::Null, Value::Null)] {
            let body = json!({ "refreshToken": one, "refresh_token": other });
            let answer = server.call(Method::POST, path, Some(&body)).await;
            assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()));
            assert_eq!(answer.json()["error_code"], "INVALID_FIELD");
        }
    }
    for names in [&["refreshToken"][..], &["refresh_token"], &["refreshToken", "refresh_token"]] {
        let fields = names.iter().map(|name| ((*name).to_owned(), json!(session.refresh)));
        let body = Value::Object(fields.collect());
        let answer = server.call(Method::POST, "/user/refresh", Some(&body)).await;
        assert_eq!(answer.status, StatusCode::OK, "{names:?}: {answer:?}");
        session = Session::of(&session.identity, &answer.json());
    }
    let body = json!({ "refresh_token": session.refresh });
    assert_eq!(server.call(Method::POST, "/user/logout", Some(&body)).await.status, StatusCode::OK);
    assert_eq!(session.status(&server).await, revoked());
}

#[tokio::test(flavor = "multi_thread")]
async fn login_refresh_and_logout_errors_carry_both_spellings_of_the_code() {
    let server = Server::start().await;
    let bad = async |method: Method, path: &str, content_type: &str| {
        let request = server.request(method, path).header("content-type", content_type);
        let request = request.body(http_body_util::Full::from("{")).expect("a request");
        server.send(request).await.json()
    };
    for path in ["/user/login", "/user/refresh", "/user/logout"] {
        for (method, content_type, code) in [
            (Method::POST, "application/json", "INVALID_FIELD"),
            (Method::POST, "text/plain", "UNSUPPORTED_MEDIA_TYPE"),
            (Method::GET, "application/json", "METHOD_NOT_ALLOWED"),
        ] {
            let body = bad(method, path, content_type).await;
            assert_eq!((&body["errorCode"], &body["error_code"]), (&json!(code), &json!(code)), "{path}: {body}");
        }
    }
    let body = bad(Method::POST, "/register", "application/json").await;
    assert_eq!((&body["errorCode"], body.get("error_code")), (&json!("INVALID_FIELD"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_with_a_used_refresh_token_ends_the_session() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    for (millis, recorded) in [(GRACE - 1, "token.revoke"), (GRACE, "session.reuse")] {
        let first = ada.session(&server).await;
        let second = first.renewed(&server).await;
        server.pass(millis);
        let before = entries(&server.database).await.len();
        assert_eq!(first.logged_out(&server).await.status, StatusCode::OK);
        assert_eq!(second.status(&server).await, revoked());
        assert_eq!(actions(&server, before).await, [recorded]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_see_and_end_only_their_own_sessions_and_tokens() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (ada, eve) = (person(&server, &owner.org, Role::User).await, person(&server, &owner.org, Role::Owner).await);
    let over = ada.session(&server).await;
    server.pass(30 * DAY - 60_000);
    let (phone, desk) = (ada.session(&server).await, ada.session(&server).await);
    let signed_out = ada.session(&server).await;
    signed_out.logged_out(&server).await;
    let listed = async |identity: &Identity| server.call_as(identity, Method::GET, "/token", None).await;
    assert_eq!(
        listed(&ada.identity).await.json()["tokens"].as_array().map(Vec::len),
        Some(4),
        "one expires in a minute"
    );
    server.pass(60_000);
    let item = |session: &Session, used: Value, current: bool| {
        json!({
            "id": session.identity.token_id, "type": "session", "deviceInfo": "a test",
            "name": null, "createdAt": "2024-02-14T10:29:00.000Z", "expiresAt": "2024-03-15T10:29:00.000Z",
            "lastUsed": used, "current": current,
        })
    };
    let expected = json!({
        "success": true, "message": "Tokens retrieved successfully",
        "tokens": [
            item(&desk, Value::Null, true),
            item(&phone, Value::Null, false),
            {
                "id": ada.identity.token_id, "type": "token", "deviceInfo": null, "name": null,
                "createdAt": "2024-01-15T10:30:00.000Z", "expiresAt": null, "lastUsed": "2024-02-14T10:29:00.000Z",
                "current": false,
            },
        ],
    });
    let answer = listed(&desk.identity).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, expected));
    assert_eq!(listed(&desk.identity).await.json()["tokens"][0]["lastUsed"], "2024-02-14T10:30:00.000Z");

    let missing = json!({ "success": false, "message": "Token not found", "errorCode": "TOKEN_NOT_FOUND" });
    let end = async |identity: &Identity, id: &str| {
        server.call_as(identity, Method::DELETE, &format!("/token/{id}"), None).await
    };
    let ids = [&over, &signed_out].map(|session| session.identity.token_id.as_str());
    for id in ids.into_iter().chain([eve.identity.token_id.as_str(), "token-1", "%7B%7D"]) {
        let answer = end(&desk.identity, id).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::NOT_FOUND, missing.clone()), "{id}");
    }
    for (who, id) in [(&eve.identity, &phone.identity.token_id), (&owner, &phone.identity.token_id)] {
        assert_eq!(end(who, id).await.status, StatusCode::NOT_FOUND, "another user's token, even for owners");
    }
    assert_eq!(phone.status(&server).await, ok());
    let done = json!({ "success": true, "message": "Token revoked successfully" });
    for ended in [&phone.identity, &ada.identity, &desk.identity] {
        let answer = end(&desk.identity, &ended.token_id).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, done.clone()));
        let profile = server.call_as(ended, Method::GET, "/user/profile", None).await;
        assert_eq!(profile.refusal(), revoked());
    }
    assert_eq!(phone.refreshed(&server).await.json(), refused());

    // A session can be ended while no access token of it is valid.
    let (lost, left) = (ada.session(&server).await, ada.session(&server).await);
    server.pass(3_600_000);
    let desk = ada.session(&server).await;
    assert_eq!(end(&desk.identity, &lost.identity.token_id).await.json(), done);
    assert_eq!(left.logged_out(&server).await.status, StatusCode::OK);
    for ended in [lost, left] {
        assert_eq!(ended.refreshed(&server).await.json(), refused());
    }
}
