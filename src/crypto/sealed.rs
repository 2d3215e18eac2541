//! Encryption of secrets that must be recovered later, with AES-256-GCM and a key that is not in the database.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::prelude::{BASE64_STANDARD, Engine};
use rand::CryptoRng;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of the sealing key, and of a webhook's secret.
pub const SECRET: usize = 32;

/// Identifies the key that sealed a secret: the first 8 bytes of the key's SHA-256.
pub type KeyId = [u8; 8];

const TAG: usize = 16;

/// The bytes by which a sealed secret is longer than the secret: key id, nonce and tag.
pub const OVERHEAD: usize = size_of::<KeyId>() + NONCE_LEN + TAG;

/// The key that seals and opens secrets.
pub struct SealingKey {
    id: KeyId,
    key: LessSafeKey,
}

/// The secret cannot be sealed or opened: wrong key, wrong owner or modified bytes.
#[derive(Debug, Error)]
#[error("a secret could not be sealed or opened")]
pub struct SealError;

/// Returns random bytes for a key or a secret.
pub fn fresh(rng: &mut impl CryptoRng) -> SecretSlice<u8> {
    let mut bytes = vec![0; SECRET];
    rng.fill_bytes(&mut bytes);
    SecretSlice::from(bytes)
}

/// Formats a webhook's secret for its receiver, as Standard Webhooks defines it: `whsec_` and base64.
#[must_use]
pub fn shown(secret: &SecretSlice<u8>) -> SecretString {
    SecretString::from(format!("whsec_{}", BASE64_STANDARD.encode(secret.expose_secret())))
}

/// Formats a key as the line that a key file contains.
#[must_use]
pub fn line(key: &SecretSlice<u8>) -> SecretString {
    SecretString::from(format!("{}\n", BASE64_STANDARD.encode(key.expose_secret())))
}

impl SealingKey {
    /// Creates a key from its 32 bytes.
    pub fn new(bytes: &SecretSlice<u8>) -> Result<Self, SealError> {
        let bytes = bytes.expose_secret();
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| SealError)?;
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let mut id = KeyId::default();
        id.copy_from_slice(&digest[..size_of::<KeyId>()]);
        Ok(Self { id, key: LessSafeKey::new(key) })
    }

    /// Parses the line of a key file; `None` if it does not contain a key.
    #[must_use]
    pub fn from_line(line: &SecretString) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(line.expose_secret().trim_ascii()).ok()?);
        if bytes.len() != SECRET {
            return None;
        }
        Self::new(&SecretSlice::from(bytes.to_vec())).ok()
    }

    /// The key's id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Seals a secret of any length for `owner`, which is authenticated: the secret opens for no other owner.
    pub fn seal(&self, owner: &[u8; 16], secret: &[u8], rng: &mut impl CryptoRng) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let mut sealed = Vec::with_capacity(OVERHEAD + secret.len());
        sealed.extend(self.id);
        sealed.extend(nonce);
        let mut body = secret.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(owner), &mut body);
        let Ok(tag) = tag else {
            body.zeroize();
            return Err(SealError);
        };
        sealed.extend(body);
        sealed.extend(tag.as_ref());
        Ok(sealed)
    }

    /// Opens a secret that was sealed for `owner`.
    pub fn open(&self, owner: &[u8; 16], sealed: &[u8]) -> Result<SecretSlice<u8>, SealError> {
        let (id, rest) = sealed.split_at_checked(size_of::<KeyId>()).ok_or(SealError)?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(SealError)?;
        if id != self.id {
            return Err(SealError);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError)?;
        let mut body = Zeroizing::new(body.to_vec());
        let secret = self.key.open_in_place(nonce, Aad::from(owner), &mut body).map_err(|_| SealError)?;
        Ok(SecretSlice::from(secret.to_vec()))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_with_its_key_and_owner() {
        let mut rng = StdRng::seed_from_u64(1);
        let (key, other) = (fresh(&mut rng), SealingKey::new(&fresh(&mut rng)).expect("a key"));
        let key = SealingKey::from_line(&line(&key)).expect("the same key");
        let owner = [7; 16];
        for length in [0, 1, SECRET, 100] {
            let mut secret = vec![0; length];
            rng.fill_bytes(&mut secret);
            let sealed = key.seal(&owner, &secret, &mut rng).expect("sealed");
            assert_eq!((sealed.len(), &sealed[..8]), (length + OVERHEAD, &key.id()[..]));
            assert_eq!(key.open(&owner, &sealed).expect("opened").expose_secret(), secret);
            assert!(other.open(&owner, &sealed).is_err());
            assert!(key.open(&[8; 16], &sealed).is_err());
            for place in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[place] ^= 1;
                assert!(key.open(&owner, &changed).is_err(), "{place} of {length}");
            }
            for cut in 0..sealed.len() {
                assert!(key.open(&owner, &sealed[..cut]).is_err(), "{cut} of {length}");
            }
            assert_ne!(sealed, key.seal(&owner, &secret, &mut rng).expect("sealed"), "another nonce");
            assert!(!sealed.windows(8).any(|part| secret.windows(8).any(|same| same == part)));
        }
    }

    #[test]
    fn a_line_without_a_valid_key_is_rejected() {
        for text in
            ["", "\n", "AAAA", &"A".repeat(44), &BASE64_STANDARD.encode([0; 31]), &BASE64_STANDARD.encode([0; 33])]
        {
            assert!(SealingKey::from_line(&SecretString::from(text)).is_none(), "{text}");
        }
        assert!(SealingKey::from_line(&SecretString::from(BASE64_STANDARD.encode([0; 32]))).is_some());
    }
}
