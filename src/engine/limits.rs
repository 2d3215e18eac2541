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
    /// Reads the time.
    now: fn() -> Instant,
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
            now: Instant::now,
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
        let now = (self.now)();
        take(self.credentials.as_ref(), credential, now, (whose, "", "caller_rate"))?;
        if let CredentialId::Token(_, user) = credential {
            let over = " across all their sessions and access tokens";
            take(self.people.as_ref(), user, now, ("This user", over, "caller_rate"))?;
        }
        let over = " across all its users and API keys";
        take(self.orgs.as_ref(), org, now, ("This organization", over, "org_rate"))
    }

    /// Charges a call that changes `rows` rows. The call itself is not refused for them, but later ones must wait.
    pub(crate) fn charge(&self, org: OrgId, credential: CredentialId, rows: usize) {
        let (calls, now) = (u32::try_from(rows / ROWS_OF_A_CALL).unwrap_or(u32::MAX), (self.now)());
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
        let wait = refused.wait(&network(address), (self.now)());
        admitted(wait, || {
            let what =
                format!("This network has reached the limit of {} refused signed calls per second", refused.rate);
            (what, "fix the key or the clock of the refused nodes, then retry", "refused_rate")
        })
    }

    /// Counts a refused signed call against its network.
    pub(crate) fn signed_call_refused(&self, address: Option<IpAddr>) {
        if let (Some(refused), Some(address)) = (&self.refused, address) {
            let _ = refused.take(network(address), (self.now)());
        }
    }

    /// Refuses a signed call of an organization whose bucket is empty, before any work is done for it.
    pub(crate) fn admit_signed(&self, org: OrgId) -> Result<(), Error> {
        let Some(signed) = &self.signed else { return Ok(()) };
        admitted(signed.wait(&org, (self.now)()), || too_many_signed(signed.rate))
    }

    /// Counts an accepted signed call of an organization, or returns how long it must wait.
    pub(crate) fn take_signed(&self, org: OrgId) -> Result<(), Error> {
        let Some(signed) = &self.signed else { return Ok(()) };
        admitted(signed.take(org, (self.now)()), || too_many_signed(signed.rate))
    }
}

