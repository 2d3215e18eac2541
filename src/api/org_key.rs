//! How are organization keys asked for over HTTP?

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
use super::http::bridge::{act, blocking};
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::timestamp::Timestamp;
use crate::actions::org_key;
use crate::crypto::rsa::{KeyPair, public_pem};
use crate::domain::id::{OrgId, OrgKeyId};
use crate::domain::org_key::OrgKey;
use crate::engine::app::App;
use crate::engine::error::Error;

/// Callers that may wait for their turn to make a key; a turn takes up to 170 ms.
const WAITING: usize = 128;

/// The operations on organization keys.
pub struct OrgKeyApi {
    app: Arc<App>,
    /// Held by the one that makes a key. Waiting for it takes no thread from others.
    turn: Arc<Semaphore>,
    /// Held by those that wait, too.
    queue: Arc<Semaphore>,
}

/// An organization key: the public half, and the nodes that last proved themselves with it.
#[derive(Object)]
#[oai(rename = "OrganizationKey", rename_all = "camelCase")]
struct OrgKeyItem {
    /// The key's id.
    id: String,
    /// The organization's id.
    org_id: String,
    /// The public key: SPKI in PEM.
    public_key: String,
    /// When it was made.
    created_at: Timestamp,
    /// The nodes beside it, newest first.
    node_keys: Vec<NodeKey>,
}

/// A node beside a key.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct NodeKey {
    /// The key's id.
    key_id: String,
    /// The node's address.
    node_id: String,
}

/// The keys of an organization.
#[derive(Object)]
#[oai(rename = "OrganizationKeyList")]
struct OrgKeyList {
    /// Always true.
    success: bool,
    /// What was done.
    message: String,
    /// The keys, newest first.
    data: Vec<OrgKeyItem>,
}

/// A new key with its private half, which exists nowhere else.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct NewOrgKey {
    /// The key's id.
    id: String,
    /// The organization's id.
    org_id: String,
    /// The public key: SPKI in PEM.
    public_key: String,
    /// When it was made.
    created_at: Timestamp,
    /// The private key: PKCS#1 in PEM.
    private_key: String,
}

/// The answer that makes a key.
#[derive(Object)]
struct NewOrgKeyAnswer {
    /// Always true.
    success: bool,
    /// What was done.
    message: String,
    /// The key.
    data: NewOrgKey,
}

/// How a new key is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
enum KeyFormat {
    /// A JSON object with the key and its id.
    Json,
    /// The private key alone, as a file.
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
    /// The private key, this once.
    #[oai(status = 200)]
    Made(
        NewOrgKeyContent,
        /// The name of the file to keep it in.
        #[oai(header = "Content-Disposition")]
        Option<String>,
        /// Never to be kept on the way.
        #[oai(header = "Cache-Control")]
        String,
        /// The key's id.
        #[oai(header = "X-Key-Id")]
        String,
    ),
}

type ListFail = ApiError<{ status::FORBIDDEN }>;
type CreateFail = ApiError<{ status::FORBIDDEN | status::BAD_REQUEST }>;
type DeleteFail = ApiError<{ status::FORBIDDEN | status::NOT_FOUND }>;

#[OpenApi(tag = "Group::OrgKeys")]
impl OrgKeyApi {
    /// Make an organization key
    ///
    /// Makes an RSA-2048 key pair and answers with the private key, once: it is stored nowhere. The answer is a PEM
    /// file unless `format=json`, or an `Accept` header that names `application/json`, asks for JSON. An organization
    /// has at most 5 keys, unless the server is set otherwise. Needs ADMINISTRATOR.
    #[oai(path = "/organization/:idOrg/key", method = "post", operation_id = "createOrganizationKey")]
    async fn create(
        &self,
        auth: Auth,
        accept: Accept,
        /// The organization's id.
        #[oai(name = "idOrg")]
        org: Path<String>,
        /// The form of the answer; wins over `Accept`.
        format: Query<Option<KeyFormat>>,
    ) -> Result<NewOrgKeyResponse, CreateFail> {
        let org = OrgId::parse(&org);
        let caller = auth.0.clone();
        blocking(&self.app, move |app| org_key::check_room(app, &caller, org)).await?;
        let too_many = || Error::too_many(Duration::from_secs(1), "Too many keys are being made: try again");
        let queued = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| too_many())?;
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(Error::internal)?;
        // Held by the work itself: a client that leaves does not end it.
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
    /// The public halves, newest first, each with the nodes that last registered with it. Needs ADMINISTRATOR.
    #[oai(path = "/organization/:idOrg/key", method = "get", operation_id = "listOrganizationKeys")]
    async fn list(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "idOrg")]
        org: Path<String>,
    ) -> Result<Json<OrgKeyList>, ListFail> {
        let org = OrgId::parse(&org);
        let (keys, nodes) = act(&self.app, move |app| org_key::list(app, &auth.0, org)).await?;
        let mut beside = HashMap::<OrgKeyId, Vec<NodeKey>>::new();
        for node in nodes {
            beside.entry(node.key).or_default().push(NodeKey { key_id: node.key.to_string(), node_id: node.ip });
        }
        let data = keys.iter().map(|key| item(key, beside.remove(&key.id).unwrap_or_default())).collect();
        Ok(Json(OrgKeyList { success: true, message: "Organization keys retrieved successfully".to_owned(), data }))
    }

    /// Delete every organization key
    ///
    /// Deletes all keys of the organization at once. Their nodes stay in the registry and must register again with
    /// another key. Needs ADMINISTRATOR.
    #[oai(path = "/organization/:idOrg/key", method = "delete", operation_id = "deleteOrganizationKeys")]
    async fn delete_all(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "idOrg")]
        org: Path<String>,
    ) -> Result<Json<Done>, ListFail> {
        let org = OrgId::parse(&org);
        let count = act(&self.app, move |app| org_key::delete_all(app, &auth.0, org)).await?;
        Ok(Json(Done::because(format!("Successfully deleted {count} organization key(s)"))))
    }

    /// Delete an organization key
    ///
    /// Signatures made with it are refused from the moment of the answer. Its nodes stay in the registry and must
    /// register again with another key. Needs ADMINISTRATOR.
    #[oai(path = "/organization/:idOrg/key/:idKey", method = "delete", operation_id = "deleteOrganizationKey")]
    async fn delete(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "idOrg")]
        org: Path<String>,
        /// The key's id.
        #[oai(name = "idKey")]
        key: Path<String>,
    ) -> Result<Json<Done>, DeleteFail> {
        let (org, key) = (OrgId::parse(&org), OrgKeyId::parse(&key));
        act(&self.app, move |app| org_key::delete(app, &auth.0, org, key)).await?;
        Ok(Json(Done::because("Organization key deleted successfully")))
    }
}

impl OrgKeyApi {
    /// The operations, over an app.
    #[must_use]
    pub fn new(app: Arc<App>) -> Self {
        Self { app, turn: Arc::new(Semaphore::new(1)), queue: Arc::new(Semaphore::new(WAITING)) }
    }
}

/// Whether an `Accept` header names JSON with a quality above 0; `*/*` does not name it.
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
