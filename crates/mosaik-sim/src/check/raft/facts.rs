//! What was observed, and what it must never be.

use {
	super::{
		node::{Node, Outcome, Packet, View},
		state::State,
	},
	crate::check::shared::Shared,
	mosaik_proto::groups::{
		engine::{ReadToken, RoleKind},
		entry::{Entry, EntryKind},
		message::Msg,
		types::{LogIndex, MemberId, Term},
	},
	std::collections::{BTreeMap, BTreeSet},
};

/// What must hold in every state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
	/// At most one member leads in a term.
	ElectionSafety,
	/// Where two logs have an entry of one index and term, they are equal up to it.
	LogMatching,
	/// What is committed is in the log of every leader of a later term.
	LeaderCompleteness,
	/// What is committed at an index never changes.
	CommittedImmutable,
	/// What a member applies is what is committed there.
	StateMachineSafety,
	/// A member votes for one candidate in a term.
	OneVote,
	/// One voter in or out at a time, after the change before it and an entry of
	/// the leader's term are committed.
	ConfigRules,
	/// A strong read sees what was committed when it was asked.
	StrongReads,
	/// A command is committed once, however often it was handed in.
	Once,
	/// No member has an id that another one had: it is the index of its entry.
	FreshIds,
	/// Nobody finds an invariant broken, refuses a message of a member, or cannot
	/// read what it wrote.
	NoPoison,
}

