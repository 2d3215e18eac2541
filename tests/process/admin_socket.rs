//! Administration beside the running server: the commands do the same as without it, for root and the server's own user
//! only.

mod files;
mod wire;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use regex::Regex;
use serde_json::json;

use crate::harness::{Home, Owner, Ran, Server, copy_program, objects, run, sqlite};
use crate::log::lines;

/// What commands printed.
struct Transcript<'h> {
    home: &'h Home,
    json: bool,
    printed: Vec<String>,
    /// The ids of the tokens that were created.
    tokens: Vec<String>,
}

impl Transcript<'_> {
    fn tell(&mut self, words: &[&str]) {
        let json = if self.json { &["--json"][..] } else { &[] };
        let Ran { code, stdout, stderr } = self.home.run(&[words, json].concat());
        if words[..2] == ["token", "create"] && code == Some(0) {
            let id = Regex::new("token-[0-9a-f-]{36}").expect("a pattern").find(&stdout).expect("an id");
            self.tokens.push(id.as_str().to_owned());
        }
        self.printed.push(alike(&format!("{words:?} {code:?}\n{stdout}{stderr}")));
    }

    /// Runs every command of `org`, `user` and `token`, and refused ones.
    fn everything(&mut self, owner: &Owner) {
        let email = |name: &str| format!("{name}{}@example.org", u8::from(self.json));
        let (ada, bob, eve) = (&email("ada"), &email("bob"), &email("eve"));
        let user = ["user", "create", "--org", &owner.org, "--email"];
        let token = ["token", "create", "--user"];
        for words in [
            &["org", "create", "--name", "acme"][..],
            &["org", "create", "--name", "acme", "--owner", ada],
            &["org", "create", "--name", "acme", "--owner", ada],
            &["org", "create", "--name", ""],
            &["org", "list"],
            &[&user[..], &[bob, "--role", "ADMINISTRATOR", "--name", "Bob", "--last-name", "Kahn"]].concat(),
            &[&user[..], &[eve, "--role", "0", "--without-invitation"]].concat(),
            &[&user[..], &[eve, "--role", "0"]].concat(),
            &[&user[..], &["nobody", "--role", "0"]].concat(),
            &[&user[..], &["nobody@example.org", "--role", "KING"]].concat(),
            &["user", "create", "--org", "acme", "--email", "nobody@example.org", "--role", "0"],
            &["user", "reset-password", "--user", bob],
            &["user", "reset-password", "--user", "nobody@example.org"],
            &["user", "list"],
            &["user", "list", "--org", &owner.org],
            &["user", "list", "--org", "acme"],
            &[&token[..], &[bob]].concat(),
            &[&token[..], &[bob, "--ttl", "30d"]].concat(),
            &[&token[..], &[eve, "--ttl", "never"]].concat(),
            &[&token[..], &[eve, "--ttl", "soon"]].concat(),
            &[&token[..], &["nobody@example.org"]].concat(),
            &["token", "list"],
            &["token", "list", "--user", bob],
            &["token", "list", "--user", "nobody@example.org"],
            &["token", "revoke", "token-00000000-0000-7000-8000-000000000000"],
            &["token", "revoke", "token-1"],
        ] {
            self.tell(words);
        }
        for token in self.tokens.clone() {
            self.tell(&["token", "revoke", &token]);
            self.tell(&["token", "revoke", &token]);
        }
        self.tell(&["token", "list"]);
    }
}

/// What every command prints, as text and as JSON. Ids, secrets and times are replaced by what they are.
fn transcript(home: &Home, owner: &Owner) -> Vec<String> {
    let mut transcript = Transcript { home, json: false, printed: Vec::new(), tokens: Vec::new() };
    for json in [false, true] {
        transcript.json = json;
        transcript.everything(owner);
    }
    transcript.printed
}

/// A text without what differs each time.
fn alike(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, is) in [
        ("(org|user|token)-[0-9a-f]{8}-[0-9a-f-]{27}", "$1-ID"),
        ("(ok[pi]_)[0-9A-Za-z]{36}", "${1}SECRET"),
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
    ] {
        text = Regex::new(pattern).expect("a pattern").replace_all(&text, is).into_owned();
    }
    text
}

