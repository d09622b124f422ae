//! Reads rows in the order of a key, hashes them, and passes them on in chunks.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::engine::driver::{ColumnKind, Connection, DbError, Param, Row};
use crate::ops::copy::layout::{Table, quoted};
use tenantry_core::error::Result;

/// Rows of one table, compactly: all texts are in one string.
#[derive(Debug)]
pub(super) struct Chunk {
    width: usize,
    cells: Vec<Cell>,
    text: String,
}

#[derive(Debug)]
enum Cell {
    Null,
    Int(i64),
    Text(Range<usize>),
}

impl Chunk {
    fn new(width: usize) -> Self {
        Self { width: width.max(1), cells: Vec::new(), text: String::new() }
    }

    fn push(&mut self, row: &dyn Row, kinds: &[ColumnKind]) -> Result<()> {
        for (at, kind) in kinds.iter().enumerate() {
            let cell = match kind {
                ColumnKind::Int => row.opt_int(at)?.map(Cell::Int),
                ColumnKind::Text => row.opt_text(at)?.map(|text| {
                    let start = self.text.len();
                    self.text.push_str(text);
                    Cell::Text(start..self.text.len())
                }),
            };
            self.cells.push(cell.unwrap_or(Cell::Null));
        }
        Ok(())
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.cells.len() / self.width
    }

    /// The values of each row.
    pub(super) fn rows(&self) -> impl Iterator<Item = impl ExactSizeIterator<Item = Param<'_>>> {
        self.cells.chunks_exact(self.width).map(|row| row.iter().map(|cell| self.param(cell)))
    }

    fn param(&self, cell: &Cell) -> Param<'_> {
        match cell {
            Cell::Null => Param::Null,
            Cell::Int(v) => Param::Int(*v),
            Cell::Text(range) => Param::Text(self.text.get(range.clone()).unwrap_or_default()),
        }
    }

    /// The values of the last row in these columns.
    fn last(&self, columns: &[usize]) -> Option<Vec<Part>> {
        let row = self.cells.rchunks_exact(self.width).next()?;
        columns.iter().map(|&at| row.get(at).and_then(|cell| Part::of(self.param(cell)))).collect()
    }
}

/// One column of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Part {
    Int(i64),
    Text(String),
}

impl Part {
    fn of(value: Param<'_>) -> Option<Self> {
        match value {
            Param::Null => None,
            Param::Int(v) => Some(Self::Int(v)),
            Param::Text(v) => Some(Self::Text(v.to_owned())),
        }
    }

    fn param(&self) -> Param<'_> {
        match self {
            Self::Int(v) => Param::Int(*v),
            Self::Text(v) => Param::Text(v),
        }
    }
}

/// The number of rows and their checksum: the sum of the SHA-256 of each, as four integers. The order of the rows does
/// not matter, since the databases sort text differently; a missing, changed or duplicate row does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Digest {
    pub(super) rows: u64,
    sum: [u64; 4],
}

impl Digest {
    fn add<'p>(&mut self, row: impl Iterator<Item = Param<'p>>, buffer: &mut Vec<u8>) {
        buffer.clear();
        for value in row {
            match value {
                Param::Null => buffer.push(0),
                Param::Int(v) => {
                    buffer.push(1);
                    buffer.extend_from_slice(&v.to_be_bytes());
                }
                // With its length, or "ab", "c" would equal "a", "bc".
                Param::Text(v) => {
                    buffer.push(2);
                    buffer.extend_from_slice(&(v.len() as u64).to_be_bytes());
                    buffer.extend_from_slice(v.as_bytes());
                }
            }
        }
        let hash: [u8; 32] = Sha256::digest(&*buffer).into();
        for (sum, part) in self.sum.iter_mut().zip(hash.as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_be_bytes(*part));
        }
        self.rows += 1;
    }

    /// The sum as 64 hexadecimal digits.
    pub(super) fn checksum(&self) -> String {
        self.sum.iter().map(|part| format!("{part:016x}")).collect()
    }
}

