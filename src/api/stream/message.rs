//! How is one message on a stream written? As Server-Sent Events have it: an id, a name, and one line of data.

use std::fmt::Write;

use poem_openapi::Object;

/// A message on a stream of system events. At the beginning, and with each comment between messages, comes an `id` without data.
#[derive(Object)]
#[oai(rename = "SystemEventMessage")]
pub(super) struct Message {
    /// The event's number, in decimal: what to send as `Last-Event-ID` to go on behind it.
    pub(super) id: String,
    /// `created`, `updated` or `deleted`, or `end` for the last message.
    pub(super) event: String,
    /// One line of JSON: a `SystemEvent`, or with `end` an object with a `reason`, a `message`, and `resumeFrom`.
    pub(super) data: String,
}

impl Message {
    /// Writes it as the lines of a stream.
    pub(super) fn write(&self, lines: &mut String) {
        let Self { id, event, data } = self;
        // Compact JSON is one line: what breaks lines is escaped in it. Writing to a string never fails.
        let _ = write!(lines, "id: {id}\nevent: {event}\ndata: {data}\n\n");
    }
}
