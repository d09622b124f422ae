//! Files of rows, taken apart as they come: newline-delimited JSON, and CSV (RFC 4180), whose records become the JSON
//! objects that they stand for. Whoever reads an import reads it with this, so a row is the same everywhere.

use serde::{Deserialize, Serialize};

use crate::error::Fault;
use csv::Csv;

mod csv;

/// The most bytes of a row: many times what a user may have.
pub const LONGEST_ROW: usize = 64 * 1024;

/// How the rows of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// An object a line.
    Ndjson,
    /// A first line of names, then a record for each row.
    Csv,
}

impl Format {
    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "ndjson" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// A row as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawRow {
    /// The line that it begins on, from 1.
    pub line: u64,
    /// What stands there.
    pub text: Text,
}

/// The JSON of a row, or why there is none.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Text {
    /// JSON, or what should be.
    Json(String),
    /// Longer than [`LONGEST_ROW`].
    TooLong,
    /// Not UTF-8.
    NotText,
    /// A record with more or fewer cells than there are names.
    Ragged,
}

/// There may be a password's hash in it.
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
    /// Why there is no JSON.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Json(_) => None,
            Self::TooLong => {
                Some(Fault::new("", "row-too-long", format!("has more than {LONGEST_ROW} bytes")))
            }
            Self::NotText => Some(Fault::new("", "malformed", "is no text in UTF-8")),
            Self::Ragged => Some(Fault::new(
                "",
                "wrong-number-of-cells",
                "has not as many cells as the first line has names",
            )),
        }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(text) => text.len(),
            _ => 0,
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How large a batch is at most: it is read at once, and is one transaction where nobody else wants to write. The more
/// rows, the more of them share the pages that a transaction writes: a thousand cost a third more each than five
/// thousand, and those a sixth more than ten thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSize {
    /// Rows.
    pub rows: usize,
    /// Bytes, as rows stand in the file.
    pub bytes: usize,
}

impl BatchSize {
    /// Beside others, who wait while it is put on disk.
    pub const SHARED: Self = Self { rows: 5_000, bytes: 2 * 1024 * 1024 };
    /// With the database to itself.
    pub const ALONE: Self = Self { rows: 10_000, bytes: 4 * 1024 * 1024 };

    /// How many of these rows are a batch, when there are enough for one.
    pub fn full(self, rows: &[RawRow]) -> Option<usize> {
        let mut bytes = 0;
        let is_full = |(at, row): (usize, &RawRow)| {
            bytes += row.text.len();
            (at + 1 == self.rows || bytes >= self.bytes).then_some(at + 1)
        };
        rows.iter().enumerate().find_map(is_full)
    }
}

/// Takes a file apart, however its bytes come. Holds no more than one row of it.
pub enum Splitter {
    /// Of lines.
    Ndjson(Lines),
    /// Of records.
    Csv(Csv),
}

impl std::fmt::Debug for Splitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Splitter")
    }
}

impl Splitter {
    /// At the beginning of a file.
    pub fn new(format: Format) -> Self {
        match format {
            Format::Ndjson => Self::Ndjson(Lines::default()),
            Format::Csv => Self::Csv(Csv::new()),
        }
    }

    /// Takes the next bytes; the rows that end in them are put to `rows`.
    ///
    /// # Errors
    /// What makes the whole file useless: a first line of CSV that names what is not known.
    pub fn push(&mut self, bytes: &[u8], rows: &mut Vec<RawRow>) -> Result<(), Vec<Fault>> {
        match self {
            Self::Ndjson(lines) => {
                lines.push(bytes, rows);
                Ok(())
            }
            Self::Csv(csv) => csv.push(bytes, rows),
        }
    }

    /// The file ends here.
    ///
    /// # Errors
    /// As [`Splitter::push`].
    pub fn finish(&mut self, rows: &mut Vec<RawRow>) -> Result<(), Vec<Fault>> {
        match self {
            Self::Ndjson(lines) => {
                lines.end_line(rows);
                Ok(())
            }
            Self::Csv(csv) => csv.finish(rows),
        }
    }
}

/// Lines of JSON. Empty ones are no rows.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    is_too_long: bool,
    /// Lines that have ended.
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

/// The byte order mark, which Windows writes.
const MARK: &[u8] = b"\xef\xbb\xbf";

fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a file, whose bytes come so many at a time.
    fn split(format: Format, file: &[u8], step: usize) -> Result<Vec<(u64, String)>, Vec<Fault>> {
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
    fn names_of_csv_are_checked_before_any_row() {
        let faults = |file: &[u8]| {
            let faults = split(Format::Csv, file, 5).unwrap_err();
            faults.into_iter().map(|f| format!("{} {}", f.field, f.code)).collect::<Vec<_>>()
        };
        assert_eq!(faults(b""), [" no-names"]);
        assert_eq!(
            faults(b"username,nick,username\nada,a,b\n"),
            ["/nick unknown-field", "/username duplicate-field"]
        );
        assert_eq!(faults(&[vec![b'x'; LONGEST_ROW + 1], b"\n".to_vec()].concat()), [" no-names"]);
    }
}
