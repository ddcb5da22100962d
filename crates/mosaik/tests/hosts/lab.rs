//! Hosts: network namespaces, and the cables between them.

use std::{
	net::Ipv4Addr,
	os::unix::fs::MetadataExt,
	process::{Command, Output},
	sync::atomic::{AtomicU32, Ordering},
};

/// The hosts of one test and the switch or router between them; gone on drop.
///
/// Keep processes in variables declared after it: they end first then.
#[derive(Debug)]
pub(crate) struct Lab {
	names: Vec<String>,
}

impl Lab {
	/// So many hosts that are not connected; nothing where that cannot be had.
	pub(crate) fn new(hosts: usize) -> Option<Self> {
		static LABS: AtomicU32 = AtomicU32::new(0);
		if let Err(reason) = available() {
			println!("skipped: {reason}");
			return None;
		}
		let pid = std::process::id();
		let lab = LABS.fetch_add(1, Ordering::Relaxed);
		let mut this = Self { names: Vec::new() };
		for host in 0..hosts {
			let name = format!("mosaik-{pid}-{lab}-{host}");
			ip(&format!("netns add {name}"));
			this.names.push(name);
			this.on(host, "link set lo up");
		}
		Some(this)
	}

	/// The namespace of a host.
	pub(crate) fn name(&self, host: usize) -> Option<&str> {
		Some(&self.names[host])
	}

	/// Runs `ip` on a host.
	pub(crate) fn on(&self, host: usize, command: &str) {
		ip(&format!("-n {} {command}", self.names[host]));
	}

	/// Lays a cable between two hosts and gives each end its address, of a /24.
	pub(crate) fn connect(&self, [a, b]: [usize; 2], addresses: [Ipv4Addr; 2]) {
		self.cable([a, b]);
		for (host, other, address) in [(a, b, addresses[0]), (b, a, addresses[1])] {
			self.on(host, &format!("addr add {address}/24 dev to{other}"));
		}
	}

	/// Makes a host a switch for others, which get the addresses 10.66.0.1 and
	/// so on, in their order.
	pub(crate) fn switch(&self, switch: usize, hosts: &[usize]) {
		self.on(switch, "link add switch type bridge");
		self.on(switch, "link set switch up");
		for (host, last) in hosts.iter().zip(1..) {
			self.cable([switch, *host]);
			self.plug(switch, *host);
			let address = Ipv4Addr::new(10, 66, 0, last);
			self.on(*host, &format!("addr add {address}/24 dev to{switch}"));
		}
	}

	/// Takes a host's cable out of the switch. The host does not notice.
	pub(crate) fn unplug(&self, switch: usize, host: usize) {
		self.on(switch, &format!("link set to{host} nomaster"));
	}

	/// Puts it back.
	pub(crate) fn plug(&self, switch: usize, host: usize) {
		self.on(switch, &format!("link set to{host} master switch"));
	}

	/// Lets multicast out of a host.
	pub(crate) fn allow_multicast(&self, host: usize, to: usize) {
		self.on(host, &format!("route add 224.0.0.0/4 dev to{to}"));
	}

	fn cable(&self, [a, b]: [usize; 2]) {
		let [name_a, name_b] = [&self.names[a], &self.names[b]];
		ip(&format!(
			"link add to{b} netns {name_a} type veth peer name to{a} netns {name_b}"
		));
		self.on(a, &format!("link set to{b} up"));
		self.on(b, &format!("link set to{a} up"));
	}
}

impl Drop for Lab {
	fn drop(&mut self) {
		for name in &self.names {
			// The cables go with it. Should it fail, there is nothing to be done.
			let _ = try_ip(&format!("netns del {name}"));
		}
	}
}

fn available() -> Result<(), String> {
	let user = std::fs::metadata("/proc/self").map(|process| process.uid());
	if user.ok() != Some(0) {
		return Err("network namespaces need root".to_owned());
	}
	let output = try_ip("netns list").map_err(|error| format!("there is no `ip`: {error}"))?;
	if !output.status.success() {
		return Err("`ip netns` does not work".to_owned());
	}
	Ok(())
}

#[track_caller]
fn ip(command: &str) {
	let output = try_ip(command).unwrap();
	let error = String::from_utf8_lossy(&output.stderr);
	assert!(output.status.success(), "ip {command}: {error}");
}

fn try_ip(command: &str) -> std::io::Result<Output> {
	Command::new("ip").args(command.split(' ')).output()
}
