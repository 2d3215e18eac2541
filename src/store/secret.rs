//! Secrets: named texts that nodes fetch, sealed under the key of the key file.

use rusqlite::{Row, params};

use super::{ReadTx, StoreError, WriteTx};
use crate::crypto::sealed::KeyId;
use crate::domain::id::{OrgId, SecretId};
use crate::domain::secret::{Secret, SecretName};
use crate::domain::time::Time;

const COLUMNS: &str = "id, org, name, region, bytes, updated_at";

/// A secret with its sealed text.
#[derive(Clone, Debug)]
pub struct SealedSecret {
    /// The secret.
    pub secret: Secret,
    /// Its text, sealed for its id.
    pub text: Vec<u8>,
}

/// Inserts a secret; `false` if the organization has `most` already.
pub fn insert(tx: &WriteTx<'_>, secret: &Secret, text: &[u8], most: u32) -> Result<bool, StoreError> {
    let added = tx.execute(
        "INSERT INTO secret (id, org, name, region, sealed, bytes, updated_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE (SELECT count(*) FROM secret WHERE org = ?2) < ?8",
        params![
            secret.id.as_bytes(),
            secret.org.as_bytes(),
            secret.name.as_str(),
            secret.region.as_deref().unwrap_or_default(),
            text,
            secret.bytes,
            secret.updated_at.millis(),
            most
        ],
    )?;
    Ok(added == 1)
}

/// Replaces the text of a secret.
pub fn update(tx: &WriteTx<'_>, secret: &Secret, text: &[u8]) -> Result<(), StoreError> {
    let sql = "UPDATE secret SET sealed = ?2, bytes = ?3, updated_at = ?4 WHERE id = ?1";
    let values = params![secret.id.as_bytes(), text, secret.bytes, secret.updated_at.millis()];
    tx.execute(sql, values).map(drop)
}

/// Deletes a secret.
pub fn delete(tx: &WriteTx<'_>, id: SecretId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM secret WHERE id = ?1", [id.as_bytes()]).map(drop)
}

/// Returns the id of the secret with this name for exactly this region.
pub fn find(
    tx: &ReadTx<'_>,
    org: OrgId,
    name: &SecretName,
    region: Option<&str>,
) -> Result<Option<SecretId>, StoreError> {
    let sql = "SELECT id FROM secret WHERE org = ?1 AND name = ?2 AND region = ?3";
    let values = params![org.as_bytes(), name.as_str(), region.unwrap_or_default()];
    tx.row(sql, values, |row| Ok(SecretId::from_bytes(row.get(0)?)))
}

/// Returns the secrets of an organization by name, the one for every region first.
pub fn list(tx: &ReadTx<'_>, org: OrgId) -> Result<Vec<Secret>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM secret WHERE org = ?1 ORDER BY name, region");
    tx.rows(&sql, [org.as_bytes()], secret)
}

/// Returns the secrets for the nodes of a region, by name: the region's own where there is one, else those for every
/// region.
pub fn for_region(tx: &ReadTx<'_>, org: OrgId, region: &str) -> Result<Vec<SealedSecret>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, sealed FROM secret WHERE org = ?1 AND (region = ?2 OR region = '' AND NOT EXISTS (
             SELECT 1 FROM secret AS own WHERE own.org = ?1 AND own.name = secret.name AND own.region = ?2))
         ORDER BY name"
    );
    tx.rows(&sql, params![org.as_bytes(), region], |row| Ok(SealedSecret { secret: secret(row)?, text: row.get(6)? }))
}

/// Returns how many secrets there are, and how many are not sealed with this key.
pub fn sealed(tx: &ReadTx<'_>, key: Option<KeyId>) -> Result<(u32, u32), StoreError> {
    let sql = "SELECT count(*), count(*) FILTER (WHERE substr(sealed, 1, 8) <> ?1 OR ?1 IS NULL) FROM secret";
    Ok(tx.row(sql, params![key], |row| Ok((row.get(0)?, row.get(1)?)))?.unwrap_or_default())
}

/// Returns the secrets that are not sealed with this key, by organization and name.
pub fn unreadable(tx: &ReadTx<'_>, key: Option<KeyId>) -> Result<Vec<Secret>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM secret WHERE substr(sealed, 1, 8) <> ?1 OR ?1 IS NULL ORDER BY org, name, region"
    );
    tx.rows(&sql, params![key], secret)
}

fn secret(row: &Row<'_>) -> rusqlite::Result<Secret> {
    let region: String = row.get(3)?;
    Ok(Secret {
        id: SecretId::from_bytes(row.get(0)?),
        org: OrgId::from_bytes(row.get(1)?),
        // Only names that were parsed are stored.
        name: SecretName::parse(&row.get::<_, String>(2)?).ok_or(rusqlite::Error::InvalidQuery)?,
        region: (!region.is_empty()).then_some(region),
        bytes: row.get(4)?,
        updated_at: Time::from_millis(row.get(5)?),
    })
}
