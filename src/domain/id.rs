//! Identifiers. Each is a noun and a UUID version 7 (RFC 9562), so that id order is creation order.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use rand::Rng;
use uuid::Uuid;

use super::time::Time;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// Parses an id exactly as it is printed; `None` for anything else.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let id = Self(Uuid::try_parse(text.strip_prefix($prefix)?).ok()?);
                (id.to_string() == text).then_some(id)
            }

            /// Creates an id from the 16 bytes that the store holds.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes that the store holds.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.hyphenated())
            }
        }
    )+};
}

ids! {
    /// An organization, which owns everything else.
    OrgId = "org-";
    /// An organization key: the public half of an RSA key pair.
    OrgKeyId = "key-";
    /// A node that registered itself with a signature.
    NodeId = "node-";
    /// A user.
    UserId = "user-";
    /// An access token, or a session.
    TokenId = "token-";
    /// A project.
    ProjectId = "project-";
    /// A webhook.
    WebhookId = "webhook-";
    /// The delivery of an event to a webhook.
    DeliveryId = "delivery-";
    /// A secret that nodes can fetch.
    SecretId = "secret-";
}

/// An API key: a positive signed 32-bit number, as on the published platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiKeyId(i32);

impl ApiKeyId {
    /// Returns the id with this number; `None` if it is out of range.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        i32::try_from(number).ok().filter(|number| *number >= 1).map(Self)
    }

    /// Parses an id exactly as it is printed; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self::from_number(text.parse().ok()?)?;
        (id.to_string() == text).then_some(id)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The generator of all ids: strictly increasing, even within a millisecond and when the clock steps back.
#[derive(Debug, Default)]
pub struct Ids {
    last: Mutex<u128>,
}

impl Ids {
    /// The free bits of a UUID: all but the version (4 bits) and the variant (2 bits).
    const RANDOM_BITS: u32 = 74;

    /// Creates a generator whose ids are all greater than those issued at `time` or before.
    #[must_use]
    pub fn after(time: Time) -> Self {
        let next_millisecond = u128::from(time.millis().unsigned_abs()) + 1;
        Self { last: Mutex::new(next_millisecond << Self::RANDOM_BITS) }
    }

    /// Returns the next id: 48 bits of milliseconds and 74 random bits, or the last id plus a random step if that is
    /// greater.
    pub fn next<T: From<Uuid>>(&self, now: Time, rng: &mut impl Rng) -> T {
        let fresh = (u128::from(now.millis().unsigned_abs()) << Self::RANDOM_BITS)
            | (random_u128(rng) >> (128 - Self::RANDOM_BITS));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = fresh.max(*last + 1 + u128::from(rng.next_u32()));
        T::from(spread(*last))
    }
}

fn random_u128(rng: &mut impl Rng) -> u128 {
    (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64())
}

/// Inserts version and variant between the free bits, which preserves their order (RFC 9562, section 5.7).
fn spread(bits: u128) -> Uuid {
    let (millis, high, low) = (bits >> 74, (bits >> 62) & 0xfff, bits & ((1 << 62) - 1));
    Uuid::from_u128((millis << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low)
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn ids_increase_even_if_the_clock_stands_still_or_steps_back() {
        let (ids, mut rng) = (Ids::default(), StdRng::seed_from_u64(1));
        let times = [1_700_000_000_000, 1_700_000_000_000, 1_600_000_000_000, 1_700_000_000_001];
        let made: Vec<OrgId> = times.map(|t| ids.next(Time::from_millis(t), &mut rng)).to_vec();
        assert!(made.is_sorted() && made[0] != made[1] && made[2] != made[3]);
    }

    #[test]
    fn ids_after_a_time_are_greater_than_all_that_were_issued_at_it() {
        let last = Time::from_millis(1_700_000_000_000);
        for now in [0, last.millis()] {
            let id: OrgId = Ids::after(last).next(Time::from_millis(now), &mut StdRng::seed_from_u64(3));
            assert_eq!(id.as_bytes()[..6], (last.millis() + 1).to_be_bytes()[2..], "{now}");
        }
    }

    #[test]
    fn an_id_is_parsed_only_in_its_printed_form() {
        let id: NodeId = Ids::default().next(Time::from_millis(1), &mut StdRng::seed_from_u64(2));
        let text = id.to_string();
        assert_eq!(NodeId::parse(&text), Some(id));
        assert_eq!(text.as_bytes()["node-".len() + 14], b'7', "version 7: {text}");
        for other in [text.to_uppercase(), text.replace("node-", "user-"), text.replace('-', ""), String::new()] {
            assert_eq!(NodeId::parse(&other), None, "{other}");
        }
    }
}
