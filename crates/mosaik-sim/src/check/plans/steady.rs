//! Members that stay the same.

use {super::Outline, crate::check::raft::Bounds};

pub(super) fn outlines() -> Vec<Outline> {
	vec![
		(
			"two",
			"two voters, one of whom restarts",
			Bounds {
				voters: 2,
				terms: 3,
				log: 2,
				commands: true,
				restarts: 1,
				..Bounds::default()
			},
		),
		(
			"two-log",
			"the same with a longer log",
			Bounds {
				voters: 2,
				terms: 3,
				log: 3,
				commands: true,
				restarts: 1,
				..Bounds::default()
			},
		),
		(
			"two-writes",
			"two voters whose writes take time, one of whom restarts",
			Bounds {
				voters: 2,
				is_led: true,
				terms: 3,
				log: 2,
				commands: true,
				restarts: 1,
				writes: 2,
				..Bounds::default()
			},
		),
		(
			"three",
			"three voters and two terms, from the beginning",
			Bounds {
				log: 2,
				commands: true,
				..Bounds::default()
			},
		),
		(
			"three-led",
			"three voters and three terms, after a first leader",
			Bounds {
				is_led: true,
				terms: 3,
				log: 2,
				commands: true,
				..Bounds::default()
			},
		),
		(
			"three-restart",
			"three voters, one of whom restarts",
			Bounds {
				is_led: true,
				log: 2,
				commands: true,
				restarts: 1,
				..Bounds::default()
			},
		),
		(
			"three-restart-log",
			"the same with a longer log",
			Bounds {
				is_led: true,
				log: 3,
				commands: true,
				restarts: 1,
				..Bounds::default()
			},
		),
		(
			"three-restart-terms",
			"three voters in three terms, one of whom restarts",
			Bounds {
				is_led: true,
				terms: 3,
				log: 1,
				restarts: 1,
				..Bounds::default()
			},
		),
		(
			"three-writes",
			"three voters whose writes take time, one of whom restarts",
			Bounds {
				is_led: true,
				log: 2,
				commands: true,
				restarts: 1,
				writes: 1,
				..Bounds::default()
			},
		),
		(
			"three-beats",
			"three voters with heartbeats and leaders that step down",
			Bounds {
				is_led: true,
				log: 2,
				commands: true,
				beats: true,
				steps_down: true,
				..Bounds::default()
			},
		),
		(
			"pre-votes-2",
			"two voters with pre-votes",
			Bounds {
				voters: 2,
				terms: 3,
				log: 2,
				commands: true,
				pre_votes: true,
				..Bounds::default()
			},
		),
		(
			"pre-votes-restart",
			"two voters with pre-votes, one of whom restarts",
			Bounds {
				voters: 2,
				terms: 3,
				log: 2,
				commands: true,
				pre_votes: true,
				restarts: 1,
				..Bounds::default()
			},
		),
		(
			"pre-votes-3",
			"three voters with pre-votes",
			Bounds {
				is_led: true,
				log: 2,
				commands: true,
				pre_votes: true,
				..Bounds::default()
			},
		),
		(
			"reads-2",
			"two voters and two strong reads",
			Bounds {
				voters: 2,
				is_led: true,
				terms: 2,
				log: 2,
				commands: true,
				reads: 2,
				..Bounds::default()
			},
		),
		(
			"reads-3",
			"three voters and a strong read",
			Bounds {
				is_led: true,
				log: 2,
				commands: true,
				reads: 1,
				..Bounds::default()
			},
		),
		(
			"reads-beats",
			"two voters, two strong reads, heartbeats and a restart",
			Bounds {
				voters: 2,
				is_led: true,
				terms: 2,
				log: 2,
				commands: true,
				reads: 2,
				beats: true,
				restarts: 1,
				..Bounds::default()
			},
		),
		(
			"resends",
			"two voters and a command that is handed in again and again",
			Bounds {
				voters: 2,
				is_led: true,
				terms: 3,
				log: 3,
				resends: true,
				..Bounds::default()
			},
		),
		(
			"transfers",
			"three voters that hand over leadership",
			Bounds {
				is_led: true,
				terms: 2,
				log: 2,
				commands: true,
				transfers: true,
				..Bounds::default()
			},
		),
		(
			"learner",
			"three voters and a learner",
			Bounds {
				learners: 1,
				is_led: true,
				terms: 2,
				log: 2,
				commands: true,
				..Bounds::default()
			},
		),
	]
}
