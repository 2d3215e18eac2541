//! Replaces the ids, secrets and hashes of a server by fixed names, so that examples are reproducible and recognizably made up.

use serde_json::Value;

/// The prefixes of ids.
const KINDS: [&str; 9] = ["delivery", "key", "node", "org", "project", "secret", "token", "user", "webhook"];

/// The prefixes of secrets, and what replaces the rest.
const SECRETS: [(&str, &str); 6] = [
    ("oka_", "EXAMPLEexampleEXAMPLEexampleEXAMPLE"),
    ("oki_", "EXAMPLEexampleEXAMPLEexampleEXAMPLE"),
    ("okp_", "EXAMPLEexampleEXAMPLEexampleEXAMPLE"),
    ("okr_", "EXAMPLEexampleEXAMPLEexampleEXAMPLE"),
    ("okw_", "EXAMPLEexampleEXAMPLEexampleEXAMPLE"),
    ("whsec_", "RXhhbXBsZUV4YW1wbGVFeGFtcGxlRXhhbXBsZUV4YW"),
];

/// A private key in PEM format.
pub const PRIVATE_KEY: &str = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA...\n-----END RSA PRIVATE KEY-----\n";

/// Freshly generated values that are not worth reading.
const PEMS: [(&str, &str); 3] = [
    ("thumbprint", "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
    ("privateKey", PRIVATE_KEY),
    ("publicKey", "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG...\n-----END PUBLIC KEY-----\n"),
];

/// The encrypted text of a secret.
const ENVELOPE: &str =
    r#"{"key":"bm90IGEga2V5...","iv":"bm90IGFuIGl2...","ct":"bm90IGEgdGV4dA...","mac":"bm90IGEgbWFj..."}"#;

/// The values of a server, each with its replacement.
#[derive(Default)]
pub struct Names(Vec<(String, String)>);

impl Names {
    /// The replacement of a value; a new one gets the next name of its kind.
    pub fn pretty(&mut self, word: &str) -> String {
        if let Some((_, pretty)) = self.0.iter().find(|(known, _)| known == word) {
            return pretty.clone();
        }
        let nth = |start: &str| self.0.iter().filter(|(_, pretty)| pretty.starts_with(start)).count() + 1;
        let pretty = if let Some(kind) = KINDS.into_iter().find(|kind| is_id(word, kind)) {
            format!("{kind}-018d0b6a-5c80-7000-8000-{:012}", nth(&format!("{kind}-")))
        } else if let Some((start, rest)) = SECRETS.into_iter().find(|(start, _)| word.starts_with(start)) {
            match word.split_once('…') {
                Some(_) => format!("{start}EXAM…MPLE"),
                None => format!("{start}{rest}{}", nth(&format!("{start}{rest}"))),
            }
        } else if word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit()) {
            format!("{:064x}", nth("00000000000000000000"))
        } else if is_uuid(word) {
            format!("018d0b6a-5c80-7000-8000-{:012}", nth("018d0b6a"))
        } else {
            return word.to_owned();
        };
        self.0.push((word.to_owned(), pretty.clone()));
        pretty
    }

    /// A text as an example shows it.
    pub fn shown(&mut self, text: &str) -> String {
        let in_word = |c: char| c.is_ascii_alphanumeric() || "-_+/=…".contains(c);
        let mut shown = String::new();
        for piece in text.split_inclusive(|c| !in_word(c)) {
            let word = piece.trim_end_matches(|c| !in_word(c));
            shown += &self.pretty(word);
            shown += &piece[word.len()..];
        }
        shown
    }

    /// A value as an example shows it.
    pub fn example(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) => self.shown(&text).into(),
            Value::Array(items) => items.into_iter().map(|item| self.example(item)).collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(name, field)| match PEMS.iter().find(|(known, _)| *known == name) {
                    Some((_, pem)) => (name, (*pem).into()),
                    None if name.starts_with("env_") => (name, ENVELOPE.into()),
                    None => (name, self.example(field)),
                })
                .collect(),
            other => other,
        }
    }

    /// The text of an example with the server's own values.
    pub fn real(&self, example: &str) -> String {
        // Newest first: a later name may begin with an earlier one.
        self.0.iter().rev().fold(example.to_owned(), |text, (word, pretty)| text.replace(pretty, word))
    }
}

fn is_id(word: &str, kind: &str) -> bool {
    word.strip_prefix(kind).and_then(|rest| rest.strip_prefix('-')).is_some_and(is_uuid)
}

fn is_uuid(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok() && text.len() == 36
}
