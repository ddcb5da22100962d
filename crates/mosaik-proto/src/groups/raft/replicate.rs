//! What each follower is sent next. Called when the driver takes what is to be
//! done, so that everything proposed since then travels together.

use {
	super::{
		Raft, Role,
		progress::{Mode, Progress},
	},
	crate::groups::{
		config::Config,
		message::{Append, Beat, Msg, SnapshotOffer},
		types::{LogIndex, LogPos, MemberId},
	},
};

impl Raft {
	pub(super) fn replicate(&mut self) {
		let Role::Leader(leader) = &mut self.role else {
			return;
		};
		let is_asked = leader.reads.begin_round();
		let round = leader.reads.round();
		let (term, commit) = (self.term, self.commit);
		let last = self.log.last().index;
		for (&member, progress) in &mut leader.progress {
			if !is_settled(member, commit, &self.log.state().config) {
				continue;
			}
			let settings = &self.settings;
			while progress.is_ready(last, settings.max_inflight, settings.max_inflight_bytes) {
				let prev = progress.next - 1;
				let Some(prev_term) = self.log.term_at(prev) else {
					let pos = self.log.base().pos;
					progress.mode = Mode::Snapshot {
						index: pos.index,
						offered_at: self.now,
					};
					let offer = SnapshotOffer { term, pos, round };
					self.out.send.push((member, Msg::SnapshotOffer(offer)));
					break;
				};
				let (entries, bytes) = self.log.slice(progress.next, settings.max_append_bytes);
				let end = prev + entries.len() as u64;
				let append = Append {
					term,
					prev: LogPos {
						term: prev_term,
						index: prev,
					},
					entries,
					commit,
					round,
				};
				self.out.send.push((member, Msg::Append(append)));
				progress.sent(end, bytes);
				told(progress, commit.min(end), round);
			}
			let known = commit.min(progress.matched);
			if progress.sent_commit < known || is_asked && progress.sent_round < round {
				told(progress, known, round);
				let beat = Beat {
					term,
					commit: known,
					round,
					quiesce: None,
				};
				self.out.send.push((member, Msg::Beat(beat)));
			}
		}
		self.confirm_reads();
	}
}

/// Whether a member may be spoken to: when the entry that added it is known to be
/// committed, not before, or its id could yet be that of another one. A voter was
/// promoted after that; a leader that has just restarted may not know it by its
/// commit index, and needs the voter to find out.
pub(super) fn is_settled(member: MemberId, commit: LogIndex, config: &Config) -> bool {
	member.get() <= commit || config.is_voter(member)
}

fn told(progress: &mut Progress, commit: u64, round: u64) {
	progress.sent_commit = progress.sent_commit.max(commit);
	progress.sent_round = round;
}
