//! Text from the server for a terminal: nothing in it can move the cursor, change the title, or turn letters around.

use std::fmt::Write;

/// Whether a character must not reach a terminal: control characters, and those that reorder or hide text.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || ('\u{2028}'..='\u{202e}').contains(&c)
        || ('\u{2060}'..='\u{206f}').contains(&c)
}

/// Replaces unsafe characters by their numbers, as JSON writes them.
#[must_use]
pub fn one_line(text: &str) -> String {
    escaped(text, |_| false)
}

/// The same, but keeps line breaks and tabs.
#[must_use]
pub fn lines(text: &str) -> String {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

/// Writes a value for a column that tabs separate, so that one record stays on one line.
#[must_use]
pub fn tab_separated(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r");
    one_line(&text)
}

fn escaped(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut written = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) && !keep(c) {
            // All unsafe characters are in the first plane.
            let _ = write!(written, "\\u{:04x}", u32::from(c));
        } else {
            written.push(c);
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_characters_are_replaced_and_others_are_kept() {
        assert_eq!(one_line("a\u{1b}[2J\u{9b}\u{7f}\u{202e}b\nc"), "a\\u001b[2J\\u009b\\u007f\\u202eb\\u000ac");
        assert_eq!(one_line("Ärzte 東京 é 👩‍💻"), "Ärzte 東京 é 👩‍💻");
        assert_eq!(lines("a\n\tb\r\u{1b}"), "a\n\tb\\u000d\\u001b");
        assert_eq!(tab_separated("a\tb\nc\\d"), "a\\tb\\nc\\\\d");
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({ "name": "\u{9b}\u{202e}\u{7f}x" });
        let shown = lines(&format!("{value:#}"));
        assert!(!shown.contains('\u{9b}'));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), value);
    }
}
