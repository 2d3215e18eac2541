//! A response of the server, and what a refusal means.

use hyper::HeaderMap;
use hyper::body::Bytes;
use serde_json::Value;

use super::failure::{Exit, Failure, Outcome};

/// A complete response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// The parts of a refusal in either of the API's two formats.
struct Refusal {
    message: String,
    code: String,
}

impl Answer {
    /// Returns a header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the body is JSON, by its content type.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.header("content-type").is_some_and(|media| media.starts_with("application/json"))
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> Outcome<Value> {
        serde_json::from_slice(&self.body).map_err(|_| {
            Failure::no_answer(
                "the answer is not JSON: is there an orgkeys server at this URL, or a proxy that answers itself?",
            )
        })
    }

    /// Returns the answer if it is a success, else why the server refused.
    pub fn accepted(self) -> Outcome<Self> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(self.failure()) }
    }

    /// Returns the error code of a refusal.
    #[must_use]
    pub fn error_code(&self) -> Option<String> {
        self.refusal().map(|refusal| refusal.code)
    }

    fn refusal(&self) -> Option<Refusal> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let code = text("errorCode").or_else(|| text("resultInfo")).filter(|code| !code.is_empty())?;
        let message = text("message").or_else(|| body["errors"][0].as_str()).unwrap_or("the server gave no reason");
        let remedy = text("errorMessage").filter(|remedy| !message.contains(remedy));
        let message = remedy.map_or_else(|| message.to_owned(), |remedy| format!("{message}. {remedy}"));
        Some(Refusal { message, code: code.to_owned() })
    }

    fn failure(&self) -> Failure {
        let request = self.header("x-request-id").map(|id| format!(", request {id}")).unwrap_or_default();
        let mut failure = match self.refusal() {
            Some(Refusal { message, code }) => {
                Failure::new(exit(self.status, &code), format!("{message} ({code}, status {}{request})", self.status))
            }
            None => self.foreign(&request),
        };
        failure.retry_after = self.header("retry-after").and_then(|seconds| seconds.trim().parse().ok());
        if let Some(seconds) = failure.retry_after {
            failure.message = format!("{}; try again in {seconds} s", failure.message);
        }
        failure
    }

    /// The failure of an answer that is not in the API's formats: a proxy's, or another program's.
    fn foreign(&self, request: &str) -> Failure {
        let status = self.status;
        if let Some(location) = self.header("location").filter(|_| (300..400).contains(&status)) {
            return Failure::no_answer(format!(
                "the server redirects to {location}, which is not followed: use the URL that it redirects to"
            ));
        }
        let exit = if matches!(status, 429 | 503) { Exit::TryAgain } else { Exit::NoAnswer };
        Failure::new(
            exit,
            format!(
                "the answer has status {status} and is not from orgkeys{request}: check the URL, and the proxy in front of \
                 the server"
            ),
        )
    }
}

