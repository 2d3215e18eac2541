//! The document keeps what the last release promised, unless the changelog announces a breaking change.

mod compare;
mod mutations;

use std::fs;
use std::path::{Path, PathBuf};

use orgkeys::api::http::document;
use serde_json::Value;

use self::compare::{Break, breaks};

/// The breaking changes that the changelog's first section does not list under "Breaking", in backquotes, by their
/// operation or by a schema that contains them.
fn untold(breaks: Vec<Break>, changelog: &str) -> Vec<Break> {
    let section = changelog.split("\n## ").nth(1).unwrap_or_default();
    let told = section.split("\n### ").find_map(|part| part.strip_prefix("Breaking\n")).unwrap_or_default();
    let names = |of: &Break| of.within.iter().any(|name| told.contains(&format!("`{name}`")));
    breaks.into_iter().filter(|of| !names(of)).collect()
}

/// The version in the name of a released document.
fn version(path: &Path) -> Vec<u64> {
    let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
    name.split('.').map(|number| number.parse().unwrap_or_else(|_| panic!("{name} is no version"))).collect()
}

fn newest(released: impl Iterator<Item = PathBuf>) -> PathBuf {
    released.max_by_key(|path| version(path)).expect("a released document")
}

#[test]
fn breaking_changes_since_the_last_release_are_in_the_changelog() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = fs::read_dir(root.join("openapi/released")).expect("a folder");
    let newest = newest(folder.map(|entry| entry.expect("an entry").path()));
    let read = |path: &Path| fs::read_to_string(path).expect("a file");
    let released: Value = serde_json::from_str(&read(&newest)).expect("JSON");
    let current = serde_json::from_str(document::text()).expect("JSON");
    let untold = untold(breaks(&released, &current), &read(&root.join("CHANGELOG.md")));
    let list: Vec<_> = untold.iter().map(|of| format!("{} (in {})", of.what, of.within.join(", "))).collect();
    assert!(
        list.is_empty(),
        "this breaks clients of {}, and the changelog does not say so:\n{}",
        newest.display(),
        list.join("\n")
    );
}

#[test]
fn the_newest_release_has_the_highest_version() {
    let released = ["0.9.0.json", "0.10.0.json", "0.2.11.json"].map(PathBuf::from);
    assert_eq!(newest(released.into_iter()), Path::new("0.10.0.json"));
}

#[test]
fn a_break_must_be_listed_under_breaking_in_the_changelogs_first_section() {
    let found = || vec![Break { what: String::new(), within: vec!["getThing".to_owned(), "Thing".to_owned()] }];
    let changelog = |first: &str| format!("# Changelog\n\n## Unreleased\n\n{first}\n## 0.1.0\n\n### Added\n\n- All.\n");
    for told in ["### Breaking\n\n- `getThing` is gone.\n", "### Added\n\n- It.\n\n### Breaking\n\n- No `Thing`.\n"] {
        assert!(untold(found(), &changelog(told)).is_empty(), "{told}");
    }
    for not in [
        "",
        "### Breaking\n\n- `getThings` is gone.\n",
        "### Breaking\n\n- getThing is gone.\n",
        "### Breaking\n\n- All.\n\n### Removed\n\n- `getThing`.\n",
        "### Removed\n\n- `getThing`.\n",
        "### Added\n\n- It.\n\n## 0.0.9\n\n### Breaking\n\n- `getThing` is gone.\n",
    ] {
        assert_eq!(untold(found(), &changelog(not)).len(), 1, "{not}");
    }
}
