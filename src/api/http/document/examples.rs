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
    // Parameters have no examples, because Swagger UI fills examples in: the required ones are ids of the recorded server,
    // and the optional ones would be sent by users who never chose them.
    let request = own.get("request").map(|request| to_fill_in("", request));
    set(operation.get_mut("requestBody"), request.as_ref());
    for (status, answer) in operation["responses"].as_object_mut().into_iter().flatten() {
        set(Some(answer), own["answers"].get(status).or_else(|| refusals.get(status)));
        for (media, text) in own["texts"].as_object().into_iter().flatten() {
            if let Some(media) = answer["content"].get_mut(media) {
                media["example"] = text.clone();
            }
        }
    }
}

/// Returns a request with three dots in place of what exists only on the recorded server: ids, secrets and passwords.
fn to_fill_in(field: &str, recorded: &Value) -> Value {
    match recorded {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.as_str(), to_fill_in(name, value))).collect(),
        Value::Array(items) => items.iter().map(|item| to_fill_in(field, item)).collect(),
        Value::String(text) => match (field, text.split_once("-018d0b6a-"), text.split_once("_EXAMPLE")) {
            ("signature", ..) => signature().into(),
            ("password", ..) => "...".into(),
            (_, Some((kind, _)), _) => format!("{kind}-...").into(),
            (_, None, Some((kind, _))) => format!("{kind}_...").into(),
            _ => recorded.clone(),
        },
        _ => recorded.clone(),
    }
}

/// Returns a text that has the form of a signature, and says where to get one.
fn signature() -> String {
    let mut text = "printed/by/orgkeys/sign/".repeat(15);
    text.truncate(341);
    text + "A=="
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
