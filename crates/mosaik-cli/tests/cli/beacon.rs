use {
	crate::process::{LOCAL, Process, run, unique},
	mosaik::network::PeerAddr,
	std::fs,
};

#[test]
fn a_beacon_prints_its_address_and_keeps_its_id() {
	let folder = tempfile::tempdir().unwrap();
	let key = folder.path().join("keys/beacon.key");
	let name = unique();
	let mut args = vec!["beacon", "-n", &name, "--listen", "127.0.0.1:0"];
	args.extend(["--key-file", key.to_str().unwrap()]);
	args.extend(LOCAL);

	let first = Process::start(&args);
	let ready = first.event("ready");
	let PeerAddr(addr) = ready["bootstrap"].as_str().unwrap().parse().unwrap();
	assert_eq!(ready["id"], addr.id.to_string());
	assert!(addr.ip_addrs().all(|ip| ip.ip().is_loopback()));
	assert_eq!(addr.ip_addrs().count(), 1);
	drop(first);

	let second = Process::start(&args);
	assert_eq!(second.event("ready")["id"], ready["id"]);
}

#[cfg(unix)]
#[test]
fn the_key_is_for_its_owner_only() {
	use std::os::unix::fs::PermissionsExt;
	let folder = tempfile::tempdir().unwrap();
	let key = folder.path().join("beacon.key");
	let name = unique();
	let mut args = vec!["beacon", "-n", &name, "--key-file", key.to_str().unwrap()];
	args.extend(LOCAL);
	let beacon = Process::start(&args);
	beacon.event("ready");
	let mode = fs::metadata(&key).unwrap().permissions().mode();
	assert_eq!(mode & 0o777, 0o600);
	assert!(beacon.interrupt().success());

	fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
	let refused = run(&args);
	assert_eq!(refused.status.code(), Some(1));
	assert!(String::from_utf8_lossy(&refused.stderr).contains("chmod 600"));
}
