//! A database behind a symbolic link: its other files are kept beside the real file, and the link stays a link.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Home, failed, integrity, mode};

/// A folder `real` for the database, and a link to the database beside that folder.
fn linked() -> Home {
    let home = Home::new();
    fs::create_dir(home.path("real")).expect("a folder");
    symlink("real/orgkeys.db", home.path("link.db")).expect("a link");
    home
}

/// The files of the folder `real`, in order.
fn beside(home: &Home) -> Vec<String> {
    let entries = fs::read_dir(home.path("real")).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).expect("there").is_symlink()
}

#[test]
fn server_backup_and_restore_follow_a_link_to_the_real_file() {
    let home = linked();
    let server = home.start_with(&mut home.serve(&["--database", "real/orgkeys.db"]));
    let owner = server.owner();
    assert_eq!(server.stop().0, Some(0));
    let server = home.start_with(&mut home.serve(&["--database", "link.db"]));
    let made: Value =
        serde_json::from_str(&home.done(&["backup", "copy.db", "--json", "--database", "link.db"])).expect("JSON");
    // The server looks for the marker beside the real database, whatever name it was started with.
    let metrics = String::from_utf8(server.call("GET", "/metrics", None, None).body).expect("text");
    assert!(!metrics.contains("orgkeys_backup_timestamp_seconds 0\n"), "the backup was not noticed");
    let marker = fs::read(home.path("real/orgkeys.db.last-backup")).expect("a marker");
    let mut noted: Value = serde_json::from_slice(&marker).expect("JSON");
    noted["keyFile"] = made["keyFile"].clone();
    assert_eq!(noted, made);
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
    for name in ["link.db", "real/orgkeys.db"] {
        // Its socket is beside the real file, too.
        home.done(&["org", "create", "--name", name, "--database", name]);
    }
    // The last changes are in the log beside the real file, and are verified too.
    let verified = home.done(&["audit", "verify", "--database", "link.db"]);
    assert_eq!(verified, home.done(&["audit", "verify", "--database", "real/orgkeys.db"]));
    server.kill();

    let restored = home.done(&["restore", "copy.db", "--json", "--keep-tokens", "--database", "link.db"]);
    let restored: Value = serde_json::from_str(&restored).expect("JSON");
    let aside = Path::new(restored["aside"].as_str().expect("a path"));
    assert_eq!(aside.parent(), Some(fs::canonicalize(home.path("real")).expect("a folder").as_path()));
    assert!(is_link(&home.path("link.db")), "the link was replaced");
    let name = aside.file_name().expect("a name").to_string_lossy().into_owned();
    let expected = [
        "orgkeys.db",
        "orgkeys.db.backup.lock",
        name.as_str(),
        "orgkeys.db.key",
        "orgkeys.db.last-backup",
        "orgkeys.db.lock",
        "orgkeys.db.reserve",
        "orgkeys.db.sock",
    ]
    .map(str::to_owned);
    assert_eq!(beside(&home), expected);
    assert_eq!(home.files(), ["copy.db", "link.db", "real", "stderr.log"]);
    assert_eq!(
        (integrity(&home.path("real/orgkeys.db")), mode(&home.path("real/orgkeys.db"))),
        ("ok".to_owned(), 0o600)
    );
    let server = home.start_with(&mut home.serve(&["--database", "real/orgkeys.db"]));
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
}

#[test]
fn a_link_to_a_database_in_use_is_not_accepted_as_a_backup() {
    let home = linked();
    let server = home.start_with(&mut home.serve(&["--database", "real/orgkeys.db"]));
    let ran = home.run(&["restore", "link.db", "--database", "other.db"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("is a database, not a backup"), "{ran:?}");
    assert!(!home.path("other.db").exists());
    drop(server);
}

#[test]
fn a_dangling_link_is_refused_and_kept() {
    let home = linked();
    let (server, _) = home.first_start();
    home.done(&["backup", "copy.db"]);
    assert_eq!(server.stop().0, Some(0));
    let before = home.files();
    for words in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["backup", "other.db"],
        &["restore", "copy.db"],
        &["audit", "verify"],
        &["org", "list"],
    ] {
        let ran = home.run(&[words, &["--database", "link.db"]].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(failed(words)), ""), "{words:?}: {ran:?}");
        let expected = "link.db is a link to real/orgkeys.db, which does not exist: put the target back";
        assert!(ran.stderr.contains(expected), "{words:?}: {ran:?}");
        assert!(is_link(&home.path("link.db")) && beside(&home).is_empty(), "{words:?}: {:?}", beside(&home));
    }
    assert_eq!(home.files(), before);
}

#[test]
fn a_new_database_in_a_linked_folder_is_created_there() {
    let home = linked();
    symlink("real", home.path("folder")).expect("a link");
    let server = home.start_with(&mut home.serve(&["--database", "folder/orgkeys.db"]));
    // The link is changed later; the server keeps its file.
    fs::remove_file(home.path("folder")).expect("removed");
    fs::create_dir(home.path("folder")).expect("a folder");
    home.done(&["backup", "copy.db", "--database", "link.db"]);
    let metrics = String::from_utf8(server.call("GET", "/metrics", None, None).body).expect("text");
    assert!(!metrics.contains("orgkeys_backup_timestamp_seconds 0\n"), "the backup was not noticed");
    assert_eq!(server.stop().0, Some(0));
    assert_eq!(
        beside(&home),
        [
            "orgkeys.db",
            "orgkeys.db.backup.lock",
            "orgkeys.db.key",
            "orgkeys.db.last-backup",
            "orgkeys.db.lock",
            "orgkeys.db.reserve"
        ]
    );
}
