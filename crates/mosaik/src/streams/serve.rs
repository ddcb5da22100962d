//! The producer's side of one subscription: who is there, and the writing.

use {
	super::{
		Streams,
		outlet::{Outlet, Slot},
	},
	crate::network::{
		frame::{self, FrameReader},
		link::Lane,
		peer::Incoming,
	},
	bytes::{Bytes, BytesMut},
	chrono::Utc,
	iroh::endpoint::SendStream,
	mosaik_proto::{
		PeerId,
		discovery::{Catalog, PeerInfo},
		id::ShortFmtExt,
		streams::{Ack, Answer, Credit, Subscribe},
		tickets::Expiration,
		wire::{self, CloseCode},
	},
	std::{future::Future, sync::Arc, time::Duration},
	tokio::{sync::watch, time},
	tokio_util::sync::CancellationToken,
};

/// How long a consumer may take to say what it wants.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long what was sent may take to arrive after the end of the stream.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a consumer's latest entry may take before it is asked to exchange
/// catalogs.
const ENTRY_TIMEOUT: Duration = Duration::from_millis(500);

/// How much is handed to QUIC in one go, in bytes.
const WRITE_BATCH: usize = 128 * 1024;

/// Serves one subscription from its first frame to its end.
pub(super) async fn serve(streams: Streams, incoming: Incoming, token: CancellationToken) {
	let Incoming { peer, mut lane } = incoming;
	let hello = lane.recv.next(wire::MAX_HANDSHAKE);
	let subscribe = tokio::select! {
		biased;
		() = token.cancelled() => return,
		hello = time::timeout(HANDSHAKE_TIMEOUT, hello) => hello,
	};
	let subscribe = match subscribe {
		Ok(Ok(Some(bytes))) => wire::deserialize::<Subscribe>(&bytes).ok(),
		_ => None,
	};
	let Some(subscribe) = subscribe else {
		let _ = lane
			.send
			.reset(frame::var_int(CloseCode::ProtocolViolation));
		return;
	};
	let mut catalog = streams.0.discovery.catalog_watch();
	let mut admitted = admit(&streams, peer, &subscribe, &mut catalog);
	if matches!(admitted, Err(CloseCode::NotAllowed)) {
		let news = catalog.wait_for(|catalog| is_current(catalog, peer, &subscribe));
		// The consumer's latest entry may be on its way, on another lane, or have
		// arrived while the one before was judged.
		let _ = time::timeout(ENTRY_TIMEOUT, news).await;
		admitted = admit(&streams, peer, &subscribe, &mut catalog);
		if is_hasty(&admitted, peer, &subscribe, &catalog) {
			admitted = Err(CloseCode::UnknownPeer);
		}
	}
	match admitted {
		Ok((outlet, slot, info, until)) => {
			streams.0.metrics.accepted.increment(1);
			let subscription = Subscription {
				outlet,
				slot,
				info,
				until,
				catalog,
			};
			subscription.run(lane, token).await;
		}
		Err(code) => {
			tracing::debug!(
				stream = %subscribe.stream.short(),
				consumer = %peer.short(),
				%code,
				"refused a consumer"
			);
			streams.0.metrics.rejected.increment(1);
			if let Some(outlet) = streams.outlet(&subscribe.stream) {
				outlet.metrics.rejected.increment(1);
			}
			refuse(lane, code).await;
		}
	}
}

type Admitted = (Arc<Outlet>, Slot, PeerInfo, Expiration);

/// Decides about a subscription and sets it up.
fn admit(
	streams: &Streams,
	peer: PeerId,
	subscribe: &Subscribe,
	catalog: &mut watch::Receiver<Catalog>,
) -> Result<Admitted, CloseCode> {
	let outlet = streams
		.outlet(&subscribe.stream)
		.ok_or(CloseCode::StreamNotFound)?;
	let info = catalog
		.borrow_and_update()
		.info(&peer)
		.ok_or(CloseCode::UnknownPeer)?;
	let until = outlet.admit(&info)?;
	if until.is_expired() {
		return Err(CloseCode::NotAllowed);
	}
	let slot = outlet.subscribe(streams.local_id(), info.clone(), subscribe.criteria)?;
	Ok((outlet, slot, info, until))
}

