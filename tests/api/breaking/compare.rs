//! Finds what in a document breaks clients of an older one: all that they could send must still be accepted, and all
//! that they read must still be there.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// A breaking change, and the operation and schemas that contain it.
#[derive(Debug)]
pub struct Break {
    pub what: String,
    pub within: Vec<String>,
}

/// Everything in `new` that breaks clients of `old`.
pub fn breaks(old: &Value, new: &Value) -> Vec<Break> {
    let mut found = Vec::new();
    for (path, item) in entries(&old["paths"]) {
        for (method, operation) in entries(item).filter(|(method, _)| *method != "parameters") {
            let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
            let mut comparison = Comparison { old, new, within: vec![id], compared: HashSet::new(), found: Vec::new() };
            let place = format!("{} {path}", method.to_uppercase());
            comparison.operation(&place, operation, &new["paths"][path][method]);
            found.append(&mut comparison.found);
        }
    }
    found
}

/// The direction of a schema: a request schema may accept more, a response schema may not lose anything.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    In,
    Out,
}

/// The comparison of one operation in both documents.
struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    /// The operation and the schemas on the way to the current place.
    within: Vec<String>,
    /// Pairs of references that were compared: a schema may contain itself.
    compared: HashSet<(String, String, Way)>,
    found: Vec<Break>,
}

impl<'a> Comparison<'a> {
    fn unless(&mut self, holds: bool, place: &str, what: &str) {
        if !holds {
            self.found.push(Break { what: format!("{place} {what}"), within: self.within.clone() });
        }
    }

    fn operation(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        if new.is_null() {
            return self.unless(false, place, "is gone");
        }
        self.unless(old["operationId"] == new["operationId"], place, "has another operationId");
        // Generated clients have a class or a module per tag.
        self.unless(old["tags"] == new["tags"], place, "has another tag");
        let (before, now) = (alternatives(self.old, old), alternatives(self.new, new));
        let enough = |had: &HashSet<&str>| now.iter().any(|asked| asked.is_subset(had));
        self.unless(before.iter().all(enough), place, "asks for another credential");
        self.parameters(place, old, new);
        self.request(&format!("{place}: the body"), &old["requestBody"], &new["requestBody"]);
        self.answers(place, &old["responses"], &new["responses"]);
    }

    fn parameters(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        let same = |one: &Value, other: &Value| one["name"] == other["name"] && one["in"] == other["in"];
        for parameter in items(&old["parameters"]) {
            let place = format!("{place}: the parameter {}", parameter["name"]);
            match items(&new["parameters"]).find(|other| same(parameter, other)) {
                None => self.unless(false, &place, "is gone"),
                Some(other) => {
                    self.required(&place, parameter, other);
                    self.schema(&place, &parameter["schema"], &other["schema"], Way::In);
                }
            }
        }
        for parameter in items(&new["parameters"]) {
            let known = items(&old["parameters"]).any(|other| same(parameter, other));
            let place = format!("{place}: the parameter {}", parameter["name"]);
            self.unless(known || parameter["required"] != true, &place, "is new and required");
        }
    }

    fn request(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        if new.is_null() {
            return self.unless(old.is_null(), place, "is gone");
        }
        self.required(place, old, new);
        self.content(place, &old["content"], &new["content"], Way::In);
    }

    fn required(&mut self, place: &str, old: &Value, new: &Value) {
        self.unless(old["required"] == true || new["required"] != true, place, "became required");
    }

    /// The set of error statuses may change; the content of an error may not.
    fn answers(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        for (status, answer) in entries(old) {
            let (place, other) = (format!("{place}: {status}"), &new[status]);
            if other.is_null() {
                self.unless(!status.starts_with(['2', '3']), &place, "is gone");
                continue;
            }
            for (name, header) in entries(&answer["headers"]) {
                let (place, other) = (format!("{place}: the header {name}"), &other["headers"][name]);
                self.unless(!other.is_null(), &place, "is gone");
                self.unless(header["required"] != true || other["required"] == true, &place, "may be left out");
                self.schema(&place, &header["schema"], &other["schema"], Way::Out);
            }
            self.content(&place, &answer["content"], &other["content"], Way::Out);
        }
    }

    fn content(&mut self, place: &str, old: &'a Value, new: &'a Value, way: Way) {
        for (media, content) in entries(old) {
            match new.get(media) {
                None => self.unless(false, &format!("{place}: {media}"), "is gone"),
                Some(other) => self.schema(place, &content["schema"], &other["schema"], way),
            }
        }
    }

