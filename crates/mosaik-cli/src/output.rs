//! Lines for people, or for programs.

use {
	crate::Result,
	chrono::{DateTime, Local, SecondsFormat, Utc},
	serde::Serialize,
	std::{
		error::Error,
		fmt::Display,
		io::{self, Write},
	},
	tokio::signal,
};

/// Standard output. A line is written at once: whoever reads it may wait for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
	json: bool,
}

impl Output {
	pub(crate) const fn new(json: bool) -> Self {
		Self { json }
	}

	/// Whether programs read this.
	pub(crate) const fn is_json(self) -> bool {
		self.json
	}

	/// A line for people; nothing for programs.
	pub(crate) fn say(self, text: impl Display) -> Result {
		if !self.json {
			writeln!(io::stdout(), "{text}")?;
		}
		Ok(())
	}

	/// An object for programs; nothing for people.
	pub(crate) fn object(self, object: &impl Serialize) -> Result {
		if self.json {
			let line = serde_json::to_string(object)?;
			writeln!(io::stdout(), "{line}")?;
		}
		Ok(())
	}
}

/// Whether the reader of our output has gone, as in `mosaik peers | head`: no
/// failure of ours.
pub(crate) fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
	error
		.downcast_ref::<io::Error>()
		.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The time for people.
pub(crate) fn clock() -> impl Display {
	Local::now().format("%H:%M:%S")
}

/// The time for programs.
pub(crate) fn timestamp(at: impl Into<DateTime<Utc>>) -> String {
	at.into().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The time for programs, now.
pub(crate) fn now() -> String {
	timestamp(Utc::now())
}

/// Resolves when the user or the system wants this program to end. Signals count
/// from the call on, not only once the future is polled.
pub(crate) fn stopped() -> impl Future<Output = ()> {
	#[cfg(unix)]
	let terminate = {
		use signal::unix::{SignalKind, signal};
		(
			signal(SignalKind::interrupt()),
			signal(SignalKind::terminate()),
		)
	};
	async move {
		#[cfg(unix)]
		if let (Ok(mut interrupt), Ok(mut terminate)) = terminate {
			tokio::select! {
				_ = interrupt.recv() => {}
				_ = terminate.recv() => {}
			}
			return;
		}
		// Without it we are ended the hard way, and the others find out by themselves.
		if signal::ctrl_c().await.is_err() {
			std::future::pending::<()>().await;
		}
	}
}
