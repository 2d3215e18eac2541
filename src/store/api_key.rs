//! API keys: stored as the digest of the secret, the settings and the projects. The secret itself is never stored.

pub mod creator;
pub mod ending;

use std::collections::HashMap;

use rusqlite::{Row, params};

use super::touched::{LastUse, Touched};
use super::{ReadTx, StoreError, WriteTx};
use crate::crypto::secret::TokenDigest;
use crate::domain::api_key::{ApiKey, ApiKeySettings, ApiKeyStatus};
use crate::domain::id::{ApiKeyId, OrgId, ProjectId, UserId};
use crate::domain::role::Role;
use crate::domain::time::Time;

const COLUMNS: &str =
    "id, org, role, start_at, expire_at, disabled, name, note, mask, created_at, rotated_at, last_used,
    last_address, created_by";

/// The keys that a caller can see: all, or only those limited to projects of which `?2` is an owner.
const SEEN: &str = "FROM api_key WHERE org = ?1 AND ((
        EXISTS (SELECT 1 FROM api_key_project WHERE api_key = api_key.id)
        AND NOT EXISTS (SELECT 1 FROM api_key_project AS named WHERE named.api_key = api_key.id AND NOT EXISTS (
            SELECT 1 FROM project_member AS member
            WHERE member.project = named.project AND member.person = ?2 AND member.role = 'OWNER'))) OR ?2 IS NULL)";

/// Whether a key counts toward the limits at the moment `?1`: it has neither been rotated nor expired.
const COUNTS: &str = "rotated_at IS NULL AND (expire_at IS NULL OR expire_at > ?1)";

/// The columns of a key's status, without the projects.
const STANDING: &str = "SELECT id, org, role, start_at, expire_at, disabled, digest FROM api_key";

/// Returns the status of an API key in this snapshot.
pub fn standing(tx: &ReadTx<'_>, id: ApiKeyId) -> Result<Option<ApiKeyStatus>, StoreError> {
    Ok(standing_and_digest(tx, id)?.map(|(_, standing)| standing))
}

/// Returns the status together with the digest of the secret.
pub(super) fn standing_and_digest(
    tx: &ReadTx<'_>,
    id: ApiKeyId,
) -> Result<Option<(TokenDigest, ApiKeyStatus)>, StoreError> {
    let found = tx.row(&format!("{STANDING} WHERE id = ?1"), [id.number()], known)?;
    let Some((digest, standing)) = found else { return Ok(None) };
    Ok(Some((digest, ApiKeyStatus { projects: projects(tx, id)?, ..standing })))
}

/// Returns how many API keys the server has.
pub(super) fn count(tx: &ReadTx<'_>) -> Result<usize, StoreError> {
    let count: Option<i64> = tx.row("SELECT count(*) FROM api_key", [], |row| row.get(0))?;
    Ok(usize::try_from(count.unwrap_or(0)).unwrap_or(0))
}

/// Calls `take` with the digest and the status of every API key of the server.
pub(super) fn for_each(tx: &ReadTx<'_>, mut take: impl FnMut(TokenDigest, ApiKeyStatus)) -> Result<(), StoreError> {
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
        take(digest, ApiKeyStatus { projects, ..standing });
    }
    Ok(())
}

/// Returns the name of an API key.
pub fn name(tx: &ReadTx<'_>, id: ApiKeyId) -> Result<Option<String>, StoreError> {
    tx.row("SELECT name FROM api_key WHERE id = ?1", [id.number()], |row| row.get(0))
}

/// The values of a new API key.
pub struct New<'a> {
    /// The organization that the key belongs to.
    pub org: OrgId,
    /// The settings.
    pub terms: &'a ApiKeySettings,
    /// The digest of the secret.
    pub digest: &'a TokenDigest,
    /// The masked secret.
    pub mask: &'a str,
    /// When the key is created.
    pub at: Time,
    /// The user who creates it.
    pub by: Option<UserId>,
}

