//! What of the last released document would break its clients: nothing, unless the changelog says so under "Breaking".

mod small;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::truth::DOCUMENT;

/// A document before and after, compared from the side of a client that was made for the one before.
struct Change<'a> {
    before: &'a Value,
    after: &'a Value,
    /// What breaks: the operation, and what of it.
    breaks: Vec<(String, String)>,
    operation: String,
}

/// Which way a value goes: what a client sends must still be taken, and what it gets must still be there.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    In,
    Out,
}

/// What breaks clients of `before`: the operation, and what of it.
fn breaks(before: &Value, after: &Value) -> Vec<(String, String)> {
    let mut change = Change { before, after, breaks: Vec::new(), operation: String::new() };
    for (path, item) in fields(&before["paths"]) {
        for (method, operation) in fields(item) {
            operation["operationId"].as_str().unwrap_or_default().clone_into(&mut change.operation);
            match after["paths"].get(path).and_then(|item| item.get(method)) {
                None => change.says(format!("{method} {path} is gone")),
                Some(now) => change.operation(operation, now),
            }
        }
    }
    change.breaks
}

impl<'a> Change<'a> {
    fn says(&mut self, what: String) {
        self.breaks.push((self.operation.clone(), what));
    }

    fn operation(&mut self, before: &'a Value, after: &'a Value) {
        if before["operationId"] != after["operationId"] {
            self.says(format!("is now called {}", after["operationId"]));
        }
        for scheme in items(&before["security"]).filter(|scheme| !items(&after["security"]).any(|now| now == *scheme)) {
            self.says(format!("the credential {scheme} is refused"));
        }
        if items(&before["security"]).next().is_none() && items(&after["security"]).next().is_some() {
            self.says("wants a credential".to_owned());
        }
        self.parameters(before, after);
        self.body(&before["requestBody"], &after["requestBody"]);
        let done = |status: &str| status.starts_with(['2', '3']);
        for (status, answer) in fields(&before["responses"]).filter(|(status, _)| done(status)) {
            match after["responses"].get(status) {
                None => self.says(format!("the status {status} is gone")),
                Some(now) => self.answer(status, answer, now),
            }
        }
    }

    fn parameters(&mut self, before: &'a Value, after: &'a Value) {
        let same = |one: &Value, other: &Value| one["name"] == other["name"] && one["in"] == other["in"];
        for now in items(&after["parameters"]).filter(|now| now["required"] == true) {
            let was = items(&before["parameters"]).find(|was| same(was, now));
            if was.is_none_or(|was| was["required"] != true) {
                self.says(format!("wants the parameter {}", now["name"]));
            }
        }
        for was in items(&before["parameters"]) {
            match items(&after["parameters"]).find(|now| same(was, now)) {
                None => self.says(format!("the parameter {} is gone", was["name"])),
                Some(now) => self.schema(Way::In, &was["name"].to_string(), &was["schema"], &now["schema"]),
            }
        }
    }

    fn body(&mut self, before: &'a Value, after: &'a Value) {
        if after["required"] == true && before["required"] != true {
            self.says("wants a body".to_owned());
        }
        for (media, was) in fields(&before["content"]) {
            match after["content"].get(media) {
                None => self.says(format!("takes no {media}")),
                Some(now) => self.schema(Way::In, "body", &was["schema"], &now["schema"]),
            }
        }
    }

    fn answer(&mut self, status: &str, before: &'a Value, after: &'a Value) {
        for (name, _) in fields(&before["headers"]).filter(|(name, _)| after["headers"].get(name).is_none()) {
            self.says(format!("{status}: the header {name} is gone"));
        }
        for (media, was) in fields(&before["content"]) {
            match after["content"].get(media) {
                None => self.says(format!("{status}: gives no {media}")),
                Some(now) => self.schema(Way::Out, status, &was["schema"], &now["schema"]),
            }
        }
    }

