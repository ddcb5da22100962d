//! `mosaik tail`: what flows through a stream, whatever its type.

use {
	crate::{
		Result,
		node::NodeOptions,
		output::{Output, clock, now, stopped},
		text,
	},
	clap::Args,
	mosaik::{
		Bytes, Datum, PeerId, StreamId,
		primitives::ShortFmtExt,
		streams::{Consumer, State},
	},
	serde::Serialize,
	std::{
		collections::BTreeMap,
		convert::Infallible,
		time::{Duration, Instant},
	},
	tokio::time::{MissedTickBehavior, interval},
};

/// Show what flows through a stream
///
/// Subscribes to every producer of the stream and prints how much each of them
/// sends, once a second; with --raw prints what they send. The type of the
/// stream need not be known. Ends on Ctrl-C with the totals.
#[derive(Debug, Args)]
#[command(after_long_help = KEYS)]
pub(crate) struct Options {
	/// The stream: its name, or its id in 64 hexadecimal characters
	///
	/// A stream without a name of its own is called as the Rust type of its
	/// datums, such as `my_app::SensorReading`.
	stream: String,

	/// Print every datum, in hexadecimal and in ASCII
	#[arg(long)]
	raw: bool,

	/// Stop after so many datums
	#[arg(long, value_name = "N")]
	count: Option<u64>,

	#[command(flatten)]
	node: NodeOptions,
}

const KEYS: &str = "\
Producers that ask for a ticket or select their consumers may refuse this node.

