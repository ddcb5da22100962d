//! What no correct leader sends, so that no simulation of members shows it.

use mosaik_proto::{
	SecretKey,
	groups::{
		config::{Config, MemberInfo},
		engine::{Engine, HardState, Recovered},
		entry::{Entry, EntryKind},
		message::{Append, Msg},
		raft::Raft,
		settings::Settings,
		state::Base,
		types::{LeadershipPreference, LogIndex, LogPos, MemberId, Nonce, Term},
	},
};

const VOTERS: u8 = 3;

/// Whether a follower commits entries of a former leader, told of a commit beyond
/// the entries that came with it. A leader of ours always begins where the logs
/// part, so that the entries of others are gone before there is such a commit.
pub(super) fn commits_beyond_the_entries() -> Option<String> {
	let infos = (1..=VOTERS).map(|number| MemberInfo {
		peer: SecretKey::from_bytes(&[number; 32]).public(),
		nonce: Nonce::from(u128::from(number)),
		preference: LeadershipPreference::Normal,
	});
	let begin = LogIndex::from(VOTERS);
	let entry = |term: Term, index: LogIndex| Entry {
		pos: LogPos { term, index },
		seq_end: 0,
		kind: EntryKind::Noop,
	};
	let recovered = Recovered {
		hard_state: HardState {
			term: 2,
			vote: None,
		},
		base: Base::genesis(Config::founding(infos)),
		entries: vec![entry(1, begin + 1), entry(2, begin + 2)],
	};
	let (me, leader) = (MemberId::new(1)?, MemberId::new(2)?);
	let mut follower = Raft::new(me, Settings::default(), recovered, 1).ok()?;
	let append = Append {
		term: 3,
		prev: LogPos {
			term: 0,
			index: begin,
		},
		entries: vec![entry(1, begin + 1)],
		commit: begin + 2,
		round: 0,
	};
	follower.step(leader, Msg::Append(append)).ok()?;
	let commit = follower.status().commit;
	(commit > begin + 1).then(|| format!("{me} committed {commit}, which was not compared"))
}
