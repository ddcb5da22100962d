//! Who is there, and what is known of them.

use {
	crate::util::{
		PASS, acquainted, eventually, hermit, hermit_config, local, local_with, never, node, nodes,
		pass, soon, unique, until,
	},
	futures::future::join_all,
	mosaik::{
		Network, NetworkId, PeerId, StreamId, Tag,
		discovery::{Config, Error, Event, PeerEntry, SignedPeerEntry},
		iroh::EndpointAddr,
		tickets::Expiration,
	},
	std::{collections::BTreeSet, time::Duration},
	tokio::sync::broadcast::Receiver,
};

fn id(network: &Network) -> PeerId {
	network.local().id()
}

fn addr(network: &Network) -> EndpointAddr {
	network.local().addr()
}

fn knows(network: &Network, peer: &Network) -> bool {
	network.discovery().catalog().get(&id(peer)).is_some()
}

async fn hermits<const N: usize>(network: NetworkId) -> [Network; N] {
	let nodes = join_all((0..N).map(|_| hermit(network).build())).await;
	let nodes: Vec<_> = nodes.into_iter().map(Result::unwrap).collect();
	nodes.try_into().unwrap_or_else(|_| unreachable!())
}

/// The next event that the filter wants.
async fn event<T>(events: &mut Receiver<Event>, filter: impl Fn(Event) -> Option<T>) -> T {
	soon("event", async {
		loop {
			if let Some(wanted) = filter(events.recv().await.unwrap()) {
				return wanted;
			}
		}
	})
	.await
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_on_one_host_find_each_other_and_see_changes() {
	let [n0, n1] = nodes().await;
	n0.discovery().add_tags("gpu");
	until(&n1, "the tag", |c| {
		c.get(&id(&n0))
			.is_some_and(|entry| entry.tags().contains(&Tag::from("gpu")))
	})
	.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_of_peers_that_come_change_and_go() {
	let network = unique();
	let n0 = node(network).await;
	let mut events = n0.discovery().events();
	let n1 = node(network).await;
	let peer = id(&n1);
	let came = event(&mut events, |event| match event {
		Event::PeerDiscovered(entry) => Some(entry),
		_ => None,
	});
	assert_eq!(came.await.id(), &peer);
	n1.discovery().add_tags("new");
	event(&mut events, |event| match event {
		Event::PeerUpdated(entry) => entry.tags().contains(&"new".into()).then_some(()),
		_ => None,
	})
	.await;
	drop(n1);
	let went = event(&mut events, |event| match event {
		Event::PeerDeparted(peer) => Some(peer),
		_ => None,
	});
	assert_eq!(went.await, peer);
	assert!(n0.discovery().catalog().get(&peer).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_departed_peer_is_discovered_again_when_it_comes_back() {
	let network = unique();
	let n0 = node(network).await;
	let key = mosaik::SecretKey::generate();
	let mut events = n0.discovery().events();
	for _ in 0..3 {
		let n1 = local(network)
			.with_secret_key(key.clone())
			.build()
			.await
			.unwrap();
		event(&mut events, |event| {
			matches!(event, Event::PeerDiscovered(_)).then_some(())
		})
		.await;
		drop(n1);
		event(&mut events, |event| {
			matches!(event, Event::PeerDeparted(_)).then_some(())
		})
		.await;
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_never_changes_and_is_in_the_order_of_ids() {
	let nodes: [_; 5] = nodes().await;
	let catalog = nodes[0].discovery().catalog();
	let before: Vec<PeerEntry> = catalog.iter().cloned().collect();
	nodes[1].discovery().add_tags("later");
	until(&nodes[0], "the tag", |c| {
		c.get(&id(&nodes[1])).is_some_and(|e| !e.tags().is_empty())
	})
	.await;
	assert!(catalog.iter().eq(&before));
	assert!(catalog.get(&id(&nodes[1])).unwrap().tags().is_empty());

	let ids: Vec<PeerId> = catalog.iter().map(|entry| *entry.id()).collect();
	let ordered: BTreeSet<PeerId> = nodes.iter().map(id).collect();
	assert!(ids.iter().eq(&ordered));
	let backwards = catalog.iter().rev().map(PeerEntry::id);
	assert!(backwards.eq(ordered.iter().rev()));
	let others: Vec<&PeerId> = catalog.peers().map(PeerEntry::id).collect();
	assert_eq!(others.len(), 4);
	assert!(others.is_sorted() && !others.contains(&&catalog.local_id()));
	assert_eq!(catalog.peers_count(), 4);
	assert_eq!(catalog.signed_peers_count(), 4);
	assert!(catalog.signed_peers().map(|e| e.id()).eq(others));
	assert_eq!(catalog.iter_signed().count(), 5);
	assert_eq!(catalog.local_id(), id(&nodes[0]));
	assert_eq!(catalog.local().id(), &id(&nodes[0]));
	assert_eq!(catalog.network_id(), *nodes[0].network_id());
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_and_tickets_are_announced_when_they_change() {
	let [n0, n1] = nodes().await;
	let peer = id(&n0);
	let entry = async |what: &str, test: &dyn Fn(&PeerEntry) -> bool| {
		until(&n1, what, |c| c.get(&peer).is_some_and(test)).await;
	};
	let tags = |names: &[&str]| -> BTreeSet<Tag> { names.iter().map(|n| Tag::from(*n)).collect() };
	let discovery = n0.discovery();
	discovery.add_tags("a");
	discovery.add_tags(["b", "c"]);
	assert_eq!(*discovery.me().tags(), tags(&["a", "b", "c"]));
	entry("three tags", &|e| *e.tags() == tags(&["a", "b", "c"])).await;
	discovery.remove_tags(["a", "unknown"]);
	discovery.remove_tags(Tag::from("b"));
	entry("one tag", &|e| *e.tags() == tags(&["c"])).await;

	let (first, second) = (pass("a", Expiration::Never), pass("b", Expiration::in_1h()));
	let other = mosaik::tickets::Ticket::new("other".into(), "x".into());
	discovery.add_ticket(first.clone());
	discovery.add_ticket(second.clone());
	discovery.add_ticket(other.clone());
	entry("three tickets", &|e| e.tickets().len() == 3).await;
	entry("one by id", &|e| e.tickets()[&first.id()] == first).await;
	discovery.remove_ticket(second.id());
	entry("two tickets", &|e| !e.tickets().contains_key(&second.id())).await;
	let third = pass("c", Expiration::in_24h());
	discovery.replace_ticket(third.clone());
	entry("the replaced one", &|e| e.tickets_of(PASS).eq([&third])).await;
	discovery.remove_tickets_of(PASS);
	entry("the other class", &|e| e.tickets().values().eq([&other])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_show_in_the_entry_while_they_are_produced() {
	let [n0, n1] = nodes().await;
	let peer = id(&n0);
	let shows = async |what: &str, streams: &[&str]| {
		let streams: BTreeSet<StreamId> = streams.iter().map(|n| StreamId::from(*n)).collect();
		until(&n1, what, |c| {
			c.get(&peer).is_some_and(|e| *e.streams() == streams)
		})
		.await;
	};
	let produce = |id: &str| {
		let builder = n0.streams().producer::<u64>();
		builder.with_stream_id(id).build().unwrap()
	};
	let a = produce("a");
	let a_too = a.clone();
	shows("one", &["a"]).await;
	let b = produce("b");
	shows("both", &["a", "b"]).await;
	drop(a);
	drop(b);
	shows("the clone's", &["a"]).await;
	drop(a_too);
	shows("none", &[]).await;
	let _consumer = n0.streams().consume::<u64>();
	n0.discovery().add_tags("consumes");
	until(&n1, "a later entry", |c| {
		c.get(&peer).is_some_and(|e| !e.tags().is_empty())
	})
	.await;
	assert!(
		n1.discovery()
			.catalog()
			.get(&peer)
			.unwrap()
			.streams()
			.is_empty()
	);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_exchange_merges_both_catalogs_before_it_resolves() {
	let network = unique();
	let [n0, n1, n2, n3] = hermits(network).await;
	assert!(n0.discovery().feed(n2.discovery().me()));
	assert!(n1.discovery().feed(n3.discovery().me()));
	soon("exchange", n0.discovery().sync_with(addr(&n1)))
		.await
		.unwrap();
	for node in [&n0, &n1] {
		for other in [&n0, &n1, &n2, &n3] {
			assert!(knows(node, other));
		}
	}
}

#[tokio::test(flavor = "multi_thread")]
async fn dial_takes_one_or_many_addresses_and_bare_ids() {
	let network = unique();
	let [n0, n1, n2, n3] = hermits(network).await;
	soon("one", n0.discovery().dial(addr(&n1))).await;
	assert!(knows(&n0, &n1) && knows(&n1, &n0));
	soon("many", n0.discovery().dial([addr(&n2), addr(&n3)])).await;
	assert!(knows(&n0, &n2) && knows(&n0, &n3));
	// The addresses of these are known from the catalog.
	until(&n3, "n1", |c| c.get(&id(&n1)).is_some()).await;
	soon("by id", n3.discovery().dial(id(&n1))).await;
	soon("by ids", n3.discovery().dial([id(&n1), id(&n2)])).await;
	// Dialling nobody fails in silence.
	let nobody = mosaik::SecretKey::generate().public();
	soon("nobody", n0.discovery().dial(nobody)).await;
	assert_eq!(n0.discovery().catalog().peers_count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn bootstrap_peers_are_enough_to_join() {
	let network = unique();
	let n0 = hermit(network).build().await.unwrap();
	let config = || hermit_config().with_bootstrap(addr(&n0));
	let n1 = local_with(network, config()).build().await.unwrap();
	let n2 = local_with(network, config()).build().await.unwrap();
	acquainted(&[n0.clone(), n1, n2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_without_a_way_in_stay_alone() {
	let [n0, n1] = hermits(unique()).await;
	let mut events = n0.discovery().events();
	never("found", events.recv()).await;
	assert!(!knows(&n0, &n1) && !knows(&n1, &n0));
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_in_one_process_do_not_mix() {
	let (a, b) = (unique(), unique());
	let [a0, a1, b0, b1] = <[_; 4]>::try_from(join_all([a, a, b, b].map(node)).await).unwrap();
	acquainted(&[a0.clone(), a1.clone()]).await;
	acquainted(&[b0.clone(), b1.clone()]).await;
	for (node, network) in [(&a0, a), (&a1, a), (&b0, b), (&b1, b)] {
		let catalog = node.discovery().catalog();
		assert_eq!(catalog.peers_count(), 1);
		assert!(catalog.iter().all(|entry| *entry.network_id() == network));
	}
	let error = soon("refusal", a0.discovery().sync_with(addr(&b0)))
		.await
		.unwrap_err();
	assert!(
		matches!(
			error,
			Error::DifferentNetwork { local_network, remote_network }
				if local_network == a && remote_network == b
		),
		"{error:?}"
	);
	assert!(!knows(&a0, &b0) && !knows(&b0, &a0));
	// Nor does an entry get in by hand.
	assert!(!a0.discovery().feed(b0.discovery().me()));
	assert!(!knows(&a0, &b0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_entry_is_local_until_the_signed_one_arrives() {
	let network = unique();
	let [n0, n1, n2] = hermits(network).await;
	let config = n0.discovery();
	let unsigned = n1.discovery().me().into_unsigned();
	// Nobody answers there, so that the signed entry is not fetched at once.
	let nowhere = EndpointAddr::from(id(&n1));
	let unsigned = unsigned.update_address(nowhere).unwrap();
	assert!(config.insert(unsigned.clone()));
	let catalog = config.catalog();
	assert_eq!(catalog.get(&id(&n1)), Some(&unsigned));
	assert_eq!(catalog.get_signed(&id(&n1)), None);
	assert!(catalog.unsigned_peers().eq([&unsigned]));
	assert_eq!(
		(catalog.peers_count(), catalog.signed_peers_count()),
		(1, 0)
	);

	soon("exchange", config.sync_with(addr(&n2))).await.unwrap();
	assert!(knows(&n2, &n0) && !knows(&n2, &n1));

	assert!(config.feed(n1.discovery().me()));
	let catalog = config.catalog();
	assert_eq!(catalog.get_signed(&id(&n1)), Some(&n1.discovery().me()));
	assert_eq!(catalog.unsigned_peers().count(), 0);
	assert!(!config.insert(unsigned), "the signed one stays");
	assert!(config.catalog().get_signed(&id(&n1)).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn clear_unsigned_forgets_those_and_no_others() {
	let network = unique();
	let [n0, n1, n2] = hermits(network).await;
	assert!(!n0.discovery().clear_unsigned());
	assert!(n0.discovery().feed(n1.discovery().me()));
	let unsigned = n2.discovery().me().into_unsigned();
	let unsigned = unsigned.update_address(id(&n2).into()).unwrap();
	assert!(n0.discovery().insert(unsigned));
	assert!(n0.discovery().clear_unsigned());
	assert!(knows(&n0, &n1) && !knows(&n0, &n2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_peer_is_forgotten() {
	let network = unique();
	let [n0, n1] = hermits(network).await;
	let stranger = mosaik::SecretKey::generate().public();
	assert!(!n0.discovery().remove(stranger));
	// A peer that cannot be reached will not be heard of again.
	let entry = n1.discovery().me();
	n1.shutdown().await;
	assert!(n0.discovery().feed(entry));
	let mut events = n0.discovery().events();
	assert!(n0.discovery().remove(id(&n1)));
	assert!(!knows(&n0, &n1));
	event(&mut events, |event| {
		matches!(event, Event::PeerDeparted(_)).then_some(())
	})
	.await;
	assert!(!n0.discovery().remove(id(&n1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_a_signed_entry_can_be_changed() {
	let network = unique();
	let [n0, n1] = hermits(network).await;
	n1.discovery().add_tags("honest");
	let honest = n1.discovery().me();
	let bytes = postcard::to_allocvec(&honest).unwrap();
	let accepted = |bytes: &[u8]| {
		postcard::from_bytes::<SignedPeerEntry>(bytes).is_ok_and(|entry| n0.discovery().feed(entry))
	};
	for at in 0..bytes.len() {
		let mut forged = bytes.clone();
		forged[at] ^= 1;
		assert!(!accepted(&forged), "byte {at} was changed unnoticed");
	}
	assert!(!knows(&n0, &n1));
	assert!(accepted(&bytes));
	assert!(!accepted(&bytes), "no news");
	assert!(knows(&n0, &n1));
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_signed_by_their_owner_only() {
	let [n0, n1] = hermits(unique()).await;
	let entry = n1.discovery().me().into_unsigned().add_tags("forged");
	let error = entry.clone().sign(n0.local().secret_key()).unwrap_err();
	assert!(matches!(error, Error::InvalidSecretKey(..)), "{error:?}");
	let error = entry.update_address(addr(&n0)).unwrap_err();
	assert!(matches!(error, Error::PeerIdChanged(..)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_version_wins_whatever_the_order() {
	let network = unique();
	let [n0, n1] = hermits(network).await;
	let old = n1.discovery().me();
	n1.discovery().add_tags("newer");
	let new = n1.discovery().me();
	assert!(new.is_newer_than(&old) && !old.is_newer_than(&new));
	assert!(new.update_version() > old.update_version());
	assert!(n0.discovery().feed(new.clone()));
	assert!(!n0.discovery().feed(old));
	assert_eq!(n0.discovery().catalog().get_signed(&id(&n1)), Some(&new));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_tells_about_its_peer() {
	let network = unique();
	let config = Config::builder().with_tags(["a", "b"]);
	let n0 = local_with(network, config).build().await.unwrap();
	let me = n0.discovery().me();
	assert_eq!(me.id(), &id(&n0));
	assert_eq!(me.network_id(), &network);
	assert_eq!(me.address(), &addr(&n0));
	assert_eq!(me.tags().len(), 2);
	assert!(me.uptime() < Duration::from_secs(60));
	assert!(me.started_at() <= me.updated_at());
	assert!(PeerId::from(&me) == id(&n0));
	let json = serde_json::to_string(&me).unwrap();
	assert_eq!(serde_json::from_str::<SignedPeerEntry>(&json).unwrap(), me);
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_beyond_the_maximal_round_trip_time_are_hidden() {
	let network = unique();
	let config = Config::builder()
		.with_max_rtt(Duration::from_nanos(1))
		.with_rtt_probe_interval(Duration::from_millis(100));
	let n0 = local_with(network, config).build().await.unwrap();
	let mut events = n0.discovery().events();
	let n1 = node(network).await;
	// Before there is a sample it is shown.
	event(&mut events, |event| {
		matches!(event, Event::PeerDiscovered(_)).then_some(())
	})
	.await;
	until(&n0, "n1 hidden", |c| {
		c.get(&id(&n1)).is_some() && c.peers_count() == 0 && c.peers().count() == 0
	})
	.await;
	until(&n1, "n0 shown", |c| c.peers_count() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_without_news_are_purged_when_nobody_can_be_reached() {
	let network = unique();
	let config = hermit_config().with_purge_after(Duration::from_secs(1));
	let n0 = local_with(network, config).build().await.unwrap();
	let [n1] = hermits(network).await;
	let entry = n1.discovery().me().into_unsigned();
	n1.shutdown().await;
	let mut events = n0.discovery().events();
	assert!(n0.discovery().insert(entry));
	event(&mut events, |event| {
		matches!(event, Event::PeerDeparted(_)).then_some(())
	})
	.await;
	eventually("hidden", || n0.discovery().catalog().peers_count() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_entries_arrive() {
	let [n0, n1] = nodes().await;
	let large = |n: u8| mosaik::tickets::Ticket::new("large".into(), vec![n; 8 * 1024].into());
	n0.discovery().add_ticket(large(1));
	n0.discovery().add_ticket(large(2));
	until(&n1, "both", |c| {
		c.get(&id(&n0)).is_some_and(|e| e.tickets().len() == 2)
	})
	.await;
	let entry = n1.discovery().catalog().get(&id(&n0)).unwrap().clone();
	assert_eq!(entry.tickets()[&large(2).id()], large(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_at_the_moment_of_meeting_succeeds() {
	for round in 0..30 {
		let id = unique();
		let (n0, n1) = (node(id).await, node(id).await);
		let synced = n0.discovery().sync_with(n1.local().addr()).await;
		assert!(synced.is_ok(), "round {round}: {synced:?}");
	}
}
