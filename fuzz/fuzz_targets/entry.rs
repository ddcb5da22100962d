//! Entries that were signed by anybody or nobody.

#![no_main]

#[path = "../../crates/mosaik-proto/tests/fuzz/entry.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::run(data));
