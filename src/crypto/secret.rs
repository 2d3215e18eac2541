//! What does a token look like? `<type>_`, 30 random base62 characters and a 6 character checksum that a scanner can check too.

use rand::{CryptoRng, RngExt};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The SHA-256 digest by which a token is stored and looked up.
pub type TokenDigest = [u8; 32];

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ACCESS_TOKEN: &str = "okp_";
const RANDOM: usize = 30;
const CHECKSUM: usize = 6;

/// A fresh access token, `okp_...`, with 178 bits of randomness.
#[must_use]
pub fn access_token(rng: &mut impl CryptoRng) -> SecretString {
    let random = (0..RANDOM).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
    let mut token: String = ACCESS_TOKEN.chars().chain(random).collect();
    token.push_str(&checksum(&token));
    SecretString::from(token)
}

/// The digest of a well-formed access token; `None` when shape or checksum are wrong, so that no lookup is needed.
#[must_use]
pub fn access_token_digest(text: &str) -> Option<TokenDigest> {
    let body = text.strip_prefix(ACCESS_TOKEN)?;
    let shaped = body.len() == RANDOM + CHECKSUM && body.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (signed, sum) = shaped.then(|| text.split_at(ACCESS_TOKEN.len() + RANDOM))?;
    (checksum(signed) == sum).then(|| Sha256::digest(text).into())
}

/// Compares in a time that does not depend on where the two differ.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// CRC-32 (IEEE 802.3) of the ASCII bytes, as a base62 number padded with `0` to six characters.
fn checksum(signed: &str) -> String {
    let mut rest = crc32fast::hash(signed.as_bytes()) as usize;
    let mut digits = ['0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = char::from(ALPHABET[rest % ALPHABET.len()]);
        rest /= ALPHABET.len();
    }
    digits.iter().collect()
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_token_is_known_by_its_shape_and_its_checksum() {
        let token = access_token(&mut StdRng::seed_from_u64(7));
        let text = token.expose_secret();
        assert_eq!(text.len(), 40);
        assert!(access_token_digest(text).is_some());
        let flipped = format!("{}{}", &text[..39], if text.ends_with('a') { 'b' } else { 'a' });
        for wrong in [&flipped, &text.replace("okp_", "oka_"), &text[..39], &format!("{text}0"), "okp_", ""] {
            assert!(access_token_digest(wrong).is_none(), "{wrong}");
        }
    }

    /// The value of the CRC-32 catalogue for `123456789` is 0xCBF43926 = 3421780262, which is 3,45,35,27,22,14 in base 62.
    #[test]
    fn the_checksum_is_crc32_in_base62() {
        assert_eq!(checksum("123456789"), "3jZRME");
    }
}
