//! Validates a value against a schema, in the part of OpenAPI 3.0's dialect that the document uses; any other keyword is a fault.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use orgkeys::api::http::document;
use regex::Regex;
use serde_json::Value;

pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(document::text()).expect("JSON"));

/// The one format in which the server writes times.
const MOMENT: &str = r"^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d\.\d{3}Z$";

/// The supported keywords; the document must not use any other.
const WORDS: [&str; 19] = [
    "type",
    "format",
    "title",
    "description",
    "example",
    "default",
    "x-alias",
    "additionalProperties",
    "nullable",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "maxItems",
    "items",
    "properties",
    "required",
];

/// Follows a `$ref`, if there is one.
pub fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        None => value,
        Some(reference) => {
            let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} is not of this document"));
            DOCUMENT.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
    }
}

/// How `value` violates `schema`.
pub fn misfit(place: &str, value: &Value, schema: &'static Value) -> Option<String> {
    let schema = resolve(schema);
    let words = schema.as_object().expect("a schema").keys();
    let unknown: Vec<_> = words.filter(|word| !WORDS.contains(&word.as_str())).collect();
    assert!(unknown.is_empty(), "{place}: unsupported keywords {unknown:?}");
    let among = schema["enum"].as_array().is_none_or(|known| known.contains(value));
    let fits = match (schema["type"].as_str().expect("a type"), value) {
        (_, Value::Null) => schema["nullable"] == true,
        ("string", Value::String(text)) => among && text_fits(text, schema),
        ("boolean", Value::Bool(_)) => true,
        ("integer", Value::Number(number)) => {
            among && number.as_i64().is_some_and(|number| number_fits(number, schema))
        }
        ("array", Value::Array(items)) => {
            if schema["maxItems"].as_u64().is_some_and(|most| items.len() as u64 > most) {
                return Some(format!("{place} has {} items", items.len()));
            }
            let mut places = items.iter().enumerate();
            return places.find_map(|(index, item)| misfit(&format!("{place}/{index}"), item, &schema["items"]));
        }
        ("object", Value::Object(fields)) => {
            let mut required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            if let Some(missing) = required.find(|name| !fields.contains_key(*name)) {
                return Some(format!("{place}/{missing} is missing"));
            }
            return fields.iter().find_map(|(name, field)| {
                let place = format!("{place}/{name}");
                match field_of(schema, name) {
                    Some(schema) => misfit(&place, field, schema),
                    None => Some(format!("{place} is not in the schema")),
                }
            });
        }
        _ => false,
    };
    (!fits).then(|| format!("{place} is {value}, but the schema is {schema}"))
}

/// The schema of a field, by its name or its other spelling, or the one for all other fields.
fn field_of(schema: &'static Value, name: &str) -> Option<&'static Value> {
    let properties = schema["properties"].as_object()?;
    let other = || properties.values().find(|property| property["x-alias"] == name);
    properties.get(name).or_else(other).or_else(|| schema.get("additionalProperties").filter(|other| other.is_object()))
}

fn text_fits(text: &str, schema: &Value) -> bool {
    let length = text.chars().count() as u64;
    let pattern = |pattern| regex(pattern).is_match(text);
    let format = match schema["format"].as_str() {
        None => true,
        Some("date-time") => pattern(MOMENT),
        Some(format) => panic!("unsupported format {format}"),
    };
    format
        && schema["pattern"].as_str().is_none_or(pattern)
        && schema["minLength"].as_u64().is_none_or(|least| length >= least)
        && schema["maxLength"].as_u64().is_none_or(|most| length <= most)
}

/// A compiled pattern, made once: streams bring many thousands of events, and a clone would have to warm up again.
fn regex(pattern: &str) -> &'static Regex {
    static MADE: LazyLock<Mutex<HashMap<String, &'static Regex>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().expect("the patterns");
    made.entry(pattern.to_owned()).or_insert_with(|| Box::leak(Box::new(Regex::new(pattern).expect("a pattern"))))
}

fn number_fits(number: i64, schema: &Value) -> bool {
    let format = match schema["format"].as_str() {
        Some("int32") => i32::try_from(number).is_ok(),
        Some("uint8") => u8::try_from(number).is_ok(),
        Some("uint16") => u16::try_from(number).is_ok(),
        Some("uint32") => u32::try_from(number).is_ok(),
        Some("int64") | None => true,
        Some(format) => panic!("unsupported format {format}"),
    };
    format
        && schema["minimum"].as_i64().is_none_or(|least| number >= least)
        && schema["maximum"].as_i64().is_none_or(|most| number <= most)
}
