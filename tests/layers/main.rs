//! Imports run one way: a floor names only floors below it.

use std::fs;
use std::path::{Path, PathBuf};

/// From the top; `domain` and `crypto` stand beside each other on the ground.
const FLOORS: [(&str, u8); 8] =
    [("cli", 6), ("server", 5), ("api", 4), ("actions", 3), ("store", 2), ("crypto", 1), ("domain", 1), ("config", 5)];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// The crate's own modules that a text names.
fn named(text: &str) -> Vec<&str> {
    let names = text.split("crate::").skip(1);
    let names = names.filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next());
    names.filter(|name| floor(name).is_some()).collect()
}

#[test]
fn a_floor_names_only_floors_below_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = 0;
    for path in files(&source) {
        let relative = path.strip_prefix(&source).expect("below src");
        let module = relative.iter().next().and_then(|name| name.to_str()).expect("a name").trim_end_matches(".rs");
        let Some(own) = floor(module) else { continue };
        let text = fs::read_to_string(&path).expect("text");
        for name in named(&text) {
            let below = floor(name).is_some_and(|other| other < own || name == module);
            let beside = matches!((module, name), ("crypto", "domain") | ("server", "config"));
            assert!(below || beside, "{} names {name}, which is not below it", relative.display());
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} imports were found: the test looks in the wrong place");
}

#[test]
fn the_lower_floors_know_nothing_of_http_or_async() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for module in ["actions", "store", "domain", "crypto"] {
        for path in files(&source.join(module)) {
            let text = fs::read_to_string(&path).expect("text");
            for word in ["poem", "hyper", "async fn", "tokio", "StatusCode"] {
                assert!(!text.contains(word), "{} speaks of {word}", path.display());
            }
        }
    }
}

#[test]
fn only_the_store_speaks_sql() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for module in ["actions", "api", "server", "cli", "domain", "crypto"] {
        for path in files(&source.join(module)) {
            let text = fs::read_to_string(&path).expect("text");
            for word in ["rusqlite", "SELECT ", "INSERT INTO", "DELETE FROM"] {
                assert!(!text.contains(word), "{} speaks SQL: {word}", path.display());
            }
        }
    }
}
