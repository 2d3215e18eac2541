//! Follows the event stream without end: reconnects by itself, and continues after the last message.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::events::{Message, Reader};
use super::failure::{Exit, Failure, Outcome};
use super::request::Request;
use super::session::{Client, Opened};

/// How long the stream may be silent. The server sends a comment every 15 seconds by default.
const SILENCE: Duration = Duration::from_secs(90);

/// The wait before the first attempt to reconnect, unless the server says otherwise, and the longest wait.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What is told while a stream is followed.
pub enum Told<'a> {
    /// An event.
    Event(&'a Value),
    /// The connection was lost, and why; told once until it is there again.
    Lost(&'a str),
    /// The stream is there again.
    Back,
}

/// Where a stream stands.
struct Position {
    /// The position to resume from.
    last: Option<String>,
    /// The first wait before reconnecting.
    wait: Duration,
}

/// Follows the stream that `request` opens, and tells of each event. Returns why it cannot go on: the first connection
/// failed, the server refused, or `tell` failed.
pub async fn follow(
    client: &mut Client<'_>,
    mut request: Request,
    mut tell: impl FnMut(Told<'_>) -> Outcome<()>,
) -> Failure {
    let mut position = Position { last: None, wait: FIRST_WAIT };
    let (mut wait, mut is_lost, mut was_open) = (FIRST_WAIT, false, false);
    loop {
        if let Some(last) = &position.last {
            request.set_header("Last-Event-ID", last);
        }
        let before = position.last.clone();
        let lost = match once(client, &request, &mut position, &mut is_lost, &mut tell).await {
            Ok(lost) => lost,
            Err(failure) => return failure,
        };
        was_open |= position.last.is_some();
        if !was_open && lost.exit == Exit::NoAnswer {
            return lost;
        }
        if position.last != before {
            wait = position.wait;
        }
        if !is_lost {
            is_lost = true;
            if let Err(failure) = tell(Told::Lost(&lost.message)) {
                return failure;
            }
        }
        sleep(lost.retry_after.map_or(wait, Duration::from_secs).min(LONGEST_WAIT)).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Follows one stream to its end. Returns why it ended, if another may be opened.
async fn once(
    client: &mut Client<'_>,
    request: &Request,
    position: &mut Position,
    is_lost: &mut bool,
    tell: &mut impl FnMut(Told<'_>) -> Outcome<()>,
) -> Outcome<Failure> {
    let opened = client.open(request).await.and_then(|opened| match opened {
        Opened::Stream(stream) => Ok(stream),
        Opened::Answer(answer) => {
            let status = answer.accepted()?.status;
            Err(Failure::no_answer(format!("the server answered with status {status} instead of a stream")))
        }
    });
    let mut stream = match opened {
        Ok(stream) => stream,
        Err(failure) if matches!(failure.exit, Exit::TryAgain | Exit::NoAnswer) => return Ok(failure),
        Err(failure) => return Err(failure),
    };
    let mut reader = Reader::default();
    loop {
        let piece = match stream.piece(SILENCE).await {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(Failure::no_answer("the server closed the stream")),
            Err(lost) => return Ok(lost),
        };
        for message in reader.take(&piece)? {
            if std::mem::take(is_lost) {
                tell(Told::Back)?;
            }
            if let Some(ended) = heard(message, position, tell)? {
                return Ok(ended);
            }
        }
    }
}

/// Tells of a message. Returns why the stream ends, if the message says so.
fn heard(
    message: Message,
    position: &mut Position,
    tell: &mut impl FnMut(Told<'_>) -> Outcome<()>,
) -> Outcome<Option<Failure>> {
    if let Some(millis) = message.retry {
        position.wait = Duration::from_millis(millis).min(LONGEST_WAIT);
    }
    let data: Option<Value> = if message.data.is_empty() { None } else { serde_json::from_str(&message.data).ok() };
    let ended = match (&data, message.event.as_str()) {
        (Some(data), "end") => {
            Some(Failure::no_answer(data["message"].as_str().unwrap_or("the server ended the stream")))
        }
        (Some(data), _) => {
            tell(Told::Event(data))?;
            None
        }
        (None, _) => None,
    };
    // Only now: an event that could not be told is sent again.
    if message.id.is_some() {
        position.last = message.id;
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_may_move_the_position_the_wait_both_or_neither() {
        let mut position = Position { last: None, wait: FIRST_WAIT };
        let mut hear = |message: Message, is_told: bool| {
            let mut told = Vec::new();
            let ended = heard(message, &mut position, &mut |what| {
                if let (Told::Event(event), true) = (what, is_told) {
                    told.push(event.clone());
                    return Ok(());
                }
                Err(Failure::usage("full"))
            });
            (
                ended.map(|ended| ended.map(|why| why.message)).ok(),
                told,
                position.last.clone(),
                position.wait.as_millis(),
            )
        };
        let id = |id: &str| Some(id.to_owned());
        let (message, seconds) = (Message::default, |seconds: u64| Some(seconds * 1_000));
        assert_eq!(hear(message(), true), (Some(None), vec![], None, 2_000));
        assert_eq!(
            hear(Message { retry: seconds(3), id: id("4"), ..message() }, true),
            (Some(None), vec![], id("4"), 3_000)
        );
        assert_eq!(hear(Message { retry: seconds(31), ..message() }, true), (Some(None), vec![], id("4"), 30_000));
        let event = |number: &str| Message { id: id(number), data: "{\"id\":5}".to_owned(), ..message() };
        assert_eq!(hear(event("5"), true), (Some(None), vec![json!({ "id": 5 })], id("5"), 30_000));
        assert_eq!(hear(event("6"), false), (None, vec![], id("5"), 30_000), "it is sent again");
        let end = |data: &str| Message { event: "end".to_owned(), data: data.to_owned(), ..message() };
        assert_eq!(hear(end("{\"message\":\"bye\"}"), false).0, Some(id("bye")));
        assert_eq!(hear(end("{}"), false).0, Some(id("the server ended the stream")));
    }
}