/// Whether a consumer was not let in by an entry that is not its latest.
fn is_hasty(
	admitted: &Result<Admitted, CloseCode>,
	peer: PeerId,
	subscribe: &Subscribe,
	catalog: &watch::Receiver<Catalog>,
) -> bool {
	matches!(admitted, Err(CloseCode::NotAllowed))
		&& !is_current(&catalog.borrow(), peer, subscribe)
}

fn is_current(catalog: &Catalog, peer: PeerId, subscribe: &Subscribe) -> bool {
	catalog
		.get(&peer)
		.is_some_and(|entry| entry.update_version() >= subscribe.version)
}

async fn refuse(mut lane: Lane, code: CloseCode) {
	let answer = encode(&Answer::Refused(code.0));
	if frame::write_frames(&mut lane.send, &mut [answer])
		.await
		.is_ok()
	{
		let _ = lane.send.finish();
		// Dropping the lane earlier could discard the answer.
		let _ = time::timeout(HANDSHAKE_TIMEOUT, lane.send.stopped()).await;
	}
}

fn encode(answer: &Answer) -> Bytes {
	let mut buffer = BytesMut::new();
	wire::append_frame(answer, &mut buffer, wire::MAX_HANDSHAKE)
		// Two small variants, far below the limit.
		.expect("an answer always has an encoding");
	buffer.freeze()
}

/// A consumer that was let in.
struct Subscription {
	outlet: Arc<Outlet>,
	slot: Slot,
	info: PeerInfo,
	until: Expiration,
	catalog: watch::Receiver<Catalog>,
}

/// How a subscription ends.
enum End {
	/// The stream is over and everything was written.
	Finished,
	/// We end it, for this reason.
	Cut(CloseCode),
	/// The consumer or the connection is gone.
	Gone,
}

/// Also when the task is dropped or panics.
impl Drop for Subscription {
	fn drop(&mut self) {
		self.outlet.unsubscribe(&self.slot);
	}
}

impl Subscription {
	async fn run(mut self, mut lane: Lane, token: CancellationToken) {
		let end = self.write_until_end(&mut lane, token).await;
		// First, so that whoever waits for room or counts consumers goes on.
		self.outlet.unsubscribe(&self.slot);
		match end {
			End::Finished => {
				let _ = lane.send.finish();
				// The consumer ends its half when it has read everything. That its
				// QUIC has it is not enough: closing the connection would discard it.
				let read = follow_acks(&mut lane.recv, watch::Sender::new(0));
				let _ = time::timeout(DRAIN_TIMEOUT, read).await;
			}
			End::Cut(code) => {
				let _ = lane.send.reset(frame::var_int(code));
			}
			End::Gone => {}
		}
		tracing::debug!(
			stream = %self.outlet.stream_id().short(),
			consumer = %self.info.id().short(),
			stats = %self.slot.stats,
			"subscription ended"
		);
	}

