//! A connection before its hello is done.

use {
	super::frame::var_int, iroh::endpoint::Connection, mosaik_proto::wire::CloseCode,
	tracing::debug,
};

/// Closes a connection that was not taken.
pub(super) struct Untaken(Option<Connection>);

impl Untaken {
	pub(super) const fn new(conn: Connection) -> Self {
		Self(Some(conn))
	}

	/// The connection.
	pub(super) fn conn(&self) -> &Connection {
		self.0
			.as_ref()
			.expect("only `taken` and `refuse` remove it, and they consume self")
	}

	/// The connection was taken and lives on.
	pub(super) fn taken(mut self) {
		self.0 = None;
	}

	/// Tells the peer why it is not taken.
	pub(super) fn refuse(mut self, code: CloseCode, reason: &str) {
		if let Some(conn) = self.0.take() {
			debug!(peer = %conn.remote_id().fmt_short(), %code, reason, "refusing a connection");
			conn.close(var_int(code), reason.as_bytes());
		}
	}
}

impl Drop for Untaken {
	fn drop(&mut self) {
		if let Some(conn) = self.0.take() {
			conn.close(
				var_int(CloseCode::Superseded),
				b"another connection is used",
			);
		}
	}
}
