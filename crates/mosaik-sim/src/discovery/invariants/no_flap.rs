//! Nobody is said to have departed who has not: slow links, lost dials and
//! pauses of five seconds are no death.

use {
	super::Violation,
	crate::world::Node,
	mosaik_proto::core::Instant,
	std::{collections::BTreeMap, time::Duration},
};

/// How long after the end of a cut, a long pause or a restart the news of it may
/// still be told.
const AFTERMATH: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug, Default)]
pub struct NoFlap {
	excused: BTreeMap<Node, Instant>,
	storm: bool,
	calm_since: Option<Instant>,
}

impl NoFlap {
	/// A node was killed, restarted or is about to sleep long, until `until`: its
	/// departure may be told, and it may itself take others for dead.
	pub fn excuse(&mut self, node: Node, until: Instant) {
		self.excused.insert(node, until);
	}

	/// The network is cut: anything may be told.
	pub const fn storm(&mut self) {
		self.storm = true;
	}

	/// The network is whole again.
	pub const fn calm(&mut self, now: Instant) {
		self.storm = false;
		self.calm_since = Some(now);
	}

	/// A node said that a peer departed.
	pub fn departed(&self, at: Instant, node: Node, peer: Node) -> Option<Violation> {
		let aftermath = |until: Instant| at <= until + AFTERMATH;
		let excused = |node| self.excused.get(node).copied().is_some_and(aftermath);
		let stormy = self.storm || self.calm_since.is_some_and(aftermath);
		let excused = excused(&peer) || excused(&node);
		(!stormy && !excused).then(|| Violation {
			invariant: "no flap",
			at: Some(at),
			what: format!("node {node} says that {peer} departed, which is alive"),
		})
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	const fn at(seconds: u64) -> Instant {
		Instant(seconds * 1_000_000)
	}

	#[test]
	fn a_departure_needs_a_reason() {
		let mut flap = NoFlap::default();
		assert!(flap.departed(at(1), 0, 1).is_some());
		flap.excuse(1, at(1));
		assert!(flap.departed(at(8), 0, 1).is_none());
		assert!(flap.departed(at(8), 0, 2).is_some());
		assert!(flap.departed(at(40), 0, 1).is_some());
		flap.storm();
		assert!(flap.departed(at(50), 0, 2).is_none());
		flap.calm(at(60));
		assert!(flap.departed(at(61), 0, 2).is_none());
		assert!(flap.departed(at(99), 0, 2).is_some());
	}
}
