//! Webhooks: URLs to which an organization's events are sent, filtered by context and change.

use std::time::Duration;

use ipnet::IpNet;

use super::address::Target;
use super::event::kind::{Change, Context};
use super::id::{OrgId, WebhookId};
use super::text::{self, InvalidField};
use super::time::Time;

/// The maximum number of webhooks per organization.
pub const MOST_PER_ORG: u32 = 10;

/// The maximum time for which a previous secret may sign beside the new one.
pub const LONGEST_OVERLAP: Duration = Duration::from_hours(7 * 24);

/// The default of that time.
pub const OVERLAP: Duration = Duration::from_hours(24);

/// A set of small numbers to filter events by; the empty set matches all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers(u16);

/// Why a webhook is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disabled {
    /// An administrator disabled it.
    Administrator,
    /// Its receiver responded 410 Gone.
    Gone,
    /// Too many deliveries were pending.
    Overfull,
}

/// The settings of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Where events are sent. May contain a secret, so it is shown to administrators only and never logged.
    pub url: String,
    /// The name of the webhook.
    pub name: String,
    /// The contexts to send.
    pub contexts: Numbers,
    /// The changes to send.
    pub changes: Numbers,
    /// Why the webhook is disabled; `None` while it is enabled.
    pub disabled: Option<Disabled>,
}

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// When the outcome was recorded.
    pub at: Time,
    /// The status of the receiver's response.
    pub status: Option<u16>,
    /// Why there was no response.
    pub why: Option<String>,
}

/// A webhook, without its secrets.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The webhook's id.
    pub id: WebhookId,
    /// The organization that the webhook belongs to.
    pub org: OrgId,
    /// The settings.
    pub terms: WebhookSettings,
    /// When the webhook was created.
    pub created_at: Time,
    /// Until when the previous secret signs too.
    pub previous_until: Option<Time>,
    /// The outcome of the last attempt.
    pub last: Option<Last>,
}

impl Numbers {
    /// Creates a set from a stored bit mask.
    #[must_use]
    pub const fn from_mask(mask: u16) -> Self {
        Self(mask)
    }

    /// The set as a bit mask, one bit per number.
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
    /// The stable name of the reason.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Gone => "gone",
            Self::Overfull => "overfull",
        }
    }

    /// Why pending deliveries were abandoned, in a few words for an administrator.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::Administrator => "the webhook was disabled",
            Self::Gone => "the receiver responded 410 Gone",
            Self::Overfull => "too many deliveries were pending",
        }
    }

    /// Parses the name of a reason.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Administrator, Self::Gone, Self::Overfull].into_iter().find(|disabled| disabled.name() == name)
    }
}

/// Parses context numbers; an empty list means all.
pub fn parse_contexts(numbers: &[i64]) -> Result<Numbers, InvalidField> {
    Numbers::parse("contexts", numbers, Context::WORDS.len())
}

/// Parses change numbers; an empty list means all.
pub fn parse_changes(numbers: &[i64]) -> Result<Numbers, InvalidField> {
    Numbers::parse("events", numbers, Change::WORDS.len())
}

/// Parses a name, which may be empty.
pub fn parse_name(name: &str) -> Result<String, InvalidField> {
    text::parse("name", name, 0..=100)
}

/// Checks the form of a URL; [`check_literal`] checks its address against the allowed networks.
pub fn parse_url(url: &str) -> Result<String, InvalidField> {
    Target::parse(url)?;
    Ok(url.to_owned())
}

/// Refuses a URL that contains an address which is not permitted, so that the administrator learns of it now and not at
/// the first event. A host name is not resolved: its address is checked each time a connection is made.
pub fn check_literal(url: &str, opened: &[IpNet]) -> Result<(), InvalidField> {
    let target = Target::parse(url)?;
    let Some(address) = target.literal() else { return Ok(()) };
    target
        .may_reach(address, opened)
        .map_err(|why| InvalidField::new("url", format!("is not a permitted destination: {why}")))
}

/// Parses for how many seconds the previous secret signs beside the new one; a day if absent.
pub fn parse_overlap(seconds: Option<i64>) -> Result<Duration, InvalidField> {
    let Some(seconds) = seconds else { return Ok(OVERLAP) };
    let overlap = u64::try_from(seconds).ok().map(Duration::from_secs).filter(|overlap| *overlap <= LONGEST_OVERLAP);
    overlap.ok_or_else(|| InvalidField::new("overlapSeconds", "must be 0 to 604800, which is 7 days"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_url_is_http_with_a_host_and_at_most_2048_characters() {
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
    fn context_and_event_numbers_form_a_set_and_unknown_ones_are_refused() {
        assert_eq!(parse_contexts(&[13, 0, 0]).expect("known").list(), [0, 13]);
        assert_eq!(parse_changes(&[2]).expect("known").mask(), 4);
        assert_eq!(parse_changes(&[]).expect("all"), Numbers::default());
        for wrong in [-1, 14, i64::MAX, i64::MIN] {
            parse_contexts(&[0, wrong]).expect_err("unknown");
        }
        parse_changes(&[3]).expect_err("unknown");
        parse_changes(&[0; 100]).expect("as many as are accepted");
        parse_changes(&[0; 101]).expect_err("too many");
    }

    #[test]
    fn the_default_overlap_is_a_day_and_the_maximum_a_week() {
        let seconds = |text| parse_overlap(text).map(|overlap| overlap.as_secs()).ok();
        assert_eq!([None, Some(0), Some(604_800)].map(seconds), [Some(86_400), Some(0), Some(604_800)]);
        assert_eq!([Some(-1), Some(604_801), Some(i64::MAX)].map(seconds), [None; 3]);
    }
}
