//! The resources that the operations act on, and their callers.

use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use orgkeys::actions::admin::{self, Ttl};
use orgkeys::domain::delivery::Outcome;
use orgkeys::domain::role::Role;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::harness::{Answer, Identity, Server, blocking, new_api_key, registration, with_body};
use crate::outbox::settle;
use crate::sessions::{self, Person};
use crate::webhooks::Hook;

pub const IP: &str = "203.0.113.7";

/// Values for the variables of a path.
pub type Ids = Vec<(&'static str, String)>;

/// The resources that the operations act on, recreated after an operation has removed one.
pub struct Scene {
    pub server: Server,
    pub owner: Identity,
    pub other: Identity,
    /// Organization, key, node and user of the other organization.
    pub others: [String; 4],
    pem: String,
    /// A user with a password.
    person: Person,
    /// A project of the caller's organization, and one of its keys.
    project: String,
    project_key: (i64, String),
}

/// What a caller presents.
#[derive(Clone)]
pub enum Credential {
    Nothing,
    Token(String),
    ApiKey(String),
}

/// A column of the table: a credential and its user. Credentials that belong to nobody stand for the owner.
pub struct Column {
    pub credential: Credential,
    user: String,
}

impl Column {
    pub fn new(credential: Credential, user: &str) -> Self {
        Self { credential, user: user.to_owned() }
    }
}

impl Scene {
    pub async fn new() -> Self {
        let server = Server::with(|flags| flags.with("max", "100")).await;
        let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
        let (other_key, other_pem) = server.key(&other).await;
        let node = server.register(&other.org, &other_pem, IP).await.json()["data"]["id"].clone();
        let others = [other.org.clone(), other_key, node.as_str().expect("an id").to_owned(), other.user.clone()];
        let (_, pem) = server.key(&owner).await;
        let person = sessions::person(&server, &owner.org, Role::User).await;
        let project = server.project(&owner, "a").await;
        let project_key = server.api_key(&owner, Role::Administrator, &[&project]).await;
        Self { server, owner, other, others, pem, person, project, project_key }
    }

    /// All columns of the table, those of API keys last.
    pub async fn columns(&self) -> Vec<Column> {
        let (server, owner) = (&self.server, &self.owner);
        let mut roles = Vec::new();
        for role in Role::ALL {
            roles.push(server.member_of(&owner.org, role).await);
        }
        let (expired, revoked) = (token(server, owner, Ttl::For(Duration::from_mins(1))).await, {
            let revoked = server.member_of(&owner.org, Role::Owner).await;
            server.revoke(&revoked).await;
            revoked.token
        });
        server.pass(60_000);
        let malformed = format!("{}!", &expired[..39]);
        let (_, administrator) = server.api_key(owner, Role::Administrator, &[]).await;
        let (_, user) = server.api_key(owner, Role::User, &[]).await;
        let (id, disabled) = server.api_key(owner, Role::Administrator, &[]).await;
        let mut change = changed(id, 254);
        change["disabled"] = json!(true);
        let path = format!("/api/organizations/{}/api-keys", owner.org);
        server.call_as(owner, Method::PUT, &path, Some(&change)).await.result();
        let nobodys = [malformed, expired, revoked].map(Credential::Token);
        let keys = [administrator, user, self.project_key.1.clone(), disabled].map(Credential::ApiKey);
        let nobodys = std::iter::once(Credential::Nothing).chain(nobodys);
        let owners = |credential| Column::new(credential, &owner.user);
        let members = roles.into_iter().map(|role| Column::new(Credential::Token(role.token), &role.user));
        nobodys.map(owners).chain(members).chain(keys.into_iter().map(owners)).collect()
    }

    /// Prepares what the operation needs. Returns the ids for its path in the caller's own organization, and its body.
    pub async fn ready(&mut self, operation: &str, column: &Column) -> (Ids, Option<Value>) {
        let org = self.owner.org.clone();
        let mut ids: Ids = ["{idOrg}", "{orgId}", "{organizationId}"].map(|name| (name, org.clone())).into();
        ids.push(("{nodeId}", IP.to_owned()));
        let mut body = self.node(operation).await;
        let (key, about) = self.key(operation).await;
        ids.push(("{idKey}", key));
        body = body.or(about);
        let (more, about) = self.project(operation).await;
        ids.extend(more);
        body = body.or(about);
        if operation.contains("Secret") && !operation.contains("Webhook") {
            ids.push(("{name}", self.secret().await));
        }
        let (more, about) = self.webhook(operation).await;
        ids.extend(more);
        body = body.or(about);
        let (user, about) = self.person(operation, &column.user).await;
        ids.extend([("{userId}", user.clone()), ("{id}", user)]);
        if operation == "deleteToken" {
            let (system, user) = (Arc::clone(&self.server.system), column.user.clone());
            let made = blocking(move || admin::create_token(&system, &user, Ttl::Never).expect("a token")).await;
            ids.push(("{tokenId}", made.1.id.to_string()));
        }
        let body = body.or(about).or(match operation {
            "listSystemEvents" => Some(json!({})),
            "createToken" => Some(json!({ "name": "a", "ttlSeconds": 60 })),
            "putSecret" => Some(json!({ "text": "A=2\n" })),
            "verifyApiKey" => Some(json!({ "apiKey": "oka_" })),
            "markSystemEventsRead" | "markSystemEventsUnread" => Some(json!({ "id": 1 })),
            "loginUser" | "createWebSession" => {
                Some(json!({ "email": self.person.email, "password": sessions::PASSWORD }))
            }
            "confirmPassword" => Some(json!({ "password": sessions::PASSWORD })),
            "refreshSession" | "logoutUser" => {
                Some(json!({ "refreshToken": self.person.session(&self.server).await.refresh }))
            }
            _ => None,
        });
        (ids, body)
    }

    /// The ids of another organization, to put before those of the caller's own.
    pub fn elsewhere(&self, org: &str) -> Ids {
        let mut ids: Ids = ["{idOrg}", "{orgId}", "{organizationId}"].map(|name| (name, org.to_owned())).into();
        let [_, key, node, user] = self.others.clone();
        ids.extend([("{idKey}", key), ("{nodeId}", node), ("{userId}", user)]);
        ids
    }

    /// Prepares an active node, or a deleted one for `activateNode`. Returns the body of a signed call.
    async fn node(&mut self, operation: &str) -> Option<Value> {
        let (server, owner) = (&self.server, &self.owner);
        if !matches!(operation, "registerNode" | "unregisterNode" | "fetchSecrets" | "deleteNode" | "activateNode") {
            return None;
        }
        server.pass(1_000);
        let node = format!("/organization/{}/node/{IP}", owner.org);
        if server.register(&owner.org, &self.pem, IP).await.status != StatusCode::OK {
            (_, self.pem) = server.key(owner).await;
            server.call_as(owner, Method::POST, &format!("{node}/activate"), None).await;
            assert_eq!(server.register(&owner.org, &self.pem, IP).await.status, StatusCode::OK);
        }
        if operation == "activateNode" {
            server.call_as(owner, Method::DELETE, &node, None).await;
        }
        server.pass(1_000);
        let signed = matches!(operation, "registerNode" | "unregisterNode" | "fetchSecrets");
        signed.then(|| registration(&owner.org, &self.pem, IP, server.now() / 1_000))
    }

    /// The organization key that an operation acts on, and its body.
    async fn key(&self, operation: &str) -> (String, Option<Value>) {
        let keys = format!("/organization/{}/key", self.owner.org);
        let fresh = async || self.server.key(&self.owner).await.0;
        let deleted = async |key: String| {
            self.server.call_as(&self.owner, Method::DELETE, &format!("{keys}/{key}"), None).await;
            key
        };
        match operation {
            "deleteOrganizationKey" | "updateOrganizationKey" => {
                let listed = self.server.call_as(&self.owner, Method::GET, &keys, None).await.json();
                let key = match listed["data"][0]["id"].as_str() {
                    Some(key) => key.to_owned(),
                    None => fresh().await,
                };
                (key, (operation == "updateOrganizationKey").then(|| json!({ "name": "a" })))
            }
            // The successor replaces the key at once, so that there is always room.
            "rotateOrganizationKey" => (fresh().await, Some(json!({ "overlapSeconds": 0 }))),
            "restoreOrganizationKey" => (deleted(fresh().await).await, None),
            "importOrganizationKey" => {
                // There is always room.
                let listed = self.server.call_as(&self.owner, Method::GET, &keys, None).await.json();
                let known = listed["data"].as_array().into_iter().flatten().find(|key| key["brought"] == true);
                if let Some(key) = known {
                    deleted(key["id"].as_str().expect("an id").to_owned()).await;
                }
                (String::new(), Some(json!({ "publicKey": self.server.pair().public })))
            }
            _ => ("key-1".to_owned(), None),
        }
    }

    /// The project and the API key that an operation acts on, and its body.
    async fn project(&self, operation: &str) -> (Ids, Option<Value>) {
        let (server, owner) = (&self.server, &self.owner);
        let id = match operation {
            "deleteApiKey" | "rotateApiKey" => server.api_key(owner, Role::User, &[]).await.0,
            _ => self.project_key.0,
        };
        let project = match operation {
            "deleteProject" => server.project(owner, "b").await,
            _ => self.project.clone(),
        };
        if operation == "removeProjectMember" {
            let member = format!("/api/projects/{project}/members/{}", owner.user);
            server.call_as(owner, Method::PUT, &member, Some(&json!({ "role": "EDITOR" }))).await;
        }
        let mut ids = vec![("{projectId}", project)];
        if matches!(operation, "deleteApiKey" | "rotateApiKey") {
            ids.push(("{id}", id.to_string()));
        }
        if matches!(operation, "putProjectMember" | "removeProjectMember") {
            ids.push(("{userId}", owner.user.clone()));
        }
        let body = match operation {
            "createProject" | "updateProject" => Some(json!({ "name": "c" })),
            "putProjectMember" => Some(json!({ "role": "EDITOR" })),
            "createApiKey" => Some(new_api_key("a", 0, &[])),
            "updateApiKey" | "updateProjectApiKey" => Some(changed(id, 254)),
            "rotateApiKey" => Some(json!({ "overlapSeconds": 60 })),
            _ => None,
        };
        (ids, body)
    }

    /// A secret for nodes. Returns its name.
    async fn secret(&self) -> String {
        let path = format!("/organization/{}/secrets/s3", self.owner.org);
        let put = self.server.call_as(&self.owner, Method::PUT, &path, Some(&json!({ "text": "A=1\n" }))).await;
        assert_eq!(put.status, StatusCode::OK, "{put:?}");
        "s3".to_owned()
    }

    /// The webhook and the delivery that an operation acts on, and its body.
    async fn webhook(&self, operation: &str) -> (Ids, Option<Value>) {
        if !operation.contains("Webhook") {
            return (Vec::new(), None);
        }
        let (server, owner) = (&self.server, &self.owner);
        let hooks = Hook::all(server, owner).await;
        let hook = match hooks.into_iter().next() {
            Some(hook) => hook,
            None => Hook::make(server, owner, &json!({ "url": "https://a.example" })).await,
        };
        let mut ids = vec![("{webhookId}", hook.id.clone())];
        if operation == "replayWebhookDelivery" {
            let delivery = hook.tested(server, owner).await;
            settle(server, vec![(delivery.clone(), Outcome::Taken { status: 204 })]).await;
            ids.push(("{deliveryId}", delivery));
        }
        let body = match operation {
            "createWebhook" => Some(json!({ "url": "https://b.example" })),
            "updateWebhook" => Some(json!({ "name": "b" })),
            "rotateWebhookSecret" => Some(json!({ "overlapSeconds": 0 })),
            "replayWebhookDeliveries" => Some(json!({ "since": "2024-01-15T00:00:00Z" })),
            _ => None,
        };
        (ids, body)
    }

    /// The user that an operation acts on, and its body.
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
                let deleter = server.member_of(&owner.org, Role::Administrator).await;
                assert_eq!(server.call_as(&deleter, Method::DELETE, &path, None).await.status, StatusCode::OK);
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

    /// Calls with a credential.
    pub async fn call(&self, method: &str, path: &str, credential: &Credential, body: Option<&Value>) -> Answer {
        let method = method.to_uppercase().parse().expect("a method");
        let request = self.server.request(method, path);
        let request = match credential {
            Credential::Nothing => request,
            Credential::Token(token) => request.header("authorization", format!("Bearer {token}")),
            Credential::ApiKey(key) => request.header("x-api-key", key),
        };
        self.server.send(with_body(request, body)).await
    }
}

/// The path with the first id given for each variable.
pub fn filled(path: &str, ids: &[(&'static str, String)]) -> String {
    let path = ids.iter().fold(path.to_owned(), |path, (name, id)| path.replace(name, id));
    assert!(!path.contains('{'), "{path} has a variable that this test does not know");
    path
}

/// The body of an update that leaves an API key almost unchanged.
fn changed(id: i64, role: i64) -> Value {
    json!({ "id": id, "name": "b", "startDate": "2024-01-15T10:30:00Z", "hasExpireTime": false, "roleId": role })
}

/// Another access token of the same user.
pub async fn token(server: &Server, identity: &Identity, ttl: Ttl) -> String {
    let (system, user) = (Arc::clone(&server.system), identity.user.clone());
    let made = blocking(move || admin::create_token(&system, &user, ttl).expect("a token")).await;
    made.0.expose_secret().to_owned()
}
