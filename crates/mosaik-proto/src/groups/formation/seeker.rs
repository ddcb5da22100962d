//! When a node that belongs to no formation founds one.
//!
//! Everybody waits a while for a formation to show itself. Then the smallest of
//! those who look for one, by preference and id, founds; the others wait once
//! more for it before they try themselves. The order only makes duplicates rare:
//! founding is safe for anybody, see [`merge`](super::merge).

use {
	super::Bootstrap,
	crate::{
		PeerId,
		groups::{
			config::MAX_VOTERS,
			types::{LeadershipPreference, Ticks},
		},
	},
};

/// A node that looks for a formation.
#[derive(Clone, Debug)]
pub struct Seeker {
	bootstrap: Bootstrap,
	me: PeerId,
	preference: LeadershipPreference,
	delay: Ticks,
	since: Ticks,
	pause: Ticks,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
	/// Nothing before this time; never, if there is none.
	Wait(Option<Ticks>),
	/// Found a formation alone.
	Found,
	/// Ask the others for their pledges.
	Gather(usize),
}

impl Seeker {
	/// Begins to look, now. `delay` is how long to wait for others.
	pub fn new(
		bootstrap: Bootstrap,
		me: PeerId,
		preference: LeadershipPreference,
		delay: Ticks,
		now: Ticks,
	) -> Self {
		Self {
			bootstrap,
			me,
			preference,
			delay: delay.saturating_mul(preference.factor()),
			since: now,
			pause: 0,
		}
	}

	/// Begins to wait anew; whoever is not the first waits `pause` longer.
	pub const fn restart(&mut self, now: Ticks, pause: Ticks) {
		self.since = now;
		self.pause = pause;
	}

	/// What to do, if these others look as well and nobody belongs to a formation.
	pub fn decide(
		&self,
		now: Ticks,
		others: impl Iterator<Item = (PeerId, LeadershipPreference)> + Clone,
	) -> Decision {
		if !self.preference.may_vote() {
			return Decision::Wait(None);
		}
		let needed = match self.bootstrap {
			Bootstrap::JoinOnly => return Decision::Wait(None),
			Bootstrap::Founder(founder) if founder != self.me => return Decision::Wait(None),
			Bootstrap::Founder(_) | Bootstrap::Auto => 1,
			Bootstrap::Expect(nodes) => nodes.get().min(MAX_VOTERS),
		};
		let own = (self.preference.class(), self.me);
		let eligible = others.filter(|(_, preference)| preference.may_vote());
		let is_first = !matches!(self.bootstrap, Bootstrap::Auto | Bootstrap::Expect(_))
			|| eligible
				.clone()
				.all(|(peer, preference)| own < (preference.class(), peer));
		let wait = if is_first {
			self.delay
		} else {
			self.delay * 2 + self.pause
		};
		let at = self.since.saturating_add(wait);
		if now < at {
			return Decision::Wait(Some(at));
		}
		match needed {
			1 => Decision::Found,
			nodes if 1 + eligible.count() >= nodes => Decision::Gather(nodes),
			// More may come: their arrival is an event.
			_ => Decision::Wait(None),
		}
	}
}
