//! The program as users run it: started, called over a socket, signalled, and run for its output.

mod http;
mod wait;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

use orgkeys::domain::time::Time;
use orgkeys::server::clock;
use rusqlite::config::DbConfig;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::key_pairs::next_pair;
use crate::signing::sign;

pub use self::http::{Answer, answer, answer_of, ask, call};
pub use self::wait::{PATIENCE, accepted, ended, eventually, output, output_of, read_by_somebody, received, within};

/// A test's own folder, in which the database is or will be.
pub struct Home {
    folder: TempDir,
    pub database: PathBuf,
}

/// A running server.
pub struct Server {
    child: Child,
    lines: Receiver<String>,
    pub address: SocketAddr,
    /// Its output before it listened.
    pub shown: String,
}

/// The result of a command.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// An organization's owner, as printed by the first start.
#[derive(Clone, Debug)]
pub struct Owner {
    pub org: String,
    pub token: String,
}

impl Home {
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let database = folder.path().join("orgkeys.db");
        Self { folder, database }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), contents).expect("written");
        self.path(name)
    }

    /// The names of all files in the folder, in order.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The program, in this folder and with an empty environment; `words` state `--database` where it is needed.
    pub fn orgkeys(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orgkeys"));
        command.current_dir(self.folder.path()).env_clear().args(words);
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, words: &[&str]) -> Ran {
        run(&mut self.orgkeys(words))
    }

    /// Runs the program, expects success and returns its standard output.
    pub fn done(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(0), "{words:?}: {ran:?}");
        ran.stdout
    }

    /// The command that serves this database on a free port.
    pub fn serve(&self, flags: &[&str]) -> Command {
        let mut command = self.orgkeys(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--signed-rate",
            "0",
            "--refused-rate",
            "0",
            "--caller-rate",
            "0",
            "--org-rate",
            "0",
        ]);
        command.args(flags);
        command
    }

    /// Starts a server and waits until it listens.
    pub fn start(&self) -> Server {
        self.start_with(&mut self.serve(&[]))
    }

    pub fn start_with(&self, command: &mut Command) -> Server {
        Server::spawn(command, &self.path("stderr.log"))
    }

    /// A server on a new database and its owner.
    pub fn first_start(&self) -> (Server, Owner) {
        let server = self.start();
        let owner = server.owner();
        (server, owner)
    }

    /// Everything that the servers of this folder have logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("stderr.log")).unwrap_or_default()
    }
}

impl Server {
    fn spawn(command: &mut Command, log: &Path) -> Self {
        let (child, lines) = spawn(command, log);
        let mut server = Self { child, lines, address: SocketAddr::from(([127, 0, 0, 1], 0)), shown: String::new() };
        loop {
            let line = server.lines.recv_timeout(PATIENCE);
            let line = line
                .unwrap_or_else(|error| panic!("no server ({error}): {}", fs::read_to_string(log).unwrap_or_default()));
            if let Some(address) = line.strip_prefix("listening on http") {
                let address = address.trim_start_matches('s').trim_start_matches("://");
                server.address = address.parse().expect("an address");
                return server;
            }
            server.shown.push_str(&line);
            server.shown.push('\n');
        }
    }

    /// The owner that the first start printed.
    pub fn owner(&self) -> Owner {
        let (org, token) = (shown(&self.shown, "org"), shown(&self.shown, "token"));
        Owner { org: org.expect("an organization"), token: token.expect("a token") }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("signalled");
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        rustix::process::test_kill_process(self.pid()).is_ok()
            && !fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default().contains(") Z ")
    }