/// A limit on live keys, as of a moment.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// The maximum number of live keys.
    pub most: u32,
    /// The moment at which keys are counted.
    pub at: Time,
}

/// Selects API keys to list.
#[derive(Clone, Copy, Debug)]
pub struct ApiKeyFilter {
    /// Keys of this organization.
    pub org: OrgId,
    /// Keys that name this project, if given.
    pub project: Option<ProjectId>,
    /// Keys that are limited to projects of this owner, if given.
    pub owner: Option<UserId>,
    /// How many keys to skip.
    pub skip: u32,
    /// How many keys to return.
    pub take: u32,
}

/// Inserts a key without its projects; `None` if the organization has reached its limit.
pub fn insert(tx: &WriteTx<'_>, new: &New<'_>, limit: Option<Limit>) -> Result<Option<ApiKeyId>, StoreError> {
    let New { org, terms, digest, mask, at, by } = new;
    let sql = format!(
        "INSERT INTO api_key (org, digest, mask, name, note, role, start_at, expire_at, disabled, created_at, created_by)
         SELECT ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13
         WHERE (SELECT count(*) FROM api_key WHERE org = ?3 AND {COUNTS}) < ?2 OR ?2 IS NULL RETURNING id"
    );
    let added = tx.returning(
        &sql,
        params![
            limit.map(|limit| limit.at.millis()),
            limit.map(|limit| limit.most),
            org.as_bytes(),
            *digest,
            *mask,
            terms.name,
            terms.note,
            terms.role.number(),
            terms.window.start.millis(),
            terms.window.end.map(Time::millis),
            terms.disabled,
            at.millis(),
            by.as_ref().map(UserId::as_bytes)
        ],
        |row| id(row, 0),
    )?;
    if let Some(id) = added {
        tx.touches.add(Touched::ApiKey(id));
    }
    Ok(added)
}

/// Replaces the settings of a key; `false` if the organization has reached its limit.
pub fn update(
    tx: &WriteTx<'_>,
    id: ApiKeyId,
    terms: &ApiKeySettings,
    limit: Option<Limit>,
) -> Result<bool, StoreError> {
    tx.touches.add(Touched::ApiKey(id));
    let sql = format!(
        "UPDATE api_key SET name = ?4, note = ?5, role = ?6, start_at = ?7, expire_at = ?8, disabled = ?9,
             announced = CASE WHEN expire_at = ?8 OR (expire_at IS NULL AND ?8 IS NULL) THEN announced END
         WHERE id = ?3 AND ((SELECT count(*) FROM api_key AS other WHERE other.org = api_key.org AND {COUNTS}) < ?2
             OR ?2 IS NULL)"
    );
    let changed = tx.execute(
        &sql,
        params![
            limit.map(|limit| limit.at.millis()),
            limit.map(|limit| limit.most),
            id.number(),
            terms.name,
            terms.note,
            terms.role.number(),
            terms.window.start.millis(),
            terms.window.end.map(Time::millis),
            terms.disabled
        ],
    )?;
    Ok(changed == 1)
}

/// Adds a project to a key; `false` if the project has reached its limit.
pub fn join(tx: &WriteTx<'_>, id: ApiKeyId, project: ProjectId, limit: Option<Limit>) -> Result<bool, StoreError> {
    tx.touches.add(Touched::ApiKey(id));
    let sql = format!(
        "INSERT INTO api_key_project (api_key, project) SELECT ?3, ?4 WHERE (
            SELECT count(*) FROM api_key_project AS other JOIN api_key ON api_key.id = other.api_key
            WHERE other.project = ?4 AND {COUNTS}) < ?2 OR ?2 IS NULL"
    );
    let (at, most) = (limit.map(|limit| limit.at.millis()), limit.map(|limit| limit.most));
    let added = tx.execute(&sql, params![at, most, id.number(), project.as_bytes()])?;
    Ok(added == 1)
}

