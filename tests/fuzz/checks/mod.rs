//! What must hold for any input from outside: one function for each kind of input, which panics where something does not
//! hold. The fuzz targets call it with the inputs that libFuzzer invents, and a test with those in `corpus/`.

mod audit_export;
mod client_address;
mod credential;
mod cursor;
mod private_key;
mod public_key;
mod settings;
mod signed_body;
mod webhook_url;

use base64::prelude::{BASE64_STANDARD, Engine};

/// Checks one input.
type Check = fn(&[u8]);

/// Every check, by its name, which its fuzz target and the folder of its corpus have too.
pub const CHECKS: [(&str, Check); 9] = [
    ("audit_export", audit_export::check),
    ("client_address", client_address::check),
    ("credential", credential::check),
    ("cursor", cursor::check),
    ("private_key", private_key::check),
    ("public_key", public_key::check),
    ("settings", settings::check),
    ("signed_body", signed_body::check),
    ("webhook_url", webhook_url::check),
];

/// Stands for a secret in an input. No text about an input that is refused may contain it.
const SECRET: &str = "s3cr3tC4n4ry";

/// Runs the check of this name.
pub fn run(name: &str, data: &[u8]) {
    let (_, check) = CHECKS.iter().find(|(known, _)| *known == name).expect("the name of a check");
    check(data);
}

/// Checks the text about a refused input: a line that does not contain the secret.
fn assert_discreet(text: &str) {
    assert!(!text.contains(SECRET), "the secret is in: {text}");
    assert!(!text.is_empty() && !text.chars().any(char::is_control), "no line: {text:?}");
}

/// Writes a section of PEM.
fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der))
}
