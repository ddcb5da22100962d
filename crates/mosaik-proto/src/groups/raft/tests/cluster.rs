//! Several members and what is between and below them.

use {
	super::{disk, m, settings},
	crate::groups::{
		engine::{CoreEvent, Engine, Persist, ReadDone, Recovered, SnapshotFetch, SnapshotResult},
		entry::{Entry, EntryKind},
		message::Msg,
		raft::Raft,
		settings::Settings,
		types::{LogIndex, Term, Ticks},
	},
	bytes::Bytes,
	std::collections::{BTreeMap, BTreeSet, VecDeque},
};

/// A member with its disk and its state machine.
pub(super) struct Node {
	pub(super) raft: Raft,
	pub(super) disk: Recovered,
	/// Whether the test says when a write is done.
	pub(super) by_hand: bool,
	/// Writes that were begun and are not done.
	pub(super) writes: VecDeque<Persist>,
	/// Whether the test says how a fetch ends.
	pub(super) fetch_by_hand: bool,
	pub(super) fetches: Vec<SnapshotFetch>,
	/// The commands that the state machine was given, in order.
	pub(super) commands: Vec<Bytes>,
	pub(super) events: Vec<CoreEvent>,
	pub(super) reads: Vec<ReadDone>,
	pub(super) up: bool,
}

/// Whether a message is concerned.
type Filter = Box<dyn Fn(u64, u64, &Msg) -> bool>;

pub(super) struct Cluster {
	pub(super) nodes: BTreeMap<u64, Node>,
	pub(super) links: BTreeMap<(u64, u64), VecDeque<Msg>>,
	pub(super) now: Ticks,
	pub(super) settings: Settings,
	pub(super) cut: BTreeSet<(u64, u64)>,
	lost: Option<Filter>,
	held: Option<Filter>,
	/// Who led in each term.
	pub(super) leaders: BTreeMap<Term, u64>,
	/// What was applied at each index, by whomever.
	history: BTreeMap<LogIndex, Entry>,
	/// The commands that each origin issued.
	pub(super) issued: BTreeMap<u64, u64>,
}

impl Cluster {
	/// `n` founders with nothing in their logs.
	pub(super) fn of(n: u64) -> Self {
		Self::with(n, settings())
	}

	pub(super) fn with(n: u64, settings: Settings) -> Self {
		let logs: Vec<&[Term]> = (0..n).map(|_| &[][..]).collect();
		Self::with_logs(settings, &logs)
	}

	/// Founders whose logs have entries of these terms.
	pub(super) fn with_logs(settings: Settings, logs: &[&[Term]]) -> Self {
		let n = logs.len() as u64;
		let mut cluster = Self {
			nodes: BTreeMap::new(),
			links: BTreeMap::new(),
			now: 0,
			settings,
			cut: BTreeSet::new(),
			lost: None,
			held: None,
			leaders: BTreeMap::new(),
			history: BTreeMap::new(),
			issued: BTreeMap::new(),
		};
		for (id, terms) in (1..).zip(logs) {
			cluster.start(id, disk(n, terms));
		}
		cluster
	}

	/// Starts a member with what is on its disk.
	pub(super) fn start(&mut self, id: u64, disk: Recovered) {
		let mut raft = Raft::new(m(id), self.settings.clone(), disk.clone(), id).unwrap();
		raft.tick(self.now);
		let until = disk.base.pos.index;
		let node = Node {
			raft,
			commands: self.commands_until(until),
			disk,
			by_hand: false,
			writes: VecDeque::new(),
			fetch_by_hand: false,
			fetches: Vec::new(),
			events: Vec::new(),
			reads: Vec::new(),
			up: true,
		};
		self.nodes.insert(id, node);
		self.pump(id);
	}

	/// The member crashes: what was not written is lost, and what is under way.
	pub(super) fn crash(&mut self, id: u64) {
		self.node(id).up = false;
		self.links.retain(|(from, to), _| *from != id && *to != id);
	}

