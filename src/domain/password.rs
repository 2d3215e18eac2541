//! The password policy: long, in any script, and not among the most common passwords.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::text::InvalidField;

/// The permitted length in bytes of UTF-8, so that the longest password costs the same work in every script.
pub const BYTES: RangeInclusive<usize> = 12..=1_024;

/// Accepts any text whose length is within [`BYTES`] and that is not a common password in any letter case.
///
/// This is for setting a password. On sign-in, a password is compared as it is.
///
/// There is no rule on character types: such rules make passwords harder to remember and no harder to guess (NIST SP
/// 800-63B-4, section 3.1.1.2, which also requires the list).
pub fn parse(field: &'static str, text: &str) -> Result<SecretString, InvalidField> {
    if !BYTES.contains(&text.len()) {
        let (least, most) = (BYTES.start(), BYTES.end());
        return Err(InvalidField::new(field, format!("must be {least} to {most} bytes long")));
    }
    if is_common(text) {
        return Err(InvalidField::new(field, "must not be one of the most common passwords"));
    }
    Ok(SecretString::from(text))
}

/// The common passwords that are long enough, in lower case and sorted. Shorter ones are refused for their length.
static COMMON: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let lines = include_str!("common_passwords.txt").lines();
    lines.filter(|line| !line.starts_with("# ")).collect()
});

fn is_common(text: &str) -> bool {
    COMMON.binary_search(&lower_cased(text).as_str()).is_ok()
}

/// The copy is wiped on drop. It is allocated at full size, because growing would leave a part of it in freed memory.
fn lower_cased(text: &str) -> Zeroizing<String> {
    // Lower-casing a letter adds at most half of its bytes (U+023A has two, its lower case three).
    let mut lower = Zeroizing::new(String::with_capacity(2 * text.len()));
    lower.extend(text.chars().flat_map(char::to_lowercase));
    lower
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn problem(text: &str) -> String {
        parse("password", text).expect_err("refused").to_string()
    }

    #[test]
    fn password_length_is_counted_in_bytes() {
        for taken in ["zq fox 7 jam".to_owned(), "ä".repeat(6), "x".repeat(1_024), "ä".repeat(512)] {
            let password = parse("password", &taken).expect("taken");
            assert_eq!(password.expose_secret(), taken);
        }
        for refused in [String::new(), "zq fox 7 ja".to_owned(), "ä".repeat(5), "x".repeat(1_025), "ä".repeat(513)] {
            assert_eq!(problem(&refused), "password must be 12 to 1024 bytes long");
        }
    }

    #[test]
    fn a_password_may_contain_any_characters() {
        for taken in ["            ", "tab\tand\nline\0", "ключ от квартиры", "🔑🔒🗝"] {
            assert_eq!(parse("password", taken).expect("taken").expose_secret(), taken);
        }
    }

    #[test]
    fn a_common_password_is_refused_in_any_letter_case() {
        let listed_in_lower_case = ["password1234", "PASSWORD1234", "pAsSwOrD1234", "АЛЕКСАНДР"];
        let listed_with_capitals = ["g00dPa$$w0rD"];
        for refused in listed_in_lower_case.into_iter().chain(listed_with_capitals) {
            assert_eq!(problem(refused), "password must not be one of the most common passwords");
        }
        assert!(parse("password", "password1234 of mine").is_ok());
    }

    #[test]
    fn the_list_of_common_passwords_is_sorted_and_lower_case() {
        assert!(COMMON.is_sorted() && COMMON.len() > 1_000);
        for password in COMMON.iter() {
            assert!(BYTES.contains(&password.len()) && lower_cased(password).as_str() == *password, "{password}");
        }
    }

    #[test]
    fn lower_casing_at_most_doubles_the_length() {
        for letter in (char::MIN..=char::MAX).map(String::from) {
            let lower = lower_cased(&letter);
            assert!(lower.len() <= 2 * letter.len(), "{letter}");
        }
    }
}
