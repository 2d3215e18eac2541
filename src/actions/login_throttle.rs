//! How often may a password be guessed? A few times for each account and network, counted on disk, and never more than that reach the hash.

use std::net::IpAddr;
use std::time::Duration;

use secrecy::SecretString;

use crate::crypto::password::{self, Verdict};
use crate::domain::user::User;
use crate::engine::app::App;
use crate::engine::caller::Origin;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::login_attempts::{AttemptedLogin, Counted};
use crate::store;
use crate::store::login_attempt::{AccountDigest, Network, Scope, WINDOW};

const TOO_MANY: &str = "TOO_MANY_ATTEMPTS";

/// Wrong passwords for an account from one network.
const OF_ACCOUNT_AND_NETWORK: usize = 10;

/// Wrong passwords for an account from all networks.
const OF_ACCOUNT: usize = 100;

/// Wrong passwords from a network for all accounts.
const OF_NETWORK: usize = 30;

/// Whose password somebody tries.
#[derive(Clone, Copy)]
pub(super) struct PasswordCheck<'a> {
    /// The address that was given.
    pub(super) email: &'a str,
    /// Whose it is, if anybody's.
    pub(super) user: Option<&'a User>,
    /// The hash of their password, if they have one.
    pub(super) hash: Option<&'a str>,
}

/// A guess that is being looked at.
struct LoginAttempt<'a> {
    app: &'a App,
    attempted: AttemptedLogin,
    over: bool,
}

impl Drop for LoginAttempt<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.app.limiter.login_attempts.lock().forget(self.attempted);
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
    check: PasswordCheck<'_>,
    password: &SecretString,
    wrong: Error,
) -> Result<Verdict, Error> {
    let counted = |error: Error| {
        if let Some(user) = check.user {
            app.refusals.count_login(user.org, error.code, origin.address, app.now());
        }
        error
    };
    let attempt = begin(app, origin.address, check)?.map_err(&counted)?;
    let verdict = password::verify(password, check.hash);
    if verdict == Verdict::Wrong {
        return Err(counted(attempt.was_wrong().err().unwrap_or(wrong)));
    }
    Ok(verdict)
}

/// Refuses what is over the limits already, before any work with a password is begun.
pub(super) fn look(app: &App, origin: &Origin, check: PasswordCheck<'_>) -> Result<(), Error> {
    let attempted = AttemptedLogin { account: AccountDigest::of(check.email), network: Network::of(origin.address) };
    let Some(wait) = wait(app, &app.limiter.login_attempts.lock(), attempted, check.user)? else { return Ok(()) };
    if let Some(user) = check.user {
        app.refusals.count_login(user.org, TOO_MANY, origin.address, app.now());
    }
    Err(Error { retry_after: Some(wait), ..too_many() })
}

/// Takes a guess in, or refuses it in the inner result.
fn begin<'a>(
    app: &'a App,
    address: Option<IpAddr>,
    check: PasswordCheck<'_>,
) -> Result<Result<LoginAttempt<'a>, Error>, Error> {
    let attempted = AttemptedLogin { account: AccountDigest::of(check.email), network: Network::of(address) };
    // Held over the look at the disk: of two guesses the later one sees the earlier one, here or there.
    let mut counted = app.limiter.login_attempts.lock();
    if let Some(wait) = wait(app, &counted, attempted, check.user)? {
        return Ok(Err(Error { retry_after: Some(wait), ..too_many() }));
    }
    counted.under_way.push(attempted);
    Ok(Ok(LoginAttempt { app, attempted, over: false }))
}

/// How long it takes until another guess is let in; `None` when one is now.
fn wait(
    app: &App,
    counted: &Counted,
    attempted: AttemptedLogin,
    user: Option<&User>,
) -> Result<Option<Duration>, Error> {
    let AttemptedLogin { account, network } = attempted;
    let now = app.now();
    app.pre_auth(|tx| {
        let known = match user {
            Some(user) => store::login_attempt::is_known(tx, user.id, network, now)?,
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
                left => store::login_attempt::nth_newest(tx, *scope, left, now)?,
            };
            let wait = free_at.map(|at| at.plus(WINDOW).millis().saturating_sub(now.millis()));
            longest = longest.max(wait);
        }
        Ok(longest.map(|millis| Duration::from_millis(millis.unsigned_abs())))
    })
}

impl LoginAttempt<'_> {
    /// Remembers on disk that it was wrong.
    fn was_wrong(mut self) -> Result<(), Error> {
        let AttemptedLogin { account, network } = self.attempted;
        // Held until it is on disk and no more here: nobody sees it twice, or not at all.
        let mut counted = self.app.limiter.login_attempts.lock();
        let stored = self.app.remember_wrong_password(account, network);
        counted.forget(self.attempted);
        if stored.is_err() {
            counted.keep(self.attempted, self.app.now());
        }
        self.over = true;
        stored
    }
}

fn too_many() -> Error {
    let message = "Too many wrong passwords: Retry-After says how many seconds to wait";
    Error::new(ErrorKind::TooMany, TOO_MANY, message)
}
