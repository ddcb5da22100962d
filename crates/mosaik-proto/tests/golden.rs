//! What travels is a set of files under review, explained in `docs/wire.md`.
//!
//! `BLESS=1 cargo test -p mosaik-proto --test golden` writes them anew; the diff
//! is the change of the format.

#![expect(clippy::unwrap_used, reason = "this is a test")]

#[path = "golden/replica.rs"]
mod replica;

use {
	bytes::BytesMut,
	mosaik_proto::{
		EndpointAddr, RelayUrl, SecretKey,
		discovery::{
			Message, PeerEntry, PeerEntryVersion, SignedPeerEntry,
			message::{Beat, Departure, Digest, Held, Hello, Lists, Mention, News, Want},
		},
		groups::{
			Config, MemberInfo,
			entry::{Entry, EntryKind, Envelope, FormationEntry},
			message::{
				self as group, Append, AppendOutcome, AppendReply, BeatReply, Frame, Msg,
				SnapshotOffer, VoteReply, VoteRequest,
			},
			state::Base,
			types::{FormationId, LeadershipPreference, LogPos, MemberId, Nonce},
		},
		id::{Digest as Id, StreamId},
		streams::{Ack, Answer, Criteria, Subscribe},
		tickets::Ticket,
		wire::{self, CloseCode, Datum, FRAME_HEADER},
	},
	std::{
		fmt::{Debug, Write},
		fs,
		path::PathBuf,
	},
};

fn key(n: u8) -> SecretKey {
	SecretKey::from_bytes(&[n; 32])
}

fn version(n: u64) -> PeerEntryVersion {
	PeerEntryVersion::from_millis(1_800_000_000_000, 1_800_000_000_000 + n)
}

fn signed() -> SignedPeerEntry {
	let address = EndpointAddr::new(key(1).public())
		.with_ip_addr(([192, 0, 2, 1], 4433).into())
		.with_ip_addr(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 4433).into());
	PeerEntry::new("net".into(), address)
		.with_version(version(0))
		.add_tags(["a", "b"])
		.add_streams("stream")
		.add_functions("function")
		.add_groups("group")
		.add_ticket(Ticket::new("class".into(), (&b"ticket"[..]).into()))
		.sign(&key(1))
		.unwrap()
}

fn mention(n: u8) -> Mention {
	Mention {
		peer: *key(n).public(),
		version: version(n.into()),
	}
}

fn held(n: u8, alive: bool) -> Held {
	Held {
		peer: *key(n).public(),
		version: version(n.into()),
		alive,
	}
}

fn messages() -> Vec<(&'static str, Message)> {
	let network = "net".into();
	let beat = Beat {
		nonce: 7,
		fingerprint: 0x0102_0304_0506_0708,
	};
	let hello = Hello {
		network,
		version: version(0),
		fingerprint: 0x0102_0304_0506_0708,
		entry: Some(signed()),
	};
	let news = News {
		entries: vec![signed()],
		adverts: vec![mention(2)],
		suspects: vec![mention(3), mention(4)],
		departed: vec![Departure::sign(&key(5), &network, version(5))],
	};
	let digest = Digest {
		token: 1,
		buckets: (0..64).map(|n| n << n.min(58)).collect(),
		fresh: true,
	};
	let lists = Lists {
		token: 1,
		buckets: 1 << 63 | 1,
		held: vec![held(2, true), held(3, false)],
		last: true,
	};
	let want = Want {
		token: 1,
		peers: vec![*key(2).public()],
		last: true,
	};
	vec![
		("hello", Message::Hello(hello)),
		("ping", Message::Ping(beat)),
		("pong", Message::Pong(beat)),
		("news", Message::News(news)),
		("pull", Message::Pull(vec![*key(2).public()])),
		("digest", Message::Digest(digest)),
		("lists", Message::Lists(lists)),
		("want", Message::Want(want)),
		("done", Message::Done { token: 300 }),
	]
}

/// The bytes as lines of hexadecimal digits.
fn to_hex(bytes: &[u8]) -> String {
	let mut text = String::new();
	for line in bytes.chunks(32) {
		for byte in line {
			write!(text, "{byte:02x}").unwrap();
		}
		text.push('\n');
	}
	text
}

