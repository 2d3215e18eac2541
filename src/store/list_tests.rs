//! Tests of what long lists cost, in steps of SQLite's virtual machine.

use rusqlite::Connection;

use super::event_tests::counted;
use super::{ReadTx, api_key, delivery, migrate, node, session, user};
use crate::domain::delivery::State;
use crate::domain::id::{OrgId, UserId, WebhookId};
use crate::domain::node::NodeFilter;
use crate::domain::time::Time;

/// A database with one organization, user and webhook, ten sessions, `ended` ended sessions, and `others` users, nodes
/// and deliveries.
fn database(ended: u32, others: u32) -> Connection {
    let conn = Connection::open_in_memory().expect("a database");
    conn.execute_batch(migrate::SCHEMA).expect("the schema");
    let numbers = |most: u32| {
        format!("WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {most})")
    };
    let id = "CAST(printf('%016d', n) AS BLOB)";
    let (live, ended, others) = (numbers(10), numbers(ended), numbers(others));
    conn.execute_batch(&format!(
        "INSERT INTO org (id, name, created_at) VALUES (zeroblob(16), 'acme', 0);
         INSERT INTO person VALUES (zeroblob(16), zeroblob(16), 'a@b', 'a@b', '', '', 0, 1, 0, NULL, NULL, NULL);
         INSERT INTO webhook (id, org, url, name, contexts, changes, secret, created_at)
             VALUES (zeroblob(16), zeroblob(16), 'u', '', 0, 0, zeroblob(68), 0);
         INSERT INTO audit VALUES (1, zeroblob(16), 1, 0, 'user', 'u', NULL, 'a', 4, 'c', NULL, 0, 'done', NULL, NULL, NULL,
             zeroblob(32), zeroblob(32));
         {live} INSERT INTO token SELECT {id}, zeroblob(16), randomblob(32), n, 100, NULL, NULL, iif(n % 2, 100, NULL), NULL, NULL,
             NULL FROM numbers;
         {ended} INSERT INTO token SELECT randomblob(16), zeroblob(16), randomblob(32), n, iif(n % 3, 5, 100), iif(n % 2, 6, NULL),
             NULL, 7, NULL, NULL, NULL FROM numbers;
         {others} INSERT INTO person SELECT {id}, zeroblob(16), n || '@b', n || '@b', '', '', 0, 1, 0, iif(n % 2, 0, NULL), NULL,
             iif(n % 2, 255, NULL) FROM numbers;
         {others} INSERT INTO api_key SELECT n, zeroblob(16), randomblob(32), 'oka_', 'a', '', 0, 0, NULL, 0, 0, NULL, NULL, NULL, NULL,
             NULL FROM numbers;
         {others} INSERT INTO node SELECT {id}, zeroblob(16), n, n, 'r', '', '', '', 1, NULL, 0, iif(n % 2, 0, NULL), NULL FROM numbers;
         {others} INSERT INTO delivery SELECT {id}, zeroblob(16), 1, iif(n % 2, 'failed', 'pending'), 0, 0, NULL, NULL, 0,
             iif(n % 2, 0, NULL) FROM numbers"
    ))
    .expect("rows");
    conn
}

#[test]
fn the_cost_of_listing_sessions_does_not_depend_on_ended_ones() {
    let steps = [100, 5_000].map(|ended| {
        let conn = database(ended, 1);
        let (steps, sessions) = counted(&conn, |tx| {
            session::list(tx, UserId::from_bytes([0; 16]), Time::from_millis(50)).expect("sessions")
        });
        assert_eq!(sessions.len(), 10);
        steps
    });
    assert!(steps[1] <= steps[0] + steps[0] / 20, "{steps:?}");
}

/// A list of a database: how much of it is shown after skipping that many, and how much there is.
type List<'l> = &'l dyn Fn(&ReadTx<'_>, u32) -> (usize, i64);

/// Reading the table for each counted or skipped row takes a fifth more steps, and far more time.
#[test]
fn counted_and_skipped_rows_are_read_only_from_an_index() {
    let conn = database(1, 10_000);
    let (org, webhook) = (OrgId::from_bytes([0; 16]), WebhookId::from_bytes([0; 16]));
    let (every, since) = (NodeFilter::default(), Time::from_millis(0));
    let deliveries = |tx: &ReadTx<'_>, state, skip| {
        delivery::list(tx, webhook, state, skip, 10).map(|(page, total)| (page.len(), total)).expect("a page")
    };
    let people: List<'_> =
        &|tx, skip| user::page(tx, org, skip, 10).map(|(page, total)| (page.len(), total)).expect("a page");
    let nodes: List<'_> = &|tx, skip| {
        node::list(tx, org, &every, since, (skip, 10)).map(|(page, total)| (page.len(), total)).expect("a page")
    };
    // Which keys an owner can see is determined only for an owner.
    let api_keys: List<'_> = &|tx, skip| {
        let all = api_key::ApiKeyFilter { org, project: None, owner: None, skip, take: 10 };
        api_key::list(tx, all).map(|(page, total)| (page.len(), total)).expect("a page")
    };
    let lists: [(&str, u64, i64, List<'_>); 5] = [
        ("people", 5_000, 10_001, people),
        ("API keys", 9_000, 10_000, api_keys),
        ("nodes", 9_900, 5_000, nodes),
        ("deliveries", 7_000, 10_000, &|tx, skip| deliveries(tx, None, skip)),
        ("failed deliveries", 12_500, 5_000, &|tx, skip| deliveries(tx, Some(State::Failed), skip)),
    ];
    for (name, most, total, list) in lists {
        let (steps, found) = counted(&conn, |tx| list(tx, 4_900));
        assert_eq!(found, (10, total), "{name}");
        assert!(steps <= most, "{name}: {steps} tens of steps");
    }
}
