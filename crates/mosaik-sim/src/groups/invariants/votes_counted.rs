//! A leader was elected by a majority of the voters of its own configuration:
//! learners, strangers and the removed do not count (Raft §5.2; dissertation §4.1).

use {
	super::{Check, broken},
	crate::groups::note::Note,
	mosaik_proto::groups::{
		engine::{HardState, Status},
		types::{MemberId, Term},
	},
	std::collections::BTreeMap,
};

/// The votes that arrived at a member in the latest term that it stood in.
#[derive(Debug, Default)]
struct Arrived {
	life: u64,
	term: Term,
	from: Vec<MemberId>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct VotesCounted {
	arrived: BTreeMap<MemberId, Arrived>,
}

impl VotesCounted {
	/// Something happened at a member.
	pub fn note(&mut self, member: MemberId, life: u64, note: &Note) {
		let Note::VoteArrived { term, from } = note else {
			return;
		};
		let arrived = self.arrived.entry(member).or_default();
		if (arrived.life, arrived.term) < (life, *term) {
			*arrived = Arrived {
				life,
				term: *term,
				from: Vec::new(),
			};
		}
		if (arrived.life, arrived.term) == (life, *term) {
			arrived.from.push(*from);
		}
	}

	/// A member begins to lead; its own vote is on its disk.
	///
	/// # Errors
	/// When not enough votes have arrived.
	pub fn leads(&self, member: MemberId, life: u64, status: &Status, on_disk: HardState) -> Check {
		let term = status.term;
		let arrived = self.arrived.get(&member);
		let arrived = arrived.filter(|arrived| arrived.life == life && arrived.term == term);
		let voted = |voter: &&MemberId| {
			let own = HardState {
				term,
				vote: Some(member),
			};
			**voter == member && on_disk == own
				|| arrived.is_some_and(|arrived| arrived.from.contains(voter))
		};
		let voters = &status.config.voters;
		let votes = voters.iter().filter(voted).count();
		if votes * 2 > voters.len() {
			return Ok(());
		}
		let what = format!("{member} leads in term {term} by {votes} votes of {voters:?}");
		broken("votes counted", what)
	}
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		crate::groups::invariants::testing::{id, status},
	};

	#[test]
	fn only_voters_of_the_term_elect() {
		let mut votes = VotesCounted::default();
		let status = status(4, 9);
		let own = HardState {
			term: 4,
			vote: Some(id(1)),
		};
		let vote = |from, term| Note::VoteArrived {
			term,
			from: id(from),
		};
		let mut elects = |note| {
			votes.note(id(1), 1, &note);
			votes.leads(id(1), 1, &status, own).is_ok()
		};
		assert!(!elects(vote(1, 3)));
		assert!(!elects(vote(2, 3)));
		assert!(!elects(vote(9, 4)));
		assert!(elects(vote(3, 4)));
		// Its own vote is not on disk.
		assert!(
			votes
				.leads(id(1), 1, &status, HardState::default())
				.is_err()
		);
		// Of another life.
		assert!(votes.leads(id(1), 2, &status, own).is_err());
	}
}
