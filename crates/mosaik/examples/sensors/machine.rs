//! Reads the machine. Linux tells all of it in `/proc`; what a system does not
//! tell is left out of the readings.

use {
	crate::reading::{Interface, Memory},
	std::{collections::BTreeMap, fs, time::Instant},
};

/// The machine, with the counters of the last reading: rates are differences.
#[derive(Debug)]
pub(crate) struct Machine {
	at: Instant,
	counters: BTreeMap<String, Counters>,
}

/// Bytes since the machine started.
#[derive(Debug, Clone, Copy)]
struct Counters {
	received: u64,
	sent: u64,
}

impl Machine {
	pub(crate) fn new() -> Self {
		Self {
			at: Instant::now(),
			counters: counters(),
		}
	}

	/// Whether this system tells anything at all.
	pub(crate) fn is_readable(&self) -> bool {
		load().is_some() || memory().is_some()
	}

	/// What the machine calls itself.
	pub(crate) fn name() -> Option<String> {
		let name = fs::read_to_string("/proc/sys/kernel/hostname").ok();
		let name = name.or_else(|| std::env::var("HOSTNAME").ok())?;
		let name = name.trim();
		(!name.is_empty()).then(|| name.to_owned())
	}

	/// The traffic since this was last asked for, of the interfaces that had any.
	pub(crate) fn interfaces(&mut self) -> Vec<Interface> {
		let now = Instant::now();
		let seconds = now.duration_since(self.at).as_secs_f64().max(1e-3);
		let counters = counters();
		let rate = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds;
		let interfaces = counters.iter().filter_map(|(name, new)| {
			// One that has just appeared has no rate yet.
			let old = self.counters.get(name)?;
			Some(Interface {
				name: name.clone(),
				received: rate(new.received, old.received),
				sent: rate(new.sent, old.sent),
			})
		});
		let busy = interfaces.filter(|interface| interface.received + interface.sent > 0.0);
		let busy = busy.collect();
		self.at = now;
		self.counters = counters;
		busy
	}
}

/// The load of the last 1, 5 and 15 minutes.
pub(crate) fn load() -> Option<[f32; 3]> {
	let text = fs::read_to_string("/proc/loadavg").ok()?;
	let mut loads = text.split_whitespace().map(str::parse);
	let mut next = || loads.next()?.ok();
	Some([next()?, next()?, next()?])
}

/// The memory in use and in all.
pub(crate) fn memory() -> Option<Memory> {
	let text = fs::read_to_string("/proc/meminfo").ok()?;
	// `MemTotal:       16318772 kB`
	let bytes = |key: &str| {
		let line = text.lines().find_map(|line| line.strip_prefix(key))?;
		let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
		Some(kib * 1024)
	};
	let total = bytes("MemTotal:")?;
	let used = total.saturating_sub(bytes("MemAvailable:")?);
	Some(Memory { used, total })
}

/// The counters of every interface that leads out of this machine.
fn counters() -> BTreeMap<String, Counters> {
	let text = fs::read_to_string("/proc/net/dev").unwrap_or_default();
	// Two lines of headings, then `  eth0: 123 …`: received bytes are the first
	// number, sent bytes the ninth.
	let lines = text.lines().skip(2);
	let parsed = lines.filter_map(|line| {
		let (name, numbers) = line.split_once(':')?;
		let numbers: Vec<&str> = numbers.split_whitespace().collect();
		let number = |index: usize| numbers.get(index)?.parse().ok();
		let (received, sent) = (number(0)?, number(8)?);
		Some((name.trim().to_owned(), Counters { received, sent }))
	});
	parsed.filter(|(name, _)| name != "lo").collect()
}
