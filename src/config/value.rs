//! How is a setting's text read?

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use crate::domain::time::parse_duration;

/// A type that a setting's text can be parsed into. The error is a phrase that follows the setting's name.
pub trait SettingValue: Sized {
    /// The kind of value, as a phrase for the documentation.
    const FORM: &'static str;

    /// The texts that it takes; empty = no fixed set of texts.
    const CHOICES: &'static [&'static str] = &[];

    /// What it is the path of, if it is a path.
    const PATH: Option<PathKind> = None;

    /// Reads the text.
    fn parse(text: &str) -> Result<Self, String>;

    /// Whether it is in a range of its own kind.
    fn is_in(&self, _: Range) -> bool {
        true
    }
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// A file.
    File,
    /// A directory.
    Directory,
}

/// The values that a setting takes, of those that its type can be read as.
#[derive(Clone, Copy, Debug)]
pub enum Range {
    /// All of them.
    Any,
    /// Numbers from the first to the second.
    Numbers(u32, u32),
    /// 0, or numbers from the first to the second.
    ZeroOrNumbers(u32, u32),
    /// Lengths of time from the first to the second.
    Times(Duration, Duration),
    /// 0, or lengths of time up to this.
    UpTo(Duration),
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Numbers(least, most) => write!(f, "{least} to {most}"),
            Self::ZeroOrNumbers(least, most) => write!(f, "0, or {least} to {most}"),
            Self::Times(least, most) => write!(f, "{} to {}", short(*least), short(*most)),
            Self::UpTo(most) => write!(f, "0 to {}", short(*most)),
        }
    }
}

/// Formats a duration as a setting, in the largest unit that it is a multiple of. A day is written as 24h.
fn short(span: Duration) -> String {
    let (millis, seconds) = (span.as_millis(), span.as_secs());
    match seconds {
        _ if !millis.is_multiple_of(1_000) => format!("{millis}ms"),
        _ if seconds > 86_400 && seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        _ if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// Reads a text as a value in a range.
pub fn read<T: SettingValue>(text: &str, range: Range) -> Result<T, String> {
    let value = T::parse(text)?;
    if value.is_in(range) { Ok(value) } else { Err(format!("must be {range}")) }
}

/// A number of bytes, such as `64MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

/// A directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory(pub PathBuf);

/// Where the running server takes commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketPath {
    /// On a socket beside the database.
    Beside,
    /// Nowhere.
    Off,
    /// On this socket.
    At(PathBuf),
}

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

impl SettingValue for PathBuf {
    const FORM: &'static str = "file";
    const PATH: Option<PathKind> = Some(PathKind::File);

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("must name a file".to_owned()) } else { Ok(text.into()) }
    }
}

impl SettingValue for Directory {
    const FORM: &'static str = "directory";
    const PATH: Option<PathKind> = Some(PathKind::Directory);

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("must name a directory".to_owned()) } else { Ok(Self(text.into())) }
    }
}

impl SettingValue for SocketPath {
    const FORM: &'static str = "`auto`, `off` or a file";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Beside),
            "" | "off" => Ok(Self::Off),
            // Any local process could connect to it.
            text if text.starts_with('@') || text.contains('\0') => {
                Err("must be a file: a socket with an abstract name has no permissions".to_owned())
            }
            text => Ok(Self::At(text.into())),
        }
    }
}

impl SettingValue for String {
    const FORM: &'static str = "text";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl SettingValue for SocketAddr {
    const FORM: &'static str = "address and port";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "must be an address and a port, such as 127.0.0.1:3000 or [::1]:3000".to_owned())
    }
}

impl SettingValue for u32 {
    const FORM: &'static str = "whole number";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "must be a whole number, 0 or more".to_owned())
    }

    fn is_in(&self, range: Range) -> bool {
        match range {
            Range::Numbers(least, most) => (least..=most).contains(self),
            Range::ZeroOrNumbers(least, most) => *self == 0 || (least..=most).contains(self),
            Range::Any | Range::Times(..) | Range::UpTo(_) => true,
        }
    }
}

impl SettingValue for Bytes {
    const FORM: &'static str = "size";

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

impl SettingValue for Duration {
    const FORM: &'static str = "duration";

    /// A plain number is seconds.
    fn parse(text: &str) -> Result<Self, String> {
        let seconds = text.parse().ok().map(Self::from_secs);
        let span = seconds.or_else(|| parse_duration(text));
        span.ok_or_else(|| "must be a duration, such as 300ms, 10s or 2m".to_owned())
    }