	pub(super) fn restart(&mut self, id: u64) {
		let disk = self.node(id).disk.clone();
		self.start(id, disk);
	}

	pub(super) fn node(&mut self, id: u64) -> &mut Node {
		self.nodes.get_mut(&id).unwrap()
	}

	pub(super) fn raft(&self, id: u64) -> &Raft {
		&self.nodes[&id].raft
	}

	fn commands_until(&self, index: LogIndex) -> Vec<Bytes> {
		let entries = self.history.range(..=index).map(|(_, entry)| entry);
		entries.flat_map(payloads).collect()
	}

	/// Does what the member wants done.
	pub(super) fn pump(&mut self, id: u64) {
		while let Some(ready) = self.node(id).raft.ready() {
			if let Some(persist) = ready.persist {
				self.node(id).writes.push_back(persist);
			}
			for (to, msg) in ready.send {
				assert_ne!(to, m(id), "nobody sends to itself");
				self.post(id, to.get(), msg);
			}
			if let Some(range) = ready.apply {
				self.apply(id, range.clone());
				self.node(id).raft.on_applied(*range.end());
			}
			let node = self.node(id);
			node.reads.extend(ready.reads);
			node.events.extend(ready.events);
			node.fetches.extend(ready.fetch);
			if !self.node(id).by_hand {
				self.write(id);
			}
			if !self.node(id).fetch_by_hand {
				for fetch in std::mem::take(&mut self.node(id).fetches) {
					self.fetch(id, fetch);
				}
			}
		}
		self.check(id);
	}

	fn post(&mut self, from: u64, to: u64, msg: Msg) {
		let lost = self.lost.as_ref().is_some_and(|lost| lost(from, to, &msg));
		let is_up = self.nodes.get(&to).is_some_and(|node| node.up);
		if !lost && is_up && !self.cut.contains(&(from, to)) {
			self.links.entry((from, to)).or_default().push_back(msg);
		}
	}

	/// All writes that were begun are done.
	fn write(&mut self, id: u64) {
		while !self.node(id).writes.is_empty() {
			self.write_one(id);
		}
	}

	/// The oldest write is done. Does not take what follows from it.
	pub(super) fn write_one(&mut self, id: u64) {
		let write = self.node(id).writes.pop_front().unwrap();
		let token = write.token;
		if let Some(install) = &write.install {
			let commands = self.commands_until(install.base.pos.index);
			self.node(id).commands = commands;
		}
		let node = self.node(id);
		write_to(&mut node.disk, write);
		node.raft.on_persisted(token);
	}

	/// The write that `write_one` does, and what follows.
	pub(super) fn persist(&mut self, id: u64) {
		self.write_one(id);
		self.pump(id);
	}

	fn apply(&mut self, id: u64, range: std::ops::RangeInclusive<LogIndex>) {
		let entries: Vec<Entry> = self.raft(id).entries(range.clone()).cloned().collect();
		assert_eq!(entries.first().unwrap().pos.index, *range.start());
		assert_eq!(entries.last().unwrap().pos.index, *range.end());
		for entry in entries {
			self.node(id).commands.extend(payloads(&entry));
			let index = entry.pos.index;
			let known = self.history.entry(index).or_insert_with(|| entry.clone());
			assert_eq!(*known, entry, "one entry is applied at an index (§3.6.3)");
		}
	}

	/// Fetches a snapshot from who offered it, if it still has it.
	pub(super) fn fetch(&mut self, id: u64, fetch: SnapshotFetch) {
		let pos = fetch.pos;
		let source = self.nodes.get(&fetch.from.get());
		let base = source.map(|source| source.raft.log.base().clone());
		let result = match base.filter(|base| base.pos == pos) {
			Some(base) => SnapshotResult::Fetched(base),
			None => SnapshotResult::Failed { pos },
		};
		self.node(id).raft.on_snapshot(result);
		self.pump(id);
	}

