//! Operations on webhooks and their deliveries.

mod delivery;
mod wire;

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};

use self::delivery::{DeliveryListAnswer, DeliveryState, ReplayRequest, ReplayedAnswer, TestedAnswer};
use self::wire::{
    RotateWebhookSecretRequest, WebhookAnswer, WebhookChangeRequest, WebhookListAnswer, WebhookRequest,
    WebhookSecretAnswer,
};
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
    /// Limits concurrent listings, so that long searches do not occupy all database readers.
    scan_limit: ScanLimit,
}

#[derive(ApiResponse)]
enum NewWebhookResponse {
    /// The new webhook with its secret.
    #[oai(status = 201)]
    Made(
        Json<WebhookSecretAnswer>,
        /// Always `no-store`: the response contains the secret.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

#[derive(ApiResponse)]
enum RotateResponse {
    /// The webhook with its new secret.
    #[oai(status = 200)]
    Made(
        Json<WebhookSecretAnswer>,
        /// Always `no-store`: the response contains the secret.
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
    /// Each matching event that is recorded from now on is sent to the URL as a `POST` request. The JSON body is the
    /// event as `listSystemEvents` returns it, with its `action` and its position in the audit chain (`seq`, `hash`,
    /// `previousHash`) added. Deliveries are signed as Standard Webhooks 1.0 specifies. The response contains the
    /// signing secret, which cannot be retrieved again. An organization can have at most 10 webhooks. Requires
    /// ADMINISTRATOR or OWNER. Recorded in the audit log as `webhook.create`.
    ///
    /// Responses:
    /// - 201: The webhook was created. The response contains its signing secret.
    /// - 400: A field is invalid, deliveries to the URL's address are not allowed, or the organization already has 10
    ///   webhooks (`WEBHOOK_LIMIT_REACHED`).
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 503: The change cannot be stored at the moment, or the server's key file, which encrypts webhook secrets, is
    ///   missing (`KEY_FILE_MISSING`). Nothing was changed.
    #[oai(path = "/organization/:orgId/webhooks", method = "post", operation_id = "createWebhook")]
    async fn create(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
        body: Body<WebhookRequest>,
    ) -> Result<NewWebhookResponse, CreateFail> {
        let (org, terms) = (OrgId::parse(&org), body.0.parse()?);
        let (webhook, secret) = action::create(&self.app, &auth.0, org, terms).await?;
        let answer = WebhookSecretAnswer::new("Webhook created successfully", webhook, &secret);
        Ok(NewWebhookResponse::Made(Json(answer), "no-store".to_owned()))
    }

    /// List webhooks
    ///
    /// Returns the webhooks of an organization, newest first, without their secrets, each with the result of its last
    /// attempt. Requires ADMINISTRATOR or OWNER. Recorded in the audit log as `webhook.list`.
    ///
    /// Responses:
    /// - 200: The organization's webhooks.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    #[oai(path = "/organization/:orgId/webhooks", method = "get", operation_id = "listWebhooks")]
    async fn list(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
    ) -> Result<Json<WebhookListAnswer>, ListFail> {
        let org = OrgId::parse(&org);
        let webhooks = action::list(&self.app, &auth.0, org).await?;
        Ok(Json(WebhookListAnswer::new(webhooks)))
    }

    /// Get a webhook
    ///
    /// Returns a webhook without its secret, with the result of its last attempt. Requires ADMINISTRATOR or OWNER.
    /// Recorded in the audit log as `webhook.read`.
    ///
    /// Responses:
    /// - 200: The webhook.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 404: The organization has no webhook with this id (`WEBHOOK_NOT_FOUND`).
    #[oai(path = "/organization/:orgId/webhooks/:webhookId", method = "get", operation_id = "getWebhook")]
    async fn read(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// Id of the webhook.
        #[oai(name = "webhookId")]
        id: Path<String>,
    ) -> Result<Json<WebhookAnswer>, OneFail> {
        let (org, id) = (OrgId::parse(&org), WebhookId::parse(&id));
        let webhook = action::read(&self.app, &auth.0, org, id).await?;
        Ok(Json(WebhookAnswer::new("Webhook retrieved successfully", webhook)))
    }

    /// Change a webhook
    ///
    /// Fields that are left out stay as they are. While a webhook is disabled, it gets no new events, and its pending
    /// deliveries wait. `disabled: false` enables it again, even if the server disabled it because its receiver is gone
    /// or too many deliveries were pending. Requires ADMINISTRATOR or OWNER. Recorded in the audit log as
    /// `webhook.update`.
    ///
    /// Responses:
    /// - 200: The webhook after the change.
    /// - 400: A field is invalid, or deliveries to the URL's address are not allowed.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 404: The organization has no webhook with this id (`WEBHOOK_NOT_FOUND`).
    #[oai(path = "/organization/:orgId/webhooks/:webhookId", method = "put", operation_id = "updateWebhook")]
    async fn update(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// Id of the webhook.
        #[oai(name = "webhookId")]
        id: Path<String>,
        body: Body<WebhookChangeRequest>,
    ) -> Result<Json<WebhookAnswer>, ChangeFail> {
        let (org, id, change) = (OrgId::parse(&org), WebhookId::parse(&id), body.0.parse()?);
        let webhook = action::update(&self.app, &auth.0, org, id, change).await?;
        Ok(Json(WebhookAnswer::new("Webhook updated successfully", webhook)))
    }

    /// Delete a webhook
    ///
    /// Also deletes its pending deliveries and its delivery history. Requires ADMINISTRATOR or OWNER. Recorded in the
    /// audit log as `webhook.delete`.
    ///
    /// Responses:
    /// - 200: The webhook was deleted.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 404: The organization has no webhook with this id (`WEBHOOK_NOT_FOUND`).
    #[oai(path = "/organization/:orgId/webhooks/:webhookId", method = "delete", operation_id = "deleteWebhook")]
    async fn delete(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// Id of the webhook.
        #[oai(name = "webhookId")]
        id: Path<String>,
    ) -> Result<Json<Done>, OneFail> {
        let (org, id) = (OrgId::parse(&org), WebhookId::parse(&id));
        action::delete(&self.app, &auth.0, org, id).await?;
        Ok(Json(Done::because("Webhook deleted successfully")))
    }

    /// Rotate a webhook's secret
    ///
    /// The response contains the new secret, which cannot be retrieved again. During the overlap, each delivery has two
    /// signatures, one with each secret. Until the overlap ends, the secret can be rotated again only with an overlap
    /// of 0, which invalidates both earlier secrets immediately. Requires ADMINISTRATOR or OWNER. Recorded in the audit
    /// log as `webhook.rotate`.
    ///
    /// Responses:
    /// - 200: The secret was rotated. The response contains the new secret.
    /// - 400: The overlap is out of range.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 404: The organization has no webhook with this id (`WEBHOOK_NOT_FOUND`).
    /// - 409: The previous overlap has not ended yet, and the new one is not 0 (`WEBHOOK_ALREADY_ROTATED`).
    /// - 503: The change cannot be stored at the moment, or the server's key file, which encrypts webhook secrets, is
    ///   missing (`KEY_FILE_MISSING`). Nothing was changed.
    #[oai(
        path = "/organization/:orgId/webhooks/:webhookId/rotate-secret",
        method = "post",
        operation_id = "rotateWebhookSecret"
    )]
    async fn rotate(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// Id of the webhook.
        #[oai(name = "webhookId")]
        id: Path<String>,
        body: OptionalBody<RotateWebhookSecretRequest>,
    ) -> Result<RotateResponse, SendManyFail> {
        let (org, id, overlap) = (OrgId::parse(&org), WebhookId::parse(&id), body.0.unwrap_or_default().parse()?);
        let (webhook, secret) = action::rotate(&self.app, &auth.0, org, id, overlap).await?;
        let answer = WebhookSecretAnswer::new("Webhook secret rotated successfully", webhook, &secret);
        Ok(RotateResponse::Made(Json(answer), "no-store".to_owned()))
    }

    /// Send a test event
    ///
    /// Records a `webhook.test` event and sends it only to this webhook, regardless of the webhook's filters.
    /// `listWebhookDeliveries` shows whether it arrived. Requires ADMINISTRATOR or OWNER.
    ///
    /// Responses:
    /// - 200: The test event is queued. `deliveryId` identifies it in `listWebhookDeliveries`, and is the `webhook-id`
    ///   that the receiver gets.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 404: The organization has no webhook with this id (`WEBHOOK_NOT_FOUND`).
    /// - 409: The webhook is disabled (`WEBHOOK_DISABLED`), or 10,000 deliveries are already pending (`WEBHOOK_FULL`).
    #[oai(path = "/organization/:orgId/webhooks/:webhookId/test", method = "post", operation_id = "testWebhook")]
    async fn test(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// Id of the webhook.
        #[oai(name = "webhookId")]
        id: Path<String>,
    ) -> Result<Json<TestedAnswer>, SendFail> {
        let (org, id) = (OrgId::parse(&org), WebhookId::parse(&id));
        let delivery = action::test(&self.app, &auth.0, org, id).await?;
        Ok(Json(TestedAnswer::new(delivery)))
    }

    /// List a webhook's deliveries
    ///
    /// Returns pending and past deliveries, newest first. Past deliveries are retained for 30 days, but at most the
    /// last 1,000 that succeeded and the last 10,000 that failed. Requires ADMINISTRATOR or OWNER. Recorded in the
    /// audit log as `webhook.deliveries`.
    ///
    /// Responses:
    /// - 200: A page of deliveries, and their total number.
    /// - 400: `skip`, `take` or `state` is invalid.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 404: The organization has no webhook with this id (`WEBHOOK_NOT_FOUND`).
    #[oai(
        path = "/organization/:orgId/webhooks/:webhookId/deliveries",
        method = "get",
        operation_id = "listWebhookDeliveries"
    )]
    async fn deliveries(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// Id of the webhook.
        #[oai(name = "webhookId")]
        id: Path<String>,
        /// Number of deliveries to skip: 0 to 10,000. Default 0.
        #[oai(validator(maximum(value = "10000")))]
        skip: Query<Option<u32>>,
        /// Maximum number of deliveries to return: 1 to 1,000. Default 1,000.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        take: Query<Option<u32>>,
        /// State of the deliveries to return. Default: all.
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
    /// Sends a past delivery again, with a full new set of attempts. It keeps its `webhook-id`, so a receiver that
    /// drops duplicates processes it only once. Requires ADMINISTRATOR or OWNER. Recorded in the audit log as
    /// `webhook.replay`.
    ///
    /// Responses:
    /// - 200: The delivery is pending again.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 404: The organization has no webhook with this id (`WEBHOOK_NOT_FOUND`), or the webhook has no delivery with
    ///   this id (`DELIVERY_NOT_FOUND`).
    /// - 409: The delivery is still pending (`DELIVERY_PENDING`), the webhook is disabled (`WEBHOOK_DISABLED`), or
    ///   10,000 deliveries are already pending (`WEBHOOK_FULL`).
    #[oai(
        path = "/organization/:orgId/webhooks/:webhookId/deliveries/:deliveryId/replay",
        method = "post",
        operation_id = "replayWebhookDelivery"
    )]
    async fn replay(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// Id of the webhook.
        #[oai(name = "webhookId")]
        id: Path<String>,
        /// Id of the delivery.
        #[oai(name = "deliveryId")]
        delivery: Path<String>,
    ) -> Result<Json<Done>, SendFail> {
        let place = (OrgId::parse(&org), WebhookId::parse(&id));
        let delivery = DeliveryId::parse(&delivery);
        action::replay(&self.app, &auth.0, place, delivery).await?;
        Ok(Json(Done::because("The delivery is pending again")))
    }

    /// Replay failed deliveries
    ///
    /// Sends the deliveries that failed since a given time again, oldest first. One call replays at most 1,000
    /// deliveries, and no more than fit into the limit of 10,000 pending deliveries. If `more` is true, call again. A
    /// call that replays many deliveries counts as several calls for the rate limit. Requires ADMINISTRATOR or OWNER.
    /// Recorded in the audit log as `webhook.replay`.
    ///
    /// Responses:
    /// - 200: The deliveries are pending again.
    /// - 400: `since` is not an RFC 3339 time with an offset.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    /// - 404: The organization has no webhook with this id (`WEBHOOK_NOT_FOUND`).
    /// - 409: The webhook is disabled (`WEBHOOK_DISABLED`), or 10,000 deliveries are already pending (`WEBHOOK_FULL`).
    #[oai(
        path = "/organization/:orgId/webhooks/:webhookId/replay",
        method = "post",
        operation_id = "replayWebhookDeliveries"
    )]
    async fn replay_failed(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// Id of the webhook.
        #[oai(name = "webhookId")]
        id: Path<String>,
        body: Body<ReplayRequest>,
    ) -> Result<Json<ReplayedAnswer>, SendManyFail> {
        let (place, since) = ((OrgId::parse(&org), WebhookId::parse(&id)), body.0.parse()?);
        let (count, more) = action::replay_failed(&self.app, &auth.0, place, since).await?;
        Ok(Json(ReplayedAnswer::new(count, more)))
    }
}

impl WebhookApi {
    /// Creates the operations on an app.
    #[must_use]
    pub fn new(app: Arc<App>, scan_limit: ScanLimit) -> Self {
        Self { app, scan_limit }
    }
}
