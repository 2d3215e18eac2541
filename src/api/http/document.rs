//! Generates the OpenAPI 3.0.3 document from the code, in a form that validators and client generators accept.
//!
//! poem-openapi's own writer emits a path once for each group that has an operation on it, and parsers keep only the last.
//! This writer works from the same registry, merges such paths, and corrects what generators fail on.
//!
//! An operation's doc comment has the summary, the description, and a list of what each status means, which ends it:
//!
//! ```text
//! /// Delete a webhook
//! ///
//! /// Also deletes its pending deliveries. Requires ADMINISTRATOR or OWNER.
//! ///
//! /// Responses:
//! /// - 200: The webhook was deleted.
//! /// - 404: The organization has no webhook with this id (`WEBHOOK_NOT_FOUND`).
//! ```
//!
//! Statuses that mean the same everywhere (401, 408, 413, 415, 429, 500, 503) may be left out of the list.

mod constants;
mod examples;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use poem_openapi::registry::{MetaOperation, MetaResponse, MetaTag, Registry};
use poem_openapi::{OpenApi, Tags};
use serde_json::{Map, Value, json};

use super::auth;
use crate::api::{Apis, Group};

const DESCRIPTION: &str = "orgkeys holds an organization's keys. Administrators create RSA keys, and nodes sign their \
    registration with one to prove their identity. Services present API keys, which orgkeys verifies. Every action is \
    recorded in a tamper-evident audit log.\n\n\
    To try the API here, press **Authorize** and paste the access token that the server printed at its first start into \
    `bearerAuth`. The page then fills in your organization's id wherever a call needs it. In the examples, replace what \
    ends in three dots, such as `oka_...`. `orgkeys sign` prints the request body for `registerNode`.\n\n\
    **Roles.** Each user and each API key has one role: USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254 or OWNER 255. A \
    higher role includes all rights of the lower ones. You cannot grant, change or revoke a role above your own.\n\n\
    **Audit log.** A 2xx response means that the change and its audit entry have been committed to disk in one transaction. \
    Reads and denied requests are recorded too, except where an operation says otherwise.\n\n\
    **Text.** Every text contains at least one visible character, unless it is empty. It contains no control characters \
    (U+0000 to U+001F, U+007F to U+009F) and no bidirectional controls (U+202A to U+202E, U+2066 to U+2069). An e-mail \
    address contains no invisible characters at all. Patterns state only the part of these rules that concerns ASCII.\n\n\
    **Identifiers.** Ids are opaque strings. An organization that does not exist gets the same response as one that you do \
    not belong to.";

/// Starts the list of statuses in an operation's doc comment.
const RESPONSES: &str = "\n\nResponses:\n";

/// The spelling of response headers, whose names the framework writes in capitals.
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

/// Returns the document as JSON text, which the file, the server and Swagger UI share.
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
    constants::name_shared(&mut schemas);
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

/// Returns the security schemes, with access tokens first since most callers use one.
fn security_schemes(registry: &Registry) -> Map<String, Value> {
    let mut schemes: Vec<_> = registry.security_schemes.iter().collect();
    schemes.sort_by_key(|(name, _)| **name != auth::BEARER);
    schemes.into_iter().map(|(name, scheme)| ((*name).to_string(), json!(scheme))).collect()
}

/// Returns the tags in the order of their use, which is also the order in which Swagger UI shows them.
fn tags(registry: &Registry) -> Vec<&MetaTag> {
    let tag = |group: &Group| registry.tags.iter().find(|tag| tag.name == group.name());
    Group::IN_ORDER_OF_USE.iter().filter_map(tag).collect()
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
    let (description, meanings) = described(operation);
    written["description"] = json!(description);
    let responses = operation.responses.responses.iter().map(|response| {
        let status = response.status.map_or_else(|| "default".to_owned(), |status| status.to_string());
        let written = answer(response, meanings.get(status.as_str()));
        (status, written)
    });
    written["responses"] = responses.collect::<Map<_, _>>().into();
    mended(written)
}

/// Splits an operation's doc comment into the description and what each status means.
fn described(operation: &MetaOperation) -> (&'static str, BTreeMap<&'static str, String>) {
    let text = operation.description.unwrap_or_default();
    let (description, list) = text.split_once(RESPONSES).unwrap_or((text, ""));
    let items = list.strip_prefix("- ").into_iter().flat_map(|list| list.split("\n- "));
    let meanings = items.filter_map(|item| item.split_once(": "));
    (description, meanings.map(|(status, meaning)| (status, meaning.replace('\n', " "))).collect())
}

fn answer(response: &MetaResponse, meaning: Option<&String>) -> Value {
    let mut written = json!(response);
    if let Some(meaning) = meaning {
        written["description"] = json!(meaning);
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

/// Corrects a value recursively: bounds of integers become integers, unsigned integers get bounds, nullable fields become
/// required, references become plain, and a field with two spellings is listed once.
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

/// Adds the bounds of unsigned integers. Their formats are the framework's own, which other tools do not know.
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

/// Marks nullable fields as required. Only responses have them, and responses never leave them out.
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

/// Marks optional request fields as nullable, since many clients send every field that they know.
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

/// Folds the two spellings of a field into one required field, because generators derive the same name from both. `x-alias`
/// records the other spelling.
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
    // Stated explicitly, because some generators reject fields that a schema does not list.
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

/// Unwraps a reference that the framework put into an `allOf` to describe it. Generators do not support `allOf` of anything
/// but objects, and the referenced schema has a description of its own.
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

/// Drops the schemas that no path references.
fn keep_used(schemas: &mut Map<String, Value>, paths: &Value) {
    let used = reached(schemas, paths);
    schemas.retain(|name, _| used.contains(name));
    schemas.sort_keys();
}

/// Returns the names of all schemas that a part of the document references, directly or through other schemas.
fn reached(schemas: &Map<String, Value>, from: &Value) -> BTreeSet<String> {
    let (mut found, mut parts) = (BTreeSet::new(), vec![from]);
    while let Some(part) = parts.pop() {
        match part {
            Value::Array(items) => parts.extend(items),
            Value::Object(fields) => parts.extend(fields.values()),
            Value::String(text) => {
                let named = text.strip_prefix("#/components/schemas/").and_then(|name| schemas.get_key_value(name));
                if let Some((name, schema)) = named
                    && found.insert(name.clone())
                {
                    parts.push(schema);
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Statuses that mean the same for every operation, so that its doc comment need not explain them.
    const SHARED: [u16; 7] = [401, 408, 413, 415, 429, 500, 503];

    #[test]
    fn each_operation_describes_exactly_its_own_statuses() {
        for operation in Apis::meta().into_iter().flat_map(|api| api.paths).flat_map(|path| path.operations) {
            let name = operation.operation_id.unwrap_or_default();
            let (description, meanings) = described(&operation);
            assert!(!description.contains("- 2"), "{name}: a list that is not found");
            let statuses: Vec<_> =
                operation.responses.responses.iter().filter_map(|response| response.status).collect();
            for status in meanings.keys() {
                assert!(statuses.iter().any(|known| known.to_string() == *status), "{name} does not answer {status}");
            }
            for status in statuses.into_iter().filter(|status| !SHARED.contains(status)) {
                assert!(meanings.contains_key(status.to_string().as_str()), "{name} does not say what {status} means");
            }
        }
    }
}
