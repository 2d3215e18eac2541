//! Operations on the life of organization keys: rotation, end, import, and the preview and undoing of a deletion.

use std::sync::Arc;

use poem::web::Accept;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::PlainText;
use poem_openapi::{ApiResponse, OpenApi, ResponseContent};
use secrecy::ExposeSecret;

use super::format::KeyFormat;
use super::turn::Turns;
use super::wire::{
    ImpactAnswer, ImportRequest, OrgKeyAnswer, RotateRequest, RotatedOrgKeyAnswer, UpdateRequest, answer, impact,
    rotated,
};
use crate::actions::org_key::{self, rotation};
use crate::api::Group;
use crate::api::http::auth::Auth;
use crate::api::http::body::{Body, OptionalBody};
use crate::api::http::bridge::{act, blocking};
use crate::api::http::error::{ApiError, status};
use crate::api::http::json::Json;
use crate::domain::id::{OrgId, OrgKeyId};
use crate::engine::app::App;

/// The operations on the life of organization keys.
pub struct OrgKeyLifeApi {
    app: Arc<App>,
    turns: Turns,
}

#[derive(ResponseContent)]
enum RotatedContent {
    Json(Json<RotatedOrgKeyAnswer>),
    #[oai(content_type = "application/x-pem-file", actual_type = "PlainText<String>")]
    Pem(PlainText<String>),
}

#[derive(ApiResponse)]
enum RotatedResponse {
    /// The successor.
    #[oai(status = 200)]
    Made(
        RotatedContent,
        /// Suggested file name, `<key id>.pem`. Only sent with a PEM file.
        #[oai(header = "Content-Disposition")]
        Option<String>,
        /// Always `no-store`: the response may contain a private key.
        #[oai(header = "Cache-Control")]
        String,
        /// Id of the successor.
        #[oai(header = "X-Key-Id")]
        String,
    ),
}

#[derive(ApiResponse)]
enum ImportedResponse {
    /// The key.
    #[oai(status = 201)]
    Made(Json<OrgKeyAnswer>),
}

type RotateFail =
    ApiError<{ status::FORBIDDEN | status::BAD_REQUEST | status::NOT_FOUND | status::CONFLICT | status::BAD_BODY }>;
type ImportFail = ApiError<{ status::FORBIDDEN | status::BAD_REQUEST | status::CONFLICT | status::BAD_BODY }>;
type ImpactFail = ApiError<{ status::FORBIDDEN | status::BAD_REQUEST | status::NOT_FOUND }>;
type RestoreFail =
    ApiError<{ status::FORBIDDEN | status::BAD_REQUEST | status::NOT_FOUND | status::CONFLICT | status::GONE }>;

#[OpenApi(tag = "Group::OrgKeys")]
impl OrgKeyLifeApi {
    /// Rotate an organization key
    ///
    /// Replaces the key by a successor, without refusing any node: both verify signatures until the overlap is over, or,
    /// unless `retireWhenUnused` is false, until the last node of the old key has registered with another key. A key that
    /// no node used ends with the overlap. The successor's private key is returned as by `createOrganizationKey`; the
    /// server does not store it. With `publicKey`, the response is JSON and contains no private key. The successor takes the
    /// place of an active key under `org_keys_max`; as many keys can be retiring at once. Requires ADMINISTRATOR or OWNER.
    /// Recorded in the audit log as `org_key.rotate` and `org_key.create`, and the end as `org_key.unused` and
    /// `org_key.retired`.
    ///
    /// Responses:
    /// - 200: The key has a successor. The body contains the successor's private key, as a PEM file or in JSON. `X-Key-Id`
    ///   is the successor's id.
    /// - 400: A field is invalid, the public key is not of an accepted form (`KEY_REFUSED`), or the key already had an end
    ///   and there is no room for another active key (`KEY_LIMIT_REACHED`).
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 404: The organization has no key with this id (`KEY_NOT_FOUND`).
    /// - 409: The key has a successor already (`KEY_ALREADY_ROTATED`), is retired (`KEY_RETIRED`), too many keys are
    ///   retiring (`TOO_MANY_RETIRING`), or the organization has the public key already (`KEY_KNOWN`).
    /// - 429: A rate limit was reached, or 128 callers are already waiting for a key. `Retry-After` says how many
    ///   seconds to wait.
    #[oai(path = "/organization/:idOrg/key/:idKey/rotate", method = "post", operation_id = "rotateOrganizationKey")]
    async fn rotate(
        &self,
        auth: Auth,
        accept: Accept,
        /// Id of the organization.
        #[oai(name = "idOrg")]
        org: Path<String>,
        /// Id of the key.
        #[oai(name = "idKey")]
        key: Path<String>,
        /// Format of the response: `json` or `pem`. Takes precedence over `Accept`.
        format: Query<Option<KeyFormat>>,
        body: OptionalBody<RotateRequest>,
    ) -> Result<RotatedResponse, RotateFail> {
        let org = OrgId::parse(&org);
        let terms = body.0.unwrap_or_default().parse(OrgKeyId::parse(&key))?;
        let (caller, checked) = (auth.0.clone(), terms.clone());
        blocking(&self.app, move |app| rotation::check(app, &caller, org, &checked)).await?;
        // No key pair is generated for a successor whose public key is given.
        let held = if terms.pem.is_none() { Some(self.turns.wait().await?) } else { None };
        let made = blocking(&self.app, move |app| {
            let made = rotation::rotate(app, &auth.0, org, terms);
            drop(held);
            made
        })
        .await?;
        let id = made.key.id.to_string();
        let (content, disposition) = match &made.pair {
            Some(pair) if KeyFormat::of(format.0, &accept) == KeyFormat::Pem => {
                let pem = PlainText(pair.private_pem.expose_secret().to_owned());
                (RotatedContent::Pem(pem), Some(format!("attachment; filename=\"{id}.pem\"")))
            }
            Some(_) | None => {
                let message = "Organization key rotated successfully".to_owned();
                (RotatedContent::Json(Json(RotatedOrgKeyAnswer { success: true, message, data: rotated(&made) })), None)
            }
        };
        Ok(RotatedResponse::Made(content, disposition, "no-store".to_owned(), id))
    }

