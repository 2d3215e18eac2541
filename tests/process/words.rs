//! Errors about files and servers that are not what they should be: in words for administrators, not for programmers.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

use crate::closed_port::ClosedPort;
use crate::commands::certificate;
use crate::harness::{Home, accepted, failed, run};
use crate::missing::has;

/// Words of libraries, which say nothing to an administrator.
const LIBRARY_WORDS: [&str; 14] = [
    "TooSmall",
    "KeyMismatch",
    "BadEncoding",
    "InvalidCharacter",
    "no items found",
    "fill whole buffer",
    "valid UTF-8",
    "InvalidContentType",
    "Resource temporarily",
    "unexpected error",
    "I/O error",
    "expected value",
    "tls_cert tls_cert",
    "Error {",
];

/// Runs a command that fails with this text, and with no word of a library.
fn fails(home: &Home, words: &[&str], expected: &str) {
    let ran = home.run(words);
    assert!(
        ran.code == Some(failed(words)) && ran.stderr.contains(expected),
        "{words:?} does not say {expected:?}: {ran:?}"
    );
    for word in LIBRARY_WORDS {
        assert!(!ran.stderr.contains(word), "{words:?}: {ran:?}");
    }
}

fn openssl(home: &Home, words: &str) {
    let ran = run(Command::new("openssl").current_dir(home.path("")).args(words.split(' ')));
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// Writes the key in `key.pem` with lines of this length to `wide.pem`.
fn rewrap(home: &Home, width: usize) {
    let pem = std::fs::read_to_string(home.path("key.pem")).expect("the key");
    let lines: Vec<&str> = pem.lines().collect();
    let body = lines[1..lines.len() - 1].concat();
    let body: Vec<_> = body.as_bytes().chunks(width).map(String::from_utf8_lossy).collect();
    home.write("wide.pem", format!("{}\n{}\n{}\n", lines[0], body.join("\n"), lines[lines.len() - 1]));
}

#[test]
fn sign_reads_keys_in_lines_of_any_length_and_says_what_is_wrong_with_others() {
    if !has("openssl") {
        return;
    }
    let home = Home::new();
    for words in [
        "genrsa -out key.pem 2048",
        "genrsa -out small.pem 1024",
        "pkey -in key.pem -aes128 -passout pass:secret -out encrypted.pem",
        "rsa -in key.pem -traditional -aes128 -passout pass:secret -out encrypted-pkcs1.pem",
        "rsa -in key.pem -pubout -out public.pem",
        "rsa -in key.pem -outform DER -out key.der",
        "ecparam -name prime256v1 -genkey -noout -out curve.pem",
        "genpkey -algorithm ed25519 -out edwards.pem",
    ] {
        openssl(&home, words);
    }
    home.write("odd.pem", include_str!("../shared/rsa/2056.pem"));
    home.write("imported.pem", include_str!("../shared/rsa/3072.pem"));
    let sign = |key| home.done(&["sign", "--key", key, "--ip", "a", "--region", "b", "--timestamp", "1705314600"]);
    let signed = sign("key.pem");
    sign("imported.pem");
    for width in [76, 10_000] {
        rewrap(&home, width);
        assert_eq!(sign("wide.pem"), signed, "{width}");
    }
    for (key, expected) in [
        ("small.pem", "small.pem: the private key has 1024 bits: organization keys have 2048, 3072 or 4096"),
        ("odd.pem", "odd.pem: the private key has 2056 bits: organization keys have 2048, 3072 or 4096"),
        ("encrypted.pem", "encrypted.pem: the private key is encrypted with a passphrase"),
        ("encrypted-pkcs1.pem", "encrypted-pkcs1.pem: the private key is encrypted with a passphrase"),
        ("public.pem", "public.pem: the file contains a public key, but no private key"),
        ("key.der", "key.der: the file contains no private key in PEM"),
        ("curve.pem", "curve.pem: the private key is for elliptic curves"),
        ("edwards.pem", "edwards.pem: the private key is no RSA key"),
        ("missing.pem", "missing.pem: No such file"),
        (".", ".: Is a directory"),
    ] {
        fails(&home, &["sign", "--key", key, "--ip", "a", "--region", "b"], expected);
    }
}

#[test]
fn serve_says_what_is_wrong_with_its_certificate_and_its_key() {
    if !has("openssl") {
        return;
    }
    let home = Home::new();
    certificate(&home, "ours");
    certificate(&home, "other");
    openssl(&home, "pkey -in ours.key -aes128 -passout pass:secret -out encrypted.key");
    openssl(&home, "genrsa -out small.key 1024");
    let pem = std::fs::read_to_string(home.path("ours.crt")).expect("the certificate");
    home.write("cut.crt", &pem[..pem.len() / 2]);
    home.write("short.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    home.write("garbled.crt", "-----BEGIN CERTIFICATE-----\nA!AA\n-----END CERTIFICATE-----\n");
    home.write("noise", [0xff, 0xfe, 0, 1]);
    for (cert, key, expected) in [
        ("ours.crt", "other.key", "ours.crt and the private key other.key do not match"),
        ("ours.crt", "encrypted.key", "private key encrypted.key cannot be used: the private key is encrypted"),
        ("ours.crt", "ours.crt", "private key ours.crt cannot be used: the file contains a certificate"),
        ("ours.crt", "small.key", "private key small.key cannot be used: it is damaged, or neither RSA of 2048"),
        ("ours.crt", "noise", "private key noise cannot be used: the file contains no private key"),
        ("ours.crt", "missing", "private key missing cannot be used: No such file"),
        ("missing", "ours.key", "certificate missing cannot be used: No such file"),
        ("ours.key", "ours.key", "certificate ours.key cannot be used: it contains no certificate"),
        ("cut.crt", "ours.key", "certificate cut.crt cannot be used: it is damaged"),
        ("garbled.crt", "ours.key", "certificate garbled.crt cannot be used: it is damaged"),
        ("short.crt", "ours.key", "certificate short.crt cannot be used: it is damaged"),
    ] {
        let words = ["serve", "--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key];
        fails(&home, &words, expected);
    }
    fails(&home, &["config", "--tls-cert", "a"], "orgkeys: tls_cert is set without tls_key: set both, or neither");
    fails(&home, &["config", "--tls-key", "a"], "orgkeys: tls_key is set without tls_cert: set both, or neither");
}

#[test]
fn a_file_that_is_no_text_is_called_that() {
    let home = Home::new();
    home.write("noise", [0xff, 0xfe, 0, 1]);
    home.write("words", "{\"id\": 1}\n");
    for (words, expected) in [
        (&["config", "--config", "noise"][..], "noise: it is not a text file in UTF-8"),
        (&["config", "--metrics-token-file", "noise"], "cannot read noise: it is not a text file in UTF-8"),
        (&["audit", "verify", "--file", "noise"], "line 1 is not text in UTF-8"),
        (&["audit", "verify", "--file", "words"], "line 1 is not an exported entry"),
        (&["audit", "verify", "--file", "words", "--head", "noise"], "noise: it is not a text file in UTF-8"),
        (&["audit", "verify", "--file", "missing"], "missing: No such file"),
        (&["audit", "verify", "--head", "missing"], "missing: No such file"),
        (&["config", "--config", "missing"], "missing: No such file"),
    ] {
        fails(&home, words, expected);
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let home = Home::new();
    drop(home.first_start());
    // Whoever runs the tests: nobody can open a file below a file.
    home.write("words", "");
    for command in [
        &["org", "list"][..],
        &["token", "list"],
        &["audit", "head"],
        &["audit", "verify"],
        &["audit", "export"],
        &["clock", "accept"],
        &["backup", "copy.db"],
    ] {
        fails(&home, &[command, &["--database", "words/x.db"]].concat(), "words/x.db: Not a directory");
    }
    fails(&home, &["serve", "--database", "words/x.db"], "words/x.db.lock: Not a directory");
    std::fs::create_dir(home.path("folder")).expect("a folder");
    fails(&home, &["serve", "--database", "folder"], "folder is a directory: name a file");
    fails(&home, &["restore", "words/x.db", "--database", "new.db"], "words/x.db: Not a directory");
    fails(&home, &["backup", "words/copy.db"], "words/copy.db: Not a directory");
    fails(&home, &["audit", "export", "--out", "words/log"], "words/log: Not a directory");
    fails(&home, &["audit", "export", "--out", "nowhere/log"], "nowhere/log");
    fails(&home, &["man", "words"], "words/orgkeys.1: Not a directory");
    fails(&home, &["man", "nowhere"], "nowhere/orgkeys.1");
}

#[test]
fn healthcheck_says_how_the_server_misbehaved() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let replies = [&b""[..], b"220 mail\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 503 Unavailable\r\n\r\n"];
    let server = std::thread::spawn(move || {
        for reply in replies {
            let mut stream = accepted(&listener);
            let mut request = [0; 512];
            let _ = stream.read(&mut request).expect("a request");
            stream.write_all(reply).expect("sent");
        }
    });
    let other = "its answer is not that of a server with these settings";
    let closed = "it closed the connection without an answer";
    for expected in [closed, closed, other, "GET /health returned 503"] {
        fails(&home, &["healthcheck", "--listen", &address], expected);
    }
    server.join().expect("every reply was sent");
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    fails(&home, &["healthcheck", "--listen", &address], "is not healthy: no answer within 450 ms");
    let closed = ClosedPort::new();
    let address = closed.address.to_string();
    fails(&home, &["healthcheck", "--listen", &address], "is not healthy: Connection refused");
}
