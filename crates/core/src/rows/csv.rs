//! Converts CSV records to JSON objects. `quotes` says where a record ends, csv-core takes it apart.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use serde_json::Value;

use crate::error::FieldError;
use crate::rows::columns::{self, Column, Columns};
use crate::rows::lines::{Line, LineSplitter};
use crate::rows::quotes::{LineOfRecord, Quotes};
use crate::rows::{Delimiter, LONGEST_ROW, RawRow, ReadOptions, RowFault, Text, group_list, trailer};

/// Maximum size of an excerpt, in bytes.
const LONGEST_EXCERPT: usize = 1_000;

/// Splits records of CSV.
pub(super) struct Csv {
    lines: LineSplitter,
    records: Records,
}

type Result<T> = std::result::Result<T, Vec<FieldError>>;

impl Csv {
    pub(super) fn new(options: ReadOptions) -> Self {
        Self { lines: LineSplitter::default(), records: Records::new(options) }
    }

    pub(super) fn push(&mut self, bytes: &[u8], rows: &mut Vec<RawRow>) -> Result<()> {
        let Self { lines, records } = self;
        lines.push(bytes, &mut |line| records.line(line, rows))
    }

    pub(super) fn finish(&mut self, rows: &mut Vec<RawRow>) -> Result<()> {
        let Self { lines, records } = self;
        lines.finish(&mut |line| records.line(line, rows))?;
        records.finish(rows)
    }
}

/// Puts records together from lines.
struct Records {
    options: ReadOptions,
    /// A line `sep=` was read.
    has_separator_line: bool,
    /// Known from the first line on.
    parser: Option<RecordParser>,
    columns: Option<Columns>,
    /// The lines of a record that is not complete.
    held: HeldLines,
    quotes: Quotes,
    /// Number of rows.
    rows: u64,
}

impl Records {
    fn new(options: ReadOptions) -> Self {
        Self {
            options,
            has_separator_line: false,
            parser: None,
            columns: None,
            held: HeldLines::default(),
            quotes: Quotes::default(),
            rows: 0,
        }
    }

    fn line(&mut self, line: Line<'_>, rows: &mut Vec<RawRow>) -> Result<()> {
        let next = self.step(line, rows)?;
        self.go_back(next, rows)
    }

    fn finish(&mut self, rows: &mut Vec<RawRow>) -> Result<()> {
        while !self.held.is_empty() {
            let next = self.refuse_open_quote(rows)?;
            self.go_back(Some(next), rows)?;
        }
        if self.columns.is_none() {
            return Err(vec![columns::no_names()]);
        }
        Ok(())
    }

    /// Reads held lines once more, from the one with this number on: they do not belong to the record for which they
    /// were held.
    fn go_back(&mut self, next: Option<u64>, rows: &mut Vec<RawRow>) -> Result<()> {
        let Some(mut number) = next else { return Ok(()) };
        let lines = std::mem::take(&mut self.held);
        while let Some(line) = lines.get(number) {
            number = match self.step(line, rows)? {
                None => number + 1,
                Some(next) => {
                    self.held.clear();
                    next
                }
            };
        }
        Ok(())
    }

    /// Takes the next line. Returns the number of the line to go back to, if there is one: a quote that is not closed, or
    /// not as it should be, must not hide the lines after it. Lines are read at most twice: a line that has no quote, or
    /// only pairs of them, neither ends a quotation nor begins one.
    fn step(&mut self, line: Line<'_>, rows: &mut Vec<RawRow>) -> Result<Option<u64>> {
        if line.is_too_long {
            if self.held.is_empty() {
                self.refuse(line.number, RowFault::TooLong, &[], rows)?;
                return Ok(None);
            }
            self.held.push(line);
            return self.refuse_open_quote(rows).map(Some);
        }
        let delimiter = match &self.parser {
            Some(parser) => parser.delimiter,
            None if line.text.trim_ascii().is_empty() => return Ok(None),
            None => {
                let Some(delimiter) = self.first_line(line)? else { return Ok(None) };
                self.parser = Some(RecordParser::new(delimiter));
                delimiter
            }
        };
        if self.held.is_empty() {
            if line.text.is_empty() {
                return Ok(None);
            }
            self.quotes.begin();
        }
        let taken = self.quotes.take(line.text, line.number, delimiter.byte());
        if taken == LineOfRecord::Last && self.held.is_empty() {
            let is_only_line = line.number == 1 && line.end.is_empty();
            self.record(line.number, line.text, is_only_line, rows)?;
            return Ok(None);
        }
        self.held.push(line);
        match taken {
            LineOfRecord::Last => {
                let held = std::mem::take(&mut self.held);
                self.record(held.first, held.text(), false, rows)?;
                self.held = held.cleared();
                Ok(None)
            }
            LineOfRecord::Open if self.held.len() > LONGEST_ROW => self.refuse_open_quote(rows).map(Some),
            LineOfRecord::Open => Ok(None),
            LineOfRecord::Invalid(fault) => {
                let next = match fault {
                    RowFault::TextBehindQuote { opened, .. } => opened + 1,
                    _ => line.number + 1,
                };
                self.refuse_held(fault, next, rows)?;
                Ok(Some(next))
            }
        }
    }

