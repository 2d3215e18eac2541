//! How often may a password be guessed? A few times for each account and network, counted on disk, and never more than that reach the hash.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;

use super::app::App;
use super::caller::Origin;
use super::error::{Error, Kind};
use crate::crypto::password::{self, Verdict};
use crate::domain::time::Time;
use crate::domain::user::User;
use crate::store;
use crate::store::guess::{Account, Network, Scope, WINDOW};

const TOO_MANY: &str = "TOO_MANY_ATTEMPTS";

/// Wrong passwords for an account from one network.
const OF_ACCOUNT_AND_NETWORK: usize = 10;

/// Wrong passwords for an account from all networks.
const OF_ACCOUNT: usize = 100;

/// Wrong passwords from a network for all accounts.
const OF_NETWORK: usize = 30;

/// Whose password somebody tries.
#[derive(Clone, Copy)]
pub(super) struct Suspect<'a> {
    /// The address that was given.
    pub(super) email: &'a str,
    /// Whose it is, if anybody's.
    pub(super) user: Option<&'a User>,
    /// The hash of their password, if they have one.
    pub(super) hash: Option<&'a str>,
}

/// The guesses that are being looked at, not wrong yet but counted as if they were; and wrong ones that the disk had no
/// room for.
#[derive(Default)]
pub(super) struct Guesses(Mutex<Counted>);

/// What counts beside the rows of the store.
#[derive(Default)]
struct Counted {
    under_way: Vec<Target>,
    unwritten: VecDeque<(Target, Time)>,
}

/// Wrong guesses that are kept in memory while the disk is full; beyond it the oldest are dropped.
const MOST_IN_MEMORY: usize = 10_000;

/// What is guessed at, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target {
    account: Account,
    network: Network,
}

impl Target {
    fn is_in(self, scope: Scope) -> bool {
        match scope {
            Scope::AccountAndNetwork(account, network) => self == Self { account, network },
            Scope::Account(account) => self.account == account,
            Scope::Network(network) => self.network == network,
        }
    }
}

impl Guesses {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn forget(&mut self, target: Target) {
        if let Some(index) = self.under_way.iter().position(|other| *other == target) {
            self.under_way.swap_remove(index);
        }
    }

    /// Keeps a wrong guess for as long as it counts.
    fn keep(&mut self, target: Target, now: Time) {
        let ended = now.minus(WINDOW);
        self.unwritten.retain(|(_, at)| *at > ended);
        if self.unwritten.len() >= MOST_IN_MEMORY {
            self.unwritten.pop_front();
        }
        self.unwritten.push_back((target, now));
    }

    fn count(&self, scope: Scope, now: Time) -> usize {
        let ended = now.minus(WINDOW);
        let unwritten = self.unwritten.iter().filter(|(target, at)| target.is_in(scope) && *at > ended);
        self.under_way.iter().filter(|target| target.is_in(scope)).count() + unwritten.count()
    }
}

/// A guess that is being looked at.
struct Guess<'a> {
    app: &'a App,
    target: Target,
    over: bool,
}

impl Drop for Guess<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.app.limiter.guesses.lock().forget(self.target);
        }
    }
}

/// Compares a password with the kept one, the same work whether there is one or not. Gives whether it must be hashed
/// again. A wrong one is on disk before it is answered with `wrong`; beyond the limits nothing is compared.
///
/// Takes as long as a hash and a commit: not for a thread that must not block, and only with a permit for password work.
pub(super) fn compare(
    app: &App,
    origin: &Origin,
    suspect: Suspect<'_>,
    password: &SecretString,
    wrong: Error,
) -> Result<Verdict, Error> {
    let counted = |error: Error| {
        if let Some(user) = suspect.user {
            app.refusals.count_login(user.org, error.code, origin.address, app.now());
        }
        error
    };
    let guess = begin(app, origin.address, suspect)?.map_err(&counted)?;
    let verdict = password::verify(password, suspect.hash);
    if verdict == Verdict::Wrong {
        return Err(counted(guess.was_wrong().err().unwrap_or(wrong)));
    }
    Ok(verdict)
}

/// Refuses what is over the limits already, before any work with a password is begun.
pub(super) fn look(app: &App, origin: &Origin, suspect: Suspect<'_>) -> Result<(), Error> {
    let target = Target { account: Account::of(suspect.email), network: Network::of(origin.address) };
    let Some(wait) = wait(app, &app.limiter.guesses.lock(), target, suspect.user)? else { return Ok(()) };
    if let Some(user) = suspect.user {
        app.refusals.count_login(user.org, TOO_MANY, origin.address, app.now());
    }
    Err(Error { retry_after: Some(wait), ..too_many() })
}

/// Takes a guess in, or refuses it in the inner result.
fn begin<'a>(app: &'a App, address: Option<IpAddr>, suspect: Suspect<'_>) -> Result<Result<Guess<'a>, Error>, Error> {
    let target = Target { account: Account::of(suspect.email), network: Network::of(address) };
    // Held over the look at the disk: of two guesses the later one sees the earlier one, here or there.
    let mut counted = app.limiter.guesses.lock();
    if let Some(wait) = wait(app, &counted, target, suspect.user)? {
        return Ok(Err(Error { retry_after: Some(wait), ..too_many() }));
    }
    counted.under_way.push(target);
    Ok(Ok(Guess { app, target, over: false }))
}

/// How long it takes until another guess is let in; `None` when one is now.
fn wait(app: &App, counted: &Counted, target: Target, user: Option<&User>) -> Result<Option<Duration>, Error> {
    let Target { account, network } = target;
    let now = app.now();
    app.identify(|tx| {
        let known = match user {
            Some(user) => store::guess::is_known(tx, user.id, network, now)?,
            None => false,
        };
        let own = (Scope::AccountAndNetwork(account, network), OF_ACCOUNT_AND_NETWORK);
        let limits = [own, (Scope::Account(account), OF_ACCOUNT), (Scope::Network(network), OF_NETWORK)];
        // An attacker elsewhere must not lock out a person where they usually sign in.
        let limits = if known { &limits[..1] } else { &limits[..] };
        let mut longest = None;
        for (scope, limit) in limits {
            let free_at = match limit.saturating_sub(counted.count(*scope, now)) {
                0 => Some(now),
                left => store::guess::nth_newest(tx, *scope, left, now)?,
            };
            let wait = free_at.map(|at| at.plus(WINDOW).millis().saturating_sub(now.millis()));
            longest = longest.max(wait);
        }
        Ok(longest.map(|millis| Duration::from_millis(millis.unsigned_abs())))
    })
}

impl Guess<'_> {
    /// Remembers on disk that it was wrong.
    fn was_wrong(mut self) -> Result<(), Error> {
        let Target { account, network } = self.target;
        // Held until it is on disk and no more here: nobody sees it twice, or not at all.
        let mut counted = self.app.limiter.guesses.lock();
        let stored = self.app.administer(move |tx, now| {
            store::guess::add(tx, account, network, now)?;
            Ok(((), []))
        });
        counted.forget(self.target);
        if stored.is_err() {
            counted.keep(self.target, self.app.now());
        }
        self.over = true;
        stored
    }
}

fn too_many() -> Error {
    let message = "Too many wrong passwords: Retry-After says how many seconds to wait";
    Error::new(Kind::TooMany, TOO_MANY, message)
}
