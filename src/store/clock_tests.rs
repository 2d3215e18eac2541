//! Tests of what a step back of the clock corrects in the store, row by row, next to what it leaves.

use std::time::Duration;

use super::clock::{Lives, pull_back};
use super::writer_tests::subject::Subject;
use super::{ReadTx, StoreError};
use crate::domain::time::Time;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// What the clock shows now, and what it showed before.
const NOW: i64 = 1_000 * DAY;
const AHEAD: i64 = 5_000 * DAY;

const LIVES: Lives = Lives {
    access: Duration::from_hours(1),
    refresh: Duration::from_hours(30 * 24),
    invitation: Duration::from_hours(72),
    overlap: Duration::from_hours(7 * 24),
};

/// Inserts rows, sets the clock back by a second, and compares the answers of the queries.
fn corrected(rows: String, expected: &[(&str, String)]) {
    let subject = Subject::new();
    let done = subject.store.write(move |tx| {
        tx.conn.execute_batch(
            "INSERT INTO org (id, name, created_at) VALUES (zeroblob(16), 'acme', 0);
             INSERT INTO person VALUES (zeroblob(16), zeroblob(16), 'a@b', 'a@b', '', '', 0, 1, 0, NULL, NULL, NULL),
                 (x'01010101010101010101010101010101', zeroblob(16), 'b@b', 'b@b', '', '', 0, 1, 0, NULL, NULL, NULL);",
        )?;
        tx.conn.execute_batch(&rows)?;
        pull_back(tx, Time::from_millis(NOW), Duration::from_secs(1), LIVES)
    });
    done.wait().expect("corrected");
    let ask = |tx: &ReadTx<'_>, sql: &str| tx.row(sql, [], |row| row.get::<_, String>(0));
    for (sql, answer) in expected {
        let found = subject.store.read(|tx| ask(tx, sql)).map_err(|error: StoreError| error.to_string());
        assert_eq!(found, Ok(Some(answer.clone())), "{sql}");
    }
}

/// All values of two columns, by the name of their row.
fn times(values: &[(i64, i64)]) -> String {
    values.iter().map(|(one, other)| format!("{one} {other}")).collect::<Vec<_>>().join(", ")
}

#[test]
fn what_was_made_with_the_clock_ahead_lasts_as_long_from_now_on() {
    let token = |id: u8, values: &str| {
        format!(
            "INSERT INTO token (id, person, digest, created_at, expires_at, refresh_until, last_used)
             VALUES (CAST(printf('%016d', {id}) AS BLOB), zeroblob(16), randomblob(32), {values});"
        )
    };
    let rows = [
        // Sessions: one made ahead, one whose refresh token alone lasts too long, and one that is left.
        token(1, &format!("{AHEAD}, {}, {}, {AHEAD}", AHEAD + HOUR, AHEAD + 30 * DAY)),
        token(2, &format!("{}, {}, {}, {}", NOW - 2, NOW + 1, NOW + 31 * DAY, NOW - 1)),
        token(3, &format!("{}, {}, {}, {}", NOW - 2, NOW + HOUR, NOW + 30 * DAY, NOW)),
        // Access tokens: one made ahead, one that was meant to last, and one without an end.
        token(4, &format!("{AHEAD}, {}, NULL, NULL", AHEAD + 7 * DAY)),
        token(5, &format!("{NOW}, {AHEAD}, NULL, NULL")),
        token(6, &format!("{AHEAD}, NULL, NULL, NULL")),
        format!(
            "INSERT INTO refresh_token SELECT randomblob(32), id, {AHEAD} FROM token WHERE CAST(id AS TEXT) LIKE '%1';
             INSERT INTO refresh_token SELECT randomblob(32), id, {NOW} - 5 FROM token WHERE CAST(id AS TEXT) LIKE '%2';
             INSERT INTO web_session SELECT id, {AHEAD} FROM token WHERE CAST(id AS TEXT) LIKE '%1';
             INSERT INTO web_session SELECT id, {NOW} - 5 FROM token WHERE CAST(id AS TEXT) LIKE '%2';
             INSERT INTO invitation VALUES (zeroblob(16), zeroblob(32), {AHEAD}),
                 (x'01010101010101010101010101010101', randomblob(32), {NOW} + 5);
             INSERT INTO wrong_password VALUES (1, {AHEAD}, zeroblob(32), zeroblob(16)), (2, {NOW} - 5, zeroblob(32), zeroblob(16));
             INSERT INTO known_network VALUES (zeroblob(16), zeroblob(16), {AHEAD}), (zeroblob(16), randomblob(16), {NOW} - 5);"
        ),
    ];
    let tokens = [
        (NOW + HOUR, NOW + 30 * DAY),
        (NOW + 1, NOW + 30 * DAY),
        (NOW + HOUR, NOW + 30 * DAY),
        (NOW + 7 * DAY, 0),
        (AHEAD, 0),
        (0, 0),
    ];
    let made = [(NOW, NOW), (NOW - 2, NOW - 1), (NOW - 2, NOW), (NOW, 0), (NOW, 0), (NOW, 0)];
    let both = times(&[(NOW - 5, NOW)]);
    corrected(
        rows.concat(),
        &[
            (
                "SELECT group_concat(coalesce(expires_at, 0) || ' ' || coalesce(refresh_until, 0), ', ' ORDER BY id) FROM token",
                times(&tokens),
            ),
            (
                "SELECT group_concat(created_at || ' ' || coalesce(last_used, 0), ', ' ORDER BY id) FROM token",
                times(&made),
            ),
            ("SELECT group_concat(used_at, ' ' ORDER BY used_at) FROM refresh_token", both.clone()),
            ("SELECT group_concat(password_at, ' ' ORDER BY password_at) FROM web_session", both.clone()),
            (
                "SELECT group_concat(expires_at, ' ' ORDER BY person DESC) FROM invitation",
                times(&[(NOW + 5, NOW + 3 * DAY)]),
            ),
            ("SELECT group_concat(at, ' ' ORDER BY at) FROM wrong_password", both.clone()),
            ("SELECT group_concat(at, ' ' ORDER BY at) FROM known_network", both),
        ],
    );
}

