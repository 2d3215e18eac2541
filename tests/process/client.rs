//! `orgkeys` as a client: what it calls, what it refuses, and its exit codes.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use orgkeys::crypto::rsa;
use orgkeys::server::clock;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::harness::{Home, Owner, Ran, Server, accepted, mode, objects, output_of, run};

/// The program with a server's URL and a token in its environment.
pub fn client(home: &Home, server: &Server, token: &str, words: &[&str]) -> Command {
    let mut command = home.orgkeys(words);
    command.env("ORGKEYS_URL", format!("http://{}", server.address)).env("ORGKEYS_TOKEN", token);
    command.env("HOME", home.path(""));
    command
}

/// Runs the program as a client.
pub fn call(home: &Home, server: &Server, owner: &Owner, words: &[&str]) -> Ran {
    run(&mut client(home, server, &owner.token, words))
}

/// Runs the program as a client, expects success and returns its standard output.
pub fn done(home: &Home, server: &Server, owner: &Owner, words: &[&str]) -> String {
    let ran = call(home, server, owner, words);
    assert_eq!(ran.code, Some(0), "{words:?}: {ran:?}");
    ran.stdout
}

#[test]
fn each_exit_code_has_one_meaning() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let codes = |words: &[&str]| call(&home, &server, &owner, words).code;
    assert_eq!(codes(&["key", "list"]), Some(0));
    assert_eq!(codes(&["project", "create", ""]), Some(1), "INVALID_FIELD");
    for words in [&["key"][..], &["key", "lst"], &["api", "nothing"], &["node", "delete"], &["node", "delete", ".."]] {
        let ran = call(&home, &server, &owner, words);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{words:?}: {ran:?}");
    }
    let wrong = run(&mut client(&home, &server, "okp_wrong", &["key", "list"]));
    assert_eq!((wrong.code, wrong.stderr.contains("MALFORMED_TOKEN")), (Some(3), true), "{wrong:?}");
    let none = run(client(&home, &server, "", &["key", "list"]).env_remove("ORGKEYS_TOKEN"));
    assert_eq!((none.code, none.stderr.contains("orgkeys login --url")), (Some(3), true), "{none:?}");
    let other = "org-00000000-0000-7000-8000-000000000000";
    assert_eq!(codes(&["api", "getOrganization", "--orgId", other]), Some(4));
    assert_eq!(codes(&["node", "delete", "node-00000000-0000-7000-8000-000000000000"]), Some(5));
    assert_eq!(codes(&["key", "show", "key-none"]), Some(5));
    assert_eq!(codes(&["user", "role", "nobody@example.org", "USER"]), Some(5));
    assert_eq!(codes(&["user", "role", "owner@localhost", "USER"]), Some(6), "LAST_OWNER");
    for _ in 0..5 {
        assert_eq!(codes(&["key", "create"]), Some(0));
    }
    let full = call(&home, &server, &owner, &["key", "create"]);
    assert_eq!((full.code, full.stderr.contains("KEY_LIMIT_REACHED")), (Some(6), true), "{full:?}");
    // The request's id leads to the server's log.
    let id = full.stderr.rsplit_once("request ").expect("an id").1.trim_end().trim_end_matches(')').to_owned();
    assert_eq!(server.stop().0, Some(0));
    assert!(!id.is_empty() && home.log().contains(&id), "{full:?}");
    let hurried = home.start_with(&mut home.orgkeys(&["serve", "--listen", "127.0.0.1:0", "--caller-rate", "1"]));
    let answers: Vec<Ran> = (0..40).map(|_| call(&home, &hurried, &owner, &["key", "list"])).collect();
    let late = answers.iter().find(|ran| ran.code != Some(0)).expect("a limit");
    assert_eq!((late.code, late.stderr.contains("try again in ")), (Some(7), true), "{late:?}");
    assert_eq!(hurried.stop().0, Some(0));
    let gone = run(home.orgkeys(&["key", "list", "--url", "http://127.0.0.1:1"]).env("ORGKEYS_TOKEN", "okp_x"));
    assert_eq!((gone.code, gone.stderr.contains("nothing listens there")), (Some(8), true), "{gone:?}");
}

