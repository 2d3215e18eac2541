//! What is sent and said of webhooks?

use std::time::Duration;

use poem_openapi::Object;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::actions::webhook::WebhookPatch;
use crate::api::http::timestamp::Timestamp;
use crate::domain::text::InvalidField;
use crate::domain::webhook::{
    Disabled, Webhook, WebhookSettings, parse_changes, parse_contexts, parse_name, parse_overlap, parse_url,
};

/// What a new webhook is to be.
#[derive(Object, Deserialize)]
#[oai(rename = "WebhookInput", skip_serializing_if_is_none)]
pub(super) struct WebhookRequest {
    /// Where events are sent: https, or http to a network that the server's `webhook_allow` opens, and so any private address. Shown to administrators, never in the audit log.
    #[oai(validator(min_length = 1, max_length = 2048))]
    url: String,
    /// What people call it: up to 100 characters.
    #[oai(validator(max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    name: Option<String>,
    /// What events to send are about: 0 workspace, 1 bucket, 2 repo, 3 user, 4 org, 5 workspaceuser, 6 apikey, 7 usersettings, 8 orgsettings, 9 flashbacknode, 10 orgkey, 11 aillm, 12 aillmapikey, 13 conversation; all if left out or empty.
    #[oai(validator(max_items = 100, minimum(value = "0"), maximum(value = "13")))]
    contexts: Option<Vec<i64>>,
    /// What must have happened: 0 created, 1 updated, 2 deleted; all if left out or empty.
    #[oai(validator(max_items = 100, minimum(value = "0"), maximum(value = "2")))]
    events: Option<Vec<i64>>,
    /// Whether it is off at first.
    disabled: Option<bool>,
}

/// What a webhook is to be from now on; what is left out stays.
#[derive(Object, Deserialize)]
#[oai(rename = "WebhookChangeRequest", skip_serializing_if_is_none)]
pub(super) struct ChangeRequest {
    /// Where events are sent: https, or http to a network that the server's `webhook_allow` opens, and so any private address.
    #[oai(validator(min_length = 1, max_length = 2048))]
    url: Option<String>,
    /// What people call it: up to 100 characters.
    #[oai(validator(max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    name: Option<String>,
    /// What events to send are about, by the numbers of `createWebhook`; all if empty.
    #[oai(validator(max_items = 100, minimum(value = "0"), maximum(value = "13")))]
    contexts: Option<Vec<i64>>,
    /// What must have happened: 0 created, 1 updated, 2 deleted; all if empty.
    #[oai(validator(max_items = 100, minimum(value = "0"), maximum(value = "2")))]
    events: Option<Vec<i64>>,
    /// Whether it is off.
    disabled: Option<bool>,
}

/// For how long two secrets sign.
#[derive(Default, Object, Deserialize)]
#[oai(rename = "RotateWebhookSecretRequest", rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(super) struct RotateRequest {
    /// For how many seconds the secret before signs too: 0 to 604800, which is 7 days; 86400 if left out.
    #[oai(validator(minimum(value = "0"), maximum(value = "604800")))]
    overlap_seconds: Option<i64>,
}

/// A webhook.
#[derive(Object)]
#[oai(rename = "Webhook", rename_all = "camelCase")]
pub(super) struct WebhookItem {
    /// The webhook's id.
    id: String,
    /// The organization's id.
    org_id: String,
    /// Where events are sent.
    url: String,
    /// What people call it.
    name: String,
    /// The contexts that it asks for; empty is all.
    contexts: Vec<u8>,
    /// The changes that it asks for; empty is all.
    events: Vec<u8>,
    /// Whether it is off.
    disabled: bool,
    /// Why it is off: an `administrator` switched it off; its receiver answered 410, so it is `gone`; or it was `overfull`,
    /// since 10,000 deliveries were on their way to it.
    #[oai(nullable)]
    disabled_why: Option<String>,
    /// When it was made.
    created_at: Timestamp,
    /// Until when the secret before the present one signs too.
    #[oai(nullable)]
    previous_secret_until: Option<Timestamp>,
    /// When it was last tried.
    #[oai(nullable)]
    last_at: Option<Timestamp>,
    /// The status that its receiver answered then.
    #[oai(nullable)]
    last_status: Option<u16>,
    /// Why there was no answer.
    #[oai(nullable)]
    last_why: Option<String>,
}

/// A webhook with its secret.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(super) struct WebhookWithSecret {
    /// The webhook.
    #[oai(flatten)]
    webhook: WebhookItem,
    /// The secret that its deliveries are signed with, `whsec_` and base64; shown only now.
    secret: String,
}

/// The webhook, as it is now.
#[derive(Object)]
pub(super) struct WebhookAnswer {
    /// Always true.
    success: bool,
    /// What was done.
    message: String,
    /// The webhook.
    data: WebhookItem,
}

/// The webhooks, newest first.
#[derive(Object)]
#[oai(rename = "WebhookList")]
pub(super) struct WebhookListAnswer {
    /// Always true.
    success: bool,
    /// What was done.
    message: String,
    /// The webhooks.
    data: Vec<WebhookItem>,
}

/// The webhook with its secret, this once.
#[derive(Object)]
pub(super) struct WebhookSecretAnswer {
    /// Always true.
    success: bool,
    /// What was done.
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

impl ChangeRequest {
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

impl RotateRequest {
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
