//! Operations on organization keys.

mod format;
pub mod life;
mod turn;
mod wire;

use std::sync::Arc;

use poem::web::Accept;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::PlainText;
use poem_openapi::{ApiResponse, Object, OpenApi, ResponseContent};
use secrecy::ExposeSecret;
use serde::Serialize;

use self::format::KeyFormat;
pub use self::turn::Turns;
use self::wire::{OrgKeyList, items};
use super::Group;
use super::http::auth::Auth;
use super::http::bridge::blocking;
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::json::Json;
use super::http::timestamp::Timestamp;
use crate::actions::org_key;
use crate::crypto::rsa::{KeyPair, public_pem};
use crate::domain::id::{OrgId, OrgKeyId};
use crate::domain::org_key::OrgKey;
use crate::engine::app::App;

/// The operations that create, list and delete organization keys.
pub struct OrgKeyApi {
    app: Arc<App>,
    turns: Turns,
}

/// A new key with its private key, which the server does not store.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
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
#[derive(Object, Serialize)]
struct NewOrgKeyAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The new key.
    data: NewOrgKey,
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

type ListFail = ApiError<{ status::FORBIDDEN | status::BAD_REQUEST }>;
type DeleteAllFail = ApiError<{ status::FORBIDDEN }>;
type CreateFail = ApiError<{ status::FORBIDDEN | status::BAD_REQUEST }>;
type DeleteFail = ApiError<{ status::FORBIDDEN | status::NOT_FOUND }>;

#[OpenApi(tag = "Group::OrgKeys")]
impl OrgKeyApi {
    /// Create an organization key
    ///
    /// Generates an RSA-2048 key pair and returns the private key. The server does not store the private key, so it
    /// cannot be retrieved again. The response is a PEM file, or JSON with `format=json` or an `Accept` header that
    /// names `application/json`. An organization can have at most `org_keys_max` active keys (a server setting, 5 by
    /// default). Requires ADMINISTRATOR or OWNER. Recorded in the audit log as `org_key.create`.
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
        let held = self.turns.wait().await?;
        let (key, pair) = blocking(&self.app, move |app| {
            let made = org_key::create(app, &auth.0, org);
            drop(held);
            made
        })
        .await?;
        Ok(made(&key, &pair, KeyFormat::of(format.0, &accept)))
    }

    /// List organization keys
    ///
    /// Returns the public keys, newest first, each with its state and with the nodes that last registered with it. To see
    /// who still uses a key after its rotation, look at its `nodeKeys`, or page through `listNodes` with `keyId`. Requires
    /// ADMINISTRATOR or OWNER. Recorded in the audit log as `org_key.list`.
    ///
    /// Responses:
    /// - 200: The organization's keys.
    /// - 400: `retired` is neither `true` nor `false`.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    #[oai(path = "/organization/:idOrg/key", method = "get", operation_id = "listOrganizationKeys")]
    async fn list(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "idOrg")]
        org: Path<String>,
        /// `true` also returns the keys that are retired or deleted, as far as they are still stored. Default `false`.
        retired: Query<Option<bool>>,
    ) -> Result<Json<OrgKeyList>, ListFail> {
        let org = OrgId::parse(&org);
        let (keys, nodes) = org_key::list(&self.app, &auth.0, org, retired.0.unwrap_or(false)).await?;
        let message = "Organization keys retrieved successfully".to_owned();
        Ok(Json(OrgKeyList { success: true, message, data: items(keys, nodes)? }))
    }

    /// Delete all organization keys
    ///
    /// Deletes every key of the organization, also those that are retiring or retired. Signatures made with them are
    /// refused as soon as the response is sent. Nodes stay in the registry, but must register again with a new key.
    /// `getOrganizationKeyImpact` says before how many, and `restoreOrganizationKey` undoes the deletion of a key for a
    /// while. Requires ADMINISTRATOR or OWNER. Recorded in the audit log as one `org_key.delete_all` entry that lists the
    /// key ids.
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
    ) -> Result<Json<Done>, DeleteAllFail> {
        let org = OrgId::parse(&org);
        let count = org_key::delete_all(&self.app, &auth.0, org).await?;
        Ok(Json(Done::because(format!("Successfully deleted {count} organization key(s)"))))
    }

    /// Delete an organization key
    ///
    /// Signatures made with the key are refused as soon as the response is sent. Nodes that registered with it stay in
    /// the registry, but must register again with another key. `getOrganizationKeyImpact` says before which, and
    /// `restoreOrganizationKey` undoes the deletion for a while. To replace a key without an interruption, use
    /// `rotateOrganizationKey`. Requires ADMINISTRATOR or OWNER. Recorded in the audit log as `org_key.delete`.
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
    pub const fn new(app: Arc<App>, turns: Turns) -> Self {
        Self { app, turns }
    }
}

fn made(key: &OrgKey, pair: &KeyPair, format: KeyFormat) -> NewOrgKeyResponse {
    let id = key.id.to_string();
    let private_key = pair.private_pem.expose_secret().to_owned();
    let (content, disposition) = if format == KeyFormat::Json {
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
