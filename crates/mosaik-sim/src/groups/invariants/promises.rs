//! What a member says it has written is on its disk when it says so: a vote, an
//! acknowledgment (Raft figure 2, "updated on stable storage before responding";
//! dissertation §3.8; design §4.2, `send_after_persist`).

use {
	super::{Check, broken},
	crate::groups::{disk::MemberDisk, note::Note},
	mosaik_proto::groups::{engine::HardState, types::MemberId},
};

/// Something left a member that has this on its disk.
///
/// # Errors
/// When it promised what is not there.
pub fn check(member: MemberId, disk: &MemberDisk, note: &Note) -> Check {
	let is_kept = match *note {
		Note::Voted { term, candidate } => {
			let vote = Some(candidate);
			disk.hard_state == HardState { term, vote }
		}
		Note::Stood { term } => {
			let vote = Some(member);
			disk.hard_state == HardState { term, vote }
		}
		Note::Matched { term, index } => {
			// What a later leader replaced meanwhile is still there.
			disk.hard_state.term >= term && disk.reaches(index)
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
