//! The inputs that the fuzz targets start from, and those that they found, pass their checks.

mod checks;

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// The most bytes of all inputs together.
const MOST: usize = 100_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// The paths in a folder.
fn paths(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

/// The names of the files in a folder, without their endings.
fn names(folder: &Path) -> BTreeSet<String> {
    paths(folder).iter().map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect()
}

#[test]
fn every_input_passes_its_check() {
    let mut size = 0;
    for (name, _) in checks::CHECKS {
        let inputs = paths(&folder().join("corpus").join(name));
        assert!(!inputs.is_empty(), "{name} has no inputs");
        for path in inputs {
            let input = fs::read(&path).expect("an input");
            size += input.len();
            let checked = catch_unwind(|| checks::run(name, &input));
            assert!(checked.is_ok(), "{} does not pass", path.display());
        }
    }
    assert!(size <= MOST, "the inputs have {size} bytes together, and may have {MOST}");
}

#[test]
fn every_check_has_a_fuzz_target_and_inputs() {
    let checks: BTreeSet<String> = checks::CHECKS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&folder().join("targets")), checks);
    assert_eq!(names(&folder().join("corpus")), checks);
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).expect("the manifest");
    for check in checks {
        let target = format!("[[bin]]\nname = \"{check}\"\npath = \"targets/{check}.rs\"\n");
        assert!(manifest.contains(&target), "Cargo.toml does not have the target {check}");
    }
}
