//! With `RUSTFLAGS="--cfg mutants"`: each seeded bug is found, by what comes of it.
//!
//! In a process of its own, because a bug is active in all of it.
#![cfg(mutants)]

use {
	mosaik_proto::groups::mutants::{Mutant, activate},
	mosaik_sim::check::{plans::find, run::Limits},
};

#[test]
fn seeded_bugs_are_found() {
	let circle = "every chain ends in a living formation";
	let completeness = "leader completeness";
	let votes = "one vote per member and term";
	let poison = "no poison";
	let cases = [
		(Mutant::AbsorbWhileYielding, "merge-2", circle),
		(Mutant::AbsorbWhileYielding, "merge-3", circle),
		(Mutant::DissolveStaleAttempt, "merge-2", circle),
		(Mutant::DissolveStaleAttempt, "merge-3", circle),
		(Mutant::ConfigBeforeNoop, "calls-4", completeness),
		(Mutant::TwoPendingConfigs, "shrink-3", completeness),
		(
			Mutant::ReuseMemberId,
			"loss-join",
			"ids of members are fresh",
		),
		(Mutant::QuorumOffByOne, "three", "election safety"),
		(Mutant::CountLearners, "learner", completeness),
		(Mutant::CommitUnsortedMatches, "three", completeness),
		(Mutant::CommitOldTerm, "calls-entries", completeness),
		(Mutant::VoteTwice, "three", votes),
		(Mutant::VoteForStaleLog, "three", completeness),
		(Mutant::SkipVotePersist, "two", poison),
		(Mutant::ReplyBeforePersist, "two-writes", poison),
		(Mutant::NoPrevCheck, "three-led", "log matching"),
		(Mutant::ReadStaleRound, "reads-3", "strong reads"),
		(Mutant::ReadWithoutOwnTerm, "reads-3", "strong reads"),
		(Mutant::NoDedup, "resends", "a command is committed once"),
	];
	let mut missed = Vec::new();
	for (mutant, plan, property) in cases {
		activate(Some(mutant));
		let report = find(plan)
			.expect("it is listed")
			.judging_outcomes()
			.run(Limits::default());
		activate(None);
		if !report.violates(property) {
			missed.push(format!("{mutant:?} in {plan}: {report:#?}"));
		}
	}
	assert!(missed.is_empty(), "{}", missed.join("\n"));
}
