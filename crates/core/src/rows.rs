//! Streaming parsers of newline-delimited JSON and of CSV (RFC 4180), whose records are converted to JSON objects. All
//! imports use them, so a row means the same everywhere.

use serde::{Deserialize, Serialize};

use crate::error::FieldError;
use csv::Csv;
pub use encoding::GZIP;
pub use fault::RowFault;
use ndjson::Ndjson;
use trailer::TrailerCheck;

mod columns;
mod csv;
mod encoding;
mod fault;
pub mod group_list;
mod lines;
mod ndjson;
mod quotes;
#[cfg(test)]
mod tests;
pub mod trailer;

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

/// What separates the cells of CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is the character of that name")]
pub enum Delimiter {
    Comma,
    Semicolon,
    Tab,
    Bar,
}

impl Delimiter {
    /// Every delimiter.
    pub const ALL: [Self; 4] = [Self::Comma, Self::Semicolon, Self::Tab, Self::Bar];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Comma => "comma",
            Self::Semicolon => "semicolon",
            Self::Tab => "tab",
            Self::Bar => "bar",
        }
    }

    /// The character.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Bar => b'|',
        }
    }

    /// What separates the groups in a cell.
    pub const fn group_separators(self) -> &'static [char] {
        match self {
            // Spreadsheets put a cell with semicolons in quotes.
            Self::Semicolon => &[';', ',', '|'],
            Self::Comma | Self::Tab | Self::Bar => &[';'],
        }
    }

    /// Parses its name, or the character itself.
    pub fn parse(text: &str) -> Option<Self> {
        let is_it = |delimiter: &Self| {
            text == delimiter.name()
                || text.as_bytes() == [delimiter.byte()]
                || *delimiter == Self::Tab && text == "\\t"
        };
        Self::ALL.into_iter().find(is_it)
    }
}

/// How a file of rows is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadOptions {
    /// Its format.
    pub format: Format,
    /// What separates the cells of CSV; by default, what its first line says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<Delimiter>,
    /// The columns of CSV that are not imported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored_columns: Vec<String>,
}

impl ReadOptions {
    /// The defaults of a format.
    pub const fn of(format: Format) -> Self {
        Self { format, delimiter: None, ignored_columns: Vec::new() }
    }

    /// Whether they suit the format: some are only for CSV.
    pub fn suits_format(&self) -> bool {
        self.format == Format::Csv || self.delimiter.is_none() && self.ignored_columns.is_empty()
    }
}

/// An unparsed row of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawRow {
    /// Its number among the rows of the file, from 1.
    pub record: u64,
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
    /// A row that cannot be read.
    Faulty {
        /// Why.
        fault: RowFault,
        /// Its beginning, if no column contains secrets.
        excerpt: Option<String>,
    },
    /// A row of white space or of empty cells: it is counted, and skipped.
    Empty,
    /// Not a row: the trailer, with the number of rows.
    End(u64),
}

/// A row can contain a password hash.
impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(_) => f.write_str("Json(..)"),
            Self::Faulty { fault, .. } => write!(f, "{fault:?}"),
            Self::Empty => f.write_str("Empty"),
            Self::End(_) => f.write_str("End"),
        }
    }
}

impl Text {
    /// The error of a row without JSON, or why it is skipped.
    pub fn error(&self) -> Option<FieldError> {
        match self {
            Self::Json(_) | Self::End(_) => None,
            Self::Faulty { fault, .. } => Some(fault.error()),
            Self::Empty => Some(FieldError::new("", "empty-row", "has no values")),
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

/// Splits a file into rows, whatever the chunks in which it arrives, and holds it to its trailer if it has one. Buffers
/// at most one row.
pub struct Splitter {
    /// The first bytes, until there are enough of them to recognize the encoding.
    head: Option<Vec<u8>>,
    parser: Parser,
    check: TrailerCheck,
}

enum Parser {
    /// Splits lines of JSON.
    Ndjson(Ndjson),
    /// Splits records of CSV.
    Csv(Box<Csv>),
}

impl std::fmt::Debug for Splitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Splitter")
    }
}

impl Splitter {
    /// A splitter at the beginning of a file.
    pub fn new(options: ReadOptions) -> Self {
        let parser = match options.format {
            Format::Ndjson => Parser::Ndjson(Ndjson::default()),
            Format::Csv => Parser::Csv(Box::new(Csv::new(options))),
        };
        Self { head: Some(Vec::new()), parser, check: TrailerCheck::default() }
    }

    /// Consumes the next bytes and appends the rows that end in them to `rows`.
    ///
    /// # Errors
    /// The file cannot be imported: it is not UTF-8, or in another format, the first line of CSV has unknown column
    /// names, or the trailer states another number of rows.
    pub fn push(&mut self, bytes: &[u8], rows: &mut Vec<RawRow>) -> Result<(), Vec<FieldError>> {
        let Some(mut head) = self.head.take() else { return self.parse(bytes, rows) };
        let (first, rest) = bytes.split_at(bytes.len().min(encoding::HEAD.saturating_sub(head.len())));
        head.extend_from_slice(first);
        if head.len() < encoding::HEAD {
            self.head = Some(head);
            return Ok(());
        }
        self.begin(&head, rows)?;
        self.parse(rest, rows)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// As [`Splitter::push`].
    pub fn finish(&mut self, rows: &mut Vec<RawRow>) -> Result<(), Vec<FieldError>> {
        if let Some(head) = self.head.take() {
            self.begin(&head, rows)?;
        }
        let before = rows.len();
        match &mut self.parser {
            Parser::Ndjson(ndjson) => ndjson.finish(rows)?,
            Parser::Csv(csv) => csv.finish(rows)?,
        }
        self.check.take(rows, before)
    }

    fn begin(&mut self, head: &[u8], rows: &mut Vec<RawRow>) -> Result<(), Vec<FieldError>> {
        let mark = encoding::check(head).map_err(|error| vec![error])?;
        self.parse(head.get(mark..).unwrap_or_default(), rows)
    }

    fn parse(&mut self, bytes: &[u8], rows: &mut Vec<RawRow>) -> Result<(), Vec<FieldError>> {
        let before = rows.len();
        match &mut self.parser {
            Parser::Ndjson(ndjson) => ndjson.push(bytes, rows)?,
            Parser::Csv(csv) => csv.push(bytes, rows)?,
        }
        self.check.take(rows, before)
    }
}
