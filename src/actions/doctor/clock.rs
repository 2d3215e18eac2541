//! Checks the system clock: whether it is behind the latest time in the database, or so far ahead that the server does
//! not trust it yet.

use super::{Finding, unreadable};
use crate::domain::time::Time;
use crate::engine::high_water::{LEAP, STEP};
use crate::store::backup::Snapshot;
use crate::store::{self, StoreError};

/// The remedy when the clock is right and the database has recorded a wrong time.
const ACCEPT: &str = "stop the server, run `orgkeys clock accept`, then start it again";

/// Compares the system clock with the times in the database.
pub(super) fn clock(snapshot: &Snapshot, now: Time) -> Finding {
    let read = snapshot.read(|tx| Ok::<_, StoreError>((store::clock::state(tx)?, store::audit::last_at(tx)?)));
    let (state, last) = match read {
        Ok(read) => read,
        Err(error) => return unreadable("clock", &error.into()),
    };
    let latest = state.high_water.max(state.ahead).max(state.shown).max(last.unwrap_or(state.shown));
    if latest.millis() - now.millis() > STEP {
        return Finding::act(
            "clock",
            format!("The system clock shows {now}, but the database has recorded the later time {latest}"),
            format!("Correct the system clock (timedatectl set-ntp true). If it is already correct, {ACCEPT}"),
        );
    }
    if let Some(since) = state.leapt_at {
        let (before, believed) = (state.high_water, since.plus(LEAP));
        return Finding::act(
            "clock",
            format!(
                "The system clock shows {now}, more than a day after {before}: it jumped ahead, or the server was down that long"
            ),
            format!(
                "If the system clock is wrong, correct it (timedatectl set-ntp true). If it is correct, the server trusts it \
                from {believed} on; to have it trusted immediately, {ACCEPT}"
            ),
        );
    }
    Finding::well("clock", format!("The system clock shows {now}, and the database has recorded no later time"))
}
