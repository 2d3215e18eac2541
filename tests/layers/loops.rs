//! No files of a layer import each other in a loop, so that whoever reads one can stop at its imports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{LAYERS, files, source};

/// The path of a module below the crate, such as `["store", "user"]`.
type Module = Vec<String>;

/// The module in a file below `src`.
fn module(relative: &Path) -> Module {
    let mut path: Module = relative.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    path.pop_if(|last| last == "mod");
    path
}

/// Every path in a text that starts with `crate`, `super` or `self`, with brace groups expanded.
fn paths(text: &str) -> Vec<Module> {
    let words = words(text);
    let starts = (0..words.len()).filter(|start| matches!(&*words[*start], "crate" | "super" | "self"));
    let starts = starts.filter(|start| *start == 0 || words[start - 1] != "::");
    starts
        .filter(|start| words.get(start + 1).is_some_and(|next| next == "::"))
        .flat_map(|start| tree(&words, start).0)
        .collect()
}

/// The paths of the tree that starts at `at`, and where it ends.
fn tree(words: &[String], mut at: usize) -> (Vec<Module>, usize) {
    let mut path = Vec::new();
    loop {
        match words.get(at).map(String::as_str) {
            Some("{") => {
                let mut found = Vec::new();
                at += 1;
                while words.get(at).is_some_and(|word| word != "}") {
                    let (below, end) = tree(words, at);
                    found.extend(below.into_iter().map(|below| [path.clone(), below].concat()));
                    at = if words.get(end).is_some_and(|word| word == ",") { end + 1 } else { end.max(at + 1) };
                }
                return (found, at + 1);
            }
            Some(name) if name.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '*') => {
                path.push(name.to_owned());
            }
            _ => return (vec![path], at),
        }
        at += 1;
        if words.get(at).is_none_or(|word| word != "::") {
            return (vec![path], at);
        }
        at += 1;
    }
}

/// The tokens of source text, without its comments.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for line in text.lines().map(|line| line.split("//").next().unwrap_or_default()) {
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let name = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = if name > 0 {
                name
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            if !first.is_whitespace() {
                words.push(rest[..length].to_owned());
            }
            rest = &rest[length..];
        }
        words.push("\n".to_owned());
    }
    words.retain(|word| word != "\n");
    words
}

/// The module that a path used within `own` leads to, as far as its names are modules.
fn target(own: &Module, path: &Module, modules: &BTreeSet<Module>) -> Option<Module> {
    let mut at: Module = match path[0].as_str() {
        "crate" => Vec::new(),
        _ => own.clone(),
    };
    for name in path {
        match name.as_str() {
            "crate" | "self" => {}
            "super" => {
                at.pop();
            }
            name => {
                let below = [at.clone(), vec![name.to_owned()]].concat();
                if !modules.contains(&below) {
                    break;
                }
                at = below;
            }
        }
    }
    modules.contains(&at).then_some(at)
}

/// The files of a layer, each with its imports, except a file's own parent modules.
fn imports(layer: &str) -> BTreeMap<Module, BTreeSet<Module>> {
    let source = source();
    let texts: BTreeMap<Module, String> = files(&source)
        .into_iter()
        .map(|path| {
            (module(path.strip_prefix(&source).expect("below src")), std::fs::read_to_string(&path).expect("text"))
        })
        .filter(|(module, _)| module[0] == layer && !module.last().is_some_and(|name| name.ends_with("tests")))
        .collect();
    let modules = texts.keys().cloned().collect();
    let imported = |own: &Module, text: &str| {
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let targets = paths(text).into_iter().filter_map(|path| target(own, &path, &modules));
        targets.filter(|target| !own.starts_with(target)).collect()
    };
    texts.iter().map(|(own, text)| (own.clone(), imported(own, text))).collect()
}

/// Files that import each other in a loop: what is left after repeatedly removing those that import no others and those
/// that no others import.
fn looped(mut graph: BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    loop {
        let imported: BTreeSet<Module> = graph.values().flatten().cloned().collect();
        let ends: Vec<Module> = graph
            .iter()
            .filter(|(own, imports)| imports.is_empty() || !imported.contains(*own))
            .map(|(own, _)| own.clone())
            .collect();
        if ends.is_empty() {
            break;
        }
        for end in &ends {
            graph.remove(end);
            for imports in graph.values_mut() {
                imports.remove(end);
            }
        }
    }
    let named = |module: &Module| module.join("::");
    graph
        .iter()
        .map(|(own, imports)| format!("{} -> {}", named(own), imports.iter().map(named).collect::<Vec<_>>().join(", ")))
        .collect()
}

#[test]
fn no_files_of_a_layer_import_each_other_in_a_loop() {
    let found: Vec<String> = LAYERS.iter().flat_map(|(layer, _)| looped(imports(layer))).collect();
    assert!(found.is_empty(), "files of one layer import each other in a loop:\n{}", found.join("\n"));
}

#[test]
fn a_loop_is_reported_and_a_chain_is_not() {
    let graph = |edges: &[(&str, &str)]| {
        let mut graph = BTreeMap::<Module, BTreeSet<Module>>::new();
        for (from, to) in edges {
            graph.entry(vec![(*to).to_owned()]).or_default();
            graph.entry(vec![(*from).to_owned()]).or_default().insert(vec![(*to).to_owned()]);
        }
        graph
    };
    assert_eq!(looped(graph(&[("a", "b"), ("b", "c"), ("a", "c")])), Vec::<String>::new());
    assert_eq!(looped(graph(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")])), ["b -> c", "c -> b"]);
}

#[test]
fn paths_are_found_in_brace_groups_and_mid_line() {
    let text = "use super::{a, b::{self, C}};\nfn f() { crate::store::user::find() } // super::not";
    let found: Vec<String> = paths(text).iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["super::a", "super::b::self", "super::b::C", "crate::store::user::find"]);
}