    /// Change an organization key
    ///
    /// Sets when the key ends, whether it ends as soon as no node uses it, and its name. What is left out stays as it is.
    /// `"retireAt": null` makes a retiring or retired key active again; it then has no successor, and counts against
    /// `org_keys_max`. A time in the past ends the key at once. Requires ADMINISTRATOR or OWNER. Recorded in the audit log
    /// as `org_key.update`, and the end as `org_key.retired`.
    ///
    /// Responses:
    /// - 200: The key after the change.
    /// - 400: A field is invalid, or there is no room for another active key (`KEY_LIMIT_REACHED`).
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 404: The organization has no key with this id (`KEY_NOT_FOUND`).
    /// - 409: Too many keys are retiring (`TOO_MANY_RETIRING`).
    #[oai(path = "/organization/:idOrg/key/:idKey", method = "put", operation_id = "updateOrganizationKey")]
    async fn update(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "idOrg")]
        org: Path<String>,
        /// Id of the key.
        #[oai(name = "idKey")]
        key: Path<String>,
        body: Body<UpdateRequest>,
    ) -> Result<Json<OrgKeyAnswer>, RotateFail> {
        let org = OrgId::parse(&org);
        let patch = body.0.parse(OrgKeyId::parse(&key))?;
        let (key, nodes) = rotation::update(&self.app, &auth.0, org, patch).await?;
        Ok(Json(answer("Organization key updated successfully", key, nodes)?))
    }

    /// Import an organization key
    ///
    /// Adds a public key whose key pair you generated yourself, for example with `openssl genrsa`, so that the private key
    /// never leaves your machine. The key counts against `org_keys_max`. Requires ADMINISTRATOR or OWNER. Recorded in the
    /// audit log as `org_key.create`.
    ///
    /// Responses:
    /// - 201: The key.
    /// - 400: A field is invalid, the public key is not of an accepted form (`KEY_REFUSED`), or the organization already
    ///   has the maximum number of keys (`KEY_LIMIT_REACHED`).
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 409: The organization has this key already, in whatever state (`KEY_KNOWN`).
    #[oai(path = "/organization/:idOrg/keys/import", method = "post", operation_id = "importOrganizationKey")]
    async fn import(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "idOrg")]
        org: Path<String>,
        body: Body<ImportRequest>,
    ) -> Result<ImportedResponse, ImportFail> {
        let (org, import) = (OrgId::parse(&org), body.0.parse()?);
        let key = blocking(&self.app, move |app| org_key::import(app, &auth.0, org, &import)).await?;
        let message = "Organization key imported successfully";
        Ok(ImportedResponse::Made(Json(answer(message, key, Vec::new())?)))
    }

    /// Preview the deletion of organization keys
    ///
    /// Returns which nodes would have to register with another key if `deleteOrganizationKey` were called for `key`, or
    /// `deleteOrganizationKeys` if `key` is left out. Nothing is changed. Requires ADMINISTRATOR or OWNER. Recorded in the
    /// audit log as `org_key.impact`.
    ///
    /// Responses:
    /// - 200: What the deletion would do.
    /// - 400: `key` is longer than an id.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 404: The organization has no key with this id (`KEY_NOT_FOUND`).
    #[oai(path = "/organization/:idOrg/keys/impact", method = "get", operation_id = "getOrganizationKeyImpact")]
    async fn impact(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "idOrg")]
        org: Path<String>,
        /// Id of the key. Default: all keys.
        #[oai(validator(max_length = 40))]
        key: Query<Option<String>>,
    ) -> Result<Json<ImpactAnswer>, ImpactFail> {
        let (org, key) = (OrgId::parse(&org), key.0.map(|key| OrgKeyId::parse(&key)));
        let found = act(&self.app, move |app| org_key::impact(app, &auth.0, org, key)).await?;
        let message = "Nothing was deleted".to_owned();
        Ok(Json(ImpactAnswer { success: true, message, data: impact(found) }))
    }

    /// Restore a deleted organization key
    ///
    /// Undoes a deletion, for as long as the setting `key_undo` says (24 hours by default). The key verifies signatures
    /// again, unless it has ended meanwhile. Nodes are associated with it again when they next register. Requires
    /// ADMINISTRATOR or OWNER. Recorded in the audit log as `org_key.restore`.
    ///
    /// Responses:
    /// - 200: The key.
    /// - 400: The key is not deleted (`KEY_NOT_DELETED`), or the organization already has the maximum number of keys
    ///   (`KEY_LIMIT_REACHED`).
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 404: The organization has no key with this id (`KEY_NOT_FOUND`).
    /// - 409: Too many keys are retiring (`TOO_MANY_RETIRING`).
    /// - 410: The key was deleted too long ago (`KEY_GONE`).
    #[oai(path = "/organization/:idOrg/key/:idKey/restore", method = "post", operation_id = "restoreOrganizationKey")]
    async fn restore(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "idOrg")]
        org: Path<String>,
        /// Id of the key.
        #[oai(name = "idKey")]
        key: Path<String>,
    ) -> Result<Json<OrgKeyAnswer>, RestoreFail> {
        let (org, key) = (OrgId::parse(&org), OrgKeyId::parse(&key));
        let key = org_key::restore(&self.app, &auth.0, org, key).await?;
        Ok(Json(answer("Organization key restored successfully", key, Vec::new())?))
    }
}

