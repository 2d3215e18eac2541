//! Tests that the schema enforces its rules: each rule that a row can break is broken, next to the nearest row that
//! follows it.

use rusqlite::Connection;

use super::{connection, open};

/// A database with one of everything; `%` marks where a case inserts its value.
const ROWS: &str = "
    INSERT INTO org (id, name, created_at) VALUES (zeroblob(16), 'acme', 0);
    INSERT INTO person VALUES (zeroblob(16), zeroblob(16), 'a@b', 'a@b', '', '', 0, 1, 0, NULL, NULL, NULL);
    INSERT INTO token VALUES (zeroblob(16), zeroblob(16), zeroblob(32), 0, NULL, NULL, NULL, NULL, NULL);
    INSERT INTO project VALUES (zeroblob(16), zeroblob(16), 'p', 0);
    INSERT INTO api_key VALUES (1, zeroblob(16), zeroblob(32), 'oka_', 'a', '', 0, 0, NULL, 0, 0, NULL, NULL, NULL, NULL);
    INSERT INTO org_key VALUES (zeroblob(16), zeroblob(16), zeroblob(294), 0);
    INSERT INTO node VALUES (zeroblob(16), zeroblob(16), 'ip', 'r', '', '', '', 0, zeroblob(16), 0, NULL, NULL);
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

const ORG: &str = "INSERT INTO org (id, name, created_at) VALUES (x'01020304050607080910111213141516', %, 0)";
const USER: &str =
    "INSERT INTO person VALUES (x'01020304050607080910111213141516', zeroblob(16), %, 0, NULL, NULL, NULL)";
const TOKEN: &str =
    "INSERT INTO token VALUES (x'01020304050607080910111213141516', %, 0, NULL, NULL, NULL, NULL, NULL)";
const API_KEY: &str =
    "INSERT INTO api_key VALUES (2, zeroblob(16), randomblob(32), 'oka_', %, 0, 0, NULL, NULL, NULL, NULL)";
const KEY: &str = "INSERT INTO org_key VALUES (x'01020304050607080910111213141516', zeroblob(16), %, 0)";
const NODE: &str = "INSERT INTO node VALUES (x'01020304050607080910111213141516', zeroblob(16), %, NULL)";
const USED: &str = "INSERT INTO used_signature VALUES (0, %)";
pub const TRIM_POINT: &str = "INSERT INTO trim_point VALUES (x'0102030405060708090A0B0C0D0E0F10', %)";
const WEBHOOK: &str =
    "INSERT INTO webhook VALUES (x'01020304050607080910111213141516', zeroblob(16), %, NULL, 0, 0, 0)";
const DELIVERY: &str = "INSERT INTO delivery VALUES (x'01020304050607080910111213141516', %)";
const AUDIT: &str = "INSERT INTO audit VALUES (3, zeroblob(16), %)";

