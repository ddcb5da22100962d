//! When faults are over, all that run know exactly those that run, each by its
//! newest entry.

use {
	super::Violation,
	crate::world::Node,
	mosaik_proto::discovery::{Fingerprint, Membership},
};

/// See the module.
#[derive(Debug)]
pub struct Convergence;

impl Convergence {
	/// Checks all that run.
	///
	/// Compares sums first, as the pairwise comparison of a thousand catalogs
	/// takes longer than the run.
	///
	/// # Errors
	/// Names a node and how its catalog differs.
	pub fn check<'a>(
		running: impl Iterator<Item = (Node, &'a Membership)> + Clone,
	) -> Result<(), Violation> {
		let mut truth = Fingerprint::default();
		let mut count = 0;
		for (_, member) in running.clone() {
			let local = member.local();
			truth.add(local.id(), local.update_version());
			count += 1;
		}
		let wrong = running.clone().filter(|(_, member)| {
			member.catalog().iter().count() != count || member.fingerprint() != &truth
		});
		let wrong: Vec<_> = wrong.collect();
		let Some((node, member)) = wrong.first() else {
			return Ok(());
		};
		let catalog = member.catalog();
		let known = |owner: &&Membership| {
			let local = owner.local();
			let held = catalog.get_signed(local.id());
			held.is_some_and(|held| held.update_version() == local.update_version())
		};
		let right = running.map(|(_, owner)| owner).filter(known).count();
		Err(Violation {
			invariant: "convergence",
			at: None,
			what: format!(
				"{} of {count} nodes are wrong; node {node} knows {} nodes, {right} of them right",
				wrong.len(),
				catalog.iter().count(),
			),
		})
	}
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		mosaik_proto::{
			SecretKey,
			core::{Instant, Now},
			discovery::{MembershipConfig, PeerEntry},
		},
	};

	fn member(n: u8) -> Membership {
		let key = SecretKey::from_bytes(&[n; 32]);
		let entry = PeerEntry::new("net".into(), key.public());
		Membership::new(MembershipConfig::default(), key, entry, now(), 0).unwrap()
	}

	fn now() -> Now {
		Now {
			mono: Instant::default(),
			wall_ms: 5,
		}
	}

	fn check(members: &[Membership]) -> bool {
		Convergence::check(members.iter().enumerate()).is_ok()
	}

	#[test]
	fn the_missing_the_dead_and_the_old_are_noticed() {
		let mut members = [member(1), member(2)];
		assert!(check(&members[..1]));
		assert!(!check(&members), "they do not know each other");
		let entries = [members[0].local().clone(), members[1].local().clone()];
		members[0].feed(now(), entries[1].clone()).unwrap();
		members[1].feed(now(), entries[0].clone()).unwrap();
		assert!(check(&members));
		assert!(!check(&members[..1]), "one is dead");
		let changed = PeerEntry::from(&entries[0]).add_tags("new");
		members[0].update_local(now(), changed);
		assert!(!check(&members), "one is out of date");
	}
}
