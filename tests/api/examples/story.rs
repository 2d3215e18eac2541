//! The scenario: the requests of Ada, who owns the organization, her colleague Grace, a node and a service, in order.

use serde_json::{Value, json};

use super::people;

pub const ORG: &str = "org-018d0b6a-5c80-7000-8000-000000000001";
pub const ADAS_TOKEN: &str = "okp_EXAMPLEexampleEXAMPLEexampleEXAMPLE1";
/// Bob's, who is a USER with few permissions.
pub const BOBS_TOKEN: &str = "okp_EXAMPLEexampleEXAMPLEexampleEXAMPLE2";
/// The key whose private half is public.
pub const KEY: &str = "key-018d0b6a-5c80-7000-8000-000000000001";

pub const ADA: &str = "user-018d0b6a-5c80-7000-8000-000000000001";
pub const GRACE: &str = "user-018d0b6a-5c80-7000-8000-000000000002";
const SECOND_KEY: &str = "key-018d0b6a-5c80-7000-8000-000000000002";
const THIRD_KEY: &str = "key-018d0b6a-5c80-7000-8000-000000000003";
/// The public key in RFC 7638, section 3.1.
const PUBLIC_KEY: &str = include_str!("rfc-7638.pub.pem");
const NODE: &str = "node-018d0b6a-5c80-7000-8000-000000000001";
const PROJECT: &str = "project-018d0b6a-5c80-7000-8000-000000000001";
const API_KEY: &str = "oka_EXAMPLEexampleEXAMPLEexampleEXAMPLE1";
const WEBHOOK: &str = "webhook-018d0b6a-5c80-7000-8000-000000000001";
const DELIVERY: &str = "delivery-018d0b6a-5c80-7000-8000-000000000001";
/// The address of the node.
const IP: &str = "203.0.113.7";
/// The start of the scenario, in Unix seconds.
const BEGIN: i64 = 1_705_314_600;

/// The end of ids that belong to nothing.
const NOBODY: &str = "000000000999";

/// One request: an operation, its parameters by name, an optional body, and the caller's credential.
#[derive(Clone)]
pub struct Step {
    pub operation: String,
    pub credential: &'static str,
    pub parameters: Value,
    pub body: Option<Value>,
    pub shows: Shows,
}

/// What a request is an example of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    Success,
    Refusal,
    Nothing,
}

/// A request by Ada.
pub fn ada(operation: &str, parameters: Value) -> Step {
    Step { operation: operation.to_owned(), credential: ADAS_TOKEN, parameters, body: None, shows: Shows::Success }
}

