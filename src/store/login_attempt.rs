//! What is remembered of wrong passwords? When one was tried, for which account and from where, for as long as it counts.

use std::net::IpAddr;
use std::time::Duration;

use rusqlite::{Row, params};
use sha2::{Digest, Sha256};

use super::{ReadTx, StoreError, WriteTx};
use crate::domain::event;
use crate::domain::id::UserId;
use crate::domain::time::Time;

/// How long a wrong password counts.
pub const WINDOW: Duration = Duration::from_mins(15);

/// How long a network is known after a person signed in from it.
pub const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);

/// Forgotten with each wrong password, so that a busy time is cleared up as fast as it came, and no call pays for many.
const FORGOTTEN_AT_ONCE: u32 = 4;

/// What an address leads to, whether there is such an account or not: the SHA-256 of it in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountDigest([u8; 32]);

impl AccountDigest {
    /// The account behind an address.
    #[must_use]
    pub fn of(email: &str) -> Self {
        Self(Sha256::digest(email.to_lowercase()).into())
    }
}

/// A client's network: an IPv4 address, or a /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network([u8; 16]);

impl Network {
    /// The network of an address; those without one share the unspecified address's.
    #[must_use]
    pub fn of(address: Option<IpAddr>) -> Self {
        Self(match address.map(event::network) {
            Some(IpAddr::V4(v4)) => v4.to_ipv6_mapped().octets(),
            Some(IpAddr::V6(v6)) => v6.octets(),
            None => [0; 16],
        })
    }
}

/// Which wrong passwords count together.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// Those for an account from a network.
    AccountAndNetwork(AccountDigest, Network),
    /// Those for an account from anywhere.
    Account(AccountDigest),
    /// Those from a network for any account.
    Network(Network),
}

/// When the `nth` newest of those that still count at `now` was tried; `None` when there are fewer.
pub fn nth_newest(tx: &ReadTx<'_>, scope: Scope, nth: usize, now: Time) -> Result<Option<Time>, StoreError> {
    let (since, before) = (now.minus(WINDOW).millis(), i64::try_from(nth.saturating_sub(1)).unwrap_or(i64::MAX));
    let together = match scope {
        Scope::AccountAndNetwork(..) => "account = ?3 AND network = ?4",
        Scope::Account(_) => "account = ?3",
        Scope::Network(_) => "network = ?3",
    };
    let sql = format!("SELECT at FROM wrong_password WHERE at > ?1 AND {together} ORDER BY at DESC LIMIT 1 OFFSET ?2");
    let at = |row: &Row<'_>| Ok(Time::from_millis(row.get(0)?));
    match scope {
        Scope::AccountAndNetwork(account, network) => tx.row(&sql, params![since, before, account.0, network.0], at),
        Scope::Account(account) => tx.row(&sql, params![since, before, account.0], at),
        Scope::Network(network) => tx.row(&sql, params![since, before, network.0], at),
    }
}

/// Remembers a wrong password, and forgets some that do not count any more.
pub fn add(tx: &WriteTx<'_>, account: AccountDigest, network: Network, now: Time) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM wrong_password WHERE id IN
             (SELECT id FROM wrong_password WHERE at <= ?1 ORDER BY at LIMIT ?2)",
        params![now.minus(WINDOW).millis(), FORGOTTEN_AT_ONCE],
    )?;
    let sql = "INSERT INTO wrong_password (at, account, network) VALUES (?1, ?2, ?3)";
    tx.execute(sql, params![now.millis(), account.0, network.0]).map(drop)
}

/// Whether a person signed in from a network not long before `now`.
pub fn is_known(tx: &ReadTx<'_>, user: UserId, network: Network, now: Time) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM known_network WHERE person = ?1 AND network = ?2 AND at > ?3";
    let params = params![user.as_bytes(), network.0, now.minus(KNOWN_FOR).millis()];
    Ok(tx.row(sql, params, |_| Ok(()))?.is_some())
}

/// Remembers that a person signed in from a network, and forgets those that are not known any more.
pub fn know(tx: &WriteTx<'_>, user: UserId, network: Network, now: Time) -> Result<(), StoreError> {
    let since = now.minus(KNOWN_FOR).millis();
    tx.execute("DELETE FROM known_network WHERE person = ?1 AND at <= ?2", params![user.as_bytes(), since])?;
    let sql = "INSERT INTO known_network (person, network, at) VALUES (?1, ?2, ?3)
        ON CONFLICT (person, network) DO UPDATE SET at = excluded.at";
    tx.execute(sql, params![user.as_bytes(), network.0, now.millis()]).map(drop)
}
