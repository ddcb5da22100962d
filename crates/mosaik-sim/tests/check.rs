//! What the models say of the cores. The larger configurations run by command:
//! `cargo run --release -p mosaik-sim -- check`.

use mosaik_sim::check::{
	plans::find,
	run::{Limits, Report},
};

fn explore(name: &str) -> Report {
	find(name)
		.unwrap_or_else(|| panic!("there is a plan {name}"))
		.run(Limits::default())
}

fn holds(name: &str) -> Report {
	let report = explore(name);
	assert!(report.is_proven(), "{name}: {report:#?}");
	report
}

#[test]
fn two_voters_agree_over_restarts() {
	holds("two");
}

#[test]
fn two_voters_agree_with_pre_votes() {
	holds("pre-votes-2");
}

#[test]
fn three_voters_agree_over_a_restart() {
	holds("three-restart");
}

#[test]
fn a_strong_read_sees_what_was_committed() {
	holds("reads-2");
}

#[test]
fn a_leader_sheds_a_dead_follower() {
	holds("shrink-dead");
}

#[test]
fn two_voters_become_one_and_either_can_be_the_one_that_leaves() {
	holds("shrink-2");
}

#[test]
fn three_voters_become_one() {
	holds("shrink-3");
}

#[test]
fn a_learner_is_promoted_to_the_second_voter() {
	holds("join");
	holds("promote");
}

#[test]
fn a_lost_voter_is_removed_and_replaced() {
	holds("loss-join");
}

#[test]
fn formations_that_yield_to_one_another_never_form_a_circle() {
	// As many states as the abstract model of the protocol has.
	assert_eq!(holds("merge-2").states, 1_100);
	assert_eq!(holds("merge-3").states, 115_351);
}

#[test]
fn exploring_twice_finds_the_same_states() {
	let (first, second) = (explore("join"), explore("join"));
	assert_eq!(first.states, second.states);
	assert_eq!(first.transitions, second.transitions);
}

#[test]
fn nothing_is_promised_before_it_is_written() {
	holds("two-writes");
	holds("shrink-2-writes");
	holds("join-writes");
}

#[test]
fn a_command_that_is_handed_in_again_is_committed_once() {
	holds("resends");
}

#[test]
fn leadership_is_handed_over() {
	holds("transfers");
}
