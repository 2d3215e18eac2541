//! Tests of what queries select and count, at both sides of each condition.

use rusqlite::Connection;

use super::delivery::forget::expiring_with;
use super::webhook::unhealthy;
use super::writer_tests::subject::Subject;
use super::{
    ReadTx, StoreError, api_key, migrate, node, org_key, project, restore, secret, server, stats, user, webhook,
};
use crate::domain::event::Head;
use crate::domain::expiry::Span;
use crate::domain::id::{ApiKeyId, OrgId, OrgKeyId, ProjectId, SecretId, WebhookId};
use crate::domain::org_key::OrgKey;
use crate::domain::project::Project;
use crate::domain::secret::{Secret, SecretName};
use crate::domain::time::Time;
use crate::domain::webhook::{Disabled, Numbers, WebhookSettings};

/// Two organizations, each with one user, an audit log entry, and these rows. `#n` is an id that ends in the digit n.
fn database(rows: &str) -> Connection {
    let conn = Connection::open_in_memory().expect("a database");
    conn.execute_batch(migrate::SCHEMA).expect("the schema");
    conn.execute_batch(&orgs()).expect("organizations");
    conn.execute_batch(&numbered(rows)).expect(rows);
    conn
}

fn orgs() -> String {
    numbered(
        "INSERT INTO org (id, name, created_at) VALUES (#1, 'acme', 0), (#2, 'other', 0);
         INSERT INTO person VALUES (#1, #1, 'a@b', 'a@b', '', '', 255, 1, 0, NULL, NULL, NULL),
             (#2, #2, 'b@b', 'b@b', '', '', 255, 1, 0, NULL, NULL, NULL);
         INSERT INTO audit VALUES (1, #1, 1, 0, 'user', 'u', NULL, 'a', 4, 'c', NULL, 0, 'done', NULL, NULL, NULL, zeroblob(32),
             zeroblob(32));",
    )
}

fn numbered(rows: &str) -> String {
    (0..10).fold(rows.to_owned(), |rows, digit| {
        rows.replace(&format!("#{digit}"), &format!("x'{}{digit:02}'", "00".repeat(15)))
    })
}

const fn id(digit: u8) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[15] = digit;
    bytes
}

const fn at(millis: i64) -> Time {
    Time::from_millis(millis)
}

const SPAN: Span = (at(100), at(200));

#[test]
fn keys_and_nodes_are_counted_by_their_state_and_their_end() {
    let key = |digit: u8, end: &str| {
        format!(
            "INSERT INTO org_key (id, org, public_key, created_at, retire_at, deleted_at)
                 VALUES (#{digit}, #1, randomblob(300), 0, {end});
             INSERT INTO node VALUES (randomblob(16), #1, {digit}, {digit}, 'r', '', '', '', 0, #{digit}, 500, NULL, NULL);"
        )
    };
    let ends = ["NULL, NULL", "100, NULL", "101, NULL", "200, NULL", "201, NULL", "150, 1", "NULL, 1"];
    let rows: String = (1..).zip(ends).map(|(digit, end)| key(digit, end)).collect();
    let silent = "INSERT INTO node VALUES (#8, #2, 'a', 'a', 'r', '', '', '', 0, NULL, 499, NULL, 1),
        (#9, #2, 'b', 'b', 'r', '', '', '', 0, NULL, 500, 1, NULL), (#0, #2, 'c', 'c', 'r', '', '', '', 0, NULL, 500, NULL, 1);";
    let conn = database(&(rows + silent));
    let tx = ReadTx { conn: &conn };
    assert_eq!(stats::org_keys(&tx, SPAN.0).expect("read"), [1, 3, 1, 2], "active, retiring, retired and deleted");
    assert_eq!(stats::nodes_on_ending_keys(&tx, SPAN).expect("read"), 2);
    let in_use = org_key::ending::in_use(&tx, SPAN).expect("read");
    assert_eq!(in_use.iter().map(|(key, nodes)| (key.end, *nodes)).collect::<Vec<_>>(), [(at(101), 1), (at(200), 1)]);
    assert_eq!(stats::nodes(&tx).expect("read"), 9, "without the deleted one");
    let silent = |since| stats::silent_nodes(&tx, at(since)).expect("read");
    assert_eq!([498, 499, 500].map(silent), [0, 1, 9], "also those whose silence was announced");
}

#[test]
fn api_keys_that_expire_soon_are_counted_unless_they_are_disabled_or_were_rotated() {
    let ends =
        ["100, 0, NULL", "101, 0, NULL", "200, 0, NULL", "201, 0, NULL", "150, 1, NULL", "150, 0, 1", "NULL, 0, NULL"];
    let key = |end| {
        format!(
            "INSERT INTO api_key (org, digest, mask, name, note, role, created_at, start_at, expire_at, disabled, rotated_at)
             VALUES (#1, randomblob(32), 'oka_', 'a', '', 0, 0, 0, {end});"
        )
    };
    let conn = database(&ends.map(key).concat());
    assert_eq!(api_key::ending::count(&ReadTx { conn: &conn }, SPAN).expect("read"), 2);
}

#[test]
fn the_oldest_eight_of_the_expired_api_keys_give_way_first() {
    let key = |org: u8, end: u8| {
        format!(
            "INSERT INTO api_key (org, digest, mask, name, note, role, disabled, created_at, start_at, expire_at)
             VALUES (#{org}, randomblob(32), 'oka_', 'a', '', 0, 0, 0, 0, {end});"
        )
    };
    let rows: String = (1..=12).map(|number| key(1 + u8::from(number == 2), 100 + u8::from(number == 3))).collect();
    let conn = database(&rows);
    let found = api_key::ended(&ReadTx { conn: &conn }, OrgId::from_bytes(id(1)), at(100)).expect("read");
    let numbers: Vec<_> = found.into_iter().map(ApiKeyId::number).collect();
    assert_eq!(numbers, [1, 4, 5, 6, 7, 8, 9, 10], "2 is another organization's, and 3 has not ended");
}

/// A webhook with a last attempt, and its deliveries: state, creation and end.
fn webhook_with(digit: u8, values: &str, deliveries: &[&str]) -> String {
    let hook = format!(
        "INSERT INTO webhook (id, org, url, name, contexts, changes, secret, created_at, disabled, last_at, last_status)
         VALUES (#{digit}, #1, 'u', '', 0, 0, zeroblob(68), 0, {values});"
    );
    let delivery = |(state, made, ended): (&str, &str, &str)| {
        format!(
            "INSERT INTO delivery VALUES (randomblob(16), #{digit}, 1, '{state}', 0, 0, NULL, NULL, {made}, {ended});"
        )
    };
    let parts = deliveries.iter().map(|text| {
        let mut words = text.split(' ');
        let mut next = || words.next().expect("three words");
        delivery((next(), next(), next()))
    });
    hook + &parts.collect::<String>()
}

#[test]
fn a_webhook_needs_attention_for_each_reason_alone() {
    let well = ["delivered 1 101", "failed 1 100", "pending 50 NULL"];
    let rows = [
        webhook_with(1, "NULL, NULL, NULL", &well),
        webhook_with(2, "NULL, 5, 200", &well),
        webhook_with(3, "NULL, 5, 299", &well),
        webhook_with(4, "NULL, 5, 300", &well),
        webhook_with(5, "NULL, 5, NULL", &well),
        webhook_with(6, "NULL, 5, 200", &["failed 1 101", "failed 1 102", "failed 1 100"]),
        webhook_with(7, "NULL, 5, 200", &["pending 49 NULL", "pending 60 NULL"]),
        webhook_with(8, "'gone', 5, 410", &[]),
        webhook_with(9, "'administrator', 5, 500", &["failed 1 101", "pending 1 NULL"]),
    ];
    let conn = database(&rows.concat());
    let tx = ReadTx { conn: &conn };
    let found = unhealthy(&tx, at(100), at(50)).expect("read");
    let seen: Vec<_> = found
        .into_iter()
        .map(|hook| (hook.id.as_bytes()[15], hook.off, hook.last.map(|last| last.status), hook.failed, hook.waiting))
        .collect();
    let expected = [
        (4, None, Some(Some(300)), 0, None),
        (5, None, Some(None), 0, None),
        (6, None, None, 2, None),
        (7, None, None, 0, Some(at(49))),
        (8, Some(Disabled::Gone), Some(Some(410)), 0, None),
    ];
    assert_eq!(seen, expected);
    assert_eq!(stats::webhooks(&tx).expect("read"), (9, 3), "the last attempt failed, or the server disabled it");
    let (pending, oldest) = stats::deliveries(&tx).expect("read");
    assert_eq!((pending, oldest), (8, Some(at(49))), "the oldest of those that are not disabled");
}

#[test]
fn ids_that_the_clock_has_not_reached_are_found_in_each_table() {
    let late = "x'00000000007b70008000000000000001'";
    for (table, columns) in [
        ("org (id, name, created_at)", "'a', 0"),
        (
            "person (id, org, email, email_key, name, last_name, role, validated, created_at)",
            "#1, 'c@b', 'c@b', '', '', 0, 1, 0",
        ),
        ("token (id, person, digest, created_at)", "#1, zeroblob(32), 0"),
        ("org_key (id, org, public_key, created_at)", "#1, zeroblob(300), 0"),
        (
            "node (id, org, ip, ip_key, region, provider, status, version, services, last_contact)",
            "#1, 'i', 'i', 'r', '', '', '', 0, 0",
        ),
        ("project (id, org, name, created_at)", "#1, 'p', 0"),
        ("webhook (id, org, url, name, contexts, changes, secret, created_at)", "#1, 'u', '', 0, 0, zeroblob(68), 0"),
        ("delivery (id, webhook, event, state, due_at, attempts, created_at)", "#1, 1, 'pending', 0, 0, 0"),
    ] {
        let conn = database(&format!("INSERT INTO {table} VALUES ({late}, {columns})"));
        assert_eq!(server::last_id_at(&ReadTx { conn: &conn }).expect("read"), at(0x7b), "{table}");
    }
}

#[test]
fn the_first_owner_who_is_left_is_found_and_only_such_an_owner_has_a_password() {
    let conn = database(
        "INSERT INTO person VALUES (#3, #1, 'c@b', 'c@b', '', '', 254, 1, 0, NULL, 'hash', NULL);
         UPDATE person SET deleted_at = 0, deleted_by = 255, password = 'hash' WHERE id = #1",
    );
    let tx = ReadTx { conn: &conn };
    let first = user::first_owner(&tx).expect("read").map(|user| *user.as_bytes());
    assert_eq!((first, user::an_owner_has_a_password(&tx).expect("read")), (Some(id(2)), false));
    conn.execute("UPDATE person SET deleted_at = NULL, deleted_by = NULL", []).expect("activated");
    let first = user::first_owner(&tx).expect("read").map(|user| *user.as_bytes());
    assert_eq!((first, user::an_owner_has_a_password(&tx).expect("read")), (Some(id(1)), true));
}

#[test]
fn a_log_continues_a_backup_whose_last_entries_it_has_or_has_removed() {
    let conn = database(
        "DROP TRIGGER trim_point_is_covered_when_set;
         INSERT INTO trim_point VALUES (#1, 5, zeroblob(32)), (x'', 2, zeroblob(32));
         INSERT INTO audit VALUES (2, NULL, 3, 0, 'system', 's', NULL, 'a', NULL, NULL, NULL, NULL, 'done', NULL, NULL, NULL,
             zeroblob(32), zeroblob(32))",
    );
    let head = |org: &str, seq, hash: &str| Head { org: org.to_owned(), seq, hash: hash.repeat(32) };
    let [acme, other] = [1, 2].map(|digit| OrgId::from_bytes(id(digit)).to_string());
    for (heads, expected) in [
        (vec![], true),
        (vec![head("server", 3, "00")], true),
        (vec![head("server", 3, "01")], false),
        (vec![head("server", 2, "01")], true),
        (vec![head("server", 4, "00")], false),
        (vec![head(&acme, 5, "01")], true),
        (vec![head(&acme, 6, "01")], false),
        (vec![head(&other, 5, "01")], false),
        (vec![head("server", 3, "00"), head(&other, 1, "00")], false),
    ] {
        assert_eq!(restore::continues(&ReadTx { conn: &conn }, &heads).expect("read"), expected, "{heads:?}");
    }
}

#[test]
fn deliveries_that_only_report_failures_are_told_from_those_that_lose_something() {
    let delivery = |hook: u8, event: u8| {
        format!("INSERT INTO delivery VALUES (randomblob(16), #{hook}, {event}, 'pending', 0, 0, NULL, NULL, 0, NULL);")
    };
    let entry = |number: u8, action: &str| {
        format!(
            "INSERT INTO audit VALUES ({number}, #1, {number}, 0, 'user', 'u', NULL, '{action}', 4, 'c', NULL, 1, 'done', NULL, NULL,
                 NULL, zeroblob(32), zeroblob(32));"
        )
    };
    let rows = [
        entry(2, "webhook.failed") + &entry(3, "webhook.disabled") + &entry(4, "project.create"),
        [1, 2, 3, 4].map(|digit| webhook_with(digit, "NULL, NULL, NULL", &[])).concat(),
        [(1, 1), (1, 2), (2, 2), (2, 3), (3, 1), (3, 4), (4, 4)].map(|(hook, event)| delivery(hook, event)).concat(),
    ];
    let conn = database(&rows.concat());
    let found = expiring_with(&ReadTx { conn: &conn }, OrgId::from_bytes(id(1)), 3).expect("read");
    let found: Vec<_> =
        found.into_iter().map(|hook| (hook.webhook.as_bytes()[15], hook.count, hook.of_failure)).collect();
    assert_eq!(found, [(1, 2, false), (2, 2, true), (3, 1, false)]);
}

#[test]
fn keys_are_tried_newest_first_and_the_longest_silence_is_announced_first() {
    let rows = (1..4).map(|digit| {
        format!(
            "INSERT INTO org_key (id, org, public_key, created_at) VALUES (#{digit}, #1, randomblob(300), 0);
             INSERT INTO node VALUES (#{digit}, #1, {digit}, {digit}, 'r', '', '', '', 0, NULL, 10 - {digit}, NULL, NULL);"
        )
    });
    let conn = database(&rows.collect::<String>());
    let tx = ReadTx { conn: &conn };
    let keys = org_key::candidates(&tx, OrgId::from_bytes(id(1))).expect("read");
    assert_eq!(keys.iter().map(|(key, _)| key.as_bytes()[15]).collect::<Vec<_>>(), [3, 2, 1]);
    let silent = node::silent(&tx, at(9), 2).expect("read");
    assert_eq!(silent.iter().map(|node| node.id.as_bytes()[15]).collect::<Vec<_>>(), [3, 2]);
}

#[test]
fn what_other_organizations_have_does_not_count_toward_a_limit() {
    let subject = Subject::new();
    let filled = subject.store.write(|tx| {
        tx.conn.execute_batch(&orgs())?;
        let mut added = Vec::new();
        for digit in [1, 2, 3, 4] {
            let (bytes, org, made) = (id(digit), OrgId::from_bytes(id(digit.min(2))), at(0));
            let project = Project { id: ProjectId::from_bytes(bytes), org, name: "p".to_owned(), created_at: made };
            let name = SecretName::parse(&format!("s{digit}")).ok_or(StoreError::Busy)?;
            let secret =
                Secret { id: SecretId::from_bytes(bytes), org, name, region: None, bytes: 0, updated_at: made };
            let key = OrgKey::new(OrgKeyId::from_bytes(bytes), org, vec![digit; 300], made);
            added.push((
                project::insert(tx, &project, 2)?,
                secret::insert(tx, &secret, &[0; 36], 2)?,
                org_key::insert(tx, &key, 2)?,
            ));
        }
        Ok::<_, StoreError>(added)
    });
    let expected = [true, true, true, false].map(|fits| (fits, fits, fits));
    assert_eq!(filled.wait().expect("written"), expected, "one of the first, and two of the second organization");
}

#[test]
fn a_webhook_forgets_failures_with_its_url_and_ends_its_rest_when_its_receiver_may_be_back() {
    let subject = Subject::new();
    let state = subject.store.write(|tx| {
        tx.conn.execute_batch(&orgs())?;
        tx.conn.execute_batch(&numbered(&webhook_with(1, "NULL, 5, 500", &[])))?;
        let hook = WebhookId::from_bytes(id(1));
        let of = |url: &str, disabled| WebhookSettings {
            url: url.to_owned(),
            name: "another".to_owned(),
            contexts: Numbers::default(),
            changes: Numbers::default(),
            disabled,
        };
        let off = Some(Disabled::Administrator);
        let mut states: Vec<(bool, bool, u32, Option<i64>)> = Vec::new();
        for (settings, until) in [
            (Some(of("u", None)), None),
            (Some(of("v", None)), None),
            (Some(of("v", off)), None),
            (Some(of("v", off)), None),
            (Some(of("v", None)), None),
            (None, Some(at(7))),
            (None, None),
        ] {
            tx.execute("UPDATE webhook SET last_failed = zeroblob(16), failure_reported = 1, backoff_epoch = 0", [])?;
            match settings {
                Some(settings) => webhook::update(tx, hook, &settings)?,
                None => webhook::rotate(tx, hook, &[1; 68], until)?,
            }
            let sql = "SELECT last_failed IS NOT NULL, failure_reported, backoff_epoch, previous_until FROM webhook";
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            states.push(tx.row(sql, [], read)?.ok_or(StoreError::Busy)?);
        }
        Ok::<_, StoreError>(states)
    });
    let expected = [
        (true, true, 0, None),
        (false, false, 1, None),
        (true, true, 0, None),
        (true, true, 0, None),
        (true, true, 1, None),
        (true, true, 1, Some(7)),
        (true, true, 1, None),
    ];
    assert_eq!(state.wait().expect("written"), expected);
}
