//! Failed sign-in attempts: when, for which account and from which network, for as long as they count.

use std::net::IpAddr;
use std::time::Duration;

use rusqlite::{Row, params};
use sha2::{Digest, Sha256};

use super::{ReadTx, StoreError, WriteTx};
use crate::domain::event;
use crate::domain::id::UserId;
use crate::domain::time::Time;

/// How long a failed attempt counts.
pub const WINDOW: Duration = Duration::from_mins(15);

/// How long a network is known after a user signed in from it.
pub const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);

/// How many expired attempts are removed with each new one. Old rows disappear as fast as they came, and no call pays
/// for many.
const FORGOTTEN_AT_ONCE: u32 = 4;

/// Identifies the account of an e-mail address, whether or not it exists: the SHA-256 of the address in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountDigest([u8; 32]);

impl AccountDigest {
    /// Returns the account of an e-mail address.
    #[must_use]
    pub fn of(email: &str) -> Self {
        Self(Sha256::digest(email.to_lowercase()).into())
    }
}

/// A client's network: an IPv4 address, or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network([u8; 16]);

impl Network {
    /// Returns the network of an address. Callers without an address share the unspecified address.
    #[must_use]
    pub fn of(address: Option<IpAddr>) -> Self {
        Self(match address.map(event::network) {
            Some(IpAddr::V4(v4)) => v4.to_ipv6_mapped().octets(),
            Some(IpAddr::V6(v6)) => v6.octets(),
            None => [0; 16],
        })
    }
}

/// Which failed attempts are counted together.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// Those for an account from a network.
    AccountAndNetwork(AccountDigest, Network),
    /// Those for an account from any network.
    Account(AccountDigest),
    /// Those from a network for any account.
    Network(Network),
}

/// Returns when the `nth` newest attempt that still counts at `now` was made; `None` if there are fewer.
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

/// Records a failed attempt, and removes some that no longer count.
pub fn add(tx: &WriteTx<'_>, account: AccountDigest, network: Network, now: Time) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM wrong_password WHERE id IN
             (SELECT id FROM wrong_password WHERE at <= ?1 ORDER BY at LIMIT ?2)",
        params![now.minus(WINDOW).millis(), FORGOTTEN_AT_ONCE],
    )?;
    let sql = "INSERT INTO wrong_password (at, account, network) VALUES (?1, ?2, ?3)";
    tx.execute(sql, params![now.millis(), account.0, network.0]).map(drop)
}

/// Returns whether a user has signed in from a network recently before `now`.
pub fn is_known(tx: &ReadTx<'_>, user: UserId, network: Network, now: Time) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM known_network WHERE person = ?1 AND network = ?2 AND at > ?3";
    let params = params![user.as_bytes(), network.0, now.minus(KNOWN_FOR).millis()];
    Ok(tx.row(sql, params, |_| Ok(()))?.is_some())
}

/// Records that a user signed in from a network, and removes networks that are no longer known.
pub fn know(tx: &WriteTx<'_>, user: UserId, network: Network, now: Time) -> Result<(), StoreError> {
    let since = now.minus(KNOWN_FOR).millis();
    tx.execute("DELETE FROM known_network WHERE person = ?1 AND at <= ?2", params![user.as_bytes(), since])?;
    let sql = "INSERT INTO known_network (person, network, at) VALUES (?1, ?2, ?3)
        ON CONFLICT (person, network) DO UPDATE SET at = excluded.at";
    tx.execute(sql, params![user.as_bytes(), network.0, now.millis()]).map(drop)
}
