//! The binary: parse arguments, call `cli`.

/// Takes less for many connections than that of glibc (ADR 22).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tenantry::cli::main()
}
