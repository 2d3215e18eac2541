//! What goes over the wire of a verification? A verdict, in the answer for services and in the headers for proxies.

use poem::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use poem::{IntoResponse, Request, RequestBody, Response};
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::{Example, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, Object};
use serde::{Deserialize, Serialize};

use crate::actions::error::{Error, Kind};
use crate::actions::verification::{Asked, Verified, Wish};
use crate::api::auth;
use crate::api::envelope::{Failure, Family, WrappedFailure, failure};
use crate::api::timestamp::Timestamp;
use crate::crypto::secret::{self, TokenDigest};
use crate::domain::api_key::Verdict;
use crate::domain::id::ProjectId;
use crate::domain::role::Role;

/// A key, and what it is to be good for.
#[derive(Object, Deserialize)]
#[oai(rename = "VerifyApiKey", rename_all = "camelCase", skip_serializing_if_is_none, example)]
#[serde(rename_all = "camelCase")]
pub struct VerifyRequest {
    /// The key, `oka_...`.
    #[oai(validator(max_length = 200))]
    pub api_key: String,
    /// The id of a project that the key must be good for.
    #[oai(validator(max_length = 100))]
    pub project_id: Option<String>,
    /// The least role that the key must have: USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254, OWNER 255.
    pub role: Option<i64>,
}

impl VerifyRequest {
    /// What is asked of the key.
    pub fn asked(&self) -> Result<Asked, Error> {
        let role = self.role.map(|number| {
            let invalid = || Error::new(Kind::Invalid, "INVALID_FIELD", "role must be 0, 1, 2, 254 or 255");
            Role::from_number(number).ok_or_else(invalid)
        });
        let project = Wish::read(self.project_id.as_deref().filter(|id| !id.is_empty()), ProjectId::parse);
        Ok(Asked { project, role: role.transpose()?.map_or(Wish::None, Wish::This) })
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
#[oai(rename = "ApiKeyVerificationAnswer", rename_all = "camelCase", example)]
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
    pub fn of(verified: &Verified) -> Self {
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

impl Example for VerifyRequest {
    fn example() -> Self {
        let api_key = "oka_0123456789abcdefghijABCDEFGHIJ0dYE1d".to_owned();
        Self { api_key, project_id: None, role: Some(0) }
    }
}

impl Example for VerificationAnswer {
    fn example() -> Self {
        let result = Verification {
            valid: true,
            code: "VALID".to_owned(),
            api_key_id: Some(7),
            organization_id: Some("org-018d0b6a-5c80-7000-8000-000000000001".to_owned()),
            role_id: Some(0),
            projects: vec!["project-018d0b6a-5c80-7000-8000-000000000004".to_owned()],
            expire_date: None,
        };
        let messages = vec![sentence(Verdict::Valid).to_owned()];
        Self { success: true, errors: Vec::new(), messages, result, result_info: "VALID".to_owned(), status_code: 200 }
    }
}

const fn sentence(verdict: Verdict) -> &'static str {
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

/// The digest of the key that a client presented to a proxy; `None` where there is none, or none of the right shape.
pub struct Presented(pub Option<TokenDigest>);

impl<'a> ApiExtractor<'a> for Presented {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        auth::register_both(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![auth::API_KEY, auth::BEARER]
    }

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> poem::Result<Self> {
        Ok(Self(presented(request.headers()).and_then(|key| secret::Kind::ApiKey.digest(key))))
    }
}

/// `x-api-key` wins; two of one header are no key at all.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let one = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        Some((values.next()?, values.next().is_none()))
    };
    match (one(HeaderName::from_static(auth::X_API_KEY)), one(header::AUTHORIZATION)) {
        (Some((value, true)), _) => value.to_str().ok().map(str::trim),
        (Some((_, false)), _) | (None, None | Some((_, false))) => None,
        (None, Some((value, true))) => auth::bearer(value.to_str().ok()?),
    }
}

/// Bytes that the answer for a key of some projects has room in, so that it does not grow step by step.
const BODY: usize = 512;

/// What a proxy is told: to let a request through, or not.
pub struct Door {
    /// What was found.
    pub verified: Verified,
    /// What is wrong with the question itself, for whoever sets the proxy up.
    pub hint: Option<&'static str>,
}

/// Each with what it says; always there.
const HEADERS: [(HeaderName, &str); 4] = [
    (HeaderName::from_static("x-orgkeys-organization"), "The id of the key's organization; empty unless it is valid."),
    (HeaderName::from_static("x-orgkeys-key"), "The key's id; empty unless it is valid."),
    (HeaderName::from_static("x-orgkeys-role"), "The number of the key's role; empty unless it is valid."),
    (
        HeaderName::from_static("x-orgkeys-projects"),
        "The ids of the projects that the key is for, separated by commas; empty for the whole organization, and unless it is valid.",
    ),
];

impl IntoResponse for Door {
    fn into_response(self) -> Response {
        let Self { verified, hint } = self;
        let mut response = match verified.verdict {
            Verdict::Valid => {
                let mut body = Vec::with_capacity(BODY);
                let written = serde_json::to_writer(&mut body, &VerificationAnswer::of(&verified));
                debug_assert!(written.is_ok(), "a verdict is text and numbers");
                let mut response = Response::from(body);
                response.headers_mut().reserve(HEADERS.len() + 4);
                let json = HeaderValue::from_static("application/json; charset=utf-8");
                response.headers_mut().insert(header::CONTENT_TYPE, json);
                response
            }
            verdict => {
                let status = match verdict {
                    Verdict::WrongProject | Verdict::InsufficientRole => StatusCode::FORBIDDEN,
                    _ => StatusCode::UNAUTHORIZED,
                };
                let said = hint.unwrap_or(sentence(verdict));
                failure(Family::Wrapped, status, Failure::new(verdict.code(), said.to_owned()))
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for ((name, _), value) in HEADERS.into_iter().zip(said(&verified)) {
            headers.insert(name, value);
        }
        response
    }
}

/// The values of [`HEADERS`].
fn said(verified: &Verified) -> [HeaderValue; 4] {
    let Some(key) = verified.standing().filter(|_| verified.verdict == Verdict::Valid) else {
        return [const { HeaderValue::from_static("") }; 4];
    };
    let text = |text: String| HeaderValue::from_maybe_shared(text).unwrap_or(HeaderValue::from_static(""));
    let projects = key.projects.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    [text(key.org.to_string()), key.id.number().into(), u16::from(key.role.number()).into(), text(projects)]
}

impl ApiResponse for Door {
    fn meta() -> MetaResponses {
        let one = |status, description, schema| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType { content_type: "application/json", schema }],
            headers: HEADERS.iter().map(|(name, description)| documented(name.as_str(), description)).collect(),
        };
        let refused = Json::<WrappedFailure>::schema_ref;
        let responses = vec![
            one(200, "Let the request through.", Json::<VerificationAnswer>::schema_ref()),
            one(401, "No key, or not a good one: NOT_FOUND, NOT_YET_VALID, EXPIRED or DISABLED.", refused()),
            one(403, "A good key, but not for this: WRONG_PROJECT or INSUFFICIENT_ROLE.", refused()),
        ];
        MetaResponses { responses }
    }

    fn register(registry: &mut Registry) {
        <Json<VerificationAnswer> as Payload>::register(registry);
        <Json<WrappedFailure> as Payload>::register(registry);
    }
}

fn documented(name: &str, description: &str) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: true,
        deprecated: false,
        schema: String::schema_ref(),
    }
}
