//! The API document: equal to the code, and complete enough for validators, generators and Swagger UI.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::{env, fs};

use hyper::{Method, StatusCode};
use orgkeys::api::Apis;
use orgkeys::api::http::document;
use poem_openapi::OpenApi;
use serde_json::{Map, Value, json};

use crate::contract::{DOCUMENT, misfit, resolve};
use crate::harness::Server;

/// Every operation of the document with its method and path.
pub fn operations() -> Vec<(&'static str, &'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().expect("paths").iter();
    let operations = paths.flat_map(|(path, item)| {
        let operations = item.as_object().expect("operations").iter();
        operations.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    });
    operations.collect()
}

/// The operations that write nothing, not even an audit entry, so that a full disk cannot make them fail.
pub const WRITES_NOTHING: [&str; 5] = ["verifyApiKey", "verifyPresentedApiKey", "getServer", "getHealth", "getMetrics"];

/// Visits `value` and every value below it, with its path.
pub fn walk(place: &str, value: &'static Value, take: &mut impl FnMut(&str, &'static Value)) {
    take(place, value);
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| walk(&format!("{place}/{key}"), value, take)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| walk(&format!("{place}/{index}"), value, take));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_file_is_the_document() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/orgkeys.json");
    if env::var_os("BLESS").is_some() {
        fs::write(&path, document::text()).expect("written");
    }
    let file = fs::read_to_string(&path).expect("the file");
    assert!(file == document::text(), "openapi/orgkeys.json is not what the code says: run this test with BLESS=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_serves_the_document() {
    let server = Server::start().await;
    let answer = server.call(Method::GET, "/openapi.json", None).await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (StatusCode::OK, &"application/json".parse().expect("a value"))
    );
    assert!(answer.body == document::text());
}

#[test]
fn the_document_has_exactly_the_operations_of_the_code() {
    let mut coded = BTreeSet::new();
    let mut count = 0;
    for path in Apis::meta().into_iter().flat_map(|api| api.paths) {
        for operation in path.operations {
            count += 1;
            coded.insert((operation.method.as_str().to_lowercase(), path.path.clone()));
        }
    }
    let written: Vec<_> =
        operations().iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(written.len(), count);
    assert_eq!(written.into_iter().collect::<BTreeSet<_>>(), coded);
}

