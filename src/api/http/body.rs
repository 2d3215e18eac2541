//! Reads JSON request bodies. Errors name the field and never repeat its value.

use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::DeserializeOwned;

use super::error;
use crate::engine::error::{Error, ErrorKind};

/// A JSON body. On signed calls, its errors also have an `errorMessage`, which is what nodes print.
pub struct Body<T, const SIGNED: bool = false>(pub T);

/// An optional JSON body.
pub struct OptionalBody<T>(pub Option<T>);

impl<'a, T: Type + DeserializeOwned, const SIGNED: bool> ApiExtractor<'a> for Body<T, SIGNED> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(meta::<T>(true))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let parsed =
            read(request, body).await?.and_then(|value| value.ok_or_else(|| invalid("The body is empty".to_owned())));
        parsed.map(Self).map_err(|error| {
            let advice = error.message.clone();
            error::refused(if SIGNED { error.advising(advice) } else { error })
        })
    }
}

impl<'a, T: Type + DeserializeOwned> ApiExtractor<'a> for OptionalBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(meta::<T>(false))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        read(request, body).await?.map(Self).map_err(error::refused)
    }
}

fn meta<T: Type>(required: bool) -> MetaRequest {
    let content = vec![MetaMediaType { content_type: "application/json", schema: T::schema_ref() }];
    MetaRequest { description: None, content, required }
}

/// Reads the body, whose size and time the middleware has bounded. An empty body is `None`.
async fn read<T: DeserializeOwned>(
    request: &Request,
    body: &mut RequestBody,
) -> poem::Result<Result<Option<T>, Error>> {
    let bytes = body.take()?.into_bytes().await?;
    if bytes.is_empty() {
        return Ok(Ok(None));
    }
    if !request.header(header::CONTENT_TYPE).is_some_and(is_json) {
        return Err(poem_openapi::error::ContentTypeError::ExpectContentType.into());
    }
    Ok(parse(&bytes).map(Some))
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    // serde would read an array as the fields in their order, which no document specifies.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(invalid("The body must be a JSON object, not an array".to_owned()));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| explain(&error.path().to_string(), error.inner()))?;
    json.end().map_err(|error| explain(".", &error))?;
    Ok(value)
}

/// Describes an error without the value: the parser's text before `expected` may repeat it.
fn explain(path: &str, error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let at = format!("line {}, column {}", error.line(), error.column());
    if !error.is_data() {
        return invalid(format!("The body is not JSON ({at})"));
    }
    if let Some(start) = text.find("missing field `").or_else(|| text.find("duplicate field `")) {
        return invalid(text[start..].split(" at line").next().unwrap_or_default().replace('`', ""));
    }
    let expected = text.rsplit_once(", expected ").map_or("another value", |(_, expected)| expected);
    let expected = expected.split(" at line").next().unwrap_or_default();
    invalid(format!("{path} must be {} ({at})", words(expected)))
}

/// Translates the parser's name of a type into JSON's.
fn words(expected: &str) -> &str {
    match expected {
        "a sequence" => "an array",
        "a map" => "an object",
        "a boolean" => "true or false",
        _ if expected.starts_with("struct ") => "an object",
        "i32" | "i64" | "u8" | "u16" | "u32" | "u64" => "a whole number",
        _ => expected,
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Invalid, "INVALID_FIELD", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only its parsing is looked at")]
    struct Sample {
        ip: String,
        count: Option<u32>,
    }

    #[test]
    fn an_error_names_the_field_and_never_the_value() {
        let message = |body: &str| parse::<Sample>(body.as_bytes()).expect_err(body).message;
        assert_eq!(message(r#"{"count": 1}"#), "missing field ip");
        assert_eq!(message(r#"{"ip": 17}"#), "ip must be a string (line 1, column 9)");
        let secret = message(r#"{"ip": "a", "count": "okp_secret, expected x"}"#);
        assert_eq!(secret, "count must be a whole number (line 1, column 45)");
        assert!(message(r#"{"ip": okp_secret}"#).starts_with("The body is not JSON"));
        assert!(message(r#"{"ip": "a", "ip": "b"}"#).starts_with("duplicate field ip"));
        assert!(message(r#"["a", 1]"#).contains("must be a JSON object"));
        assert!(message(&"[".repeat(60_000)).contains("must be a JSON object"));
        assert!(message(r#"{"ip": "a"} x"#).starts_with("The body is not JSON"));
    }
}
