//! Checks of the whole database that no table constraint can express.

use std::path::Path;

use super::audit::chain_name;
use super::{ReadTx, StoreError, view};
use crate::domain::id::{OrgId, WebhookId};

/// Queries for a chain that lacks something, by its organization's id (empty for the server's own), and the text that
/// reports it.
const CHAINS: [(&str, &str); 3] = [
    (
        "SELECT id FROM org WHERE NOT EXISTS (SELECT 1 FROM audit WHERE audit.org = org.id) ORDER BY id LIMIT 1",
        "the audit log has no entry of {}, although every organization has at least its creation: its chain was \
         removed",
    ),
    // Steps from one organization's entries to the next one's, without reading every entry.
    (
        "WITH RECURSIVE chain (org) AS (
             SELECT (SELECT org FROM audit WHERE org IS NOT NULL ORDER BY org LIMIT 1)
             UNION ALL
             SELECT (SELECT audit.org FROM audit WHERE audit.org > chain.org ORDER BY audit.org LIMIT 1)
             FROM chain WHERE org IS NOT NULL
         )
         SELECT org FROM chain WHERE org IS NOT NULL AND NOT EXISTS (SELECT 1 FROM org WHERE org.id = chain.org) LIMIT 1",
        "the audit log has entries of {}, but that organization does not exist: it was removed by hand",
    ),
    (
        "SELECT chain FROM trim_point WHERE NOT EXISTS (
             SELECT 1 FROM audit WHERE audit.org = trim_point.chain AND audit.seq > trim_point.seq
         ) AND NOT (length(chain) = 0 AND EXISTS (
             SELECT 1 FROM audit WHERE audit.org IS NULL AND audit.seq > trim_point.seq
         )) ORDER BY chain LIMIT 1",
        "{} has a trim point but no entry after it, although retention leaves the last one: its chain was removed",
    ),
];

/// Conditions on the whole file, and the text that reports a violation.
const FACTS: [(&str, &str); 4] = [
    ("SELECT count(*) = 1 FROM file_identity", "the table file_identity does not have exactly one row"),
    ("SELECT count(*) = 1 FROM server", "the table server does not have exactly one row"),
    // Retention leaves the last entry of each chain, so also the one with the highest id.
    (
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0) = coalesce((SELECT max(id) FROM audit), 0)",
        "the last entry of the audit log is not the last one that was written: the end of a chain was removed",
    ),
    (
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'api_key'), 0) >= coalesce((SELECT max(id) FROM api_key), 0)",
        "the highest API key id was lost, so ids of deleted keys would be issued again",
    ),
];

/// Returns what is missing from a database, if anything: the first problem.
pub fn problem(tx: &ReadTx<'_>) -> Result<Option<String>, StoreError> {
    for (sql, message) in CHAINS {
        let chain: Option<Vec<u8>> = tx.row(sql, [], |row| row.get(0))?;
        if let Some(chain) = chain {
            let org = <[u8; 16]>::try_from(chain).ok().map(OrgId::from_bytes);
            return Ok(Some(message.replace("{}", &chain_name(org))));
        }
    }
    for (sql, message) in FACTS {
        if tx.row(sql, [], |row| row.get::<_, bool>(0))? != Some(true) {
            return Ok(Some(message.to_owned()));
        }
    }
    Ok(None)
}

/// Returns rows that are inconsistent with each other, which SQLite's own integrity check does not look for: the first
/// problem.
pub(super) fn misfit(tx: &ReadTx<'_>) -> Result<Option<String>, StoreError> {
    let dangling = dangling(tx)?;
    dangling.map_or_else(|| miscounted(tx), |what| Ok(Some(what)))
}

/// Finds a stored count that limits rely on and that is wrong: of a webhook's pending deliveries, or of an
/// organization's nodes.
fn miscounted(tx: &ReadTx<'_>) -> Result<Option<String>, StoreError> {
    let webhooks = "SELECT id FROM webhook WHERE pending <>
        (SELECT count(*) FROM delivery WHERE delivery.webhook = webhook.id AND state = 'pending') LIMIT 1";
    let webhook = tx.row(webhooks, [], |row| Ok(WebhookId::from_bytes(row.get(0)?)))?;
    if let Some(id) = webhook {
        return Ok(Some(format!("the stored count of pending deliveries of {id} is wrong")));
    }
    let orgs = "SELECT id FROM org WHERE nodes <> (SELECT count(*) FROM node WHERE node.org = org.id) LIMIT 1";
    let org = tx.row(orgs, [], |row| Ok(OrgId::from_bytes(row.get(0)?)))?;
    Ok(org.map(|id| format!("the stored count of nodes of {id} is wrong")))
}

/// Finds a row that refers to a missing one.
fn dangling(tx: &ReadTx<'_>) -> Result<Option<String>, StoreError> {
    tx.row("SELECT \"table\", parent FROM pragma_foreign_key_check LIMIT 1", [], |row| {
        let (table, parent): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(format!("a row of {table} refers to a row of {parent} that does not exist"))
    })
}

/// Refuses a database of the current version that lacks something, and leaves it unchanged.
pub(super) fn check(path: &Path) -> Result<(), StoreError> {
    let conn = view::alone(path)?;
    let problem = problem(&ReadTx { conn: &conn }).map_err(|error| match error {
        // A page that cannot be read.
        StoreError::Internal(how) => StoreError::Damaged { path: path.to_owned(), how },
        other => other,
    });
    match problem? {
        Some(how) => Err(StoreError::Damaged { path: path.to_owned(), how }),
        None => Ok(()),
    }
}
