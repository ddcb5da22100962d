//! Bugs that can be switched on, to prove that the tests would find them.
//!
//! In a normal build `mutant!(..)` is the constant `false` and nothing of this
//! exists. With `--cfg mutants` one of the bugs can be chosen at run time; the
//! simulator must then report a violation within its budget of seeds.

/// Whether a seeded bug is active.
macro_rules! mutant {
	($name:ident) => {{
		#[cfg(mutants)]
		let active = $crate::groups::mutants::is_active($crate::groups::mutants::Mutant::$name);
		#[cfg(not(mutants))]
		let active = false;
		active
	}};
}
pub(crate) use mutant;

#[cfg(mutants)]
pub use seeded::{Mutant, activate, is_active};

#[cfg(mutants)]
mod seeded {
	use std::sync::atomic::{AtomicU8, Ordering};

	/// Zero, or one more than the number of the active bug.
	static ACTIVE: AtomicU8 = AtomicU8::new(0);

	macro_rules! mutants {
		($($(#[doc = $doc:literal])* $name:ident,)*) => {
			/// The seeded bugs.
			#[derive(Clone, Copy, Debug, PartialEq, Eq)]
			pub enum Mutant {
				$($(#[doc = $doc])* $name,)*
			}

			impl Mutant {
				/// All of them.
				pub const ALL: &'static [Self] = &[$(Self::$name),*];

				/// The name, as the command line takes it.
				pub const fn name(self) -> &'static str {
					match self {
						$(Self::$name => stringify!($name),)*
					}
				}
			}
		};
	}

	mutants! {
		/// A vote is not written before it is sent.
		SkipVotePersist,
		/// Appended entries are acknowledged before they are written.
		ReplyBeforePersist,
		/// A leader commits entries of old terms by counting replicas.
		CommitOldTerm,
		/// A quorum has one member too few.
		QuorumOffByOne,
		/// Learners count when matches are counted.
		CountLearners,
		/// A configuration changes before an entry of the term is committed.
		ConfigBeforeNoop,
		/// A configuration changes before the previous change is committed.
		TwoPendingConfigs,
		/// A new member gets the id of one that was removed.
		ReuseMemberId,
		/// A strong read is answered without a committed entry of the term.
		ReadWithoutOwnTerm,
		/// A strong read is confirmed by an acknowledgment older than itself.
		ReadStaleRound,
		/// Entries are accepted from the leader of a term that is over.
		AppendFromNonLeader,
		/// An append replaces all that follows it, whether or not it differs and what of
		/// it is committed.
		TruncateCommitted,
		/// A formation absorbs another while it is yielding itself.
		AbsorbWhileYielding,
		/// A formation dissolves on the acceptance of an attempt it gave up.
		DissolveStaleAttempt,
		/// Snapshots forget which commands were applied.
		SessionsNotInSnapshot,
		/// The commit index is taken from matches that are not sorted.
		CommitUnsortedMatches,
		/// A member votes twice in a term.
		VoteTwice,
		/// A vote is granted to a candidate whose log is behind.
		VoteForStaleLog,
		/// Entries are appended without a look at what they follow.
		NoPrevCheck,
		/// A follower commits what an append says, beyond the entries that came with it.
		CommitUnmatched,
		/// A heartbeat tells a member of commits beyond what it is known to have.
		BeatUnmatched,
		/// A command that was sent twice is applied twice.
		NoDedup,
		/// A member that restarts without its storage keeps its identity.
		KeepVolatileIdentity,
	}

	/// Makes `mutant` active in this process, or none.
	pub fn activate(mutant: Option<Mutant>) {
		ACTIVE.store(
			mutant.map_or(0, |mutant| mutant as u8 + 1),
			Ordering::Relaxed,
		);
	}

	/// Whether `mutant` is the active one.
	pub fn is_active(mutant: Mutant) -> bool {
		ACTIVE.load(Ordering::Relaxed) == mutant as u8 + 1
	}
}
