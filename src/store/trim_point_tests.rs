//! Tests that a trim point permits the removal of the entries it covers, and of no others. The schema alone enforces
//! this.

use super::schema_tests::database;
use super::schema_tests::limits::TRIM_POINT;

#[test]
fn a_trim_point_permits_deleting_only_what_it_covers() {
    let (_folder, conn) = database();
    conn.execute(&TRIM_POINT.replacen('%', "1, zeroblob(32)", 1), []).expect("an entry covers it");
    for (statement, refused) in [
        ("DELETE FROM audit WHERE id = 12", "append-only"),
        ("DELETE FROM audit WHERE id IN (1, 2)", "append-only"),
        ("UPDATE audit SET at = 1 WHERE id = 11", "append-only"),
        ("UPDATE trim_point SET seq = seq", "only moves forward"),
        ("UPDATE trim_point SET seq = 2", "only moves forward"),
        ("UPDATE trim_point SET chain = zeroblob(16)", "only moves forward"),
        ("DELETE FROM trim_point", "only moves forward"),
        ("REPLACE INTO trim_point SELECT * FROM trim_point", "only moves forward"),
    ] {
        let error = conn.execute(statement, []).expect_err(statement);
        assert!(error.to_string().contains(refused), "{statement}: {error}");
    }
    assert_eq!(conn.execute("DELETE FROM audit WHERE id = 11", []).expect("let go of"), 1);
    let marks: i64 = conn.query_row("SELECT count(*) FROM read_mark", [], |row| row.get(0)).expect("a count");
    assert_eq!(marks, 1, "what readers marked of it went with it");
}

#[test]
fn a_trim_point_stays_before_its_trim_entry_so_chains_keep_one_entry() {
    for moved in [false, true] {
        for (seq, taken) in [(2, true), (3, false), (1_000, false)] {
            let (_folder, conn) = database();
            if moved {
                conn.execute(&TRIM_POINT.replacen('%', "1, zeroblob(32)", 1), []).expect("an entry covers it");
            }
            conn.execute(
                "INSERT INTO audit SELECT 13, org, 3, at, actor_kind, actor_id, actor_name, action, context, context_id, project,
                change, outcome, address, request_id, json_set(detail, '$.seq', ?1), prev_hash, hash FROM audit WHERE id = 12",
                [seq],
            )
            .expect("added");
            let set = if moved {
                format!("UPDATE trim_point SET seq = {seq}")
            } else {
                TRIM_POINT.replacen('%', &format!("{seq}, zeroblob(32)"), 1)
            };
            assert_eq!(conn.execute(&set, []).is_ok(), taken, "{set}");
            assert!(conn.execute("DELETE FROM audit WHERE id = 13", []).is_err(), "{set}");
        }
    }
}
