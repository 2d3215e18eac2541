use rsa::pkcs8::der::asn1::UintRef;

use super::*;

/// The example of RFC 7638, section 3.1.
const RFC_7638: (&str, &str) = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ\
     _2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD\
     08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
);

/// An odd number of so many bits without a small factor. Nothing else is checked of a modulus.
fn modulus(bits: usize) -> Vec<u8> {
    let bytes = bits.div_ceil(8);
    let mut number: Vec<u8> = digest(&SHA256, b"a modulus").as_ref().iter().copied().cycle().take(bytes).collect();
    number[0] = (number[0] | 0x80) >> (bytes * 8 - bits);
    number[bytes - 1] |= 1;
    while has_small_factor(&number) {
        number[bytes - 2] = number[bytes - 2].wrapping_add(1);
        number[bytes - 3] = number[bytes - 3].wrapping_add(7);
    }
    number
}

fn pkcs1(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let (modulus, public_exponent) =
        (UintRef::new(modulus).expect("a number"), UintRef::new(exponent).expect("a number"));
    RsaPublicKeyRef { modulus, public_exponent }.to_der().expect("DER")
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der))
}

fn problem(text: &str) -> String {
    read(text).expect_err(text).to_string()
}

#[test]
fn every_accepted_size_and_both_encodings_become_the_same_bytes() {
    for bits in SIZES {
        for exponent in [&[1, 0, 1][..], &[0xff, 0xff, 0xff, 0xff]] {
            let inner = pkcs1(&modulus(bits), exponent);
            let outer = wrapped(&inner).expect("DER");
            let read = |label, der: &[u8]| read(&pem(label, der)).expect("accepted");
            assert_eq!(read("PUBLIC KEY", &outer), outer);
            assert_eq!(read("RSA PUBLIC KEY", &inner), outer);
            assert_eq!(describe(&outer).expect("described").bits, bits);
        }
    }
}

#[test]
fn the_thumbprint_is_that_of_rfc_7638() {
    let modulus = BASE64_URL_SAFE_NO_PAD.decode(RFC_7638.0).expect("base64url");
    let der = read(&pem("RSA PUBLIC KEY", &pkcs1(&modulus, &[1, 0, 1]))).expect("accepted");
    let expected = Description { bits: 2_048, thumbprint: RFC_7638.1.to_owned() };
    assert_eq!(describe(&der).expect("described"), expected);
}

#[test]
fn keys_of_another_form_are_refused_with_what_to_do() {
    let good = modulus(2_048);
    let of = |modulus: &[u8], exponent: &[u8]| problem(&pem("RSA PUBLIC KEY", &pkcs1(modulus, exponent)));
    for bits in [1_024, 2_047, 2_049, 3_071, 4_097, 8_192] {
        assert!(of(&modulus(bits), &[1, 0, 1]).contains(&format!("has {bits} bits")), "{bits}");
    }
    for exponent in [&[3][..], &[1, 0, 0], &[0xff, 0xff], &[1, 0, 0, 0, 1], &[0x11; 9]] {
        assert!(of(&good, exponent).contains("public exponent"), "{exponent:?}");
    }
    let mut even = good.clone();
    even[255] &= 0xfe;
    assert_eq!(of(&even, &[1, 0, 1]), DAMAGED);
    // 3 divides a number of 256 equal bytes that it divides itself.
    assert_eq!(of(&[0x99; 256], &[1, 0, 1]), DAMAGED);
    for factor in [5, 97, 4_391, 9_967, 9_973_u32] {
        let rest = good[..252].iter().chain(&[0; 4]).fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % factor);
        let last = (factor - rest) + (factor - rest + 1) % 2 * factor;
        assert_eq!(of(&[&good[..252], &last.to_be_bytes()].concat(), &[1, 0, 1]), DAMAGED, "{factor}");
    }

    let ed25519 = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
    let others = [
        (format!("-----BEGIN PUBLIC KEY-----\n{ed25519}\n-----END PUBLIC KEY-----\n"), "no RSA key"),
        (pem("PRIVATE KEY", &[1, 2, 3]), "compromised"),
        (pem("ENCRYPTED PRIVATE KEY", &[1, 2, 3]), "compromised"),
        (pem("PUBLIC KEY", &[1]) + &pem("RSA PRIVATE KEY", &[1, 2, 3]), "compromised"),
        (pem("CERTIFICATE", &[1, 2, 3]), "openssl x509"),
        ("ssh-rsa AAAA".to_owned(), "OpenSSH"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA".to_owned(), "no public key in PEM"),
        (String::new(), "no public key in PEM"),
        (pem("PUBLIC KEY", &wrapped(&pkcs1(&good, &[1, 0, 1])).expect("DER")).repeat(2), "more than one key"),
        ("-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----".to_owned(), "damaged"),
    ];
    for (text, expected) in others {
        assert!(problem(&text).contains(expected), "{text}");
    }
}

/// What is not the one encoding of its key could be stored twice, or be understood differently by another program.
#[test]
fn no_change_of_a_byte_and_no_length_is_accepted_as_the_same_key() {
    let der = wrapped(&pkcs1(&modulus(2_048), &[1, 0, 1])).expect("DER");
    let header = der.len() - 256 - 5;
    for at in (0..header).chain(der.len() - 5..der.len()) {
        for bit in 0..8 {
            let mut changed = der.clone();
            changed[at] ^= 1 << bit;
            if let Ok(accepted) = read(&pem("PUBLIC KEY", &changed)) {
                assert!(accepted == changed && at >= header, "byte {at}");
            }
        }
    }
    for length in 0..der.len() {
        assert!(read(&pem("PUBLIC KEY", &der[..length])).is_err(), "{length}");
    }
    for more in [&[0][..], &[5, 0], &der] {
        assert!(read(&pem("PUBLIC KEY", &[&der[..], more].concat())).is_err());
    }
}
