//! Rules between files: imports run one way, a layer names only layers below it, and documentation links have targets.

mod links;
mod loops;

use std::fs;
use std::path::{Path, PathBuf};

/// From the top; `domain` and `crypto` are both at the bottom.
const LAYERS: [(&str, u8); 10] = [
    ("cli", 7),
    ("server", 6),
    ("config", 6),
    ("api", 5),
    ("client", 5),
    ("actions", 4),
    ("engine", 3),
    ("store", 2),
    ("crypto", 1),
    ("domain", 1),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

/// The crate's own modules that a text names.
fn named(text: &str) -> Vec<&str> {
    let names = text.split("crate::").skip(1);
    let names = names.filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next());
    names.filter(|name| layer(name).is_some()).collect()
}

#[test]
fn a_layer_names_only_layers_below_it() {
    let source = source();
    let mut imports = 0;
    for path in files(&source) {
        let relative = path.strip_prefix(&source).expect("below src");
        let module = relative.iter().next().and_then(|name| name.to_str()).expect("a name").trim_end_matches(".rs");
        let Some(own) = layer(module) else { continue };
        let text = fs::read_to_string(&path).expect("text");
        for name in named(&text) {
            let below = layer(name).is_some_and(|other| other < own || name == module);
            let beside = matches!((module, name), ("crypto", "domain") | ("server", "config"));
            assert!(below || beside, "{} names {name}, which is not below it", relative.display());
            imports += 1;
        }
    }
    assert!(imports > 50, "only {imports} imports were found: the test looks in the wrong place");
}

#[test]
fn the_client_imports_nothing_of_the_server() {
    let source = source();
    for path in files(&source.join("client")) {
        let text = fs::read_to_string(&path).expect("text");
        for name in named(&text) {
            let is_allowed = matches!(name, "client" | "domain" | "crypto");
            assert!(is_allowed, "{} names {name}: the client knows the server only by its API", path.display());
        }
        for word in ["clap", "poem"] {
            assert!(!has_word(&text, word), "{} mentions {word}", path.display());
        }
    }
}

#[test]
fn the_lower_layers_do_not_mention_http_or_async() {
    let source = source();
    for module in ["actions", "engine", "store", "domain", "crypto"] {
        for path in files(&source.join(module)) {
            let text = fs::read_to_string(&path).expect("text");
            for word in ["poem", "hyper", "async fn", "tokio", "StatusCode"] {
                assert!(!text.contains(word), "{} mentions {word}", path.display());
            }
        }
    }
}

#[test]
fn only_the_store_contains_sql() {
    let source = source();
    for module in ["actions", "engine", "api", "client", "server", "cli", "domain", "crypto"] {
        for path in files(&source.join(module)) {
            let text = fs::read_to_string(&path).expect("text");
            for word in ["rusqlite", "SELECT ", "INSERT INTO", "DELETE FROM"] {
                assert!(!text.contains(word), "{} contains SQL: {word}", path.display());
            }
        }
    }
}

/// Whether a text contains this word, not only as part of another.
fn has_word(text: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !before.ends_with(is_name) && !after.starts_with(is_name)
    })
}

#[test]
fn the_api_layer_cannot_act_without_a_rule() {
    for path in files(&source().join("api")) {
        let text = fs::read_to_string(&path).expect("text");
        assert!(!has_word(&text, "System"), "{} mentions System, which acts without a rule", path.display());
    }
}

#[test]
fn only_the_socket_vouches_for_the_servers_administrator() {
    let source = source();
    let vouching: Vec<String> = files(&source)
        .iter()
        .filter(|path| fs::read_to_string(path).expect("text").contains(".local_administrator()"))
        .map(|path| path.strip_prefix(&source).expect("below src").display().to_string())
        .collect();
    assert_eq!(vouching, ["server/admin_socket/endpoint.rs"]);
}

/// The functions that may look something up before the caller is known, by file.
const PRE_AUTH: [(&str, &[&str]); 6] = [
    ("actions/invitation.rs", &["check"]),
    ("actions/login_throttle.rs", &["wait"]),
    ("actions/session.rs", &["check", "find", "prove"]),
    ("actions/setup.rs", &["is_pending"]),
    ("actions/signed_call.rs", &["candidates", "look_for_room", "verify"]),
    ("engine/authenticate.rs", &["administrator", "person"]),
];

/// The functions of a file that contain `what`, sorted and without repetitions.
fn functions_with(text: &str, what: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some((_, after)) = line.split_once("fn ")
            && let Some(name) = after.split(|c: char| !c.is_alphanumeric() && c != '_').next()
            && !line.trim_start().starts_with("//")
        {
            name.clone_into(&mut current);
        }
        if line.contains(what) && !found.contains(&current) {
            found.push(current.clone());
        }
    }
    found.sort();
    found
}

#[test]
fn only_listed_functions_read_before_the_caller_is_known() {
    let source = source();
    let mut found = Vec::new();
    for layer in ["actions", "engine", "api", "client", "server", "cli"] {
        for path in files(&source.join(layer)) {
            let functions = functions_with(&fs::read_to_string(&path).expect("text"), ".pre_auth(");
            if !functions.is_empty() {
                found.push((path.strip_prefix(&source).expect("below src").display().to_string(), functions));
            }
        }
    }
    found.sort();
    let expected =
        PRE_AUTH.map(|(file, functions)| (file.to_owned(), functions.iter().map(|&name| name.to_owned()).collect()));
    assert_eq!(found, Vec::from(expected));
}
