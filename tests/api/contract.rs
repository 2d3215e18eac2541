//! Checks every response that a test receives against the API document: whatever the document does not describe is a fault.

mod coverage;
mod schema;
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::str;
use std::sync::{LazyLock, Mutex};

use hyper::header::HeaderName;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use self::coverage::{note, note_fields};
pub use self::schema::{DOCUMENT, misfit, resolve};
use crate::harness::Answer;

/// Headers that any response may have: those of HTTP itself, of browsers, and of every request.
const COMMON_HEADERS: [&str; 11] = [
    "allow",
    "connection",
    "content-length",
    "content-type",
    "date",
    "retry-after",
    "transfer-encoding",
    "vary",
    "www-authenticate",
    "x-content-type-options",
    "x-request-id",
];

/// An operation of the document.
struct Operation {
    method: Method,
    path: &'static str,
    document: &'static Value,
}

/// Every operation by its path, literal segments before variables, as the router prefers them.
static OPERATIONS: LazyLock<Vec<(&'static str, Vec<Operation>)>> = LazyLock::new(|| {
    let operations = |path: &'static str, item: &'static Value| {
        let methods = item.as_object().expect("operations").iter();
        let operation = |(method, document): (&'static String, _)| {
            let method = method.to_uppercase().parse().expect("a method");
            Operation { method, path, document }
        };
        methods.map(operation).collect::<Vec<_>>()
    };
    let mut places = BTreeMap::<_, (_, Vec<_>)>::new();
    for (path, item) in DOCUMENT["paths"].as_object().expect("paths") {
        // `/organization/{idOrg}/key` and `/organization/{orgId}/nodes` name one variable differently.
        let shape: Vec<_> =
            path.split('/').map(|word| if variable(word) { (true, "") } else { (false, word) }).collect();
        places.entry(shape).or_insert_with(|| (path.as_str(), Vec::new())).1.extend(operations(path, item));
    }
    places.into_values().collect()
});

/// Fails unless the document permits this response to this request.
pub fn checked(method: &Method, path: &str, answer: Answer) -> Answer {
    let sniffed: Vec<_> = answer.headers.get_all("x-content-type-options").iter().collect();
    assert_eq!(sniffed, ["nosniff"], "{method} {path}: {answer:?}");
    if let Some(fault) = bad_line(&answer).or_else(|| bad_advice(path, &answer)) {
        panic!("{method} {path}: {fault}\n{answer:?}");
    }
    if let Err(fault) = judge(method, path, &answer) {
        panic!("the document does not say this of {method} {path}: {fault}\n{answer:?}");
    }
    answer
}

/// Every JSON response is one line.
fn bad_line(answer: &Answer) -> Option<&'static str> {
    let of = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
    if !of("content-type")?.starts_with("application/json")
        || of("content-encoding").is_some()
        || answer.body.is_empty()
    {
        return None;
    }
    if !answer.body.ends_with(b"\n") || answer.body.ends_with(b"\n\n") {
        return Some("the JSON does not end with one newline");
    }
    let counted = of("content-length").is_none_or(|length| length == answer.body.len().to_string());
    (!counted).then_some("the content length is wrong")
}

/// Nodes print `errorMessage` alone, so every error of a signed call has one.
fn bad_advice(path: &str, answer: &Answer) -> Option<&'static str> {
    let is_signed = matches!(path, "/register" | "/unregister" | "/secrets");
    if !is_signed || answer.status.is_success() || answer.body.is_empty() {
        return None;
    }
    let advice = answer.json()["errorMessage"].as_str().is_some_and(|advice| !advice.is_empty());
    (!advice).then_some("an error of a signed call has no errorMessage")
}

/// Like [`checked`], for a message on a stream, whose data is an event unless it is the last message. A message that many
/// receive is checked once.
pub fn check_message(id: &str, event: &str, data: &str) {
    static CHECKED: LazyLock<Mutex<HashSet<[String; 3]>>> = LazyLock::new(Mutex::default);
    if !CHECKED.lock().expect("the messages").insert([id, event, data].map(str::to_owned)) {
        return;
    }
    let stream = "/paths/~1organization~1{orgId}~1events~1stream/get/responses/200/content/text~1event-stream/schema";
    fits(&json!({ "id": id, "event": event, "data": data }), DOCUMENT.pointer(stream).expect("the stream's schema"))
        .expect("a message");
    if event != "end" {
        let data = serde_json::from_str(data).expect("JSON");
        fits(&data, &DOCUMENT["components"]["schemas"]["SystemEvent"]).expect("an event");
    }
}

/// Checks a value, and notes which of its fields occurred.
fn fits(value: &Value, schema: &'static Value) -> Result<(), String> {
    misfit("", value, schema).map_or(Ok(()), Err)?;
    note_fields(value, schema);
    Ok(())
}

