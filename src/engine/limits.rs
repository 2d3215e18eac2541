//! How often may somebody ask? A bucket for each credential and each person, two for each organization, one for each network whose signed calls are refused, and the guesses under way.

mod buckets;

use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use self::buckets::Buckets;
use super::caller::CredentialId;
use super::error::Error;
use super::login_attempts::LoginAttempts;
use crate::domain::event::network;
use crate::domain::id::{OrgId, UserId};

/// A bucket for calls holds four seconds of them.
const CALLS_BURST: u32 = 4;

/// A person may call so many times as often as one of their access tokens, over all of them: whoever has stolen one leaves the
/// person enough calls to end it.
const PERSON_FACTOR: u32 = 2;

/// A bucket for signed calls holds a minute of them: after an outage, all nodes of an organization come back at once.
const SIGNED_BURST: u32 = 60;

/// Rows that a call may change for what it costs; those beyond are charged like further calls.
const ROWS_OF_A_CALL: usize = 20;

/// The limits that an administrator sets. By default nothing is allowed and nothing is counted.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Keys per organization, 1 to 100.
    pub org_keys: u32,
    /// Nodes per organization, deleted ones included, 1 to 1,000,000.
    pub nodes: u32,
    /// People per organization, deleted ones included, 1 to 100,000.
    pub people: u32,
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
    /// Calls per second of a credential; a person may have twice as many over all of theirs. 0 = no limit.
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

/// The buckets; none where a limit is off.
pub(crate) struct Limiter {
    credentials: Option<Buckets<CredentialId>>,
    people: Option<Buckets<UserId>>,
    orgs: Option<Buckets<OrgId>>,
    signed: Option<Buckets<OrgId>>,
    refused: Option<Buckets<IpAddr>>,
    pub(crate) login_attempts: LoginAttempts,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        let calls = |rate: u32| rate.saturating_mul(CALLS_BURST);
        Self {
            credentials: Buckets::new(limits.caller_rate, calls(limits.caller_rate)),
            people: Buckets::new(
                limits.caller_rate.saturating_mul(PERSON_FACTOR),
                calls(limits.caller_rate).saturating_mul(PERSON_FACTOR),
            ),
            orgs: Buckets::new(limits.org_rate, calls(limits.org_rate)),
            signed: Buckets::new(limits.signed_rate, limits.signed_burst()),
            refused: Buckets::new(limits.refused_rate, limits.refused_burst),
            login_attempts: LoginAttempts::default(),
        }
    }

    /// Takes a call, or says how long it must wait. The narrowest bucket comes first: whoever has used it up takes nothing from
    /// the others of the person, or of the organization.
    pub(crate) fn admit_caller(&self, org: OrgId, credential: CredentialId) -> Result<(), Error> {
        let whose = match credential {
            CredentialId::Token(..) => "This access token",
            CredentialId::ApiKey(_) => "This API key",
        };
        take(self.credentials.as_ref(), credential, whose, "", "caller_rate")?;
        if let CredentialId::Token(_, user) = credential {
            let over = ", over all their sessions and access tokens";
            take(self.people.as_ref(), user, "This person", over, "caller_rate")?;
        }
        take(self.orgs.as_ref(), org, "This organization", ", over all its people and API keys", "org_rate")
    }

    /// Charges a call that changes so many rows: it is not refused for them, but the next ones wait.
    pub(crate) fn charge(&self, org: OrgId, credential: CredentialId, rows: usize) {
        let (calls, now) = (u32::try_from(rows / ROWS_OF_A_CALL).unwrap_or(u32::MAX), Instant::now());
        if let Some(credentials) = &self.credentials {
            credentials.charge(credential, calls, now);
        }
        if let (Some(people), CredentialId::Token(_, user)) = (&self.people, credential) {
            people.charge(user, calls, now);
        }
        if let Some(orgs) = &self.orgs {
            orgs.charge(org, calls, now);
        }
    }

    /// Refuses a signed call from a network whose bucket is empty, before any signature is checked.
    pub(crate) fn admit_network(&self, address: Option<IpAddr>) -> Result<(), Error> {
        let (Some(refused), Some(address)) = (&self.refused, address) else { return Ok(()) };
        let wait = refused.wait(&network(address), Instant::now());
        admitted(wait, || {
            let what = format!("This network met the limit of {} refused signed calls a second", refused.rate);
            (what, "correct the nodes that are refused, then try again", "refused_rate")
        })
    }

    /// Counts a refused signed call against its network.
    pub(crate) fn signed_call_refused(&self, address: Option<IpAddr>) {
        if let (Some(refused), Some(address)) = (&self.refused, address) {
            let _ = refused.take(network(address), Instant::now());
        }
    }

    /// Refuses a signed call of an organization whose bucket is empty, before anything is done for it.
    pub(crate) fn admit_signed(&self, org: OrgId) -> Result<(), Error> {
        let Some(signed) = &self.signed else { return Ok(()) };
        admitted(signed.wait(&org, Instant::now()), || too_many_signed(signed.rate))
    }

    /// Takes an accepted signed call of an organization, or says how long it must wait.
    pub(crate) fn take_signed(&self, org: OrgId) -> Result<(), Error> {
        let Some(signed) = &self.signed else { return Ok(()) };
        admitted(signed.take(org, Instant::now()), || too_many_signed(signed.rate))
    }
}

/// Takes a call from a bucket, if there is such a limit.
fn take<K: Hash + Eq>(
    buckets: Option<&Buckets<K>>,
    key: K,
    whose: &str,
    over: &str,
    setting: &'static str,
) -> Result<(), Error> {
    let Some(buckets) = buckets else { return Ok(()) };
    admitted(buckets.take(key, Instant::now()), || {
        (format!("{whose} met the limit of {} calls a second{over}", buckets.rate), "slow down", setting)
    })
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
