//! Connects to receivers, only to addresses that were just checked: without a proxy, and without a second name lookup.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::resolver::Resolver;
use crate::domain::address::{self, Target};

/// The maximum number of addresses per name that are tried, and the timeout of each.
const ADDRESSES: usize = 3;
pub(super) const EACH: Duration = Duration::from_secs(4);

/// A connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects to receivers.
pub(super) struct Connector {
    pub resolver: Arc<dyn Resolver>,
    pub opened: Vec<IpNet>,
    /// Loaded at the first delivery over TLS, so that a server without webhooks does not hold the system's
    /// certificates.
    pub tls: OnceCell<Arc<ClientConfig>>,
    /// Tells whether an address belongs to this machine.
    pub is_own: fn(IpAddr) -> bool,
    /// How long an address may take to answer before the next one is tried.
    pub each: Duration,
}

impl Connector {
    /// Connects to the target before `end`. The error says why that failed.
    pub async fn connect(&self, target: &Target, end: Instant) -> Result<Box<dyn Stream>, &'static str> {
        let mut last = "the host name has no address";
        for address in self.addresses(target, end).await? {
            let connecting = timeout(self.each, TcpStream::connect(SocketAddr::new(address, target.port())));
            match timeout_at(end, connecting).await.unwrap_or(Ok(Err(ErrorKind::TimedOut.into()))) {
                Ok(Ok(stream)) => return self.encrypt(stream, target, end).await,
                Ok(Err(error)) => last = why(&error),
                Err(_) => last = why(&ErrorKind::TimedOut.into()),
            }
        }
        Err(last)
    }

    /// Returns the addresses of the target that may be reached. The name is not resolved again for the connection, so
    /// that a DNS rebinding attack has no effect.
    async fn addresses(&self, target: &Target, end: Instant) -> Result<Vec<IpAddr>, &'static str> {
        let found = match target.literal() {
            Some(address) => vec![address],
            None => match timeout_at(end, self.resolver.resolve(target.name())).await {
                Ok(Ok(found)) => found,
                Ok(Err(_)) => return Err("the host name could not be resolved"),
                Err(_) => return Err("resolving the host name timed out"),
            },
        };
        let mut refused = None;
        let mut reached = Vec::new();
        for address in found {
            match self.check(target, address) {
                Ok(()) => reached.push(address),
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        reached.truncate(ADDRESSES);
        match refused {
            Some(why) if reached.is_empty() => Err(why),
            _ => Ok(reached),
        }
    }

    fn check(&self, target: &Target, address: IpAddr) -> Result<(), &'static str> {
        target.may_reach(address, &self.opened)?;
        // A service on a public address of this machine may rely on a firewall that this program is behind.
        if !address::is_opened(address, &self.opened) && (self.is_own)(address) {
            return Err("the address belongs to this machine; to permit it, add its network to webhook_allow");
        }
        Ok(())
    }

    async fn encrypt(&self, stream: TcpStream, target: &Target, end: Instant) -> Result<Box<dyn Stream>, &'static str> {
        let _ = stream.set_nodelay(true);
        if !target.is_https() {
            return Ok(Box::new(stream));
        }
        let config = self.tls.get_or_try_init(system_roots).await?;
        let name = match target.literal() {
            Some(address) => ServerName::from(address),
            None => ServerName::try_from(target.name().to_owned())
                .map_err(|_| "the host name cannot be used in a certificate")?,
        };
        match timeout_at(end, TlsConnector::from(Arc::clone(config)).connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(why_tls(&error)),
            Err(_) => Err("the TLS handshake timed out"),
        }
    }
}

/// Whether the address belongs to this machine. Sends nothing: it only asks the system for the route.
pub(super) fn is_own(address: IpAddr) -> bool {
    let from: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let way = UdpSocket::bind((from, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    way.is_ok_and(|own| own.ip() == address)
}

/// Returns a TLS configuration that trusts these certificates and offers HTTP/1.1.
pub(super) fn trusting(roots: RootCertStore) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

async fn system_roots() -> Result<Arc<ClientConfig>, &'static str> {
    let read = spawn_blocking(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    });
    match read.await {
        Ok(roots) if !roots.is_empty() => Ok(trusting(roots)),
        _ => Err("the server has no trusted CA certificates: install ca-certificates, or set SSL_CERT_FILE"),
    }
}

