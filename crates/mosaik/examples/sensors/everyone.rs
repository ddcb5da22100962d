//! Who is there: the catalog, with the names that readings bring.

use {
	crate::{reading::Reading, view::View},
	mosaik::{Network, PeerId, discovery::Event, primitives::ShortFmtExt},
	std::{
		collections::BTreeMap,
		io,
		time::{Duration, Instant},
	},
};

/// How long a newcomer may take to tell its name before it is shown by its id.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Peer {
	since: Instant,
	name: Option<String>,
	shown: bool,
}

/// The others.
#[derive(Debug)]
pub(crate) struct Everyone {
	network: Network,
	peers: BTreeMap<PeerId, Peer>,
}

impl Everyone {
	/// Starts with those who are known already: events tell of changes only.
	pub(crate) fn new(network: &Network) -> Self {
		let mut everyone = Self {
			network: network.clone(),
			peers: BTreeMap::new(),
		};
		for peer in network.discovery().catalog().peers() {
			everyone.meet(*peer.id());
		}
		everyone
	}

	pub(crate) fn on_event(&mut self, event: Event, view: &View) -> io::Result<()> {
		match event {
			Event::PeerDiscovered(entry) => {
				self.meet(*entry.id());
			}
			Event::PeerUpdated(_) => {}
			Event::PeerDeparted(id) => {
				if let Some(peer) = self.peers.remove(&id)
					&& peer.shown
				{
					view.left(&who(&id, peer.name.as_deref()))?;
				}
			}
		}
		Ok(())
	}

	pub(crate) fn on_reading(&mut self, reading: &Reading, view: &View) -> io::Result<()> {
		let path = self.path(&reading.from);
		let peer = self.meet(reading.from);
		peer.name = Some(reading.name.clone());
		if !peer.shown {
			peer.shown = true;
			let who = who(&reading.from, Some(&reading.name));
			view.joined(&who, &reading.tags, &path)?;
		}
		view.other(reading, &path)
	}

	/// Shows those who keep their names to themselves.
	pub(crate) fn show_silent(&mut self, view: &View) -> io::Result<()> {
		let is_due = |peer: &Peer| !peer.shown && peer.since.elapsed() >= PATIENCE;
		let due = self.peers.iter().filter(|(_, peer)| is_due(peer));
		let due: Vec<PeerId> = due.map(|(id, _)| *id).collect();
		for id in due {
			let catalog = self.network.discovery().catalog();
			let tags = catalog.get(&id).map(mosaik::discovery::PeerEntry::tags);
			let tags = tags.into_iter().flatten();
			let tags: Vec<String> = tags.map(|tag| tag.short().to_string()).collect();
			view.joined(&who(&id, None), &tags, &self.path(&id))?;
			self.meet(id).shown = true;
		}
		Ok(())
	}

	/// How a peer is reached and how far it is.
	fn path(&self, id: &PeerId) -> String {
		let path = self.network.path(id);
		let way = match &path {
			Some(path) if path.relay => "by relay",
			Some(_) => "direct",
			None => "not connected",
		};
		let measured = self.network.discovery().catalog().rtt(id);
		match measured.or(path.map(|path| path.rtt)) {
			Some(rtt) => format!("{way}, {:.1} ms", rtt.as_secs_f64() * 1e3),
			None => way.to_owned(),
		}
	}

	fn meet(&mut self, id: PeerId) -> &mut Peer {
		self.peers.entry(id).or_insert_with(|| Peer {
			since: Instant::now(),
			name: None,
			shown: false,
		})
	}
}

fn who(id: &PeerId, name: Option<&str>) -> String {
	match name {
		Some(name) => format!("{name} ({})", id.fmt_short()),
		None => id.fmt_short().to_string(),
	}
}
