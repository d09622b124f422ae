//! Splits a file into lines, whatever ends them: LF, CRLF or CR.

use memchr::memchr2;

use crate::error::FieldError;
use crate::rows::LONGEST_ROW;

/// A line of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// Its number, from 1.
    pub(super) number: u64,
    /// Its text, without its end; empty if it is too long.
    pub(super) text: &'a [u8],
    /// What ends it; nothing at the end of a file.
    pub(super) end: &'a [u8],
    /// It has more than [`LONGEST_ROW`] bytes.
    pub(super) is_too_long: bool,
}

/// The lines of a file that arrives in chunks. Buffers at most one line.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
    is_too_long: bool,
    /// A CR has arrived, which may be the first half of a CRLF.
    has_cr: bool,
    number: u64,
}

type Result<T> = std::result::Result<T, Vec<FieldError>>;

impl LineSplitter {
    /// Passes the lines that end in these bytes to `each`.
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        each: &mut dyn FnMut(Line<'_>) -> Result<()>,
    ) -> Result<()> {
        if self.has_cr && !bytes.is_empty() {
            self.has_cr = false;
            match bytes.strip_prefix(b"\n") {
                Some(rest) => {
                    bytes = rest;
                    self.end_line(b"\r\n", each)?;
                }
                None => self.end_line(b"\r", each)?,
            }
        }
        while let Some(at) = memchr2(b'\n', b'\r', bytes) {
            let (text, rest) = bytes.split_at(at);
            let length = match rest {
                [b'\r'] => {
                    self.append(text);
                    self.has_cr = true;
                    return Ok(());
                }
                [b'\r', b'\n', ..] => 2,
                _ => 1,
            };
            let (end, rest) = rest.split_at(length);
            bytes = rest;
            if self.partial.is_empty() && !self.is_too_long {
                self.number += 1;
                let is_too_long = text.len() > LONGEST_ROW;
                let text = if is_too_long { &[] } else { text };
                each(Line { number: self.number, text, end, is_too_long })?;
            } else {
                self.append(text);
                self.end_line(end, each)?;
            }
        }
        self.append(bytes);
        Ok(())
    }

    /// Passes the last line.
    pub(super) fn finish(&mut self, each: &mut dyn FnMut(Line<'_>) -> Result<()>) -> Result<()> {
        match std::mem::take(&mut self.has_cr) {
            true => self.end_line(b"\r", each),
            false if self.partial.is_empty() && !self.is_too_long => Ok(()),
            false => self.end_line(b"", each),
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.partial.len() + bytes.len() > LONGEST_ROW {
            self.is_too_long = true;
            self.partial.clear();
        }
        if !self.is_too_long {
            self.partial.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self, end: &[u8], each: &mut dyn FnMut(Line<'_>) -> Result<()>) -> Result<()> {
        self.number += 1;
        let is_too_long = std::mem::take(&mut self.is_too_long);
        let taken = each(Line { number: self.number, text: &self.partial, end, is_too_long });
        self.partial.clear();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(file: &[u8], step: usize) -> Vec<(u64, String, String)> {
        let mut lines = Vec::new();
        let mut note = |line: Line<'_>| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let content = if line.is_too_long { String::from("too long") } else { text(line.text) };
            lines.push((line.number, content, text(line.end)));
            Ok(())
        };
        let mut splitter = LineSplitter::default();
        file.chunks(step).for_each(|part| splitter.push(part, &mut note).unwrap());
        splitter.finish(&mut note).unwrap();
        lines
    }

    #[test]
    fn any_line_end_ends_a_line() {
        let file = b"a\nb\r\n\rc\r\r\n\n\rd";
        let expected: Vec<_> = [
            ("a", "\n"),
            ("b", "\r\n"),
            ("", "\r"),
            ("c", "\r"),
            ("", "\r\n"),
            ("", "\n"),
            ("", "\r"),
            ("d", ""),
        ]
        .into_iter()
        .zip(1..)
        .map(|((text, end), number)| (number, text.to_owned(), end.to_owned()))
        .collect();
        for step in 1..=file.len() {
            assert_eq!(lines(file, step), expected, "{step} bytes at a time");
        }
        assert_eq!(lines(b"", 1), []);
        assert_eq!(lines(b"a\r", 1), [(1, String::from("a"), String::from("\r"))]);
    }

    #[test]
    fn a_line_has_a_maximum_length() {
        for (length, expected) in
            [(LONGEST_ROW, "a".repeat(LONGEST_ROW)), (LONGEST_ROW + 1, "too long".into())]
        {
            let file = ["a".repeat(length).as_bytes(), b"\r\nb"].concat();
            for step in [4_000, file.len()] {
                let lines = lines(&file, step);
                assert!(lines[0] == (1, expected.clone(), String::from("\r\n")), "{length} {step}");
                assert_eq!(lines[1..], [(2, String::from("b"), String::new())]);
            }
        }
    }
}