impl Step {
    pub fn with(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    pub fn by(self, credential: &'static str) -> Self {
        Self { credential, ..self }
    }

    pub fn refused(self) -> Self {
        Self { shows: Shows::Refusal, ..self }
    }

    pub fn unseen(self) -> Self {
        Self { shows: Shows::Nothing, ..self }
    }

    /// The same request for an organization that does not exist.
    pub fn of_nobody(mut self) -> Self {
        for (_, value) in self.parameters.as_object_mut().into_iter().flatten().filter(|(_, value)| **value == ORG) {
            *value = json!(ORG.replace("000000000001", NOBODY));
        }
        self
    }

    /// The same request for a missing object: the last one that the path names.
    pub fn of_nothing(mut self) -> Self {
        if let Some((_, value)) = self.parameters.as_object_mut().into_iter().flatten().last() {
            let start = value.as_str().and_then(|id| Some(id.rsplit_once('-')?.0));
            *value = json!(start.map_or_else(|| "999".to_owned(), |start| format!("{start}-{NOBODY}")));
        }
        self
    }
}

/// The scenario in chapters, signed by `sign`; a minute passes between them.
pub fn chapters(sign: impl Fn(&str) -> String) -> [Vec<Step>; 6] {
    [people::people(), keys(&sign), nodes(&sign), projects(), webhooks(), watching()]
}

/// The body of a node's call, signed at this time; `more` holds further fields.
fn signed(sign: &impl Fn(&str) -> String, timestamp: i64, more: &Value) -> Value {
    let signature = sign(&format!("{IP}|eu-central-1|{timestamp}"));
    let mut body = json!({
        "ip": IP, "region": "eu-central-1", "timestamp": timestamp, "signature": signature, "id_org": ORG,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

fn keys(sign: &impl Fn(&str) -> String) -> Vec<Step> {
    let node = json!({ "provider": "AWS", "status": "active", "version": "1.4.2", "nodeServices": 1 });
    let registration = signed(sign, BEGIN + 60, &node);
    let mut forged = registration.clone();
    forged["signature"] = json!(sign("what somebody else signed"));
    let fetch = |timestamp| ada("fetchSecrets", json!({})).by("").with(signed(sign, timestamp, &json!({})));
    let secret = |name| json!({ "idOrg": ORG, "name": name });
    let mut steps = vec![
        ada("createOrganizationKey", json!({ "idOrg": ORG })),
        ada("createOrganizationKey", json!({ "idOrg": ORG, "format": "json" })),
        ada("registerNode", json!({})).by("").with(forged).refused(),
        ada("registerNode", json!({})).by("").with(registration),
        ada("listOrganizationKeys", json!({ "idOrg": ORG })),
        ada("listOrganizationKeys", json!({ "idOrg": ORG, "retired": "maybe" })).refused(),
        fetch(BEGIN + 61).refused(),
        ada("putSecret", secret("s3")).with(json!({ "text": "AWS_REGION=eu-central-1\nBUCKET=media\n" })),
        ada("putSecret", secret("S3")).with(json!({ "text": "" })).refused(),
        ada("listSecrets", json!({ "idOrg": ORG })),
        fetch(BEGIN + 61),
        ada("deleteSecret", json!({ "idOrg": ORG, "name": "s3", "region": "" })).refused(),
        ada("deleteSecret", secret("s3")),
        ada("listNodes", json!({ "orgId": ORG, "skip": 0, "take": 20 })),
        ada("listNodes", json!({ "orgId": ORG, "skip": 0, "take": 0 })).refused(),
        ada("listNodes", json!({ "orgId": ORG, "keyId": KEY.replace("000000000001", NOBODY) })).refused(),
        ada("findNodes", json!({ "nodeServices": 1, "skip": 0, "take": 20 })),
        ada("findNodes", json!({ "nodeServices": 8, "skip": 0, "take": 20 })).refused(),
        ada("deleteNode", json!({ "orgId": ORG, "nodeId": NODE })),
        ada("deleteNode", json!({ "orgId": ORG, "nodeId": NODE })).refused(),
        ada("activateNode", json!({ "orgId": ORG, "nodeId": NODE })),
        ada("activateNode", json!({ "orgId": ORG, "nodeId": NODE })).refused(),
    ];
    steps.extend(lives());
    steps.push(ada("createOrganizationKey", json!({ "idOrg": ORG })).unseen());
    steps.push(ada("createOrganizationKey", json!({ "idOrg": ORG, "format": "json" })).refused());
    steps
}

/// The life of keys: four of them are active afterwards.
fn lives() -> Vec<Step> {
    let (second, third) = (json!({ "idOrg": ORG, "idKey": SECOND_KEY }), json!({ "idOrg": ORG, "idKey": THIRD_KEY }));
    let overlap = json!({ "overlapSeconds": 604_800, "retireWhenUnused": true });
    let in_json = json!({ "idOrg": ORG, "format": "json", "idKey": SECOND_KEY });
    let import = || ada("importOrganizationKey", json!({ "idOrg": ORG }));
    let key = json!({ "publicKey": PUBLIC_KEY, "name": "made with openssl" });
    let change = json!({ "retireAt": "2024-02-15T10:30:00.000Z", "retireWhenUnused": false, "name": "winter" });
    vec![
        ada("rotateOrganizationKey", third).with(overlap.clone()),
        ada("rotateOrganizationKey", in_json).with(overlap),
        ada("rotateOrganizationKey", second.clone()).with(json!({ "overlapSeconds": -1 })).refused(),
        ada("rotateOrganizationKey", second.clone()).with(json!({})).refused(),
        ada("updateOrganizationKey", second.clone()).with(change),
        ada("updateOrganizationKey", second.clone()).with(json!({ "retireAt": "tomorrow" })).refused(),
        ada("getOrganizationKeyImpact", json!({ "idOrg": ORG, "key": KEY })),
        ada("getOrganizationKeyImpact", json!({ "idOrg": ORG, "key": format!("{KEY}0") })).refused(),
        ada("deleteOrganizationKey", second.clone()),
        ada("restoreOrganizationKey", second.clone()),
        ada("restoreOrganizationKey", second).refused(),
        import().with(key.clone()),
        import().with(key).refused(),
        import().with(json!({ "publicKey": "-----BEGIN PRIVATE KEY-----" })).refused(),
    ]
}

fn nodes(sign: &impl Fn(&str) -> String) -> Vec<Step> {
    let unregister = |timestamp| ada("unregisterNode", json!({})).by("").with(signed(sign, timestamp, &json!({})));
    vec![
        unregister(BEGIN - 600).refused(),
        unregister(BEGIN + 120),
        unregister(BEGIN + 121).refused(),
        ada("deleteOrganizationKeys", json!({ "idOrg": ORG })),
    ]
}

fn projects() -> Vec<Step> {
    let page = json!({ "organizationId": ORG, "skip": 0, "take": 20 });
    let change = json!({
        "id": 1, "name": "Deploys", "startDate": "2024-01-15T10:30:00.000Z", "expireDate": "2099-01-15T10:30:00.000Z",
        "hasExpireTime": true, "roleId": 0, "listProjectsId": [PROJECT], "disabled": false, "note": "for the pipeline",
    });
    let mut whole = change.clone();
    whole["listProjectsId"] = json!([]);
    let mut backwards = change.clone();
    let mut unknown = change.clone();
    unknown["id"] = json!(999);
    backwards["expireDate"] = json!("2023-01-15T10:30:00.000Z");
    vec![
        ada("createProject", json!({ "organizationId": ORG })).with(json!({ "name": "" })).refused(),
        ada("createProject", json!({ "organizationId": ORG })).with(json!({ "name": "Website" })),
        ada("listProjects", json!({ "organizationId": ORG })),
        ada("getProject", json!({ "projectId": PROJECT })),
        ada("updateProject", json!({ "projectId": PROJECT })).with(json!({ "name": "Website and shop" })),
        ada("updateProject", json!({ "projectId": PROJECT })).with(json!({ "name": "" })).refused(),
        ada("putProjectMember", json!({ "projectId": PROJECT, "userId": GRACE })).with(json!({ "role": "EDITOR" })),
        ada("putProjectMember", json!({ "projectId": PROJECT, "userId": GRACE })).with(json!({ "role": "READER" })).refused(),
        ada("removeProjectMember", json!({ "projectId": PROJECT, "userId": GRACE })),
        ada("createApiKey", json!({ "organizationId": ORG })).with(json!({
            "listProjectsId": [], "roleId": 0,
            "userApiKey": { "apiName": "Deploys", "hasExpireTime": true, "expireDateTime": "2099-01-15T10:30:00.000Z" },
        })),
        ada("createApiKey", json!({ "organizationId": ORG })).with(json!({
            "listProjectsId": [PROJECT], "roleId": 0,
            "userApiKey": { "apiName": "Deploys", "hasExpireTime": true, "expireDateTime": "2023-01-15T10:30:00.000Z" },
        })).refused(),
        ada("verifyApiKey", json!({})).with(json!({ "projectId": PROJECT })).refused(),
        ada("verifyPresentedApiKey", json!({ "organization": ORG })).by("oka_EXAMPLEexampleEXAMPLEexampleEXAMPLE0").refused(),
        ada("verifyPresentedApiKey", json!({ "organization": ORG, "role": 254 })).by(API_KEY).refused(),
        ada("verifyApiKey", json!({})).with(json!({ "apiKey": API_KEY, "projectId": PROJECT, "role": 0 })),
        ada("verifyPresentedApiKey", json!({ "organization": ORG, "project": PROJECT, "role": 0 })).by(API_KEY),
        ada("updateApiKey", json!({ "organizationId": ORG })).with(whole),
        ada("updateApiKey", json!({ "organizationId": ORG })).with(change.clone()).unseen(),
        ada("updateApiKey", json!({ "organizationId": ORG })).with(backwards.clone()).refused(),
        ada("updateApiKey", json!({ "organizationId": ORG })).with(unknown).refused(),
        ada("updateProjectApiKey", json!({ "projectId": PROJECT })).with(change.clone()),
        ada("updateProjectApiKey", json!({ "projectId": PROJECT })).with(backwards).refused(),
        ada("listApiKeys", page),
        ada("listApiKeys", json!({ "organizationId": ORG, "skip": 0, "take": 0 })).refused(),
        ada("listProjectApiKeys", json!({ "projectId": PROJECT, "skip": 0, "take": 20 })),
        ada("listProjectApiKeys", json!({ "projectId": PROJECT, "skip": 0, "take": 0 })).refused(),
        ada("rotateApiKey", json!({ "organizationId": ORG, "id": "1" })).with(json!({ "overlapSeconds": -1 })).refused(),
        ada("rotateApiKey", json!({ "organizationId": ORG, "id": "1" })).with(json!({ "overlapSeconds": 86_400 })),
        ada("rotateApiKey", json!({ "organizationId": ORG, "id": "1" })).with(json!({ "overlapSeconds": 86_400 })).refused(),
        ada("updateApiKey", json!({ "organizationId": ORG })).with(change.clone()).refused(),
        ada("updateProjectApiKey", json!({ "projectId": PROJECT })).with(change).refused(),
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
        ada("createWebhook", json!({ "orgId": ORG })).with(json!({ "url": "http://169.254.169.254/" })).refused(),
        ada("testWebhook", hook()),
    ]
}

/// Requests after the webhook has received its test event.
fn watching() -> Vec<Step> {
    let hook = || json!({ "orgId": ORG, "webhookId": WEBHOOK });
    vec![
        ada("listWebhooks", json!({ "orgId": ORG })),
        ada("getWebhook", hook()),
        ada("updateWebhook", hook()).with(json!({ "contexts": [], "disabled": false })),
        ada("updateWebhook", hook()).with(json!({ "contexts": [14] })).refused(),
        ada("listWebhookDeliveries", json!({ "orgId": ORG, "webhookId": WEBHOOK, "state": "delivered", "skip": 0, "take": 20 })),
        ada("listWebhookDeliveries", json!({ "orgId": ORG, "webhookId": WEBHOOK, "take": 0 })).refused(),
        ada("replayWebhookDelivery", json!({ "orgId": ORG, "webhookId": WEBHOOK, "deliveryId": DELIVERY })),
        ada("replayWebhookDelivery", json!({ "orgId": ORG, "webhookId": WEBHOOK, "deliveryId": DELIVERY })).refused(),
        ada("replayWebhookDeliveries", hook()).with(json!({ "since": "2024-01-15T10:30:00.000Z" })),
        ada("replayWebhookDeliveries", hook()).with(json!({ "since": "yesterday" })).refused(),
        ada("rotateWebhookSecret", hook()).with(json!({ "overlapSeconds": 86_400 })),
        ada("rotateWebhookSecret", hook()).with(json!({ "overlapSeconds": 86_400 })).refused(),
        ada("rotateWebhookSecret", hook()).with(json!({ "overlapSeconds": -1 })).refused(),
        ada("updateWebhook", hook()).with(json!({ "disabled": true })).unseen(),
        ada("testWebhook", hook()).refused(),
        ada("replayWebhookDeliveries", hook()).with(json!({ "since": "2024-01-15T10:30:00.000Z" })).refused(),
        ada("deleteWebhook", hook()),
        ada("listSystemEvents", json!({}))
            .with(json!({ "from_timestamp": "2024-01-15T10:30:00.000Z", "context": 10, "showUnread": true, "skip": 0, "take": 1 })),
        ada("listSystemEvents", json!({})).with(json!({ "context": 14 })).refused(),
        ada("markSystemEventsRead", json!({})).with(json!({ "ids": [7, 8] })),
        ada("markSystemEventsRead", json!({})).with(json!({ "ids": [] })).refused(),
        ada("markSystemEventsUnread", json!({})).with(json!({ "ids": [7, 8] })),
        ada("markSystemEventsUnread", json!({})).with(json!({ "ids": [] })).refused(),
        ada("streamEvents", json!({ "orgId": ORG, "context": 10, "event": 2 })),
        ada("streamEvents", json!({ "orgId": ORG, "Last-Event-ID": "999999" })).refused(),
        ada("listAuditEntries", json!({ "orgId": ORG, "after": 0, "limit": 1 })),
        ada("listAuditEntries", json!({ "orgId": ORG, "after": 0, "limit": 0 })).refused(),
        ada("getAuditHead", json!({ "orgId": ORG })),
        ada("getStatistics", json!({ "orgId": ORG, "days": 1 })),
        ada("getStatistics", json!({ "orgId": ORG, "days": 0 })).refused(),
        ada("getMetrics", json!({})).by(""),
    ]
}

/// Repeats an operation as Ada, with the parameters and body of its example.
pub fn again(operation: &str, example: &Value) -> Step {
    let (parameters, body) = (example.get("parameters").cloned(), example.get("request").cloned());
    Step { body, ..ada(operation, parameters.unwrap_or_else(|| json!({}))) }
}

/// The name of an API key that is limited to one project and so has few permissions.
pub const LESSER_KEY: &str = "oka_EXAMPLEexampleEXAMPLEexampleEXAMPLE3";

/// Creates that project and key.
pub fn lesser_key() -> [Step; 2] {
    let project = "project-018d0b6a-5c80-7000-8000-000000000002";
    let key = json!({ "apiName": "Deploys", "hasExpireTime": false });
    [
        ada("createProject", json!({ "organizationId": ORG })).with(json!({ "name": "Shop" })).unseen(),
        ada("createApiKey", json!({ "organizationId": ORG }))
            .with(json!({ "listProjectsId": [project], "roleId": 0, "userApiKey": key }))
            .unseen(),
    ]
}

/// Requests that every operation refuses alike, in both formats of errors.
pub fn refused() -> [(&'static str, Step); 4] {
    let (org, organization) = (json!({ "orgId": ORG }), json!({ "organizationId": ORG }));
    let large = json!({ "name": "x".repeat(65_536) });
    [
        ("plain", ada("getOrganization", org.clone()).by("")),
        ("wrapped", ada("listProjects", organization.clone()).by("")),
        ("plain", ada("updateOrganization", org).with(large.clone())),
        ("wrapped", ada("createProject", organization).with(large)),
    ]
}
