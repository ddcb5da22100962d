//! temporary, replaced by the catalog's
use {
	super::PeerEntry,
	std::{ops::Deref, sync::Arc, time::Duration},
};
/// Entry plus RTT.
#[derive(Debug, Clone)]
pub struct PeerInfo {
	entry: Arc<PeerEntry>,
	rtt: Option<Duration>,
}
impl PeerInfo {
	/// RTT.
	pub const fn rtt(&self) -> Option<Duration> {
		self.rtt
	}
}
impl Deref for PeerInfo {
	type Target = PeerEntry;
	fn deref(&self) -> &PeerEntry {
		&self.entry
	}
}
