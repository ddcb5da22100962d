//! Peers on the same host: a rendezvous folder.
//!
//! Every node keeps a file with its address in a folder that all processes of
//! the user find without configuration, and holds a lock on it for as long as it
//! lives. Whoever lists the folder learns of all others; a file whose lock can
//! be taken belongs to a dead process and is removed.
//!
//! ```text
//! $XDG_RUNTIME_DIR/mosaik/            mode 0700
//!     <network id>/
//!         <peer id>                   locked by its owner
//!         .<peer id>.<random>         being written
//! ```
//!
//! A node first writes and then reads, so that of two that start together at
//! least one sees the other. No multicast and no network is involved.

mod dir;
mod presence;

#[cfg(test)]
mod tests;

use {
	super::addr,
	dir::HostError,
	mosaik_proto::{EndpointAddr, id::NetworkId},
	presence::Presence,
	rand::RngExt,
	std::{path::PathBuf, time::Duration},
	tokio::{
		sync::{mpsc, watch},
		task::spawn_blocking,
		time::sleep,
	},
	tracing::warn,
};

/// The pauses after the first looks, for those that start together.
const QUICK: [Duration; 5] = [
	Duration::from_millis(50),
	Duration::from_millis(100),
	Duration::from_millis(200),
	Duration::from_millis(400),
	Duration::from_millis(800),
];

/// The pause from then on, give or take a fifth. Whoever starts later dials us,
/// so nobody waits for this.
const POLL: Duration = Duration::from_secs(5);

/// Looks for peers on this host.
#[derive(Debug)]
pub(crate) struct Host {
	network: NetworkId,
	/// The folder, if it is not to be found by the environment.
	folder: Option<PathBuf>,
}

impl Host {
	/// In the user's folder.
	pub(crate) const fn new(network: NetworkId) -> Self {
		Self {
			network,
			folder: None,
		}
	}

	/// In a folder of the caller's choice.
	#[cfg(test)]
	#[must_use]
	pub(crate) fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
		self.folder = Some(folder.into());
		self
	}

	/// Makes `own` known and offers what it finds, until it is dropped or the
	/// queue is closed.
	///
	/// `own` should come from [`addr::same_host`]. A folder that cannot be used is
	/// told once and tried again.
	pub(crate) async fn run(
		self,
		mut own: watch::Receiver<EndpointAddr>,
		candidates: mpsc::Sender<EndpointAddr>,
	) {
		let mut quick = QUICK.into_iter();
		let mut told = false;
		let mut look = Look {
			host: self,
			presence: None,
		};
		loop {
			let addr = own.borrow_and_update().clone();
			// Were this future dropped now, the file would still go: its owner is
			// dropped with the closure's result.
			let Ok((back, found)) = spawn_blocking(move || look.once(addr)).await else {
				return;
			};
			look = back;
			match found {
				Ok(found) => {
					for peer in found {
						if !addr::offer(&candidates, peer) {
							return;
						}
					}
				}
				Err(error) if !told => {
					told = true;
					warn!(%error, "peers on this host are not found by folder");
				}
				Err(_) => {}
			}
			let pause = quick.next().unwrap_or_else(|| jitter(POLL));
			tokio::select! {
				() = sleep(pause) => {}
				() = addr::changed(&mut own) => {}
				() = candidates.closed() => return,
			}
		}
	}
}

/// What travels to the thread for file operations and back.
struct Look {
	host: Host,
	presence: Option<Presence>,
}

impl Look {
	fn once(mut self, addr: EndpointAddr) -> (Self, Result<Vec<EndpointAddr>, HostError>) {
		let mut found = self.try_once(addr.clone());
		if found.is_err() && self.presence.take().is_some() {
			// The folder went with the user's session, say: begin anew.
			found = self.try_once(addr);
		}
		(self, found)
	}

	fn try_once(&mut self, addr: EndpointAddr) -> Result<Vec<EndpointAddr>, HostError> {
		let presence = match &mut self.presence {
			Some(presence) => {
				presence.update(addr)?;
				presence
			}
			none => {
				let folder = match &self.host.folder {
					Some(folder) => dir::prepare(folder)?,
					None => dir::find()?,
				};
				none.insert(Presence::announce(&folder, &self.host.network, addr)?)
			}
		};
		Ok(presence.peers()?)
	}
}

fn jitter(pause: Duration) -> Duration {
	pause.mul_f64(rand::rng().random_range(0.8..1.2))
}
