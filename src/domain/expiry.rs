//! When the expiry of a credential is announced.

use std::time::Duration;

use super::time::Time;

/// How many days before its end a credential's expiry is announced, in ascending order.
pub const ANNOUNCED: [u32; 3] = [1, 7, 30];

/// How long before its end the access token of an owner or administrator counts as expiring soon.
pub const SOON: Duration = Duration::from_hours(14 * 24);

/// A period in which credentials expire: after the first moment, up to and including the second.
pub type Span = (Time, Time);

/// Returns the length of so many days.
#[must_use]
pub fn days(number: u32) -> Duration {
    Duration::from_hours(24 * u64::from(number))
}

/// Returns, for each number of days, the span of expiry times that belongs to it. Earlier expiries belong to fewer days.
#[must_use]
pub fn spans(now: Time) -> [(u32, Span); 3] {
    let mut after = now;
    ANNOUNCED.map(|number| {
        let until = now.plus(days(number));
        (number, (std::mem::replace(&mut after, until), until))
    })
}
