//! Tests that the schema enforces its rules: each rule that a row can break is broken, next to the nearest row that
//! follows it.

pub(super) mod limits;

use rusqlite::Connection;

use self::limits::{LIMITS, NODE, TRIM_POINT};
use super::{connection, open};

/// A database with one of everything.
const ROWS: &str = "
    INSERT INTO org (id, name, created_at) VALUES (zeroblob(16), 'acme', 0);
    INSERT INTO person VALUES (zeroblob(16), zeroblob(16), 'a@b', 'a@b', '', '', 0, 1, 0, NULL, NULL, NULL);
    INSERT INTO token VALUES (zeroblob(16), zeroblob(16), zeroblob(32), 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    INSERT INTO project VALUES (zeroblob(16), zeroblob(16), 'p', 0);
    INSERT INTO api_key VALUES (1, zeroblob(16), zeroblob(32), 'oka_', 'a', '', 0, 0, NULL, 0, 0, NULL, NULL, NULL, NULL,
        NULL);
    INSERT INTO org_key (id, org, public_key, created_at) VALUES (zeroblob(16), zeroblob(16), zeroblob(294), 0);
    INSERT INTO secret VALUES (zeroblob(16), zeroblob(16), 's3', '', zeroblob(37), 1, 0);
    INSERT INTO node VALUES (zeroblob(16), zeroblob(16), 'ip', 'ip', 'r', '', '', '', 0, zeroblob(16), 0, NULL, NULL);
    INSERT INTO audit VALUES
        (1, zeroblob(16), 1, 0, 'user', 'u', NULL, 'a', 4, 'c', NULL, 0, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32));
    INSERT INTO audit VALUES
        (2, NULL, 1, 0, 'system', 's', NULL, 'a', NULL, NULL, NULL, NULL, 'refused', NULL, NULL, '{}', zeroblob(32), zeroblob(32));
    INSERT INTO read_mark VALUES (zeroblob(16), 1);
    INSERT INTO org (id, name, created_at) VALUES (x'0102030405060708090A0B0C0D0E0F10', 'trimmed', 0);
    INSERT INTO audit VALUES (11, x'0102030405060708090A0B0C0D0E0F10', 1, 0, 'user', 'u', NULL, 'a', 4, 'c', NULL, 0, 'done',
        NULL, NULL, NULL, zeroblob(32), zeroblob(32));
    INSERT INTO audit VALUES (12, x'0102030405060708090A0B0C0D0E0F10', 2, 0, 'system', 's', NULL, 'audit.trim', NULL, NULL,
        NULL, NULL, 'done', NULL, NULL, json_object('seq', 1, 'hash', hex(zeroblob(32))), zeroblob(32), zeroblob(32));
    INSERT INTO read_mark VALUES (zeroblob(16), 11);
    INSERT INTO webhook VALUES (zeroblob(16), zeroblob(16), 'u', '', 0, 0, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL,
        NULL, 0, 0, 0);
";

/// What must not be possible with any row.
const NEVER: [(&str, &str); 9] = [
    ("UPDATE audit SET action = 'b' WHERE id = 1", "append-only"),
    ("DELETE FROM audit WHERE id = 2", "append-only"),
    ("INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE id = 1", "append-only"),
    ("REPLACE INTO audit SELECT 9, org, seq, at, actor_kind, actor_id, actor_name, action, context, context_id, project,
        change, outcome, address, request_id, detail, prev_hash, hash FROM audit WHERE id = 1", "append-only"),
    ("DELETE FROM audit WHERE id = 11", "append-only"),
    ("INSERT INTO trim_point VALUES (zeroblob(16), 1, zeroblob(32))", "no entry covers"),
    ("INSERT INTO server VALUES (2, 0, NULL, 0, 0, 0, 0, 0, 0)", "CHECK"),
    ("INSERT INTO org (id, name, created_at) VALUES (NULL, 'a', 0)", "NOT NULL"),
    ("DELETE FROM org", "FOREIGN KEY"),
];

/// The columns that may be null, by table: everything else is always known.
const NULLABLE: [(&str, &str); 10] = [
    ("api_key", "expire_at rotated_at last_used last_address announced created_by"),
    ("audit", "org actor_name context context_id project change address request_id detail"),
    ("delivery", "last_status last_why ended_at"),
    ("node", "key deleted_at silent_at"),
    ("org_key", "retire_at successor announced deleted_at"),
    ("person", "deleted_at password deleted_by"),
    ("refresh_token", "used_at"),
    ("server", "unannounced_token"),
    ("token", "expires_at revoked_at last_used refresh_until device name announced"),
    ("webhook", "disabled previous_secret previous_until last_at last_status last_why last_failed"),
];

pub fn database() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("orgkeys.db");
    open::prepare(&path).expect("a database");
    let conn = connection::writing(&path).expect("a connection");
    conn.execute_batch(ROWS).expect("rows that keep every rule");
    (folder, conn)
}

