//! Composes a request from an operation and the values of its fields.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::document::{Body, Field, Kind, Operation, Place};
use super::failure::{Failure, Outcome};
use super::input;
use super::request::Request;

/// What is escaped in a segment of the path, and in the query.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The values of an operation's fields, by flag.
#[derive(Clone, Debug, Default)]
pub struct Values(Vec<(String, Vec<String>)>);

impl Values {
    /// Sets a field of the body to null.
    pub fn set_null(&mut self, flag: &str) {
        self.set(flag, Vec::new());
    }

    /// Sets a field, replacing an earlier value.
    pub fn set(&mut self, flag: &str, values: Vec<String>) {
        self.0.retain(|(known, _)| known != flag);
        self.0.push((flag.to_owned(), values));
    }

    /// Whether the field was set.
    #[must_use]
    pub fn has(&self, flag: &str) -> bool {
        self.get(flag).is_some()
    }

    /// Replaces the names of files by the secrets that are in them.
    pub fn read_secrets(&mut self, operation: &Operation) -> Outcome<()> {
        for (flag, values) in &mut self.0 {
            if operation.field(flag).is_some_and(|field| field.kind == Kind::Secret) {
                *values = vec![input::read_secret(flag, values.last().map_or("", String::as_str))?];
            }
        }
        Ok(())
    }

    fn get(&self, flag: &str) -> Option<&[String]> {
        self.0.iter().find(|(known, _)| known == flag).map(|(_, values)| values.as_slice())
    }
}

/// Composes a request; secrets were read before. `raw` is a body that replaces the fields of the body. A path parameter without a value is left in
/// braces, which only `--dry-run` shows.
pub fn compose(operation: &Operation, values: &Values, raw: Option<Vec<u8>>) -> Outcome<Request> {
    let mut path = operation.path.clone();
    let mut query = Vec::new();
    let mut headers = vec![("Accept".to_owned(), "*/*".to_owned())];
    let mut body = Map::new();
    for field in &operation.fields {
        let Some(values) = values.get(&field.flag) else { continue };
        match field.place {
            Place::Path => {
                let segment = segment(field, &values.concat())?;
                path = path.replace(&format!("{{{}}}", field.name.concat()), &segment);
            }
            Place::Query => {
                let value = text(field, &values.join(","))?;
                query.push(format!("{}={}", field.name.concat(), utf8_percent_encode(&value, ESCAPED)));
            }
            Place::Header => headers.push((field.name.concat(), text(field, &values.concat())?)),
            Place::Body => insert(&mut body, &field.name, value(field, &field.kind, values)?),
        }
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    let body = match (raw, operation.body) {
        (Some(_), Body::None) => return Err(Failure::usage(format!("{} has no body", operation.id))),
        (Some(raw), _) => Some(raw),
        (None, Body::None) => None,
        (None, Body::Optional) if body.is_empty() => None,
        (None, _) => Some(Value::from(body).to_string().into_bytes()),
    };
    Ok(Request { method: operation.method.clone(), path, headers, body, authenticated: operation.authenticated })
}

/// Returns a value of the path, as one segment.
fn segment(field: &Field, value: &str) -> Outcome<String> {
    if matches!(value, "" | "." | "..") {
        return Err(Failure::usage(format!("--{} must be an id", field.flag)));
    }
    Ok(utf8_percent_encode(value, ESCAPED).to_string())
}

/// Returns a value of the query or of a header.
fn text(field: &Field, value: &str) -> Outcome<String> {
    if field.kind == Kind::Integer {
        integer(field, value)?;
    }
    if field.place == Place::Header && !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(Failure::usage(format!("--{} must consist of printable ASCII characters", field.flag)));
    }
    Ok(value.to_owned())
}

/// Returns a value of the body.
fn value(field: &Field, kind: &Kind, values: &[String]) -> Outcome<Value> {
    if values.is_empty() {
        return Ok(Value::Null);
    }
    let last = values.last().map_or("", String::as_str);
    match kind {
        Kind::Text | Kind::Choice(_) | Kind::Secret => Ok(json!(last)),
        Kind::Integer => integer(field, last),
        Kind::Boolean => match last {
            "true" => Ok(json!(true)),
            "false" => Ok(json!(false)),
            _ => Err(Failure::usage(format!("--{} must be true or false", field.flag))),
        },
        Kind::List(kind) => {
            if let [one] = values
                && let Ok(Value::Array(items)) = serde_json::from_str(one)
            {
                return Ok(items.into());
            }
            values.iter().map(|one| value(field, kind, std::slice::from_ref(one))).collect()
        }
    }
}

