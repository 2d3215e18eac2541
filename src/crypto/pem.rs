//! Private keys in PEM, as people store them: with lines of any length, and beside other sections (RFC 7468).

use base64::prelude::{BASE64_STANDARD, Engine};

use super::rsa::KeyError;

/// How the DER of a private key is structured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// RSA (RFC 8017, appendix A.1.2).
    Pkcs1,
    /// Any algorithm (RFC 5958).
    Pkcs8,
    /// Elliptic curves (RFC 5915).
    Sec1,
}

/// Returns the first private key of a file as DER. The error says what the file contains instead, and what to do.
pub fn private_key(file: &[u8]) -> Result<(KeyForm, Vec<u8>), KeyError> {
    let text = String::from_utf8_lossy(file);
    let (mut rest, mut other) = (&*text, None);
    while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
        let (label, body) = begun.split_once("-----").ok_or_else(|| refused("the line -----BEGIN is incomplete"))?;
        let (body, after) = body.split_once(&format!("-----END {label}-----")).ok_or_else(|| {
            refused("the file ends within the key, or a line between -----BEGIN and -----END is missing")
        })?;
        let form = match label {
            "RSA PRIVATE KEY" => KeyForm::Pkcs1,
            "PRIVATE KEY" => KeyForm::Pkcs8,
            "EC PRIVATE KEY" => KeyForm::Sec1,
            "ENCRYPTED PRIVATE KEY" => return Err(encrypted()),
            "OPENSSH PRIVATE KEY" => {
                return Err(refused(
                    "the private key is in the format of OpenSSH: convert a copy with `ssh-keygen -p -N '' -m PEM -f COPY`",
                ));
            }
            label => {
                (rest, other) = (after, Some(named(label)));
                continue;
            }
        };
        // The header of an encrypted key; base64 has no colon.
        if body.contains("Proc-Type:") {
            return Err(encrypted());
        }
        let base64: String = body.split_whitespace().collect();
        let der = BASE64_STANDARD.decode(base64);
        let damaged =
            |_| refused("the private key is damaged: what stands between its first and last line is not base64");
        return Ok((form, der.map_err(damaged)?));
    }
    Err(other.map_or_else(
        || {
            refused(
                "the file contains no private key in PEM, which begins with a line such as -----BEGIN PRIVATE KEY-----",
            )
        },
        |other| refused(&format!("the file contains {other}, but no private key")),
    ))
}

fn named(label: &str) -> &'static str {
    match label {
        "CERTIFICATE" => "a certificate",
        "PUBLIC KEY" | "RSA PUBLIC KEY" => "a public key",
        _ => "other PEM sections",
    }
}

fn encrypted() -> KeyError {
    refused("the private key is encrypted with a passphrase: decrypt a copy with `openssl pkey -in KEY -out COPY`")
}

fn refused(problem: &str) -> KeyError {
    KeyError(problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(label: &str, body: &str) -> String {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    #[test]
    fn a_key_is_found_in_lines_of_any_length_and_beside_other_sections() {
        let base64 = BASE64_STANDARD.encode([7; 200]);
        for width in [1, 64, 76, 1_000] {
            for (begin, end) in [("", "\n"), ("  ", "\r\n"), ("\u{feff}", "\n")] {
                let lines: Vec<_> = base64.as_bytes().chunks(width).map(String::from_utf8_lossy).collect();
                let text = format!("{begin}{}", pem("RSA PRIVATE KEY", &lines.join(end)));
                assert_eq!(private_key(text.as_bytes()).expect("a key"), (KeyForm::Pkcs1, vec![7; 200]));
            }
        }
        let text = pem("EC PARAMETERS", "AA==") + &pem("EC PRIVATE KEY", "BwcH") + &pem("PRIVATE KEY", "AAAA");
        assert_eq!(private_key(text.as_bytes()).expect("the first key"), (KeyForm::Sec1, vec![7; 3]));
    }

    #[test]
    fn each_other_content_has_its_own_message() {
        let header = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nBwcH";
        let cut = pem("PRIVATE KEY", "BwcH");
        for (text, problem) in [
            (pem("ENCRYPTED PRIVATE KEY", "BwcH"), "encrypted with a passphrase"),
            (pem("RSA PRIVATE KEY", header), "encrypted with a passphrase"),
            (pem("OPENSSH PRIVATE KEY", "BwcH"), "format of OpenSSH"),
            (pem("PUBLIC KEY", "BwcH"), "a public key, but no private key"),
            (pem("CERTIFICATE", "BwcH"), "a certificate, but no private key"),
            (pem("PRIVATE KEY", "Bw!H"), "not base64"),
            (pem("PRIVATE KEY", "BwcHB"), "not base64"),
            (cut[..cut.len() - 9].to_owned(), "ends within the key"),
            ("-----BEGIN PRIV".to_owned(), "incomplete"),
            (String::new(), "no private key in PEM"),
            ("\u{0}\u{ff}".to_owned(), "no private key in PEM"),
        ] {
            let error = private_key(text.as_bytes()).expect_err(problem).to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
