//! Commands in messages, which somebody copies into a shell.

use std::fmt;

/// Quotes a text as one word for a POSIX shell. Texts that mean themselves stay as they are.
pub fn quoted(text: impl fmt::Display) -> String {
    let text = text.to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in [
            "/var/lib/orgkeys/orgkeys.db",
            "",
            " ",
            "l'ouest|1",
            "''",
            "a\\b",
            "$(id) `id` \"$HOME\"",
            "*?[a]~!#&;<>{}",
            "é東",
        ] {
            let command = format!("printf %s {}", quoted(text));
            let printed = Command::new("sh").arg("-c").arg(&command).output().expect("a shell").stdout;
            assert_eq!(String::from_utf8_lossy(&printed), text, "{command}");
        }
        assert_eq!(quoted("/var/lib/orgkeys.db"), "/var/lib/orgkeys.db");
    }
}
