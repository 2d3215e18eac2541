//! Signing in from the command line, profiles, and sessions that renew themselves.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::json;

use crate::harness::{Home, Owner, PATIENCE, Ran, Server, ended, mode, objects, output_of, run};

const PASSWORD: &str = "a cat on 3 roofs";

/// A server whose owner has a password.
fn with_password(home: &Home) -> (Server, Owner) {
    let (server, owner) = home.first_start();
    let profile = server.call_as(&owner, "GET", "/user/profile").json();
    let path = format!("/user/{}", profile["data"]["id"].as_str().expect("an id"));
    let set = server.call("PUT", &path, Some(&owner.token), Some(&json!({ "password": PASSWORD })));
    assert_eq!(set.status, 200, "{set:?}");
    (server, owner)
}

/// The program with a home of its own and nothing else in its environment.
fn orgkeys(home: &Home, words: &[&str]) -> Command {
    let mut command = home.orgkeys(words);
    command.env("HOME", home.path("")).env("PATH", "/usr/bin:/bin");
    command
}

fn done(home: &Home, words: &[&str]) -> String {
    let ran = run(&mut orgkeys(home, words));
    assert_eq!(ran.code, Some(0), "{words:?}: {ran:?}");
    ran.stdout
}

/// Signs in with a password from standard input.
fn log_in(home: &Home, words: &[&str], password: &str) -> Ran {
    home.write("password", format!("{password}\n"));
    let words = [&["login", "--email", "owner@localhost"], words].concat();
    let mut command = orgkeys(home, &words);
    command.stdin(File::open(home.path("password")).expect("a file")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = output_of("login", command.spawn().expect("it runs"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn signed_in(home: &Home, server: &Server) {
    let ran = log_in(home, &["--url", &format!("http://{}", server.address)], PASSWORD);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
}

fn profiles(home: &Home) -> String {
    fs::read_to_string(home.path(".config/orgkeys/profiles.toml")).expect("a file")
}

/// Makes the access token of the profile invalid, as an hour does.
fn expire(home: &Home) {
    let text = profiles(home);
    let lines =
        text.lines().map(|line| if line.starts_with("access_token") { "access_token = \"okp_expired\"" } else { line });
    fs::write(home.path(".config/orgkeys/profiles.toml"), lines.collect::<Vec<_>>().join("\n")).expect("written");
}

#[test]
fn a_session_is_kept_privately_used_and_ended() {
    let home = Home::new();
    let (server, owner) = with_password(&home);
    let wrong = log_in(&home, &["--url", &format!("http://{}", server.address)], "another cat");
    assert_eq!((wrong.code, wrong.stderr.contains("INVALID_CREDENTIALS")), (Some(3), true), "{wrong:?}");
    assert!(!home.path(".config/orgkeys/profiles.toml").exists());
    signed_in(&home, &server);
    assert_eq!(mode(&home.path(".config/orgkeys/profiles.toml")), 0o600);
    assert!(!profiles(&home).contains(PASSWORD));
    let me = done(&home, &["whoami", "-o", "table"]);
    assert!(me.contains("owner@localhost") && me.contains(&owner.org) && me.contains("OWNER"), "{me}");
    let me = objects(&done(&home, &["whoami", "-o", "jsonl"]))[0].clone();
    let url = format!("http://{}", server.address);
    let expected = json!(["owner@localhost", 255, owner.org, url, "default"]);
    assert_eq!(json!([me["email"], me["orgRole"], me["orgId"], me["server"], me["profile"]]), expected);
    let listed = done(&home, &["profile", "list"]);
    assert_eq!(listed, format!("*\tdefault\thttp://{}\towner@localhost\tsession\n", server.address));
    let session = profiles(&home);
    let dry = done(&home, &["logout", "--dry-run"]);
    assert!(dry.contains("/user/logout\n") && dry.contains("********") && !dry.contains("okr_"), "{dry}");
    assert_eq!(profiles(&home), session, "nothing was done");
    done(&home, &["whoami"]);
    done(&home, &["logout"]);
    assert!(!profiles(&home).contains("okr_") && !profiles(&home).contains("okp_"));
    let twice = run(&mut orgkeys(&home, &["logout"]));
    assert_eq!((twice.code, twice.stderr.contains("default has no session")), (Some(3), true), "{twice:?}");
    let json = objects(&done(&home, &["profile", "list", "-o", "jsonl"]));
    let row = json!({ "inUse": "*", "name": "default", "url": url, "email": "owner@localhost", "credential": null });
    assert_eq!(json, [row], "the profile is still there");
    let out = run(&mut orgkeys(&home, &["whoami"]));
    assert_eq!((out.code, out.stderr.contains("orgkeys login")), (Some(3), true), "{out:?}");
    // The session is over on the server, too.
    home.write(".config/orgkeys/profiles.toml", session);
    let over = run(&mut orgkeys(&home, &["whoami"]));
    assert_eq!(
        (over.code, over.stderr.contains("has ended: run `orgkeys login --profile default`")),
        (Some(3), true),
        "{over:?}"
    );
}

#[test]
fn a_session_that_cannot_be_ended_is_kept() {
    let home = Home::new();
    let (server, _) = with_password(&home);
    let url = format!("http://{}", server.address);
    let nothing = log_in(&home, &["--url", &url], "");
    assert_eq!((nothing.code, nothing.stderr.contains("nothing was typed")), (Some(2), true), "{nothing:?}");
    let line = log_in(&home, &["--url", &url], &format!("{PASSWORD}\r"));
    assert_eq!(line.code, Some(0), "a line may end as on Windows: {line:?}");
    assert_eq!(server.stop().0, Some(0));
    let before = profiles(&home);
    let ran = run(&mut orgkeys(&home, &["logout"]));
    let told = "The session is kept: `orgkeys profile delete default` forgets it";
    assert_eq!((ran.code, ran.stderr.contains(told)), (Some(8), true), "{ran:?}");
    expire(&home);
    let expired = profiles(&home);
    assert_eq!(run(&mut orgkeys(&home, &["whoami"])).code, Some(8), "it cannot be renewed now");
    assert_eq!(profiles(&home), expired);
    assert!(before.contains("okr_"), "{before}");
}

#[test]
fn a_password_that_leaves_this_machine_in_the_clear_is_warned_of() {
    let home = Home::new();
    for (url, warns) in [("http://0.0.0.0:1", true), ("http://127.0.0.1:1", false), ("https://0.0.0.0:1", false)] {
        let ran = log_in(&home, &["--url", url], PASSWORD);
        assert_eq!((ran.code, ran.stderr.contains("others on the network")), (Some(8), warns), "{url}: {ran:?}");
        assert!(!home.path(".config/orgkeys/profiles.toml").exists());
    }
}

#[test]
fn profiles_are_chosen_and_forgotten() {
    let home = Home::new();
    let (server, owner) = with_password(&home);
    let url = format!("http://{}", server.address);
    signed_in(&home, &server);
    let other = log_in(&home, &["--url", "http://127.0.0.1:1"], PASSWORD);
    assert_eq!((other.code, other.stderr.contains("name another with --profile")), (Some(2), true), "{other:?}");
    home.write("token", &owner.token);
    let path = home.path("token").display().to_string();
    done(
        &home,
        &["login", "--profile", "robot", "--url", &url, "--token-command", &format!("echo >> asked; cat '{path}'")],
    );
    assert!(done(&home, &["profile", "list"]).contains(&format!("*\trobot\t{url}\t\ttoken_command\n")));
    assert!(!profiles(&home).contains(&owner.token));
    // A command that prints no token makes no profile.
    for (command, says) in
        [("true", "printed no token: true"), ("echo; echo okp_x", "printed no token"), ("exit 7", "failed: exit 7")]
    {
        let ran = run(&mut orgkeys(&home, &["login", "--profile", "bad", "--url", &url, "--token-command", command]));
        assert_eq!((ran.code, ran.stderr.contains(says)), (Some(3), true), "{ran:?}");
        assert!(!profiles(&home).contains("bad"));
    }
    // The command may ask somebody something, so it is run once, however many calls there are.
    let asked = || fs::read_to_string(home.path("asked")).expect("lines").lines().count();
    let before = asked();
    assert!(done(&home, &["whoami"]).ends_with("\trobot\n"));
    assert_eq!(asked() - before, 1);
    done(&home, &["key", "list"]);
    assert_eq!(asked() - before, 2);
    assert!(done(&home, &["whoami", "--profile", "default"]).ends_with("\tdefault\n"));
    // A file that is kept elsewhere stays there.
    let (link, kept) = (home.path(".config/orgkeys/profiles.toml"), home.path("kept.toml"));
    fs::rename(&link, &kept).expect("moved");
    symlink(&kept, &link).expect("a link");
    done(&home, &["profile", "use", "default"]);
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    assert!(fs::read_to_string(&kept).expect("a file").contains("current = \"default\""));
    assert!(done(&home, &["key", "list", "--dry-run"]).contains(&owner.org), "the profile knows the organization");
    fs::remove_file(home.path("token")).expect("removed");
    let failed = run(&mut orgkeys(&home, &["whoami", "--profile", "robot"]));
    assert_eq!((failed.code, failed.stderr.contains("token_command")), (Some(3), true), "{failed:?}");
    done(&home, &["profile", "delete", "default"]);
    // Without a profile in use, the server on this machine is called.
    assert!(done(&home, &["whoami"]).starts_with("system\t"));
    for words in
        [&["profile", "use", "default"][..], &["profile", "delete", "default"], &["whoami", "--profile", "default"]]
    {
        assert_eq!(run(&mut orgkeys(&home, words)).code, Some(2), "{words:?}");
    }
}

#[test]
fn signing_in_again_goes_to_the_profile_of_that_server() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let command = format!("cat '{}'", home.write("token", &owner.token).display());
    let port = server.address.port();
    let [one, two] = ["127.0.0.1", "localhost"].map(|host| format!("http://{host}:{port}"));
    let log_in = |words: &[&str]| done(&home, &[&["login", "--token-command", &command], words].concat());
    let listed = || done(&home, &["profile", "list", "--columns", "in-use,name,url"]);
    log_in(&["--profile", "work", "--url", &one]);
    log_in(&["--profile", "home", "--url", &two]);
    assert_eq!(listed(), format!("*\thome\t{two}\n\twork\t{one}\n"));
    log_in(&["--url", &format!("{one}/")]);
    let work = format!("\thome\t{two}\n*\twork\t{one}\n");
    assert_eq!(listed(), work, "no other profile is made");
    log_in(&[]);
    assert_eq!(listed(), work, "the one in use");
    let variable = run(orgkeys(&home, &["login", "--token-command", &command]).env("ORGKEYS_URL", &two));
    assert_eq!((variable.code, listed()), (Some(0), format!("*\thome\t{two}\n\twork\t{one}\n")), "{variable:?}");
    let none = run(&mut orgkeys(&home, &["login", "--profile", "new", "--token-command", &command]));
    assert_eq!((none.code, none.stderr.contains("no server is named")), (Some(2), true), "{none:?}");
    // Another one than that in use may be deleted.
    done(&home, &["profile", "delete", "work"]);
    assert_eq!(listed(), format!("*\thome\t{two}\n"));
}

#[test]
fn an_ended_access_token_is_renewed_once_by_many_processes() {
    let home = Home::new();
    let (server, _) = with_password(&home);
    signed_in(&home, &server);
    for _ in 0..3 {
        let before = profiles(&home);
        expire(&home);
        let started: Vec<Child> = (0..6)
            .map(|_| {
                orgkeys(&home, &["whoami"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started")
            })
            .collect();
        for child in started {
            let output = output_of("whoami", child);
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert!(profiles(&home) != before && !profiles(&home).contains("okp_expired"));
    }
    assert_eq!(mode(&home.path(".config/orgkeys/profiles.toml")), 0o600);
    let audit = objects(&done(&home, &["audit", "list", "--after", "0", "-o", "jsonl"]));
    let count = |action: &str| audit.iter().filter(|entry| entry["action"] == action).count();
    assert_eq!((count("session.refresh"), count("session.reuse")), (3, 0), "once for each time");
    assert!(!home.path(".config/orgkeys/profiles.toml.new").exists());
}

#[test]
fn a_session_is_not_used_up_if_it_cannot_be_saved() {
    let home = Home::new();
    let (server, _) = with_password(&home);
    signed_in(&home, &server);
    expire(&home);
    // A folder where the draft would be: it can neither be removed as a file nor replaced.
    fs::create_dir_all(home.path(".config/orgkeys/profiles.toml.new/x")).expect("a folder");
    let ran = run(&mut orgkeys(&home, &["whoami"]));
    assert_eq!((ran.code, ran.stderr.contains("profiles.toml.new")), (Some(2), true), "{ran:?}");
    fs::remove_dir_all(home.path(".config/orgkeys/profiles.toml.new")).expect("removed");
    done(&home, &["whoami"]);
}

/// A terminal with the program on it.
pub struct Terminal {
    screen: File,
    pub child: Child,
}

impl Terminal {
    pub fn start(mut command: Command) -> Self {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&screen).expect("granted");
        unlockpt(&screen).expect("unlocked");
        let name = ptsname(&screen, Vec::new()).expect("a name").into_string().expect("text");
        let end = || OpenOptions::new().read(true).write(true).open(&name).expect("a terminal");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("started");
        let flags = fcntl_getfl(&screen).expect("flags");
        fcntl_setfl(&screen, flags | OFlags::NONBLOCK).expect("set");
        Self { screen: screen.into(), child }
    }

    /// Reads until this text is on the screen. Returns everything that was read.
    pub fn shows(&mut self, text: &str) -> String {
        let mut shown = String::new();
        let mut piece = [0; 1_024];
        let began = Instant::now();
        while !shown.contains(text) {
            assert!(began.elapsed() < PATIENCE, "{text:?} is not shown: {shown}");
            match self.screen.read(&mut piece) {
                Ok(read) => shown.push_str(&String::from_utf8_lossy(&piece[..read])),
                Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(Duration::from_millis(2)),
                Err(error) => panic!("{error}: {shown}"),
            }
        }
        shown
    }

    fn types(&mut self, text: &str) {
        self.screen.write_all(text.as_bytes()).expect("typed");
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.screen).expect("modes").local_modes.contains(LocalModes::ECHO | LocalModes::ISIG)
    }
}

#[test]
fn a_password_is_typed_unseen_and_the_terminal_is_left_as_it_was() {
    let home = Home::new();
    let (server, _) = with_password(&home);
    let url = format!("http://{}", server.address);
    let mut terminal = Terminal::start(orgkeys(&home, &["login", "--url", &url]));
    terminal.shows("Email: ");
    terminal.types("owner@localhost\n");
    terminal.shows("Password: ");
    assert!(!terminal.echoes());
    terminal.types(&format!("{PASSWORD}\n"));
    let shown = terminal.shows("is now in use");
    assert!(!shown.contains("roofs"), "{shown}");
    assert_eq!(ended("login", &mut terminal.child).code(), Some(0));
    assert!(terminal.echoes());
    let mut terminal = Terminal::start(orgkeys(&home, &["login", "--email", "owner@localhost"]));
    terminal.shows("Password: ");
    terminal.types("a cat\u{3}");
    assert_eq!(ended("login", &mut terminal.child).code(), Some(130), "Ctrl-C");
    assert!(terminal.echoes());
    assert!(profiles(&home).contains("okr_"), "the session is still there");
    done(&home, &["whoami"]);
}
