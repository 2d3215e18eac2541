//! Request and response bodies for webhooks.

use std::time::Duration;

use poem_openapi::Object;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::actions::webhook::WebhookPatch;
use crate::api::http::timestamp::Timestamp;
use crate::domain::text::InvalidField;
use crate::domain::webhook::{
    Disabled, Webhook, WebhookSettings, parse_changes, parse_contexts, parse_name, parse_overlap, parse_url,
};

/// A webhook to create.
#[derive(Object, Deserialize)]
#[oai(rename = "WebhookInput", skip_serializing_if_is_none)]
pub(super) struct WebhookRequest {
    /// Target URL: `https`, or `http` to a network in the server's setting `webhook_allow`. Private addresses are
    /// allowed only in these networks. Administrators can see the URL; the audit log never contains it. Up to 2,048
    /// characters.
    #[oai(validator(min_length = 1, max_length = 2048))]
    url: String,
    /// Name of the webhook: up to 100 characters.
    #[oai(validator(max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    name: Option<String>,
    /// Kinds of resource to send events about: 0 workspace (a project), 1 bucket, 2 repo, 3 user, 4 org, 5
    /// workspaceuser, 6 apikey, 7 usersettings, 8 orgsettings, 9 flashbacknode, 10 orgkey, 11 aillm, 12 aillmapikey, 13
    /// conversation. If left out or empty: all.
    #[oai(validator(max_items = 100, minimum(value = "0"), maximum(value = "13")))]
    contexts: Option<Vec<i64>>,
    /// Kinds of change to send: 0 created, 1 updated, 2 deleted. If left out or empty: all.
    #[oai(validator(max_items = 100, minimum(value = "0"), maximum(value = "2")))]
    events: Option<Vec<i64>>,
    /// Whether to create the webhook disabled. Default false.
    disabled: Option<bool>,
}

/// Changes to a webhook. Fields that are left out stay as they are.
#[derive(Object, Deserialize)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct WebhookChangeRequest {
    /// Target URL: `https`, or `http` to a network in the server's setting `webhook_allow`. Private addresses are
    /// allowed only in these networks. Up to 2,048 characters.
    #[oai(validator(min_length = 1, max_length = 2048))]
    url: Option<String>,
    /// Name of the webhook: up to 100 characters.
    #[oai(validator(max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    name: Option<String>,
    /// Kinds of resource to send events about, numbered as in `createWebhook`. Empty: all.
    #[oai(validator(max_items = 100, minimum(value = "0"), maximum(value = "13")))]
    contexts: Option<Vec<i64>>,
    /// Kinds of change to send: 0 created, 1 updated, 2 deleted. Empty: all.
    #[oai(validator(max_items = 100, minimum(value = "0"), maximum(value = "2")))]
    events: Option<Vec<i64>>,
    /// Whether the webhook is disabled.
    disabled: Option<bool>,
}

/// The overlap of two webhook secrets.
#[derive(Default, Object, Deserialize)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(super) struct RotateWebhookSecretRequest {
    /// Seconds for which deliveries are signed with the previous secret as well: 0 to 604800 (7 days). Default 86400
    /// (one day).
    #[oai(validator(minimum(value = "0"), maximum(value = "604800")))]
    overlap_seconds: Option<i64>,
}

/// A webhook.
#[derive(Object, Serialize)]
#[oai(rename = "Webhook", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct WebhookItem {
    /// Id of the webhook.
    id: String,
    /// Id of the organization.
    org_id: String,
    /// Target URL.
    url: String,
    /// Name of the webhook.
    name: String,
    /// Kinds of resource whose events are sent. Empty: all.
    contexts: Vec<u8>,
    /// Kinds of change that are sent. Empty: all.
    events: Vec<u8>,
    /// Whether the webhook is disabled.
    disabled: bool,
    /// Why the webhook is disabled: `administrator` (by an administrator), `gone` (its receiver responded with 410) or
    /// `overfull` (10,000 deliveries were pending). Null if it is enabled.
    #[oai(nullable)]
    disabled_why: Option<String>,
    /// Time of creation.
    created_at: Timestamp,
    /// End of the overlap during which deliveries are also signed with the previous secret. Null if there is no
    /// overlap.
    #[oai(nullable)]
    previous_secret_until: Option<Timestamp>,
    /// Time of the last attempt. Null if there was none.
    #[oai(nullable)]
    last_at: Option<Timestamp>,
    /// HTTP status of the response to the last attempt. Null if it got none.
    #[oai(nullable)]
    last_status: Option<u16>,
    /// Why the last attempt got no response. Null if it got one.
    #[oai(nullable)]
    last_why: Option<String>,
}

