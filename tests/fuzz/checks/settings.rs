//! Settings. An input is the text of a settings file. Its lines `#env NAME=VALUE` and `#flag name=value`, which are comments
//! in the file, are variables and flags.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use orgkeys::config::{Flags, Resolved, Settings, Source, Texts, resolve};
use orgkeys::domain::time::parse_duration;

use super::SECRET;

pub fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    if reads_another_file(text) {
        return;
    }
    let mut flags = Flags::default();
    let mut environment = Texts::new();
    for line in text.lines() {
        if let Some((name, value)) = line.strip_prefix("#env ").and_then(|pair| pair.split_once('=')) {
            environment.insert(name.to_owned(), value.to_owned());
        } else if let Some((name, value)) = line.strip_prefix("#flag ").and_then(|pair| pair.split_once('=')) {
            flags = flags.with(name, value);
            assert_duration(value);
        }
    }
    let file = in_memory(text);
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    match resolve(&flags, &environment, Some(path.as_ref())) {
        Ok(resolved) => {
            assert_limits(&resolved.settings);
            assert_printed_alike(&resolved);
            if !is_shown(text) {
                let debug = format!("{:?} {:?}", resolved.settings, resolved.origins);
                assert!(!debug.contains(SECRET), "the secret is in: {debug}");
            }
        }
        Err(error) => {
            let error = error.to_string();
            assert!(!error.is_empty() && (is_shown(text) || !error.contains(SECRET)), "the secret is in: {error}");
        }
    }
}

/// Whether a setting names a file with a secret, which could be any file.
fn reads_another_file(text: &str) -> bool {
    let is_read = |key: &str| key.eq_ignore_ascii_case("metrics_token_file");
    let is_named = ["#flag ", "#env ORGKEYS_"].iter().any(|word| {
        let names = text.lines().filter_map(|line| line.strip_prefix(word)?.split_once('='));
        names.into_iter().any(|(name, _)| is_read(name))
    });
    is_named || text.parse::<toml::Table>().is_ok_and(|table| table.keys().any(|key| is_read(key)))
}

/// Whether the secret may be shown: it stands elsewhere than in the value of a setting that holds a secret.
fn is_shown(text: &str) -> bool {
    const NAMES: [&str; 3] = ["metrics_token", "#flag metrics_token", "#env ORGKEYS_METRICS_TOKEN"];
    let is_of_many_lines = text.contains("\"\"\"") || text.contains("'''");
    let mut lines = text.lines().filter(|line| line.contains(SECRET));
    is_of_many_lines || lines.any(|line| line.split_once('=').is_none_or(|(name, _)| !NAMES.contains(&name.trim_end())))
}

/// A file that is nowhere on the disk.
fn in_memory(text: &str) -> File {
    let file = rustix::fs::memfd_create("settings", rustix::fs::MemfdFlags::CLOEXEC).expect("a file in memory");
    let mut file = File::from(file);
    file.write_all(text.as_bytes()).expect("written");
    file.rewind().expect("a file");
    file
}

fn assert_limits(settings: &Settings) {
    let day = Duration::from_hours(24);
    let numbers = [
        (settings.org_keys_max, 1..=100),
        (settings.nodes_max, 1..=1_000_000),
        (settings.people_max, 1..=100_000),
        (settings.api_keys_max, 1..=100_000),
        (settings.readers, 1..=64),
        (settings.max_connections, 1..=1_000_000),
    ];
    for (number, range) in numbers {
        assert!(range.contains(&number), "{number} is not in {range:?}");
    }
    let times = [
        (settings.signature_window, Duration::from_secs(1)..=Duration::from_mins(15)),
        (settings.node_silent, Duration::from_mins(1)..=day * 30),
        (settings.backup_interval, Duration::from_secs(1)..=day),
        (settings.backup_keep, settings.backup_interval..=day * 366),
        (settings.key_undo, Duration::ZERO..=day * 30),
        (settings.header_timeout, Duration::from_millis(1)..=day),
        (settings.request_timeout, Duration::from_millis(1)..=day),
        (settings.idle_timeout, Duration::from_millis(1)..=day),
        (settings.stream_comment, Duration::from_millis(1)..=day),
        (settings.stop_timeout, Duration::from_millis(1)..=day),
    ];
    for (time, range) in times {
        assert!(range.contains(&time), "{time:?} is not in {range:?}");
    }
    assert!(settings.audit_days == 0 || (7..=36_500).contains(&settings.audit_days));
    assert_eq!(settings.tls_cert.is_some(), settings.tls_key.is_some());
    assert!(settings.database_max.0 == 0 || settings.database_max.0 > settings.disk_reserve.0);
    for network in settings.trusted_proxy.iter().chain(&settings.webhook_allow) {
        assert_eq!(network.to_string().parse(), Ok(*network));
    }
    for origin in &settings.cors_origins {
        assert!(origin.0.starts_with("https://") || origin.0.starts_with("http://"), "{origin:?}");
        assert!(!origin.0.contains(['*', '@', ',', '?', '#', ' ']), "{origin:?}");
    }
}

/// Checks that the texts which are shown lead to the same settings.
fn assert_printed_alike(resolved: &Resolved) {
    let mut flags = Flags::default();
    for (field, text, source) in &resolved.origins {
        if *source != Source::Default && !field.secret {
            flags = flags.with(field.name, text);
        }
    }
    let again = resolve(&flags, &Texts::new(), None).expect("what is shown is accepted");
    for ((field, before, _), (_, now, _)) in resolved.origins.iter().zip(&again.origins) {
        assert!(field.secret || before == now, "{} was {before}, and is {now}", field.name);
    }
    let plain = |settings: &Settings| {
        let mut settings = settings.clone();
        (settings.metrics_token, settings.bootstrap_token) = (None, None);
        format!("{settings:?}")
    };
    if !resolved.settings.has_bootstrap_token() {
        assert_eq!(plain(&again.settings), plain(&resolved.settings));
    }
}

fn assert_duration(text: &str) {
    let Some(span) = parse_duration(text) else { return };
    let whole = Duration::from_secs(span.as_secs());
    let (seconds, rest) = (span.as_secs(), span.subsec_nanos());
    assert_eq!(parse_duration(&format!("{seconds}s")).unwrap_or(whole), whole);
    assert_eq!(parse_duration(&format!("{seconds}s {rest}ns")).unwrap_or(span), span);
}
