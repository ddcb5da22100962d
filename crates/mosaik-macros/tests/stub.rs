//! The types that generated code names, in miniature: the macros are tested
//! without the runtime. Builders write down what they were told.

#![allow(
	dead_code,
	unused_macros,
	unused_imports,
	unreachable_pub,
	missing_docs,
	missing_debug_implementations,
	clippy::unnecessary_literal_unwrap,
	reason = "each test uses its part, and none of it is documentation"
)]

use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
	pub const fn from_bytes(bytes: [u8; 32]) -> Self {
		Self(bytes)
	}

	pub const fn as_bytes(&self) -> &[u8; 32] {
		&self.0
	}
}

pub struct Bytes;

pub struct PeerInfo {
	pub rtt: u32,
}

pub struct Conditions(usize);

impl Conditions {
	pub fn minimum_of(self, n: usize) -> Self {
		Self(n)
	}
}

pub struct Network;

impl Network {
	pub fn streams(&self) -> streams::Streams<'_> {
		streams::Streams(self)
	}
}

/// What a builder was told, in order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Log(pub Vec<String>);

pub mod streams {
	use {
		super::{Conditions, Digest, Log, Network, PeerInfo},
		std::{future::Future, marker::PhantomData},
	};

	pub trait StreamProducer {
		type Producer;
		fn producer(network: &Network) -> Self::Producer;
		fn online_producer(
			network: &Network,
		) -> impl Future<Output = Self::Producer> + Send + Sync + 'static;
	}

	pub trait StreamConsumer {
		type Consumer;
		fn consumer(network: &Network) -> Self::Consumer;
		fn online_consumer(
			network: &Network,
		) -> impl Future<Output = Self::Consumer> + Send + Sync + 'static;
	}

	pub struct When;

	impl When {
		pub fn online(&self) -> std::future::Ready<()> {
			std::future::ready(())
		}
	}

	pub struct Streams<'n>(pub(super) &'n Network);

	macro_rules! side {
		($Side:ident, $Builder:ident, $open:ident, $built:ty, $build:expr) => {
			pub struct $Side<D>(pub Log, PhantomData<fn() -> D>);

			impl<D> $Side<D> {
				pub fn when(&self) -> &When {
					&When
				}
			}

			pub struct $Builder<'n, D>(Log, PhantomData<(&'n Network, fn() -> D)>);

			impl Streams<'_> {
				pub fn $open<D>(&self) -> $Builder<'_, D> {
					$Builder(Log::default(), PhantomData)
				}
			}

			impl<D> $Builder<'_, D> {
				fn log(mut self, what: impl Into<String>) -> Self {
					self.0.0.push(what.into());
					self
				}

				pub fn with_stream_id(self, id: impl Into<Digest>) -> Self {
					let first = id.into().as_bytes()[0];
					self.log(format!("id {first:02x}"))
				}

				pub fn require<F>(self, f: F) -> Self
				where
					F: Fn(&PeerInfo) -> bool + Send + Sync + 'static,
				{
					let passes = f(&PeerInfo { rtt: 10 });
					self.log(format!("require {passes}"))
				}

				pub fn require_ticket(self, validator: impl ToString) -> Self {
					self.log(format!("ticket {}", validator.to_string()))
				}

				pub fn online_when<F>(self, f: F) -> Self
				where
					F: Fn(Conditions) -> Conditions + Send + Sync + 'static,
				{
					let least = f(Conditions(0)).0;
					self.log(format!("online {least}"))
				}

				pub fn build(self) -> $built {
					($build)($Side(self.0, PhantomData))
				}
			}
		};
	}

	side!(
		Producer,
		ProducerBuilder,
		producer,
		Result<Producer<D>, Producer<D>>,
		Err
	);
	side!(
		Consumer,
		ConsumerBuilder,
		consumer,
		Consumer<D>,
		std::convert::identity
	);

	impl<D> ProducerBuilder<'_, D> {
		pub fn with_max_consumers(self, n: usize) -> Self {
			self.log(format!("max {n}"))
		}

		pub fn with_buffer_size(self, n: usize) -> Self {
			self.log(format!("buffer {n}"))
		}

		pub fn disconnect_lagging(self, yes: bool) -> Self {
			self.log(format!("lagging {yes}"))
		}
	}

	impl<D> ConsumerBuilder<'_, D> {
		pub fn with_criteria(self, criteria: &str) -> Self {
			self.log(format!("criteria {criteria}"))
		}

		pub fn with_backoff(self, backoff: &str) -> Self {
			self.log(format!("backoff {backoff}"))
		}
	}
}

pub mod __private {
	use super::streams::Producer;

	pub fn shared_producer<D>(built: Result<Producer<D>, Producer<D>>) -> Producer<D> {
		built.unwrap_or_else(|existing| existing)
	}
}

/// As `mosaik` wraps them.
macro_rules! stream {
	($($t:tt)*) => { mosaik_macros::stream! { $crate::stub; $($t)* } };
}
macro_rules! unique_id {
	($($t:tt)*) => { mosaik_macros::unique_id!($crate::stub; $($t)*) };
}
pub(crate) use {stream, unique_id};