#[test]
fn every_operation_has_an_id_tag_description_and_security() {
    let mut ids = HashSet::new();
    let tags: Vec<_> = DOCUMENT["tags"].as_array().expect("tags").iter().map(|tag| &tag["name"]).collect();
    for (method, path, operation) in operations() {
        let name = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no operationId"));
        assert!(ids.insert(id), "{id} is there twice");
        let camel = id.starts_with(|c: char| c.is_ascii_lowercase()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
        assert!(camel && id.contains(|c: char| c.is_ascii_uppercase()), "{id} is not a verb and a noun in camelCase");
        let own = operation["tags"].as_array().expect("tags");
        assert!(own.len() == 1 && tags.contains(&&own[0]), "{name} has {own:?}");
        for field in ["summary", "description"] {
            assert!(operation[field].as_str().is_some_and(|text| !text.is_empty()), "{name} has no {field}");
        }
        assert!(operation["security"].is_array(), "{name} does not state its credentials");
        let variables = path.split('/').filter(|segment| segment.starts_with('{')).count();
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        assert_eq!(parameters.iter().filter(|parameter| parameter["in"] == "path").count(), variables, "{name}");
        assert!(parameters.iter().all(|parameter| parameter["description"].is_string()), "{name}");
    }
}

#[test]
fn every_operation_lists_its_error_responses() {
    for (method, path, operation) in operations() {
        let answers = operation["responses"].as_object().expect("answers");
        let name = operation["operationId"].as_str().expect("an id");
        // A proxy gets yes or no and nothing else.
        let mut wanted = if name == "verifyPresentedApiKey" { vec![] } else { vec!["500"] };
        if !WRITES_NOTHING.contains(&name) {
            wanted.push("503");
        }
        if operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty()) {
            // Any valid credential may verify keys, without a rate limit.
            let free = path == "/api/api-keys/verify";
            wanted.extend(if free { &["401"][..] } else { &["401", "403", "429"] });
        }
        if operation["requestBody"].is_object() {
            wanted.extend(["400", "408", "413", "415"]);
        }
        for status in wanted {
            assert!(answers.contains_key(status), "{method} {path} has no {status}");
        }
        assert_eq!(answers.contains_key("503"), !WRITES_NOTHING.contains(&name), "{method} {path}");
        assert!(answers.keys().all(|status| status.parse::<u16>().is_ok()), "{method} {path} has a range of statuses");
        // The credential is a password or a refresh token in the body.
        let in_body = ["createWebSession", "loginUser", "refreshSession"].contains(&name);
        // The metrics need no credential on this machine.
        let named = operation["security"] != json!([]) || in_body || path == "/metrics";
        assert!(named || !answers.contains_key("401"), "{method} {path} does not name the credential that it wants");
        for (status, answer) in answers {
            assert!(answer["description"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path} {status}");
            if status.starts_with(['4', '5']) {
                let schema = &answer["content"]["application/json"]["schema"]["$ref"];
                let wrapped = if path.starts_with("/api/") { "Wrapped" } else { "" };
                assert_eq!(*schema, format!("#/components/schemas/{wrapped}Failure"), "{method} {path} {status}");
            }
        }
    }
}

#[test]
fn request_and_response_examples_match_their_schemas() {
    let mut count = 0;
    for (method, path, operation) in operations() {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if let Some(example) = parameter.get("example") {
                assert_eq!(misfit("", example, &parameter["schema"]), None, "{method} {path}: {}", parameter["name"]);
            }
        }
        let bodies = operation.get("requestBody").into_iter();
        let answers = operation["responses"].as_object().expect("answers").values();
        let media = bodies.chain(answers).filter_map(|holder| holder["content"].as_object()).flat_map(Map::values);
        for media in media {
            let schema = resolve(&media["schema"]);
            let example = media.get("example").unwrap_or_else(|| panic!("{method} {path} has no example: {schema}"));
            assert_eq!(misfit("", example, schema), None, "{method} {path}");
            count += 1;
        }
    }
    assert!(count > operations().len(), "only {count} were checked");
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().expect("schemas") {
        if let Some(example) = schema.get("example") {
            assert_eq!(misfit("", example, schema), None, "{name}");
        }
    }
}

#[test]
fn the_document_avoids_what_generators_cannot_handle() {
    assert_eq!(DOCUMENT["openapi"], "3.0.3");
    let mut references = 0;
    walk("", &DOCUMENT, &mut |place, value| {
        if value.get("$ref").is_some_and(Value::is_string) {
            resolve(value);
            references += 1;
        }
        if let Some(content) = value.get("content").and_then(Value::as_object) {
            for name in content.keys() {
                assert!(!name.contains(';') && name.contains('/'), "{place}: the media type {name}");
            }
        }
        assert!(!value.is_null() || place.contains("/example/"), "{place} is null");
        for key in ["allOf", "anyOf", "oneOf"] {
            assert!(value.get(key).is_none(), "{place} has {key}, which generators handle badly");
        }
    });
    assert!(references > 50, "only {references} references were found");
    let schemas = DOCUMENT["components"]["schemas"].as_object().expect("schemas");
    for name in schemas.keys() {
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric()), "{name} is not a plain name, as generators need");
        let makes = name.strip_prefix("New");
        assert!(
            makes.is_none_or(|other| !schemas.contains_key(other)),
            "in Go, {name} is the constructor of the other schema"
        );
    }
    for (method, path, operation) in operations() {
        let names = operation["parameters"].as_array().into_iter().flatten().filter_map(|found| found["name"].as_str());
        let mut used = HashSet::new();
        for name in names {
            let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
            assert!(
                used.insert(plain.to_lowercase()),
                "{method} {path} has two parameters that generators call {name}"
            );
        }
    }
    let scheme = &DOCUMENT["components"]["securitySchemes"]["bearerAuth"];
    assert_eq!((&scheme["type"], &scheme["scheme"]), (&"http".into(), &"bearer".into()));
}

/// Fields and parameters without a limit, each for a reason.
const UNLIMITED: [&str; 1] = [
    // Longer values are truncated: clients send whatever a browser calls itself.
    "deviceInfo",
];

