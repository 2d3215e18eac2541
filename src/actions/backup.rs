//! Backs up the database and restores it. A restore reports and records what it undid.

use std::path::{Path, PathBuf};

use super::audit;
use super::key_file::{self, KeyFileStatus};
use super::open::open;
use crate::domain::event::{Event, Head};
use crate::domain::node::WIDEST_WINDOW;
use crate::domain::time::Time;
use crate::engine::environment::Environment;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::limits::Limits;
use crate::engine::system::System;
use crate::store::backup::{self, Checked, Made, Snapshot};
use crate::store::clock::ClockState;
use crate::store::lock::Lock;
use crate::store::restore::{self, Aside};
use crate::store::{self, Options, ReadTx, Room, StoreError};

/// A restore that somebody asks for.
#[derive(Debug)]
pub struct Request<'r> {
    /// The backup.
    pub file: &'r Path,
    /// The SHA-256 that it must have, in hexadecimal.
    pub sha256: Option<&'r str>,
    /// Whether the access tokens in the backup stay valid.
    pub keep_tokens: bool,
    /// The key file, which is not in the backup; `None` means the default path next to the database.
    pub key_file: Option<&'r Path>,
}

/// The result of a restore.
#[derive(Debug)]
pub struct Restored {
    /// What the restore put aside.
    pub aside: Aside,
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
    /// The state of the key file.
    pub key_file: KeyFileStatus,
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
    // Read before the file: if another thread records a backup meanwhile, this one does not record an earlier one again.
    let recorded = system.read(|tx| Ok(store::server::backup_recorded(tx)?))?;
    let Some(made) = backup::last(system.app().database())? else { return Ok(None) };
    let Some(at) = Time::parse_rfc3339(&made.at) else { return Ok(None) };
    // It may be earlier than the recorded one: that was made while the clock was ahead.
    if at != recorded {
        let recorded = system.write(move |tx, _| {
            let new = store::server::record_backup(tx, at, recorded)?;
            Ok(((), new.then_some(Event::BackedUp { at, heads: made.heads })))
        });
        // On a full disk the time is returned all the same; recording the event is retried.
        if let Err(error) = recorded {
            tracing::warn!(%error, "the last backup could not be recorded in the audit log; retrying");
        }
    }
    Ok(Some(at))
}

/// Replaces the database at `options.path` with a backup. The backup is checked before the database must be free of its
/// server, and the old database is unchanged until the last step.
pub fn restore(request: &Request<'_>, options: &Options, env: &Environment) -> Result<Restored, Error> {
    let database = store::files::real(&options.path)?;
    let (file, sha256) = restore::look(request.file, &database)?;
    if request.sha256.is_some_and(|wanted| !wanted.eq_ignore_ascii_case(&sha256)) {
        let message = format!(
            "{} is not the backup that you meant: its SHA-256 is {sha256}. Nothing was changed",
            request.file.display()
        );
        return Err(Error::new(ErrorKind::Conflict, "WRONG_SHA256", message));
    }
    let checked = check(&file)?;
    let lock = Lock::take(&database)?;
    store::lock::must_not_be_served(&database)?;
    // A damaged database may be replaced; a database of another program may not.
    if store::files::exists(&database)?
        && let Err(foreign @ StoreError::Foreign { .. }) = store::header::check_header(&database)
    {
        return Err(foreign.into());
    }
    let draft = restore::stage(&file, &sha256, &database)?;
    if !checked.constraints {
        // The backup is on a read-only disk; its copy is not.
        integrity(draft.path())?;
    }
    let old = Snapshot::locked(&database, &lock).ok();
    let key_file = request.key_file.map_or_else(|| store::key_file::beside(&database), Path::to_owned);
    let restored = prepare(draft.path(), old, options, env, (request.keep_tokens, key_file))?;
    let aside = restore::replace(&database, draft, env.now())?;
    Ok(Restored { aside, ..restored })
}

/// Checks everything in a backup: its pages, indexes and constraints, and the chains of its audit log.
fn check(file: &Path) -> Result<Checked, Error> {
    let checked = integrity(file)?;
    audit::verify(file, &[])?;
    Ok(checked)
}

fn integrity(file: &Path) -> Result<Checked, Error> {
    Snapshot::open(file)?.integrity()?.map_err(|what| {
        let message = format!("The backup is damaged ({what}): restore another one");
        Error::new(ErrorKind::Conflict, "BACKUP_DAMAGED", message)
    })
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

/// Records the restore in the staged copy.
fn prepare(
    draft: &Path,
    old: Option<Snapshot>,
    options: &Options,
    env: &Environment,
    (keep_tokens, key_file): (bool, PathBuf),
) -> Result<Restored, Error> {
    let new_heads = audit::heads(draft)?;
    let now = env.now();
    let old_heads = ask(old.as_ref(), store::audit::heads).unwrap_or_default();
    // A database that does not go on from the backup, such as a fresh one, knows nothing of the signatures used since.
    let continues = ask(old.as_ref(), |tx| restore::continues(tx, &new_heads)) == Some(true);
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
    let key_file = system.read(|tx| Ok(key_file::look(tx, key_file)?))?;
    let aside = Aside::default();
    Ok(Restored { aside, old_heads, new_heads, tokens_ended, signed_after, used_known, key_file })
}
