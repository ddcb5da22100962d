//! What a member says it has written is on its disk when it says so: a vote, an
//! acknowledgment (Raft figure 2, "updated on stable storage before responding";
//! dissertation §3.8; design §4.2, `send_after_persist`).

use {
	super::{Check, broken},
	crate::groups::{disk::MemberDisk, note::Note},
	mosaik_proto::groups::{
		engine::HardState,
		types::{MemberId, Term},
	},
};

/// Something left a member that has this on its disk.
///
/// # Errors
/// When it promised what is not there.
pub fn check(member: MemberId, disk: &MemberDisk, note: &Note) -> Check {
	let is_kept = match *note {
		Note::Voted { term, candidate } => keeps(disk.hard_state, term, candidate),
		Note::Stood { term } => keeps(disk.hard_state, term, member),
		Note::Matched { term, index } => {
			let on_disk = disk.hard_state.term;
			on_disk > term || on_disk == term && disk.reaches(index)
		}
		_ => true,
	};
	if is_kept {
		return Ok(());
	}
	broken(
		"promises",
		format!("{member} says {note:?}, which is not on its disk"),
	)
}

/// Whether a vote is on disk, or was: the disk of a process that stands still may
/// be further than it knows. The same goes for entries, which a later leader may
/// have replaced on disk by then: as if the acknowledgment had been long under way.
fn keeps(on_disk: HardState, term: Term, candidate: MemberId) -> bool {
	let vote = Some(candidate);
	on_disk == HardState { term, vote } || on_disk.term > term
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		crate::groups::invariants::testing::{id, noop},
	};

	#[test]
	fn what_is_promised_is_on_disk() {
		let mut disk = MemberDisk::default();
		let holds = |disk: &MemberDisk, note| check(id(1), disk, &note).is_ok();
		let voted = |term, candidate| Note::Voted {
			term,
			candidate: id(candidate),
		};
		let matched = |index| Note::Matched { term: 4, index };
		assert!(!holds(&disk, voted(4, 2)));
		disk.hard_state = HardState {
			term: 4,
			vote: Some(id(2)),
		};
		assert!(holds(&disk, voted(4, 2)));
		assert!(!holds(&disk, voted(4, 3)));
		assert!(!holds(&disk, matched(1)));
		disk.entries.push_back(noop(1, 4));
		assert!(holds(&disk, matched(1)));
		assert!(!holds(&disk, matched(2)));
	}
}