#[test]
fn without_a_server_the_error_says_how_to_name_one() {
    let home = Home::new();
    for words in [
        &["key", "list"][..],
        &["whoami"],
        &["api", "getHealth"],
        &["user", "invite", "a@b", "--name", "A", "--role", "0"],
    ] {
        let ran = home.run(words);
        assert_eq!(ran.code, Some(2), "{words:?}: {ran:?}");
        assert!(ran.stderr.contains("set --url or ORGKEYS_URL, or run `orgkeys login"), "{ran:?}");
    }
    assert!(home.files().is_empty(), "{:?}", home.files());
    // A server whose socket is off.
    let server = home.start_with(&mut home.serve(&["--socket", ""]));
    home.write("orgkeys.toml", "socket = \"\"\n");
    let off = home.run(&["key", "list", "--config", "orgkeys.toml"]);
    assert_eq!((off.code, off.stderr.contains("the setting `socket` is off")), (Some(2), true), "{off:?}");
    let none = home.run(&["key", "list"]);
    assert_eq!((none.code, none.stderr.contains("orgkeys.db.sock: set --url")), (Some(2), true), "{none:?}");
    drop(server);
    // A socket that a killed server left behind.
    home.start().kill();
    let left = home.run(&["key", "list"]);
    assert_eq!((left.code, left.stderr.contains("start it with `orgkeys serve`")), (Some(8), true), "{left:?}");
}

#[test]
fn out_holds_the_secret_privately_and_never_overwrites() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let made = call(&home, &server, &owner, &["key", "create", "--out", "key.pem"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let pem = fs::read_to_string(home.path("key.pem")).expect("a file");
    assert!(pem.starts_with("-----BEGIN RSA PRIVATE KEY-----\n") && pem.ends_with("-----END RSA PRIVATE KEY-----\n"));
    assert_eq!(
        (mode(&home.path("key.pem")), made.stdout.contains("PRIVATE"), made.stderr.contains("-----")),
        (0o600, false, false)
    );
    let id = made.stdout.split('\t').next().expect("an id").to_owned();
    assert!(done(&home, &server, &owner, &["key", "list"]).starts_with(&id));
    // A file that exists stays as it is, and no key is made for it.
    let ran = call(&home, &server, &owner, &["key", "create", "--out", "key.pem"]);
    assert_eq!((ran.code, ran.stderr.contains("never overwrites")), (Some(2), true), "{ran:?}");
    assert_eq!(fs::read_to_string(home.path("key.pem")).expect("a file"), pem);
    assert_eq!(done(&home, &server, &owner, &["key", "list"]).lines().count(), 1);
    let ran = call(&home, &server, &owner, &["key", "create", "--out", "orgkeys.db.new"]);
    assert_eq!((ran.code, ran.stderr.contains("reserves for its own files")), (Some(2), true), "{ran:?}");
    // A call that fails leaves no file.
    for words in [
        &["key", "create", "--out", "none", "--url", "http://127.0.0.1:1"][..],
        &["api", "createOrganizationKey", "--idOrg", "x", "--out", "none"],
    ] {
        let ran = call(&home, &server, &owner, words);
        assert!(ran.code != Some(0) && !home.path("none").exists(), "{words:?}: {ran:?}");
    }
    // The raw call has it, too.
    done(&home, &server, &owner, &["api", "createOrganizationKey", "--format", "pem", "--out", "second.pem"]);
    assert!(
        fs::read_to_string(home.path("second.pem")).expect("a file").starts_with("-----BEGIN RSA PRIVATE KEY-----")
    );
    assert_eq!(mode(&home.path("second.pem")), 0o600);
}

#[test]
fn an_interrupted_call_leaves_no_file_for_the_secret_behind() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut create = home.orgkeys(&["key", "create", "--out", "key.pem", "--url", &url]);
    create.env("ORGKEYS_TOKEN", "okp_x").env("HOME", home.path("")).stderr(Stdio::piped());
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 130)] {
        let child = create.spawn().expect("it runs");
        // A server that does not answer.
        let _connection = accepted(&listener);
        assert!(home.path("key.pem").exists());
        kill_process(Pid::from_child(&child), signal).expect("signalled");
        let ended = output_of("the call", child);
        assert_eq!(
            (ended.status.code(), ended.stderr.as_slice()),
            (Some(code), &b""[..]),
            "who interrupts it knows why"
        );
        assert!(home.files().is_empty(), "{:?}", home.files());
    }
}