#[test]
fn every_schema_rule_accepts_the_limit_and_refuses_beyond() {
    let (_folder, conn) = database();
    for (statement, good, bad) in LIMITS {
        let run = |value: &str| {
            let tx = conn.unchecked_transaction().expect("a transaction, undone at its end");
            tx.execute(&statement.replacen('%', value, 1), [])
        };
        assert_eq!(run(good).expect(good), 1, "{statement}");
        let error = run(bad).expect_err(bad);
        let refused = ["constraint failed", "cannot store TEXT value in BLOB column", "append-only", "no entry covers"];
        assert!(refused.iter().any(|text| error.to_string().contains(text)), "{bad}: {error}");
    }
}

#[test]
fn the_audit_log_is_append_only_and_rows_are_not_orphaned() {
    let (_folder, conn) = database();
    for (statement, refused) in NEVER {
        let error = conn.execute(statement, []).expect_err(statement);
        assert!(error.to_string().contains(refused), "{statement}: {error}");
    }
    conn.execute(
        "INSERT INTO audit SELECT 3, org, 2, at, actor_kind, actor_id, actor_name, action, context, context_id, project,
        change, outcome, address, request_id, detail, prev_hash, hash FROM audit WHERE id = 1",
        [],
    )
    .expect("added");
}

#[test]
fn deleting_a_key_clears_it_from_its_nodes() {
    let (_folder, conn) = database();
    conn.execute("DELETE FROM org_key", []).expect("deleted");
    let key: Option<Vec<u8>> = conn.query_row("SELECT key FROM node", [], |row| row.get(0)).expect("the node");
    assert_eq!(key, None);
}

#[test]
fn what_belongs_to_a_deleted_row_goes_with_it() {
    let (_folder, conn) = database();
    conn.execute_batch(
        "INSERT INTO refresh_token VALUES (zeroblob(32), zeroblob(16), 5); INSERT INTO web_session VALUES (zeroblob(16), 0);
         INSERT INTO project_member VALUES (zeroblob(16), zeroblob(16), 'OWNER');
         INSERT INTO api_key_project VALUES (1, zeroblob(16));
         INSERT INTO org_key (id, org, public_key, created_at, retire_at, successor)
             VALUES (x'01020304050607080910111213141516', zeroblob(16), zeroblob(300), 0, 1, zeroblob(16))",
    )
    .expect("rows");
    for (deleted, left) in [
        ("token", "SELECT (SELECT count(*) FROM refresh_token) + (SELECT count(*) FROM web_session)"),
        ("api_key", "SELECT count(*) FROM api_key_project"),
        ("project", "SELECT count(*) FROM project_member"),
        ("org_key", "SELECT count(successor) FROM org_key"),
    ] {
        conn.execute(&format!("DELETE FROM {deleted} WHERE id IN (zeroblob(16), 1)"), []).expect(deleted);
        let left: i64 = conn.query_row(left, [], |row| row.get(0)).expect("a number");
        assert_eq!(left, 0, "{deleted}");
    }
}

#[test]
fn only_what_may_be_unknown_is_nullable() {
    let (_folder, conn) = database();
    let sql = "SELECT t.name, group_concat(c.name, ' ' ORDER BY c.cid) FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
        WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND c.\"notnull\" = 0 AND c.pk = 0 GROUP BY t.name";
    let mut statement = conn.prepare(sql).expect("a statement");
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    let found: Vec<(String, String)> = found.map(|row| row.expect("text")).collect();
    assert_eq!(found, NULLABLE.map(|(table, columns)| (table.to_owned(), columns.to_owned())));
}

/// The limit on nodes is checked with every new node, so nodes must not be counted each time.
#[test]
fn the_node_counter_follows_every_change() {
    let (_folder, conn) = database();
    let another = NODE.replacen('%', "'i', 'i', 'r', '', '', '', 0, NULL, 0, NULL", 1);
    let refresh = "UPDATE node SET region = 'x', last_contact = 9";
    let delete = "UPDATE node SET deleted_at = 1, key = NULL";
    for (statement, nodes) in [(another.as_str(), 2), (refresh, 2), (delete, 2), ("DELETE FROM node WHERE ip = 'i'", 1)]
    {
        conn.execute(statement, []).expect(statement);
        let sql = "SELECT nodes FROM org WHERE id = zeroblob(16)";
        let counted: i64 = conn.query_row(sql, [], |row| row.get(0)).expect("the organization");
        assert_eq!(counted, nodes, "{statement}");
    }
    let others: i64 =
        conn.query_row("SELECT max(nodes) FROM org WHERE id <> zeroblob(16)", [], |row| row.get(0)).expect("a number");
    assert_eq!(others, 0);
}

