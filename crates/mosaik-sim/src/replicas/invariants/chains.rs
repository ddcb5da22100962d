//! Formations that dissolve into one another form no circle, and each dissolves
//! into one only (design 2.9).

use {mosaik_proto::groups::types::FormationId, std::collections::BTreeMap};

/// What dissolved into what.
#[derive(Debug, Default)]
pub struct Chains {
	into: BTreeMap<FormationId, FormationId>,
}

impl Chains {
	/// A formation dissolved.
	///
	/// # Errors
	/// When it did so before into another one, or the chain comes back to it.
	pub fn dissolved(&mut self, from: FormationId, into: FormationId) -> Result<(), String> {
		let known = *self.into.entry(from).or_insert(into);
		if known != into {
			return Err(format!(
				"chains: {from} dissolved into {known} and into {into}"
			));
		}
		let mut at = into;
		while let Some(&next) = self.into.get(&at) {
			if next == from || at == from {
				return Err(format!("chains: {from} dissolved in a circle"));
			}
			at = next;
		}
		Ok(())
	}

	/// Whether a formation dissolved.
	pub fn has_dissolved(&self, formation: FormationId) -> bool {
		self.into.contains_key(&formation)
	}

	/// How many dissolved.
	pub fn len(&self) -> usize {
		self.into.len()
	}

	/// Whether none did.
	pub fn is_empty(&self) -> bool {
		self.into.is_empty()
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn a_circle_and_a_second_successor_are_noticed() {
		let formation = |id: u128| FormationId::from(id);
		let mut chains = Chains::default();
		assert_eq!(chains.dissolved(formation(1), formation(2)), Ok(()));
		assert_eq!(chains.dissolved(formation(2), formation(3)), Ok(()));
		assert!(chains.dissolved(formation(1), formation(3)).is_err());
		assert!(chains.dissolved(formation(3), formation(1)).is_err());
	}
}
