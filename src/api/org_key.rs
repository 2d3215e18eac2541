//! Operations on organization keys.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use poem::web::Accept;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi, ResponseContent};
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;

use super::Group;
use super::http::auth::Auth;
use super::http::bridge::blocking;
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::timestamp::Timestamp;
use crate::actions::org_key;
use crate::crypto::rsa::{KeyPair, public_pem};
use crate::domain::id::{OrgId, OrgKeyId};
use crate::domain::org_key::OrgKey;
use crate::engine::app::App;
use crate::engine::error::Error;

/// Callers that may be queued to generate a key, which takes up to 170 ms each.
const WAITING: usize = 128;

/// The operations on organization keys.
pub struct OrgKeyApi {
    app: Arc<App>,
    /// Held by the caller whose key is being generated. Waiting for it occupies no thread.
    turn: Arc<Semaphore>,
    /// Held by that caller and by those in the queue.
    queue: Arc<Semaphore>,
}

/// An organization key: its public key, and the nodes that last registered with it.
#[derive(Object)]
#[oai(rename = "OrganizationKey", rename_all = "camelCase")]
struct OrgKeyItem {
    /// Id of the key.
    id: String,
    /// Id of the organization.
    org_id: String,
    /// RSA public key, SubjectPublicKeyInfo in PEM.
    public_key: String,
    /// Time of creation.
    created_at: Timestamp,
    /// The nodes that last registered with this key, newest first.
    node_keys: Vec<NodeKey>,
}

/// A node and the key that it last registered with.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct NodeKey {
    /// Id of the key.
    key_id: String,
    /// Address (`ip`) of the node, as it was signed.
    node_id: String,
}

/// The keys of an organization.
#[derive(Object)]
#[oai(rename = "OrganizationKeyList")]
struct OrgKeyList {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The keys, newest first.
    data: Vec<OrgKeyItem>,
}

/// A new key with its private key, which the server does not store.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct NewOrgKey {
    /// Id of the key.
    id: String,
    /// Id of the organization.
    org_id: String,
    /// RSA public key, SubjectPublicKeyInfo in PEM.
    public_key: String,
    /// Time of creation.
    created_at: Timestamp,
    /// RSA private key, PKCS#1 in PEM. It cannot be retrieved again.
    private_key: String,
}

/// A new key.
#[derive(Object)]
struct NewOrgKeyAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The new key.
    data: NewOrgKey,
}

/// Format in which a new key is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
enum KeyFormat {
    /// A JSON object with the key pair and its id.
    Json,
    /// The private key alone, as a PEM file.
    Pem,
}

#[derive(ResponseContent)]
enum NewOrgKeyContent {
    Json(Json<NewOrgKeyAnswer>),
    #[oai(content_type = "application/x-pem-file", actual_type = "PlainText<String>")]
    Pem(PlainText<String>),
}

#[derive(ApiResponse)]
enum NewOrgKeyResponse {
    /// The new private key.
    #[oai(status = 200)]
    Made(
        NewOrgKeyContent,
        /// Suggested file name, `<key id>.pem`. Only sent with a PEM file.
        #[oai(header = "Content-Disposition")]
        Option<String>,
        /// Always `no-store`: the response contains the private key.
        #[oai(header = "Cache-Control")]
        String,
        /// Id of the key.
        #[oai(header = "X-Key-Id")]
        String,
    ),
}

type ListFail = ApiError<{ status::FORBIDDEN }>;
type CreateFail = ApiError<{ status::FORBIDDEN | status::BAD_REQUEST }>;
type DeleteFail = ApiError<{ status::FORBIDDEN | status::NOT_FOUND }>;

