//! Writes one message as Server-Sent Events: an id, an event name and one line of data.

use std::fmt::Write;

use poem_openapi::Object;

/// A message of an event stream. The first message and the comments between messages have an `id` without data.
#[derive(Object)]
#[oai(rename = "SystemEventMessage")]
pub(super) struct Message {
    /// Number of the event, in decimal. Send it as `Last-Event-ID` to resume after it.
    pub(super) id: String,
    /// `created`, `updated` or `deleted`, or `end` for the last message.
    pub(super) event: String,
    /// One line of JSON: a `SystemEvent`, or for `end` an object with `reason`, `message` and `resumeFrom`.
    pub(super) data: String,
}

impl Message {
    /// Writes the message as the lines of a stream.
    pub(super) fn write(&self, lines: &mut String) {
        let Self { id, event, data } = self;
        // Compact JSON is one line, since it escapes line breaks. Writing to a string never fails.
        let _ = write!(lines, "id: {id}\nevent: {event}\ndata: {data}\n\n");
    }
}
