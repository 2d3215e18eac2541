//! Maps an action's error to an HTTP response, and declares the error statuses of each operation in the OpenAPI document.

use poem::Response;
use poem::http::{HeaderValue, StatusCode, header};
use poem_openapi::ApiResponse;
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};

use super::envelope::{self, Failure, Family, WrappedFailure};
use super::json::Json;
use crate::domain::text::InvalidField;
use crate::engine::error::{Error, ErrorKind};

/// The error statuses of an operation, as a bit set. Every operation also has 500, and 503 unless it says otherwise.
pub mod status {
    /// 400: invalid request.
    pub const BAD_REQUEST: u32 = 1;
    /// 401, 403 and 429: missing or invalid credential, caller not allowed, rate limit reached.
    pub const FORBIDDEN: u32 = 1 << 1;
    /// 404: the resource does not exist.
    pub const NOT_FOUND: u32 = 1 << 2;
    /// 408, 413 and 415: the body does not arrive in time, is too large, or is not JSON.
    pub const BAD_BODY: u32 = 1 << 3;
    /// 429: rate limit reached.
    pub const RATE_LIMITED: u32 = 1 << 4;
    /// 401 alone: missing or invalid credential, in an operation that requires no right.
    pub const UNAUTHORIZED: u32 = 1 << 5;
    /// 409: conflict with the current state.
    pub const CONFLICT: u32 = 1 << 6;
    /// 410: the resource is gone for good.
    pub const GONE: u32 = 1 << 9;
    /// The error schema is that of the paths under `/api/`.
    pub const WRAPPED: u32 = 1 << 7;
    /// No 503: the operation writes nothing to the database, not even an audit entry.
    pub const WRITES_NOTHING: u32 = 1 << 8;
}

/// The error of an operation whose document declares the statuses in `STATUSES`.
#[derive(Debug)]
pub struct ApiError<const STATUSES: u32>(Error);

/// Returns the status code of a kind of error.
#[must_use]
pub const fn code(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Denied => StatusCode::FORBIDDEN,
        ErrorKind::Missing => StatusCode::NOT_FOUND,
        ErrorKind::Gone => StatusCode::GONE,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The cause of an internal error, attached to a response for the log. It is never sent.
#[derive(Clone, Debug)]
pub struct Cause(pub String);

/// Returns an error as a response, with its cause attached.
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

/// Wraps an error for the pipeline, which knows the path and so the envelope.
pub fn refused(error: Error) -> poem::Error {
    let code = code(error.kind);
    poem::Error::new(error, code)
}

// The descriptions of the statuses that mean the same for every operation.
const UNAUTHORIZED: &str = "The request has no credential, more than one, or one that is malformed, unknown, not yet valid, \
    expired or revoked. The error code says which.";
const RATE_LIMITED: &str = "A rate limit or quota was reached. `Retry-After` says how many seconds to wait.";
const INTERNAL: &str = "Internal error; nothing was changed. The cause is in the server's log, under the response's \
    `X-Request-Id`.";
const UNAVAILABLE: &str = "The server is overloaded (`STORAGE_BUSY`, `SERVER_BUSY`) or cannot commit to its database because \
    the disk is full (`STORAGE_FULL`). Reads fail, too, because each read is recorded in the audit log. Nothing was \
    changed. Retry after the number of seconds in `Retry-After`.";

impl<const STATUSES: u32> ApiResponse for ApiError<STATUSES> {
    fn meta() -> MetaResponses {
        let listed = [
            (status::BAD_REQUEST, 400, "The request is invalid. The message says why."),
            (status::FORBIDDEN | status::UNAUTHORIZED, 401, UNAUTHORIZED),
            (status::FORBIDDEN, 403, "The caller is not allowed to do this."),
            (status::NOT_FOUND, 404, "The resource does not exist."),
            (status::BAD_BODY, 408, "The request did not arrive completely within the server's `request_timeout`."),
            (status::CONFLICT, 409, "The request conflicts with the current state. The message says how."),
            (status::GONE, 410, "The resource is gone for good."),
            (status::BAD_BODY, 413, "The request body is larger than 64 KiB."),
            (status::BAD_BODY, 415, "The request body's content type is not `application/json`."),
            (status::FORBIDDEN | status::RATE_LIMITED, 429, RATE_LIMITED),
        ];
        let listed = listed.into_iter().filter(|(bit, ..)| STATUSES & bit != 0);
        let mut responses: Vec<_> = listed.map(|(_, status, text)| Self::response(status, text)).collect();
        responses.push(Self::response(500, INTERNAL));
        if STATUSES & status::WRITES_NOTHING == 0 {
            responses.push(Self::response(503, UNAVAILABLE));
        }
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
    fn response(status: u16, description: &'static str) -> MetaResponse {
        let wrapped = STATUSES & status::WRAPPED != 0;
        let schema = if wrapped { Json::<WrappedFailure>::schema_ref() } else { Json::<Failure>::schema_ref() };
        MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType { content_type: "application/json", schema }],
            headers: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_waits_as_long_as_it_is_told_does_not_retry_too_early() {
        for (millis, seconds) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2"), (59_001, "60")] {
            let error = Error::too_many(std::time::Duration::from_millis(millis), "slow down");
            let response = respond(Family::Flat, error);
            assert_eq!(response.header(header::RETRY_AFTER), Some(seconds), "{millis} ms");
        }
    }
}
