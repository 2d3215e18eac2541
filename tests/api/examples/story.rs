//! The story: what Ada, who owns the organization, her colleague Grace, a node and a service ask, in the order in which they ask it.

use serde_json::{Value, json};

pub const ORG: &str = "org-018d0b6a-5c80-7000-8000-000000000001";
pub const ADAS_TOKEN: &str = "okp_EXAMPLEexampleEXAMPLEexampleEXAMPLE1";
/// The key whose private half everybody knows.
pub const KEY: &str = "key-018d0b6a-5c80-7000-8000-000000000001";

const GRACES_TOKEN: &str = "okp_EXAMPLEexampleEXAMPLEexampleEXAMPLE3";
const GRACE: &str = "user-018d0b6a-5c80-7000-8000-000000000002";
const SESSION: &str = "token-018d0b6a-5c80-7000-8000-000000000001";
const SECOND_KEY: &str = "key-018d0b6a-5c80-7000-8000-000000000002";
const NODE: &str = "node-018d0b6a-5c80-7000-8000-000000000001";
const PROJECT: &str = "project-018d0b6a-5c80-7000-8000-000000000001";
const API_KEY: &str = "oka_EXAMPLEexampleEXAMPLEexampleEXAMPLE1";
const WEBHOOK: &str = "webhook-018d0b6a-5c80-7000-8000-000000000001";
const DELIVERY: &str = "delivery-018d0b6a-5c80-7000-8000-000000000001";
/// The address of the node.
const IP: &str = "203.0.113.7";
/// When a minute of the story has passed, in Unix seconds.
const BEGIN: i64 = 1_705_314_600;

/// One call: of an operation, with parameters by name and perhaps a body, as somebody or nobody.
pub struct Step {
    pub operation: &'static str,
    pub credential: &'static str,
    pub parameters: Value,
    pub body: Option<Value>,
}

/// A call as Ada.
fn ada(operation: &'static str, parameters: Value) -> Step {
    Step { operation, credential: ADAS_TOKEN, parameters, body: None }
}

