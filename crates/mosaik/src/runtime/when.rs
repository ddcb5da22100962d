//! Conditions over a changing set of peers: one mechanism for `when()`
//! everywhere.
//!
//! A subsystem publishes its channels in a [`watch`]; a condition is a view of
//! it that counts those which match. It can be asked, awaited and cloned.

use {
	futures::FutureExt,
	mosaik_proto::{
		discovery::{IntoIterOrSingle, PeerEntry},
		id::Tag,
	},
	std::{
		fmt,
		future::Future,
		panic::AssertUnwindSafe,
		pin::Pin,
		sync::Arc,
		task::{Context, Poll},
	},
	tokio::sync::watch,
	tokio_util::sync::ReusableBoxFuture,
};

/// A set of channels as it stands.
pub(crate) type Channels<T> = Arc<[T]>;

/// A channel to a peer that conditions can count.
pub trait Countable: Clone + Send + Sync + 'static {
	/// The peer at the other end.
	fn entry(&self) -> &PeerEntry;

	/// Whether the channel is up.
	fn is_up(&self) -> bool;
}

type Predicate = Arc<dyn Fn(&PeerEntry) -> bool + Send + Sync>;
type Changed<T> = (
	watch::Receiver<Channels<T>>,
	Result<(), watch::error::RecvError>,
);

/// A condition over the channels to other peers.
///
/// By default it is met while at least one channel is up. As a future it
/// resolves at once if the condition is met; awaited again, at the next change
/// from not met to met. Once the subsystem is gone it never resolves again. A
/// clone starts anew.
pub struct Conditions<T: Countable> {
	channels: watch::Receiver<Channels<T>>,
	minimum: usize,
	negated: bool,
	predicates: Vec<Predicate>,
	/// Whether the last poll found it met and said so.
	reported: bool,
	changed: Option<ReusableBoxFuture<'static, Changed<T>>>,
}

impl<T: Countable> Conditions<T> {
	pub(crate) const fn new(channels: watch::Receiver<Channels<T>>) -> Self {
		Self {
			channels,
			minimum: 1,
			negated: false,
			predicates: Vec::new(),
			reported: false,
			changed: None,
		}
	}

	/// Met while at least `count` matching channels are up.
	#[must_use]
	pub const fn minimum_of(mut self, count: usize) -> Self {
		self.minimum = count;
		self
	}

	/// Counts only peers that carry all of these tags, one or many.
	#[must_use]
	pub fn with_tags<V>(self, tags: impl IntoIterOrSingle<Tag, V>) -> Self {
		let tags: Vec<Tag> = tags.iterator().collect();
		self.with_predicate(move |peer| tags.iter().all(|tag| peer.tags().contains(tag)))
	}

	/// Counts only peers that satisfy the predicate.
	#[must_use]
	pub fn with_predicate<F>(mut self, predicate: F) -> Self
	where
		F: Fn(&PeerEntry) -> bool + Send + Sync + 'static,
	{
		self.predicates.push(Arc::new(predicate));
		self
	}

	/// Turns the condition into its opposite.
	#[must_use]
	pub const fn unmet(mut self) -> Self {
		self.negated = !self.negated;
		self
	}

	/// Whether the condition is met now.
	pub fn is_condition_met(&self) -> bool {
		// The predicates are the user's: not under the lock of the watch.
		let channels = self.channels.borrow().clone();
		self.holds(&channels)
	}

	/// Whether the condition would be met by these channels.
	pub(crate) fn holds(&self, channels: &[T]) -> bool {
		let matches = |channel: &&T| {
			channel.is_up()
				&& self
					.predicates
					.iter()
					.all(|matches| matches(channel.entry()))
		};
		// No need to count on once there are enough.
		let count = channels.iter().filter(matches).take(self.minimum).count();
		(count >= self.minimum) != self.negated
	}
}

/// Where the predicates of a user must not take others down.
impl<T: Countable> Conditions<T> {
	/// Whether the condition would be met by these channels; it is not while a
	/// predicate panics.
	pub(crate) fn holds_without_panic(&self, channels: &[T]) -> bool {
		// What a predicate left half done is the user's own.
		let held = std::panic::catch_unwind(AssertUnwindSafe(|| self.holds(channels)));
		held.unwrap_or_else(|_| {
			tracing::error!("a predicate of a condition panicked; it counts as not met");
			false
		})
	}
}

impl<T: Countable> Future for Conditions<T> {
	type Output = ();

	fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
		let this = self.get_mut();
		loop {
			let channels = this.channels.borrow_and_update().clone();
			let met = this.holds(&channels);
			if met && !this.reported {
				this.reported = true;
				return Poll::Ready(());
			}
			this.reported = met;
			let wait = || next_change(this.channels.clone());
			let changed = this
				.changed
				.get_or_insert_with(|| ReusableBoxFuture::new(wait()));
			match changed.poll_unpin(cx) {
				Poll::Pending => return Poll::Pending,
				Poll::Ready((_, Err(_))) => {
					changed.set(std::future::pending());
					return Poll::Pending;
				}
				Poll::Ready((receiver, Ok(()))) => {
					this.channels = receiver.clone();
					this.changed = Some(ReusableBoxFuture::new(next_change(receiver)));
				}
			}
		}
	}
}

async fn next_change<T: Countable>(mut receiver: watch::Receiver<Channels<T>>) -> Changed<T> {
	let result = receiver.changed().await;
	(receiver, result)
}

impl<T: Countable> Clone for Conditions<T> {
	fn clone(&self) -> Self {
		Self {
			channels: self.channels.clone(),
			predicates: self.predicates.clone(),
			reported: false,
			changed: None,
			..*self
		}
	}
}

impl<T: Countable> PartialEq<bool> for Conditions<T> {
	fn eq(&self, other: &bool) -> bool {
		self.is_condition_met() == *other
	}
}

impl<T: Countable> PartialEq<Conditions<T>> for bool {
	fn eq(&self, other: &Conditions<T>) -> bool {
		other == self
	}
}

impl<T: Countable> fmt::Debug for Conditions<T> {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("Conditions")
			.field("minimum", &self.minimum)
			.field("negated", &self.negated)
			.field("predicates", &self.predicates.len())
			.field("met", &self.is_condition_met())
			.finish()
	}
}

/// Resolves when the flag has that value; never once its owner is gone without
/// having set it.
pub(crate) fn until(
	flag: &watch::Receiver<bool>,
	value: bool,
) -> impl Future<Output = ()> + Send + Sync + 'static {
	let mut flag = flag.clone();
	async move {
		if flag.wait_for(|current| *current == value).await.is_err() {
			std::future::pending().await
		}
	}
}

#[cfg(test)]
mod tests {
	use {super::*, mosaik_proto::SecretKey};

	#[derive(Clone)]
	struct Channel(PeerEntry, bool);

	impl Countable for Channel {
		fn entry(&self) -> &PeerEntry {
			&self.0
		}

		fn is_up(&self) -> bool {
			self.1
		}
	}

	fn channel(tag: &str, up: bool) -> Channel {
		let peer = SecretKey::from_bytes(&[1; 32]).public();
		Channel(PeerEntry::new("net".into(), peer).add_tags(tag), up)
	}

	fn set(sender: &watch::Sender<Channels<Channel>>, channels: &[Channel]) {
		sender.send_replace(channels.into());
	}

	#[tokio::test]
	async fn it_resolves_when_met_and_again_at_each_change_to_met() {
		let (sender, receiver) = watch::channel(Channels::from([]));
		let mut condition = Conditions::new(receiver).minimum_of(2);
		assert!(futures::poll!(&mut condition).is_pending());
		set(&sender, &[channel("a", true), channel("b", false)]);
		assert!(futures::poll!(&mut condition).is_pending());
		set(&sender, &[channel("a", true), channel("b", true)]);
		(&mut condition).await;
		assert_eq!(condition, true);
		assert_eq!(true, condition);
		assert!(
			futures::poll!(&mut condition).is_pending(),
			"met, and said so"
		);
		set(&sender, &[]);
		assert!(futures::poll!(&mut condition).is_pending());
		set(&sender, &[channel("a", true), channel("b", true)]);
		(&mut condition).await;
		condition.clone().await;
	}

	#[tokio::test]
	async fn tags_predicates_and_unmet_compose() {
		let (sender, receiver) = watch::channel(Channels::from([channel("a", true)]));
		let any = Conditions::new(receiver);
		assert!(any.clone().with_tags("a").is_condition_met());
		assert!(!any.clone().with_tags(["a", "b"]).is_condition_met());
		assert!(any.clone().with_predicate(|peer| peer.streams().is_empty()) == true);
		assert!(any.clone().unmet() == false && any.clone().unmet().unmet() == true);
		assert!(any.clone().minimum_of(0) == true);
		let mut gone = any.clone().unmet();
		assert!(futures::poll!(&mut gone).is_pending());
		set(&sender, &[]);
		gone.await;
	}

	#[tokio::test]
	async fn it_pends_without_spinning_once_its_subsystem_is_gone() {
		let (sender, receiver) = watch::channel(Channels::<Channel>::from([]));
		let mut condition = Conditions::new(receiver);
		drop(sender);
		assert!(futures::poll!(&mut condition).is_pending());
		assert!(futures::poll!(&mut condition).is_pending());
	}
}