fn integer(field: &Field, text: &str) -> Outcome<Value> {
    let number = text.parse::<i64>().ok();
    number.map(Value::from).ok_or_else(|| Failure::usage(format!("--{} must be a whole number", field.flag)))
}

/// Sets a field of an object, below the objects that its name goes through.
fn insert(object: &mut Map<String, Value>, name: &[String], value: Value) {
    match name {
        [] => {}
        [last] => {
            object.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            if let Some(below) = object.entry(first.clone()).or_insert_with(|| json!({})).as_object_mut() {
                insert(below, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::document::tests::document;

    fn composed(operation: &str, values: &[(&str, &[&str])]) -> Outcome<Request> {
        let mut set = Values::default();
        for (flag, values) in values {
            set.set(flag, values.iter().map(|&value| value.to_owned()).collect());
        }
        compose(&document().operation(operation).expect("an operation"), &set, None)
    }

    fn body(request: &Request) -> Value {
        serde_json::from_slice(request.body.as_deref().unwrap_or_default()).expect("JSON")
    }

    #[test]
    fn values_go_to_their_places() {
        let request =
            composed("listNodes", &[("orgId", &["org/1?x"]), ("take", &["20"]), ("skip", &["0"])]).expect("it");
        assert_eq!(request.path, "/organization/org%2F1%3Fx/nodes?skip=0&take=20");
        assert_eq!((request.method.as_str(), request.body), ("GET", None));
        let values: &[(&str, &[&str])] = &[("orgId", &["org-1"]), ("contextId", &["a b&c"]), ("Last-Event-ID", &["7"])];
        let request = composed("streamEvents", values).expect("it");
        assert_eq!(request.path, "/organization/org-1/events/stream?contextId=a%20b%26c");
        assert!(request.headers.contains(&("Last-Event-ID".to_owned(), "7".to_owned())));
        let values: &[(&str, &[&str])] = &[
            ("organizationId", &["org-1"]),
            ("listProjectsId", &["p1", "p2"]),
            ("roleId", &["254"]),
            ("userApiKey.apiName", &["x \"y\""]),
            ("userApiKey.hasExpireTime", &["false"]),
        ];
        let expected = json!({
            "listProjectsId": ["p1", "p2"], "roleId": 254, "userApiKey": { "apiName": "x \"y\"", "hasExpireTime": false },
        });
        assert_eq!(body(&composed("createApiKey", values).expect("it")), expected);
    }

    #[test]
    fn a_list_is_repeated_values_or_one_json_array() {
        let with = |values: &[&str]| body(&composed("updateWebhook", &[("contexts", values)]).expect("it"));
        assert_eq!(with(&["[]"]), json!({ "contexts": [] }));
        assert_eq!(with(&["10", "3"]), json!({ "contexts": [10, 3] }));
        assert_eq!(with(&["[1,2]"]), json!({ "contexts": [1, 2] }));
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for (operation, flag, value) in [
            ("deleteNode", "nodeId", ".."),
            ("deleteNode", "nodeId", ""),
            ("listNodes", "take", "many"),
            ("updateWebhook", "contexts", "x"),
            ("updateOrganization", "is_business", "yes"),
            ("streamEvents", "Last-Event-ID", "1\r\nX: y"),
        ] {
            assert!(composed(operation, &[(flag, &[value])]).is_err(), "{operation} {flag} {value:?}");
        }
    }

    #[test]
    fn a_body_that_may_be_left_out_is_left_out() {
        assert_eq!(composed("rotateWebhookSecret", &[]).expect("it").body, None);
        assert_eq!(composed("updateAccount", &[]).expect("it").body, Some(b"{}".to_vec()));
        assert_eq!(composed("testWebhook", &[]).expect("it").body, None);
    }
}
