//! Timestamps in integer milliseconds since 1970-01-01T00:00:00Z, printed as RFC 3339 with three decimals.

use std::fmt;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::fmt::temporal::{DateTimePrinter, Pieces};
use jiff::{SignedDuration, Span, SpanRelativeTo};

/// The epoch as a civil date. The library's timestamp type ends a day before the year 9999 does.
const BEGIN: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// The first and the last millisecond that can be written with a year of four digits.
const NAMED: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// A source of the current time, so that tests can control it.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Time;
}

/// A clock of tests, which stands still at [`Still::TIME`].
#[cfg(test)]
pub struct Still;

#[cfg(test)]
impl Still {
    /// 2024-01-15T10:30:00Z.
    pub const TIME: Time = Time::from_millis(1_705_314_600_000);
}

#[cfg(test)]
impl Clock for Still {
    fn now(&self) -> Time {
        Self::TIME
    }
}

impl Time {
    /// Creates the time `millis` milliseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Returns the time `span` later, saturating.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Returns the time `span` earlier, saturating.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Returns the beginning of the hour, in UTC.
    #[must_use]
    pub const fn hour(self) -> Self {
        Self(self.0 - self.0.rem_euclid(3_600_000))
    }

    /// Parses RFC 3339 with an offset, truncated to milliseconds; `None` for anything else, also for a local time.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        // The parser also accepts the bracketed suffixes of RFC 9557 and signed years, which no caller means.
        if text.contains('[') || !text.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let pieces = Pieces::parse(text).ok()?;
        let (time, offset) = (pieces.time()?, pieces.to_numeric_offset()?);
        let local = DateTime::from_parts(pieces.date(), time).duration_since(BEGIN);
        let millis = local.checked_sub(SignedDuration::from_secs(offset.seconds().into()))?.as_nanos();
        let millis = i64::try_from(millis.div_euclid(1_000_000)).ok()?;
        NAMED.contains(&millis).then_some(Self(millis))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
        // Times outside the years that four digits can express are clamped.
        let millis = self.0.clamp(*NAMED.start(), *NAMED.end());
        let date = BEGIN.checked_add(SignedDuration::from_millis(millis)).unwrap_or(DateTime::MAX);
        write!(f, "{}Z", PRINTER.datetime_to_string(&date))
    }
}

/// Parses a duration such as `300ms`, `10s`, `72h` or `90d`; a day is 24 hours. `None` for anything else.
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
    fn the_years_0_to_9999_are_supported_completely() {
        for text in ["9999-12-31T23:59:59.999Z", "9999-12-30T22:00:01.000Z", "0000-01-01T00:00:00.000Z"] {
            assert_eq!(Time::parse_rfc3339(text).expect(text).to_string(), text);
        }
        let finer = Time::parse_rfc3339("9999-12-31T23:59:59.9999999Z").expect("a moment");
        assert_eq!(finer.to_string(), "9999-12-31T23:59:59.999Z");
        for text in [
            "9999-12-31T23:59:59-00:01",
            "0000-01-01T00:00:00+00:01",
            "-000001-12-31T00:00:00Z",
            "+010000-01-01T00:00:00Z",
        ] {
            assert_eq!(Time::parse_rfc3339(text), None, "{text}");
        }
        assert_eq!(Time::from_millis(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Time::from_millis(i64::MIN).to_string(), "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn local_times_and_zone_names_are_rejected() {
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
