//! Backs up the database and restores it. A restore reports and records what it undid.

use std::path::{Path, PathBuf};

use super::audit;
use super::open::open;
use crate::domain::event::{Event, Head};
use crate::domain::node::WIDEST_WINDOW;
use crate::domain::time::Time;
use crate::engine::environment::Environment;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::limits::Limits;
use crate::engine::system::System;
use crate::store::backup::{self, Made, Snapshot};
use crate::store::clock::ClockState;
use crate::store::lock::Lock;
use crate::store::{self, Options, ReadTx, Room, StoreError};

/// The result of a restore.
#[derive(Debug)]
pub struct Restored {
    /// The path of the replaced database, if there was one.
    pub aside: Option<PathBuf>,
    /// The heads of its chains; empty if it could not be read.
    pub old_heads: Vec<Head>,
    /// The heads of the chains in the backup.
    pub new_heads: Vec<Head>,
    /// The number of tokens that were revoked.
    pub tokens_ended: usize,
    /// Signed calls with an earlier timestamp are refused.
    pub signed_after: Time,
    /// Whether the used signatures could be read from the old database. If not, all signed calls are refused for 15
    /// minutes.
    pub used_known: bool,
}

/// The number of audit ids to skip when it is unknown which ones were used since the backup: more than a day of
/// continuous writing can use, and small enough for clients that store ids as doubles.
const IDS_PASSED_OVER: i64 = 1_000_000_000;

/// Backs up a database; the server may be running. Also returns the error, if any, that keeps the server from noticing
/// the backup.
pub fn make(database: &Path, file: &Path, env: &Environment) -> Result<(Made, Option<StoreError>), Error> {
    let (made, noted) = backup::make(database, file, env.now())?;
    Ok((made, noted.err()))
}

/// Returns the time of the last backup, and records a backup that has no event yet.
pub fn notice(system: &System) -> Result<Option<Time>, Error> {
    let Some(made) = backup::last(system.app().database())? else { return Ok(None) };
    let Some(at) = Time::parse_rfc3339(&made.at) else { return Ok(None) };
    if system.read(|tx| Ok(store::server::backup_recorded(tx)?))? < at {
        let recorded = system.write(move |tx, _| {
            let new = store::server::record_backup(tx, at)?;
            Ok(((), new.then_some(Event::BackedUp { at, heads: made.heads })))
        });
        // On a full disk the time is returned all the same; recording the event is retried.
        if let Err(error) = recorded {
            tracing::warn!(%error, "the last backup could not be recorded in the audit log; retrying");
        }
    }
    Ok(Some(at))
}

/// Replaces the database at `options.path` with a backup. No server may be using it. The old database is unchanged
/// until the last step.
pub fn restore(file: &Path, options: &Options, env: &Environment, keep_tokens: bool) -> Result<Restored, Error> {
    let database = store::files::real(&options.path)?;
    let lock = Lock::take(&database)?;
    store::lock::must_not_be_served(&database)?;
    // A damaged database may be replaced; a database of another program may not.
    if store::files::exists(&database)?
        && let Err(foreign @ StoreError::Foreign { .. }) = store::header::check_header(&database)
    {
        return Err(foreign.into());
    }
    let draft = backup::stage(file, &database)?;
    let old = Snapshot::locked(&database, &lock).ok();
    let result = prepare(&draft, old, options, env, keep_tokens);
    match result {
        Ok(restored) => {
            let aside = backup::replace(&database, &draft, env.now())?;
            Ok(Restored { aside, ..restored })
        }
        Err(error) => {
            backup::discard(&draft)?;
            Err(error)
        }
    }
}

/// Returns the last audit id that a client may have seen, from the old database. If that cannot be read or ends before
/// the backup, returns an id that is certainly later.
fn ids_seen(draft: &Path, old: Option<&Snapshot>) -> Result<i64, StoreError> {
    let last_id = Snapshot::open(draft)?.read(store::audit::last_id)?;
    let old_id = ask(old, store::audit::last_id);
    Ok(old_id.filter(|old_id| *old_id >= last_id).unwrap_or(last_id.saturating_add(IDS_PASSED_OVER)))
}

/// Reads from the old database; `None` if it cannot be read.
fn ask<T>(old: Option<&Snapshot>, work: impl FnOnce(&ReadTx<'_>) -> Result<T, StoreError>) -> Option<T> {
    old?.read(work).ok()
}

/// Verifies the staged copy and records the restore in it.
fn prepare(
    draft: &Path,
    old: Option<Snapshot>,
    options: &Options,
    env: &Environment,
    keep_tokens: bool,
) -> Result<Restored, Error> {
    if let Err(what) = Snapshot::open(draft)?.integrity()? {
        return Err(Error::new(
            ErrorKind::Conflict,
            "BACKUP_DAMAGED",
            format!("The backup is damaged ({what}): restore another one"),
        ));
    }
    audit::verify(draft, &[])?;
    let new_heads = audit::heads(draft)?;
    let now = env.now();
    let old_heads = ask(old.as_ref(), store::audit::heads).unwrap_or_default();
    // A database that does not go on from the backup, such as a fresh one, knows nothing of the signatures used since.
    let continues = ask(old.as_ref(), |tx| backup::continues(tx, &new_heads)) == Some(true);
    let used = ask(old.as_ref(), |tx| store::used_signature::used_since(tx, now)).filter(|_| continues);
    let old_clock = ask(old.as_ref(), store::clock::state).unwrap_or_default();
    let ids_seen = ids_seen(draft, old.as_ref())?;
    drop(old);
    // The disk reserve applies to the database, not to its draft.
    let options = Options { path: draft.to_owned(), room: Room::new(0, 0), ..options.clone() };
    let (_, system) = open(&options, Limits::default(), env.clone())?;
    let (heads, used_known) = ((old_heads.clone(), new_heads.clone()), used.is_some());
    let (tokens_ended, signed_after) = system.write(move |tx, now| {
        // The old database knows the used signatures with a later timestamp. Without it, none can be told from an
        // unused one.
        let signed_after = match &used {
            Some(used) => store::used_signature::insert_all(tx, used).map(|()| now)?,
            None => now.plus(WIDEST_WINDOW),
        };
        store::server::set_signed_after(tx, signed_after)?;
        store::server::set_unannounced_token(tx, None)?;
        // The high-water mark of a backup is older.
        let clock = store::clock::state(tx)?;
        let (high_water, ahead) = (clock.high_water.max(old_clock.high_water), clock.ahead.max(old_clock.ahead));
        store::clock::keep(tx, ClockState { high_water, ahead, ..clock })?;
        // Clients that follow the log have seen ids that the backup does not contain; new entries must come after them.
        store::audit::pass_over(tx, ids_seen)?;
        let tokens_ended = if keep_tokens { 0 } else { store::token::revoke_all(tx, now)? };
        let (old_heads, new_heads) = heads;
        Ok(((tokens_ended, signed_after), Event::Restored { old_heads, new_heads, tokens_ended }))
    })?;
    Ok(Restored { aside: None, old_heads, new_heads, tokens_ended, signed_after, used_known })
}
