//! What do the bytes mean? Key pairs, signatures, tokens and hashes; nothing outside this floor touches key material.

pub mod certificate;
pub mod chain;
pub mod password;
pub mod rsa;
pub mod sealed;
pub mod secret;
pub mod signed_request;
pub mod webhook_signature;
