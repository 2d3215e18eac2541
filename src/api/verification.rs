//! How is an API key verified over HTTP? By services that ask about a key, and by reverse proxies that pass on what a client presented.

mod wire;

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;

use self::wire::{Door, Presented, VerificationAnswer, VerifyRequest};
use super::Group;
use super::auth::AuthUncounted;
use super::body::Body;
use super::error::{Fail, may};
use super::metrics::Metrics;
use super::observe::From;
use crate::actions::app::App;
use crate::actions::verification::{self, Asked, Wish};
use crate::crypto::secret;
use crate::domain::id::{OrgId, ProjectId};
use crate::domain::role::Role;

/// The operations that verify API keys.
pub struct VerificationApi {
    app: Arc<App>,
    metrics: Arc<Metrics>,
}

type VerifyFail = Fail<{ may::BE_WRAPPED | may::BE_INVALID | may::BE_UNKNOWN | may::HAVE_A_BAD_BODY }>;

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
        let digest = secret::Kind::ApiKey.digest(&body.0.api_key);
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
        presented: Presented,
        from: From,
        /// The id of the organization whose door this is. A key of any other is `NOT_FOUND`.
        organization: Query<Option<String>>,
        /// The id of a project that the key must be good for.
        project: Query<Option<String>>,
        /// The least role that the key must have, as a number.
        role: Query<Option<String>>,
    ) -> Door {
        let (project, role) = (project.0.filter(|id| !id.is_empty()), role.0.filter(|role| !role.is_empty()));
        let asked = Asked {
            project: Wish::read(project.as_deref(), ProjectId::parse),
            role: Wish::read(role.as_deref(), |role| Role::from_number(role.parse().ok()?)),
        };
        let org = organization.0.and_then(|id| OrgId::parse(&id));
        let hint = match (org, asked.role) {
            (None, _) => Some("The question names no organization: the proxy must ask with ?organization=<its id>"),
            (_, Wish::Unknown) => Some("The question names no role: role must be 0, 1, 2, 254 or 255"),
            _ => None,
        };
        let verified = verification::present(&self.app, org, presented.0, asked, from.0.address);
        self.metrics.verified(verified.verdict);
        Door { verified, hint }
    }
}

impl VerificationApi {
    /// The operations, over an app.
    #[must_use]
    pub const fn new(app: Arc<App>, metrics: Arc<Metrics>) -> Self {
        Self { app, metrics }
    }
}