/// The position in a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The checksum of the rows up to here.
    pub(super) digest: Digest,
    /// The key of the last of them; `None` before the first.
    last: Vec<Part>,
    /// Whether that was the last row.
    pub(super) is_end: bool,
}

/// Reads a table in the order of its key.
pub(super) struct Reader<'t> {
    table: &'t Table,
    key: &'t [usize],
    pub(super) position: Position,
    buffer: Vec<u8>,
}

impl<'t> Reader<'t> {
    /// A reader that continues from `position`. `key` is the table's primary key on its database.
    pub(super) fn new(table: &'t Table, key: &'t [usize], position: Position) -> Self {
        Self { table, key, position, buffer: Vec::new() }
    }

    /// The next rows, at most `limit`. Fewer mean that these are the last.
    pub(super) fn next(&mut self, conn: &mut dyn Connection, limit: u64) -> Result<Chunk, DbError> {
        let mut chunk = Chunk::new(self.table.columns.len());
        let (last, kinds) = (std::mem::take(&mut self.position.last), &self.table.kinds);
        let params: Vec<Param<'_>> = last.iter().map(Part::param).collect();
        let sql = self.select(params.len(), limit);
        conn.query(&sql, None, &params, &mut |row| chunk.push(row, kinds))?;
        for row in chunk.rows() {
            self.position.digest.add(row, &mut self.buffer);
        }
        self.position.last = chunk.last(self.key).unwrap_or(last);
        self.position.is_end = (chunk.len() as u64) < limit;
        Ok(chunk)
    }

    fn select(&self, after: usize, limit: u64) -> String {
        let key: Vec<String> =
            self.key.iter().filter_map(|&at| self.table.columns.get(at)).map(|name| quoted(name)).collect();
        let key = key.join(", ");
        let after = match after {
            0 => String::new(),
            n => {
                let params: Vec<String> = (1..=n).map(|n| format!("${n}")).collect();
                format!(" WHERE ({key}) > ({})", params.join(", "))
            }
        };
        format!(
            "SELECT {} FROM {}{after} ORDER BY {key} LIMIT {limit}",
            self.table.columns_quoted(),
            quoted(&self.table.name)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: &[&[Param<'_>]]) -> Digest {
        let mut digest = Digest::default();
        for row in rows {
            digest.add(row.iter().copied(), &mut Vec::new());
        }
        digest
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_everything_else_does() {
        let (a, b): (&[Param<'_>], &[Param<'_>]) =
            (&[Param::Int(1), Param::Text("x")], &[Param::Int(2), Param::Null]);
        assert_eq!(digest(&[a, b]), digest(&[b, a]));
        let others: [&[&[Param<'_>]]; 7] = [
            &[a],
            &[a, a],
            &[a, b, b],
            &[a, &[Param::Int(2), Param::Text("")]],
            &[a, &[Param::Int(3), Param::Null]],
            &[a, &[Param::Text("2"), Param::Null]],
            &[&[Param::Text("x"), Param::Int(1)], b],
        ];
        for other in others {
            assert_ne!(digest(&[a, b]), digest(other), "{other:?}");
        }
        let split = |one, two| digest(&[&[Param::Text(one), Param::Text(two)]]);
        assert_ne!(split("ab", "c"), split("a", "bc"));
    }

    #[test]
    fn checksums_are_stable() {
        // The SHA-256 of the bytes 01 0000000000000007 02 0000000000000002 c3a9 00.
        let row: &[Param<'_>] = &[Param::Int(7), Param::Text("é"), Param::Null];
        let bytes = [&[1_u8][..], &7_i64.to_be_bytes(), &[2], &2_u64.to_be_bytes(), "é".as_bytes(), &[0]];
        let wanted: String = Sha256::digest(bytes.concat()).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(digest(&[row]).checksum(), wanted);
    }
}