#[test]
fn every_command_prints_the_same_beside_a_server_and_without_one() {
    let (beside, without) = (Home::new(), Home::new());
    let (server, owner) = beside.first_start();
    let (stopped, other) = without.first_start();
    assert_eq!(stopped.stop().0, Some(0));
    let (beside_it, without_it) = (transcript(&beside, &owner), transcript(&without, &other));
    assert!(beside_it.len() > 50);
    for (one, two) in beside_it.iter().zip(&without_it) {
        assert_eq!(one, two);
    }
    assert_eq!(beside_it.len(), without_it.len());
    // The lists of one database, over the socket and from the file.
    let lists = |home: &Home| {
        ["org", "user", "token"].map(|noun| [home.done(&[noun, "list"]), home.done(&[noun, "list", "--json"])])
    };
    let running = lists(&beside);
    assert_eq!(server.stop().0, Some(0));
    assert_eq!(lists(&beside), running);
    assert!(beside.done(&["audit", "verify"]).starts_with("The audit log is intact"));
}

/// The actions in the audit log, in order.
fn recorded(home: &Home) -> Vec<String> {
    let entries = objects(&home.done(&["audit", "export"]));
    entries.iter().map(|entry| entry["action"].as_str().expect("an action").to_owned()).collect()
}

#[test]
fn what_is_done_beside_the_server_takes_effect_at_once_and_is_recorded() {
    let home = Home::new();
    let (server, _) = home.first_start();
    let before = recorded(&home).len();
    let token = objects(&home.done(&["token", "create", "--user", "owner@localhost", "--json"]))[0].clone();
    let secret = token["token"].as_str().expect("a token");
    assert_eq!(server.call("GET", "/user/profile", Some(secret), None).status, 200);
    home.done(&["token", "revoke", token["id"].as_str().expect("an id")]);
    let refused = server.call("GET", "/user/profile", Some(secret), None);
    assert_eq!(refused.refusal(), (401, "TOKEN_REVOKED".to_owned()));
    home.done(&["token", "list"]);
    assert_eq!(
        recorded(&home)[before..],
        ["token.create", "user.profile", "token.revoke", "server.list"],
        "the refusal has no caller"
    );
    assert!(!home.log().contains(secret));
    let peer = rustix::process::geteuid().as_raw().to_string();
    let logged = |message: &str| {
        let line = lines(&home, message).pop().unwrap_or_else(|| panic!("no line {message:?}: {}", home.log()));
        ["command", "peer", "code"].map(|name| line.get(name).and_then(|text| text.as_str()).map(str::to_owned))
    };
    let executed = [Some("token list".to_owned()), Some(peer.clone()), None];
    assert_eq!(logged("executed a command of the server's administrator"), executed);
    let refused = home.run(&["token", "create", "--user", "nobody@example.org"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let refused = [Some("token create".to_owned()), Some(peer), Some("USER_NOT_FOUND".to_owned())];
    assert_eq!(logged("refused a command of the server's administrator"), refused);
}

#[test]
fn an_organization_with_an_owner_can_be_used() {
    let home = Home::new();
    let (server, _) = home.first_start();
    let text = home.done(&["org", "create", "--name", "acme", "--owner", "grace@example.org"]);
    let invitation = text.lines().find(|line| line.starts_with("oki_")).expect("an invitation");
    assert!(text.contains("grace@example.org can use it until 2") && text.contains("OWNER          grace"), "{text}");
    let made =
        objects(&home.done(&["org", "create", "--name", "b", "--owner", "ida@example.org", "--json"]))[0].clone();
    let other = made["owner"]["invitationToken"].as_str().expect("an invitation");
    let invited = "SELECT group_concat(email, ' ') FROM person WHERE validated = 0";
    let invited: String = sqlite(&home.database).query_row(invited, [], |row| row.get(0)).expect("addresses");
    assert_eq!(invited, "grace@example.org ida@example.org", "both may be invited again");
    for (email, invitation) in [("grace@example.org", invitation), ("ida@example.org", other)] {
        let password = "a cat on 3 roofs";
        let accepted = json!({ "token": invitation, "password": password });
        assert_eq!(server.call("POST", "/user/verify-email", None, Some(&accepted)).status, 200, "{email}");
        let signed_in = json!({ "email": email, "password": password });
        let session = server.call("POST", "/user/login", None, Some(&signed_in)).json();
        let token = session["accessToken"].as_str().expect("a token").to_owned();
        let org = session["user"]["orgId"].as_str().expect("an organization").to_owned();
        let (_, pem) = server.key(&Owner { org, token });
        assert!(pem.starts_with("-----BEGIN "));
    }
    // Neither is left if the address is taken.
    let taken = home.run(&["org", "create", "--name", "c", "--owner", "ida@example.org"]);
    assert_eq!((taken.code, home.done(&["org", "list"]).lines().count()), (Some(1), 3), "{taken:?}");
}

#[test]
fn a_created_user_has_an_invitation_that_can_be_sent_again() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let words = ["user", "create", "--org", &owner.org, "--email", "ada@example.org", "--role", "WORKSPACES", "--json"];
    let made = objects(&home.done(&words))[0].clone();
    let line = format!("/organization/users/{}/resend-invitation", made["id"].as_str().expect("an id"));
    assert_eq!(server.call_as(&owner, "POST", &line).status, 200);
    let first = json!({ "token": made["invitationToken"], "password": "a cat on 3 roofs" });
    let refused = server.call("POST", "/user/verify-email", None, Some(&first));
    assert_eq!(refused.refusal(), (400, "INVALID_TOKEN".to_owned()), "the new one replaces it");
}

/// Runs a command as another user, with a copy of the program that this user may run.
fn as_another(home: &Home, words: &[&str]) -> Ran {
    let program = home.path("orgkeys");
    if !program.exists() {
        copy_program(&program);
    }
    let mut command = std::process::Command::new(program);
    run(command.current_dir(home.path("")).env_clear().args(words).uid(65_534).gid(65_534))
}

fn open_to_all(server: &Server, home: &Home) {
    fs::set_permissions(home.path(""), Permissions::from_mode(0o755)).expect("a mode");
    fs::set_permissions(home.path("orgkeys.db.sock"), Permissions::from_mode(0o666)).expect("a mode");
    assert_ne!(server.address.port(), 0);
}

#[test]
fn nobody_but_root_and_the_servers_user_is_served() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root may run a command as another user");
        return;
    }
    let home = Home::new();
    let (server, owner) = home.first_start();
    let lists: [&[&str]; 3] = [&["org", "list"], &["user", "list"], &["token", "list"]];
    let create = ["token", "create", "--user", "owner@localhost"];
    fs::set_permissions(home.path(""), Permissions::from_mode(0o755)).expect("a mode");
    for words in lists.into_iter().chain([&create[..]]) {
        let ran = as_another(&home, words);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{words:?}: {ran:?}");
        assert!(ran.stderr.contains("orgkeys.db.sock is not open to you: run this command as root (sudo)"), "{ran:?}");
    }
    // Whoever can connect is still asked who they are.
    open_to_all(&server, &home);
    for words in lists.into_iter().chain([&create[..]]) {
        let ran = as_another(&home, words);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{words:?}: {ran:?}");
        let expected = "orgkeys: you are user 65534, but only root and user 0, which runs the server, may do this\n";
        assert_eq!(ran.stderr, expected, "{words:?}");
    }
    assert!(home.log().contains("a user who may not administer the server"), "{}", home.log());
    assert_eq!(home.done(&["token", "list"]).lines().count(), 1, "nothing was created");
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
}

#[test]
fn a_server_of_another_user_serves_that_user_and_root() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root may run a server as another user");
        return;
    }
    let home = Home::new();
    std::os::unix::fs::chown(home.path(""), Some(65_534), Some(65_534)).expect("an owner");
    assert!(as_another(&home, &["token", "generate"]).stdout.starts_with("okp_"));
    let mut serve = std::process::Command::new(home.path("orgkeys"));
    serve.current_dir(home.path("")).env_clear().args(["serve", "--listen", "127.0.0.1:0"]).uid(65_534).gid(65_534);
    let server = home.start_with(&mut serve);
    assert!(as_another(&home, &["user", "list"]).stdout.ends_with("owner@localhost\n"));
    assert!(home.done(&["user", "list"]).ends_with("owner@localhost\n"), "as root");
    home.done(&["token", "create", "--user", "owner@localhost"]);
    // Third parties are refused, even if they can connect.
    open_to_all(&server, &home);
    let mut third = std::process::Command::new(home.path("orgkeys"));
    let ran = run(third.current_dir(home.path("")).env_clear().args(["user", "list"]).uid(65_533).gid(65_533));
    assert!(ran.code == Some(1) && ran.stderr.contains("you are user 65533, but only root and user 65534"), "{ran:?}");
}
