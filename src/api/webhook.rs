//! How are webhooks asked for over HTTP?

mod delivery;
mod wire;

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};

use self::delivery::{DeliveryListAnswer, DeliveryState, ReplayRequest, ReplayedAnswer, TestedAnswer};
use self::wire::{ChangeRequest, RotateRequest, WebhookAnswer, WebhookListAnswer, WebhookRequest, WebhookSecretAnswer};
use super::Group;
use super::http::auth::Auth;
use super::http::body::{Body, OptionalBody};
use super::http::bridge::act;
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::paging;
use super::http::scan_limit::ScanLimit;
use crate::actions::webhook as action;
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::engine::app::App;

/// The operations on webhooks.
pub struct WebhookApi {
    app: Arc<App>,
    /// Held while deliveries are listed: going through thousands must not keep the readers from everybody else.
    scan_limit: ScanLimit,
}

#[derive(ApiResponse)]
enum CreateResponse {
    /// The webhook with its secret, this once.
    #[oai(status = 201)]
    Made(
        Json<WebhookSecretAnswer>,
        /// Never to be kept on the way.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

#[derive(ApiResponse)]
enum RotateResponse {
    /// The webhook with its new secret, this once.
    #[oai(status = 200)]
    Made(
        Json<WebhookSecretAnswer>,
        /// Never to be kept on the way.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

type ListFail = ApiError<{ status::FORBIDDEN }>;
type CreateFail = ApiError<{ status::FORBIDDEN | status::BAD_REQUEST | status::BAD_BODY }>;
type OneFail = ApiError<{ status::FORBIDDEN | status::NOT_FOUND }>;
type ChangeFail = ApiError<{ status::FORBIDDEN | status::NOT_FOUND | status::BAD_REQUEST | status::BAD_BODY }>;
type SendFail = ApiError<{ status::FORBIDDEN | status::NOT_FOUND | status::CONFLICT }>;
type SendManyFail =
    ApiError<{ status::FORBIDDEN | status::NOT_FOUND | status::CONFLICT | status::BAD_REQUEST | status::BAD_BODY }>;
type PageFail = ApiError<{ status::FORBIDDEN | status::NOT_FOUND | status::BAD_REQUEST }>;

#[OpenApi(tag = "Group::Webhooks")]
impl WebhookApi {
    /// Create a webhook
    ///
    /// Every event of the organization that fits is sent to the URL from now on, as `POST` with the event as
    /// `/systemevent` shows it, its `action`, and its place in the chain: `seq`, `hash`, `previousHash`. It is signed
    /// as Standard Webhooks 1.0 says, with the secret that is in this answer alone. An organization has at most 10.
    /// Needs ADMINISTRATOR.
    #[oai(path = "/organization/:orgId/webhooks", method = "post", operation_id = "createWebhook")]
    async fn create(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
        body: Body<WebhookRequest>,
    ) -> Result<CreateResponse, CreateFail> {
        let (org, terms) = (OrgId::parse(&org), body.0.parse()?);
        let (webhook, secret) = act(&self.app, move |app| action::create(app, &auth.0, org, terms)).await?;
        let answer = WebhookSecretAnswer::new("Webhook created successfully", webhook, &secret);
        Ok(CreateResponse::Made(Json(answer), "no-store".to_owned()))
    }

    /// List webhooks
    ///
    /// Newest first, without their secrets, each with what came of its last try. Needs ADMINISTRATOR.
    #[oai(path = "/organization/:orgId/webhooks", method = "get", operation_id = "listWebhooks")]
    async fn list(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
    ) -> Result<Json<WebhookListAnswer>, ListFail> {
        let org = OrgId::parse(&org);
        let webhooks = act(&self.app, move |app| action::list(app, &auth.0, org)).await?;
        Ok(Json(WebhookListAnswer::new(webhooks)))
    }

    /// Get a webhook
    ///
    /// Without its secret, with what came of its last try. Needs ADMINISTRATOR.
    #[oai(path = "/organization/:orgId/webhooks/:webhookId", method = "get", operation_id = "getWebhook")]
    async fn read(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// The webhook's id.
        #[oai(name = "webhookId")]
        id: Path<String>,
    ) -> Result<Json<WebhookAnswer>, OneFail> {
        let (org, id) = (OrgId::parse(&org), WebhookId::parse(&id));
        let webhook = act(&self.app, move |app| action::read(app, &auth.0, org, id)).await?;
        Ok(Json(WebhookAnswer::new("Webhook retrieved successfully", webhook)))
    }

    /// Change a webhook
    ///
    /// What is left out stays as it is. While a webhook is off it gets no new events, and what is on its way waits;
    /// `disabled: false` switches one on again, also one that was switched off because its receiver is
    /// gone or too much was on its way. Needs ADMINISTRATOR.
    #[oai(path = "/organization/:orgId/webhooks/:webhookId", method = "put", operation_id = "updateWebhook")]
    async fn update(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// The webhook's id.
        #[oai(name = "webhookId")]
        id: Path<String>,
        body: Body<ChangeRequest>,
    ) -> Result<Json<WebhookAnswer>, ChangeFail> {
        let (org, id, change) = (OrgId::parse(&org), WebhookId::parse(&id), body.0.parse()?);
        let webhook = act(&self.app, move |app| action::update(app, &auth.0, org, id, change)).await?;
        Ok(Json(WebhookAnswer::new("Webhook updated successfully", webhook)))
    }

    /// Delete a webhook
    ///
    /// With everything that is on its way to it, and the list of what was sent. Needs ADMINISTRATOR.
    #[oai(path = "/organization/:orgId/webhooks/:webhookId", method = "delete", operation_id = "deleteWebhook")]
    async fn delete(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// The webhook's id.
        #[oai(name = "webhookId")]
        id: Path<String>,
    ) -> Result<Json<Done>, OneFail> {
        let (org, id) = (OrgId::parse(&org), WebhookId::parse(&id));
        act(&self.app, move |app| action::delete(app, &auth.0, org, id)).await?;
        Ok(Json(Done::because("Webhook deleted successfully")))
    }

    /// Rotate a webhook's secret
    ///
    /// The new secret is in this answer alone. Until the overlap is over, each delivery has two signatures, one with
    /// each secret, and only a rotation with an overlap of 0 is taken: it ends both at once. Needs ADMINISTRATOR.
    #[oai(
        path = "/organization/:orgId/webhooks/:webhookId/rotate-secret",
        method = "post",
        operation_id = "rotateWebhookSecret"
    )]
    async fn rotate(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// The webhook's id.
        #[oai(name = "webhookId")]
        id: Path<String>,
        body: OptionalBody<RotateRequest>,
    ) -> Result<RotateResponse, SendManyFail> {
        let (org, id, overlap) = (OrgId::parse(&org), WebhookId::parse(&id), body.0.unwrap_or_default().parse()?);
        let (webhook, secret) = act(&self.app, move |app| action::rotate(app, &auth.0, org, id, overlap)).await?;
        let answer = WebhookSecretAnswer::new("Webhook secret rotated successfully", webhook, &secret);
        Ok(RotateResponse::Made(Json(answer), "no-store".to_owned()))
    }

    /// Send a test event
    ///
    /// Records the event `webhook.test` and sends it to this webhook alone, whatever its filter. `listWebhookDeliveries`
    /// shows whether it arrived. Needs ADMINISTRATOR.
    #[oai(path = "/organization/:orgId/webhooks/:webhookId/test", method = "post", operation_id = "testWebhook")]
    async fn test(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// The webhook's id.
        #[oai(name = "webhookId")]
        id: Path<String>,
    ) -> Result<Json<TestedAnswer>, SendFail> {
        let (org, id) = (OrgId::parse(&org), WebhookId::parse(&id));
        let delivery = act(&self.app, move |app| action::test(app, &auth.0, org, id)).await?;
        Ok(Json(TestedAnswer::new(delivery)))
    }

    /// List a webhook's deliveries
    ///
    /// Newest first. Those that have ended are kept for 30 days, at most 1000 that were delivered and 10000 that failed.
    /// Needs ADMINISTRATOR.
    #[oai(
        path = "/organization/:orgId/webhooks/:webhookId/deliveries",
        method = "get",
        operation_id = "listWebhookDeliveries"
    )]
    async fn deliveries(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// The webhook's id.
        #[oai(name = "webhookId")]
        id: Path<String>,
        /// How many to pass over: 0 to 10000.
        #[oai(validator(maximum(value = "10000")))]
        skip: Query<Option<u32>>,
        /// How many to give: 1 to 1000.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        take: Query<Option<u32>>,
        /// Only those in this state.
        state: Query<Option<DeliveryState>>,
    ) -> Result<Json<DeliveryListAnswer>, PageFail> {
        let place = (OrgId::parse(&org), WebhookId::parse(&id));
        let (page, state) = (paging::page(skip.0, take.0), state.0.map(DeliveryState::state));
        let permit = self.scan_limit.begin(auth.0.org()).await?;
        let found = act(&self.app, move |app| {
            let read = action::deliveries(app, &auth.0, place, state, page);
            drop(permit);
            read
        })
        .await?;
        Ok(Json(DeliveryListAnswer::new(found)))
    }

