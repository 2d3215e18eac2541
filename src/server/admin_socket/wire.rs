//! What crosses the socket for a command: one HTTP request, and one response with its answer, both in JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::actions::admin::command::{Answer, Command};

/// The path of commands. All paths but this and the next are those of the API.
pub const PATH: &str = "/commands";

/// The path that says which organization the server's administrator acts in.
pub const ADMINISTRATOR: &str = "/administrator";

/// The maximum size of a request's body, in bytes.
pub const LONGEST_REQUEST: usize = 16 * 1024;

/// The version of this program. Another version may have other commands, or mean something else by the same ones.
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: String,
    command: T,
}

/// The body of a response.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reply {
    /// The answer of a command.
    Answer(Box<Answer>),
    /// Why there is none.
    Error(String),
}

/// Returns the body of a request.
pub fn request(command: &Command) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Versioned { version: VERSION.to_owned(), command })
}

/// Returns the command in the body of a request.
pub fn command(body: &[u8]) -> Result<Command, String> {
    let unreadable =
        |error: serde_json::Error| format!("the running server, orgkeys {VERSION}, does not understand this: {error}");
    // The version first: the commands of another one may not be readable.
    let asked: Versioned<Value> = serde_json::from_slice(body).map_err(unreadable)?;
    if asked.version != VERSION {
        return Err(format!(
            "this program is orgkeys {}, but the running server is orgkeys {VERSION}: use the server's program, or restart the \
             server with this one",
            asked.version
        ));
    }
    serde_json::from_value(asked.command).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::actions::admin::command::List;

    #[test]
    fn a_command_of_another_version_is_refused_before_it_is_read() {
        let list = Command::List(List::Users { org: None });
        let sent = request(&list).expect("JSON");
        assert_eq!(command(&sent).expect("a command").name(), "user list");
        let mut other: Value = serde_json::from_slice(&sent).expect("JSON");
        other["version"] = json!("99.0.0");
        other["command"] = json!({ "unheardOf": {} });
        let refusal = command(other.to_string().as_bytes()).expect_err("refused");
        assert!(refusal.contains("this program is orgkeys 99.0.0, but the running server is orgkeys "), "{refusal}");
        assert!(refusal.contains("restart the server"), "{refusal}");
    }

    #[test]
    fn unknown_commands_and_options_are_refused() {
        let asked = |asked: Value| command(json!({ "version": VERSION, "command": asked }).to_string().as_bytes());
        assert!(asked(json!({ "change": { "revokeToken": { "id": "token-1" } } })).is_ok());
        for wrong in [
            json!({ "change": { "revokeToken": { "id": "token-1", "all": true } } }),
            json!({ "change": { "revokeTokens": {} } }),
            json!({ "list": { "users": { "org": 7 } } }),
            json!("list"),
            json!({}),
        ] {
            let refusal = asked(wrong.clone()).expect_err("refused");
            assert!(refusal.contains("does not understand this"), "{wrong}: {refusal}");
        }
    }
}
