//! `tenantry import` and `tenantry export`: with a server that runs on the data, and without one.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::binary::{Ended, Home, binary, command, tenantry};
use crate::fixtures::{with, without};
use crate::foreign_hashes::{BCRYPT, OLD, SSHA};
use crate::harness::{T, new_user};
use crate::import::lines;
use crate::user_fields::portable;
use tenantry_core::rows::BatchSize;

/// A home with a first admin, and no server.
pub fn settled() -> Home {
    let home = Home::new();
    assert_eq!(home.serve().terminate().code, Some(0));
    home
}

fn idle(name: &str) -> Value {
    with(&new_user(name), json!({ "status": "INACTIVE" }))
}

fn write(home: &Home, name: &str, text: &str) -> PathBuf {
    let path = home.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Every line of a file as JSON.
pub fn read_lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn usernames(home: &Home) -> Vec<String> {
    let out = home.command("export --partner 1").done();
    let rows = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    // The last line is the number of rows.
    rows.filter_map(|row| Some(row.get("username")?.as_str()?.to_owned())).collect()
}

/// One import with two bad rows, by what it prints and leaves.
fn import_and_look(home: &Home, prefix: &str) {
    let rows = [
        with(&idle(&format!("{prefix}-a")), json!({ "passwordHash": SSHA })),
        json!({ "username": "b b", "passwordHash": BCRYPT }),
        idle(&format!("{prefix}-c")),
        with(&idle("ADMIN"), json!({ "passwordHash": "Plain.Text-Pass-1" })),
    ];
    let file = format!("{prefix}.ndjson");
    write(home, &file, &(lines(&rows) + "\n   \n"));

    let tried = home.command(&format!("import {file} --partner 1 --dry-run"));
    assert_eq!((tried.code, tried.err.as_str()), (Some(1), "tenantry: 2 of 5 rows would be rejected\n"));
    let told: Vec<&str> = tried.out.lines().collect();
    assert_eq!(told[0], format!("line 1: create {prefix}-a"));
    assert!(told[1].starts_with("line 2: reject: username "), "{}", told[1]);
    assert!(told[1].contains("(invalid-username); ") && told[1].contains("status is required (required)"));
    assert_eq!(told[2], format!("line 3: create {prefix}-c"));
    assert!(told[3].contains("(unknown-hash)"), "{}", told[3]);
    assert_eq!(told[4], "line 6: skip: row has no values (empty-row)");
    let expected = ["dryRun: yes", "wouldCreate: 2", "wouldUpdate: 0", "wouldSkip: 1", "wouldReject: 2"];
    assert_eq!(told[5..], expected);
    let before = usernames(home);

    let ended = home.command(&format!("import {file} --partner 1 --report {prefix}.report"));
    assert_eq!(ended.code, Some(1));
    let counted = "created: 2\nupdated: 0\nskipped: 1\nrejected: 2\nresumed: no\nseconds: ";
    assert!(ended.out.starts_with(counted), "{}", ended.out);
    assert_eq!(ended.err, format!("tenantry: 2 of 5 rows were rejected: see {prefix}.report\n"));
    let report = read_lines(&home.path().join(format!("{prefix}.report")));
    let skipped = json!({ "record": 5, "line": 6, "action": "skip", "row": null, "errors": [
        { "field": "", "code": "empty-row", "detail": "has no values" },
    ] });
    assert_eq!((&report[0]["line"], &report[1]["line"], &report[2]), (&json!(2), &json!(4), &skipped));
    assert_eq!(report.len(), 3);
    assert_eq!(report[0]["row"], json!({ "username": "b b" }), "without its secret");
    assert_eq!(report[1]["row"], without(&rows[3], &["passwordHash"]));
    assert_eq!(report[1]["errors"][0]["code"], "unknown-hash");
    let after = usernames(home);
    assert_eq!(after[before.len()..], [format!("{prefix}-a"), format!("{prefix}-c")]);

    // Once more: they are there.
    let again = home.command(&format!("import {file} --partner 1 --json"));
    assert_eq!(again.code, Some(1));
    let summary: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!(
        without(&summary, &["seconds"]),
        json!({ "created": 0, "updated": 0, "skipped": 1, "rejected": 4, "resumed": false })
    );
    assert!(
        again.err.contains("line 1: reject: username this username is taken (username-taken)"),
        "{}",
        again.err
    );
    assert!(!again.err.contains("Plain.Text"));
}

#[tokio::test]
async fn an_import_is_the_same_with_a_server_and_without() {
    let home = settled();
    import_and_look(&home, "cold");
    let server = home.serve();
    import_and_look(&home, "warm");
    // Mail and passwords.
    write(
        &home,
        "mail.csv",
        &format!(
            "username,status,firstName,lastName,email,passwordHash\nmay,ACTIVE,May,May,may@example.com,\nold,ACTIVE,Old,Hand,old@example.com,{BCRYPT}\n"
        ),
    );
    let done = home.json("import mail.csv --partner 1 --send-mail");
    assert_eq!((&done["created"], &done["rejected"]), (&json!(2), &json!(0)));
    let mails = home.mails(1).await;
    assert!(mails.len() == 1 && mails[0].contains("Username: may"));
    server.login("old", OLD).await;
    assert_eq!(server.terminate().code, Some(0));
}

#[test]
fn invalid_imports_are_refused_before_any_change() {
    let home = settled();
    write(&home, "rows.ndjson", &lines(&[idle("ada")]));
    write(&home, "rows.txt", &lines(&[idle("ada")]));
    write(&home, "rows.csv", "username,nick\nada,a\n");
    for (line, why) in [
        ("import rows.ndjson --partner 99", "partner not found"),
        ("import rows.txt --partner 1", "set --format"),
        ("import rows.csv --partner 1", "nick"),
        ("import none.csv --partner 1", "none.csv"),
        ("import . --partner 1 --format csv", "is not a regular file"),
        ("import rows.ndjson --partner 1 --apply rows.txt", "is not a complete plan"),
        ("export --partner 99", "partner not found"),
    ] {
        let refused = home.command(line).refused(1);
        assert!(refused.contains(why), "{line}: {refused}");
    }
    for line in [
        "import rows.ndjson",
        "import rows.ndjson --partner 1 --dry-run --plan p",
        "export --partner 1 --format xml",
    ] {
        assert_eq!(home.command(line).code, Some(2), "{line}");
    }
    assert_eq!(home.json("import rows.txt --partner 1 --format ndjson")["created"], 1);
}

#[test]
fn a_plan_is_executed_exactly_or_not_at_all() {
    let home = settled();
    let mut rows: Vec<Value> = (0..1_500).map(|n| idle(&format!("user{n}"))).collect();
    rows[3] = json!({});
    rows[1_200] = idle("USER7");
    let file = write(&home, "rows.ndjson", &lines(&rows));
    let planned = home.command("import rows.ndjson --partner 1 --plan rows.plan --json");
    assert_eq!(planned.code, Some(1));
    assert!(planned.err.starts_with("tenantry: 2 of 1500 rows would be rejected\n"), "{}", planned.err);
    let expected = json!({
        "plan": "rows.plan",
        "wouldCreate": 1_498,
        "wouldUpdate": 0,
        "wouldSkip": 0,
        "wouldReject": 2,
    });
    assert_eq!(serde_json::from_str::<Value>(&planned.out).unwrap(), expected);
    assert_eq!(usernames(&home), ["admin"], "a plan changes nothing");
    let plan = home.path().join("rows.plan");
    let lines_of_plan = read_lines(&plan);
    assert_eq!(lines_of_plan[1], json!({ "record": 1, "line": 1, "action": "create", "username": "user0" }));
    assert_eq!(lines_of_plan[4]["errors"][0]["code"], "required");
    assert_eq!(lines_of_plan[1_201]["errors"][0]["code"], "username-taken");
    assert!(
        home.command("import rows.ndjson --partner 1 --plan rows.plan").refused(1).contains("exists already")
    );

    // Another file, a plan that was changed or cut.
    let apply = || home.command("import rows.ndjson --partner 1 --apply rows.plan --report rejected");
    let whole = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&file, lines(&rows[1..])).unwrap();
    assert!(apply().refused(1).contains("the plan is for another file"));
    std::fs::write(&file, lines(&rows)).unwrap();
    for broken in [whole.replace("user9\"", "user_9\""), whole[..whole.len() / 2].to_owned(), String::new()] {
        std::fs::write(&plan, broken).unwrap();
        assert!(apply().refused(1).contains("is not a complete plan"));
    }
    std::fs::write(&plan, &whole).unwrap();

    // Somebody took a name meanwhile: far down in the file, and yet nothing is done.
    home.json(
        "user create --partner 1 --username user1400 --email u@example.com --first-name U --last-name U",
    );
    let refused = apply().refused(1);
    assert!(
        refused.contains(
            "line 1401 differs from the plan: it would reject it (username-taken), not create user1400"
        ),
        "{refused}"
    );
    assert_eq!(usernames(&home), ["admin", "user1400"]);
    home.json("user delete user1400");

    let done = apply();
    assert_eq!(done.code, Some(1), "two rows are rejected, as planned: {}", done.err);
    assert!(done.out.starts_with("created: 1498\nupdated: 0\nskipped: 0\nrejected: 2\n"), "{}", done.out);
    assert_eq!(usernames(&home).len(), 1_499);
    let report = read_lines(&home.path().join("rejected"));
    assert_eq!((&report[0]["line"], &report[1]["line"], report.len()), (&json!(4), &json!(1_201), 2));
}

