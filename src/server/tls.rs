//! TLS with a certificate and key from two files, which are reloaded when they change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error, ServerConfig};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::crypto::pem::{self, KeyForm};

/// How often the files are checked for changes.
const LOOK: Duration = Duration::from_secs(5);

/// The certificate in use, shared by every connection.
#[derive(Clone)]
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    config: Arc<RwLock<Arc<ServerConfig>>>,
    /// The state of the files before they were first read.
    files: Files,
    /// Somebody asked for the files to be read again.
    asked: Arc<Notify>,
}

/// The modification time and the length of each of the two files.
type Files = [Option<(SystemTime, u64)>; 2];

/// What the task that watches the files knows of them.
struct Watcher {
    tls: Tls,
    /// The state of the files that are in use.
    files: Files,
    logged: LoggedProblem,
    /// Reads the files.
    read: fn(&Path, &Path) -> Result<Arc<ServerConfig>, String>,
}

/// The problem that was last logged, and the state of the files that have it.
#[derive(Default)]
struct LoggedProblem(Option<(Files, String)>);

/// Loads the certificate and key if the settings name them. An error says which file failed and why.
pub fn load(settings: &Settings) -> Result<Option<Tls>, String> {
    let (Some(cert), Some(key)) = (settings.tls_cert.clone(), settings.tls_key.clone()) else { return Ok(None) };
    // Checked before reading, so that files that change while they are read are read again.
    let files = look(&cert, &key);
    let config = Arc::new(RwLock::new(read(&cert, &key)?));
    Ok(Some(Tls { cert, key, config, files, asked: Arc::default() }))
}

/// Reads the certificates in a PEM file.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let fail = |problem: &str| format!("the certificate {} cannot be used: {problem}", path.display());
    let file = std::fs::read(path).map_err(|error| fail(&error.to_string()))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&file)
        .collect::<Result<_, _>>()
        .map_err(|_| fail("it is damaged: a section is cut off, or is not base64 in PEM"))?;
    if chain.is_empty() { Err(fail("it contains no certificate in PEM")) } else { Ok(chain) }
}

/// Reads the private key in a PEM file.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let fail = |problem: String| format!("the private key {} cannot be used: {problem}", path.display());
    let file = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
    Ok(match pem::private_key(&file).map_err(|error| fail(error.to_string()))? {
        (KeyForm::Pkcs1, der) => PrivateKeyDer::Pkcs1(der.into()),
        (KeyForm::Pkcs8, der) => PrivateKeyDer::Pkcs8(der.into()),
        (KeyForm::Sec1, der) => PrivateKeyDer::Sec1(der.into()),
    })
}

