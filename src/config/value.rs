//! How is a setting's text read?

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use crate::domain::time::parse_duration;

/// Something that a setting's text can be read as. The error is a phrase that follows the setting's name.
pub trait Value: Sized {
    /// Reads the text.
    fn parse(text: &str) -> Result<Self, String>;
}

/// A number of bytes, such as `64MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Refuses a number outside of its range.
pub fn within(name: &'static str, value: u64, range: RangeInclusive<u64>) -> Result<(), (&'static str, String)> {
    let problem = || (name, format!("must be {} to {}", range.start(), range.end()));
    range.contains(&value).then_some(()).ok_or_else(problem)
}

impl Value for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("must name a file".to_owned()) } else { Ok(text.into()) }
    }
}

impl Value for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Value for SocketAddr {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "must be an address and a port, such as 127.0.0.1:3000 or [::1]:3000".to_owned())
    }
}

impl Value for u32 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "must be a whole number, 0 or more".to_owned())
    }
}

impl Value for Bytes {
    fn parse(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit: u64 = match text[digits.len()..].trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => 0,
        };
        let bytes = digits.parse().ok().and_then(|number: u64| number.checked_mul(unit)).filter(|_| unit > 0);
        bytes.map(Self).ok_or_else(|| "must be a number of bytes, such as 1048576, 512KiB, 64MiB or 2GiB".to_owned())
    }
}

impl Value for Duration {
    /// A plain number is seconds.
    fn parse(text: &str) -> Result<Self, String> {
        let seconds = text.parse().ok().map(Self::from_secs);
        let span = seconds.or_else(|| parse_duration(text)).filter(|span| !span.is_zero());
        span.ok_or_else(|| "must be a length of time above 0, such as 300ms, 10s or 2m".to_owned())
    }
}

impl Value for tracing::Level {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "must be error, warn, info, debug or trace".to_owned())
    }
}

impl Value for LogFormat {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("must be auto, text or json".to_owned()),
        }
    }
}

impl Value for SecretString {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }
}

impl Value for IpNet {
    fn parse(text: &str) -> Result<Self, String> {
        let network = text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(Self::from));
        network.map_err(|_| "must be networks or addresses, such as 10.0.0.0/8,::1".to_owned())
    }
}

impl<T: Value> Value for Option<T> {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }
}

impl<T: Value> Value for Vec<T> {
    fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::parse).collect()
    }
}
