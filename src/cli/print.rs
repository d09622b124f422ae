//! Output formats: lines and tables for people, JSON for programs.

use std::io::{self, IsTerminal as _, Write};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::Failure;
use crate::cli::command_error::CommandError;
use crate::cli::operations::checks::PAGE;
use tenantry_core::printable::printable;

/// Prints one object: a line `key: value` per property, or JSON.
pub(super) fn one(out: &mut impl Write, json: bool, response: &Value) -> io::Result<()> {
    if json {
        return writeln!(out, "{response:#}");
    }
    match response {
        Value::Object(properties) => {
            properties.iter().try_for_each(|(key, value)| writeln!(out, "{key}: {}", text(value)))
        }
        other => writeln!(out, "{}", text(other)),
    }
}

/// A value in a line or a cell.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::from("-"),
        Value::Bool(true) => String::from("yes"),
        Value::Bool(false) => String::from("no"),
        Value::String(text) => printable(text).into_owned(),
        Value::Array(parts) if parts.is_empty() => String::from("-"),
        Value::Array(parts) => parts.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// A column: its title and the property that it shows.
pub(super) type Column = (&'static str, &'static str);

/// Prints a list page by page, so that its length costs no memory: as a table, or a JSON array. `next` returns the rows
/// after the given one; a page with fewer than [`PAGE`] rows is the last.
pub(super) fn list(
    out: &mut impl Write,
    json: bool,
    columns: &[Column],
    mut next: impl FnMut(Option<&Value>) -> Result<Vec<Value>, CommandError>,
) -> Result<(), Failure> {
    let mut table = Table { columns, widths: columns.iter().map(|(title, _)| title.len()).collect() };
    let mut last: Option<Value> = None;
    loop {
        let rows = next(last.as_ref())?;
        let is_first = last.is_none();
        if json {
            array(out, is_first, &rows)?;
        } else {
            table.print(out, is_first, &rows)?;
        }
        let is_last = rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        last = rows.into_iter().next_back().or(last);
        if is_last {
            break;
        }
    }
    if json {
        out.write_all(if last.is_some() { b"\n]\n" } else { b"]\n" })?;
    }
    Ok(())
}

fn array(out: &mut impl Write, is_first: bool, rows: &[Value]) -> io::Result<()> {
    if is_first {
        out.write_all(b"[")?;
    }
    for (at, row) in rows.iter().enumerate() {
        out.write_all(if is_first && at == 0 { b"\n  " } else { b",\n  " })?;
        write!(out, "{row}")?;
    }
    Ok(())
}

/// A table whose columns are as wide as the widest cell so far.
struct Table<'a> {
    columns: &'a [Column],
    widths: Vec<usize>,
}

impl Table<'_> {
    fn print(&mut self, out: &mut impl Write, with_titles: bool, rows: &[Value]) -> io::Result<()> {
        let cells = |row: &Value| -> Vec<String> {
            self.columns.iter().map(|(_, key)| text(row.get(key).unwrap_or(&Value::Null))).collect()
        };
        let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        if with_titles {
            let titles: Vec<String> = self.columns.iter().map(|(title, _)| (*title).to_owned()).collect();
            self.line(out, &titles)?;
        }
        rows.iter().try_for_each(|row| self.line(out, row))
    }

    fn line(&self, out: &mut impl Write, cells: &[String]) -> io::Result<()> {
        let mut line = String::new();
        for (cell, &width) in cells.iter().zip(&self.widths) {
            line.push_str(cell);
            // Padded by hand: `format!` also counts characters, but makes one more copy.
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        writeln!(out, "{}", line.trim_end())
    }
}

/// A progress line on standard error, if it is a terminal.
pub struct ProgressLine {
    terminal: Option<io::Stderr>,
    shown: Option<Instant>,
}

impl Default for ProgressLine {
    fn default() -> Self {
        Self::new()
    }
}

impl ProgressLine {
    /// Shows nothing until the first update.
    pub fn new() -> Self {
        let stderr = io::stderr();
        Self { terminal: stderr.is_terminal().then_some(stderr), shown: None }
    }

    /// Shows that `done` of `all` bytes are done.
    pub fn show(&mut self, what: &str, done: u64, all: u64) {
        const PAUSE: Duration = Duration::from_millis(100);
        if self.shown.is_none_or(|at| at.elapsed() > PAUSE) {
            self.say(&share(what, done, all));
        }
    }

    /// Shows what is going on, without a measure.
    pub fn say(&mut self, what: &str) {
        if let Some(terminal) = &mut self.terminal {
            // If it cannot be shown, the work continues all the same.
            let _ = write!(terminal, "\r\x1b[K{what}");
            self.shown = Some(Instant::now());
        }
    }
}

impl Drop for ProgressLine {
    /// Clears the line: the result follows.
    fn drop(&mut self) {
        if self.shown.is_some() {
            self.say("");
        }
    }
}

/// `copying: 45 % of 1.6 GiB`.
fn share(what: &str, done: u64, all: u64) -> String {
    let percent = u128::from(done) * 100 / u128::from(all).max(1);
    format!("{what}: {percent} % of {}", size(all))
}

/// A size for people: `512 B`, `1.6 GiB`.
fn size(bytes: u64) -> String {
    let mut unit = 1_u64;
    for name in ["B", "KiB", "MiB", "GiB"] {
        if bytes < unit << 10 {
            return whole_or_tenths(bytes, unit, name);
        }
        unit <<= 10;
    }
    whole_or_tenths(bytes, unit, "TiB")
}

fn whole_or_tenths(bytes: u64, unit: u64, name: &str) -> String {
    match unit {
        1 => format!("{bytes} {name}"),
        _ => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_reported_in_round_numbers() {
        assert_eq!(share("copying", 0, 0), "copying: 0 % of 0 B");
        assert_eq!(share("copying", 512, 1_023), "copying: 50 % of 1023 B");
        assert_eq!(share("copying", 99, 1_024), "copying: 9 % of 1.0 KiB");
        assert_eq!(share("copying", u64::MAX, u64::MAX), "copying: 100 % of 16777215.9 TiB");
        assert_eq!(size(1_760_000_000), "1.6 GiB");
    }
}
