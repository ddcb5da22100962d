//! Any order of deliveries, losses, crashes, elections and changes, on a few
//! members: what is claimed after every step holds throughout, and when it is over
//! they agree and go on.

use {
	super::*,
	crate::groups::{
		config::ConfigChange,
		engine::{ElectionPolicy, Hint, RoleKind},
	},
	proptest::{collection::vec, prelude::*},
};

#[derive(Clone, Debug)]
enum Op {
	/// The oldest message on one of the links that have any: delivered, lost, or
	/// delivered and kept to come again.
	Deliver(usize),
	Lose(usize),
	Repeat(usize),
	/// All that is under way is delivered.
	Settle,
	Run(u64),
	/// A member's timer runs out, whatever the others' do.
	TimeOut(u64),
	Propose(u64),
	Promote(u64, u64),
	Remove(u64, u64),
	Add(u64),
	Transfer(u64, u64),
	Crash(u64),
	Restart(u64),
	Write(u64),
	ByHand(u64, bool),
	Compact(u64, u64),
	Down(u64, u64),
}

fn op() -> impl Strategy<Value = Op> {
	let id = || 1..6u64;
	prop_oneof![
		20 => (0..30usize).prop_map(Op::Deliver),
		3 => (0..30usize).prop_map(Op::Lose),
		2 => (0..30usize).prop_map(Op::Repeat),
		3 => Just(Op::Settle),
		3 => (1..600u64).prop_map(Op::Run),
		5 => id().prop_map(Op::TimeOut),
		8 => id().prop_map(Op::Propose),
		2 => (id(), id()).prop_map(|(at, id)| Op::Promote(at, id)),
		2 => (id(), id()).prop_map(|(at, id)| Op::Remove(at, id)),
		1 => id().prop_map(Op::Add),
		1 => (id(), id()).prop_map(|(at, to)| Op::Transfer(at, to)),
		2 => id().prop_map(Op::Crash),
		3 => id().prop_map(Op::Restart),
		6 => id().prop_map(Op::Write),
		2 => (id(), any::<bool>()).prop_map(|(id, by_hand)| Op::ByHand(id, by_hand)),
		1 => (id(), 0..4u64).prop_map(|(id, back)| Op::Compact(id, back)),
		1 => (id(), id()).prop_map(|(at, id)| Op::Down(at, id)),
	]
}

/// The nth link that has something under way, in some order.
fn link(cluster: &Cluster, n: usize) -> Option<(u64, u64)> {
	let busy: Vec<_> = cluster
		.links
		.iter()
		.filter(|(_, queue)| !queue.is_empty())
		.collect();
	let (link, _) = busy.get(n.checked_rem(busy.len())?)?;
	Some(**link)
}

