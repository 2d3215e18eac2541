//! Turns the framework's own errors into the API's envelopes and messages, which never repeat the input.

use poem::Response;
use poem::error::{MethodNotAllowedError, NotFoundError};
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem_openapi::error::{ParseParamError, ParsePathError};
use poem_openapi::{OpenApi, OperationId};

use super::body::UnsupportedBody;
use super::envelope::{self, Failure, Family};
use super::error;
use crate::api::Apis;
use crate::engine::error::Error;

/// Turns errors into responses.
pub struct Refusals(Paths);

impl Refusals {
    /// Creates it with the paths of the document.
    pub fn of_the_document() -> Self {
        Self(Paths::of_the_document())
    }

    /// Returns the response to a request of this path and method that ended in an error.
    pub fn respond(&self, path: &str, method: &Method, error: poem::Error) -> Response {
        if error.is_from_response() {
            return error.into_response();
        }
        let operation = error.data::<OperationId>().copied();
        let mut response = self.refuse(path, error);
        if let Some(operation) = operation.or_else(|| self.0.operation(path, method)) {
            response.set_data(operation);
        }
        response
    }

    fn refuse(&self, path: &str, error: poem::Error) -> Response {
        let family = Family::of(path);
        let error = match error.downcast::<Error>() {
            Ok(ours) => return error::respond(family, ours),
            Err(error) => error,
        };
        let (status, code, message) = describe(&error);
        if status.is_server_error() {
            return error::respond(family, Error::internal(error));
        }
        let mut response = envelope::failure(family, status, Failure::new(code, message));
        if status == StatusCode::METHOD_NOT_ALLOWED
            && let Ok(allow) = HeaderValue::from_str(&self.0.allow(path))
        {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        if matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
            // The rest of the body is not read, so the connection cannot be reused.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Returns the status, code and message of a framework error.
fn describe(error: &poem::Error) -> (StatusCode, &'static str, String) {
    if let Some(param) = error.downcast_ref::<ParseParamError>() {
        let name = param.name;
        let message = match broken_limit(&param.reason) {
            Some(limit) => format!("{name} must {limit}"),
            None => format!("The parameter {name} is invalid: see its description at /docs"),
        };
        return (StatusCode::BAD_REQUEST, "INVALID_FIELD", message);
    }
    if let Some(unsupported) = error.downcast_ref::<UnsupportedBody>() {
        return (error.status(), "UNSUPPORTED_MEDIA_TYPE", unsupported.to_string());
    }
    let (code, message) = if error.is::<NotFoundError>() {
        ("NO_SUCH_PATH", "No such path: see /docs")
    } else if error.is::<MethodNotAllowedError>() {
        ("METHOD_NOT_ALLOWED", "This path does not support this method: see the Allow header")
    } else if error.is::<ParsePathError>() || error.is::<poem::error::ParsePathError>() {
        ("INVALID_PATH", "The path is malformed")
    } else {
        match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ("BODY_TOO_LARGE", "The body is larger than 64 KiB"),
            StatusCode::REQUEST_TIMEOUT => ("REQUEST_TIMEOUT", "The request did not arrive in time"),
            StatusCode::TOO_MANY_REQUESTS => ("TOO_MANY_REQUESTS", "Too many requests"),
            _ => ("INVALID_REQUEST", "The request is malformed"),
        }
    };
    (error.status(), code, message.to_owned())
}

/// Describes the limit that a parameter violates, from the framework's text, such as `maximum(1000, exclusive: false)`.
fn broken_limit(reason: &str) -> Option<String> {
    let (limit, bound) = reason.strip_prefix("verification failed. ")?.split_once('(')?;
    let bound = bound.split([',', ')']).next()?;
    match limit {
        "minimum" => Some(format!("be at least {bound}")),
        "maximum" => Some(format!("be at most {bound}")),
        "maxLength" => Some(format!("be at most {bound} characters long")),
        "pattern" => Some("match the pattern in the API document".to_owned()),
        _ => None,
    }
}

/// Every path of the document with its methods.
struct Paths(Vec<(Vec<String>, Vec<Operation>)>);

/// A method and its operation id.
type Operation = (Method, Option<&'static str>);

impl Paths {
    fn of_the_document() -> Self {
        let mut paths: Vec<(Vec<String>, Vec<_>)> = Vec::new();
        for path in Apis::meta().into_iter().flat_map(|api| api.paths) {
            let segments: Vec<String> = path.path.split('/').map(str::to_owned).collect();
            let methods = path.operations.into_iter().map(|operation| (operation.method, operation.operation_id));
            match paths.iter_mut().find(|(known, _)| same(known, &segments)) {
                Some((_, known)) => known.extend(methods),
                None => paths.push((segments, methods.collect())),
            }
        }
        // Where a fixed segment and a variable both match, the router prefers the fixed one.
        paths.sort_by_key(|(segments, _)| segments.iter().map(|segment| is_variable(segment)).collect::<Vec<_>>());
        Self(paths)
    }

    fn methods(&self, path: &str) -> &[Operation] {
        let segments: Vec<&str> = path.split('/').collect();
        let found = self.0.iter().find(|(known, _)| {
            known.len() == segments.len()
                && known.iter().zip(&segments).all(|(known, given)| is_variable(known) || known == given)
        });
        found.map_or(&[], |(_, methods)| methods)
    }

    fn operation(&self, path: &str, method: &Method) -> Option<OperationId> {
        let (_, operation) = self.methods(path).iter().find(|(known, _)| known == method)?;
        operation.map(OperationId)
    }

    fn allow(&self, path: &str) -> String {
        let mut names: Vec<&str> = self.methods(path).iter().map(|(method, _)| method.as_str()).collect();
        if names.contains(&"GET") {
            names.push("HEAD");
        }
        if names.is_empty() { "GET, HEAD".to_owned() } else { names.join(", ") }
    }
}

fn is_variable(segment: &str) -> bool {
    segment.starts_with('{') || segment.starts_with(':')
}

fn same(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || (is_variable(a) && is_variable(b)))
}
