//! Ends every JSON response with a newline, so that it is a line of its own in a terminal and in a file.

use poem::Response;
use poem::http::{HeaderValue, header};

/// Ends a response with a newline if it is JSON.
pub async fn end(response: &mut Response) -> poem::Result<()> {
    if !is_plain_json(response) {
        return Ok(());
    }
    let bytes = response.take_body().into_bytes().await?;
    let mut line = Vec::with_capacity(bytes.len() + 1);
    line.extend_from_slice(&bytes);
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        line.push(b'\n');
    }
    response.set_body(line);
    Ok(())
}

/// Returns whether the body is JSON as it stands, not compressed.
fn is_plain_json(response: &Response) -> bool {
    let headers = response.headers();
    let is_json = |content_type: &HeaderValue| content_type.as_bytes().starts_with(b"application/json");
    headers.get(header::CONTENT_TYPE).is_some_and(is_json) && !headers.contains_key(header::CONTENT_ENCODING)
}
