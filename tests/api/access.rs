//! Access control: every documented operation with every credential, in the caller's own, another and no organization.

mod scene;

use std::collections::{BTreeMap, BTreeSet};

use hyper::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use self::scene::IP;
pub use self::scene::{Column, Credential, Scene, filled, token};
use crate::harness::{Answer, entries};
use crate::openapi::operations;

/// The columns of the table.
const CREDENTIALS: [&str; 9] =
    ["no token", "malformed", "expired", "revoked", "USER", "BILLING", "WORKSPACES", "ADMINISTRATOR", "OWNER"];

/// One for each credential.
pub type Statuses = [u16; 9];

/// Requires a credential, of any role.
const MEMBERS: Statuses = [401, 401, 401, 401, 200, 200, 200, 200, 200];
/// Requires ADMINISTRATOR.
const ADMINISTRATORS: Statuses = [401, 401, 401, 401, 403, 403, 403, 200, 200];
/// Requires WORKSPACES.
const WORKSPACES: Statuses = [401, 401, 401, 401, 403, 403, 200, 200, 200];
/// Requires WORKSPACES, and creates something.
const WORKSPACES_MAKE: Statuses = [401, 401, 401, 401, 403, 403, 201, 201, 201];
/// Requires a credential, and denies every caller: another or a missing organization.
const NOBODY: Statuses = [401, 401, 401, 401, 403, 403, 403, 403, 403];
/// Requires no credential.
const EVERYBODY: Statuses = [200; 9];

/// The columns for API keys.
const API_KEYS: [&str; 4] =
    ["API key of an ADMINISTRATOR", "API key of a USER", "API key of a project", "disabled API key"];

/// The operations that accept API keys, with the status for each key above in its own organization. Every other
/// operation rejects API keys.
const FOR_API_KEYS: &[(&str, [u16; 4])] = &[
    ("listNodes", [200, 200, 403, 401]),
    ("deleteNode", [200, 403, 403, 401]),
    ("activateNode", [200, 403, 403, 401]),
    ("findNodes", [200, 200, 403, 401]),
    ("getProject", [403, 403, 200, 401]),
    ("listSystemEvents", [200, 200, 403, 401]),
    ("streamEvents", [200, 200, 403, 401]),
    ("getOrganization", [200, 200, 403, 401]),
    ("verifyApiKey", [200, 200, 200, 401]),
    // It checks the key itself, and the request names no organization.
    ("verifyPresentedApiKey", [401; 4]),
];

/// No API key is accepted.
const NO_API_KEY: [u16; 4] = [403, 403, 403, 401];

/// Operation, statuses in the caller's own organization, and in any other (`None` if the path names no organization).
pub const TABLE: &[(&str, Statuses, Option<Statuses>)] = &[
    ("getProfile", MEMBERS, None),
    ("loginUser", EVERYBODY, None),
    ("refreshSession", EVERYBODY, None),
    ("logoutUser", EVERYBODY, None),
    ("createWebSession", EVERYBODY, None),
    // Only a web session can call them.
    ("confirmPassword", NOBODY, None),
    ("deleteWebSession", NOBODY, None),
    ("createToken", [401, 401, 401, 401, 201, 201, 201, 201, 201], None),
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
    // Only an ADMINISTRATOR can delete a user, and only a role no lower than the deleter's can reactivate them.
    ("activateUser", ADMINISTRATORS, None),
    ("resendInvitation", WORKSPACES, None),
    ("getOrganization", MEMBERS, Some(NOBODY)),
    ("updateOrganization", ADMINISTRATORS, Some(NOBODY)),
    ("createOrganizationKey", ADMINISTRATORS, Some(NOBODY)),
    ("listOrganizationKeys", ADMINISTRATORS, Some(NOBODY)),
    ("deleteOrganizationKeys", ADMINISTRATORS, Some(NOBODY)),
    ("deleteOrganizationKey", ADMINISTRATORS, Some(NOBODY)),
    ("rotateOrganizationKey", ADMINISTRATORS, Some(NOBODY)),
    ("updateOrganizationKey", ADMINISTRATORS, Some(NOBODY)),
    ("importOrganizationKey", [401, 401, 401, 401, 403, 403, 403, 201, 201], Some(NOBODY)),
    ("getOrganizationKeyImpact", ADMINISTRATORS, Some(NOBODY)),
    ("restoreOrganizationKey", ADMINISTRATORS, Some(NOBODY)),
    ("registerNode", EVERYBODY, None),
    ("unregisterNode", EVERYBODY, None),
    ("listNodes", MEMBERS, Some(NOBODY)),
    ("deleteNode", ADMINISTRATORS, Some(NOBODY)),
    ("activateNode", ADMINISTRATORS, Some(NOBODY)),
    ("findNodes", MEMBERS, None),
    ("listSystemEvents", MEMBERS, None),
    ("streamEvents", MEMBERS, Some(NOBODY)),
    ("markSystemEventsRead", MEMBERS, None),
    ("markSystemEventsUnread", MEMBERS, None),
    ("listAuditEntries", ADMINISTRATORS, Some(NOBODY)),
    ("getAuditHead", ADMINISTRATORS, Some(NOBODY)),
    ("getStatistics", ADMINISTRATORS, Some(NOBODY)),
    ("putSecret", ADMINISTRATORS, Some(NOBODY)),
    ("listSecrets", ADMINISTRATORS, Some(NOBODY)),
    ("deleteSecret", ADMINISTRATORS, Some(NOBODY)),
    ("fetchSecrets", EVERYBODY, None),
    ("createWebhook", [401, 401, 401, 401, 403, 403, 403, 201, 201], Some(NOBODY)),
    ("listWebhooks", ADMINISTRATORS, Some(NOBODY)),
    ("getWebhook", ADMINISTRATORS, Some(NOBODY)),
    ("updateWebhook", ADMINISTRATORS, Some(NOBODY)),
    ("deleteWebhook", ADMINISTRATORS, Some(NOBODY)),
    ("rotateWebhookSecret", ADMINISTRATORS, Some(NOBODY)),
    ("testWebhook", ADMINISTRATORS, Some(NOBODY)),
    ("listWebhookDeliveries", ADMINISTRATORS, Some(NOBODY)),
    ("replayWebhookDelivery", ADMINISTRATORS, Some(NOBODY)),
    ("replayWebhookDeliveries", ADMINISTRATORS, Some(NOBODY)),
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
    ("verifyApiKey", MEMBERS, None),
    // Its credential is the key that it verifies.
    ("verifyPresentedApiKey", [401; 9], None),
    ("getServer", EVERYBODY, None),
    ("getHealth", EVERYBODY, None),
    ("getReadiness", EVERYBODY, None),
    ("getMetrics", EVERYBODY, None),
];