/// Starts an import and kills it after a while; whether it was killed before its end.
pub fn kill_after(home: &Home, args: &[&str], pause: Duration) -> bool {
    let mut child = tenantry(binary(), home.path(), args, &[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(pause);
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

#[test]
fn a_killed_import_resumes_and_stores_every_row_once() {
    const ROWS: usize = 8_000;
    let home = settled();
    let mut rows: Vec<Value> = (0..ROWS).map(|n| idle(&format!("user{n:05}"))).collect();
    // A bad one in about each batch, for the report.
    for bad in (500..ROWS).step_by(1_000) {
        rows[bad] = json!({ "username": "bad one" });
    }
    // A command that is alone takes ten thousand rows or 4 MiB at a time: so these are several batches.
    let padded = lines(&rows).replace("\n{", &format!("\n{{{}", " ".repeat(4_200)));
    assert!(padded.len() > 7 * BatchSize::ALONE.bytes, "{}", padded.len());
    write(&home, "rows.ndjson", &padded);
    let args = ["import", "rows.ndjson", "--partner", "1", "--report", "rejected"];
    // Whenever it is killed; each time a little later.
    let mut pause = 40;
    while pause < 60_000 && kill_after(&home, &args, Duration::from_millis(pause)) {
        pause = pause * 3 / 2;
        let so_far = usernames(&home).iter().filter(|name| name.starts_with("user")).count();
        if so_far > 0 && so_far < ROWS - ROWS / 1_000 {
            let refused = home.command("import rows.ndjson --partner 1 --dry-run").refused(1);
            assert!(refused.contains("was interrupted after"), "{refused}");
        }
        // Others write meanwhile.
        home.json(&format!(
            "user create --partner 1 --username other{pause} --email o@example.com --first-name O --last-name O --status INACTIVE"
        ));
    }
    // Either the last of them came to its end, or this one does.
    let Ended { code, out, err } = command(home.path(), &args);
    assert_eq!(code, Some(1), "{out}{err}");
    let names = usernames(&home);
    let imported: Vec<&String> = names.iter().filter(|name| name.starts_with("user")).collect();
    let wanted: Vec<&str> =
        rows.iter().map(|row| row["username"].as_str().unwrap()).filter(|name| *name != "bad one").collect();
    assert_eq!(imported, wanted, "in their order, each once");
    let report = read_lines(&home.path().join("rejected"));
    let told: Vec<u64> = report
        .iter()
        .filter(|row| row["row"]["username"] == "bad one")
        .map(|row| row["line"].as_u64().unwrap())
        .collect();
    let bad: Vec<u64> = (501..8_000).step_by(1_000).collect();
    assert_eq!(told, bad, "each rejected row is told once");
}

#[test]
fn an_export_has_hashes_only_for_an_operator_who_asks() {
    let home = settled();
    write(
        &home,
        "rows.ndjson",
        &lines(&[with(&idle("bea"), json!({ "passwordHash": BCRYPT, "title": "a \"b\", c" })), idle("nils")]),
    );
    home.json("import rows.ndjson --partner 1");
    let plain = home.command("export --partner 1").done();
    assert!(!plain.contains("passwordHash") && !plain.contains("$2b$") && plain.lines().count() == 4);
    let csv = home.command("export --partner 1 --format csv").done();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], portable().collect::<Vec<_>>().join(","));
    assert!(
        lines[2].starts_with("bea,INACTIVE,") && lines[2].contains(",\"a \"\"b\"\", c\","),
        "{}",
        lines[2]
    );
    assert_eq!((lines.len(), lines[4]), (5, "#rows,3"));

    let with_hashes = home.command("export --partner 1 --with-hashes").done();
    let rows: Vec<Value> = with_hashes.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows[0]["passwordHash"].as_str().unwrap().starts_with("$argon2id$"), "the admin's own");
    assert_eq!((&rows[1]["passwordHash"], rows[2].get("passwordHash")), (&json!(BCRYPT), None));
    let csv = home.command("export --partner 1 --format csv --with-hashes").done();
    assert!(csv.lines().next().unwrap().ends_with(",passwordHash"));
    assert!(csv.lines().nth(2).unwrap().ends_with(BCRYPT) && csv.lines().nth(3).unwrap().ends_with(','));

    // Into a file for this user alone; what can be exported can be imported.
    assert_eq!(home.command("export --partner 1 --with-hashes --format csv --output all.csv").done(), "");
    assert_eq!(std::fs::read_to_string(home.path().join("all.csv")).unwrap(), csv);
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(home.path().join("all.csv")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(home.command("export --partner 1 --output all.csv").refused(1).contains("exists already"));
    let other = settled();
    std::fs::copy(home.path().join("all.csv"), other.path().join("all.csv")).unwrap();
    let ended = other.command("import all.csv --partner 1");
    assert!(
        ended.out.starts_with("created: 2\nupdated: 0\nskipped: 0\nrejected: 1\n"),
        "all but the admin, who is there: {}",
        ended.out
    );
    let there = other.command("export --partner 1 --format csv --with-hashes").done();
    assert_eq!(there.lines().skip(2).collect::<Vec<_>>(), csv.lines().skip(2).collect::<Vec<_>>());
}

#[tokio::test]
async fn on_postgresql_the_command_works_beside_the_servers() {
    let t = T::start().await;
    let Some(url) = t.database.url() else { return };
    let rows: Vec<Value> = (0..1_500).map(|n| idle(&format!("user{n}"))).collect();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rows.ndjson"), lines(&rows)).unwrap();
    let line = ["import", "rows.ndjson", "--partner", "1", "--json", "--database-url", &url];
    let ended = tokio::task::spawn_blocking({
        let (dir, line) = (dir.path().to_owned(), line.map(str::to_owned));
        move || command(&dir, &line.iter().map(String::as_str).collect::<Vec<_>>())
    });
    let done: Value = serde_json::from_str(&ended.await.unwrap().done()).unwrap();
    assert_eq!((&done["created"], &done["rejected"]), (&json!(1_500), &json!(0)));
    let page = t.admin().await.get("/api/v1/users?page=0").await.expect(200);
    assert_eq!(page.body["total"], 1_501);
}
