//! Bodies that nodes sign, as they are received. An input is a body.

use std::sync::{Arc, LazyLock};

use base64::prelude::{BASE64_STANDARD, Engine};
use orgkeys::actions::signed_call::SignedCall;
use orgkeys::api::http::body::parse;
use orgkeys::api::node::wire::{Registration, Unregistration};
use orgkeys::crypto::public_key;
use orgkeys::crypto::rsa::Verifier;
use orgkeys::crypto::signed_request::{Form, Messages};
use orgkeys::domain::node::NodeProfile;
use orgkeys::engine::error::{Error, ErrorKind};
use serde_json::Value;

use super::assert_discreet;

/// The only messages that were ever signed with the private half of `corpus/public_key/signer.pem`, which nobody has any
/// more. Their signatures are in the corpus.
const SIGNED: [&str; 2] = [
    "203.0.113.7|eu-central-1|1705314600",
    "203.0.113.7|eu-central-1|2024-01-15T10:30:00Z|org-018d0d28-8d40-7000-8000-000000000001",
];

static KEYS: LazyLock<[Arc<Verifier>; 1]> = LazyLock::new(|| {
    let der = public_key::read(include_str!("../corpus/public_key/signer.pem")).expect("a public key");
    [Arc::new(Verifier::new(&der).expect("a public key"))]
});

pub fn check(body: &[u8]) {
    let registration = parse::<Registration>(body).and_then(|body| Ok(body.parse()?));
    let unregistration = parse::<Unregistration>(body).and_then(|body| Ok(body.parse()?));
    match (registration, unregistration) {
        (Ok((registration, profile)), Ok(unregistration)) => {
            assert_signed(&registration);
            if let Some(sent) = read(body) {
                assert_parsed(&sent, &registration);
                assert_profile(&sent, &profile);
            }
            assert_eq!(message(&registration), message(&unregistration), "the same body is another message elsewhere");
        }
        (Err(error), Ok(unregistration)) => {
            assert_signed(&unregistration);
            if let Some(sent) = read(body) {
                assert_parsed(&sent, &unregistration);
            }
            assert_refused(&error);
        }
        (Err(first), Err(second)) => {
            assert_refused(&first);
            assert_refused(&second);
        }
        (Ok(_), Err(error)) => panic!("a registration, of which the signed part is refused: {error}"),
    }
}

fn assert_refused(error: &Error) {
    assert_eq!((error.kind, error.code, &error.cause), (ErrorKind::Invalid, "INVALID_FIELD", &None));
    assert_discreet(&error.message);
}

/// Reads a body independently. Fields that no call has may hold what this refuses, such as a number without limits.
fn read(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok()
}

/// Compares a parsed call with its body.
fn assert_parsed(sent: &Value, call: &SignedCall) {
    let text = |field: &str| sent.get(field).and_then(Value::as_str);
    let org = text("id_org").or(text("org_id"));
    assert_eq!((text("ip"), text("region"), org), (Some(&*call.ip), call.region.as_deref(), call.org.as_deref()));
    match &sent["timestamp"] {
        Value::String(text) => assert_eq!(*text, call.at.text),
        number => assert_eq!(number.to_string(), call.at.text),
    }
    assert_eq!(text("signature"), Some(&*BASE64_STANDARD.encode(&call.signature)));
}

/// Checks the limits of a call's parts, and that the message which they make was signed if it is verified.
fn assert_signed(call: &SignedCall) {
    assert!([256, 384, 512].contains(&call.signature.as_ref().len()));
    assert!(is_part(&call.ip, 253) && call.region.as_ref().is_none_or(|region| is_part(region, 64)));
    assert!((-62_167_219_200_000..=253_402_300_799_999).contains(&call.at.time.millis()), "{}", call.at.text);

    let messages = messages(call);
    let found = messages.find_signer(&call.signature, &*KEYS);
    let verified = found.map(|(form, _)| match form {
        Form::Plain => messages.expected().to_owned(),
        Form::WithOrganization => format!("{}|{}", messages.expected(), call.org.as_deref().unwrap_or_default()),
    });
    let was_signed = verified.as_deref().is_none_or(|message| SIGNED.contains(&message));
    assert!(was_signed, "verified, but not signed: {verified:?}");
}

/// Whether a text is a part of a message, of up to so many characters.
fn is_part(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.chars().count()) && !text.contains(|c: char| c == '|' || c.is_control())
}

fn messages(call: &SignedCall) -> Messages {
    let org = call.org.as_deref().unwrap_or_default();
    Messages::new(&call.ip, call.region.as_deref().unwrap_or("eu-central-1"), &call.at.text, org)
}

/// Returns what a call's signature is verified over, and the signature. No two calls have the same message.
fn message(call: &SignedCall) -> (String, Option<String>, Vec<u8>) {
    let message = messages(call).expected().to_owned();
    let parts: Vec<&str> = message.split('|').collect();
    let region = call.region.as_deref().unwrap_or("eu-central-1");
    assert_eq!(parts, [&*call.ip, region, &*call.at.text]);
    (message, call.org.clone(), call.signature.as_ref().to_vec())
}

fn assert_profile(sent: &Value, profile: &NodeProfile) {
    let text = |field: &str| sent.get(field).and_then(Value::as_str).unwrap_or_default();
    let expected = [text("ip"), text("region"), text("status"), text("version")];
    assert_eq!([&*profile.ip, &*profile.region, &*profile.status, &*profile.version], expected);
    assert!(profile.status.chars().count() <= 32 && profile.version.chars().count() <= 64);
    assert_eq!(profile.provider, text("provider").to_ascii_uppercase());
    assert!(["", "S3", "GCS", "AZURE", "AWS", "GCP"].contains(&&*profile.provider));
    assert_eq!(i64::from(profile.services.bits()), sent["nodeServices"].as_i64().unwrap_or(0));
}
