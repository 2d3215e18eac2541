//! Which certificates a server may present: those that the system trusts, or those in the file that `--ca` names.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::failure::{Failure, Outcome};
use crate::crypto::certificate;

/// Returns the TLS configuration that trusts the certificates in a file, or the system's.
pub(super) fn config(ca: Option<&Path>) -> Outcome<Arc<ClientConfig>> {
    let mut config = match ca {
        Some(path) => named(path)?,
        None => system()?,
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn system() -> Outcome<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Failure::usage(
            "this machine has no trusted CA certificates: install ca-certificates, or name a file with --ca",
        ));
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

fn named(path: &Path) -> Outcome<ClientConfig> {
    let wrong = |why: &str| Failure::usage(format!("--ca {}: {why}", path.display()));
    let file = std::fs::read(path).map_err(|error| wrong(&error.to_string()))?;
    let certificates = CertificateDer::pem_slice_iter(&file).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|_| wrong("the file cannot be read as certificates in PEM"))?;
    if certificates.is_empty() {
        return Err(wrong("the file contains no certificate in PEM"));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates.clone());
    let issued = WebPkiServerVerifier::builder(Arc::new(roots)).build();
    let issued = issued.map_err(|_| wrong("none of its certificates can be used"))?;
    let verifier = Arc::new(Named { certificates, issued });
    Ok(ClientConfig::builder().dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Trusts what the named certificates have issued, and the named certificates themselves. A self-signed certificate is
/// usually marked as an authority, which the library refuses as a server's own.
#[derive(Debug)]
struct Named {
    certificates: Vec<CertificateDer<'static>>,
    issued: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.certificates.contains(presented) {
            return self.issued.verify_server_cert(presented, intermediates, name, ocsp, now);
        }
        let (from, until) = certificate::validity(presented).ok_or(CertificateError::BadEncoding)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX).saturating_mul(1_000);
        if now < from.millis() {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > until.millis() {
            return Err(CertificateError::Expired.into());
        }
        verify_server_name(&ParsedCertificate::try_from(presented)?, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issued.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issued.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.issued.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Of localhost and 127.0.0.1, self-signed, valid from 2026-11-30T13:21:09Z to 2036-11-27T13:21:09Z.
    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n\
        MIIBSDCB+6ADAgECAhQ8yMrhFETHOJJ+Ka+Yn441C+oiKjAFBgMrZXAwDDEKMAgG\n\
        A1UEAwwBeDAeFw0yNjExMzAxMzIxMDlaFw0zNjExMjcxMzIxMDlaMAwxCjAIBgNV\n\
        BAMMAXgwKjAFBgMrZXADIQBq6zePzvxpw+y+O+ImLu6kHK5Gn8+MLxE0aIbWg+Iv\n\
        2KNvMG0wHQYDVR0OBBYEFPhoILl2Vjk/asb0LWdLIXwK9UluMB8GA1UdIwQYMBaA\n\
        FPhoILl2Vjk/asb0LWdLIXwK9UluMA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0RBBMw\n\
        EYIJbG9jYWxob3N0hwR/AAABMAUGAytlcANBACv0u3iCGxoWXie8TgFKGnq5jTeT\n\
        rikT6WHlxW5bJpwlTDYEDD+bRqYWiqp8daHQUkqe1WyoZosS5rvFhOEzCg8=\n\
        -----END CERTIFICATE-----";

    #[test]
    fn a_named_certificate_is_trusted_in_its_time_and_for_its_names() {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("an authority");
        let issued = WebPkiServerVerifier::builder(Arc::new(roots)).build().expect("a verifier");
        let named = Named { certificates: vec![certificate.clone()], issued };
        let verified = |name: &'static str, second: u64| {
            let (name, now) = (ServerName::try_from(name).expect("a name"), Duration::from_secs(second));
            named.verify_server_cert(&certificate, &[], &name, &[], UnixTime::since_unix_epoch(now)).map(drop)
        };
        let (first, last) = (1_796_044_869, 2_111_404_869);
        for (name, second, refusal) in [
            ("localhost", first - 1, Some(CertificateError::NotValidYet)),
            ("localhost", first, None),
            ("localhost", last, None),
            ("127.0.0.1", last, None),
            ("localhost", last + 1, Some(CertificateError::Expired)),
        ] {
            assert_eq!(
                verified(name, second),
                refusal.map_or(Ok(()), |refusal| Err(refusal.into())),
                "{name} {second}"
            );
        }
        assert!(verified("keys.example.org", first).is_err());
    }
}
