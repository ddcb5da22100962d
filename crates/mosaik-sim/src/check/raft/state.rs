//! A state of the whole formation, and which messages no longer matter in it.

use {
	super::{
		facts::Facts,
		node::{Node, Packet},
	},
	crate::check::shared::Shared,
	mosaik_proto::groups::{
		engine::RoleKind,
		message::Msg,
		types::{MemberId, Term},
	},
	std::fmt,
};

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct State {
	/// The members; those that ended for ever are `None`.
	pub nodes: Vec<(MemberId, Option<Shared<Node>>)>,
	/// What is on its way, in the order of the hashes.
	pub packets: Vec<Shared<Packet>>,
	/// What was observed.
	pub facts: Shared<Facts>,
}

impl fmt::Debug for State {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str(&super::text::describe(self).join("\n"))
	}
}

impl State {
	/// A member that runs.
	pub fn node(&self, id: MemberId) -> Option<&Shared<Node>> {
		let mut nodes = self.nodes.iter();
		nodes
			.find(|(known, _)| *known == id)
			.and_then(|(_, node)| node.as_ref())
	}

	/// The members that run.
	pub fn live(&self) -> impl Iterator<Item = (MemberId, &Shared<Node>)> {
		let nodes = self.nodes.iter();
		nodes.filter_map(|(id, node)| node.as_ref().map(|node| (*id, node)))
	}

	/// Puts a member in its place.
	pub fn set(&mut self, id: MemberId, node: Option<Shared<Node>>) {
		match self.nodes.binary_search_by_key(&id, |(known, _)| *known) {
			Ok(at) => self.nodes[at].1 = node,
			Err(at) => self.nodes.insert(at, (id, node)),
		}
	}

	/// Whether there is, or was, a member of this id.
	pub fn knows(&self, id: MemberId) -> bool {
		self.nodes.iter().any(|(known, _)| *known == id)
	}

	/// Puts a message on its way; one that is there already is not there twice.
	pub fn send(&mut self, packet: &Shared<Packet>) {
		let digest = packet.digest();
		if let Err(at) = self.packets.binary_search_by_key(&digest, Shared::digest) {
			self.packets.insert(at, packet.clone());
		}
	}

	/// Takes out the messages that cannot have an effect any more.
	pub fn sweep(&mut self, with_reads: bool) {
		let mut packets = std::mem::take(&mut self.packets);
		packets.retain(|packet| !self.is_spent(packet, with_reads));
		self.packets = packets;
	}

	/// The term that a member cannot fall behind, whatever happens.
	fn sure_term(&self, id: MemberId) -> Option<Term> {
		self.node(id).map(|node| node.view.disk_term)
	}

	/// Whether a message cannot have an effect any more, or only one that its loss
	/// has as well:
	///
	/// - it is for a member that ended;
	/// - it answers a request of an ended term, or what is not asked any more;
	/// - it refuses a vote without a newer term: to be refused is to hear nothing;
	/// - it answers a heartbeat that no read waits for;
	/// - it asks in an ended term, and its sender knows of a term as new as that
	///   of the receiver.
	fn is_spent(&self, packet: &Packet, with_reads: bool) -> bool {
		let Some(to) = self.node(packet.to) else {
			return self.knows(packet.to);
		};
		let (to, sure) = (&to.view, to.view.disk_term);
		let is_settled = |term: Term| term == to.term && term == sure;
		let sender_knows = self
			.sure_term(packet.from)
			.is_none_or(|term| term >= to.term);
		match &packet.msg {
			Msg::AppendReply(reply) => {
				reply.term < sure || is_settled(reply.term) && to.role != RoleKind::Leader
			}
			Msg::BeatReply(reply) => reply.term < sure || reply.term == to.term && !with_reads,
			Msg::VoteReply(reply) => {
				let is_over = is_settled(reply.term) && to.role != RoleKind::Candidate;
				reply.term < sure || is_over || !reply.granted && reply.term <= to.term
			}
			Msg::PreVoteReply(reply) => reply.term <= sure,
			Msg::PreVote(request) => request.term <= sure && sender_knows,
			Msg::Append(request) => request.term < sure && sender_knows,
			Msg::Beat(request) => request.term < sure && sender_knows,
			Msg::Vote(request) => request.term < sure && sender_knows,
			Msg::SnapshotOffer(offer) => offer.term < sure && sender_knows,
			Msg::TimeoutNow { term } | Msg::SnapshotFailed { term, .. } => *term < sure,
			Msg::NotMember { .. } => false,
		}
	}
}
