//! Const definitions: a stream declared once, opened by name on either side.

use {
	super::{Producer, consumer, producer},
	crate::Network,
	mosaik_proto::{id::StreamId, wire::Datum},
	std::{
		fmt,
		hash::{Hash, Hasher},
		marker::PhantomData,
	},
};

macro_rules! definition {
	($(#[$meta:meta])* $name:ident, $new:ident($($arg:ident: $arg_type:ty)?) => $id:expr) => {
		$(#[$meta])*
		pub struct $name<T: Datum> {
			/// The id of the stream; `None` derives it from the datum's type.
			pub stream_id: Option<StreamId>,
			datum: PhantomData<fn() -> T>,
		}

		impl<T: Datum> $name<T> {
			/// The definition.
			pub const fn $new($($arg: $arg_type)?) -> Self {
				Self { stream_id: $id, datum: PhantomData }
			}
		}

		impl<T: Datum> Clone for $name<T> {
			fn clone(&self) -> Self {
				*self
			}
		}

		impl<T: Datum> Copy for $name<T> {}

		impl<T: Datum> PartialEq for $name<T> {
			fn eq(&self, other: &Self) -> bool {
				self.stream_id == other.stream_id
			}
		}

		impl<T: Datum> Eq for $name<T> {}

		impl<T: Datum> Hash for $name<T> {
			fn hash<H: Hasher>(&self, state: &mut H) {
				self.stream_id.hash(state);
			}
		}

		impl<T: Datum> fmt::Debug for $name<T> {
			fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
				f.debug_struct(stringify!($name)).field("stream_id", &self.stream_id).finish()
			}
		}
	};
}

definition! {
	/// A stream of `T`, see [`Streams::producer_of`](super::Streams::producer_of).
	StreamDef, new() => None
}

definition! {
	/// The producing side of a stream of `T`.
	ProducerDef, new(stream_id: Option<StreamId>) => stream_id
}

definition! {
	/// The consuming side of a stream of `T`.
	ConsumerDef, new(stream_id: Option<StreamId>) => stream_id
}

impl<T: Datum> StreamDef<T> {
	/// The definition of a stream with an id of its own.
	pub const fn with_stream_id(stream_id: StreamId) -> Self {
		Self {
			stream_id: Some(stream_id),
			datum: PhantomData,
		}
	}
}

impl<T: Datum> Default for StreamDef<T> {
	fn default() -> Self {
		Self::new()
	}
}

impl<T: Datum> ProducerDef<T> {
	/// A builder of the producer.
	pub fn open<'s>(&self, network: &'s Network) -> producer::Builder<'s, T> {
		let builder = network.streams().producer();
		match self.stream_id {
			Some(id) => builder.with_stream_id(id),
			None => builder,
		}
	}
}

impl<T: Datum> ConsumerDef<T> {
	/// A builder of the consumer.
	pub fn open<'s>(&self, network: &'s Network) -> consumer::Builder<'s, T> {
		let builder = network.streams().consumer();
		match self.stream_id {
			Some(id) => builder.with_stream_id(id),
			None => builder,
		}
	}
}

/// The producer that was built, or the one this node has already.
pub fn shared_producer<D: Datum>(
	built: Result<Producer<D>, producer::BuilderError<D>>,
) -> Producer<D> {
	match built {
		Ok(producer) | Err(producer::BuilderError::AlreadyExists(producer)) => producer,
	}
}

/// The producing side of a declared stream, see [`stream!`](crate::stream).
pub trait StreamProducer {
	/// The producer's type.
	type Producer;

	/// Creates the producer, or shares the one this node has.
	fn producer(network: &Network) -> Self::Producer;

	/// Creates the producer and waits until it is online.
	fn online_producer(
		network: &Network,
	) -> impl Future<Output = Self::Producer> + Send + Sync + 'static;
}

/// The consuming side of a declared stream, see [`stream!`](crate::stream).
pub trait StreamConsumer {
	/// The consumer's type.
	type Consumer;

	/// Creates a consumer.
	fn consumer(network: &Network) -> Self::Consumer;

	/// Creates a consumer and waits until it is online.
	fn online_consumer(
		network: &Network,
	) -> impl Future<Output = Self::Consumer> + Send + Sync + 'static;
}

/// The type of a declared stream's producer.
pub type ProducerOf<S> = <S as StreamProducer>::Producer;

/// The type of a declared stream's consumer.
pub type ConsumerOf<S> = <S as StreamConsumer>::Consumer;
