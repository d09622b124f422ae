//! Headers of proxies: see `entries/forwarded.rs`.
#![no_main]

#[path = "../entries/forwarded.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entry::check(bytes));