fn perform(cluster: &mut Cluster, op: Op) {
	let ids: Vec<u64> = cluster.nodes.keys().copied().collect();
	let nth = |n: u64| ids[usize::try_from(n).unwrap() % ids.len()];
	let is_up = |cluster: &Cluster, id: u64| cluster.nodes[&id].up;
	let configs = ids
		.iter()
		.map(|id| cluster.raft(*id).status().committed_config);
	let members = configs.flat_map(|config| config.members.keys().copied().collect::<Vec<_>>());
	let new = members.filter(|id| !ids.contains(&id.get()));
	for id in new.collect::<BTreeSet<_>>() {
		cluster.start(id.get(), blank());
	}
	match op {
		Op::Deliver(n) => {
			if let Some((from, to)) = link(cluster, n) {
				cluster.deliver(from, to);
			}
		}
		Op::Lose(n) => {
			if let Some(link) = link(cluster, n) {
				cluster.links.get_mut(&link).unwrap().pop_front();
			}
		}
		Op::Repeat(n) => {
			if let Some((from, to)) = link(cluster, n)
				&& let Some(msg) = cluster.deliver(from, to)
			{
				// It comes again, after others.
				cluster.links.get_mut(&(from, to)).unwrap().push_back(msg);
			}
		}
		Op::Settle => cluster.settle(),
		Op::Run(time) => cluster.run(time),
		Op::TimeOut(n) => {
			let id = nth(n);
			let is_leader = cluster.raft(id).status().role == RoleKind::Leader;
			if is_up(cluster, id) && !is_leader {
				cluster.node(id).raft.hint(Hint::LeaderDeparting);
				cluster.pump(id);
				cluster.time_out(id);
			}
		}
		Op::Propose(n) if is_up(cluster, nth(n)) => {
			let id = nth(n);
			let next = cluster
				.raft(id)
				.log_state()
				.sessions
				.get(&m(id))
				.map_or(0, |s| s.last);
			let _ = cluster.node(id).raft.propose(vec![command(id, next + 1)]);
			cluster.pump(id);
		}
		Op::Promote(n, id) => change(cluster, nth(n), ConfigChange::Promote(m(nth(id)))),
		Op::Remove(n, id) => change(cluster, nth(n), ConfigChange::Remove(m(nth(id)))),
		Op::Add(n) if is_up(cluster, nth(n)) && ids.len() < 7 => {
			let number = 100 + ids.len() as u64;
			let add = ConfigChange::AddLearner(info(number));
			let _ = cluster.node(nth(n)).raft.propose_config(add);
			cluster.pump(nth(n));
		}
		Op::Transfer(n, to) if is_up(cluster, nth(n)) => {
			let _ = cluster.node(nth(n)).raft.transfer_leader(m(nth(to)));
			cluster.pump(nth(n));
		}
		Op::Crash(n) if is_up(cluster, nth(n)) => cluster.crash(nth(n)),
		Op::Restart(n) if !is_up(cluster, nth(n)) => cluster.restart(nth(n)),
		Op::Write(n) if is_up(cluster, nth(n)) && !cluster.nodes[&nth(n)].writes.is_empty() => {
			cluster.persist(nth(n));
		}
		Op::ByHand(n, by_hand) => {
			cluster.node(nth(n)).by_hand = by_hand;
			if is_up(cluster, nth(n)) {
				cluster.pump(nth(n));
			}
		}
		Op::Compact(n, back) if is_up(cluster, nth(n)) => {
			let index = cluster.raft(nth(n)).applied.saturating_sub(back);
			cluster.node(nth(n)).raft.compact(index);
			cluster.pump(nth(n));
		}
		Op::Down(n, id) if is_up(cluster, nth(n)) => {
			cluster.node(nth(n)).raft.hint(Hint::PeerDown(m(nth(id))));
			cluster.pump(nth(n));
		}
		_ => {}
	}
}

fn change(cluster: &mut Cluster, id: u64, change: ConfigChange) {
	if cluster.nodes[&id].up {
		let _ = cluster.node(id).raft.propose_config(change);
		cluster.pump(id);
	}
}

/// Everybody is up and hears everybody: after a while they agree, and a command is
/// taken and applied by all who belong.
fn recover(cluster: &mut Cluster) {
	let ids: Vec<u64> = cluster.nodes.keys().copied().collect();
	for &id in &ids {
		if !cluster.nodes[&id].up {
			cluster.restart(id);
		}
		let node = cluster.node(id);
		node.by_hand = false;
		while !cluster.nodes[&id].writes.is_empty() {
			cluster.persist(id);
		}
		cluster
			.node(id)
			.raft
			.set_election_policy(ElectionPolicy::Normal);
		cluster.pump(id);
	}
	cluster.run(20_000);
	let leader = cluster.leader().expect("there is a leader");
	let config = cluster.raft(leader).status().config;
	let next = cluster
		.raft(leader)
		.log_state()
		.sessions
		.get(&m(leader))
		.map_or(0, |s| s.last);
	let proposed = cluster
		.node(leader)
		.raft
		.propose(vec![command(leader, next + 1)]);
	cluster.pump(leader);
	let pos = proposed.unwrap().pos.unwrap();
	cluster.run(5_000);
	for &id in ids.iter().filter(|id| config.contains(m(**id))) {
		assert_eq!(cluster.raft(id).applied, pos.index, "{id} has applied it");
		assert_eq!(
			cluster.raft(id).log_state(),
			cluster.raft(leader).log_state()
		);
		assert_eq!(cluster.nodes[&id].commands, cluster.nodes[&leader].commands);
	}
	assert!(
		cluster
			.nodes
			.values()
			.all(|node| node.raft.poisoned.is_none())
	);
}

fn survive(n: u64, quiesce_after: u8, ops: Vec<Op>) {
	let mut settings = settings();
	settings.election_jitter = 500;
	settings.quiesce_after = quiesce_after;
	settings.max_append_bytes = 200;
	settings.max_inflight = 3;
	let mut cluster = Cluster::with(n, settings);
	for op in ops {
		perform(&mut cluster, op);
	}
	recover(&mut cluster);
}

proptest! {
	#![proptest_config(ProptestConfig {
		failure_persistence: None,
		..ProptestConfig::default()
	})]

	#[test]
	fn whatever_happens_the_claims_hold_and_afterwards_all_agree(
		n in 1..5u64,
		quiesce_after in 0..2u8,
		ops in vec(op(), 0..120),
	) {
		survive(n, quiesce_after, ops);
	}
}
