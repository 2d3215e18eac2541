//! Request and response bodies for API key verification.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use crate::actions::verification::{Asked, Requirement, VerifiedKey};
use crate::api::http::timestamp::Timestamp;
use crate::domain::api_key::Verdict;
use crate::domain::id::ProjectId;
use crate::domain::role::Role;
use crate::domain::text;
use crate::engine::error::{Error, ErrorKind};

/// An API key, and what it must be valid for.
#[derive(Object, Deserialize)]
#[oai(rename = "VerifyApiKey", rename_all = "camelCase", skip_serializing_if_is_none)]
#[serde(rename_all = "camelCase")]
pub struct VerifyRequest {
    /// API key to verify, `oka_...`: up to 200 bytes.
    #[oai(validator(max_length = 200))]
    pub api_key: String,
    /// Id of a project that the key must be valid for. If left out or empty: any.
    #[oai(validator(max_length = 100))]
    pub project_id: Option<String>,
    /// Minimum role of the key: USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254 or OWNER 255. Default: any.
    #[oai(validator(minimum(value = "0"), maximum(value = "255")))]
    pub role: Option<i64>,
}

impl VerifyRequest {
    /// Returns the parsed requirements on the key.
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

/// The verdict on an API key.
#[derive(Object, Serialize)]
#[oai(rename = "ApiKeyVerification", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
struct Verification {
    /// Whether the key is valid and meets the requirements.
    valid: bool,
    /// Verdict: `VALID`, `NOT_FOUND`, `NOT_YET_VALID`, `EXPIRED`, `DISABLED`, `WRONG_PROJECT` or `INSUFFICIENT_ROLE`.
    code: String,
    /// Id of the key. Null if it was not found.
    #[oai(nullable)]
    api_key_id: Option<i32>,
    /// Id of the key's organization. Null if the key was not found.
    #[oai(nullable)]
    organization_id: Option<String>,
    /// Role of the key, as a number. Null if the key was not found.
    #[oai(nullable)]
    role_id: Option<u8>,
    /// Ids of the projects that the key is restricted to. Empty if it is valid for the whole organization.
    projects: Vec<String>,
    /// End of validity. Null if the key never expires or was not found.
    #[oai(nullable)]
    expire_date: Option<Timestamp>,
}

/// The verdict on an API key, in the envelope of the paths under `/api/`.
#[derive(Object, Serialize)]
#[oai(rename = "ApiKeyVerificationAnswer", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct VerificationAnswer {
    /// Always true: the key was checked. The verdict is in `result`.
    success: bool,
    /// Always empty.
    errors: Vec<String>,
    /// The verdict in one sentence.
    messages: Vec<String>,
    /// The verdict.
    result: Verification,
    /// Same as `result.code`.
    result_info: String,
    /// Always 200.
    status_code: u16,
}

impl VerificationAnswer {
    /// Returns the response body for a verdict.
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

/// Returns a verdict as a sentence.
pub const fn sentence(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "The API key is valid",
        Verdict::NotFound => "There is no such API key in this organization",
        Verdict::NotYetValid => "The API key is not valid yet",
        Verdict::Expired => "The API key has expired",
        Verdict::Disabled => "The API key is disabled",
        Verdict::WrongProject => "The API key is not valid for this project",
        Verdict::InsufficientRole => "The API key's role is too low",
    }
}