#[OpenApi(tag = "Group::OrgKeys")]
impl OrgKeyApi {
    /// Create an organization key
    ///
    /// Generates an RSA-2048 key pair and returns the private key. The server does not store the private key, so it
    /// cannot be retrieved again. The response is a PEM file, or JSON with `format=json` or an `Accept` header that
    /// names `application/json`. An organization can have at most `org_keys_max` keys (a server setting, 5 by default).
    /// Requires ADMINISTRATOR or OWNER. Recorded in the audit log as `org_key.create`.
    ///
    /// Responses:
    /// - 200: The key was created. The body contains its private key, as a PEM file or in JSON. `X-Key-Id` is the key's
    ///   id.
    /// - 400: The organization already has the maximum number of keys (`KEY_LIMIT_REACHED`), or `format` is neither
    ///   `json` nor `pem`.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 429: A rate limit was reached, or 128 callers are already waiting for a key. `Retry-After` says how many
    ///   seconds to wait.
    #[oai(path = "/organization/:idOrg/key", method = "post", operation_id = "createOrganizationKey")]
    async fn create(
        &self,
        auth: Auth,
        accept: Accept,
        /// Id of the organization.
        #[oai(name = "idOrg")]
        org: Path<String>,
        /// Format of the response: `json` or `pem`. Takes precedence over `Accept`.
        format: Query<Option<KeyFormat>>,
    ) -> Result<NewOrgKeyResponse, CreateFail> {
        let org = OrgId::parse(&org);
        let caller = auth.0.clone();
        blocking(&self.app, move |app| org_key::check_room(app, &caller, org)).await?;
        let too_many = || {
            Error::too_many(
                Duration::from_secs(1),
                "Too many keys are being generated at the same time: retry in a second",
            )
        };
        let queued = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| too_many())?;
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(Error::internal)?;
        // Moved into the work: a client that disconnects does not release them early.
        let held = (queued, turn);
        let (key, pair) = blocking(&self.app, move |app| {
            let made = org_key::create(app, &auth.0, org);
            drop(held);
            made
        })
        .await?;
        let json = format.0.map_or_else(|| names_json(&accept), |format| format == KeyFormat::Json);
        Ok(made(&key, &pair, json))
    }

    /// List organization keys
    ///
    /// Returns the public keys, newest first, each with the nodes that last registered with it. Requires ADMINISTRATOR
    /// or OWNER. Recorded in the audit log as `org_key.list`.
    ///
    /// Responses:
    /// - 200: The organization's keys.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    #[oai(path = "/organization/:idOrg/key", method = "get", operation_id = "listOrganizationKeys")]
    async fn list(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "idOrg")]
        org: Path<String>,
    ) -> Result<Json<OrgKeyList>, ListFail> {
        let org = OrgId::parse(&org);
        let (keys, nodes) = org_key::list(&self.app, &auth.0, org).await?;
        let mut beside = HashMap::<OrgKeyId, Vec<NodeKey>>::new();
        for node in nodes {
            beside.entry(node.key).or_default().push(NodeKey { key_id: node.key.to_string(), node_id: node.ip });
        }
        let data = keys.iter().map(|key| item(key, beside.remove(&key.id).unwrap_or_default())).collect();
        Ok(Json(OrgKeyList { success: true, message: "Organization keys retrieved successfully".to_owned(), data }))
    }

    /// Delete all organization keys
    ///
    /// Deletes every key of the organization. Signatures made with them are refused as soon as the response is sent.
    /// Nodes stay in the registry, but must register again with a new key. Requires ADMINISTRATOR or OWNER. Recorded in
    /// the audit log as one `org_key.delete_all` entry that lists the key ids.
    ///
    /// Responses:
    /// - 200: The keys were deleted. The message says how many, which may be 0.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    #[oai(path = "/organization/:idOrg/key", method = "delete", operation_id = "deleteOrganizationKeys")]
    async fn delete_all(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "idOrg")]
        org: Path<String>,
    ) -> Result<Json<Done>, ListFail> {
        let org = OrgId::parse(&org);
        let count = org_key::delete_all(&self.app, &auth.0, org).await?;
        Ok(Json(Done::because(format!("Successfully deleted {count} organization key(s)"))))
    }

    /// Delete an organization key
    ///
    /// Signatures made with the key are refused as soon as the response is sent. Nodes that registered with it stay in
    /// the registry, but must register again with another key. Requires ADMINISTRATOR or OWNER. Recorded in the audit
    /// log as `org_key.delete`.
    ///
    /// Responses:
    /// - 200: The key was deleted.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 404: The organization has no key with this id (`KEY_NOT_FOUND`).
    #[oai(path = "/organization/:idOrg/key/:idKey", method = "delete", operation_id = "deleteOrganizationKey")]
    async fn delete(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "idOrg")]
        org: Path<String>,
        /// Id of the key.
        #[oai(name = "idKey")]
        key: Path<String>,
    ) -> Result<Json<Done>, DeleteFail> {
        let (org, key) = (OrgId::parse(&org), OrgKeyId::parse(&key));
        org_key::delete(&self.app, &auth.0, org, key).await?;
        Ok(Json(Done::because("Organization key deleted successfully")))
    }
}

impl OrgKeyApi {
    /// Creates the operations on an app.
    #[must_use]
    pub fn new(app: Arc<App>) -> Self {
        Self { app, turn: Arc::new(Semaphore::new(1)), queue: Arc::new(Semaphore::new(WAITING)) }
    }
}

/// Returns whether an `Accept` header names JSON with a quality above 0. `*/*` does not count.
fn names_json(accept: &Accept) -> bool {
    accept.0.iter().any(|mime| {
        let refused = mime.get_param("q").is_some_and(|q| q.as_str().parse() == Ok(0.0_f32));
        mime.essence_str() == "application/json" && !refused
    })
}

fn made(key: &OrgKey, pair: &KeyPair, json: bool) -> NewOrgKeyResponse {
    let id = key.id.to_string();
    let private_key = pair.private_pem.expose_secret().to_owned();
    let (content, disposition) = if json {
        let data = NewOrgKey {
            id: id.clone(),
            org_id: key.org.to_string(),
            public_key: public_pem(&key.public_key),
            created_at: Timestamp(key.created_at),
            private_key,
        };
        let message = "Organization key created successfully".to_owned();
        (NewOrgKeyContent::Json(Json(NewOrgKeyAnswer { success: true, message, data })), None)
    } else {
        (NewOrgKeyContent::Pem(PlainText(private_key)), Some(format!("attachment; filename=\"{id}.pem\"")))
    };
    NewOrgKeyResponse::Made(content, disposition, "no-store".to_owned(), id)
}

fn item(key: &OrgKey, node_keys: Vec<NodeKey>) -> OrgKeyItem {
    OrgKeyItem {
        id: key.id.to_string(),
        org_id: key.org.to_string(),
        public_key: public_pem(&key.public_key),
        created_at: Timestamp(key.created_at),
        node_keys,
    }
}
