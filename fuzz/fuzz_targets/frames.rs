//! Frames survive any cutting of the stream, and no stream makes the reader
//! take more than the limit.

#![no_main]

#[path = "../../crates/mosaik-proto/tests/fuzz/frames.rs"]
mod frames;

libfuzzer_sys::fuzz_target!(|input: frames::Input| frames::run(input));
