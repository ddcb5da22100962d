//! Hosts that find each other, and are cut off from each other.

use {
	crate::{
		lab::Lab,
		process::{Fleet, PATIENCE, Process, Spec},
	},
	mosaik::NetworkId,
	std::{
		net::Ipv4Addr,
		time::{Duration, Instant},
	},
};

const fn at(c: u8, d: u8) -> Ipv4Addr {
	Ipv4Addr::new(10, 66, c, d)
}

/// Waits until data come to the second process.
#[track_caller]
fn streams(fleet: &Fleet, to: &Process) {
	fleet.each([to], "the stream flows", PATIENCE, |view| {
		view.received.values().sum::<u64>() >= 10
	});
}

#[test]
fn two_hosts_on_one_cable_find_each_other_by_mdns_alone_and_stream_directly() {
	let Some(lab) = Lab::new(2) else { return };
	lab.connect([0, 1], [at(0, 1), at(0, 2)]);
	lab.allow_multicast(0, 1);
	lab.allow_multicast(1, 0);
	let fleet = Fleet::default();
	let spec = Spec {
		mdns: true,
		paths: true,
		..Spec::lonely(NetworkId::random())
	};
	let n0 = fleet.node(
		lab.name(0),
		Spec {
			produce: Some(0),
			..spec.clone()
		},
	);
	let n1 = fleet.node(
		lab.name(1),
		Spec {
			key: Spec::lonely(spec.network).key,
			consume: true,
			..spec
		},
	);
	let up = fleet.ready(&n0).0.max(fleet.ready(&n1).0);
	fleet.complete("they find each other", PATIENCE, &[&n0, &n1]);
	println!("two hosts found each other by mDNS in {:?}", up.elapsed());
	streams(&fleet, &n1);
	for (from, to, address) in [(&n0, &n1, at(0, 2)), (&n1, &n0, at(0, 1))] {
		fleet.each([from], "a direct path is told", PATIENCE, |view| {
			view.paths
				.get(&to.id)
				.is_some_and(|path| !path.relay && path.remote.contains(&format!("{address}:")))
		});
	}
}

#[test]
fn two_hosts_that_reach_nothing_but_a_relay_stream_through_it() {
	let Some(lab) = Lab::new(3) else { return };
	// The relay is between them and does not forward packets.
	lab.connect([0, 2], [at(1, 1), at(1, 9)]);
	lab.connect([1, 2], [at(2, 1), at(2, 9)]);
	for (host, gateway) in [(0, at(1, 9)), (1, at(2, 9))] {
		lab.on(host, &format!("route add default via {gateway}"));
	}
	let fleet = Fleet::default();
	let (_relay, port) = fleet.relay(lab.name(2));
	let url: iroh::RelayUrl = format!("http://{}:{port}", at(1, 9)).parse().unwrap();
	let spec = Spec {
		relay: Some(url.clone()),
		paths: true,
		produce: Some(0),
		..Spec::lonely(NetworkId::random())
	};
	let n0 = fleet.node(lab.name(0), spec.clone());
	fleet.ready(&n0);
	let n1 = Spec {
		key: Spec::lonely(spec.network).key,
		bootstrap: vec![iroh::EndpointAddr::new(n0.id).with_relay_url(url)],
		produce: None,
		consume: true,
		..spec
	};
	let n1 = fleet.node(lab.name(1), n1);
	let (up, _) = fleet.ready(&n1);
	fleet.complete("they meet at the relay", PATIENCE, &[&n0, &n1]);
	println!("two hosts met at a relay in {:?}", up.elapsed());
	streams(&fleet, &n1);
	for (from, to) in [(&n0, &n1), (&n1, &n0)] {
		fleet.each([from], "a path is told", PATIENCE, |view| {
			view.paths.contains_key(&to.id)
		});
		let path = fleet.see(from, |view| view.paths[&to.id].clone());
		assert!(path.relay, "{path:?}");
	}
}

#[test]
fn hosts_cut_off_from_each_other_notice_it_and_come_together_by_themselves_when_healed() {
	cut_and_heal(Duration::ZERO);
}

#[test]
fn hosts_cut_off_for_a_minute_come_together_by_themselves_when_healed() {
	cut_and_heal(Duration::from_secs(60));
}

/// Cuts one of three hosts off, until all have noticed and for so long at least.
fn cut_and_heal(at_least: Duration) {
	const SWITCH: usize = 3;
	let Some(lab) = Lab::new(4) else { return };
	lab.switch(SWITCH, &[0, 1, 2]);
	let fleet = Fleet::default();
	let network = NetworkId::random();
	// Nothing but the membership itself can bring them together again: all that
	// they were told is where the first one was.
	let n0 = fleet.node(lab.name(0), Spec::lonely(network));
	let (_, first) = fleet.ready(&n0);
	let other = |host: usize| {
		let spec = Spec {
			bootstrap: vec![first.clone()],
			produce: (host == 1).then_some(7),
			consume: host == 2,
			..Spec::lonely(network)
		};
		fleet.node(lab.name(host), spec)
	};
	let (n1, n2) = (other(1), other(2));
	let all = [&n0, &n1, &n2];
	fleet.complete("they know each other", PATIENCE, &all);
	streams(&fleet, &n2);

	let cut = Instant::now();
	lab.unplug(SWITCH, 2);
	fleet.each([&n0, &n1], "they miss the one", PATIENCE, |view| {
		!view.known.contains_key(&n2.id)
	});
	let missed = cut.elapsed();
	fleet.each([&n2], "the one misses them", PATIENCE, |view| {
		view.known.is_empty()
	});
	println!(
		"cut off: missed after {missed:?}, misses others after {:?}",
		cut.elapsed()
	);
	for (here, there) in [(&n0, &n1), (&n1, &n0)] {
		assert!(fleet.see(here, |view| view.known.contains_key(&there.id)));
	}

	// Not a wait for something: this is what happens to them.
	std::thread::sleep(at_least.saturating_sub(cut.elapsed()));
	let before = fleet.see(&n2, |view| view.received[&7]);
	let healed = Instant::now();
	lab.plug(SWITCH, 2);
	fleet.complete("they come together", PATIENCE, &all);
	let together = healed.elapsed();
	fleet.each([&n2], "the stream resumes", PATIENCE, |view| {
		view.received[&7] > before
	});
	println!(
		"healed: together after {together:?}, streams after {:?}",
		healed.elapsed()
	);
}

#[test]
fn on_a_host_without_any_network_the_defaults_find_each_other_at_once_and_stay_quiet() {
	let Some(lab) = Lab::new(1) else { return };
	let fleet = Fleet::default();
	let network = NetworkId::random();
	let spec = || Spec {
		mdns: true,
		internet: true,
		..Spec::on_host(network)
	};
	let nodes = [spec(), spec()].map(|spec| fleet.node(lab.name(0), spec));
	let [n0, n1] = &nodes;
	let up = fleet.ready(n0).0.max(fleet.ready(n1).0);
	fleet.complete("they find each other", PATIENCE, &[n0, n1]);
	println!("without any network: found in {:?}", up.elapsed());
	std::thread::sleep(Duration::from_secs(5));
	for node in &nodes {
		fleet.see(node, |view| {
			assert_eq!(view.log, [""; 0]);
			let (_, took, _) = view.ready.as_ref().unwrap();
			assert!(*took < Duration::from_millis(500), "{took:?}");
		});
	}
}