	/// Delivers the oldest message on a link.
	pub(super) fn deliver(&mut self, from: u64, to: u64) -> Option<Msg> {
		let msg = self.links.get_mut(&(from, to))?.pop_front()?;
		if self.nodes[&to].up {
			self.node(to).raft.step(m(from), msg.clone()).unwrap();
			self.pump(to);
		}
		Some(msg)
	}

	/// Delivers until nothing is under way but what is held.
	pub(super) fn settle(&mut self) {
		for _ in 0..10_000 {
			let held = |from, to, msg: &Msg| {
				let held = self.held.as_ref();
				held.is_some_and(|held| held(from, to, msg))
			};
			let next = self.links.iter().find(|((from, to), queue)| {
				queue.front().is_some_and(|msg| !held(*from, *to, msg))
			});
			let Some((&(from, to), _)) = next else {
				return;
			};
			self.deliver(from, to);
		}
		panic!("messages never cease: {:?}", self.links);
	}

	/// Time passes; messages take none.
	pub(super) fn run(&mut self, time: Ticks) {
		let end = self.now + time;
		self.settle();
		while self.now < end {
			let up = self.nodes.values().filter(|node| node.up);
			let wakeups = up.filter_map(|node| node.raft.next_wakeup());
			self.now = wakeups.min().map_or(end, |at| at.clamp(self.now + 1, end));
			let up: Vec<u64> = self.up();
			for id in up {
				let now = self.now;
				self.node(id).raft.tick(now);
				self.pump(id);
			}
			self.settle();
		}
	}

	pub(super) fn up(&self) -> Vec<u64> {
		let up = self.nodes.iter().filter(|(_, node)| node.up);
		up.map(|(&id, _)| id).collect()
	}

	/// No message passes between these two groups from now on.
	pub(super) fn partition(&mut self, left: &[u64], right: &[u64]) {
		for &a in left {
			for &b in right {
				self.cut.insert((a, b));
				self.cut.insert((b, a));
			}
		}
		let cut = &self.cut;
		self.links.retain(|link, _| !cut.contains(link));
	}

	/// No message passes to or from this member.
	pub(super) fn isolate(&mut self, id: u64) {
		let others: Vec<u64> = self.nodes.keys().copied().filter(|n| *n != id).collect();
		self.partition(&[id], &others);
	}

	pub(super) fn heal(&mut self) {
		self.cut.clear();
		self.lost = None;
		self.held = None;
	}

	pub(super) fn lose(&mut self, lost: impl Fn(u64, u64, &Msg) -> bool + 'static) {
		self.lost = Some(Box::new(lost));
	}

	pub(super) fn hold(&mut self, held: impl Fn(u64, u64, &Msg) -> bool + 'static) {
		self.held = Some(Box::new(held));
	}

	/// The messages that are under way between two members.
	pub(super) fn link(&self, from: u64, to: u64) -> Vec<Msg> {
		let queue = self.links.get(&(from, to));
		queue.map_or_else(Vec::new, |queue| queue.iter().cloned().collect())
	}
}

fn payloads(entry: &Entry) -> Vec<Bytes> {
	match &entry.kind {
		EntryKind::Commands(batch) => batch.iter().map(|c| c.payload.clone()).collect(),
		_ => Vec::new(),
	}
}

/// Does a write, in the order that it says.
pub(super) fn write_to(disk: &mut Recovered, write: Persist) {
	if let Some(hard_state) = write.hard_state {
		disk.hard_state = hard_state;
	}
	if let Some(install) = write.install {
		let index = install.base.pos.index;
		disk.base = install.base;
		disk.entries
			.retain(|entry| !install.reset && entry.pos.index > index);
	}
	if let Some(base) = write.compact {
		disk.entries
			.retain(|entry| entry.pos.index > base.pos.index);
		disk.base = base;
	}
	if let Some(first) = write.append.first().map(|entry| entry.pos.index) {
		disk.entries.retain(|entry| entry.pos.index < first);
		disk.entries.extend(write.append);
	}
}
