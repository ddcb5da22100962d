//! What users called and what they were told, for the checker of linearizability.

use {
	super::{
		invariants::{Check, broken},
		machine::Prefix,
	},
	crate::{
		linearizability::{
			CallId, History,
			models::log::{LogOp, LogRet, in_order},
		},
		lossy::Node,
	},
	mosaik_proto::core::Instant,
	std::collections::BTreeMap,
};

/// See the module.
#[derive(Debug, Default)]
pub struct Calls {
	history: History<LogOp, LogRet>,
	commands: BTreeMap<u64, CallId>,
	reads: BTreeMap<u64, CallId>,
}

impl Calls {
	/// A user issues a command.
	pub fn issue(&mut self, at: u64, node: Node, value: u64) {
		let call = self.history.invoke(Instant(at), node, LogOp::Append(value));
		self.commands.insert(value, call);
	}

	/// It was acknowledged; its index may be unknown.
	pub fn done(&mut self, at: u64, value: u64, index: Option<u64>) {
		if let Some(call) = self.commands.remove(&value) {
			match index {
				Some(index) => self
					.history
					.complete(Instant(at), call, LogRet::Index(index)),
				None => self.history.unknown(call),
			}
		}
	}

	/// A user reads.
	pub fn ask(&mut self, at: u64, node: Node, read: u64) {
		let call = self.history.invoke(Instant(at), node, LogOp::Read);
		self.reads.insert(read, call);
	}

	/// It was answered, or given up.
	pub fn answer(&mut self, at: u64, read: u64, prefix: Option<Prefix>) {
		if let Some(call) = self.reads.remove(&read) {
			match prefix {
				Some(prefix) => self
					.history
					.complete(Instant(at), call, LogRet::Holds(prefix)),
				None => self.history.failed(call),
			}
		}
	}

	/// All is over, and these are the committed commands: whether all that users
	/// were told can be explained by one log that does one thing at a time.
	///
	/// # Errors
	/// When it cannot.
	pub fn check(&mut self, committed: &[u64]) -> Check {
		let indices: BTreeMap<u64, u64> = committed.iter().copied().zip(1..).collect();
		self.history.settle(|op| match op {
			LogOp::Append(value) => indices.get(value).map(|&index| LogRet::Index(index)),
			LogOp::Read => None,
		});
		match in_order(&self.history) {
			Ok(()) => Ok(()),
			Err(disorder) => broken("linearizability", disorder.to_string()),
		}
	}

	/// What was recorded.
	pub const fn history(&self) -> &History<LogOp, LogRet> {
		&self.history
	}
}
