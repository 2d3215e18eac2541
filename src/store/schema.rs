//! Compares the schema of a file with `schema.sql`. SQLite executes whatever the file's schema says, so every text is
//! compared.

use std::sync::OnceLock;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::migrate;

/// A row of `sqlite_schema`: type, name, table and SQL text.
type Object = [Option<String>; 4];

/// Returns the first difference between the file's schema and that of the current version, if there is one.
pub(super) fn difference(conn: &Connection) -> rusqlite::Result<Option<String>> {
    let (expected, found) = (expected()?, objects(conn)?);
    let is_there = |object: &Object| found.iter().any(|other| other[..2] == object[..2]);
    if let Some(object) = expected.iter().find(|object| !found.contains(object)) {
        let how = if is_there(object) { "was changed" } else { "is missing" };
        return Ok(Some(format!("the {} of its schema {how}", name(object))));
    }
    if let Some(object) = found.iter().find(|object| !expected.contains(object)) {
        return Ok(Some(format!("its schema has the {}, which orgkeys did not create", name(object))));
    }
    // Where each object begins differs between files, but no two begin on the same page.
    let sql = "SELECT count(rootpage) <> count(DISTINCT rootpage)
        OR max(rootpage) > (SELECT page_count FROM pragma_page_count) FROM sqlite_schema WHERE rootpage > 0";
    let is_misplaced: bool = conn.query_row(sql, [], |row| row.get(0))?;
    Ok(is_misplaced.then(|| "its schema names a page that is not where its table or index begins".to_owned()))
}

/// The objects of the current version. They are the same for every database, so they are read once.
fn expected() -> rusqlite::Result<&'static [Object]> {
    static EXPECTED: OnceLock<Vec<Object>> = OnceLock::new();
    if EXPECTED.get().is_none() {
        let ours = Connection::open_in_memory()?;
        ours.execute_batch(migrate::SCHEMA)?;
        // Another thread may have been first; it read the same.
        let _ = EXPECTED.set(objects(&ours)?);
    }
    Ok(EXPECTED.get().map_or(&[], Vec::as_slice))
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
