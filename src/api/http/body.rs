//! Reads JSON request bodies. Errors name the field and never repeat its value.

use poem::error::ResponseError;
use poem::http::{StatusCode, header};
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::DeserializeOwned;

use super::error;
use crate::engine::error::{Error, ErrorKind};

/// A JSON body.
pub struct Body<T>(pub T);

/// An optional JSON body.
pub struct OptionalBody<T>(pub Option<T>);

/// A body in a form that the server does not read. The text says what to send instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnsupportedBody(pub &'static str);

impl ResponseError for UnsupportedBody {
    fn status(&self) -> StatusCode {
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    }
}

impl<'a, T: Type + DeserializeOwned> ApiExtractor<'a> for Body<T> {
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
        parsed.map(Self).map_err(error::refused)
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

/// Reads the body, whose size and time are bounded by `receive`. An empty body is `None`.
async fn read<T: DeserializeOwned>(
    request: &Request,
    body: &mut RequestBody,
) -> poem::Result<Result<Option<T>, Error>> {
    let bytes = body.take()?.into_bytes().await?;
    if bytes.is_empty() {
        return Ok(Ok(None));
    }
    if !request.header(header::CONTENT_TYPE).is_some_and(is_json) {
        return Err(UnsupportedBody("The body must be JSON: send Content-Type: application/json").into());
    }
    if request.headers().get_all(header::CONTENT_ENCODING).iter().any(|coding| coding != "identity") {
        return Err(UnsupportedBody("The body is compressed (Content-Encoding): send it uncompressed").into());
    }
    Ok(parse(&bytes).map(Some))
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// Parses a body. The error names the field and never repeats its value.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    if let Some(problem) = encoding_problem(bytes) {
        return Err(invalid(problem.to_owned()));
    }
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

/// Returns why a body is not UTF-8 text without a byte order mark (RFC 8259, section 8.1).
fn encoding_problem(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xef, 0xbb, 0xbf, ..] => Some("The body begins with a byte order mark (BOM): send UTF-8 without it"),
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => Some("The body is UTF-16: send UTF-8"),
        [0x1f, 0x8b, ..] => Some("The body is compressed with gzip: send it uncompressed"),
        _ if str::from_utf8(bytes).is_err() => Some("The body is not UTF-8"),
        _ => None,
    }
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
    let expected = words(expected.split(" at line").next().unwrap_or_default());
    match path {
        "." if expected == "an object" => invalid("The body must be a JSON object".to_owned()),
        "." => invalid(format!("The body must be {expected} ({at})")),
        field => invalid(format!("{field} must be {expected} ({at})")),
    }
}

/// Translates the parser's name of a type into JSON's.
fn words(expected: &str) -> &str {
    match expected {
        "a sequence" => "an array",
        "a map" => "an object",
        "a boolean" => "true or false",
        _ if expected.starts_with("struct ") => "an object",
        "i32" => "a whole number from -2147483648 to 2147483647",
        "u32" => "a whole number from 0 to 4294967295",
        "i64" | "u8" | "u16" | "u64" => "a whole number",
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
    fn a_body_in_another_encoding_has_its_own_message() {
        let message = |body: &[u8]| parse::<Sample>(body).expect_err("another encoding").message;
        let utf_16 = |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        for (body, problem) in [
            ("\u{feff}{}".as_bytes(), "byte order mark"),
            (&utf_16("\u{feff}{}", u16::to_le_bytes), "UTF-16"),
            (&utf_16("\u{feff}{}", u16::to_be_bytes), "UTF-16"),
            (&[0x1f, 0x8b, 8, 0], "gzip"),
            (b"{\"ip\": \"\xff\"}", "not UTF-8"),
        ] {
            assert!(message(body).contains(problem), "{problem}");
        }
    }

    #[test]
    fn an_error_names_the_field_and_never_the_value() {
        let message = |body: &str| parse::<Sample>(body.as_bytes()).expect_err(body).message;
        assert_eq!(message(r#"{"count": 1}"#), "missing field ip");
        assert_eq!(message(r#"{"ip": 17}"#), "ip must be a string (line 1, column 9)");
        let secret = message(r#"{"ip": "a", "count": "okp_secret, expected x"}"#);
        assert_eq!(secret, "count must be a whole number from 0 to 4294967295 (line 1, column 45)");
        assert!(message(r#"{"ip": okp_secret}"#).starts_with("The body is not JSON"));
        assert!(message(r#"{"ip": "a", "ip": "b"}"#).starts_with("duplicate field ip"));
        assert!(message(r#"["a", 1]"#).contains("must be a JSON object"));
        assert!(message(&"[".repeat(60_000)).contains("must be a JSON object"));
        assert!(message(r#"{"ip": "a"} x"#).starts_with("The body is not JSON"));
        for other in ["1", "1.5", "true", "null", "\"ip\""] {
            assert_eq!(message(other), "The body must be a JSON object");
        }
    }
}
