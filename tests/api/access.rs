//! Who may do what: every operation of the document with every credential, in the own, another and no organization.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hyper::{HeaderMap, Method, StatusCode};
use orgkeys::actions::offline::{self, Ttl};
use orgkeys::domain::role::Role;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::harness::{Answer, Identity, Server, blocking, entries, registration, with_body};
use crate::openapi::operations;
use crate::sessions::{self, Person};

/// The columns of the table.
const CREDENTIALS: [&str; 9] =
    ["no token", "malformed", "expired", "revoked", "USER", "BILLING", "WORKSPACES", "ADMINISTRATOR", "OWNER"];

/// One for each credential.
type Statuses = [u16; 9];

/// Needs a credential, and every role may.
const MEMBERS: Statuses = [401, 401, 401, 401, 200, 200, 200, 200, 200];
/// Needs ADMINISTRATOR.
const ADMINISTRATORS: Statuses = [401, 401, 401, 401, 403, 403, 403, 200, 200];
/// Needs WORKSPACES.
const WORKSPACES: Statuses = [401, 401, 401, 401, 403, 403, 200, 200, 200];
/// Needs WORKSPACES, and makes something.
const WORKSPACES_MAKE: Statuses = [401, 401, 401, 401, 403, 403, 201, 201, 201];
/// Needs a credential, and nobody may: another or a missing organization.
const NOBODY: Statuses = [401, 401, 401, 401, 403, 403, 403, 403, 403];
/// Asks for no credential.
const EVERYBODY: Statuses = [200; 9];

/// The operation, its statuses in the own organization, and in any other; `None` where the path names no organization.
const TABLE: &[(&str, Statuses, Option<Statuses>)] = &[
    ("getProfile", MEMBERS, None),
    ("loginUser", EVERYBODY, None),
    ("refreshSession", EVERYBODY, None),
    ("logoutUser", EVERYBODY, None),
    ("listTokens", MEMBERS, None),
    ("deleteToken", MEMBERS, None),
    ("getAccount", MEMBERS, None),
    ("updateAccount", MEMBERS, None),
    ("updateUserRole", ADMINISTRATORS, None),
    ("verifyEmail", EVERYBODY, None),
    ("listUsers", WORKSPACES, None),
    ("createUser", WORKSPACES_MAKE, None),
    ("getUser", WORKSPACES, None),
    ("updateUser", ADMINISTRATORS, None),
    ("deleteUser", ADMINISTRATORS, None),
    ("activateUser", WORKSPACES, None),
    ("resendInvitation", WORKSPACES, None),
    ("getOrganization", MEMBERS, Some(NOBODY)),
    ("updateOrganization", ADMINISTRATORS, Some(NOBODY)),
    ("createOrganizationKey", ADMINISTRATORS, Some(NOBODY)),
    ("listOrganizationKeys", ADMINISTRATORS, Some(NOBODY)),
    ("deleteOrganizationKeys", ADMINISTRATORS, Some(NOBODY)),
    ("deleteOrganizationKey", ADMINISTRATORS, Some(NOBODY)),
    ("registerNode", EVERYBODY, None),
    ("unregisterNode", EVERYBODY, None),
    ("listNodes", MEMBERS, Some(NOBODY)),
    ("deleteNode", ADMINISTRATORS, Some(NOBODY)),
    ("activateNode", ADMINISTRATORS, Some(NOBODY)),
    ("findNodes", MEMBERS, None),
    ("listSystemEvents", MEMBERS, None),
    ("markSystemEventsRead", MEMBERS, None),
    ("markSystemEventsUnread", MEMBERS, None),
    ("verifyApiKey", MEMBERS, None),
    // Its credential is the key that it verifies.
    ("verifyPresentedApiKey", [401; 9], None),
    ("getServer", EVERYBODY, None),
    ("getHealth", EVERYBODY, None),
    ("getReadiness", EVERYBODY, None),
    ("getMetrics", EVERYBODY, None),
];

const IP: &str = "203.0.113.7";

/// What the operations act on, renewed where one of them took it away.
struct Scene {
    server: Server,
    owner: Identity,
    other: Identity,
    /// Organization, key, node and user of the other organization.
    others: [String; 4],
    pem: String,
    /// Who has a password.
    person: Person,
}

impl Scene {
    async fn new() -> Self {
        let server = Server::with(|flags| flags.with("max", "100")).await;
        let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
        let (other_key, other_pem) = server.mint(&other).await;
        let node = server.register(&other.org, &other_pem, IP).await.json()["data"]["id"].clone();
        let others = [other.org.clone(), other_key, node.as_str().expect("an id").to_owned(), other.user.clone()];
        let (_, pem) = server.mint(&owner).await;
        let person = sessions::person(&server, &owner.org, Role::User).await;
        Self { server, owner, other, others, pem, person }
    }

