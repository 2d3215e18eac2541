//! Sends a command to the running server.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::wire::{self, PATH, Reply};
use crate::actions::admin::command::{Answer, Command};

/// How long the server may take. A change waits until it is on disk.
const PATIENCE: Duration = Duration::from_mins(1);

/// The maximum size of a response, in bytes: more than the longest list.
const LONGEST_RESPONSE: u64 = 256 << 20;

/// Sends a command to the server that listens on the socket `path`. Returns `None` if there is no such server.
pub fn ask(path: &Path, command: &Command) -> Result<Option<Answer>, String> {
    let name = path.display();
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                // No server, a socket that one left behind, or a path that is too long for one.
                ErrorKind::NotFound
                | ErrorKind::NotADirectory
                | ErrorKind::ConnectionRefused
                | ErrorKind::InvalidInput => Ok(None),
                ErrorKind::PermissionDenied => Err(format!(
                    "{name} is not open to you: run this command as root (sudo), or as the user that runs the server"
                )),
                _ => Err(format!("cannot connect to the server's socket {name}: {error}")),
            };
        }
    };
    let response = exchange(stream, command).map_err(|error| {
        format!(
            "the server on {name} did not answer ({error}). It may have executed the command all the same: look before you \
             run it again"
        )
    })?;
    let body = response.windows(4).position(|end| end == b"\r\n\r\n").map(|end| &response[end + 4..]);
    match body.and_then(|body| serde_json::from_slice(body).ok()) {
        Some(Reply::Answer(answer)) => Ok(Some(*answer)),
        Some(Reply::Error(why)) => Err(why),
        None => Err(format!(
            "the process that listens on {name} is not orgkeys {}: restart the server with this version, or use its program",
            env!("CARGO_PKG_VERSION")
        )),
    }
}

/// Sends the request and reads the whole response.
fn exchange(mut stream: UnixStream, command: &Command) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let body = wire::request(command)?;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body].concat())?;
    let mut response = Vec::new();
    stream.take(LONGEST_RESPONSE).read_to_end(&mut response)?;
    if response.is_empty() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(response) }
}
