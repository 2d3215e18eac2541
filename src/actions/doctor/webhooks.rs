//! Checks the webhooks: whether their secrets can be decrypted, and whether deliveries arrive. Findings never contain a
//! URL, because a URL is often a secret.

use std::path::PathBuf;
use std::time::Duration;

use super::{Finding, unreadable};
use crate::actions::key_file::{self, KeyFileStatus, Problem};
use crate::domain::delivery::MOST_PENDING;
use crate::domain::time::Time;
use crate::domain::webhook::Disabled;
use crate::store::backup::Snapshot;
use crate::store::stats;
use crate::store::webhook::{self, UnhealthyWebhook};

/// Deliveries that failed within this time are reported.
const LATELY: Duration = Duration::from_hours(24);

/// A delivery that has been pending for longer than this is reported.
const TOO_LONG: Duration = Duration::from_hours(1);

/// The maximum number of webhooks that are listed; the rest are only counted.
const NAMED: usize = 20;

/// Checks that the key file exists and decrypts the secrets. Its permissions are checked with those of the other files.
pub(super) fn key_file(snapshot: &Snapshot, path: PathBuf) -> Finding {
    let KeyFileStatus { path, problem, sealed, waiting } = match snapshot.read(|tx| key_file::look(tx, path)) {
        Ok(standing) => standing,
        Err(error) => return unreadable("key_file", &error.into()),
    };
    let path = path.display();
    match problem {
        Some(Problem::Missing) if sealed.is_nothing() => Finding::well(
            "key_file",
            format!("Nothing is encrypted with a key file yet; the server creates {path} when it starts"),
        ),
        None | Some(Problem::Open) => Finding::well("key_file", format!("The key file {path} decrypts {sealed}")),
        Some(problem) => Finding::act(
            "key_file",
            format!("The key file {path} cannot decrypt {waiting}: {}", problem.what()),
            capital(problem.remedy()),
        ),
    }
}

/// Reports each webhook that needs attention, up to `NAMED` of them.
pub(super) fn unhealthy(snapshot: &Snapshot, now: Time) -> Vec<Finding> {
    let read = snapshot.read(|tx| {
        let unhealthy = webhook::unhealthy(tx, now.minus(LATELY), now.minus(TOO_LONG))?;
        Ok::<_, crate::store::StoreError>((unhealthy, stats::webhooks(tx)?.0, stats::deliveries(tx)?.0))
    });
    let (unhealthy, all, pending) = match read {
        Ok(read) => read,
        Err(error) => return vec![unreadable("webhooks", &error.into())],
    };
    if unhealthy.is_empty() {
        let message = format!("No webhook is failing ({all} in total); pending deliveries: {pending}");
        return vec![Finding::well("webhooks", message)];
    }
    let mut found: Vec<_> = unhealthy.iter().take(NAMED).map(one).collect();
    if let Some(more @ 1..) = unhealthy.len().checked_sub(NAMED) {
        let message = format!("More webhooks that need attention: {more}");
        found.push(Finding::act("webhooks", message, "Fix those listed above, then run this command again"));
    }
    found
}

fn one(webhook: &UnhealthyWebhook) -> Finding {
    let UnhealthyWebhook { id, org, off, last, failed, waiting } = webhook;
    let at = format!("/organization/{org}/webhooks/{id}");
    if let Some(why) = off {
        let (why, mend) = match why {
            Disabled::Overfull => {
                (format!("it had {MOST_PENDING} pending deliveries"), "fix its receiver and enable it (PUT)")
            }
            Disabled::Gone | Disabled::Administrator => {
                ("its receiver responded 410 Gone".to_owned(), "set a working URL and enable it (PUT)")
            }
        };
        let message = format!("Webhook {id} of {org} is disabled: {why}");
        return Finding::act("webhooks", message, format!("DELETE {at}, or {mend} and then POST {at}/replay"));
    }
    let mut what = Vec::new();
    if let Some(last) = last {
        let came = match (last.status, &last.why) {
            (Some(status), _) => format!("got status {status}"),
            (None, why) => why.as_ref().map_or_else(|| "failed".to_owned(), |why| format!("failed: {why}")),
        };
        what.push(format!("its last attempt, at {}, {came}", last.at));
    }
    if *failed > 0 {
        what.push(format!("{failed} of its deliveries failed for good within the last 24 hours"));
    }
    if let Some(since) = waiting {
        what.push(format!("its oldest delivery has been pending since {since}"));
    }
    let mend = match last {
        Some(last) if last.status.is_none() => {
            format!("Check its URL (GET {at}), and that this machine can reach it: its name, port and certificate")
        }
        None if *failed == 0 => {
            "Start the server if it is stopped. If it is running, check the key file and the log".to_owned()
        }
        _ => format!("Check what its receiver responded (GET {at}/deliveries) and fix the receiver"),
    };
    let remedy = if *failed > 0 { format!("{mend}, then POST {at}/replay") } else { mend };
    Finding::act("webhooks", format!("Webhook {id} of {org}: {}", what.join("; ")), remedy)
}

fn capital(phrase: &str) -> String {
    let mut chars = phrase.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
