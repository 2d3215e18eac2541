//! The first start: interrupted anywhere, it is completed by the next one, and ends with one working owner's token.

use std::fs;
use std::path::Path;
use std::process::Command;
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
use serde_json::json;

use crate::harness::{Home, Server, beside_link, integrity, mode, now, run, shown, spawn};
use crate::missing::has;

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
    assert_eq!(server.shown.matches(&owner.token).count(), 1, "{}", server.shown);
    assert!(server.shown.contains(&format!("\n url=http://{}; org={}; token=", server.address, owner.org)));
    assert_eq!(server.stop(), (Some(0), String::new()));
    let server = home.start();
    assert_eq!((beside_link(&server.shown).as_str(), profile(&server, &owner.token)), ("", 200));
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
    assert_eq!((beside_link(&server.shown).as_str(), profile(&server, &owner.token)), ("", 200));
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
fn a_restored_server_does_not_replace_a_token_that_its_backup_had_not_shown() {
    let home = Home::new();
    let kept = organization_without_a_shown_token(&home.database);
    home.done(&["backup", "copy.db"]);
    home.done(&["restore", "copy.db", "--keep-tokens"]);
    let server = home.start();
    assert_eq!((beside_link(&server.shown).as_str(), profile(&server, &kept)), ("", 200));
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
        let first = shown(&notice, "token").filter(|token| token.len() == 40);
        let server = home.start();
        let token = match shown(&server.shown, "token") {
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
        assert_eq!(beside_link(&home.start().shown), "", "{when}");
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

/// The lines of a first start's notice that are meant to be pasted.
fn lines_to_paste(notice: &str) -> Vec<&str> {
    notice.lines().filter(|line| [" url=", "curl ", "[ -e "].iter().any(|start| line.starts_with(start))).collect()
}

#[test]
fn the_printed_lines_may_be_pasted_twice_into_any_shell() {
    if !has("curl") {
        return;
    }
    for shell in ["sh", "bash"] {
        let home = Home::new();
        let (server, owner) = home.first_start();
        let lines = lines_to_paste(&server.shown);
        assert_eq!(lines.len(), 5, "{}", server.shown);
        // The last one sets the password.
        let pasted = format!("umask 022\n{}\n", lines[..4].join("\n"));
        let paste = || {
            let mut command = Command::new(shell);
            let ran = run(command.current_dir(home.path("")).arg("-ec").arg(&pasted));
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{shell}: {ran:?}");
            fs::read_to_string(home.path("key.pem")).expect("a key")
        };
        let key = paste();
        assert!(key.starts_with("-----BEGIN "), "{shell}: {key}");
        assert_eq!((mode(&home.path("key.pem")), paste()), (0o600, key), "{shell}: the only copy of the key is kept");
        let keys = server.call_as(&owner, "GET", &format!("/organization/{}/key", owner.org)).json();
        assert_eq!(keys["data"].as_array().map(Vec::len), Some(1), "{shell}: one key was created: {keys}");

        let set = |password: &str| {
            let line = lines[4].replace("...", password);
            run(Command::new(shell).arg("-ec").arg(format!("{}\n{line}", lines[0]))).stdout
        };
        assert!(set("...").contains("must be 12 to 1024 bytes long"), "{shell}");
        let password = "a cat on 3 roofs";
        assert!(set(password).contains("\"success\":true"), "{shell}");
        let signed_in = json!({ "email": "owner@localhost", "password": password });
        assert_eq!(server.call("POST", "/user/login", None, Some(&signed_in)).status, 200, "{shell}");
    }
}

#[test]
fn the_file_of_the_bootstrap_token_is_needed_by_the_first_start_only() {
    let home = Home::new();
    let file = home.path("token").display().to_string();
    let with_file = |words: &[&str]| {
        let mut command = home.orgkeys(words);
        command.env("ORGKEYS_BOOTSTRAP_TOKEN_FILE", &file);
        command
    };
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let empty = format!("orgkeys: bootstrap_token_file: {file} is empty: put a secret into it, such as one that ");
    let absent = format!("orgkeys: bootstrap_token_file: cannot read {file}: ");
    for (contents, expected) in [(None, &absent), (Some(""), &empty), (Some(" \n\t\n"), &empty)] {
        if let Some(contents) = contents {
            home.write("token", contents);
        }
        let ran = run(&mut with_file(&serve));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{contents:?}: a token was printed: {ran:?}");
        assert!(ran.stderr.starts_with(expected), "{contents:?}: {ran:?}");
    }
    let token = home.done(&["token", "generate"]).trim().to_owned();
    home.write("token", &token);
    let server = home.start_with(&mut with_file(&serve));
    assert_eq!((profile(&server, &token), server.stop().0), (200, Some(0)));

    for contents in [None, Some("\n"), Some("no token")] {
        fs::remove_file(&file).expect("removed");
        if let Some(contents) = contents {
            home.write("token", contents);
        }
        let server = home.start_with(&mut with_file(&serve));
        assert_eq!((server.shown.as_str(), profile(&server, &token)), ("", 200), "{contents:?}");
        assert!(home.log().contains("the bootstrap settings are ignored"), "{}", home.log());
        let address = server.address.to_string();
        assert!((0..5).any(|_| run(&mut with_file(&["healthcheck", "--listen", &address])).code == Some(0)));
        for words in [&["config"][..], &["token", "list"], &["audit", "verify"], &["backup", "copy.db"], &["doctor"]] {
            let ran = run(&mut with_file(words));
            assert_eq!(ran.code, Some(0), "{contents:?}: {words:?}: {ran:?}");
        }
        assert_eq!(server.stop().0, Some(0));
        home.write("token", "");
    }
}

#[test]
fn an_empty_file_for_any_secret_is_refused() {
    let home = Home::new();
    home.write("empty", "\n");
    let ran = home.run(&["serve", "--listen", "127.0.0.1:0", "--metrics-token-file", "empty"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.stderr.starts_with("orgkeys: metrics_token_file: empty is empty: put a secret into it"), "{ran:?}");
    assert_eq!(home.files(), ["empty"]);
}
