//! The RSA private key of a node, which signs its requests. The server never holds one.

use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::prelude::{BASE64_STANDARD, Engine};
use rsa::PrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey};
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;

use super::pem::{self, KeyForm};
use super::public_key::SIZES;
use super::rsa::KeyError;

/// A private key of 2048, 3072 or 4096 bits, checked and ready to sign.
pub struct SigningKey(KeyPair);

impl SigningKey {
    /// Reads an unencrypted private key from a PEM file, in PKCS #1 or PKCS #8.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let refused = |problem: &str| KeyError(problem.to_owned());
        let private =
            match pem::private_key(pem)? {
                (KeyForm::Pkcs1, der) => PrivateKey::from_pkcs1_der(&der)
                    .map_err(|_| refused("the private key is damaged: it is no RSA key")),
                (KeyForm::Pkcs8, der) => PrivateKey::from_pkcs8_der(&der)
                    .map_err(|_| refused("the private key is no RSA key, or is damaged")),
                (KeyForm::Sec1, _) => {
                    Err(refused("the private key is for elliptic curves: organization keys are RSA keys"))
                }
            }?;
        let bits = private.size() * 8;
        if !SIZES.contains(&bits) {
            return Err(KeyError(format!(
                "the private key has {bits} bits: organization keys have 2048, 3072 or 4096"
            )));
        }
        let der = private.to_pkcs1_der().map_err(|e| KeyError(e.to_string()))?;
        KeyPair::from_der(der.as_bytes()).map(Self).map_err(|e| KeyError(e.to_string()))
    }

    /// Signs a message with RSASSA-PKCS1-v1_5 and SHA-256. Returns standard base64 on one line.
    #[expect(
        clippy::disallowed_methods,
        reason = "the command line signs on the node's side; the server never holds a private key"
    )]
    pub fn sign(&self, message: &str) -> Result<String, KeyError> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        let rng = aws_lc_rs::rand::SystemRandom::new();
        self.0
            .sign(&RSA_PKCS1_SHA256, &rng, message.as_bytes(), &mut signature)
            .map_err(|e| KeyError(e.to_string()))?;
        Ok(BASE64_STANDARD.encode(signature))
    }
}