    fn schema(&mut self, way: Way, place: &str, before: &'a Value, after: &'a Value) {
        let (before, after) = (resolve(self.before, before), resolve(self.after, after));
        for word in ["type", "format"].into_iter().filter(|word| before[word] != after[word]) {
            self.says(format!("{place}: {word} was {} and is {}", before[word], after[word]));
        }
        for value in items(&before["enum"]).filter(|value| !items(&after["enum"]).any(|now| now == *value)) {
            self.says(format!("{place}: {value} is no value any more"));
        }
        match way {
            Way::In => self.stricter(place, before, after),
            Way::Out => {
                if after["nullable"] == true && before["nullable"] != true {
                    self.says(format!("{place} may be null"));
                }
                self.all_of(place, "may be missing", names(&before["required"]).difference(&names(&after["required"])));
            }
        }
        for (name, was) in fields(&before["properties"]) {
            let place = format!("{place}/{name}");
            match after["properties"].get(name) {
                None => self.says(format!("{place} is gone")),
                Some(now) => self.schema(way, &place, was, now),
            }
        }
        if before.get("items").is_some() && after.get("items").is_some() {
            self.schema(way, &format!("{place}/*"), &before["items"], &after["items"]);
        }
    }

    /// What is refused that was taken.
    fn stricter(&mut self, place: &str, before: &Value, after: &Value) {
        if before["nullable"] == true && after["nullable"] != true {
            self.says(format!("{place} must not be null"));
        }
        if before.get("enum").is_none() && after.get("enum").is_some() {
            self.says(format!("{place} must be one of {}", after["enum"]));
        }
        if after["pattern"] != before["pattern"] && after.get("pattern").is_some() {
            self.says(format!("{place} must look like {}", after["pattern"]));
        }
        for word in ["minimum", "minLength", "minItems", "maximum", "maxLength", "maxItems"] {
            let Some(now) = after[word].as_f64() else { continue };
            let least = word.starts_with("min");
            let tighter = before[word].as_f64().is_none_or(|was| if least { now > was } else { now < was });
            // To want nothing at least is to want nothing.
            if tighter && !(word.ends_with('s') && least && now == 0.0) {
                self.says(format!("{place}: {word} is {now}"));
            }
        }
        self.all_of(place, "is wanted", names(&after["required"]).difference(&names(&before["required"])));
    }

    fn all_of<'n>(&mut self, place: &str, what: &str, names: impl Iterator<Item = &'n String>) {
        for name in names {
            self.says(format!("{place}/{name} {what}"));
        }
    }
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn names(value: &Value) -> BTreeSet<String> {
    items(value).filter_map(Value::as_str).map(str::to_owned).collect()
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => document.pointer(pointer).unwrap_or_else(|| panic!("{pointer} leads nowhere")),
        None => schema,
    }
}

/// The document of the newest release, by the numbers in its name.
fn released(folder: &Path) -> Value {
    let files = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("a file").path());
    let number = |path: &std::path::PathBuf| -> Vec<u64> {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        name.split('.').map(|part| part.parse().unwrap_or_else(|_| panic!("{name} is no version"))).collect()
    };
    let newest = files.max_by_key(number).expect("a released document");
    serde_json::from_slice(&fs::read(newest).expect("read")).expect("JSON")
}

/// What the first section of the changelog, that of the version at work, says under "Breaking".
fn announced(changelog: &str) -> &str {
    let section = changelog.split("\n## ").nth(1).unwrap_or_default();
    section.split("\n### ").find_map(|part| part.strip_prefix("Breaking\n")).unwrap_or_default()
}

/// Whether a text names an operation: not only as a part of a longer name.
fn is_named(text: &str, operation: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == operation)
}

#[test]
fn what_breaks_clients_of_the_last_release_is_announced() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let changelog = fs::read_to_string(root.join("CHANGELOG.md")).expect("the changelog");
    let mut found = breaks(&released(&root.join("openapi/released")), &DOCUMENT);
    found.retain(|(operation, _)| !is_named(announced(&changelog), operation));
    let lines: Vec<_> = found.iter().map(|(operation, what)| format!("{operation}: {what}")).collect();
    assert!(
        found.is_empty(),
        "clients of the last release break; undo it, or name the operation in CHANGELOG.md under \"### Breaking\":\n{}",
        lines.join("\n")
    );
}

#[test]
fn only_the_first_section_of_the_changelog_announces() {
    let changelog = "# Changelog\n\n## Unreleased\n\n### Breaking\n\n- `getKey`: gone.\n\n### Added\n\n- `addKey`\n\n## 0.1.0\n\n\
        ### Breaking\n\n- `listKeys`\n";
    let said = announced(changelog);
    assert!(is_named(said, "getKey") && !is_named(said, "get"));
    assert!(!is_named(said, "addKey") && !is_named(said, "listKeys"));
    assert_eq!(announced("# Changelog\n\n## Unreleased\n\n### Added\n\n- x\n"), "");
}
