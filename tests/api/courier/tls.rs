//! Receivers over TLS: their certificate is verified before they see anything.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use orgkeys::domain::delivery::Outcome;
use orgkeys::server::tls::certificates;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::{BODY, Lying, attempt, sender};
use crate::harness::within;
use crate::missing::has;

/// A self-signed certificate for `hooks.test` and 127.0.0.1; `false` without openssl.
fn certificate(folder: &Path) -> bool {
    if !has("openssl") {
        return false;
    }
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"]);
    command.args(["-subj", "/CN=hooks.test", "-addext", "subjectAltName=DNS:hooks.test,IP:127.0.0.1"]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    command.arg("-keyout").arg(folder.join("key.pem")).arg("-out").arg(folder.join("cert.pem"));
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it runs").success()
}

/// Accepts one connection. Returns what was read after the handshake, if the handshake succeeded.
async fn receiver(folder: &Path) -> (u16, JoinHandle<Option<String>>) {
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).expect("a key");
    let chain = certificates(&folder.join("cert.pem")).expect("a certificate");
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("a pair");
    // As receivers that prefer a protocol that the courier does not speak.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let bound = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let port = bound.local_addr().expect("an address").port();
    let serving = tokio::spawn(async move {
        let (stream, _) = bound.accept().await.expect("a connection");
        let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.ok()?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let mut read = Vec::new();
        while !read.ends_with(BODY.as_bytes()) && stream.read_buf(&mut read).await.is_ok_and(|length| length > 0) {}
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let _ = stream.shutdown().await;
        Some(String::from_utf8(read).expect("text"))
    });
    (port, serving)
}

async fn received(serving: JoinHandle<Option<String>>) -> String {
    within("the receiver has served a connection", serving).await.expect("it runs").unwrap_or_default()
}

#[tokio::test]
async fn a_receiver_with_an_untrusted_certificate_gets_no_data() {
    let folder = TempDir::new().expect("a folder");
    if !certificate(folder.path()) {
        return;
    }
    let (port, serving) = receiver(folder.path()).await;
    let sender = sender(Lying::new(&[&["127.0.0.1"]]), &["127.0.0.0/8"]).trusting(RootCertStore::empty());
    let outcome = sender.send(&attempt(1, &format!("https://hooks.test:{port}/"))).await;
    assert_eq!(outcome, Outcome::Failed { why: "the receiver's certificate is not trusted" });
    assert_eq!(received(serving).await, "");
}

#[tokio::test]
async fn a_trusted_certificate_is_valid_only_for_its_own_name() {
    let folder = TempDir::new().expect("a folder");
    if !certificate(folder.path()) {
        return;
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(&folder.path().join("cert.pem")).expect("a certificate"));
    let sender = sender(Lying::new(&[&["127.0.0.1"]]), &["127.0.0.0/8"]).trusting(roots);
    let names = [("hooks.test", true), ("hooks.test.", true), ("other.test", false)];
    for (host, trusted) in names.into_iter().chain([("127.0.0.1", true), ("127.0.0.2", false)]) {
        let (port, serving) = receiver(folder.path()).await;
        let outcome = sender.send(&attempt(1, &format!("https://{host}:{port}/"))).await;
        let received = received(serving).await;
        assert_eq!(outcome == Outcome::Taken { status: 200 }, trusted, "{host}: {outcome:?}");
        assert_eq!(received.contains(BODY), trusted, "{host}: {received}");
    }
}
