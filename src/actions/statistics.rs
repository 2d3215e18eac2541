//! Statistics of an organization: counts per hour, which are written once a minute and removed when they are old.

use std::time::Duration;

use crate::domain::event::Event;
use crate::domain::id::OrgId;
use crate::domain::statistics::{HourlyCount, KEPT};
use crate::domain::time::Time;
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::error::Error;
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::engine::system::System;
use crate::store;

/// The number of counts that are written in one transaction.
const COUNTS_PER_CHANGE: usize = 512;

/// The maximum number of hours whose counts are removed in one run; the rest follows in the next run.
const HOURS: usize = 24;

/// The counts of an organization, and the hours that they cover.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// The first hour.
    pub from: Time,
    /// The last hour, which is the present one.
    pub to: Time,
    /// The counts, by hour, kind and outcome. What did not happen has none.
    pub counts: Vec<HourlyCount>,
}

/// Returns the counts of an organization for the last `days` days.
pub fn read(app: &App, caller: &Caller, org: Option<OrgId>, days: u32) -> Pending<Statistics> {
    app.scan(caller, &Rule::SeesAudit(org), |tx, grant| {
        let (org, to) = (grant.org, grant.at.hour());
        let from = to.minus(Duration::from_hours(24 * u64::from(days)));
        let counts = store::hourly_count::list(tx, org, from, to)?;
        Ok((Statistics { from, to, counts }, Event::StatisticsRead { org }))
    })
}

/// Writes the counts that are held only in memory, for the present hour.
pub fn flush(system: &System) -> Result<(), Error> {
    let hour = system.app().now().hour();
    let mut counts = system.app().hourly_counts.take();
    while !counts.is_empty() {
        let rest = counts.split_off(counts.len().min(COUNTS_PER_CHANGE));
        if let Err(error) = system.write_counts(hour, counts.clone()) {
            system.app().hourly_counts.put_back(&counts);
            system.app().hourly_counts.put_back(&rest);
            return Err(error);
        }
        counts = rest;
    }
    Ok(())
}

/// Removes old counts. Nearly always there are none, and then nothing is written.
pub fn remove_old(system: &System) -> Result<(), Error> {
    let before = system.app().env.safe_now().minus(KEPT).hour();
    for _ in 0..HOURS {
        if !system.read(|tx| Ok(store::hourly_count::are_older(tx, before)?))? {
            break;
        }
        system.remove_counts(before)?;
    }
    Ok(())
}
