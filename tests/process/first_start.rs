//! The first start: interrupted anywhere, it is completed by the next one, and ends with one working owner's token.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use orgkeys::actions::bootstrap::{self, FirstOwner, Start};
use orgkeys::actions::open::open;
use orgkeys::config::{Flags, Texts, resolve};
use orgkeys::server::{self, clock};
use orgkeys::store::open;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use secrecy::ExposeSecret;

use crate::harness::{Home, Server, integrity, mode, now, run, shown, spawn};

/// The status of a profile request with this token.
fn profile(server: &Server, token: &str) -> u16 {
    server.call("GET", "/user/profile", Some(token), None).status
}

/// Runs the first start in this process up to its commit, and loses the token before it is shown.
fn organization_without_a_shown_token(database: &Path) -> String {
    let flags = Flags::default().with("database", database.display().to_string());
    let settings = resolve(&flags, &Texts::new(), None).expect("settings").settings;
    let options = server::store_options(&settings);
    let (_, system) = open(&options, server::limits(&settings), clock::system()).expect("a system");
    let first = FirstOwner { org_name: "acme".to_owned(), email: "ada@example.org".to_owned(), token: None };
    let Start::Show { token, .. } = bootstrap::start(&system, &first).expect("a start") else { panic!("no token") };
    token.expose_secret().to_owned()
}

#[test]
fn the_token_is_printed_once_on_stdout_and_the_files_are_private() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    assert_eq!(profile(&server, &owner.token), 200);
    for file in ["orgkeys.db", "orgkeys.db-wal", "orgkeys.db-shm", "orgkeys.db.lock", "orgkeys.db.key"] {
        assert_eq!(mode(&home.path(file)), 0o600, "{file}");
    }
    // Three lines to paste, each with the token, which is also printed above them.
    assert_eq!(server.shown.matches(&owner.token).count(), 4, "{}", server.shown);
    assert!(server.shown.contains(&format!("http://{}/user/profile", server.address)), "{}", server.shown);
    assert_eq!(server.stop(), (Some(0), String::new()));
    let server = home.start();
    assert_eq!((server.shown.as_str(), profile(&server, &owner.token)), ("", 200));
    assert!(!home.log().contains(&owner.token));
}

#[test]
fn a_start_recovers_from_a_kill_while_the_file_was_created() {
    let home = Home::new();
    // Half a draft with its journal: made by the statements that create a complete one, and truncated.
    let whole = home.path("whole.db");
    open::prepare(&whole).expect("a database");
    let bytes = fs::read(&whole).expect("bytes");
    fs::remove_file(&whole).expect("removed");
    let half = bytes[..bytes.len() / 2].to_vec();
    for (draft, journal) in [(Vec::new(), None), (half.clone(), Some(half)), (bytes, None)] {
        home.write("orgkeys.db.new", &draft);
        if let Some(journal) = journal {
            home.write("orgkeys.db.new-journal", journal);
        }
        let (server, owner) = home.first_start();
        assert_eq!(profile(&server, &owner.token), 200);
        assert_eq!(server.stop().0, Some(0));
        assert_eq!(integrity(&home.database), "ok");
        assert_eq!(
            home.files(),
            ["orgkeys.db", "orgkeys.db.key", "orgkeys.db.lock", "orgkeys.db.reserve", "stderr.log"]
        );
        fs::remove_file(&home.database).expect("removed");
    }
}

#[test]
fn a_start_recovers_from_a_kill_before_the_organization_was_created() {
    let home = Home::new();
    open::prepare(&home.database).expect("a database");
    let (server, owner) = home.first_start();
    assert_eq!(profile(&server, &owner.token), 200);
}

#[test]
fn a_token_that_may_not_have_been_shown_is_replaced_and_revoked() {
    let home = Home::new();
    let lost = organization_without_a_shown_token(&home.database);
    let server = home.start();
    let owner = server.owner();
    assert_ne!(owner.token, lost);
    assert_eq!(profile(&server, &owner.token), 200);
    let dead = server.call("GET", "/user/profile", Some(&lost), None);
    assert_eq!(dead.refusal(), (401, "TOKEN_REVOKED".to_owned()));
    assert_eq!(server.stop().0, Some(0));
    let server = home.start();
    assert_eq!((server.shown.as_str(), profile(&server, &owner.token)), ("", 200));
    assert!(home.done(&["audit", "verify"]).starts_with("The audit log is intact"));
}

