//! The table of results.

use std::fmt;

/// What a case must reach.
#[derive(Clone, Copy)]
pub(crate) enum Budget {
	/// Ours over raw, at least.
	AtLeast(f64),
	/// Ours over raw, at most.
	AtMost(f64),
	/// Our own figure, at most.
	Below(f64),
	/// Shown only.
	None,
}

struct Row {
	case: String,
	unit: &'static str,
	raw: Option<f64>,
	ours: f64,
	ratio: Option<f64>,
	budget: Budget,
}

impl Row {
	fn misses(&self) -> bool {
		match self.budget {
			Budget::AtLeast(least) => self.ratio.is_none_or(|ratio| ratio < least),
			Budget::AtMost(most) => self.ratio.is_none_or(|ratio| ratio > most),
			Budget::Below(most) => self.ours > most,
			Budget::None => false,
		}
	}
}

#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
	/// A case with pairs of (raw, ours), one per round. The ratio is the median
	/// of the rounds' ratios.
	pub(crate) fn compare(
		&mut self,
		case: impl Into<String>,
		unit: &'static str,
		pairs: &[(f64, f64)],
		budget: Budget,
	) {
		let ratio = median(pairs.iter().map(|(raw, ours)| ours / raw));
		let raw = median(pairs.iter().map(|(raw, _)| *raw));
		let ours = median(pairs.iter().map(|(_, ours)| *ours));
		self.push(Row {
			case: case.into(),
			unit,
			raw: Some(raw),
			ours,
			ratio: Some(ratio),
			budget,
		});
	}

	/// A case of our own.
	pub(crate) fn alone(
		&mut self,
		case: impl Into<String>,
		unit: &'static str,
		values: &[f64],
		budget: Budget,
	) {
		let ours = median(values.iter().copied());
		self.push(Row {
			case: case.into(),
			unit,
			raw: None,
			ours,
			ratio: None,
			budget,
		});
	}

	fn push(&mut self, row: Row) {
		println!("{row}");
		self.0.push(row);
	}

	pub(crate) fn misses_a_budget(&self) -> bool {
		self.0.iter().any(Row::misses)
	}
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
	let mut values: Vec<f64> = values.collect();
	values.sort_by(f64::total_cmp);
	values[values.len() / 2]
}

impl fmt::Display for Row {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		let optional = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), human);
		let budget = match self.budget {
			Budget::AtLeast(least) => format!(">= {least:.2}"),
			Budget::AtMost(most) => format!("<= {most:.2}"),
			Budget::Below(most) => format!("< {}", human(most)),
			Budget::None => String::new(),
		};
		let ratio = self
			.ratio
			.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
		let miss = if self.misses() { "  MISSED" } else { "" };
		let Self {
			case,
			unit,
			raw,
			ours,
			..
		} = self;
		let (raw, ours) = (optional(*raw), human(*ours));
		write!(
			f,
			"{case:<34} {raw:>10} {ours:>10} {unit:<8} {ratio:>6} {budget:>10}{miss}"
		)
	}
}

impl fmt::Display for Table {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		let (case, raw, ours, unit) = ("case", "raw", "ours", "unit");
		writeln!(
			f,
			"{case:<34} {raw:>10} {ours:>10} {unit:<8} {:>6} {:>10}",
			"ratio", "budget"
		)?;
		self.0.iter().try_for_each(|row| writeln!(f, "{row}"))
	}
}

fn human(value: f64) -> String {
	match value {
		v if v >= 1e6 => format!("{:.2} M", v / 1e6),
		v if v >= 1e4 => format!("{:.1} k", v / 1e3),
		v if v >= 100.0 => format!("{v:.0}"),
		v => format!("{v:.2}"),
	}
}
