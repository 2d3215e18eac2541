//! Programs that a test needs and this machine may lack: the test is skipped with a note, or fails where nothing may be missing.

use std::env;
use std::process::Command;

/// Set where every test must run: a missing program fails the tests that need it.
const ALL: &str = "ORGKEYS_TEST_NEEDS_ALL";

/// Notes that a test is skipped because something is missing.
pub fn missing(what: &str) {
    assert!(env::var_os(ALL).is_none(), "{what} is not installed, and {ALL} is set");
    eprintln!("skipped: {what} is not installed");
}

/// Whether a program is installed; prints a note if it is not.
pub fn has(program: &str) -> bool {
    let says = |word| Command::new(program).arg(word).output().is_ok_and(|output| output.status.success());
    let found = ["--version", "version", "-v"].into_iter().any(says);
    if !found {
        missing(program);
    }
    found
}
