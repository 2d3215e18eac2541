//! Hybrid encryption for the holder of an RSA key: RSAES-OAEP encrypts a fresh key, and that key encrypts the text with
//! AES-256-CTR and authenticates it with HMAC-SHA256. Common command line tools can open the result.

use std::fmt;

use aws_lc_rs::cipher::{AES_256, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::prelude::{BASE64_STANDARD, Engine};
use rand::CryptoRng;
use secrecy::{ExposeSecret, SecretSlice};
use serde::Serialize;

use super::rsa::KeyError;

/// Bytes of the key that is made for each text.
const KEY: usize = 32;

/// A public key that texts are encrypted for.
pub struct Recipient(OaepPublicEncryptingKey);

/// An encrypted text. Each part is in standard base64 with padding.
#[derive(Clone, Debug, Serialize)]
pub struct Envelope {
    /// The text's key K, encrypted by RSAES-OAEP (RFC 8017, section 7.1) with SHA-256, also in MGF1, and an empty label.
    pub key: String,
    /// The initial counter block, 16 bytes.
    pub iv: String,
    /// The text, encrypted by AES-256-CTR with K.
    pub ct: String,
    /// HMAC-SHA256 with K of the bytes of `iv` and `ct`, one after the other.
    pub mac: String,
}

impl Recipient {
    /// Parses SubjectPublicKeyInfo DER.
    pub fn new(public_der: &[u8]) -> Result<Self, KeyError> {
        let key = PublicEncryptingKey::from_der(public_der).map_err(|e| KeyError(e.to_string()))?;
        OaepPublicEncryptingKey::new(key).map(Self).map_err(failed)
    }

    /// Encrypts a text with a key that is used for nothing else.
    pub fn encrypt(&self, text: &[u8], rng: &mut impl CryptoRng) -> Result<Envelope, KeyError> {
        let mut key = vec![0; KEY];
        rng.fill_bytes(&mut key);
        let key = SecretSlice::from(key);
        self.encrypt_with(&key, text).map_err(failed)
    }

    fn encrypt_with(&self, key: &SecretSlice<u8>, text: &[u8]) -> Result<Envelope, Unspecified> {
        let key = key.expose_secret();
        let mut wrapped = vec![0; self.0.ciphertext_size()];
        let wrapped = self.0.encrypt(&OAEP_SHA256_MGF1SHA256, key, &mut wrapped, None)?;
        let mut body = text.to_vec();
        let context = EncryptingKey::ctr(UnboundCipherKey::new(&AES_256, key)?)?.encrypt(&mut body)?;
        let iv = <&[u8]>::try_from(&context)?;
        let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
        mac.update(iv);
        mac.update(&body);
        let text = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
        Ok(Envelope { key: text(wrapped), iv: text(iv), ct: text(&body), mac: text(mac.sign().as_ref()) })
    }
}

fn failed(_: Unspecified) -> KeyError {
    KeyError("a text could not be encrypted".to_owned())
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recipient")
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::cipher::{DecryptingKey, DecryptionContext};
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::iv::FixedLength;
    use aws_lc_rs::rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    /// Opens an envelope as its recipient does. Returns the text, and its key.
    fn opened(key: &OaepPrivateDecryptingKey, envelope: &Envelope) -> (Vec<u8>, Vec<u8>) {
        let bytes = |text: &str| BASE64_STANDARD.decode(text).expect("base64");
        let (iv, mut body) = (bytes(&envelope.iv), bytes(&envelope.ct));
        let mut room = vec![0; key.min_output_size()];
        let wrapped = bytes(&envelope.key);
        let unwrapped = key.decrypt(&OAEP_SHA256_MGF1SHA256, &wrapped, &mut room, None).expect("a key");
        let mac = hmac::Key::new(hmac::HMAC_SHA256, unwrapped);
        hmac::verify(&mac, &[&iv[..], &body].concat(), &bytes(&envelope.mac)).expect("authentic");
        let cipher = DecryptingKey::ctr(UnboundCipherKey::new(&AES_256, unwrapped).expect("a key")).expect("a cipher");
        let iv: [u8; 16] = iv.try_into().expect("16 bytes");
        let text = cipher.decrypt(&mut body, DecryptionContext::Iv128(FixedLength::from(iv))).expect("a text").to_vec();
        (text, unwrapped.to_vec())
    }

    #[test]
    fn only_the_holder_of_the_key_opens_a_text_and_each_text_has_a_key_of_its_own() {
        let mut rng = StdRng::seed_from_u64(1);
        for (size, length) in [(KeySize::Rsa2048, 256), (KeySize::Rsa3072, 384), (KeySize::Rsa4096, 512)] {
            let private = PrivateDecryptingKey::generate(size).expect("a key");
            let public = private.public_key().as_der().expect("its public half").as_ref().to_vec();
            let (private, recipient) =
                (OaepPrivateDecryptingKey::new(private).expect("a key"), Recipient::new(&public).expect("a key"));
            let mut keys = Vec::new();
            for text in [&b""[..], b"x", b"AWS_REGION=eu-central-1\n", &[0xff; 16_384]] {
                let envelope = recipient.encrypt(text, &mut rng).expect("encrypted");
                assert_eq!(BASE64_STANDARD.decode(&envelope.key).expect("base64").len(), length);
                let (opened, key) = opened(&private, &envelope);
                assert_eq!(opened, text);
                keys.push(key);
            }
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), 4);
        }
        assert!(Recipient::new(b"no key").is_err());
    }
}
