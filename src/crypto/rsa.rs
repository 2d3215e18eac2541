//! What is an organization key made of? An RSA-2048 pair: the private half as PKCS#1 PEM for its receiver, the public half kept.

use std::fmt;

use aws_lc_rs::digest::Digest;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use rand::CryptoRng;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use secrecy::SecretString;
use thiserror::Error;
use zeroize::zeroize_stack;

/// Bits of the modulus of every key made here.
pub const BITS: usize = 2_048;

/// Bytes of the modulus, and so of every signature.
pub const SIGNATURE_BYTES: usize = BITS / 8;

/// Bytes of the stack that the making of a key may use at most.
const DEPTH: usize = 256 * 1024;

/// A fresh pair. It is wiped when it is dropped.
pub struct KeyPair {
    /// PKCS#1 PEM, `-----BEGIN RSA PRIVATE KEY-----` (RFC 8017, appendix A.1.2).
    pub private_pem: SecretString,
    /// SubjectPublicKeyInfo DER (RFC 5280, section 4.1).
    pub public_der: Vec<u8>,
}

/// The bytes are not an RSA key, or a pair could not be made.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct KeyError(pub(crate) String);

/// A public key, ready to verify.
pub struct Verifier(ParsedPublicKey);

/// Makes a pair with the generator that `rng` gives; takes 15 to 170 ms of one core.
///
/// The generator knows the key too. It is made, used and forgotten on the part of the stack that is wiped afterwards: the
/// system keeps the stack of a thread that has ended for the next one.
pub fn generate<R: CryptoRng>(rng: impl FnOnce() -> R) -> Result<KeyPair, KeyError> {
    let pair = make(rng);
    zeroize_stack::<DEPTH>();
    pair
}

#[inline(never)]
fn make<R: CryptoRng>(rng: impl FnOnce() -> R) -> Result<KeyPair, KeyError> {
    let private = rsa::PrivateKey::new(&mut rng(), BITS).map_err(|e| KeyError(e.to_string()))?;
    let pem = private.to_pkcs1_pem(LineEnding::LF).map_err(|e| KeyError(e.to_string()))?;
    let public = private.to_public_key().to_public_key_der().map_err(|e| KeyError(e.to_string()))?;
    Ok(KeyPair { private_pem: SecretString::from(pem.as_str()), public_der: public.into_vec() })
}

/// The public key as SubjectPublicKeyInfo PEM, `-----BEGIN PUBLIC KEY-----` (RFC 7468, section 13).
#[must_use]
pub fn public_pem(der: &[u8]) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let body = BASE64_STANDARD.encode(der);
    let mut pem = String::with_capacity(body.len() + 64);
    pem.push_str("-----BEGIN PUBLIC KEY-----\n");
    for line in body.as_bytes().chunks(64) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem
}

impl Verifier {
    /// Reads SubjectPublicKeyInfo DER.
    pub fn new(public_der: &[u8]) -> Result<Self, KeyError> {
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_der);
        key.map(Self).map_err(|e| KeyError(e.to_string()))
    }

    /// Whether `signature` is this key's RSASSA-PKCS1-v1_5 signature (RFC 8017, section 8.2) of the message with this SHA-256 digest.
    #[must_use]
    pub fn verifies(&self, digest: &Digest, signature: &[u8; SIGNATURE_BYTES]) -> bool {
        self.0.verify_digest_sig(digest, signature).is_ok()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}
