//! Who may do what: every operation of the document with every credential, in the own, another and no organization.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hyper::{HeaderMap, Method, StatusCode};
use orgkeys::actions::offline::{self, Ttl};
use orgkeys::domain::role::Role;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::harness::{Answer, Identity, Server, blocking, entries, new_api_key, registration, with_body};
use crate::openapi::operations;

/// The columns of the table.
const CREDENTIALS: [&str; 9] =
    ["no token", "malformed", "expired", "revoked", "USER", "BILLING", "WORKSPACES", "ADMINISTRATOR", "OWNER"];

/// One for each credential.
type Statuses = [u16; 9];

/// Needs a credential, and every role may.
const MEMBERS: Statuses = [401, 401, 401, 401, 200, 200, 200, 200, 200];
/// Needs ADMINISTRATOR.
const ADMINISTRATORS: Statuses = [401, 401, 401, 401, 403, 403, 403, 200, 200];
/// Needs a credential, and nobody may: another or a missing organization.
const NOBODY: Statuses = [401, 401, 401, 401, 403, 403, 403, 403, 403];
/// Asks for no credential.
const EVERYBODY: Statuses = [200; 9];

/// The columns of API keys.
const API_KEYS: [&str; 4] =
    ["API key of an ADMINISTRATOR", "API key of a USER", "API key of a project", "disabled API key"];

/// The operations that API keys may call, with their statuses in the own organization for each of the keys above. Every
/// other operation lets no API key in.
const FOR_API_KEYS: &[(&str, [u16; 4])] = &[
    ("listNodes", [200, 200, 403, 401]),
    ("deleteNode", [200, 403, 403, 401]),
    ("activateNode", [200, 403, 403, 401]),
    ("findNodes", [200, 200, 403, 401]),
    ("getProject", [403, 403, 200, 401]),
    ("listSystemEvents", [200, 200, 403, 401]),
];

/// No API key may.
const NO_API_KEY: [u16; 4] = [403, 403, 403, 401];

