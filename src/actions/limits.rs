//! How often may somebody ask? A bucket for each credential, one for each network whose signed calls are refused, and the guesses under way.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;

use super::error::Error;
use super::guesses::Guesses;
use crate::domain::event::network;
use crate::domain::id::{ApiKeyId, TokenId};

/// Buckets that may lie around before the full ones are thrown away.
const MANY: usize = 10_000;

/// A credential's bucket holds four seconds of calls.
const CALLER_BURST: u32 = 4;

/// The limits that an administrator sets. By default nothing is allowed and nothing is counted.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Keys per organization, 1 to 100.
    pub org_keys: u32,
    /// Nodes per organization, deleted ones included, 1 to 1,000,000.
    pub nodes: u32,
    /// API keys per organization that have not ended, 1 to 100,000.
    pub api_keys: u32,
    /// How far a signed timestamp may lie from the server's time, 1 to 900 s.
    pub signature_window: Duration,
    /// Refused signed calls per second and network; 0 = no limit.
    pub refused_rate: u32,
    /// How many of them at once.
    pub refused_burst: u32,
    /// Calls per second and credential; 0 = no limit.
    pub caller_rate: u32,
    /// How long nothing may be heard of a node before it is silent.
    pub node_silent: Duration,
    /// Networks that webhooks may reach although they are private, also in the clear.
    pub webhook_allow: Vec<IpNet>,
}

type Buckets<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// What a caller's bucket belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Credential {
    /// An access token.
    Token(TokenId),
    /// An API key.
    ApiKey(ApiKeyId),
}

/// The buckets; none where a limit is off.
pub(super) struct Limiter {
    callers: Option<Buckets<Credential>>,
    refused: Option<Refused>,
    pub(super) guesses: Guesses,
}

struct Refused {
    buckets: Buckets<IpAddr>,
    /// Networks whose bucket is empty, until it holds something again.
    empty: Mutex<HashMap<IpAddr, Instant>>,
    refill: Duration,
}

impl Limiter {
    pub(super) fn new(limits: &Limits) -> Self {
        let refused = buckets(limits.refused_rate, limits.refused_burst).map(|buckets| Refused {
            buckets,
            empty: Mutex::default(),
            refill: Duration::from_secs(1) / limits.refused_rate.max(1),
        });
        let callers = buckets(limits.caller_rate, limits.caller_rate.saturating_mul(CALLER_BURST));
        Self { callers, refused, guesses: Guesses::default() }
    }

    /// Takes a call of a credential, or says how long it must wait.
    pub(super) fn admit_caller(&self, credential: Credential) -> Result<(), Error> {
        let Some(callers) = &self.callers else { return Ok(()) };
        clear(callers);
        callers.check_key(&credential).map(drop).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            Error::too_many(wait, "Too many calls with this credential: slow down")
        })
    }

    /// Refuses a signed call from a network whose bucket is empty, before any signature is checked.
    pub(super) fn admit_signed(&self, address: Option<IpAddr>) -> Result<(), Error> {
        let (Some(refused), Some(address)) = (&self.refused, address) else { return Ok(()) };
        let empty = refused.empty.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = empty.get(&network(address)).map(|until| until.saturating_duration_since(Instant::now()));
        match wait {
            Some(wait) if !wait.is_zero() => Err(Error::too_many(
                wait,
                "Too many refused signed calls from this network: mend the node, then try again",
            )),
            _ => Ok(()),
        }
    }

    /// Counts a refused signed call against its network.
    pub(super) fn signed_call_refused(&self, address: Option<IpAddr>) {
        let (Some(refused), Some(address)) = (&self.refused, address) else { return };
        clear(&refused.buckets);
        let network = network(address);
        let wait = match refused.buckets.check_key(&network) {
            Ok(bucket) if bucket.remaining_burst_capacity() > 0 => return,
            Ok(_) => refused.refill,
            Err(until) => until.wait_time_from(DefaultClock::default().now()),
        };
        let now = Instant::now();
        let mut empty = refused.empty.lock().unwrap_or_else(PoisonError::into_inner);
        if empty.len() >= MANY {
            empty.retain(|_, until| *until > now);
        }
        empty.insert(network, now + wait);
    }
}

fn buckets<K: Hash + Eq + Clone>(rate: u32, burst: u32) -> Option<Buckets<K>> {
    let quota = Quota::per_second(NonZeroU32::new(rate)?).allow_burst(NonZeroU32::new(burst.max(1))?);
    Some(RateLimiter::hashmap(quota).with_middleware())
}

fn clear<K: Hash + Eq + Clone>(buckets: &Buckets<K>) {
    if buckets.len() >= MANY {
        buckets.retain_recent();
    }
}
