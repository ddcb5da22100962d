//! What tests do to the world, and ask of it.

use {
	super::*,
	crate::groups::{
		config::Config,
		engine::Engine,
		formation::Bootstrap,
		replica::Identity,
		state::LogState,
		types::{LeadershipPreference, MemberId},
	},
	std::sync::Arc,
};

/// Settings of a node that takes part in this way.
pub(super) fn with_bootstrap(bootstrap: Bootstrap) -> ReplicaSettings {
	ReplicaSettings {
		bootstrap,
		..ReplicaSettings::default()
	}
}

pub(super) fn expect(nodes: usize) -> ReplicaSettings {
	with_bootstrap(Bootstrap::Expect(nodes.try_into().unwrap()))
}

pub(super) fn preferring(preference: LeadershipPreference) -> ReplicaSettings {
	ReplicaSettings {
		preference,
		..ReplicaSettings::default()
	}
}

pub(super) fn observer() -> ReplicaSettings {
	preferring(LeadershipPreference::Observer)
}

impl World {
	/// As many nodes, which are voters of one formation, or wait for a seat.
	pub(super) fn formed(count: u8) -> Self {
		let mut world = Self::with_nodes(count);
		let voters = [0, 1, 2, 3, 3, 5][usize::from(count)];
		world.wait("all are online and vote", |world| {
			let has_voted = |node| world.voters(node) == voters;
			world.all_online() && (0..count).all(has_voted) && world.leader().is_some()
		});
		world
	}

	/// Loses messages from now on.
	pub(super) fn lose(&mut self, lose: impl Fn(u8, u8, &Message) -> bool + 'static) {
		self.lose = Box::new(lose);
		self.lost.clear();
	}

	/// Loses nothing more. Returns what was lost.
	pub(super) fn lose_nothing(&mut self) -> Vec<(u8, u8, Message)> {
		self.lose = Box::new(|_, _, _| false);
		std::mem::take(&mut self.lost)
	}

	/// The disk of a node does nothing from such a write on.
	pub(super) fn hang(&mut self, hang: impl Fn(u8, &WriteKind) -> bool + 'static) {
		self.hang = Box::new(hang);
	}

	/// Disks that are used from now on work.
	pub(super) fn hang_no_more(&mut self) {
		self.hang = Box::new(|_, _| false);
	}

	/// What was lost arrives after all.
	pub(super) fn deliver(&mut self, lost: Vec<(u8, u8, Message)>) {
		for (from, to, message) in lost {
			let from = peer(from);
			self.handle(to, Input::Message { from, message });
		}
		self.settle();
	}

	/// Cuts all connections between two groups of nodes.
	pub(super) fn split(&mut self, some: &[u8], others: &[u8]) {
		for a in some {
			others.iter().for_each(|b| self.disconnect(*a, *b));
		}
	}

	pub(super) fn join_up(&mut self, some: &[u8], others: &[u8]) {
		for a in some {
			others.iter().for_each(|b| self.connect(*a, *b));
		}
	}

	/// All nodes but these.
	pub(super) fn others(&self, but: &[u8]) -> Vec<u8> {
		let nodes = self.nodes.keys().copied();
		nodes.filter(|node| !but.contains(node)).collect()
	}

	pub(super) fn identity(&self, node: u8) -> Option<Identity> {
		let engine = self.nodes[&node].replica.engine();
		engine.map(|(identity, _)| identity)
	}

	pub(super) fn state(&self, node: u8) -> &LogState {
		let (_, raft) = self.nodes[&node].replica.engine().unwrap();
		raft.log_state()
	}

	pub(super) fn config(&self, node: u8) -> Arc<Config> {
		Arc::clone(&self.state(node).config)
	}

	pub(super) fn is_member(&self, node: u8, member: MemberId) -> bool {
		self.state(node).config.contains(member)
	}

	/// Who leads this formation.
	pub(super) fn leader_of(&self, formation: FormationId) -> Option<u8> {
		let leads = |node: &Node| {
			let engine = node.replica.engine();
			engine.is_some_and(|(id, raft)| id.formation == formation && raft.leads())
		};
		let mut nodes = self.nodes.iter();
		nodes.find(|(_, node)| leads(node)).map(|(n, _)| *n)
	}

