//! Failing webhooks: logged when an outage begins and when it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use super::{lines, wait_for};
use crate::harness::{Home, eventually};

/// A part of the URL, which must not be logged.
const PATH: &str = "hooks/T024BE7LD/a-secret-in-the-path";

/// A receiver that answers with `status`.
struct Receiver {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    answered: Arc<AtomicUsize>,
}

impl Receiver {
    fn new() -> Self {
        let bound = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (status, answered) = (Arc::new(AtomicU16::new(500)), Arc::new(AtomicUsize::new(0)));
        let receiver = Self {
            address: bound.local_addr().expect("an address"),
            status: Arc::clone(&status),
            answered: Arc::clone(&answered),
        };
        thread::spawn(move || {
            for stream in bound.incoming().flatten() {
                answer(&stream, status.load(Ordering::SeqCst));
                answered.fetch_add(1, Ordering::SeqCst);
            }
        });
        receiver
    }

    fn wait_for(&self, count: usize) {
        let answered = || (self.answered.load(Ordering::SeqCst) >= count).then_some(());
        eventually(&format!("{count} attempts"), answered);
    }
}

/// Answers one delivery; one that is interrupted gets no answer.
fn answer(mut stream: &TcpStream, status: u16) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok()?,
            _ if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    write!(stream, "HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()
}

#[test]
fn a_failing_webhook_is_logged_once_for_each_outage_and_once_for_its_end() {
    let (home, receiver) = (Home::new(), Receiver::new());
    let server = home.start_with(&mut home.serve(&["--webhook-allow", "127.0.0.0/8"]));
    let owner = server.owner();
    let url = format!("http://{}/{PATH}", receiver.address);
    let hooks = format!("/organization/{}/webhooks", owner.org);
    // Only events about projects, of which there are none: whatever is sent is a test.
    let hook = json!({ "url": url, "contexts": [0] });
    let made = server.call("POST", &hooks, Some(&owner.token), Some(&hook)).json();
    let hook = made["data"]["id"].as_str().expect("an id");
    let test = || assert_eq!(server.call_as(&owner, "POST", &format!("{hooks}/{hook}/test")).status, 200);
    for attempt in 1..=3 {
        test();
        receiver.wait_for(attempt);
    }
    let (failing, succeeding) = (
        "a webhook is failing; this is not logged again before it has succeeded",
        "a webhook that was failing succeeds again",
    );
    let line = wait_for(&home, failing, 1).remove(0);
    assert_eq!(
        (&line["level"], &line["webhook"], &line["organization"], &line["status"]),
        (&json!("WARN"), &json!(hook), &json!(owner.org), &json!(500))
    );
    assert!(lines(&home, succeeding).is_empty());
    receiver.status.store(204, Ordering::SeqCst);
    test();
    let line = wait_for(&home, succeeding, 1).remove(0);
    assert_eq!(
        (&line["level"], &line["webhook"], &line["organization"]),
        (&json!("WARN"), &json!(hook), &json!(owner.org))
    );
    assert!(line["failed"].as_u64().is_some_and(|failed| failed >= 3), "{line}");
    assert!(line["seconds"].is_u64(), "{line}");
    test();
    receiver.wait_for(5);
    assert_eq!(server.stop().0, Some(0));
    assert_eq!((lines(&home, failing).len(), lines(&home, succeeding).len()), (1, 1), "{}", home.log());
    assert!(!home.log().contains(PATH), "the URL may contain a secret: {}", home.log());
}
