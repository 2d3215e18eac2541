//! Records what occurred in any test, for `tests/documented`, which checks that everything documented did.

use std::collections::HashSet;
use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::{LazyLock, Mutex};

use serde_json::Value;

use super::schema::resolve;

/// Notes whether each field was null, absent or given.
pub fn note_fields(value: &Value, schema: &'static Value) {
    let schema = resolve(schema);
    match value {
        Value::Array(items) => items.iter().for_each(|item| note_fields(item, &schema["items"])),
        Value::Object(fields) => {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                let (how, value) = match fields.get(name) {
                    None => ("absent", &Value::Null),
                    Some(Value::Null) => ("null", &Value::Null),
                    Some(value) => ("given", value),
                };
                note(&format!("{} {name} {how}", schema["title"].as_str().unwrap_or_default()));
                note_fields(value, property);
            }
        }
        _ => {}
    }
}

/// Records what occurs for the first time, for `tests/documented`.
pub fn note(what: &str) {
    static SEEN: LazyLock<Option<Mutex<HashSet<String>>>> =
        LazyLock::new(|| env::var_os("ORGKEYS_SEEN").map(|_| Mutex::default()));
    let Some(set) = &*SEEN else { return };
    if set.lock().expect("a set").insert(what.to_owned()) {
        let file = env::var_os("ORGKEYS_SEEN").expect("a file");
        let mut file = OpenOptions::new().create(true).append(true).open(file).expect("a file to note in");
        file.write_all(format!("{what}\n").as_bytes()).expect("noted");
    }
}