	async fn write_until_end(&mut self, lane: &mut Lane, token: CancellationToken) -> End {
		let gone = lane.send.stopped();
		let mut cut = self.slot.cut.clone();
		let (read_sender, read) = watch::channel(0);
		let acks = follow_acks(&mut lane.recv, read_sender);
		// One future for the life of the subscription: dropping it in the middle
		// of a write would tear a frame.
		let writing = write(&mut lane.send, &self.outlet, &self.slot, read, token);
		tokio::pin!(writing, gone, acks);
		loop {
			tokio::select! {
				biased;
				Ok(()) = cut.changed() => {
					let code = *cut.borrow_and_update();
					return End::Cut(code.unwrap_or(CloseCode::Cancelled));
				}
				_ = &mut gone => return End::Gone,
				code = &mut acks => return code.map_or(End::Gone, End::Cut),
				result = &mut writing => return result.err().unwrap_or(End::Finished),
				// Before the expiry: a new ticket may be here.
				Ok(()) = self.catalog.changed() => {
					let info = self.catalog.borrow_and_update().info(self.info.id());
					// A peer that left the catalog is judged by its last words: its
					// connection tells when it is gone.
					let info = info.unwrap_or_else(|| self.info.clone());
					match self.outlet.admit(&info) {
						Ok(until) => self.until = until,
						Err(code) => return End::Cut(code),
					}
					if info.update_version() != self.info.update_version() {
						self.outlet.update(&self.slot, info.clone());
						self.info = info;
					}
				}
				() = expired(self.until) => return End::Cut(CloseCode::NotAllowed),
			}
		}
	}
}

/// Follows how far the consumer has read, until it ends the lane. Returns what to
/// tell it if it broke the rules.
async fn follow_acks(recv: &mut FrameReader, read: watch::Sender<u64>) -> Option<CloseCode> {
	while let Ok(Some(frame)) = recv.next(wire::MAX_HANDSHAKE).await {
		let Ok(ack) = wire::deserialize::<Ack>(&frame) else {
			return Some(CloseCode::ProtocolViolation);
		};
		read.send_replace(ack.read);
	}
	None
}

/// Writes what the outlet has for the consumer until the stream is closed, or
/// fails with the end of the subscription.
async fn write(
	send: &mut SendStream,
	outlet: &Outlet,
	slot: &Slot,
	mut read: watch::Receiver<u64>,
	token: CancellationToken,
) -> Result<(), End> {
	let gone = |_| End::Gone;
	let mut chunks = vec![encode(&Answer::Accepted)];
	frame::write_frames(send, &mut chunks).await.map_err(gone)?;
	let mut credit = Credit::default();
	loop {
		chunks.clear();
		while !credit.is_open() {
			// An error means that the subscription is about to end.
			read.changed().await.map_err(|_| End::Gone)?;
			acked(&mut credit, &mut read)?;
		}
		let datums = outlet.take(slot, WRITE_BATCH, &mut chunks);
		if datums == 0 {
			if outlet.is_closed() {
				return Ok(());
			}
			tokio::select! {
				biased;
				() = slot.ready.notified() => {}
				Ok(()) = read.changed() => acked(&mut credit, &mut read)?,
				// The node stops: one last look at the queue.
				() = token.cancelled() => outlet.close(),
			}
			continue;
		}
		let bytes = chunks.iter().map(Bytes::len).sum::<usize>();
		frame::write_frames(send, &mut chunks).await.map_err(gone)?;
		credit.wrote(bytes as u64);
		if read.has_changed().unwrap_or(false) {
			acked(&mut credit, &mut read)?;
		}
		let payload = bytes - datums as usize * wire::FRAME_HEADER;
		slot.stats.add(datums as usize, payload);
		outlet.metrics.sent(datums, payload as u64);
	}
}

/// Takes in how far the consumer says that it has read.
fn acked(credit: &mut Credit, read: &mut watch::Receiver<u64>) -> Result<(), End> {
	if credit.acked(*read.borrow_and_update()) {
		Ok(())
	} else {
		Err(End::Cut(CloseCode::ProtocolViolation))
	}
}

/// Resolves when the moment has come. Waits in steps, because the clock that
/// tickets are written in may be set meanwhile.
fn expired(until: Expiration) -> impl Future<Output = ()> {
	const STEP: Duration = Duration::from_secs(60);
	async move {
		while let Some(remaining) = until.remaining_at(Utc::now()) {
			if remaining.is_zero() {
				return;
			}
			time::sleep(remaining.min(STEP)).await;
		}
		std::future::pending().await
	}
}