fn read(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let made = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates(cert)?, private_key(key)?);
    let mut config = made.map_err(|error| {
        let (cert, key) = (cert.display(), key.display());
        match error {
            Error::InvalidCertificate(_) => format!("the certificate {cert} cannot be used: it is damaged"),
            Error::InconsistentKeys(_) => {
                format!("the certificate {cert} and the private key {key} do not match: it was issued for another key")
            }
            _ => format!(
                "the private key {key} cannot be used: it is damaged, or neither RSA of 2048 to 8192 bits, ECDSA nor Ed25519"
            ),
        }
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

impl Tls {
    /// Returns an acceptor with the current certificate.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Asks for the files to be read again now, even if they seem unchanged.
    pub fn reload(&self) {
        self.asked.notify_one();
    }

    /// Checks the files until `stop` and reloads them when they change, or when somebody asks for it. A pair that cannot
    /// be used is ignored.
    pub async fn watch(self, stop: CancellationToken) {
        let asked = Arc::clone(&self.asked);
        let mut watcher = Watcher::new(self);
        loop {
            let is_asked = tokio::select! {
                () = stop.cancelled() => return,
                () = asked.notified() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            match watcher.look_again(is_asked) {
                Some(Ok(())) => tracing::info!("the TLS certificate was reloaded"),
                Some(Err(problem)) => tracing::warn!(
                    problem,
                    "the TLS files have changed but cannot be used; the previous certificate stays in use"
                ),
                None => {}
            }
        }
    }
}

impl Watcher {
    fn new(tls: Tls) -> Self {
        Self { files: tls.files, logged: LoggedProblem::default(), read, tls }
    }

    /// Reads the files again if they have changed, or if somebody asks for it. Returns what is to be logged: that they
    /// are in use, or why they cannot be used.
    fn look_again(&mut self, is_asked: bool) -> Option<Result<(), String>> {
        let Self { tls, files, logged, read } = self;
        let now = look(&tls.cert, &tls.key);
        if now == *files && !is_asked {
            return None;
        }
        match read(&tls.cert, &tls.key) {
            Ok(config) => {
                *tls.config.write().unwrap_or_else(PoisonError::into_inner) = config;
                *files = now;
                *logged = LoggedProblem::default();
                Some(Ok(()))
            }
            // They are read again and again, because a file may become readable without being changed.
            Err(problem) => (logged.is_new(now, &problem) || is_asked).then_some(Err(problem)),
        }
    }
}

impl LoggedProblem {
    /// Returns whether a problem must be logged, because the files or the problem have changed since it was logged.
    fn is_new(&mut self, files: Files, problem: &str) -> bool {
        let is_new = self.0.as_ref().is_none_or(|(before, text)| *before != files || text != problem);
        if is_new {
            self.0 = Some((files, problem.to_owned()));
        }
        is_new
    }
}

fn look(cert: &Path, key: &Path) -> Files {
    [cert, key].map(|path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio_rustls::rustls::server::ResolvesServerCertUsingSni;

    use super::*;

    /// A configuration without a certificate.
    fn empty() -> Arc<ServerConfig> {
        let resolver = Arc::new(ResolvesServerCertUsingSni::new());
        Arc::new(ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver))
    }

    /// What a server has loaded from two files, without a certificate.
    fn unusable(cert: &Path, key: &Path) -> Tls {
        let (files, config) = (look(cert, key), Arc::new(RwLock::new(empty())));
        Tls { cert: cert.to_owned(), key: key.to_owned(), config, files, asked: Arc::default() }
    }

    #[test]
    fn a_pair_that_cannot_be_used_is_said_once_until_it_changes_or_somebody_asks() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let mut watcher = Watcher::new(unusable(&cert, &key));
        let mut says = |is_asked| watcher.look_again(is_asked).map(|told| told.expect_err("they cannot be used"));
        assert_eq!(says(false), None, "nothing has changed");
        let garbled = "-----BEGIN CERTIFICATE-----\nA!AA\n-----END CERTIFICATE-----\n";
        for (text, problem) in [("nothing", "no certificate"), ("nothing else", "no certificate"), (garbled, "damaged")]
        {
            fs::write(&cert, text).expect("written");
            assert!(says(false).is_some_and(|told| told.contains(problem)), "{text}");
            for _ in 0..3 {
                assert_eq!(says(false), None, "it was said: {text}");
            }
            assert!(says(true).is_some_and(|told| told.contains(problem)), "somebody asks: {text}");
            assert_eq!(says(false), None, "it was said: {text}");
        }
    }

    #[test]
    fn a_pair_is_loaded_once_for_each_change() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let mut watcher = Watcher { read: |_, _| Ok(empty()), ..Watcher::new(unusable(&cert, &key)) };
        for renewed in [&cert, &key] {
            fs::write(renewed, "renewed").expect("written");
            assert_eq!(watcher.look_again(false), Some(Ok(())), "{}", renewed.display());
            assert_eq!(watcher.look_again(false), None, "it is in use");
        }
        assert_eq!(watcher.look_again(true), Some(Ok(())), "somebody asks");
    }

    #[test]
    fn a_pair_that_becomes_readable_without_a_change_is_loaded() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let mut watcher =
            Watcher { read: |_, _| Err("permission denied".to_owned()), ..Watcher::new(unusable(&cert, &key)) };
        fs::write(&key, "renewed").expect("written");
        assert_eq!(watcher.look_again(false), Some(Err("permission denied".to_owned())));
        watcher.read = |_, _| Ok(empty());
        assert_eq!(watcher.look_again(false), Some(Ok(())));
    }

    #[test]
    fn a_pair_that_changes_between_the_start_and_the_first_look_is_noticed() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        for renewed in [&cert, &key] {
            let tls = unusable(&cert, &key);
            assert!(Watcher::new(tls.clone()).look_again(false).is_none(), "nothing has changed");
            fs::write(renewed, "renewed").expect("written");
            assert!(Watcher::new(tls).look_again(false).is_some(), "{}", renewed.display());
        }
    }

    #[test]
    fn a_problem_with_the_files_is_logged_once_until_it_or_the_files_change() {
        let file = |seconds: u64, length: u64| Some((SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), length));
        let (bad, worse) = ([file(1, 100), file(1, 200)], [file(2, 100), file(1, 200)]);
        let mut logged = LoggedProblem::default();
        for (files, problem, is_new) in [
            (bad, "they do not match", true),
            (bad, "they do not match", false),
            (bad, "it cannot be read", true),
            (bad, "it cannot be read", false),
            (worse, "it cannot be read", true),
            (worse, "it cannot be read", false),
            ([file(2, 100), None], "it cannot be read", true),
            (bad, "they do not match", true),
        ] {
            assert_eq!(logged.is_new(files, problem), is_new, "{files:?}: {problem}");
        }
    }
}
