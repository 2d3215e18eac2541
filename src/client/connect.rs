//! Connects to the server, with or without TLS. The address is the user's own choice, so no network is excluded.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error};

use super::base_url::BaseUrl;
use super::failure::{Exit, Failure, Outcome};
use super::server::Server;

/// The timeout of connecting, and of the TLS handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects to the server. `tls` is needed only for `https`.
pub(super) async fn connect(server: &Server, tls: Option<&Arc<ClientConfig>>) -> Outcome<Box<dyn Stream>> {
    match server {
        Server::Url(url) => connect_to(url, tls).await,
        Server::Socket(path) => match timeout(PATIENCE, UnixStream::connect(path)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(unopened(path, &error)),
            Err(_) => Err(Failure::no_answer(format!("the server on {} accepts no connection", path.display()))),
        },
    }
}

/// The failure of a connection to a socket.
fn unopened(path: &Path, error: &io::Error) -> Failure {
    let name = path.display();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Failure::no_answer(format!(
            "no server listens on the socket {name}: start it with `orgkeys serve`, or name another server with --url"
        )),
        ErrorKind::PermissionDenied => Failure::new(
            Exit::Forbidden,
            format!(
                "the socket {name} is not open to you: run this command as root (sudo), or as the user that runs the server. \
                 Or sign in to the server: `orgkeys login --url URL`"
            ),
        ),
        _ => Failure::no_answer(format!("cannot connect to the server's socket {name}: {error}")),
    }
}

async fn connect_to(server: &BaseUrl, tls: Option<&Arc<ClientConfig>>) -> Outcome<Box<dyn Stream>> {
    let host = server.host();
    let found = timeout(PATIENCE, lookup_host((host.as_str(), server.port()))).await;
    let Ok(Ok(addresses)) = found else {
        return Err(Failure::no_answer(format!("the host name {host} could not be resolved: check the URL")));
    };
    let mut last = Failure::no_answer(format!("the host name {host} has no address: check the URL"));
    for address in addresses {
        match timeout(PATIENCE, TcpStream::connect(address)).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return match tls {
                    Some(config) => encrypt(stream, server, config).await,
                    None => Ok(Box::new(stream)),
                };
            }
            Err(error) => last = Failure::no_answer(format!("cannot connect to {address}: {}", why(&error))),
        }
    }
    Err(last)
}

async fn encrypt(stream: TcpStream, server: &BaseUrl, config: &Arc<ClientConfig>) -> Outcome<Box<dyn Stream>> {
    let host = server.host();
    let name = ServerName::try_from(host.trim_end_matches('.').to_owned())
        .map_err(|_| Failure::usage(format!("the host name {host} cannot be used in a certificate")))?;
    match timeout(PATIENCE, TlsConnector::from(Arc::clone(config)).connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(Failure::no_answer(why_tls(server, &error))),
        Err(_) => Err(Failure::no_answer(format!("the TLS handshake with {server} timed out"))),
    }
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "nothing listens there: is the server running?".to_owned(),
        ErrorKind::TimedOut => "no response within 10 s: check the address and the firewall".to_owned(),
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => "the network is unreachable".to_owned(),
        _ => error.to_string(),
    }
}

fn why_tls(server: &BaseUrl, error: &io::Error) -> String {
    let host = server.host();
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            format!("the certificate of {host} is not trusted: name the file of its authority with --ca")
        }
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => format!("the certificate of the server is not for {host}: use a name that the certificate has"),
        Some(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            format!("the certificate of {host} has expired: renew it on the server")
        }
        Some(Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => {
            format!("the certificate of {host} is not valid yet: check the clock of this machine")
        }
        Some(Error::InvalidCertificate(_)) => {
            format!("the certificate of {host} cannot be used: name the file of its authority with --ca")
        }
        Some(Error::InvalidMessage(_)) => {
            format!("{server} does not speak TLS: if it is an orgkeys server without TLS, write http:// in its URL")
        }
        _ => format!("the TLS handshake with {server} failed"),
    }
}
