//! What the macros generate compiles, and calls the builders as written.

#![allow(
	unreachable_pub,
	missing_debug_implementations,
	missing_docs,
	reason = "definitions with every visibility"
)]

mod stub;

use stub::{
	Digest, Network,
	streams::{Consumer, Producer, StreamConsumer, StreamProducer},
	unique_id,
};

const ID: Digest = unique_id!("acme.ticks");
const HEX: Digest = unique_id!("00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00Ff");
/// Given by path, as a program's own module of ids would be.
mod ids {
	pub const TICKS: super::Digest = super::ID;
}
const BOUND: usize = 7;
const BOTH_SIDES: &str = "both";
const ALL: &str = "all";
const SLOW: &str = "slow";
const MINE: &str = "mine";

/// Not `Clone`, not `Send`: definitions ask nothing of the datum themselves.
pub struct Tick<T>(std::marker::PhantomData<*const T>);

stub::stream!(
	/// Everything by default.
	pub Plain = u32
);

stub::stream!(pub Named = Tick<Vec<u8>>, "acme.ticks");

stub::stream!(
	pub(crate) Full = stub::Bytes, ids::TICKS,
	require: |peer| peer.rtt < 20,
	require: |peer: &stub::PeerInfo| peer.rtt > 20,
	producer require: |_| true,
	require_ticket: BOTH_SIDES,
	consumer require_ticket: String::from("consumer"),
	producer online_when: |c| c.minimum_of(2),
	consumer online_when: |c| c,
	max_consumers: 3,
	buffer_size: BOUND * 2,
	producer disconnect_lagging: false,
	criteria: ALL,
	backoff: SLOW,
);

stub::stream!(pub producer Out = u32, max_consumers: 1, consumer criteria: MINE);
stub::stream!(pub consumer In = u32, "in", require: |p| p.rtt == 10);
stub::stream!(Private = Secret);
stub::stream!(producer PrivateOut = Secret);
stub::stream!(
	#[cfg(any())]
	Absent = NoSuchType
);

#[derive(Debug)]
struct Secret;

/// `$name` arrives in an invisible group.
macro_rules! named {
	($Name:ident, $Datum:ty, $id:literal, $max:expr) => {
		stub::stream!(pub $Name = $Datum, $id, max_consumers: $max);
	};
}
named!(ByMacro, Option<u8>, "acme.ticks", 1 + 1);

#[test]
fn ids_are_constants_equal_to_those_made_at_run_time() {
	let id = mosaik_proto::id::Digest::from("acme.ticks");
	assert_eq!(ID.as_bytes(), id.as_bytes());
	assert_eq!(HEX.as_bytes()[..3], [0, 0xff, 0]);
}

#[test]
fn builders_are_told_what_was_written() {
	assert_eq!(Plain::producer(&Network).0.0, [""; 0]);
	assert_eq!(Plain::consumer(&Network).0.0, [""; 0]);

	let id = format!("id {:02x}", ID.as_bytes()[0]);
	assert_eq!(Named::consumer(&Network).0.0, [id.as_str()]);
	assert_eq!(ByMacro::producer(&Network).0.0, [&id, "max 2"]);

	let told = Full::producer(&Network).0.0;
	let ours = [
		"require true",
		"require false",
		"require true",
		"ticket both",
		"online 2",
	];
	let tuning = ["max 3", "buffer 14", "lagging false"];
	assert_eq!(told, [&[id.as_str()], &ours[..], &tuning].concat());

	let told = Full::consumer(&Network).0.0;
	let ours = [
		"require true",
		"require false",
		"ticket both",
		"ticket consumer",
		"online 0",
	];
	let tuning = ["criteria all", "backoff slow"];
	assert_eq!(told, [&[id.as_str()], &ours[..], &tuning].concat());
}

#[test]
fn the_side_without_a_trait_stays_within_the_crate() {
	let out: Producer<u32> = Out::producer(&Network);
	assert_eq!(out.0.0, ["max 1"]);
	let inside: Consumer<u32> = Out::consumer(&Network);
	assert_eq!(inside.0.0, ["criteria mine"]);
	assert_eq!(In::producer(&Network).0.0[1..], ["require true"]);
	let _ = (Private::producer(&Network), PrivateOut::consumer(&Network));
	let _ = Plain;
}

fn lives_on<T>(future: impl Future<Output = T> + Send + Sync + 'static) -> T {
	let mut future = std::pin::pin!(future);
	let mut context = std::task::Context::from_waker(std::task::Waker::noop());
	match future.as_mut().poll(&mut context) {
		std::task::Poll::Ready(handle) => handle,
		std::task::Poll::Pending => panic!("the stub is always online"),
	}
}

#[test]
fn futures_do_not_borrow_the_network() {
	let futures = {
		let network = Network;
		(
			Plain::online_producer(&network),
			Out::online_consumer(&network),
		)
	};
	lives_on(futures.0);
	assert_eq!(lives_on(futures.1).0.0, ["criteria mine"]);
	lives_on(In::online_producer(&Network));
	lives_on(In::online_consumer(&Network));
}

#[test]
fn definitions_work_inside_functions() {
	stub::stream!(Local = u8, unique_id!("local"));
	let copy = Local;
	assert_eq!(format!("{copy:?} {Local:?}"), "Local Local");
	assert_eq!(Local::producer(&Network).0.0.len(), 1);
}
