//! URLs that try to reach forbidden addresses: a listener on this machine sees none of them.

use std::sync::atomic::Ordering;

use orgkeys::domain::delivery::Outcome;

use super::receiver::Receiver;
use super::{Lying, attempt, sender, why};

/// `{}` is the port of the canary, which listens on 127.0.0.1 and [`::1`].
const URLS: [&str; 98] = [
    // This machine, written plainly.
    "http://127.0.0.1:{}/",
    "https://127.0.0.1:{}/",
    "http://localhost:{}/",
    "https://localhost:{}/",
    "http://LOCALHOST:{}/",
    "http://localhost.:{}/",
    "http://localhost.localdomain:{}/",
    "http://ip6-localhost:{}/",
    "http://127.0.0.1.:{}/",
    "http://127.255.255.254:{}/",
    "http://127.0.0.2:{}/",
    "http://0.0.0.0:{}/",
    "https://0.0.0.0:{}/",
    "http://0:{}/",
    "http://0.0:{}/",
    // Numbers in other notations.
    "http://2130706433:{}/",
    "https://2130706433:{}/",
    "http://0x7f000001:{}/",
    "http://0X7F000001:{}/",
    "http://017700000001:{}/",
    "http://0x7f.0.0.1:{}/",
    "http://0x7f.1:{}/",
    "http://0177.0.0.1:{}/",
    "http://0177.1:{}/",
    "http://127.1:{}/",
    "http://127.0.1:{}/",
    "http://127.0x0.0.01:{}/",
    "http://127.0.0.0x1:{}/",
    "http://00000177.0.0.1:{}/",
    "http://127.0.0.1%2e:{}/",
    "http://%31%32%37.0.0.1:{}/",
    "http://127%2e0%2e0%2e1:{}/",
    "http://１２７.0.0.1:{}/",
    "http://127。0。0。1:{}/",
    "http://①②⑦.⓪.⓪.①:{}/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{}/",
    // Numbers that are too large, which some parsers wrap around.
    "http://4294967296:{}/",
    "http://6425673729:{}/",
    "http://127.0.0.257:{}/",
    "http://383.0.0.1:{}/",
    "http://0x17f000001:{}/",
    // IPv6, and the forms that embed IPv4.
    "http://[::1]:{}/",
    "https://[::1]:{}/",
    "http://[0:0:0:0:0:0:0:1]:{}/",
    "http://[0000::0001]:{}/",
    "http://[::]:{}/",
    "http://[::ffff:127.0.0.1]:{}/",
    "http://[::ffff:7f00:1]:{}/",
    "https://[::ffff:7f00:1]:{}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{}/",
    "http://[::127.0.0.1]:{}/",
    "http://[::ffff:0:127.0.0.1]:{}/",
    "http://[64:ff9b::127.0.0.1]:{}/",
    "http://[64:ff9b::7f00:1]:{}/",
    "http://[64:ff9b:1::7f00:1]:{}/",
    "http://[2002:7f00:1::]:{}/",
    "http://[2001:0:7f00:1::]:{}/",
    "http://[fe80::5efe:7f00:1]:{}/",
    "http://[::1%25lo]:{}/",
    "http://[::1%lo]:{}/",
    "http://[fe80::1%25lo]:{}/",
    "http://::1:{}/",
    "http://[::1:{}/",
    "http://[[::1]]:{}/",
    // Ambiguous hosts.
    "http://example.org@127.0.0.1:{}/",
    "http://example.org:80@127.0.0.1:{}/",
    "http://127.0.0.1:{}@example.org/",
    "http://example.org%40127.0.0.1:{}/",
    "http://example.org\\@127.0.0.1:{}/",
    "http://127.0.0.1:{}\\@example.org/",
    "http://127.0.0.1:{}#@example.org/",
    "http://example.org#@127.0.0.1:{}/",
    "http://127.0.0.1:{}?@example.org/",
    "http://@127.0.0.1:{}/",
    "http://:@127.0.0.1:{}/",
    "http://a:b@c:d@127.0.0.1:{}/",
    // Slashes, spaces, controls.
    "http:127.0.0.1:{}",
    "http:/127.0.0.1:{}/",
    "http:///127.0.0.1:{}/",
    "http:\\\\127.0.0.1:{}\\",
    "//127.0.0.1:{}/",
    "127.0.0.1:{}",
    " http://127.0.0.1:{}/",
    "http://127.0.0.1:{}/ ",
    "ht\ntp://127.0.0.1:{}/",
    "http://127.0.\t0.1:{}/",
    "http://127.0.0.1\u{0}:{}/",
    "http://127.0.0.1:{}/\r\nhost: example.org",
    "http://127.0.0.1 :{}/",
    "http://127.0.0.1\u{ad}:{}/",
    "http://127.0.0.1\u{200b}:{}/",
    // Other schemes.
    "ftp://127.0.0.1:{}/",
    "gopher://127.0.0.1:{}/_POST",
    "file://127.0.0.1:{}/etc/passwd",
    "dict://127.0.0.1:{}/x",
    "ws://127.0.0.1:{}/",
    "http+unix://127.0.0.1:{}/",
    "jar:http://127.0.0.1:{}!/",
];

