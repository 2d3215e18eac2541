//! Asks for an address and a password on the terminal.

use std::io::{self, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use crate::client::failure::{Exit, Failure, Outcome};

/// The character that Ctrl-C types.
const CTRL_C: u8 = 3;

/// The longest line that is read, in bytes.
const MOST: u64 = 4_096;

/// Asks for a line of text.
pub fn ask(question: &str) -> Outcome<String> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "{question} cannot be asked for without a terminal: name it on the command line"
        )));
    }
    prompt(question)?;
    line()
}

/// Asks for a secret, which is not shown. Without a terminal it is the first line of standard input.
pub fn ask_secret(question: &str) -> Outcome<String> {
    if !io::stdin().is_terminal() {
        return line();
    }
    let silent = Silent::begin()?;
    let secret = prompt(question).and_then(|()| line());
    drop(silent);
    let _ = writeln!(io::stderr());
    secret
}

fn prompt(question: &str) -> Outcome<()> {
    let mut stderr = io::stderr();
    write!(stderr, "{question}: ").and_then(|()| stderr.flush()).map_err(|error| fail(&error))
}

/// Reads a line, which Ctrl-C ends, too.
fn line() -> Outcome<String> {
    let mut line = Vec::new();
    for byte in io::stdin().lock().take(MOST).bytes() {
        match byte.map_err(|error| fail(&error))? {
            b'\n' => break,
            CTRL_C => return Err(Failure::new(Exit::Interrupted, "")),
            byte => line.push(byte),
        }
    }
    let line = String::from_utf8(line).map_err(|_| Failure::usage("what was typed is not UTF-8"))?;
    let line = line.trim_end_matches('\r');
    if line.is_empty() { Err(Failure::usage("nothing was typed")) } else { Ok(line.to_owned()) }
}

fn fail(error: &io::Error) -> Failure {
    Failure::usage(format!("standard input cannot be read: {error}"))
}

/// The terminal shows nothing of what is typed until this is dropped. Meanwhile Ctrl-C ends the line instead of the program,
/// which would leave the terminal silent.
struct Silent(Termios);

impl Silent {
    fn begin() -> Outcome<Self> {
        let before = tcgetattr(io::stdin()).map_err(|error| fail(&error.into()))?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        silent.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent).map_err(|error| fail(&error.into()))?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