    /// Replay a delivery
    ///
    /// Sends one that has ended once more, from the first try on, under the same `webhook-id`: a receiver that drops
    /// repeats takes it once. Needs ADMINISTRATOR.
    #[oai(
        path = "/organization/:orgId/webhooks/:webhookId/deliveries/:deliveryId/replay",
        method = "post",
        operation_id = "replayWebhookDelivery"
    )]
    async fn replay(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// The webhook's id.
        #[oai(name = "webhookId")]
        id: Path<String>,
        /// The delivery's id.
        #[oai(name = "deliveryId")]
        delivery: Path<String>,
    ) -> Result<Json<Done>, SendFail> {
        let place = (OrgId::parse(&org), WebhookId::parse(&id));
        let delivery = DeliveryId::parse(&delivery);
        act(&self.app, move |app| action::replay(app, &auth.0, place, delivery)).await?;
        Ok(Json(Done::because("Delivery is on its way again")))
    }

    /// Replay failed deliveries
    ///
    /// Sends what was given up from `since` on once more, the oldest first, at most 1000 a call; `more` says whether to
    /// call again. Needs ADMINISTRATOR.
    #[oai(
        path = "/organization/:orgId/webhooks/:webhookId/replay",
        method = "post",
        operation_id = "replayWebhookDeliveries"
    )]
    async fn replay_failed(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// The webhook's id.
        #[oai(name = "webhookId")]
        id: Path<String>,
        body: Body<ReplayRequest>,
    ) -> Result<Json<ReplayedAnswer>, SendManyFail> {
        let (place, since) = ((OrgId::parse(&org), WebhookId::parse(&id)), body.0.parse()?);
        let (count, more) = act(&self.app, move |app| action::replay_failed(app, &auth.0, place, since)).await?;
        Ok(Json(ReplayedAnswer::new(count, more)))
    }
}

impl WebhookApi {
    /// The operations, over an app.
    #[must_use]
    pub fn new(app: Arc<App>, scan_limit: ScanLimit) -> Self {
        Self { app, scan_limit }
    }
}
