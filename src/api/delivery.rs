//! Operations on the deliveries of webhooks.

mod wire;

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use self::wire::{DeliveryListAnswer, DeliveryState, ReplayRequest, ReplayedAnswer, TestedAnswer};
use super::Group;
use super::http::auth::Auth;
use super::http::body::Body;
use super::http::bridge::act;
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::json::Json;
use super::http::paging;
use super::http::scan_limit::ScanLimit;
use crate::actions::webhook as action;
use crate::domain::id::{DeliveryId, OrgId, WebhookId};
use crate::engine::app::App;

/// The operations on deliveries.
pub struct DeliveryApi {
    app: Arc<App>,
    /// Limits concurrent listings, so that long searches do not occupy all database readers.
    scan_limit: ScanLimit,
}

type ListFail = ApiError<{ status::FORBIDDEN | status::NOT_FOUND | status::BAD_REQUEST }>;
type SendFail = ApiError<{ status::FORBIDDEN | status::NOT_FOUND | status::CONFLICT }>;
type SendManyFail =
    ApiError<{ status::FORBIDDEN | status::NOT_FOUND | status::CONFLICT | status::BAD_REQUEST | status::BAD_BODY }>;

#[OpenApi(tag = "Group::Webhooks")]
impl DeliveryApi {
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
    ) -> Result<Json<DeliveryListAnswer>, ListFail> {
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

impl DeliveryApi {
    /// Creates the operations on an app.
    #[must_use]
    pub fn new(app: Arc<App>, scan_limit: ScanLimit) -> Self {
        Self { app, scan_limit }
    }
}
