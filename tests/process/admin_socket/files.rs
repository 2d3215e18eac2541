//! The socket's file: where it is, who may open it, and what is there already.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::harness::{Home, Ran, objects, run};

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
}

/// Starts a server with these flags that must refuse to start, and returns the reason.
fn refusal(home: &Home, flags: &[&str]) -> String {
    let Ran { code, stdout, stderr } = run(&mut home.serve(flags));
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{flags:?}: {stderr}");
    stderr
}

#[test]
fn the_socket_is_private_and_ends_with_the_server() {
    let home = Home::new();
    let socket = home.path("orgkeys.db.sock");
    for killed in [true, false] {
        // A killed server leaves it behind, and the next one replaces it.
        let server = home.start();
        assert!(is_socket(&socket));
        assert_eq!(fs::metadata(&socket).expect("a socket").permissions().mode() & 0o777, 0o600);
        home.done(&["org", "create", "--name", "acme"]);
        if killed {
            server.kill();
            assert!(is_socket(&socket));
            home.done(&["org", "create", "--name", "without a server"]);
        } else {
            assert_eq!((server.stop().0, socket.exists()), (Some(0), false));
        }
    }
    let server = home.start_with(&mut home.serve(&["--socket", ""]));
    assert!(!socket.exists(), "an empty value turns it off");
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn another_path_is_used_by_server_and_commands() {
    let home = Home::new();
    let server = home.start_with(&mut home.serve(&["--socket", "elsewhere.sock"]));
    assert!(is_socket(&home.path("elsewhere.sock")) && !home.path("orgkeys.db.sock").exists());
    let created = run(home.orgkeys(&["org", "create", "--name", "acme"]).env("ORGKEYS_SOCKET", "elsewhere.sock"));
    assert_eq!(created.code, Some(0), "{created:?}");
    home.write("orgkeys.toml", "socket = \"elsewhere.sock\"\n");
    home.done(&["org", "create", "--name", "acme", "--config", "orgkeys.toml"]);
    // Another server must not take it over.
    let other = Home::new();
    let path = home.path("elsewhere.sock").display().to_string();
    let why = refusal(&other, &["--socket", &path]);
    assert!(why.contains("belongs to another process, which listens on it: set `socket` to another path"), "{why}");
    assert_eq!(home.done(&["org", "list", "--config", "orgkeys.toml"]).lines().count(), 3);
    assert_eq!((server.stop().0, home.path("elsewhere.sock").exists()), (Some(0), false));
    // A server that ends leaves the socket of another one alone, which has taken its place meanwhile.
    let server = home.start_with(&mut home.serve(&["--socket", "elsewhere.sock"]));
    fs::remove_file(home.path("elsewhere.sock")).expect("removed");
    let next = other.start_with(&mut other.serve(&["--socket", &path]));
    assert_eq!(server.stop().0, Some(0));
    assert!(is_socket(&home.path("elsewhere.sock")));
    let listed = run(other.orgkeys(&["org", "list"]).env("ORGKEYS_SOCKET", &path));
    assert_eq!((listed.code, listed.stdout.lines().count()), (Some(0), 1), "{listed:?}");
    assert_eq!((next.stop().0, home.path("elsewhere.sock").exists()), (Some(0), false));
}

#[test]
fn what_is_no_socket_is_neither_replaced_nor_followed() {
    let home = Home::new();
    let victim = home.write("victim", "precious");
    let socket = home.path("orgkeys.db.sock");
    for kind in ["file", "link", "link to a socket", "folder"] {
        let listening = home.path("listening");
        match kind {
            "file" => fs::write(&socket, "precious").expect("written"),
            "link" => std::os::unix::fs::symlink(&victim, &socket).expect("a link"),
            "folder" => fs::create_dir(&socket).expect("a folder"),
            _ => {
                drop(UnixListener::bind(&listening).expect("a socket"));
                std::os::unix::fs::symlink(&listening, &socket).expect("a link");
            }
        }
        let why = refusal(&home, &[]);
        assert!(why.contains("exists already and is not a socket: set `socket` to another path, or to `off`"), "{why}");
        assert_eq!(fs::read_to_string(&victim).expect("text"), "precious", "{kind}");
        assert!(fs::symlink_metadata(&socket).is_ok_and(|meta| !meta.file_type().is_socket()), "{kind}");
        if kind == "folder" { fs::remove_dir(&socket) } else { fs::remove_file(&socket) }.expect("removed");
    }
    assert_eq!(home.start().stop().0, Some(0));
}

#[test]
fn a_path_that_is_no_place_for_a_socket_is_refused() {
    let home = Home::new();
    let set = "set `socket` to another path, or to `off`";
    for (socket, expected) in [
        ("missing/orgkeys.sock", "cannot be created (No such file or directory"),
        ("orgkeys.db-journal", "has a name that orgkeys reserves for another file"),
        ("./orgkeys.db.last-backup", "has a name that orgkeys reserves for another file"),
        ("orgkeys.db", "has a name that orgkeys reserves for another file"),
    ] {
        let why = refusal(&home, &["--socket", socket]);
        assert!(why.contains(expected) && why.contains(set), "{socket}: {why}");
    }
    let abstract_name = refusal(&home, &["--socket", "@orgkeys"]);
    assert!(abstract_name.contains("socket must be a file: a socket with an abstract name"), "{abstract_name}");
    // The server that cannot have the socket leaves nothing that keeps the next one from starting.
    assert_eq!(home.start().stop().0, Some(0));
}

#[test]
fn a_database_may_have_a_longer_path_than_a_socket() {
    let home = Home::new();
    let base = home.path("").canonicalize().expect("a folder").display().to_string().len() + "/x.db.sock".len() + 1;
    for (length, fits) in [(107, true), (108, false), (250, false)] {
        let name = "d".repeat(length - base);
        fs::create_dir(home.path(&name)).expect("a folder");
        let database = format!("{name}/x.db");
        if fits {
            let server = home.start_with(&mut home.serve(&["--database", &database]));
            home.done(&["org", "create", "--name", "acme", "--database", &database]);
            assert_eq!(server.stop().0, Some(0));
            continue;
        }
        let why = refusal(&home, &["--database", &database]);
        let expected =
            format!("is {length} bytes long, and the system accepts at most 107: set `socket` to a shorter path");
        assert!(why.contains(&expected), "{why}");
        let server = home.start_with(&mut home.serve(&["--database", &database, "--socket", "s"]));
        let words = ["org", "create", "--name", "acme", "--database", &database];
        assert_eq!(run(home.orgkeys(&words).env("ORGKEYS_SOCKET", "s")).code, Some(0));
        assert!(home.done(&["user", "list", "--database", &database]).ends_with("owner@localhost\n"), "from the file");
        assert_eq!(server.stop().0, Some(0));
    }
}

#[test]
fn backup_and_doctor_leave_the_socket_alone() {
    let home = Home::new();
    let (server, _) = home.first_start();
    for name in ["orgkeys.db.sock", "./orgkeys.db.sock"] {
        let ran = home.run(&["backup", name]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.stderr.contains("is a name that orgkeys reserves for its own files"), "{ran:?}");
    }
    home.done(&["backup", "copy.db"]);
    let found = objects(&home.run(&["doctor", "--json"]).stdout);
    assert!(found.iter().all(|finding| finding["ok"] == true), "{found:?}");
    home.done(&["org", "create", "--name", "acme"]);
    server.kill();
    // Without a server, the name is still reserved, and the socket is in nobody's way.
    assert_eq!(home.run(&["backup", "orgkeys.db.sock"]).code, Some(1));
    home.done(&["restore", "copy.db"]);
    assert!(home.done(&["audit", "verify"]).starts_with("The audit log is intact"));
    assert_eq!(home.start().stop().0, Some(0));
}
