//! `orgkeys healthcheck`: what it takes for a healthy server, and what it says of anything else.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::commands::certificate;
use crate::harness::{Home, run};
use crate::missing::has;

/// A server that reads a request and answers with these bytes; without any, it keeps the connection.
fn impostor(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let Some(answer) = answer else {
                silent.push(stream);
                continue;
            };
            let _ = stream.read(&mut [0; 1_024]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn healthcheck_tells_what_is_not_healthy() {
    let home = Home::new();
    for (answer, says) in [
        (Some("HTTP/1.1 503 Service Unavailable\r\n\r\n"), "GET /health returned 503"),
        (Some("HTTP/1.1 404 Not Found\r\n\r\n"), "GET /health returned 404"),
        (Some("SSH-2.0-OpenSSH_9\r\n"), "compare listen, tls_cert and tls_key"),
        (Some("HTTP/1.1"), "it closed the connection without an answer"),
        (Some(""), "it closed the connection without an answer"),
        (None, "no answer within 450 ms"),
    ] {
        let address = impostor(answer);
        let ran = home.run(&["healthcheck", "--listen", &address]);
        let told = ran.stderr.starts_with(&format!("orgkeys: the server at {address} is not healthy: "));
        // A busy machine may need longer than the command waits.
        let says = ran.stderr.contains(says) || ran.stderr.contains("no answer within");
        assert_eq!((ran.code, told, says), (Some(1), true, true), "{answer:?}: {ran:?}");
    }
    let old = impostor(Some("HTTP/1.0 200 OK\r\n\r\n"));
    assert!((0..5).any(|_| home.run(&["healthcheck", "--listen", &old]).code == Some(0)));
}

#[test]
fn healthcheck_exits_0_while_the_server_answers_and_1_afterwards() {
    let home = Home::new();
    let (server, _) = home.first_start();
    let address = server.address.to_string();
    // It gives up within a second, which may be too short on a busy machine.
    assert!((0..5).any(|_| home.run(&["healthcheck", "--listen", &address]).code == Some(0)));
    // With the server's own setting, where any address of this machine means loopback.
    let any = format!("0.0.0.0:{}", server.address.port());
    assert!((0..5).any(|_| run(home.orgkeys(&["healthcheck"]).env("ORGKEYS_LISTEN", &any)).code == Some(0)));
    assert_eq!(server.stop().0, Some(0));
    let ran = home.run(&["healthcheck", "--listen", &address]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.stderr.starts_with(&format!("orgkeys: the server at {address} is not healthy: ")), "{ran:?}");
}

#[test]
fn healthcheck_trusts_only_the_servers_own_certificate() {
    if !has("openssl") {
        return;
    }
    let home = Home::new();
    for name in ["ours", "other"] {
        certificate(&home, name);
    }
    let tls =
        |name: &str| ["--tls-cert", &format!("{name}.crt"), "--tls-key", &format!("{name}.key")].map(str::to_owned);
    let ours = tls("ours");
    let server = home.start_with(&mut home.serve(&ours.each_ref().map(String::as_str)));
    let address = server.address.to_string();
    let check = |name: &str| {
        let flags = tls(name);
        let mut words = vec!["healthcheck", "--listen", &address];
        words.extend(flags.iter().map(String::as_str));
        home.run(&words)
    };
    assert!((0..5).any(|_| check("ours").code == Some(0)), "{:?}", check("ours"));
    assert_eq!(check("other").code, Some(1));
    assert!(
        (0..5).any(|_| check("other").stderr.contains("the certificate is not the one in tls_cert")),
        "{:?}",
        check("other")
    );
    assert_eq!(home.run(&["healthcheck", "--listen", &address]).code, Some(1), "without TLS");
    let mixed = ["--tls-cert", "ours.crt", "--tls-key", "other.key"];
    let ran = run(&mut home.serve(&mixed));
    assert_eq!((ran.code, ran.stderr.contains("do not match")), (Some(1), true), "{ran:?}");
}
