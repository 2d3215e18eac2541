//! Reads what a user names with `@FILE`, or with `@-` for standard input.

use std::fs::File;
use std::io::{self, Read};

use super::failure::{Failure, Outcome};

/// The most that is read. The server takes bodies of up to 64 KiB.
const MOST: u64 = 1024 * 1024;

/// Reads the source that follows `@` in a value; `None` if the value has no `@`.
pub fn read_source(value: &str) -> Option<Outcome<Vec<u8>>> {
    Some(match value.strip_prefix('@')? {
        "-" => read(io::stdin().lock(), "standard input"),
        path => match File::open(path) {
            Ok(file) => read(file, path),
            Err(error) => Err(Failure::usage(format!("cannot open {path}: {error}"))),
        },
    })
}

fn read(source: impl Read, name: &str) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    source
        .take(MOST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("cannot read {name}: {error}")))?;
    if bytes.len() as u64 > MOST {
        return Err(Failure::usage(format!("{name} is longer than 1 MiB, which no call takes")));
    }
    Ok(bytes)
}

/// Reads a secret from the source that the flag names: the first line.
pub fn read_secret(flag: &str, value: &str) -> Outcome<String> {
    let bytes = read_private(flag, value)?;
    first_line(&bytes).ok_or_else(|| Failure::usage(format!("--{flag}: the file has no text in its first line")))
}

/// Reads a secret text from the source that the flag names, exactly as it is.
pub fn read_secret_text(flag: &str, value: &str) -> Outcome<String> {
    String::from_utf8(read_private(flag, value)?)
        .map_err(|_| Failure::usage(format!("--{flag}: the file is not UTF-8")))
}

fn read_private(flag: &str, value: &str) -> Outcome<Vec<u8>> {
    read_source(value).unwrap_or_else(|| {
        Err(Failure::usage(format!(
            "--{flag} takes @FILE, or @- for standard input: other users of this machine can see a command line"
        )))
    })
}

/// Returns the first line of a text, without the line end; `None` if it is empty or not text.
#[must_use]
pub fn first_line(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim_start_matches('\u{feff}');
    text.lines().next().filter(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_first_line_of_a_file_and_never_the_value_itself() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "\u{feff}one two\r\nthree\n").expect("written");
        let named = format!("@{}", file.path().display());
        assert_eq!(read_secret("password", &named).expect("a secret"), "one two");
        assert!(read_secret("password", "one two").expect_err("refused").message.contains("--password takes @FILE"));
        assert!(read_secret("password", "@/nowhere").expect_err("refused").message.contains("/nowhere"));
        std::fs::write(file.path(), "\nthree\n").expect("written");
        assert!(read_secret("password", &named).is_err());
    }

    #[test]
    fn a_secret_text_is_a_whole_file_as_it_is() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let named = format!("@{}", file.path().display());
        for text in ["", "\n", "\u{feff}A=1\r\nB=2\n\n", "no line end"] {
            std::fs::write(file.path(), text).expect("written");
            assert_eq!(read_secret_text("text", &named).expect("a text"), text);
        }
        std::fs::write(file.path(), b"A=\xff").expect("written");
        assert!(read_secret_text("text", &named).expect_err("refused").message.contains("not UTF-8"));
        assert!(read_secret_text("text", "A=1").expect_err("refused").message.contains("--text takes @FILE"));
    }

    #[test]
    fn more_than_a_mebibyte_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let named = format!("@{}", file.path().display());
        for (length, is_read) in [(1024 * 1024, true), (1024 * 1024 + 1, false)] {
            std::fs::write(file.path(), vec![b'x'; length]).expect("written");
            assert_eq!(read_source(&named).expect("a source").is_ok(), is_read, "{length}");
        }
        assert!(read_source("plain").is_none());
    }
}
