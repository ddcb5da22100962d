//! What tests do with a cluster.

use {
	super::{blank, cluster::Cluster, command, info, m, settings},
	crate::groups::{
		config::ConfigChange,
		engine::{Engine, Hint, Proposed, ReadDone, ReadToken, Refused, RoleKind},
		entry::Envelope,
		types::LogPos,
	},
};

impl Cluster {
	/// A member's election timeout passes; for the others time stands still.
	pub(super) fn time_out(&mut self, id: u64) {
		let at = self.raft(id).election_at.unwrap();
		self.now = self.now.max(at);
		let now = self.now;
		self.node(id).raft.tick(now);
		self.pump(id);
	}

	/// The members other than the leader have not heard it for long, and this one
	/// stands first.
	pub(super) fn elect(&mut self, id: u64) {
		if self.leader() == Some(id) {
			return self.settle();
		}
		let up = self.up();
		// A leader that is asked would answer with a heartbeat.
		let old = self.leader();
		let silent: Vec<_> = old
			.into_iter()
			.flat_map(|old| up.iter().map(move |to| (old, *to)))
			.collect();
		self.cut.extend(silent.iter().copied());
		self.elect_among(id, &up);
		silent.iter().for_each(|link| _ = self.cut.remove(link));
		self.run(settings().heartbeat);
		assert_eq!(self.leader(), Some(id), "{id} is elected");
	}

	/// As `elect`, where only these members have not heard the leader.
	pub(super) fn elect_among(&mut self, id: u64, members: &[u64]) {
		for &member in members {
			self.node(member).raft.hint(Hint::LeaderDeparting);
			self.pump(member);
		}
		self.time_out(id);
		self.settle();
		assert_eq!(self.raft(id).leader, Some(m(id)), "{id} is elected");
	}

	/// Who leads in the latest term.
	pub(super) fn leader(&self) -> Option<u64> {
		let up = self.nodes.iter().filter(|(_, node)| node.up);
		let leads = up.filter(|(_, node)| node.raft.status().role == RoleKind::Leader);
		leads
			.max_by_key(|(_, node)| node.raft.term)
			.map(|(&id, _)| id)
	}

	/// The next command of `origin`.
	pub(super) fn command(&mut self, origin: u64) -> Envelope {
		let issued = self.issued.entry(origin).or_default();
		*issued += 1;
		command(origin, *issued)
	}

	/// Proposes a command of its own at a member. Nothing is delivered.
	pub(super) fn try_propose(&mut self, id: u64) -> Result<Proposed, Refused<Vec<Envelope>>> {
		let command = self.command(id);
		let result = self.node(id).raft.propose(vec![command]);
		self.pump(id);
		result
	}

	/// Where the command was appended.
	pub(super) fn propose(&mut self, id: u64) -> LogPos {
		self.try_propose(id).unwrap().pos.unwrap()
	}

	/// Changes the configuration and lets everything happen.
	pub(super) fn change(&mut self, id: u64, change: ConfigChange) -> LogPos {
		let pos = self.node(id).raft.propose_config(change).unwrap();
		self.pump(id);
		self.settle();
		pos
	}

	/// Lets a node in as a learner; returns its id.
	pub(super) fn add_learner(&mut self, leader: u64, n: u64) -> u64 {
		let id = self.change(leader, ConfigChange::AddLearner(info(n))).index;
		self.start(id, blank());
		// What was sent before it began is lost: the leader tries again.
		self.run(self.settings.heartbeat);
		id
	}

	/// Lets a node in and makes it a voter; returns its id.
	pub(super) fn add_voter(&mut self, leader: u64, n: u64) -> u64 {
		let id = self.add_learner(leader, n);
		self.change(leader, ConfigChange::Promote(m(id)));
		id
	}

	/// Asks for a read at a member; what was decided at once.
	pub(super) fn read(&mut self, id: u64, token: u64) -> Vec<ReadDone> {
		self.node(id).raft.read_index(ReadToken(token)).unwrap();
		self.pump(id);
		std::mem::take(&mut self.node(id).reads)
	}
}
