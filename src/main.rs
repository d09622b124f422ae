//! The binary: parse arguments, call `cli`.

/// Uses less memory for many connections than the allocator of glibc (ADR 22).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tenantry::cli::main()
}
