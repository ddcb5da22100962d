//! `when()`: what can be awaited about a producer or a consumer.

use {
	super::ChannelInfo,
	crate::runtime::when::{Channels, Conditions, until},
	std::future::Future,
	tokio::sync::watch,
};

/// A condition over the subscriptions of a producer or a consumer.
pub type ChannelConditions = Conditions<ChannelInfo>;

/// Awaits events of a producer or a consumer.
#[derive(Debug, Clone)]
pub struct When {
	online: watch::Receiver<bool>,
	channels: watch::Receiver<Channels<ChannelInfo>>,
}

impl When {
	pub(super) const fn new(
		online: watch::Receiver<bool>,
		channels: watch::Receiver<Channels<ChannelInfo>>,
	) -> Self {
		Self { online, channels }
	}

	/// Resolves when it is online, at once if it is now.
	pub fn online(&self) -> impl Future<Output = ()> + Send + Sync + 'static {
		until(&self.online, true)
	}

	/// Resolves when it is offline, at once if it is now.
	pub fn offline(&self) -> impl Future<Output = ()> + Send + Sync + 'static {
		until(&self.online, false)
	}

	/// Whether it is online.
	pub fn is_online(&self) -> bool {
		*self.online.borrow()
	}

	/// Met while it is subscribed to (a producer) or subscribed (a consumer),
	/// by default with at least one peer.
	pub fn subscribed(&self) -> ChannelConditions {
		Conditions::new(self.channels.clone())
	}

	/// The opposite of [`subscribed`](Self::subscribed).
	pub fn unsubscribed(&self) -> ChannelConditions {
		self.subscribed().unmet()
	}
}
