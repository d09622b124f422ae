//! Rows of newline-delimited JSON.

use serde::de::IgnoredAny;

use crate::error::FieldError;
use crate::rows::lines::{Line, LineSplitter};
use crate::rows::{RawRow, RowFault, Text, columns, trailer};

/// Splits lines of JSON. Lines without a character are not rows.
#[derive(Debug, Default)]
pub(super) struct Ndjson {
    lines: LineSplitter,
    rows: Rows,
}

#[derive(Debug, Default)]
struct Rows {
    records: u64,
}

type Result<T> = std::result::Result<T, Vec<FieldError>>;

impl Ndjson {
    pub(super) fn push(&mut self, bytes: &[u8], rows: &mut Vec<RawRow>) -> Result<()> {
        let Self { lines, rows: own } = self;
        lines.push(bytes, &mut |line| own.line(line, rows))
    }

    pub(super) fn finish(&mut self, rows: &mut Vec<RawRow>) -> Result<()> {
        let Self { lines, rows: own } = self;
        lines.finish(&mut |line| own.line(line, rows))
    }
}

impl Rows {
    fn line(&mut self, line: Line<'_>, rows: &mut Vec<RawRow>) -> Result<()> {
        let faulty = |fault| Text::Faulty { fault, excerpt: None };
        let text = match std::str::from_utf8(line.text) {
            _ if line.is_too_long => faulty(RowFault::TooLong),
            Err(_) => faulty(RowFault::NotUtf8),
            Ok("") => return Ok(()),
            Ok(text) if text.trim().is_empty() => Text::Empty,
            Ok(text) => {
                let text = text.trim_ascii();
                if self.records == 0 {
                    recognize(text, line.end.is_empty()).map_err(|error| vec![error])?;
                }
                trailer::parse_json(text).map_or_else(|| Text::Json(text.to_owned()), Text::End)
            }
        };
        self.records += 1;
        rows.push(RawRow { record: self.records, line: line.number, text });
        Ok(())
    }
}

/// Checks by the first row whether the file is what it should be.
///
/// # Errors
/// What it is instead.
fn recognize(text: &str, is_only_line: bool) -> std::result::Result<(), FieldError> {
    let (code, detail) = if text.starts_with('[') {
        (
            "json-array",
            "this is a JSON array: put each object of it on a line of its own, for example with jq -c '.[]'",
        )
    } else if text == "{" {
        (
            "json-over-lines",
            "an object is spread over several lines: put each on a line of its own, for example with jq -c .",
        )
    } else if is_only_line && text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_err() {
        (
            "one-line",
            "the whole file is one line that is not JSON: curl -d and --data remove line ends; send the file itself \
             with --data-binary @FILE",
        )
    } else if let Some(detail) = columns::form_hint(text) {
        ("not-rows", detail)
    } else if !text.starts_with('{') && columns::is_header(text) {
        ("not-ndjson", "this is CSV: send it as text/csv, or import it with --format csv")
    } else {
        return Ok(());
    };
    Err(FieldError::new("", code, detail))
}
