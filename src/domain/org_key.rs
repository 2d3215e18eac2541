//! Organization keys: the public halves of RSA key pairs. The private half is held only by whoever created the key.
//!
//! A key is active, then retiring once it has an end, then retired. What it is follows from its end and the time, so no
//! state is stored.

use std::sync::Arc;
use std::time::Duration;

use super::id::{NodeId, OrgId, OrgKeyId};
use super::text::{self, InvalidField};
use super::time::Time;

/// The maximum of the setting that limits keys per organization, because each signature is checked against every key.
pub const MAX_QUOTA: u32 = 100;

/// How long a key still verifies after its rotation, unless the caller says otherwise.
pub const DEFAULT_OVERLAP: Duration = Duration::from_hours(7 * 24);

/// The longest that a key can verify after its rotation.
pub const LONGEST_OVERLAP: Duration = Duration::from_hours(365 * 24);

/// How many days before its end a key's end is announced, in ascending order.
pub const ANNOUNCED: [u32; 2] = [1, 7];

/// How many retired keys a signature is compared with, newest first, to say which key replaced them.
pub const RETIRED_CANDIDATES: usize = 5;

/// What a key is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It verifies signatures, and does not end by itself.
    Active,
    /// It verifies signatures until its end.
    Retiring,
    /// It verifies nothing any more.
    Retired,
    /// It was deleted, and verifies nothing. For a while, the deletion can be undone.
    Deleted,
}

impl KeyState {
    /// Returns the state of a key with this end and this deletion.
    #[must_use]
    pub fn of(retire_at: Option<Time>, deleted_at: Option<Time>, now: Time) -> Self {
        match (deleted_at, retire_at) {
            (Some(_), _) => Self::Deleted,
            (None, None) => Self::Active,
            (None, Some(end)) if now < end => Self::Retiring,
            (None, Some(_)) => Self::Retired,
        }
    }

    /// The name of the state.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Deleted => "deleted",
        }
    }

    /// Whether keys in this state verify signatures.
    #[must_use]
    pub const fn verifies(self) -> bool {
        matches!(self, Self::Active | Self::Retiring)
    }
}

/// Why a key is retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retirement {
    /// Its last node registered with another key.
    Unused,
    /// Its end came.
    Time,
    /// An administrator ended it at once.
    Administrator,
}

impl Retirement {
    /// The name of the reason in the audit log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unused => "unused",
            Self::Time => "time",
            Self::Administrator => "administrator",
        }
    }
}

/// An organization key, as it is stored.
#[derive(Clone, Debug)]
pub struct OrgKey {
    /// The key's id.
    pub id: OrgKeyId,
    /// The organization that it belongs to.
    pub org: OrgId,
    /// The public key: SubjectPublicKeyInfo, DER (RFC 5280).
    pub public_key: Arc<[u8]>,
    /// When the key was created.
    pub created_at: Time,
    /// Its name; may be empty.
    pub name: String,
    /// Whether the key pair was generated elsewhere, and only the public key was imported.
    pub brought: bool,
    /// From when on it verifies nothing; `None` if it does not end by itself.
    pub retire_at: Option<Time>,
    /// Whether it ends as soon as its last node has registered with another key.
    pub retire_unused: bool,
    /// The key that replaces it.
    pub successor: Option<OrgKeyId>,
    /// When it was deleted, if it was.
    pub deleted_at: Option<Time>,
}

impl OrgKey {
    /// Creates an active key without a name, whose key pair the server generated.
    #[must_use]
    pub fn new(id: OrgKeyId, org: OrgId, public_key: impl Into<Arc<[u8]>>, created_at: Time) -> Self {
        Self {
            id,
            org,
            public_key: public_key.into(),
            created_at,
            name: String::new(),
            brought: false,
            retire_at: None,
            retire_unused: false,
            successor: None,
            deleted_at: None,
        }
    }

    /// Returns the state of the key.
    #[must_use]
    pub fn state(&self, now: Time) -> KeyState {
        KeyState::of(self.retire_at, self.deleted_at, now)
    }

    /// Returns whether the key was deleted so long ago that the deletion cannot be undone any more.
    #[must_use]
    pub fn is_gone(&self, undo: Duration, now: Time) -> bool {
        self.deleted_at.is_some_and(|at| at.plus(undo) <= now)
    }
}

/// A node whose last registration a key verified.
#[derive(Clone, Debug)]
pub struct KeyNode {
    /// The key.
    pub key: OrgKeyId,
    /// The node.
    pub node: NodeId,
    /// The node's address, by which its organization identifies it.
    pub ip: String,
    /// When the node's last signed call was accepted.
    pub last_contact: Time,
}

