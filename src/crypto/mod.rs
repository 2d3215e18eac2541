//! Key pairs, signatures, tokens and hashes. No code outside this module handles key material.

pub mod certificate;
pub mod chain;
pub mod hybrid;
pub mod password;
pub mod pem;
pub mod public_key;
pub mod rsa;
pub mod sealed;
pub mod secret;
pub mod signed_request;
pub mod signing_key;
pub mod webhook_signature;