    /// The tokens of the table's columns, and whose they are.
    async fn tokens(&self) -> [(Option<String>, String); 9] {
        let server = &self.server;
        let mut roles = Vec::new();
        for role in Role::ALL {
            roles.push(server.member_of(&self.owner.org, role).await);
        }
        let (expired, revoked) = (token(server, &self.owner, Ttl::For(Duration::from_mins(1))).await, {
            let gone = server.member_of(&self.owner.org, Role::Owner).await;
            server.revoke(&gone).await;
            gone.token
        });
        server.pass(60_000);
        let malformed = format!("{}!", &expired[..39]);
        let nobodys = [None, Some(malformed), Some(expired), Some(revoked)].into_iter();
        let nobodys = nobodys.map(|token| (token, self.owner.user.clone()));
        let tokens: Vec<_> = nobodys.chain(roles.into_iter().map(|role| (Some(role.token), role.user))).collect();
        tokens.try_into().expect("as many as columns")
    }

    /// Makes sure of what the operation needs; gives the ids to put into its path in the own organization, and its body.
    async fn ready(&mut self, operation: &str, caller: &str) -> ([String; 4], Option<Value>) {
        let server = &self.server;
        if matches!(operation, "registerNode" | "unregisterNode" | "deleteNode" | "activateNode") {
            server.pass(1_000);
            if server.register(&self.owner.org, &self.pem, IP).await.status != StatusCode::OK {
                (_, self.pem) = server.mint(&self.owner).await;
                let node = format!("/organization/{}/node/{IP}", self.owner.org);
                server.call_as(&self.owner, Method::POST, &format!("{node}/activate"), None).await;
                assert_eq!(server.register(&self.owner.org, &self.pem, IP).await.status, StatusCode::OK);
            }
            if operation == "activateNode" {
                let node = format!("/organization/{}/node/{IP}", self.owner.org);
                server.call_as(&self.owner, Method::DELETE, &node, None).await;
            }
            server.pass(1_000);
        }
        let mut key = "key-1".to_owned();
        if operation == "deleteOrganizationKey" {
            let keys = format!("/organization/{}/key", self.owner.org);
            let listed = server.call_as(&self.owner, Method::GET, &keys, None).await.json();
            key = match listed["data"][0]["id"].as_str() {
                Some(key) => key.to_owned(),
                None => server.mint(&self.owner).await.0,
            };
        }
        let body = match operation {
            "registerNode" | "unregisterNode" => {
                Some(registration(&self.owner.org, &self.pem, IP, server.now() / 1_000))
            }
            "listSystemEvents" => Some(json!({})),
            "verifyApiKey" => Some(json!({ "apiKey": "oka_" })),
            "markSystemEventsRead" | "markSystemEventsUnread" => Some(json!({ "id": 1 })),
            "loginUser" => Some(json!({ "email": self.person.email, "password": sessions::PASSWORD })),
            "refreshSession" | "logoutUser" => {
                Some(json!({ "refreshToken": self.person.session(&self.server).await.refresh }))
            }
            _ => None,
        };
        let (user, about) = self.person(operation, caller).await;
        ([self.owner.org.clone(), key, IP.to_owned(), user], body.or(about))
    }

    /// The person whom an operation is about, and its body.
    async fn person(&self, operation: &str, caller: &str) -> (String, Option<Value>) {
        let (server, owner) = (&self.server, &self.owner);
        let new = json!({
            "email": format!("{}@example.org", server.app.request_id()), "firstName": "Eve", "lastName": "",
            "sendInvite": true,
        });
        let invited = async || {
            let made = server.call_as(owner, Method::POST, "/organization/users", Some(&new)).await.json();
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            (text(&made["data"]["id"]), text(&made["invitationToken"]))
        };
        let member = async || server.member_of(&owner.org, Role::User).await.user;
        match operation {
            "getAccount" => (caller.to_owned(), None),
            "updateAccount" | "updateOrganization" => (caller.to_owned(), Some(json!({ "name": "Eve" }))),
            "createUser" => (String::new(), Some(new)),
            "getUser" | "deleteUser" => (member().await, None),
            "updateUser" | "updateUserRole" => (member().await, Some(json!({ "orgRole": 1 }))),
            "activateUser" => {
                let user = member().await;
                let path = format!("/organization/users/{user}");
                assert_eq!(server.call_as(owner, Method::DELETE, &path, None).await.status, StatusCode::OK);
                (user, None)
            }
            "resendInvitation" => (invited().await.0, None),
            "verifyEmail" => {
                let (user, token) = invited().await;
                (user, Some(json!({ "token": token, "password": "a cat on 3 roofs" })))
            }
            _ => (String::new(), None),
        }
    }

