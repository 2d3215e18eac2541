//! Where does a setting come from? A flag, else an `ORGKEYS_` variable, else the file, else its default.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use thiserror::Error;

use super::flags::{Flags, Texts, variable};
use super::secret_file::{Found, SecretFileError};
use super::{FIELDS, Field, Settings};
use crate::domain::text::line_at;
use crate::store::files;

/// A setting is invalid; the text says which one, why, and where it came from.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl From<SecretFileError> for ConfigError {
    fn from(error: SecretFileError) -> Self {
        Self(error.to_string())
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A flag on the command line.
    Flag,
    /// An environment variable.
    Variable,
    /// The settings file.
    File,
    /// Nothing set it.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Variable => "environment",
            Self::File => "file",
            Self::Default => "default",
        })
    }
}

/// Every setting with the text it was read from and where that came from.
#[derive(Debug)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// The text and the source of each, in the table's order; secrets masked.
    pub origins: Vec<(&'static Field, String, Source)>,
    /// Warnings about what is odd but not an error.
    pub warnings: Vec<String>,
}

/// Resolves every setting from `flags`, `environment` and the file at `path`.
pub fn resolve(flags: &Flags, environment: &Texts, path: Option<&Path>) -> Result<Resolved, ConfigError> {
    let file = path.map(read).transpose()?.unwrap_or_default();
    let mut values = HashMap::new();
    let mut origins = Vec::new();
    let mut bootstrap_token_file = None;
    for field in FIELDS {
        let (found, source) = find(field, flags, environment, &file)?;
        let is_set = found.is_set();
        let (text, file_for_later) = found.read(field)?;
        bootstrap_token_file = bootstrap_token_file.or(file_for_later);
        let shown = if field.secret && is_set { "********".to_owned() } else { text.clone() };
        origins.push((field, shown, source.clone()));
        values.insert(field.name, (text, source));
    }
    let settings = Settings::parse(|name| values[name].0.clone()).and_then(Settings::check);
    let settings = settings.map_err(|(name, problem)| {
        let from = values.get(name).map_or(&Source::Default, |(_, source)| source);
        ConfigError(format!("{name} {problem} (set by {from})"))
    })?;
    let settings = Settings { bootstrap_token_file, ..settings };
    Ok(Resolved { settings, origins, warnings: unknown_variables(environment) })
}

fn find(field: &Field, flags: &Flags, environment: &Texts, file: &Texts) -> Result<(Found, Source), ConfigError> {
    let names = field.names();
    for source in [Source::Flag, Source::Variable, Source::File] {
        let get = |name: &str| match source {
            Source::Flag => flags.get(name).cloned(),
            // Container platforms and shell scripts set a variable to nothing where they have no value for it.
            Source::Variable => environment.get(&variable(name)).filter(|text| !text.is_empty()).cloned(),
            Source::File => file.get(name).cloned(),
            Source::Default => None,
        };
        let mut set = names.iter().filter_map(|name| get(name).map(|text| (name, text)));
        match (set.next(), set.next()) {
            (Some((name, _)), Some((other, _))) => {
                return Err(ConfigError(format!("{name} and {other} are both set by {source}: set only one of them")));
            }
            (Some((name, path)), None) if field.secret && *name != field.name => {
                return Ok((Found::In { key: name.clone(), path: path.into() }, source));
            }
            (Some((_, text)), None) => return Ok((Found::Text(text), source)),
            (None, _) => {}
        }
    }
    Ok((Found::Text(field.default.to_owned()), Source::Default))
}

