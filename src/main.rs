//! The program: everything is in the library, so that tests and benches reach it too.

use mimalloc::MiMalloc;
use zeroizing_alloc::ZeroAlloc;

/// Half of what a request costs here is small, short-lived memory, which `mimalloc` hands out faster than the system's
/// allocator. Each block is wiped when it is freed, whoever made it: bodies, buffers and copies hold keys and passwords.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<MiMalloc> = ZeroAlloc(MiMalloc);

fn main() -> std::process::ExitCode {
    orgkeys::cli::main()
}
