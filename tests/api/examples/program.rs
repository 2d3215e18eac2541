//! Sends a step of the scenario with `orgkeys api`, and reads its output as a response.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;
use tempfile::TempDir;

use super::names::Names;
use super::story::{Shows, Step};
use super::{World, operations};
use crate::harness::{Answer, Server, blocking};

/// Fields of bodies that are only read from files.
const SECRETS: [&str; 6] = ["password", "currentPassword", "token", "refreshToken", "apiKey", "text"];

/// Sends the request of a step. A success has its body in flags, a refusal as a whole.
pub async fn ask(server: &Server, names: &Names, step: &Step) -> Answer {
    let folder = TempDir::new().expect("a folder");
    let mut words = vec!["api".to_owned(), step.operation.clone(), "--include".to_owned()];
    for (name, value) in step.parameters.as_object().into_iter().flatten() {
        words.extend([format!("--{name}"), names.real(&text(value))]);
    }
    if let Some(body) = &step.body {
        let body: Value = serde_json::from_str(&names.real(&body.to_string())).expect("JSON");
        if step.shows == Shows::Success {
            let operation = operations().into_iter().find(|(.., operation)| operation["operationId"] == step.operation);
            add_fields(&mut words, &folder, operation.expect("an operation").2, "", &body);
        } else {
            std::fs::write(folder.path().join("body"), body.to_string()).expect("written");
            words.extend(["--body".to_owned(), format!("@{}", folder.path().join("body").display())]);
        }
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_orgkeys"));
    command.args(&words).env_clear().env("ORGKEYS_URL", format!("http://{}", server.address)).stdin(Stdio::null());
    command.env("ORGKEYS_TOKEN", names.real(step.credential));
    let output = blocking(move || command.output().expect("it runs")).await;
    drop(folder);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let answer = read(&output.stdout).unwrap_or_else(|| panic!("{words:?}: {told}"));
    assert_eq!(output.status.success(), answer.status.is_success(), "{words:?}: {told}");
    answer
}

/// Adds a flag for each field of a body, below the names `above`.
fn add_fields(words: &mut Vec<String>, folder: &TempDir, operation: &Value, above: &str, body: &Value) {
    for (name, value) in body.as_object().expect("an object") {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        // Another flag has the name already.
        let is_taken = path == "url" || parameters.into_iter().any(|parameter| parameter["name"] == *path);
        let flag = if is_taken { format!("--body-{path}") } else { format!("--{path}") };
        match value {
            Value::Object(_) => add_fields(words, folder, operation, &path, value),
            Value::Array(items) if items.is_empty() => words.extend([flag, "[]".to_owned()]),
            Value::Array(items) => words.extend(items.iter().flat_map(|item| [flag.clone(), text(item)])),
            _ if SECRETS.contains(&name.as_str()) => {
                let file = folder.path().join(name);
                std::fs::write(&file, text(value)).expect("written");
                words.extend([flag, format!("@{}", file.display())]);
            }
            // A value may begin with a dash.
            _ => words.push(format!("{flag}={}", text(value))),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Reads what `--include` prints: the status, the headers, an empty line, and the body.
fn read(printed: &[u8]) -> Option<Answer> {
    let end = printed.windows(2).position(|window| window == b"\n\n")?;
    let head = std::str::from_utf8(&printed[..end]).ok()?;
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| {
        (name.parse::<HeaderName>().expect("a name"), value.parse::<HeaderValue>().expect("a value"))
    });
    let body = &printed[end + 2..];
    Some(Answer { status, headers: headers.collect(), body: Bytes::copy_from_slice(body) })
}

#[tokio::test(flavor = "multi_thread")]
async fn orgkeys_api_sends_and_prints_every_example() {
    let mut world = World::new().await;
    world.by_program = true;
    world.play().await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/examples.json");
    let file: Value = serde_json::from_slice(&fs::read(path).expect("the file")).expect("JSON");
    assert_eq!(world.examples.len(), operations().len());
    for (operation, told) in &world.examples {
        let (mut told, mut expected) = (told.clone(), file[operation].clone());
        for answers in [&mut told, &mut expected] {
            forget_jobs(answers);
            // A job counts calls once a minute.
            if let (Some(counts), "getStatistics") = (answers.pointer_mut("/answers/200/data"), operation.as_str()) {
                *counts = Value::Null;
            }
        }
        if let Some(answers) = expected.get_mut("answers").and_then(Value::as_object_mut) {
            // These need a server with other limits, except for signing in and for rotating.
            for status in ["409", "410", "429"] {
                if told["answers"].get(status).is_none() {
                    answers.shift_remove(status);
                }
            }
        }
        assert_eq!(told, expected, "{operation}");
    }
}

/// Removes what a periodic job may change while the programs run: the last uses of API keys, and the numbers of entries of
/// the audit log, in which refused calls are recorded once a minute.
fn forget_jobs(json: &mut Value) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(forget_jobs),
        Value::Object(fields) => {
            let is_event = fields.contains_key("contextId");
            for (name, value) in fields {
                let changes = ["lastUsed", "lastUsedAddress", "eventId", "seq", "last"].contains(&name.as_str());
                if changes || is_event && name == "id" {
                    *value = Value::Null;
                } else {
                    forget_jobs(value);
                }
            }
        }
        _ => {}
    }
}
