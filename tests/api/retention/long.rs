//! A chain of 80,000 entries: removed in bounded steps, while others write.

use std::sync::Arc;

use orgkeys::actions::retention::{ENTRIES_PER_CHANGE, Retention, STEPS};
use orgkeys::crypto::chain;
use orgkeys::domain::audit::Entry;
use orgkeys::domain::id::OrgId;
use rusqlite::{Connection, params};

use super::{chain_of, days, file_verdict, verdict};
use crate::harness::{BEGIN, Server, blocking, entries};

#[tokio::test(flavor = "multi_thread")]
async fn a_long_chain_is_removed_in_bounded_steps_while_others_write() {
    const LONG: i64 = 80_000;
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let database = server.database.clone();
    let stopped = server.stop().await;
    let org = owner.org.clone();
    blocking(move || lengthen(&Connection::open(database).expect("the file"), &org, LONG)).await;
    let server = Arc::new(stopped.start().await);
    let beginning = entries(&server.database).await.len();
    days(&server, 9).await;
    let (system, retention) = (server.system.clone(), Arc::new(Retention::new(7)));
    let writes = system.app().writer_metrics().writes;
    let (first, second) = (system.clone(), Arc::clone(&retention));
    // One step is for the chain of the first organization, which got more tokens at the second start.
    let first_chain = beginning - 3 - usize::try_from(LONG).expect("a number");
    let most = usize::try_from(ENTRIES_PER_CHANGE * (STEPS - 1)).expect("a number") + first_chain;
    assert_eq!(blocking(move || second.remove_old(&first).expect("kept")).await, most, "one run is bounded");
    // In each of the two chains one change records the removal; the others remove no more than their limit.
    assert_eq!(system.app().writer_metrics().writes - writes, u64::from(STEPS) + 2);
    let half = verdict(&server, Vec::new()).await.expect("whole while it goes");
    assert!(half.entries > 30_000);
    let going = tokio::task::spawn_blocking(move || {
        let runs = (0..4).map(|_| retention.remove_old(&system).expect("kept")).collect::<Vec<_>>();
        // All entries of the first day.
        let all = usize::try_from(LONG).expect("a number") + 3 + first_chain;
        assert_eq!(runs.iter().sum::<usize>() + most, all, "{runs:?}");
    });
    for _ in 0..20 {
        server.events(&owner).await;
    }
    going.await.expect("gone");
    verdict(&server, Vec::new()).await.expect("whole");
    file_verdict(&server, Vec::new()).await.expect("whole");
    assert!(chain_of(&server, &owner.org).await.len() < 30);
}

/// Adds entries of an organization's first day to the end of its chain.
fn lengthen(conn: &Connection, org: &str, count: i64) {
    let id = OrgId::parse(org).expect("an id");
    let (mut seq, mut prev, mut last): (i64, chain::ChainHash, i64) = conn
        .query_row(
            "SELECT seq, hash, (SELECT max(id) FROM audit) FROM audit WHERE org = ?1 ORDER BY seq DESC LIMIT 1",
            [id.as_bytes()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .expect("a head");
    let tx = conn.unchecked_transaction().expect("a transaction");
    let mut insert = tx
        .prepare(
            "INSERT INTO audit (id, org, seq, at, actor_kind, actor_id, action, outcome, prev_hash, hash)
             VALUES (?1, ?2, ?3, ?4, 'system', 'system', 'test', 'done', ?5, ?6)",
        )
        .expect("a statement");
    for _ in 0..count {
        (seq, last) = (seq + 1, last + 1);
        let entry = Entry {
            id: last,
            org: org.to_owned(),
            seq,
            at: BEGIN,
            actor_kind: "system".to_owned(),
            actor_id: "system".to_owned(),
            actor_name: None,
            action: "test".to_owned(),
            context: None,
            context_id: None,
            project: None,
            change: None,
            outcome: "done".to_owned(),
            address: None,
            request_id: None,
            detail: None,
            prev_hash: String::new(),
            hash: String::new(),
        };
        let hash = chain::hash_entry(&prev, &entry);
        insert.execute(params![last, id.as_bytes(), seq, BEGIN, prev, hash]).expect("added");
        prev = hash;
    }
    drop(insert);
    tx.commit().expect("committed");
}
