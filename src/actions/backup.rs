//! How is everything kept safe and brought back? By copies that are whole, and a restore that says what it undid.

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

/// What a restore did.
#[derive(Debug)]
pub struct Restored {
    /// Where the database that was replaced lies now, if there was one.
    pub aside: Option<PathBuf>,
    /// Where its chains ended; empty where it could not be read.
    pub old_heads: Vec<Head>,
    /// Where those of the backup end.
    pub new_heads: Vec<Head>,
    /// How many tokens were ended.
    pub tokens_ended: usize,
    /// Signed messages that state an earlier moment are refused.
    pub signed_after: Time,
    /// Whether the old database told which signatures were used; else none is taken for some minutes.
    pub used_known: bool,
}

/// How many ids of the audit log are passed over where nobody knows which ones were given out since the backup: more than
/// are given in a day of nothing else, and few enough for clients that count in doubles.
const IDS_PASSED_OVER: i64 = 1_000_000_000;

/// Copies a database, beside a running server too. Beside the copy: why the server will not learn of it, if it will not.
pub fn make(database: &Path, file: &Path, env: &Environment) -> Result<(Made, Option<StoreError>), Error> {
    let (made, noted) = backup::make(database, file, env.now())?;
    Ok((made, noted.err()))
}

/// When the last backup was made; records one that has no event yet.
pub fn notice(system: &System) -> Result<Option<Time>, Error> {
    let Some(made) = backup::last(system.app().database())? else { return Ok(None) };
    let Some(at) = Time::parse_rfc3339(&made.at) else { return Ok(None) };
    if system.read(|tx| Ok(store::server::backup_recorded(tx)?))? < at {
        let recorded = system.write(move |tx, _| {
            let new = store::server::record_backup(tx, at)?;
            Ok(((), new.then_some(Event::BackedUp { at, heads: made.heads })))
        });
        // On a full disk the backup is known all the same; its event is tried again.
        if let Err(error) = recorded {
            tracing::warn!(%error, "the last backup could not be recorded yet");
        }
    }
    Ok(Some(at))
}

/// Puts a backup in the place of `options.path`, which no server may use. Until the last step nothing of the old database is changed.
pub fn restore(file: &Path, options: &Options, env: &Environment, keep_tokens: bool) -> Result<Restored, Error> {
    let database = store::files::real(&options.path)?;
    let lock = Lock::take(&database)?;
    store::lock::must_not_be_served(&database)?;
    // A damaged database may be replaced, another program's never.
    if database.try_exists().map_err(StoreError::from)?
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

/// The last id of an entry that anybody may have seen, as the old database knows it. One that ended before the backup, or
/// cannot be read, does not.
fn ids_seen(draft: &Path, old: Option<&Snapshot>) -> Result<i64, StoreError> {
    let last_id = Snapshot::open(draft)?.read(store::audit::last_id)?;
    let old_id = ask(old, store::audit::last_id);
    Ok(old_id.filter(|old_id| *old_id >= last_id).unwrap_or(last_id.saturating_add(IDS_PASSED_OVER)))
}

/// What the old database says, if it can be read.
fn ask<T>(old: Option<&Snapshot>, work: impl FnOnce(&ReadTx<'_>) -> Result<T, StoreError>) -> Option<T> {
    old?.read(work).ok()
}

/// Checks the staged copy whole and writes into it that it was restored.
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
            format!("The backup is damaged ({what}): take another one"),
        ));
    }
    audit::verify(draft, &[])?;
    let new_heads = audit::heads(draft)?;
    let now = env.now();
    let old_heads = ask(old.as_ref(), store::audit::heads).unwrap_or_default();
    // A database that does not go on from the backup, such as a fresh one, knows nothing of the signatures used since.
    let continues = ask(old.as_ref(), |tx| backup::continues(tx, &new_heads)) == Some(true);
    let used = ask(old.as_ref(), |tx| store::replay::used_since(tx, now)).filter(|_| continues);
    let old_clock = ask(old.as_ref(), store::clock::state).unwrap_or_default();
    let ids_seen = ids_seen(draft, old.as_ref())?;
    drop(old);
    // The reserve is the database's, not its draft's.
    let options = Options { path: draft.to_owned(), room: Room::new(0, 0), ..options.clone() };
    let (_, system) = open(&options, Limits::default(), env.clone())?;
    let (heads, used_known) = ((old_heads.clone(), new_heads.clone()), used.is_some());
    let (tokens_ended, signed_after) = system.write(move |tx, now| {
        // Signatures that state a later moment are known from the old database; without it none can be told apart from a used one.
        let signed_after = match &used {
            Some(used) => store::replay::keep(tx, used).map(|()| now)?,
            None => now.plus(WIDEST_WINDOW),
        };
        store::server::set_signed_after(tx, signed_after)?;
        store::server::set_unannounced_token(tx, None)?;
        // A backup knows less of how far time has come.
        let clock = store::clock::state(tx)?;
        let (high_water, ahead) = (clock.high_water.max(old_clock.high_water), clock.ahead.max(old_clock.ahead));
        store::clock::keep(tx, ClockState { high_water, ahead, ..clock })?;
        // Who follows the log has seen ids that the backup knows nothing of; what is new must come after them.
        store::audit::pass_over(tx, ids_seen)?;
        let tokens_ended = if keep_tokens { 0 } else { store::token::revoke_all(tx, now)? };
        let (old_heads, new_heads) = heads;
        Ok(((tokens_ended, signed_after), Event::Restored { old_heads, new_heads, tokens_ended }))
    })?;
    Ok(Restored { aside: None, old_heads, new_heads, tokens_ended, signed_after, used_known })
}
