//! What does an answer look like from outside? Two families of envelopes, told apart by the path.

use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::Object;
use poem_openapi::types::ToJSON;

/// Which published platform's envelope a path answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `{success, message, ...}`: everything outside `/api/`.
    Flat,
    /// The same, with the code of a failure under a second name too: login, refresh and logout.
    SignIn,
    /// `{success, errors, messages, result, resultInfo, statusCode}`: everything under `/api/`.
    Wrapped,
}

impl Family {
    /// The family that `path` belongs to.
    #[must_use]
    pub fn of(path: &str) -> Self {
        match path {
            "/user/login" | "/user/refresh" | "/user/logout" => Self::SignIn,
            path if path == "/api" || path.starts_with("/api/") => Self::Wrapped,
            _ => Self::Flat,
        }
    }
}

/// A failure, the same for every call.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Failure {
    /// Always false.
    pub success: bool,
    /// A sentence for people.
    pub message: String,
    /// A stable word in capitals, for programs. On login, refresh and logout it is in `error_code` as well.
    pub error_code: String,
    /// What to do about it; on signed calls only.
    #[oai(skip_serializing_if_is_none)]
    pub error_message: Option<String>,
    /// The same as `errorCode`, on login, refresh and logout only.
    #[oai(rename = "error_code", skip_serializing_if_is_none)]
    pub error_code_again: Option<String>,
}

impl Failure {
    /// A failure with its code and a sentence.
    pub fn new(code: &str, message: String) -> Self {
        Self { success: false, message, error_code: code.to_owned(), error_message: None, error_code_again: None }
    }
}

/// The success of a call that has nothing to give but its word.
#[derive(Clone, Debug, Object)]
pub struct Done {
    /// Always true.
    pub success: bool,
    /// What was done.
    pub message: String,
}

impl Done {
    /// It was done.
    pub fn because(message: impl Into<String>) -> Self {
        Self { success: true, message: message.into() }
    }
}

/// A failure under `/api/`, the same for every call there.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct WrappedFailure {
    /// Always false.
    pub success: bool,
    /// At least one sentence for people.
    pub errors: Vec<String>,
    /// Always empty.
    pub messages: Vec<String>,
    /// Always null.
    #[oai(nullable)]
    pub result: Option<String>,
    /// A stable word in capitals, for programs.
    pub result_info: String,
    /// The status of the answer.
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

/// Declares the success of a call under `/api/`, which answers with `$result`.
macro_rules! wrapped {
    ($(#[$doc:meta])* $name:ident, $result:ty) => {
        $(#[$doc])*
        #[derive(poem_openapi::Object)]
        #[oai(rename_all = "camelCase")]
        pub struct $name {
            /// Always true.
            success: bool,
            /// Always empty.
            errors: Vec<String>,
            /// What was done.
            messages: Vec<String>,
            /// What was asked for.
            result: $result,
            /// Always empty.
            result_info: String,
            /// The status of the answer.
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
    /// It is gone.
    DeletedAnswer,
    bool
);

impl DeletedAnswer {
    /// It was taken away.
    pub(in crate::api) fn because(message: &str) -> Self {
        Self::new(200, message, true)
    }
}

/// The code of a failure, beside its response: it is counted.
#[derive(Clone, Debug)]
pub struct Code(pub String);

/// A failure as a response, in the envelope of its family.
#[must_use]
pub fn failure(family: Family, status: StatusCode, failure: Failure) -> Response {
    let code = Code(failure.error_code.clone());
    let body = match family {
        Family::Flat => failure.to_json(),
        Family::SignIn => Failure { error_code_again: Some(failure.error_code.clone()), ..failure }.to_json(),
        Family::Wrapped => WrappedFailure::of(status, &failure).to_json(),
    };
    let body = body.unwrap_or_default();
    let mut response = poem::web::Json(body).into_response();
    response.set_status(status);
    response.set_data(code);
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
