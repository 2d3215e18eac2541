//! However the program ends, it leaves no core dump: its memory holds keys, passwords and tokens.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};

use crate::harness::{Home, ended};

/// An unprivileged user: `nobody`.
const NOBODY: u32 = 65_534;

/// The same command, started where core dumps are permitted.
fn with_cores(command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg("ulimit -c unlimited 2>/dev/null; exec \"$0\" \"$@\"");
    shell.arg(command.get_program()).args(command.get_args()).env_clear();
    shell.current_dir(command.get_current_dir().expect("a folder"));
    shell
}

/// The soft and hard limit of a process on core dumps.
fn limits(process: u32) -> Option<String> {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).ok()?;
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size"))?;
    Some(core.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// Waits until a process has set its limit.
fn settled(child: &Child) -> bool {
    let (begun, process) = (Instant::now(), child.id());
    let is_ours = || fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name.trim() == "orgkeys");
    while begun.elapsed() < Duration::from_secs(20) {
        if is_ours() && limits(process).as_deref() == Some("0 0") {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

#[test]
fn a_crashing_server_leaves_no_core_dump() {
    for signal in [Signal::ABORT, Signal::ILL] {
        let home = Home::new();
        let server = home.start_with(&mut with_cores(&home.serve(&[])));
        server.signal(signal);
        let status = server.crashed();
        assert_eq!(status.signal(), Some(signal.as_raw()), "{status}");
        assert!(!status.core_dumped(), "{status}");
        assert!(!home.files().iter().any(|name| name.starts_with("core")), "{:?}", home.files());
    }
}

#[test]
fn a_crashing_command_leaves_no_core_dump() {
    let home = Home::new();
    // It waits for a writer to open the pipe, which never happens.
    assert!(Command::new("mkfifo").arg(home.path("pipe")).status().expect("it runs").success());
    let mut command = with_cores(&home.orgkeys(&["audit", "verify", "--file", "pipe"]));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("spawned");
    let settled = settled(&child);
    kill_process(Pid::from_child(&child), Signal::ABORT).expect("signalled");
    let status = ended("the command", &mut child);
    assert!(settled, "its limit was {:?}", limits(child.id()));
    assert!(!status.core_dumped(), "{status}");
}

/// The memory of a process that cannot be dumped belongs to root, whoever runs it.
#[test]
fn a_server_of_an_unprivileged_user_cannot_be_dumped_and_still_works() {
    let home = Home::new();
    let mut serve = home.serve(&[]);
    let user = if getuid().is_root() {
        let folder = home.database.parent().expect("a folder");
        chown(folder, Some(NOBODY), Some(NOBODY)).expect("given");
        serve.uid(NOBODY).gid(NOBODY);
        if !may_run(serve.get_program().as_ref()) {
            println!("skipped: another user cannot run the program where it was built");
            return;
        }
        NOBODY
    } else {
        getuid().as_raw()
    };
    let server = home.start_with(&mut serve);
    let process = format!("/proc/{}", server.pid().as_raw_nonzero());
    let owner = |path: String| fs::metadata(path).expect("it is there").uid();
    assert_eq!(owner(format!("{process}/environ")), 0, "its memory belongs to root");
    assert_ne!(user, 0);
    let owner = server.owner();
    server.mint(&owner);
    let metrics = String::from_utf8(server.call("GET", "/metrics", None, None).body).expect("text");
    assert!(metrics.contains("\norgkeys_database_bytes "), "{metrics}");
    assert_eq!(home.run(&["doctor", "--quick"]).code, Some(1), "there is no backup");
    assert_eq!(server.stop().0, Some(0));
}

/// Whether another user may run the program.
fn may_run(program: &Path) -> bool {
    let mut version = Command::new(program);
    version.arg("--version").uid(NOBODY).gid(NOBODY).env_clear();
    version.output().is_ok_and(|output| output.status.success())
}