    fn schema(&mut self, place: &str, old: &'a Value, new: &'a Value, way: Way) {
        let names = [old, new].map(|schema| schema["$ref"].as_str().unwrap_or_default().to_owned());
        let [name, other] = names;
        if name.is_empty() {
            self.resolved(place, old, resolve(self.new, new), way);
        } else if self.compared.insert((name.clone(), other, way)) {
            self.within.push(name.rsplit('/').next().unwrap_or_default().to_owned());
            self.resolved(place, resolve(self.old, old), resolve(self.new, new), way);
            self.within.pop();
        }
    }

    fn resolved(&mut self, place: &str, old: &'a Value, new: &'a Value, way: Way) {
        if old.is_null() || new.is_null() {
            return self.unless(old.is_null() || way == Way::In, place, "may be anything now");
        }
        for key in ["type", "format"] {
            self.unless(old[key] == new[key], place, &format!("has another {key}"));
        }
        self.unless(old["x-alias"].is_null() || old["x-alias"] == new["x-alias"], place, "lost an alias");
        self.known_values(place, &old["enum"], &new["enum"], way);
        match way {
            Way::In => self.limits(place, old, new),
            Way::Out => self.unless(old["nullable"] == true || new["nullable"] != true, place, "may be null now"),
        }
        self.fields(place, old, new, way);
        for key in ["items", "additionalProperties"] {
            if old[key].is_object() || new[key].is_object() {
                self.schema(&format!("{place}[]"), &old[key], &new[key], way);
            }
        }
    }

    fn known_values(&mut self, place: &str, old: &Value, new: &Value, way: Way) {
        if old.is_array() != new.is_array() {
            return self.unless(false, place, "has another enum");
        }
        let lost = items(old).any(|value| !items(new).any(|other| other == value));
        self.unless(!lost, place, "lost a value of its enum");
        // Generated clients read only the values that they know.
        let won = items(new).any(|value| !items(old).any(|other| other == value));
        self.unless(!won || way == Way::In, place, "has a new value in its enum");
    }

    /// What was accepted must still be accepted.
    fn limits(&mut self, place: &str, old: &Value, new: &Value) {
        self.unless(old["nullable"] != true || new["nullable"] == true, place, "may no longer be null");
        for key in ["maxLength", "maximum", "maxItems", "maxProperties"] {
            let holds = new[key].as_f64().is_none_or(|new| old[key].as_f64().is_some_and(|old| old <= new));
            self.unless(holds, place, &format!("has a smaller {key}"));
        }
        for key in ["minLength", "minimum", "minItems", "minProperties"] {
            let holds = new[key].as_f64().is_none_or(|new| old[key].as_f64().is_some_and(|old| old >= new));
            self.unless(holds, place, &format!("has a larger {key}"));
        }
        for key in ["pattern", "multipleOf", "uniqueItems", "exclusiveMaximum", "exclusiveMinimum"] {
            let holds = new[key].is_null() || new[key] == false || new[key] == old[key];
            self.unless(holds, place, &format!("has another {key}"));
        }
        let closed = |schema: &Value| schema["additionalProperties"] == false;
        self.unless(closed(old) || !closed(new), place, "no longer accepts other fields");
    }

    fn fields(&mut self, place: &str, old: &'a Value, new: &'a Value, way: Way) {
        for (name, field) in entries(&old["properties"]) {
            let place = format!("{place}.{name}");
            match new["properties"].get(name) {
                None => self.unless(false, &place, "is gone"),
                Some(other) => self.schema(&place, field, other, way),
            }
        }
        let (before, now, what) = match way {
            Way::In => (&new["required"], &old["required"], "became required"),
            Way::Out => (&old["required"], &new["required"], "may be left out"),
        };
        for name in items(before).filter(|name| !items(now).any(|other| other == *name)) {
            self.unless(false, &format!("{place}.{}", name.as_str().unwrap_or_default()), what);
        }
    }
}

/// The sets of credentials, each of which is sufficient.
fn alternatives<'a>(document: &'a Value, operation: &'a Value) -> Vec<HashSet<&'a str>> {
    let own = operation.get("security").unwrap_or(&document["security"]);
    let sets: Vec<_> = items(own).map(|set| entries(set).map(|(name, _)| name).collect()).collect();
    if sets.is_empty() { vec![HashSet::new()] } else { sets }
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        None => schema,
        Some(name) => document.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("{name} leads nowhere")),
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(key, value)| (key.as_str(), value))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
