//! The program: everything is in the library, so that tests and benches reach it too.

/// Half of what a request costs here is small, short-lived memory, which this allocator hands out faster than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    orgkeys::cli::main()
}
