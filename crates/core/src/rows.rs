//! Streaming parsers of newline-delimited JSON and of CSV (RFC 4180), whose records are converted to JSON objects. All
//! imports use them, so a row means the same everywhere.

use serde::{Deserialize, Serialize};

use crate::error::FieldError;
use csv::Csv;

mod csv;

/// Maximum size of a row, in bytes: many times that of the largest user.
pub const LONGEST_ROW: usize = 64 * 1024;

/// The format of a file of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// One object per line.
    Ndjson,
    /// A line of column names, then a record for each row.
    Csv,
}

impl Format {
    /// Each by its name.
    pub const NAMES: [(&'static str, Self); 2] = [("ndjson", Self::Ndjson), ("csv", Self::Csv)];

    /// Parses its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, format)| format)
    }
}

/// An unparsed row of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawRow {
    /// The line that it begins on, from 1.
    pub line: u64,
    /// Its text.
    pub text: Text,
}

/// The JSON of a row, or why it could not be extracted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Text {
    /// The text, which may be invalid JSON.
    Json(String),
    /// Longer than [`LONGEST_ROW`].
    TooLong,
    /// Not UTF-8.
    NotText,
    /// A record whose number of cells differs from the number of columns.
    Ragged,
}

/// A row can contain a password hash.
impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Json(_) => "Json(..)",
            Self::TooLong => "TooLong",
            Self::NotText => "NotText",
            Self::Ragged => "Ragged",
        })
    }
}

impl Text {
    /// The error of a row without JSON.
    pub fn error(&self) -> Option<FieldError> {
        match self {
            Self::Json(_) => None,
            Self::TooLong => {
                Some(FieldError::new("", "row-too-long", format!("has more than {LONGEST_ROW} bytes")))
            }
            Self::NotText => Some(FieldError::new("", "malformed", "is not UTF-8")),
            Self::Ragged => Some(FieldError::new(
                "",
                "wrong-number-of-cells",
                "has a different number of cells than the first line",
            )),
        }
    }

    /// Its size in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(text) => text.len(),
            _ => 0,
        }
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The maximum size of a batch: it is held in memory, and is one transaction unless another writer waits. The more
/// rows, the more of them share the pages that a transaction writes: a row of a thousand costs a third more than one of
/// five thousand, and that a sixth more than one of ten thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSize {
    /// Rows.
    pub rows: usize,
    /// Bytes of the rows in the file.
    pub bytes: usize,
}

impl BatchSize {
    /// For a shared database: other writers wait while a batch is synced to disk.
    pub const SHARED: Self = Self { rows: 5_000, bytes: 2 * 1024 * 1024 };
    /// For exclusive use of the database.
    pub const ALONE: Self = Self { rows: 10_000, bytes: 4 * 1024 * 1024 };

    /// The number of rows of the first full batch, if `rows` has one.
    pub fn full(self, rows: &[RawRow]) -> Option<usize> {
        let mut bytes = 0;
        let is_full = |(at, row): (usize, &RawRow)| {
            bytes += row.text.len();
            (at + 1 == self.rows || bytes >= self.bytes).then_some(at + 1)
        };
        rows.iter().enumerate().find_map(is_full)
    }
}

/// Splits a file into rows, whatever the chunks in which it arrives. Buffers at most one row.
pub enum Splitter {
    /// Splits lines of JSON.
    Ndjson(Lines),
    /// Splits records of CSV.
    Csv(Csv),
}

impl std::fmt::Debug for Splitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Splitter")
    }
}

impl Splitter {
    /// A splitter at the beginning of a file.
    pub fn new(format: Format) -> Self {
        match format {
            Format::Ndjson => Self::Ndjson(Lines::default()),
            Format::Csv => Self::Csv(Csv::new()),
        }
    }

