//! Sessions: begun by a password, renewed by a refresh token that counts once, and ended.

use std::sync::{Arc, LazyLock};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};
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

const DAY: i64 = 24 * 3_600_000;

static HASH: LazyLock<String> =
    LazyLock::new(|| password::hash(&SecretString::from(PASSWORD), &mut clock::system().rng()).expect("a hash"));

/// A member with a password.
#[derive(Clone)]
pub struct Person {
    pub identity: Identity,
    pub email: String,
}

/// A new member of an organization who signs in with [`PASSWORD`].
pub async fn person(server: &Server, org: &str, role: Role) -> Person {
    let identity = server.member_of(org, role).await;
    let id = UserId::parse(&identity.user).expect("an id");
    let sql = "UPDATE user SET password = ?2 WHERE id = ?1 RETURNING email";
    let email = conn(server).query_row(sql, (id.as_bytes(), HASH.as_str()), |row| row.get(0)).expect("a user");
    Person { identity, email }
}

/// A connection beside the server's own.
pub fn conn(server: &Server) -> Connection {
    Connection::open(&server.database).expect("the file")
}

/// Changes rows of the database; all of them, whatever the condition, must be one.
fn change(server: &Server, sql: &str) {
    assert_eq!(conn(server).execute(sql, []), Ok(1), "{sql}");
}

fn count(server: &Server, sql: &str) -> i64 {
    conn(server).query_row(sql, [], |row| row.get(0)).expect("a number")
}

/// Signs in from an address that a trusted proxy states.
pub async fn log_in(server: &Server, from: &str, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password, "deviceInfo": "a test" });
    let request = server.request(Method::POST, "/user/login").header("x-forwarded-for", from);
    server.send(with_body(request, Some(&body))).await
}

impl Person {
    /// Signs in and gives the session.
    pub async fn session(&self, server: &Server) -> Session {
        let answer = log_in(server, "127.0.0.1", &self.email, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        Session::of(&self.identity, &answer.json())
    }
}

/// What a client holds of a session.
#[derive(Clone)]
pub struct Session {
    pub identity: Identity,
    pub refresh: String,
}

impl Session {
    fn of(identity: &Identity, body: &Value) -> Self {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let identity = Identity { token: text("accessToken"), token_id: text("tokenId"), ..identity.clone() };
        Self { identity, refresh: text("refreshToken") }
    }

    pub async fn refreshed(&self, server: &Server) -> Answer {
        server.call(Method::POST, "/user/refresh", Some(&json!({ "refreshToken": self.refresh }))).await
    }

    /// Renews it, which must work.
    async fn renewed(&self, server: &Server) -> Self {
        let answer = self.refreshed(server).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let next = Self::of(&self.identity, &answer.json());
        Self { identity: Identity { token_id: self.identity.token_id.clone(), ..next.identity }, ..next }
    }

    async fn logged_out(&self, server: &Server) -> Answer {
        server.call(Method::POST, "/user/logout", Some(&json!({ "refreshToken": self.refresh }))).await
    }

    /// What its access token is answered.
    async fn status(&self, server: &Server) -> (u16, String) {
        let answer = server.call_as(&self.identity, Method::GET, "/user/profile", None).await;
        if answer.status == StatusCode::OK { (200, String::new()) } else { answer.refusal() }
    }
}

fn revoked() -> (u16, String) {
    (401, "TOKEN_REVOKED".to_owned())
}

fn ok() -> (u16, String) {
    (200, String::new())
}

fn refused() -> Value {
    json!({
        "success": false, "message": "The refresh token is not valid any more: sign in again",
        "errorCode": "INVALID_REFRESH_TOKEN", "error_code": "INVALID_REFRESH_TOKEN",
    })
}

/// The actions of the entries that a user left since the `before`th.
async fn actions(server: &Server, before: usize) -> Vec<String> {
    entries(&server.database).await.split_off(before).into_iter().map(|entry| entry.action).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn login_refresh_and_logout_answer_as_the_contract_writes_it() {
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
    let first = Session::of(&ada.identity, &body);
    assert_eq!(first.status(&server).await, ok());

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
    assert_eq!(first.status(&server).await, (401, "INVALID_TOKEN".to_owned()), "the access token before ends at once");
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
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, done.clone()), "signing out twice is no failure");
        let answer = server.call(Method::POST, "/user/refresh", Some(&json!({ "refreshToken": token }))).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::UNAUTHORIZED, refused()));
    }
}

