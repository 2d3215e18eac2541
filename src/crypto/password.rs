//! Password hashing with argon2id. Hashes are stored as PHC strings; the password can be recovered only by guessing.

use std::fmt::Display;
use std::mem;
use std::sync::{LazyLock, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};
use rand::CryptoRng;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use zeroize::Zeroizing;

use super::secret;

/// Memory in KiB, passes and lanes of every new hash, as OWASP recommends (Password Storage Cheat Sheet, section
/// Argon2id).
const MEMORY: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Bytes of salt and hash. RFC 9106 recommends this salt length for passwords in section 3.1 and this hash length in
/// section 4.
const SALT: usize = 16;
const HASH: usize = 32;

/// The highest parameters accepted in a stored hash, so that a manipulated row cannot exhaust the machine's memory or
/// time.
const MOST_MEMORY: u32 = 64 * 1_024;
const MOST_PASSES: u32 = 10;
const MOST_LANES: u32 = 4;

/// A well-formed hash that no password matches: all zeros, which is `A` in base64. It is not computed, because that
/// would make the first sign-in attempt for a nonexistent account take twice as long.
static NOBODYS: LazyLock<String> = LazyLock::new(|| phc("A".repeat(22), "A".repeat(43)));

/// The memory of earlier hashes with today's parameters, kept for the next ones: taking new memory from the system and wiping it
/// afterwards costs a tenth of a hash. There are never more than were hashed at once.
///
/// What it holds gives no password away sooner than the stored hash does. The second pass has overwritten every block of the
/// first, so whoever has the memory must compute at least one whole pass for each password that they try.
static MEMORY_OF_EARLIER_HASHES: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());

/// The result of checking a password against a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordMatch {
    /// The password matches.
    Right,
    /// The password does not match, there is no hash, or the hash cannot be checked.
    Wrong,
    /// The password matches, but its hash has weaker parameters than a new one would. Rehash while the password is
    /// available.
    RightButWeak,
}

/// Hashing failed because memory could not be allocated.
#[derive(Debug, Error)]
#[error("a password could not be hashed: {0}")]
pub struct HashError(argon2::Error);

/// A parsed PHC string whose parameters are within the accepted limits.
struct StoredHash {
    params: Params,
    salt: Salt,
    hash: Output,
}

/// Returns the PHC string to store, `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`, with a fresh salt. Takes 19 MiB and
/// about 20 ms of one core.
pub fn hash(password: &SecretString, rng: &mut impl CryptoRng) -> Result<String, HashError> {
    let mut salt = [0; SALT];
    rng.fill_bytes(&mut salt);
    let mut hash = [0; HASH];
    let params = Params::new(MEMORY, PASSES, LANES, Some(HASH)).map_err(HashError)?;
    run(params, password, &salt, &mut hash)?;
    Ok(phc(BASE64_STANDARD_NO_PAD.encode(salt), BASE64_STANDARD_NO_PAD.encode(hash)))
}

/// Checks a password against a string returned by [`hash`].
///
/// Without a hash (no such account, or an account without a password), the same work is done and the result is `Wrong`,
/// so that the time taken does not reveal which accounts exist. A string that is not an argon2id hash of version 19, or
/// that requires more than 64 MiB, 10 passes or 4 lanes, is `Wrong` immediately.
#[must_use]
pub fn verify(password: &SecretString, phc: Option<&str>) -> PasswordMatch {
    let stored = read(phc.unwrap_or(&NOBODYS));
    let verdict = stored.and_then(|stored| check(password, &stored).ok()).unwrap_or(PasswordMatch::Wrong);
    if phc.is_some() { verdict } else { PasswordMatch::Wrong }
}

fn check(password: &SecretString, stored: &StoredHash) -> Result<PasswordMatch, HashError> {
    let mut buffer = Zeroizing::new([0; Output::MAX_LENGTH]);
    let hash = &mut buffer[..stored.hash.len()];
    run(stored.params.clone(), password, &stored.salt, hash)?;
    Ok(match secret::equal(hash, stored.hash.as_bytes()) {
        true if is_weak(stored) => PasswordMatch::RightButWeak,
        true => PasswordMatch::Right,
        false => PasswordMatch::Wrong,
    })
}