#[test]
fn nodes_deliveries_and_secrets_of_webhooks_wait_no_longer_than_they_should() {
    let webhook = |id: u8, until: i64| {
        format!(
            "INSERT INTO webhook (id, org, url, name, contexts, changes, secret, previous_secret, previous_until, created_at)
             VALUES (CAST(printf('%016d', {id}) AS BLOB), zeroblob(16), 'u', '', 0, 0, zeroblob(68), zeroblob(68), {until}, 0);"
        )
    };
    let rows = format!(
        "{} {}
         INSERT INTO node VALUES (randomblob(16), zeroblob(16), 'a', 'a', 'r', '', '', '', 0, NULL, {AHEAD}, NULL, {AHEAD}),
             (randomblob(16), zeroblob(16), 'b', 'b', 'r', '', '', '', 0, NULL, {NOW} - 2, NULL, {NOW} - 1);
         INSERT INTO audit VALUES (1, zeroblob(16), 1, 0, 'user', 'u', NULL, 'a', 4, 'c', NULL, 0, 'done', NULL, NULL, NULL,
             zeroblob(32), zeroblob(32));
         INSERT INTO delivery VALUES (randomblob(16), zeroblob(16), 1, 'pending', 5000, 0, NULL, NULL, 0, NULL),
             (randomblob(16), zeroblob(16), 1, 'pending', 999, 1, NULL, NULL, 0, NULL),
             (randomblob(16), zeroblob(16), 1, 'failed', 7000, 2, NULL, NULL, 0, 1);",
        webhook(1, AHEAD),
        webhook(2, NOW + 5),
    );
    corrected(
        rows,
        &[
            (
                "SELECT group_concat(previous_until, ' ' ORDER BY id DESC) FROM webhook",
                times(&[(NOW + 5, NOW + 7 * DAY)]),
            ),
            (
                "SELECT group_concat(last_contact || ' ' || coalesce(silent_at, 0), ', ' ORDER BY ip) FROM node",
                times(&[(NOW, 0), (NOW - 2, NOW - 1)]),
            ),
            ("SELECT group_concat(due_at, ' ' ORDER BY attempts) FROM delivery", "4000 0 7000".to_owned()),
        ],
    );
}