fn judge(method: &Method, path: &str, answer: &Answer) -> Result<(), String> {
    let Some(operation) = operation(method, path) else { return beside(method, path, answer) };
    let status = answer.status.as_str();
    let responses = &operation.document["responses"];
    let Some(response) = responses.get(status) else {
        let early = is_early(answer) && !(is_of_a_body(answer) && operation.document["requestBody"].is_object());
        return if early { Ok(()) } else { Err(format!("the status {status}")) };
    };
    headers(response, answer)?;
    body(method, response, answer)?;
    let asked = format!("{} {} {status}", operation.method, operation.path);
    note(&asked);
    if !answer.status.is_success() && !answer.body.is_empty() {
        note(&format!("{asked} {}", answer.refusal().1));
    }
    Ok(())
}

fn variable(segment: &str) -> bool {
    segment.starts_with('{')
}

/// The documented operations of a path.
fn methods(path: &str) -> &'static [Operation] {
    let given: Vec<_> = path.split('/').collect();
    let fits = |known: &str| {
        let known: Vec<_> = known.split('/').collect();
        let fit = |(known, given): (&&str, &&str)| known == given || variable(known) && !given.is_empty();
        known.len() == given.len() && known.iter().zip(&given).all(fit)
    };
    OPERATIONS.iter().find(|(known, _)| fits(known)).map_or(&[], |(_, operations)| operations)
}

/// HEAD counts as GET without the body.
fn operation(method: &Method, path: &str) -> Option<&'static Operation> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    methods(path).iter().find(|operation| operation.method == *method)
}

/// Responses of paths that are not operations.
fn beside(method: &Method, path: &str, answer: &Answer) -> Result<(), String> {
    let refused = |code: &str| answer.refusal().1 == code;
    let known = match (answer.status.as_u16(), path) {
        // For people: the document itself, and the pages that display it.
        (200 | 303 | 304 | 404, path) if path == "/openapi.json" || path.starts_with("/docs") => true,
        (200 | 302 | 304 | 404, path) if path.starts_with("/console") => true,
        // A CORS preflight request.
        (204, _) if method == Method::OPTIONS => answer.headers.contains_key("access-control-allow-methods"),
        (404, path) => methods(path).is_empty() && (method == Method::HEAD || refused("NO_SUCH_PATH")),
        (405, _) => answer.headers.contains_key("allow") && (method == Method::HEAD || refused("METHOD_NOT_ALLOWED")),
        _ => false,
    };
    if known || is_early(answer) { Ok(()) } else { Err("neither an operation nor known beside them".to_owned()) }
}

/// Errors about a body where none is expected; where one is, the document has them too.
fn is_of_a_body(answer: &Answer) -> bool {
    matches!(answer.status, StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE)
}

/// What any request may get before it is clear what it asks for: it arrived too slowly, it is too large (even where no
/// body is expected), or its head is unreadable (hyper answers without a body) or not valid HTTP.
fn is_early(answer: &Answer) -> bool {
    match answer.status.as_u16() {
        400 if !answer.body.is_empty() => answer.refusal().1 == "INVALID_REQUEST",
        400 | 414 | 431 => answer.body.is_empty(),
        408 => answer.refusal().1 == "REQUEST_TIMEOUT",
        413 => answer.refusal().1 == "BODY_TOO_LARGE",
        _ => false,
    }
}

fn headers(response: &'static Value, answer: &Answer) -> Result<(), String> {
    let known: BTreeMap<String, &'static Value> =
        response["headers"].as_object().into_iter().flatten().map(|(name, of)| (name.to_lowercase(), of)).collect();
    for (name, header) in &known {
        let Some(value) = answer.headers.get(name) else {
            if header["required"] == true {
                return Err(format!("the header {name} is missing"));
            }
            continue;
        };
        let text = value.to_str().map_err(|_| format!("the header {name} is no text"))?;
        let schema = resolve(&header["schema"]);
        let value = if schema["type"] == "string" { text.into() } else { text.parse().unwrap_or(Value::Null) };
        misfit(&format!("the header {name}"), &value, schema).map_or(Ok(()), Err)?;
    }
    let common = |name: &str| COMMON_HEADERS.contains(&name) || name.starts_with("access-control-");
    let mut names = answer.headers.keys().map(HeaderName::as_str);
    let unknown = names.find(|name| !common(name) && !known.contains_key(*name));
    unknown.map_or(Ok(()), |name| Err(format!("the header {name}")))
}

fn body(method: &Method, response: &'static Value, answer: &Answer) -> Result<(), String> {
    let Some(content) = response["content"].as_object().filter(|_| method != Method::HEAD) else {
        return if answer.body.is_empty() { Ok(()) } else { Err("a body".to_owned()) };
    };
    let full = answer.headers.get("content-type").and_then(|of| of.to_str().ok()).unwrap_or_default();
    let media = full.split(';').next().unwrap_or_default().trim();
    let schema = &content.get(media).ok_or_else(|| format!("the media type {full:?}"))?["schema"];
    let value = match media {
        "application/json" => {
            serde_json::from_slice(&answer.body).map_err(|error| format!("a body that is {error}"))?
        }
        // Messages on a stream are checked where they are read.
        "text/event-stream" => return Ok(()),
        _ => str::from_utf8(&answer.body).map_err(|error| error.to_string())?.into(),
    };
    fits(&value, schema)
}