/// A webhook with its secret.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct WebhookWithSecret {
    /// The webhook.
    #[oai(flatten)]
    #[serde(flatten)]
    webhook: WebhookItem,
    /// Secret that deliveries are signed with: `whsec_` and base64. It cannot be retrieved again.
    secret: String,
}

/// A webhook after the operation.
#[derive(Object, Serialize)]
pub(super) struct WebhookAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The webhook.
    data: WebhookItem,
}

/// The webhooks of an organization.
#[derive(Object, Serialize)]
#[oai(rename = "WebhookList")]
pub(super) struct WebhookListAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The webhooks, newest first.
    data: Vec<WebhookItem>,
}

/// A webhook with its new secret.
#[derive(Object, Serialize)]
pub(super) struct WebhookSecretAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The webhook.
    data: WebhookWithSecret,
}

impl WebhookRequest {
    pub(super) fn parse(self) -> Result<WebhookSettings, InvalidField> {
        Ok(WebhookSettings {
            url: parse_url(&self.url)?,
            name: parse_name(&self.name.unwrap_or_default())?,
            contexts: parse_contexts(&self.contexts.unwrap_or_default())?,
            changes: parse_changes(&self.events.unwrap_or_default())?,
            disabled: self.disabled.unwrap_or(false).then_some(Disabled::Administrator),
        })
    }
}

impl WebhookChangeRequest {
    pub(super) fn parse(self) -> Result<WebhookPatch, InvalidField> {
        Ok(WebhookPatch {
            url: self.url.as_deref().map(parse_url).transpose()?,
            name: self.name.as_deref().map(parse_name).transpose()?,
            contexts: self.contexts.as_deref().map(parse_contexts).transpose()?,
            changes: self.events.as_deref().map(parse_changes).transpose()?,
            disabled: self.disabled,
        })
    }
}

impl RotateWebhookSecretRequest {
    pub(super) fn parse(self) -> Result<Duration, InvalidField> {
        parse_overlap(self.overlap_seconds)
    }
}

impl WebhookAnswer {
    pub(super) fn new(message: &str, webhook: Webhook) -> Self {
        Self { success: true, message: message.to_owned(), data: item(webhook) }
    }
}

impl WebhookListAnswer {
    pub(super) fn new(webhooks: Vec<Webhook>) -> Self {
        let message = "Webhooks retrieved successfully".to_owned();
        Self { success: true, message, data: webhooks.into_iter().map(item).collect() }
    }
}

impl WebhookSecretAnswer {
    pub(super) fn new(message: &str, webhook: Webhook, secret: &SecretString) -> Self {
        let data = WebhookWithSecret { webhook: item(webhook), secret: secret.expose_secret().to_owned() };
        Self { success: true, message: message.to_owned(), data }
    }
}

fn item(webhook: Webhook) -> WebhookItem {
    let Webhook { id, org, terms, created_at, previous_until, last } = webhook;
    let (last_at, last_status, last_why) =
        last.map_or((None, None, None), |last| (Some(Timestamp(last.at)), last.status, last.why));
    WebhookItem {
        id: id.to_string(),
        org_id: org.to_string(),
        url: terms.url,
        name: terms.name,
        contexts: terms.contexts.list(),
        events: terms.changes.list(),
        disabled: terms.disabled.is_some(),
        disabled_why: terms.disabled.map(|disabled| disabled.name().to_owned()),
        created_at: Timestamp(created_at),
        previous_secret_until: previous_until.map(Timestamp),
        last_at,
        last_status,
        last_why,
    }
}
