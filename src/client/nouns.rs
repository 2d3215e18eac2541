//! The curated commands. Each maps to one operation and chooses columns; it does nothing that `orgkeys api` cannot do.

mod api_key;
mod keys_and_nodes;
mod project;
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

    #[test]
    fn examples_start_with_their_command() {
        for noun in NOUNS {
            for verb in noun.verbs {
                assert!(verb.example.starts_with(&format!("orgkeys {} {}", noun.name, verb.name)), "{}", verb.example);
            }
        }
    }
}