#[test]
fn only_what_was_rotated_or_begun_with_the_clock_ahead_gets_another_end_or_start() {
    let org_key = |id: u8, values: &str| {
        format!(
            "INSERT INTO org_key (id, org, public_key, created_at, retire_at, successor, announced, deleted_at)
             VALUES (CAST(printf('%016d', {id}) AS BLOB), zeroblob(16), randomblob(300), {values});"
        )
    };
    let api_key = |id: u8, values: &str| {
        format!(
            "INSERT INTO api_key (id, org, digest, mask, name, note, role, disabled, created_at, start_at, expire_at, rotated_at)
             VALUES ({id}, zeroblob(16), randomblob(32), 'oka_', 'a', '', 0, 0, {values});"
        )
    };
    let successor = "CAST(printf('%016d', 1) AS BLOB)";
    let rows = [
        org_key(1, &format!("{AHEAD}, NULL, NULL, NULL, NULL")),
        // Rotated with the clock ahead; ended before that; ended at once; with an end that was chosen; deleted.
        org_key(2, &format!("0, {}, {successor}, NULL, NULL", AHEAD + 7 * DAY)),
        org_key(3, &format!("0, {}, {successor}, NULL, NULL", AHEAD - 1)),
        org_key(4, &format!("0, {AHEAD}, NULL, 0, NULL")),
        org_key(5, &format!("0, {}, NULL, NULL, NULL", AHEAD + 9 * DAY)),
        org_key(6, &format!("0, NULL, NULL, NULL, {AHEAD}")),
        org_key(7, &format!("0, NULL, NULL, NULL, {}", NOW - 1)),
        api_key(1, &format!("{AHEAD}, {AHEAD}, NULL, NULL")),
        api_key(2, &format!("{AHEAD}, {}, {}, NULL", AHEAD + 5, AHEAD + 6)),
        api_key(3, &format!("0, 0, {}, {AHEAD}", AHEAD + HOUR)),
        api_key(4, &format!("0, {}, {}, {AHEAD}", NOW + DAY, AHEAD + HOUR)),
        api_key(5, &format!("0, 0, {AHEAD}, {NOW}")),
        api_key(6, &format!("{NOW}, 7, {AHEAD}, NULL")),
    ];
    let org_keys = [(NOW, 0), (0, NOW + 7 * DAY), (0, AHEAD - 1), (0, NOW), (0, AHEAD + 9 * DAY), (0, 0), (0, 0)];
    let starts = [(NOW, NOW), (NOW, AHEAD + 5), (0, 0), (0, NOW + DAY), (0, 0), (NOW, 7)];
    let ends = [(0, 0), (AHEAD + 6, 0), (NOW + HOUR, NOW), (NOW + DAY + 1, NOW), (AHEAD, NOW), (AHEAD, 0)];
    corrected(
        rows.concat(),
        &[
            (
                "SELECT group_concat(created_at || ' ' || coalesce(retire_at, 0), ', ' ORDER BY id) FROM org_key",
                times(&org_keys),
            ),
            ("SELECT group_concat(deleted_at, ' ' ORDER BY id DESC) FROM org_key", times(&[(NOW - 1, NOW)])),
            ("SELECT group_concat(created_at || ' ' || start_at, ', ' ORDER BY id) FROM api_key", times(&starts)),
            (
                "SELECT group_concat(coalesce(expire_at, 0) || ' ' || coalesce(rotated_at, 0), ', ' ORDER BY id) FROM api_key",
                times(&ends),
            ),
        ],
    );
}

#[test]
fn an_announcement_that_came_too_early_is_taken_back() {
    // How far the end is, what was announced, and what would have been by now.
    let of_credentials = [(40, 30, 0), (20, 7, 30), (3, 1, 7), (3, 7, 7), (30, 7, 30), (7, 1, 7)];
    let of_org_keys = [(10, 7, 0), (3, 1, 7), (3, 7, 7), (1, 1, 1), (7, 1, 7)];
    let mut rows = Vec::new();
    for (id, (days, announced, _)) in (1..).zip(of_credentials) {
        let end = NOW + days * DAY;
        rows.push(format!(
            "INSERT INTO token (id, person, digest, created_at, expires_at, announced)
                 VALUES (CAST(printf('%016d', {id}) AS BLOB), zeroblob(16), randomblob(32), 0, {end}, {announced});
             INSERT INTO api_key (id, org, digest, mask, name, note, role, disabled, created_at, start_at, expire_at, announced)
                 VALUES ({id}, zeroblob(16), randomblob(32), 'oka_', 'a', '', 0, 0, 0, 0, {end}, {announced});"
        ));
    }
    for (id, (days, announced, _)) in (1..).zip(of_org_keys) {
        let end = NOW + days * DAY;
        rows.push(format!(
            "INSERT INTO org_key (id, org, public_key, created_at, retire_at, announced)
                 VALUES (CAST(printf('%016d', {id}) AS BLOB), zeroblob(16), randomblob(300), 0, {end}, {announced});"
        ));
    }
    let listed = |cases: &[(i64, i64, i64)]| cases.iter().map(|case| case.2.to_string()).collect::<Vec<_>>().join(" ");
    corrected(
        rows.concat(),
        &[
            ("SELECT group_concat(coalesce(announced, 0), ' ' ORDER BY id) FROM token", listed(&of_credentials)),
            ("SELECT group_concat(coalesce(announced, 0), ' ' ORDER BY id) FROM api_key", listed(&of_credentials)),
            ("SELECT group_concat(coalesce(announced, 0), ' ' ORDER BY id) FROM org_key", listed(&of_org_keys)),
        ],
    );
}
