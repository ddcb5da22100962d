//! A process around the core: the smallest driver that uses all of it.
//!
//! It joins by itself, keeps its disk, applies what is committed, takes snapshots
//! and fetches them, forwards commands and strong reads to the leader, and where
//! it leads it removes the dead and gives seats to the living.

mod client;
mod joining;
mod machine;
mod seat;

pub use {client::Client, seat::Seat};

use {
	super::{
		disk::{Identity, MemberDisk, Snapshot, Write},
		mail::Mail,
		note::Note,
	},
	crate::lossy::{Effect, Input, Node, Process},
	mosaik_proto::{
		PeerId,
		groups::{
			Engine, MemberInfo, Settings,
			types::{FormationId, LeadershipPreference, Nonce, Ticks},
		},
	},
	std::rc::Rc,
};

/// What all processes of a world have in common.
#[derive(Clone, Debug)]
pub struct Setup {
	/// The formation.
	pub formation: FormationId,
	/// Of the core.
	pub settings: Settings,
	/// Who runs where.
	pub peers: Vec<PeerId>,
	/// Who wants to lead.
	pub preferences: Vec<LeadershipPreference>,
	/// How many voters there should be.
	pub seats: usize,
	/// After what silence a member is removed.
	pub dead_after: Ticks,
	/// How many entries there are between snapshots.
	pub snapshot_every: u64,
	/// After what time something is sent again.
	pub retry: Ticks,
}

impl Setup {
	/// What is known of a node as a member.
	pub fn info(&self, node: Node, nonce: Nonce) -> MemberInfo {
		MemberInfo {
			peer: self.peers[node],
			nonce,
			preference: self.preferences[node],
		}
	}

	/// Where a peer runs.
	pub fn node_of(&self, peer: &PeerId) -> Option<Node> {
		self.peers.iter().position(|known| known == peer)
	}
}

/// The effects of a [`Member`].
pub type Effects = Vec<Effect<Mail, Write>>;

/// A node that is a member, or wants to be.
#[derive(Debug)]
pub struct Member {
	setup: Rc<Setup>,
	node: Node,
	nonce: Nonce,
	seat: Option<Seat>,
	/// When to ask again to be admitted.
	join_at: Ticks,
	now: Ticks,
	dice: u64,
	/// How many microseconds the machine takes to apply an entry.
	slowness: u64,
	/// What happened since it was looked at last.
	pub notes: Vec<Note>,
}

impl Member {
	/// A life begins with what is on the disk. The seed gives it its nonce, if it
	/// needs one, and all its chance.
	pub fn start(setup: &Rc<Setup>, node: Node, disk: &MemberDisk, seed: u64) -> Self {
		let mut member = Self {
			setup: Rc::clone(setup),
			node,
			nonce: Nonce::from(u128::from(seed) << 64 | u128::from(!seed)),
			seat: None,
			join_at: 0,
			now: 0,
			dice: seed,
			slowness: 0,
			notes: Vec::new(),
		};
		if let Some(identity) = disk.identity {
			member.nonce = identity.nonce;
			let seed = member.roll();
			match Seat::recover(setup, node, identity, disk, seed) {
				Ok(seat) => {
					let first = disk.snapshot.base.pos.index + 1;
					member.notes.push(Note::LogFrom(first));
					member.seat = Some(seat);
				}
				Err(_) => member.nonce = Nonce::from(u128::from(member.roll())),
			}
		}
		member
	}

	/// Its seat in the formation, if it has one.
	pub const fn seat(&self) -> Option<&Seat> {
		self.seat.as_ref()
	}

	/// The lifetime of its storage.
	pub const fn nonce(&self) -> Nonce {
		self.nonce
	}

	/// Takes so long to apply an entry from now on.
	pub const fn set_slowness(&mut self, micros: u64) {
		self.slowness = micros;
	}

	/// The next number of its dice (splitmix64).
	fn roll(&mut self) -> u64 {
		self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
		let mut z = self.dice;
		z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
		z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
		z ^ (z >> 31)
	}

	fn begin(&mut self, identity: Identity, effects: &mut Effects) {
		let disk = MemberDisk {
			identity: Some(identity),
			..MemberDisk::default()
		};
		let seed = self.roll();
		if let Ok(mut seat) = Seat::recover(&self.setup, self.node, identity, &disk, seed) {
			seat.begin(Snapshot::nothing(), effects);
			self.notes.push(Note::LogFrom(1));
			self.seat = Some(seat);
		}
	}

	/// Lets the core act, and does what it wants done.
	pub fn act<T>(
		&mut self,
		now: Ticks,
		effects: &mut Effects,
		act: impl FnOnce(&mut Seat, &mut Effects, &mut Vec<Note>) -> T,
	) -> Option<T> {
		self.now = self.now.max(now);
		self.bury();
		let (setup, slowness, dice) = (Rc::clone(&self.setup), self.slowness, self.roll());
		let seat = self.seat.as_mut()?;
		seat.raft.tick(self.now);
		seat.now = self.now;
		seat.slowness = slowness;
		seat.dice = dice;
		let result = act(seat, effects, &mut self.notes);
		seat.perform(&setup, effects, &mut self.notes);
		Some(result)
	}

	/// A member that was removed forgets its storage and comes back as somebody
	/// else; not before it was looked at for the last time.
	fn bury(&mut self) {
		if self.seat.as_ref().is_some_and(|seat| seat.is_over) {
			self.seat = None;
			self.nonce = Nonce::from(u128::from(self.roll()) << 64 | u128::from(self.node as u64));
			self.join_at = self.now;
			self.notes.push(Note::Ended);
		}
	}
}

impl Process for Member {
	type Message = Mail;
	type Disk = MemberDisk;

	fn handle(&mut self, now: Ticks, input: Input<Mail>, effects: &mut Effects) {
		self.now = self.now.max(now);
		self.bury();
		let setup = Rc::clone(&self.setup);
		match input {
			Input::Tick => {}
			Input::Message {
				from,
				message: Mail::Joined {
					formation,
					nonce,
					member,
				},
			} => {
				if self.seat.is_none() && nonce == self.nonce && formation == setup.formation {
					let identity = Identity {
						formation,
						member,
						nonce,
					};
					self.begin(identity, effects);
				}
				let _ = from;
			}
			Input::Message { from, message } => {
				self.act(now, effects, |seat, effects, notes| {
					seat.receive(&setup, from, message, effects, notes);
				});
			}
			Input::Written => {
				self.act(now, effects, |seat, effects, _| {
					seat.on_written(&setup, effects)
				});
			}
			Input::Done(token) => {
				self.act(now, effects, |seat, effects, notes| {
					seat.on_done(token, effects, notes);
				});
			}
		}
		match &self.seat {
			None => self.ask_to_join(effects),
			Some(seat) if seat.is_over => {}
			Some(_) => {
				self.act(now, effects, |seat, effects, notes| {
					seat.on_tick(&setup, effects, notes);
				});
			}
		}
	}

	fn deadline(&self) -> Option<Ticks> {
		match &self.seat {
			Some(seat) if seat.is_over => Some(self.now),
			Some(seat) => seat.deadline(),
			None => Some(self.join_at),
		}
	}
}