#[test]
fn a_secret_goes_to_standard_output_alone_or_the_failure_is_told() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let words = ["api-key", "create", "--name", "x", "--role", "USER", "--expires", "never"];
    let made = call(&home, &server, &owner, &words);
    assert_eq!((made.stdout.lines().count(), &made.stdout[..4]), (1, "oka_"), "{made:?}");
    assert!(made.stderr.contains("shown only once") && !made.stderr.contains("oka_"), "{made:?}");
    assert!(
        made.stderr.starts_with("id 1, name x, role USER, starts 2") && !made.stderr.contains("expires"),
        "{made:?}"
    );
    let json = objects(&done(&home, &server, &owner, &[&words[..], &["-o", "jsonl"]].concat()))[0].clone();
    assert!(json["apiKey"].as_str().is_some_and(|key| key.starts_with("oka_")), "{json}");
    let mut full = client(&home, &server, &owner.token, &words);
    full.stdout(fs::OpenOptions::new().write(true).open("/dev/full").expect("a device")).stderr(Stdio::piped());
    let full = output_of("api-key create", full.stdin(Stdio::null()).spawn().expect("it runs"));
    let told = String::from_utf8(full.stderr).expect("text");
    assert_eq!(
        (full.status.code(), told.contains("is lost: delete it") && told.contains("id 3")),
        (Some(1), true),
        "{told}"
    );
}

#[test]
fn a_dry_run_shows_the_request_without_secrets_and_sends_nothing() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    home.write("password", "a cat on 3 roofs\n");
    let entries = || done(&home, &server, &owner, &["audit", "list", "--limit", "100"]).lines().count();
    let before = entries();
    let shown = |words: &[&str]| done(&home, &server, &owner, &[words, &["--dry-run"]].concat());
    let key = shown(&["key", "create", "--out", "key.pem"]);
    assert!(key.starts_with(&format!("POST http://{}/organization/", server.address)), "{key}");
    assert!(key.contains("Authorization: Bearer ********") && !key.contains(&owner.token), "{key}");
    assert!(!home.path("key.pem").exists());
    let login = shown(&["api", "loginUser", "--email", "a@b", "--password", "@password"]);
    assert!(login.contains("\"a@b\"") && !login.contains("roofs") && !login.contains("Authorization"), "{login}");
    let body = shown(&["api", "loginUser", "--body", r#"{"email":"a@b","password":"a cat on 3 roofs"}"#]);
    assert!(!body.contains("roofs"), "{body}");
    let api_key = run(&mut client(&home, &server, "oka_secret", &["node", "list", "--dry-run"])).stdout;
    assert!(api_key.contains("X-Api-Key: ********") && !api_key.contains("oka_secret"), "{api_key}");
    // An API key has no profile, but it may verify itself.
    let key = run(&mut client(&home, &server, "oka_secret", &["whoami", "--dry-run"])).stdout;
    assert!(key.contains("/api-keys/verify\n") && !key.contains("oka_secret"), "{key}");
    // What the list itself records: the profile, the head and a read.
    assert!(entries() - before <= 3, "something was sent");
}

#[test]
fn a_secret_is_not_taken_from_the_command_line() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    for words in [
        ["api", "verifyEmail", "--token", "oki_x", "--password", "@-"],
        ["api", "loginUser", "--email", "a@b", "--password", "a cat on 3 roofs"],
    ] {
        let ran = call(&home, &server, &owner, &words);
        assert_eq!((ran.code, ran.stderr.contains("takes @FILE")), (Some(2), true), "{ran:?}");
    }
    let ran = home.run(&["key", "list", "--token", "okp_x"]);
    assert_eq!(ran.code, Some(2), "there is no flag for the token: {ran:?}");
}

