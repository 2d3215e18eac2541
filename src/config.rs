//! How is the program set? Each setting is one field with its flag, variable, file key, default and meaning, all in one table.

mod resolve;
mod value;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use crate::domain::api_key::MOST_PER_ORG;
use crate::domain::node::{self, WIDEST_WINDOW};
use crate::domain::org_key::MAX_QUOTA;
use crate::domain::user;

pub use resolve::{ConfigError, Flags, Resolved, Source, Texts, resolve};
pub use value::{Bytes, LogFormat};
use value::{Value, within};

/// The longest that a timeout may be. A deadline that no clock can hold would end the connection that asks for it.
const LONGEST: Duration = Duration::from_hours(24);

/// Days that the audit log is kept at least, if it is not kept for ever: a week, so that somebody can still look.
const SHORTEST_AUDIT: u64 = 7;

/// A hundred years.
const LONGEST_AUDIT: u64 = 36_500;
/// The longest that a node may be silent unnoticed.
const LONGEST_SILENCE: Duration = Duration::from_hours(30 * 24);

/// What the table says of one setting.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name: the file's key; the flag with `-` for `_`; the variable in capitals after `ORGKEYS_`.
    pub name: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// What it is when nothing sets it; empty = off.
    pub default: &'static str,
    /// Whether its value is a secret. It then has a twin, `<name>_file`, and no flag of its own, which others could see.
    pub secret: bool,
}

