//! What is remembered of an API key? Its digest, what it opens, and what people call it; never the secret.

use std::collections::HashMap;

use rusqlite::Row;

use super::{ReadTx, StoreError, user};
use crate::crypto::secret::TokenDigest;
use crate::domain::api_key::Standing;
use crate::domain::id::{ApiKeyId, OrgId, ProjectId};
use crate::domain::time::Time;

/// The columns of a standing, without the projects.
const STANDING: &str = "SELECT id, org, role, start_at, expire_at, disabled, digest FROM api_key";

/// What an API key opens, as it stands in this snapshot.
pub fn standing(tx: &ReadTx<'_>, id: ApiKeyId) -> Result<Option<Standing>, StoreError> {
    Ok(standing_and_digest(tx, id)?.map(|(_, standing)| standing))
}

/// The same, with the digest that it is known by.
pub(super) fn standing_and_digest(
    tx: &ReadTx<'_>,
    id: ApiKeyId,
) -> Result<Option<(TokenDigest, Standing)>, StoreError> {
    let found = tx.row(&format!("{STANDING} WHERE id = ?1"), [id.number()], known)?;
    let Some((digest, standing)) = found else { return Ok(None) };
    let projects =
        tx.rows("SELECT project FROM api_key_project WHERE api_key = ?1 ORDER BY project", [id.number()], |row| {
            Ok(ProjectId::from_bytes(row.get(0)?))
        })?;
    Ok(Some((digest, Standing { projects: projects.into(), ..standing })))
}

/// How many API keys the server has.
pub(super) fn count(tx: &ReadTx<'_>) -> Result<usize, StoreError> {
    let count: Option<i64> = tx.row("SELECT count(*) FROM api_key", [], |row| row.get(0))?;
    Ok(usize::try_from(count.unwrap_or(0)).unwrap_or(0))
}

/// Gives every API key of the server to `take`, with the digest that it is known by.
pub(super) fn for_each(tx: &ReadTx<'_>, mut take: impl FnMut(TokenDigest, Standing)) -> Result<(), StoreError> {
    let mut projects: HashMap<ApiKeyId, Vec<ProjectId>> = HashMap::new();
    let pairs = tx.rows("SELECT api_key, project FROM api_key_project ORDER BY api_key, project", [], |row| {
        Ok((id(row, 0)?, ProjectId::from_bytes(row.get(1)?)))
    })?;
    for (key, project) in pairs {
        projects.entry(key).or_default().push(project);
    }
    let mut statement = tx.conn.prepare(STANDING)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (digest, standing) = known(row)?;
        let projects = projects.remove(&standing.id).unwrap_or_default().into();
        take(digest, Standing { projects, ..standing });
    }
    Ok(())
}

/// What people call an API key.
pub fn name(tx: &ReadTx<'_>, id: ApiKeyId) -> Result<Option<String>, StoreError> {
    tx.row("SELECT name FROM api_key WHERE id = ?1", [id.number()], |row| row.get(0))
}

fn known(row: &Row<'_>) -> rusqlite::Result<(TokenDigest, Standing)> {
    let standing = Standing {
        id: id(row, 0)?,
        org: OrgId::from_bytes(row.get(1)?),
        role: user::role(row, 2)?,
        start: Time::from_millis(row.get(3)?),
        expire: row.get::<_, Option<i64>>(4)?.map(Time::from_millis),
        disabled: row.get(5)?,
        projects: Box::default(),
    };
    Ok((row.get(6)?, standing))
}

/// The id in a column; the schema allows no number that is not one.
fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<ApiKeyId> {
    let number = row.get(column)?;
    ApiKeyId::from_number(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}