impl Step {
    fn with(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    fn by(self, credential: &'static str) -> Self {
        Self { credential, ..self }
    }
}

/// The story in chapters, with the signatures that `sign` makes; a minute passes between them.
pub fn chapters(sign: impl Fn(&str) -> String) -> [Vec<Step>; 6] {
    [people(), keys(&sign), nodes(&sign), projects(), webhooks(), watching()]
}

fn people() -> Vec<Step> {
    let password = "two teapots and a kite";
    vec![
        ada("getServer", json!({})).by(""),
        ada("getHealth", json!({})).by(""),
        ada("getReadiness", json!({})).by(""),
        ada("getProfile", json!({})),
        ada("getOrganization", json!({ "orgId": ORG })),
        ada("updateOrganization", json!({ "orgId": ORG }))
            .with(json!({ "name": "acme", "domain": "example.org", "city": "London", "is_business": true })),
        ada("createUser", json!({})).with(json!({
            "email": "grace@example.org", "firstName": "Grace", "lastName": "Hopper", "orgRole": 2, "sendInvite": true,
        })),
        ada("resendInvitation", json!({ "userId": GRACE })),
        ada("verifyEmail", json!({}))
            .by("")
            .with(json!({ "token": "oki_EXAMPLEexampleEXAMPLEexampleEXAMPLE2", "password": password })),
        ada("loginUser", json!({}))
            .by("")
            .with(json!({ "email": "grace@example.org", "password": password, "deviceInfo": "Firefox on Linux" })),
        ada("refreshSession", json!({}))
            .by("")
            .with(json!({ "refreshToken": "okr_EXAMPLEexampleEXAMPLEexampleEXAMPLE1" })),
        ada("listTokens", json!({})).by(GRACES_TOKEN),
        ada("updateAccount", json!({ "id": GRACE }))
            .by(GRACES_TOKEN)
            .with(json!({ "name": "Grace", "lastName": "Murray Hopper" })),
        ada("deleteToken", json!({ "tokenId": SESSION })).by(GRACES_TOKEN),
        ada("logoutUser", json!({})).by("").with(json!({ "refreshToken": "okr_EXAMPLEexampleEXAMPLEexampleEXAMPLE2" })),
        ada("getAccount", json!({ "id": GRACE })),
        ada("updateUserRole", json!({ "id": GRACE })).with(json!({ "orgRole": 254 })),
        ada("listUsers", json!({ "skip": 0, "take": 20 })),
        ada("getUser", json!({ "userId": GRACE })),
        ada("updateUser", json!({ "userId": GRACE })).with(json!({ "name": "Grace" })),
        ada("deleteUser", json!({ "userId": GRACE })),
        ada("activateUser", json!({ "userId": GRACE })),
    ]
}

fn keys(sign: &impl Fn(&str) -> String) -> Vec<Step> {
    let timestamp = BEGIN + 60;
    vec![
        ada("createOrganizationKey", json!({ "idOrg": ORG, "format": "json" })),
        ada("registerNode", json!({})).by("").with(json!({
            "ip": IP, "region": "eu-central-1", "timestamp": timestamp,
            "signature": sign(&format!("{IP}|eu-central-1|{timestamp}")), "id_org": ORG, "provider": "AWS",
            "status": "active", "version": "1.4.2", "nodeServices": 1,
        })),
        ada("listOrganizationKeys", json!({ "idOrg": ORG })),
        ada("deleteOrganizationKey", json!({ "idOrg": ORG, "idKey": SECOND_KEY })),
        ada("listNodes", json!({ "orgId": ORG, "skip": 0, "take": 20 })),
        ada("findNodes", json!({ "nodeServices": 1, "skip": 0, "take": 20 })),
        ada("deleteNode", json!({ "orgId": ORG, "nodeId": NODE })),
        ada("activateNode", json!({ "orgId": ORG, "nodeId": NODE })),
    ]
}

fn nodes(sign: &impl Fn(&str) -> String) -> Vec<Step> {
    let timestamp = BEGIN + 120;
    vec![
        ada("unregisterNode", json!({})).by("").with(json!({
            "ip": IP, "region": "eu-central-1", "timestamp": timestamp,
            "signature": sign(&format!("{IP}|eu-central-1|{timestamp}")), "id_org": ORG,
        })),
        ada("deleteOrganizationKeys", json!({ "idOrg": ORG })),
    ]
}

fn projects() -> Vec<Step> {
    let page = json!({ "organizationId": ORG, "skip": 0, "take": 20 });
    let change = json!({
        "id": 1, "name": "Deploys", "startDate": "2024-01-15T10:30:00.000Z", "expireDate": "2025-01-15T10:30:00.000Z",
        "hasExpireTime": true, "roleId": 0, "listProjectsId": [PROJECT], "disabled": false, "note": "for the pipeline",
    });
    vec![
        ada("createProject", json!({ "organizationId": ORG })).with(json!({ "name": "Website" })),
        ada("listProjects", json!({ "organizationId": ORG })),
        ada("getProject", json!({ "projectId": PROJECT })),
        ada("updateProject", json!({ "projectId": PROJECT })).with(json!({ "name": "Website and shop" })),
        ada("putProjectMember", json!({ "projectId": PROJECT, "userId": GRACE })).with(json!({ "role": "EDITOR" })),
        ada("removeProjectMember", json!({ "projectId": PROJECT, "userId": GRACE })),
        ada("createApiKey", json!({ "organizationId": ORG })).with(json!({
            "listProjectsId": [PROJECT], "roleId": 0,
            "userApiKey": { "apiName": "Deploys", "hasExpireTime": true, "expireDateTime": "2025-01-15T10:30:00.000Z" },
        })),
        ada("verifyApiKey", json!({})).with(json!({ "apiKey": API_KEY, "projectId": PROJECT, "role": 0 })),
        ada("verifyPresentedApiKey", json!({ "organization": ORG, "project": PROJECT, "role": 0 })).by(API_KEY),
        ada("updateApiKey", json!({ "organizationId": ORG })).with(change.clone()),
        ada("updateProjectApiKey", json!({ "projectId": PROJECT })).with(change),
        ada("listApiKeys", page),
        ada("listProjectApiKeys", json!({ "projectId": PROJECT, "skip": 0, "take": 20 })),
        ada("rotateApiKey", json!({ "organizationId": ORG, "id": "1" })).with(json!({ "overlapSeconds": 86_400 })),
        ada("deleteApiKey", json!({ "organizationId": ORG, "id": "1" })),
        ada("deleteProject", json!({ "projectId": PROJECT })),
    ]
}

fn webhooks() -> Vec<Step> {
    let hook = || json!({ "orgId": ORG, "webhookId": WEBHOOK });
    vec![
        ada("createWebhook", json!({ "orgId": ORG })).with(json!({
            "url": "https://hooks.example.org/orgkeys", "name": "Chat room", "contexts": [10], "events": [2],
        })),
        ada("testWebhook", hook()),
    ]
}

/// What is seen once the webhook has taken its test event.
fn watching() -> Vec<Step> {
    let hook = || json!({ "orgId": ORG, "webhookId": WEBHOOK });
    vec![
        ada("listWebhooks", json!({ "orgId": ORG })),
        ada("getWebhook", hook()),
        ada("updateWebhook", hook()).with(json!({ "contexts": [], "disabled": false })),
        ada("listWebhookDeliveries", json!({ "orgId": ORG, "webhookId": WEBHOOK, "state": "delivered", "skip": 0, "take": 20 })),
        ada("replayWebhookDelivery", json!({ "orgId": ORG, "webhookId": WEBHOOK, "deliveryId": DELIVERY })),
        ada("replayWebhookDeliveries", hook()).with(json!({ "since": "2024-01-15T10:30:00.000Z" })),
        ada("rotateWebhookSecret", hook()).with(json!({ "overlapSeconds": 86_400 })),
        ada("deleteWebhook", hook()),
        ada("listSystemEvents", json!({}))
            .with(json!({ "from_timestamp": "2024-01-15T10:30:00.000Z", "context": 10, "showUnread": true, "skip": 0, "take": 1 })),
        ada("markSystemEventsRead", json!({})).with(json!({ "ids": [7, 8] })),
        ada("markSystemEventsUnread", json!({})).with(json!({ "ids": [7, 8] })),
        ada("streamEvents", json!({ "orgId": ORG, "context": 10, "event": 2 })),
        ada("listAuditEntries", json!({ "orgId": ORG, "after": 0, "limit": 1 })),
        ada("getAuditHead", json!({ "orgId": ORG })),
        ada("getMetrics", json!({})).by(""),
    ]
}

/// Calls that are refused, each with another status, in the two shapes that refusals have.
pub fn refused() -> Vec<(&'static str, Step)> {
    let (nobody, org) = ("org-018d0b6a-5c80-7000-8000-000000000009", json!({ "orgId": ORG }));
    vec![
        ("plain", ada("updateOrganization", org.clone()).with(json!({ "name": "" }))),
        ("plain", ada("getOrganization", org).by("")),
        ("plain", ada("getOrganization", json!({ "orgId": nobody }))),
        ("plain", ada("deleteNode", json!({ "orgId": ORG, "nodeId": NODE }))),
        (
            "plain",
            ada("createUser", json!({})).with(json!({
                "email": "grace@example.org", "firstName": "Grace", "lastName": "Hopper", "sendInvite": true,
            })),
        ),
        ("wrapped", ada("createProject", json!({ "organizationId": ORG })).with(json!({ "name": "" }))),
        ("wrapped", ada("listProjects", json!({ "organizationId": ORG })).by("")),
        ("wrapped", ada("listProjects", json!({ "organizationId": nobody }))),
        ("wrapped", ada("getProject", json!({ "projectId": PROJECT }))),
        ("plain", ada("loginUser", json!({})).by("").with(json!({ "email": "x".repeat(65_536), "password": "" }))),
        ("wrapped", ada("createProject", json!({ "organizationId": ORG })).with(json!({ "name": "x".repeat(65_536) }))),
    ]
}
