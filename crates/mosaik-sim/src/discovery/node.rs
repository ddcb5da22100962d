//! A member as a process of the world.

use {
	crate::world::{ANY_LIFE, Effect, Happening, Node, Process},
	mosaik_proto::{
		EndpointAddr, PeerId, SecretKey,
		core::{Core, Instant, Now},
		discovery::{Event, Input, Membership, MembershipConfig, Message, Output, PeerEntry},
		id::ShortFmtExt,
		wire,
	},
	std::{
		collections::BTreeMap,
		fmt,
		net::{Ipv4Addr, SocketAddr},
		rc::Rc,
	},
};

/// What a member is started from, time and again.
#[derive(Debug)]
pub struct Spec {
	/// Its number.
	pub node: Node,
	/// Who is who.
	pub directory: Rc<Directory>,
	/// Its key.
	pub key: SecretKey,
	/// Whom it knows at the start.
	pub bootstrap: Vec<Node>,
	/// Its configuration.
	pub config: MembershipConfig,
}

/// What a member told its users.
pub struct Told(pub Event);

impl fmt::Debug for Told {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		match &self.0 {
			Event::PeerDiscovered(entry) => write!(f, "discovered {}", entry.id().short()),
			Event::PeerUpdated(entry) => {
				write!(
					f,
					"updated {} {}",
					entry.id().short(),
					entry.update_version()
				)
			}
			Event::PeerDeparted(id) => write!(f, "departed {}", id.short()),
		}
	}
}

/// A running member.
#[derive(Debug)]
pub struct Member {
	/// The core.
	pub core: Membership,
	/// Syncs that ended: their token, and whether well.
	pub syncs: Vec<(u64, bool)>,
	directory: Rc<Directory>,
}

/// The ids of all nodes, and back.
#[derive(Debug, Default)]
pub struct Directory {
	/// By number.
	pub ids: Vec<PeerId>,
	/// By id.
	pub nodes: BTreeMap<PeerId, Node>,
}

/// The port of an address that leads to any life of a node.
const ANY_PORT: u16 = u16::MAX;

/// The address of a life of a node: each life has a port of its own.
fn address(directory: &Directory, node: Node, port: u16) -> EndpointAddr {
	let [_, b, c, d] = u32::try_from(node).unwrap_or(u32::MAX).to_be_bytes();
	let ip = Ipv4Addr::new(10, b, c, d);
	EndpointAddr::new(directory.ids[node]).with_ip_addr(SocketAddr::new(ip.into(), port))
}

/// The life of a node that listens at a port.
fn life(port: u16) -> u32 {
	match port {
		ANY_PORT => ANY_LIFE,
		port => u32::from(port) - 1,
	}
}

impl Member {
	/// Gives the core an input.
	pub fn give(&mut self, now: Now, input: Input) {
		self.core.handle(now, input);
	}

	fn node(&self, id: &PeerId) -> Node {
		self.directory.nodes[id]
	}
}

impl Process for Member {
	type Durable = Spec;
	type Event = Told;
	type Message = Message;

	fn start(spec: &Spec, generation: u32, now: Now, seed: u64) -> Self {
		let port = u16::try_from(generation + 1).unwrap_or_default();
		let here = address(&spec.directory, spec.node, port);
		let entry = PeerEntry::new("sim".into(), here);
		let config = spec.config.clone();
		let mut core = Membership::new(config, spec.key.clone(), entry, now, seed)
			.expect("the entry is of the key's peer");
		for &node in &spec.bootstrap {
			let there = address(&spec.directory, node, ANY_PORT);
			core.handle(now, Input::Candidate(there));
		}
		Self {
			core,
			syncs: Vec::new(),
			directory: spec.directory.clone(),
		}
	}

	fn handle(&mut self, now: Now, happening: Happening<Message>) {
		let id = |node: Node| self.directory.ids[node];
		let input = match happening {
			Happening::Tick => Input::Tick,
			Happening::LinkUp { peer, opened_by_us } => Input::LinkUp {
				peer: id(peer),
				opened_by_us,
			},
			Happening::LinkDown { peer } => Input::LinkDown { peer: id(peer) },
			Happening::DialFailed { peer } => Input::DialFailed {
				peer: id(peer),
				answered: false,
			},
			Happening::Message { from, message } => Input::Message {
				from: id(from),
				message,
			},
		};
		self.core.handle(now, input);
	}

	fn poll(&mut self) -> Option<Effect<Message, Told>> {
		loop {
			return Some(match self.core.poll()? {
				Output::Dial(address) => Effect::Dial {
					peer: self.node(&address.id),
					places: address.ip_addrs().map(|addr| life(addr.port())).collect(),
				},
				Output::Close { peer, .. } => Effect::Close {
					peer: self.node(&peer),
				},
				Output::Incarnation { peer, .. } => Effect::CloseFormer {
					peer: self.node(&peer),
				},
				Output::Send { peer, message } => Effect::Send {
					peer: self.node(&peer),
					message,
				},
				Output::Event(event) => Effect::Event(Told(event)),
				Output::SyncDone { token, result } => {
					self.syncs.push((token, result.is_ok()));
					continue;
				}
				Output::CatalogChanged
				| Output::Address(_)
				| Output::DuplicateIdentity { .. }
				| Output::Left => continue,
			});
		}
	}

	fn deadline(&self) -> Option<Instant> {
		self.core.deadline()
	}

	fn size(message: &Message) -> usize {
		let len = message.encoded_len();
		assert!(len <= wire::MAX_DISCOVERY, "a message of {len} bytes");
		wire::FRAME_HEADER + len
	}
}
