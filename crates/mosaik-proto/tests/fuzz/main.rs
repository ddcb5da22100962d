//! What the fuzzers do (`fuzz/`), with what chance and the golden vectors give: a
//! short look in every run of the tests, where a fuzzer looks for hours.

#![expect(clippy::unwrap_used, reason = "this is a test")]

mod discovery_message;
mod entry;
mod fanout;
mod frames;

use {
	arbitrary::{Arbitrary, Unstructured},
	proptest::{collection::vec, prelude::*, sample},
	std::path::Path,
};

/// The golden vectors of a folder.
fn golden(folder: &str) -> Vec<Vec<u8>> {
	let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
	let files = std::fs::read_dir(root.join(folder)).unwrap();
	let mut vectors: Vec<Vec<u8>> = files
		.map(|file| {
			let hex = std::fs::read_to_string(file.unwrap().path()).unwrap();
			let digits: Vec<u8> = hex
				.bytes()
				.filter(|byte| !byte.is_ascii_whitespace())
				.collect();
			let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
			digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
		})
		.collect();
	assert!(!vectors.is_empty());
	vectors.sort();
	vectors
}

/// A golden vector of which some bytes are wrong, missing or too many.
fn spoilt(folder: &str) -> impl Strategy<Value = Vec<u8>> {
	let edits = vec((any::<sample::Index>(), any::<u8>(), 0..4_u8), 0..4);
	(sample::select(golden(folder)), edits).prop_map(|(mut bytes, edits)| {
		for (index, byte, kind) in edits {
			let at = index.index(bytes.len() + 1);
			match kind {
				0 => bytes.insert(at, byte),
				1 => bytes.truncate(at),
				_ => {
					if let Some(place) = bytes.get_mut(at) {
						*place = byte;
					}
				}
			}
		}
		bytes
	})
}

fn random() -> impl Strategy<Value = Vec<u8>> {
	vec(any::<u8>(), 0..2048)
}

/// What a fuzzer makes of such bytes.
fn made_of<'a, T: Arbitrary<'a>>(bytes: &'a [u8]) -> T {
	T::arbitrary_take_rest(Unstructured::new(bytes)).unwrap()
}

proptest! {
	#[test]
	fn any_bytes_may_come_as_a_discovery_message(data in prop_oneof![random(), spoilt("discovery")]) {
		discovery_message::run(&data);
	}

	#[test]
	fn any_bytes_may_come_as_an_entry(data in prop_oneof![random(), spoilt("entry")]) {
		entry::run(&data);
	}

	#[test]
	fn any_stream_may_be_read_as_frames(data in random()) {
		frames::run(made_of(&data));
	}

	#[test]
	fn anything_may_be_done_to_a_fanout(data in random()) {
		fanout::run(made_of(&data));
	}
}
