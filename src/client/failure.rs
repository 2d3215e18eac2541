//! Why a command did not succeed, and the exit code that tells a script.

/// An exit code. Scripts rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The server refused the request, or the output could not be written.
    Refused = 1,
    /// The command line, a file or a profile is wrong. Nothing was sent.
    Usage = 2,
    /// Not signed in, or the credential is not valid (401).
    NotSignedIn = 3,
    /// Not permitted (403).
    Forbidden = 4,
    /// Not found (404).
    NotFound = 5,
    /// A conflict (409), or a limit on a number of objects.
    Conflict = 6,
    /// The server asks to try again later (408, 429, 503).
    TryAgain = 7,
    /// No answer: the connection or TLS failed, or the answer is not orgkeys's.
    NoAnswer = 8,
    /// Interrupted by a signal.
    Interrupted = 130,
}

/// What each exit code means, for `--help` and the documentation.
pub const EXIT_CODES: [(Exit, &str); 10] = [
    (Exit::Done, "done"),
    (Exit::Refused, "refused by the server, or the output could not be written"),
    (Exit::Usage, "the command line, a file or a profile is wrong; nothing was sent"),
    (Exit::NotSignedIn, "not signed in, or the credential is not valid (401)"),
    (Exit::Forbidden, "not permitted (403)"),
    (Exit::NotFound, "not found (404)"),
    (Exit::Conflict, "a conflict (409), or a limit on a number of objects is reached"),
    (Exit::TryAgain, "try again later (408, 429, 503)"),
    (Exit::NoAnswer, "no answer: the connection or TLS failed, or the answer is not from orgkeys"),
    (Exit::Interrupted, "interrupted, for example by Ctrl-C"),
];

/// Why a command did not succeed.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What is wrong and what to do, for a person. It may contain text from the server.
    pub message: String,
    /// How long the server asks to wait, in seconds.
    pub retry_after: Option<u64>,
}

/// A result, or why there is none.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// Creates a failure.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), retry_after: None }
    }

    /// A failure before anything was sent.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A call that was not answered.
    pub fn no_answer(message: impl Into<String>) -> Self {
        Self::new(Exit::NoAnswer, message)
    }
}
