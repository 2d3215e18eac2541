//! TLS of the client: which certificates it trusts, and for which names.

use std::process::Command;

use crate::client_output::impostor;
use crate::commands::certificate;
use crate::harness::{Home, run};
use crate::missing::has;

#[test]
fn tls_needs_a_certificate_that_is_trusted_and_for_the_name() {
    if !has("openssl") {
        return;
    }
    let home = Home::new();
    for name in ["ours", "other"] {
        certificate(&home, name);
    }
    let server = home.start_with(&mut home.serve(&["--tls-cert", "ours.crt", "--tls-key", "ours.key"]));
    let (owner, port) = (server.owner(), server.address.port());
    let list = |host: &str, flags: &[&str]| {
        let url = format!("https://{host}:{port}");
        run(home.orgkeys(&[&["key", "list", "--url", &url], flags].concat()).env("ORGKEYS_TOKEN", &owner.token))
    };
    for host in ["localhost", "127.0.0.1"] {
        let ran = list(host, &["--ca", "ours.crt"]);
        assert_eq!(ran.code, Some(0), "{host}: {ran:?}");
    }
    // A profile finds the certificate wherever its commands run.
    home.write("token", &owner.token);
    let (url, from) = (format!("https://localhost:{port}"), format!("cat {}", home.path("token").display()));
    for (folder, words) in [
        (home.path(""), &["login", "--url", &url, "--ca", "ours.crt", "--token-command", &from][..]),
        ("/".into(), &["whoami"]),
        // Signing in again needs the certificate no more than this.
        ("/".into(), &["login", "--url", &url, "--token-command", &from]),
        ("/".into(), &["whoami"]),
    ] {
        let ran = run(home.orgkeys(words).env("HOME", home.path("")).env("PATH", "/usr/bin:/bin").current_dir(folder));
        assert_eq!(ran.code, Some(0), "{words:?}: {ran:?}");
    }
    let other = list("localhost", &["--ca", "other.crt"]);
    assert_eq!((other.code, other.stderr.contains("certificate of localhost")), (Some(8), true), "{other:?}");
    let system = run(home
        .orgkeys(&["key", "list", "--url", &format!("https://localhost:{port}")])
        .env("ORGKEYS_TOKEN", &owner.token)
        .env("SSL_CERT_FILE", home.path("other.crt")));
    assert_eq!((system.code, system.stderr.contains("--ca")), (Some(8), true), "{system:?}");
    let clear = run(home
        .orgkeys(&["api", "getHealth", "--url", &format!("http://localhost:{port}")])
        .env("HOME", home.path("")));
    assert_eq!((clear.code, clear.stderr.contains("https://")), (Some(8), true), "{clear:?}");
    let clear = home.run(&["login", "--url", "http://localhost:1", "--ca", "ours.crt", "--token-command", "true"]);
    assert_eq!((clear.code, clear.stderr.contains("is not encrypted")), (Some(2), true), "{clear:?}");
    assert_eq!(list("localhost", &["--ca", "ours.key"]).code, Some(2), "no certificate");
    let plain = format!("https://localhost:{}", impostor("400 Bad Request", String::new()).port());
    let plain = home.run(&["api", "getHealth", "--url", &plain, "--ca", "ours.crt"]);
    assert_eq!((plain.code, plain.stderr.contains("write http:// in its URL")), (Some(8), true), "{plain:?}");
    home.write("garbled", "-----BEGIN CERTIFICATE-----\nA!AA\n-----END CERTIFICATE-----\n");
    for (file, says) in [("missing", "No such file"), ("garbled", "cannot be read as certificates in PEM")] {
        let ran = list("localhost", &["--ca", file]);
        let told = ran.stderr.contains(&format!("--ca {file}: ")) && ran.stderr.contains(says);
        assert_eq!((ran.code, told), (Some(2), true), "{ran:?}");
    }
}

