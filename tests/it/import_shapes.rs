//! Files over HTTP as spreadsheets, editors and scripts make them: every row is created, skipped or refused with its
//! line, whatever the file looks like.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Person, T, TestResponse};
use crate::import::{counts, reasons};

const IMPORT: &str = "/api/v1/users/import";
const NDJSON: &str = "application/x-ndjson";
const CSV: &str = "text/csv";
const NAMES: &str = "username,status,firstName,lastName,email,title,phoneNumber,groups,isAdmin,externalId";

/// A file in the shape of one that somebody sent.
pub fn field(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/field/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

async fn send(person: &Person<'_>, query: &str, file: Vec<u8>, kind: &str) -> TestResponse {
    person.send(Method::POST, &format!("{IMPORT}{query}"), Some(file), kind).await
}

/// What would be done with the rows of a file, and why some would be refused.
async fn tried(person: &Person<'_>, query: &str, file: Vec<u8>, kind: &str) -> ([u64; 4], Vec<String>) {
    let response = send(person, &format!("?dryRun=true{query}"), file, kind).await.expect(200).body;
    (counts(&response["result"]), reasons(&response["result"]))
}

/// A CSV file with these rows after a first line of five names.
fn table(rows: &[&str]) -> Vec<u8> {
    format!("username,status,firstName,lastName,email\n{}\n", rows.join("\n")).into_bytes()
}

async fn find(person: &Person<'_>, username: &str) -> Value {
    let users = person.everybody().await;
    let found = users.as_array().unwrap().iter().find(|user| user["username"] == username);
    found.unwrap_or_else(|| panic!("there is no {username}")).clone()
}

#[tokio::test]
async fn a_misplaced_quote_refuses_its_row_and_no_other() {
    let t = T::start().await;
    let admin = t.admin().await;
    for (name, expected, reasons) in [
        ("F01-unclosed-quote.csv", [21, 0, 0, 1], &["3  open-quote"][..]),
        ("F01-unclosed-quote-then-quoted.csv", [21, 0, 0, 1], &["3  text-behind-quote"]),
        ("F01-file-cut-off-within-quotes.csv", [1, 0, 0, 1], &["3  open-quote"]),
        (
            "X12-behind-a-quote.csv",
            [0, 0, 0, 3],
            &["2  text-behind-quote", "3  text-behind-quote", "4  text-behind-quote"],
        ),
        ("F17-quote-behind-a-space.csv", [0, 0, 0, 1], &["2  quote-in-cell"]),
    ] {
        assert_eq!(tried(&admin, "", field(name), CSV).await, (expected, owned(reasons)), "{name}");
    }
    let (amy, bob) = ("amy,ACTIVE,Amy,Ames,amy@example.com", "bob,ACTIVE,Bob,Byte,bob@example.com");
    for (rows, expected, reasons) in [
        // Inches, a nickname, an apostrophe of a typewriter.
        (&[amy, "cid,ACTIVE,Cid 6\",Ames,cid@example.com", bob][..], [2, 0, 0, 1], &["3  quote-in-cell"][..]),
        (&[amy, "cid,ACTIVE,\"Cid\" C,Ames,cid@example.com", bob], [2, 0, 0, 1], &["3  text-behind-quote"]),
        (&["\"cid,ACTIVE,Cid,Ames,cid@example.com", amy, bob], [2, 0, 0, 1], &["2  open-quote"]),
        (&[amy, bob, "cid,ACTIVE,Cid,Ames,cid@example.com\""], [2, 0, 0, 1], &["4  quote-in-cell"]),
        // The quotation of the first cell spans lines; the one that is not closed begins on the second of them.
        (&["cid,ACTIVE,\"Cid", "Cid\",\"Ames,cid@example.com", amy, bob], [2, 0, 0, 1], &["2  open-quote"]),
    ] {
        assert_eq!(tried(&admin, "", table(rows), CSV).await, (expected, owned(reasons)), "{rows:?}");
    }
    let response = send(&admin, "", field("F01-unclosed-quote-then-quoted.csv"), CSV).await.expect(200).body;
    assert_eq!((counts(&response), &response["rejected"][0]["record"]), ([21, 0, 0, 1], &json!(2)));
    let detail = response["rejected"][0]["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("on line 4") && detail.contains("opens on line 3"), "{detail}");
    assert_eq!(find(&admin, "good19").await["email"], "good19@example.com");
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn an_open_quote_hides_no_row_of_a_long_file() {
    let t = T::start().await;
    let admin = t.admin().await;
    let mut file = field("F01-unclosed-quote.csv");
    let end = file.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(2).unwrap().0;
    file.truncate(end + 1);
    for n in 1..=10_000 {
        file.extend(format!("good{n},ACTIVE,Amy,Ames,good{n}@example.com,,,,,\n").into_bytes());
    }
    let result = tried(&admin, "", file.clone(), CSV).await;
    assert_eq!(result, ([10_001, 0, 0, 1], owned(&["3  open-quote"])));
    // A row that is too long without any quote, and one whose quote reaches too far.
    let long = "x".repeat(70_000);
    let file = table(&[&long, "amy,ACTIVE,\"Amy", &long, "bob,ACTIVE,Bob,Byte,bob@example.com"]);
    let expected = owned(&["2  row-too-long", "3  open-quote", "4  row-too-long"]);
    assert_eq!(tried(&admin, "", file, CSV).await, ([1, 0, 0, 3], expected));
    // In the first line it concerns the whole file.
    let refused = send(&admin, "", field("F01-opened-in-first-line.csv"), CSV).await.expect(400);
    assert_eq!(refused.faults(), [" open-quote"]);
    assert!(refused.text.contains("a quote opens on line 1"), "{}", refused.text);
}

#[tokio::test]
async fn booleans_and_statuses_have_any_case() {
    let t = T::start().await;
    let admin = t.admin().await;
    let response = send(&admin, "", field("F04-booleans-of-a-spreadsheet.csv"), CSV).await.expect(200).body;
    assert_eq!(counts(&response), [4, 0, 0, 0]);
    let response = send(&admin, "", field("F04-booleans.ndjson"), NDJSON).await.expect(200).body;
    assert_eq!(counts(&response), [2, 0, 0, 0]);
    for (name, is_admin) in
        [("u0", true), ("u1", false), ("u2", true), ("u3", false), ("n1", true), ("n2", false)]
    {
        assert_eq!(find(&admin, name).await["isAdmin"], is_admin, "{name}");
    }
    let rows = [
        "username,status,firstName,lastName,email,isAdmin",
        "v0,active,A,A,a@example.com,tRUE",
        "v1, Inactive ,A,A,a@example.com, fALSE ",
        "v2,Locked,A,A,a@example.com,",
        "v3,gone,A,A,a@example.com,yes",
    ];
    let response = send(&admin, "", rows.join("\n").into_bytes(), CSV).await.expect(200).body;
    assert_eq!(counts(&response), [3, 0, 0, 1]);
    assert_eq!(reasons(&response), ["5 /status unknown-status", "5 /isAdmin wrong-type"]);
    let of = async |name: &str| {
        let user = find(&admin, name).await;
        json!([user["status"], user["isAdmin"]])
    };
    assert_eq!(of("v0").await, json!(["ACTIVE", true]));
    assert_eq!(of("v1").await, json!(["INACTIVE", false]));
    assert_eq!(of("v2").await, json!(["LOCKED", false]));
}

#[tokio::test]
async fn rows_may_have_fewer_or_more_cells_if_these_are_empty() {
    let t = T::start().await;
    let admin = t.admin().await;
    for (name, expected) in [
        ("F05-short-row.csv", [1, 0, 0, 0]),
        ("F05-rows-of-commas.csv", [1, 0, 2, 0]),
        ("F05-comma-behind-the-header.csv", [1, 0, 0, 0]),
        ("F05-comma-behind-each-row.csv", [1, 0, 0, 0]),
        ("F05-line-of-blanks.csv", [1, 0, 1, 0]),
    ] {
        assert_eq!(tried(&admin, "", field(name), CSV).await, (expected, Vec::new()), "{name}");
    }
    let amy = "amy,ACTIVE,Amy,Ames,amy@example.com";
    for (names, row, expected) in [
        // A column that is empty throughout, in the middle or at the end.
        (format!(",{NAMES}"), format!(",{amy}"), &[][..]),
        (format!("{NAMES},,,"), format!("{amy},,,,,,,"), &[]),
        // A spreadsheet that quotes everything.
        (format!("\"\",{NAMES}"), format!("\"\",{amy},\"\",\"\",\"\",\"\",\"\""), &[]),
        (format!("{NAMES},"), format!("{amy},,,,,,note"), &["2  unnamed-column"]),
        (NAMES.to_owned(), format!("{amy},,,,,,,note"), &["2  wrong-number-of-cells"]),
        (
            NAMES.to_owned(),
            String::from("amy,ACTIVE"),
            &["2 /firstName required", "2 /lastName required", "2 /email required"],
        ),
    ] {
        let file = format!("{names}\n{row}\n").into_bytes();
        let (counts, reasons) = tried(&admin, "", file, CSV).await;
        assert_eq!(reasons, owned(expected), "{names} {row}");
        assert_eq!(counts, if expected.is_empty() { [1, 0, 0, 0] } else { [0, 0, 0, 1] }, "{names} {row}");
    }
    // Rows of empty cells: in quotes, of blanks, of fewer cells.
    let file = table(&["\"\",\"\",\"\",\"\",\"\"", " , ,\t", ",", amy]);
    assert_eq!(tried(&admin, "", file, CSV).await, ([1, 0, 3, 0], Vec::new()));
    let file = b"\n{\"username\":\"amy\",\"status\":\"ACTIVE\",\"firstName\":\"A\",\"lastName\":\"A\",\"email\":\"a@example.com\"}\n \n\t\n";
    assert_eq!(tried(&admin, "", file.to_vec(), NDJSON).await, ([1, 0, 2, 0], Vec::new()));
}

#[tokio::test]
async fn names_of_columns_are_read_as_people_write_them() {
    let t = T::start().await;
    let admin = t.admin().await;
    for name in ["F17-capitals.csv", "F17-space-behind-a-name.csv", "F17-spaces-before-names.csv"] {
        assert_eq!(tried(&admin, "", field(name), CSV).await, ([1, 0, 0, 0], Vec::new()), "{name}");
    }
    let row = "amy,ACTIVE,Amy,Ames,amy@example.com";
    for names in [
        "USERNAME,STATUS,FIRSTNAME,LASTNAME,EMAIL",
        "user_name,status,first_name,last_name,e_mail",
        "User-Name,Status,First-Name,Last-Name,E-Mail",
        "\"username\",\" status\",\"First Name\",lastName\t,email\u{a0}",
        "\u{feff}username,status,firstName,lastName,email",
    ] {
        let file = format!("{names}\n{row}\n").into_bytes();
        assert_eq!(tried(&admin, "", file, CSV).await, ([1, 0, 0, 0], Vec::new()), "{names}");
    }
    // Unknown ones are refused, each by its name, unless they are left out.
    let file = || {
        String::from(
            "username,shoe size,status,Nick,firstName,lastName,email\namy,44,ACTIVE,A,Amy,Ames,amy@example.com\n",
        )
    };
    let refused = send(&admin, "", file().into_bytes(), CSV).await.expect(400);
    assert_eq!(refused.faults(), ["/shoe size unknown-field", "/Nick unknown-field"]);
    assert!(refused.text.contains("ignoreColumn"), "{}", refused.text);
    let query = "&ignoreColumn=Shoe%20Size&ignoreColumn=nick&ignoreColumn=hat";
    assert_eq!(tried(&admin, query, file().into_bytes(), CSV).await, ([1, 0, 0, 0], Vec::new()));
    let refused = send(&admin, "?ignoreColumn=nick", file().into_bytes(), CSV).await.expect(400);
    assert_eq!(refused.faults(), ["/shoe size unknown-field"]);
    let refused = send(&admin, "", b"username,\x1b]0;x\x07,\0\n".to_vec(), CSV).await.expect(400);
    assert_eq!(refused.faults(), ["/\\u{1b}]0;x\\u{7} unknown-field", "/\\u{0} unknown-field"]);
    let rows = "{\"\u{9b}x\":1,\"\\u001b[2J\":1,\"groups\":[\"\\u001b[0m\"]}\n".as_bytes().to_vec();
    let refused = send(&admin, "", rows, NDJSON).await.expect(200);
    let control = |text: &str| text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    assert_eq!(
        (counts(&refused.body), control(&refused.text), control(&t.log())),
        ([0, 0, 0, 1], None, None)
    );
    assert!(refused.text.contains(r"/\\u{1b}[2J"), "{}", refused.text);
}

#[tokio::test]
async fn the_delimiter_is_recognized_or_given() {
    let t = T::start().await;
    let admin = t.admin().await;
    for name in [
        "F16-semicolons.csv",
        "F16-tabs.csv",
        "F16-bars.csv",
        "F16-sep-line-commas.csv",
        "F16-sep-line-semicolons.csv",
    ] {
        assert_eq!(tried(&admin, "", field(name), CSV).await, ([1, 0, 0, 0], Vec::new()), "{name}");
    }
    let groups = [admin.create_group("Editors").await, admin.create_group("Sailors").await];
    let names = ["username", "status", "firstName", "lastName", "email", "groups"];
    for (at, (delimiter, given, cell)) in [
        (";", "", "Editors,Sailors"),
        (";", "", "Editors|Sailors"),
        (";", "?delimiter=semicolon", "\"Editors;Sailors\""),
        ("\t", "?delimiter=%09", "Editors;Sailors"),
        ("|", "?delimiter=%7C", "Editors; Sailors"),
        (",", "?delimiter=,", "Editors;Sailors"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("user{at}");
        let row = [name.as_str(), "INACTIVE", "Amy, A", "Ames", "amy@example.com", cell];
        let row = row.map(|cell| {
            if cell.contains(delimiter) && !cell.starts_with('"') {
                format!("\"{cell}\"")
            } else {
                cell.to_owned()
            }
        });
        let file = format!("{}\n{}\n", names.join(delimiter), row.join(delimiter));
        let response = send(&admin, given, file.into_bytes(), CSV).await.expect(200).body;
        assert_eq!(counts(&response), [1, 0, 0, 0], "{response}");
        let user = find(&admin, &name).await;
        assert_eq!((&user["groups"], &user["firstName"]), (&json!(groups), &json!("Amy, A")), "{delimiter}");
    }
    // The one that is given counts.
    let refused = send(&admin, "?delimiter=comma", field("F16-semicolons.csv"), CSV).await.expect(400);
    assert_eq!(refused.faults().len(), 1);
    let refused = send(&admin, "?delimiter=colon", field("F16-semicolons.csv"), CSV).await.expect(400);
    assert_eq!(refused.faults(), ["delimiter wrong-value"]);
    let refused = send(&admin, "", b"sep=^\nusername^email\n".to_vec(), CSV).await.expect(400);
    assert_eq!(refused.faults(), [" unknown-delimiter"]);
}

#[tokio::test]
async fn carriage_returns_end_lines() {
    let t = T::start().await;
    let admin = t.admin().await;
    let expected = owned(&["3 /isAdmin wrong-type", "5 /email required"]);
    for name in ["F42-carriage-returns.csv", "F42-dry-run-report.csv"] {
        assert_eq!(tried(&admin, "", field(name), CSV).await, ([3, 0, 0, 2], expected.clone()), "{name}");
    }
    let result = tried(&admin, "", field("F42-carriage-returns.ndjson"), NDJSON).await;
    assert_eq!(result, ([5, 0, 0, 0], Vec::new()));
    // Mixed, with an empty line, and a carriage return within quotes.
    let amy = "amy,ACTIVE,\"A\rmy\",Ames,amy@example.com";
    let file = [
        "username,status,firstName,lastName,email\r\n",
        amy,
        "\r\r",
        &amy.replace('\r', "\r\n"),
        "\n",
        "ben\r",
    ];
    let expected = owned(&[
        "2 /firstName control-character",
        "5 /firstName control-character",
        "7 /status required",
        "7 /firstName required",
        "7 /lastName required",
        "7 /email required",
    ]);
    assert_eq!(tried(&admin, "", file.concat().into_bytes(), CSV).await, ([0, 0, 0, 3], expected));
}

#[tokio::test]
async fn other_encodings_are_named_in_one_sentence() {
    let t = T::start().await;
    let admin = t.admin().await;
    let refused = async |file: Vec<u8>, kind: &str| {
        let response = send(&admin, "", file, kind).await.expect(400);
        assert!(!response.text.contains("\\u0000"), "{}", response.text);
        (response.faults(), response.body["errors"][0]["detail"].as_str().unwrap().to_owned())
    };
    for name in ["U01-utf16le.csv", "U01-utf16be.csv", "U01-utf16le-tabs.txt"] {
        for kind in [CSV, NDJSON] {
            let (faults, detail) = refused(field(name), kind).await;
            assert_eq!(faults, [" not-utf-8"], "{name}");
            assert!(
                detail.starts_with("this is UTF-16 ") && detail.contains("save the file as CSV UTF-8"),
                "{detail}"
            );
        }
        // Without its mark.
        let (faults, _) = refused(field(name)[2..].to_vec(), CSV).await;
        assert_eq!(faults, [" not-utf-8"], "{name}");
    }
    let utf32: Vec<u8> = "username\n".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    assert!(refused(utf32, CSV).await.1.starts_with("this is UTF-32 "));
    assert!(refused(b"PK\x03\x04\x14\0".to_vec(), CSV).await.1.contains(".xlsx"));
    assert!(refused(field("F38-users.csv.gz"), CSV).await.1.contains("Content-Encoding: gzip"));
    // Windows-1252 is found where a letter is none of UTF-8.
    let mut file = table(&["amy,ACTIVE,Amy,Ames,amy@example.com", "mue,ACTIVE,M#ller,Ames,mue@example.com"]);
    file.iter_mut().filter(|byte| **byte == b'#').for_each(|byte| *byte = 0xfc);
    let response = send(&admin, "?dryRun=true", file, CSV).await.expect(200).body;
    assert_eq!(reasons(&response["result"]), ["3  malformed"]);
    assert!(response.to_string().contains("Windows-1252"), "{response}");
}

#[tokio::test]
async fn what_is_not_a_file_of_rows_is_named() {
    let t = T::start().await;
    let admin = t.admin().await;
    for (file, kind, code) in [
        ("[{\"username\":\"amy\"},\n{\"username\":\"ben\"}]", NDJSON, " json-array"),
        ("[\n  {\n    \"username\": \"amy\"\n  }\n]\n", NDJSON, " json-array"),
        ("{\n  \"username\": \"amy\"\n}\n", NDJSON, " json-over-lines"),
        ("username;status\namy;ACTIVE\n", NDJSON, " not-ndjson"),
        ("{\"username\":\"amy\"}{\"username\":\"ben\"}", NDJSON, " one-line"),
        ("{\"username\":\"amy\"}\n", CSV, " not-csv"),
        ("[{\"username\":\"amy\"}]", CSV, " not-csv"),
        ("<!DOCTYPE html>\n<table>", CSV, " not-csv"),
        ("username,emailamy,amy@example.com", CSV, " one-line"),
        ("--------------------------d7\r\nContent-Disposition: form-data\r\n", CSV, " not-rows"),
    ] {
        let refused = send(&admin, "", file.as_bytes().to_vec(), kind).await.expect(400);
        assert_eq!(refused.faults(), [code], "{file}");
    }
    // What curl -d makes of a file.
    let mut file = field("F15-good.csv");
    file.retain(|byte| *byte != b'\n');
    let refused = send(&admin, "", file, CSV).await.expect(400);
    assert!(refused.text.contains("--data-binary"), "{}", refused.text);
    for kind in ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"] {
        let refused = send(&admin, "", field("F15-good.csv"), kind).await.expect(415);
        assert!(refused.body["detail"].as_str().unwrap().contains("--data-binary @FILE"), "{}", refused.body);
    }
}

#[tokio::test]
async fn types_of_rows_are_taken_as_clients_write_them() {
    let t = T::start().await;
    let admin = t.admin().await;
    for kind in [
        "text/csv; charset=utf8",
        "text/csv;charset=utf8;header=present",
        "Text/CSV; Charset=\"UTF-8\"",
        "text/csv; charset=us-ascii",
        "application/csv",
        "text/tab-separated-values",
    ] {
        assert_eq!(tried(&admin, "", field("F15-good.csv"), kind).await.0, [1, 0, 0, 0], "{kind}");
    }
    for kind in ["application/x-ndjson; charset=utf8", "application/jsonl", "application/x-jsonlines"] {
        assert_eq!(tried(&admin, "", field("F15-good.ndjson"), kind).await.0, [1, 0, 0, 0], "{kind}");
    }
    for kind in ["text/csv; charset=utf-16", "text/csv; charset=windows-1252", "application/json"] {
        send(&admin, "", field("F15-good.csv"), kind).await.expect(415);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn compressed_files_are_unpacked_within_bounds() {
    let t = T::start().await;
    let admin = t.admin().await;
    let packed = async |coding: &str, query: &str, file: Vec<u8>, kind: &str| {
        let request =
            admin.request(Method::POST, &format!("{IMPORT}{query}")).header("content-encoding", coding);
        TestResponse::of(request.header("content-type", kind).body(file).send().await.unwrap()).await
    };
    let response = packed("gzip", "", field("F38-users.csv.gz"), CSV).await.expect(200).body;
    assert_eq!(counts(&response), [1, 0, 0, 0]);
    let response =
        packed("x-gzip", "?dryRun=true", field("F38-users.ndjson.gz"), NDJSON).await.expect(200).body;
    assert_eq!(counts(&response["result"])[1..], [0, 0, 0]);
    // More rows than a batch, and lines are those of the file.
    let rows: String = (0..6_000).map(|n| format!("u{n},INACTIVE,Amy,Ames,u{n}@example.com\n")).collect();
    let file = table(&[rows.trim_end(), "bad"]);
    let response = packed("gzip", "", gzip(&file), CSV).await.expect(200).body;
    assert_eq!(
        (counts(&response), reasons(&response)[0].as_str()),
        ([6_000, 0, 0, 1], "6002 /status required")
    );
    // Cut off: what was read is there, and the response says it.
    let whole = gzip(&table(&[&rows.replace('u', "v")]));
    let cut = packed("gzip", "", whole[..whole.len() - 9].to_vec(), CSV).await.expect(400);
    assert_eq!(cut.faults(), [" malformed-gzip"]);
    assert_eq!(packed("gzip", "", file, CSV).await.expect(400).faults(), [" malformed-gzip"]);
    let bomb = gzip(&vec![b'\n'; 40 * 1024 * 1024]);
    assert_eq!(packed("gzip", "", bomb, CSV).await.expect(400).faults(), [" compression-ratio"]);
    for coding in ["br", "deflate", "zstd", "gzip, gzip", "compress"] {
        let refused = packed(coding, "", field("F15-good.csv"), CSV).await.expect(415);
        assert_eq!(refused.body["code"], "unsupported-encoding", "{coding}");
        assert_eq!(refused.header("accept-encoding"), "gzip, identity");
    }
    let response = packed("identity", "?dryRun=true", field("F15-good.csv"), CSV).await.expect(200).body;
    assert_eq!(response["result"]["failed"], 1, "the name is taken: it was read");
    // Again with the same key: the rows count, not how they are packed.
    let keyed = async |coding: &str, file: Vec<u8>| {
        let request = admin.request(Method::POST, IMPORT).header("content-encoding", coding);
        let request = request.header("idempotency-key", "once").header("content-type", CSV);
        TestResponse::of(request.body(file).send().await.unwrap()).await.expect(200)
    };
    let file = table(&["once,INACTIVE,Amy,Ames,once@example.com"]);
    let first = keyed("gzip", gzip(&file)).await;
    let again = keyed("identity", file).await;
    assert_eq!((counts(&first.body), &again.body), ([1, 0, 0, 0], &first.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
}

#[tokio::test]
async fn empty_strings_of_csv_are_empty_where_a_field_can_be() {
    let t = T::start().await;
    let admin = t.admin().await;
    let rows = [
        "\"a0\",\"INACTIVE\",\"A\",\"A\",\"a@example.com\",\"\",,\"\",\"\",\"\"",
        "a1,INACTIVE,A,A,a@example.com,,\"\",,,",
    ];
    let file = format!("{NAMES}\n{}\n", rows.join("\n"));
    let response = send(&admin, "", file.into_bytes(), CSV).await.expect(200).body;
    assert_eq!(counts(&response), [2, 0, 0, 0], "{response}");
    let of = async |name: &str| {
        let user = find(&admin, name).await;
        json!([user["title"], user["phoneNumber"], user["groups"], user["isAdmin"], user["externalId"]])
    };
    assert_eq!(of("a0").await, json!(["", null, [], false, null]));
    assert_eq!(of("a1").await, json!([null, "", [], false, null]));
}