/// Reads the settings file. An unknown key is an error that names the most similar setting.
fn read(path: &Path) -> Result<Texts, ConfigError> {
    let fail = |problem: String| ConfigError(format!("{}: {problem}", path.display()));
    let text = files::read_text(path).map_err(fail)?;
    // The parser's message repeats the line, which may hold a secret; its place is enough.
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| line_at(&text, span.start));
        fail(format!("line {line} is not valid TOML: write each setting as name = \"value\""))
    })?;
    let known = names();
    table
        .into_iter()
        .map(|(key, value)| {
            if !known.contains(&key) {
                return Err(fail(format!("{key} is not a setting{}", nearest(&key, &known))));
            }
            let text =
                plain(&value).ok_or_else(|| fail(format!("{key} must be a string, a number or a list of strings")))?;
            Ok((key, text))
        })
        .collect()
}

fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Array(items) => Some(items.iter().map(plain).collect::<Option<Vec<_>>>()?.join(",")),
        toml::Value::Float(_) | toml::Value::Boolean(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

/// Every name that a file may set.
fn names() -> Vec<String> {
    FIELDS.iter().flat_map(Field::names).collect()
}

fn nearest(key: &str, known: &[String]) -> String {
    let near = known.iter().map(|name| (strsim::damerau_levenshtein(key, name), name)).min();
    near.filter(|(distance, _)| *distance <= 4)
        .map_or_else(|| "; `orgkeys config` lists them".to_owned(), |(_, name)| format!("; did you mean {name}?"))
}

/// Variables that are no settings: the settings file, and what `orgkeys` as a client reads.
const OTHER_VARIABLES: [&str; 4] = ["ORGKEYS_CONFIG", "ORGKEYS_URL", "ORGKEYS_TOKEN", "ORGKEYS_TOKEN_FILE"];

/// Unknown variables are only worth a warning: container platforms set some of their own.
fn unknown_variables(environment: &Texts) -> Vec<String> {
    let others = OTHER_VARIABLES.map(str::to_owned);
    let known: Vec<String> = names().iter().map(|name| variable(name)).chain(others).collect();
    let mut unknown: Vec<&String> =
        environment.keys().filter(|name| name.starts_with("ORGKEYS_") && !known.contains(name)).collect();
    unknown.sort();
    unknown.iter().map(|name| format!("the variable {name} is not a setting{}", nearest(name, &known))).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Texts {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("file");
        fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn settings_come_from_flags_then_variables_then_file_then_defaults() {
        let config = file("max = 7\nreaders = 8\nlog = \"warn\"\n");
        let environment = environment(&[("ORGKEYS_MAX", "9"), ("ORGKEYS_READERS", "10")]);
        let flags = Flags::default().with("max", "11");
        let resolved = resolve(&flags, &environment, Some(config.path())).expect("resolved");
        let found = (resolved.settings.org_keys_max, resolved.settings.readers, resolved.settings.log);
        assert_eq!(found, (11, 10, tracing::Level::WARN));
        let source =
            |name| resolved.origins.iter().find(|(field, ..)| field.name == name).map(|(.., source)| source.clone());
        assert_eq!(source("org_keys_max"), Some(Source::Flag), "by the name that it had before");
        assert_eq!(source("listen"), Some(Source::Default));
    }

    #[test]
    fn unknown_keys_fail_and_unknown_variables_warn_with_a_suggestion() {
        let config = file("signature_windw = 10\n");
        let error = resolve(&Flags::default(), &Texts::new(), Some(config.path())).expect_err("unknown");
        assert!(error.to_string().contains("did you mean signature_window?"), "{error}");
        let error =
            resolve(&Flags::default(), &Texts::new(), Some(file("hyperthreading = 1\n").path())).expect_err("unknown");
        assert!(error.to_string().ends_with("hyperthreading is not a setting; `orgkeys config` lists them"), "{error}");
        let resolved = resolve(&Flags::default(), &environment(&[("ORGKEYS_LISTN", "x")]), None).expect("resolved");
        assert_eq!(resolved.warnings, ["the variable ORGKEYS_LISTN is not a setting; did you mean ORGKEYS_LISTEN?"]);
        let clients = environment(&OTHER_VARIABLES.map(|name| (name, "x")));
        let resolved = resolve(&Flags::default(), &clients, None).expect("resolved");
        assert_eq!(resolved.warnings, Vec::<String>::new(), "of the client");
    }

    #[test]
    fn a_setting_under_two_of_its_names_is_an_error() {
        let config = file("max = 7\norg_keys_max = 8\n");
        let error = resolve(&Flags::default(), &Texts::new(), Some(config.path())).expect_err("two of one");
        assert_eq!(error.to_string(), "org_keys_max and max are both set by file: set only one of them");
    }

    #[test]
    fn limits_have_two_sides() {
        for (name, good, bad) in [
            ("org_keys_max", ["1", "100"], ["0", "101"]),
            ("max", ["1", "100"], ["0", "101"]),
            ("signature_window", ["1s", "900"], ["999ms", "900001ms"]),
            ("signature_window", ["1500ms", "15m"], ["0", "901s"]),
            ("node_silent", ["1m", "30d"], ["59s", "2592001s"]),
            ("nodes_max", ["1", "1000000"], ["0", "1000001"]),
            ("people_max", ["1", "100000"], ["0", "100001"]),
            ("api_keys_max", ["1", "100000"], ["0", "100001"]),
            ("readers", ["1", "64"], ["0", "65"]),
            ("backup_interval", ["1s", "24h"], ["999ms", "86401"]),
            ("backup_keep", ["5m", "366d"], ["299s", "367d"]),
            ("header_timeout", ["1ms", "86400"], ["0", "86400001ms"]),
            ("request_timeout", ["1ms", "86400"], ["0", "86401"]),
            ("idle_timeout", ["1ms", "86400"], ["0", "86401"]),
            ("stop_timeout", ["1ms", "86400"], ["0", "86401"]),
            ("stream_comment", ["1ms", "86400"], ["0", "86401"]),
            ("key_undo", ["0", "30d"], ["2592000001ms", "2592001"]),
            ("audit_days", ["0", "7"], ["1", "6"]),
            ("audit_days", ["7", "36500"], ["-1", "36501"]),
            ("max_connections", ["1", "1000000"], ["0", "1000001"]),
        ] {
            for value in good {
                assert!(resolve(&Flags::default().with(name, value), &Texts::new(), None).is_ok(), "{name} {value}");
            }
            for value in bad {
                assert!(resolve(&Flags::default().with(name, value), &Texts::new(), None).is_err(), "{name} {value}");
            }
        }
    }

    #[test]
    fn a_file_has_texts_numbers_and_lists() {
        let with = |text: &str| resolve(&Flags::default(), &Texts::new(), Some(file(text).path()));
        let resolved =
            with("trusted_proxy = [\"10.0.0.1\", \"::1\"]\nreaders = 7\nlog = \"warn\"\n").expect("resolved");
        let settings = resolved.settings;
        let proxies: Vec<String> = settings.trusted_proxy.iter().map(ToString::to_string).collect();
        assert_eq!(proxies, ["10.0.0.1/32", "::1/128"]);
        assert_eq!((settings.readers, settings.log), (7, tracing::Level::WARN));
        for value in ["true", "1.5", "2024-01-15", "{ a = 1 }", "[[1, true]]", "[true]"] {
            let problem = with(&format!("readers = {value}\n")).expect_err(value).to_string();
            assert!(problem.ends_with(": readers must be a string, a number or a list of strings"), "{problem}");
        }
    }

    #[test]
    fn what_is_no_toml_is_told_by_its_line() {
        for (text, line) in [
            ("readers = = 7\n", 1),
            ("readers = 7\nlog = warn\n", 2),
            ("readers = 7\n\n= 8\n", 3),
            ("readers = 7\n\n\nlog\n", 4),
            ("# one\nreaders = 7\nreaders = 8\n", 3),
            ("readers = 7\nlog = \"warn\n", 2),
            ("readers = 7\nlog =", 2),
        ] {
            let file = file(text);
            let problem = resolve(&Flags::default(), &Texts::new(), Some(file.path())).expect_err(text).to_string();
            // Nothing of the line, which may hold a secret.
            let place = format!("{}: line {line} is not valid TOML", file.path().display());
            assert_eq!(problem, format!("{place}: write each setting as name = \"value\""), "{text:?}");
        }
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        for (settings, problem) in [
            ([("disk_reserve", "64MiB"), ("database_max", "67108864")], "database_max must be more than disk_reserve"),
            ([("disk_reserve", "64MiB"), ("database_max", "67108865")], ""),
            ([("disk_reserve", "64MiB"), ("database_max", "0")], ""),
            ([("database", "a.db"), ("key_file", "a.db")], "key_file must be another file than the database"),
            ([("database", "a.db"), ("key_file", "b.db")], ""),
            ([("database", "a.db"), ("key_file", "a.db.key")], ""),
            ([("database", "a.db"), ("key_file", "a.db.lock")], "key_file must not end in .lock"),
            ([("backup_interval", "1h"), ("backup_keep", "59m")], "backup_keep must not be shorter"),
            ([("backup_interval", "1h"), ("backup_keep", "1h")], ""),
            ([("tls_cert", "a.crt"), ("tls_key", "")], "tls_cert is set without tls_key"),
            ([("tls_cert", ""), ("tls_key", "a.key")], "tls_key is set without tls_cert"),
            ([("tls_cert", "a.crt"), ("tls_key", "a.key")], ""),
        ] {
            let flags = settings.into_iter().fold(Flags::default(), |flags, (name, text)| flags.with(name, text));
            let told = resolve(&flags, &Texts::new(), None).err().map(|error| error.to_string());
            let is_right =
                told.as_ref().map_or(problem.is_empty(), |told| !problem.is_empty() && told.contains(problem));
            assert!(is_right, "{settings:?}: {told:?}");
        }
    }

    #[test]
    fn a_secret_is_read_from_its_file_and_never_printed() {
        let token = file("okp_verysecret\n");
        let path = token.path().display().to_string();
        let from_file = environment(&[("ORGKEYS_METRICS_TOKEN_FILE", &path)]);
        let resolved = resolve(&Flags::default(), &from_file, None).expect("resolved");
        let read = |resolved: &Resolved| {
            resolved.settings.metrics_token.as_ref().map(|token| token.expose_secret().to_owned())
        };
        assert_eq!(read(&resolved).as_deref(), Some("okp_verysecret"), "without the end of the line");
        // A flag wins over a variable, even if one names a file and the other has the secret.
        let flag = Flags::default().with("metrics_token_file", &path);
        let variable = environment(&[("ORGKEYS_METRICS_TOKEN", "okp_another")]);
        let won = resolve(&flag, &variable, None).expect("resolved");
        assert_eq!(read(&won).as_deref(), Some("okp_verysecret"));
        for (contents, says) in [("", "is empty: put a secret into it"), (" \n", "is empty: put a secret into it")] {
            let empty = file(contents);
            let flag = Flags::default().with("metrics_token_file", empty.path().display().to_string());
            let problem = resolve(&flag, &Texts::new(), None).expect_err("empty").to_string();
            assert!(problem.starts_with("metrics_token_file: ") && problem.contains(says), "{problem}");
        }
        assert!(!format!("{resolved:?}").contains("verysecret"));
        let both = environment(&[("ORGKEYS_METRICS_TOKEN_FILE", &path), ("ORGKEYS_METRICS_TOKEN", "okp_verysecret")]);
        let error = resolve(&Flags::default(), &both, None).expect_err("both");
        assert!(!error.to_string().contains("verysecret"));
        let broken = file("metrics_token = \"okp_verysecret\nx");
        let error = resolve(&Flags::default(), &Texts::new(), Some(broken.path())).expect_err("not TOML");
        assert!(!error.to_string().contains("verysecret"), "{error}");
    }
}
