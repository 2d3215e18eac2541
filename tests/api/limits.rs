//! Every limit in the document is enforced: a value just beyond it is refused, and the field is named. And null counts as
//! absent where the document says so.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::contract::resolve;
use crate::harness::{Identity, Server};
use crate::openapi::operations;

/// Limits that are not enforced by a 400, each with the reason: operation, field.
const OTHERWISE: [(&str, &str); 7] = [
    // A malformed id names no organization.
    ("registerNode", "id_org"),
    ("unregisterNode", "id_org"),
    ("fetchSecrets", "id_org"),
    // An impossible number names no key.
    ("updateApiKey", "id"),
    ("updateProjectApiKey", "id"),
    // The example sends an invitation, so the password is not checked.
    ("createUser", "password"),
    // A proxy gets yes or no, never an error about the request.
    ("verifyPresentedApiKey", ""),
];

/// Fields that are required together with others in the example.
const WANTING: [&str; 4] = ["sendInvite", "expireDate", "expireDateTime", "ids"];

/// Values just beyond what a schema accepts.
fn beyond(schema: &'static Value) -> Vec<Value> {
    let schema = resolve(schema);
    let size = |word: &str| schema[word].as_u64().and_then(|size| usize::try_from(size).ok());
    let mut values = Vec::new();
    values.extend(size("maxLength").map(|most| json!("1".repeat(most + 1))));
    values.extend(size("minLength").map(|least| json!("1".repeat(least - 1))));
    values.extend(schema.get("pattern").map(|_| json!("\u{1}".repeat(size("minLength").unwrap_or(1)))));
    values.extend(schema.get("enum").map(|_| json!("ANOTHER")));
    values.extend(schema["minimum"].as_i64().map(|least| json!(least - 1)));
    values.extend(schema["maximum"].as_i64().map(|most| json!(most + 1)));
    values.extend(size("maxItems").map(|most| json!(vec![within(&schema["items"]); most + 1])));
    if schema["type"] == "array" {
        values.extend(beyond(&schema["items"]).into_iter().map(|value| json!([value])));
    }
    values
}

/// A value that the schema of a list's items accepts.
fn within(schema: &'static Value) -> Value {
    let schema = resolve(schema);
    match schema["type"].as_str() {
        Some("string") => json!("1"),
        Some("integer") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        other => panic!("a list of {other:?}"),
    }
}

/// The example with one field replaced, for each value that `values` gives for a field; with the field's name.
fn bodies(
    example: &Value,
    schema: &'static Value,
    values: fn(&'static Value) -> Vec<Value>,
) -> Vec<(&'static str, Value)> {
    let mut bodies = Vec::new();
    for (name, property) in resolve(schema)["properties"].as_object().into_iter().flatten() {
        let with = |name: &'static str, value: Value| {
            let mut body = example.clone();
            body[name] = value;
            body
        };
        bodies.extend(values(property).into_iter().map(|value| (name.as_str(), with(name, value))));
        let inner = self::bodies(&example[name], property, values).into_iter();
        bodies.extend(inner.map(|(field, value)| (field, with(name, value))));
    }
    bodies
}

/// Whether a call is refused because of a field.
async fn is_refused(
    server: &Server,
    owner: &Identity,
    (method, path): (&Method, &str),
    body: Option<&Value>,
    field: &str,
) -> bool {
    let answer = server.call_as(owner, method.clone(), path, body).await;
    let invalid = answer.status == StatusCode::BAD_REQUEST && answer.refusal().1 == "INVALID_FIELD";
    invalid && String::from_utf8_lossy(&answer.body).contains(field)
}

/// An operation with a value for each variable of its path.
fn filled(method: &str, path: &str) -> (Method, String) {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "1" } else { segment });
    (method.to_uppercase().parse().expect("a method"), segments.collect::<Vec<_>>().join("/"))
}

#[tokio::test(flavor = "multi_thread")]
async fn values_beyond_a_documented_limit_are_refused() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (mut fields, mut parameters) = (0, 0);
    for (method, path, operation) in operations() {
        let name = operation["operationId"].as_str().expect("an id");
        let excused = |field: &str| OTHERWISE.iter().any(|(of, one)| *of == name && [field, ""].contains(one));
        let (method, path) = filled(method, path);
        let media = &operation["requestBody"]["content"]["application/json"];
        if media.is_object() {
            for (field, body) in bodies(&media["example"], &media["schema"], beyond) {
                let refused = excused(field) || is_refused(&server, &owner, (&method, &path), Some(&body), field).await;
                assert!(refused, "{name} accepts {field} of {body}");
                fields += 1;
            }
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let field = parameter["name"].as_str().expect("a name");
            if parameter["in"] != "query" || excused(field) {
                continue;
            }
            for value in beyond(&parameter["schema"]) {
                let text = value.as_str().map_or_else(|| value.to_string(), |text| text.replace('\u{1}', "%01"));
                let asked = format!("{path}?{field}={text}");
                let refused = is_refused(&server, &owner, (&method, &asked), None, field).await;
                assert!(refused, "{name} accepts {field}={text}");
                parameters += 1;
            }
        }
    }
    assert!(fields > 150 && parameters > 40, "only {fields} fields and {parameters} parameters were checked");
}

#[tokio::test(flavor = "multi_thread")]
async fn nullable_fields_accept_null() {
    let null = |schema: &'static Value| if schema["nullable"] == true { vec![Value::Null] } else { vec![] };
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let mut fields = 0;
    for (method, path, operation) in operations() {
        let (method, path) = filled(method, path);
        let media = &operation["requestBody"]["content"]["application/json"];
        for (field, body) in bodies(&media["example"], &media["schema"], null) {
            let refused =
                !WANTING.contains(&field) && is_refused(&server, &owner, (&method, &path), Some(&body), field).await;
            assert!(!refused, "{method} {path} does not accept {body}");
            fields += 1;
        }
    }
    assert!(fields > 30, "only {fields} were checked");
}
