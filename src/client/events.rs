//! Reads Server-Sent Events.

use super::failure::{Failure, Outcome};

/// The longest line that is read, in bytes.
const MOST: usize = 4 * 1024 * 1024;

/// One message. A message without data still has the position to resume from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The position to resume from.
    pub id: Option<String>,
    /// What kind of message it is.
    pub event: String,
    /// Its data; several lines are joined.
    pub data: String,
    /// How long to wait before reconnecting, in milliseconds.
    pub retry: Option<u64>,
}

/// Collects pieces of a stream into messages.
#[derive(Default)]
pub struct Reader {
    line: Vec<u8>,
    message: Message,
    has_content: bool,
}

impl Reader {
    /// Takes a piece and returns the messages that it completes.
    pub fn take(&mut self, piece: &[u8]) -> Outcome<Vec<Message>> {
        let mut complete = Vec::new();
        for byte in piece {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8_lossy(&line);
                complete.extend(self.end_line(line.trim_end_matches('\r')));
            } else if self.line.len() < MOST {
                self.line.push(*byte);
            } else {
                return Err(Failure::no_answer("a line of the stream is longer than 4 MiB"));
            }
        }
        Ok(complete)
    }

    fn end_line(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let message = std::mem::take(&mut self.message);
            return std::mem::take(&mut self.has_content).then_some(message);
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => self.message.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.message.event),
            "retry" => self.message.retry = value.parse().ok(),
            "data" => {
                if !self.message.data.is_empty() {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
            }
            _ => return None,
        }
        self.has_content = true;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        "retry: 2000\nid: 1\n\n: still here\nid: 2\n\nid: 3\r\nevent: created\r\ndata: {\"a\":\"é\"}\r\n\r\n";

    #[test]
    fn messages_are_complete_however_the_stream_is_cut() {
        let id = |id: &str| Message { id: Some(id.to_owned()), ..Message::default() };
        let expected = [
            Message { retry: Some(2_000), ..id("1") },
            id("2"),
            Message { event: "created".to_owned(), data: "{\"a\":\"é\"}".to_owned(), ..id("3") },
        ];
        for size in 1..STREAM.len() {
            let mut reader = Reader::default();
            let pieces = STREAM.as_bytes().chunks(size);
            let messages: Vec<Message> = pieces.flat_map(|piece| reader.take(piece).expect("messages")).collect();
            assert_eq!(messages, expected, "pieces of {size}");
        }
    }

    #[test]
    fn lines_of_data_are_joined_and_half_a_message_is_none() {
        let mut reader = Reader::default();
        let read = reader.take(b"data: a\ndata\ndata:b\n\n: only a comment\n\ndata: cut").expect("messages");
        assert_eq!(read, [Message { data: "a\n\nb".to_owned(), ..Message::default() }]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut reader = Reader::default();
        assert!(reader.take(&vec![b'x'; MOST]).is_ok());
        assert!(reader.take(b"x").is_err());
    }
}
