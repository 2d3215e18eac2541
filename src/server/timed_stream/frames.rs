//! Finds where the head and the body of a request end. hyper gets no byte of the next part before it asks for it, so
//! that each head can be checked as it was received.

use memchr::memchr;

/// The part of a request that is being received.
#[derive(Debug)]
pub(super) struct Frames(Part);

#[derive(Debug)]
enum Part {
    Head(Lines),
    /// A body with this many bytes left.
    Body(u64),
    /// A chunked body.
    Chunks(Chunk),
}

impl Frames {
    /// The state of a new connection.
    pub(super) fn new() -> Self {
        Self(Part::Head(Lines::default()))
    }

    /// Records that hyper has read a head and what follows: a body of `body` bytes, or a chunked one if `None`. Returns
    /// whether a line of the head ended in LF alone.
    pub(super) fn head_ended(&mut self, body: Option<u64>) -> bool {
        let next = match body {
            Some(0) => Part::Head(Lines::default()),
            Some(length) => Part::Body(length),
            None => Part::Chunks(Chunk::BEGIN),
        };
        match std::mem::replace(&mut self.0, next) {
            Part::Head(lines) => lines.bare,
            Part::Body(_) | Part::Chunks(_) => false,
        }
    }

    /// Returns how many of these bytes belong to the current part: at least one, unless there are none.
    pub(super) fn measure(&mut self, bytes: &[u8]) -> usize {
        let (taken, ended) = match &mut self.0 {
            // The next part begins when hyper says what it is.
            Part::Head(lines) => return lines.end(bytes).unwrap_or(bytes.len()),
            Part::Body(left) => {
                let taken = take(left, bytes);
                (taken, *left == 0)
            }
            Part::Chunks(chunk) => match chunk.end(bytes) {
                Some(end) => (end, true),
                None => (bytes.len(), false),
            },
        };
        if ended {
            self.0 = Part::Head(Lines::default());
        }
        taken
    }
}

/// Takes up to `left` bytes, and returns how many.
fn take(left: &mut u64, bytes: &[u8]) -> usize {
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= taken as u64;
    taken
}

/// Lines up to the first empty one. Empty lines before the first non-empty one are skipped (RFC 9112, section 2.2).
#[derive(Debug, Default)]
struct Lines {
    /// The length of the line so far, and whether its last byte is CR.
    length: usize,
    cr: bool,
    begun: bool,
    /// Whether a line ended in LF alone.
    bare: bool,
}

impl Lines {
    /// Reads on. Returns where the empty line ends, if it does.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(found) = memchr(b'\n', &bytes[at..]) {
            self.extend(&bytes[at..at + found]);
            at += found + 1;
            self.bare |= !self.cr;
            let empty = self.length == usize::from(self.cr);
            (self.length, self.cr) = (0, false);
            if empty && self.begun {
                return Some(at);
            }
            self.begun |= !empty;
        }
        self.extend(&bytes[at..]);
        None
    }

    fn extend(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last() {
            self.length += bytes.len();
            self.cr = *last == b'\r';
        }
    }
}

/// A part of a chunked body (RFC 9112, section 7.1). hyper refuses malformed bodies; here they only have to be passed
/// on.
#[derive(Debug)]
enum Chunk {
    /// The line with the size. What follows its digits is ignored.
    Size { size: u64, digits: bool },
    /// This many bytes of data, including the end of line.
    Data(u64),
    /// The trailer after the last chunk.
    Trailer(Lines),
}

impl Chunk {
    const BEGIN: Self = Self::Size { size: 0, digits: true };

    /// Reads on. Returns where the body ends, if it does.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            match self {
                Self::Data(left) => {
                    at += take(left, &bytes[at..]);
                    if *left == 0 {
                        *self = Self::BEGIN;
                    }
                }
                Self::Size { size, digits } => {
                    match (bytes[at], char::from(bytes[at]).to_digit(16)) {
                        (b'\n', _) if *size == 0 => {
                            *self = Self::Trailer(Lines { begun: true, ..Lines::default() });
                        }
                        (b'\n', _) => *self = Self::Data(size.saturating_add(2)),
                        (_, Some(digit)) if *digits => *size = size.saturating_mul(16).saturating_add(digit.into()),
                        _ => *digits = false,
                    }
                    at += 1;
                }
                Self::Trailer(lines) => return lines.end(&bytes[at..]).map(|end| at + end),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const BARE: &str = "\r\nGET / HTTP/1.1\r\nHost: a\n\r\n";

    #[test]
    fn heads_and_bodies_are_separated_at_any_read_size() {
        let chunked = "5;x=\"y\"\r\n\n\r\n\r\n\r\nA\r\n0\r\n\r\nGET /\r\n000\r\nTrailer: a\r\n\r\n";
        // Each head with the body that follows it.
        let requests = [
            (GOOD, "\n\nGET", Some(5)),
            (BARE, "", Some(0)),
            (GOOD, chunked, None),
            (GOOD, "", Some(0)),
            (GOOD, "\r\n\r\n", Some(4)),
            (BARE, chunked, None),
            (GOOD, "", Some(0)),
        ];
        let sent: String = requests.iter().flat_map(|(head, body, _)| [*head, *body]).collect();
        for step in 1..=sent.len() {
            let (mut frames, mut rest) = (Frames::new(), sent.as_bytes());
            let mut receive = |frames: &mut Frames, part: &str| {
                let mut received = 0;
                while received < part.len() {
                    let taken = frames.measure(&rest[..step.min(rest.len())]);
                    assert!(taken > 0, "nothing is taken of {rest:?}");
                    (received, rest) = (received + taken, &rest[taken..]);
                }
                assert_eq!(received, part.len(), "{part:?} in steps of {step}");
            };
            for (head, body, length) in requests {
                receive(&mut frames, head);
                assert_eq!(frames.head_ended(length), head == BARE, "{head:?} in steps of {step}");
                receive(&mut frames, body);
            }
        }
    }

    #[test]
    fn an_impossibly_large_chunk_size_never_ends() {
        let mut frames = Frames::new();
        frames.measure(b"GET / HTTP/1.1\r\n\r\n");
        frames.head_ended(None);
        let sent = b"fffffffffffffffffffffffff\r\nGET / HTTP/1.1\n\n";
        assert_eq!(frames.measure(sent), sent.len());
        assert!(matches!(frames.0, Part::Chunks(Chunk::Data(_))));
    }
}