/// Returns the exit code for a refusal.
fn exit(status: u16, code: &str) -> Exit {
    match status {
        401 => Exit::NotSignedIn,
        403 => Exit::Forbidden,
        404 => Exit::NotFound,
        409 => Exit::Conflict,
        _ if code.ends_with("_LIMIT_REACHED") => Exit::Conflict,
        408 | 429 | 503 => Exit::TryAgain,
        _ => Exit::Refused,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Failure {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Answer { status, headers: headers.collect(), body: Bytes::from_static(body.as_bytes()) }
            .accepted()
            .expect_err("a refusal")
    }

    #[test]
    fn refusals_are_told_in_the_servers_words() {
        let plain = r#"{"success":false,"message":"No such key","errorCode":"KEY_NOT_FOUND"}"#;
        let failure = answer(404, &[("x-request-id", "r-1")], plain);
        assert_eq!(failure.message, "No such key (KEY_NOT_FOUND, status 404, request r-1)");
        let wrapped =
            r#"{"success":false,"errors":["Slow down"],"messages":[],"result":null,"resultInfo":"TOO_MANY_REQUESTS"}"#;
        let failure = answer(429, &[("retry-after", "3")], wrapped);
        assert_eq!(failure.message, "Slow down (TOO_MANY_REQUESTS, status 429); try again in 3 s");
        assert_eq!((failure.exit, failure.retry_after), (Exit::TryAgain, Some(3)));
    }

    #[test]
    fn a_remedy_follows_the_message_unless_that_contains_it() {
        let told = |body| answer(400, &[], body).message;
        assert_eq!(
            told(r#"{"success":false,"message":"Too old","errorCode":"X","errorMessage":"sign again"}"#),
            "Too old. sign again (X, status 400)"
        );
        assert_eq!(
            told(r#"{"success":false,"message":"Too old: sign again","errorCode":"X","errorMessage":"sign again"}"#),
            "Too old: sign again (X, status 400)"
        );
        assert_eq!(
            told(r#"{"success":false,"errors":[],"resultInfo":"X"}"#),
            "the server gave no reason (X, status 400)"
        );
        // A date, which HTTP allows and the server does not send, is no number of seconds.
        let refusal = r#"{"message":"Later","errorCode":"X"}"#;
        for (given, seconds) in [(" 7 ", Some(7)), ("0", Some(0)), ("Wed, 21 Oct 2015 07:28:00 GMT", None)] {
            let failure = answer(503, &[("retry-after", given)], refusal);
            assert_eq!(
                (failure.retry_after, failure.message.contains("; try again in ")),
                (seconds, seconds.is_some())
            );
        }
    }

    #[test]
    fn only_a_status_from_200_to_299_is_accepted() {
        for (status, is_accepted) in [(199, false), (200, true), (204, true), (299, true), (300, false), (304, false)] {
            let answer = Answer { status, headers: HeaderMap::new(), body: Bytes::new() };
            assert_eq!(answer.accepted().is_ok(), is_accepted, "{status}");
        }
    }

    #[test]
    fn each_status_has_its_exit_code() {
        for (status, code, exit) in [
            (400, "INVALID_FIELD", Exit::Refused),
            (400, "KEY_LIMIT_REACHED", Exit::Conflict),
            (401, "NO_CREDENTIAL", Exit::NotSignedIn),
            (403, "ACCESS_DENIED", Exit::Forbidden),
            (404, "USER_NOT_FOUND", Exit::NotFound),
            (408, "REQUEST_TIMEOUT", Exit::TryAgain),
            (409, "LAST_OWNER", Exit::Conflict),
            (413, "BODY_TOO_LARGE", Exit::Refused),
            (429, "TOO_MANY_REQUESTS", Exit::TryAgain),
            (500, "INTERNAL_ERROR", Exit::Refused),
            (503, "STORAGE_FULL", Exit::TryAgain),
        ] {
            assert_eq!(super::exit(status, code), exit, "{status} {code}");
        }
    }

    #[test]
    fn answers_of_others_are_no_answer() {
        assert_eq!(answer(404, &[], "<html>").exit, Exit::NoAnswer);
        assert_eq!(answer(401, &[], "{}").exit, Exit::NoAnswer);
        assert_eq!(answer(502, &[], "").exit, Exit::NoAnswer);
        assert_eq!(answer(503, &[], "<html>").exit, Exit::TryAgain);
        assert_eq!(answer(429, &[], "").exit, Exit::TryAgain);
        assert_eq!(answer(400, &[], r#"{"message":"No","errorCode":""}"#).exit, Exit::NoAnswer);
        assert!(!answer(404, &[("location", "https://a/")], "").message.contains("redirects"));
        assert!(answer(502, &[("x-request-id", "r-1")], "").message.contains("orgkeys, request r-1: check"));
        assert!(answer(301, &[("location", "https://a/")], "").message.contains("redirects to https://a/"));
    }
}