fn from_hex(text: &str) -> Vec<u8> {
	let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
	let byte = |pair: &[u32]| u8::try_from(pair[0] << 4 | pair[1]).unwrap();
	digits.chunks_exact(2).map(byte).collect()
}

/// Compares `bytes` with a golden file and returns what the file says.
fn golden(name: &str, bytes: &[u8]) -> Vec<u8> {
	let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
	let file = folder.join(name).with_extension("hex");
	if std::env::var_os("BLESS").is_some() {
		fs::create_dir_all(file.parent().unwrap()).unwrap();
		fs::write(&file, to_hex(bytes)).unwrap();
	}
	let golden = fs::read_to_string(&file).unwrap();
	assert_eq!(to_hex(bytes), golden, "{name}");
	from_hex(&golden)
}

/// Compares a value with a golden file, both ways. Returns what was decoded.
fn assert_golden<D: Datum + PartialEq + Debug>(name: &str, value: &D) -> D {
	let bytes = golden(name, &value.encode().unwrap());
	let decoded = D::decode(&bytes).unwrap();
	assert_eq!(&decoded, value, "{name}");
	decoded
}

#[test]
fn discovery_messages_are_what_they_were() {
	for (name, message) in messages() {
		let name = format!("discovery/{name}");
		let bytes = wire::try_serialize(&message).unwrap();
		assert_eq!(bytes.len(), message.encoded_len(), "{name}");
		let decoded = Message::decode(&golden(&name, &bytes)).unwrap();
		assert_eq!(decoded, message, "{name}");
	}
}

#[test]
fn stream_handshakes_are_what_they_were() {
	let subscribe = Subscribe {
		stream: StreamId::from("stream"),
		criteria: Criteria::default(),
		version: version(7),
	};
	assert_golden("streams/subscribe", &subscribe);
	assert_golden("streams/accepted", &Answer::Accepted);
	let refused = Answer::Refused(CloseCode::NotAllowed.0);
	assert_golden("streams/refused", &refused);
	assert_golden("streams/ack", &Ack { read: 65_536 });
}

#[test]
fn a_frame_is_what_it_was() {
	let datum = (300u64, -2i32, "Größe".to_owned(), Some(0.5f32), vec![true]);
	let mut buffer = BytesMut::new();
	wire::append_frame(&datum, &mut buffer, wire::MAX_DATUM).unwrap();
	let frame = golden("frame/datum", &buffer);
	let (header, payload) = frame.split_first_chunk::<FRAME_HEADER>().unwrap();
	let length = wire::frame_length(*header, wire::MAX_DATUM).unwrap();
	assert_eq!(length, payload.len());
	assert_eq!(Datum::decode(payload), Ok(datum));
}

#[test]
fn an_entry_and_what_is_signed_of_it_are_what_they_were() {
	let relay: RelayUrl = "https://relay.example/".parse().unwrap();
	let address = signed().address().clone().with_relay_url(relay);
	let ticket = Ticket::new("class".into(), (&[0, 1, 255][..]).into());
	let entry = signed()
		.into_unsigned()
		.add_ticket(ticket)
		.update_address(address)
		.unwrap();
	assert_eq!(entry.tickets().len(), 2);
	golden("entry/digest", entry.digest().as_bytes());
	let signed = entry.sign(&key(1)).unwrap();
	let decoded = assert_golden("entry/signed", &signed);
	decoded.verify().unwrap();
}

#[test]
fn ids_are_what_they_were() {
	let id = Id::from("my-app");
	let hex = id.to_string();
	assert_golden("ids/name", &id);
	assert_golden("ids/name", &Id::from(hex.as_str()));
	assert_golden("ids/hash_of_hex", &Id::hash(hex.as_bytes()));
	assert_golden("ids/u64", &Id::from_u64(300));
	assert_golden("ids/derived", &id.derive("child"));
	assert_golden("ids/derived_twice", &id.derive("child").derive("child"));
	assert_golden("ids/parts", &Id::from_parts(&["ab", "c"]));
	let ticket = Ticket::new("class".into(), (&b"ticket"[..]).into());
	assert_golden("ids/ticket", &ticket.id());
}