#[test]
fn a_certificate_is_trusted_for_its_names_only() {
    if !has("openssl") {
        return;
    }
    let home = Home::new();
    certificate(&home, "ca");
    let openssl = |words: &[&str]| {
        let ran = run(Command::new("openssl").current_dir(home.path("")).args(words));
        assert_eq!(ran.code, Some(0), "{ran:?}");
    };
    openssl(&["req", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x", "-keyout", "s.key", "-out", "s.csr"]);
    home.write("ext", "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n");
    let sign = ["x509", "-req", "-in", "s.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "2", "-extfile", "ext"];
    openssl(&[&sign[..], &["-out", "s.crt"]].concat());
    let server = home.start_with(&mut home.serve(&["--tls-cert", "s.crt", "--tls-key", "s.key"]));
    // As an authority, and as the certificate itself.
    for ca in ["ca.crt", "s.crt"] {
        let ask = |host: &str| {
            let url = format!("https://{host}:{}", server.address.port());
            home.run(&["api", "getHealth", "--url", &url, "--ca", ca])
        };
        let (named, other) = (ask("localhost"), ask("127.0.0.1"));
        assert_eq!(named.code, Some(0), "{ca}: {named:?}");
        assert_eq!((other.code, other.stderr.contains("is not for 127.0.0.1")), (Some(8), true), "{ca}: {other:?}");
    }
}

#[test]
fn a_server_presents_its_whole_chain() {
    if !has("openssl") {
        return;
    }
    let home = Home::new();
    certificate(&home, "root");
    home.write("between.ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n");
    home.write("ours.ext", "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n");
    for (name, issuer) in [("between", "root"), ("ours", "between")] {
        for words in [
            format!("req -newkey ed25519 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"),
            format!(
                "x509 -req -in {name}.csr -CA {issuer}.crt -CAkey {issuer}.key -CAcreateserial -days 2 -extfile {name}.ext -out {name}.crt"
            ),
        ] {
            let ran = run(Command::new("openssl").current_dir(home.path("")).args(words.split(' ')));
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
    }
    let read = |name: &str| std::fs::read_to_string(home.path(name)).expect("a certificate");
    home.write("chain.crt", read("ours.crt") + &read("between.crt"));
    for (cert, code) in [("chain.crt", Some(0)), ("ours.crt", Some(8))] {
        let server = home.start_with(&mut home.serve(&["--tls-cert", cert, "--tls-key", "ours.key"]));
        let url = format!("https://localhost:{}", server.address.port());
        let ran = home.run(&["api", "getHealth", "--url", &url, "--ca", "root.crt"]);
        assert_eq!((ran.code, ran.stderr.contains("is not trusted")), (code, code != Some(0)), "{cert}: {ran:?}");
        let listen = server.address.to_string();
        let check = || home.run(&["healthcheck", "--listen", &listen, "--tls-cert", cert, "--tls-key", "ours.key"]);
        assert!((0..5).any(|_| check().code == Some(0)), "{cert}: {:?}", check());
    }
}

#[test]
fn a_certificate_that_has_expired_is_refused_even_if_it_is_named() {
    if !has("openssl") {
        return;
    }
    let home = Home::new();
    home.write("ext", "subjectAltName=DNS:localhost\n");
    for words in [
        "req -newkey ed25519 -nodes -subj /CN=x -keyout s.key -out s.csr",
        "x509 -req -in s.csr -signkey s.key -days -1 -extfile ext -out s.crt",
    ] {
        let ran = run(Command::new("openssl").current_dir(home.path("")).args(words.split(' ')));
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let server = home.start_with(&mut home.serve(&["--tls-cert", "s.crt", "--tls-key", "s.key"]));
    let url = format!("https://localhost:{}", server.address.port());
    let ran = home.run(&["api", "getHealth", "--url", &url, "--ca", "s.crt"]);
    assert_eq!((ran.code, ran.stderr.contains("expired")), (Some(8), true), "{ran:?}");
}
