//! What is shown: a line per event, in colour on a terminal, plain elsewhere.

use {
	crate::reading::{Interface, Reading},
	chrono::Local,
	std::{
		fmt::Display,
		io::{self, IsTerminal, Write},
	},
};

const DIM: &str = "2";
const GREEN: &str = "32";
const YELLOW: &str = "33";

/// Names shorter than this leave the columns where they are.
const NAME_WIDTH: usize = 12;

/// The terminal.
#[derive(Debug)]
pub(crate) struct View {
	colours: bool,
}

impl View {
	pub(crate) fn new() -> Self {
		let wanted = std::env::var_os("NO_COLOR").is_none();
		Self {
			colours: wanted && io::stdout().is_terminal(),
		}
	}

	/// Something to know that is no event.
	pub(crate) fn note(&self, text: impl Display) -> io::Result<()> {
		writeln!(io::stdout(), "{text}")
	}

	pub(crate) fn own(&self, reading: &Reading) -> io::Result<()> {
		let text = format!(
			"  {:NAME_WIDTH$}  {}  (this node)",
			reading.name,
			values(reading)
		);
		self.line(&self.coloured(DIM, text))
	}

	pub(crate) fn other(&self, reading: &Reading, path: &str) -> io::Result<()> {
		self.line(&format!(
			"  {:NAME_WIDTH$}  {}  {path}",
			reading.name,
			values(reading)
		))
	}

	pub(crate) fn joined(&self, who: &str, tags: &[String], path: &str) -> io::Result<()> {
		let tags = if tags.is_empty() {
			String::new()
		} else {
			format!(", tags: {}", tags.join(", "))
		};
		self.line(&self.coloured(GREEN, format!("+ {who} is here{tags}, {path}")))
	}

	pub(crate) fn left(&self, who: &str) -> io::Result<()> {
		self.line(&self.coloured(YELLOW, format!("- {who} left")))
	}

	fn line(&self, text: &str) -> io::Result<()> {
		let time = self.coloured(DIM, Local::now().format("%H:%M:%S").to_string());
		writeln!(io::stdout(), "{time} {text}")
	}

	fn coloured(&self, colour: &str, text: String) -> String {
		if self.colours {
			format!("\x1b[{colour}m{text}\x1b[0m")
		} else {
			text
		}
	}
}

fn values(reading: &Reading) -> String {
	let load = reading
		.load
		.map(|[one, five, fifteen]| format!("load {one:.2} {five:.2} {fifteen:.2}"));
	let memory = reading.memory.as_ref().map(|memory| {
		let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
		format!(
			"memory {:.1}/{:.1} GiB",
			gib(memory.used),
			gib(memory.total)
		)
	});
	let interfaces = reading.interfaces.iter().map(traffic);
	let values: Vec<String> = load.into_iter().chain(memory).chain(interfaces).collect();
	if values.is_empty() {
		"nothing to read on that system".to_owned()
	} else {
		values.join("  ")
	}
}

fn traffic(interface: &Interface) -> String {
	let (received, sent) = (rate(interface.received), rate(interface.sent));
	format!("{} in {received} out {sent}", interface.name)
}

fn rate(bytes_per_second: f64) -> String {
	if bytes_per_second < 1000.0 {
		format!("{bytes_per_second:.0} B/s")
	} else if bytes_per_second < 1e6 {
		format!("{:.1} kB/s", bytes_per_second / 1e3)
	} else {
		format!("{:.1} MB/s", bytes_per_second / 1e6)
	}
}