macro_rules! settings {
    ($($(#[doc = $help:literal])+ $name:ident: $type:ty = $default:literal $(, $secret:ident)?;)+) => {
        /// Every setting, resolved and checked.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $($(#[doc = $help])+ pub $name: $type,)+
        }

        /// The table of settings, in the order in which they are shown.
        pub const FIELDS: &[Field] = &[
            $(Field {
                name: stringify!($name),
                help: concat!($($help),+),
                default: $default,
                secret: settings!(@secret $($secret)?),
            },)+
        ];

        impl Settings {
            fn parse(text: impl Fn(&'static str) -> String) -> Result<Self, (&'static str, String)> {
                Ok(Self { $($name: Value::parse(&text(stringify!($name))).map_err(|problem| (stringify!($name), problem))?,)+ })
            }
        }
    };
    (@secret) => { false };
    (@secret secret) => { true };
}

settings! {
    /// The database file
    database: PathBuf = "orgkeys.db";
    /// The address to listen on; port 0 is any free port
    listen: SocketAddr = "127.0.0.1:3000";
    /// Organization keys that an organization may have, 1 to 100
    org_keys_max: u32 = "5";
    /// Nodes that an organization may have, deleted ones included, 1 to 1000000
    nodes_max: u32 = "10000";
    /// People that an organization may have, deleted ones included, 1 to 100000
    people_max: u32 = "10000";
    /// API keys that an organization may have at once, ended ones not counted, 1 to 100000
    api_keys_max: u32 = "1000";
    /// Days that the audit log is kept, at least 7; 0 keeps all of it
    audit_days: u32 = "0";
    /// How far a signed timestamp may lie from the server's time, 1 to 900 seconds
    signature_window: Duration = "300s";
    /// How long nothing may be heard of a node before it is silent, 1m to 30d
    node_silent: Duration = "15m";
    /// Disk space put aside for what revokes
    disk_reserve: Bytes = "64MiB";
    /// The most that the database file may grow to, the reserve included; 0 is as much as the disk holds
    database_max: Bytes = "0";
    /// The file of the key that seals webhook secrets, made at the first start beside the database, as `.key`, unless set. No backup holds it: keep a copy
    key_file: Option<PathBuf> = "";
    /// Connections that read the database
    readers: u32 = "4";
    /// The log level: error, warn, info, debug or trace
    log: tracing::Level = "info";
    /// The form of the log: text, json, or auto for text on a terminal
    log_format: LogFormat = "auto";
    /// The first organization's name, used while there is none
    bootstrap_org: String = "My organization";
    /// The first owner's email address, used while there is no organization
    bootstrap_email: String = "owner@localhost";
    /// The first owner's access token, used while there is no organization; `orgkeys token generate` makes one
    bootstrap_token: Option<SecretString> = "", secret;
    /// The bearer that opens /metrics to others than a loopback peer
    metrics_token: Option<SecretString> = "", secret;
    /// The file of the TLS certificate chain (PEM); read again when it changes
    tls_cert: Option<PathBuf> = "";
    /// The file of the TLS private key (PEM)
    tls_key: Option<PathBuf> = "";
    /// Networks of the proxies whose X-Forwarded-For is believed, separated by commas
    trusted_proxy: Vec<IpNet> = "";
    /// Networks that webhooks may reach although they are private, also by http, separated by commas
    webhook_allow: Vec<IpNet> = "";
    /// Origins whose pages may call from a browser, separated by commas
    cors_origins: Vec<String> = "";
    /// Accepted signed calls per second and organization before 429, sixty times as many at once; 0 is no limit
    signed_rate: u32 = "200";
    /// Refused signed calls per second and client network before 429; 0 is no limit
    refused_rate: u32 = "20";
    /// How many refused signed calls at once
    refused_burst: u32 = "100";
    /// Calls per second of an access token or API key before 429, four times as many at once; a person may have twice as many over all their tokens; 0 is no limit
    caller_rate: u32 = "50";
    /// Calls per second of all people and API keys of an organization before 429, four times as many at once; 0 is no limit
    org_rate: u32 = "500";
    /// How long a client may take to send a request's head
    header_timeout: Duration = "10s";
    /// How long it may take to send the whole request, or to take in an answer
    request_timeout: Duration = "30s";
    /// How long a connection may stay open without a request
    idle_timeout: Duration = "75s";
    /// How long an open stream of events may say nothing before it says that it is still there
    stream_comment: Duration = "15s";
    /// How long a stop waits for what has begun
    stop_timeout: Duration = "10s";
    /// Connections at once
    max_connections: u32 = "10000";
}

impl Settings {
    /// Checks what no single value can say.
    fn check(self) -> Result<Self, (&'static str, String)> {
        within("org_keys_max", u64::from(self.org_keys_max), 1..=u64::from(MAX_QUOTA))?;
        within("nodes_max", u64::from(self.nodes_max), 1..=u64::from(node::MOST_PER_ORG))?;
        within("people_max", u64::from(self.people_max), 1..=u64::from(user::MOST_PER_ORG))?;
        within("api_keys_max", u64::from(self.api_keys_max), 1..=u64::from(MOST_PER_ORG))?;
        let times = [
            ("header_timeout", self.header_timeout),
            ("request_timeout", self.request_timeout),
            ("idle_timeout", self.idle_timeout),
            ("stream_comment", self.stream_comment),
            ("stop_timeout", self.stop_timeout),
        ];
        if let Some((name, _)) = times.into_iter().find(|(_, time)| *time > LONGEST) {
            return Err((name, "must be at most 24h".to_owned()));
        }
        if !(Duration::from_secs(1)..=WIDEST_WINDOW).contains(&self.signature_window) {
            return Err(("signature_window", format!("must be 1 to {} seconds", WIDEST_WINDOW.as_secs())));
        }
        if self.audit_days > 0 {
            within("audit_days", u64::from(self.audit_days), SHORTEST_AUDIT..=LONGEST_AUDIT)?;
        }
        if !(Duration::from_mins(1)..=LONGEST_SILENCE).contains(&self.node_silent) {
            return Err(("node_silent", "must be 1m to 30d".to_owned()));
        }
        within("readers", u64::from(self.readers), 1..=64)?;
        within("max_connections", u64::from(self.max_connections), 1..=1_000_000)?;
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return Err(("tls_cert", "tls_cert and tls_key must be set together".to_owned()));
        }
        if self.database_max.0 > 0 && self.database_max.0 <= self.disk_reserve.0 {
            return Err(("database_max", "must be more than disk_reserve, which is part of it".to_owned()));
        }
        Ok(self)
    }
}