/// Gives the memory of earlier hashes back to the system, wiped by the program's allocator.
pub fn release_memory() {
    drop(mem::take(&mut *MEMORY_OF_EARLIER_HASHES.lock().unwrap_or_else(PoisonError::into_inner)));
}

fn run(params: Params, password: &SecretString, salt: &[u8], hash: &mut [u8]) -> Result<(), HashError> {
    let is_todays = (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY, PASSES, LANES);
    let mut memory = if is_todays { earlier_memory() } else { Vec::new() };
    let missing = params.block_count() - memory.len();
    memory.try_reserve_exact(missing).map_err(|_| HashError(argon2::Error::OutOfMemory))?;
    memory.resize(params.block_count(), Block::new());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let password = password.expose_secret().as_bytes();
    argon2.hash_password_into_with_memory(password, salt, hash, &mut memory[..]).map_err(HashError)?;
    if is_todays {
        MEMORY_OF_EARLIER_HASHES.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
    }
    Ok(())
}

/// Empty where there is none.
fn earlier_memory() -> Vec<Block> {
    MEMORY_OF_EARLIER_HASHES.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
}

fn phc(salt: impl Display, hash: impl Display) -> String {
    format!("$argon2id$v=19$m={MEMORY},t={PASSES},p={LANES}${salt}${hash}")
}

fn read(phc: &str) -> Option<StoredHash> {
    let stored = PasswordHash::new(phc).ok()?;
    let ours = stored.algorithm == ARGON2ID_IDENT && stored.version == Some(Version::V0x13.into());
    let params = Params::try_from(&stored).ok().filter(|params| ours && may_run(params))?;
    Some(StoredHash { params, salt: stored.salt?, hash: stored.hash? })
}

fn may_run(params: &Params) -> bool {
    params.m_cost() <= MOST_MEMORY && params.t_cost() <= MOST_PASSES && params.p_cost() <= MOST_LANES
}

fn is_weak(stored: &StoredHash) -> bool {
    let params = &stored.params;
    let little_work = params.m_cost() < MEMORY || params.t_cost() < PASSES || params.p_cost() < LANES;
    little_work || stored.salt.len() < SALT || stored.hash.len() < HASH
}

#[cfg(test)]
mod tests {
    use argon2::{AssociatedData, ParamsBuilder};
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    const SALT_TEXT: &str = "c2l4dGVlbiBieXRlcyBvaw";

    fn password() -> SecretString {
        SecretString::from("a cat on 3 roofs")
    }

    /// A hash of the correct password with other parameters than the current ones.
    fn stored_as(memory: u32, passes: u32, lanes: u32) -> String {
        let mut hash = [0; HASH];
        let params = Params::new(memory, passes, lanes, Some(HASH)).expect("parameters");
        run(params, &password(), b"sixteen bytes ok", &mut hash).expect("a hash");
        let hash = BASE64_STANDARD_NO_PAD.encode(hash);
        format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${SALT_TEXT}${hash}")
    }

    fn asking_for(memory: u32, passes: u32, lanes: u32) -> String {
        format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${SALT_TEXT}${}", "A".repeat(43))
    }

    #[test]
    fn only_the_right_password_verifies() {
        let stored = hash(&password(), &mut StdRng::seed_from_u64(7)).expect("a hash");
        assert_eq!(verify(&password(), Some(&stored)), PasswordMatch::Right);
        for wrong in ["", "a cat on 3 roof", "A cat on 3 roofs", "a cat on 3 roofs "] {
            assert_eq!(verify(&SecretString::from(wrong), Some(&stored)), PasswordMatch::Wrong, "{wrong}");
        }
    }

    #[test]
    fn a_hash_is_a_phc_string_with_the_salt_of_the_given_rng() {
        let mut salt = [0; SALT];
        StdRng::seed_from_u64(7).fill_bytes(&mut salt);
        let stored = hash(&password(), &mut StdRng::seed_from_u64(7)).expect("a hash");
        let start = format!("$argon2id$v=19$m=19456,t=2,p=1${}$", BASE64_STANDARD_NO_PAD.encode(salt));
        let hash = stored.strip_prefix(&start).expect("the form");
        assert_eq!(BASE64_STANDARD_NO_PAD.decode(hash).expect("base64").len(), HASH);
    }

