//! What of an answer is shown: its rows, and of each row some columns.

use serde_json::{Map, Value};

use crate::domain::role::Role;

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The heading.
    pub title: &'static str,
    /// The field, with `.` between the names of nested objects.
    pub field: &'static str,
    /// How the value is written.
    pub show: Show,
}

/// How a value is written.
#[derive(Clone, Copy, Debug)]
pub enum Show {
    /// As it is.
    Plain,
    /// The name of a role instead of its number.
    Role,
    /// The number of items in a list.
    Count,
    /// One field of each item in a list, separated by commas.
    Each(&'static str),
    /// Milliseconds since 1970 as a time.
    Millis,
}

impl Column {
    /// The name by which the column is chosen: its heading in small letters, with `-` between words.
    #[must_use]
    pub fn name(&self) -> String {
        self.title.to_lowercase().replace(' ', "-")
    }
}

/// A column whose value is shown as it is.
pub const fn plain(title: &'static str, field: &'static str) -> Column {
    Column { title, field, show: Show::Plain }
}

/// A column with a role.
pub const fn role(title: &'static str, field: &'static str) -> Column {
    Column { title, field, show: Show::Role }
}

/// A column whose value is shown in this way.
pub const fn shown(title: &'static str, field: &'static str, show: Show) -> Column {
    Column { title, field, show }
}

/// Returns what an answer is about, without the envelope.
#[must_use]
pub fn payload(answer: &Value) -> &Value {
    let holds = |name: &&str| answer.get(*name).is_some_and(|value| value.is_array() || value.is_object());
    ["data", "result", "events", "tokens"].iter().find(|name| holds(name)).map_or(answer, |name| &answer[*name])
}

/// Returns the rows of an answer. A single thing is one row.
#[must_use]
pub fn rows(answer: &Value) -> Vec<Value> {
    match payload(answer) {
        Value::Array(rows) => rows.clone(),
        one => vec![one.clone()],
    }
}

/// Returns the confirmation in an answer.
#[must_use]
pub fn message(answer: &Value) -> &str {
    let text = answer["message"].as_str().or_else(|| answer["messages"][0].as_str());
    text.unwrap_or("Done")
}

/// Returns the text of a column in a row; empty if there is none.
#[must_use]
pub fn cell(row: &Value, column: &Column) -> String {
    let value = column.field.split('.').fold(row, |value, name| &value[name]);
    match column.show {
        Show::Plain => written(value),
        Show::Role => {
            value.as_i64().and_then(Role::from_number).map_or_else(|| written(value), |role| role.name().to_owned())
        }
        Show::Count => value.as_array().map(|items| items.len().to_string()).unwrap_or_default(),
        Show::Each(name) => {
            let items = value.as_array().into_iter().flatten();
            items.map(|item| written(&item[name])).collect::<Vec<_>>().join(",")
        }
        Show::Millis => {
            value.as_i64().map(|millis| crate::domain::time::Time::from_millis(millis).to_string()).unwrap_or_default()
        }
    }
}

/// Writes any value in one cell.
#[must_use]
pub fn written(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|item| !item.is_array() && !item.is_object()) => {
            items.iter().map(written).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

/// Returns the titles and cells of rows whose columns are not known: every field of the first row.
#[must_use]
pub fn every_field(rows: &[Value]) -> (Vec<String>, Vec<Vec<String>>) {
    let titles: Vec<String> = match rows.first() {
        Some(Value::Object(fields)) => fields.keys().cloned().collect(),
        Some(_) => vec!["value".to_owned()],
        None => Vec::new(),
    };
    let cells = rows.iter().map(|row| match row {
        Value::Object(fields) => {
            titles.iter().map(|title| fields.get(title).map(written).unwrap_or_default()).collect()
        }
        other => vec![written(other)],
    });
    let cells = cells.collect();
    (titles, cells)
}

/// Removes a field that a pointer names, and returns its text.
pub fn take_text(answer: &mut Value, pointer: &str) -> Option<String> {
    let (holder, name) = pointer.rsplit_once('/')?;
    let fields: &mut Map<String, Value> = answer.pointer_mut(holder)?.as_object_mut()?;
    match fields.shift_remove(name)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_found_in_every_envelope() {
        assert_eq!(rows(&json!({ "success": true, "data": [1, 2] })), [json!(1), json!(2)]);
        assert_eq!(rows(&json!({ "success": true, "errors": [], "result": { "id": 1 } })), [json!({ "id": 1 })]);
        assert_eq!(rows(&json!({ "events": [], "total": 0 })), Vec::<Value>::new());
        assert_eq!(rows(&json!({ "id": "user-1" })), [json!({ "id": "user-1" })]);
        assert_eq!(rows(&json!({ "success": true, "result": true })), [json!({ "success": true, "result": true })]);
    }

    #[test]
    fn cells_are_written_as_their_column_says() {
        let row = json!({
            "id": 1, "role": 254, "odd": 3, "list": [{ "id": "a" }, { "id": "b" }], "at": 1_705_314_600_000_i64, "none": null,
            "tags": ["x", "y"], "user": { "name": "Ada" },
        });
        let cell = |field, show| super::cell(&row, &Column { title: "", field, show });
        assert_eq!(cell("id", Show::Plain), "1");
        assert_eq!(cell("role", Show::Role), "ADMINISTRATOR");
        assert_eq!(cell("odd", Show::Role), "3");
        assert_eq!(cell("list", Show::Count), "2");
        assert_eq!(cell("list", Show::Each("id")), "a,b");
        assert_eq!(cell("at", Show::Millis), "2024-01-15T10:30:00.000Z");
        assert_eq!(cell("tags", Show::Plain), "x,y");
        assert_eq!(cell("user.name", Show::Plain), "Ada");
        for field in ["none", "missing", "user.missing"] {
            assert_eq!(cell(field, Show::Plain), "");
        }
    }

    #[test]
    fn a_secret_is_taken_out_of_an_answer() {
        let mut answer = json!({ "data": { "id": "key-1", "privateKey": "s" } });
        assert_eq!(take_text(&mut answer, "/data/privateKey").as_deref(), Some("s"));
        assert_eq!(answer, json!({ "data": { "id": "key-1" } }));
        assert_eq!(take_text(&mut answer, "/data/privateKey"), None);
    }
}
