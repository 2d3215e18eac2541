//! The settings: one table has each setting's flag, variable, file key, default, range and meaning. `server/mod.rs` hands the
//! values on, to `engine/limits.rs` those that are limits.

mod flags;
mod resolve;
mod secret_file;
mod value;
mod web_origin;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use crate::domain::api_key::MOST_PER_ORG;
use crate::domain::node::{self, WIDEST_WINDOW};
use crate::domain::org_key::MAX_QUOTA;
use crate::domain::user;
use crate::store::files::reserved_suffix;

pub use flags::{AllSettings, Choices, Flags, FlagsOf, Takes, Texts};
pub use resolve::{ConfigError, Resolved, Source, resolve};
pub use secret_file::SecretFileError;
pub use value::{Bytes, LogFormat, SocketPath};
use value::{Range, SettingValue};
pub use web_origin::WebOrigin;

/// The longest that a timeout may be. A deadline beyond the range of the clock would end the connection.
const LONGEST: Duration = Duration::from_hours(24);

/// The shortest that a timeout may be.
const SHORTEST: Duration = Duration::from_millis(1);

/// The longest value of `node_silent`.
const LONGEST_SILENCE: Duration = Duration::from_hours(30 * 24);

/// The longest value of `key_undo`.
const LONGEST_UNDO: Duration = Duration::from_hours(30 * 24);

/// What the table says about one setting.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name: the file's key; the flag with `-` for `_`; the variable in capitals after `ORGKEYS_`.
    pub name: &'static str,
    /// The heading under which it is shown.
    pub group: &'static str,
    /// What it is, in one sentence.
    pub summary: &'static str,
    /// What else there is to know; may be empty.
    pub details: &'static str,
    /// The value if nothing sets it; empty = not set.
    pub default: &'static str,
    /// Whether its value is a secret. It then has a twin, `<name>_file`, and no flag of its own, which others could see.
    pub secret: bool,
    /// Whether the file of its twin is read only when the secret is needed.
    pub read_late: bool,
    form: &'static str,
    /// The texts that it takes; empty = no fixed set of texts.
    choices: &'static [&'static str],
    /// Whether it is the path of a file.
    is_file: bool,
    range: Range,
}

impl Field {
    /// The values that it takes, as a phrase.
    #[must_use]
    pub fn values(&self) -> String {
        match self.range {
            Range::Any => self.form.to_owned(),
            range => range.to_string(),
        }
    }
}

macro_rules! settings {
    ($($group:literal {
        $(#[doc = $summary:literal] $(#[doc = $details:literal])* $name:ident: $type:ty = $default:literal
            $(in $range:expr)? $(, $secret:ident)?;)+
    })+) => {
        /// Every setting, resolved and checked.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $($(#[doc = $summary] $(#[doc = $details])* pub $name: $type,)+)+
            /// The file that contains `bootstrap_token`, if it is set that way.
            bootstrap_token_file: Option<PathBuf>,
        }

        /// The table of settings, in the order in which they are shown.
        pub const FIELDS: &[Field] = &[
            $($(Field {
                name: stringify!($name),
                group: $group,
                summary: $summary.trim_ascii(),
                details: concat!($($details),*).trim_ascii(),
                default: $default,
                secret: settings!(@secret $($secret)?),
                read_late: settings!(@read_late $($secret)?),
                form: <$type as SettingValue>::FORM,
                choices: <$type as SettingValue>::CHOICES,
                is_file: <$type as SettingValue>::IS_FILE,
                range: settings!(@range $($range)?),
            },)+)+
        ];

        impl Settings {
            fn parse(text: impl Fn(&'static str) -> String) -> Result<Self, (&'static str, String)> {
                Ok(Self {
                    $($($name: value::read(&text(stringify!($name)), settings!(@range $($range)?))
                        .map_err(|problem| (stringify!($name), problem))?,)+)+
                    bootstrap_token_file: None,
                })
            }
        }
    };
    (@secret) => { false };
    (@secret secret) => { true };
    (@secret late_secret) => { true };
    (@read_late) => { false };
    (@read_late secret) => { false };
    (@read_late late_secret) => { true };
    (@range) => { Range::Any };
    (@range $range:expr) => { $range };
}

