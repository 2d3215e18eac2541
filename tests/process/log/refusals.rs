//! API keys that are refused at a reverse proxy: counted, and logged once a minute.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::json;

use super::{api_key, last_answered, lines, told};
use crate::harness::{Home, Owner, Server, ask};

/// What a reverse proxy asks for a client. Returns the status.
fn asked(server: &Server, query: &str, client: &str, key: &str) -> u16 {
    let head = format!(
        "GET /api/api-keys/verify?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         X-Forwarded-For: {client}\r\nx-api-key: {key}\r\n\r\n"
    );
    ask(server.address, &head).expect("an answer").status
}

/// The counts in the log, by code and network. A minute may end between two calls.
fn counts(home: &Home) -> BTreeMap<(String, String), u64> {
    let mut counts = BTreeMap::new();
    for line in lines(home, "API keys were refused at a reverse proxy") {
        assert_eq!(line["level"], "INFO");
        let text = |name: &str| line[name].as_str().expect("text").to_owned();
        *counts.entry((text("errorCode"), text("network"))).or_default() += line["count"].as_u64().expect("a count");
    }
    counts
}

#[test]
fn a_flood_of_refused_api_keys_is_one_line_for_each_code_and_network() {
    let home = Home::new();
    let server = home.start_with(&mut home.serve(&["--trusted-proxy", "127.0.0.1"]));
    let owner = server.owner();
    let Owner { org, .. } = &owner;
    let (secret, _) = api_key(&server, &owner, 0);
    let unknown = home.done(&["token", "generate"]).trim().replace("okp_", "oka_");
    let query = format!("organization={org}");
    for _ in 0..200 {
        assert_eq!(asked(&server, &query, "203.0.113.7", &unknown), 401);
    }
    for client in ["2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"] {
        assert_eq!(asked(&server, &query, client, &unknown), 401);
    }
    for client in ["203.0.113.7", "198.51.100.1"] {
        assert_eq!(asked(&server, &format!("{query}&role=255"), client, &secret), 403);
        assert_eq!(asked(&server, &query, client, &secret), 200);
    }
    assert_eq!(server.stop().0, Some(0));
    let expected = [
        (("INSUFFICIENT_ROLE", "198.51.100.1"), 1),
        (("INSUFFICIENT_ROLE", "203.0.113.7"), 1),
        (("NOT_FOUND", "2001:db8:0:1::"), 1),
        (("NOT_FOUND", "2001:db8::"), 2),
        (("NOT_FOUND", "203.0.113.7"), 200),
    ];
    let expected = expected.map(|((code, network), count)| ((code.to_owned(), network.to_owned()), count));
    assert_eq!(counts(&home), BTreeMap::from(expected), "{}", home.log());
    let refused = lines(&home, "API keys were refused at a reverse proxy").len();
    assert!(refused <= 10, "{refused} lines for {} counts", counts(&home).len());
    let single = lines(&home, "answered").into_iter().filter(|line| line["operation"] == "verifyPresentedApiKey");
    assert_eq!(single.count(), 0, "single verifications are logged at debug only");
    for secret in [&secret, &unknown] {
        assert!(!home.log().contains(secret.as_str()), "{}", home.log());
    }
}

#[test]
fn the_number_of_networks_that_are_told_apart_is_limited() {
    let home = Home::new();
    let began = Instant::now();
    let server = home.start_with(&mut home.serve(&["--trusted-proxy", "127.0.0.1"]));
    let query = format!("organization={}", server.owner().org);
    for number in 0..100 {
        assert_eq!(asked(&server, &query, &format!("203.0.113.{number}"), ""), 401);
    }
    assert_eq!(server.stop().0, Some(0));
    let counts = counts(&home);
    assert_eq!(counts.values().sum::<u64>(), 100, "{counts:?}");
    // They are logged after half a minute, then once a minute, and at the stop. Between two calls, they are rarely logged;
    // then fewer are counted as `other`.
    let logged = 1 + began.elapsed().as_secs() / 30;
    let refused = lines(&home, "API keys were refused at a reverse proxy").len() as u64;
    assert!(refused <= 65 * logged, "{refused} lines: {counts:?}");
    let other = counts.get(&("NOT_FOUND".to_owned(), "other".to_owned())).copied().unwrap_or(0);
    assert!(logged > 1 || (other, counts.len()) == (36, 65), "{counts:?}");
}

#[test]
fn single_verifications_are_logged_at_debug() {
    let home = Home::new();
    let server = home.start_with(home.serve(&[]).env("ORGKEYS_LOG", "debug"));
    let owner = server.owner();
    let (secret, id) = api_key(&server, &owner, 0);
    let query = format!("organization={}", owner.org);
    let answered = || last_answered(&home, "verifyPresentedApiKey");
    let caller = (Some("api_key"), Some(id.as_str()));
    // A key that is not valid identifies nobody.
    let key = json!({ "apiName": "early", "hasExpireTime": false, "startDateTime": "2999-01-01T00:00:00Z" });
    let new = json!({ "listProjectsId": [], "roleId": 0, "userApiKey": key });
    let path = format!("/api/organizations/{}/api-keys", owner.org);
    let early = server.call("POST", &path, Some(&owner.token), Some(&new)).json()["result"]["apiKey"].clone();
    let early = early.as_str().expect("a secret");
    for (query, key, status, code, (kind, id)) in [
        (query.clone(), secret.as_str(), 200, None, caller),
        (query.clone(), early, 401, Some("NOT_YET_VALID"), (None, None)),
        (format!("{query}&role=255"), secret.as_str(), 403, Some("INSUFFICIENT_ROLE"), caller),
        (query, "", 401, Some("NOT_FOUND"), (None, None)),
    ] {
        assert_eq!(u64::from(asked(&server, &query, "203.0.113.7", key)), status);
        let line = answered();
        assert_eq!((told(&line), &line["level"]), ((status, code, kind, id), &json!("DEBUG")));
    }
}
