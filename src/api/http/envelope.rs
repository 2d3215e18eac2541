//! The envelopes of responses. There are two families, which the path determines.

use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::Object;
use serde::Serialize;

use super::json::Json;

/// The envelope of a path, each from one of the published platforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `{success, message, ...}`: all paths outside `/api/`.
    Flat,
    /// The same, with the error code under a second name too: login, refresh and logout.
    SignIn,
    /// The same, with advice in `errorMessage`, which is all that nodes print: the signed calls.
    Signed,
    /// `{success, errors, messages, result, resultInfo, statusCode}`: all paths under `/api/`.
    Wrapped,
}

impl Family {
    /// Returns the family of a path.
    #[must_use]
    pub fn of(path: &str) -> Self {
        match path {
            "/user/login" | "/user/refresh" | "/user/logout" => Self::SignIn,
            "/register" | "/unregister" | "/secrets" => Self::Signed,
            path if path == "/api" || path.starts_with("/api/") => Self::Wrapped,
            _ => Self::Flat,
        }
    }
}

/// An error. Every operation outside `/api/` uses this format.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Always false.
    pub success: bool,
    /// Human-readable message.
    pub message: String,
    /// Error code for programs: a stable word in capitals. On login, refresh and logout, `error_code` repeats it.
    pub error_code: String,
    /// What to do about the error. On every error of a signed call, and only there.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Same as `errorCode`. On login, refresh and logout only.
    #[oai(rename = "error_code", skip_serializing_if_is_none)]
    #[serde(rename = "error_code", skip_serializing_if = "Option::is_none")]
    pub error_code_again: Option<String>,
}

impl Failure {
    /// Creates an error with a code and a message.
    pub fn new(code: &str, message: String) -> Self {
        Self { success: false, message, error_code: code.to_owned(), error_message: None, error_code_again: None }
    }
}

/// Confirmation of an operation that returns no data.
#[derive(Clone, Debug, Object, Serialize)]
pub struct Done {
    /// Always true.
    pub success: bool,
    /// Human-readable confirmation.
    pub message: String,
}

impl Done {
    /// Creates a success with a message.
    pub fn because(message: impl Into<String>) -> Self {
        Self { success: true, message: message.into() }
    }
}

/// An error. Every operation under `/api/` uses this format.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct WrappedFailure {
    /// Always false.
    pub success: bool,
    /// At least one human-readable message.
    pub errors: Vec<String>,
    /// Always empty.
    pub messages: Vec<String>,
    /// Always null.
    #[oai(nullable)]
    pub result: Option<String>,
    /// Error code for programs: a stable word in capitals.
    pub result_info: String,
    /// HTTP status of the response.
    pub status_code: u16,
}

impl WrappedFailure {
    fn of(status: StatusCode, failure: &Failure) -> Self {
        Self {
            success: false,
            errors: vec![failure.message.clone()],
            messages: Vec::new(),
            result: None,
            result_info: failure.error_code.clone(),
            status_code: status.as_u16(),
        }
    }
}

/// Declares the success response of an operation under `/api/`, with `$result` as its result.
macro_rules! wrapped {
    ($(#[$doc:meta])* $name:ident, $result:ty) => {
        $(#[$doc])*
        #[derive(poem_openapi::Object, serde::Serialize)]
        #[oai(rename_all = "camelCase")]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            /// Always true.
            success: bool,
            /// Always empty.
            errors: Vec<String>,
            /// Human-readable confirmation.
            messages: Vec<String>,
            /// The result.
            result: $result,
            /// Always empty.
            result_info: String,
            /// HTTP status of the response.
            status_code: u16,
        }

        impl $name {
            pub(in crate::api) fn new(status_code: u16, message: &str, result: $result) -> Self {
                let (errors, messages) = (Vec::new(), vec![message.to_owned()]);
                Self { success: true, errors, messages, result, result_info: String::new(), status_code }
            }
        }
    };
}

pub(in crate::api) use wrapped;

wrapped!(
    /// Confirmation of a deletion.
    DeletedAnswer,
    bool
);

impl DeletedAnswer {
    /// Creates the confirmation of a deletion.
    pub(in crate::api) fn because(message: &str) -> Self {
        Self::new(200, message, true)
    }
}

/// The code of an error, attached to its response for the metrics.
#[derive(Clone, Debug)]
pub struct Code(pub String);

/// Returns an error as a response in the envelope of its family.
#[must_use]
pub fn failure(family: Family, status: StatusCode, failure: Failure) -> Response {
    let code = Code(failure.error_code.clone());
    let mut response = match family {
        Family::Flat => Json(failure).into_response(),
        Family::SignIn => {
            Json(Failure { error_code_again: Some(failure.error_code.clone()), ..failure }).into_response()
        }
        Family::Signed => {
            let advice = failure.error_message.or_else(|| Some(failure.message.clone()));
            Json(Failure { error_message: advice, ..failure }).into_response()
        }
        Family::Wrapped => Json(WrappedFailure::of(status, &failure)).into_response(),
    };
    response.set_status(status);
    response.set_data(code);
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
