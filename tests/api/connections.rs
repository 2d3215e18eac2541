//! Many connections to the real program: memory use, and behaviour when file descriptors run out.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use orgkeys::server::listener::raise_descriptor_limit;
use rustix::process::{Resource, getrlimit};
use tempfile::TempDir;

const GOOD: &[u8] = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n";

/// The longest that anything here may take.
const BOUND: Duration = Duration::from_secs(30);

/// The running program, which is killed at the end.
struct Program {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Program {
    /// Starts it with at most `descriptors` open files.
    fn start(descriptors: &str, flags: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut child = Command::new("sh")
            .args(["-c", "ulimit -n \"$1\"; shift; exec \"$@\"", "sh", descriptors])
            .args([env!("CARGO_BIN_EXE_orgkeys"), "serve", "--listen", "127.0.0.1:0", "--log", "error", "--database"])
            .arg(folder.path().join("orgkeys.db"))
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut lines = lines.map(|line| line.expect("text"));
        let address = lines.find_map(|line| line.strip_prefix("listening on http://")?.parse().ok());
        let address = address.expect("it says where it listens");
        Self { child, address, _folder: folder }
    }

    /// A connection that was used for one request and stays open.
    fn connect(&self) -> TcpStream {
        let mut stream = self.connect_silently();
        assert!(ask(&mut stream), "it answers");
        stream
    }

    fn connect_silently(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(BOUND)).expect("a bound");
        stream
    }

    /// Its resident memory, in MiB.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
        let kib: u64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
        kib / 1_024
    }

    /// Its processor time, in hundredths of a second.
    fn worked(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("its statistics");
        let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
        fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a request on this connection is answered with 200.
fn ask(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 12];
    let asked = stream.write_all(GOOD).and_then(|()| stream.read_exact(&mut answer));
    if asked.is_err() || answer != *b"HTTP/1.1 200" {
        return false;
    }
    let mut rest = BufReader::new(stream);
    let head_ends = rest.by_ref().lines().map_while(Result::ok).any(|line| line.is_empty());
    let mut body = vec![0; rest.buffer().len()];
    head_ends && rest.read_exact(&mut body).is_ok()
}

#[test]
fn with_2000_idle_connections_memory_stays_below_120_mib_and_clients_are_served() {
    raise_descriptor_limit();
    if getrlimit(Resource::Nofile).current.is_some_and(|limit| limit < 2_300) || !Path::new("/proc/self/stat").exists()
    {
        println!("skipped: 2,000 connections need more open files than are allowed here, and /proc");
        return;
    }
    let program = Program::start("2300", &["--header-timeout", "10m", "--idle-timeout", "10m"]);
    let empty = program.memory();
    let mut idle: Vec<TcpStream> = (0..1_000).map(|_| program.connect()).collect();
    for _ in 0..1_000 {
        let mut half = program.connect_silently();
        half.write_all(&GOOD[..20]).expect("half a head");
        idle.push(half);
    }
    // Connections are accepted in order: when this one is answered, all of them have been accepted.
    let mut good = program.connect();
    let full = program.memory();
    assert!(full < 120, "{full} MiB with 2,000 idle connections, {empty} MiB without");
    for stream in idle.iter_mut().step_by(100).take(10) {
        assert!(ask(stream), "an idle connection still works");
    }
    assert!(ask(&mut good));
}

#[test]
fn out_of_file_descriptors_the_server_waits_idly_and_recovers() {
    if !Path::new("/proc/self/stat").exists() {
        println!("skipped: the processor time of a process is read from /proc");
        return;
    }
    let program = Program::start("64", &["--header-timeout", "10m"]);
    let crowd: Vec<TcpStream> = (0..100).map(|_| program.connect_silently()).collect();
    let (began, before) = (Instant::now(), program.worked());
    let mut last = program.connect_silently();
    last.set_read_timeout(Some(Duration::from_secs(1))).expect("a bound");
    assert!(!ask(&mut last), "answered without a free descriptor");
    let (worked, took) = (program.worked() - before, began.elapsed());
    assert!(u128::from(worked) * 10 < took.as_millis() / 2, "worked {worked} of {} hundredths", took.as_millis() / 10);
    drop(crowd);
    assert!(ask(&mut program.connect()), "served when there are descriptors again");
}
