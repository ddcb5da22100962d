//! The consensus core as a model: every order of everything, within bounds.
//!
//! A state holds the members of one formation as they are, the very
//! [`Raft`](mosaik_proto::groups::Raft) with its disk, the messages on their
//! way, and what was observed. What can happen next is delivered messages,
//! timers that run out, proposals, writes that are done, and processes that end.
//!
//! | file    | subject |
//! |---------|---------|
//! | `bounds` | what is explored |
//! | `node`  | one member with its disk |
//! | `state` | the formation, and which messages no longer matter |
//! | `facts` | what was observed, and what must hold |
//! | `calls` | the world of calls, smaller than that of messages |
//! | `text`  | states and steps for people |
//!
//! Time does not exist: any timer can run out at any moment, which is more than
//! any clocks could do. Snapshots are absent: no log is ever compacted.

mod bounds;
mod calls;
pub mod facts;
pub mod node;
pub mod state;
mod text;

pub use bounds::{Bounds, Network};

use {
	super::shared::Shared,
	facts::{Facts, Rule},
	mosaik_proto::groups::{
		Config, Settings,
		engine::{ReadToken, RoleKind},
		entry::EntryKind,
		types::{LogIndex, MemberId, Term},
	},
	node::{Change, Nodes, Outcome, Packet, Stimulus},
	state::State,
	stateright::{Model, Property},
	std::sync::Arc,
};

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
	/// Something happens to one member.
	Member(MemberId, Stimulus),
	/// A process ends and does not come back.
	Lose(MemberId),
	/// A member stands, and these answer.
	Elect(MemberId, Vec<MemberId>),
	/// A leader copies its log to a member, and hears of it or not.
	Copy {
		/// The leader.
		from: MemberId,
		/// The member.
		to: MemberId,
		/// Whether the answer arrives.
		answered: bool,
	},
}

/// See the module.
#[derive(Debug)]
pub struct RaftModel {
	/// What is explored.
	pub bounds: Bounds,
	nodes: Nodes,
}

impl RaftModel {
	/// A model within `bounds`.
	pub fn new(bounds: Bounds) -> Self {
		let mut genesis = Config::founding((1..=bounds.voters + bounds.learners).map(node::info));
		genesis.voters.retain(|id| id.get() <= bounds.voters);
		let mut settings = Settings {
			election_jitter: 0,
			quiesce_after: 0,
			..Settings::default()
		};
		if bounds.single_entries {
			// Smaller than any entry, and one entry is always sent.
			settings.max_append_bytes = 1;
		}
		let nodes = Nodes::new(genesis, settings, bounds.writes == 0);
		Self { bounds, nodes }
	}

	fn base(&self) -> LogIndex {
		self.nodes.base().pos.index
	}

	fn has_room(&self, last: LogIndex) -> bool {
		last < self.base() + self.bounds.log
	}

	/// Lets something happen to a member and takes in what it did, except for
	/// sending what it sent.
	fn act(&self, state: &mut State, id: MemberId, what: &Stimulus) -> Option<Arc<Outcome>> {
		let node = state.node(id)?.clone();
		let outcome = self.nodes.act(id, &node, what)?;
		let is_quiet = outcome.node == node && outcome.sent.is_empty() && outcome.reads.is_empty();
		if is_quiet && outcome.refused.is_none() && !matches!(what, Stimulus::Deliver(_)) {
			return None;
		}
		let mut facts = (*state.facts).clone();
		match what {
			Stimulus::Restart => facts.crashes += 1,
			Stimulus::Read(token) => facts.asked(*token, self.base()),
			_ => {}
		}
		state.set(id, Some(outcome.node.clone()));
		facts.observe(id, &node.view, &outcome, state, self.base());
		if let Stimulus::Change(_) = what
			&& self.bounds.judges_changes
		{
			facts.changed(&node.view, &outcome.node.view);
		}
		self.admit(state, &facts);
		state.facts = facts.share();
		Some(outcome)
	}

