//! `orgkeys healthcheck`: sends one request to the server with these settings, for containers and service managers.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use super::{CommandError, local};
use crate::config::{Settings, Takes};
use crate::server::tls;

/// The timeout of each step (connect, read, write), so that the command exits within about a second.
const PATIENCE: Duration = Duration::from_millis(450);

/// The settings that say where the server listens.
pub enum Needs {}

impl Takes for Needs {
    fn takes(name: &str) -> bool {
        matches!(name, "listen" | "tls_cert" | "tls_key")
    }
}

pub fn run(settings: &Settings) -> Result<(), CommandError> {
    let address = local::reachable(settings.listen);
    let fail = |problem: &dyn std::fmt::Display| {
        CommandError::new(format!("the server at {address} is not healthy: {problem}"))
    };
    let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| fail(&problem(&error)))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let status = match &settings.tls_cert {
        None => ask(stream),
        Some(cert) => {
            let client = client(tls::certificates(cert).map_err(CommandError::new)?)?;
            ask(StreamOwned::new(client, stream))
        }
    };
    match status.map_err(|error| fail(&problem(&error)))?.as_str() {
        "200" => Ok(()),
        other => Err(fail(&format!("GET /health returned {other}"))),
    }
}

/// Requests `/health` and returns the status code.
fn ask(mut stream: impl Read + Write) -> std::io::Result<String> {
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let head = String::from_utf8_lossy(&head);
    let status = head.strip_prefix("HTTP/1.1 ").or_else(|| head.strip_prefix("HTTP/1.0 "));
    Ok(status.ok_or(std::io::ErrorKind::InvalidData)?.to_owned())
}

/// Describes why there was no answer.
fn problem(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof => "it closed the connection without an answer".to_owned(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("no answer within {} ms", PATIENCE.as_millis()),
        ErrorKind::InvalidData => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::General(problem)) => problem.clone(),
            _ => "its answer is not that of a server with these settings: compare listen, tls_cert and tls_key"
                .to_owned(),
        },
        _ => error.to_string(),
    }
}

fn client(chain: Vec<CertificateDer<'static>>) -> Result<ClientConnection, CommandError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let ours = Arc::new(Ours { chain, provider: Arc::clone(&provider) });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(ours)
        .with_no_client_auth();
    Ok(ClientConnection::new(Arc::new(config), ServerName::try_from("localhost")?)?)
}

/// Trusts only the certificate in `tls_cert`, whatever host name it is issued for.
#[derive(Debug)]
struct Ours {
    chain: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Ours {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.chain.first() == Some(presented) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("the certificate is not the one in tls_cert".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
