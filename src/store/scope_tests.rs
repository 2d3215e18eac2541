//! Tests that a change concerns one user, one organization, and what is still valid.

use super::writer_tests::subject::Subject;
use super::{ReadTx, StoreError, audit, org_key, secret, token};
use crate::domain::id::{OrgId, SecretId, UserId};
use crate::domain::secret::{Secret, SecretName};
use crate::domain::time::Time;

const ORGS: &str = "INSERT INTO org (id, name, created_at) VALUES (zeroblob(16), 'acme', 0),
        (x'02020202020202020202020202020202', 'other', 0);
    INSERT INTO person VALUES (zeroblob(16), zeroblob(16), 'a@b', 'a@b', '', '', 255, 1, 0, NULL, NULL, NULL),
        (x'02020202020202020202020202020202', zeroblob(16), 'b@b', 'b@b', '', '', 255, 1, 0, NULL, NULL, NULL);";

const ORG: OrgId = OrgId::from_bytes([0; 16]);
const USER: UserId = UserId::from_bytes([0; 16]);

fn number(tx: &ReadTx<'_>, sql: &str) -> Result<i64, StoreError> {
    Ok(tx.row(sql, [], |row| row.get(0))?.unwrap_or(0))
}

#[test]
fn a_mark_is_removed_for_one_user_and_a_key_gives_way_to_those_of_its_organization() {
    let subject = Subject::new();
    let done = subject.store.write(|tx| {
        tx.conn.execute_batch(ORGS)?;
        tx.conn.execute_batch(
            "INSERT INTO audit VALUES (1, zeroblob(16), 1, 0, 'user', 'u', NULL, 'a', 4, 'c', NULL, 0, 'done', NULL, NULL, NULL,
                 zeroblob(32), zeroblob(32));
             INSERT INTO read_mark SELECT id, 1 FROM person;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3)
             INSERT INTO org_key (id, org, public_key, created_at, retire_at, deleted_at)
                 SELECT randomblob(16), org.id, randomblob(300), 0, i, iif(i = 1, 1, NULL) FROM n, org
                 UNION ALL SELECT randomblob(16), id, randomblob(300), 0, 1, 1 FROM org;",
        )?;
        let unmarked = audit::mark(tx, ORG, USER, &[1], false)?;
        org_key::give_way(tx, ORG, 1, 1, Time::from_millis(5))?;
        let left = "SELECT count(*) FROM org_key WHERE org";
        let keys = [number(tx, &format!("{left} = zeroblob(16)"))?, number(tx, &format!("{left} <> zeroblob(16)"))?];
        org_key::give_way(tx, ORG, 1, 1, Time::from_millis(5))?;
        Ok::<_, StoreError>((unmarked, number(tx, "SELECT count(*) FROM read_mark")?, keys, number(tx, "SELECT count(*) FROM org_key")?))
    });
    assert_eq!(done.wait().expect("written"), (1, 1, [2, 4], 6), "one retired and one deleted key may stay");
}

#[test]
fn only_a_valid_token_without_an_end_is_endless_and_a_new_text_has_its_own_length_and_time() {
    let subject = Subject::new();
    let done = subject.store.write(|tx| {
        tx.conn.execute_batch(ORGS)?;
        let sql = "INSERT INTO token (id, person, digest, created_at, expires_at, revoked_at)
             VALUES (randomblob(16), ?1, randomblob(32), 0, ?2, ?3)";
        let mut endless = Vec::new();
        for (person, end, revoked) in
            [([0; 16], Some(9), None), ([0; 16], None, Some(9)), ([2; 16], None, None), ([0; 16], None, None)]
        {
            tx.execute(sql, (person, end, revoked))?;
            endless.push(token::has_endless(tx, USER)?);
        }
        let name = SecretName::parse("s3").ok_or(StoreError::Busy)?;
        let at = |updated_at, bytes| Secret {
            id: SecretId::from_bytes([1; 16]),
            org: ORG,
            name: name.clone(),
            region: None,
            bytes,
            updated_at,
        };
        secret::insert(tx, &at(Time::from_millis(1), 0), &[0; 36], 1)?;
        secret::update(tx, &at(Time::from_millis(2), 4), &[0; 40])?;
        Ok::<_, StoreError>((endless, secret::list(tx, ORG)?))
    });
    let (endless, secrets) = done.wait().expect("written");
    assert_eq!(endless, [false, false, false, true]);
    assert_eq!(secrets.iter().map(|secret| (secret.bytes, secret.updated_at.millis())).collect::<Vec<_>>(), [(4, 2)]);
}
