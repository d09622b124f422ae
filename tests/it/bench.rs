//! `tenantry bench`: what it prints, what it leaves behind, and what it refuses. Never how fast anything was.

use std::path::PathBuf;
use std::process::{Child, Output};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::binary::{Ended, Home, binary, tenantry, until};

/// The rows, in their order.
const ROWS: [&str; 32] = [
    "create-loop",
    "bare",
    "get-uniform",
    "get-hot",
    "evaluate",
    "page-first",
    "page-by-id",
    "page-by-last-name",
    "page-by-email",
    "page-by-created",
    "search-rare",
    "search-common",
    "search-sorted",
    "search-two",
    "search-one",
    "search-none",
    "search-small",
    "list",
    "login",
    "get-beside-logins",
    "create",
    "import",
    "delete",
    "create-sustained",
    "create-calm",
    "create-overload",
    "quiet-alone",
    "quiet-beside-gets",
    "quiet-beside-scans",
    "quiet-beside-creates",
    "quiet-beside-imports",
    "quiet-beside-logins",
];

/// Everything in a home, by name.
fn left(home: &Home) -> Vec<String> {
    let entries = std::fs::read_dir(home.path()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Processes that were told to work in this home.
fn processes(home: &Home) -> Vec<String> {
    let place = home.path().display().to_string();
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    all.filter(|line| line.contains(&place)).collect()
}

/// Its database is its own: on PostgreSQL there is nothing else to see.
fn was_seen() -> bool {
    std::env::var_os(crate::databases::SERVER).is_some()
}

fn is_number(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number.is_finite() && number >= 0.0)
}

#[test]
fn a_run_reports_every_row_and_leaves_nothing() {
    if was_seen() {
        return;
    }
    let home = Home::new();
    let run = home.command("bench --users 200 --seconds 0.1 --json r.json --html r.html");
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{}", run.out);
    assert_eq!(left(&home), ["r.html", "r.json"]);
    assert_eq!(processes(&home), Vec::<String>::new());

    let report: Value = serde_json::from_slice(&std::fs::read(home.path().join("r.json")).unwrap()).unwrap();
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(), ROWS);
    for row in rows {
        assert!(is_number(&row["perSecond"]) && row["perSecond"].as_f64() > Some(0.0), "{row}");
        assert_eq!(row["failed"], 0, "{row}");
        assert!(run.out.contains(row["title"].as_str().unwrap()), "{row}: {}", run.out);
        let is_yardstick = ["bare", "create-loop", "get-beside-logins", "create-sustained", "quiet-alone"]
            .contains(&row["id"].as_str().unwrap());
        assert_eq!(is_number(&row["ratio"]), !is_yardstick, "{row}");
        for latencies in [&row["latencyMs"], &row["oneConnectionMs"]].into_iter().filter(|l| !l.is_null()) {
            let all: Vec<f64> =
                latencies.as_object().unwrap().values().map(|ms| ms.as_f64().unwrap()).collect();
            assert!(all.len() == 5 && all.is_sorted(), "{row}");
        }
    }
    for field in ["startMs", "binaryMiB", "databaseMiB", "seedingUsersPerSecond"] {
        assert!(is_number(&report[field]), "{field}: {report}");
    }
    assert!(report["idleMemory"]["ownMiB"].as_f64() > Some(0.0), "{report}");
    assert_eq!((&report["users"], &report["smallPartners"]), (&200.into(), &2.into()));

    let page = std::fs::read_to_string(home.path().join("r.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</body></html>\n"), "{page}");
    assert_eq!(page.matches("<svg").count(), 3);
    // Self-contained: it runs nothing and fetches nothing.
    for word in ["<script", "http:", "https:", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(word), "{word}: {page}");
    }
}

#[test]
fn figures_go_to_standard_output_and_the_data_stays_when_asked() {
    if was_seen() {
        return;
    }
    let home = Home::new();
    let run = home.command("bench --users 100 --seconds 0.1 --connections 2 --keep --json -");
    assert_eq!(run.code, Some(0), "{}", run.err);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&report["connections"], &report["users"]), (&2.into(), &100.into()));
    let kept = run.err.lines().find_map(|line| line.strip_prefix("kept: ")).unwrap();
    assert!(PathBuf::from(kept).join("data/tenantry.db").exists(), "{kept}");
}

/// A run that would take minutes.
fn long(home: &Home, users: &str) -> Child {
    let args = ["bench", "--users", users, "--seconds", "5", "--json", "r.json", "--html", "r.html"];
    tenantry(binary(), home.path(), &args, &[]).spawn().unwrap()
}

#[track_caller]
fn stopped(home: &Home, child: Child, by: Signal) {
    kill_process(Pid::from_child(&child), by).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    let ended = Ended { code: status.code(), out, err };
    let said = ended.refused(1);
    assert!(said.contains("interrupted"), "{said}");
    assert_eq!(left(home), Vec::<String>::new());
    assert_eq!(processes(home), Vec::<String>::new());
}

/// The directory of a run, once there is what to look for in it.
async fn working(home: &Home, file: &str) {
    let there = || left(home).iter().any(|name| home.path().join(name).join(file).exists()).then_some(());
    until("it works", there).await;
}

#[tokio::test]
async fn a_run_that_is_stopped_cleans_up() {
    if was_seen() {
        return;
    }
    // While it seeds, and while its server runs.
    let home = Home::new();
    let child = long(&home, "2000000");
    working(&home, "data/tenantry.db").await;
    stopped(&home, child, Signal::TERM);

    let child = long(&home, "100");
    working(&home, "data/control.sock").await;
    stopped(&home, child, Signal::INT);
}

#[test]
fn what_cannot_be_done_is_refused() {
    let home = Home::new();
    for (line, code, why) in [
        ("--users 99", 2, "99 is not in 100..=20000000"),
        ("--users many", 2, "invalid digit"),
        ("--partners 0", 2, "0 is not in 1..=500000"),
        ("--users 1000 --partners 50", 1, "50 partners of 20 and a larger one need --users 1080 or more"),
        ("--seconds 0", 2, "give 0.1 to 600 seconds"),
        ("--seconds NaN", 2, "give 0.1 to 600 seconds"),
        ("--connections 0", 2, "give 1 to 1000 connections"),
        ("--cores 1,1", 2, "give two different cores, such as 0,1"),
        ("--cores 1000,1001", 1, "--cores 1000,1001: this process may use the cores "),
        ("--data-dir x", 2, "unexpected argument '--data-dir'"),
        ("--database-url sqlite:x", 2, "unexpected argument '--database-url'"),
        ("--dir nowhere", 1, "cannot work in nowhere: "),
        ("--json nowhere/x", 1, "cannot write nowhere/x: "),
        ("--html nowhere/x", 1, "cannot write nowhere/x: "),
    ] {
        let ended = home.command(&format!("bench {line}"));
        assert_eq!((ended.code, ended.out.as_str()), (Some(code), ""), "{line}: {}", ended.err);
        assert!(ended.err.contains(why), "{line}: {}", ended.err);
        assert_eq!(left(&home), Vec::<String>::new(), "{line}");
    }
}
