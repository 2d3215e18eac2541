//! Operations on secrets: setting, listing and deleting them, and fetching them as a node.

mod wire;

use std::sync::Arc;

use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use self::wire::{NodeSecrets, SecretAnswer, SecretInput, SecretList};
use super::Group;
use super::http::auth::Auth;
use super::http::body::Body;
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::json::Json;
use super::http::observe::From;
use super::node::wire::Unregistration;
use crate::actions::secret as action;
use crate::domain::id::OrgId;
use crate::domain::node::parse_region;
use crate::domain::secret::SecretName;
use crate::domain::text::InvalidField;
use crate::engine::app::App;

/// The operations on secrets.
pub struct SecretApi(pub Arc<App>);

type ListFail = ApiError<{ status::FORBIDDEN }>;
type PutFail = ApiError<{ status::FORBIDDEN | status::BAD_REQUEST | status::BAD_BODY }>;
type DeleteFail = ApiError<{ status::FORBIDDEN | status::BAD_REQUEST | status::NOT_FOUND }>;
type FetchFail = ApiError<{ status::BAD_REQUEST | status::BAD_BODY | status::RATE_LIMITED }>;

#[OpenApi(tag = "Group::Secrets")]
impl SecretApi {
    /// Set a secret
    ///
    /// Stores a text under a name, or replaces it. With `region`, only nodes of that region get it, instead of the text
    /// for all regions. The text is encrypted with the server's key file and is never returned to users. An
    /// organization can have at most 32 secrets; a name with texts for several regions counts once for each. Requires
    /// ADMINISTRATOR or OWNER. Recorded in the audit log as `secret.put`, with the name, the region and the length.
    ///
    /// Responses:
    /// - 200: The secret was set.
    /// - 400: A field is invalid, or the organization already has 32 secrets (`SECRET_LIMIT_REACHED`).
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 503: The change cannot be stored at the moment, or the server's key file, which encrypts secrets, is missing
    ///   (`KEY_FILE_MISSING`). Nothing was changed.
    #[oai(path = "/organization/:idOrg/secrets/:name", method = "put", operation_id = "putSecret")]
    async fn put(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "idOrg")]
        org: Path<String>,
        /// Name of the secret: 1 to 16 characters of `a` to `z` and `0` to `9`.
        #[oai(validator(min_length = 1, max_length = 16, pattern = "^[a-z0-9]*$"))]
        name: Path<String>,
        body: Body<SecretInput>,
    ) -> Result<Json<SecretAnswer>, PutFail> {
        let invalid = || InvalidField::new("name", "must be 1 to 16 characters of a to z and 0 to 9");
        let (org, name) = (OrgId::parse(&org), SecretName::parse(&name).ok_or_else(invalid)?);
        let (region, text) = body.0.parse()?;
        let secret = action::put(&self.0, &auth.0, org, name, region, text).await?;
        Ok(Json(SecretAnswer::new("Secret set successfully", secret)))
    }

    /// List secrets
    ///
    /// Returns the names, regions and lengths of an organization's secrets, ordered by name, but never their texts.
    /// Requires ADMINISTRATOR or OWNER. Recorded in the audit log as `secret.list`.
    ///
    /// Responses:
    /// - 200: The organization's secrets.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    #[oai(path = "/organization/:idOrg/secrets", method = "get", operation_id = "listSecrets")]
    async fn list(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "idOrg")]
        org: Path<String>,
    ) -> Result<Json<SecretList>, ListFail> {
        let secrets = action::list(&self.0, &auth.0, OrgId::parse(&org)).await?;
        Ok(Json(SecretList::new(secrets)))
    }

    /// Delete a secret
    ///
    /// Nodes no longer get it. With `region`, the text for that region is deleted; without it, the one for all regions.
    /// Any other parameter is refused, so that a misspelled `region` deletes nothing. Requires ADMINISTRATOR or OWNER.
    /// Recorded in the audit log as `secret.delete`.
    ///
    /// Responses:
    /// - 200: The secret was deleted.
    /// - 400: `region` is invalid, or the request has another parameter.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 404: The organization has no secret with this name for exactly this region (`SECRET_NOT_FOUND`).
    #[oai(path = "/organization/:idOrg/secrets/:name", method = "delete", operation_id = "deleteSecret")]
    async fn delete(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "idOrg")]
        org: Path<String>,
        /// Name of the secret.
        name: Path<String>,
        /// Region of the text to delete: up to 64 characters. If left out, the text for all regions is deleted.
        #[oai(validator(min_length = 1, max_length = 64, pattern = r"^[^|\x00-\x1f\x7f]*$"))]
        region: Query<Option<String>>,
        request: &Request,
    ) -> Result<Json<Done>, DeleteFail> {
        let (org, name) = (OrgId::parse(&org), SecretName::parse(&name));
        only_region(request.uri().query().unwrap_or_default())?;
        let region = region.0.as_deref().map(parse_region).transpose()?;
        action::delete(&self.0, &auth.0, org, name, region).await?;
        Ok(Json(Done::because("Secret deleted successfully")))
    }

    /// Fetch the secrets for a node
    ///
    /// Returns the texts for the node's region. The request is authenticated by its signature, as for `registerNode`;
    /// the node need not be registered. Each text is encrypted for the organization key that verified the signature,
    /// and is a JSON text in a field `env_<name>_enc`. Where a name has a text for the node's region, that one is
    /// returned, else the one for all regions. `env_s3_enc`, `env_gcs_enc` and `env_blob_enc` are always there; the text
    /// of a name that is not set is empty. Recorded in the audit log as `secret.read`, with the names; refused calls are
    /// counted, and the counts are recorded once a minute.
    ///
    /// If the call is refused, `errorMessage` says what to do.
    ///
    /// Responses:
    /// - 200: The secrets, encrypted for the key that verified the signature.
    /// - 400: The request was refused: `BAD_SIGNATURE`, `TIMESTAMP_TOO_OLD`, `TIMESTAMP_IN_FUTURE`,
    ///   `SIGNATURE_REPLAYED`, `UNKNOWN_ORGANIZATION`, `NO_KEYS`, `NODE_DELETED`, `SECRETS_NOT_SET` or `INVALID_FIELD`.
    /// - 429: Too many signed calls from the network were refused, or too many of the organization's were accepted.
    ///   Send the same request again after the number of seconds in `Retry-After`.
    /// - 503: The call cannot be recorded at the moment, or the server's key file is missing or does not decrypt the
    ///   secrets (`SECRETS_UNREADABLE`).
    #[oai(path = "/secrets", method = "post", operation_id = "fetchSecrets")]
    async fn fetch(&self, from: From, body: Body<Unregistration>) -> Result<Json<NodeSecrets>, FetchFail> {
        let call = body.0.parse()?;
        let fetched = action::fetch(&self.0, &from.0, &call).await?;
        Ok(Json(NodeSecrets::new(fetched.encrypt(&self.0)?)?))
    }
}

/// Refuses a query with anything but one `region`.
fn only_region(query: &str) -> Result<(), InvalidField> {
    let names = || url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    if names().any(|name| name != "region") {
        return Err(InvalidField::new("region", "is the only parameter of this call: nothing was deleted"));
    }
    let once = names().count() <= 1;
    once.then_some(()).ok_or_else(|| InvalidField::new("region", "was sent more than once: nothing was deleted"))
}
