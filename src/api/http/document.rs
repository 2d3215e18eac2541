//! What does the OpenAPI document say? Exactly what the code says, written so that validators and generators take it (OpenAPI 3.0.3).
//!
//! The framework's own writer emits a path once for each group that has it, and readers keep only the last. So this
//! one works from the same registry, merges paths, and mends what generators stumble over.

mod examples;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use poem_openapi::OpenApi;
use poem_openapi::registry::{MetaOperation, MetaResponse, MetaTag, Registry};
use serde_json::{Map, Value, json};

use super::auth;
use crate::api::Apis;

const DESCRIPTION: &str = "Holds an organization's keys: administrators mint RSA keys, nodes prove themselves by \
    signing their registration with one, services present API keys and have them verified, and everything that is done \
    lands in an audit log.\n\n\
    Press **Authorize** and paste the access token that the first start printed into `bearerAuth`, then start with \
    `getProfile`: it gives the id of your organization. `orgkeys sign` makes the body of a node's registration.";

/// Headers whose names the framework writes in capitals.
const HEADERS: [&str; 10] = [
    "Cache-Control",
    "Content-Disposition",
    "Location",
    "X-Accel-Buffering",
    "X-Key-Id",
    "X-Orgkeys-Key",
    "X-Orgkeys-Organization",
    "X-Orgkeys-Projects",
    "X-Orgkeys-Role",
    "X-Total-Count",
];

static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));

/// The document as text: one for the file, the server, Swagger UI and the command line.
#[must_use]
pub fn text() -> &'static str {
    &TEXT
}

fn document() -> Value {
    let mut registry = Registry::new();
    Apis::register(&mut registry);
    let schemas = registry.schemas.iter().map(|(name, schema)| (name.clone(), mended(json!(schema))));
    let mut schemas: Map<String, Value> = schemas.collect();
    let paths = paths();
    keep_used(&mut schemas, &paths);
    allow_null(&mut schemas, &paths);
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "orgkeys",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "MIT OR Apache-2.0", "url": "https://spdx.org/licenses/MIT.html" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "bearerAuth": [] }],
        "tags": tags(&registry),
        "paths": paths,
        "components": { "schemas": schemas, "securitySchemes": security_schemes(&registry) },
    })
}

/// The schemes, that of people first: it is the one that readers look for.
fn security_schemes(registry: &Registry) -> Map<String, Value> {
    let mut schemes: Vec<_> = registry.security_schemes.iter().collect();
    schemes.sort_by_key(|(name, _)| **name != auth::BEARER);
    schemes.into_iter().map(|(name, scheme)| ((*name).to_string(), json!(scheme))).collect()
}

/// The groups in the order in which their operations come.
fn tags(registry: &Registry) -> Vec<&MetaTag> {
    let order = Apis::meta().into_iter().flat_map(|api| api.paths).flat_map(|path| path.operations);
    let order: Vec<&str> = order.flat_map(|operation| operation.tags).collect();
    let mut tags: Vec<_> = registry.tags.iter().collect();
    tags.sort_by_key(|tag| order.iter().position(|name| *name == tag.name));
    tags
}

fn paths() -> Value {
    let (mut paths, recorded) = (Map::new(), examples::recorded());
    for path in Apis::meta().into_iter().flat_map(|api| api.paths) {
        let family = if path.path.starts_with("/api/") { "wrapped" } else { "plain" };
        let operations = paths.entry(path.path).or_insert_with(|| json!({}));
        for operation in &path.operations {
            let mut written = self::operation(operation);
            examples::show(&mut written, &recorded, family);
            operations[operation.method.as_str().to_lowercase()] = written;
        }
    }
    Value::Object(paths)
}

fn operation(operation: &MetaOperation) -> Value {
    let mut written = json!(operation);
    if operation.security.is_empty() {
        written["security"] = json!([]);
    }
    for parameter in written.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        strip(parameter, &["deprecated", "explode"]);
    }
    let responses = &operation.responses.responses;
    written["responses"] =
        responses.iter().map(|response| (status(response), answer(response))).collect::<Map<_, _>>().into();
    mended(written)
}

fn status(response: &MetaResponse) -> String {
    match (response.status, &response.status_range) {
        (Some(status), _) => status.to_string(),
        (None, Some(range)) => range.clone(),
        (None, None) => "default".to_owned(),
    }
}

fn answer(response: &MetaResponse) -> Value {
    let mut written = json!(response);
    if response.description.is_empty() {
        written["description"] = json!("It was done.");
    }
    if let Some(Value::Object(headers)) = written.get_mut("headers").map(Value::take) {
        let named = headers.into_iter().map(|(name, mut header)| {
            strip(&mut header, &["deprecated"]);
            let known = HEADERS.iter().find(|known| known.eq_ignore_ascii_case(&name));
            (known.map_or(name, |known| (*known).to_owned()), header)
        });
        written["headers"] = named.collect::<Map<_, _>>().into();
    }
    if let Some(content) = written.get_mut("content").and_then(Value::as_object_mut) {
        let types = std::mem::take(content).into_iter();
        *content = types.map(|(name, media)| (name.split(';').next().unwrap_or_default().to_owned(), media)).collect();
    }
    written
}

