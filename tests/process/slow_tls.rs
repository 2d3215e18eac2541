//! Clients of a TLS listener that say nothing, or not enough: the server ends their connections at its deadlines.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::commands::certificate;
use crate::harness::{Home, Server};
use crate::missing::has;

/// Far beyond the deadlines of the server, and less than those it has by default.
const BOUND: Duration = Duration::from_secs(9);

/// Waits until the server ends a connection, and sends these bytes one by one meanwhile.
fn ended(mut stream: TcpStream, drip: &[u8]) {
    stream.set_read_timeout(Some(BOUND)).expect("a deadline");
    let mut slow = stream.try_clone().expect("a second handle");
    let drip = drip.to_vec();
    thread::spawn(move || {
        for byte in drip {
            thread::sleep(Duration::from_millis(20));
            if slow.write_all(&[byte]).is_err() {
                return;
            }
        }
    });
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "it is still open after {BOUND:?}: {error}"),
    }
}

/// A client that has completed the handshake, and then sends this.
fn shaken(home: &Home, server: &Server, first: &str) -> Child {
    let mut client = std::process::Command::new("openssl");
    client.current_dir(home.path("")).args(["s_client", "-quiet", "-connect", &server.address.to_string()]);
    let mut client =
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    client.stdin.as_mut().expect("a pipe").write_all(first.as_bytes()).expect("sent");
    client
}

#[test]
fn handshakes_that_are_not_completed_do_not_delay_shutdown() {
    if !has("openssl") {
        return;
    }
    let home = Home::new();
    certificate(&home, "ours");
    let server = home.start_with(&mut home.serve(&["--tls-cert", "ours.crt", "--tls-key", "ours.key"]));
    let silent = TcpStream::connect(server.address).expect("connected");
    // Accepted after the silent one, and refused because it is not TLS.
    let mut plain = TcpStream::connect(server.address).expect("connected");
    plain.write_all(b"GET /health HTTP/1.1\r\n\r\n").expect("sent");
    ended(plain, &[]);
    let began = Instant::now();
    assert_eq!(server.stop().0, Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    assert!(!home.log().contains("did not finish within stop_timeout"), "{}", home.log());
    drop(silent);
}

#[test]
fn silent_clients_of_a_tls_listener_are_disconnected_at_the_deadlines() {
    if !has("openssl") {
        return;
    }
    let home = Home::new();
    certificate(&home, "ours");
    let server = home.start_with(&mut home.serve(&[
        "--tls-cert",
        "ours.crt",
        "--tls-key",
        "ours.key",
        "--header-timeout",
        "2s",
        "--request-timeout",
        "2s",
        "--idle-timeout",
        "2s",
    ]));
    let began = Instant::now();
    // The beginning of a handshake that announces 512 bytes.
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let endless = [0; 2_000];
    let connected = |first: &[u8]| {
        let mut stream = TcpStream::connect(server.address).expect("connected");
        stream.write_all(first).expect("sent");
        stream
    };
    let cases: [(&[u8], &[u8]); 4] = [(&[], &[]), (&hello[..3], &[]), (&hello, &[]), (&hello, &endless[..500])];
    let silent = cases.map(|(first, drip)| (connected(first), drip));
    let mut shaken =
        ["", "GET /hea", "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"].map(|first| (first, shaken(&home, &server, first)));
    thread::scope(|scope| {
        let waiting = silent.map(|(stream, drip)| scope.spawn(move || ended(stream, drip)));
        for waiting in waiting {
            waiting.join().expect("it was ended");
            assert!(began.elapsed() >= Duration::from_secs(2), "too early: {:?}", began.elapsed());
        }
    });
    let began = Instant::now();
    for (first, client) in &mut shaken {
        // Its standard input stays open, so it ends only because the server closes the connection.
        while client.try_wait().expect("a child").is_none() {
            if began.elapsed() > BOUND {
                let _ = client.kill();
                panic!("a client that sent {first:?} is still connected after {BOUND:?}");
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
    let [.., (_, mut whole)] = shaken;
    let mut answer = String::new();
    whole.stdout.take().expect("a pipe").read_to_string(&mut answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200"), "the handshake was not completed: {answer}");
    assert_eq!(server.stop().0, Some(0));
}
