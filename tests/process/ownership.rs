//! Files that root makes for the user that the server runs as: they belong to whom the folder, or the older file, belongs.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use crate::harness::{Home, Ran, mode, run};

/// The user that the service runs as, and another one that backups belong to.
const SERVICE: u32 = 65_534;
const KEEPER: u32 = 65_533;

/// A folder of `user` in `home`, which others can enter; `None` where only root could make one.
fn folder(home: &Home, name: &str, user: u32) -> Option<PathBuf> {
    fs::set_permissions(home.path(""), Permissions::from_mode(0o755)).expect("a mode");
    let folder = home.path(name);
    fs::create_dir(&folder).expect("made");
    if chown(&folder, Some(user), Some(user)).is_err() {
        println!("skipped: only root can make files for another user");
        return None;
    }
    Some(folder)
}

/// Checks that each file in a folder belongs to `user`.
fn all_belong_to(folder: &Path, user: u32) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let meta = fs::symlink_metadata(&path).expect("there");
        assert_eq!((meta.uid(), meta.gid()), (user, user), "{}", path.display());
    }
}

/// Runs a command as the service's user.
fn as_service(home: &Home, words: &[&str]) -> Ran {
    run(home.orgkeys(words).uid(SERVICE).gid(SERVICE))
}

#[test]
fn every_file_that_root_makes_belongs_to_the_service() {
    let home = Home::new();
    let Some(lib) = folder(&home, "lib", SERVICE) else { return };
    let Some(backups) = folder(&home, "backups", KEEPER) else { return };
    let Some(man) = folder(&home, "man", KEEPER) else { return };
    let database = lib.join("orgkeys.db").display().to_string();
    let on = |words: &[&str]| home.done(&[words, &["--database", &database]].concat());
    // A first start by root, with all that it makes.
    assert_eq!(home.start_with(&mut home.serve(&["--database", &database])).stop().0, Some(0));
    on(&["org", "list"]);
    on(&["token", "create", "--user", "owner@localhost"]);
    let backup = backups.join("orgkeys.backup").display().to_string();
    on(&["backup", &backup]);
    on(&["audit", "export", "--out", &backups.join("log.jsonl").display().to_string()]);
    home.done(&["man", &man.display().to_string()]);
    on(&["restore", &backup]);
    on(&["doctor"]);
    all_belong_to(&lib, SERVICE);
    all_belong_to(&backups, KEEPER);
    all_belong_to(&man, KEEPER);
    assert_eq!((mode(&backups.join("orgkeys.backup")), mode(&man.join("orgkeys.1"))), (0o600, 0o644));
    let ran = as_service(&home, &["audit", "verify", "--database", &database]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = as_service(&home, &["org", "list", "--database", &database]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_restore_by_root_on_a_new_machine_leaves_what_the_service_can_use() {
    let home = Home::new();
    assert_eq!(home.first_start().0.stop().0, Some(0));
    home.done(&["backup", "copy.db"]);
    let Some(lib) = folder(&home, "lib", SERVICE) else { return };
    let database = lib.join("orgkeys.db").display().to_string();
    home.done(&["restore", "copy.db", "--database", &database]);
    home.done(&["token", "create", "--user", "owner@localhost", "--database", &database]);
    all_belong_to(&lib, SERVICE);
    let mut serve = home.serve(&["--database", &database]);
    let server = home.start_with(serve.uid(SERVICE).gid(SERVICE));
    assert_eq!(server.call("GET", "/ready", None, None).status, 200);
    assert_eq!(server.stop().0, Some(0));
    // A database that root made before, in the service's folder.
    chown(&database, Some(0), Some(0)).expect("given to root");
    home.done(&["restore", "copy.db", "--database", &database]);
    assert_eq!(fs::metadata(&database).expect("there").uid(), SERVICE);
    assert_eq!(as_service(&home, &["org", "list", "--database", &database]).code, Some(0));
}

#[test]
fn a_replaced_file_keeps_its_owner_and_its_mode() {
    let home = Home::new();
    assert_eq!(home.first_start().0.stop().0, Some(0));
    home.done(&["backup", "copy.db"]);
    // The mode does not need root. What everybody could do is taken away.
    for (before, after) in [(0o640, 0o640), (0o600, 0o600), (0o664, 0o660), (0o400, 0o600)] {
        fs::set_permissions(home.path("copy.db"), Permissions::from_mode(before)).expect("a mode");
        home.done(&["backup", "copy.db"]);
        assert_eq!(mode(&home.path("copy.db")), after, "after {before:o}");
    }
    let Some(backups) = folder(&home, "backups", SERVICE) else { return };
    let copy = backups.join("copy.db");
    home.done(&["backup", &copy.display().to_string()]);
    chown(&copy, Some(KEEPER), Some(KEEPER)).expect("given away");
    home.done(&["backup", &copy.display().to_string()]);
    let meta = fs::metadata(&copy).expect("there");
    assert_eq!((meta.uid(), meta.gid()), (KEEPER, KEEPER));
    // Where everybody can put a file, root keeps its own.
    fs::set_permissions(&backups, Permissions::from_mode(0o1777)).expect("a mode");
    home.done(&["backup", &copy.display().to_string()]);
    home.done(&["backup", &backups.join("new.db").display().to_string()]);
    for name in ["copy.db", "new.db"] {
        assert_eq!(fs::metadata(backups.join(name)).expect("there").uid(), 0, "{name}");
    }
}
