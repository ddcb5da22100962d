//! Anything that could be said or asked: mostly small numbers, so that it means
//! something, and now and then the greatest there are.

use {
	super::*,
	crate::groups::{
		config::ConfigChange,
		engine::{Hint, SnapshotResult},
		entry::FormationEntry,
		message::{Beat, BeatReply, Frame, SnapshotOffer},
		state::Life,
		types::FormationId,
	},
	proptest::{collection::vec, prelude::*},
	std::sync::Arc,
};

/// What can be done to a member.
#[derive(Clone, Debug)]
pub(super) enum Op {
	Step(MemberId, Msg),
	/// The two others vote for it, as far as they were asked.
	Support,
	/// Another member has the log up to so many entries before its end.
	Match(MemberId, u64),
	Tick(u64),
	Propose(Vec<Envelope>),
	Change(ConfigChange),
	Formation(FormationEntry),
	Read(u64),
	Transfer(MemberId),
	Hint(Hint),
	/// The write that was begun so many before the last is done.
	Persisted(u64),
	Applied(u64),
	Snapshot(SnapshotResult),
	Compact(u64),
}

pub(super) fn number() -> impl Strategy<Value = u64> {
	let edges = vec![u64::MAX, u64::MAX - 1, 1 << 62, (1 << 62) + 1, 1 << 63];
	prop_oneof![
		20 => 0..10u64,
		1 => prop::sample::select(edges),
		1 => any::<u64>(),
	]
}

fn member() -> impl Strategy<Value = MemberId> {
	prop_oneof![8 => 1..5u64, 1 => number()].prop_map(|n| MemberId::new(n).unwrap_or(m(1)))
}

fn pos() -> impl Strategy<Value = LogPos> {
	(number(), number()).prop_map(|(term, index)| LogPos { term, index })
}

fn member_info() -> impl Strategy<Value = MemberInfo> {
	(1..6u64, 0..3u32).prop_map(|(n, factor)| {
		let mut info = info(n);
		info.preference = match factor {
			0 => LeadershipPreference::Observer,
			factor => LeadershipPreference::Reluctant { factor },
		};
		info
	})
}

fn config() -> impl Strategy<Value = Config> {
	let some = (
		prop::collection::btree_set(member(), 0..5),
		vec((member(), member_info()), 0..5),
	);
	prop_oneof![
		3 => (1..5u64).prop_map(|n| Config::founding((1..=n).map(info))),
		1 => some.prop_map(|(voters, members)| Config {
			voters,
			members: members.into_iter().collect(),
		}),
	]
}

pub(super) fn envelope() -> impl Strategy<Value = Envelope> {
	(member(), number()).prop_map(|(origin, seq)| command(origin.get(), seq))
}

fn formation() -> impl Strategy<Value = FormationEntry> {
	let id = || (0..3u128).prop_map(FormationId::from);
	prop_oneof![
		(id(), number()).prop_map(|(into, attempt)| FormationEntry::Yielding { into, attempt }),
		number().prop_map(|attempt| FormationEntry::YieldAborted { attempt }),
		(id(), number()).prop_map(|(from, attempt)| FormationEntry::Absorb { from, attempt }),
		(id(), number()).prop_map(|(into, attempt)| FormationEntry::Dissolve { into, attempt }),
		Just(FormationEntry::Close),
	]
}

fn kind() -> impl Strategy<Value = EntryKind> {
	prop_oneof![
		3 => Just(EntryKind::Noop),
		3 => vec(envelope(), 0..4).prop_map(|batch| EntryKind::Commands(batch.into())),
		2 => config().prop_map(|config| EntryKind::Config(Arc::new(config))),
		1 => formation().prop_map(EntryKind::Formation),
	]
}

fn entries() -> impl Strategy<Value = (LogPos, Vec<Entry>)> {
	let entry = (pos(), number(), kind(), 0..20u8);
	(pos(), vec(entry, 0..5)).prop_map(|(prev, entries)| {
		let mut last = prev;
		let mut seq = 0;
		let follow = entries.into_iter().map(|(pos, seq_end, kind, odd)| {
			// Mostly such as would be sent.
			let index = last.index.wrapping_add(1);
			let term = last.term.max(pos.term);
			last = if odd > 0 { at(term, index) } else { pos };
			seq = if odd > 0 { seq.max(seq_end) } else { seq_end };
			Entry {
				pos: last,
				seq_end: seq,
				kind,
			}
		});
		let follow = follow.collect();
		(prev, follow)
	})
}

