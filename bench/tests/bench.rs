//! What the load generator prints, leaves behind and refuses; never how fast anything was.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and shared code is outside of #[test] functions"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Timeout of every wait.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A working directory for runs.
struct Home(TempDir);

/// A run that has ended.
struct Ended {
    /// None if a signal ended it.
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ended {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code(), out: text(stdout), err: text(stderr) }
    }
}

impl Home {
    fn new() -> Self {
        let server = Path::new(env!("CARGO_BIN_EXE_tenantry-bench")).with_file_name("tenantry");
        assert!(
            server.exists(),
            "there is no server beside the load generator: cargo build, or cargo test --workspace"
        );
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn start(&self, args: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenantry-bench"));
        command.args(args).current_dir(self.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs it with this command line.
    fn run(&self, line: &str) -> Ended {
        let args: Vec<&str> = line.split(' ').collect();
        self.start(&args).wait_with_output().unwrap().into()
    }
}

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

/// The names of all files in a home.
fn left(home: &Home) -> Vec<String> {
    let entries = std::fs::read_dir(home.path()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Processes that work in this home.
fn processes(home: &Home) -> Vec<String> {
    let place = home.path().display().to_string();
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    all.filter(|line| line.contains(&place)).collect()
}

fn is_number(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number.is_finite() && number >= 0.0)
}

#[test]
fn a_run_reports_every_row_and_leaves_nothing() {
    let home = Home::new();
    let run = home.run("--users 200 --seconds 0.1 --json r.json --html r.html");
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
        let is_baseline = ["bare", "create-loop", "get-beside-logins", "create-sustained", "quiet-alone"]
            .contains(&row["id"].as_str().unwrap());
        assert_eq!(is_number(&row["ratio"]), !is_baseline, "{row}");
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
    // Self-contained: no scripts, nothing fetched.
    for word in ["<script", "http:", "https:", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(word), "{word}: {page}");
    }
}

#[test]
fn figures_are_printed_and_keep_leaves_the_data() {
    let home = Home::new();
    let run = home.run("--users 100 --seconds 0.1 --connections 2 --keep --json -");
    assert_eq!(run.code, Some(0), "{}", run.err);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&report["connections"], &report["users"]), (&2.into(), &100.into()));
    let kept = run.err.lines().find_map(|line| line.strip_prefix("kept: ")).unwrap();
    assert!(PathBuf::from(kept).join("data/tenantry.db").exists(), "{kept}");
}

/// A run that would take minutes.
fn long(home: &Home, users: &str) -> Child {
    let args = ["--users", users, "--seconds", "5", "--json", "r.json", "--html", "r.html"];
    home.start(&args)
}

#[track_caller]
fn stopped(home: &Home, child: Child, by: Signal) {
    kill_process(Pid::from_child(&child), by).unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{}", ended.err);
    assert!(ended.err.starts_with("tenantry-bench: interrupted"), "{}", ended.err);
    assert_eq!(left(home), Vec::<String>::new());
    assert_eq!(processes(home), Vec::<String>::new());
}

/// Waits until the directory of a run has this file.
fn working(home: &Home, file: &str) {
    let begun = Instant::now();
    while !left(home).iter().any(|name| home.path().join(name).join(file).exists()) {
        assert!(begun.elapsed() < TIMEOUT, "the run did not get that far");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_run_that_is_stopped_cleans_up() {
    // While it seeds, and while its server runs.
    let home = Home::new();
    let child = long(&home, "2000000");
    working(&home, "data/tenantry.db");
    stopped(&home, child, Signal::TERM);

    let child = long(&home, "100");
    working(&home, "data/control.sock");
    stopped(&home, child, Signal::INT);
}

#[test]
fn invalid_arguments_are_refused() {
    let home = Home::new();
    for (line, code, why) in [
        ("--users 99", 2, "99 is not in 100..=20000000"),
        ("--users many", 2, "invalid digit"),
        ("--partners 0", 2, "0 is not in 1..=500000"),
        ("--users 1000 --partners 50", 1, "50 partners of 20 and a larger one need --users 1080 or more"),
        ("--seconds 0", 2, "must be 0.1 to 600 seconds"),
        ("--seconds NaN", 2, "must be 0.1 to 600 seconds"),
        ("--connections 0", 2, "must be 1 to 1000 connections"),
        ("--cores 1,1", 2, "must be two different cores, such as 0,1"),
        ("--cores 1000,1001", 1, "--cores 1000,1001: this process may use the cores "),
        ("--data-dir x", 2, "unexpected argument '--data-dir'"),
        ("--database-url postgres://x", 2, "required arguments were not provided"),
        ("--only-sign-in --database-url sqlite:x", 2, "must be a postgres:// URL"),
        ("--server nowhere", 1, "no such server: nowhere; build it with"),
        ("--dir nowhere", 1, "cannot work in nowhere: "),
        ("--json nowhere/x", 1, "cannot write nowhere/x: "),
        ("--html nowhere/x", 1, "cannot write nowhere/x: "),
    ] {
        let ended = home.run(line);
        assert_eq!((ended.code, ended.out.as_str()), (Some(code), ""), "{line}: {}", ended.err);
        assert!(ended.err.contains(why), "{line}: {}", ended.err);
        assert_eq!(left(&home), Vec::<String>::new(), "{line}");
    }
}