/// Whether the document says that an operation accepts API keys.
fn takes_api_keys(operation: &Value) -> bool {
    operation["security"].as_array().expect("security").iter().any(|scheme| scheme.get("apiKeyAuth").is_some())
}

/// The expected statuses of an operation for the API key columns.
fn for_api_keys(name: &str, operation: &Value, own: &Statuses) -> [u16; 4] {
    let row = FOR_API_KEYS.iter().find(|(row, _)| *row == name);
    assert_eq!(row.is_some(), takes_api_keys(operation), "{name}");
    let public = operation["security"] == json!([]);
    row.map_or(if public { [own[0]; 4] } else { NO_API_KEY }, |(_, statuses)| *statuses)
}

/// The parts of a response that must not reveal which organizations exist.
fn told(answer: &Answer) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut headers = answer.headers.clone();
    headers.remove("x-request-id");
    headers.remove("date");
    (answer.status, headers, answer.body.to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_returns_the_status_in_the_table_for_every_credential() {
    let mut scene = Scene::new().await;
    let columns = scene.columns().await;
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
        for (index, column) in columns.iter().enumerate() {
            let (ids, body) = scene.ready(name, column).await;
            let credential = &column.credential;
            let case = format!("{name} with {}", CREDENTIALS.iter().chain(&API_KEYS).nth(index).expect("a column"));
            let answer = scene.call(method, &filled(path, &ids), credential, body.as_ref()).await;
            assert_eq!(answer.status.as_u16(), own[index], "{case}: {answer:?}");
            judge(&case, &answer, &mut denied);
            if matches!(credential, Credential::ApiKey(_)) && answer.status == 403 && !takes_api_keys(operation) {
                assert_eq!(answer.refusal().1, "API_KEY_NOT_ALLOWED", "{case}");
            }
            let Some(elsewhere) = &elsewhere else { continue };
            let missing = format!("org-{}", &scene.others[2]["node-".len()..]);
            let mut answers = Vec::new();
            for org in [scene.others[0].clone(), missing, "org-1".to_owned(), "%7B%7D".to_owned()] {
                let ids = [scene.elsewhere(&org), ids.clone()].concat();
                let answer = scene.call(method, &filled(path, &ids), credential, body.as_ref()).await;
                assert_eq!(answer.status.as_u16(), elsewhere[index], "{case} in {org}: {answer:?}");
                judge(&case, &answer, &mut denied);
                answers.push(told(&answer));
            }
            assert!(
                answers.windows(2).all(|two| two[0] == two[1]),
                "{case} reveals which organizations exist: {answers:?}"
            );
        }
    }
    assert_eq!(rows, TABLE.len(), "the table has rows of operations that do not exist");
    let recorded = entries(&scene.server.database).await;
    let recorded = recorded.iter().filter(|entry| entry.action == "access.denied");
    let recorded = recorded.map(|entry| {
        assert_eq!((entry.org.as_str(), entry.outcome.as_str()), (scene.owner.org.as_str(), "refused"), "{entry:?}");
        entry.request_id.clone().expect("a request id")
    });
    assert_eq!(recorded.collect::<BTreeSet<_>>(), denied, "every denial is recorded, and nothing else is");
    let keys = format!("/organization/{}/key", scene.other.org);
    let untouched = scene.server.call_as(&scene.other, Method::GET, &keys, None).await.json();
    assert_eq!(untouched["data"][0]["nodeKeys"][0]["nodeId"], IP);
}

/// Checks what holds for every refusal, and collects the ids of denied requests.
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
