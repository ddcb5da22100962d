use {
	super::*,
	mosaik_proto::{PeerId, SecretKey},
	std::{
		collections::BTreeSet,
		fs,
		io::{BufRead, BufReader, Write},
		path::Path,
		process::{Child, Command, Stdio},
	},
	tempfile::TempDir,
};

fn folder() -> TempDir {
	tempfile::tempdir().unwrap()
}

fn node(n: u16) -> EndpointAddr {
	let mut key = [7; 32];
	key[..2].copy_from_slice(&n.to_le_bytes());
	let id = SecretKey::from_bytes(&key).public();
	EndpointAddr::new(id).with_ip_addr(([127, 0, 0, 1], n + 1).into())
}

fn announce(base: &Path, network: &str, n: u16) -> Presence {
	Presence::announce(base, &network.into(), node(n)).unwrap()
}

fn ids(presence: &Presence) -> BTreeSet<PeerId> {
	let peers = presence.peers().unwrap();
	peers.iter().map(|addr| addr.id).collect()
}

fn expect(nodes: &[u16]) -> BTreeSet<PeerId> {
	nodes.iter().map(|n| node(*n).id).collect()
}

fn files(base: &Path, network: &str) -> usize {
	let network = NetworkId::from(network);
	fs::read_dir(base.join(network.to_string())).map_or(0, Iterator::count)
}

#[test]
fn two_of_one_network_see_each_other_and_go_without_trace() {
	let base = folder();
	let a = announce(base.path(), "x", 1);
	let b = announce(base.path(), "x", 2);
	let other = announce(base.path(), "y", 3);
	assert_eq!(a.peers().unwrap(), [node(2)]);
	assert_eq!(b.peers().unwrap(), [node(1)]);
	assert_eq!(other.peers().unwrap(), []);
	drop(b);
	assert_eq!(a.peers().unwrap(), []);
	drop((a, other));
	assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
}

#[test]
fn a_new_address_replaces_the_old_one_and_a_lost_file_returns() {
	let base = folder();
	let mut a = announce(base.path(), "x", 1);
	let b = announce(base.path(), "x", 2);
	let moved = node(1).with_ip_addr(([192, 0, 2, 1], 9).into());
	a.update(moved.clone()).unwrap();
	assert_eq!(b.peers().unwrap().first(), Some(&moved));
	assert_eq!(files(base.path(), "x"), 2);

	fs::remove_file(a.path()).unwrap();
	assert_eq!(b.peers().unwrap(), []);
	a.update(moved.clone()).unwrap();
	assert_eq!(b.peers().unwrap(), [moved]);
}

#[test]
fn one_that_takes_over_the_name_keeps_it() {
	let base = folder();
	let mut old = announce(base.path(), "x", 1);
	let new = announce(base.path(), "x", 1);
	old.update(node(1)).unwrap();
	assert!(old.own.identity != new.own.identity);
	drop(old);
	assert_eq!(files(base.path(), "x"), 1, "the successor's file stays");
}

#[test]
fn what_the_dead_left_is_removed_and_garbage_is_ignored() {
	let base = folder();
	let a = announce(base.path(), "x", 1);
	let network = a.folder.clone();
	let named = |n: u16| network.join(node(n).id.to_string());
	// A dead process: nobody holds the lock.
	fs::write(named(2), presence::encode(&node(2))).unwrap();
	// Live owners of nonsense: not an address, too long, somebody else's, none.
	let nonsense = [
		vec![1, 2, 3],
		vec![0; 1 << 20],
		presence::encode(&node(9)),
		presence::encode(&EndpointAddr::new(node(6).id)),
	];
	let _owners: Vec<_> = (3..)
		.zip(nonsense)
		.map(|(n, bytes)| {
			fs::write(named(n), bytes).unwrap();
			let file = fs::File::open(named(n)).unwrap();
			file.try_lock().unwrap();
			file
		})
		.collect();
	fs::write(network.join("README"), "hello").unwrap();
	fs::create_dir(named(7)).unwrap();
	#[cfg(unix)]
	std::os::unix::fs::symlink("/dev/zero", named(8)).unwrap();

	assert_eq!(a.peers().unwrap(), []);
	assert!(!named(2).exists());
	assert!(named(3).exists() && network.join("README").exists());
}