	/// The node with the smallest id of these.
	pub(super) fn smallest(nodes: impl IntoIterator<Item = u8>) -> u8 {
		nodes.into_iter().min_by_key(|node| peer(*node)).unwrap()
	}

	/// Everybody is online, and three vote.
	pub(super) fn all_online_of_three(&self) -> bool {
		let mut nodes = self.nodes.keys();
		self.all_online() && nodes.all(|node| self.voters(*node) == 3) && self.leader().is_some()
	}

	/// Everybody is online, in one formation.
	pub(super) fn is_one(&self) -> bool {
		let formation = |node| self.identity(node).map(|id| id.formation);
		let formations: BTreeSet<_> = self.nodes.keys().map(|node| formation(*node)).collect();
		self.all_online() && formations.len() == 1
	}

	/// How often an event came to a node.
	pub(super) fn count(&self, node: u8, is: impl Fn(&Event) -> bool) -> usize {
		let events = self.nodes[&node].events.iter();
		events.filter(|event| is(event)).count()
	}

	pub(super) fn has_lost_quorum(&self, node: u8) -> bool {
		self.count(node, |event| matches!(event, Event::QuorumLost { .. })) > 0
	}

	pub(super) fn is_done(&self, node: u8, call: CallId) -> bool {
		self.nodes[&node].done.contains_key(&call)
	}

	pub(super) fn call(&mut self, node: u8, input: impl FnOnce(CallId) -> Input) -> CallId {
		self.calls += 1;
		let call = CallId(self.calls);
		self.handle(node, input(call));
		self.settle();
		call
	}

	/// The log up to what is applied is replaced by a snapshot.
	pub(super) fn compact(&mut self, node: u8) {
		let (of, raft) = self.nodes[&node].replica.engine().unwrap();
		let index = raft.status().commit;
		self.handle(node, Input::Snapshotted { of, index });
		self.settle();
	}

	pub(super) fn leader(&self) -> Option<u8> {
		let mut nodes = self.nodes.iter();
		nodes
			.find(|(_, node)| node.replica.engine().is_some_and(|(_, raft)| raft.leads()))
			.map(|(number, _)| *number)
	}

	pub(super) fn is_online(&self, node: u8) -> bool {
		self.nodes[&node].replica.is_online()
	}

	pub(super) fn all_online(&self) -> bool {
		self.nodes.values().all(|node| node.replica.is_online())
	}

	pub(super) fn voters(&self, node: u8) -> usize {
		let (_, raft) = self.nodes[&node].replica.engine().unwrap();
		raft.log_state().config.voters.len()
	}

	pub(super) fn formations(&self) -> BTreeSet<FormationId> {
		self.nodes
			.values()
			.filter_map(|node| node.formation)
			.collect()
	}

	/// Issues a command on a node and waits for its outcome.
	pub(super) fn execute(&mut self, node: u8, command: &'static str) -> Outcome {
		let call = self.issue(node, command);
		self.outcome(node, call)
	}

	pub(super) fn issue(&mut self, node: u8, command: &'static str) -> CallId {
		let payloads = vec![Bytes::from_static(command.as_bytes())];
		self.call(node, |call| Input::Execute { call, payloads })
	}

	pub(super) fn outcome(&mut self, node: u8, call: CallId) -> Outcome {
		self.wait("the request has an outcome", |world| {
			world.is_done(node, call)
		});
		self.nodes[&node].done[&call].clone()
	}

	pub(super) fn read(&mut self, node: u8) -> Outcome {
		let call = self.call(node, |call| Input::Read { call });
		self.outcome(node, call)
	}

	pub(super) fn leave(&mut self, node: u8) -> Outcome {
		let call = self.call(node, |call| Input::Leave { call });
		self.outcome(node, call)
	}

	pub(super) fn applied(&self, node: u8) -> Vec<&str> {
		let applied = self.nodes[&node].applied.iter();
		applied
			.map(|bytes| std::str::from_utf8(bytes).unwrap())
			.collect()
	}
}
