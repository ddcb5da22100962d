//! Where `n` nodes must found together and fewer than `2n` take part, at most one
//! formation ever commits anything (design 2.2, P2).
//!
//! It holds for nodes that keep what they wrote: who forgets a pledge may give it
//! again, and is another participant by definition.

use {mosaik_proto::groups::types::FormationId, std::collections::BTreeSet};

/// The formations that committed something.
#[derive(Debug, Default)]
pub struct Duplicates {
	committed: BTreeSet<FormationId>,
}

impl Duplicates {
	/// A formation committed something, where `expected` nodes had to found it and
	/// `nodes` take part, all with disks that survive.
	///
	/// # Errors
	/// When another one did before.
	pub fn committed(
		&mut self,
		formation: FormationId,
		expected: usize,
		nodes: usize,
	) -> Result<(), String> {
		self.committed.insert(formation);
		if expected < 2 || nodes >= 2 * expected || self.committed.len() < 2 {
			return Ok(());
		}
		Err(format!(
			"duplicates: {:?} were founded by {expected} of {nodes} nodes",
			self.committed
		))
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn a_second_formation_of_too_few_nodes_is_noticed() {
		let [a, b] = [1, 2].map(|id: u128| FormationId::from(id));
		let mut duplicates = Duplicates::default();
		assert_eq!(duplicates.committed(a, 3, 5), Ok(()));
		assert_eq!(duplicates.committed(a, 3, 5), Ok(()));
		assert!(duplicates.committed(b, 3, 5).is_err());
		let mut many = Duplicates::default();
		assert_eq!(many.committed(a, 3, 6), Ok(()));
		assert_eq!(many.committed(b, 3, 6), Ok(()));
	}
}