    /// Kills it, as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("waited");
    }

    /// Asks it to stop. Returns its exit code and its output since it listened.
    pub fn stop(self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits until it exits. Returns its exit code and its output since it listened.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let mut printed = String::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            printed.push_str(&line);
        }
        (ended("the server", &mut self.child).code(), printed)
    }

    /// Waits until it ends by a signal that was sent to it.
    pub fn crashed(mut self) -> ExitStatus {
        ended("the server", &mut self.child)
    }

    pub fn call(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Answer {
        call(self.address, method, path, token, body).expect("an answer")
    }

    pub fn call_as(&self, owner: &Owner, method: &str, path: &str) -> Answer {
        self.call(method, path, Some(&owner.token), None)
    }

    /// Imports a key. Returns its id and its private key.
    pub fn key(&self, owner: &Owner) -> (String, String) {
        let (pair, path) = (next_pair(&owner.org), format!("/organization/{}/keys/import", owner.org));
        let answer = self.call("POST", &path, Some(&owner.token), Some(&json!({ "publicKey": pair.public })));
        assert_eq!(answer.status, 201, "{answer:?}");
        (answer.json()["data"]["id"].as_str().expect("an id").to_owned(), pair.private.clone())
    }

    /// Lets the server generate a key. Returns its id and its private key.
    pub fn mint(&self, owner: &Owner) -> (String, String) {
        let answer = self.call_as(owner, "POST", &format!("/organization/{}/key", owner.org));
        assert_eq!(answer.status, 200, "{answer:?}");
        (answer.header("x-key-id").expect("an id"), String::from_utf8(answer.body).expect("text"))
    }

    /// The first event of a stream that resumes after `last`.
    pub fn followed(&self, owner: &Owner, last: i64) -> String {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        let path = format!("/organization/{}/events/stream", owner.org);
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {last}\r\n");
        stream.write_all(format!("{head}Authorization: Bearer {}\r\n\r\n", owner.token).as_bytes()).expect("sent");
        let mut lines = BufReader::new(stream).lines().map(|line| line.expect("a line"));
        // A stream that has lost the event goes on with comments.
        let event = move || lines.find(|line| line.starts_with("data: ")).expect("an event");
        within("an event of a stream", event)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a command. Its standard error is appended to `log`, its standard output arrives line by line.
pub fn spawn(command: &mut Command, log: &Path) -> (Child, Receiver<String>) {
    let log = OpenOptions::new().create(true).append(true).open(log).expect("a log");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().expect("spawned");
    let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let (send, lines) = channel();
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    (child, lines)
}

/// Copies the program, by a process of its own: while a child of another test has the copy open for writing, which it
/// inherits until it has started, the copy cannot be run.
pub fn copy_program(to: &Path) {
    let copied = run(Command::new("cp").arg(env!("CARGO_BIN_EXE_orgkeys")).arg(to));
    assert_eq!(copied.code, Some(0), "{copied:?}");
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ran {
    let output = output(command);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The exit code of a command that could not do its work. For two of them, 1 means that they found something.
pub fn failed(words: &[&str]) -> i32 {
    if words.starts_with(&["audit", "verify"]) || words.starts_with(&["doctor"]) { 2 } else { 1 }
}

/// The JSON objects in lines of text.
pub fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The names of an object's fields, in order.
pub fn keys(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// The value of a variable in the line to paste of a first start's notice.
pub fn shown(notice: &str, name: &str) -> Option<String> {
    let line = notice.lines().find(|line| line.starts_with(" url="))?;
    let mut variables = line.trim().split("; ").filter_map(|variable| variable.split_once('='));
    variables.find(|(variable, _)| *variable == name).map(|(_, value)| value.to_owned())
}

/// The one-time token of the link that sets up the server in a browser, if a start printed one.
pub fn setup_token(notice: &str) -> Option<String> {
    let link = notice.lines().find_map(|line| line.strip_prefix("Open http"))?;
    link.split_once("/console/#setup=").map(|(_, token)| token.to_owned())
}

/// The output of a start that printed the link and nothing else, without the link.
pub fn beside_link(notice: &str) -> String {
    let lines: Vec<_> = notice.lines().collect();
    match &lines[..] {
        [why, "", link, ""] if why.starts_with("No owner has a password yet.") && setup_token(link).is_some() => {
            String::new()
        }
        _ => notice.to_owned(),
    }
}

/// The current time, as the server sees it.
pub fn now() -> Time {
    clock::system().now()
}

/// The body of a registration, signed with `pem` over `ip|eu-1|timestamp`.
pub fn registration(org: &str, pem: &str, ip: &str, timestamp: i64) -> Value {
    let signature = sign(pem, &format!("{ip}|eu-1|{timestamp}"));
    json!({
        "ip": ip, "region": "eu-1", "timestamp": timestamp, "signature": signature, "id_org": org,
        "provider": "AWS", "status": "active", "version": "1.4.2", "nodeServices": 1,
    })
}

/// The permissions of a file.
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    File::open(path).expect("a file").metadata().expect("metadata").permissions().mode() & 0o777
}

/// Opens a database file with SQLite, without the program.
pub fn sqlite(path: &Path) -> rusqlite::Connection {
    let conn = rusqlite::Connection::open(path).expect("a database");
    conn.busy_timeout(PATIENCE).expect("a timeout");
    conn
}

/// The same without triggers, as anybody with access to the file can do without changing its schema.
pub fn past_triggers(path: &Path) -> rusqlite::Connection {
    let conn = sqlite(path);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).expect("set");
    conn
}

/// SQLite's verdict on every page, index and constraint.
pub fn integrity(path: &Path) -> String {
    sqlite(path).query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a verdict")
}
