//! Rate limits: a token bucket per credential and per user, two per organization, one per network whose signed calls
//! are refused, and the password attempts in progress.

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

/// The burst of a bucket for calls, in seconds of its rate.
const CALLS_BURST: u32 = 4;

/// The rate of a user across all their access tokens, as a multiple of the rate of one token. A stolen token thus
/// leaves the user enough calls to revoke it.
const PERSON_FACTOR: u32 = 2;

/// The burst of a bucket for signed calls, in seconds of its rate: after an outage, all nodes of an organization return
/// at once.
const SIGNED_BURST: u32 = 60;

/// The number of changed rows that one call includes; further rows are charged as further calls.
const ROWS_OF_A_CALL: usize = 20;

/// The limits that an administrator sets. The default permits no keys, nodes or users, and has no rate limits.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Organization keys per organization, 1 to 100.
    pub org_keys: u32,
    /// How long the deletion of an organization key can be undone; 0 = never.
    pub key_undo: Duration,
    /// Nodes per organization, including deleted ones, 1 to 1,000,000.
    pub nodes: u32,
    /// Users per organization, including deleted ones, 1 to 100,000.
    pub people: u32,
    /// Unexpired API keys per organization, 1 to 100,000.
    pub api_keys: u32,
    /// The maximum difference between a signed timestamp and the server's time, 1 to 900 s.
    pub signature_window: Duration,
    /// Accepted signed calls per second and organization; 0 = no limit.
    pub signed_rate: u32,
    /// Refused signed calls per second and network; 0 = no limit.
    pub refused_rate: u32,
    /// The burst of refused signed calls per network.
    pub refused_burst: u32,
    /// Calls per second and credential; a user may make twice as many across all credentials. 0 = no limit.
    pub caller_rate: u32,
    /// Calls per second of all users and API keys of an organization; 0 = no limit.
    pub org_rate: u32,
    /// The time without contact after which a node is silent.
    pub node_silent: Duration,
    /// Private networks that webhooks may reach, also over http://.
    pub webhook_allow: Vec<IpNet>,
}

impl Limits {
    /// The burst of accepted signed calls per organization; 0 = no limit.
    #[must_use]
    pub const fn signed_burst(&self) -> u32 {
        self.signed_rate.saturating_mul(SIGNED_BURST)
    }
}

/// The buckets; `None` where there is no limit.
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

    /// Admits a call, or returns how long it must wait. The narrowest bucket comes first: a credential that has used it
    /// up takes nothing from the buckets of the user and the organization.
    pub(crate) fn admit_caller(&self, org: OrgId, credential: CredentialId) -> Result<(), Error> {
        let whose = match credential {
            CredentialId::Token(..) => "This access token",
            CredentialId::ApiKey(_) => "This API key",
        };
        take(self.credentials.as_ref(), credential, whose, "", "caller_rate")?;
        if let CredentialId::Token(_, user) = credential {
            let over = " across all their sessions and access tokens";
            take(self.people.as_ref(), user, "This user", over, "caller_rate")?;
        }
        take(self.orgs.as_ref(), org, "This organization", " across all its users and API keys", "org_rate")
    }

    /// Charges a call that changes `rows` rows. The call itself is not refused for them, but later ones must wait.
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
            let what =
                format!("This network has reached the limit of {} refused signed calls per second", refused.rate);
            (what, "fix the key or the clock of the refused nodes, then retry", "refused_rate")
        })
    }

    /// Counts a refused signed call against its network.
    pub(crate) fn signed_call_refused(&self, address: Option<IpAddr>) {
        if let (Some(refused), Some(address)) = (&self.refused, address) {
            let _ = refused.take(network(address), Instant::now());
        }
    }

    /// Refuses a signed call of an organization whose bucket is empty, before any work is done for it.
    pub(crate) fn admit_signed(&self, org: OrgId) -> Result<(), Error> {
        let Some(signed) = &self.signed else { return Ok(()) };
        admitted(signed.wait(&org, Instant::now()), || too_many_signed(signed.rate))
    }

    /// Counts an accepted signed call of an organization, or returns how long it must wait.
    pub(crate) fn take_signed(&self, org: OrgId) -> Result<(), Error> {
        let Some(signed) = &self.signed else { return Ok(()) };
        admitted(signed.take(org, Instant::now()), || too_many_signed(signed.rate))
    }
}

/// Takes a call from a bucket, if there is a limit.
fn take<K: Hash + Eq>(
    buckets: Option<&Buckets<K>>,
    key: K,
    whose: &str,
    over: &str,
    setting: &'static str,
) -> Result<(), Error> {
    let Some(buckets) = buckets else { return Ok(()) };
    admitted(buckets.take(key, Instant::now()), || {
        (format!("{whose} has reached the limit of {} calls per second{over}", buckets.rate), "slow down", setting)
    })
}

/// The limit that was reached, what to do about it, and the setting that raises it.
type Met = (String, &'static str, &'static str);

/// Returns an error if the call must wait.
fn admitted(wait: Duration, met: impl FnOnce() -> Met) -> Result<(), Error> {
    if wait.is_zero() {
        return Ok(());
    }
    let (what, remedy, setting) = met();
    let message = format!("{what}: {remedy}, or ask the server's administrator to raise {setting}");
    Err(Error::too_many(wait, message))
}

fn too_many_signed(rate: u32) -> Met {
    let what = format!("This organization has reached the limit of {rate} accepted signed calls per second");
    (what, "send the same call again later", "signed_rate")
}
