//! Public keys that were generated elsewhere: RSA, as SubjectPublicKeyInfo or PKCS#1 in PEM.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use rsa::pkcs1::RsaPublicKeyRef;
use rsa::pkcs8::der::asn1::{AnyRef, BitStringRef};
use rsa::pkcs8::der::{Decode, Encode};
use rsa::pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::rsa::{KeyError, Verifier};

/// The accepted sizes of a modulus, in bits. The length of a signature thus says which size its key has.
pub const SIZES: [usize; 3] = [2_048, 3_072, 4_096];

/// The factors that a modulus must not have. The modulus of a key pair is the product of two large primes, so a small
/// factor shows that it is damaged.
const FACTORS_BELOW: u64 = 10_000;

/// The primes among them, multiplied into numbers of up to 32 bits: one division of the modulus tries several.
static FACTORS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let is_prime = |number: &u64| {
        (2..*number).take_while(|divisor| divisor * divisor <= *number).all(|divisor| !number.is_multiple_of(divisor))
    };
    let mut products = vec![1];
    for prime in (2..FACTORS_BELOW).filter(is_prime) {
        match products.last_mut() {
            Some(product) if *product * prime <= u32::MAX.into() => *product *= prime,
            _ => products.push(prime),
        }
    }
    products
});

/// The accepted public exponents. Smaller ones make forgeries of badly checked signatures easy.
const EXPONENTS: std::ops::RangeInclusive<u64> = 65_537..=u32::MAX as u64;

/// What is shown of a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Bits of the modulus.
    pub bits: usize,
    /// The SHA-256 of the key as JSON Web Key, in base64url (RFC 7638).
    pub thumbprint: String,
}

/// Reads a public key in PEM. Returns it as SubjectPublicKeyInfo DER, in the only form that DER permits, so that equal
/// keys have equal bytes. The error says what is wrong, without repeating any of the input.
pub fn read(pem: &str) -> Result<Vec<u8>, KeyError> {
    let (label, der) = section(pem)?;
    let der = if label == "RSA PUBLIC KEY" { wrapped(&der)? } else { der };
    check(&der)?;
    Verifier::new(&der).map_err(|_| refused(DAMAGED))?;
    Ok(der)
}

/// Describes a public key that was accepted, as SubjectPublicKeyInfo DER.
pub fn describe(der: &[u8]) -> Result<Description, KeyError> {
    let key = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| refused(DAMAGED))?;
    let key = parts(&key)?;
    let base64 = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let (modulus, exponent) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
    let jwk = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, base64(exponent), base64(modulus));
    Ok(Description { bits: bits(modulus), thumbprint: base64(digest(&SHA256, jwk.as_bytes()).as_ref()) })
}

const DAMAGED: &str =
    "the public key is damaged: it is no RSA key in DER. Export it again with `openssl pkey -in KEY -pubout`";

const PRIVATE: &str = "this is a private key: it is compromised now if it left its machine, so replace it. Send only the public \
    key, which `openssl pkey -in KEY -pubout` prints";

/// Returns the only section of a PEM text, with its label.
fn section(pem: &str) -> Result<(&str, Vec<u8>), KeyError> {
    if pem.contains("PRIVATE KEY-----") {
        return Err(refused(PRIVATE));
    }
    if pem.trim_start().starts_with("ssh-") {
        return Err(refused(
            "the key is in the format of OpenSSH: convert it with `ssh-keygen -e -m PKCS8 -f KEY.pub`",
        ));
    }
    let none = || {
        refused(
            "there is no public key in PEM, which begins with -----BEGIN PUBLIC KEY----- and ends with -----END PUBLIC KEY-----",
        )
    };
    let (_, begun) = pem.split_once("-----BEGIN ").ok_or_else(none)?;
    let (label, body) = begun.split_once("-----").ok_or_else(none)?;
    let (body, rest) = body.split_once(&format!("-----END {label}-----")).ok_or_else(none)?;
    match label {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => {}
        "CERTIFICATE" => {
            return Err(refused(
                "this is a certificate: send its public key, which `openssl x509 -in CERTIFICATE -noout -pubkey` prints",
            ));
        }
        _ => return Err(none()),
    }
    if rest.contains("-----BEGIN ") {
        return Err(refused("there is more than one key: send one key in each call"));
    }
    let base64: String = body.split_whitespace().collect();
    Ok((label, BASE64_STANDARD.decode(base64).map_err(|_| refused(DAMAGED))?))
}

/// Wraps a PKCS#1 public key in SubjectPublicKeyInfo.
fn wrapped(pkcs1: &[u8]) -> Result<Vec<u8>, KeyError> {
    let damaged = |_| refused(DAMAGED);
    let info = SubjectPublicKeyInfoRef {
        algorithm: AlgorithmIdentifierRef { oid: rsa::pkcs1::ALGORITHM_OID, parameters: Some(AnyRef::NULL) },
        subject_public_key: BitStringRef::from_bytes(pkcs1).map_err(damaged)?,
    };
    info.to_der().map_err(damaged)
}

/// Checks that a key is of the accepted form, and encoded in the only way that DER permits.
fn check(der: &[u8]) -> Result<(), KeyError> {
    let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| refused(DAMAGED))?;
    let is_rsa = info.algorithm.oid == rsa::pkcs1::ALGORITHM_OID && info.algorithm.parameters == Some(AnyRef::NULL);
    if !is_rsa {
        return Err(refused("the key is no RSA key: organization keys are RSA keys with 2048, 3072 or 4096 bits"));
    }
    let key = parts(&info)?;
    let inner = key.to_der().map_err(|_| refused(DAMAGED))?;
    if wrapped(&inner)? != der {
        return Err(refused(DAMAGED));
    }
    let (modulus, exponent) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
    if !SIZES.contains(&bits(modulus)) {
        let problem = format!("the key has {} bits: RSA keys must have 2048, 3072 or 4096", bits(modulus));
        return Err(KeyError(problem));
    }
    let exponent = (exponent.len() <= 8).then(|| exponent.iter().fold(0, |e, byte| (e << 8) | u64::from(*byte)));
    if !exponent.is_some_and(|e| e % 2 == 1 && EXPONENTS.contains(&e)) {
        return Err(refused("the public exponent must be odd and from 65537 to 4294967295: generate another key"));
    }
    if has_small_factor(modulus) {
        return Err(refused(DAMAGED));
    }
    Ok(())
}

fn parts<'a>(info: &SubjectPublicKeyInfoRef<'a>) -> Result<RsaPublicKeyRef<'a>, KeyError> {
    let inner = info.subject_public_key.as_bytes().ok_or_else(|| refused(DAMAGED))?;
    RsaPublicKeyRef::from_der(inner).map_err(|_| refused(DAMAGED))
}

/// Returns the length of a number without leading zero bytes.
fn bits(number: &[u8]) -> usize {
    let zeros = number.first().map_or(0, |first| first.leading_zeros() as usize);
    number.len() * 8 - zeros
}

fn has_small_factor(modulus: &[u8]) -> bool {
    let words = modulus.chunks(4).map(|word| word.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)));
    // Every accepted size is a multiple of four bytes.
    let words: Vec<u64> = words.collect();
    FACTORS.iter().any(|product| {
        let rest = words.iter().fold(0, |rest, word| ((rest << 32) | word) % product);
        common_divisor(rest, *product) > 1
    })
}

fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

fn refused(problem: &str) -> KeyError {
    KeyError(problem.to_owned())
}

#[cfg(test)]
mod tests;