    fn is_in(&self, range: Range) -> bool {
        match range {
            Range::Times(least, most) => (least..=most).contains(self),
            Range::UpTo(most) => *self <= most,
            Range::Any | Range::Numbers(..) | Range::ZeroOrNumbers(..) => true,
        }
    }
}

impl SettingValue for tracing::Level {
    const FORM: &'static str = "`error`, `warn`, `info`, `debug` or `trace`";
    const CHOICES: &'static [&'static str] = &["error", "warn", "info", "debug", "trace"];

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "must be error, warn, info, debug or trace".to_owned())
    }
}

impl SettingValue for LogFormat {
    const FORM: &'static str = "`auto`, `text` or `json`";
    const CHOICES: &'static [&'static str] = &["auto", "text", "json"];

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("must be auto, text or json".to_owned()),
        }
    }
}

impl SettingValue for SecretString {
    const FORM: &'static str = "secret";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }
}

impl SettingValue for IpNet {
    const FORM: &'static str = "network";

    fn parse(text: &str) -> Result<Self, String> {
        let network = text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(Self::from));
        network.map_err(|_| "must be networks or addresses, such as 10.0.0.0/8,::1".to_owned())
    }
}

impl<T: SettingValue> SettingValue for Option<T> {
    const FORM: &'static str = T::FORM;
    const CHOICES: &'static [&'static str] = T::CHOICES;
    const PATH: Option<PathKind> = T::PATH;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }
}

impl<T: SettingValue> SettingValue for Vec<T> {
    const FORM: &'static str = "list";

    fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_whole_number_of_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("7", 7),
            ("7B", 7),
            ("3KiB", 3_072),
            ("3MiB", 3_145_728),
            ("3 GiB", 3_221_225_472),
            ("17179869183GiB", 18_446_744_072_635_809_792),
        ] {
            assert_eq!(Bytes::parse(text), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "MiB", "17179869184GiB", "1.5MiB", "-1", "3MB", "3mib", "3M", "3TiB", "3MiB3", "0x3"] {
            assert!(Bytes::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_has_items_between_commas_and_an_address_is_a_network() {
        let read =
            |text| Vec::<IpNet>::parse(text).map(|nets| nets.iter().map(ToString::to_string).collect::<Vec<_>>());
        let nets = ["10.0.0.0/8", "::1/128", "192.0.2.7/32"].map(str::to_owned).to_vec();
        assert_eq!(read(" 10.0.0.0/8, ::1,,192.0.2.7 "), Ok(nets));
        assert_eq!(read(""), Ok(Vec::new()));
        for text in ["10.0.0.0/33", "::/129", "localhost", "10.0.0.0/8;::1", "10.0.0.0/8, x"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_times_addresses_and_files_are_read_as_they_are_written() {
        for (text, form) in [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)] {
            assert_eq!(LogFormat::parse(text), Ok(form));
        }
        for text in ["", "JSON", "xml"] {
            assert!(LogFormat::parse(text).is_err(), "{text}");
        }
        for (text, millis) in [("90", 90_000), ("1500ms", 1_500), ("2m", 120_000), ("3h", 10_800_000)] {
            assert_eq!(Duration::parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "soon", "-1", "h"] {
            assert!(Duration::parse(text).is_err(), "{text}");
        }
        assert_eq!(SocketAddr::parse("[::1]:3000").map(|address| address.port()), Ok(3_000));
        for text in ["", "127.0.0.1", "localhost:3000", "::1:3000", "127.0.0.1:65536"] {
            assert!(SocketAddr::parse(text).is_err(), "{text}");
        }
        assert!(PathBuf::parse("").is_err() && Directory::parse("").is_err());
        assert_eq!(Option::<PathBuf>::parse(""), Ok(None));
    }

    #[test]
    fn the_socket_is_beside_the_database_or_a_file_or_off_and_never_abstract() {
        let parsed = |text| SocketPath::parse(text).expect(text);
        assert_eq!((parsed("auto"), parsed("off"), parsed("")), (SocketPath::Beside, SocketPath::Off, SocketPath::Off));
        assert_eq!(parsed("/run/orgkeys.sock"), SocketPath::At("/run/orgkeys.sock".into()));
        assert_eq!(parsed("./@name"), SocketPath::At("./@name".into()));
        for text in ["@name", "\0name", "/run/a\0b"] {
            assert!(SocketPath::parse(text).is_err(), "{text:?}");
        }
    }
}
