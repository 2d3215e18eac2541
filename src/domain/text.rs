//! What text is taken in? Bounded, and free of control characters, so that no log line or terminal is written by a stranger.

use std::ops::RangeInclusive;

use thiserror::Error;

/// A field whose value cannot be taken; the value itself is never repeated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field} {problem}")]
pub struct InvalidField {
    /// The field, as the caller named it.
    pub field: &'static str,
    /// What is wrong with it and what is taken instead.
    pub problem: String,
}

impl InvalidField {
    /// `field` is wrong in the way that `problem` says, a phrase that follows the field's name.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// Takes `value` when it has a length within `length` (in characters) and no control character.
pub fn parse(field: &'static str, value: &str, length: RangeInclusive<usize>) -> Result<String, InvalidField> {
    if value.chars().any(char::is_control) {
        return Err(InvalidField::new(field, "must not contain control characters"));
    }
    if !length.contains(&value.chars().count()) {
        let (least, most) = (length.start(), length.end());
        return Err(InvalidField::new(field, format!("must have {least} to {most} characters")));
    }
    Ok(value.to_owned())
}

/// Takes a secret, which is compared and never kept: any text of up to `most` characters.
pub fn at_most(field: &'static str, secret: &str, most: usize) -> Result<(), InvalidField> {
    let fits = secret.chars().count() <= most;
    fits.then_some(()).ok_or_else(|| InvalidField::new(field, format!("must have at most {most} characters")))
}

/// As [`parse`], for a field that is part of a signed message, where `|` separates.
pub fn parse_signed(field: &'static str, value: &str, length: RangeInclusive<usize>) -> Result<String, InvalidField> {
    if value.contains('|') {
        return Err(InvalidField::new(field, "must not contain '|', which separates the parts of the signed message"));
    }
    parse(field, value, length)
}
