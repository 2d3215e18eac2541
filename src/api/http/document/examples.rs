//! What examples does the document give? Those that were seen: a test tells a story to a server and writes down what it
//! asked and what was answered, how it was refused too, and fails when that changes.

use serde_json::Value;

/// By operation: `parameters` by name, the body that was sent as `request`, and the bodies that were answered by status as
/// `answers`, or, where they were not JSON, by media type as `texts`. Under `refusals`, by family (`plain`, `wrapped`), those
/// that every operation has in common, by status.
const RECORDED: &str = include_str!("../../../../openapi/examples.json");

/// Writes into an operation of the document what was seen of it.
pub(super) fn show(operation: &mut Value, recorded: &Value, family: &str) {
    let Some(id) = operation["operationId"].as_str() else { return };
    let (own, refusals) = (&recorded[id], &recorded["refusals"][family]);
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten();
    // Swagger UI fills examples in: what may be left out would be sent by somebody who never chose it.
    for parameter in parameters.filter(|parameter| parameter["required"] == true) {
        let name = parameter["name"].as_str().unwrap_or_default();
        if let Some(example) = own["parameters"].get(name).cloned() {
            parameter["example"] = example;
        }
    }
    set(operation.get_mut("requestBody"), own.get("request"));
    for (status, answer) in operation["responses"].as_object_mut().into_iter().flatten() {
        set(Some(answer), own["answers"].get(status).or_else(|| refusals.get(status)));
        for (media, text) in own["texts"].as_object().into_iter().flatten() {
            if let Some(media) = answer["content"].get_mut(media) {
                media["example"] = text.clone();
            }
        }
    }
}

/// What was seen.
pub(super) fn recorded() -> Value {
    serde_json::from_str(RECORDED).unwrap_or_default()
}

fn set(holder: Option<&mut Value>, example: Option<&Value>) {
    if let (Some(media), Some(example)) = (holder.and_then(|of| of.pointer_mut("/content/application~1json")), example)
    {
        media["example"] = example.clone();
    }
}
