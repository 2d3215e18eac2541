//! Ends every JSON response with a newline, so that it is a line of its own in a terminal and in a file.

use poem::http::{HeaderValue, header};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

/// Middleware that ends JSON with a newline.
pub struct JsonLine;

/// An endpoint whose JSON ends with a newline.
pub struct JsonLines<E>(E);

impl<E: Endpoint> Middleware<E> for JsonLine {
    type Output = JsonLines<E>;

    fn transform(&self, inner: E) -> JsonLines<E> {
        JsonLines(inner)
    }
}

impl<E: Endpoint> Endpoint for JsonLines<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let mut response = self.0.call(request).await?.into_response();
        if !is_plain_json(&response) {
            return Ok(response);
        }
        let bytes = response.take_body().into_bytes().await?;
        let mut line = Vec::with_capacity(bytes.len() + 1);
        line.extend_from_slice(&bytes);
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            line.push(b'\n');
        }
        response.set_body(line);
        Ok(response)
    }
}

/// Returns whether the body is JSON as it stands, not compressed.
fn is_plain_json(response: &Response) -> bool {
    let headers = response.headers();
    let is_json = |content_type: &HeaderValue| content_type.as_bytes().starts_with(b"application/json");
    headers.get(header::CONTENT_TYPE).is_some_and(is_json) && !headers.contains_key(header::CONTENT_ENCODING)
}
