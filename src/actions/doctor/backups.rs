//! Checks the backups: when the last one was made, and whether the server makes those that the settings ask for.

use std::path::Path;
use std::time::Duration;

use super::files::{bytes, size};
use super::{Finding, Patient, unreadable};
use crate::actions::periodic_backup::BackupPlan;
use crate::domain::time::Time;
use crate::store::backup;
use crate::store::backup_dir::{self, DatedFile};

/// A last backup older than this needs attention.
const BACKUP_EVERY: Duration = Duration::from_hours(7 * 24);

/// A last periodic backup older than this many intervals needs attention.
const INTERVALS: u32 = 3;

/// Checks when the last backup was made, by anybody.
pub(super) fn last(patient: &Patient<'_>, database: &Path, now: Time) -> Finding {
    let remedy = "Run `orgkeys backup FILE` now, and daily from a timer; store the files on another machine";
    let made = match backup::last(database) {
        Ok(made) => made.and_then(|made| Time::parse_rfc3339(&made.at)),
        Err(error) => return unreadable("backup", &error.into()),
    };
    let periodic = patient.backups.as_ref().and_then(|plan| backup_dir::list(&plan.dir).ok());
    match made.max(periodic.and_then(|files| files.last().map(|file| file.at))) {
        None => Finding::act("backup", "This database has never been backed up", remedy),
        Some(at) if at.plus(BACKUP_EVERY) <= now => {
            Finding::act("backup", format!("The last backup is more than 7 days old: it was made at {at}"), remedy)
        }
        Some(at) => Finding::well("backup", format!("The last backup was made at {at}")),
    }
}

/// Checks the backups that the server makes by itself; `None` if it makes none.
pub(super) fn periodic(patient: &Patient<'_>, database: &Path, now: Time) -> Option<Finding> {
    const CHECK: &str = "backup_dir";
    let plan = patient.backups.as_ref()?;
    let BackupPlan { dir, interval, .. } = plan;
    let shown = dir.display();
    let files = match backup_dir::list(dir) {
        Ok(files) => files,
        Err(error) => {
            let remedy = "Make the directory readable for this command, or start the server, which creates it";
            return Some(Finding::act(CHECK, format!("The directory {shown} cannot be read: {error}"), remedy));
        }
    };
    let late = interval.saturating_mul(INTERVALS);
    let last = match files.last() {
        Some(DatedFile { at, .. }) if at.plus(late) > now => at,
        late => {
            let found =
                late.map_or_else(|| "contains no backup".to_owned(), |file| format!("has none since {}", file.at));
            let message = format!("The server makes a backup every {} s, but {shown} {found}", interval.as_secs());
            let remedy = "Start the server if it is stopped. If it is running, its log says why backups fail: look for \"a periodic \
                backup failed\"";
            return Some(Finding::act(CHECK, message, remedy));
        }
    };
    let free = backup_dir::free(dir).unwrap_or(u64::MAX);
    if let Some(needed) = lacking(plan, files.len(), bytes(database), free) {
        return Some(Finding::act(
            CHECK,
            format!(
                "The disk of {shown} has {} free, but the backups that backup_keep asks for need {} more",
                size(free),
                size(needed)
            ),
            "Lower backup_keep, raise backup_interval, or enlarge the disk",
        ));
    }
    let count = files.len();
    Some(Finding::well(CHECK, format!("The server made its last backup at {last}; {shown} has {count}")))
}

/// Returns how many bytes the backups still need that `plan` asks for, if that is more than is free: `made` are there, and
/// each is as large as the database.
fn lacking(plan: &BackupPlan, made: usize, database: u64, free: u64) -> Option<u64> {
    let all = plan.keep.as_millis().div_ceil(plan.interval.as_millis().max(1)) + 1;
    let missing = u64::try_from(all).unwrap_or(u64::MAX).saturating_sub(made as u64);
    Some(missing.saturating_mul(database)).filter(|needed| *needed > free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backups_that_are_missing_need_as_much_room_as_they_will_take() {
        let minutes = Duration::from_mins;
        for (keep, interval, made, free, lack) in [
            (60, 60, 1, 10, None),
            (60, 60, 1, 9, Some(10)),
            (60, 60, 2, 0, None),
            (60, 60, 3, 0, None),
            (61, 30, 1, 30, None),
            (61, 30, 1, 29, Some(30)),
        ] {
            let plan = BackupPlan { dir: "backups".into(), interval: minutes(interval), keep: minutes(keep) };
            assert_eq!(lacking(&plan, made, 10, free), lack, "{keep} {interval} {made} {free}");
        }
    }
}
