//! Writes JSON response bodies.

use poem::http::{HeaderValue, header};
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use serde::Serialize;

/// A JSON response body. [`Serialize`] writes it, and [`Type`] describes it in the document.
pub struct Json<T>(pub T);

/// The content type of JSON responses.
pub const CONTENT_TYPE: &str = "application/json; charset=utf-8";

/// Initial capacity of a body, in bytes: enough for most responses.
const CAPACITY: usize = 512;

/// Writes a value as JSON and ends it with a newline, so that it is a line of its own in a terminal and in a file.
pub fn body(value: &impl Serialize) -> Vec<u8> {
    let mut body = Vec::with_capacity(CAPACITY);
    let written = serde_json::to_writer(&mut body, value);
    debug_assert!(written.is_ok(), "a response has nothing that JSON cannot express");
    body.push(b'\n');
    body
}

impl<T: Serialize + Send> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut response = Response::from(body(&self.0));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        response
    }
}

impl<T: Type> Payload for Json<T> {
    const CONTENT_TYPE: &'static str = CONTENT_TYPE;

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type> ApiResponse for Json<T> {
    fn meta() -> MetaResponses {
        let response = MetaResponse {
            description: "",
            status: Some(200),
            status_range: None,
            content: vec![MetaMediaType { content_type: CONTENT_TYPE, schema: T::schema_ref() }],
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Sample {
        text: &'static str,
        null: Option<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        absent: Option<u8>,
    }

    #[tokio::test]
    async fn a_response_is_one_line_of_json() {
        let response = Json(Sample { text: "a\nb", null: None, absent: None }).into_response();
        assert_eq!(response.content_type(), Some("application/json; charset=utf-8"));
        let body = response.into_body().into_string().await.expect("text");
        assert_eq!(body, "{\"text\":\"a\\nb\",\"null\":null}\n");
    }
}
