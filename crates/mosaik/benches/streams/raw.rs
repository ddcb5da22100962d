//! Raw iroh, used by hand as a competent engineer would.

use {
	mosaik::{
		Bytes, BytesMut,
		iroh::{
			Endpoint, EndpointAddr, TransportAddr,
			endpoint::{Connection, QuicTransportConfig, RecvStream, SendStream, VarInt, presets},
		},
	},
	std::net::Ipv4Addr,
	tokio::sync::mpsc,
};

const ALPN: &[u8] = b"raw";

/// Two endpoints on loopback and a connection between them.
pub(crate) struct Pair {
	pub(crate) client: Connection,
	pub(crate) server: Connection,
	_endpoints: (Endpoint, Endpoint),
}

pub(crate) async fn endpoint() -> Endpoint {
	// The windows that mosaik uses, so that the transport is the same. Larger ones
	// end in "too many gaps in stream buffer" here.
	let transport = QuicTransportConfig::builder()
		.stream_receive_window(VarInt::from_u32(1_250_000))
		.receive_window(VarInt::from_u32(40_000_000))
		.send_window(32 * 1024 * 1024)
		.build();
	Endpoint::builder(presets::Minimal)
		.transport_config(transport)
		.alpns(vec![ALPN.to_vec()])
		.clear_ip_transports()
		.bind_addr((Ipv4Addr::LOCALHOST, 0))
		.unwrap()
		.bind()
		.await
		.unwrap()
}

pub(crate) fn addr(endpoint: &Endpoint) -> EndpointAddr {
	let sockets = endpoint.bound_sockets().into_iter().map(TransportAddr::Ip);
	EndpointAddr::from_parts(endpoint.id(), sockets)
}

pub(crate) async fn connect(client: &Endpoint, server: &Endpoint) -> (Connection, Connection) {
	let accept = async { server.accept().await.unwrap().await.unwrap() };
	let (accepted, connected) = tokio::join!(accept, client.connect(addr(server), ALPN));
	(connected.unwrap(), accepted)
}

pub(crate) async fn pair() -> Pair {
	let endpoints = (endpoint().await, endpoint().await);
	let (client, server) = connect(&endpoints.0, &endpoints.1).await;
	Pair {
		client,
		server,
		_endpoints: endpoints,
	}
}

/// A stream that the other side has seen.
pub(crate) async fn open(pair: &Pair) -> (SendStream, RecvStream) {
	open_on(&pair.client, &pair.server).await
}

pub(crate) async fn open_on(from: &Connection, to: &Connection) -> (SendStream, RecvStream) {
	let mut send = from.open_uni().await.unwrap();
	send.write_all(&[0]).await.unwrap();
	let mut recv = to.accept_uni().await.unwrap();
	recv.read_exact(&mut [0]).await.unwrap();
	(send, recv)
}

/// Writes what comes from a channel, batched by the writer.
pub(crate) async fn write_from_channel<const N: usize>(
	mut send: SendStream,
	mut items: mpsc::Receiver<[u8; N]>,
) {
	let mut batch = Vec::with_capacity(1024);
	let mut buffer = BytesMut::new();
	while items.recv_many(&mut batch, 1024).await > 0 {
		for item in batch.drain(..) {
			buffer.extend_from_slice(&u32::try_from(N).unwrap().to_le_bytes());
			buffer.extend_from_slice(&item);
		}
		send.write_chunk(buffer.split().freeze()).await.unwrap();
	}
	send.finish().unwrap();
	send.stopped().await.unwrap();
}

/// Reads `count` messages of `N` bytes.
pub(crate) async fn read_messages<const N: usize>(mut recv: RecvStream, count: usize) {
	let mut rest = BytesMut::new();
	let mut item = [0; N];
	let mut seen = 0;
	while seen < count {
		let chunk = recv.read_chunk(usize::MAX).await.unwrap().unwrap();
		rest.extend_from_slice(&chunk);
		while rest.len() >= 4 + N {
			let frame = rest.split_to(4 + N);
			item.copy_from_slice(&frame[4..]);
			std::hint::black_box(&item);
			seen += 1;
		}
	}
}

/// Reads and drops everything.
pub(crate) async fn drain(mut recv: RecvStream, bytes: usize) {
	let mut seen = 0;
	while seen < bytes {
		seen += recv.read_chunk(usize::MAX).await.unwrap().unwrap().len();
	}
}

/// Writes the same chunk again and again.
pub(crate) async fn write_bulk(mut send: SendStream, chunk: Bytes, count: usize) {
	for _ in 0..count {
		send.write_chunk(chunk.clone()).await.unwrap();
	}
	send.finish().unwrap();
	send.stopped().await.unwrap();
}