#[test]
fn profiles_that_others_can_read_are_refused() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    fs::create_dir_all(home.path(".config/orgkeys")).expect("a folder");
    let text = format!(
        "current = \"work\"\n[profiles.work]\nurl = \"http://{}\"\naccess_token = \"{}\"\n",
        server.address, owner.token
    );
    let path = home.write(".config/orgkeys/profiles.toml", text);
    let list = || run(home.orgkeys(&["key", "list"]).env("HOME", home.path("")));
    for (bits, code) in [(0o600, Some(0)), (0o640, Some(2)), (0o604, Some(2)), (0o660, Some(2))] {
        fs::set_permissions(&path, fs::Permissions::from_mode(bits)).expect("set");
        let ran = list();
        assert_eq!(ran.code, code, "{bits:o}: {ran:?}");
        assert_eq!(ran.stderr.contains("chmod 600"), code != Some(0), "{ran:?}");
    }
}

#[test]
fn a_server_that_never_answers_leaves_a_doubt_that_is_told() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let close = std::thread::spawn(move || {
        for _ in 0..2 {
            drop(accepted(&listener));
        }
    });
    for (words, doubt) in [
        (["api", "deleteNode", "--orgId", "o", "--nodeId", "n", "--url", &url], true),
        (["api", "listNodes", "--orgId", "o", "--take", "1", "--url", &url], false),
    ] {
        let ran = run(home.orgkeys(&words).env("ORGKEYS_TOKEN", "okp_x"));
        assert_eq!(
            (ran.code, ran.stderr.contains("not known whether the change was made")),
            (Some(8), doubt),
            "{ran:?}"
        );
    }
    close.join().expect("closed");
}

