//! Times, sizes, bytes and tables in words.

use std::{error::Error, fmt::Write, time::Duration};

/// An error with its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
	let mut text = error.to_string();
	let mut source = error.source();
	while let Some(cause) = source {
		let _ = write!(text, ": {cause}");
		source = cause.source();
	}
	text
}

const DURATION: &str = "expected a duration such as 500ms, 10s, 2m or 1h";

/// `1.5s`, `200ms`, `2m`, `1h`; a bare number is seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
	let unit = text.find(|c: char| c.is_ascii_alphabetic());
	let (number, unit) = text.split_at(unit.unwrap_or(text.len()));
	let unit = match unit {
		"ms" => 0.001,
		"" | "s" => 1.0,
		"m" => 60.0,
		"h" => 3600.0,
		_ => return Err(DURATION.to_owned()),
	};
	let number: f64 = number.parse().map_err(|_| DURATION.to_owned())?;
	Duration::try_from_secs_f64(number * unit).map_err(|_| DURATION.to_owned())
}

/// A time of hours and days, in its two largest units.
pub(crate) fn age(time: Duration) -> String {
	let seconds = time.as_secs();
	let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
	match (days, hours, minutes) {
		(0, 0, 0) => format!("{seconds}s"),
		(0, 0, _) => format!("{minutes}m {}s", seconds % 60),
		(0, _, _) => format!("{hours}h {}m", minutes % 60),
		_ => format!("{days}d {}h", hours % 24),
	}
}

/// A number of bytes.
pub(crate) fn bytes(count: f64) -> String {
	let mut value = count;
	let mut unit = "B";
	for next in ["kB", "MB", "GB", "TB"] {
		if value < 1000.0 {
			break;
		}
		value /= 1000.0;
		unit = next;
	}
	match unit {
		"B" => format!("{value:.0} B"),
		_ => format!("{value:.1} {unit}"),
	}
}

/// Two digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
	bytes.iter().fold(String::new(), |mut text, byte| {
		let _ = write!(text, "{byte:02x}");
		text
	})
}

/// Lines of an offset, sixteen bytes and what of them can be printed.
pub(crate) fn dump(bytes: &[u8]) -> String {
	let mut text = String::new();
	for (index, row) in bytes.chunks(16).enumerate() {
		let digits: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
		let letter = |byte: &u8| match byte {
			b' '..=b'~' => char::from(*byte),
			_ => '.',
		};
		let letters: String = row.iter().map(letter).collect();
		let _ = writeln!(
			text,
			"  {:06x}  {:47}  {letters}",
			index * 16,
			digits.join(" ")
		);
	}
	text
}

/// Rows in columns that are as wide as they need to be.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
	let head = head.map(str::to_owned);
	let all = || std::iter::once(&head).chain(rows);
	let width = |column: usize| all().map(|row| row[column].chars().count()).max();
	let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
	let lines = all().map(|row| {
		let cells = row.iter().zip(widths);
		let padded: Vec<String> = cells
			.map(|(cell, width)| format!("{cell:width$}"))
			.collect();
		padded.join("  ").trim_end().to_owned()
	});
	lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn durations_are_read_with_and_without_a_unit() {
		let read = |text| parse_duration(text).ok().map(|time| time.as_millis());
		assert_eq!(read("200ms"), Some(200));
		assert_eq!(read("1.5s"), Some(1500));
		assert_eq!(read("2"), Some(2000));
		assert_eq!(read("2m"), Some(120_000));
		for wrong in ["", "s", "-1s", "1 parsec", "inf", "1e300h"] {
			assert_eq!(read(wrong), None, "{wrong}");
		}
	}

	#[test]
	fn ages_and_sizes_are_short() {
		assert_eq!(age(Duration::from_secs(59)), "59s");
		assert_eq!(age(Duration::from_secs(61)), "1m 1s");
		assert_eq!(age(Duration::from_secs(3600)), "1h 0m");
		assert_eq!(age(Duration::from_secs(90_000)), "1d 1h");
		assert_eq!(bytes(999.0), "999 B");
		assert_eq!(bytes(1500.0), "1.5 kB");
	}

	#[test]
	fn a_dump_shows_digits_and_letters() {
		let expected = "  000000  68 69 00                                         hi.\n";
		assert_eq!(dump(b"hi\0"), expected);
		assert_eq!(dump(&[0; 17]).lines().count(), 2);
		assert_eq!(hex(&[1, 0xab]), "01ab");
	}

	#[test]
	fn a_table_has_straight_columns_and_no_blanks_at_the_end() {
		let rows = [["a", "1"], ["long", "2"]].map(|row| row.map(str::to_owned));
		assert_eq!(table(["ID", "N"], &rows), "ID    N\na     1\nlong  2");
	}
}