/// Removes a project from a key. A key without projects is valid for the whole organization, so another project must
/// remain or be added.
pub fn leave(tx: &WriteTx<'_>, id: ApiKeyId, project: ProjectId) -> Result<(), StoreError> {
    tx.touches.add(Touched::ApiKey(id));
    let sql = "DELETE FROM api_key_project WHERE api_key = ?1 AND project = ?2";
    tx.execute(sql, params![id.number(), project.as_bytes()]).map(drop)
}

/// Removes a project from every key that names it. Deletes the keys that named no other project, and returns their ids.
pub(super) fn leave_all(tx: &WriteTx<'_>, project: ProjectId) -> Result<Vec<ApiKeyId>, StoreError> {
    let named = "SELECT named.api_key FROM api_key_project AS named WHERE named.project = ?1";
    let alone = format!(
        "{named} AND NOT EXISTS (SELECT 1 FROM api_key_project AS other
            WHERE other.api_key = named.api_key AND other.project <> ?1) ORDER BY named.api_key"
    );
    let alone = tx.rows(&alone, [project.as_bytes()], |row| id(row, 0))?;
    for key in tx.rows(named, [project.as_bytes()], |row| id(row, 0))? {
        tx.touches.add(Touched::ApiKey(key));
    }
    for key in &alone {
        tx.execute("DELETE FROM api_key WHERE id = ?1", [key.number()])?;
    }
    tx.execute("DELETE FROM api_key_project WHERE project = ?1", [project.as_bytes()])?;
    Ok(alone)
}

/// Marks a key as rotated and sets its end. The schema requires a start before the end, so a later start is moved to
/// just before it.
pub fn rotate(tx: &WriteTx<'_>, id: ApiKeyId, end: Time, now: Time) -> Result<(), StoreError> {
    tx.touches.add(Touched::ApiKey(id));
    let sql = "UPDATE api_key SET rotated_at = ?3, expire_at = ?2, start_at = CASE WHEN start_at < ?2 THEN start_at ELSE ?2 - 1 END
        WHERE id = ?1";
    tx.execute(sql, params![id.number(), end.millis(), now.millis()]).map(drop)
}

/// Returns how many keys of an organization count toward no limit.
pub fn count_spent(tx: &ReadTx<'_>, org: OrgId, now: Time) -> Result<u32, StoreError> {
    let sql = format!("SELECT count(*) FROM api_key WHERE org = ?2 AND NOT ({COUNTS})");
    Ok(tx.row(&sql, params![now.millis(), org.as_bytes()], |row| row.get(0))?.unwrap_or(0))
}

/// Returns up to 8 of the keys that have expired, oldest first.
pub fn ended(tx: &ReadTx<'_>, org: OrgId, now: Time) -> Result<Vec<ApiKeyId>, StoreError> {
    let sql = "SELECT id FROM api_key WHERE org = ?1 AND expire_at <= ?2 ORDER BY id LIMIT 8";
    tx.rows(sql, params![org.as_bytes(), now.millis()], |row| id(row, 0))
}

/// Deletes a key.
pub fn delete(tx: &WriteTx<'_>, id: ApiKeyId) -> Result<(), StoreError> {
    tx.touches.add(Touched::ApiKey(id));
    tx.execute("DELETE FROM api_key WHERE id = ?1", [id.number()]).map(drop)
}

/// Records when and from where a key was last used.
pub fn touch(tx: &WriteTx<'_>, id: ApiKeyId, (at, address): LastUse) -> Result<(), StoreError> {
    let sql = "UPDATE api_key SET last_used = ?2, last_address = ?3 WHERE id = ?1";
    tx.execute(sql, params![id.number(), at.millis(), address.map(|address| address.to_string())]).map(drop)
}

/// Returns the key of an organization with this id, if `owner` can see it.
pub fn find(tx: &ReadTx<'_>, org: OrgId, id: ApiKeyId, owner: Option<UserId>) -> Result<Option<ApiKey>, StoreError> {
    let sql = format!("SELECT {COLUMNS} {SEEN} AND id = ?3");
    let found = tx.row(&sql, params![org.as_bytes(), owner.as_ref().map(UserId::as_bytes), id.number()], api_key)?;
    found.map(|key| with_projects(tx, key)).transpose()
}