#[test]
fn a_draft_is_removed_when_it_is_old_and_abandoned() {
	let base = folder();
	let a = announce(base.path(), "x", 1);
	let [fresh, old, held] = ["fresh", "old", "held"].map(|name| a.folder.join(format!(".{name}")));
	let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
	let make = |path: &Path, at| {
		let file = fs::File::create(path).unwrap();
		file.set_modified(at).unwrap();
		file
	};
	make(&fresh, std::time::SystemTime::now());
	make(&old, long_ago);
	let holder = make(&held, long_ago);
	holder.try_lock().unwrap();
	a.peers().unwrap();
	assert!(fresh.exists() && held.exists() && !old.exists());
}

#[test]
fn a_hundred_at_once_all_find_each_other() {
	let base = folder();
	let barrier = std::sync::Barrier::new(100);
	let start = |n| {
		barrier.wait();
		let presence = announce(base.path(), "x", n);
		let first = ids(&presence);
		barrier.wait();
		(n, first, ids(&presence), presence)
	};
	let results: Vec<_> = std::thread::scope(|scope| {
		let threads: Vec<_> = (0..100).map(|n| scope.spawn(move || start(n))).collect();
		threads.into_iter().map(|t| t.join().unwrap()).collect()
	});
	for (n, first, later, _) in &results {
		assert_eq!(later.len(), 99, "{n} saw {}", later.len());
		// Of any two, at least one saw the other in its very first look.
		for (m, seen, ..) in results.iter().filter(|(m, ..)| m != n) {
			assert!(first.contains(&node(*m).id) || seen.contains(&node(*n).id));
		}
	}
}

#[test]
fn networks_do_not_see_each_other() {
	let base = folder();
	let all: Vec<_> = (0..60)
		.map(|n| (n % 20, announce(base.path(), &format!("net {}", n % 20), n)))
		.collect();
	for (i, (network, presence)) in all.iter().enumerate() {
		let own = u16::try_from(i).unwrap();
		let others: Vec<u16> = (0..60)
			.filter(|n| n % 20 == *network && *n != own)
			.collect();
		assert_eq!(ids(presence), expect(&others));
	}
}

#[test]
fn a_crowd_is_bounded() {
	let base = folder();
	let all: Vec<_> = (0..300).map(|n| announce(base.path(), "x", n)).collect();
	assert_eq!(ids(&all[0]).len(), 256);
}

const CHILD: &str = "MOSAIK_TEST_HOST_CHILD";

/// What the child says when its file is there.
const ANNOUNCED: &str = "the child is announced";

/// Not a test but the other process of one.
#[test]
fn child() {
	let Some(base) = std::env::var_os(CHILD) else {
		return;
	};
	let presence = announce(Path::new(&base), "x", 2);
	writeln!(std::io::stdout(), "{ANNOUNCED}").unwrap();
	// Lives until it is killed, or its parent dies and closes the pipe.
	let _ = std::io::stdin().read_line(&mut String::new());
	drop(presence);
}

/// Returns when the child has announced itself; what it says further is not read.
fn spawn_child(base: &Path) -> (Child, impl Sized) {
	let name = "discovery::host::tests::child";
	let mut child = Command::new(std::env::current_exe().unwrap())
		.args([name, "--exact", "--nocapture"])
		.env(CHILD, base)
		.stdin(Stdio::piped())
		.stdout(Stdio::piped())
		.spawn()
		.unwrap();
	let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
	// The test's harness has its say on the same line.
	let announced = lines.find(|line| line.as_ref().unwrap().ends_with(ANNOUNCED));
	assert!(announced.is_some(), "the child ended before its time");
	(child, lines)
}

