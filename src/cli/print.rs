//! How answers look: lines and tables for people, JSON for programs.

use std::io::{self, Write};

use serde_json::Value;

use super::Failure;
use super::operation::PAGE;
use super::refusal::Refusal;

/// One thing: a line `key: value` for each property, or JSON.
pub(super) fn one(out: &mut impl Write, json: bool, answer: &Value) -> io::Result<()> {
    if json {
        return writeln!(out, "{answer:#}");
    }
    match answer {
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
        Value::String(text) => text.clone(),
        Value::Array(parts) if parts.is_empty() => String::from("-"),
        Value::Array(parts) => parts.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// A column: what stands above it, and the property that it shows.
pub(super) type Column = (&'static str, &'static str);

/// A list, printed page by page so that its length costs no memory: a table, or a JSON array. `next` gives the
/// rows after the one it is shown; a page with fewer than [`PAGE`] rows is the last.
pub(super) fn list(
    out: &mut impl Write,
    json: bool,
    columns: &[Column],
    mut next: impl FnMut(Option<&Value>) -> Result<Vec<Value>, Refusal>,
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

/// A table whose columns are as wide as what was seen so far.
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
            // Counted by hand: the padding of `format!` is measured in characters too, but is one more copy.
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        writeln!(out, "{}", line.trim_end())
    }
}
