//! Validation of text input: limited in length, visible, and free of characters that control something, so that input
//! cannot forge log lines, control a terminal or pass for another text.

use std::ops::RangeInclusive;

use thiserror::Error;

/// An invalid field of a request. The value is never repeated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field} {problem}")]
pub struct InvalidField {
    /// The name of the field in the request.
    pub field: &'static str,
    /// What is wrong with it, or what is permitted.
    pub problem: String,
}

impl InvalidField {
    /// Creates an error; `problem` is a phrase that follows the field's name.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// Returns the number of the line, from 1 on, in which a byte of a text is. What is behind the last line counts to that.
#[must_use]
pub fn line_at(text: &str, at: usize) -> usize {
    let before = text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    (before + 1).min(text.lines().count().max(1))
}

/// Accepts `value` if its length in characters is within `length`, it contains no control character and no
/// bidirectional control, and it is empty or contains a visible character.
pub fn parse(field: &'static str, value: &str, length: RangeInclusive<usize>) -> Result<String, InvalidField> {
    if value.chars().any(char::is_control) {
        return Err(InvalidField::new(field, "must not contain control characters"));
    }
    if value.chars().any(is_bidi_control) {
        let problem = "must not contain characters that change the direction of text (U+202A to U+202E, U+2066 to \
                       U+2069)";
        return Err(InvalidField::new(field, problem));
    }
    if !length.contains(&value.chars().count()) {
        let (least, most) = (length.start(), length.end());
        return Err(InvalidField::new(field, format!("must be {least} to {most} characters long")));
    }
    if !value.is_empty() && !value.chars().any(is_visible) {
        return Err(InvalidField::new(field, "must contain at least one visible character"));
    }
    Ok(value.to_owned())
}

/// The same as [`parse`] for a text by which something is found: it contains no invisible character at all, because two
/// texts that look the same must be the same.
pub fn parse_key(field: &'static str, value: &str, length: RangeInclusive<usize>) -> Result<String, InvalidField> {
    if value.chars().any(is_default_ignorable) {
        return Err(InvalidField::new(field, "must not contain invisible characters"));
    }
    parse(field, value, length)
}

/// The same as [`parse`] for a field of a signed message, in which `|` is the separator.
pub fn parse_signed(field: &'static str, value: &str, length: RangeInclusive<usize>) -> Result<String, InvalidField> {
    if value.contains('|') {
        return Err(InvalidField::new(field, "must not contain '|', which separates the parts of the signed message"));
    }
    parse(field, value, length)
}

/// Accepts a secret, which is compared and never stored: any text of up to `most` characters.
pub fn at_most(field: &'static str, secret: &str, most: usize) -> Result<(), InvalidField> {
    let fits = secret.chars().count() <= most;
    fits.then_some(()).ok_or_else(|| InvalidField::new(field, format!("must be at most {most} characters long")))
}

/// Returns whether a character is a bidirectional embedding, override or isolate (UAX #9): it changes the order in
/// which the text after it is shown.
#[must_use]
pub const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns whether something is shown for a character.
#[must_use]
pub fn is_visible(c: char) -> bool {
    /// Characters without a glyph that are neither white space nor ignorable: the annotation marks, the filler of the
    /// Khitan script, the blank braille pattern and the null notehead.
    const BLANK: [char; 6] = ['\u{2800}', '\u{fff9}', '\u{fffa}', '\u{fffb}', '\u{16fe4}', '\u{1d159}'];
    !c.is_control() && !c.is_whitespace() && !is_default_ignorable(c) && !BLANK.contains(&c)
}

/// Returns whether a character has the property `Default_Ignorable_Code_Point` of the Unicode Character Database
/// (`DerivedCoreProperties.txt`): nothing is shown for it.
#[must_use]
pub const fn is_default_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_ignorable_characters_is_that_of_unicode() {
        let unicode = regex::Regex::new(r"^\p{Default_Ignorable_Code_Point}$").expect("a pattern");
        let mut buffer = [0; 4];
        for c in '\0'..=char::MAX {
            assert_eq!(is_default_ignorable(c), unicode.is_match(c.encode_utf8(&mut buffer)), "{c:?}");
        }
    }

    #[test]
    fn a_text_is_visible_and_keeps_its_direction() {
        let problem = |value: &str| parse("name", value, 0..=10).err().map(|error| error.problem);
        for good in ["", "a", "a b", "Ärzte", "東京", "أحمد", "עברית", "👩\u{200d}🚀", "\u{200b}a", "|", "\u{e000}"]
        {
            assert_eq!(problem(good), None, "{good:?}");
        }
        for blank in [" ", "   ", "\u{a0}", "\u{3000}", "\u{200b}", "\u{3164}", "\u{2800}", "\u{ad} \u{feff}"] {
            assert_eq!(problem(blank).as_deref(), Some("must contain at least one visible character"), "{blank:?}");
        }
        for c in ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}') {
            assert!(problem(&format!("a{c}b")).is_some_and(|problem| problem.contains("direction")), "{c:?}");
        }
        for c in ('\0'..=' ').take(32).chain('\u{7f}'..='\u{9f}') {
            assert!(problem(&format!("a{c}b")).is_some_and(|problem| problem.contains("control")), "{c:?}");
        }
        for c in ['\u{2029}', '\u{202f}', '\u{2065}', '\u{206a}', '\u{200e}', '\u{200f}'] {
            assert_eq!(problem(&format!("a{c}b")), None, "{c:?}");
        }
        assert_eq!(problem("elevenchars").as_deref(), Some("must be 0 to 10 characters long"));
    }

    #[test]
    fn what_is_behind_the_last_line_counts_to_it() {
        for (text, at, line) in [("", 0, 1), ("a\nb", 0, 1), ("a\nb", 2, 2), ("a\nb\n", 4, 2), ("a\n", 9, 1)] {
            assert_eq!(line_at(text, at), line, "{at} of {text:?}");
        }
    }

    #[test]
    fn a_key_has_no_invisible_character() {
        assert!(parse_key("email", "ada@example.org", 3..=254).is_ok());
        for c in ['\u{200b}', '\u{ad}', '\u{200d}', '\u{feff}', '\u{fe0f}', '\u{e0020}'] {
            assert!(parse_key("email", &format!("ada{c}@example.org"), 3..=254).is_err(), "{c:?}");
        }
    }
}
