//! What replicas of a group say to one another.

use {
	super::{assert_golden, group_messages, key},
	mosaik_proto::groups::{
		Config, MemberInfo,
		entry::Envelope,
		formation::info::{FormationInfo, Info, Standing},
		message::Frame,
		replica::Message,
		state::Base,
		types::{FormationId, LeadershipPreference, MemberId, Nonce},
	},
};

fn messages() -> Vec<(&'static str, Message)> {
	let formation = FormationId::from(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
	let other = FormationId::from(7);
	let nonce = Nonce::from(1);
	let member = MemberId::new(300).unwrap();
	let founder = |n: u8| MemberInfo {
		peer: key(n).public(),
		nonce: Nonce::from(u128::from(n)),
		preference: LeadershipPreference::Normal,
	};
	let base = Base::genesis(Config::founding([founder(1), founder(2)]));
	let info = |preference, standing| {
		Message::Info(Info {
			nonce,
			preference,
			standing,
			ended: vec![(other, None), (formation, Some(other))],
		})
	};
	let own = FormationInfo {
		formation,
		member,
		established: true,
		voters: 3,
		commands: 300,
		term: 2,
		commit: 500,
		leader: Some(key(1).public()),
	};
	let (_, msg) = group_messages().swap_remove(3);
	let frame = Frame {
		formation,
		from: MemberId::new(1).unwrap(),
		to: member,
		msg,
	};
	let batch = [1, 2].map(|origin_seq| Envelope {
		origin: member,
		origin_seq,
		payload: (&b"command"[..]).into(),
	});
	let forwarded = |last, has_gap| Message::Forwarded {
		formation,
		last,
		has_gap,
	};
	let (from, into, attempt) = (formation, other, 1);
	let (id, index, commit) = (300, Some(500), 500);
	let preference = LeadershipPreference::reluctant();
	vec![
		(
			"seeking",
			info(LeadershipPreference::Normal, Standing::Seeking),
		),
		("joining", info(preference, Standing::Joining(formation))),
		(
			"member",
			info(LeadershipPreference::Observer, Standing::Member(own)),
		),
		("pledge", Message::Pledge { formation }),
		(
			"pledged",
			Message::Pledged {
				formation,
				granted: true,
			},
		),
		("release", Message::Release { formation }),
		(
			"genesis",
			Message::Genesis {
				formation,
				base: base.clone(),
			},
		),
		(
			"join",
			Message::Join {
				formation,
				nonce,
				preference,
			},
		),
		(
			"joined",
			Message::Joined {
				formation,
				nonce,
				member,
				base,
				commit,
			},
		),
		("engine", Message::Engine(frame)),
		(
			"forward",
			Message::Forward {
				formation,
				batch: batch.into(),
			},
		),
		("forwarded", forwarded(Some(2), false)),
		("not_forwarded", forwarded(None, true)),
		("read", Message::Read { formation, id }),
		(
			"read_index",
			Message::ReadIndex {
				formation,
				id,
				index,
			},
		),
		("check", Message::Check { formation, member }),
		("leave", Message::Leave { formation, member }),
		(
			"absorb",
			Message::Absorb {
				from,
				into,
				attempt,
			},
		),
		(
			"absorbed",
			Message::Absorbed {
				from,
				into,
				attempt,
			},
		),
		("yield", Message::Yield { formation, into }),
	]
}

#[test]
fn messages_of_replicas_are_what_they_were() {
	for (name, message) in messages() {
		assert_golden(&format!("replica/{name}"), &message);
	}
}
