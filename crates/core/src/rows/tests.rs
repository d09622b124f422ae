use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

/// The rows of a file that arrives in chunks of `step` bytes.
fn raw_rows(options: &ReadOptions, file: &[u8], step: usize) -> Result<Vec<RawRow>, Vec<FieldError>> {
    let (mut splitter, mut rows) = (Splitter::new(options.clone()), Vec::new());
    file.chunks(step).try_for_each(|part| splitter.push(part, &mut rows))?;
    splitter.finish(&mut rows)?;
    Ok(rows)
}

/// The same, by their lines.
fn split(options: &ReadOptions, file: &[u8], step: usize) -> Result<Vec<(u64, String)>, Vec<FieldError>> {
    let rows = raw_rows(options, file, step)?;
    Ok(rows
        .into_iter()
        .map(|row| match row.text {
            Text::Json(text) => (row.line, text),
            other => (row.line, format!("{other:?}")),
        })
        .collect())
}

fn in_any_step(format: Format, file: &[u8], expected: &[(u64, &str)]) {
    with_options(&ReadOptions::of(format), file, expected);
}

fn with_options(options: &ReadOptions, file: &[u8], expected: &[(u64, &str)]) {
    let expected: Vec<(u64, String)> = expected.iter().map(|(n, text)| (*n, (*text).to_owned())).collect();
    for step in [1, 2, 3, 7, 1 << 20] {
        assert_eq!(split(options, file, step).unwrap(), expected, "{step} bytes at a time");
    }
}

/// `field code` of each error of a file that is refused.
fn refusals(format: Format, file: &[u8]) -> Vec<String> {
    let errors = split(&ReadOptions::of(format), file, 5).unwrap_err();
    errors.into_iter().map(|error| format!("{} {}", error.field, error.code)).collect()
}

#[test]
fn lines_of_json() {
    let file = b"\xef\xbb\xbf{\"a\":1}\r\n\n  \n{\"b\":\"\xc3\xa9\"}\n\xff\n{}";
    let expected = [(1, "{\"a\":1}"), (3, "Empty"), (4, "{\"b\":\"é\"}"), (5, "NotUtf8"), (6, "{}")];
    in_any_step(Format::Ndjson, file, &expected);
    in_any_step(Format::Ndjson, b"", &[]);
    in_any_step(Format::Ndjson, b"{}\r{\"a\":1}\r\r{}\r", &[(1, "{}"), (2, "{\"a\":1}"), (4, "{}")]);
    let long = [b"{}\n".to_vec(), vec![b'x'; LONGEST_ROW + 1], b"\n{}\n".to_vec()].concat();
    let rows = split(&ReadOptions::of(Format::Ndjson), &long, 4_096).unwrap();
    assert_eq!(rows[1], (2, String::from("TooLong")));
    assert_eq!((rows[0].0, rows[2].0, rows.len()), (1, 3, 3));
}

#[test]
fn what_is_not_lines_of_json_is_named() {
    for (file, code) in [
        ("[{\"username\":\"ada\"}]", " json-array"),
        ("\n  [\n{}\n]\n", " json-array"),
        ("{\n  \"username\": \"ada\"\n}\n", " json-over-lines"),
        ("username,status\nada,ACTIVE\n", " not-ndjson"),
        ("--------------------------d74496d66958873e\r\nContent-Disposition: form-data\r\n", " not-rows"),
        ("{\"username\":\"ada\"}{\"username\":\"bob\"}", " one-line"),
    ] {
        assert_eq!(refusals(Format::Ndjson, file.as_bytes()), [code], "{file}");
    }
    // A row in the middle of others is only a row.
    in_any_step(Format::Ndjson, b"{}\n[1]\n{\n", &[(1, "{}"), (2, "[1]"), (3, "{")]);
    in_any_step(Format::Ndjson, b"hello\n", &[(1, "hello")]);
}

