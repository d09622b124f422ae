//! How long a small write of one partner waits while another partner replaces large lists of permissions.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::load::{self, Connection, Load, READ, Sample};
use crate::measure::Bench;
use crate::report::{ReportRow, SHARES, p99};
use crate::rows::{self, Tokens};
use crate::scratch::Stop;
use crate::server::Server;
use tenantry::cli::command_error::CommandError;
use tenantry::cli::progress::grouped;

/// Lists that are replaced concurrently, each of a different group.
const LISTS: usize = 16;
/// Permissions per list; fewer in a small database.
const PERMISSIONS: u64 = 60_000;
/// How long the small writes are measured at a time.
const SLICE: Duration = Duration::from_millis(250);
/// Delay before a refused request is sent again.
const AGAIN: Duration = Duration::from_secs(1);

/// Creates of a small partner, alone and beside the lists of the huge one; the longest wait is the last latency.
pub(crate) fn row(bench: &Bench<'_>, server: &Server, tokens: &Tokens) -> Result<ReportRow, CommandError> {
    let (address, stop) = (server.address, bench.stop);
    let count = PERMISSIONS.min(bench.seeded.users.max(10));
    let groups: Vec<i64> = (0..LISTS).map(|n| group(address, tokens, n, stop)).collect::<Result<_, _>>()?;
    let mut ask = rows::ask_create(&tokens.small, "beside".into());
    let load = Load { address, connections: 1, time: SLICE, status: 201, may_refuse: true, is_awake: false };
    let alone = load::run(&Load { time: bench.time / 4, ..load }, &mut ask, stop)?;
    let begun = Instant::now();
    let lists: Vec<_> = groups
        .into_iter()
        .map(|group| {
            let (request, stop) = (put(&tokens.huge, group, count), stop.clone());
            std::thread::spawn(move || {
                let _ = rustix::process::setpriority_process(None, 19);
                replace(address, &request, &stop)
            })
        })
        .collect();
    let mut beside = Sample::default();
    while !lists.iter().all(std::thread::JoinHandle::is_finished) {
        beside.add(load::run(&load, &mut ask, stop)?);
    }
    let took = begun.elapsed();
    let mut failed = 0;
    for list in lists {
        let status =
            list.join().unwrap_or_else(|_| Err(CommandError::new("internal", "a thread panicked")))?;
        failed += u64::from(status != 200);
    }
    let (found, base) = (beside.percentiles(SHARES), alone.percentiles(SHARES));
    let title = format!(
        "create a user in a small partner beside {LISTS} lists of {} permissions, which take {:.1} s; the longest waits \
         {:.0} ms",
        grouped(count),
        took.as_secs_f64(),
        found.last().copied().unwrap_or_default()
    );
    Ok(ReportRow {
        ratio: Some((p99(found) / p99(base).max(1e-9), "p99")),
        alone: Some(base),
        failed: beside.failed + alone.failed + failed,
        refused: Some(beside.refused_share()),
        ..ReportRow::of("write-beside-lists", title, &beside)
    })
}

/// Creates a group of the huge partner.
fn group(address: SocketAddr, tokens: &Tokens, n: usize, stop: &Stop) -> Result<i64, CommandError> {
    let mut request = Vec::new();
    let body = format!(r#"{{"name":"Large list {n}"}}"#);
    rows::post(&mut request, &tokens.huge, "/api/v1/groups", &body);
    let answer = load::once(address, &request, stop)?;
    let text = String::from_utf8_lossy(&answer.body);
    let body = text.find('{').and_then(|at| text.get(at..)).unwrap_or_default();
    let group: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let id = group.and_then(|group| group.get("groupId")?.as_i64());
    id.ok_or_else(|| CommandError::new("load", format!("cannot create a group: {}", answer.status)))
}

fn put(token: &str, group: i64, count: u64) -> Vec<u8> {
    let entries: Vec<String> = (0..count)
        .map(|n| format!(r#"{{"objectType":"SEGMENT","objectId":{n},"permissions":["READ"]}}"#))
        .collect();
    let body = format!("[{}]", entries.join(","));
    format!(
        "PUT /api/v1/groups/{group}/permissions HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends the request until the response has no `Retry-After`. Returns the last status.
fn replace(address: SocketAddr, request: &[u8], stop: &Stop) -> Result<u16, CommandError> {
    loop {
        let status = send(address, request, stop);
        stop.check()?;
        match status {
            Ok(503) => std::thread::sleep(AGAIN),
            Ok(status) => return Ok(status),
            Err(e) => return Err(CommandError::new("load", format!("a request failed: {e}"))),
        }
    }
}

fn send(address: SocketAddr, request: &[u8], stop: &Stop) -> io::Result<u16> {
    let (mut connection, mut buffer) = (Connection::open(address)?, vec![0; READ]);
    connection.stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    connection.send(request)?;
    loop {
        if let Some(answer) = connection.receive(&mut buffer)? {
            return Ok(answer.status);
        }
        if stop.check().is_err() {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
}