    /// Consumes the next bytes and appends the rows that end in them to `rows`.
    ///
    /// # Errors
    /// The file cannot be imported: the first line of CSV has unknown column names.
    pub fn push(&mut self, bytes: &[u8], rows: &mut Vec<RawRow>) -> Result<(), Vec<FieldError>> {
        match self {
            Self::Ndjson(lines) => {
                lines.push(bytes, rows);
                Ok(())
            }
            Self::Csv(csv) => csv.push(bytes, rows),
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// As [`Splitter::push`].
    pub fn finish(&mut self, rows: &mut Vec<RawRow>) -> Result<(), Vec<FieldError>> {
        match self {
            Self::Ndjson(lines) => {
                lines.end_line(rows);
                Ok(())
            }
            Self::Csv(csv) => csv.finish(rows),
        }
    }
}

/// Splits lines of JSON. Empty lines are ignored.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    is_too_long: bool,
    /// Number of complete lines.
    ended: u64,
}

impl Lines {
    fn push(&mut self, mut bytes: &[u8], rows: &mut Vec<RawRow>) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.append(line);
            self.end_line(rows);
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.append(bytes);
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > LONGEST_ROW {
            self.is_too_long = true;
            self.line.clear();
        }
        if !self.is_too_long {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self, rows: &mut Vec<RawRow>) {
        self.ended += 1;
        let line = std::mem::take(&mut self.line);
        let bytes = if self.ended == 1 { without_mark(&line) } else { &line };
        let text = match std::str::from_utf8(bytes) {
            _ if std::mem::take(&mut self.is_too_long) => Text::TooLong,
            Ok(text) if text.trim_ascii().is_empty() => return,
            Ok(text) => Text::Json(text.trim_ascii().to_owned()),
            Err(_) => Text::NotText,
        };
        rows.push(RawRow { line: self.ended, text });
    }
}

/// The UTF-8 byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";

fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a file that arrives in chunks of `step` bytes.
    fn split(format: Format, file: &[u8], step: usize) -> Result<Vec<(u64, String)>, Vec<FieldError>> {
        let (mut splitter, mut rows) = (Splitter::new(format), Vec::new());
        for part in file.chunks(step) {
            splitter.push(part, &mut rows)?;
        }
        splitter.finish(&mut rows)?;
        Ok(rows
            .into_iter()
            .map(|row| match row.text {
                Text::Json(text) => (row.line, text),
                other => (row.line, format!("{other:?}")),
            })
            .collect())
    }

    fn in_any_step(format: Format, file: &[u8], expected: &[(u64, &str)]) {
        let expected: Vec<(u64, String)> =
            expected.iter().map(|(n, text)| (*n, (*text).to_owned())).collect();
        for step in [1, 2, 3, 7, 1 << 20] {
            assert_eq!(split(format, file, step).unwrap(), expected, "{step} bytes at a time");
        }
    }

    #[test]
    fn lines_of_json() {
        let file = b"\xef\xbb\xbf{\"a\":1}\r\n\n  \n{\"b\":\"\xc3\xa9\"}\n\xff\n{}";
        let expected = [(1, "{\"a\":1}"), (4, "{\"b\":\"é\"}"), (5, "NotText"), (6, "{}")];
        in_any_step(Format::Ndjson, file, &expected);
        in_any_step(Format::Ndjson, b"", &[]);
        let long = [b"{}\n".to_vec(), vec![b'x'; LONGEST_ROW + 1], b"\n{}\n".to_vec()].concat();
        let rows = split(Format::Ndjson, &long, 4_096).unwrap();
        assert_eq!(rows[1], (2, String::from("TooLong")));
        assert_eq!((rows[0].0, rows[2].0, rows.len()), (1, 3, 3));
    }

    #[test]
    fn records_of_csv() {
        let file = "\u{feff}username,firstName,title,groups,isAdmin\r\n\
                    ada,\"Ada, \"\"the\"\"\",,\"3;Editors; x \",true\r\n\
                    \r\n\
                    bob,\"B\nob\",Ünï,,\n\
                    cid,Cid\n\
                    dan,\"Dan\",\"\",12,false";
        let expected = [
            (
                2,
                r#"{"username":"ada","firstName":"Ada, \"the\"","groups":[3,"Editors","x"],"isAdmin":"true"}"#,
            ),
            (4, r#"{"username":"bob","firstName":"B\nob","title":"Ünï"}"#),
            (6, "Ragged"),
            (7, r#"{"username":"dan","firstName":"Dan","groups":[12],"isAdmin":"false"}"#),
        ];
        in_any_step(Format::Csv, file.as_bytes(), &expected);
        in_any_step(Format::Csv, b"username,email\n", &[]);
        in_any_step(Format::Csv, b"username\n\xff\n", &[(2, "NotText")]);
        let long = [b"username\n".to_vec(), vec![b'x'; LONGEST_ROW + 1], b"\nada\n".to_vec()].concat();
        let rows = split(Format::Csv, &long, 4_096).unwrap();
        assert_eq!(rows, [(2, String::from("TooLong")), (3, String::from(r#"{"username":"ada"}"#))]);
    }

    #[test]
    fn column_names_of_csv_are_checked_before_any_row() {
        let errors = |file: &[u8]| {
            let errors = split(Format::Csv, file, 5).unwrap_err();
            errors.into_iter().map(|f| format!("{} {}", f.field, f.code)).collect::<Vec<_>>()
        };
        assert_eq!(errors(b""), [" no-names"]);
        assert_eq!(
            errors(b"username,nick,username\nada,a,b\n"),
            ["/nick unknown-field", "/username duplicate-field"]
        );
        assert_eq!(errors(&[vec![b'x'; LONGEST_ROW + 1], b"\n".to_vec()].concat()), [" no-names"]);
    }
}
