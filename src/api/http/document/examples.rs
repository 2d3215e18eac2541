//! Adds the examples to the OpenAPI document. They are real requests and responses: a test plays a story against a server,
//! records each exchange, refusals included, and fails when one changes.

use serde_json::Value;

/// The recorded examples. For each operation id: `parameters` by name, the request body as `request`, JSON response bodies by
/// status as `answers`, and other response bodies by media type as `texts`. Under `refusals`: the errors that operations
/// share, by family (`plain`, `wrapped`) and status.
const RECORDED: &str = include_str!("../../../../openapi/examples.json");

/// Adds the recorded examples to an operation of the document.
pub(super) fn show(operation: &mut Value, recorded: &Value, family: &str) {
    let Some(id) = operation["operationId"].as_str() else { return };
    let (own, refusals) = (&recorded[id], &recorded["refusals"][family]);
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten();
    // Swagger UI fills examples in, so an example of an optional parameter would be sent by users who never chose it.
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

/// Returns the recorded examples.
pub(super) fn recorded() -> Value {
    serde_json::from_str(RECORDED).unwrap_or_default()
}

fn set(holder: Option<&mut Value>, example: Option<&Value>) {
    if let (Some(media), Some(example)) = (holder.and_then(|of| of.pointer_mut("/content/application~1json")), example)
    {
        media["example"] = example.clone();
    }
}
