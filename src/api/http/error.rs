//! How is a failure said over HTTP? One exhaustive match from kinds to status codes, and the list of them in the document.

use poem::Response;
use poem::http::{HeaderValue, StatusCode, header};
use poem_openapi::ApiResponse;
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};

use super::envelope::{self, Failure, Family, WrappedFailure};
use crate::domain::text::InvalidField;
use crate::engine::error::{Error, ErrorKind};

/// The statuses that an operation may fail with, as a set of bits; server faults are in every one.
pub mod status {
    /// 400: the input cannot be taken.
    pub const BAD_REQUEST: u32 = 1;
    /// 401, 403 and 429: no good credential, a right too low, too many calls.
    pub const FORBIDDEN: u32 = 1 << 1;
    /// 404: there is no such thing.
    pub const NOT_FOUND: u32 = 1 << 2;
    /// 408, 413 and 415: the body does not arrive in time, is too large or not JSON.
    pub const BAD_BODY: u32 = 1 << 3;
    /// 429: too many calls.
    pub const RATE_LIMITED: u32 = 1 << 4;
    /// 401: no credential, or not a good one, where no right is asked for.
    pub const UNAUTHORIZED: u32 = 1 << 5;
    /// 409: it stands against something that is there.
    pub const CONFLICT: u32 = 1 << 6;
    /// The envelope is that of the paths under `/api/`.
    pub const WRAPPED: u32 = 1 << 7;
}

/// A failure of an operation that documents the statuses in `STATUSES`.
#[derive(Debug)]
pub struct ApiError<const STATUSES: u32>(Error);

/// The status code of a kind of failure.
#[must_use]
pub const fn code(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Denied => StatusCode::FORBIDDEN,
        ErrorKind::Missing => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What really happened, beside a response, for the log alone.
#[derive(Clone, Debug)]
pub struct Cause(pub String);

/// A failure as a response, with its cause beside it.
pub fn respond(family: Family, error: Error) -> Response {
    let failure = Failure { error_message: error.advice, ..Failure::new(error.code, error.message) };
    let mut response = envelope::failure(family, code(error.kind), failure);
    if let Some(wait) = error.retry_after {
        let seconds = HeaderValue::from(wait.as_millis().div_ceil(1_000).max(1).try_into().unwrap_or(u64::MAX));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    if let Some(cause) = error.cause {
        response.set_data(Cause(cause));
    }
    response
}

impl<const STATUSES: u32> From<Error> for ApiError<STATUSES> {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl<const STATUSES: u32> From<InvalidField> for ApiError<STATUSES> {
    fn from(invalid: InvalidField) -> Self {
        Self(invalid.into())
    }
}

impl<const STATUSES: u32> From<ApiError<STATUSES>> for poem::Error {
    fn from(fail: ApiError<STATUSES>) -> Self {
        refused(fail.0)
    }
}

/// An error on its way to the middleware that knows the path, and so the envelope.
pub fn refused(error: Error) -> poem::Error {
    let code = code(error.kind);
    poem::Error::new(error, code)
}

impl<const STATUSES: u32> ApiResponse for ApiError<STATUSES> {
    fn meta() -> MetaResponses {
        let listed = [
            (status::BAD_REQUEST, 400, "The input cannot be taken; the message says why."),
            (status::FORBIDDEN | status::UNAUTHORIZED, 401, "No credential, or not a good one."),
            (status::FORBIDDEN, 403, "The caller may not; other organizations and missing ones answer alike."),
            (status::NOT_FOUND, 404, "There is no such thing."),
            (status::BAD_BODY, 408, "The request was not received in time."),
            (status::CONFLICT, 409, "It stands against something that is there; the message says what."),
            (status::BAD_BODY, 413, "The body is larger than 64 KiB."),
            (status::BAD_BODY, 415, "The body is not application/json."),
            (status::FORBIDDEN | status::RATE_LIMITED, 429, "Too many calls; Retry-After says how long to wait."),
        ];
        let listed = listed.into_iter().filter(|(bit, ..)| STATUSES & bit != 0);
        let mut responses: Vec<_> = listed.map(|(_, status, text)| Self::response(Some(status), text)).collect();
        responses.push(Self::response(None, "A fault of the server, or no room to store; nothing was changed."));
        MetaResponses { responses }
    }

    fn register(registry: &mut Registry) {
        if STATUSES & status::WRAPPED == 0 {
            <Json<Failure> as Payload>::register(registry);
        } else {
            <Json<WrappedFailure> as Payload>::register(registry);
        }
    }
}

impl<const STATUSES: u32> ApiError<STATUSES> {
    fn response(status: Option<u16>, description: &'static str) -> MetaResponse {
        let wrapped = STATUSES & status::WRAPPED != 0;
        let schema = if wrapped { Json::<WrappedFailure>::schema_ref() } else { Json::<Failure>::schema_ref() };
        MetaResponse {
            description,
            status,
            status_range: status.is_none().then(|| "5XX".to_owned()),
            content: vec![MetaMediaType { content_type: "application/json", schema }],
            headers: Vec::new(),
        }
    }
}