#[test]
fn a_weeks_work_needs_nothing_but_the_commands() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let done = |words: &[&str]| done(&home, &server, &owner, words);
    let first = |text: &str| text.split(['\t', '\n']).next().expect("a value").to_owned();
    assert!(done(&["whoami"]).contains("owner@localhost"));
    done(&["user", "invite", "bob@example.org", "--name", "Bob", "--role", "workspaces", "--out", "invitation"]);
    let password = home.write("password", "a cat on 3 roofs\n");
    let invitation = fs::read_to_string(home.path("invitation")).expect("a file");
    assert_eq!((invitation.lines().count(), invitation.ends_with('\n')), (1, true));
    let taken = ["api", "verifyEmail", "--token", "@invitation", "--password", &format!("@{}", password.display())];
    assert!(done(&taken).contains("Email verified"));
    assert!(done(&["user", "role", "BOB@example.org", "ADMINISTRATOR"]).contains("updated"));
    assert!(done(&["user", "list"]).contains("ADMINISTRATOR\tbob@example.org"));
    done(&["key", "create", "--out", "key.pem"]);
    let key = first(&done(&["key", "list"]));
    let body = home.done(&["sign", "--key", "key.pem", "--ip", "203.0.113.7", "--region", "eu-1"]);
    let node = done(&["api", "registerNode", "--body", &body]);
    assert_eq!(objects(&node)[0]["data"]["keyId"], json!(key));
    let node = first(&done(&["node", "list"]));
    assert!(done(&["key", "list"]).ends_with("\t1\n"));
    assert!(done(&["key", "show", &key, "-o", "table"]).contains("-----BEGIN PUBLIC KEY-----\nM"));
    let rotated = done(&["key", "rotate", &key, "--overlap", "1h", "--name", "next", "--out", "next.pem"]);
    assert!(rotated.contains(&key), "{rotated}");
    assert!(done(&["key", "update", &key, "--retires", "30d", "--name", "before"]).contains("before\tretiring"));
    assert_eq!(first(&done(&["node", "list", "--key", &key])), node);
    let impact = done(&["key", "impact", "--key", &key]);
    assert!(impact.starts_with("1\t1\t1\t") && impact.trim_end().ends_with("203.0.113.7"), "{impact}");
    done(&["key", "delete", &key]);
    assert!(done(&["key", "list", "--retired", "true"]).contains("before\tdeleted"));
    assert!(done(&["key", "restore", &key]).contains("before\tretiring"));
    assert!(done(&["key", "update", &key, "--retires", "never"]).contains("before\tactive"));
    home.write("public.pem", include_str!("../api/examples/rfc-7638.pub.pem"));
    let imported = done(&["key", "import", "--public-key", "@public.pem", "--name", "ours"]);
    assert!(imported.contains("ours\tactive\t2048"), "{imported}");
    let pair = rsa::generate(|| clock::system().rng()).expect("a key pair");
    home.write("next.pub.pem", rsa::public_pem(&pair.public_der));
    let own = ["key", "rotate", &first(&imported), "--public-key", "@next.pub.pem"];
    let refused = call(&home, &server, &owner, &[&own[..], &["--out", "none.pem"]].concat());
    assert_eq!((refused.code, home.path("none.pem").exists()), (Some(2), false), "{refused:?}");
    assert!(done(&own).contains(&first(&imported)));
    done(&["node", "delete", &node]);
    assert_eq!(done(&["node", "list"]), "");
    done(&["node", "activate", &node]);
    let project = first(&done(&["project", "create", "Shop"]));
    let made =
        ["api-key", "create", "--name", "Deploys", "--role", "USER", "--expires", "never", "--project", &project];
    home.write("api-key", done(&made));
    let api_key = first(&done(&["api-key", "list"]));
    let verify = |file: &str| {
        call(&home, &server, &owner, &["api-key", "verify", "--key", &format!("@{file}"), "--project", &project])
    };
    assert_eq!(verify("api-key").code, Some(0), "{:?}", verify("api-key"));
    done(&["api-key", "rotate", &api_key, "--overlap", "0s", "--out", "next"]);
    let old = verify("api-key");
    assert_eq!((old.code, old.stdout.starts_with("false\t")), (Some(1), true), "{old:?}");
    assert_eq!(verify("next").code, Some(0));
    // An API key knows its organization, too.
    let whole = done(&["api-key", "create", "--name", "All", "--role", "USER", "--expires", "1d"]);
    for (words, shows) in [(["whoami", "-o", "table"], &owner.org), (["node", "list", "--json"], &node)] {
        let ran = run(&mut client(&home, &server, whole.trim_end(), &words));
        assert_eq!((ran.code, ran.stdout.contains(shows)), (Some(0), true), "{ran:?}");
    }
    for line in done(&["api-key", "list"]).lines() {
        done(&["api-key", "delete", &first(line)]);
    }
    assert_eq!(done(&["api-key", "list"]), "");
    done(&["project", "delete", &project]);
    let hook = ["webhook", "create", "https://hooks.example.org/x", "--event", "2", "--out", "secret", "-o", "jsonl"];
    let hook = objects(&done(&hook))[0].clone();
    assert_eq!((&hook["events"], &hook["secret"]), (&json!([2]), &json!(null)));
    let hook = hook["id"].as_str().expect("an id");
    assert!(first(&done(&["webhook", "test", hook])).starts_with("delivery-"));
    assert!(done(&["webhook", "deliveries", hook]).starts_with("delivery-"));
    assert!(done(&["webhook", "list"]).contains("https://hooks.example.org/x"));
    done(&["webhook", "delete", hook]);
    assert!(done(&["key", "delete", &key]).contains("deleted"));
    assert!(done(&["audit", "tail", "-n", "3"]).lines().count() == 3);
}