/// A well-formed refresh token that no server has given.
fn clock_secret() -> String {
    use secrecy::ExposeSecret;
    let secret = orgkeys::crypto::secret::Kind::RefreshToken.fresh(&mut clock::system().rng());
    secret.expose_secret().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_taken_under_both_names() {
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
async fn whatever_is_wrong_with_who_signs_in_the_answer_is_the_same() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let mut people = Vec::new();
    for _ in 0..3 {
        people.push(person(&server, &owner.org, Role::User).await);
    }
    let [ada, gone, new] = people.try_into().map_err(|_| ()).expect("three");
    let invited = person(&server, &owner.org, Role::User).await;
    change(&server, &format!("UPDATE user SET deleted_at = 0 WHERE email = '{}'", gone.email));
    change(&server, &format!("UPDATE user SET validated = 0 WHERE email = '{}'", new.email));
    change(&server, &format!("UPDATE user SET validated = 0, password = NULL WHERE email = '{}'", invited.email));
    let before = entries(&server.database).await.len();
    let wrong = [
        (ada.email.as_str(), "correct horse battery stapl"),
        ("nobody@example.org", PASSWORD),
        ("no address at all", PASSWORD),
        (&gone.email, "another password"),
        (&new.email, "another password"),
        (&invited.email, PASSWORD),
    ];
    let mut told = Vec::new();
    for (email, password) in wrong {
        let mut answer = log_in(&server, "127.0.0.1", email, password).await;
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        for header in ["x-request-id", "date"] {
            answer.headers.remove(header);
        }
        told.push(answer);
    }
    let expected = json!({
        "success": false, "message": "Wrong email address or password",
        "errorCode": "INVALID_CREDENTIALS", "error_code": "INVALID_CREDENTIALS",
    });
    assert_eq!((told[0].status, told[0].json()), (StatusCode::UNAUTHORIZED, expected));
    assert!(told.iter().all(|answer| *answer == told[0]), "{told:?}");
    assert_eq!(count(&server, "SELECT count(*) FROM wrong_password"), 6, "each left the same on disk");
    for person in [gone, new] {
        let answer = log_in(&server, "127.0.0.1", &person.email, PASSWORD).await;
        assert_eq!(answer.refusal(), (401, "USER_INACTIVE".to_owned()), "said to who knows the password alone");
        assert_eq!(answer.json()["error_code"], "USER_INACTIVE");
    }
    assert_eq!(actions(&server, before).await, Vec::<String>::new());
    assert_eq!(count(&server, "SELECT count(*) FROM token WHERE refresh_until IS NOT NULL"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_to_sign_in_has_limits() {
    let server = Server::with(|flags| flags.with("trusted_proxy", "127.0.0.1")).await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let body = |email: &str, password: &str, device: Value| json!({ "email": email, "password": password, "deviceInfo": device });
    let (device, longest) = ("ö".repeat(200), format!("{}@example.org", "a".repeat(242)));
    let taken = [
        (body(&ada.email, PASSWORD, json!(device)), 200, ""),
        (body(&ada.email, PASSWORD, json!({ "os": "Linux" })), 200, ""),
        (body(&ada.email, PASSWORD, Value::Null), 200, ""),
        (json!({ "email": ada.email, "password": PASSWORD, "id": "user-1", "orgRole": 255 }), 200, ""),
        (body(&longest, PASSWORD, json!("")), 401, "INVALID_CREDENTIALS"),
        (body(&ada.email, &"a".repeat(1_024), json!("")), 401, "INVALID_CREDENTIALS"),
        (body(&ada.email, "a", json!("")), 401, "INVALID_CREDENTIALS"),
        (body(&ada.email, "\n", json!("")), 401, "INVALID_CREDENTIALS"),
        (body(&ada.email, PASSWORD, json!(format!("{device}ö"))), 400, "INVALID_FIELD"),
        (body(&ada.email, PASSWORD, json!("a\nb")), 400, "INVALID_FIELD"),
        (body(&format!("{longest}a"), PASSWORD, json!("")), 400, "INVALID_FIELD"),
        (body("a\u{0}@example.org", PASSWORD, json!("")), 400, "INVALID_FIELD"),
        (body("", PASSWORD, json!("")), 400, "INVALID_FIELD"),
        (body(&ada.email, &format!("{}ö", "a".repeat(1_023)), json!("")), 400, "INVALID_FIELD"),
        (body(&ada.email, "", json!("")), 400, "INVALID_FIELD"),
        (json!({ "email": ada.email }), 400, "INVALID_FIELD"),
        (json!({ "email": ada.email, "password": 1 }), 400, "INVALID_FIELD"),
        (json!([ada.email, PASSWORD]), 400, "INVALID_FIELD"),
    ];
    for (body, status, code) in taken {
        let answer = server.call(Method::POST, "/user/login", Some(&body)).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        if status != 200 {
            assert_eq!((&answer.json()["errorCode"], &answer.json()["error_code"]), (&json!(code), &json!(code)));
        }
    }
    let devices = "SELECT group_concat(coalesce(device, '-'), '|') FROM (SELECT device FROM token WHERE refresh_until > 0 ORDER BY id)";
    let devices: String = conn(&server).query_row(devices, [], |row| row.get(0)).expect("text");
    assert_eq!(devices, format!("{device}|-|-|-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn login_refresh_and_logout_say_their_code_twice_whatever_fails() {
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
async fn a_hash_of_less_work_is_replaced_by_who_knows_its_password() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let mut hash = [0; 32];
    let params = Params::new(64, 1, 1, None).expect("parameters");
    let memory = vec![Block::new(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(PASSWORD.as_bytes(), &[1; 16], &mut hash, memory).expect("a hash");
    let [salt, hash] = [&[1; 16][..], &hash].map(|bytes| BASE64_STANDARD_NO_PAD.encode(bytes));
    let weak = format!("$argon2id$v=19$m=64,t=1,p=1${salt}${hash}");
    change(&server, &format!("UPDATE user SET password = '{weak}' WHERE email = '{}'", ada.email));
    let kept = || -> String {
        let sql = "SELECT password FROM user WHERE email = ?1";
        conn(&server).query_row(sql, [&ada.email], |row| row.get(0)).expect("a hash")
    };
    assert_eq!(log_in(&server, "127.0.0.1", &ada.email, "another password").await.refusal().0, 401);
    assert_eq!(kept(), weak);
    ada.session(&server).await;
    let strong = kept();
    assert!(strong.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{strong}");
    ada.session(&server).await;
    assert_eq!(kept(), strong, "and not again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_is_used_again_ends_its_session_and_no_other() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let (first, other) = (ada.session(&server).await, ada.session(&server).await);
    let second = first.renewed(&server).await;
    let third = second.renewed(&server).await;
    let before = entries(&server.database).await.len();
    let answer = first.refreshed(&server).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::UNAUTHORIZED, refused()));
    assert_eq!(third.status(&server).await, revoked(), "the newest tokens of the session end");
    assert_eq!(other.status(&server).await, ok());
    for session in [&first, &second, &third] {
        let answer = session.refreshed(&server).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::UNAUTHORIZED, refused()));
    }
    other.renewed(&server).await;
    let recorded = entries(&server.database).await.split_off(before);
    let reuse = recorded.iter().find(|entry| entry.action == "session.reuse").expect("an entry");
    assert_eq!((reuse.actor_id.as_str(), reuse.change), (ada.identity.user.as_str(), Some(1)));
    assert_eq!(reuse.detail, Some(json!({ "tokenId": first.identity.token_id }).to_string()));
    assert_eq!(recorded.iter().filter(|entry| entry.action == "session.reuse").count(), 1, "it ended once");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_who_use_a_refresh_token_at_once_one_wins_and_the_others_end_the_session() {
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    let session = person(&server, &owner.org, Role::User).await.session(&server).await;
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let (server, session) = (Arc::clone(&server), session.clone());
            tokio::spawn(async move { session.refreshed(&server).await })
        })
        .collect();
    let mut winners = Vec::new();
    for call in calls {
        let answer = call.await.expect("an answer");
        if answer.status == StatusCode::OK {
            winners.push(Session::of(&session.identity, &answer.json()));
        } else {
            assert_eq!((answer.status, answer.json()), (StatusCode::UNAUTHORIZED, refused()));
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(winners[0].status(&server).await, revoked(), "one of them was a thief");
    assert_eq!(winners[0].refreshed(&server).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn access_ends_after_an_hour_and_a_session_30_days_after_its_last_refresh() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let (session, forgotten) = (ada.session(&server).await, ada.session(&server).await);
    server.pass(3_599_999);
    assert_eq!(session.status(&server).await, ok());
    server.pass(1);
    assert_eq!(session.status(&server).await, (401, "TOKEN_EXPIRED".to_owned()));
    server.pass(30 * DAY - 3_600_001);
    let session = session.renewed(&server).await;
    server.pass(1);
    assert_eq!(forgotten.refreshed(&server).await.json(), refused());
    server.pass(30 * DAY - 2);
    let session = session.renewed(&server).await;
    server.pass(30 * DAY);
    assert_eq!(session.refreshed(&server).await.json(), refused());
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_with_a_used_refresh_token_ends_the_session_too() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let first = person(&server, &owner.org, Role::User).await.session(&server).await;
    let second = first.renewed(&server).await;
    let before = entries(&server.database).await.len();
    assert_eq!(first.logged_out(&server).await.status, StatusCode::OK);
    assert_eq!(second.status(&server).await, revoked());
    assert_eq!(actions(&server, before).await, ["session.reuse"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_and_end_their_own_sessions_and_tokens_alone() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (ada, eve) = (person(&server, &owner.org, Role::User).await, person(&server, &owner.org, Role::Owner).await);
    let over = ada.session(&server).await;
    server.pass(30 * DAY - 60_000);
    let (phone, desk) = (ada.session(&server).await, ada.session(&server).await);
    let signed_out = ada.session(&server).await;
    signed_out.logged_out(&server).await;
    let listed = async |identity: &Identity| server.call_as(identity, Method::GET, "/token", None).await;
    assert_eq!(listed(&ada.identity).await.json()["tokens"].as_array().map(Vec::len), Some(4), "one ends in a minute");
    server.pass(60_000);
    let item = |session: &Session, used: Value, current: bool| {
        json!({
            "id": session.identity.token_id, "type": "session", "deviceInfo": "a test",
            "createdAt": "2024-02-14T10:29:00.000Z", "expiresAt": "2024-03-15T10:29:00.000Z", "lastUsed": used,
            "current": current,
        })
    };
    let expected = json!({
        "success": true, "message": "Tokens retrieved successfully",
        "tokens": [
            item(&desk, Value::Null, true),
            item(&phone, Value::Null, false),
            {
                "id": ada.identity.token_id, "type": "token", "deviceInfo": null,
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
        assert_eq!(end(who, id).await.status, StatusCode::NOT_FOUND, "another's, for owners too");
    }
    assert_eq!(phone.status(&server).await, ok());
    let done = json!({ "success": true, "message": "Token ended successfully" });
    for ended in [&phone.identity, &ada.identity, &desk.identity] {
        let answer = end(&desk.identity, &ended.token_id).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, done.clone()));
        let profile = server.call_as(ended, Method::GET, "/user/profile", None).await;
        assert_eq!(profile.refusal(), revoked());
    }
    assert_eq!(phone.refreshed(&server).await.json(), refused());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_of_a_person_who_is_deleted_end_at_once() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let session = ada.session(&server).await;
    change(&server, &format!("UPDATE user SET deleted_at = 0 WHERE email = '{}'", ada.email));
    let before = entries(&server.database).await.len();
    assert_eq!(session.status(&server).await, revoked());
    assert_eq!(session.refreshed(&server).await.json(), refused());
    assert_eq!(session.logged_out(&server).await.status, StatusCode::OK);
    assert_eq!(actions(&server, before).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_go_on_after_a_restart() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let session = person(&server, &owner.org, Role::User).await.session(&server).await;
    let server = server.restart().await;
    assert_eq!(session.status(&server).await, ok());
    let next = session.renewed(&server).await;
    let server = server.restart().await;
    assert_eq!(session.status(&server).await, (401, "INVALID_TOKEN".to_owned()));
    assert_eq!(session.refreshed(&server).await.json(), refused());
    let server = server.restart().await;
    assert_eq!(next.status(&server).await, revoked(), "the reuse held too");
}
