//! Where a record of CSV ends, and whether its quotes are as RFC 4180 says. csv-core takes any text apart: a quote that
//! is not closed would hide the rows after it, and one in the wrong place would change a cell.

use memchr::{memchr, memchr2};

use crate::rows::RowFault;

const QUOTE: u8 = b'"';

/// The quotes of a record, line by line.
#[derive(Debug, Default)]
pub(super) struct Quotes {
    /// The line on which the open quote begins, if one is open.
    opened: Option<u64>,
    /// Number of cells before the current one.
    cell: usize,
    /// The cells that are `""`.
    empty: Vec<usize>,
}

/// What a line is to its record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LineOfRecord {
    /// Its last line.
    Last,
    /// A line that ends within quotes.
    Open,
    /// A line with a quote in the wrong place.
    Invalid(RowFault),
}

impl Quotes {
    /// A new record begins.
    pub(super) fn begin(&mut self) {
        self.opened = None;
        self.cell = 0;
        self.empty.clear();
    }

    /// The line on which the open quote begins.
    pub(super) fn opened(&self) -> Option<u64> {
        self.opened
    }

    /// The numbers of the cells that are `""`.
    pub(super) fn empty_cells(&self) -> &[usize] {
        &self.empty
    }

    /// Takes the next line of a record, without its end.
    pub(super) fn take(&mut self, text: &[u8], line: u64, delimiter: u8) -> LineOfRecord {
        if self.opened.is_none() && memchr(QUOTE, text).is_none() {
            return LineOfRecord::Last;
        }
        let mut rest = text;
        let skip = |rest: &mut &[u8], count: usize| *rest = rest.get(count..).unwrap_or_default();
        loop {
            if let Some(opened) = self.opened {
                let Some(at) = memchr(QUOTE, rest) else { return LineOfRecord::Open };
                skip(&mut rest, at + 1);
                match rest.first() {
                    None => {
                        self.opened = None;
                        return LineOfRecord::Last;
                    }
                    Some(&QUOTE) => {}
                    Some(&byte) if byte == delimiter => {
                        self.opened = None;
                        self.cell += 1;
                    }
                    Some(_) => return LineOfRecord::Invalid(RowFault::TextBehindQuote { line, opened }),
                }
                skip(&mut rest, 1);
            } else if let Some(inner) = rest.strip_prefix(&[QUOTE]) {
                self.opened = Some(line);
                if matches!(inner, [QUOTE]) || matches!(inner, [QUOTE, next, ..] if *next == delimiter) {
                    self.empty.push(self.cell);
                }
                rest = inner;
            } else {
                let Some(at) = memchr2(delimiter, QUOTE, rest) else { return LineOfRecord::Last };
                if rest.get(at) == Some(&QUOTE) {
                    return LineOfRecord::Invalid(RowFault::QuoteInCell { line });
                }
                self.cell += 1;
                skip(&mut rest, at + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(lines: &[&str]) -> (LineOfRecord, Vec<usize>) {
        let mut quotes = Quotes::default();
        quotes.begin();
        let mut last = LineOfRecord::Last;
        for (line, number) in lines.iter().zip(1..) {
            last = quotes.take(line.as_bytes(), number, b',');
        }
        (last, quotes.empty_cells().to_vec())
    }

    #[test]
    fn a_record_ends_outside_of_quotes() {
        for lines in [
            &["a,b"][..],
            &["\"a\",b"],
            &["\"a,b\",\"\"\"c\"\"\""],
            &["a,\"b", "", "c\"", "d"],
            &["\"", "\""],
            &["\"\"\"", "\"\"\""],
        ] {
            assert_eq!(take(lines).0, LineOfRecord::Last, "{lines:?}");
        }
        for lines in [&["a,\""][..], &["\"\"\""], &["\"a", "b,c"], &["\"a\",\"b", "\"\""], &["a,\"\"\"\"\"b"]]
        {
            assert_eq!(take(lines).0, LineOfRecord::Open, "{lines:?}");
        }
    }

    #[test]
    fn a_quote_in_the_wrong_place_is_found_where_it_is() {
        let behind = |line, opened| LineOfRecord::Invalid(RowFault::TextBehindQuote { line, opened });
        let inside = |line| LineOfRecord::Invalid(RowFault::QuoteInCell { line });
        for (lines, expected) in [
            (&["\"Bob\"by,x"][..], behind(1, 1)),
            (&["\"Bob \\\"B\\\" Byte\""], behind(1, 1)),
            (&["\"a\" ,b"], behind(1, 1)),
            (&["a,\"b", "c,d", "\"e\""], behind(3, 1)),
            (&["\"a", "b\",\"c", "d\"e"], behind(3, 2)),
            (&["a, \"b\""], inside(1)),
            (&["O\"Neil"], inside(1)),
            (&["\"a", "b\",c\"d"], inside(2)),
        ] {
            assert_eq!(take(lines).0, expected, "{lines:?}");
        }
    }

    #[test]
    fn quoted_empty_cells_differ_from_empty_cells() {
        assert_eq!(take(&["\"\",,\"a\",\"\"\"\",\"\""]).1, [0, 4]);
        assert_eq!(take(&["a,\"b", "\",\"\""]).1, [2]);
        assert_eq!(take(&["a,,"]).1, [0; 0]);
    }
}
