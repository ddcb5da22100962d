//! What happened, as a hash and, on demand, as text.

use std::fmt::{self, Write as _};

/// The record of a run.
#[derive(Debug, Default)]
pub struct Trace {
	hash: Fnv,
	lines: u64,
	/// Lines are kept if set.
	kept: Option<Vec<String>>,
}

/// FNV-1a: not secure, but quick, and the same everywhere.
#[derive(Debug)]
struct Fnv(u64);

impl Default for Fnv {
	fn default() -> Self {
		Self(0xcbf2_9ce4_8422_2325)
	}
}

impl fmt::Write for Fnv {
	fn write_str(&mut self, text: &str) -> fmt::Result {
		for byte in text.bytes() {
			self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
		}
		Ok(())
	}
}

impl Trace {
	/// Keeps the lines from now on, as text.
	pub fn keep(&mut self) {
		self.kept.get_or_insert_default();
	}

	/// The lines that were kept since the last call.
	pub fn take_lines(&mut self) -> Vec<String> {
		self.kept.as_mut().map(std::mem::take).unwrap_or_default()
	}

	/// The hash of all lines so far.
	pub const fn hash(&self) -> u64 {
		self.hash.0
	}

	/// How many lines there were.
	pub const fn len(&self) -> u64 {
		self.lines
	}

	/// Whether nothing happened.
	pub const fn is_empty(&self) -> bool {
		self.lines == 0
	}

	/// Adds a line.
	pub fn line(&mut self, micros: u64, line: fmt::Arguments<'_>) {
		self.lines += 1;
		// A hash takes any text.
		let _ = write!(self.hash, "{micros} {line};");
		if let Some(kept) = &mut self.kept {
			let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
			kept.push(format!("{seconds:>5}.{micros:06} {line}"));
		}
	}

	/// Adds a line to what is kept for people, not to the hash: what it says follows
	/// from [`numbers`](Self::numbers) that were added.
	pub fn text(&mut self, micros: u64, line: fmt::Arguments<'_>) {
		if let Some(kept) = &mut self.kept {
			let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
			kept.push(format!("{seconds:>5}.{micros:06} {line}"));
		}
	}

	/// Whether lines are kept.
	pub const fn is_kept(&self) -> bool {
		self.kept.is_some()
	}

	/// Adds numbers, to the hash only: for what happens too often to be read.
	pub fn numbers(&mut self, numbers: [u64; 4]) {
		for number in numbers {
			self.hash.0 = (self.hash.0 ^ number).wrapping_mul(0x100_0000_01b3);
		}
	}
}
