//! The `orgkeys` program. Everything is in the library, so that tests and benchmarks can use it too.

use mimalloc::MiMalloc;
use zeroizing_alloc::ZeroAlloc;

/// Half the cost of a request is small, short-lived allocations, which `mimalloc` serves faster than the system
/// allocator. Every block is zeroed when it is freed, because bodies, buffers and copies may hold keys and passwords.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<MiMalloc> = ZeroAlloc(MiMalloc);

fn main() -> std::process::ExitCode {
    orgkeys::cli::main()
}