/// Takes a call from a bucket, if there is a limit.
fn take<K: Hash + Eq>(
    buckets: Option<&Buckets<K>>,
    key: K,
    now: Instant,
    (whose, over, setting): (&str, &str, &'static str),
) -> Result<(), Error> {
    let Some(buckets) = buckets else { return Ok(()) };
    admitted(buckets.take(key, now), || {
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::domain::id::{ApiKeyId, TokenId};

    thread_local! {
        static NOW: Cell<Instant> = Cell::new(Instant::now());
    }

    /// A call of a test, by its number; it is admitted or not.
    type Call = fn(&Limiter, u8) -> Result<(), Error>;

    const ORG: OrgId = OrgId::from_bytes([7; 16]);

    fn limiter(limits: &Limits) -> Limiter {
        Limiter { now: || NOW.get(), ..Limiter::new(limits) }
    }

    fn pass(time: Duration) {
        NOW.set(NOW.get() + time);
    }

    /// How many calls are admitted before one is not, and how long that one must wait.
    fn admitted_before(limiter: &Limiter, call: Call) -> (u32, Option<Duration>) {
        for (count, number) in (0..10_000).zip((0..250).cycle()) {
            if let Err(error) = call(limiter, number) {
                return (count, error.retry_after);
            }
        }
        panic!("there is no limit");
    }

    fn token(token: u8, user: u8) -> CredentialId {
        CredentialId::Token(TokenId::from_bytes([token; 16]), UserId::from_bytes([user; 16]))
    }

    fn refused(limiter: &Limiter, address: &str) -> Result<(), Error> {
        let address = Some(address.parse().expect("an address"));
        limiter.admit_network(address)?;
        limiter.signed_call_refused(address);
        Ok(())
    }

    #[test]
    fn each_rate_admits_its_burst_and_then_as_many_calls_a_second_as_it_says_and_no_more() {
        let none = Limits::default();
        let (caller, org) = (Limits { caller_rate: 8, ..none.clone() }, Limits { org_rate: 10, ..none.clone() });
        let signed = Limits { signed_rate: 4, ..none.clone() };
        let network = Limits { refused_rate: 5, refused_burst: 7, ..none };
        // The setting, calls that share its bucket, the burst, and the calls per second.
        let cases: [(&str, &Limits, Call, u32, u32); 8] = [
            ("a token", &caller, |limiter, _| limiter.admit_caller(ORG, token(1, 1)), 32, 8),
            ("the tokens of a user", &caller, |limiter, number| limiter.admit_caller(ORG, token(number, 1)), 64, 16),
            (
                "an API key",
                &caller,
                |limiter, _| limiter.admit_caller(ORG, CredentialId::ApiKey(ApiKeyId::from_number(1).expect("an id"))),
                32,
                8,
            ),
            ("an organization", &org, |limiter, number| limiter.admit_caller(ORG, token(number, number)), 40, 10),
            (
                "signed calls",
                &signed,
                |limiter, _| limiter.admit_signed(ORG).and_then(|()| limiter.take_signed(ORG)),
                240,
                4,
            ),
            ("an address", &network, |limiter, _| refused(limiter, "192.0.2.1"), 7, 5),
            ("an IPv6 network", &network, |limiter, number| refused(limiter, &format!("2001:db8::{number:x}:1")), 7, 5),
            (
                "both forms of an address",
                &network,
                |limiter, number| refused(limiter, ["192.0.2.1", "::ffff:192.0.2.1"][usize::from(number % 2)]),
                7,
                5,
            ),
        ];
        for (what, limits, call, burst, rate) in cases {
            let (limiter, step) = (limiter(limits), Duration::from_secs(1) / rate);
            assert_eq!(admitted_before(&limiter, call), (burst, Some(step)), "{what}");
            assert_eq!(admitted_before(&limiter, call), (0, Some(step)), "{what}: time stands still");
            pass(step.saturating_sub(Duration::from_nanos(1)));
            assert_eq!(admitted_before(&limiter, call).0, 0, "{what}: a moment too early");
            pass(Duration::from_nanos(1));
            assert_eq!(admitted_before(&limiter, call).0, 1, "{what}: one came back");
            pass(Duration::from_secs(1));
            assert_eq!(admitted_before(&limiter, call).0, rate, "{what}: a second later");
            pass(Duration::from_hours(1));
            assert_eq!(admitted_before(&limiter, call).0, burst, "{what}: an hour later");
        }
    }

    #[test]
    fn rows_are_charged_to_each_bucket_of_the_caller() {
        let limits = Limits { caller_rate: 8, org_rate: 10, ..Limits::default() };
        // 20 rows are a call. 340 rows are more than the burst of the user's token, of the user or of the organization.
        for (rows, next, wait) in [
            (19, token(1, 1), None),
            (20 * 40, token(1, 1), Some(Duration::from_millis(1_125))),
            (20 * 80, token(2, 1), Some(Duration::from_millis(1_062) + Duration::from_micros(500))),
            (20 * 80, token(2, 2), Some(Duration::from_millis(4_100))),
        ] {
            let limiter = limiter(&limits);
            limiter.charge(ORG, token(1, 1), rows);
            let held = limiter.admit_caller(ORG, next).err().and_then(|error| error.retry_after);
            assert_eq!(held, wait, "{rows} rows, then {next:?}");
        }
    }

    #[test]
    fn other_networks_have_buckets_of_their_own() {
        let limiter = limiter(&Limits { refused_rate: 5, refused_burst: 7, ..Limits::default() });
        assert_eq!(admitted_before(&limiter, |limiter, _| refused(limiter, "2001:db8::1")).0, 7);
        assert_eq!(admitted_before(&limiter, |limiter, _| refused(limiter, "192.0.2.1")).0, 7);
        for other in ["2001:db8:0:1::1", "2001:db7:ffff:ffff::1", "192.0.2.0", "192.0.2.2"] {
            assert!(refused(&limiter, other).is_ok(), "{other}");
        }
    }
}
