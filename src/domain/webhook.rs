//! What is a webhook? A URL of an organization's own to which its events are sent, as far as it asks for them.

use std::time::Duration;

use ipnet::IpNet;

use super::address::Target;
use super::event::kind::{Change, Context};
use super::id::{OrgId, WebhookId};
use super::text::{self, InvalidField};
use super::time::Time;

/// The most webhooks of an organization.
pub const MOST_PER_ORG: u32 = 10;

/// For how long the secret before may sign beside a new one.
pub const LONGEST_OVERLAP: Duration = Duration::from_hours(7 * 24);

/// For how long it does unless somebody says otherwise.
pub const OVERLAP: Duration = Duration::from_hours(24);

/// A set of small numbers that asks for events; the empty one asks for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers(u16);

/// Why a webhook is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disabled {
    /// An administrator switched it off.
    Administrator,
    /// Its receiver said that it is gone.
    Gone,
    /// Too much was on its way to it.
    Overfull,
}

/// What a webhook is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Where events are sent. May hold a secret, so it is shown to administrators alone and logged nowhere.
    pub url: String,
    /// What people call it.
    pub name: String,
    /// What the events must be about.
    pub contexts: Numbers,
    /// What must have happened.
    pub changes: Numbers,
    /// Why it is off; `None` while it is on.
    pub disabled: Option<Disabled>,
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// When that was known.
    pub at: Time,
    /// The status that the receiver answered.
    pub status: Option<u16>,
    /// Why there was none.
    pub why: Option<String>,
}

/// A webhook, without its secrets.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Its organization.
    pub org: OrgId,
    /// What it is.
    pub terms: WebhookSettings,
    /// When it was made.
    pub created_at: Time,
    /// Until when the secret before the present one signs too.
    pub previous_until: Option<Time>,
    /// What came of the last try.
    pub last: Option<Last>,
}

impl Numbers {
    /// The set that a stored mask holds.
    #[must_use]
    pub const fn from_mask(mask: u16) -> Self {
        Self(mask)
    }

    /// One bit for each number.
    #[must_use]
    pub const fn mask(self) -> u16 {
        self.0
    }

    /// The numbers, ascending.
    #[must_use]
    pub fn list(self) -> Vec<u8> {
        (0..16).filter(|number| self.0 & (1 << number) != 0).collect()
    }

    fn parse(field: &'static str, numbers: &[i64], count: usize) -> Result<Self, InvalidField> {
        let wrong = || InvalidField::new(field, format!("must be up to 100 numbers from 0 to {}", count - 1));
        if numbers.len() > 100 {
            return Err(wrong());
        }
        numbers.iter().try_fold(Self::default(), |set, number| {
            let number = usize::try_from(*number).ok().filter(|number| *number < count).ok_or_else(wrong)?;
            Ok(Self(set.0 | 1 << number))
        })
    }
}

impl Disabled {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Gone => "gone",
            Self::Overfull => "overfull",
        }
    }

    /// Why what was on its way was given up, in a few words for an administrator.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::Administrator => "the webhook was switched off",
            Self::Gone => "the receiver said that it is gone",
            Self::Overfull => "too much was on its way",
        }
    }

    /// What the word means.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Administrator, Self::Gone, Self::Overfull].into_iter().find(|disabled| disabled.name() == name)
    }
}

/// Reads the numbers of contexts; none is all.
pub fn parse_contexts(numbers: &[i64]) -> Result<Numbers, InvalidField> {
    Numbers::parse("contexts", numbers, Context::WORDS.len())
}

/// Reads the numbers of changes; none is all.
pub fn parse_changes(numbers: &[i64]) -> Result<Numbers, InvalidField> {
    Numbers::parse("events", numbers, Change::WORDS.len())
}

/// Reads a name, which may be empty.
pub fn parse_name(name: &str) -> Result<String, InvalidField> {
    text::parse("name", name, 0..=100)
}

/// Reads where events are to be sent, as far as the text says it; [`check_literal`] knows which networks are open.
pub fn parse_url(url: &str) -> Result<String, InvalidField> {
    Target::parse(url)?;
    Ok(url.to_owned())
}

/// Refuses a URL that states an address which may not be reached, so that its administrator hears at once and not at the
/// first event. A name is not looked up: where it leads is known, and checked, only when it is connected to.
pub fn check_literal(url: &str, opened: &[IpNet]) -> Result<(), InvalidField> {
    let target = Target::parse(url)?;
    let Some(address) = target.literal() else { return Ok(()) };
    target.may_reach(address, opened).map_err(|why| InvalidField::new("url", format!("cannot be delivered to: {why}")))
}

/// Reads for how long two secrets sign; a day unless it says otherwise.
pub fn parse_overlap(seconds: Option<i64>) -> Result<Duration, InvalidField> {
    let Some(seconds) = seconds else { return Ok(OVERLAP) };
    let overlap = u64::try_from(seconds).ok().map(Duration::from_secs).filter(|overlap| *overlap <= LONGEST_OVERLAP);
    overlap.ok_or_else(|| InvalidField::new("overlapSeconds", "must be 0 to 604800, which is 7 days"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_http_with_a_host_and_no_longer_than_2048() {
        let long = |length: usize| format!("https://a/{}", "b".repeat(length - 10));
        let good = ["https://a", "HTTP://a:80/b?c=d", "http://[::1]:1/", &long(2_048)];
        for url in good {
            assert_eq!(parse_url(url).as_deref(), Ok(url));
        }
        for url in [
            "",
            "a",
            "ftp://a",
            "https:a",
            "https://",
            "https:///a",
            "https://:80",
            "https://u@/",
            "https://?a",
            "https://a b",
            "https://a\n",
            "//a",
            " https://a",
            &long(2_049),
        ] {
            parse_url(url).expect_err(url);
        }
    }

    #[test]
    fn numbers_are_a_set_and_unknown_ones_are_refused() {
        assert_eq!(parse_contexts(&[13, 0, 0]).expect("known").list(), [0, 13]);
        assert_eq!(parse_changes(&[2]).expect("known").mask(), 4);
        assert_eq!(parse_changes(&[]).expect("all"), Numbers::default());
        for wrong in [-1, 14, i64::MAX, i64::MIN] {
            parse_contexts(&[0, wrong]).expect_err("unknown");
        }
        parse_changes(&[3]).expect_err("unknown");
    }

    #[test]
    fn an_overlap_is_a_day_unless_it_is_said_and_at_most_a_week() {
        let seconds = |text| parse_overlap(text).map(|overlap| overlap.as_secs()).ok();
        assert_eq!([None, Some(0), Some(604_800)].map(seconds), [Some(86_400), Some(0), Some(604_800)]);
        assert_eq!([Some(-1), Some(604_801), Some(i64::MAX)].map(seconds), [None; 3]);
    }
}