#[test]
fn a_killed_process_leaves_a_file_that_the_next_reader_removes() {
	let base = folder();
	let a = announce(base.path(), "x", 1);
	let (mut child, _output) = spawn_child(base.path());
	assert_eq!(ids(&a), expect(&[2]));
	assert_eq!(files(base.path(), "x"), 2);

	child.kill().unwrap();
	child.wait().unwrap();
	assert_eq!(
		files(base.path(), "x"),
		2,
		"a killed process cannot tidy up"
	);
	assert_eq!(a.peers().unwrap(), []);
	assert_eq!(files(base.path(), "x"), 1);

	// And one that ends by itself does.
	let (mut child, _output) = spawn_child(base.path());
	assert_eq!(ids(&a), expect(&[2]));
	drop(child.stdin.take());
	child.wait().unwrap();
	assert_eq!(files(base.path(), "x"), 1);
}

#[tokio::test]
async fn drivers_find_each_other_in_milliseconds_and_follow_moves() {
	let base = folder();
	let start = |n| {
		let (own, watch) = watch::channel(node(n));
		let (sender, found) = mpsc::channel(8);
		let host = Host::new("x".into()).with_folder(base.path());
		(own, found, host.run(watch, sender))
	};
	let (own_a, mut found_a, run_a) = start(1);
	let (own_b, mut found_b, run_b) = start(2);
	let moved = node(1).with_ip_addr(([192, 0, 2, 1], 9).into());
	let scenario = async {
		assert_eq!(found_a.recv().await, Some(node(2)));
		assert_eq!(found_b.recv().await, Some(node(1)));
		own_a.send(moved.clone()).unwrap();
		while found_b.recv().await != Some(moved.clone()) {}
		// The user's session ended and took the folder with it.
		fs::remove_dir_all(base.path()).unwrap();
		drop(own_b);
		while found_a.try_recv().is_ok() {}
		assert_eq!(found_a.recv().await, Some(node(2)));
	};
	tokio::select! {
		() = run_a => panic!("ended"),
		() = run_b => panic!("ended"),
		() = scenario => {}
	}
}

#[tokio::test]
async fn the_driver_ends_with_its_queue_and_removes_its_file() {
	let base = folder();
	let (_own, watch) = watch::channel(node(1));
	let (sender, found) = mpsc::channel(1);
	let run = Host::new("x".into())
		.with_folder(base.path())
		.run(watch, sender);
	let close = async {
		while files(base.path(), "x") == 0 {
			tokio::task::yield_now().await;
		}
		drop(found);
	};
	tokio::join!(run, close);
	assert_eq!(files(base.path(), "x"), 0);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_harms_nobody() {
	let base = folder();
	let file = base.path().join("file");
	fs::write(&file, "").unwrap();
	let (_own, watch) = watch::channel(node(1));
	let (sender, found) = mpsc::channel(1);
	let run = Host::new("x".into()).with_folder(&file).run(watch, sender);
	let wait = tokio::time::timeout(Duration::from_millis(200), run);
	assert!(wait.await.is_err(), "it goes on trying");
	assert!(found.is_empty());
}

#[tokio::test]
async fn with_nothing_configured_two_meet() {
	let network = NetworkId::random();
	let start = |n| {
		let (own, watch) = watch::channel(node(n));
		let (sender, found) = mpsc::channel(8);
		(own, found, Host::new(network).run(watch, sender))
	};
	let (_own_a, mut found_a, run_a) = start(1);
	let (_own_b, mut found_b, run_b) = start(2);
	let meet = async { tokio::join!(found_a.recv(), found_b.recv()) };
	tokio::select! {
		met = meet => assert_eq!(met, (Some(node(2)), Some(node(1)))),
		() = run_a => panic!("ended"),
		() = run_b => panic!("ended"),
	}
}
