//! Request and response bodies for API keys. The names are those of the published platform, whose clients send them.

use std::time::Duration;

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use crate::actions::api_key::{ApiKeyPage, ApiKeyPatch, Request};
use crate::api::http::envelope::wrapped;
use crate::api::http::timestamp::{Moment, Timestamp};
use crate::domain::api_key::{
    ApiKey, Window, parse_name, parse_note, parse_overlap, parse_projects, parse_role, parse_time,
};
use crate::domain::id::ApiKeyId;
use crate::domain::text;
use crate::domain::text::InvalidField;
use crate::domain::time::Time;

/// An API key to create.
#[derive(Object, Deserialize)]
#[oai(rename = "NewApiKeyRequest", rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateRequest {
    /// Ids of the projects that the key is restricted to: up to 100. An empty list makes it valid for the whole
    /// organization.
    #[oai(validator(max_items = 100, max_length = 44))]
    list_projects_id: Vec<String>,
    /// Role of the key: USER 0, BILLING 1, WORKSPACES 2 or ADMINISTRATOR 254; at most the caller's own.
    #[oai(validator(minimum(value = "0"), maximum(value = "254")))]
    role_id: i64,
    /// Name and validity period of the key.
    user_api_key: UserApiKey,
    /// Free-text note: up to 250 characters.
    #[oai(validator(max_length = 250, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    note: Option<String>,
}

/// The name and validity period of a new API key.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
struct UserApiKey {
    /// Name of the key: 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    api_name: String,
    /// Whether the key expires at `expireDateTime`. If false, it never expires.
    has_expire_time: bool,
    /// Start of validity, RFC 3339 with an offset. Default: now.
    start_date_time: Option<Moment>,
    /// End of validity, RFC 3339 with an offset, in the future. Ignored if `hasExpireTime` is false.
    #[oai(validator(max_length = 64))]
    expire_date_time: Option<String>,
}

/// The new settings of an API key.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiKeyChangeRequest {
    /// Id of the key.
    #[oai(validator(minimum(value = "1"), maximum(value = "2147483647")))]
    id: i64,
    /// Name of the key: 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    name: String,
    /// Start of validity, RFC 3339 with an offset.
    start_date: Moment,
    /// End of validity, RFC 3339 with an offset, in the future. Ignored if `hasExpireTime` is false.
    #[oai(validator(max_length = 64))]
    expire_date: Option<String>,
    /// Whether the key expires at `expireDate`. If false, it never expires.
    has_expire_time: bool,
    /// Role of the key: USER 0, BILLING 1, WORKSPACES 2 or ADMINISTRATOR 254; at most the caller's own.
    #[oai(validator(minimum(value = "0"), maximum(value = "254")))]
    role_id: i64,
    /// Ids of the projects that the key is restricted to: up to 100. An empty list makes it valid for the whole
    /// organization. If left out, they stay as they are.
    #[oai(validator(max_items = 100, max_length = 44))]
    list_projects_id: Option<Vec<String>>,
    /// Whether the key is disabled. If left out, it stays as it is.
    disabled: Option<bool>,
    /// Free-text note: up to 250 characters. If left out, it stays as it is.
    #[oai(validator(max_length = 250, pattern = r"^[^\x00-\x1f\x7f]*$"))]
    note: Option<String>,
}

/// How to rotate an API key.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiKeyRotateRequest {
    /// Seconds for which both keys are valid: 0 to 2592000 (30 days).
    #[oai(validator(minimum(value = "0"), maximum(value = "2592000")))]
    overlap_seconds: i64,
}

/// An API key.
#[derive(Object, Serialize)]
#[oai(rename = "ApiKey", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiKeyItem {
    /// Id of the key.
    api_key_id: i32,
    /// Name of the key.
    api_key_name: String,
    /// Masked secret: its first and last characters.
    api_key: String,
    /// Start of validity.
    start_date: Timestamp,
    /// End of validity. Null if the key never expires.
    #[oai(nullable)]
    expire_date: Option<Timestamp>,
    /// Whether the key expires.
    has_expire_time: bool,
    /// Projects that the key is restricted to, newest first. Empty if it is valid for the whole organization.
    projects_name_list: Vec<ProjectName>,
    /// Role of the key, as a number.
    role_id: u8,
    /// Time of the last use, which is recorded up to a minute late. Null if the key was never used.
    #[oai(nullable)]
    last_used: Option<Timestamp>,
    /// Client address of the last use. Null if there is none.
    #[oai(nullable)]
    last_used_address: Option<String>,
    /// Whether the key is disabled.
    disabled: bool,
    /// Free-text note.
    note: String,
    /// Time of creation.
    created_at: Timestamp,
    /// Id of the user who created the key, or rotated its predecessor. Null for keys from before this was recorded.
    #[oai(nullable)]
    created_by: Option<String>,
    /// First and last name of that user, who may be deleted. Null if `createdBy` is null.
    #[oai(nullable)]
    created_by_name: Option<String>,
}