    #[test]
    fn an_account_without_a_hash_takes_the_same_work_and_fails() {
        let nobodys = read(&NOBODYS).expect("a hash that is run");
        let now = Params::new(MEMORY, PASSES, LANES, Some(HASH)).expect("parameters");
        assert_eq!((&nobodys.params, nobodys.salt.len()), (&now, SALT));
        assert_eq!(verify(&password(), None), PasswordMatch::Wrong);
    }

    #[test]
    fn a_hash_with_lower_cost_is_weak() {
        for stored in [stored_as(MEMORY - 1, PASSES, LANES), stored_as(MEMORY, PASSES - 1, LANES)] {
            assert_eq!(verify(&password(), Some(&stored)), PasswordMatch::RightButWeak, "{stored}");
            assert_eq!(verify(&SecretString::from("another"), Some(&stored)), PasswordMatch::Wrong, "{stored}");
        }
        for stored in [stored_as(MEMORY + 1, PASSES, LANES), stored_as(MEMORY, PASSES + 1, LANES + 1)] {
            assert_eq!(verify(&password(), Some(&stored)), PasswordMatch::Right, "{stored}");
        }
    }

    #[test]
    fn a_hash_with_a_shorter_salt_or_a_shorter_result_is_weak() {
        for (salt, hash, expected) in [(SALT, HASH, false), (SALT - 1, HASH, true), (SALT, HASH - 1, true)] {
            let base64 = |bytes: usize| BASE64_STANDARD_NO_PAD.encode(vec![7; bytes]);
            let stored = read(&phc(base64(salt), base64(hash))).expect("a hash");
            assert_eq!(is_weak(&stored), expected, "{salt} and {hash} bytes");
        }
    }

    #[test]
    fn a_hash_with_excessive_cost_is_never_computed() {
        assert!(read(&asking_for(MOST_MEMORY, MOST_PASSES, MOST_LANES)).is_some());
        let four_gib = 4 * 1_024 * 1_024 - 1;
        for (memory, passes, lanes) in [
            (MOST_MEMORY + 1, PASSES, LANES),
            (MEMORY, MOST_PASSES + 1, LANES),
            (MEMORY, PASSES, MOST_LANES + 1),
            (four_gib, PASSES, LANES),
            (u32::MAX, u32::MAX, LANES),
        ] {
            let stored = asking_for(memory, passes, lanes);
            assert!(read(&stored).is_none(), "{stored}");
            assert_eq!(verify(&password(), Some(&stored)), PasswordMatch::Wrong, "{stored}");
        }
    }

    #[test]
    fn malformed_hashes_never_verify() {
        let stored = stored_as(64, 1, 1);
        assert_eq!(verify(&password(), Some(&stored)), PasswordMatch::RightButWeak);
        for (from, to) in [
            ("argon2id", "argon2i"),
            ("argon2id", "scrypt"),
            ("$v=19", ""),
            ("v=19", "v=16"),
            ("m=64", "m=0"),
            ("p=1", "p=1,x=1"),
            (SALT_TEXT, "c2l4"),
            (&stored[stored.len() - 43..], ""),
            (&stored, ""),
        ] {
            let broken = stored.replacen(from, to, 1);
            assert_ne!(broken, stored);
            assert_eq!(verify(&password(), Some(&broken)), PasswordMatch::Wrong, "{broken}");
        }
    }

    /// A test vector of the reference implementation (phc-winner-argon2, `src/test.c`): 8 bytes of salt and 256 KiB.
    #[test]
    fn a_hash_of_the_reference_implementation_verifies() {
        let stored = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert_eq!(verify(&SecretString::from("password"), Some(stored)), PasswordMatch::RightButWeak);
    }

    /// RFC 9106, section 5.3.
    #[test]
    fn the_published_test_vector_matches() {
        let data = AssociatedData::new(&[4; 12]).expect("data");
        let params = ParamsBuilder::new().m_cost(32).t_cost(3).p_cost(4).data(data).build().expect("parameters");
        let argon2 = Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).expect("a secret");
        let mut memory = vec![Block::new(); argon2.params().block_count()];
        let mut tag = [0; 32];
        argon2.hash_password_into_with_memory(&[1; 32], &[2; 16], &mut tag, &mut memory[..]).expect("a tag");
        let published = [
            0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53, 0xc9, 0xd0, 0x1e,
            0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01, 0xe6, 0x59,
        ];
        assert_eq!(tag, published);
    }
}