impl OrgKeyLifeApi {
    /// Creates the operations on an app.
    #[must_use]
    pub const fn new(app: Arc<App>, turns: Turns) -> Self {
        Self { app, turns }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tempfile::TempDir;

    use super::*;
    use crate::actions::admin::{self, Ttl};
    use crate::domain::role::Role;
    use crate::domain::time::Still;
    use crate::engine::authenticate::{self, Credential};
    use crate::engine::caller::Origin;
    use crate::engine::environment::Environment;
    use crate::engine::limits::Limits;
    use crate::engine::system;
    use crate::store::{Options, Room, Store};

    #[tokio::test]
    async fn a_rotation_to_an_own_key_does_not_wait_for_the_generator() {
        let folder = TempDir::new().expect("a folder");
        let options = Options { path: folder.path().join("a.db"), readers: 1, room: Room::new(0, 0) };
        let limits = Limits { org_keys: 2, ..Limits::default() };
        let env = Environment::new(Arc::new(Still), || [7; 32]);
        let (app, system) = system::start(Store::open(&options).expect("a store"), env, limits).expect("an app");
        let org = admin::create_org(&system, "acme").expect("an organization").id;
        admin::create_user(&system, &org.to_string(), "a@example.org", Role::Owner, "Ada", "").expect("a user");
        let (secret, _) = admin::create_token(&system, "a@example.org", Ttl::Never).expect("a token");
        let caller = authenticate::authenticate(&app, Credential::Token(secret.expose_secret()), Origin::default());
        let caller = caller.expect("a caller");
        let pems = include_str!("../../../tests/api/rotation/public-keys.pem");
        let mut pems = pems.split_inclusive("-----END PUBLIC KEY-----\n").map(str::to_owned);
        let import = org_key::Import { pem: pems.next().expect("a key"), name: String::new() };
        let old = org_key::import(&app, &caller, Some(org), &import).expect("a key").key.id;
        let turns = Turns::default();
        let _generating = turns.wait().await.expect("a turn");
        let api = OrgKeyLifeApi::new(app, turns);
        let body = serde_json::from_value(json!({ "publicKey": pems.next() })).expect("a body");
        let (org, old) = (Path(org.to_string()), Path(old.to_string()));
        let rotating = api.rotate(Auth(caller), Accept(Vec::new()), org, old, Query(None), OptionalBody(Some(body)));
        let rotated = tokio::time::timeout(Duration::from_secs(10), rotating).await;
        assert!(rotated.expect("it waits for a turn").is_ok(), "the key is not rotated");
    }
}
