//! A member votes for one candidate in a term, over all its restarts (Raft §5.2
//! and persistent state; design §2.7 and regression 10 of §5).

use {
	super::{Check, broken},
	crate::groups::note::Note,
	mosaik_proto::groups::{
		engine::HardState,
		types::{MemberId, Term},
	},
	std::collections::BTreeMap,
};

/// See the module.
#[derive(Debug, Default)]
pub struct OneVote {
	votes: BTreeMap<(MemberId, Term), MemberId>,
	on_disk: BTreeMap<MemberId, HardState>,
}

impl OneVote {
	/// Something happened at a member.
	///
	/// # Errors
	/// When it voted for two candidates.
	pub fn note(&mut self, member: MemberId, note: &Note) -> Check {
		match note {
			Note::Voted { term, candidate } => self.vote(member, *term, *candidate),
			Note::Stood { term } => self.vote(member, *term, member),
			_ => Ok(()),
		}
	}

	/// What a member has on disk counts as a vote, too.
	///
	/// # Errors
	/// When it voted for two candidates.
	pub fn on_disk(&mut self, member: MemberId, hard_state: HardState) -> Check {
		if self.on_disk.insert(member, hard_state) == Some(hard_state) {
			return Ok(());
		}
		match hard_state.vote {
			Some(candidate) => self.vote(member, hard_state.term, candidate),
			None => Ok(()),
		}
	}

	fn vote(&mut self, member: MemberId, term: Term, candidate: MemberId) -> Check {
		let first = *self.votes.entry((member, term)).or_insert(candidate);
		if first == candidate {
			return Ok(());
		}
		let what = format!("{member} voted for {first} and {candidate} in term {term}");
		broken("one vote", what)
	}
}

#[cfg(test)]
mod tests {
	use {super::*, crate::groups::invariants::testing::id};

	#[test]
	fn a_vote_is_given_once_in_a_term() {
		let mut votes = OneVote::default();
		let voted = |term, candidate| Note::Voted {
			term,
			candidate: id(candidate),
		};
		assert!(votes.note(id(1), &voted(3, 2)).is_ok());
		assert!(votes.note(id(1), &voted(3, 2)).is_ok());
		assert!(votes.note(id(1), &voted(4, 3)).is_ok());
		assert!(votes.note(id(1), &Note::Stood { term: 5 }).is_ok());
		assert!(votes.note(id(1), &voted(3, 3)).is_err());
		assert!(votes.note(id(1), &Note::Stood { term: 4 }).is_err());
		let on_disk = HardState {
			term: 5,
			vote: Some(id(2)),
		};
		assert!(votes.on_disk(id(1), on_disk).is_err());
		assert!(votes.on_disk(id(2), on_disk).is_ok());
	}
}