/// A canary on 127.0.0.1 and, where this machine has it, on `::1`, at the same port.
async fn canaries() -> (Receiver, Option<Receiver>) {
    let four = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let six = format!("[::1]:{}", four.address.port());
    let there = tokio::net::TcpListener::bind(&six).await.is_ok();
    let six = if there { Some(Receiver::answering_at(&six, "HTTP/1.1 200 OK\r\n\r\n").await) } else { None };
    (four, six)
}

#[tokio::test]
async fn no_url_reaches_this_machine() {
    let (canary, canary6) = canaries().await;
    // Every name resolves to this machine, as a hostile name server would have it.
    let liar = Lying::new(&[&["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0"]]);
    let sender = sender(liar, &[]);
    for (number, url) in URLS.iter().enumerate() {
        let plain = url.replace("{}", &canary.address.port().to_string());
        // Plain HTTP would be refused for its scheme alone, whatever the address; the canary sees an HTTPS handshake too.
        for url in [plain.replacen("http:", "https:", 1), plain] {
            let outcome = sender.send(&attempt(number as u128, &url)).await;
            assert!(matches!(outcome, Outcome::Failed { .. }), "{url:?}: {outcome:?}");
        }
    }
    assert_eq!((canary.connections(), canary6.map_or(0, |canary| canary.connections())), (0, 0));
}

#[tokio::test]
async fn permitting_other_networks_does_not_permit_this_machine() {
    let (canary, canary6) = canaries().await;
    let port = canary.address.port();
    let liar = Lying::new(&[&["127.0.0.1", "::1", "::ffff:127.0.0.1"]]);
    // The documentation network stands for one of the administrator's; the others are IPv6 forms of IPv4, except that of ::1.
    let opened = ["192.0.2.0/24", "::ffff:0:0/96", "64:ff9b::/96", "2002::/16", "::7f00:0/104"];
    let sender = sender(liar, &opened);
    for host in [
        "127.0.0.1",
        "0x7f.1",
        "localhost",
        "[::1]",
        "[::]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/");
            let outcome = sender.send(&attempt(1, &url)).await;
            assert!(why(&outcome).starts_with("the address "), "{url}: {outcome:?}");
        }
    }
    assert_eq!((canary.connections(), canary6.map_or(0, |canary| canary.connections())), (0, 0));
}

#[tokio::test]
async fn the_connection_goes_to_the_address_that_was_checked() {
    // 127.0.0.2 plays the public address: only it is permitted, and it listens on the canary's port.
    let canary = Receiver::answering("HTTP/1.1 200 OK\r\n\r\n").await;
    let port = canary.address.port();
    let public = Receiver::answering_at(&format!("127.0.0.2:{port}"), "HTTP/1.1 200 OK\r\n\r\n").await;
    let liar = Lying::new(&[&["127.0.0.2"], &["127.0.0.1"], &["127.0.0.2", "127.0.0.1"], &["127.0.0.1", "127.0.0.2"]]);
    let sender = sender(liar.clone(), &["127.0.0.2/32"]);
    let attempt = attempt(1, &format!("http://rebind.example:{port}/"));
    assert_eq!(sender.send(&attempt).await, Outcome::Taken { status: 200 });
    assert_eq!(liar.asked.load(Ordering::SeqCst), 1, "an attempt resolves once");
    assert!(matches!(sender.send(&attempt).await, Outcome::Failed { .. }), "now the name resolves to this machine");
    for _ in 0..2 {
        assert_eq!(sender.send(&attempt).await, Outcome::Taken { status: 200 });
    }
    assert_eq!((public.connections(), canary.connections()), (3, 0));
    drop(public);
    assert!(matches!(sender.send(&attempt).await, Outcome::Failed { .. }), "no other address is used instead");
    assert_eq!((liar.asked.load(Ordering::SeqCst), canary.connections()), (5, 0));
}

#[tokio::test]
async fn metadata_services_stay_blocked_even_if_every_network_is_permitted() {
    let liar = Lying::new(&[&["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"]]);
    let sender = sender(liar, &["0.0.0.0/0", "::/0"]);
    for url in [
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://[::ffff:169.254.169.254]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[fd00:ec2::254]/",
        "http://[fd00:ec2:1::254]/",
        "http://[fd00:a9fe:a9fe::1]/",
        "http://[fd00:c1::a9fe:a9fe]/",
        "http://[fd00:100::100:200]/",
        "http://[fe80::a9fe:a9fe]/",
        "http://169.254.170.2/v2/credentials",
        "http://100.100.100.200/",
        "http://metadata.google.internal/",
        "http://[2002:a9fe:a9fe::]/",
        "http://[64:ff9b::169.254.169.254]/",
        "http://168.63.129.16/",
    ] {
        let outcome = sender.send(&attempt(1, url)).await;
        let why = "the address is a cloud metadata service, which is never permitted";
        assert_eq!(outcome, Outcome::Failed { why }, "{url}");
    }
}

#[tokio::test]
async fn plain_http_is_limited_to_the_permitted_networks() {
    let liar = Lying::new(&[&["8.8.8.8"]]);
    let outcome = sender(liar, &["127.0.0.0/8"]).send(&attempt(1, "http://example.org/")).await;
    let why = "http:// is permitted only to networks in webhook_allow; use https://";
    assert_eq!(outcome, Outcome::Failed { why });
}
