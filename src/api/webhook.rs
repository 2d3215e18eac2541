//! Operations on webhooks.

mod wire;

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, OpenApi};

use self::wire::{
    RotateWebhookSecretRequest, WebhookAnswer, WebhookChangeRequest, WebhookListAnswer, WebhookRequest,
    WebhookSecretAnswer,
};
use super::Group;
use super::http::auth::Auth;
use super::http::body::{Body, OptionalBody};
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::json::Json;
use crate::actions::webhook as action;
use crate::domain::id::{OrgId, WebhookId};
use crate::engine::app::App;

/// The operations on webhooks.
pub struct WebhookApi(pub Arc<App>);

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
type RotateFail =
    ApiError<{ status::FORBIDDEN | status::NOT_FOUND | status::CONFLICT | status::BAD_REQUEST | status::BAD_BODY }>;

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
        let (webhook, secret) = action::create(&self.0, &auth.0, org, terms).await?;
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
        let webhooks = action::list(&self.0, &auth.0, org).await?;
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
        let webhook = action::read(&self.0, &auth.0, org, id).await?;
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
        let webhook = action::update(&self.0, &auth.0, org, id, change).await?;
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
        action::delete(&self.0, &auth.0, org, id).await?;
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
    ) -> Result<RotateResponse, RotateFail> {
        let (org, id, overlap) = (OrgId::parse(&org), WebhookId::parse(&id), body.0.unwrap_or_default().parse()?);
        let (webhook, secret) = action::rotate(&self.0, &auth.0, org, id, overlap).await?;
        let answer = WebhookSecretAnswer::new("Webhook secret rotated successfully", webhook, &secret);
        Ok(RotateResponse::Made(Json(answer), "no-store".to_owned()))
    }
}
