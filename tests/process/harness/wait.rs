//! Waits with a deadline: what never comes fails the test that waits for it, by its name.

use std::fs::File;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until something is there.
pub fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        // Short beside everything that is waited for, and no work for the machine meanwhile.
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for work that may block, such as reading from a pipe.
pub fn within<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = channel();
    thread::spawn(move || done.send(work()));
    received(what, &ended)
}

/// Waits for the next word of another thread.
pub fn received<T>(what: &str, from: &Receiver<T>) -> T {
    from.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("not within {PATIENCE:?}: {what} ({error})"))
}

/// Waits until a process ends. One that does not is killed.
pub fn ended(what: &str, child: &mut Child) -> ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        if began.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            panic!("not within {PATIENCE:?}: {what} ends");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Runs a command to its end, with nothing to read. What it writes is returned, unless it writes elsewhere.
pub fn output(command: &mut Command) -> Output {
    let what = format!("{command:?}");
    output_of(&what, command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect(&what))
}

/// Waits until a process ends, and returns what it has written to its pipes. One that does not end is killed.
pub fn output_of(what: &str, child: Child) -> Output {
    let (process, (done, output)) = (Pid::from_child(&child), channel());
    thread::spawn(move || done.send(child.wait_with_output()));
    match output.recv_timeout(PATIENCE) {
        Ok(output) => output.expect("waited"),
        Err(error) => {
            let _ = kill_process(process, Signal::KILL);
            panic!("not within {PATIENCE:?}: {what} ends ({error})");
        }
    }
}

/// Waits for a connection, and for each of its bytes.
pub fn accepted(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).expect("set");
    let stream = eventually("somebody connects", || match listener.accept() {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        accepted => Some(accepted.expect("a connection").0),
    });
    stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(Some(PATIENCE))).expect("set");
    stream
}

/// Waits until somebody reads from a pipe with a name, and opens it for writing.
pub fn read_by_somebody(pipe: &Path) -> File {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("small");
    eventually("somebody reads from the pipe", || File::options().write(true).custom_flags(flags).open(pipe).ok())
}
