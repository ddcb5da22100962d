//! The metrics of the network: connections, bytes, tasks.

use {
	super::peer::{PeerEvent, Peers},
	crate::runtime::{metrics::labels, tasks::Tasks},
	metrics::{counter, gauge},
	mosaik_proto::id::NetworkId,
	std::time::Duration,
	tokio::{sync::broadcast::error::RecvError, time},
};

/// How often what the transport counts is taken over.
const INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the metrics up to date until the node stops.
pub(super) async fn count(network: NetworkId, peers: Peers, tasks: Tasks) {
	let labels = labels(&[("network", &network)]);
	let opened = counter!("mosaik.network.connections.opened", labels.iter());
	let active = gauge!("mosaik.network.connections.active", labels.iter());
	let egress = counter!("mosaik.network.egress.bytes", labels.iter());
	let ingress = counter!("mosaik.network.ingress.bytes", labels.iter());
	let running = gauge!("mosaik.network.tasks.running", labels.iter());
	let panicked = counter!("mosaik.network.tasks.panicked", labels.iter());
	let mut events = peers.events();
	let mut interval = time::interval(INTERVAL);
	interval.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
	loop {
		tokio::select! {
			event = events.recv() => match event {
				Ok(PeerEvent::Connected { .. }) => opened.increment(1),
				// Too many at once to count: the figure is a lower bound then.
				Ok(PeerEvent::Disconnected { .. }) | Err(RecvError::Lagged(_)) => {}
				Err(RecvError::Closed) => return,
			},
			_ = interval.tick() => {
				let socket = &peers.endpoint().metrics().socket;
				egress.absolute(
					socket.send_ipv4.get() + socket.send_ipv6.get() + socket.send_relay.get(),
				);
				ingress.absolute(
					socket.recv_data_ipv4.get()
						+ socket.recv_data_ipv6.get()
						+ socket.recv_data_relay.get(),
				);
				active.set(peers.connected().len() as f64);
				running.set(tasks.len() as f64);
				panicked.absolute(tasks.panicked());
			}
		}
	}
}
