//! The last line of an export, which says how many rows there were: `{"rows":2}` or `#rows,2`. So a file that was cut off
//! can be told from a complete one.

use serde::Deserialize;

use crate::error::FieldError;
use crate::rows::{Format, RawRow, Text};

/// Begins the trailer of CSV.
const CSV_MARK: &str = "#rows";

/// Longest trailer of NDJSON, in bytes: so other rows need not be parsed.
const LONGEST: usize = 64;

/// The trailer of an export with this number of rows.
pub fn write(format: Format, rows: u64) -> String {
    match format {
        Format::Ndjson => format!("{{\"rows\":{rows}}}\n"),
        Format::Csv => format!("{CSV_MARK},{rows}\r\n"),
    }
}

/// The number of rows that a line of NDJSON states, if it is a trailer.
pub fn parse_json(line: &str) -> Option<u64> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Trailer {
        rows: u64,
    }
    if line.len() > LONGEST || !line.starts_with('{') {
        return None;
    }
    serde_json::from_str::<Trailer>(line).ok().map(|trailer| trailer.rows)
}

/// The number of rows that a record of CSV states, if it is a trailer. A spreadsheet adds empty cells.
pub fn parse_record<'a>(mut cells: impl Iterator<Item = &'a [u8]>) -> Option<u64> {
    if cells.next()? != CSV_MARK.as_bytes() {
        return None;
    }
    let rows = std::str::from_utf8(cells.next()?).ok()?.parse().ok()?;
    cells.all(<[u8]>::is_empty).then_some(rows)
}

/// Holds a file to its trailer.
#[derive(Debug, Default)]
pub struct TrailerCheck {
    rows: u64,
    stated: Option<u64>,
}

impl TrailerCheck {
    /// Takes the trailer out of the rows of a file from a position on.
    ///
    /// # Errors
    /// It states another number of rows than there were, or there are rows after it. Those before it stay in `rows`.
    pub fn take(&mut self, rows: &mut Vec<RawRow>, from: usize) -> Result<(), Vec<FieldError>> {
        for row in rows.iter().skip(from) {
            let taken = match row.text {
                Text::End(stated) => self.trailer(stated, row.line),
                // Spreadsheets add them.
                Text::Empty => Ok(()),
                _ => self.row(row.line),
            };
            taken.map_err(|error| vec![error])?;
        }
        if self.stated.is_some() {
            rows.retain(|row| !matches!(row.text, Text::End(_)));
        }
        Ok(())
    }

    /// Counts a row.
    ///
    /// # Errors
    /// It comes after the trailer.
    fn row(&mut self, line: u64) -> Result<(), FieldError> {
        match self.stated {
            None => {
                self.rows += 1;
                Ok(())
            }
            Some(_) => Err(after_trailer(line)),
        }
    }

    /// Takes a trailer.
    ///
    /// # Errors
    /// It states another number of rows than there were, or is the second one.
    fn trailer(&mut self, stated: u64, line: u64) -> Result<(), FieldError> {
        if self.stated.is_some() {
            return Err(after_trailer(line));
        }
        if stated != self.rows {
            let rows = self.rows;
            let detail = format!(
                "line {line} says that the file has {stated} rows, but there are {rows} before it: get the whole file, \
                 or remove this line if rows were added or removed on purpose"
            );
            return Err(FieldError::new("", "wrong-number-of-rows", detail));
        }
        self.stated = Some(stated);
        Ok(())
    }
}

fn after_trailer(line: u64) -> FieldError {
    let detail = format!(
        "line {line} follows the line that ends an export with its number of rows: import each export by itself, or \
         remove that line"
    );
    FieldError::new("", "rows-after-end", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(line: &str) -> Option<u64> {
        parse_record(line.split(',').map(str::as_bytes))
    }

    #[test]
    fn what_is_written_is_parsed() {
        for rows in [0, 1, 1_234_567, u64::MAX] {
            assert_eq!(parse_json(write(Format::Ndjson, rows).trim_end()), Some(rows));
            assert_eq!(record(write(Format::Csv, rows).trim_end()), Some(rows));
        }
        assert_eq!(parse_json("{ \"rows\" : 7 }"), Some(7));
        assert_eq!(record("#rows,7,,,,"), Some(7));
        for row in ["{}", "{\"rows\":-1}", "{\"rows\":\"7\"}", "{\"rows\":7,\"username\":\"ada\"}", "7", ""] {
            assert_eq!(parse_json(row), None, "{row}");
        }
        for row in ["#rows", "#rows,", "#rows,x", "#rows,7,x", "rows,7", "#rows,ACTIVE,Ada", ""] {
            assert_eq!(record(row), None, "{row}");
        }
    }

    #[test]
    fn a_file_has_as_many_rows_as_its_trailer_says() {
        let check = |rows: u64, stated: &[u64], more: u64| {
            let mut check = TrailerCheck::default();
            (1..=rows).try_for_each(|line| check.row(line))?;
            stated.iter().try_for_each(|stated| check.trailer(*stated, rows + 1))?;
            (0..more).try_for_each(|n| check.row(rows + 2 + n))
        };
        assert_eq!(check(2, &[2], 0), Ok(()));
        assert_eq!(check(2, &[], 3), Ok(()), "without a trailer");
        let wrong = check(2, &[3], 0).unwrap_err();
        assert_eq!(wrong.code, "wrong-number-of-rows");
        assert!(
            wrong.detail.starts_with("line 3 says that the file has 3 rows, but there are 2"),
            "{wrong:?}"
        );
        assert_eq!(check(2, &[2], 1).unwrap_err().code, "rows-after-end");
        assert_eq!(check(2, &[2, 2], 0).unwrap_err().code, "rows-after-end");
        assert_eq!(check(0, &[1], 0).unwrap_err().code, "wrong-number-of-rows");
    }
}
