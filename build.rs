//! Prepares the files that are part of the program, once, since they never change while it runs: compresses the pages,
//! and selects what the commands need of the OpenAPI document.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::{fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};

/// The files, by the folder in which they are and the folder in `OUT_DIR` in which their compressed forms will be.
const FOLDERS: [(&str, &str, &[&str]); 2] = [
    ("openapi/swagger-ui", "docs", &["index.html", "init.js", "orgkeys.css", "swagger-ui.css", "swagger-ui-bundle.js"]),
    ("console/dist", "console", &["index.html", "app.js", "app.css"]),
];

/// The OpenAPI document.
const DOCUMENT: &str = "openapi/orgkeys.json";

fn main() -> io::Result<()> {
    let out = std::env::var("OUT_DIR").map_err(io::Error::other)?;
    let out = Path::new(&out);
    println!("cargo:rerun-if-changed={DOCUMENT}");
    let document = serde_json::from_slice(&fs::read(DOCUMENT)?)?;
    fs::write(out.join("requests.json"), requests(document).to_string())?;
    for (from, to, names) in FOLDERS {
        let to = out.join(to);
        fs::create_dir_all(&to)?;
        for name in names {
            let path = Path::new(from).join(name);
            println!("cargo:rerun-if-changed={}", path.display());
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&fs::read(path)?)?;
            fs::write(to.join(format!("{name}.gz")), encoder.finish()?)?;
        }
    }
    Ok(())
}

/// Returns what the document says about requests, and the media types of the responses. Every command that calls a server
/// parses it, and it is an eighth of the document.
fn requests(mut document: Value) -> Value {
    let mut schemas = document["components"]["schemas"].take();
    let mut paths = document["paths"].take();
    for operation in values(&mut paths).flat_map(values) {
        for media_type in content(&mut operation["requestBody"]) {
            *media_type = json!({ "schema": media_type["schema"] });
        }
        for response in values(&mut operation["responses"]) {
            content(response).for_each(|media_type| *media_type = json!({}));
            *response = json!({ "content": response["content"] });
        }
    }
    let mut used = BTreeSet::new();
    note_schemas(&paths, &schemas, &mut used);
    if let Value::Object(schemas) = &mut schemas {
        schemas.retain(|name, _| used.contains(name));
    }
    json!({ "paths": paths, "components": { "schemas": schemas } })
}

fn values(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_object_mut().into_iter().flat_map(Map::values_mut)
}

/// The media types of a request body or a response.
fn content(message: &mut Value) -> impl Iterator<Item = &mut Value> {
    message.get_mut("content").into_iter().flat_map(values)
}

/// Adds the names of all schemas to which `value` refers, directly or through other schemas.
fn note_schemas(value: &Value, schemas: &Value, used: &mut BTreeSet<String>) {
    let name = value["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/components/schemas/"));
    if let Some(name) = name
        && used.insert(name.to_owned())
    {
        note_schemas(&schemas[name], schemas, used);
    }
    match value {
        Value::Array(items) => {
            for item in items {
                note_schemas(item, schemas, used);
            }
        }
        Value::Object(fields) => {
            for field in fields.values() {
                note_schemas(field, schemas, used);
            }
        }
        _ => {}
    }
}
