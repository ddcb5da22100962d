//! The disk of a process.

use super::*;

impl Node {
	pub(super) fn write(
		&mut self,
		kind: &WriteKind,
		snapshots: &mut BTreeMap<(FormationId, u64), (Base, Vec<Bytes>)>,
	) {
		match kind {
			WriteKind::Pledge { nonce, pledge } => {
				self.disk = pledge.map_or(Stored::Empty, |pledge| Stored::Pledged {
					nonce: *nonce,
					pledge,
				});
			}
			WriteKind::Begin {
				identity,
				hard_state,
				base,
			} => match &mut self.disk {
				Stored::Member {
					identity: known, ..
				} if known.member == identity.member && known.formation == identity.formation => {
					*known = *identity;
				}
				disk => {
					*disk = Stored::Member {
						identity: *identity,
						recovered: Recovered {
							hard_state: *hard_state,
							base: base.clone(),
							entries: Vec::new(),
						},
					};
				}
			},
			WriteKind::Engine(persist) => {
				let Stored::Member {
					recovered,
					identity,
				} = &mut self.disk
				else {
					panic!("the engine writes before the member began");
				};
				if let Some(hard_state) = persist.hard_state {
					recovered.hard_state = hard_state;
				}
				if let Some(install) = &persist.install {
					let index = install.base.pos.index;
					recovered.base = install.base.clone();
					let keep = |entry: &crate::groups::entry::Entry| {
						!install.reset && entry.pos.index > index
					};
					recovered.entries.retain(keep);
					self.applied = snapshots[&(identity.formation, index)].1.clone();
				}
				if let Some(base) = &persist.compact {
					let seq = usize::try_from(base.state.seq).unwrap();
					let snapshot = (base.clone(), self.applied[..seq].to_vec());
					snapshots.insert((identity.formation, base.pos.index), snapshot);
					recovered
						.entries
						.retain(|entry| entry.pos.index > base.pos.index);
					recovered.base = base.clone();
				}
				if let Some(first) = persist.append.first() {
					recovered
						.entries
						.retain(|entry| entry.pos.index < first.pos.index);
					recovered.entries.extend(persist.append.iter().cloned());
				}
			}
			WriteKind::Wipe => self.disk = Stored::Empty,
		}
	}
}