/// The limit on pending deliveries is checked with every event, so they must not be counted each time.
#[test]
fn the_pending_counter_of_a_webhook_follows_every_change() {
    let (_folder, conn) = database();
    conn.execute(&TRIM_POINT.replacen('%', "1, zeroblob(32)", 1), []).expect("an entry covers it");
    let insert = |id: &str, event: u8, state: &str, ended: &str| {
        format!(
            "INSERT INTO delivery VALUES (x'{id:0>32}', zeroblob(16), {event}, '{state}', 0, 0, NULL, NULL, 0, {ended})"
        )
    };
    for (statement, pending) in [
        (insert("1", 1, "pending", "NULL"), 1),
        (insert("2", 1, "failed", "5"), 1),
        (insert("3", 1, "pending", "NULL"), 2),
        (insert("4", 11, "pending", "NULL"), 3),
        ("UPDATE delivery SET state = 'delivered', ended_at = 1 WHERE state = 'pending' AND event = 1".to_owned(), 1),
        ("UPDATE delivery SET state = 'failed' WHERE state = 'delivered'".to_owned(), 1),
        ("UPDATE delivery SET state = 'pending', ended_at = NULL WHERE state = 'failed'".to_owned(), 4),
        ("UPDATE delivery SET state = 'pending', due_at = 7".to_owned(), 4),
        ("DELETE FROM audit WHERE id = 11".to_owned(), 3),
        (
            "UPDATE delivery SET state = 'failed', ended_at = 1 WHERE id = x'00000000000000000000000000000002'"
                .to_owned(),
            2,
        ),
        ("DELETE FROM delivery WHERE state = 'failed'".to_owned(), 2),
        ("DELETE FROM delivery".to_owned(), 0),
    ] {
        conn.execute(&statement, []).expect(&statement);
        let counted: i64 = conn.query_row("SELECT pending FROM webhook", [], |row| row.get(0)).expect("the webhook");
        assert_eq!(counted, pending, "{statement}");
    }
    conn.execute(&insert("5", 1, "pending", "NULL"), []).expect("on its way");
    assert_eq!(conn.execute("DELETE FROM webhook", []).expect("deleted with it"), 1);
}

/// With every event the webhooks of its organization are read, so that must be an index lookup.
#[test]
fn the_outbox_is_read_only_through_its_indexes() {
    let (_folder, conn) = database();
    let plan = |sql: &str| {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a plan");
        let rows = statement.query_map([], |row| row.get::<_, String>(3)).expect("rows");
        rows.map(|row| row.expect("text")).collect::<Vec<_>>().join("; ")
    };
    let due = "SELECT id FROM delivery WHERE webhook = zeroblob(16) AND state = 'pending' ORDER BY due_at, id LIMIT 5";
    let waiting = "SELECT count(*), min(created_at) FROM delivery WHERE webhook = zeroblob(16) AND state = 'pending'";
    let ended = "SELECT id FROM delivery WHERE webhook = zeroblob(16) AND state = 'delivered' AND ended_at IS NOT NULL
        ORDER BY ended_at DESC, id DESC LIMIT 5 OFFSET 1000";
    let failed = "SELECT id FROM delivery WHERE webhook = zeroblob(16) AND ended_at >= 5 AND state = 'failed'
        ORDER BY ended_at, id LIMIT 5";
    let until = "SELECT id FROM delivery WHERE webhook = zeroblob(16) AND state = 'failed' AND ended_at IS NOT NULL
        AND (ended_at, id) <= (5, zeroblob(16)) ORDER BY ended_at, id LIMIT 5";
    for (sql, index) in [
        ("SELECT id FROM webhook WHERE org = zeroblob(16) AND disabled IS NULL", "webhook_by_org"),
        (due, "delivery_due"),
        (waiting, "COVERING INDEX delivery_due"),
        (ended, "COVERING INDEX delivery_ended"),
        (failed, "COVERING INDEX delivery_ended"),
        (until, "delivery_ended"),
        ("SELECT min(webhook) FROM delivery WHERE webhook > zeroblob(16)", "COVERING INDEX delivery_"),
    ] {
        let plan = plan(sql);
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE") && !plan.contains("SCAN"), "{sql}: {plan}");
    }
}
