//! Tests of the query plans of the statements that run most often, to notice a rewording that no longer uses an index.

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::migrate;
use super::sql_tests::statements;

/// A statement, or how one starts or ends, and the steps of its plan.
const PLANS: [(&str, &[&str]); 26] = [
    // A registration: the node by its address, inserting or refreshing it, the signature, and the audit log entry.
    (
        "FROM node WHERE org = ?1 AND ip_key = ?2",
        &["SEARCH node USING INDEX sqlite_autoindex_node_2 (org=? AND ip_key=?)"],
    ),
    ("UPDATE node SET ip = ", &["SEARCH node USING PRIMARY KEY (id=?)"]),
    ("INSERT INTO node", &["SCAN CONSTANT ROW", "SCALAR SUBQUERY 1", "SEARCH org USING PRIMARY KEY (id=?)"]),
    ("INSERT INTO used_signature", &[]),
    (
        "FROM used_signature WHERE signed_at < ?1 ORDER BY signed_at LIMIT ?2",
        &["SEARCH used_signature USING PRIMARY KEY (signed_at<?)"],
    ),
    (
        "SELECT seq, hash FROM audit WHERE org = ?1 ORDER BY seq DESC LIMIT 1",
        &["SEARCH audit USING INDEX audit_chain (org=?)"],
    ),
    (
        "SELECT seq, hash FROM audit WHERE org IS NULL ORDER BY seq DESC LIMIT 1",
        &["SEARCH audit USING INDEX audit_chain (org=?)"],
    ),
    ("SELECT max(id) FROM audit", &["SEARCH audit"]),
    ("INSERT INTO audit", &[]),
    // Authentication: by an access token, an API key, a refresh token, or an e-mail address and a password.
    (
        "WHERE token.digest = ?1",
        &[
            "SEARCH token USING INDEX sqlite_autoindex_token_2 (digest=?)",
            "SEARCH person USING PRIMARY KEY (id=?)",
            "SEARCH web_session USING PRIMARY KEY (token=?) LEFT-JOIN",
        ],
    ),
    ("disabled, digest FROM api_key WHERE id = ?1", &["SEARCH api_key USING INTEGER PRIMARY KEY (rowid=?)"]),
    (
        "WHERE refresh_token.digest = ?1",
        &[
            "SEARCH refresh_token USING PRIMARY KEY (digest=?)",
            "SEARCH token USING PRIMARY KEY (id=?)",
            "SEARCH person USING PRIMARY KEY (id=?)",
        ],
    ),
    (
        "FROM person WHERE email_key = ?1 AND deleted_at IS NULL",
        &["SEARCH person USING INDEX person_by_email (email_key=?)"],
    ),
    (
        "ORDER BY deleted_at DESC, id DESC LIMIT 1",
        &["SEARCH person USING INDEX person_deleted_by_email (email_key=? AND deleted_at>?)"],
    ),
    // The keys and the nodes of an organization.
    ("deleted_at FROM org_key WHERE org = ?1 ORDER BY id DESC", &["SEARCH org_key USING INDEX org_key_by_org (org=?)"]),
    (
        "SELECT id, retire_at FROM org_key WHERE org = ?1 AND deleted_at IS NULL ORDER BY id DESC",
        &["SEARCH org_key USING COVERING INDEX org_key_by_org (org=?)"],
    ),
    ("SELECT retire_at FROM org_key WHERE id = ?1 AND org = ?2", &["SEARCH org_key USING PRIMARY KEY (id=?)"]),
    (
        "SELECT count(*) FROM node WHERE org = ?1 AND deleted_at IS NULL",
        &["SEARCH node USING COVERING INDEX node_by_org (org=?)"],
    ),
    (
        "(SELECT id FROM node WHERE org = ?1 AND deleted_at IS NULL ORDER BY id DESC LIMIT ?2 OFFSET ?3) ORDER BY id DESC",
        &[
            "SEARCH node USING PRIMARY KEY (id=?)",
            "LIST SUBQUERY 1",
            "SEARCH node USING COVERING INDEX node_by_org (org=?)",
        ],
    ),
    // The deliveries that are due: of all webhooks, of one, and of one whose receiver was down.
    (
        "WHERE due IS NOT NULL ORDER BY due, id",
        &[
            "SCAN webhook",
            "CORRELATED SCALAR SUBQUERY 1",
            "SEARCH delivery USING COVERING INDEX delivery_due (webhook=?)",
            "CORRELATED SCALAR SUBQUERY 1",
            "SEARCH delivery USING COVERING INDEX delivery_due (webhook=?)",
            "USE TEMP B-TREE FOR ORDER BY",
        ],
    ),
    (
        "FROM delivery WHERE webhook = ?1 AND state = 'pending' ORDER BY due_at, id LIMIT ?2",
        &["SEARCH delivery USING INDEX delivery_due (webhook=?)"],
    ),
    (
        "due_at <= ?2 AND attempts > 0 ORDER BY due_at, delivery.id LIMIT ?3",
        &[
            "SEARCH delivery USING INDEX delivery_due (webhook=? AND due_at<?)",
            "SEARCH webhook USING PRIMARY KEY (id=?)",
            "SEARCH audit USING INTEGER PRIMARY KEY (rowid=?)",
        ],
    ),
    // The statistics: a count that is added, the counts of an organization, and the oldest ones.
    ("INSERT INTO hourly_count", &[]),
    (
        "FROM hourly_count WHERE org = ?1 AND hour BETWEEN ?2 AND ?3 ORDER BY hour, kind, outcome",
        &["SEARCH hourly_count USING PRIMARY KEY (org=? AND hour>? AND hour<?)"],
    ),
    (
        "SELECT 1 FROM hourly_count WHERE hour < ?1 LIMIT 1",
        &["SEARCH hourly_count USING COVERING INDEX hourly_count_by_hour (hour<?)"],
    ),
    ("UPDATE delivery SET state = ?2", &["SEARCH delivery USING PRIMARY KEY (id=?)"]),
];

#[test]
fn the_most_frequent_statements_keep_their_query_plans() {
    let conn = Connection::open_in_memory().expect("a database");
    conn.execute_batch(migrate::SCHEMA).expect("the schema");
    // As on every connection of the store: a plan does not depend on the bound values.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).expect("a setting");
    let statements = statements();
    for (part, expected) in PLANS {
        let is_part = |sql: &String| sql.starts_with(part) || sql.ends_with(part);
        let whole = statements.get(part);
        let found: Vec<_> = statements.iter().filter(|sql| whole.map_or(is_part(sql), |whole| *sql == whole)).collect();
        let [sql] = found[..] else { panic!("{part} is in {} statements: {found:#?}", found.len()) };
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a plan");
        let steps = statement.raw_query().mapped(|row| row.get::<_, String>(3)).collect::<Result<Vec<_>, _>>();
        assert_eq!(steps.expect("steps"), expected, "{sql}");
    }
}
