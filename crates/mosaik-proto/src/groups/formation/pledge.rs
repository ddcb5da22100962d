//! Promises to take part in one founding only.
//!
//! A pledge is like a vote: written before it is given, given to one formation,
//! and taken back only by the founder itself. With `n` pledges a founder can
//! write a genesis of `n` voters, so two formations need `2n` nodes. Without
//! pledges, nodes that see different others found twice.

use {
	crate::{
		PeerId,
		groups::{
			config::{Config, MemberInfo},
			state::Base,
			types::{FormationId, LeadershipPreference, Nonce, Ticks},
		},
	},
	serde::{Deserialize, Serialize},
	std::collections::BTreeMap,
};

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pledge {
	/// To take part in this founding.
	pub formation: FormationId,
	/// By this founder.
	pub founder: PeerId,
}

/// The pledge of a node, if it gave one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pledged(pub Option<Pledge>);

impl Pledged {
	/// Gives a pledge, if it is free or was given for the same already.
	pub fn give(&mut self, pledge: Pledge) -> bool {
		let given = *self.0.get_or_insert(pledge);
		given == pledge
	}

	/// The founder gives it back.
	pub fn release(&mut self, pledge: Pledge) -> bool {
		let is_it = self.0 == Some(pledge);
		if is_it {
			self.0 = None;
		}
		is_it
	}
}

/// A founder that gathers pledges.
#[derive(Clone, Debug)]
pub struct Gathering {
	/// The formation to be.
	pub formation: FormationId,
	needed: usize,
	until: Ticks,
	pledgers: BTreeMap<PeerId, MemberInfo>,
}

impl Gathering {
	/// Begins. The founder's own pledge counts once it is written, as any other.
	pub const fn new(formation: FormationId, needed: usize, until: Ticks) -> Self {
		Self {
			formation,
			needed,
			until,
			pledgers: BTreeMap::new(),
		}
	}

	/// When it has failed.
	pub const fn until(&self) -> Ticks {
		self.until
	}

	/// Somebody pledged. Returns whether there are enough, the founder among them.
	pub fn pledged(
		&mut self,
		founder: &PeerId,
		peer: PeerId,
		nonce: Nonce,
		preference: LeadershipPreference,
	) -> bool {
		// One place is the founder's, whenever its own pledge is written.
		let taken = self
			.pledgers
			.keys()
			.filter(|pledger| *pledger != founder)
			.count();
		if peer == *founder || taken + 1 < self.needed {
			let info = MemberInfo {
				peer,
				nonce,
				preference,
			};
			self.pledgers.insert(peer, info);
		}
		self.pledgers.len() >= self.needed && self.has(founder)
	}

	/// Whether this node's pledge is one of those that count.
	pub fn has(&self, peer: &PeerId) -> bool {
		self.pledgers.contains_key(peer)
	}

	/// The genesis with those that pledged as its voters.
	pub fn genesis(&self) -> Base {
		Base::genesis(Config::founding(self.pledgers.values().cloned()))
	}
}
