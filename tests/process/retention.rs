//! A trimmed audit log outside of the server: verified, exported, backed up and restored.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use orgkeys::actions::open::open;
use orgkeys::actions::retention::Retention;
use orgkeys::actions::{admin, clock};
use orgkeys::domain::role::Role;
use orgkeys::domain::time::{Clock, Time};
use orgkeys::engine::environment::Environment;
use orgkeys::engine::limits::Limits;
use orgkeys::server::clock as system_clock;
use orgkeys::store::{Options, Room};
use serde_json::{Value, json};

use crate::harness::{Home, keys, now, objects, past_triggers, sqlite};

const DAY: i64 = 86_400_000;

struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A database whose organization was created twelve days ago and whose audit log is kept for a week, and the earlier
/// output of `audit head --json`.
fn trimmed() -> (Home, String) {
    let home = Home::new();
    let moved = Arc::new(Moved(AtomicI64::new(now().millis() - 12 * DAY)));
    let options = Options { path: home.database.clone(), readers: 1, room: Room::new(0, 0) };
    let open = || {
        let env = Environment::new(Arc::clone(&moved) as Arc<dyn Clock>, system_clock::system_seed);
        open(&options, Limits::default(), env).expect("a system").1
    };
    let system = open();
    let org = admin::create_org(&system, "acme").expect("an organization").id;
    admin::create_user(&system, &org.to_string(), "ada@example.org", Role::Owner, "", "").expect("a user");
    drop(system);
    let before = home.done(&["audit", "head", "--json"]);
    let system = open();
    for _ in 0..12 {
        moved.0.fetch_add(DAY, Ordering::SeqCst);
        clock::keep(&system).expect("kept");
    }
    admin::create_user(&system, &org.to_string(), "eve@example.org", Role::User, "", "").expect("a user");
    assert!(Retention::new(7).remove_old(&system).expect("removed") > 0);
    drop(system);
    (home, before)
}

#[test]
fn a_trimmed_log_verifies_and_lists_heads_it_could_not_compare() {
    let (home, before) = trimmed();
    assert!(home.done(&["audit", "verify"]).starts_with("The audit log is intact: "));
    let entry = objects(&home.done(&["audit", "export"]))[0].clone();
    assert_eq!(entry["seq"], 3, "two entries are gone");
    let first = json!({ "org": entry["org"], "seq": 2, "hash": entry["prevHash"] });
    assert_eq!(objects(&before), std::slice::from_ref(&first));
    home.write("head", first.to_string());
    let output = home.done(&["audit", "verify", "--head", "head"]);
    let hash = entry["prevHash"].as_str().expect("text");
    let org = entry["org"].as_str().expect("text");
    let line = format!("\nNot compared: {org} 2 {hash}, because retention removed it, as the chain itself records\n");
    assert!(output.ends_with(&line), "{output}");
    let output = objects(&home.done(&["audit", "verify", "--head", "head", "--json"]));
    assert_eq!(output[0]["removedByRetention"], json!([first]));
    home.write("log", home.done(&["audit", "export"]));
    home.done(&["audit", "verify", "--file", "log", "--head", "head"]);
    past_triggers(&home.database).execute_batch("DELETE FROM audit WHERE id = 3").expect("deleted by hand");
    let ran = home.run(&["audit", "verify"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("no audit.trim entry says that retention removed the earlier ones"), "{ran:?}");
}

#[test]
fn a_trimmed_log_can_be_backed_up_and_restored() {
    let (home, _) = trimmed();
    home.done(&["backup", "copy.db"]);
    home.done(&["restore", "copy.db"]);
    home.done(&["audit", "verify"]);
    let server = home.start();
    assert_eq!(server.call("GET", "/health", None, None).status, 200);
    assert_eq!(server.stop().0, Some(0));
    home.done(&["audit", "verify"]);
    let export = objects(&home.done(&["audit", "export"]));
    let actions: Vec<&Value> = export.iter().map(|entry| &entry["action"]).collect();
    assert!(actions.contains(&&json!("audit.trim")) && actions.contains(&&json!("server.restore")), "{actions:?}");
}

#[test]
fn clock_accept_resets_the_recorded_time() {
    let home = Home::new();
    drop(home.first_start());
    sqlite(&home.database).execute("UPDATE server SET high_water = 4102444800000", []).expect("ahead");
    let output = home.done(&["clock", "accept"]);
    assert!(output.contains("The database had recorded 2100-01-01T00:00:00.000Z"), "{output}");
    let high_water: i64 =
        sqlite(&home.database).query_row("SELECT high_water FROM server", [], |row| row.get(0)).expect("a time");
    assert!(high_water <= now().millis(), "{high_water}");
    let refused = ". Signed calls are refused for 15 minutes";
    assert!(output.contains(refused), "time goes back: {output}");
    let signed_after = || -> i64 {
        sqlite(&home.database).query_row("SELECT signed_after FROM server", [], |row| row.get(0)).expect("a time")
    };
    let until = signed_after();
    assert!((now().millis()..=now().millis() + 900_000).contains(&until), "{until}");
    // A second time, it changes nothing.
    let again = home.done(&["clock", "accept"]);
    assert!(again.starts_with("The clock is accepted: it is 2") && !again.contains(refused), "{again}");
    let json = objects(&home.done(&["clock", "accept", "--json"]))[0].clone();
    assert_eq!((keys(&json), &json["success"]), (vec!["success", "highWater", "now"], &json!(true)));
    assert!(json["highWater"].as_str() <= json["now"].as_str() && json["highWater"] != Value::Null, "{json}");
    assert_eq!(signed_after(), until, "signed calls were to wait already, and for no longer");
}

#[test]
fn a_restore_keeps_the_later_recorded_time() {
    let (home, _) = trimmed();
    home.done(&["backup", "copy.db"]);
    let later = now().millis() + 3_600_000;
    let set = "UPDATE server SET high_water = ?1, clock_ahead = ?1 + 1";
    sqlite(&home.database).execute(set, [later]).expect("later");
    home.done(&["restore", "copy.db"]);
    let look = "SELECT high_water, clock_ahead FROM server";
    let row = sqlite(&home.database).query_row(look, [], |row| Ok((row.get(0)?, row.get(1)?)));
    assert_eq!(row, Ok((later, later + 1)));
}

#[test]
fn audit_days_must_be_0_or_7_to_36500() {
    let home = Home::new();
    for (days, fits) in [("0", true), ("6", false), ("7", true), ("36500", true), ("36501", false)] {
        let ran = home.run(&["config", "--audit-days", days]);
        assert_eq!(ran.code == Some(0), fits, "{days}: {ran:?}");
    }
}
