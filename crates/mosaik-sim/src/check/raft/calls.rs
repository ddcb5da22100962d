//! A world of calls: an election, and the copying of a whole log, are one step.
//!
//! Messages are neither kept nor overtaken here, so there are far fewer states
//! and configurations of five members can be explored: it is the abstraction
//! under which single-server changes were first examined, with the real core in
//! it. What it leaves out, the worlds of messages have.

use {
	super::{
		Action, RaftModel,
		node::{Outcome, Packet, Stimulus},
		state::State,
	},
	crate::check::shared::Shared,
	mosaik_proto::groups::{
		engine::RoleKind,
		message::{Append, Msg},
		types::MemberId,
	},
	std::sync::Arc,
};

impl RaftModel {
	/// The calls that `id` can make.
	pub(super) fn calls(&self, state: &State, id: MemberId, actions: &mut Vec<Action>) {
		let Some(node) = state.node(id) else {
			return;
		};
		let view = &node.view;
		if view.role == RoleKind::Leader {
			let others = view.config.members.keys().filter(|to| **to != id);
			for &to in others.filter(|to| to.get() <= view.commit) {
				for answered in [false, true] {
					let from = id;
					actions.push(Action::Copy { from, to, answered });
				}
			}
			return;
		}
		if view.term >= self.bounds.terms || !view.config.is_voter(id) {
			return;
		}
		let others: Vec<MemberId> = view.config.voters.iter().copied().collect();
		let others: Vec<MemberId> = others.into_iter().filter(|other| *other != id).collect();
		let needed = view.config.majority() as u32 - 1;
		for set in 0u32..1 << others.len() {
			// Nobody answers, or just as many as it takes.
			if set == 0 || set.count_ones() == needed {
				let answers = others.iter().enumerate();
				let answers = answers.filter(|(at, _)| set & 1 << at != 0);
				actions.push(Action::Elect(id, answers.map(|(_, id)| *id).collect()));
			}
		}
	}

	/// `id` stands; of the others, `voters` answer.
	pub(super) fn elect(&self, state: &mut State, id: MemberId, voters: &[MemberId]) -> Option<()> {
		let asked = self.act(state, id, &Stimulus::Stand)?;
		for packet in &asked.sent {
			if voters.contains(&packet.to) && matches!(packet.msg, Msg::Vote(_)) {
				let answer = self.act(state, packet.to, &Stimulus::Deliver(packet.clone()))?;
				self.hear(state, &answer, id);
			}
		}
		let leads = state.node(id)?.view.role == RoleKind::Leader;
		// An election that is lost is one that nobody answers.
		(leads || voters.is_empty()).then_some(())
	}

	/// `from` copies its log to `to`.
	pub(super) fn copy(
		&self,
		state: &mut State,
		from: MemberId,
		to: MemberId,
		answered: bool,
	) -> Option<()> {
		let view = &state.node(from)?.view;
		// What is committed there is not taken once more: it would be answered and
		// the rest ignored.
		let base = self.nodes.base().pos;
		let other = &state.node(to)?.view;
		let known = (other.commit - base.index) as usize;
		let mut known = known.min(view.log.len());
		let mut entries = &view.log[known..];
		if self.bounds.single_entries {
			let pairs = view.log.iter().zip(other.log.iter());
			known = pairs.take_while(|(a, b)| a == b).count();
			entries = view.log[known..].get(..1).unwrap_or_default();
		}
		let append = Append {
			term: view.term,
			prev: known.checked_sub(1).map_or(base, |at| view.log[at].pos),
			entries: entries.to_vec(),
			commit: view.commit,
			round: 0,
		};
		let msg = Msg::Append(append);
		let packet = Shared::new(Packet { from, to, msg });
		let answer = self.act(state, to, &Stimulus::Deliver(packet))?;
		if answered {
			self.hear(state, &answer, from);
		}
		Some(())
	}

	fn hear(&self, state: &mut State, answer: &Arc<Outcome>, id: MemberId) {
		for packet in answer.sent.iter().filter(|packet| packet.to == id) {
			self.act(state, id, &Stimulus::Deliver(packet.clone()));
		}
	}

	/// The first member is elected by all and everything is committed everywhere.
	pub(super) fn lead_all(&self, state: &mut State) {
		let ids: Vec<MemberId> = state.live().map(|(id, _)| id).collect();
		let Some((&first, others)) = ids.split_first() else {
			return;
		};
		self.elect(state, first, others);
		for _ in 0..2 {
			for &other in others {
				self.copy(state, first, other, true);
			}
		}
	}
}
