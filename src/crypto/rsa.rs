//! RSA key pairs of organizations. Generated ones have 2048 bits, and their private key leaves as PKCS#1 PEM; only the
//! public key is stored.

use std::fmt;

use aws_lc_rs::digest::Digest;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use rand::CryptoRng;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use secrecy::SecretString;
use thiserror::Error;
use zeroize::zeroize_stack;

/// Bits of the modulus of every generated key.
pub const BITS: usize = 2_048;

/// The most bytes of stack that key generation may use.
const DEPTH: usize = 256 * 1024;

/// A generated key pair. The private key is wiped on drop.
pub struct KeyPair {
    /// PKCS#1 PEM, `-----BEGIN RSA PRIVATE KEY-----` (RFC 8017, appendix A.1.2).
    pub private_pem: SecretString,
    /// SubjectPublicKeyInfo DER (RFC 5280, section 4.1).
    pub public_der: Vec<u8>,
}

/// The bytes are not an RSA key, or a key operation failed.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct KeyError(pub(crate) String);

/// A parsed public key that verifies signatures.
pub struct Verifier(ParsedPublicKey);

/// Generates a key pair with the random number generator that `rng` returns. Takes 15 to 170 ms of one core.
///
/// The state of the generator reveals the key, so the generator is created, used and dropped on the part of the stack
/// that is wiped afterwards. The operating system reuses the stack of a finished thread for the next one.
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

/// Encodes a public key as SubjectPublicKeyInfo PEM, `-----BEGIN PUBLIC KEY-----` (RFC 7468, section 13).
#[must_use]
pub fn public_pem(der: &[u8]) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let body = BASE64_STANDARD.encode(der);
    let mut pem = String::with_capacity(body.len() + 64);
    pem.push_str("-----BEGIN PUBLIC KEY-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.extend([line, "\n"]);
        rest = after;
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem
}

impl Verifier {
    /// Parses SubjectPublicKeyInfo DER.
    pub fn new(public_der: &[u8]) -> Result<Self, KeyError> {
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_der);
        key.map(Self).map_err(|e| KeyError(e.to_string()))
    }

    /// Returns whether `signature` is this key's RSASSA-PKCS1-v1_5 signature (RFC 8017, section 8.2) of the message
    /// with this SHA-256 digest. A signature of another length than the key's is not.
    #[must_use]
    pub fn verifies(&self, digest: &Digest, signature: &[u8]) -> bool {
        self.0.verify_digest_sig(digest, signature).is_ok()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}
