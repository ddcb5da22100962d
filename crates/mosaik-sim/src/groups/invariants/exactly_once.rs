//! Exactly once and in order: the commands of a member are in a log with the
//! numbers 1, 2, 3 and so on, none twice and none missing (dissertation §6.3;
//! design §2.10).

use {
	super::{Check, broken},
	mosaik_proto::groups::{
		entry::Envelope,
		types::{LogPos, MemberId},
	},
};

/// Takes in the commands of the entry at `pos`, where `lasts` are the numbers of
/// the last command of each member before it.
///
/// # Errors
/// When one of them was there before, or one before it was not.
pub fn check(pos: LogPos, lasts: &mut Vec<(MemberId, u64)>, batch: &[Envelope]) -> Check {
	for envelope in batch {
		let (origin, number) = (envelope.origin, envelope.origin_seq);
		let at = lasts.binary_search_by_key(&origin, |(member, _)| *member);
		let at = at.unwrap_or_else(|at| {
			lasts.insert(at, (origin, 0));
			at
		});
		let last = &mut lasts[at].1;
		if number != *last + 1 {
			let what = format!("command {number} of {origin} follows {last} at {pos:?}");
			return broken("exactly once", what);
		}
		*last = number;
	}
	Ok(())
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		crate::groups::invariants::testing::{at, envelope, id},
	};

	#[test]
	fn commands_of_a_member_are_numbered_without_a_gap() {
		let mut lasts = Vec::new();
		let batch = [envelope(7, 1), envelope(2, 1), envelope(7, 2)];
		assert!(check(at(1, 1), &mut lasts, &batch).is_ok());
		assert_eq!(lasts, [(id(2), 1), (id(7), 2)]);
		assert!(check(at(2, 1), &mut lasts, &[envelope(7, 2)]).is_err());
		assert!(check(at(2, 1), &mut lasts, &[envelope(2, 3)]).is_err());
		assert!(check(at(2, 1), &mut lasts, &[envelope(7, 3)]).is_ok());
	}
}
