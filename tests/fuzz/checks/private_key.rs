//! Private keys that `orgkeys sign` reads. An input is a file or, after a first byte of 0 or 1, the DER that stands in the
//! PEM of an `RSA PRIVATE KEY` or of a `PRIVATE KEY`.

use std::borrow::Cow;

use orgkeys::crypto::pem::{KeyForm, private_key};
use orgkeys::crypto::signed_request::decode_signature;
use orgkeys::crypto::signing_key::SigningKey;

use super::{assert_discreet, pem};

pub fn check(input: &[u8]) {
    let file = match input {
        [0, der @ ..] => pem("RSA PRIVATE KEY", der).into_bytes().into(),
        [1, der @ ..] => pem("PRIVATE KEY", der).into_bytes().into(),
        file => Cow::from(file),
    };
    let section = private_key(&file);
    match &section {
        Ok((form, der)) => {
            let label = match form {
                KeyForm::Pkcs1 => "RSA PRIVATE KEY",
                KeyForm::Pkcs8 => "PRIVATE KEY",
                KeyForm::Sec1 => "EC PRIVATE KEY",
            };
            let again = private_key(pem(label, der).as_bytes()).expect("what is printed is accepted");
            assert_eq!((again.0, &again.1), (*form, der));
        }
        Err(error) => assert_discreet(&error.to_string()),
    }
    match SigningKey::from_pem(&file) {
        Ok(key) => {
            assert!(section.is_ok_and(|(form, _)| form != KeyForm::Sec1));
            let signature = key.sign("203.0.113.7|eu-central-1|1705314600").expect("an accepted key signs");
            assert!(decode_signature(&signature).is_some(), "{signature}");
        }
        Err(error) => assert_discreet(&error.to_string()),
    }
}
