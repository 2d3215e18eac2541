//! A key is rotated completely or not at all.

use std::thread;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::harness::{Home, Owner, Server, call};

/// Public keys whose private halves were thrown away.
const PUBLIC_KEYS: &str = include_str!("../api/rotation/public-keys.pem");

fn keys(server: &Server, owner: &Owner) -> Vec<Value> {
    let listed = server.call_as(owner, "GET", &format!("/organization/{}/key?retired=true", owner.org)).json();
    listed["data"].as_array().expect("keys").clone()
}

#[test]
fn a_key_has_its_successor_or_none_after_100_kills() {
    let home = Home::new();
    let mut server = home.start();
    let owner = server.owner();
    let begun = Instant::now();
    let (first, _) = server.key(&owner);
    // How long a call takes depends on what else runs, so the longest time before a kill follows from what came of the
    // kills before: about half of the rotations are interrupted.
    let mut longest = begun.elapsed();
    // More than an organization keeps: 5 that are retired and 10 that are deleted, in turn.
    let mut public_keys = PUBLIC_KEYS.split_inclusive("-----END PUBLIC KEY-----\n").cycle().peekable();
    let (mut active, mut rotated) = (first, 0);
    let mut rng = StdRng::seed_from_u64(7);
    for cycle in 0..100 {
        let (address, token) = (server.address, owner.token.clone());
        let path = format!("/organization/{}/key/{active}/rotate", owner.org);
        let body = json!({ "overlapSeconds": 60 * (rotated % 2), "publicKey": public_keys.peek() });
        let caller = thread::spawn(move || call(address, "POST", &path, Some(&token), Some(&body)));
        thread::sleep(longest.mul_f64(rng.random_range(0.0..1.0)));
        server.kill();
        let answered = caller.join().expect("it called").ok();
        server = home.start();
        let found = keys(&server, &owner);
        let of = |state: &str| found.iter().filter(|key| key["state"] == state).collect::<Vec<_>>();
        let [key] = of("active")[..] else { panic!("cycle {cycle}: {found:?}") };
        let id = key["id"].as_str().expect("an id").to_owned();
        if let Some(answer) = answered {
            assert_eq!((answer.status, answer.header("x-key-id")), (200, Some(id.clone())), "cycle {cycle}");
        }
        if id == active {
            assert_eq!((&key["successorId"], &key["retireAt"]), (&Value::Null, &Value::Null), "cycle {cycle}");
            longest = longest.mul_f64(1.25);
            continue;
        }
        longest = longest.mul_f64(0.8);
        public_keys.next();
        rotated += 1;
        let old = found.iter().find(|key| key["id"] == json!(active)).expect("the predecessor");
        assert_eq!(old["successorId"], json!(id), "cycle {cycle}: {old}");
        assert_ne!(old["state"], "active", "cycle {cycle}");
        active = id;
        // Retiring keys are deleted, so that there is always room for another.
        for key in of("retiring") {
            let path = format!("/organization/{}/key/{}", owner.org, key["id"].as_str().expect("an id"));
            assert_eq!(server.call_as(&owner, "DELETE", &path).status, 200);
        }
    }
    assert!((20..=80).contains(&rotated), "{rotated} of 100 rotations were not interrupted");
    assert_eq!(server.stop().0, Some(0));
    home.done(&["audit", "verify"]);
}