/// Whether a schema limits its values; the content of objects is checked separately.
fn is_limited(schema: &Value) -> bool {
    let says = |word: &str| schema.get(word).is_some();
    match schema["type"].as_str() {
        Some("string") => says("maxLength") || says("enum") || schema["format"] == "date-time",
        Some("integer") => says("minimum") && (says("maximum") || schema["format"] == "int64"),
        Some("array") => says("maxItems") && is_limited(resolved(&schema["items"])),
        _ => true,
    }
}

/// Like `resolve`, for a value that is not part of the document.
fn resolved(schema: &Value) -> &Value {
    let reference = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    reference.map_or(schema, |pointer| DOCUMENT.pointer(pointer).expect("a schema"))
}

/// Every field of a request body, with its schema.
pub fn sent(schema: &'static Value) -> Vec<(&'static str, &'static Value)> {
    let schema = resolve(schema);
    let own = schema["properties"].as_object().into_iter().flatten();
    let own = own.map(|(name, property)| (name.as_str(), resolve(property)));
    own.flat_map(|(name, property)| std::iter::once((name, property)).chain(sent(property))).collect()
}

#[test]
fn every_input_has_a_limit() {
    let (mut parameters, mut fields) = (0, 0);
    for (method, path, operation) in operations() {
        // A malformed id in a path names nothing, and a proxy gets yes or no: neither is ever called invalid.
        let judged =
            |parameter: &&Value| parameter["in"] != "path" && operation["operationId"] != "verifyPresentedApiKey";
        for parameter in operation["parameters"].as_array().into_iter().flatten().filter(judged) {
            assert!(is_limited(resolved(&parameter["schema"])), "{method} {path}: {parameter}");
            parameters += 1;
        }
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        for (name, schema) in sent(body).into_iter().filter(|(name, _)| !UNLIMITED.contains(name)) {
            assert!(is_limited(schema), "{method} {path}: {name} is {schema}");
            fields += 1;
        }
    }
    assert!(parameters > 20 && fields > 80, "only {parameters} parameters and {fields} fields were checked");
}

#[test]
fn an_unlimited_input_is_detected() {
    for (schema, limited) in [
        (json!({ "type": "string" }), false),
        (json!({ "type": "string", "maxLength": 1 }), true),
        (json!({ "type": "string", "pattern": "a*" }), false),
        (json!({ "type": "integer", "format": "int64" }), false),
        (json!({ "type": "integer", "format": "int64", "minimum": 0 }), true),
        (json!({ "type": "integer", "maximum": 1 }), false),
        (json!({ "type": "array", "items": { "type": "boolean" } }), false),
        (json!({ "type": "array", "maxItems": 1, "items": { "type": "string" } }), false),
        (json!({ "type": "array", "maxItems": 1, "items": { "type": "boolean" } }), true),
    ] {
        assert_eq!(is_limited(&schema), limited, "{schema}");
    }
}

#[test]
fn no_schema_is_duplicated_and_every_enum_is_named() {
    /// A schema without its texts for people.
    fn bare(schema: &Value) -> Value {
        match schema {
            Value::Object(map) => {
                let words = ["title", "description", "example"];
                // A field may have the name of such a text, but then it is an object.
                let rest =
                    map.iter().filter(|(key, value)| !words.contains(&key.as_str()) || value.get("type").is_some());
                rest.map(|(key, value)| (key.clone(), bare(value))).collect()
            }
            other => other.clone(),
        }
    }
    let schemas = DOCUMENT["components"]["schemas"].as_object().expect("schemas");
    for (index, (name, schema)) in schemas.iter().enumerate() {
        for (other, same) in schemas.iter().skip(index + 1) {
            assert_ne!(bare(schema), bare(same), "{name} and {other}");
        }
    }
    walk("", &DOCUMENT, &mut |place, value| {
        let named = place.strip_prefix("/components/schemas/").is_some_and(|name| !name.contains('/'));
        assert!(value["enum"].is_null() || named, "{place} is an enumeration without a name");
        let lone = value.as_object().is_none_or(|map| !map.contains_key("$ref") || map.len() == 1);
        assert!(lone, "{place} has keys beside a reference, which are ignored");
    });
}