/// Returns the selected keys, newest first, and the total number.
pub fn list(tx: &ReadTx<'_>, wanted: ApiKeyFilter) -> Result<(Vec<ApiKey>, i64), StoreError> {
    let ApiKeyFilter { org, project, owner, skip, take } = wanted;
    let (owner, project) = (owner.as_ref().map(UserId::as_bytes), project.as_ref().map(ProjectId::as_bytes));
    let fits = format!("{SEEN} AND (id IN (SELECT api_key FROM api_key_project WHERE project = ?3) OR ?3 IS NULL)");
    let total =
        tx.row(&format!("SELECT count(*) {fits}"), params![org.as_bytes(), owner, project], |row| row.get(0))?;
    let sql = format!("SELECT {COLUMNS} {fits} ORDER BY id DESC LIMIT ?4 OFFSET ?5");
    let keys = tx.rows(&sql, params![org.as_bytes(), owner, project, take, skip], api_key)?;
    let keys = keys.into_iter().map(|key| with_projects(tx, key)).collect::<Result<_, _>>()?;
    Ok((keys, total.unwrap_or(0)))
}

/// Returns the highest role among the keys that name a project and have not expired.
pub fn highest_role(tx: &ReadTx<'_>, project: ProjectId, now: Time) -> Result<Option<Role>, StoreError> {
    tx.row(
        "SELECT role FROM api_key_project JOIN api_key ON api_key.id = api_key
         WHERE project = ?1 AND (expire_at IS NULL OR expire_at > ?2) ORDER BY role DESC LIMIT 1",
        params![project.as_bytes(), now.millis()],
        |row| row.get(0),
    )
}

/// Returns the projects that a key is limited to, ordered by id.
pub fn projects(tx: &ReadTx<'_>, id: ApiKeyId) -> Result<Box<[ProjectId]>, StoreError> {
    let sql = "SELECT project FROM api_key_project WHERE api_key = ?1 ORDER BY project";
    Ok(tx.rows(sql, [id.number()], |row| Ok(ProjectId::from_bytes(row.get(0)?)))?.into())
}

fn with_projects(tx: &ReadTx<'_>, key: ApiKey) -> Result<ApiKey, StoreError> {
    let projects = projects(tx, key.standing.id)?;
    Ok(ApiKey { standing: ApiKeyStatus { projects, ..key.standing }, ..key })
}

fn api_key(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    let time = |column| row.get::<_, Option<i64>>(column).map(|millis| millis.map(Time::from_millis));
    Ok(ApiKey {
        standing: standing_in(row)?,
        name: row.get(6)?,
        note: row.get(7)?,
        mask: row.get(8)?,
        created_at: Time::from_millis(row.get(9)?),
        rotated_at: time(10)?,
        last_used: time(11)?,
        last_address: row.get(12)?,
        created_by: row.get::<_, Option<[u8; 16]>>(13)?.map(UserId::from_bytes),
    })
}

fn known(row: &Row<'_>) -> rusqlite::Result<(TokenDigest, ApiKeyStatus)> {
    Ok((row.get(6)?, standing_in(row)?))
}

/// Reads the first six columns of a row; the projects are added later.
fn standing_in(row: &Row<'_>) -> rusqlite::Result<ApiKeyStatus> {
    Ok(ApiKeyStatus {
        id: id(row, 0)?,
        org: OrgId::from_bytes(row.get(1)?),
        role: row.get(2)?,
        start: Time::from_millis(row.get(3)?),
        expire: row.get::<_, Option<i64>>(4)?.map(Time::from_millis),
        disabled: row.get(5)?,
        projects: Box::default(),
    })
}

/// Reads an id from a column; the schema permits no invalid one.
fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<ApiKeyId> {
    let number = row.get(column)?;
    ApiKeyId::from_number(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}
