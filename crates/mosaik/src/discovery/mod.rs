//! Discovery: who is in the network, and how to reach them.
//!
//! [`Discovery`] is the handle; `driver.rs` keeps the links that the membership
//! core of `mosaik_proto::discovery` asks for. Four ways lead to a first peer,
//! all of them yield candidates that dialling sorts out:
//!
//! | module   | finds | how fast |
//! |----------|-------|----------|
//! | bootstrap peers | whom the configuration names | at once |
//! | `host` | processes of the same user on this host | milliseconds |
//! | `mdns` | the local network | about a second |
//! | `dht`    | the internet | seconds to minutes |

mod addr;
mod config;
mod dht;
mod driver;
mod host;
mod mdns;
mod metrics;
mod ways;

pub use {
	crate::runtime::config::ConfigBuilderError,
	config::{Config, ConfigBuilder},
	dht::{DhtError, DhtRecord, DhtSlot, dht_slots},
	mosaik_proto::discovery::{
		Catalog, Error, Event, IntoIterOrSingle, PeerEntry, PeerEntryVersion, PeerInfo,
		SignedPeerEntry,
	},
};

use {
	crate::{
		network::{LocalNode, peer::Peers},
		runtime::tasks::Tasks,
	},
	driver::Driver,
	iroh::address_lookup::MemoryLookup,
	mosaik_proto::{
		EndpointAddr, PeerId,
		id::{ShortFmtExt, Tag, TicketClass, UniqueId},
		tickets::Ticket,
	},
	std::{fmt, future::Future},
	tokio::sync::{broadcast, watch},
};

/// Who is in the network. Cheap to clone.
#[derive(Clone)]
pub struct Discovery(Driver);

impl Discovery {
	pub(crate) fn start(
		local: LocalNode,
		started_ms: u64,
		config: Config,
		peers: Peers,
		memory: MemoryLookup,
		tasks: &Tasks,
	) -> Self {
		let (own, own_watch) = watch::channel(local.addr());
		let driver = Driver::start(&local, started_ms, &config, peers, memory, tasks);
		let ways = ways::Ways::new(&config, *local.network_id());
		ways.start(&local, own_watch, driver.clone(), tasks);
		tasks.spawn(
			"discovery.addr",
			driver::follow_address(driver.clone(), local, own),
		);
		Self(driver)
	}

	/// The peers as known now: a snapshot that costs nothing to take and never
	/// changes.
	pub fn catalog(&self) -> Catalog {
		self.0.catalog.borrow().clone()
	}

	/// Follows the catalog.
	pub fn catalog_watch(&self) -> watch::Receiver<Catalog> {
		self.0.catalog.subscribe()
	}

	/// Peers that come, change and go, from now on. A receiver that falls behind
	/// by the `events_backlog` misses the oldest and is told so.
	pub fn events(&self) -> broadcast::Receiver<Event> {
		self.0.events.subscribe()
	}

	/// This node's own entry.
	pub fn me(&self) -> SignedPeerEntry {
		self.0.catalog.borrow().local().clone()
	}

	/// Adds labels to this node, one or many, and announces it.
	pub fn add_tags<V>(&self, tags: impl IntoIterOrSingle<Tag, V>) {
		// The iterator is the user's: not under our lock.
		let tags: Vec<Tag> = tags.iterator().collect();
		self.update(|entry| entry.add_tags(tags));
	}

	/// Removes labels from this node, one or many, and announces it.
	pub fn remove_tags<V>(&self, tags: impl IntoIterOrSingle<Tag, V>) {
		let tags: Vec<Tag> = tags.iterator().collect();
		self.update(|entry| entry.remove_tags(tags));
	}

	/// Adds a ticket to this node and announces it.
	pub fn add_ticket(&self, ticket: Ticket) {
		self.update(|entry| entry.add_ticket(ticket));
	}

	/// Removes the ticket with this id from this node and announces it.
	pub fn remove_ticket(&self, id: UniqueId) {
		self.update(|entry| entry.remove_ticket(id));
	}

	/// Removes the tickets of a class from this node and announces it.
	pub fn remove_tickets_of(&self, class: TicketClass) {
		self.update(|entry| entry.remove_tickets_of(class));
	}

	/// Puts a ticket in the place of all others of its class, and announces it
	/// as one change: there is no moment without a ticket.
	pub fn replace_ticket(&self, ticket: Ticket) {
		self.update(|entry| entry.remove_tickets_of(ticket.class).add_ticket(ticket));
	}

	/// Changes this node's entry and announces it, if there is a change.
	///
	/// An entry that would exceed the size limit is not announced: the change is
	/// logged and dropped.
	pub(crate) fn update(&self, change: impl FnOnce(PeerEntry) -> PeerEntry) {
		self.0.update(change);
	}

	/// Adds an entry that only this node knows, until the signed one arrives or
	/// it had no news for `purge_after`. Returns whether it is new.
	pub fn insert(&self, entry: impl Into<PeerEntry>) -> bool {
		let entry = entry.into();
		self.0.with(|core, now| core.insert(now, entry))
	}

	/// Takes in a signed entry from outside, as if a peer had sent it. Returns
	/// whether it was valid and news.
	pub fn feed(&self, entry: SignedPeerEntry) -> bool {
		self.0
			.with(|core, now| core.feed(now, entry))
			.unwrap_or(false)
	}

	/// Forgets a peer on this node. If it lives it will be heard of again.
	/// Returns whether it was known.
	pub fn remove(&self, peer: PeerId) -> bool {
		self.0.with(|core, now| core.remove(now, &peer))
	}

	/// Forgets all unsigned entries. Returns whether there were any.
	pub fn clear_unsigned(&self) -> bool {
		self.0.with(|core, now| core.clear_unsigned(now))
	}

	/// Connects to peers, one or many, by address or, where a lookup can find
	/// them, by bare id, and exchanges catalogs with them. Returns when that has
	/// succeeded or failed with each of them; [`sync_with`](Self::sync_with)
	/// tells which.
	pub async fn dial<V>(&self, peers: impl IntoIterOrSingle<EndpointAddr, V>) {
		let exchanges = peers.iterator().map(|peer| self.sync_with(peer));
		for result in futures::future::join_all(exchanges.collect::<Vec<_>>()).await {
			if let Err(error) = result {
				tracing::debug!(%error, "dialling a peer failed");
			}
		}
	}

	/// Exchanges catalogs with a peer in full; resolves when both sides have
	/// merged.
	///
	/// # Errors
	/// When the peer cannot be reached, belongs to another network or breaks
	/// off. What has been exchanged until then is kept.
	pub fn sync_with(
		&self,
		peer: impl Into<EndpointAddr>,
	) -> impl Future<Output = Result<(), Error>> + Send + Sync + 'static {
		self.0.sync_with(peer.into())
	}

	/// Announces the departure and waits until neighbours have it, for the
	/// graceful departure window at most.
	pub(crate) async fn leave(&self) {
		self.0.leave().await;
	}
}

impl fmt::Debug for Discovery {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		let catalog = self.0.catalog.borrow();
		f.debug_struct("Discovery")
			.field("local", &catalog.local_id().short())
			.field("peers", &catalog.peers_count())
			.finish_non_exhaustive()
	}
}
