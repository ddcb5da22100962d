//! Election safety (Raft §5.2), per formation: at most one member leads in a term.

use {
	mosaik_proto::groups::types::{FormationId, MemberId, Term},
	std::collections::BTreeMap,
};

/// Who led when.
#[derive(Debug, Default)]
pub struct Leaders {
	known: BTreeMap<(FormationId, Term), MemberId>,
}

impl Leaders {
	/// A member leads.
	///
	/// # Errors
	/// When another one led in that term.
	pub fn leads(
		&mut self,
		formation: FormationId,
		term: Term,
		member: MemberId,
	) -> Result<(), String> {
		let known = *self.known.entry((formation, term)).or_insert(member);
		if known == member {
			return Ok(());
		}
		Err(format!(
			"leaders: {known} and {member} both led {formation} in term {term}"
		))
	}

	/// How many elections were won.
	pub fn len(&self) -> usize {
		self.known.len()
	}

	/// Whether nobody ever led.
	pub fn is_empty(&self) -> bool {
		self.known.is_empty()
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn a_second_leader_of_a_term_is_noticed() {
		let mut leaders = Leaders::default();
		let member = |id| MemberId::new(id).unwrap();
		assert_eq!(leaders.leads(FormationId::from(1), 4, member(1)), Ok(()));
		assert_eq!(leaders.leads(FormationId::from(1), 5, member(2)), Ok(()));
		assert_eq!(leaders.leads(FormationId::from(2), 4, member(2)), Ok(()));
		assert!(leaders.leads(FormationId::from(1), 4, member(2)).is_err());
	}
}
