//! What a test needs and this machine has not: it passes then, and says so; where nothing may be missing, it fails.

use std::env;
use std::process::Command;

/// Set where every test must run: there a program that is missing fails the tests that need it.
const ALL: &str = "ORGKEYS_TEST_NEEDS_ALL";

/// Says that a test is passed over for lack of something.
pub fn missing(what: &str) {
    assert!(env::var_os(ALL).is_none(), "{what} is not installed, and {ALL} is set");
    eprintln!("skipped: {what} is not installed");
}

/// Whether a program is there; says so when it is not.
pub fn has(program: &str) -> bool {
    let says = |word| Command::new(program).arg(word).output().is_ok_and(|output| output.status.success());
    let found = ["--version", "version", "-v"].into_iter().any(says);
    if !found {
        missing(program);
    }
    found
}
