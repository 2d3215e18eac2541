//! How is an API key verified over HTTP? By services that ask about a key, and by reverse proxies that pass on what a client presented.

pub mod door;
mod wire;

use std::sync::Arc;

use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;

use self::door::{Door, Presented};
use self::wire::{VerificationAnswer, VerifyRequest};
use super::Group;
use super::http::auth::AuthUncounted;
use super::http::body::Body;
use super::http::error::{ApiError, status};
use super::http::metrics::Metrics;
use crate::actions::verification;
use crate::crypto::secret;
use crate::engine::app::App;

/// The operations that verify API keys.
pub struct VerificationApi {
    app: Arc<App>,
    metrics: Arc<Metrics>,
}

type VerifyFail = ApiError<{ status::WRAPPED | status::BAD_REQUEST | status::UNAUTHORIZED | status::BAD_BODY }>;

#[OpenApi(tag = "Group::ApiKeys")]
impl VerificationApi {
    /// Verify an API key
    ///
    /// Whether a key of the caller's organization is valid, and good for a project and a role if those are named. A key of
    /// any other organization is `NOT_FOUND`. The verdict is in `result.code`: `VALID`, `NOT_FOUND`, `NOT_YET_VALID`,
    /// `EXPIRED`, `DISABLED`, `WRONG_PROJECT` or `INSUFFICIENT_ROLE`. Neither recorded nor limited; counted in the metrics.
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

    /// Verify the API key of a request, for a reverse proxy
    ///
    /// For nginx `auth_request`, Caddy `forward_auth` and Traefik `ForwardAuth`: the key that the client presented, in
    /// `x-api-key` or as `Authorization: Bearer oka_...`, is what is verified; any other Authorization belongs to what is
    /// behind the proxy and is ignored. 200 lets the request through. The four headers are always there, empty where there
    /// is nothing to say, so that a proxy which copies them overwrites what a client made up.
    #[oai(path = "/api/api-keys/verify", method = "get", operation_id = "verifyPresentedApiKey")]
    async fn verify_presented(
        &self,
        request: &Request,
        _presented: Presented,
        /// The id of the organization whose door this is. A key of any other is `NOT_FOUND`.
        #[oai(name = "organization")]
        _organization: Query<Option<String>>,
        /// The id of a project that the key must be good for.
        #[oai(name = "project")]
        _project: Query<Option<String>>,
        /// The least role that the key must have, as a number.
        #[oai(name = "role")]
        _role: Query<Option<String>>,
    ) -> Door {
        // `door::Ahead` answers before the routes; only what a proxy does not send, such as HEAD, comes here.
        door::answer(&self.app, &self.metrics, request)
    }
}

impl VerificationApi {
    /// The operations, over an app.
    #[must_use]
    pub const fn new(app: Arc<App>, metrics: Arc<Metrics>) -> Self {
        Self { app, metrics }
    }
}