#[test]
fn records_of_csv() {
    let file = "\u{feff}username,firstName,title,groups,isAdmin\r\n\
                ada,\"Ada, \"\"the\"\"\",,\"#3;Editors; x \",true\r\n\
                \r\n\
                bob,\"B\nob\",Ünï,,\n\
                cid,Cid\n\
                dan,\"Dan\",\"\",12, False ";
    let expected = [
        (2, r#"{"username":"ada","firstName":"Ada, \"the\"","groups":[3,"Editors","x"],"isAdmin":"true"}"#),
        (4, r#"{"username":"bob","firstName":"B\nob","title":"Ünï"}"#),
        (6, r#"{"username":"cid","firstName":"Cid"}"#),
        (
            7,
            r#"{"username":"dan","firstName":"Dan","title":"","groups":[{"nameOrId":"12"}],"isAdmin":"False"}"#,
        ),
    ];
    in_any_step(Format::Csv, file.as_bytes(), &expected);
    // In fields that cannot be empty, `""` is an empty cell.
    let quoted = b"username,status,title,groups,createdAt,pid\nada,\"\",\"\",\"\",\"\",\"1\"\n";
    in_any_step(Format::Csv, quoted, &[(2, r#"{"username":"ada","title":"","pid":"1"}"#)]);
    in_any_step(Format::Csv, b"username,email\n", &[]);
    in_any_step(Format::Csv, b"username\n\xff\n", &[(2, "NotUtf8")]);
    let long = [b"username\n".to_vec(), vec![b'x'; LONGEST_ROW + 1], b"\nada\n".to_vec()].concat();
    let rows = split(&ReadOptions::of(Format::Csv), &long, 4_096).unwrap();
    assert_eq!(rows, [(2, String::from("TooLong")), (3, String::from(r#"{"username":"ada"}"#))]);
}

#[test]
fn any_line_end_ends_a_record() {
    let expected = [(2, r#"{"username":"ada"}"#), (3, r#"{"username":"bob"}"#), (5, r#"{"username":"cid"}"#)];
    for end in ["\n", "\r\n", "\r"] {
        let file = ["username,title", "ada,", "bob,", "", "cid,", ""].join(end);
        in_any_step(Format::Csv, file.as_bytes(), &expected);
        in_any_step(Format::Csv, file.trim_end_matches(end).as_bytes(), &expected);
    }
    in_any_step(
        Format::Csv,
        b"username,title\rada,\"a\rb\r\n\"\nbob,\r",
        &[(2, r#"{"username":"ada","title":"a\rb\r\n"}"#), (5, r#"{"username":"bob"}"#)],
    );
}

#[test]
fn cells_without_a_column_must_be_empty() {
    let file = b"username,title,, \n\
        ada,x\n\
        bob,y,,,,,\n\
        cid,z, ,\n\
        ,,,,,\n\
        \x20\n\
        \"\",\"\"\n\
        dan,z,a\n\
        eve,z,,,,a\n";
    let expected = [
        (2, r#"{"username":"ada","title":"x"}"#),
        (3, r#"{"username":"bob","title":"y"}"#),
        (4, r#"{"username":"cid","title":"z"}"#),
        (5, "Empty"),
        (6, "Empty"),
        (7, "Empty"),
        (8, "UnnamedColumn { column: 3 }"),
        (9, "TooManyCells { cells: 6, columns: 4 }"),
    ];
    in_any_step(Format::Csv, file, &expected);
}

#[test]
fn a_misplaced_quote_refuses_its_row_and_no_other() {
    let ada = |line: u64| (line, r#"{"username":"ada","title":"x"}"#);
    let file = |rows: &[&str]| {
        ["username,title"].iter().chain(rows).map(|row| format!("{row}\n")).collect::<String>()
    };
    for (rows, expected) in [
        // Never closed.
        (
            &["ada,x", "bob,\"y", "ada,x", "ada,x"][..],
            vec![ada(2), (3, "OpenQuote { opened: 3 }"), ada(4), ada(5)],
        ),
        (&["ada,x", "bob,\"y"], vec![ada(2), (3, "OpenQuote { opened: 3 }")]),
        // Closed by the quote that opens another cell.
        (
            &["bob,\"y", "\"ada\",\"x\"", "\"ada\",\"x\""],
            vec![(2, "TextBehindQuote { line: 3, opened: 2 }"), ada(3), ada(4)],
        ),
        (&["\"Bob\"by,x", "ada,x"], vec![(2, "TextBehindQuote { line: 2, opened: 2 }"), ada(3)]),
        (&["bob,\"y \\\"z\\\"\"", "ada,x"], vec![(2, "TextBehindQuote { line: 2, opened: 2 }"), ada(3)]),
        (&["bob, \"y\"", "ada,x"], vec![(2, "QuoteInCell { line: 2 }"), ada(3)]),
        // The second of two quotations of a record.
        (&["\"ada", "\",\"x", "ada,x", "ada,x"], vec![(2, "OpenQuote { opened: 3 }"), ada(4), ada(5)]),
        (&["\"a", "b\",x\"", "ada,x"], vec![(2, "QuoteInCell { line: 3 }"), ada(4)]),
    ] {
        in_any_step(Format::Csv, file(rows).as_bytes(), &expected);
    }
    assert_eq!(refusals(Format::Csv, b"\"username,title\nada,x\n"), [" open-quote"]);
    assert_eq!(refusals(Format::Csv, b"username,ti\"tle\nada,x\n"), [" quote-in-cell"]);
}

#[test]
fn an_open_quote_reaches_64_kib_and_no_further() {
    let options = ReadOptions::of(Format::Csv);
    for rows in [20, 20_000] {
        let rest: String = (0..rows).map(|n| format!("good{n},x\n")).collect();
        let file = format!("username,title\nbob,\"y\n{rest}");
        for step in [4_096, 1 << 20] {
            let split = split(&options, file.as_bytes(), step).unwrap();
            assert_eq!(split.len(), rows + 1);
            assert_eq!(split[0].1, "OpenQuote { opened: 2 }");
            assert_eq!(
                split[rows],
                (rows as u64 + 2, format!("{{\"username\":\"good{}\",\"title\":\"x\"}}", rows - 1))
            );
        }
    }
    // A cell that is as long as a row may be.
    let most = "x\n".repeat(LONGEST_ROW / 2 - 4);
    let file = format!("username,title\nbob,\"{most}\"\nada,\n");
    let rows = split(&options, file.as_bytes(), 5_000).unwrap();
    assert!(rows.len() == 2 && rows[0].1.starts_with("{\"username\":\"bob\",\"title\":\"x\\nx"));
    // A longer one is refused; what it was mistaken for as well, line by line.
    let file = format!("username,title\nbob,\"{most}{most}\"\nada,\n");
    let rows = split(&options, file.as_bytes(), 5_000).unwrap();
    assert_eq!(rows[0].1, "OpenQuote { opened: 2 }");
    assert_eq!(rows.last().unwrap().1, r#"{"username":"ada"}"#);
    // A line that is too long within an open quote.
    let file = format!("username,title\nbob,\"y\n{}\nada,\n", "x".repeat(LONGEST_ROW + 1));
    let expected = [(2, "OpenQuote { opened: 2 }"), (3, "TooLong"), (4, r#"{"username":"ada"}"#)];
    with_options(&options, file.as_bytes(), &expected);
}

/// Each line ends within quotes if it is read alone, and none does in the record that began on the line before. So each
/// could be read until 64 KiB are over.
#[test]
fn lines_are_not_read_over_and_over() {
    let file = format!("username,title\n{}", "\"z\",\"\n".repeat(50_000));
    let rows = split(&ReadOptions::of(Format::Csv), file.as_bytes(), 1 << 20).unwrap();
    // If lines were, this would take minutes.
    assert_eq!(rows.len(), 50_000);
}

#[test]
fn delimiters_are_recognized_or_given() {
    let expected = [(2, r#"{"username":"ada","title":"x","groups":["A","B"]}"#)];
    for (delimiter, groups) in
        [(",", "A;B"), (";", "A,B"), (";", "A|B"), (";", "\"A;B\""), ("\t", "A;B"), ("|", "A;B")]
    {
        let header = ["username", "title", "groups"].join(delimiter);
        let file = format!("{header}\n{}\n", ["ada", "x", groups].join(delimiter));
        in_any_step(Format::Csv, file.as_bytes(), &expected);
        // One that is named.
        let named = format!("sep={delimiter}\r\n{file}");
        in_any_step(Format::Csv, named.as_bytes(), &[(3, expected[0].1)]);
    }
    let options = |delimiter| ReadOptions { delimiter: Some(delimiter), ..ReadOptions::of(Format::Csv) };
    with_options(&options(Delimiter::Tab), b"username\na,b\n", &[(2, r#"{"username":"a,b"}"#)]);
    with_options(
        &options(Delimiter::Bar),
        b"sep=;\nusername|title\nada|x;y\n",
        &[(3, r#"{"username":"ada","title":"x;y"}"#)],
    );
    let wrong = split(&options(Delimiter::Comma), b"username;title\nada;x\n", 5).unwrap_err();
    assert_eq!(wrong[0].code, "unknown-field");
    for delimiter in Delimiter::ALL {
        assert_eq!(Delimiter::parse(delimiter.name()), Some(delimiter));
        assert_eq!(Delimiter::parse(&char::from(delimiter.byte()).to_string()), Some(delimiter));
    }
    assert_eq!(
        (Delimiter::parse("\\t"), Delimiter::parse(":"), Delimiter::parse("")),
        (Some(Delimiter::Tab), None, None)
    );
}

#[test]
fn columns_can_be_left_out() {
    let ignored_columns = vec![String::from("Shoe-Size"), String::from("email")];
    let options = ReadOptions { ignored_columns, ..ReadOptions::of(Format::Csv) };
    let file = b"username,shoe size,email\nada,\"4\n4\",no\n\"bob\"x,1,no\n";
    let expected = [(2, r#"{"username":"ada"}"#), (4, "TextBehindQuote { line: 4, opened: 4 }")];
    with_options(&options, file, &expected);
    assert!(options.suits_format() && !ReadOptions { format: Format::Ndjson, ..options }.suits_format());
}

#[test]
fn an_excerpt_is_shown_unless_it_may_contain_a_secret() {
    let excerpts = |options: &ReadOptions, file: &str| {
        let rows = raw_rows(options, file.as_bytes(), 100).unwrap();
        let excerpt = |row: RawRow| match row.text {
            Text::Faulty { excerpt, .. } => excerpt,
            other => panic!("{other:?}"),
        };
        rows.into_iter().map(excerpt).collect::<Vec<_>>()
    };
    let all = ReadOptions::of(Format::Csv);
    assert_eq!(
        excerpts(&all, "username,title\n\"a\"b,c\nd,\"e\n"),
        [Some("\"a\"b,c".into()), Some("d,\"e".into())]
    );
    // Only what is refused, not what is read once more.
    assert_eq!(
        excerpts(&all, "username,title\nd,\"e\n\"f\"g,h\n"),
        [Some("d,\"e".into()), Some("\"f\"g,h".into())]
    );
    let long = excerpts(&all, &format!("username\na\"{}\n", "é".repeat(5_000)));
    assert!(long[0].as_ref().unwrap().len() < 1_010);
    assert_eq!(excerpts(&all, "username,passwordHash\n\"a\"b,c\n"), [None]);
    let some = ReadOptions { ignored_columns: vec![String::from("pw")], ..all };
    assert_eq!(excerpts(&some, "username,pw\n\"a\"b,c\n"), [None]);
}

#[test]
fn other_encodings_are_refused_before_any_row() {
    let utf16: Vec<u8> = "\u{feff}username\nada\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for format in [Format::Csv, Format::Ndjson] {
        assert_eq!(refusals(format, &utf16), [" not-utf-8"]);
        assert_eq!(refusals(format, b"\x1f\x8b\x08\0\0\0"), [" not-text"]);
    }
    assert_eq!(refusals(Format::Csv, b"username,t\xeftle\nada,x\n"), [" malformed"]);
}

#[test]
fn a_trailer_is_no_row_and_ends_the_file() {
    let ndjson = b"{}\n{\"a\":1}\n{\"rows\":2}\n\n";
    in_any_step(Format::Ndjson, ndjson, &[(1, "{}"), (2, "{\"a\":1}")]);
    let csv = b"username,title\r\nada,\r\n#rows,1\r\n";
    in_any_step(Format::Csv, csv, &[(2, r#"{"username":"ada"}"#)]);
    // With one column, and as a spreadsheet saves it.
    in_any_step(Format::Csv, b"username\nada\n#rows,1", &[(2, r#"{"username":"ada"}"#)]);
    let padded = b"username;title;email\nada;;\n#rows;1;\n";
    in_any_step(Format::Csv, padded, &[(2, r#"{"username":"ada"}"#)]);
    for (format, file, code) in [
        (Format::Ndjson, "{}\n{\"rows\":2}\n", "wrong-number-of-rows"),
        (Format::Ndjson, "{\"rows\":0}\n{}\n", "rows-after-end"),
        (Format::Ndjson, "{}\n{\"rows\":1}\n{}\n{\"rows\":2}\n", "rows-after-end"),
        (Format::Csv, "username\nada\n#rows,0\n", "wrong-number-of-rows"),
        (Format::Csv, "username\nada\n#rows,1\nbob\n", "rows-after-end"),
        (Format::Csv, "username\nada\n#rows,1\nusername\nbob\n#rows,1\n", "rows-after-end"),
    ] {
        for step in [1, 3, 1 << 20] {
            let errors = split(&ReadOptions::of(format), file.as_bytes(), step).unwrap_err();
            assert_eq!(errors.len(), 1, "{file}");
            assert_eq!(errors[0].code, code, "{file}");
        }
    }
}

#[test]
fn column_names_of_csv_are_checked_before_any_row() {
    assert_eq!(refusals(Format::Csv, b""), [" no-names"]);
    assert_eq!(
        refusals(Format::Csv, b"username,nick,username\nada,a,b\n"),
        ["/nick unknown-field", "/username duplicate-field"]
    );
    assert_eq!(refusals(Format::Csv, &[vec![b'x'; LONGEST_ROW + 1], b"\n".to_vec()].concat()), [" no-names"]);
}

const TEXTS: [&str; 6] = ["username", "firstName", "title", "phoneNumber", "externalId", "displayName"];

/// The rows that the crate `csv` finds: as objects, or `None` if no cell has a value.
fn expected(file: &[u8], delimiter: u8, is_quoted: bool) -> Vec<Option<Value>> {
    let mut reader = ::csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(file);
    let names = reader.headers().unwrap().clone();
    let row = |record: ::csv::StringRecord| {
        let takes_empty = |name: &str| ["title", "phoneNumber", "displayName"].contains(&name);
        let is_value = |(name, cell): &(&str, &str)| !cell.is_empty() || is_quoted && takes_empty(name);
        let cells = names.iter().zip(record.iter()).filter(is_value);
        let object: Map<_, _> = cells.map(|(name, cell)| (name.to_owned(), Value::from(cell))).collect();
        record.iter().any(|cell| !cell.trim().is_empty()).then_some(Value::Object(object))
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn tables_are_read_as_the_crate_csv_reads_them(
        columns in 1..=TEXTS.len(),
        table in prop::collection::vec(prop::collection::vec("[a-c\",;|\t\r\n' é#\\\\]{0,6}", TEXTS.len()), 0..8),
        delimiter in prop::sample::select(&Delimiter::ALL[..]),
        end in prop::sample::select(&["\n", "\r\n", "\r"][..]),
        is_quoted in any::<bool>(),
        has_mark in any::<bool>(),
        has_last_end in any::<bool>(),
        is_given in any::<bool>(),
        step in 1..40_usize,
    ) {
        let style = if is_quoted { ::csv::QuoteStyle::Always } else { ::csv::QuoteStyle::Necessary };
        let terminator = match end {
            "\r\n" => ::csv::Terminator::CRLF,
            end => ::csv::Terminator::Any(end.as_bytes()[0]),
        };
        let mut writer = ::csv::WriterBuilder::new();
        writer.delimiter(delimiter.byte()).quote_style(style).terminator(terminator);
        let mut writer = writer.from_writer(Vec::new());
        writer.write_record(&TEXTS[..columns]).unwrap();
        table.iter().for_each(|row| writer.write_record(&row[..columns]).unwrap());
        let mut file = writer.into_inner().unwrap();
        if !has_last_end {
            file.truncate(file.len() - end.len());
        }
        if has_mark {
            file.splice(0..0, *b"\xef\xbb\xbf");
        }
        let expected = expected(&file, delimiter.byte(), is_quoted);
        prop_assert_eq!(expected.len(), table.len());
        // One name has no delimiter.
        let given = (is_given || columns == 1).then_some(delimiter);
        let options = ReadOptions { delimiter: given, ..ReadOptions::of(Format::Csv) };
        let rows = raw_rows(&options, &file, step).unwrap();
        let found: Vec<Option<Value>> = rows.iter().map(|row| match &row.text {
            Text::Json(text) => Some(serde_json::from_str(text).unwrap()),
            Text::Empty => None,
            other => panic!("line {}: {other:?} in {:?}", row.line, String::from_utf8_lossy(&file)),
        }).collect();
        prop_assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(&file));
        // Each begins where it should.
        let lines = |text: &str| text.replace("\r\n", "\n").matches(['\r', '\n']).count() as u64;
        let mut line = 2;
        for (row, cells) in rows.iter().zip(&table) {
            prop_assert_eq!(row.line, line, "{:?}", String::from_utf8_lossy(&file));
            line += 1 + cells[..columns].iter().map(|cell| lines(cell)).sum::<u64>();
        }
    }
}
