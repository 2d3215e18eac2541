//! Public keys that are imported. An input is a text or, after a first byte of 0 or 1, the DER that stands in the PEM of
//! a SubjectPublicKeyInfo or of an `RSA PUBLIC KEY`.

use std::borrow::Cow;

use orgkeys::crypto::hybrid::Recipient;
use orgkeys::crypto::public_key::{SIZES, describe, read};
use orgkeys::crypto::rsa::public_pem;

use super::{assert_discreet, pem};

pub fn check(input: &[u8]) {
    let text = match input {
        [0, der @ ..] => pem("PUBLIC KEY", der).into(),
        [1, der @ ..] => pem("RSA PUBLIC KEY", der).into(),
        text => match str::from_utf8(text) {
            Ok(text) => Cow::from(text),
            Err(_) => return,
        },
    };
    match read(&text) {
        Ok(der) => assert_accepted(input, &der),
        Err(error) => assert_discreet(&error.to_string()),
    }
}

fn assert_accepted(input: &[u8], der: &[u8]) {
    if let [0, sent @ ..] = input {
        assert_eq!(sent, der, "a key in DER has one form");
    }
    assert_eq!(read(&public_pem(der)).expect("what is printed is accepted"), der);
    let description = describe(der).expect("an accepted key is described");
    assert!(SIZES.contains(&description.bits) && description.thumbprint.len() == 43, "{description:?}");
    assert!(Recipient::new(der).is_ok(), "nothing can be encrypted for an accepted key");
}
