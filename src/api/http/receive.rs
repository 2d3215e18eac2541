//! Receives the request body before anything else is done: at most 64 KiB, before the request's deadline. Also makes
//! the path readable.

use std::io;
use std::time::{Duration, Instant};

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use poem::Request;
use poem::error::ReadBodyError;
use poem::http::uri::{PathAndQuery, Uri};
use poem::http::{StatusCode, header};

/// Maximum size of a body in bytes.
pub const MOST: usize = 64 * 1024;

/// Time by which the whole request must be received. The listener sets it.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Instant);

/// Receives the body of a request.
pub async fn receive(request: &mut Request) -> poem::Result<()> {
    if let Some(readable) = readable(request.uri()) {
        *request.uri_mut() = readable;
    }
    if declared(request).is_some_and(|length| length > MOST as u64) {
        return Err(ReadBodyError::PayloadTooLarge.into());
    }
    if announces_body(request) {
        let deadline = request.data::<Deadline>().map_or_else(|| Instant::now() + Duration::from_secs(30), |at| at.0);
        let body = Limited::new(BoxBody::from(request.take_body()), MOST).collect();
        let body = tokio::time::timeout_at(deadline.into(), body).await;
        let body = body.map_err(|_| poem::Error::from_status(StatusCode::REQUEST_TIMEOUT))?;
        request.set_body(body.map_err(unreadable)?.to_bytes());
    }
    Ok(())
}

/// Returns the error for a body that is too long, or whose connection broke.
fn unreadable(error: Box<dyn std::error::Error + Send + Sync>) -> ReadBodyError {
    if error.is::<LengthLimitError>() {
        ReadBodyError::PayloadTooLarge
    } else {
        ReadBodyError::Io(io::Error::other(error))
    }
}

/// Returns whether a body follows the head.
pub fn announces_body(request: &Request) -> bool {
    declared(request).is_some_and(|length| length > 0) || request.headers().contains_key(header::TRANSFER_ENCODING)
}

fn declared(request: &Request) -> Option<u64> {
    request.header(header::CONTENT_LENGTH)?.parse().ok()
}

/// If the path is not UTF-8, returns the URI with `\u{fffd}` in place of each byte beyond ASCII. An id that cannot be
/// valid is then one that does not exist, like any other; the router alone would call it malformed.
fn readable(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if percent_encoding::percent_decode_str(path).decode_utf8().is_ok() {
        return None;
    }
    let mut pieces = path.split('%');
    let mut readable = pieces.next()?.to_owned();
    for piece in pieces {
        let beyond =
            piece.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).is_some_and(|byte| !byte.is_ascii());
        readable.push_str(if beyond { "%EF%BF%BD" } else { "%" });
        readable.push_str(if beyond { &piece[2..] } else { piece });
    }
    if let Some(query) = uri.query() {
        readable = format!("{readable}?{query}");
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(readable).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_are_not_utf8_are_rewritten() {
        let made = |text: &str| readable(&text.parse().expect("an address")).map(|uri| uri.to_string());
        assert_eq!(made("/organization/%FF%2Fa/key?x=%FF").as_deref(), Some("/organization/%EF%BF%BD%2Fa/key?x=%FF"));
        assert_eq!(made("/organization/%C3%A4/key?x=%FF"), None);
        assert_eq!(made("/organization/%/key"), None);
    }
}