/// A statement, the last value that it accepts, and the first that it refuses.
const LIMITS: [(&str, &str, &str); 69] = [
    ("INSERT INTO org (id, name, created_at) VALUES (%, 'a', 0)", "x'01020304050607080910111213141516'", "x'010203040506070809101112131415'"),
    (ORG, "'a'", "''"),
    (ORG, "printf('%.100c', 'a')", "printf('%.101c', 'a')"),
    ("UPDATE org SET nodes = % WHERE id = zeroblob(16)", "0", "-1"),
    (USER, "'a@c', 'a@c', '', '', 255, 0", "'ac', 'ac', '', '', 255, 0"),
    (USER, "'a@c', 'a@c', '', '', 254, 0", "'a@c', 'a@c', '', '', 253, 0"),
    (USER, "'a@c', 'a@c', '', '', 2, 0", "'a@c', 'a@c', '', '', 3, 0"),
    (USER, "'a@c', 'a@c', '', '', 0, 1", "'a@c', 'a@c', '', '', 0, 2"),
    (USER, "'A@B', 'a@c', '', '', 0, 1", "'A@B', 'a@b', '', '', 0, 1"),
    (USER, "'a@c', 'a@c', printf('%.100c', 'a'), '', 0, 1", "'a@c', 'a@c', printf('%.101c', 'a'), '', 0, 1"),
    (USER, "'a@c', 'a@c', '', printf('%.100c', 'a'), 0, 1", "'a@c', 'a@c', '', printf('%.101c', 'a'), 0, 1"),
    (USER, "printf('%.254c', 'a'), 'a@c', '', '', 0, 1", "printf('%.255c', 'a'), 'a@c', '', '', 0, 1"),
    ("UPDATE person SET %", "deleted_at = 1, deleted_by = 254", "deleted_at = 1, deleted_by = 253"),
    ("UPDATE person SET %", "deleted_at = 1, deleted_by = 0", "deleted_at = 1, deleted_by = NULL"),
    ("UPDATE person SET %", "deleted_at = NULL, deleted_by = NULL", "deleted_at = NULL, deleted_by = 255"),
    (TOKEN, "zeroblob(16), randomblob(32)", "zeroblob(16), randomblob(31)"),
    (TOKEN, "zeroblob(16), randomblob(32)", "zeroblob(16), zeroblob(32)"),
    (TOKEN, "zeroblob(16), randomblob(32)", "randomblob(16), randomblob(32)"),
    (KEY, "zeroblob(256)", "zeroblob(255)"),
    (KEY, "zeroblob(1024)", "zeroblob(1025)"),
    (KEY, "zeroblob(256)", "'a text is no blob'"),
    (NODE, "'i', 'r', '', '', '', 7, NULL, 0, NULL", "'i', 'r', '', '', '', 8, NULL, 0, NULL"),
    (NODE, "'i', 'r', 'GCP', '', '', 0, NULL, 0, NULL", "'i', 'r', 'gcp', '', '', 0, NULL, 0, NULL"),
    (NODE, "'i', 'r', '', '', '', 0, NULL, 0, 0", "'i', 'r', '', '', '', 0, zeroblob(16), 0, 0"),
    (NODE, "'i', 'r', '', '', '', 0, zeroblob(16), 0, NULL", "'i', 'r', '', '', '', 0, randomblob(16), 0, NULL"),
    (NODE, "'i', 'r', '', '', '', 0, NULL, 0, NULL", "'ip', 'r', '', '', '', 0, NULL, 0, NULL"),
    (
        NODE,
        "printf('%.253c', 'a'), 'r', '', '', '', 0, NULL, 0, NULL",
        "printf('%.254c', 'a'), 'r', '', '', '', 0, NULL, 0, NULL",
    ),
    (
        NODE,
        "'i', printf('%.64c', 'a'), '', '', '', 0, NULL, 0, NULL",
        "'i', printf('%.65c', 'a'), '', '', '', 0, NULL, 0, NULL",
    ),
    (
        NODE,
        "'i', 'r', '', printf('%.32c', 'a'), printf('%.64c', 'a'), 0, NULL, 0, NULL",
        "'i', 'r', '', printf('%.33c', 'a'), printf('%.64c', 'a'), 0, NULL, 0, NULL",
    ),
    (USED, "zeroblob(32)", "zeroblob(33)"),
    (
        AUDIT,
        "2, 0, 'node', 'n', 'i', 'a', 13, 'n', NULL, 2, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
        "2, 0, 'robot', 'n', 'i', 'a', 13, 'n', NULL, 2, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
    ),
    (
        AUDIT,
        "2, 0, 'node', 'n', 'i', 'a', 13, 'n', NULL, 2, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
        "1, 0, 'node', 'n', 'i', 'a', 13, 'n', NULL, 2, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
    ),
    (
        AUDIT,
        "2, 0, 'node', 'n', 'i', 'a', 13, 'n', NULL, 2, 'done', NULL, NULL, '[]', zeroblob(32), zeroblob(32)",
        "2, 0, 'node', 'n', 'i', 'a', 13, 'n', NULL, 2, 'done', NULL, NULL, '[', zeroblob(32), zeroblob(32)",
    ),
    (
        AUDIT,
        "2, 0, 'node', 'n', 'i', 'a', 0, 'n', NULL, 2, 'refused', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
        "2, 0, 'node', 'n', 'i', 'a', 14, 'n', NULL, 2, 'refused', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
    ),
    (
        AUDIT,
        "2, 0, 'node', 'n', 'i', 'a', 0, 'n', NULL, 0, 'refused', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
        "2, 0, 'node', 'n', 'i', 'a', 0, 'n', NULL, 3, 'refused', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
    ),
    (
        AUDIT,
        "2, 0, 'node', 'n', 'i', 'a', 0, 'n', NULL, 0, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
        "2, 0, 'node', 'n', 'i', 'a', 0, 'c', NULL, 0, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
    ),
    (
        AUDIT,
        "2, 0, 'node', '', 'i', 'a', 0, NULL, NULL, 0, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
        "2, 0, 'node', 'n', 'i', 'a', 0, NULL, NULL, 0, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
    ),
    (
        AUDIT,
        "2, 0, 'user', 'u', NULL, 'a', NULL, 'c', NULL, NULL, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
        "2, 0, 'user', 'u', NULL, 'a', NULL, 'c', NULL, 0, 'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32)",
    ),
    (
        "INSERT INTO audit SELECT 3, NULL, %, 0, 'system', 's', NULL, 'a', NULL, NULL, NULL, NULL, 'done', NULL, NULL, NULL,
        zeroblob(32), zeroblob(32)",
        "2",
        "1",
    ),
    (API_KEY, "'a', '', 254, 0, NULL", "'a', '', 255, 0, NULL"),
    (API_KEY, "'a', '', 0, 5, 6", "'a', '', 0, 5, 5"),
    (API_KEY, "'a', printf('%.250c', 'a'), 0, 0, NULL", "'a', printf('%.251c', 'a'), 0, 0, NULL"),
    (API_KEY, "printf('%.100c', 'a'), '', 0, 0, NULL", "printf('%.101c', 'a'), '', 0, 0, NULL"),
    ("UPDATE api_key SET announced = %", "30", "29"),
    ("INSERT INTO api_key_project VALUES (%)", "1, zeroblob(16)", "1, randomblob(16)"),
    ("INSERT INTO project_member VALUES (%)", "zeroblob(16), zeroblob(16), 'EDITOR'", "zeroblob(16), zeroblob(16), 'OTHER'"),
    ("INSERT INTO invitation VALUES (zeroblob(16), %, 0)", "randomblob(32)", "randomblob(31)"),
    ("INSERT INTO refresh_token VALUES (%, NULL)", "randomblob(32), zeroblob(16)", "randomblob(32), randomblob(16)"),
    ("INSERT INTO wrong_password VALUES (NULL, 0, zeroblob(32), %)", "zeroblob(16)", "zeroblob(4)"),
    ("INSERT INTO known_network VALUES (zeroblob(16), %, 0)", "zeroblob(16)", "zeroblob(4)"),
    ("INSERT INTO read_mark VALUES (%)", "zeroblob(16), 2", "zeroblob(16), 3"),
    ("UPDATE server SET %", "signed_after = 0", "signed_after = -1"),
    ("UPDATE server SET %", "high_water = 0, clock_seen = 0, leapt_at = 0", "high_water = -1"),
    ("UPDATE server SET %", "clock_ahead = 0", "clock_ahead = -1"),
    (TRIM_POINT, "1, zeroblob(32)", "1, zeroblob(31)"),
    (TRIM_POINT, "1, zeroblob(32)", "2, zeroblob(32)"),
    (TRIM_POINT, "1, zeroblob(32)", "1, randomblob(32)"),
    (
        WEBHOOK,
        "printf('%.2048c', 'a'), '', 0, 0, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
        "printf('%.2049c', 'a'), '', 0, 0, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
    ),
    (
        WEBHOOK,
        "'u', printf('%.100c', 'a'), 0, 0, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
        "'u', printf('%.101c', 'a'), 0, 0, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
    ),
    (
        WEBHOOK,
        "'u', '', 16383, 0, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
        "'u', '', 16384, 0, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
    ),
    (
        WEBHOOK,
        "'u', '', 0, 7, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
        "'u', '', 0, 8, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
    ),
    (
        WEBHOOK,
        "'u', '', 0, 0, 'overfull', zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
        "'u', '', 0, 0, 'away', zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
    ),
    (
        WEBHOOK,
        "'u', '', 0, 0, NULL, zeroblob(68), NULL, NULL, 0, NULL, NULL, NULL",
        "'u', '', 0, 0, NULL, zeroblob(67), NULL, NULL, 0, NULL, NULL, NULL",
    ),
    (
        WEBHOOK,
        "'u', '', 0, 0, NULL, zeroblob(68), zeroblob(68), 1, 0, NULL, NULL, NULL",
        "'u', '', 0, 0, NULL, zeroblob(68), NULL, 1, 0, NULL, NULL, NULL",
    ),
    (
        DELIVERY,
        "zeroblob(16), 1, 'pending', 0, 0, NULL, NULL, 0, NULL",
        "zeroblob(15), 1, 'pending', 0, 0, NULL, NULL, 0, NULL",
    ),
    (
        DELIVERY,
        "zeroblob(16), 2, 'pending', 0, 0, NULL, NULL, 0, NULL",
        "zeroblob(16), 9, 'pending', 0, 0, NULL, NULL, 0, NULL",
    ),
    (
        DELIVERY,
        "zeroblob(16), 1, 'failed', 0, 0, NULL, NULL, 0, 5",
        "zeroblob(16), 1, 'lost', 0, 0, NULL, NULL, 0, 5",
    ),
    (
        DELIVERY,
        "zeroblob(16), 1, 'delivered', 0, 0, NULL, NULL, 0, 5",
        "zeroblob(16), 1, 'delivered', 0, 0, NULL, NULL, 0, NULL",
    ),
    (
        DELIVERY,
        "zeroblob(16), 1, 'pending', 0, 0, NULL, printf('%.200c', 'a'), 0, NULL",
        "zeroblob(16), 1, 'pending', 0, 0, NULL, printf('%.201c', 'a'), 0, NULL",
    ),
];

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

/// The limit on nodes is checked with every new node, so nodes must not be counted each time.
#[test]
fn the_node_counter_follows_every_change() {
    let (_folder, conn) = database();
    let another = NODE.replacen('%', "'i', 'r', '', '', '', 0, NULL, 0, NULL", 1);
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