    /// The delimiter of a file by its first line; `None` if the line only names the delimiter.
    fn first_line(&mut self, line: Line<'_>) -> Result<Option<Delimiter>> {
        let text = String::from_utf8_lossy(line.text);
        columns::recognize(&text).map_err(|error| vec![error])?;
        if !self.has_separator_line
            && let Some(separator) = columns::separator_of(&text)
        {
            self.has_separator_line = true;
            if self.options.delimiter.is_none() {
                self.options.delimiter = Some(separator.map_err(|error| vec![error])?);
            }
            return Ok(None);
        }
        Ok(Some(self.options.delimiter.unwrap_or_else(|| columns::delimiter_of(&text, &self.options))))
    }

    /// Refuses the held record, whose quote is not closed. Returns the number of the line after the quote.
    fn refuse_open_quote(&mut self, rows: &mut Vec<RawRow>) -> Result<u64> {
        let opened = self.quotes.opened().unwrap_or(self.held.first);
        let next = opened + 1;
        self.refuse_held(RowFault::OpenQuote { opened }, next, rows)?;
        Ok(next)
    }

    /// Refuses the held record, of which the lines from `next` on are read once more.
    fn refuse_held(&mut self, fault: RowFault, next: u64, rows: &mut Vec<RawRow>) -> Result<()> {
        let held = std::mem::take(&mut self.held);
        let refused = self.refuse(held.first, fault, held.text_before(next), rows);
        self.held = held;
        refused
    }

    /// A row that could not be taken apart. If it is that of the column names, the file cannot be read.
    fn refuse(&mut self, line: u64, fault: RowFault, raw: &[u8], rows: &mut Vec<RawRow>) -> Result<()> {
        let Some(columns) = &self.columns else {
            return Err(vec![match fault {
                RowFault::TooLong => columns::no_names(),
                fault => {
                    let FieldError { code, detail, .. } = fault.error();
                    FieldError::new("", code, format!("the line of column names {detail}"))
                }
            }]);
        };
        let excerpt = columns.can_be_shown.then(|| excerpt(raw)).filter(|text| !text.is_empty());
        self.add(line, Text::Faulty { fault, excerpt }, rows);
        Ok(())
    }

    fn add(&mut self, line: u64, text: Text, rows: &mut Vec<RawRow>) {
        self.rows += 1;
        rows.push(RawRow { record: self.rows, line, text });
    }

    /// A record whose quotes are as they should be.
    fn record(&mut self, line: u64, raw: &[u8], is_only_line: bool, rows: &mut Vec<RawRow>) -> Result<()> {
        let Some(parser) = &mut self.parser else { return Ok(()) };
        let delimiter = parser.delimiter;
        let Some(columns) = &self.columns else {
            let Some(cells) = parser.split(raw) else {
                return self.refuse(line, RowFault::NotUtf8, raw, rows);
            };
            self.columns = Some(columns::read(cells, &self.options, is_only_line)?);
            return Ok(());
        };
        let text = match parser.split(raw) {
            None => Err(RowFault::NotUtf8),
            Some(cells) => text_of(cells, &columns.list, self.quotes.empty_cells(), delimiter),
        };
        match text {
            Ok(text) => self.add(line, text, rows),
            Err(fault) => self.refuse(line, fault, raw, rows)?,
        }
        Ok(())
    }
}

/// The beginning of a row that could not be taken apart.
fn excerpt(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw.get(..LONGEST_EXCERPT).unwrap_or(raw));
    text.trim_end_matches(['\r', '\n']).to_owned()
}

/// The lines of a record that is not complete.
#[derive(Default)]
struct HeldLines {
    bytes: Vec<u8>,
    /// The number of the first of them.
    first: u64,
    lines: Vec<HeldLine>,
}

/// Where a held line is.
struct HeldLine {
    begin: usize,
    end_of_text: usize,
    end: usize,
    is_too_long: bool,
}

impl HeldLines {
    fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Its size in bytes.
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn push(&mut self, line: Line<'_>) {
        if self.is_empty() {
            self.first = line.number;
        }
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(line.text);
        let end_of_text = self.bytes.len();
        self.bytes.extend_from_slice(line.end);
        let (end, is_too_long) = (self.bytes.len(), line.is_too_long);
        self.lines.push(HeldLine { begin, end_of_text, end, is_too_long });
    }

