//! Validation of text input: limited in length and free of control characters, so that input cannot forge log lines or
//! control a terminal.

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

/// Accepts `value` if its length in characters is within `length` and it contains no control character.
pub fn parse(field: &'static str, value: &str, length: RangeInclusive<usize>) -> Result<String, InvalidField> {
    if value.chars().any(char::is_control) {
        return Err(InvalidField::new(field, "must not contain control characters"));
    }
    if !length.contains(&value.chars().count()) {
        let (least, most) = (length.start(), length.end());
        return Err(InvalidField::new(field, format!("must be {least} to {most} characters long")));
    }
    Ok(value.to_owned())
}

/// Accepts a secret, which is compared and never stored: any text of up to `most` characters.
pub fn at_most(field: &'static str, secret: &str, most: usize) -> Result<(), InvalidField> {
    let fits = secret.chars().count() <= most;
    fits.then_some(()).ok_or_else(|| InvalidField::new(field, format!("must be at most {most} characters long")))
}

/// The same as [`parse`] for a field of a signed message, in which `|` is the separator.
pub fn parse_signed(field: &'static str, value: &str, length: RangeInclusive<usize>) -> Result<String, InvalidField> {
    if value.contains('|') {
        return Err(InvalidField::new(field, "must not contain '|', which separates the parts of the signed message"));
    }
    parse(field, value, length)
}
