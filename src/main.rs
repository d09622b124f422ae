//! The binary: parse arguments, call `cli`.

fn main() -> std::process::ExitCode {
    tenantry::cli::main()
}
