//! Whatever a neighbour sends: it decodes or not, and the membership core takes
//! it in and goes on.

#![no_main]

#[path = "../../crates/mosaik-proto/tests/fuzz/discovery_message.rs"]
mod discovery_message;

libfuzzer_sys::fuzz_target!(|data: &[u8]| discovery_message::run(data));