/// The operation, its statuses in the own organization, and in any other; `None` where the path names no organization.
const TABLE: &[(&str, Statuses, Option<Statuses>)] = &[
    ("getProfile", MEMBERS, None),
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
    ("listProjects", MEMBERS, Some(NOBODY)),
    ("createProject", [401, 401, 401, 401, 403, 403, 201, 201, 201], Some(NOBODY)),
    ("getProject", ADMINISTRATORS, None),
    ("updateProject", ADMINISTRATORS, None),
    ("deleteProject", ADMINISTRATORS, None),
    ("putProjectMember", ADMINISTRATORS, None),
    ("removeProjectMember", ADMINISTRATORS, None),
    ("listApiKeys", MEMBERS, Some(NOBODY)),
    ("listProjectApiKeys", ADMINISTRATORS, None),
    ("createApiKey", [401, 401, 401, 401, 403, 403, 403, 201, 201], Some(NOBODY)),
    ("updateApiKey", [401, 401, 401, 401, 404, 404, 404, 200, 200], Some(NOBODY)),
    ("updateProjectApiKey", ADMINISTRATORS, None),
    ("deleteApiKey", [401, 401, 401, 401, 404, 404, 404, 200, 200], Some(NOBODY)),
    ("rotateApiKey", [401, 401, 401, 401, 404, 404, 404, 201, 201], Some(NOBODY)),
    ("listSystemEvents", MEMBERS, None),
    ("markSystemEventsRead", MEMBERS, None),
    ("markSystemEventsUnread", MEMBERS, None),
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
    /// Organization, key and node of the other organization.
    others: [String; 3],
    pem: String,
    /// A project of the own organization, and a key of it.
    project: String,
    project_key: (i64, String),
    /// Further variables of the path.
    named: Vec<(&'static str, String)>,
}

/// What a caller presents.
#[derive(Clone)]
enum Credential {
    Nothing,
    Token(String),
    ApiKey(String),
}

impl Scene {
    async fn new() -> Self {
        let server = Server::with(|flags| flags.with("max", "100")).await;
        let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
        let (other_key, other_pem) = server.mint(&other).await;
        let node = server.register(&other.org, &other_pem, IP).await.json()["data"]["id"].clone();
        let others = [other.org.clone(), other_key, node.as_str().expect("an id").to_owned()];
        let (_, pem) = server.mint(&owner).await;
        let project = server.project(&owner, "a").await;
        let project_key = server.api_key(&owner, Role::Administrator, &[&project]).await;
        Self { server, owner, other, others, pem, project, project_key, named: Vec::new() }
    }

    /// The credentials of all columns.
    async fn credentials(&self) -> Vec<Credential> {
        let mut all: Vec<_> =
            self.tokens().await.map(|token| token.map_or(Credential::Nothing, Credential::Token)).into();
        let (_, administrator) = self.server.api_key(&self.owner, Role::Administrator, &[]).await;
        let (_, user) = self.server.api_key(&self.owner, Role::User, &[]).await;
        let (id, disabled) = self.server.api_key(&self.owner, Role::Administrator, &[]).await;
        let mut change = changed(id, 254);
        change["disabled"] = json!(true);
        let path = format!("/api/organizations/{}/api-keys", self.owner.org);
        self.server.call_as(&self.owner, Method::PUT, &path, Some(&change)).await.result();
        all.extend([administrator, user, self.project_key.1.clone(), disabled].map(Credential::ApiKey));
        all
    }

    /// The tokens of the table's columns.
    async fn tokens(&self) -> [Option<String>; 9] {
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
        let named = [None, Some(malformed), Some(expired), Some(revoked)].into_iter();
        let tokens: Vec<_> = named.chain(roles.into_iter().map(|role| Some(role.token))).collect();
        tokens.try_into().expect("as many as columns")
    }

    /// Makes sure of what the operation needs; gives the ids to put into its path in the own organization, and its body.
    async fn ready(&mut self, operation: &str) -> ([String; 3], Option<Value>) {
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
        let id = match operation {
            "deleteApiKey" | "rotateApiKey" => server.api_key(&self.owner, Role::User, &[]).await.0,
            _ => self.project_key.0,
        };
        let project = match operation {
            "deleteProject" => server.project(&self.owner, "b").await,
            _ => self.project.clone(),
        };
        let member = format!("/api/projects/{project}/members/{}", self.owner.user);
        if operation == "removeProjectMember" {
            server.call_as(&self.owner, Method::PUT, &member, Some(&json!({ "role": "EDITOR" }))).await;
        }
        self.named = vec![("{projectId}", project), ("{userId}", self.owner.user.clone()), ("{id}", id.to_string())];
        let body = match operation {
            "createProject" | "updateProject" => Some(json!({ "name": "c" })),
            "putProjectMember" => Some(json!({ "role": "EDITOR" })),
            "createApiKey" => Some(new_api_key("a", 0, &[])),
            "updateApiKey" | "updateProjectApiKey" => Some(changed(id, 254)),
            "rotateApiKey" => Some(json!({ "overlapSeconds": 60 })),
            "registerNode" | "unregisterNode" => {
                Some(registration(&self.owner.org, &self.pem, IP, server.now() / 1_000))
            }
            "listSystemEvents" => Some(json!({})),
            "markSystemEventsRead" | "markSystemEventsUnread" => Some(json!({ "id": 1 })),
            _ => None,
        };
        ([self.owner.org.clone(), key, IP.to_owned()], body)
    }

    async fn call(&self, method: &str, path: &str, credential: &Credential, body: Option<&Value>) -> Answer {
        let method = method.to_uppercase().parse().expect("a method");
        let request = self.server.request(method, path);
        let request = match credential {
            Credential::Nothing => request,
            Credential::Token(token) => request.header("authorization", format!("Bearer {token}")),
            Credential::ApiKey(key) => request.header("x-api-key", key),
        };
        self.server.send(with_body(request, body)).await
    }

    fn filled(&self, path: &str, [org, key, node]: &[String; 3]) -> String {
        let path = path.replace("{idOrg}", org).replace("{orgId}", org).replace("{organizationId}", org);
        let mut path = path.replace("{idKey}", key).replace("{nodeId}", node);
        for (name, value) in &self.named {
            path = path.replace(name, value);
        }
        assert!(!path.contains('{'), "{path} has a variable that this test does not know");
        path
    }
}

/// The body that leaves an API key nearly as it was.
fn changed(id: i64, role: i64) -> Value {
    json!({ "id": id, "name": "b", "startDate": "2024-01-15T10:30:00Z", "hasExpireTime": false, "roleId": role })
}

/// Whether an operation takes API keys, as the document says.
fn takes_api_keys(operation: &Value) -> bool {
    operation["security"].as_array().expect("security").iter().any(|scheme| scheme.get("apiKeyAuth").is_some())
}

/// The statuses of an operation for the columns of API keys.
fn for_api_keys(name: &str, operation: &Value, own: &Statuses) -> [u16; 4] {
    let row = FOR_API_KEYS.iter().find(|(row, _)| *row == name);
    assert_eq!(row.is_some(), takes_api_keys(operation), "{name}");
    let public = operation["security"] == json!([]);
    row.map_or(if public { [own[0]; 4] } else { NO_API_KEY }, |(_, statuses)| *statuses)
}

pub async fn token(server: &Server, identity: &Identity, ttl: Ttl) -> String {
    let (app, user) = (Arc::clone(&server.app), identity.user.clone());
    let made = blocking(move || offline::create_token(&app, &user, ttl).expect("a token")).await;
    made.0.expose_secret().to_owned()
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
    let credentials = scene.credentials().await;
    let table: BTreeMap<_, _> = TABLE.iter().map(|(name, own, elsewhere)| (*name, (own, elsewhere))).collect();
    let mut denied = BTreeSet::new();
    let mut rows = 0;
    for (method, path, operation) in operations() {
        let name = operation["operationId"].as_str().expect("an id");
        let (own, elsewhere) = table.get(name).unwrap_or_else(|| panic!("{name} has no row in the table"));
        let names_org = ["{idOrg}", "{orgId}", "{organizationId}"].iter().any(|variable| path.contains(variable));
        assert_eq!(elsewhere.is_some(), names_org, "{name}");
        rows += 1;
        let own: Vec<u16> = own.iter().copied().chain(for_api_keys(name, operation, own)).collect();
        let elsewhere = elsewhere.map(|statuses| [&statuses[..], &NO_API_KEY].concat());
        for (index, credential) in credentials.iter().enumerate() {
            let (ids, body) = scene.ready(name).await;
            let case = format!("{name} with {}", CREDENTIALS.iter().chain(&API_KEYS).nth(index).expect("a column"));
            let answer = scene.call(method, &scene.filled(path, &ids), credential, body.as_ref()).await;
            assert_eq!(answer.status.as_u16(), own[index], "{case}: {answer:?}");
            judge(&case, &answer, &mut denied);
            if matches!(credential, Credential::ApiKey(_)) && answer.status == 403 && !takes_api_keys(operation) {
                assert_eq!(answer.refusal().1, "API_KEY_NOT_ALLOWED", "{case}");
            }
            let Some(elsewhere) = &elsewhere else { continue };
            let missing = format!("org-{}", &scene.others[2]["node-".len()..]);
            let mut answers = Vec::new();
            for org in [scene.others[0].clone(), missing, "org-1".to_owned(), "%7B%7D".to_owned()] {
                let ids = [org, scene.others[1].clone(), scene.others[2].clone()];
                let answer = scene.call(method, &scene.filled(path, &ids), credential, body.as_ref()).await;
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
        let message = &answer.json();
        let message = message.get("message").unwrap_or(&message["errors"][0]);
        assert!(!code.is_empty() && message.is_string(), "{case}: {answer:?}");
    }
    if answer.status == StatusCode::FORBIDDEN {
        denied.insert(answer.headers["x-request-id"].to_str().expect("text").to_owned());
    }
}