	/// Members whose entries are committed begin to run.
	fn admit(&self, state: &mut State, facts: &Facts) {
		for (entry, _) in &facts.committed {
			let Some(id) = MemberId::new(entry.pos.index) else {
				continue;
			};
			if let EntryKind::Config(config) = &entry.kind
				&& config.contains(id)
				&& !state.knows(id)
			{
				state.set(id, Some(self.nodes.fresh(id)));
			}
		}
	}

	fn begin(&self) -> State {
		let base = self.nodes.base();
		let members = base.state.config.members.keys();
		let mut state = State {
			nodes: members
				.map(|id| (*id, Some(self.nodes.fresh(*id))))
				.collect(),
			packets: Vec::new(),
			facts: Facts::default().share(),
		};
		if self.bounds.is_led {
			self.lead_all(&mut state);
		}
		for dead in self.bounds.dead.iter().filter_map(|id| MemberId::new(*id)) {
			state.set(dead, None);
		}
		state
	}

	fn member_actions(&self, state: &State, id: MemberId, actions: &mut Vec<Action>) {
		let bounds = &self.bounds;
		let Some(node) = state.node(id) else {
			return;
		};
		let view = &node.view;
		let mut add = |what| actions.push(Action::Member(id, what));
		let leads = view.role == RoleKind::Leader;
		let is_free = bounds.writes == 0 || view.writes < bounds.writes;
		if view.writes > 0 {
			add(Stimulus::Persisted);
		}
		if leads && is_free {
			if bounds.commands && self.has_room(view.last.index) {
				add(Stimulus::Propose);
			}
			if bounds.resends && self.has_room(view.last.index) {
				add(Stimulus::Resend);
			}
			if bounds.transfers {
				let others = view.config.voters.iter().filter(|to| **to != id);
				others.for_each(|to| add(Stimulus::Transfer(*to)));
			}
			if bounds.beats {
				add(Stimulus::Beat);
			}
			if bounds.steps_down {
				add(Stimulus::StepDown);
			}
			if state.facts.reads() < bounds.reads {
				add(Stimulus::Read(ReadToken(state.facts.reads() + 1)));
			}
			if self.has_room(view.last.index) {
				self.changes(&view.config)
					.for_each(|change| add(Stimulus::Change(change)));
			}
		}
		if !leads && is_free && bounds.network != Network::Calls && view.term < bounds.terms {
			add(if bounds.pre_votes {
				Stimulus::Expire
			} else {
				Stimulus::Stand
			});
		}
		if state.facts.crashes < bounds.restarts {
			add(Stimulus::Restart);
		}
		if state.facts.crashes < bounds.losses {
			actions.push(Action::Lose(id));
		}
	}

	fn changes(&self, config: &Config) -> impl Iterator<Item = Change> {
		let bounds = &self.bounds;
		let joins = config.members.len() < bounds.joins_up_to;
		let promotes = bounds.promotes.then(|| config.learners());
		let promotes: Vec<_> = promotes.into_iter().flatten().map(|(id, _)| id).collect();
		let shrinks = bounds.removes_down_to > 0 && config.voters.len() > bounds.removes_down_to;
		let removes: Vec<_> = config.voters.iter().copied().filter(|_| shrinks).collect();
		let joins = joins.then_some(Change::Add).into_iter();
		joins
			.chain(promotes.into_iter().map(Change::Promote))
			.chain(removes.into_iter().map(Change::Remove))
	}

	/// Puts what a member sent on its way.
	fn post(state: &mut State, sent: &[Shared<Packet>]) {
		sent.iter().for_each(|packet| state.send(packet));
	}
}

impl Model for RaftModel {
	type State = State;
	type Action = Action;

	fn init_states(&self) -> Vec<State> {
		vec![self.begin()]
	}

