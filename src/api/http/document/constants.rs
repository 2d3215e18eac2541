//! Names the constants of enumerations for languages in which all enumerations share one namespace, such as Go.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Gives the constants of an enumeration names of their own if another one, later in the alphabet, has one of its values.
pub fn name_shared(schemas: &mut Map<String, Value>) {
    let mut taken = BTreeSet::new();
    for (name, schema) in schemas.iter_mut().rev() {
        let values = schema.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let values: Vec<String> = values.map(str::to_uppercase).collect();
        if values.iter().any(|value| taken.contains(value)) {
            let prefix = screaming(name);
            let names: Vec<_> = values.iter().map(|value| format!("{prefix}_{value}")).collect();
            schema["x-enum-varnames"] = json!(names);
        }
        taken.extend(values);
    }
}

/// `NodeState` as `NODE_STATE`.
fn screaming(name: &str) -> String {
    let mut screaming = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !screaming.is_empty() {
            screaming.push('_');
        }
        screaming.extend(letter.to_uppercase());
    }
    screaming
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enumeration_that_shares_a_value_has_its_own_names() {
        let mut schemas = Map::new();
        for (name, values) in [("NodeState", ["active", "silent"]), ("Order", ["a", "b"]), ("State", ["ACTIVE", "c"])] {
            schemas.insert(name.to_owned(), json!({ "type": "string", "enum": values }));
        }
        name_shared(&mut schemas);
        assert_eq!(schemas["NodeState"]["x-enum-varnames"], json!(["NODE_STATE_ACTIVE", "NODE_STATE_SILENT"]));
        assert_eq!((schemas["Order"].get("x-enum-varnames"), schemas["State"].get("x-enum-varnames")), (None, None));
    }
}
