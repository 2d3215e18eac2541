//! When did it happen? A moment in integer milliseconds since 1970-01-01T00:00:00Z, printed as RFC 3339 with three decimals.

use std::fmt;
use std::time::Duration;

use jiff::fmt::temporal::DateTimePrinter;
use jiff::{Span, SpanRelativeTo, Timestamp};

/// A moment, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// Where the present moment comes from; handed in, so that a test can let time stand still.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Time;
}

impl Time {
    /// The moment `millis` milliseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This moment and `span` more; the far future where that cannot be counted.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This moment less `span`.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Reads RFC 3339 with an offset; a local time names no moment and is `None`.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        // The parser also takes the bracketed suffixes of RFC 9557, which no caller means.
        let timestamp: Timestamp = (!text.contains('[')).then(|| text.parse().ok())??;
        Some(Self(timestamp.as_millisecond()))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
        // What lies beyond the year 9999 is printed as its end.
        let timestamp = Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::MAX);
        f.write_str(&PRINTER.timestamp_to_string(&timestamp))
    }
}

/// Reads a length of time such as `300ms`, `10s`, `72h` or `90d`; a day is 24 hours. `None` for anything else.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_with_three_decimals_and_read_back() {
        let time = Time::from_millis(1_705_314_600_000);
        assert_eq!(time.to_string(), "2024-01-15T10:30:00.000Z");
        assert_eq!(Time::parse_rfc3339("2024-01-15T10:30:00Z"), Some(time));
        assert_eq!(Time::parse_rfc3339("2024-01-15T11:30:00.000+01:00"), Some(time));
    }

    #[test]
    fn a_local_time_a_zone_name_and_nonsense_are_not_moments() {
        for text in ["2024-01-15T10:30:00", "2024-01-15T10:30:00+01:00[Europe/Rome]", "2024-13-01T00:00:00Z", ""] {
            assert_eq!(Time::parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn durations_count_a_day_as_24_hours() {
        assert_eq!(parse_duration("90d"), Some(Duration::from_hours(90 * 24)));
        assert_eq!(parse_duration("300ms"), Some(Duration::from_millis(300)));
        assert_eq!(parse_duration("-1s"), None);
        assert_eq!(parse_duration("10"), None);
    }
}
