//! Signatures of nodes, whose private keys are read once for each key, since reading one takes longer than signing.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use orgkeys::crypto::signing_key::SigningKey;

static KEYS: LazyLock<Mutex<HashMap<String, Arc<SigningKey>>>> = LazyLock::new(Mutex::default);

/// A signature over a message, in base64.
pub fn sign(pem: &str, message: &str) -> String {
    let mut keys = KEYS.lock().expect("the keys");
    if !keys.contains_key(pem) {
        keys.insert(pem.to_owned(), Arc::new(SigningKey::from_pem(pem.as_bytes()).expect("a private key")));
    }
    let key = Arc::clone(&keys[pem]);
    drop(keys);
    key.sign(message).expect("a signature")
}