pub(super) fn msg() -> impl Strategy<Value = Msg> {
	let request = || {
		(number(), pos(), any::<bool>()).prop_map(|(term, last, transfer)| VoteRequest {
			term,
			last,
			transfer,
		})
	};
	let reply =
		|| (number(), any::<bool>()).prop_map(|(term, granted)| VoteReply { term, granted });
	let append = (number(), entries(), number(), number());
	let outcome = prop_oneof![
		4 => number().prop_map(AppendOutcome::Matched),
		2 => (number(), pos()).prop_map(|(prev, hint)| AppendOutcome::Conflict { prev, hint }),
		1 => Just(AppendOutcome::Stale),
	];
	prop_oneof![
		6 => append.prop_map(|(term, (prev, entries), commit, round)| {
			// Mostly of a term that can be.
			let last = entries.last().map_or(prev.term, |entry| entry.pos.term);
			let term = if round > 0 { term.max(last) } else { term };
			Msg::Append(Append { term, prev, entries, commit, round })
		}),
		3 => (number(), number(), outcome).prop_map(|(term, round, outcome)| {
			Msg::AppendReply(AppendReply { term, round, outcome })
		}),
		3 => (number(), number(), number(), prop::option::of(pos())).prop_map(
			|(term, commit, round, quiesce)| Msg::Beat(Beat { term, commit, round, quiesce }),
		),
		1 => (number(), number()).prop_map(|(term, round)| Msg::BeatReply(BeatReply { term, round })),
		2 => request().prop_map(Msg::PreVote),
		1 => reply().prop_map(Msg::PreVoteReply),
		2 => request().prop_map(Msg::Vote),
		1 => reply().prop_map(Msg::VoteReply),
		1 => number().prop_map(|term| Msg::TimeoutNow { term }),
		2 => (number(), pos(), number()).prop_map(|(term, pos, round)| {
			Msg::SnapshotOffer(SnapshotOffer { term, pos, round })
		}),
		1 => (number(), pos()).prop_map(|(term, pos)| Msg::SnapshotFailed { term, pos }),
		1 => number().prop_map(|config_index| Msg::NotMember { config_index }),
	]
}

pub(super) fn frame() -> impl Strategy<Value = Frame> {
	(any::<u128>(), member(), member(), msg()).prop_map(|(formation, from, to, msg)| Frame {
		formation: formation.into(),
		from,
		to,
		msg,
	})
}

fn base() -> impl Strategy<Value = Base> {
	let state = (
		config(),
		number(),
		number(),
		number(),
		vec(envelope(), 0..4),
	);
	(pos(), state).prop_map(|(pos, (config, config_index, seq, attempts, commands))| {
		let mut state = LogState::genesis(config);
		let commands = EntryKind::Commands(commands.into());
		let entry = Entry {
			pos,
			seq_end: seq,
			kind: commands,
		};
		state.push(&entry);
		state.config_index = config_index;
		state.attempts = attempts;
		state.life = Life::Normal;
		Base { pos, state }
	})
}

pub(super) fn change() -> impl Strategy<Value = ConfigChange> {
	prop_oneof![
		member_info().prop_map(ConfigChange::AddLearner),
		member().prop_map(ConfigChange::Promote),
		member().prop_map(ConfigChange::Remove),
		(member(), member_info()).prop_map(|(id, info)| ConfigChange::Update(id, info)),
	]
}

pub(super) fn op() -> impl Strategy<Value = Op> {
	let hint = prop_oneof![
		member().prop_map(Hint::PeerUp),
		member().prop_map(Hint::PeerDown),
		Just(Hint::LeaderDeparting),
	];
	let snapshot = prop_oneof![
		3 => base().prop_map(SnapshotResult::Fetched),
		1 => pos().prop_map(|pos| SnapshotResult::Failed { pos }),
	];
	prop_oneof![
		12 => (member(), msg()).prop_map(|(from, msg)| Op::Step(from, msg)),
		4 => Just(Op::Support),
		4 => (member(), 0..3u64).prop_map(|(from, behind)| Op::Match(from, behind)),
		4 => prop_oneof![8 => 1..2_000u64, 1 => number()].prop_map(Op::Tick),
		3 => vec(envelope(), 0..4).prop_map(Op::Propose),
		2 => change().prop_map(Op::Change),
		1 => formation().prop_map(Op::Formation),
		1 => number().prop_map(Op::Read),
		1 => member().prop_map(Op::Transfer),
		1 => hint.prop_map(Op::Hint),
		3 => (0..3u64).prop_map(Op::Persisted),
		2 => number().prop_map(Op::Applied),
		2 => snapshot.prop_map(Op::Snapshot),
		1 => number().prop_map(Op::Compact),
	]
}