    /// The path with another token of whom `token` belongs to, if it has a place for one.
    async fn with_token(&self, path: &str, token: Option<&String>) -> String {
        if !path.contains("{tokenId}") {
            return path.to_owned();
        }
        let profile = self.call("get", "/user/profile", token, None).await;
        let another = match profile.status {
            StatusCode::OK => {
                let user = profile.json()["data"]["id"].as_str().expect("an id").to_owned();
                let app = Arc::clone(&self.server.app);
                let (_, token) =
                    blocking(move || offline::create_token(&app, &user, Ttl::Never).expect("a token")).await;
                token.id.to_string()
            }
            _ => "token-1".to_owned(),
        };
        path.replace("{tokenId}", &another)
    }

    async fn call(&self, method: &str, path: &str, token: Option<&String>, body: Option<&Value>) -> Answer {
        let method = method.to_uppercase().parse().expect("a method");
        let mut request = self.server.request(method, path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.server.send(with_body(request, body)).await
    }
}

async fn token(server: &Server, identity: &Identity, ttl: Ttl) -> String {
    let (app, user) = (Arc::clone(&server.app), identity.user.clone());
    let made = blocking(move || offline::create_token(&app, &user, ttl).expect("a token")).await;
    made.0.expose_secret().to_owned()
}

fn filled(path: &str, [org, key, node, user]: &[String; 4]) -> String {
    let path = path.replace("{idOrg}", org).replace("{orgId}", org).replace("{idKey}", key).replace("{nodeId}", node);
    let path = path.replace("{userId}", user).replace("{id}", user);
    assert!(!path.contains('{'), "{path} has a variable that this test does not know");
    path
}

/// All of an answer that may not tell one organization from another.
fn told(answer: &Answer) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut headers = answer.headers.clone();
    headers.remove("x-request-id");
    headers.remove("date");
    (answer.status, headers, answer.body.to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_every_credential_as_the_table_says() {
    let mut scene = Scene::new().await;
    let tokens = scene.tokens().await;
    let table: BTreeMap<_, _> = TABLE.iter().map(|(name, own, elsewhere)| (*name, (own, elsewhere))).collect();
    let mut denied = BTreeSet::new();
    let mut rows = 0;
    for (method, path, operation) in operations() {
        let name = operation["operationId"].as_str().expect("an id");
        let (own, elsewhere) = table.get(name).unwrap_or_else(|| panic!("{name} has no row in the table"));
        assert_eq!(elsewhere.is_some(), path.contains("{idOrg}") || path.contains("{orgId}"), "{name}");
        rows += 1;
        for (index, (token, caller)) in tokens.iter().enumerate() {
            let (ids, body) = scene.ready(name, caller).await;
            let path = &scene.with_token(path, token.as_ref()).await;
            let case = format!("{name} with {}", CREDENTIALS[index]);
            let answer = scene.call(method, &filled(path, &ids), token.as_ref(), body.as_ref()).await;
            assert_eq!(answer.status.as_u16(), own[index], "{case}: {answer:?}");
            judge(&case, &answer, &mut denied);
            let Some(elsewhere) = elsewhere else { continue };
            let missing = format!("org-{}", &scene.others[2]["node-".len()..]);
            let mut answers = Vec::new();
            for org in [scene.others[0].clone(), missing, "org-1".to_owned(), "%7B%7D".to_owned()] {
                let ids = [org, scene.others[1].clone(), scene.others[2].clone(), scene.others[3].clone()];
                let answer = scene.call(method, &filled(path, &ids), token.as_ref(), body.as_ref()).await;
                assert_eq!(answer.status.as_u16(), elsewhere[index], "{case} in {}: {answer:?}", ids[0]);
                judge(&case, &answer, &mut denied);
                answers.push(told(&answer));
            }
            assert!(answers.windows(2).all(|two| two[0] == two[1]), "{case} tells organizations apart: {answers:?}");
        }
    }
    assert_eq!(rows, TABLE.len(), "the table has rows of operations that do not exist");
    let recorded = entries(&scene.server.database).await;
    let recorded = recorded.iter().filter(|entry| entry.action == "access.denied");
    let recorded = recorded.map(|entry| {
        assert_eq!((entry.org.as_str(), entry.outcome.as_str()), (scene.owner.org.as_str(), "refused"), "{entry:?}");
        entry.request_id.clone().expect("a request id")
    });
    assert_eq!(recorded.collect::<BTreeSet<_>>(), denied, "each denial has its entry, and nothing else has");
    let keys = format!("/organization/{}/key", scene.other.org);
    let untouched = scene.server.call_as(&scene.other, Method::GET, &keys, None).await.json();
    assert_eq!(untouched["data"][0]["nodeKeys"][0]["nodeId"], IP);
}

/// What holds for every refusal. The ids of denied requests are kept.
fn judge(case: &str, answer: &Answer, denied: &mut BTreeSet<String>) {
    let challenge = answer.headers.get("www-authenticate").map(|value| value.to_str().expect("text"));
    assert_eq!(challenge, (answer.status == StatusCode::UNAUTHORIZED).then_some("Bearer"), "{case}");
    if !answer.status.is_success() {
        let (_, code) = answer.refusal();
        let (flat, wrapped) = (&answer.json()["message"], &answer.json()["errors"][0]);
        assert!(!code.is_empty() && (flat.is_string() || wrapped.is_string()), "{case}: {answer:?}");
    }
    if answer.status == StatusCode::FORBIDDEN {
        denied.insert(answer.headers["x-request-id"].to_str().expect("text").to_owned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_credential_says_what_is_wrong_with_it() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (good, expiring) = (owner.token.clone(), token(&server, &owner, Ttl::For(Duration::from_mins(1))).await);
    let gone = server.member_of(&owner.org, Role::User).await;
    server.revoke(&gone).await;
    let unknown = {
        let elsewhere = Server::start().await;
        elsewhere.owner_of("acme").await.token
    };
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let call = async |headers: Vec<(&str, String)>| {
        let mut request = server.request(Method::GET, "/user/profile");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        server.send(with_body(request, None)).await
    };
    server.pass(59_999);
    assert_eq!(call(vec![bearer(&expiring)]).await.status, StatusCode::OK, "a millisecond before its end");
    server.pass(1);
    let cases = [
        (vec![], "NO_CREDENTIAL"),
        (vec![bearer(&good[..39])], "MALFORMED_TOKEN"),
        (vec![("authorization", good.clone())], "MALFORMED_TOKEN"),
        (vec![("authorization", format!("Basic {good}"))], "MALFORMED_TOKEN"),
        (vec![bearer(&unknown)], "INVALID_TOKEN"),
        (vec![bearer(&expiring)], "TOKEN_EXPIRED"),
        (vec![bearer(&gone.token)], "TOKEN_REVOKED"),
        (vec![bearer(&good), ("x-api-key", "oka_1".to_owned())], "TWO_CREDENTIALS"),
        (vec![bearer(&good), bearer(&good)], "TWO_CREDENTIALS"),
    ];
    for (headers, code) in cases {
        let answer = call(headers).await;
        assert_eq!(answer.refusal(), (401, code.to_owned()));
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!said.contains(&good) && !said.contains(&expiring), "{said} repeats a token");
        if code == "TWO_CREDENTIALS" {
            assert!(said.contains("Authorization"), "{said} names them");
        }
    }
    let lower = vec![("authorization", format!("bearer {good}"))];
    assert_eq!(call(lower).await.status, StatusCode::OK, "a scheme has no letter case");
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_never_comes_from_what_a_request_says() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let user = server.member_of(&owner.org, Role::User).await;
    server.mint(&owner).await;
    let claims = json!({ "orgId": other.org, "organizationId": other.org, "userId": owner.user, "orgRole": 255 });
    let query = format!("?orgId={}&userId={}&orgRole=255", other.org, owner.user);
    let page = server.call_as(&user, Method::POST, &format!("/systemevent{query}"), Some(&claims)).await.json();
    assert_eq!((&page["events"], &page["total"]), (&json!([]), &json!(0)));
    let request = server.request(Method::GET, &format!("/user/profile{query}"));
    let request = request.header("authorization", format!("Bearer {}", user.token)).header("x-user-id", &owner.user);
    let profile = server.send(with_body(request, None)).await.json();
    assert_eq!((&profile["data"]["id"], &profile["data"]["orgRole"]), (&json!(user.user), &json!(0)));
    let keys = format!("/organization/{}/key{query}", owner.org);
    let denied = server.call_as(&user, Method::POST, &keys, Some(&claims)).await;
    assert_eq!(denied.refusal(), (403, "ACCESS_DENIED".to_owned()));
    let recorded = entries(&server.database).await;
    let last: Vec<_> = recorded.iter().rev().take(3).map(|entry| (&entry.actor_id, &entry.org)).collect();
    assert_eq!(last, [(&user.user, &owner.org); 3]);
}
