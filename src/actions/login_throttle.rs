//! Limits password attempts. Failures are counted on disk per account and network; beyond the limits, no password is
//! hashed.

use std::net::IpAddr;
use std::time::Duration;

use secrecy::SecretString;

use crate::crypto::password::{self, PasswordMatch};
use crate::domain::user::User;
use crate::engine::app::App;
use crate::engine::caller::Origin;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::login_attempts::{AttemptedLogin, Counted};
use crate::store;
use crate::store::login_attempt::{AccountDigest, Network, Scope, WINDOW};

const TOO_MANY: &str = "TOO_MANY_ATTEMPTS";

/// Maximum failed attempts for one account from one network.
const OF_ACCOUNT_AND_NETWORK: usize = 10;

/// Maximum failed attempts for one account from all networks.
const OF_ACCOUNT: usize = 100;

/// Maximum failed attempts from one network for all accounts.
const OF_NETWORK: usize = 30;

/// The account whose password is attempted.
#[derive(Clone, Copy)]
pub(super) struct PasswordCheck<'a> {
    /// The email address of the attempt.
    pub(super) email: &'a str,
    /// The user with this address, if there is one.
    pub(super) user: Option<&'a User>,
    /// The hash of the user's password, if there is one.
    pub(super) hash: Option<&'a str>,
}

/// An attempt in progress.
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

/// Compares a password with the stored hash. Takes the same time whether there is one or not. Returns whether the
/// password must be hashed again. A failed attempt is on disk before `wrong` is returned; beyond the limits nothing is
/// compared.
///
/// Takes as long as a hash and a commit. Must not be called on an async thread, and only with a permit for password
/// work.
pub(super) fn compare(
    app: &App,
    origin: &Origin,
    check: PasswordCheck<'_>,
    password: &SecretString,
    wrong: Error,
) -> Result<PasswordMatch, Error> {
    let counted = |error: Error| {
        if let Some(user) = check.user {
            app.refusals.count_login(user.org, error.code, origin.address, app.now());
        }
        error
    };
    let attempt = begin(app, origin.address, check)?.map_err(&counted)?;
    let verdict = password::verify(password, check.hash);
    if verdict == PasswordMatch::Wrong {
        return Err(counted(attempt.was_wrong().err().unwrap_or(wrong)));
    }
    Ok(verdict)
}

/// Refuses an attempt beyond the limits, before any work on the password begins.
pub(super) fn look(app: &App, origin: &Origin, check: PasswordCheck<'_>) -> Result<(), Error> {
    let attempted = AttemptedLogin { account: AccountDigest::of(check.email), network: Network::of(origin.address) };
    let Some(wait) = wait(app, &app.limiter.login_attempts.lock(), attempted, check.user)? else { return Ok(()) };
    if let Some(user) = check.user {
        app.refusals.count_login(user.org, TOO_MANY, origin.address, app.now());
    }
    Err(Error { retry_after: Some(wait), ..too_many() })
}

/// Begins an attempt. The inner result is an error if it is beyond the limits.
fn begin<'a>(
    app: &'a App,
    address: Option<IpAddr>,
    check: PasswordCheck<'_>,
) -> Result<Result<LoginAttempt<'a>, Error>, Error> {
    let attempted = AttemptedLogin { account: AccountDigest::of(check.email), network: Network::of(address) };
    // Held while the rows are read: of two attempts, the later one sees the earlier one, in memory or on disk.
    let mut counted = app.limiter.login_attempts.lock();
    if let Some(wait) = wait(app, &counted, attempted, check.user)? {
        return Ok(Err(Error { retry_after: Some(wait), ..too_many() }));
    }
    counted.under_way.push(attempted);
    Ok(Ok(LoginAttempt { app, attempted, over: false }))
}

/// Returns how long to wait until the next attempt; `None` if one is permitted now.
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
        // An attacker on another network must not lock users out where they usually sign in.
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
    /// Stores the failed attempt on disk.
    fn was_wrong(mut self) -> Result<(), Error> {
        let AttemptedLogin { account, network } = self.attempted;
        // Held until the attempt is on disk and no longer in memory, so that it is never counted twice or missed.
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
    let message = "Too many wrong passwords: wait for the number of seconds in Retry-After, then try again";
    Error::new(ErrorKind::TooMany, TOO_MANY, message)
}