JSON lines:
  {\"event\":\"rate\",  at, datums, bytes, datums_per_s, bytes_per_s, producers}   once a second
  {\"event\":\"datum\", at, bytes, hex}                                    with --raw, instead
  {\"event\":\"total\", at, datums, bytes, seconds, producers}                   at the end
`datums` and `bytes` count from the start. Of each of its `producers` a rate has {id, state,
datums, bytes, datums_per_s, bytes_per_s}, a total {id, state, datums, bytes}; `state` is
\"connecting\", \"connected\" or \"terminated\".";

const INTERVAL: Duration = Duration::from_secs(1);

/// A datum of any type, as it came.
struct Raw(Bytes);

impl Datum for Raw {
	type DecodeError = Infallible;
	type EncodeError = Infallible;

	fn encode(&self) -> Result<Bytes, Infallible> {
		Ok(self.0.clone())
	}

	fn decode(bytes: &[u8]) -> Result<Self, Infallible> {
		Ok(Self(Bytes::copy_from_slice(bytes)))
	}
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
	Rate {
		at: String,
		datums: u64,
		bytes: u64,
		datums_per_s: f64,
		bytes_per_s: f64,
		producers: &'a [Producer],
	},
	Datum {
		at: String,
		bytes: usize,
		hex: String,
	},
	Total {
		at: String,
		datums: u64,
		bytes: u64,
		seconds: f64,
		producers: &'a [Producer],
	},
}

#[derive(Serialize)]
struct Producer {
	id: String,
	state: &'static str,
	datums: usize,
	bytes: usize,
	#[serde(skip_serializing_if = "Option::is_none")]
	datums_per_s: Option<f64>,
	#[serde(skip_serializing_if = "Option::is_none")]
	bytes_per_s: Option<f64>,
}

/// What has come so far.
struct Tail {
	consumer: Consumer<Raw>,
	name: String,
	started: Instant,
	datums: u64,
	bytes: u64,
	/// At the last rate.
	last: Last,
}

struct Last {
	at: Instant,
	datums: u64,
	bytes: u64,
	producers: BTreeMap<PeerId, (State, usize, usize)>,
}

pub(crate) async fn run(options: Options, output: &Output) -> Result {
	let network = options
		.node
		.builder(options.node.discovery())?
		.build()
		.await?;
	let consumer = network
		.streams()
		.consumer::<Raw>()
		.with_stream_id(StreamId::from(&options.stream))
		.build();
	let mut tail = Tail::new(consumer, options.stream.clone());
	output.say(format_args!(
		"waiting for producers of `{}` in network `{}`",
		options.stream, options.node.network
	))?;
	let result = tail.follow(&options, *output).await;
	let result = result.and_then(|()| tail.total(*output));
	network.shutdown().await;
	result
}

impl Tail {
	fn new(consumer: Consumer<Raw>, name: String) -> Self {
		let now = Instant::now();
		Self {
			consumer,
			name,
			started: now,
			datums: 0,
			bytes: 0,
			last: Last {
				at: now,
				datums: 0,
				bytes: 0,
				producers: BTreeMap::new(),
			},
		}
	}

	/// Until it is stopped, or there were enough.
	async fn follow(&mut self, options: &Options, output: Output) -> Result {
		let mut ticks = interval(INTERVAL);
		ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
		ticks.reset();
		let stopped = stopped();
		tokio::pin!(stopped);
		while options.count.is_none_or(|count| self.datums < count) {
			// In this order: a flood of datums must not hold up the rest.
			tokio::select! {
				biased;
				() = &mut stopped => break,
				_ = ticks.tick() => self.tick(options.raw, output)?,
				datum = self.consumer.next() => match datum {
					Some(datum) => self.take(&datum, options.raw, output)?,
					None => break,
				},
			}
		}
		Ok(())
	}

	fn take(&mut self, Raw(bytes): &Raw, raw: bool, output: Output) -> Result {
		self.datums += 1;
		self.bytes += bytes.len() as u64;
		if !raw {
			return Ok(());
		}
		if output.is_json() {
			return output.object(&Line::Datum {
				at: now(),
				bytes: bytes.len(),
				hex: text::hex(bytes),
			});
		}
		output.say(format_args!(
			"{} {} bytes\n{}",
			clock(),
			bytes.len(),
			text::dump(bytes).trim_end()
		))
	}

	/// Tells who has come or gone, and how much has come since the last time.
	fn tick(&mut self, raw: bool, output: Output) -> Result {
		let seconds = self.last.at.elapsed().as_secs_f64();
		let per_second = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds;
		let datums_per_s = per_second(self.datums, self.last.datums);
		let bytes_per_s = per_second(self.bytes, self.last.bytes);
		let producers = self.producers(Some(seconds));
		self.tell_changes(output)?;
		if !raw {
			if datums_per_s > 0.0 {
				output.say(rate_line(datums_per_s, bytes_per_s, &producers))?;
			}
			output.object(&Line::Rate {
				at: now(),
				datums: self.datums,
				bytes: self.bytes,
				datums_per_s,
				bytes_per_s,
				producers: &producers,
			})?;
		}
		self.last.at = Instant::now();
		self.last.datums = self.datums;
		self.last.bytes = self.bytes;
		Ok(())
	}

	/// Remembers the producers, and says which of them came or went.
	fn tell_changes(&mut self, output: Output) -> Result {
		let known = self.consumer.producers().map(|channel| {
			let stats = (
				channel.state(),
				channel.stats().datums(),
				channel.stats().bytes(),
			);
			(*channel.producer_id(), stats)
		});
		let known: BTreeMap<PeerId, (State, usize, usize)> = known.collect();
		let before = std::mem::replace(&mut self.last.producers, known);
		let is_on = |of: &BTreeMap<PeerId, (State, usize, usize)>, id: &PeerId| {
			of.get(id)
				.is_some_and(|(state, ..)| *state == State::Connected)
		};
		for id in self.last.producers.keys() {
			if is_on(&self.last.producers, id) && !is_on(&before, id) {
				output.say(format_args!("{} + producer {}", clock(), id.short()))?;
			}
		}
		for id in before.keys() {
			if is_on(&before, id) && !is_on(&self.last.producers, id) {
				output.say(format_args!("{} - producer {}", clock(), id.short()))?;
			}
		}
		Ok(())
	}

	/// The producers, with their rates if that many seconds have passed since the
	/// last time.
	fn producers(&self, seconds: Option<f64>) -> Vec<Producer> {
		let producers = self.consumer.producers().map(|channel| {
			let (datums, bytes) = (channel.stats().datums(), channel.stats().bytes());
			let last = self.last.producers.get(channel.producer_id());
			let (old_datums, old_bytes) =
				last.map_or((0, 0), |(_, datums, bytes)| (*datums, *bytes));
			// A producer that was lost and found may count from zero.
			let rate = |new: usize, old: usize| seconds.map(|s| new.saturating_sub(old) as f64 / s);
			Producer {
				id: channel.producer_id().to_string(),
				state: match channel.state() {
					State::Connecting => "connecting",
					State::Connected => "connected",
					State::Terminated => "terminated",
				},
				datums,
				bytes,
				datums_per_s: rate(datums, old_datums),
				bytes_per_s: rate(bytes, old_bytes),
			}
		});
		producers.collect()
	}

	fn total(&self, output: Output) -> Result {
		let seconds = self.started.elapsed().as_secs_f64();
		let producers = self.producers(None);
		output.object(&Line::Total {
			at: now(),
			datums: self.datums,
			bytes: self.bytes,
			seconds,
			producers: &producers,
		})?;
		output.say(format_args!(
			"{} datums, {} of `{}` in {seconds:.1} s",
			self.datums,
			text::bytes(self.bytes as f64),
			self.name
		))?;
		for producer in &producers {
			output.say(format_args!(
				"  {}  {} datums, {}",
				&producer.id[..10],
				producer.datums,
				text::bytes(producer.bytes as f64)
			))?;
		}
		Ok(())
	}
}

fn rate_line(datums_per_s: f64, bytes_per_s: f64, producers: &[Producer]) -> String {
	let mut line = format!(
		"{}   {datums_per_s:.1} datums/s  {}/s",
		clock(),
		text::bytes(bytes_per_s)
	);
	let busy = producers.iter().filter_map(|producer| {
		let rate = producer.datums_per_s.filter(|rate| *rate > 0.0)?;
		Some(format!("{} {rate:.1}/s", &producer.id[..10]))
	});
	let busy: Vec<String> = busy.collect();
	// With one producer it would say the same twice.
	if busy.len() > 1 {
		line += &format!("  ({})", busy.join(", "));
	}
	line
}
