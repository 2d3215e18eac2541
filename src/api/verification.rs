//! API key verification: for services that ask about a key, and for reverse proxies that forward a client's request
//! headers.

pub mod door;
mod wire;

use std::sync::Arc;

use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::Query;

use self::door::{Door, Presented};
use self::wire::{VerificationAnswer, VerifyRequest};
use super::Group;
use super::http::auth::AuthUncounted;
use super::http::body::Body;
use super::http::error::{ApiError, status};
use super::http::json::Json;
use super::http::metrics::Metrics;
use crate::actions::verification;
use crate::crypto::secret;
use crate::engine::app::App;

/// The operations that verify API keys.
pub struct VerificationApi {
    app: Arc<App>,
    metrics: Arc<Metrics>,
}

type VerifyFail = ApiError<
    { status::WRAPPED | status::WRITES_NOTHING | status::BAD_REQUEST | status::UNAUTHORIZED | status::BAD_BODY },
>;

#[OpenApi(tag = "Group::ApiKeys")]
impl VerificationApi {
    /// Verify an API key
    ///
    /// Checks whether a key of the caller's organization is valid now and, if the request names them, whether it is
    /// valid for a project and has a minimum role. The verdict is in `result.code`. A key of another organization is
    /// `NOT_FOUND`. Every access token and API key may call this. The call is neither recorded in the audit log nor
    /// rate limited; it is counted in the metrics.
    ///
    /// Responses:
    /// - 200: The key was checked. `result.code` is `VALID`, `NOT_FOUND`, `NOT_YET_VALID`, `EXPIRED`, `DISABLED`,
    ///   `WRONG_PROJECT` or `INSUFFICIENT_ROLE`.
    /// - 400: A field is missing or invalid. An invalid API key is not an error: the response is 200.
    #[oai(path = "/api/api-keys/verify", method = "post", operation_id = "verifyApiKey")]
    async fn verify(
        &self,
        auth: AuthUncounted,
        body: Body<VerifyRequest>,
    ) -> Result<Json<VerificationAnswer>, VerifyFail> {
        let asked = body.0.asked()?;
        let digest = secret::SecretKind::ApiKey.digest(&body.0.api_key);
        let verified = verification::verify(&self.app, &auth.0, digest, asked)?;
        self.metrics.verified(verified.verdict);
        Ok(Json(VerificationAnswer::of(&verified)))
    }

    /// Verify the API key of a proxied request
    ///
    /// For nginx `auth_request`, Caddy `forward_auth` and Traefik `ForwardAuth`. Verifies the key that the client
    /// itself presented in `x-api-key` or as `Authorization: Bearer oka_...`; any other `Authorization` belongs to the
    /// service behind the proxy and is ignored. Every response has all four `X-Orgkeys-` headers, even if they are
    /// empty, so a proxy that copies them overwrites any values that the client sent. The call is neither recorded in
    /// the audit log nor rate limited; it is counted in the metrics.
    ///
    /// Responses:
    /// - 200: The key is valid: let the request through.
    /// - 401: The request has no key, the key is `NOT_FOUND`, `NOT_YET_VALID`, `EXPIRED` or `DISABLED`, or the proxy's
    ///   query has an empty, repeated or unknown parameter or a role that does not exist. The message says which.
    /// - 403: The key is valid, but not for this request: `WRONG_PROJECT` or `INSUFFICIENT_ROLE`.
    #[oai(path = "/api/api-keys/verify", method = "get", operation_id = "verifyPresentedApiKey")]
    async fn verify_presented(
        &self,
        request: &Request,
        _presented: Presented,
        /// Id of the organization whose keys are accepted. Required. A key of any other organization is `NOT_FOUND`.
        #[oai(name = "organization")]
        _organization: Query<Option<String>>,
        /// Id of a project that the key must be valid for.
        #[oai(name = "project")]
        _project: Query<Option<String>>,
        /// Minimum role of the key: 0, 1, 2, 254 or 255.
        #[oai(name = "role")]
        _role: Query<Option<String>>,
    ) -> Door {
        // `door::respond` answers GET requests before routing. Only requests that a proxy does not send, such as HEAD,
        // arrive here.
        door::answer(&self.app, &self.metrics, request)
    }
}

impl VerificationApi {
    /// Creates the operations on an app.
    #[must_use]
    pub const fn new(app: Arc<App>, metrics: Arc<Metrics>) -> Self {
        Self { app, metrics }
    }
}
