//! The audit entry that each operation records, in the order of the calls.

mod nodes;
mod projects;
mod secrets;
mod sessions;
mod users;
mod webhooks;

/// Operation, caller, path, body, status, and the one entry that it records (none if empty): action, context,
/// context id, change, outcome, detail, and the project if it has one. Capitals stand for ids, and for bodies with
/// signatures or tokens.
pub type Row = (&'static str, &'static str, &'static str, &'static str, u16, &'static str);

/// What the server answers about itself.
const SERVER: &[Row] = &[
    ("getServer", "", "/", "", 200, ""),
    ("getHealth", "", "/health", "", 200, ""),
    ("getReadiness", "", "/ready", "", 200, ""),
    ("getMetrics", "", "/metrics", "", 200, ""),
    ("the document", "", "/openapi.json", "", 200, ""),
    ("Swagger UI", "", "/docs", "", 200, ""),
    ("Swagger UI", "", "/docs/init.js", "", 200, ""),
    ("the console", "", "/console/", "", 200, ""),
    ("nothing", "OWNER", "/nowhere", "", 404, ""),
];

/// All rows. A row may need what the calls before it have done.
pub fn rows() -> impl Iterator<Item = Row> {
    [sessions::ROWS, secrets::ROWS, nodes::ROWS, users::ROWS, projects::ROWS, webhooks::ROWS, SERVER]
        .into_iter()
        .flatten()
        .copied()
}