/// What the deletion of keys would do.
#[derive(Clone, Debug)]
pub struct Impact {
    /// How many keys would be deleted.
    pub keys: usize,
    /// How many nodes registered with them last, and would have to register with another key.
    pub nodes: i64,
    /// How many of these nodes were heard from within the last 24 hours.
    pub heard_today: i64,
    /// When one of these nodes was heard from last.
    pub last_used: Option<Time>,
    /// The addresses of some of these nodes, those heard from last first.
    pub sample: Vec<String>,
    /// How many other nodes the organization has.
    pub unaffected: i64,
}

/// Returns the fewest days at which the end of a key is in no need of an announcement, because it is no further away
/// when it is set; `None` if every announcement is still to come.
#[must_use]
pub fn announced(end: Time, now: Time) -> Option<u32> {
    if end <= now {
        return Some(0);
    }
    let day = |days: u32| Duration::from_hours(24 * u64::from(days));
    ANNOUNCED.into_iter().find(|days| end <= now.plus(day(*days)))
}

/// Parses how long a key still verifies after its rotation.
pub fn parse_overlap(seconds: Option<i64>) -> Result<Duration, InvalidField> {
    let Some(seconds) = seconds else { return Ok(DEFAULT_OVERLAP) };
    let overlap = u64::try_from(seconds).ok().map(Duration::from_secs).filter(|overlap| *overlap <= LONGEST_OVERLAP);
    let problem = format!("must be 0 to {} seconds", LONGEST_OVERLAP.as_secs());
    overlap.ok_or_else(|| InvalidField::new("overlapSeconds", problem))
}

/// Parses the name of a key: up to 100 characters; it may be empty.
pub fn parse_name(name: &str) -> Result<String, InvalidField> {
    text::parse("name", name, 0..=100)
}

/// Parses the end of a key: a time that is at most a year away. An end that has passed means now.
pub fn check_end(end: Time, now: Time) -> Result<Time, InvalidField> {
    if end <= now.plus(LONGEST_OVERLAP) {
        return Ok(end.max(now));
    }
    Err(InvalidField::new(
        "retireAt",
        "must be at most 365 days from now, or null for a key that does not end by itself",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_verifies_until_its_end_and_not_at_it() {
        let at = Time::from_millis;
        for (retire_at, deleted_at, state) in [
            (None, None, KeyState::Active),
            (Some(101), None, KeyState::Retiring),
            (Some(100), None, KeyState::Retired),
            (Some(99), None, KeyState::Retired),
            (None, Some(1), KeyState::Deleted),
            (Some(101), Some(100), KeyState::Deleted),
        ] {
            let found = KeyState::of(retire_at.map(at), deleted_at.map(at), at(100));
            assert_eq!((found, found.verifies()), (state, matches!(state, KeyState::Active | KeyState::Retiring)));
        }
    }

    #[test]
    fn an_end_is_not_announced_at_once_because_it_is_near_when_it_is_set() {
        let now = Time::from_millis(0);
        let days = |days: u64| now.plus(Duration::from_hours(24 * days));
        for (end, expected) in [
            (now, Some(0)),
            (days(1), Some(1)),
            (days(1).plus(Duration::from_millis(1)), Some(7)),
            (days(7), Some(7)),
            (days(7).plus(Duration::from_millis(1)), None),
        ] {
            assert_eq!(announced(end, now), expected, "{end}");
        }
    }

    #[test]
    fn overlaps_and_ends_are_limited_to_a_year() {
        let year = 365 * 24 * 3_600;
        assert_eq!(parse_overlap(None).expect("the default"), DEFAULT_OVERLAP);
        assert_eq!(parse_overlap(Some(year)).expect("a year").as_secs(), 31_536_000);
        assert_eq!(parse_overlap(Some(0)).expect("none"), Duration::ZERO);
        assert!(parse_overlap(Some(year + 1)).is_err() && parse_overlap(Some(-1)).is_err());
        let now = Time::from_millis(1_000);
        assert_eq!(check_end(Time::from_millis(1), now), Ok(now));
        assert_eq!(check_end(now.plus(LONGEST_OVERLAP), now), Ok(now.plus(LONGEST_OVERLAP)));
        assert!(check_end(now.plus(LONGEST_OVERLAP).plus(Duration::from_millis(1)), now).is_err());
    }
}
