//! How often may somebody ask? A bucket for each person and API key, two for each organization, one for each network whose signed calls are refused, and the guesses under way.

mod buckets;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use self::buckets::Buckets;
use super::error::Error;
use super::guesses::Guesses;
use crate::domain::event::network;
use crate::domain::id::{ApiKeyId, OrgId, UserId};

/// A bucket for calls holds four seconds of them.
const CALLS_BURST: u32 = 4;

/// A bucket for signed calls holds a minute of them: after an outage, all nodes of an organization come back at once.
const SIGNED_BURST: u32 = 60;

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
    /// Accepted signed calls per second and organization; 0 = no limit.
    pub signed_rate: u32,
    /// Refused signed calls per second and network; 0 = no limit.
    pub refused_rate: u32,
    /// How many of them at once.
    pub refused_burst: u32,
    /// Calls per second of a person or an API key; 0 = no limit.
    pub caller_rate: u32,
    /// Calls per second of all people and API keys of an organization; 0 = no limit.
    pub org_rate: u32,
    /// How long nothing may be heard of a node before it is silent.
    pub node_silent: Duration,
    /// Networks that webhooks may reach although they are private, also in the clear.
    pub webhook_allow: Vec<IpNet>,
}

impl Limits {
    /// How many signed calls of an organization are accepted at once; 0 = any number.
    #[must_use]
    pub const fn signed_burst(&self) -> u32 {
        self.signed_rate.saturating_mul(SIGNED_BURST)
    }
}

/// Whose calls are counted together. More sessions or access tokens give a person no more calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Party {
    /// A person.
    Person(UserId),
    /// An API key.
    ApiKey(ApiKeyId),
}

/// The buckets; none where a limit is off.
pub(super) struct Limiter {
    callers: Option<Buckets<Party>>,
    orgs: Option<Buckets<OrgId>>,
    signed: Option<Buckets<OrgId>>,
    refused: Option<Buckets<IpAddr>>,
    pub(super) guesses: Guesses,
}

impl Limiter {
    pub(super) fn new(limits: &Limits) -> Self {
        let calls = |rate: u32| rate.saturating_mul(CALLS_BURST);
        Self {
            callers: Buckets::new(limits.caller_rate, calls(limits.caller_rate)),
            orgs: Buckets::new(limits.org_rate, calls(limits.org_rate)),
            signed: Buckets::new(limits.signed_rate, limits.signed_burst()),
            refused: Buckets::new(limits.refused_rate, limits.refused_burst),
            guesses: Guesses::default(),
        }
    }

    /// Takes a call of a person or an API key, or says how long it must wait.
    pub(super) fn admit_caller(&self, org: OrgId, party: Party) -> Result<(), Error> {
        // Their own bucket first: whoever has used it up takes nothing from the others of the organization.
        self.take_own(party)?;
        let Some(orgs) = &self.orgs else { return Ok(()) };
        admitted(orgs.take(org, Instant::now()), || {
            let limit = format!("the limit of {} calls a second, over all its people and API keys", orgs.rate);
            (format!("This organization met {limit}"), "slow down", "org_rate")
        })
    }

    fn take_own(&self, party: Party) -> Result<(), Error> {
        let Some(callers) = &self.callers else { return Ok(()) };
        admitted(callers.take(party, Instant::now()), || {
            let limit = format!("the limit of {} calls a second", callers.rate);
            let what = match party {
                Party::Person(_) => format!("This person met {limit}, over all their sessions and access tokens"),
                Party::ApiKey(_) => format!("This API key met {limit}"),
            };
            (what, "slow down", "caller_rate")
        })
    }

    /// Refuses a signed call from a network whose bucket is empty, before any signature is checked.
    pub(super) fn admit_network(&self, address: Option<IpAddr>) -> Result<(), Error> {
        let (Some(refused), Some(address)) = (&self.refused, address) else { return Ok(()) };
        let wait = refused.wait(&network(address), Instant::now());
        admitted(wait, || {
            let what = format!("This network met the limit of {} refused signed calls a second", refused.rate);
            (what, "correct the nodes that are refused, then try again", "refused_rate")
        })
    }

    /// Counts a refused signed call against its network.
    pub(super) fn signed_call_refused(&self, address: Option<IpAddr>) {
        if let (Some(refused), Some(address)) = (&self.refused, address) {
            let _ = refused.take(network(address), Instant::now());
        }
    }

    /// Refuses a signed call of an organization whose bucket is empty, before anything is done for it.
    pub(super) fn admit_signed(&self, org: OrgId) -> Result<(), Error> {
        let Some(signed) = &self.signed else { return Ok(()) };
        admitted(signed.wait(&org, Instant::now()), || too_many_signed(signed.rate))
    }

    /// Takes an accepted signed call of an organization, or says how long it must wait.
    pub(super) fn take_signed(&self, org: OrgId) -> Result<(), Error> {
        let Some(signed) = &self.signed else { return Ok(()) };
        admitted(signed.take(org, Instant::now()), || too_many_signed(signed.rate))
    }
}

/// What was met, what to do about it, and the setting that raises it.
type Met = (String, &'static str, &'static str);

/// Refuses what must wait.
fn admitted(wait: Duration, met: impl FnOnce() -> Met) -> Result<(), Error> {
    if wait.is_zero() {
        return Ok(());
    }
    let (what, remedy, setting) = met();
    let message = format!("{what}: {remedy}, or have the server's administrator raise {setting}");
    Err(Error::too_many(wait, message))
}

fn too_many_signed(rate: u32) -> Met {
    let what = format!("This organization met the limit of {rate} accepted signed calls a second");
    (what, "send the same call again later", "signed_rate")
}
