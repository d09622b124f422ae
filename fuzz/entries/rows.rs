//! What holds for every file that is imported. Run by the fuzz target `rows` and by a property test.

use serde_json::Value;
use tenantry_core::rows::{Delimiter, Format, LONGEST_ROW, RawRow, ReadOptions, Splitter, Text};

/// Reads a file, with options and in chunks that the first two bytes say.
pub fn check(bytes: &[u8]) {
    let (choices, file) = bytes.split_at(bytes.len().min(2));
    let choice = |at: usize| choices.get(at).copied().unwrap_or(0);
    let format = if choice(0) & 1 == 0 { Format::Csv } else { Format::Ndjson };
    let delimiter = Delimiter::ALL.get(usize::from(choice(0) >> 1) % 8).copied();
    let ignored_columns = if choice(0) & 128 == 0 { Vec::new() } else { vec![String::from("x")] };
    let options = ReadOptions { format, delimiter, ignored_columns };
    let whole = split(&options, file, file.len().max(1));
    let parts = split(&options, file, usize::from(choice(1)).max(1));
    assert!(whole == parts, "chunks make a difference");
    let lines = file.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
    let mut before = 0;
    for (row, record) in whole.iter().flatten().zip(1..) {
        let RawRow { record: number, line, .. } = *row;
        assert!(
            number == record && line > before && line <= lines as u64,
            "{number} {line} {before} {lines}"
        );
        before = line;
        check_text(row, format);
    }
}

/// The rows of the file; `None` if it is refused.
fn split(options: &ReadOptions, file: &[u8], step: usize) -> Option<Vec<RawRow>> {
    let (mut splitter, mut rows) = (Splitter::new(options.clone()), Vec::new());
    file.chunks(step).try_for_each(|part| splitter.push(part, &mut rows)).ok()?;
    splitter.finish(&mut rows).ok()?;
    Some(rows)
}

fn check_text(row: &RawRow, format: Format) {
    match &row.text {
        Text::Json(text) if format == Format::Csv => {
            let value = serde_json::from_str::<Value>(text);
            assert!(value.is_ok_and(|value| value.is_object()), "line {} makes no object: {text}", row.line);
        }
        Text::Json(text) => assert!(text.len() <= LONGEST_ROW),
        Text::Faulty { excerpt, .. } => assert!(excerpt.as_ref().is_none_or(|text| text.len() <= 3_000)),
        Text::Empty => {}
        Text::End(_) => unreachable!("a trailer is not a row"),
    }
}
