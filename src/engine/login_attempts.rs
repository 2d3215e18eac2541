//! Password attempts that are counted in memory: those in progress, and failed ones that could not be written to disk.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::time::Time;
use crate::store::login_attempt::{AccountDigest, Network, Scope, WINDOW};

/// The attempts in progress, which count as failed until they succeed, and failed attempts that could not be written
/// because the disk is full.
#[derive(Default)]
pub struct LoginAttempts(Mutex<Counted>);

/// The attempts that count in addition to the rows of the store.
#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) under_way: Vec<AttemptedLogin>,
    unwritten: VecDeque<(AttemptedLogin, Time)>,
}

/// The maximum number of failed attempts held in memory while the disk is full; beyond it the oldest are dropped.
const MOST_IN_MEMORY: usize = 10_000;

/// The account and the network of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttemptedLogin {
    pub(crate) account: AccountDigest,
    pub(crate) network: Network,
}

impl AttemptedLogin {
    fn is_in(self, scope: Scope) -> bool {
        match scope {
            Scope::AccountAndNetwork(account, network) => self == Self { account, network },
            Scope::Account(account) => self.account == account,
            Scope::Network(network) => self.network == network,
        }
    }
}

impl LoginAttempts {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    pub(crate) fn forget(&mut self, attempted: AttemptedLogin) {
        if let Some(index) = self.under_way.iter().position(|other| *other == attempted) {
            self.under_way.swap_remove(index);
        }
    }

    /// Holds a failed attempt in memory for as long as it counts.
    pub(crate) fn keep(&mut self, attempted: AttemptedLogin, now: Time) {
        let ended = now.minus(WINDOW);
        self.unwritten.retain(|(_, at)| *at > ended);
        if self.unwritten.len() >= MOST_IN_MEMORY {
            self.unwritten.pop_front();
        }
        self.unwritten.push_back((attempted, now));
    }

    pub(crate) fn count(&self, scope: Scope, now: Time) -> usize {
        let ended = now.minus(WINDOW);
        let unwritten = self.unwritten.iter().filter(|(attempted, at)| attempted.is_in(scope) && *at > ended);
        self.under_way.iter().filter(|attempted| attempted.is_in(scope)).count() + unwritten.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_that_could_not_be_written_count_for_their_account_and_their_network() {
        let attempt = |email: &str, last: u8| AttemptedLogin {
            account: AccountDigest::of(email),
            network: Network::of(Some([192, 0, 2, last].into())),
        };
        let (now, mut counted) = (Time::from_millis(0), Counted::default());
        for attempted in [attempt("ada", 1), attempt("ada", 2), attempt("ada", 2), attempt("bob", 2)] {
            counted.keep(attempted, now);
        }
        let AttemptedLogin { account, network } = attempt("ADA", 2);
        let scopes = [Scope::AccountAndNetwork(account, network), Scope::Account(account), Scope::Network(network)];
        let last = now.plus(WINDOW).minus(std::time::Duration::from_millis(1));
        assert_eq!(scopes.map(|scope| counted.count(scope, last)), [2, 3, 3]);
        assert_eq!(scopes.map(|scope| counted.count(scope, now.plus(WINDOW))), [0, 0, 0]);
    }

    #[test]
    fn of_too_many_attempts_that_could_not_be_written_the_oldest_is_dropped() {
        let (now, mut counted) = (Time::from_millis(0), Counted::default());
        let [old, new] = ["ada", "bob"].map(|email| (AccountDigest::of(email), Network::of(None)));
        let attempted = |(account, network): (AccountDigest, Network)| AttemptedLogin { account, network };
        counted.unwritten.extend(std::iter::repeat_n((attempted(old), now), MOST_IN_MEMORY));
        counted.keep(attempted(new), now);
        let counts = [old, new].map(|(account, _)| counted.count(Scope::Account(account), now));
        assert_eq!(counts, [MOST_IN_MEMORY - 1, 1]);
    }

    #[test]
    fn of_equal_attempts_in_progress_one_ends_at_a_time() {
        let (now, mut counted) = (Time::from_millis(0), Counted::default());
        let account = AccountDigest::of("ada");
        let attempted = AttemptedLogin { account, network: Network::of(None) };
        counted.under_way.extend([attempted; 3]);
        for left in [2, 1, 0, 0] {
            counted.forget(attempted);
            assert_eq!(counted.count(Scope::Account(account), now), left);
        }
    }
}
