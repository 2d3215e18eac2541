//! The environment of the measurements: the machine, its disk, processor times, and openssl as a baseline.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The directory of all databases: in the build directory, because the system's temporary directory may be in memory.
pub const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

/// The `f_type` of an in-memory file system (statfs(2)).
const TMPFS: u64 = 0x0102_1994;

/// Describes cores, processor, kernel and compiler.
pub fn line() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("an unknown processor");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let compiler = output("rustc", &["--version"]).unwrap_or_else(|| "an unknown rustc".to_owned());
    let model = model.trim_start_matches([' ', '\t', ':']);
    format!("Machine: {cores} cores, {model}, Linux {}, {}", kernel.trim(), compiler.trim())
}

/// Printed in place of a limit if there is nothing to compare with.
pub const NO_OPENSSL: &str = "no openssl to compare with";

/// Prints a warning if there is no openssl, or if writes cannot be durable.
pub fn warn() {
    if output("openssl", &["version"]).is_none() {
        println!("{NO_OPENSSL}: its rows have no baseline\n");
    }
    let system = rustix::fs::statfs(FOLDER).map(|system| system.f_type);
    if system.is_ok_and(|kind| u64::try_from(kind) == Ok(TMPFS)) {
        println!("{FOLDER} is in memory: the figures for durable writes are meaningless\n");
    }
}

/// Returns what a program prints to standard output; `None` if it is missing or fails.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let run = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    run.status.success().then(|| String::from_utf8_lossy(&run.stdout).into_owned())
}

/// Returns how many RSA-2048 signatures openssl verifies per second of one core.
pub fn openssl_verifies() -> Option<f64> {
    let text = output("openssl", &["speed", "-mr", "-seconds", "1", "rsa2048"])?;
    // +F2:<index>:<bits>:<signatures a second>:<verifications a second>
    text.lines().find_map(|line| line.strip_prefix("+F2:"))?.split(':').nth(3)?.parse().ok()
}

/// Returns how many RSA-2048 keys openssl generates per second of one core.
pub fn openssl_keys(time: Duration) -> Option<f64> {
    let (before, started) = (cpu("/proc/self/stat", CHILDREN), std::time::Instant::now());
    let mut made = 0.0;
    while started.elapsed() < time {
        output("openssl", &["genrsa", "2048"])?;
        made += 1.0;
    }
    Some(made / cpu("/proc/self/stat", CHILDREN).saturating_sub(before).as_secs_f64().max(0.01))
}

/// The field of `stat` with the time of the process or thread itself, in user mode; system mode follows.
pub const OWN: usize = 14;

/// The field with that of its children that have ended.
const CHILDREN: usize = 16;

/// Returns the processor time in a `stat` file (proc(5)), in steps of 10 ms.
pub fn cpu(stat: impl AsRef<Path>, field: usize) -> Duration {
    let text = fs::read_to_string(stat).unwrap_or_default();
    // The second field is a name in parentheses that may contain spaces.
    let after = text.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after.split_whitespace().skip(field - 3).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// Returns the median of the times.
pub fn median(mut times: Vec<Duration>) -> Duration {
    percentile(&mut times, 50)
}

/// The time within which so many of 100 answers came.
pub fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len() * percent / 100).copied().unwrap_or_default()
}
