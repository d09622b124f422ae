//! `tenantry import` of files as spreadsheets, editors and scripts make them, and what it prints of them.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::binary::{Ended, Home, command};
use crate::import_command::{kill_after, read_lines, settled, usernames};
use crate::import_shapes::field;

fn place(home: &Home, name: &str) -> String {
    std::fs::write(home.path().join(name), field(name)).unwrap();
    name.to_owned()
}

/// What a command that was refused says in JSON, and its code.
fn told(ended: &Ended) -> (Value, Option<i32>) {
    (serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{}{}", ended.out, ended.err)), ended.code)
}

/// `record line action` and the content of each row in a report.
fn reported(path: &Path) -> Vec<(String, Value)> {
    let place =
        |row: &Value| format!("{} {} {}", row["record"], row["line"], row["action"].as_str().unwrap());
    read_lines(path).into_iter().map(|row| (place(&row), row["row"].clone())).collect()
}

#[test]
fn dry_runs_plans_and_imports_count_every_row() {
    let home = settled();
    let report = home.path().join("report");
    for (name, counts, rejected) in [
        ("F01-unclosed-quote.csv", [21, 0, 1], Some("bob,ACTIVE,\"Bob,Byte,bob@example.com,,,,,")),
        ("F05-rows-of-commas.csv", [1, 2, 0], None),
        ("X12-behind-a-quote.csv", [0, 0, 3], Some("amy,ACTIVE,\"Bob\"by,Ames,amy@example.com,,,,,")),
    ] {
        let file = place(&home, name);
        let code = Some(i32::from(counts[2] > 0));
        let would = json!({ "wouldCreate": counts[0], "wouldUpdate": 0, "wouldSkip": counts[1], "wouldReject": counts[2] });
        let with = |first: Value| {
            let mut all = first;
            all.as_object_mut().unwrap().extend(would.as_object().unwrap().clone());
            (all, code)
        };
        let tried = home.command(&format!("import {file} --partner 1 --dry-run --json --report report"));
        assert_eq!(told(&tried), with(json!({ "dryRun": true })), "{name}");
        let rows = reported(&report);
        assert_eq!(rows.len(), counts[1] + counts[2]);
        let first = rows.iter().find(|(place, _)| place.ends_with("reject")).map(|(_, row)| row.clone());
        assert_eq!(first, rejected.map(Value::from), "{name}");
        let plan = format!("{name}.plan");
        let planned = home.command(&format!("import {file} --partner 1 --plan {plan} --json"));
        assert_eq!(told(&planned), with(json!({ "plan": plan })), "{name}");
        let done = home.command(&format!("import {file} --partner 1 --apply {plan} --json"));
        let (done, ended) = told(&done);
        assert_eq!(
            json!([done["created"], done["updated"], done["skipped"], done["rejected"]]),
            json!([counts[0], 0, counts[1], counts[2]])
        );
        assert_eq!(ended, code, "{name}");
        for user in usernames(&home).iter().skip(1) {
            home.command(&format!("user delete {user}")).done();
        }
    }
}

#[test]
fn a_report_names_the_right_person_whatever_ends_a_line() {
    let home = settled();
    let report = home.path().join("report");
    for name in ["F42-dry-run-report.csv", "F42-carriage-returns.csv"] {
        let file = place(&home, name);
        home.command(&format!("import {file} --partner 1 --dry-run --report report"));
        let rows = reported(&report);
        let people: Vec<_> =
            rows.iter().map(|(place, row)| (place.as_str(), row["username"].as_str().unwrap())).collect();
        assert_eq!(people, [("2 3 reject", "ben"), ("4 5 reject", "dan")], "{name}");
    }
    let ended = home.command("import F42-carriage-returns.csv --partner 1 --report report");
    assert!(ended.code == Some(1) && ended.out.starts_with("created: 3\n"), "{}", ended.out);
    assert_eq!(reported(&report)[1].1["username"], "dan");
}

#[test]
fn a_killed_import_of_a_file_without_line_feeds_resumes_where_it_stopped() {
    const ROWS: u64 = 440;
    let home = settled();
    // Every other row is bad and long, so that batches are small.
    let name = |n: u64| format!("u{n:05}");
    let long = "x".repeat(60_000);
    let mut file = String::from("username,status,firstName,lastName,email,title\r");
    for n in 0..ROWS {
        let title = if n % 2 == 1 { long.as_str() } else { "" };
        file.push_str(&format!("{},INACTIVE,Amy,Ames,{}@example.com,{title}\r", name(n), name(n)));
    }
    std::fs::write(home.path().join("rows.csv"), file).unwrap();
    let args = ["import", "rows.csv", "--partner", "1", "--report", "report"];
    let mut pause = 40;
    while pause < 60_000 && kill_after(&home, &args, Duration::from_millis(pause)) {
        pause = pause * 3 / 2;
    }
    let Ended { code, out, err } = command(home.path(), &args);
    assert_eq!(code, Some(1), "{out}{err}");
    let expected: Vec<String> = (0..ROWS).step_by(2).map(name).collect();
    assert_eq!(usernames(&home)[1..], expected);
    let report = read_lines(&home.path().join("report"));
    // If the last of the killed ones was at its end, the users are there: all rows are rejected, and told.
    let bad = report.iter().filter(|row| row["errors"][0]["code"] == "too-long");
    let told: Vec<_> = bad
        .map(|row| {
            (row["record"].as_u64().unwrap(), row["line"].as_u64().unwrap(), row["row"]["username"].clone())
        })
        .collect();
    let expected: Vec<_> = (1..ROWS).step_by(2).map(|n| (n + 1, n + 2, json!(name(n)))).collect();
    assert_eq!(told, expected, "each once, and the right ones");
}

#[test]
fn files_that_cannot_be_read_are_named_with_the_remedy() {
    let home = settled();
    for name in ["U01-utf16le.csv", "U01-utf16be.csv", "U01-utf16le-tabs.txt"] {
        let file = place(&home, name);
        let refused = home.command(&format!("import {file} --partner 1 --format csv")).refused(1);
        let sentence = format!("tenantry: {name}: this is UTF-16 ");
        assert!(refused.starts_with(&sentence) && refused.lines().count() == 1, "{refused:?}");
        assert!(refused.contains("save the file as CSV UTF-8") && !refused.contains('\0'), "{refused:?}");
    }
    for (name, content, expected) in [
        ("array.ndjson", "[{\"username\":\"amy\"}]\n", "array.ndjson: this is a JSON array"),
        ("rows.ndjson", "username,email\namy,a@example.com\n", "import it with --format csv"),
        ("rows.csv", "{\"username\":\"amy\"}\n", "import it with --format ndjson"),
        ("open.csv", "\"username,email\namy,a@example.com\n", "a quote opens on line 1"),
        ("nick.csv", "username,nick\n", "nick: is not a column of an import"),
        ("nick.csv", "username,nick\n", "--ignore-column"),
    ] {
        std::fs::write(home.path().join(name), content).unwrap();
        let refused = home.command(&format!("import {name} --partner 1")).refused(1);
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn no_file_controls_the_terminal() {
    let home = settled();
    // Of one byte and of two: in names of columns, members and groups, in values, and in a row that is not CSV.
    let files = [
        ("a.csv", "username,\u{1b}[31mnick\u{9b}2J\n"),
        (
            "b.csv",
            "username,status,firstName,lastName,email,groups\n\
             amy,\u{1b}]0;x\u{7},Amy,Ames,amy@example.com,\u{1b}[2J\u{9b}1m\n\
             \"be\u{1b}[0mn\"\u{202e}x,ACTIVE,Ben,Ben,ben@example.com,\n",
        ),
        ("c.ndjson", "{\"\u{9b}31mx\":1,\"\\u001b[0m\":2,\"groups\":[\"\\u001b[0m\"]}\n{\u{1b}[0m}\n"),
    ];
    for (name, content) in files {
        std::fs::write(home.path().join(name), content).unwrap();
        for how in ["", " --dry-run", " --json", " --dry-run --json", " --report report"] {
            let Ended { code, out, err } = home.command(&format!("import {name} --partner 1{how}"));
            assert_eq!(code, Some(1), "{out}{err}");
            let report = std::fs::read_to_string(home.path().join("report")).unwrap_or_default();
            for text in [out, err, report] {
                let control = text.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
                assert_eq!(control, None, "{name}{how}: {text:?}");
            }
        }
    }
}

#[test]
fn options_of_csv_are_flags() {
    let home = settled();
    let write = |name: &str, content: &[u8]| std::fs::write(home.path().join(name), content).unwrap();
    let rows =
        "username|status|firstName|lastName|email|shoe size\namy|active|A, A|Ames|amy@example.com|44\n";
    write("rows.csv", rows.as_bytes());
    let line = "import rows.csv --partner 1 --ignore-column Shoe-Size";
    assert!(home.command("import rows.csv --partner 1").refused(1).contains("shoe size"));
    assert!(home.command(&format!("{line} --delimiter tab")).refused(1).contains("is not a column"));
    assert_eq!(home.command(&format!("{line} --delimiter colon")).code, Some(2));
    let refused = home.command("import rows.csv --partner 1 --format ndjson --delimiter bar").refused(1);
    assert!(refused.contains("only for CSV"), "{refused}");
    home.json(&format!("{line} --plan plan"));
    // Read otherwise, it would be another import.
    let other = home.command("import rows.csv --partner 1 --apply plan --ignore-column status").refused(1);
    assert!(other.contains("shoe size"), "{other}");
    let other = home.command(&format!("{line} --ignore-column nick --apply plan")).refused(1);
    assert!(other.contains("choice of columns"), "{other}");
    assert_eq!(home.json(&format!("{line} --apply plan"))["created"], 1);

    // Compressed, by its name or by its beginning.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(rows.replace("amy", "ben").as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    write("rows.csv.gz", &packed);
    write("cut.csv.gz", &packed[..packed.len() - 4]);
    assert_eq!(
        home.json("import rows.csv.gz --partner 1 --delimiter bar --ignore-column shoesize")["created"],
        1
    );
    let cut = home.command("import cut.csv.gz --partner 1 --ignore-column shoesize").refused(1);
    assert!(cut.contains("cannot read cut.csv.gz"), "{cut}");
    assert_eq!(usernames(&home), ["admin", "amy", "ben"]);
}