impl Rule {
	/// All of them, with what they are called.
	pub const ALL: [(Self, &'static str); 11] = [
		(Self::ElectionSafety, "election safety"),
		(Self::LogMatching, "log matching"),
		(Self::LeaderCompleteness, "leader completeness"),
		(Self::CommittedImmutable, "committed immutability"),
		(Self::StateMachineSafety, "state machine safety"),
		(Self::OneVote, "one vote per member and term"),
		(Self::ConfigRules, "rules of configuration changes"),
		(Self::StrongReads, "strong reads"),
		(Self::Once, "a command is committed once"),
		(Self::FreshIds, "ids of members are fresh"),
		(Self::NoPoison, "no poison"),
	];
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facts {
	/// The committed entries after the genesis, with the term of the first member
	/// that had them committed.
	pub committed: Vec<(Entry, Term)>,
	/// Who was elected.
	pub leaders: BTreeMap<Term, MemberId>,
	/// Who voted for whom, in terms in which it could vote once more.
	votes: BTreeMap<(MemberId, Term), MemberId>,
	/// What was committed when a read was asked.
	reads: BTreeMap<ReadToken, LogIndex>,
	/// How many reads were answered.
	pub answered: u8,
	/// How many processes ended.
	pub crashes: u8,
	/// Which rules are broken.
	pub broken: BTreeSet<Rule>,
}

impl Facts {
	/// The last committed index, after a genesis that ends at `base`.
	pub fn commit(&self, base: LogIndex) -> LogIndex {
		base + self.committed.len() as LogIndex
	}

	/// A read is asked.
	pub fn asked(&mut self, token: ReadToken, base: LogIndex) {
		self.reads.insert(token, self.commit(base));
	}

	/// How many reads were asked.
	pub fn reads(&self) -> u64 {
		self.reads.len() as u64
	}

	/// Takes in what the member `id` did; `state` has it as it is now, `before` is
	/// what it was.
	pub fn observe(
		&mut self,
		id: MemberId,
		before: &View,
		outcome: &Outcome,
		state: &State,
		base: LogIndex,
	) {
		let node = &outcome.node;
		let after = &node.view;
		if outcome.refused.is_some() || after.poisoned {
			self.broken.insert(Rule::NoPoison);
		}
		for packet in &outcome.sent {
			self.count_vote(packet);
		}
		let disk_term = |member: MemberId| state.node(member).map(|node| node.view.disk_term);
		self.votes
			.retain(|(member, term), _| disk_term(*member).is_some_and(|known| *term >= known));
		if after.role == RoleKind::Leader && *self.leaders.entry(after.term).or_insert(id) != id {
			self.broken.insert(Rule::ElectionSafety);
		}
		let is_new_log = before.log != after.log;
		if is_new_log {
			self.match_logs(id, node, state);
		}
		if is_new_log || before.commit != after.commit {
			self.commit_log(after, base);
		}
		self.complete_leaders(state);
		for entry in &outcome.applied {
			let at = (entry.pos.index - base - 1) as usize;
			if self
				.committed
				.get(at)
				.is_none_or(|(known, _)| known != entry)
			{
				self.broken.insert(Rule::StateMachineSafety);
			}
		}
		for read in &outcome.reads {
			let Some(asked) = self.reads.get(&read.token).copied() else {
				continue;
			};
			if let Some(index) = read.index {
				self.answered += 1;
				if index < asked {
					self.broken.insert(Rule::StrongReads);
				}
			}
		}
	}

	/// A leader has appended a change of configuration: were the rules kept?
	pub fn changed(&mut self, before: &View, after: &View) {
		let old: BTreeSet<_> = before.config.voters.iter().collect();
		let new: BTreeSet<_> = after.config.voters.iter().collect();
		let moved = old.symmetric_difference(&new).count();
		if moved == 0 {
			return;
		}
		let is_committed = |index: LogIndex| index <= before.commit;
		let has_own = before
			.log
			.iter()
			.any(|entry| entry.pos.term == before.term && is_committed(entry.pos.index));
		if moved > 1 || !is_committed(before.config_index) || !has_own {
			self.broken.insert(Rule::ConfigRules);
		}
	}

	fn count_vote(&mut self, packet: &Packet) {
		let (term, candidate) = match &packet.msg {
			Msg::Vote(request) => (request.term, packet.from),
			Msg::VoteReply(reply) if reply.granted => (reply.term, packet.to),
			_ => return,
		};
		if *self.votes.entry((packet.from, term)).or_insert(candidate) != candidate {
			self.broken.insert(Rule::OneVote);
		}
	}

	fn match_logs(&mut self, id: MemberId, node: &Node, state: &State) {
		let log = &node.view.log;
		for (other, node) in state.live() {
			if other == id {
				continue;
			}
			let pairs = log.iter().zip(node.view.log.iter());
			let same = pairs.clone().rposition(|(a, b)| a.pos == b.pos);
			let differ = pairs.clone().position(|(a, b)| a != b);
			if let (Some(same), Some(differ)) = (same, differ)
				&& differ <= same
			{
				self.broken.insert(Rule::LogMatching);
			}
		}
	}

	fn commit_log(&mut self, view: &View, base: LogIndex) {
		let committed = (view.commit - base) as usize;
		if committed > view.log.len() {
			self.broken.insert(Rule::CommittedImmutable);
		}
		for (at, entry) in view.log.iter().take(committed).enumerate() {
			match self.committed.get(at) {
				Some((known, _)) if known == entry => {}
				Some(_) => {
					self.broken.insert(Rule::CommittedImmutable);
				}
				None => {
					self.check_ids(entry, base);
					self.committed.push((entry.clone(), view.term));
				}
			}
		}
		let mut once = BTreeSet::new();
		for (entry, _) in &self.committed {
			if let EntryKind::Commands(batch) = &entry.kind
				&& !batch
					.iter()
					.all(|command| once.insert((command.origin, command.origin_seq)))
			{
				self.broken.insert(Rule::Once);
			}
		}
	}

	/// Members that are new in the next committed entry must have its index as id:
	/// no other entry is ever committed there.
	fn check_ids(&mut self, entry: &Entry, base: LogIndex) {
		let EntryKind::Config(config) = &entry.kind else {
			return;
		};
		let mut before = self.committed.iter().rev();
		let before = before.find_map(|(entry, _)| match &entry.kind {
			EntryKind::Config(config) => Some(config),
			_ => None,
		});
		let is_old = |id: MemberId| match before {
			Some(before) => before.contains(id),
			None => id.get() <= base,
		};
		let mut new = config.members.keys().filter(|id| !is_old(**id));
		if new.any(|id| id.get() != entry.pos.index) {
			self.broken.insert(Rule::FreshIds);
		}
	}

	fn complete_leaders(&mut self, state: &State) {
		for (_, node) in state.live() {
			let view = &node.view;
			if view.role != RoleKind::Leader {
				continue;
			}
			let mut due = self.committed.iter().enumerate();
			let lacks = |(at, (entry, term)): (usize, &(Entry, Term))| {
				*term < view.term && view.log.get(at) != Some(entry)
			};
			if due.any(lacks) {
				self.broken.insert(Rule::LeaderCompleteness);
			}
		}
	}

	/// Whether a committed entry is of some kind.
	pub fn has_committed(&self, is_it: impl Fn(&EntryKind) -> bool) -> bool {
		self.committed.iter().any(|(entry, _)| is_it(&entry.kind))
	}

	/// Equal facts are shared.
	pub fn share(self) -> Shared<Self> {
		Shared::new(self)
	}
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		crate::check::raft::{Bounds, RaftModel, node::Stimulus},
		mosaik_proto::groups::{message::VoteReply, types::LogPos},
		stateright::Model,
		std::sync::Arc,
	};

	fn member(id: u64) -> MemberId {
		MemberId::new(id).unwrap()
	}

	fn vote(from: u64, to: u64, term: Term) -> Packet {
		Packet {
			from: member(from),
			to: member(to),
			msg: Msg::VoteReply(VoteReply {
				term,
				granted: true,
			}),
		}
	}

	fn led() -> (RaftModel, State) {
		let model = RaftModel::new(Bounds {
			is_led: true,
			..Bounds::default()
		});
		let state = model.init_states().remove(0);
		(model, state)
	}

	fn noop(term: Term, index: LogIndex) -> Entry {
		Entry {
			pos: LogPos { term, index },
			seq_end: 0,
			kind: EntryKind::Noop,
		}
	}

	#[test]
	fn a_vote_for_two_is_seen_and_a_vote_for_one_twice_is_not() {
		let mut facts = Facts::default();
		facts.count_vote(&vote(1, 2, 1));
		facts.count_vote(&vote(1, 2, 1));
		facts.count_vote(&vote(1, 3, 2));
		assert!(facts.broken.is_empty());
		facts.count_vote(&vote(1, 3, 1));
		assert!(facts.broken.contains(&Rule::OneVote));
	}

	#[test]
	fn another_entry_at_a_committed_index_is_seen() {
		let (_, state) = led();
		let mut view = state.node(member(1)).unwrap().view.clone();
		let mut facts = (*state.facts).clone();
		facts.commit_log(&view, 3);
		assert!(facts.broken.is_empty());
		view.log = Arc::new([noop(2, 4)]);
		facts.commit_log(&view, 3);
		assert!(facts.broken.contains(&Rule::CommittedImmutable));
	}

	#[test]
	fn a_leader_that_lacks_what_is_committed_is_seen() {
		let (_, state) = led();
		let mut facts = (*state.facts).clone();
		facts.complete_leaders(&state);
		assert!(facts.broken.is_empty());
		facts.committed.push((noop(0, 5), 0));
		facts.complete_leaders(&state);
		assert!(facts.broken.contains(&Rule::LeaderCompleteness));
	}

	#[test]
	fn a_second_leader_of_a_term_is_seen() {
		let (model, mut state) = led();
		let mut facts = (*state.facts).clone();
		facts.leaders.insert(1, member(2));
		state.facts = facts.share();
		let state = model
			.next_state(
				&state,
				crate::check::raft::Action::Member(member(1), Stimulus::Beat),
			)
			.unwrap();
		assert!(state.facts.broken.contains(&Rule::ElectionSafety));
	}

	#[test]
	fn two_voters_that_move_at_once_are_seen() {
		let (_, state) = led();
		let before = &state.node(member(1)).unwrap().view;
		let mut after = before.clone();
		let mut config = (*before.config).clone();
		let mut facts = Facts::default();
		config.voters.remove(&member(3));
		after.config = Arc::new(config.clone());
		facts.changed(before, &after);
		assert!(facts.broken.is_empty());
		config.voters.remove(&member(2));
		after.config = Arc::new(config);
		facts.changed(before, &after);
		assert!(facts.broken.contains(&Rule::ConfigRules));
	}
}
