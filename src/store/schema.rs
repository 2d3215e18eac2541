//! Compares the schema of a file with `schema.sql`. SQLite executes whatever the file's schema says, so every text is
//! compared.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use sha2::{Digest, Sha256};

use super::migrate;
use crate::crypto::chain::hex;

/// The digest of the objects that `schema.sql` creates. Creating them, to compare with, takes longer than opening the file.
const EXPECTED: &str = "87d3bf2004e1775db0f24f600a69c4e4180837831bf20bb9d16ad3df4f1bac4d";

/// A row of `sqlite_schema`: type, name, table and SQL text.
type Object = [Option<String>; 4];

/// Returns the first difference between the file's schema and that of the current version, if there is one.
pub(super) fn difference(conn: &Connection) -> rusqlite::Result<Option<String>> {
    let found = objects(conn)?;
    if digest(&found) != EXPECTED
        && let Some(difference) = first_difference(&found)?
    {
        return Ok(Some(difference));
    }
    // Where each object begins differs between files, but no two begin on the same page.
    let sql = "SELECT count(rootpage) <> count(DISTINCT rootpage)
        OR max(rootpage) > (SELECT page_count FROM pragma_page_count) FROM sqlite_schema WHERE rootpage > 0";
    let is_misplaced: bool = conn.query_row(sql, [], |row| row.get(0))?;
    Ok(is_misplaced.then(|| "its schema names a page that is not where its table or index begins".to_owned()))
}

/// Names the first object that differs from those that `schema.sql` creates.
fn first_difference(found: &[Object]) -> rusqlite::Result<Option<String>> {
    let ours = Connection::open_in_memory()?;
    ours.execute_batch(migrate::SCHEMA)?;
    let expected = objects(&ours)?;
    let is_there = |object: &Object| found.iter().any(|other| other[..2] == object[..2]);
    if let Some(object) = expected.iter().find(|object| !found.contains(object)) {
        let how = if is_there(object) { "was changed" } else { "is missing" };
        return Ok(Some(format!("the {} of its schema {how}", name(object))));
    }
    let added = found.iter().find(|object| !expected.contains(object));
    Ok(added.map(|object| format!("its schema has the {}, which orgkeys did not create", name(object))))
}

/// SHA-256 over the objects, whatever their order, in hexadecimal.
fn digest(objects: &[Object]) -> String {
    let mut sorted: Vec<&Object> = objects.iter().collect();
    sorted.sort();
    let mut sha = Sha256::new();
    for text in sorted.into_iter().flatten() {
        // The length in front keeps one text apart from the next; no text has the length of a missing one.
        sha.update(text.as_ref().map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
        sha.update(text.as_deref().unwrap_or_default());
    }
    hex(&sha.finalize())
}

fn objects(conn: &Connection) -> rusqlite::Result<Vec<Object>> {
    // Statistics come from a manual ANALYZE and do no harm.
    let sql = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT GLOB 'sqlite_stat[134]'";
    conn.prepare(sql)?.query_map([], |row| Ok([text(row, 0)?, text(row, 1)?, text(row, 2)?, text(row, 3)?]))?.collect()
}

/// Reads a column as text. What damage made of a text differs from every text of the schema.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => None,
        ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Some(format!("bytes {}", String::from_utf8_lossy(bytes))),
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
    })
}

fn name([kind, name, ..]: &Object) -> String {
    let word = |word: &Option<String>| word.as_deref().unwrap_or("nameless").escape_debug().to_string();
    format!("{} {}", word(kind), word(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Connection {
        let conn = Connection::open_in_memory().expect("memory");
        conn.execute_batch(migrate::SCHEMA).expect("the schema");
        conn
    }

    #[test]
    fn the_digest_is_that_of_the_schema() {
        assert_eq!(digest(&objects(&ours()).expect("read")), EXPECTED, "put the digest on the left into EXPECTED");
    }

    #[test]
    fn the_first_differing_schema_object_is_named() {
        for (change, expected) in [
            ("", None),
            ("ANALYZE", None),
            (
                "DROP TRIGGER audit_is_never_changed",
                Some("the trigger audit_is_never_changed of its schema is missing"),
            ),
            ("DROP INDEX node_by_org", Some("the index node_by_org of its schema is missing")),
            ("ALTER TABLE org ADD note TEXT", Some("the table org of its schema was changed")),
            ("CREATE TABLE note (id)", Some("its schema has the table note, which orgkeys did not create")),
            (
                "DROP INDEX node_by_org; CREATE INDEX node_by_org ON node (org, id)",
                Some("the index node_by_org of its schema was changed"),
            ),
        ] {
            let conn = ours();
            conn.execute_batch(change).expect("changed");
            assert_eq!(difference(&conn).expect("read").as_deref(), expected, "{change}");
        }
    }

    #[test]
    fn a_page_that_is_not_where_an_object_begins_is_a_difference() {
        for root in ["(SELECT rootpage FROM sqlite_schema WHERE name = 'org')", "100000"] {
            let conn = ours();
            let sql = format!("UPDATE sqlite_schema SET rootpage = {root} WHERE name = 'secret'");
            conn.execute_batch(&format!("PRAGMA writable_schema = ON; {sql}")).expect("changed");
            let found = difference(&conn).expect("read").expect("a difference");
            assert!(found.contains("not where its table or index begins"), "{found}");
        }
    }

    #[test]
    fn invalid_utf8_in_the_schema_is_a_difference() {
        let conn = ours();
        conn.execute_batch(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = CAST(x'ff' || sql AS TEXT) WHERE name = 'org'",
        )
        .expect("changed");
        assert_eq!(difference(&conn).expect("read").as_deref(), Some("the table org of its schema was changed"));
    }
}
