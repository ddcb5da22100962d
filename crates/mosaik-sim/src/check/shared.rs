//! Values that are shared by many states and hashed once.

use std::{
	fmt,
	hash::{Hash, Hasher},
	ops::Deref,
	sync::Arc,
};

/// A value with its hash. Cloning is cheap; equality looks at the hash first.
pub struct Shared<T>(Arc<(u64, T)>);

impl<T: Hash> Shared<T> {
	/// Hashes `value`.
	pub fn new(value: T) -> Self {
		let mut mixer = Mixer::default();
		value.hash(&mut mixer);
		Self(Arc::new((mixer.finish(), value)))
	}
}

impl<T> Shared<T> {
	/// The hash, the same in every run.
	pub fn digest(&self) -> u64 {
		self.0.0
	}
}

impl<T> Clone for Shared<T> {
	fn clone(&self) -> Self {
		Self(Arc::clone(&self.0))
	}
}

impl<T> Deref for Shared<T> {
	type Target = T;

	fn deref(&self) -> &T {
		&self.0.1
	}
}

impl<T: PartialEq> PartialEq for Shared<T> {
	fn eq(&self, other: &Self) -> bool {
		Arc::ptr_eq(&self.0, &other.0) || self.digest() == other.digest() && **self == **other
	}
}

impl<T: Eq> Eq for Shared<T> {}

impl<T> Hash for Shared<T> {
	fn hash<H: Hasher>(&self, state: &mut H) {
		state.write_u64(self.digest());
	}
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		(**self).fmt(f)
	}
}

/// A hasher that gives the same in every run: words are folded in by a product of
/// 128 bits.
#[derive(Debug)]
pub struct Mixer(u64);

impl Default for Mixer {
	fn default() -> Self {
		Self(0x243f_6a88_85a3_08d3)
	}
}

fn fold(a: u64, b: u64) -> u64 {
	let product = u128::from(a) * u128::from(b);
	(product as u64) ^ ((product >> 64) as u64)
}

impl Hasher for Mixer {
	fn write(&mut self, bytes: &[u8]) {
		for chunk in bytes.chunks(8) {
			let mut word = [0; 8];
			word[..chunk.len()].copy_from_slice(chunk);
			self.write_u64(u64::from_le_bytes(word));
		}
		self.write_u64(bytes.len() as u64);
	}

	fn write_u8(&mut self, word: u8) {
		self.write_u64(word.into());
	}

	fn write_u32(&mut self, word: u32) {
		self.write_u64(word.into());
	}

	fn write_u64(&mut self, word: u64) {
		self.0 = fold(
			self.0.rotate_left(23) ^ word ^ 0x9e37_79b9_7f4a_7c15,
			0xd6e8_feb8_6659_fd93,
		);
	}

	fn write_usize(&mut self, word: usize) {
		self.write_u64(word as u64);
	}

	fn finish(&self) -> u64 {
		fold(self.0 ^ 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn equal_values_have_equal_hashes_and_others_do_not() {
		let mut digests: Vec<u64> = (0..100_000u64).map(|n| Shared::new(n).digest()).collect();
		digests.push(Shared::new(vec![1u64, 2]).digest());
		digests.push(Shared::new(vec![2u64, 1]).digest());
		let all = digests.len();
		digests.sort_unstable();
		digests.dedup();
		assert_eq!(digests.len(), all);
		assert_eq!(Shared::new((1u8, 2u64)), Shared::new((1u8, 2u64)));
	}
}
