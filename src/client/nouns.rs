//! The curated commands. Each maps to one operation and chooses columns; it does nothing that `orgkeys api` cannot do.

mod api_key;
mod keys_and_nodes;
mod project;
mod secret;
mod user;
mod webhook;

use super::noun::{Noun, Verb};

/// The calls of `user`, whose other commands work on the local database.
pub const USER: &[Verb] = user::VERBS;

/// Every noun that has no commands on the local database.
pub const NOUNS: &[Noun] = &[
    Noun {
        name: "key",
        about: "Create, list, rotate, import and delete organization keys, which nodes sign with",
        verbs: keys_and_nodes::KEY,
    },
    Noun { name: "node", about: "List, delete and reactivate nodes", verbs: keys_and_nodes::NODE },
    Noun { name: "secret", about: "Set, list and delete the secrets that nodes fetch", verbs: secret::VERBS },
    Noun { name: "api-key", about: "Create, list, rotate, verify and delete API keys", verbs: api_key::VERBS },
    Noun { name: "project", about: "Create, list and delete projects", verbs: project::VERBS },
    Noun {
        name: "webhook",
        about: "Create, list, test and delete webhooks, and send deliveries again",
        verbs: webhook::VERBS,
    },
];

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::noun::Shows;
    use super::super::rows::Show;
    use super::*;
    use crate::client::document::tests::document;

    fn verbs() -> impl Iterator<Item = &'static Verb> {
        NOUNS.iter().flat_map(|noun| noun.verbs).chain(USER)
    }

    #[test]
    fn every_verb_calls_an_operation_with_fields_that_it_has() {
        for verb in verbs() {
            let operation = document().operation(verb.operation).expect(verb.operation);
            let set = verb.inputs.iter().map(|input| input.field).chain(verb.fixed.iter().map(|(field, _)| *field));
            let set: Vec<&str> = set.filter(|field| !field.is_empty()).collect();
            for field in &set {
                assert!(operation.field(field).is_some(), "{} {}: {field}", verb.operation, verb.name);
            }
            for field in operation.fields.iter().filter(|field| field.required) {
                assert!(
                    set.contains(&field.flag.as_str()),
                    "{} {}: {} is missing",
                    verb.operation,
                    verb.name,
                    field.flag
                );
            }
        }
    }

    /// The document with the responses, too.
    fn whole() -> Value {
        serde_json::from_str(include_str!("../../openapi/orgkeys.json")).expect("JSON")
    }

    /// The properties that a value with this schema may have, and the schema of its items.
    fn resolved(whole: &Value, schema: &Value) -> Value {
        if let Some(path) = schema["$ref"].as_str() {
            return resolved(whole, whole.pointer(path.trim_start_matches('#')).expect(path));
        }
        let mut all = schema.clone();
        for part in ["allOf", "anyOf", "oneOf"].iter().filter_map(|kind| schema[*kind].as_array()).flatten() {
            let part = resolved(whole, part);
            if part["items"].is_object() {
                all["items"] = part["items"].clone();
            }
            for (name, property) in part["properties"].as_object().into_iter().flatten() {
                all["properties"][name] = property.clone();
            }
        }
        all
    }

    /// The schema of the successful response to an operation.
    fn response(whole: &Value, id: &str) -> Value {
        let operations = whole["paths"].as_object().expect("paths").values().filter_map(Value::as_object);
        let operation = operations.flat_map(|all| all.values()).find(|all| all["operationId"] == id).expect(id);
        let found =
            ["200", "201"].iter().map(|status| &operation["responses"][*status]).find(|found| found.is_object());
        let found = resolved(whole, found.expect(id));
        let content = found["content"].as_object().expect(id);
        let (_, json) = content.iter().find(|(media, _)| media.starts_with("application/json")).expect(id);
        resolved(whole, &json["schema"])
    }

    /// What a pointer leads to in values with this schema; `Null` if nothing.
    fn at(whole: &Value, schema: &Value, names: &str) -> Value {
        let names = names.split(['/', '.']).filter(|name| !name.is_empty());
        names.fold(schema.clone(), |schema, name| resolved(whole, &schema["properties"][name]))
    }

    #[test]
    fn every_column_shows_a_field_that_the_answer_has() {
        let whole = whole();
        let mut looked_at = 0;
        for verb in verbs() {
            let answer = response(&whole, verb.operation);
            let (columns, secret) = match verb.shows {
                Shows::List(columns) | Shows::One(columns) => (columns, None),
                Shows::Item { columns, field, .. } | Shows::Check { columns, field } => (columns, Some(field)),
                Shows::Secret { columns, pointer, .. } => (columns, Some(pointer)),
                Shows::Message => continue,
            };
            let payload = ["data", "result", "events", "tokens"].iter().map(|name| at(&whole, &answer, name));
            let payload = payload.into_iter().find(|found| !found["properties"].is_null() || !found["items"].is_null());
            let payload = payload.unwrap_or_else(|| answer.clone());
            let row = if payload["items"].is_object() { resolved(&whole, &payload["items"]) } else { payload };
            for column in columns {
                let field = at(&whole, &row, column.field);
                let place = format!("{} {}: {}", verb.operation, verb.name, column.field);
                assert!(field.is_object(), "{place} is not in the answer");
                match column.show {
                    Show::Plain => {}
                    Show::Role | Show::Millis => assert!(field.to_string().contains("\"integer\""), "{place}: {field}"),
                    Show::Count => assert!(field["items"].is_object(), "{place}: {field}"),
                    Show::Each(name) => {
                        let item = resolved(&whole, &field["items"]);
                        assert!(at(&whole, &item, name).is_object(), "{place}: {name}");
                    }
                }
                looked_at += 1;
            }
            if let Some(name) = secret {
                let found = if name.starts_with('/') { at(&whole, &answer, name) } else { at(&whole, &row, name) };
                assert!(found.is_object(), "{} {}: {name} is not in the answer", verb.operation, verb.name);
            }
        }
        assert!(looked_at > 60, "{looked_at}");
    }

    #[test]
    fn examples_start_with_their_command() {
        for noun in NOUNS {
            for verb in noun.verbs {
                assert!(verb.example.starts_with(&format!("orgkeys {} {}", noun.name, verb.name)), "{}", verb.example);
            }
        }
    }
}
