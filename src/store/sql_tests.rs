//! Tests that SQLite and PostgreSQL accept every statement of the store. The store is to run on both one day, and what
//! only one of them understands is expensive to find out late.

mod postgres;
mod source;

use std::collections::BTreeSet;

use rusqlite::Connection;

use self::postgres::Postgres;
use self::source::SourceFiles;
use super::{event, migrate};

/// Statements about SQLite's file itself, by what they read: PostgreSQL is not given them.
const OF_SQLITE: [(&str, &str); 3] = [
    ("sqlite_schema", "what tables, indexes and triggers the file has"),
    ("sqlite_sequence", "which ids AUTOINCREMENT gave out last"),
    ("pragma_foreign_key_check", "rows that refer to none, which another program may have left in the file"),
];

/// Statements that PostgreSQL refuses or understands differently. Without them, a test that prepares nothing would
/// pass.
const REFUSED: [(&str, &str); 4] = [
    ("SELECT id FROM org WHERE ?1 IS NULL OR id = ?1", "could not determine data type of parameter"),
    ("SELECT iif(nodes > 0, 1, 0) FROM org", "function iif(boolean, integer, integer) does not exist"),
    ("SELECT count(*) FROM (SELECT 1 FROM org)", "subquery in FROM must have an alias"),
    ("SELECT id FROM node WHERE 30 * ?1 < last_contact", "a parameter of type integer"),
];

/// Every statement of the store: those in its sources, and those assembled for a search.
pub(super) fn statements() -> BTreeSet<String> {
    let sources = SourceFiles::of_store();
    let mut statements = sources.statements().expect("statements that can be read");
    assert!(statements.len() > 200, "only {} statements: the test looks in the wrong place", statements.len());
    statements.extend(event::texts());
    let unseen = sources.unseen(&statements);
    assert!(unseen.is_empty(), "this test does not see all of the SQL:\n{}", unseen.join("\n"));
    statements
}

#[test]
fn sqlite_accepts_every_statement() {
    let conn = Connection::open_in_memory().expect("a database");
    conn.execute_batch(migrate::SCHEMA).expect("the schema");
    for sql in statements() {
        conn.prepare(&sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    }
}

#[test]
fn postgresql_accepts_every_statement() {
    let Some(postgres) = Postgres::here() else { return };
    let is_of_sqlite = |sql: &String| OF_SQLITE.iter().any(|(what, _)| sql.contains(what));
    let portable = statements().into_iter().filter(|sql| !is_of_sqlite(sql));
    let asked: Vec<String> = portable.chain(REFUSED.map(|(sql, _)| sql.to_owned())).collect();
    let mut refused = postgres.refused(migrate::SCHEMA, &asked);
    for (sql, why) in REFUSED {
        let place = refused.iter().position(|other| other.sql == sql && other.why.starts_with(why));
        refused.remove(place.unwrap_or_else(|| panic!("PostgreSQL should say of {sql} that {why}: {refused:#?}")));
    }
    assert!(refused.is_empty(), "PostgreSQL refuses {} statements: {refused:#?}", refused.len());
}
