//! States and steps for people.

use {
	super::{
		Action,
		node::{Change, Packet, Stimulus, View},
		state::State,
	},
	mosaik_proto::groups::{
		config::Config,
		engine::RoleKind,
		entry::{Entry, EntryKind},
		message::{AppendOutcome, Msg},
	},
};

/// What happens.
pub(super) fn action(action: &Action) -> String {
	match action {
		Action::Member(id, what) => match what {
			Stimulus::Deliver(message) => format!("{id} receives {}", packet(message)),
			Stimulus::Expire => format!("{id} has not heard a leader"),
			Stimulus::Stand => format!("{id} stands for election"),
			Stimulus::Beat => format!("{id} sends heartbeats"),
			Stimulus::StepDown => format!("{id} steps down"),
			Stimulus::Propose => format!("{id} is handed a command"),
			Stimulus::Resend => format!("{id} is handed the command"),
			Stimulus::Transfer(to) => format!("{id} hands leadership to {to}"),
			Stimulus::Read(token) => format!("{id} is asked for read {}", token.0),
			Stimulus::Change(Change::Add) => format!("{id} adds a learner"),
			Stimulus::Change(Change::Promote(member)) => format!("{id} promotes {member}"),
			Stimulus::Change(Change::Remove(member)) => format!("{id} removes {member}"),
			Stimulus::Persisted => format!("{id} has written"),
			Stimulus::Restart => format!("{id} restarts"),
		},
		Action::Lose(id) => format!("{id} is lost"),
		Action::Elect(id, voters) => format!("{id} stands for election; {voters:?} answer"),
		Action::Copy { from, to, answered } => {
			let answer = if *answered {
				""
			} else {
				"; the answer is lost"
			};
			format!("{from} copies its log to {to}{answer}")
		}
	}
}

fn packet(packet: &Packet) -> String {
	let msg = match &packet.msg {
		Msg::Append(append) => format!(
			"append in term {} after {:?}: [{}], commit {}",
			append.term,
			append.prev,
			entries(&append.entries),
			append.commit
		),
		Msg::AppendReply(reply) => match reply.outcome {
			AppendOutcome::Matched(index) => format!("matched {index} in term {}", reply.term),
			AppendOutcome::Conflict { prev, hint } => {
				format!("conflict at {prev}, try {hint:?}, in term {}", reply.term)
			}
			AppendOutcome::Stale => format!("stale, term is {}", reply.term),
		},
		Msg::Vote(request) => format!(
			"vote request in term {}, log {:?}",
			request.term, request.last
		),
		Msg::VoteReply(reply) => {
			let granted = if reply.granted { "vote" } else { "refusal" };
			format!("{granted} in term {}", reply.term)
		}
		other => format!("{other:?}"),
	};
	format!("{msg} from {}", packet.from)
}

/// The state, a line per member.
pub(super) fn describe(state: &State) -> Vec<String> {
	let mut lines = Vec::new();
	for (id, node) in &state.nodes {
		lines.push(match node {
			Some(node) => format!("{id}: {}", view(&node.view)),
			None => format!("{id}: gone"),
		});
	}
	for rule in &state.facts.broken {
		lines.push(format!("broken: {rule:?}"));
	}
	lines
}

fn view(view: &View) -> String {
	let role = match view.role {
		RoleKind::Follower => "follows",
		RoleKind::PreCandidate => "would stand",
		RoleKind::Candidate => "stands",
		RoleKind::Leader => "leads",
	};
	let writes = match view.writes {
		0 => String::new(),
		writes => format!(
			", {writes} writes under way, term {} on disk",
			view.disk_term
		),
	};
	format!(
		"{role} in term {}, log [{}], commit {}{writes}",
		view.term,
		entries(&view.log),
		view.commit
	)
}

fn entries(entries: &[Entry]) -> String {
	let text = entries.iter().map(|entry| {
		let kind = match &entry.kind {
			EntryKind::Noop => "noop".to_owned(),
			EntryKind::Commands(_) => "command".to_owned(),
			EntryKind::Config(config) => self::config(config),
			EntryKind::Formation(step) => format!("{step:?}"),
		};
		format!("{:?} {kind}", entry.pos)
	});
	text.collect::<Vec<_>>().join(", ")
}

fn config(config: &Config) -> String {
	let voters: Vec<_> = config.voters.iter().map(ToString::to_string).collect();
	let learners: Vec<_> = config.learners().map(|(id, _)| format!("+{id}")).collect();
	format!("{{{}{}}}", voters.join(" "), learners.concat())
}
