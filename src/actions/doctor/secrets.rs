//! Checks whether the secrets for nodes can be decrypted.

use std::path::Path;

use super::{Finding, unreadable};
use crate::actions::key_file;
use crate::domain::secret::Secret;
use crate::store::backup::Snapshot;
use crate::store::{StoreError, secret};

/// The maximum number of secrets that are named; the rest are only counted.
const NAMED: usize = 20;

/// Reports the secrets that the key in the key file does not decrypt.
pub(super) fn readable(snapshot: &Snapshot, key_file: &Path) -> Finding {
    let read = snapshot.read(|tx| {
        let all = secret::sealed(tx, None)?.0;
        Ok::<_, StoreError>((all, key_file::unreadable(tx, key_file)?))
    });
    let (all, lost) = match read {
        Ok(read) => read,
        Err(error) => return unreadable("secrets", &error.into()),
    };
    if lost.is_empty() {
        return Finding::well("secrets", format!("Every secret for nodes can be decrypted ({all} in total)"));
    }
    let mut named: Vec<String> = lost.iter().take(NAMED).map(named).collect();
    if let Some(more @ 1..) = lost.len().checked_sub(NAMED) {
        named.push(format!("and {more} more"));
    }
    Finding::act(
        "secrets",
        format!("Secrets for nodes that cannot be decrypted: {}", named.join(", ")),
        "Restore the key file and restart the server; if it is lost, set them again (PUT \
        /organization/{idOrg}/secrets/{name}, or `orgkeys secret put NAME --text @FILE`) or delete them",
    )
}

fn named(secret: &Secret) -> String {
    let Secret { name, org, region, .. } = secret;
    match region {
        Some(region) => format!("{name} of {org} for the region {region}"),
        None => format!("{name} of {org}"),
    }
}
