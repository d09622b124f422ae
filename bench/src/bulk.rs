//! How long a small write of one partner waits while another partner changes many users.

use std::thread::JoinHandle;
use std::time::Duration;

use crate::load::{self, Load, Once, Sample};
use crate::measure::Bench;
use crate::names::Names;
use crate::paced;
use crate::report::{ReportRow, SHARES, p99};
use crate::rows::{self, Tokens};
use crate::server::Server;
use tenantry::cli::command_error::CommandError;
use tenantry::cli::print::ProgressLine;
use tenantry::cli::progress::grouped;

/// Users per operation.
const MANY: u64 = 100_000;
/// Users per bulk create, which is one transaction.
const CREATED: u64 = 10_000;
/// Small writes per second.
const RATE: f64 = 50.0;
/// How long small writes are sent between two checks whether the operation has ended.
const SLICE: Duration = Duration::from_millis(200);

/// A change of many users.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Patch,
    ThreePatches,
    DryRun,
    Create,
    Delete,
}

/// The deletion comes last: the others change the same users.
const OPERATIONS: [(Operation, &str, &str); 5] = [
    (Operation::Patch, "write-beside-patch", "a PATCH"),
    (Operation::ThreePatches, "write-beside-three-patches", "three PATCHes at once"),
    (Operation::DryRun, "write-beside-dry-run", "a dry run of a PATCH"),
    (Operation::Create, "write-beside-create", "an atomic create"),
    (Operation::Delete, "write-beside-delete", "a bulk delete"),
];

/// Measures the small write alone, and beside each operation.
pub(crate) fn rows(
    bench: &Bench<'_>,
    server: &Server,
    tokens: &Tokens,
    progress: &mut ProgressLine,
) -> Result<Vec<ReportRow>, CommandError> {
    progress.say("measuring: a small write beside changes of many users");
    let beside = Beside { bench, server, tokens, small: std::cell::Cell::new(0) };
    let alone = beside.small_writes(bench.time / 4)?;
    let base = alone.percentiles(SHARES);
    let title = format!("create a group, a quiet client of a small partner, {RATE}/s");
    let mut rows =
        vec![ReportRow { alone: Some(base), latencies: None, ..ReportRow::of("write-alone", title, &alone) }];
    for (operation, id, what) in OPERATIONS {
        let (quiet, took, failed) = beside.measure(operation)?;
        let found = quiet.percentiles(SHARES);
        let title = format!("the same beside {what} of {} users", grouped(beside.users(operation)));
        let longest = found.last().copied().unwrap_or_default();
        rows.push(ReportRow {
            ratio: Some((p99(found) / p99(base).max(1e-9), "p99")),
            alone: Some(found),
            latencies: None,
            failed: quiet.failed + failed,
            note: Some(format!("longest wait {longest:.0} ms, the operation took {took:.1} s")),
            ..ReportRow::of(id, title, &quiet)
        });
    }
    Ok(rows)
}

struct Beside<'a> {
    bench: &'a Bench<'a>,
    server: &'a Server,
    tokens: &'a Tokens,
    /// Groups created so far.
    small: std::cell::Cell<u64>,
}

impl Beside<'_> {
    fn small_writes(&self, time: Duration) -> Result<Sample, CommandError> {
        let address = self.server.address;
        let load = Load { address, connections: 1, time, status: 201, may_refuse: false, is_awake: false };
        let mut ask = |out: &mut Vec<u8>| {
            self.small.set(self.small.get() + 1);
            let body = format!(r#"{{"name":"Beside {}"}}"#, self.small.get());
            rows::post(out, &self.tokens.small, "/api/v1/groups", &body);
        };
        paced::quiet(&load, RATE, &mut ask, self.bench.stop)
    }

    fn users(&self, operation: Operation) -> u64 {
        let most = if matches!(operation, Operation::Create) { CREATED } else { MANY };
        most.min(self.bench.seeded.users / 2)
    }

    /// The latencies of small writes during the operation, its duration in seconds, and the number of unexpected
    /// responses.
    fn measure(&self, operation: Operation) -> Result<(Sample, f64, u64), CommandError> {
        let status = if matches!(operation, Operation::Delete) { 204 } else { 200 };
        let mut under_way: Vec<JoinHandle<Result<Once, CommandError>>> = Vec::new();
        for request in self.requests(operation) {
            let (address, stop) = (self.server.address, self.bench.stop.clone());
            under_way.push(std::thread::spawn(move || {
                let _ = rustix::process::setpriority_process(None, 19);
                load::once(address, &request, &stop)
            }));
        }
        let mut quiet = self.small_writes(SLICE)?;
        while under_way.iter().any(|one| !one.is_finished()) {
            quiet.add(self.small_writes(SLICE)?);
        }
        let (mut took, mut failed) = (0.0_f64, 0);
        for one in under_way {
            let once =
                one.join().unwrap_or_else(|_| Err(CommandError::new("internal", "a thread panicked")))?;
            took = took.max(once.took.as_secs_f64());
            // A partner has one large unit at a time: those that wait too long for it get `Retry-After`.
            failed += u64::from(![status, 503].contains(&once.status));
        }
        Ok((quiet, took, failed))
    }

    fn requests(&self, operation: Operation) -> Vec<Vec<u8>> {
        let count = self.users(operation);
        let first = self.bench.seeded.first_id;
        let ids: Vec<i64> = (first..first + i64::try_from(count).unwrap_or_default()).collect();
        let ids = serde_json::json!(ids).to_string();
        let huge = &self.tokens.huge;
        let patch = |path: &str, title: &str| {
            let mut out = Vec::new();
            let body = format!(r#"{{"ids":{ids},"patch":{{"title":"{title}"}}}}"#);
            rows::send(&mut out, "PATCH", huge, path, &body);
            out
        };
        match operation {
            Operation::Patch => vec![patch("/api/v1/users/bulk", "Beside one")],
            Operation::ThreePatches => {
                ["a", "b", "c"].map(|title| patch("/api/v1/users/bulk", title)).to_vec()
            }
            Operation::DryRun => vec![patch("/api/v1/users/bulk?dryRun=true", "Beside nothing")],
            Operation::Create => {
                let names = Names::new();
                let users: Vec<String> = (0..count).map(|n| rows::person(&names, "atomic", n)).collect();
                let mut out = Vec::new();
                rows::post(&mut out, huge, "/api/v1/users/bulk", &format!("[{}]", users.join(",")));
                vec![out]
            }
            Operation::Delete => {
                let mut out = Vec::new();
                rows::post(&mut out, huge, "/api/v1/users/bulk-delete", &ids);
                vec![out]
            }
        }
    }
}
