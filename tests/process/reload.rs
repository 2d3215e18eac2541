//! SIGHUP: the server reads its TLS files again, and goes on.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::commands::certificate;
use crate::harness::{Home, Server, eventually, run};
use crate::log::lines;
use crate::missing::has;

/// Waits until the log of the servers contains a text this often.
fn logged(home: &Home, server: &Server, text: &str, count: usize) {
    eventually(text, || {
        assert!(server.is_running(), "the server ended: {}", home.log());
        (home.log().matches(text).count() >= count).then_some(())
    });
}

/// The SHA-256 fingerprint of the certificate that a server presents, or that is in a file.
fn fingerprint(home: &Home, source: &str) -> String {
    let mut shell = std::process::Command::new("sh");
    let ran = run(shell
        .current_dir(home.path(""))
        .args(["-c", &format!("{source} | openssl x509 -noout -fingerprint -sha256")]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout
}

#[test]
fn sighup_reads_the_tls_files_again_and_does_not_end_the_server() {
    if !has("openssl") {
        return;
    }
    let home = Home::new();
    certificate(&home, "ours");
    certificate(&home, "renewed");
    let server = home.start_with(&mut home.serve(&["--tls-cert", "ours.crt", "--tls-key", "ours.key"]));
    let presented =
        || fingerprint(&home, &format!("openssl s_client -connect {} </dev/null 2>/dev/null", server.address));
    assert_eq!(presented(), fingerprint(&home, "cat ours.crt"));
    // Clients that prefer another version of HTTP are told which one the server speaks.
    let offer = format!("openssl s_client -connect {} -alpn h2,http/1.1 </dev/null 2>/dev/null", server.address);
    let ran = run(std::process::Command::new("sh").current_dir(home.path("")).args(["-c", &offer]));
    assert!(ran.stdout.contains("ALPN protocol: http/1.1"), "{ran:?}");
    // The connection counts as encrypted.
    let get = r"printf 'GET /console/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'";
    let get = format!("{get} | openssl s_client -quiet -connect {} 2>/dev/null", server.address);
    let ran = run(std::process::Command::new("sh").current_dir(home.path("")).args(["-c", &get]));
    assert!(ran.stdout.contains("cross-origin-opener-policy: same-origin"), "{ran:?}");
    // Even where the files seem unchanged.
    let loaded = "the TLS certificate was reloaded";
    server.signal(Signal::HUP);
    logged(&home, &server, loaded, 1);
    for kind in ["crt", "key"] {
        fs::rename(home.path(&format!("renewed.{kind}")), home.path(&format!("ours.{kind}"))).expect("renewed");
    }
    server.signal(Signal::HUP);
    logged(&home, &server, loaded, 2);
    assert_eq!(presented(), fingerprint(&home, "cat ours.crt"));
    // A pair that cannot be used changes nothing.
    home.write("ours.crt", "nothing");
    server.signal(Signal::HUP);
    logged(&home, &server, "the previous certificate stays in use", 1);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_private_key_may_have_either_of_its_older_forms() {
    if !has("openssl") {
        return;
    }
    let home = Home::new();
    for (make, begins) in [
        ("ecparam -name prime256v1 -genkey -noout -out s.key", "-----BEGIN EC PRIVATE KEY-----"),
        ("genrsa -traditional -out s.key 2048", "-----BEGIN RSA PRIVATE KEY-----"),
    ] {
        for words in [make, "req -x509 -new -key s.key -days 20 -subj /CN=localhost -out s.crt"] {
            let ran = run(std::process::Command::new("openssl").current_dir(home.path("")).args(words.split(' ')));
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
        assert!(fs::read_to_string(home.path("s.key")).expect("a key").starts_with(begins), "{make}");
        let server = home.start_with(&mut home.serve(&["--tls-cert", "s.crt", "--tls-key", "s.key"]));
        let presented =
            fingerprint(&home, &format!("openssl s_client -connect {} </dev/null 2>/dev/null", server.address));
        assert_eq!(presented, fingerprint(&home, "cat s.crt"), "{make}");
        assert!(server.shown.contains(&format!("Open https://{}/console/#setup=", server.address)), "{}", server.shown);
        let started = lines(&home, "the server has started").pop().expect("a line");
        assert_eq!((&started["tls"], server.stop().0), (&true.into(), Some(0)));
    }
}

#[test]
fn a_renewed_pair_is_served_within_seconds_and_a_broken_one_is_not() {
    if !has("openssl") {
        return;
    }
    let home = Home::new();
    certificate(&home, "ours");
    certificate(&home, "renewed");
    let server = home.start_with(&mut home.serve(&["--tls-cert", "ours.crt", "--tls-key", "ours.key"]));
    let presented =
        || fingerprint(&home, &format!("openssl s_client -connect {} </dev/null 2>/dev/null", server.address));
    let first = fingerprint(&home, "cat ours.crt");
    let began = Instant::now();
    home.write("ours.crt", "nothing");
    logged(&home, &server, "the previous certificate stays in use", 1);
    assert_eq!(presented(), first, "a broken pair");
    for kind in ["crt", "key"] {
        fs::rename(home.path(&format!("renewed.{kind}")), home.path(&format!("ours.{kind}"))).expect("renewed");
    }
    logged(&home, &server, "the TLS certificate was reloaded", 1);
    let renewed = presented();
    assert_eq!(renewed, fingerprint(&home, "cat ours.crt"));
    assert_ne!(renewed, first);
    // The files are looked at every 5 s, and without a signal.
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn sighup_without_tls_does_not_end_the_server() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    server.signal(Signal::HUP);
    logged(&home, &server, "there are no TLS files to read again", 1);
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
    assert_eq!(server.stop().0, Some(0));
}
