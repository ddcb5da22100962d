//! What a client was told is done stays done: every acknowledged command is in the
//! committed log, at the index that was told, for ever (design §2.2, P3 and P4).
//!
//! That the committed log itself stays, and that all later leaders have it, is said
//! by the invariants [`committed`](super::committed) and
//! [`leader_completeness`](super::leader_completeness).

use {
	super::{Check, broken},
	std::collections::BTreeMap,
};

/// See the module.
#[derive(Debug, Default)]
pub struct Acknowledged {
	indices: BTreeMap<u64, u64>,
}

impl Acknowledged {
	/// A command was acknowledged as the `index`th, which in truth is that `value`.
	///
	/// # Errors
	/// When it is not committed there, or was acknowledged elsewhere.
	pub fn done(&mut self, value: u64, index: u64, committed: Option<u64>) -> Check {
		if *self.indices.entry(value).or_insert(index) != index {
			let what = format!("{value} was acknowledged twice, the second time at {index}");
			return broken("acknowledged", what);
		}
		if committed == Some(value) {
			return Ok(());
		}
		let what = format!("{value} was acknowledged at {index}, where {committed:?} is");
		broken("acknowledged", what)
	}

	/// How many commands were acknowledged.
	pub fn count(&self) -> usize {
		self.indices.len()
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn an_acknowledged_command_is_where_it_was_said_to_be() {
		let mut acknowledged = Acknowledged::default();
		assert!(acknowledged.done(7, 1, Some(7)).is_ok());
		assert!(acknowledged.done(8, 2, Some(7)).is_err());
		assert!(acknowledged.done(9, 3, None).is_err());
		assert!(acknowledged.done(7, 2, Some(7)).is_err());
	}
}
