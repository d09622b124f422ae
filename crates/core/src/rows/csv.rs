//! Converts CSV records to JSON objects.

use serde_json::{Map, Value};

use crate::error::FieldError;
use crate::rows::{LONGEST_ROW, MARK, RawRow, Text, without_mark};
use crate::user_fields::UserField;
use crate::values;

/// The column of imported password hashes.
const HASH: &str = "passwordHash";

/// The allowed column names: the fields of a create, and the hash.
fn known_names() -> impl Iterator<Item = &'static str> {
    UserField::writable().map(UserField::name).chain([HASH])
}

fn listed_names() -> String {
    known_names().collect::<Vec<_>>().join(", ")
}

/// Separates the groups in a cell.
const BETWEEN_GROUPS: char = ';';

/// A CSV parser. An empty cell is no value. Cells are strings, except for `groups`: there, digits are ids and anything
/// else is a name.
pub struct Csv {
    names: Option<Vec<&'static str>>,
    /// The current record: its cells concatenated, and the end of each.
    cells: Vec<u8>,
    ends: Vec<usize>,
    state: State,
    is_too_long: bool,
    /// The current line, and the one on which the record began.
    line: u64,
    begun: u64,
}

/// The position of the parser in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a record: an empty line is not a record.
    Nothing,
    /// Before a cell.
    Cell,
    Plain,
    Quoted,
    /// After a quote within quotes: the closing quote, or the first of an escaped pair.
    Quote,
}

impl Csv {
    pub(super) fn new() -> Self {
        Self {
            names: None,
            cells: Vec::new(),
            ends: Vec::new(),
            state: State::Nothing,
            is_too_long: false,
            line: 1,
            begun: 1,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], rows: &mut Vec<RawRow>) -> Result<(), Vec<FieldError>> {
        for &byte in bytes {
            self.step(byte, rows)?;
            self.line += u64::from(byte == b'\n');
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, rows: &mut Vec<RawRow>) -> Result<(), Vec<FieldError>> {
        if self.state != State::Nothing {
            self.end_record(rows)?;
        }
        if self.names.is_none() {
            return Err(vec![no_names()]);
        }
        Ok(())
    }

    fn step(&mut self, byte: u8, rows: &mut Vec<RawRow>) -> Result<(), Vec<FieldError>> {
        if self.state == State::Nothing {
            if matches!(byte, b'\r' | b'\n') {
                return Ok(());
            }
            (self.begun, self.state) = (self.line, State::Cell);
        }
        match (self.state, byte) {
            (State::Quoted, b'"') => self.state = State::Quote,
            (State::Quoted, _) => self.append(byte),
            // A doubled quote is an escaped one.
            (State::Quote, b'"') => {
                self.append(byte);
                self.state = State::Quoted;
            }
            (State::Cell, b'"') => self.state = State::Quoted,
            // A byte order mark can precede the very first quote.
            (State::Plain, b'"') if self.names.is_none() && self.cells == MARK => self.state = State::Quoted,
            (_, b',') => {
                if self.has_room() {
                    self.ends.push(self.cells.len());
                }
                self.state = State::Cell;
            }
            (_, b'\r' | b'\n') => return self.end_record(rows),
            _ => {
                self.append(byte);
                self.state = State::Plain;
            }
        }
        Ok(())
    }

    fn append(&mut self, byte: u8) {
        if self.has_room() {
            self.cells.push(byte);
        }
    }

    fn has_room(&mut self) -> bool {
        self.is_too_long |= self.cells.len() + self.ends.len() >= LONGEST_ROW;
        !self.is_too_long
    }

    fn end_record(&mut self, rows: &mut Vec<RawRow>) -> Result<(), Vec<FieldError>> {
        self.state = State::Nothing;
        self.ends.push(self.cells.len());
        let (cells, ends) = (std::mem::take(&mut self.cells), std::mem::take(&mut self.ends));
        let is_too_long = std::mem::take(&mut self.is_too_long);
        let (mut begin, mut values) = (0, Vec::with_capacity(ends.len()));
        for end in ends {
            values.push(cells.get(begin..end).unwrap_or_default());
            begin = end;
        }
        let Some(names) = &self.names else {
            if is_too_long {
                return Err(vec![no_names()]);
            }
            self.names = Some(read_names(&values)?);
            return Ok(());
        };
        let text = match is_too_long {
            true => Text::TooLong,
            false if values.len() != names.len() => Text::Ragged,
            false => object(names, &values).map_or(Text::NotText, Text::Json),
        };
        rows.push(RawRow { line: self.begun, text });
        Ok(())
    }
}

fn no_names() -> FieldError {
    FieldError::new(
        "",
        "no-names",
        format!("the first line must contain column names, of these: {}", listed_names()),
    )
}

fn read_names(cells: &[&[u8]]) -> Result<Vec<&'static str>, Vec<FieldError>> {
    let (mut names, mut errors) = (Vec::new(), Vec::new());
    for (at, cell) in cells.iter().enumerate() {
        let cell = if at == 0 { without_mark(cell) } else { cell };
        let given = String::from_utf8_lossy(cell);
        let place = || format!("/{}", given.chars().take(255).collect::<String>());
        match known_names().find(|name| *name == given) {
            None => {
                let detail = format!("is not a column of an import; the columns are {}", listed_names());
                errors.push(FieldError::new(place(), "unknown-field", detail));
            }
            Some(name) if names.contains(&name) => {
                errors.push(FieldError::new(place(), "duplicate-field", "is given more than once"));
            }
            Some(name) => names.push(name),
        }
    }
    if errors.is_empty() { Ok(names) } else { Err(errors) }
}

/// The JSON object of a record; `None` if it is not UTF-8.
fn object(names: &[&'static str], cells: &[&[u8]]) -> Option<String> {
    let mut object = Map::new();
    for (name, cell) in names.iter().zip(cells) {
        let text = std::str::from_utf8(cell).ok()?;
        if text.is_empty() {
            continue;
        }
        let value = if *name == "groups" { groups(text) } else { Value::from(text) };
        object.insert((*name).to_owned(), value);
    }
    Some(Value::Object(object).to_string())
}

fn groups(cell: &str) -> Value {
    let group = |text: &str| values::whole_number(text).map_or_else(|| Value::from(text), Value::from);
    cell.split(BETWEEN_GROUPS).map(str::trim).filter(|text| !text.is_empty()).map(group).collect()
}
