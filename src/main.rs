//! The binary: parse arguments, call `cli`.

/// Gives memory back to the system when a flood of connections has gone (ADR 22).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tenantry::cli::main()
}
