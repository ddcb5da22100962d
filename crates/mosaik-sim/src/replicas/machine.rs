//! The state machine of the simulated users: a log of unique values.

use crate::linearizability::models::log::Prefix;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Machine {
	/// The values, in the order in which they were applied.
	pub(super) values: Vec<u64>,
	/// What of it a reader sees.
	pub(super) digest: Prefix,
}

impl Machine {
	/// Applies a command.
	pub(super) fn push(&mut self, value: u64) {
		self.values.push(value);
		self.digest = self.digest.with(value);
	}
}

impl Default for Machine {
	fn default() -> Self {
		Self {
			values: Vec::new(),
			digest: Prefix::EMPTY,
		}
	}
}
