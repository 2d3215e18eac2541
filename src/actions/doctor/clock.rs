//! Is the clock well? Whether it is behind what the database has seen, or so far ahead of it that it is not believed yet.

use super::{Finding, unreadable};
use crate::domain::time::Time;
use crate::engine::high_water::{LEAP, STEP};
use crate::store::backup::Snapshot;
use crate::store::{self, StoreError};

/// The way out where the clock is right, although the database says otherwise.
const ACCEPT: &str = "stop the server, run `orgkeys clock accept`, then start it again";

/// Whether what the clock shows follows what the database has seen.
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
            format!("The clock shows {now}, but the database has seen {latest}"),
            format!("Set the clock right (timedatectl set-ntp true). If it is right already, {ACCEPT}"),
        );
    }
    if let Some(since) = state.leapt_at {
        let (before, believed) = (state.high_water, since.plus(LEAP));
        return Finding::act(
            "clock",
            format!(
                "The clock shows {now}, more than a day after {before}: it leapt ahead, or the server was down so long"
            ),
            format!(
                "Set the clock right if it is not (timedatectl set-ntp true). If it is, the server believes it from \
                 {believed} on; to have it believed at once, {ACCEPT}"
            ),
        );
    }
    Finding::well("clock", format!("The clock shows {now}, and the database has seen nothing later"))
}