	fn actions(&self, state: &State, actions: &mut Vec<Action>) {
		for packet in &state.packets {
			let is_free =
				|view: &node::View| self.bounds.writes == 0 || view.writes < self.bounds.writes;
			if state
				.node(packet.to)
				.is_some_and(|node| is_free(&node.view))
			{
				actions.push(Action::Member(packet.to, Stimulus::Deliver(packet.clone())));
			}
		}
		for (id, _) in state.live() {
			self.member_actions(state, id, actions);
			if self.bounds.network == Network::Calls {
				self.calls(state, id, actions);
			}
		}
	}

	fn next_state(&self, last: &State, action: Action) -> Option<State> {
		let mut state = last.clone();
		match &action {
			Action::Member(id, what) => {
				let outcome = self.act(&mut state, *id, what)?;
				if self.bounds.network != Network::Calls {
					Self::post(&mut state, &outcome.sent);
				}
				if let Stimulus::Deliver(packet) = what
					&& self.bounds.network == Network::Once
					&& !outcome.sent.contains(packet)
				{
					state.packets.retain(|other| other != packet);
				}
			}
			Action::Lose(id) => {
				state.set(*id, None);
				let mut facts = (*state.facts).clone();
				facts.crashes += 1;
				state.facts = facts.share();
			}
			Action::Elect(id, voters) => self.elect(&mut state, *id, voters)?,
			Action::Copy { from, to, answered } => {
				self.copy(&mut state, *from, *to, *answered)?;
			}
		}
		state.sweep(self.bounds.reads > 0);
		(state != *last).then_some(state)
	}

	fn format_action(&self, action: &Action) -> String {
		text::action(action)
	}

	fn within_boundary(&self, state: &State) -> bool {
		// A member that learned of a later term than any may stand in cannot be.
		state
			.live()
			.all(|(_, node)| node.view.term <= self.bounds.terms)
	}

	fn properties(&self) -> Vec<Property<Self>> {
		let mut properties: Vec<Property<Self>> = vec![
			Property::always(Rule::ALL[0].1, |_, state: &State| holds(state, 0)),
			Property::always(Rule::ALL[1].1, |_, state: &State| holds(state, 1)),
			Property::always(Rule::ALL[2].1, |_, state: &State| holds(state, 2)),
			Property::always(Rule::ALL[3].1, |_, state: &State| holds(state, 3)),
			Property::always(Rule::ALL[4].1, |_, state: &State| holds(state, 4)),
			Property::always(Rule::ALL[5].1, |_, state: &State| holds(state, 5)),
			Property::always(Rule::ALL[6].1, |_, state: &State| holds(state, 6)),
			Property::always(Rule::ALL[7].1, |_, state: &State| holds(state, 7)),
			Property::always(Rule::ALL[8].1, |_, state: &State| holds(state, 8)),
			Property::always(Rule::ALL[9].1, |_, state: &State| holds(state, 9)),
			Property::always(Rule::ALL[10].1, |_, state: &State| holds(state, 10)),
			Property::sometimes("a leader is elected", |model: &Self, state: &State| {
				let led = Term::from(model.bounds.is_led);
				state.facts.leaders.keys().any(|term| *term > led)
			}),
		];
		let bounds = &self.bounds;
		if bounds.commands || bounds.resends {
			properties.push(Property::sometimes(
				"a command is committed",
				|_, state: &State| {
					state
						.facts
						.has_committed(|kind| matches!(kind, EntryKind::Commands(_)))
				},
			));
		}
		if bounds.joins_up_to > 0 || bounds.promotes || bounds.removes_down_to > 0 {
			properties.push(Property::sometimes(
				"a change is committed",
				|_, state: &State| {
					state
						.facts
						.has_committed(|kind| matches!(kind, EntryKind::Config(_)))
				},
			));
		}
		if bounds.reads > 0 {
			properties.push(Property::sometimes(
				"a read is answered",
				|_, state: &State| state.facts.answered > 0,
			));
		}
		properties
	}
}

fn holds(state: &State, rule: usize) -> bool {
	!state.facts.broken.contains(&Rule::ALL[rule].0)
}
