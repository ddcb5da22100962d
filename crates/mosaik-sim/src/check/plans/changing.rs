//! Members that come and go.

use {
	super::Outline,
	crate::check::raft::{Bounds, Network},
};

pub(super) fn outlines() -> Vec<Outline> {
	vec![
		(
			"shrink-dead",
			"two voters, of whom the second is dead",
			Bounds {
				voters: 2,
				is_led: true,
				dead: &[2],
				terms: 3,
				log: 5,
				commands: true,
				removes_down_to: 1,
				restarts: 2,
				..Bounds::default()
			},
		),
		(
			"shrink-2",
			"two voters become one",
			Bounds {
				voters: 2,
				is_led: true,
				terms: 3,
				log: 4,
				commands: true,
				removes_down_to: 1,
				..Bounds::default()
			},
		),
		(
			"shrink-2-restart",
			"two voters become one; one restarts",
			Bounds {
				voters: 2,
				is_led: true,
				terms: 3,
				log: 4,
				commands: true,
				removes_down_to: 1,
				restarts: 1,
				..Bounds::default()
			},
		),
		(
			"shrink-2-writes",
			"two voters whose writes take time become one",
			Bounds {
				voters: 2,
				is_led: true,
				terms: 3,
				log: 3,
				removes_down_to: 1,
				restarts: 1,
				writes: 2,
				..Bounds::default()
			},
		),
		(
			"shrink-3",
			"three voters become one, in two terms",
			Bounds {
				is_led: true,
				terms: 2,
				log: 3,
				removes_down_to: 1,
				..Bounds::default()
			},
		),
		(
			"shrink-3-terms",
			"the same in three terms",
			Bounds {
				is_led: true,
				terms: 3,
				log: 3,
				removes_down_to: 1,
				..Bounds::default()
			},
		),
		(
			"join",
			"a learner joins a single voter and is promoted; one restarts",
			Bounds {
				voters: 1,
				is_led: true,
				terms: 3,
				log: 4,
				joins_up_to: 2,
				promotes: true,
				restarts: 1,
				..Bounds::default()
			},
		),
		(
			"join-writes",
			"the same with writes that take time",
			Bounds {
				voters: 1,
				is_led: true,
				terms: 3,
				log: 4,
				joins_up_to: 2,
				promotes: true,
				restarts: 1,
				writes: 2,
				..Bounds::default()
			},
		),
		(
			"join-leave",
			"a learner joins, is promoted, and either is removed",
			Bounds {
				voters: 1,
				is_led: true,
				terms: 3,
				log: 5,
				joins_up_to: 2,
				promotes: true,
				removes_down_to: 1,
				..Bounds::default()
			},
		),
		(
			"promote",
			"a learner of two voters is promoted",
			Bounds {
				voters: 2,
				learners: 1,
				is_led: true,
				terms: 2,
				log: 3,
				promotes: true,
				..Bounds::default()
			},
		),
		(
			"promote-terms",
			"the same in three terms",
			Bounds {
				voters: 2,
				learners: 1,
				is_led: true,
				terms: 3,
				log: 3,
				promotes: true,
				..Bounds::default()
			},
		),
		(
			"loss",
			"three voters, of whom one is lost and removed",
			Bounds {
				is_led: true,
				terms: 2,
				log: 2,
				removes_down_to: 2,
				losses: 1,
				..Bounds::default()
			},
		),
		(
			"loss-log",
			"the same with commands and a longer log",
			Bounds {
				is_led: true,
				terms: 2,
				log: 3,
				commands: true,
				removes_down_to: 2,
				losses: 1,
				..Bounds::default()
			},
		),
		(
			"loss-join",
			"a voter of two is lost, removed and replaced",
			Bounds {
				voters: 2,
				is_led: true,
				terms: 3,
				log: 4,
				removes_down_to: 1,
				losses: 1,
				joins_up_to: 2,
				promotes: true,
				..Bounds::default()
			},
		),
		(
			"calls-3",
			"three voters that are removed, in a world of calls",
			Bounds {
				network: Network::Calls,
				is_led: true,
				terms: 4,
				log: 4,
				removes_down_to: 1,
				..Bounds::default()
			},
		),
		(
			"calls-entries",
			"three voters and four terms, entry by entry, in a world of calls",
			Bounds {
				network: Network::Calls,
				is_led: true,
				terms: 4,
				log: 2,
				commands: true,
				single_entries: true,
				..Bounds::default()
			},
		),
		(
			"calls-4",
			"four voters that are removed, in a world of calls",
			Bounds {
				voters: 4,
				network: Network::Calls,
				is_led: true,
				terms: 3,
				log: 3,
				removes_down_to: 1,
				..Bounds::default()
			},
		),
		(
			"calls-5",
			"four voters and a learner, in a world of calls",
			Bounds {
				voters: 4,
				learners: 1,
				network: Network::Calls,
				is_led: true,
				terms: 3,
				log: 2,
				removes_down_to: 3,
				promotes: true,
				..Bounds::default()
			},
		),
		(
			"calls-join",
			"up to three members that join one, in a world of calls",
			Bounds {
				voters: 1,
				network: Network::Calls,
				is_led: true,
				terms: 3,
				log: 7,
				removes_down_to: 1,
				promotes: true,
				joins_up_to: 3,
				..Bounds::default()
			},
		),
	]
}