settings! {
    "Database and disk" {
        /// The database file.
        /// The first start creates it.
        database: PathBuf = "orgkeys.db";
        /// The file with the key that encrypts webhook secrets.
        /// The first start creates it. Without this setting it is beside the database, with `.key` after the database's name.
        /// No backup contains it: keep a copy in another place.
        key_file: Option<PathBuf> = "";
        /// The unix socket on which the running server takes the commands `org`, `user` and `token`.
        /// `auto` is beside the database, with `.sock` after the database's name. With `off`, or an empty value, what
        /// these commands change needs a stopped server. Only root and the server's own user are served.
        socket: SocketPath = "auto";
        /// Disk space reserved for revocations.
        /// When only this space is left, the server accepts nothing but revocations. 0 reserves nothing.
        disk_reserve: Bytes = "64MiB";
        /// The maximum size of the database file.
        /// It includes `disk_reserve`, so it must be larger than that. 0 means that only the disk limits it.
        database_max: Bytes = "0";
        /// The number of connections that read the database.
        readers: u32 = "4" in Range::Numbers(1, 64);
        /// The number of days for which audit log entries are kept.
        /// 0 keeps them forever.
        audit_days: u32 = "0" in Range::ZeroOrNumbers(7, 36_500);
    }
    "Network" {
        /// The address and port to listen on.
        /// Port 0 picks any free port.
        listen: SocketAddr = "127.0.0.1:3000";
        /// The PEM file of the TLS certificate chain.
        /// Set it together with `tls_key`. The server reads both files again when they change.
        tls_cert: Option<PathBuf> = "";
        /// The PEM file of the TLS private key.
        /// Set it together with `tls_cert`.
        tls_key: Option<PathBuf> = "";
        /// Reverse proxies whose `X-Forwarded-For` header is trusted.
        /// Addresses or networks, separated by commas. Without this setting, rate limits and the audit log use the proxy's
        /// address for all clients behind it.
        trusted_proxy: Vec<IpNet> = "";
        /// Web origins whose pages may call the API from a browser.
        /// Separated by commas, each written as the browser sends it, such as `https://app.example.org`: scheme, host and,
        /// unless it is the scheme's default, port. Wildcards are not supported.
        cors_origins: Vec<WebOrigin> = "";
        /// The maximum number of open connections.
        /// Further connections wait.
        max_connections: u32 = "10000" in Range::Numbers(1, 1_000_000);
        /// How long a client may take to send the head of a request.
        header_timeout: Duration = "10s" in Range::Times(SHORTEST, LONGEST);
        /// How long a client may take to send a whole request.
        /// A client that reads nothing of the response for this long is disconnected, too.
        request_timeout: Duration = "30s" in Range::Times(SHORTEST, LONGEST);
        /// How long a connection may stay open between two requests.
        idle_timeout: Duration = "75s" in Range::Times(SHORTEST, LONGEST);
        /// How long a live stream may be silent before the server sends a comment to keep it open.
        stream_comment: Duration = "15s" in Range::Times(SHORTEST, LONGEST);
        /// How long the server waits for open requests when it is stopped.
        stop_timeout: Duration = "10s" in Range::Times(SHORTEST, LONGEST);
    }
    "Limits of an organization" {
        /// The maximum number of active organization keys of an organization.
        /// As many may be retiring. The older name `max` still works.
        org_keys_max: u32 = "5" in Range::Numbers(1, MAX_QUOTA);
        /// The maximum number of nodes of an organization.
        /// Deleted nodes count; unregistered nodes do not.
        nodes_max: u32 = "10000" in Range::Numbers(1, node::MOST_PER_ORG);
        /// The maximum number of users of an organization.
        /// Deleted users count.
        people_max: u32 = "10000" in Range::Numbers(1, user::MOST_PER_ORG);
        /// The maximum number of API keys of an organization.
        /// Expired and rotated API keys do not count.
        api_keys_max: u32 = "1000" in Range::Numbers(1, MOST_PER_ORG);
    }
    "Rate limits" {
        /// Calls per second of each session, access token or API key.
        /// Further calls get 429. Bursts of up to four times as many calls are allowed. All sessions and access tokens of
        /// one user together may make twice as many calls. 0 means no limit.
        caller_rate: u32 = "50";
        /// Calls per second of all users and API keys of an organization together.
        /// Bursts of up to four times as many calls are allowed. 0 means no limit.
        org_rate: u32 = "500";
        /// Accepted signed calls per second of each organization.
        /// Bursts of up to sixty times as many calls are allowed, so that all nodes can register at once after an outage.
        /// 0 means no limit.
        signed_rate: u32 = "200";
        /// Refused signed calls per second of each client network.
        /// A client network is one IPv4 address or one IPv6 /64. 0 means no limit.
        refused_rate: u32 = "20";
        /// The number of refused signed calls that a client network may make in one burst.
        refused_burst: u32 = "100";
    }
    "Keys, nodes and webhooks" {
        /// How long the deletion of an organization key can be undone.
        /// With 0, a deleted key is gone at once.
        key_undo: Duration = "24h" in Range::UpTo(LONGEST_UNDO);
        /// How far the timestamp of a signed call may be from the server's time.
        signature_window: Duration = "300s" in Range::Times(Duration::from_secs(1), WIDEST_WINDOW);
        /// How long a node may go without an accepted signed call before it counts as silent.
        /// The server then records one `node.silent` event.
        node_silent: Duration = "15m" in Range::Times(Duration::from_mins(1), LONGEST_SILENCE);
        /// Private networks that webhooks may deliver to, even over plain HTTP.
        /// Addresses or networks, separated by commas.
        webhook_allow: Vec<IpNet> = "";
    }
    "Log and metrics" {
        /// The log level.
        log: tracing::Level = "info";
        /// The log format.
        /// `auto` writes text to a terminal and JSON elsewhere.
        log_format: LogFormat = "auto";
        /// The bearer token that may read `/metrics`.
        /// Clients on the same machine need no token, unless a proxy forwards the request.
        metrics_token: Option<SecretString> = "", secret;
    }
    "First start" {
        /// The name of the first organization.
        /// Ignored once there is an organization.
        bootstrap_org: String = "My organization";
        /// The email address of the first owner.
        /// Ignored once there is an organization.
        bootstrap_email: String = "owner@localhost";
        /// The access token of the first owner.
        /// `orgkeys token generate` creates one. Without this setting, the first start creates a token and prints it once.
        /// Ignored once there is an organization: its file may then be removed.
        bootstrap_token: Option<SecretString> = "", late_secret;
    }
}

impl Settings {
    /// Checks what depends on more than one setting.
    fn check(self) -> Result<Self, (&'static str, String)> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => return Err(("tls_cert", "is set without tls_key: set both, or neither".to_owned())),
            (None, Some(_)) => return Err(("tls_key", "is set without tls_cert: set both, or neither".to_owned())),
            (Some(_), Some(_)) | (None, None) => {}
        }
        if let Some(suffix) = reserved_suffix(&self.database) {
            return Err(("database", format!("must not end in {suffix}: orgkeys uses such names for its own files")));
        }
        if let Some(key_file) = &self.key_file {
            if let Some(suffix) = reserved_suffix(key_file).filter(|suffix| *suffix != ".key") {
                return Err((
                    "key_file",
                    format!("must not end in {suffix}: orgkeys uses such names for its own files"),
                ));
            }
            if *key_file == self.database {
                return Err(("key_file", "must be another file than the database".to_owned()));
            }
        }
        if self.database_max.0 > 0 && self.database_max.0 <= self.disk_reserve.0 {
            return Err(("database_max", "must be more than disk_reserve, which is part of it".to_owned()));
        }
        Ok(self)
    }
}
