//! The dead stay dead: who has been dead for a while is discovered by nobody.

use {
	super::Violation,
	crate::world::Node,
	mosaik_proto::core::Instant,
	std::{
		collections::{BTreeMap, BTreeSet},
		time::Duration,
	},
};

/// How long the news of a death may take.
const GRACE: Duration = Duration::from_secs(15);

/// See the module.
///
/// Who saw a peer depart after its death never sees it again. But while the
/// network is cut, and a little longer, one side may tell the other of those that
/// died on it, with last words that the other has not heard.
#[derive(Debug, Default)]
pub struct NoResurrection {
	dead: BTreeMap<Node, Instant>,
	/// Who saw which of the dead depart.
	seen: BTreeSet<(Node, Node)>,
	storm: bool,
	calm_since: Option<Instant>,
}

impl NoResurrection {
	/// A node was killed or left.
	pub fn died(&mut self, node: Node, now: Instant) {
		if self.dead.contains_key(&node) {
			return;
		}
		self.dead.insert(node, now);
		// What it knew died with it.
		self.seen
			.retain(|&(observer, peer)| observer != node && peer != node);
	}

	/// A node was started again.
	pub fn lives(&mut self, node: Node) {
		self.dead.remove(&node);
	}

	/// The network is cut.
	pub const fn storm(&mut self) {
		self.storm = true;
	}

	/// The network is whole again.
	pub const fn calm(&mut self, now: Instant) {
		self.storm = false;
		self.calm_since = Some(now);
	}

	/// A node said that a peer departed.
	pub fn departed(&mut self, node: Node, peer: Node) {
		if self.dead.contains_key(&peer) {
			self.seen.insert((node, peer));
		}
	}

	/// A node said that it discovered a peer.
	pub fn discovered(&self, at: Instant, node: Node, peer: Node) -> Option<Violation> {
		let died = *self.dead.get(&peer)?;
		let known_dead = self.seen.contains(&(node, peer));
		let stormy = self.storm || self.calm_since.is_some_and(|calm| at <= calm + GRACE);
		let late = at > died + GRACE;
		(!stormy && (known_dead || late)).then(|| Violation {
			invariant: "no resurrection",
			at: Some(at),
			what: format!("node {node} discovered {peer}, dead since {} us", died.0),
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
	fn only_fresh_news_of_the_dead_are_excused() {
		let mut dead = NoResurrection::default();
		assert!(dead.discovered(at(1), 0, 1).is_none());
		dead.died(1, at(10));
		assert!(dead.discovered(at(12), 0, 1).is_none());
		assert!(dead.discovered(at(26), 0, 1).is_some());
		dead.storm();
		assert!(dead.discovered(at(50), 0, 1).is_none());
		dead.calm(at(60));
		assert!(dead.discovered(at(70), 2, 1).is_none());
		assert!(dead.discovered(at(80), 2, 1).is_some());
		dead.lives(1);
		assert!(dead.discovered(at(90), 2, 1).is_none());
		dead.died(1, at(100));
		dead.departed(0, 1);
		assert!(dead.discovered(at(101), 2, 1).is_none());
		assert!(dead.discovered(at(101), 0, 1).is_some());
	}
}
