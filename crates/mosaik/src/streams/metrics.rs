//! The metrics of streams. Handles are made once, not per datum.

use {
	crate::runtime::metrics::labels,
	metrics::{Counter, Gauge, counter, gauge},
	mosaik_proto::id::{NetworkId, StreamId},
};

/// What a producer counts.
pub(super) struct ProducerMetrics {
	pub(super) consumers: Gauge,
	pub(super) accepted: Counter,
	pub(super) rejected: Counter,
	pub(super) items: Counter,
	pub(super) bytes: Counter,
	pub(super) dropped: Counter,
	pub(super) total: Totals,
}

impl ProducerMetrics {
	pub(super) fn new(network: &NetworkId, stream: &StreamId) -> Self {
		let labels = labels(&[("network", network), ("stream", stream)]);
		Self {
			consumers: gauge!("mosaik.streams.producer.consumers", labels.iter()),
			accepted: counter!("mosaik.streams.producer.consumers.accepted", labels.iter()),
			rejected: counter!("mosaik.streams.producer.consumers.rejected", labels.iter()),
			items: counter!("mosaik.streams.producer.items.sent", labels.iter()),
			bytes: counter!("mosaik.streams.producer.bytes.sent", labels.iter()),
			dropped: counter!("mosaik.streams.producer.items.dropped", labels.iter()),
			total: Totals::new(network),
		}
	}
}

impl ProducerMetrics {
	/// Counts datums that were written to a consumer.
	pub(super) fn sent(&self, datums: u64, bytes: u64) {
		self.items.increment(datums);
		self.bytes.increment(bytes);
		self.total.datums.increment(datums);
		self.total.bytes.increment(bytes);
	}
}

/// What a consumer counts.
pub(super) struct ConsumerMetrics {
	pub(super) producers: Gauge,
	pub(super) items: Counter,
	pub(super) bytes: Counter,
	pub(super) total: Totals,
}

impl ConsumerMetrics {
	pub(super) fn new(network: &NetworkId, stream: &StreamId) -> Self {
		let labels = labels(&[("network", network), ("stream", stream)]);
		Self {
			producers: gauge!("mosaik.streams.consumer.producers", labels.iter()),
			items: counter!("mosaik.streams.consumer.items.received", labels.iter()),
			bytes: counter!("mosaik.streams.consumer.bytes.received", labels.iter()),
			total: Totals::new(network),
		}
	}
}

impl ConsumerMetrics {
	/// Counts datums that were read from a producer.
	pub(super) fn received(&self, datums: u64, bytes: u64) {
		self.items.increment(datums);
		self.bytes.increment(bytes);
		self.total.datums.increment(datums);
		self.total.bytes.increment(bytes);
	}
}

/// What all streams of a network sum up to, sent and received.
pub(super) struct Totals {
	pub(super) datums: Counter,
	pub(super) bytes: Counter,
}

impl Totals {
	fn new(network: &NetworkId) -> Self {
		let labels = labels(&[("network", network)]);
		Self {
			datums: counter!("mosaik.streams.datums.total", labels.iter()),
			bytes: counter!("mosaik.streams.bytes.total", labels.iter()),
		}
	}
}

/// What the node's streams count.
pub(super) struct StreamsMetrics {
	pub(super) producers: Gauge,
	pub(super) consumers: Gauge,
	pub(super) accepted: Counter,
	pub(super) rejected: Counter,
}

impl StreamsMetrics {
	pub(super) fn new(network: &NetworkId) -> Self {
		let labels = labels(&[("network", network)]);
		Self {
			producers: gauge!("mosaik.streams.producers.active", labels.iter()),
			consumers: gauge!("mosaik.streams.consumers.active", labels.iter()),
			accepted: counter!("mosaik.streams.connections.accepted", labels.iter()),
			rejected: counter!("mosaik.streams.connections.rejected", labels.iter()),
		}
	}
}
