//! Which addresses a node makes known where.

use {
	mosaik_proto::{EndpointAddr, TransportAddr},
	std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
	tokio::sync::{mpsc, watch},
};

/// The address for peers on the same host: IP only, with loopback.
///
/// `bound` are the endpoint's sockets. An endpoint bound to all interfaces does
/// not list loopback among its addresses, yet that is the one way to it that
/// works without any network.
pub(crate) fn same_host(addr: &EndpointAddr, bound: &[SocketAddr]) -> EndpointAddr {
	let loopback = |socket: &SocketAddr| match socket.ip() {
		IpAddr::V4(Ipv4Addr::UNSPECIFIED) => (Ipv4Addr::LOCALHOST, socket.port()).into(),
		IpAddr::V6(Ipv6Addr::UNSPECIFIED) => (Ipv6Addr::LOCALHOST, socket.port()).into(),
		_ => *socket,
	};
	let addrs = bound.iter().map(loopback).chain(addr.ip_addrs().copied());
	EndpointAddr::from_parts(addr.id, addrs.map(TransportAddr::Ip))
}

/// The address for peers elsewhere: without loopback, unless there is nothing
/// else, as in tests that run everything on one host.
pub(crate) fn elsewhere(addr: &EndpointAddr) -> EndpointAddr {
	let local = |addr: &TransportAddr| match addr {
		TransportAddr::Ip(socket) => socket.ip().is_loopback() || socket.ip().is_unspecified(),
		_ => false,
	};
	if addr.addrs.iter().all(local) {
		return addr.clone();
	}
	let addrs = addr.addrs.iter().filter(|addr| !local(addr));
	EndpointAddr::from_parts(addr.id, addrs.cloned())
}

/// Passes a candidate on, or drops it when the queue is full.
///
/// Returns false when nobody wants candidates any more.
pub(crate) fn offer(candidates: &mpsc::Sender<EndpointAddr>, addr: EndpointAddr) -> bool {
	!matches!(
		candidates.try_send(addr),
		Err(mpsc::error::TrySendError::Closed(_))
	)
}

/// Resolves when the address has changed; never, once nobody can change it.
pub(crate) async fn changed(own: &mut watch::Receiver<EndpointAddr>) {
	if own.changed().await.is_err() {
		std::future::pending().await
	}
}

#[cfg(test)]
mod tests {
	use {super::*, mosaik_proto::SecretKey};

	fn addr(ips: &[&str]) -> EndpointAddr {
		let id = SecretKey::from_bytes(&[1; 32]).public();
		let ips = ips.iter().map(|ip| TransportAddr::Ip(ip.parse().unwrap()));
		EndpointAddr::from_parts(id, ips)
	}

	#[test]
	fn loopback_is_for_this_host_and_the_last_resort_elsewhere() {
		let outside = addr(&["192.0.2.1:7"]);
		let bound = ["0.0.0.0:7", "[::]:8"].map(|ip| ip.parse().unwrap());
		let all = addr(&["127.0.0.1:7", "[::1]:8", "192.0.2.1:7"]);
		assert_eq!(same_host(&outside, &bound), all);
		assert_eq!(elsewhere(&all), outside);
		let only = addr(&["127.0.0.1:7"]);
		assert_eq!(elsewhere(&only), only);
	}
}
