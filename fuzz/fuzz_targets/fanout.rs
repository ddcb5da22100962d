//! The producer's queue against the obvious model: a list of all datums, and the
//! place of each consumer in it.

#![no_main]

#[path = "../../crates/mosaik-proto/tests/fuzz/fanout.rs"]
mod fanout;

libfuzzer_sys::fuzz_target!(|input: fanout::Input| fanout::run(input));
