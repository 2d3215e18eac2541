//! What goes over the wire of a verification? A question, and a verdict.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use crate::actions::verification::{Asked, Requirement, VerifiedKey};
use crate::api::http::timestamp::Timestamp;
use crate::domain::api_key::Verdict;
use crate::domain::id::ProjectId;
use crate::domain::role::Role;
use crate::domain::text;
use crate::engine::error::{Error, ErrorKind};

/// A key, and what it is to be good for.
#[derive(Object, Deserialize)]
#[oai(rename = "VerifyApiKey", rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub struct VerifyRequest {
    /// The key, `oka_...`.
    #[oai(validator(max_length = 200))]
    pub api_key: String,
    /// The id of a project that the key must be good for.
    #[oai(validator(max_length = 100))]
    pub project_id: Option<String>,
    /// The least role that the key must have: USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254, OWNER 255.
    #[oai(validator(minimum(value = "0"), maximum(value = "255")))]
    pub role: Option<i64>,
}

impl VerifyRequest {
    /// What is asked of the key.
    pub fn asked(&self) -> Result<Asked, Error> {
        text::at_most("apiKey", &self.api_key, 200)?;
        text::at_most("projectId", self.project_id.as_deref().unwrap_or_default(), 100)?;
        let role = self.role.map(|number| {
            let invalid = || Error::new(ErrorKind::Invalid, "INVALID_FIELD", "role must be 0, 1, 2, 254 or 255");
            Role::from_number(number).ok_or_else(invalid)
        });
        let project = Requirement::read(self.project_id.as_deref().filter(|id| !id.is_empty()), ProjectId::parse);
        Ok(Asked { project, role: role.transpose()?.map_or(Requirement::None, Requirement::Is) })
    }
}

/// What was found of a key.
#[derive(Object, Serialize)]
#[oai(rename = "ApiKeyVerification", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
struct Verification {
    /// Whether the key is good for what was asked.
    valid: bool,
    /// `VALID`, `NOT_FOUND`, `NOT_YET_VALID`, `EXPIRED`, `DISABLED`, `WRONG_PROJECT` or `INSUFFICIENT_ROLE`.
    code: String,
    /// The key's id; null where there is no such key.
    #[oai(nullable)]
    api_key_id: Option<i32>,
    /// The organization's id.
    #[oai(nullable)]
    organization_id: Option<String>,
    /// The key's role.
    #[oai(nullable)]
    role_id: Option<u8>,
    /// The ids of the projects that the key is for; none: the whole organization.
    projects: Vec<String>,
    /// When the key ends; null: it does not end by itself.
    #[oai(nullable)]
    expire_date: Option<Timestamp>,
}

/// The verdict on a key.
#[derive(Object, Serialize)]
#[oai(rename = "ApiKeyVerificationAnswer", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct VerificationAnswer {
    /// Always true: the question was answered. The verdict is in the result.
    success: bool,
    /// Always empty.
    errors: Vec<String>,
    /// What was found, in a sentence.
    messages: Vec<String>,
    /// What was found.
    result: Verification,
    /// The same word as `result.code`.
    result_info: String,
    /// Always 200.
    status_code: u16,
}

impl VerificationAnswer {
    /// The verdict in words.
    pub fn of(verified: &VerifiedKey) -> Self {
        let (code, standing) = (verified.verdict.code().to_owned(), verified.standing());
        let result = Verification {
            valid: verified.verdict == Verdict::Valid,
            code: code.clone(),
            api_key_id: standing.map(|key| key.id.number()),
            organization_id: standing.map(|key| key.org.to_string()),
            role_id: standing.map(|key| key.role.number()),
            projects: standing.map(|key| key.projects.iter().map(ToString::to_string).collect()).unwrap_or_default(),
            expire_date: standing.and_then(|key| key.expire).map(Timestamp),
        };
        Self {
            success: true,
            errors: Vec::new(),
            messages: vec![sentence(verified.verdict).to_owned()],
            result,
            result_info: code,
            status_code: 200,
        }
    }
}

/// A verdict in a sentence.
pub const fn sentence(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "The API key is valid",
        Verdict::NotFound => "There is no such API key in this organization",
        Verdict::NotYetValid => "The API key is not valid yet",
        Verdict::Expired => "The API key has expired",
        Verdict::Disabled => "The API key was switched off",
        Verdict::WrongProject => "The API key is not for this project",
        Verdict::InsufficientRole => "The API key's role is too low",
    }
}
