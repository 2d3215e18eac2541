//! Statistics of an organization: what happened in each hour.

use std::borrow::Cow;
use std::time::Duration;

use super::api_key::Verdict;
use super::time::Time;

/// The largest number of days that statistics go back.
pub const MOST_DAYS: u32 = 30;

/// How long counts are kept: an hour belongs to the statistics as long as part of it is within [`MOST_DAYS`].
pub const KEPT: Duration = Duration::from_hours(31 * 24);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// A node was heard of for the first time in the hour.
    NodeHeard,
    /// An API key was verified.
    Verification(Verdict),
    /// A known caller got a response with this HTTP status.
    Call(u16),
}

/// How often something happened in an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourlyCount {
    /// The beginning of the hour.
    pub hour: Time,
    /// The kind of what is counted.
    pub kind: String,
    /// The outcome within the kind.
    pub outcome: String,
    /// How often it happened.
    pub count: i64,
}

impl Counted {
    /// The kind.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::NodeHeard => "node",
            Self::Verification(_) => "verification",
            Self::Call(_) => "call",
        }
    }

    /// The outcome.
    #[must_use]
    pub fn outcome(self) -> Cow<'static, str> {
        match self {
            Self::NodeHeard => "heard".into(),
            Self::Verification(verdict) => verdict.code().into(),
            Self::Call(status) => status.to_string().into(),
        }
    }
}
