//! The release executable, run on a database of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use orgkeys::crypto::secret;
use orgkeys::server::clock;
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret;
use tempfile::TempDir;

use crate::http;
use crate::machine::{self, FOLDER};

/// The path of the release executable.
pub const ORGKEYS: &str = env!("CARGO_BIN_EXE_orgkeys");

/// A directory with a database, and its owner's token.
pub struct Site {
    folder: TempDir,
    token: String,
}

/// A running server.
pub struct Program {
    child: Child,
    // Kept open: output that nobody reads must not end the server.
    _output: BufReader<ChildStdout>,
    /// The address it listens on.
    pub address: SocketAddr,
    /// How long it took to start.
    pub started_in: Duration,
    /// The organization, if this start created it.
    pub org: String,
    token: String,
}

impl Site {
    /// Creates a directory without a database.
    pub fn new() -> Self {
        let token = secret::SecretKind::AccessToken.fresh(&mut clock::system().rng()).expose_secret().to_owned();
        Self { folder: TempDir::new_in(FOLDER).expect("a folder"), token }
    }

    /// Returns the path of the database.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("orgkeys.db")
    }

    /// Starts the server without rate limits. It logs at the default level, to nowhere.
    pub fn start(&self) -> Program {
        self.start_with(|_| ())
    }

    /// Starts the server with additional settings.
    pub fn start_with(&self, set: impl FnOnce(&mut Command)) -> Program {
        let mut command = Command::new(ORGKEYS);
        command.arg("serve").env("ORGKEYS_DATABASE", self.database()).env("ORGKEYS_LISTEN", "127.0.0.1:0");
        for unlimited in ["ORGKEYS_SIGNED_RATE", "ORGKEYS_REFUSED_RATE", "ORGKEYS_CALLER_RATE", "ORGKEYS_ORG_RATE"] {
            command.env(unlimited, "0");
        }
        command.env("ORGKEYS_MAX", "100");
        command.env("ORGKEYS_BOOTSTRAP_TOKEN", &self.token);
        set(&mut command);
        Program::start(command, self.token.clone())
    }
}

impl Program {
    /// Starts a server and waits until it reports that it listens.
    pub fn start(mut command: Command, token: String) -> Self {
        let started = Instant::now();
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the server starts");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let (mut org, mut line) = (String::new(), String::new());
        let address = loop {
            line.clear();
            assert_ne!(output.read_line(&mut line).expect("text"), 0, "the server ended before it listened");
            if let Some(rest) = line.strip_prefix("first start: organization ") {
                rest.split(';').next().unwrap_or_default().clone_into(&mut org);
            } else if let Some(address) = line.trim().strip_prefix("listening on http://") {
                break address.parse().expect("an address");
            }
        };
        Self { child, _output: output, address, started_in: started.elapsed(), org, token }
    }

    /// Builds a request without a body, with the owner's token.
    pub fn request(&self, method: &str, path: &str) -> Vec<u8> {
        let (host, bearer) = self.identity(&self.token);
        let headers = [("host", host.as_str()), ("authorization", &bearer), ("content-length", "0")];
        http::request(&format!("{method} {path}"), &headers)
    }

    /// Sends a request and returns the response's head and body.
    pub fn call(&self, method: &str, path: &str) -> (String, String) {
        let (status, text) = http::call(self.address, &self.request(method, path));
        assert_eq!(status, 200, "{text}");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        (head.to_owned(), body.to_owned())
    }

    /// Builds a request with a JSON body, with the owner's token.
    pub fn send(&self, path: &str, json: &str) -> Vec<u8> {
        self.send_as(&self.token, path, json)
    }

    /// Builds a request with a JSON body, with another token.
    pub fn send_as(&self, token: &str, path: &str, json: &str) -> Vec<u8> {
        let (host, bearer) = self.identity(token);
        http::post(path, &[("host", &host), ("authorization", &bearer)], json)
    }

    /// The values of the headers that say who is asked, and by whom.
    fn identity(&self, token: &str) -> (String, String) {
        (self.address.to_string(), format!("Bearer {token}"))
    }

    /// Creates something as the owner, from JSON.
    pub fn create(&self, path: &str, json: &str) {
        let (status, text) = http::call(self.address, &self.send(path, json));
        assert_eq!(status, 201, "{text}");
    }

    /// Creates a key; returns the private key in PEM.
    pub fn mint(&self, org: &str) -> String {
        self.call("POST", &format!("/organization/{org}/key")).1
    }

    /// Returns the processor time that it has used.
    pub fn cpu(&self) -> Duration {
        machine::cpu(self.process("stat"), machine::OWN)
    }

    /// Returns a line of its status such as `VmRSS`, in KiB.
    pub fn kib(&self, name: &str) -> u32 {
        kib(self.child.id(), name).expect("the server runs")
    }

    /// Returns how many threads it has.
    pub fn threads(&self) -> u32 {
        let status = std::fs::read_to_string(self.process("status")).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("Threads:")).expect("a line");
        line.trim().parse().expect("a number")
    }

    /// Returns how many file descriptors it has open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(self.process("fd")).map_or(0, Iterator::count)
    }

    fn process(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(file)
    }
}

impl Drop for Program {
    /// Sends SIGTERM, and waits until it has stopped.
    fn drop(&mut self) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let asked = id.is_some_and(|id| kill_process(id, Signal::TERM).is_ok());
        if !asked {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Returns a line of a process's status (proc(5)) in KiB; `None` once the process has ended.
pub fn kib(process: u32, name: &str) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':').trim().strip_suffix(" kB")?.trim().parse().ok()
}
