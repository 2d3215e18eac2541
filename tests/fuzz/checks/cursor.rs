//! Positions in lists and streams. The first lines of an input are each tried as every kind of position; the whole input is
//! also tried as the body that names events, and as a stream that a client reads positions from.

use orgkeys::api::event::{SystemEventIds, parse_ids};
use orgkeys::api::http::body::parse;
use orgkeys::api::stream::last_seen;
use orgkeys::client::events::{Message, Reader};
use orgkeys::domain::api_key::parse_time;
use orgkeys::domain::id::{
    ApiKeyId, DeliveryId, NodeId, OrgId, OrgKeyId, ProjectId, SecretId, TokenId, UserId, WebhookId,
};
use orgkeys::domain::time::Time;
use orgkeys::engine::error::{Error, ErrorKind};
use poem::http::{HeaderMap, HeaderValue};

use super::assert_discreet;

/// How many lines are tried one by one. More would only take longer.
const LINES: usize = 32;

pub fn check(input: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n').take(LINES) {
        if let Ok(text) = str::from_utf8(line) {
            assert_last_seen(text);
            assert_time(text);
            assert_ids(text);
            assert_events(parse_ids(Some(text), SystemEventIds::default()));
        }
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append("last-event-id", value);
        }
    }
    match last_seen(&headers, None) {
        Ok(after) => assert!(headers.len() < 2 && after.is_none_or(|after| after >= 0)),
        Err(error) => assert_refused(&error),
    }
    match parse::<SystemEventIds>(input) {
        Ok(body) => assert_events(parse_ids(None, body)),
        Err(error) => assert_refused(&error),
    }
    assert_stream(input);
}

fn assert_refused(error: &Error) {
    assert_eq!((error.kind, error.code), (ErrorKind::Invalid, "INVALID_FIELD"));
    assert_discreet(&error.message);
}

fn assert_last_seen(text: &str) {
    let none = HeaderMap::new();
    let after = match last_seen(&none, Some(text)) {
        Ok(after) => after,
        Err(error) => return assert_refused(&error),
    };
    assert_eq!(after.is_none(), text.is_empty(), "a position that is ignored would skip events");
    if let Some(after) = after {
        assert!(after >= 0 && text.bytes().all(|byte| byte.is_ascii_digit()), "{text}");
        assert_eq!(last_seen(&none, Some(&after.to_string())).expect("what is printed is accepted"), Some(after));
        let mut headers = HeaderMap::new();
        headers.insert("last-event-id", after.into());
        assert_eq!(last_seen(&headers, Some("1")).expect("accepted"), Some(after), "the header takes precedence");
    }
}

fn assert_events(ids: Result<Vec<i64>, Error>) {
    match ids {
        Ok(ids) => {
            assert!((1..=1_000).contains(&ids.len()) && ids.iter().all(|id| *id >= 1), "{ids:?}");
            let printed: Vec<String> = ids.iter().map(ToString::to_string).collect();
            let again = parse_ids(Some(&printed.join(",")), SystemEventIds::default());
            assert_eq!(again.expect("what is printed is accepted"), ids);
        }
        Err(error) => assert_refused(&error),
    }
}

fn assert_time(text: &str) {
    if let Some(time) = Time::parse_rfc3339(text) {
        assert_eq!(Time::parse_rfc3339(&time.to_string()), Some(time), "{text}");
    }
    match parse_time("from", text) {
        Ok(time) => assert_eq!(Some(time), Time::parse_rfc3339(text)),
        Err(error) => assert_discreet(&error.to_string()),
    }
}

fn assert_ids(text: &str) {
    macro_rules! printed_alike {
        ($($kind:ty),+) => {$(
            if let Some(id) = <$kind>::parse(text) {
                assert_eq!(id.to_string(), text);
                assert_eq!(<$kind>::from_bytes(*id.as_bytes()), id);
            }
        )+};
    }
    printed_alike!(OrgId, OrgKeyId, NodeId, UserId, TokenId, ProjectId, WebhookId, DeliveryId, SecretId);
    if let Some(id) = ApiKeyId::parse(text) {
        assert_eq!((&*id.to_string(), ApiKeyId::from_number(id.number().into())), (text, Some(id)));
        assert!(id.number() >= 1);
    }
}

/// Checks that a stream has the same messages however it is cut.
fn assert_stream(input: &[u8]) {
    let read = |size: usize| -> Vec<Message> {
        let mut reader = Reader::default();
        input.chunks(size).flat_map(|piece| reader.take(piece).expect("no endless line")).collect()
    };
    let whole = read(input.len().max(1));
    for message in &whole {
        let is_line = |text: &str| !text.contains('\n');
        assert!(message.id.as_deref().is_none_or(is_line) && is_line(&message.event), "{message:?}");
    }
    for size in [1, 7] {
        assert_eq!(read(size), whole, "pieces of {size}");
    }
}
