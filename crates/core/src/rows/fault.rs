//! Why a row cannot be read.

use serde::{Deserialize, Serialize};

use crate::error::FieldError;
use crate::rows::LONGEST_ROW;

/// Why a row cannot be read. Lines are numbered from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowFault {
    /// Longer than [`LONGEST_ROW`].
    TooLong,
    /// Not UTF-8.
    NotUtf8,
    /// A quote that is not closed within [`LONGEST_ROW`], or not at all.
    OpenQuote {
        /// The line on which it opens a cell.
        opened: u64,
    },
    /// A quote inside of a cell that does not begin with one.
    QuoteInCell {
        /// The line on which it is.
        line: u64,
    },
    /// Something other than a delimiter after the quote that closes a cell.
    TextBehindQuote {
        /// The line on which it is.
        line: u64,
        /// The line on which a quote opens the cell.
        opened: u64,
    },
    /// A value in a cell after those of the columns.
    TooManyCells {
        /// The number of cells.
        cells: usize,
        /// The number of columns.
        columns: usize,
    },
    /// A value in a column without a name.
    UnnamedColumn {
        /// Its number, from 1.
        column: usize,
    },
}

impl RowFault {
    /// As an error of the whole row.
    pub fn error(self) -> FieldError {
        let (code, detail) = match self {
            Self::TooLong => ("row-too-long", format!("has more than {LONGEST_ROW} bytes")),
            Self::NotUtf8 => {
                let detail = "is not UTF-8, but perhaps Windows-1252 or Latin-1: save the file as CSV UTF-8, or convert it \
                              with iconv";
                ("malformed", detail.to_owned())
            }
            Self::OpenQuote { opened } => (
                "open-quote",
                format!(
                    "has a cell that a quote opens on line {opened}, and that no quote closes within {LONGEST_ROW} \
                     bytes: close it, or double a quote that belongs to the text"
                ),
            ),
            Self::QuoteInCell { line } => (
                "quote-in-cell",
                format!(
                    "has a quote inside of a cell on line {line}: put the whole cell in quotes, without white space \
                     before them, and double those that belong to the text"
                ),
            ),
            Self::TextBehindQuote { line, opened } => (
                "text-behind-quote",
                format!(
                    "has text behind the closing quote of a cell on line {line}, which a quote opens on line {opened}: \
                     double quotes that belong to the text"
                ),
            ),
            Self::TooManyCells { cells, columns } => (
                "wrong-number-of-cells",
                format!("has {cells} cells, but the first line names {columns} columns"),
            ),
            Self::UnnamedColumn { column } => (
                "unnamed-column",
                format!("has a value in column {column}, which has no name in the first line"),
            ),
        };
        FieldError::new("", code, detail)
    }
}