fn why(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ConnectionRefused => "the connection was refused",
        ErrorKind::TimedOut => "the connection to the receiver timed out",
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => "the receiver's network is unreachable",
        _ => "the connection to the receiver failed",
    }
}

fn why_tls(error: &io::Error) -> &'static str {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(_)) => "the receiver's certificate is not trusted",
        _ => "the TLS handshake failed",
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;
    use tokio::net::TcpSocket;

    use super::*;

    #[test]
    fn own_addresses_are_recognized() {
        assert!(is_own(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_own(Ipv4Addr::new(192, 0, 2, 1).into()));
        // That of the way to other machines, where there is one.
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
        if socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).is_ok() {
            assert!(is_own(socket.local_addr().expect("an address").ip()));
        }
    }

    struct Answers(&'static [IpAddr]);

    impl Resolver for Answers {
        fn resolve(&self, _name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            let addresses = self.0.to_vec();
            Box::pin(async move { Ok(addresses) })
        }
    }

    /// Public addresses, of which the first belongs to this machine.
    const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1));

    #[tokio::test]
    async fn a_public_address_of_this_machine_is_not_connected_to_unless_it_is_opened() {
        let connector = |answers, opened: &[&str]| Connector {
            resolver: Arc::new(Answers(answers)),
            opened: opened.iter().map(|net| net.parse().expect("a network")).collect(),
            tls: OnceCell::new(),
            is_own: |address| address == OWN,
            each: EACH,
        };
        let end = Instant::now() + EACH;
        let refused = "the address belongs to this machine; to permit it, add its network to webhook_allow";
        for url in ["https://8.8.8.8/", "https://own.example/"] {
            let target = Target::parse(url).expect("a target");
            let asked = connector(&[OWN], &["10.0.0.0/8"]);
            assert_eq!(asked.addresses(&target, end).await, Err(refused), "{url}");
            assert_eq!(asked.connect(&target, end).await.err(), Some(refused), "{url}");
            assert_eq!(connector(&[OWN], &["8.8.8.8/32"]).addresses(&target, end).await, Ok(vec![OWN]), "{url}");
        }
        let target = Target::parse("https://both.example/").expect("a target");
        for found in [&[OWN, OTHER], &[OTHER, OWN]] {
            assert_eq!(connector(found, &[]).addresses(&target, end).await, Ok(vec![OTHER]), "in either order");
        }
        let last = connector(&[OWN, OWN, OWN, OTHER], &[]).addresses(&target, end).await;
        assert_eq!(last, Ok(vec![OTHER]), "addresses that are not permitted take no place");
        assert_eq!(connector(&[OTHER; 4], &[]).addresses(&target, end).await, Ok(vec![OTHER; ADDRESSES]));
    }

    /// The addresses of a name whose first one does not answer.
    const SILENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    const OPEN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

    #[tokio::test]
    async fn an_address_that_does_not_answer_leaves_time_for_the_next_one() {
        // Connections that nobody accepts fill the queue, and the system answers no more.
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((SILENT, 0).into()).expect("bound");
        let silent = socket.listen(0).expect("listening");
        let port = silent.local_addr().expect("an address").port();
        let mut waiting = Vec::new();
        while let Ok(stream) = timeout(Duration::from_millis(50), TcpStream::connect((SILENT, port))).await {
            waiting.push(stream.expect("connected"));
            assert!(waiting.len() < 10, "the queue is never full");
        }
        let _open = tokio::net::TcpListener::bind((OPEN, port)).await.expect("the port is free there");
        let connector = Connector {
            resolver: Arc::new(Answers(&[SILENT, OPEN])),
            opened: vec!["127.0.0.0/8".parse().expect("a network")],
            tls: OnceCell::new(),
            is_own: |_| false,
            each: Duration::from_millis(100),
        };
        let target = Target::parse(&format!("http://slow.example:{port}/")).expect("a target");
        let connected = connector.connect(&target, Instant::now() + Duration::from_secs(10)).await;
        assert_eq!(connected.err(), None);
    }
}