#[test]
fn a_bootstrap_token_replaces_one_that_may_not_have_been_shown() {
    let home = Home::new();
    let lost = organization_without_a_shown_token(&home.database);
    let token = home.done(&["token", "generate"]).trim().to_owned();
    let server = home.start_with(home.serve(&[]).env("ORGKEYS_BOOTSTRAP_TOKEN", &token));
    assert_eq!((profile(&server, &token), profile(&server, &lost)), (200, 401));
    assert!(server.shown.ends_with("its owner's access token is the bootstrap token\n"), "{}", server.shown);
    assert_eq!(server.stop().0, Some(0));
    // Nothing is left to show, with or without the setting.
    let server = home.start_with(home.serve(&[]).env("ORGKEYS_BOOTSTRAP_TOKEN", &token));
    assert_eq!((server.shown.as_str(), profile(&server, &token)), ("", 200));
    assert_eq!(server.stop().0, Some(0));
    let server = home.start();
    assert_eq!((server.shown.as_str(), profile(&server, &token)), ("", 200));
    assert!(!home.log().contains(&token));
}

#[test]
fn twenty_first_starts_killed_at_random_end_with_a_working_token() {
    let seed = std::env::var("ORGKEYS_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| now().millis().unsigned_abs());
    eprintln!("ORGKEYS_TEST_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let measured = Home::new();
    let began = Instant::now();
    drop(measured.start());
    let whole = began.elapsed();
    for round in 0..20 {
        let when = format!("seed {seed}, round {round}");
        let home = Home::new();
        let (mut killed, lines) = spawn(&mut home.serve(&[]), &home.path("stderr.log"));
        thread::sleep(Duration::from_micros(rng.random_range(0..=u64::try_from(whole.as_micros()).expect("short"))));
        killed.kill().expect("killed");
        killed.wait().expect("waited");
        let notice: String = lines.iter().map(|line| line + "\n").collect();
        // A truncated token does not count as shown.
        let first = shown(&notice, "access token").filter(|token| token.len() == 40);
        let server = home.start();
        let token = match shown(&server.shown, "access token") {
            Some(second) => {
                if let Some(first) = first {
                    assert_eq!(profile(&server, &first), 401, "{when}");
                }
                second
            }
            None => first.unwrap_or_else(|| panic!("{when}: no start showed a token")),
        };
        assert_eq!(profile(&server, &token), 200, "{when}");
        assert_eq!(server.call("GET", "/ready", None, None).status, 200, "{when}");
        assert_eq!(integrity(&home.database), "ok", "{when}");
        assert_eq!(server.stop().0, Some(0), "{when}");
        assert_eq!(
            home.files(),
            ["orgkeys.db", "orgkeys.db.key", "orgkeys.db.lock", "orgkeys.db.reserve", "stderr.log"],
            "{when}"
        );
        assert_eq!(home.start().shown, "", "{when}");
        assert!(home.done(&["audit", "verify"]).starts_with("The audit log is intact"), "{when}");
    }
}

#[test]
fn a_bootstrap_token_is_never_printed_and_ignored_by_later_starts() {
    for twin in [false, true] {
        let home = Home::new();
        let token = home.done(&["token", "generate"]).trim().to_owned();
        let file = home.write("token", format!("{token}\n"));
        let serve = |log_format: &str| {
            let mut command = home.serve(&["--bootstrap-org", "acme", "--log-format", log_format]);
            if twin {
                command.env("ORGKEYS_BOOTSTRAP_TOKEN_FILE", &file);
            } else {
                command.env("ORGKEYS_BOOTSTRAP_TOKEN", &token);
            }
            home.start_with(&mut command)
        };
        let server = serve("json");
        let org = server.call("GET", "/user/profile", Some(&token), None).json()["data"]["orgId"].clone();
        let notice = format!(
            "first start: organization {}; its owner's access token is the bootstrap token\n",
            org.as_str().expect("an id")
        );
        assert_eq!(server.shown, notice);
        assert_eq!(server.stop().0, Some(0));
        assert!(!home.log().contains("bootstrap settings are ignored"));
        for format in ["json", "text"] {
            let before = home.log().len();
            let server = serve(format);
            assert_eq!((server.shown.as_str(), profile(&server, &token)), ("", 200));
            assert_eq!(server.stop().0, Some(0));
            assert_eq!(home.log()[before..].matches("the bootstrap settings are ignored").count(), 1, "{format}");
        }
        // It does not expire, and stays valid without the setting.
        assert_eq!(profile(&home.start(), &token), 200);
        assert!(home.done(&["token", "list", "--json"]).contains("\"expiresAt\":null"));
        assert!(!home.log().contains(&token));
    }
}

#[test]
fn a_malformed_bootstrap_token_is_refused_and_the_next_start_works() {
    let home = Home::new();
    let token = home.done(&["token", "generate"]).trim().to_owned();
    for malformed in ["hunter2-hunter2", &token[..39], &format!("{token}x"), &token.replace("okp_", "okr_")] {
        let ran = run(home.serve(&[]).env("ORGKEYS_BOOTSTRAP_TOKEN", malformed));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.stderr.contains("generate one with `orgkeys token generate`"), "{ran:?}");
        assert!(!ran.stderr.contains(malformed), "{ran:?}");
    }
    let server = home.start_with(home.serve(&[]).env("ORGKEYS_BOOTSTRAP_TOKEN", &token));
    assert_eq!(profile(&server, &token), 200);
}
