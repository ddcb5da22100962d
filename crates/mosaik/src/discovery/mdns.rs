//! Peers on the local network, by multicast DNS.
//!
//! The service's name is derived from the network's id, so that networks do not
//! hear of each other and the id is not told to the LAN.
//!
//! A host without a multicast route, such as one without any network, cannot
//! take part. The service underneath would log a warning for every packet it
//! fails to send, several a second; so it only runs while a multicast route
//! exists, which is cheap to ask the kernel for.

use {
	super::addr,
	iroh::address_lookup::{AddressLookup, EndpointData},
	iroh_mdns_address_lookup::{DiscoveryEvent, MdnsAddressLookup},
	mosaik_proto::{EndpointAddr, PeerId, id::NetworkId},
	std::{
		collections::BTreeMap,
		io,
		net::{Ipv4Addr, UdpSocket},
		pin::pin,
		time::Duration,
	},
	tokio::{
		sync::{mpsc, watch},
		time::{interval, sleep},
	},
	tracing::debug,
};

/// How many peers of the LAN are remembered, to be offered again.
const MAX_PEERS: usize = 1024;
/// How often the multicast route is checked and the known peers are offered.
const CHECK: Duration = Duration::from_secs(20);

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;

/// Makes `own` known on the LAN and offers the peers found there, until it is
/// dropped or the queue is closed.
pub(crate) async fn run(
	network: NetworkId,
	mut own: watch::Receiver<EndpointAddr>,
	candidates: mpsc::Sender<EndpointAddr>,
) {
	let mut told = false;
	while !candidates.is_closed() {
		match start(&network, &own) {
			Ok(service) => serve(&service, &mut own, &candidates).await,
			Err(error) if !told => {
				told = true;
				debug!(%error, "no multicast: peers of the LAN are not found by mDNS");
			}
			Err(_) => {}
		}
		tokio::select! {
			() = sleep(CHECK) => {}
			// Most often the network is back.
			() = addr::changed(&mut own) => {}
			() = candidates.closed() => {}
		}
	}
}

fn start(
	network: &NetworkId,
	own: &watch::Receiver<EndpointAddr>,
) -> io::Result<MdnsAddressLookup> {
	check_multicast()?;
	let id = own.borrow().id;
	MdnsAddressLookup::builder()
		.service_name(service_name(network))
		.build(id)
		.map_err(io::Error::other)
}

/// Runs until multicast stops working.
async fn serve(
	service: &MdnsAddressLookup,
	own: &mut watch::Receiver<EndpointAddr>,
	candidates: &mpsc::Sender<EndpointAddr>,
) {
	let mut peers = BTreeMap::new();
	let mut events = pin!(service.subscribe().await);
	let mut check = interval(CHECK);
	publish(service, own);
	loop {
		tokio::select! {
			biased;
			() = candidates.closed() => return,
			() = addr::changed(own) => publish(service, own),
			event = futures::StreamExt::next(&mut events) => match event {
				Some(event) => on_event(event, &mut peers, candidates),
				None => return,
			},
			_ = check.tick() => {
				if let Err(error) = check_multicast() {
					debug!(%error, "multicast is gone");
					return;
				}
				offer_again(&peers, candidates);
			}
		}
	}
}

fn publish(service: &MdnsAddressLookup, own: &mut watch::Receiver<EndpointAddr>) {
	let addr = addr::elsewhere(&own.borrow_and_update());
	service.publish(&EndpointData::from_iter(addr.addrs));
}

fn on_event(
	event: DiscoveryEvent,
	peers: &mut BTreeMap<PeerId, EndpointAddr>,
	candidates: &mpsc::Sender<EndpointAddr>,
) {
	match event {
		DiscoveryEvent::Discovered { endpoint_info, .. } => {
			let addr = endpoint_info.into_endpoint_addr();
			if peers.len() < MAX_PEERS || peers.contains_key(&addr.id) {
				peers.insert(addr.id, addr.clone());
			}
			addr::offer(candidates, addr);
		}
		DiscoveryEvent::Expired { endpoint_id } => {
			peers.remove(&endpoint_id);
		}
		_ => {}
	}
}

/// The service tells of a peer only once, and the queue may have been full.
fn offer_again(peers: &BTreeMap<PeerId, EndpointAddr>, candidates: &mpsc::Sender<EndpointAddr>) {
	for addr in peers.values() {
		addr::offer(candidates, addr.clone());
	}
}

/// A label of DNS service discovery: at most 15 letters and digits.
fn service_name(network: &NetworkId) -> String {
	let id = network.derive("mdns").to_string();
	// Hex digits alone could lack the letter that a label must have.
	format!("m{}", &id[..14])
}

/// Whether a packet to the group would find its way.
fn check_multicast() -> io::Result<()> {
	let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
	socket.join_multicast_v4(&GROUP, &Ipv4Addr::UNSPECIFIED)?;
	// Sends nothing, but looks for a route.
	socket.connect((GROUP, PORT))
}

#[cfg(test)]
mod tests {
	use {
		super::*,
		mosaik_proto::{SecretKey, id::Digest},
	};

	fn node(n: u8) -> EndpointAddr {
		let id = SecretKey::generate().public();
		EndpointAddr::new(id).with_ip_addr(([127, 0, 0, 1], 1000 + u16::from(n)).into())
	}

	#[test]
	fn service_names_are_labels_and_differ() {
		let names = (0..100).map(|n| service_name(&Digest::from_u8(n)));
		let names: std::collections::BTreeSet<_> = names.collect();
		assert_eq!(names.len(), 100);
		for name in names {
			assert_eq!(name.len(), 15);
			assert!(name.starts_with('m') && name.chars().all(|c| c.is_ascii_alphanumeric()));
		}
	}

	#[tokio::test]
	async fn two_of_one_network_find_each_other_and_not_a_third() {
		if let Err(error) = check_multicast() {
			eprintln!("skipped, no multicast here: {error}");
			return;
		}
		let start = |network: &str, addr: &EndpointAddr| {
			let (own, watch) = watch::channel(addr.clone());
			let (sender, found) = mpsc::channel(8);
			(own, found, run(network.into(), watch, sender))
		};
		let network = Digest::random().to_string();
		let (a, b) = (node(1), node(2));
		let (_own_a, mut found_a, run_a) = start(&network, &a);
		let (_own_b, mut found_b, run_b) = start(&network, &b);
		let (_own_c, mut found_c, run_c) = start("another", &node(3));
		let scenario = async {
			assert_eq!(found_a.recv().await, Some(b));
			assert_eq!(found_b.recv().await, Some(a));
			assert!(found_c.try_recv().is_err());
		};
		tokio::select! {
			() = async { tokio::join!(run_a, run_b, run_c); } => panic!("ended"),
			result = tokio::time::timeout(Duration::from_secs(20), scenario) => result.unwrap(),
		}
	}

	#[tokio::test]
	async fn it_ends_with_its_queue() {
		let (_own, watch) = watch::channel(node(1));
		let (sender, found) = mpsc::channel(1);
		drop(found);
		run("x".into(), watch, sender).await;
	}
}
