//! Adds the header that every response has to the responses that hyper sends by itself, to what it cannot parse as a
//! request.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// The header, with the end of the line before it.
const NOSNIFF: &[u8] = b"\r\nx-content-type-options: nosniff";

/// The unwritten rest of a response of hyper's own, with the header.
#[derive(Default)]
pub(super) struct Unasked(Option<Vec<u8>>);

impl Unasked {
    /// Writes `answer`, which hyper passes in one piece, with the header after its first line.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        answer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let rest = self.0.get_or_insert_with(|| with_header(answer));
        while !rest.is_empty() {
            let written = ready!(Pin::new(&mut *stream).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            rest.drain(..written);
        }
        self.0 = None;
        Poll::Ready(Ok(answer.len()))
    }
}

fn with_header(answer: &[u8]) -> Vec<u8> {
    let line = answer.windows(2).position(|end| end == b"\r\n").unwrap_or(answer.len());
    [&answer[..line], NOSNIFF, &answer[line..]].concat()
}
