//! Are the webhooks well? Whether their secrets can be opened, and whether what is sent to them arrives. Never where they go: a URL is often a secret.

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

/// What was given up within this is worth somebody's look.
const LATELY: Duration = Duration::from_hours(24);

/// What has been on its way for longer than this hangs.
const TOO_LONG: Duration = Duration::from_hours(1);

/// So many webhooks are named; of the others it is said how many they are.
const NAMED: usize = 20;

/// Whether the key file is there and opens what is sealed. Who may read it is looked at with the other files.
pub(super) fn key_file(snapshot: &Snapshot, path: PathBuf) -> Finding {
    let KeyFileStatus { path, problem, sealed, waiting } = match snapshot.read(|tx| key_file::look(tx, path)) {
        Ok(standing) => standing,
        Err(error) => return unreadable("key_file", &error.into()),
    };
    let path = path.display();
    match problem {
        Some(Problem::Missing) if sealed == 0 => {
            Finding::well("key_file", format!("Nothing is sealed yet; the server makes {path} when it starts"))
        }
        None | Some(Problem::Open) => {
            Finding::well("key_file", format!("The key file {path} opens what is sealed: {}", webhooks(sealed)))
        }
        Some(problem) => Finding::act(
            "key_file",
            format!("The key file {path} opens nothing for {}: {}", webhooks(waiting), problem.what()),
            capital(problem.remedy()),
        ),
    }
}

/// Each webhook that needs somebody, up to some.
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
        let message = format!("None of {all} webhooks fails; {pending} deliveries are on their way");
        return vec![Finding::well("webhooks", message)];
    }
    let mut found: Vec<_> = unhealthy.iter().take(NAMED).map(one).collect();
    if let Some(more @ 1..) = unhealthy.len().checked_sub(NAMED) {
        let message = format!("{more} more webhooks need somebody");
        found.push(Finding::act("webhooks", message, "Mend those above, then run this again"));
    }
    found
}

fn one(webhook: &UnhealthyWebhook) -> Finding {
    let UnhealthyWebhook { id, org, off, last, failed, waiting } = webhook;
    let at = format!("/organization/{org}/webhooks/{id}");
    if let Some(why) = off {
        let (why, mend) = match why {
            Disabled::Overfull => (
                format!("{MOST_PENDING} deliveries were on their way to it"),
                "mend its receiver and switch it on (PUT)",
            ),
            Disabled::Gone | Disabled::Administrator => {
                ("its receiver said that it is gone".to_owned(), "give it a URL that is there and switch it on (PUT)")
            }
        };
        let message = format!("Webhook {id} of {org} is switched off: {why}");
        return Finding::act("webhooks", message, format!("DELETE {at}; or {mend}, then POST {at}/replay"));
    }
    let mut what = Vec::new();
    if let Some(last) = last {
        let came = match (last.status, &last.why) {
            (Some(status), _) => format!("was answered {status}"),
            (None, why) => why.as_ref().map_or_else(|| "failed".to_owned(), |why| format!("failed: {why}")),
        };
        what.push(format!("its last try, at {}, {came}", last.at));
    }
    if *failed > 0 {
        what.push(format!("{failed} of its deliveries were given up within a day"));
    }
    if let Some(since) = waiting {
        what.push(format!("something has been on its way to it since {since}"));
    }
    let mend = match last {
        Some(last) if last.status.is_none() => format!(
            "See that its URL (GET {at}) is right, and that this machine reaches it: its name, its port, its certificate"
        ),
        None if *failed == 0 => {
            "Start the server if it is stopped; if it runs, look at the key file and at its log".to_owned()
        }
        _ => format!("See what its receiver answered (GET {at}/deliveries) and mend that"),
    };
    let remedy = if *failed > 0 { format!("{mend}; then POST {at}/replay") } else { mend };
    Finding::act("webhooks", format!("Webhook {id} of {org}: {}", what.join("; ")), remedy)
}

fn webhooks(count: u32) -> String {
    if count == 1 { "1 webhook".to_owned() } else { format!("{count} webhooks") }
}

fn capital(phrase: &str) -> String {
    let mut chars = phrase.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