/// Mends a value all the way down: the bounds of whole numbers are whole and those of unsigned ones are there, what may be
/// null is required, references are plain, and no field is there twice.
fn mended(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let whole = map.get("type").is_some_and(|of| of == "integer");
            let mend = |(key, value): (String, Value)| {
                let bound = whole && (key == "minimum" || key == "maximum");
                let value = if bound { integer(&value) } else { value };
                (key, mended(value))
            };
            let mut map: Map<_, _> = map.into_iter().map(mend).collect();
            bound_unsigned(&mut map);
            require_nullable(&mut map);
            fold_aliases(&mut map);
            plain_reference(&map).unwrap_or_else(|| map.into())
        }
        Value::Array(items) => items.into_iter().map(mended).collect(),
        other => other,
    }
}

/// The formats of unsigned numbers are the framework's own: their bounds say it to everybody.
fn bound_unsigned(schema: &mut Map<String, Value>) {
    let most = match schema.get("format").and_then(Value::as_str) {
        Some("uint8") => u32::from(u8::MAX),
        Some("uint16") => u32::from(u16::MAX),
        Some("uint32") => u32::MAX,
        _ => return,
    };
    schema.entry("minimum").or_insert(json!(0));
    schema.entry("maximum").or_insert(json!(most));
}

/// What may be null is always there: only answers have it, and they leave nothing of it out.
fn require_nullable(schema: &mut Map<String, Value>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let nullable = properties.iter().filter(|(_, property)| property["nullable"] == true);
    let names: Vec<Value> = nullable.map(|(name, _)| json!(name)).collect();
    if names.is_empty() {
        return;
    }
    if let Some(required) = schema.entry("required").or_insert_with(|| json!([])).as_array_mut() {
        required.extend(names);
    }
}

/// What may be left out of a request may be null in it as well: many clients write every field that they have.
fn allow_null(schemas: &mut Map<String, Value>, paths: &Value) {
    let operations = paths.as_object().into_iter().flat_map(Map::values).filter_map(Value::as_object);
    let bodies: Vec<&Value> = operations.flat_map(Map::values).filter_map(|of| of.get("requestBody")).collect();
    for name in reached(schemas, &json!(bodies)) {
        let Some(Value::Object(schema)) = schemas.get_mut(&name) else { continue };
        let required = schema.get("required").cloned().unwrap_or_default();
        let needed = |name: &String| required.as_array().is_some_and(|required| required.contains(&json!(name)));
        for (name, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
            if !needed(name) {
                property["nullable"] = json!(true);
            }
        }
    }
}

/// A field that has its name in two spellings, for clients of both, is one, and it is needed: generators make one name of
/// the two, twice. `x-alias` keeps the other.
fn fold_aliases(schema: &mut Map<String, Value>) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let mut folded = Vec::new();
    let snakes: Vec<String> = properties.keys().filter(|name| name.contains('_')).cloned().collect();
    for snake in snakes {
        if let Some(Value::Object(camel)) = properties.get_mut(&camel_case(&snake)) {
            camel.insert("x-alias".to_owned(), json!(snake));
            properties.remove(&snake);
            folded.push(json!(camel_case(&snake)));
        }
    }
    if folded.is_empty() {
        return;
    }
    // Said aloud, since some generators refuse by default what is not in a schema.
    schema.insert("additionalProperties".to_owned(), json!(true));
    if let Some(required) = schema.entry("required").or_insert_with(|| json!([])).as_array_mut() {
        folded.retain(|name| !required.contains(name));
        required.append(&mut folded);
    }
}

fn camel_case(snake: &str) -> String {
    let mut words = snake.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at_checked(1).unwrap_or_default();
        name + &initial.to_uppercase() + rest
    })
}

/// A reference that the framework wraps to describe it: generators take no `allOf` of what is not an object, and the schema
/// that it names has a description of its own.
fn plain_reference(schema: &Map<String, Value>) -> Option<Value> {
    let (reference, rest) = schema.get("allOf")?.as_array()?.split_first()?;
    let only_described = |map: &Map<String, Value>| map.keys().all(|key| key == "description" || key == "allOf");
    let described = rest.iter().all(|rest| rest.as_object().is_some_and(only_described));
    (only_described(schema) && described).then(|| reference.clone())
}

#[expect(clippy::cast_possible_truncation, reason = "bounds of our own fields, all far below 2^53")]
fn integer(bound: &Value) -> Value {
    bound.as_f64().map_or_else(|| bound.clone(), |bound| json!(bound as i64))
}

fn strip(value: &mut Value, keys: &[&str]) {
    if let Some(map) = value.as_object_mut() {
        map.retain(|key, value| !(keys.contains(&key.as_str()) && value.is_boolean()));
    }
}

/// Drops the schemas that no path leads to.
fn keep_used(schemas: &mut Map<String, Value>, paths: &Value) {
    let used = reached(schemas, paths);
    schemas.retain(|name, _| used.contains(name));
    schemas.sort_keys();
}

/// The names of the schemas that a part of the document leads to.
fn reached(schemas: &Map<String, Value>, from: &Value) -> BTreeSet<String> {
    let (mut text, mut found) = (from.to_string(), BTreeSet::new());
    loop {
        let named = |name: &String| text.contains(&format!("\"#/components/schemas/{name}\""));
        let new: Vec<_> = schemas.keys().filter(|name| !found.contains(*name) && named(name)).cloned().collect();
        if new.is_empty() {
            return found;
        }
        text = new.iter().map(|name| schemas[name].to_string()).collect();
        found.extend(new);
    }
}
