//! What whole replicas promise, in simulated time: bootstrap, membership, merge and
//! leaving, with faults, and everything together again in the end.

use {
	mosaik_proto::groups::types::LeadershipPreference,
	mosaik_sim::replicas::{Action, Disks, Mix, Plan, Report, run},
};

fn sound(seed: u64, plan: &Plan) -> Report {
	let report = run(plan, false);
	if let Some(violation) = &report.violation {
		panic!("seed {seed}: {violation}");
	}
	report
}

fn sample(disks: Disks, mix: Mix) {
	let (mut commands, mut merges) = (0, 0);
	for seed in 0..40 {
		let plan = Plan::new(seed, 2 + (seed % 5) as usize, disks, 20_000).with_mix(mix);
		let report = sound(seed, &plan);
		commands += report.commands;
		merges += report.merges;
	}
	assert!(
		commands > 1_000 && merges > 10,
		"{commands} commands, {merges} merges"
	);
}

#[test]
fn nodes_that_keep_what_they_wrote() {
	sample(Disks::Durable, Mix::Random);
}

#[test]
fn nodes_that_forget_everything() {
	sample(Disks::Volatile, Mix::Random);
}

#[test]
fn nodes_of_both_kinds() {
	sample(Disks::Mixed, Mix::Random);
}

#[test]
fn faults_that_strike_at_turning_points() {
	sample(Disks::Mixed, Mix::Ambush);
}

#[test]
fn whoever_can_works_while_some_pairs_stay_cut_off() {
	sample(Disks::Mixed, Mix::Torn);
}

#[test]
fn where_more_than_half_are_expected_there_is_one_formation() {
	for seed in 0..40 {
		let mut plan = Plan::new(seed, 5, Disks::Durable, 20_000);
		plan.expect = 3;
		for (preference, _) in &mut plan.nodes {
			// Who may not vote is not expected either.
			*preference = LeadershipPreference::Normal;
		}
		plan.actions
			.retain(|(_, action)| !matches!(action, Action::Leave(_)));
		assert!(sound(seed, &plan).formations <= 1);
	}
}

#[test]
fn sixty_nodes_that_see_nobody_at_first_become_one_formation() {
	let mut plan = Plan::new(7, 60, Disks::Mixed, 10_000);
	plan.expect = 1;
	plan.actions
		.retain(|(_, action)| matches!(action, Action::Start(_) | Action::Execute(..)));
	let pairs = (0..60).flat_map(|one| (0..one).map(move |other| (one, other)));
	let cuts = pairs.map(|(one, other)| (0, Action::Cut(one, other)));
	plan.actions.splice(0..0, cuts);
	plan.actions.push((plan.end, Action::Heal));
	let report = sound(7, &plan);
	assert!(report.merges > 10, "founded before they met");
}

#[test]
fn the_same_seed_gives_the_same_run() {
	let plan = Plan::new(11, 5, Disks::Mixed, 20_000);
	let (first, second) = (run(&plan, false), run(&plan, true));
	assert_eq!((first.trace, first.events), (second.trace, second.events));
	assert_ne!(
		first.trace,
		run(&Plan::new(12, 5, Disks::Mixed, 20_000), false).trace
	);
}
