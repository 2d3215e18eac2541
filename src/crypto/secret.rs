//! Tokens: `<type>_`, 30 random base62 characters and a checksum of 6 characters that a secret scanner can verify.

use rand::{CryptoRng, RngExt};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::chain::hex;

/// The SHA-256 digest by which a secret is stored and looked up.
pub type TokenDigest = [u8; 32];

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX: usize = 4;
const RANDOM: usize = 30;
const CHECKSUM: usize = 6;

/// The type of a secret. A secret of one type is never accepted as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// An access token of a user, `okp_...`.
    AccessToken,
    /// A refresh token, which renews a session, `okr_...`.
    RefreshToken,
    /// An API key, `oka_...`.
    ApiKey,
    /// A one-time invitation of a user, `oki_...`.
    Invitation,
    /// The half of a web session's token that the page has, `okw_...`.
    WebSession,
    /// The half of a web session's token that the cookie has, `okc_...`.
    WebCookie,
}

impl SecretKind {
    const ALL: [Self; 6] =
        [Self::AccessToken, Self::RefreshToken, Self::ApiKey, Self::Invitation, Self::WebSession, Self::WebCookie];

    /// The prefix of every secret of this type.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::AccessToken => "okp_",
            Self::RefreshToken => "okr_",
            Self::ApiKey => "oka_",
            Self::Invitation => "oki_",
            Self::WebSession => "okw_",
            Self::WebCookie => "okc_",
        }
    }

    /// Generates a secret with 178 bits of randomness.
    #[must_use]
    pub fn fresh(self, rng: &mut impl CryptoRng) -> SecretString {
        let random = (0..RANDOM).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
        let mut secret: String = self.prefix().chars().chain(random).collect();
        secret.push_str(&checksum(&secret));
        SecretString::from(secret)
    }

    /// Returns the digest of a well-formed secret of this type, or `None` if its form or checksum is wrong and no
    /// lookup is needed.
    #[must_use]
    pub fn digest(self, text: &str) -> Option<TokenDigest> {
        self.is_formed(text).then(|| Sha256::digest(text).into())
    }

    fn is_formed(self, text: &str) -> bool {
        let Some(body) = text.strip_prefix(self.prefix()) else { return false };
        if body.len() != RANDOM + CHECKSUM || !body.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return false;
        }
        let (signed, sum) = text.split_at(PREFIX + RANDOM);
        checksum(signed) == sum
    }
}

/// Returns the digest of a web session's token, which is in two halves, or `None` if the form of one is wrong.
#[must_use]
pub fn web_session_digest(cookie: &str, bearer: &str) -> Option<TokenDigest> {
    let formed = SecretKind::WebCookie.is_formed(cookie) && SecretKind::WebSession.is_formed(bearer);
    formed.then(|| Sha256::new().chain_update(cookie).chain_update(bearer).finalize().into())
}

/// Returns eight characters that tell one id from another, and from which it cannot be computed.
#[must_use]
pub fn mark(id: &[u8]) -> String {
    hex(&Sha256::digest(id)[..4])
}

/// Returns whether the text is a well-formed secret of any type.
#[must_use]
pub fn is_secret(text: &str) -> bool {
    SecretKind::ALL.into_iter().any(|kind| kind.is_formed(text))
}

/// Masks a secret for display: its first 8 and last 4 characters, `oka_1a2b…9xYz`.
#[must_use]
pub fn mask(secret: &SecretString) -> String {
    let text = secret.expose_secret();
    let (first, last) = (text.get(..8).unwrap_or_default(), text.get(text.len().saturating_sub(4)..));
    format!("{first}…{}", last.unwrap_or_default())
}

/// Compares in constant time: the duration does not depend on where the two differ.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Returns the CRC-32 (IEEE 802.3) of the ASCII bytes as a base62 number, left-padded with `0` to six characters.
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

    use super::*;

    #[test]
    fn secrets_are_recognized_by_prefix_format_and_checksum() {
        for kind in SecretKind::ALL {
            let secret = kind.fresh(&mut StdRng::seed_from_u64(7));
            let text = secret.expose_secret();
            assert_eq!(text.len(), 40);
            assert!(is_secret(text));
            let knowing: Vec<_> = SecretKind::ALL.into_iter().filter(|other| other.digest(text).is_some()).collect();
            assert_eq!(knowing, [kind]);
            let flipped = format!("{}{}", &text[..39], if text.ends_with('a') { 'b' } else { 'a' });
            for wrong in [&flipped, &text.replace('_', "-"), &text[..39], &format!("{text}0"), kind.prefix(), ""] {
                assert!(!is_secret(wrong), "{wrong}");
            }
            assert_eq!(mask(&secret), format!("{}…{}", &text[..8], &text[36..]));
        }
    }

    #[test]
    fn the_halves_of_a_web_session_have_a_digest_only_together_and_in_their_places() {
        let rng = &mut StdRng::seed_from_u64(7);
        let [cookie, other] = [(); 2].map(|()| SecretKind::WebCookie.fresh(rng));
        let [bearer, second] = [(); 2].map(|()| SecretKind::WebSession.fresh(rng));
        let [cookie, other, bearer, second] = [&cookie, &other, &bearer, &second].map(SecretString::expose_secret);
        let digest = web_session_digest(cookie, bearer).expect("a digest");
        for (cookie, bearer) in [(other, bearer), (cookie, second)] {
            assert!(web_session_digest(cookie, bearer).is_some_and(|another| another != digest));
        }
        assert_ne!(Some(digest), SecretKind::WebCookie.digest(cookie));
        assert_ne!(Some(digest), SecretKind::WebSession.digest(bearer));
        for (cookie, bearer) in [(bearer, cookie), (cookie, cookie), (bearer, bearer), ("", bearer), (cookie, "")] {
            assert_eq!(web_session_digest(cookie, bearer), None);
        }
    }

    /// The check value of CRC-32 for `123456789` is 0xCBF43926 = 3421780262, which is 3,45,35,27,22,14 in base 62.
    #[test]
    fn the_checksum_is_crc32_in_base62() {
        assert_eq!(checksum("123456789"), "3jZRME");
    }
}
