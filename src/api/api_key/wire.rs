//! What is sent and said of API keys? The names are those of the published platform, whose clients send them.

use std::time::Duration;

use poem_openapi::Object;
use serde::Deserialize;

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

/// What a new API key is to be.
#[derive(Object, Deserialize)]
#[oai(rename = "NewApiKeyRequest", rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateRequest {
    /// The ids of the projects that it is for, up to 100; an empty list: the whole organization.
    #[oai(validator(max_items = 100, max_length = 44))]
    list_projects_id: Vec<String>,
    /// What it may do: USER 0, BILLING 1, WORKSPACES 2 or ADMINISTRATOR 254, at most the caller's own role.
    #[oai(validator(minimum(value = "0"), maximum(value = "254")))]
    role_id: i64,
    /// The key itself.
    user_api_key: UserApiKey,
    /// What people should know of it: up to 250 characters.
    #[oai(validator(max_length = 250, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    note: Option<String>,
}

/// The name and the dates of a new API key.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
struct UserApiKey {
    /// What people call it: 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    api_name: String,
    /// Whether it ends at `expireDateTime`; false: it never ends by itself.
    has_expire_time: bool,
    /// It is valid from this moment on, RFC 3339 with an offset; from now on if left out.
    start_date_time: Option<Moment>,
    /// It is valid before this moment, RFC 3339 with an offset. Ignored where `hasExpireTime` is false.
    #[oai(validator(max_length = 64))]
    expire_date_time: Option<String>,
}

/// What an API key is to be from now on.
#[derive(Object, Deserialize)]
#[oai(rename = "ApiKeyChangeRequest", rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChangeRequest {
    /// The key's id.
    #[oai(validator(minimum(value = "1"), maximum(value = "2147483647")))]
    id: i64,
    /// What people call it: 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    name: String,
    /// It is valid from this moment on, RFC 3339 with an offset.
    start_date: Moment,
    /// It is valid before this moment, RFC 3339 with an offset. Ignored where `hasExpireTime` is false.
    #[oai(validator(max_length = 64))]
    expire_date: Option<String>,
    /// Whether it ends at `expireDate`; false: it never ends by itself.
    has_expire_time: bool,
    /// What it may do: USER 0, BILLING 1, WORKSPACES 2 or ADMINISTRATOR 254, at most the caller's own role.
    #[oai(validator(minimum(value = "0"), maximum(value = "254")))]
    role_id: i64,
    /// The ids of the projects that it is for, up to 100; an empty list: the whole organization. As before if left out.
    #[oai(validator(max_items = 100, max_length = 44))]
    list_projects_id: Option<Vec<String>>,
    /// Whether it is switched off. As before if left out.
    disabled: Option<bool>,
    /// What people should know of it: up to 250 characters. As before if left out.
    #[oai(validator(max_length = 250, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    note: Option<String>,
}

/// How an API key is rotated.
#[derive(Object, Deserialize)]
#[oai(rename = "ApiKeyRotateRequest", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct RotateRequest {
    /// For how many seconds both keys are valid: 0 to 2592000, which is 30 days.
    #[oai(validator(minimum(value = "0"), maximum(value = "2592000")))]
    overlap_seconds: i64,
}

/// An API key.
#[derive(Object)]
#[oai(rename = "ApiKey", rename_all = "camelCase")]
pub(super) struct ApiKeyItem {
    /// The key's id.
    api_key_id: i32,
    /// What people call it.
    api_key_name: String,
    /// A mask: the secret's first and last characters.
    api_key: String,
    /// It is valid from this moment on.
    start_date: Timestamp,
    /// It is valid before this moment; null: for ever.
    #[oai(nullable)]
    expire_date: Option<Timestamp>,
    /// Whether it ends by itself.
    has_expire_time: bool,
    /// The projects that it is for, newest first; none: the whole organization.
    projects_name_list: Vec<ProjectName>,
    /// What it may do.
    role_id: u8,
    /// When it was last used, up to a minute late; null: never.
    #[oai(nullable)]
    last_used: Option<Timestamp>,
    /// From where; null if it never was.
    #[oai(nullable)]
    last_used_address: Option<String>,
    /// Whether it is switched off.
    disabled: bool,
    /// What people should know of it.
    note: String,
}

/// A project that an API key is for.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct ProjectName {
    /// The project's id.
    public_id: String,
    /// Its name.
    name: String,
}

/// An API key that was made or changed.
#[derive(Object)]
#[oai(rename = "ApiKeyResult", rename_all = "camelCase")]
pub(super) struct ApiKeyMade {
    /// The key's id.
    id: i32,
    /// What people call it.
    name: String,
    /// The secret where the key was made; else its first and its last characters.
    api_key: String,
    /// It is valid from this moment on.
    start_date: Timestamp,
    /// It is valid before this moment; null: for ever.
    #[oai(nullable)]
    expire_date: Option<Timestamp>,
    /// Whether it ends by itself.
    has_expire_time: bool,
    /// What it may do.
    role_id: u8,
}

wrapped!(
    /// The API keys, newest first.
    ApiKeyListAnswer,
    Vec<ApiKeyItem>
);
wrapped!(
    /// An API key as it is now: a new one with its secret, which exists nowhere else.
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

impl ChangeRequest {
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

impl RotateRequest {
    pub(super) fn parse(self) -> Result<Duration, InvalidField> {
        parse_overlap(self.overlap_seconds)
    }
}

/// The end of a key that has one.
fn end(field: &'static str, has_end: bool, value: Option<&str>) -> Result<Option<Time>, InvalidField> {
    match (has_end, value) {
        // It does not count, but it has a limit.
        (false, value) => text::at_most(field, value.unwrap_or_default(), 64).map(|()| None),
        (true, Some(time)) => parse_time(field, time).map(Some),
        (true, None) => Err(InvalidField::new(field, "must be given where hasExpireTime is true")),
    }
}

pub(super) fn page(page: ApiKeyPage) -> Vec<ApiKeyItem> {
    let ApiKeyPage { keys, names, .. } = page;
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
        }
    };
    keys.into_iter().map(item).collect()
}

/// A key with its secret, or with what is shown of it.
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