/// A project that an API key is restricted to.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
struct ProjectName {
    /// Id of the project.
    public_id: String,
    /// Name of the project.
    name: String,
}

/// A created or changed API key.
#[derive(Object, Serialize)]
#[oai(rename = "ApiKeyResult", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiKeyMade {
    /// Id of the key.
    id: i32,
    /// Name of the key.
    name: String,
    /// The secret, `oka_...`, if the key was just created. Otherwise its first and last characters.
    api_key: String,
    /// Start of validity.
    start_date: Timestamp,
    /// End of validity. Null if the key never expires.
    #[oai(nullable)]
    expire_date: Option<Timestamp>,
    /// Whether the key expires.
    has_expire_time: bool,
    /// Role of the key, as a number.
    role_id: u8,
}

wrapped!(
    /// The API keys, newest first.
    ApiKeyListAnswer,
    Vec<ApiKeyItem>
);
wrapped!(
    /// An API key after the operation. A new key includes its secret, which cannot be retrieved again.
    ApiKeyAnswer,
    ApiKeyMade
);

impl CreateRequest {
    pub(super) fn parse(self) -> Result<Request, InvalidField> {
        let key = self.user_api_key;
        let start = key.start_date_time.as_deref().map(|time| parse_time("startDateTime", time)).transpose()?;
        Ok(Request {
            name: parse_name("apiName", &key.api_name)?,
            note: parse_note(&self.note.unwrap_or_default())?,
            role: parse_role(self.role_id)?,
            start,
            end: end("expireDateTime", key.has_expire_time, key.expire_date_time.as_deref())?,
            projects: parse_projects(&self.list_projects_id)?,
        })
    }
}

impl ApiKeyChangeRequest {
    pub(super) fn parse(self) -> Result<ApiKeyPatch, InvalidField> {
        let start = parse_time("startDate", &self.start_date)?;
        let end = end("expireDate", self.has_expire_time, self.expire_date.as_deref())?;
        Ok(ApiKeyPatch {
            id: ApiKeyId::from_number(self.id),
            name: parse_name("name", &self.name)?,
            note: self.note.as_deref().map(parse_note).transpose()?,
            role: parse_role(self.role_id)?,
            window: Window::new(start, end, "expireDate")?,
            disabled: self.disabled,
            projects: self.list_projects_id.as_deref().map(parse_projects).transpose()?,
        })
    }
}

impl ApiKeyRotateRequest {
    pub(super) fn parse(self) -> Result<Duration, InvalidField> {
        parse_overlap(self.overlap_seconds)
    }
}

/// Parses the end of a key, if it has one.
fn end(field: &'static str, has_end: bool, value: Option<&str>) -> Result<Option<Time>, InvalidField> {
    match (has_end, value) {
        // The value is ignored, but its length is limited.
        (false, value) => text::at_most(field, value.unwrap_or_default(), 64).map(|()| None),
        (true, Some(time)) => parse_time(field, time).map(Some),
        (true, None) => Err(InvalidField::new(field, "is required when hasExpireTime is true")),
    }
}

pub(super) fn page(page: ApiKeyPage) -> Vec<ApiKeyItem> {
    let ApiKeyPage { keys, names, creators, .. } = page;
    let item = |key: ApiKey| {
        let project = |id| ProjectName { public_id: format!("{id}"), name: names.get(id).cloned().unwrap_or_default() };
        ApiKeyItem {
            api_key_id: key.standing.id.number(),
            api_key_name: key.name,
            api_key: key.mask,
            start_date: Timestamp(key.standing.start),
            expire_date: key.standing.expire.map(Timestamp),
            has_expire_time: key.standing.expire.is_some(),
            projects_name_list: key.standing.projects.iter().rev().map(project).collect(),
            role_id: key.standing.role.number(),
            last_used: key.last_used.map(Timestamp),
            last_used_address: key.last_address,
            disabled: key.standing.disabled,
            note: key.note,
            created_at: Timestamp(key.created_at),
            created_by: key.created_by.map(|user| user.to_string()),
            created_by_name: key.created_by.and_then(|user| creators.get(&user).cloned()),
        }
    };
    keys.into_iter().map(item).collect()
}

/// Returns a key with its secret or, in its place, the mask.
pub(super) fn made(key: &ApiKey, secret: &str) -> ApiKeyMade {
    ApiKeyMade {
        id: key.standing.id.number(),
        name: key.name.clone(),
        api_key: secret.to_owned(),
        start_date: Timestamp(key.standing.start),
        expire_date: key.standing.expire.map(Timestamp),
        has_expire_time: key.standing.expire.is_some(),
        role_id: key.standing.role.number(),
    }
}
