//! Where a server is reached: at a URL, or by its unix socket on this machine.

use std::fmt;
use std::path::PathBuf;

use super::base_url::BaseUrl;

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// At a URL.
    Url(BaseUrl),
    /// On this machine, by its unix socket.
    Socket(PathBuf),
}

impl Server {
    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        matches!(self, Self::Url(url) if url.is_https())
    }

    /// The value of the header `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        match self {
            Self::Url(url) => url.authority(),
            Self::Socket(_) => "localhost".to_owned(),
        }
    }

    /// The path and query of a request on the server.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        match self {
            Self::Url(url) => url.path(path),
            Self::Socket(_) => path.to_owned(),
        }
    }

    /// The address of a request on the server, for people.
    #[must_use]
    pub fn address(&self, path: &str) -> String {
        match self {
            Self::Url(url) => format!("{url}{path}"),
            Self::Socket(_) => format!("{self}:{path}"),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
