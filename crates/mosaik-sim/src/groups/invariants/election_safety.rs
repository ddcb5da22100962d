//! Election safety: at most one member leads in a term (Raft §5.2; dissertation
//! §3.4).

use {
	super::{Check, broken},
	mosaik_proto::groups::types::{MemberId, Term},
	std::collections::BTreeMap,
};

/// See the module.
#[derive(Debug, Default)]
pub struct ElectionSafety {
	leaders: BTreeMap<Term, MemberId>,
}

impl ElectionSafety {
	/// A member leads in a term.
	///
	/// # Errors
	/// When another one did.
	pub fn leads(&mut self, member: MemberId, term: Term) -> Check {
		let leader = *self.leaders.entry(term).or_insert(member);
		if leader == member {
			return Ok(());
		}
		let what = format!("{leader} and {member} both lead in term {term}");
		broken("election safety", what)
	}

	/// How many terms had a leader.
	pub fn terms(&self) -> usize {
		self.leaders.len()
	}
}

#[cfg(test)]
mod tests {
	use {super::*, crate::groups::invariants::testing::id};

	#[test]
	fn two_members_do_not_lead_in_one_term() {
		let mut elections = ElectionSafety::default();
		assert!(elections.leads(id(1), 1).is_ok());
		assert!(elections.leads(id(2), 2).is_ok());
		assert!(elections.leads(id(1), 1).is_ok());
		assert!(elections.leads(id(1), 2).is_err());
	}
}
