//! Answers reverse proxies that ask whether to let a request through, before anything else is done with the request.

use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{IntoResponse, Request, RequestBody, Response};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, OperationId};
use url::form_urlencoded;

use super::wire::{VerificationAnswer, sentence};
use crate::actions::verification::{self, Asked, Requirement, VerifiedKey};
use crate::api::http::auth;
use crate::api::http::envelope::{Failure, Family, WrappedFailure, failure};
use crate::api::http::json::{self, Json};
use crate::api::http::metrics::Metrics;
use crate::api::http::observe::origin;
use crate::api::http::receive;
use crate::crypto::secret;
use crate::domain::api_key::Verdict;
use crate::domain::id::{OrgId, ProjectId};
use crate::domain::role::Role;
use crate::engine::app::App;

const PATH: &str = "/api/api-keys/verify";
const OPERATION: OperationId = OperationId("verifyPresentedApiKey");

/// Returns the response to a proxy. A proxy asks for every request that it serves, so this is called more often than all
/// operations together, and routing would cost more than the response itself. The body is not read.
pub fn respond(app: &App, metrics: &Metrics, request: &Request) -> Option<Response> {
    if request.method() != Method::GET || request.uri().path() != PATH {
        return None;
    }
    let mut response = answer(app, metrics, request).into_response();
    response.set_data(OPERATION);
    if receive::announces_body(request) {
        // The body is not read, so the connection cannot be reused.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Some(response)
}

// What is wrong with a query, for whoever configures the proxy.
const NO_ORGANIZATION: &str =
    "The query does not name a valid organization: configure the proxy to send ?organization=<organization id>";
const UNKNOWN: &str = "The query has an unknown parameter: send only organization, project and role";
const EMPTY: &str = "A query parameter is empty: leave it out, or configure the proxy to send a value";
const TWICE: &str = "A query parameter appears twice: send organization, project and role at most once each";
const NO_ROLE: &str = "The query's role is not valid: role must be 0, 1, 2, 254 or 255";

/// Verifies the key that a client presented.
pub fn answer(app: &App, metrics: &Metrics, request: &Request) -> Door {
    let nothing = Asked { project: Requirement::None, role: Requirement::None };
    let (org, asked, hint) = match question(request.uri().query().unwrap_or_default()) {
        Ok((org, asked)) => (Some(org), asked, None),
        // Without an organization no key is found.
        Err(hint) => (None, nothing, Some(hint)),
    };
    let key = presented(request.headers()).and_then(|key| secret::SecretKind::ApiKey.digest(key));
    let verified = verification::present(app, org, key, asked, origin(request));
    metrics.verified(verified.verdict);
    Door { verified, hint }
}

/// Parses a proxy's query. What the server does not understand might be a limit that somebody relies on, so it is an
/// error: the text says which.
pub fn question(query: &str) -> Result<(OrgId, Asked), &'static str> {
    let (mut organization, mut project, mut role) = (None, None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let parameter = match &*name {
            "organization" => &mut organization,
            "project" => &mut project,
            "role" => &mut role,
            _ => return Err(UNKNOWN),
        };
        if value.is_empty() {
            return Err(EMPTY);
        }
        if parameter.replace(value).is_some() {
            return Err(TWICE);
        }
    }
    let org = organization.as_deref().and_then(OrgId::parse).ok_or(NO_ORGANIZATION)?;
    let number = |role: &str| role.parse().ok().and_then(Role::from_number).ok_or(NO_ROLE);
    let role = role.as_deref().map(number).transpose()?.map_or(Requirement::None, Requirement::Is);
    Ok((org, Asked { project: Requirement::read(project.as_deref(), ProjectId::parse), role }))
}

/// Declares the security schemes in the document. The credential itself is read by [`answer`].
pub struct Presented;

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

    async fn from_request(_: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> poem::Result<Self> {
        Ok(Self)
    }
}

/// Returns the presented key. `x-api-key` takes precedence, unless it is empty, as some proxies send it; a header that is
/// there twice counts as no key.
pub fn presented(headers: &HeaderMap) -> Option<&str> {
    let one = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        Some((values.next()?, values.next().is_none()))
    };
    match (one(HeaderName::from_static(auth::X_API_KEY)), one(header::AUTHORIZATION)) {
        (Some((value, true)), _) if !value.is_empty() => value.to_str().ok().map(str::trim),
        (Some((_, false)), _) | (_, None | Some((_, false))) => None,
        (_, Some((value, true))) => auth::bearer(value.to_str().ok()?),
    }
}

/// The response to a proxy.
pub struct Door {
    /// The verdict.
    pub verified: VerifiedKey,
    /// What is wrong with the query, for whoever configures the proxy.
    pub hint: Option<&'static str>,
}

/// The headers of every response, with their descriptions.
const HEADERS: [(HeaderName, &str); 4] = [
    (HeaderName::from_static("x-orgkeys-organization"), "Id of the key's organization. Empty unless the key is valid."),
    (HeaderName::from_static("x-orgkeys-key"), "Id of the key. Empty unless the key is valid."),
    (HeaderName::from_static("x-orgkeys-role"), "Role of the key, as a number. Empty unless the key is valid."),
    (
        HeaderName::from_static("x-orgkeys-projects"),
        "Ids of the projects that the key is restricted to, separated by commas. Empty if the key is valid for the whole organization, or is not valid.",
    ),
];

impl IntoResponse for Door {
    fn into_response(self) -> Response {
        let Self { verified, hint } = self;
        let mut response = match verified.verdict {
            Verdict::Valid => {
                let mut response = Response::from(json::body(&VerificationAnswer::of(&verified)));
                response.headers_mut().reserve(HEADERS.len() + 4);
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(json::CONTENT_TYPE));
                response
            }
            verdict => {
                let status = match verdict {
                    Verdict::WrongProject | Verdict::InsufficientRole => StatusCode::FORBIDDEN,
                    _ => StatusCode::UNAUTHORIZED,
                };
                let message = hint.unwrap_or(sentence(verdict));
                failure(Family::Wrapped, status, Failure::new(verdict.code(), message.to_owned()))
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for ((name, _), value) in HEADERS.into_iter().zip(header_values(&verified)) {
            headers.insert(name, value);
        }
        response
    }
}

/// Returns the values of [`HEADERS`].
fn header_values(verified: &VerifiedKey) -> [HeaderValue; 4] {
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
            headers: [(header::CACHE_CONTROL, "Always `no-store`.")]
                .iter()
                .chain(&HEADERS)
                .map(|(name, description)| documented(name.as_str(), description))
                .collect(),
        };
        let refused = Json::<WrappedFailure>::schema_ref;
        let responses = vec![
            one(200, "The key is valid.", Json::<VerificationAnswer>::schema_ref()),
            one(401, "There is no valid key.", refused()),
            one(403, "The key is not valid for this request.", refused()),
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