/// Every message of a group, and every kind of entry.
fn group_messages() -> Vec<(&'static str, Msg)> {
	let id = |n| MemberId::new(n).unwrap();
	let pos = |term, index| LogPos { term, index };
	let info = |n: u8, preference| MemberInfo {
		peer: key(n).public(),
		nonce: Nonce::from(u128::from(n)),
		preference,
	};
	let founders = [
		info(1, LeadershipPreference::Normal),
		info(2, LeadershipPreference::reluctant()),
	];
	let mut config = Config::founding(founders);
	let observer = info(3, LeadershipPreference::Observer);
	config.members.insert(id(300), observer);
	let command = |origin_seq| Envelope {
		origin: id(2),
		origin_seq,
		payload: (&b"command"[..]).into(),
	};
	let into = FormationId::from(7);
	let steps = [
		FormationEntry::Yielding { into, attempt: 1 },
		FormationEntry::YieldAborted { attempt: 1 },
		FormationEntry::Absorb {
			from: into,
			attempt: 2,
		},
		FormationEntry::Dissolve { into, attempt: 2 },
		FormationEntry::Close,
	];
	let kinds = [
		EntryKind::Noop,
		EntryKind::Commands([command(1), command(300)].into()),
		EntryKind::Config(config.into()),
	];
	let kinds = kinds.into_iter().chain(steps.map(EntryKind::Formation));
	let entries = (6..).zip(kinds).map(|(index, kind)| Entry {
		pos: pos(3, index),
		seq_end: 9,
		kind,
	});
	let append = Append {
		term: 3,
		prev: pos(2, 5),
		entries: entries.collect(),
		commit: 4,
		round: 300,
	};
	let reply = |outcome| {
		Msg::AppendReply(AppendReply {
			term: 3,
			round: 300,
			outcome,
		})
	};
	let beat = |quiesce| {
		Msg::Beat(group::Beat {
			term: 3,
			commit: 4,
			round: 300,
			quiesce,
		})
	};
	let request = |transfer| VoteRequest {
		term: 4,
		last: pos(3, 8),
		transfer,
	};
	let vote = |granted| VoteReply { term: 4, granted };
	let conflict = AppendOutcome::Conflict {
		prev: 5,
		hint: pos(1, 3),
	};
	let offer = SnapshotOffer {
		term: 3,
		pos: pos(2, 5),
		round: 300,
	};
	vec![
		("append", Msg::Append(append)),
		("matched", reply(AppendOutcome::Matched(13))),
		("conflict", reply(conflict)),
		("stale", reply(AppendOutcome::Stale)),
		("beat", beat(None)),
		("quiesce", beat(Some(pos(3, 8)))),
		(
			"beat_reply",
			Msg::BeatReply(BeatReply {
				term: 3,
				round: 300,
			}),
		),
		("pre_vote", Msg::PreVote(request(false))),
		("pre_vote_reply", Msg::PreVoteReply(vote(true))),
		("vote", Msg::Vote(request(true))),
		("vote_reply", Msg::VoteReply(vote(false))),
		("timeout_now", Msg::TimeoutNow { term: 3 }),
		("snapshot_offer", Msg::SnapshotOffer(offer)),
		(
			"snapshot_failed",
			Msg::SnapshotFailed {
				term: 3,
				pos: pos(2, 5),
			},
		),
		("not_member", Msg::NotMember { config_index: 300 }),
	]
}

#[test]
fn group_frames_are_what_they_were() {
	for (name, msg) in group_messages() {
		let frame = Frame {
			formation: FormationId::from(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
			from: MemberId::new(1).unwrap(),
			to: MemberId::new(300).unwrap(),
			msg,
		};
		assert_golden(&format!("groups/{name}"), &frame);
	}
}

/// What goes to disk and into snapshots besides the user's state.
#[test]
fn the_state_of_a_group_is_what_it_was() {
	let (_, append) = group_messages().swap_remove(0);
	let Msg::Append(append) = append else {
		unreachable!("it is the first");
	};
	let mut base = Base::genesis(Config::founding([]));
	for entry in &append.entries {
		base.state.push(entry);
		base.pos = entry.pos;
	}
	assert_golden("groups/base", &base);
}