    /// The line with this number.
    fn get(&self, number: u64) -> Option<Line<'_>> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let HeldLine { begin, end_of_text, end, is_too_long } = *self.lines.get(at)?;
        let bytes = |range| self.bytes.get(range).unwrap_or_default();
        Some(Line { number, text: bytes(begin..end_of_text), end: bytes(end_of_text..end), is_too_long })
    }

    /// All of them, without the end of the last.
    fn text(&self) -> &[u8] {
        let end = self.lines.last().map_or(0, |line| line.end_of_text);
        self.bytes.get(..end).unwrap_or_default()
    }

    /// The lines before the one with this number.
    fn text_before(&self, number: u64) -> &[u8] {
        let count = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let end = self.lines.get(count).map_or(self.bytes.len(), |line| line.begin);
        self.bytes.get(..end).unwrap_or_default()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.lines.clear();
    }

    fn cleared(mut self) -> Self {
        self.clear();
        self
    }
}

/// Takes records apart.
struct RecordParser {
    delimiter: Delimiter,
    reader: Box<Reader>,
    /// The cells of a record, one after the other, and the end of each.
    cells: Vec<u8>,
    ends: Vec<usize>,
}

impl RecordParser {
    fn new(delimiter: Delimiter) -> Self {
        let reader = Box::new(ReaderBuilder::new().delimiter(delimiter.byte()).build());
        Self { delimiter, reader, cells: Vec::new(), ends: vec![0; 32] }
    }

    /// The cells of a record; `None` if it is not UTF-8.
    fn split(&mut self, raw: &[u8]) -> Option<impl Iterator<Item = &str>> {
        // Cells have no more bytes than their record: there is always room for the next one.
        if self.cells.len() <= raw.len() {
            self.cells.resize(raw.len() + 1, 0);
        }
        let (mut input, mut written, mut count) = (raw, 0, 0);
        // A line feed ends the record.
        let mut end: &[u8] = b"\n";
        loop {
            let cells = self.cells.get_mut(written..).unwrap_or_default();
            let ends = self.ends.get_mut(count..).unwrap_or_default();
            let (result, read, more, ended) = self.reader.read_record(input, cells, ends);
            (written, count) = (written + more, count + ended);
            input = input.get(read..).unwrap_or_default();
            match result {
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::InputEmpty if !end.is_empty() => input = std::mem::take(&mut end),
                ReadRecordResult::Record => break,
                ReadRecordResult::InputEmpty | ReadRecordResult::OutputFull | ReadRecordResult::End => break,
            }
        }
        let text = std::str::from_utf8(self.cells.get(..written).unwrap_or_default()).ok()?;
        let mut begin = 0;
        let ends = self.ends.get(..count).unwrap_or_default();
        Some(ends.iter().map(move |&end| {
            let cell = text.get(begin..end).unwrap_or_default();
            begin = end;
            cell
        }))
    }
}

/// What a record says. An empty cell is no value; `""` is an empty one where a field can be empty. Missing cells at the
/// end are no values.
fn text_of<'a>(
    cells: impl Iterator<Item = &'a str>,
    columns: &[Column],
    empty: &[usize],
    delimiter: Delimiter,
) -> std::result::Result<Text, RowFault> {
    let cells: Vec<&str> = cells.collect();
    let is_blank = |cell: &&str| cell.trim().is_empty();
    if cells.iter().all(is_blank) {
        return Ok(Text::Empty);
    }
    if let Some(rows) = trailer::parse_record(cells.iter().map(|cell| cell.as_bytes())) {
        return Ok(Text::End(rows));
    }
    if cells.iter().skip(columns.len()).any(|cell| !is_blank(cell)) {
        return Err(RowFault::TooManyCells { cells: cells.len(), columns: columns.len() });
    }
    let mut json = JsonObject::default();
    for (at, (column, cell)) in columns.iter().zip(&cells).enumerate() {
        match *column {
            Column::Text { name, takes_empty } => {
                if !cell.is_empty() || takes_empty && empty.contains(&at) {
                    json.string(name, cell);
                }
            }
            Column::Word { name } if !is_blank(cell) => json.string(name, cell.trim()),
            Column::Groups if !is_blank(cell) => {
                let groups = group_list::parse(cell, delimiter.group_separators());
                json.value("groups", &groups);
            }
            Column::Unnamed if !is_blank(cell) => return Err(RowFault::UnnamedColumn { column: at + 1 }),
            Column::Word { .. } | Column::Groups | Column::Unnamed | Column::Ignored => {}
        }
    }
    Ok(Text::Json(json.finish()))
}

/// Writes a JSON object.
#[derive(Default)]
struct JsonObject(String);

impl JsonObject {
    fn name(&mut self, name: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    fn string(&mut self, name: &str, text: &str) {
        self.name(name);
        // Most texts need no escapes.
        if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
            self.0.push('"');
            self.0.push_str(text);
            self.0.push('"');
        } else {
            self.0.push_str(&Value::from(text).to_string());
        }
    }

    fn value(&mut self, name: &str, value: &Value) {
        self.name(name);
        self.0.push_str(&value.to_string());
    }

    fn finish(mut self) -> String {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        self.0
    }
}
