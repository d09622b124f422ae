//! The results, as a table and as JSON. `html` renders pages.

use std::io::{self, Write};
use tenantry::cli::progress::grouped;

use serde_json::{Value, json};

use crate::load::Sample;
use crate::server::Memory;

/// Reported percentiles, as fractions.
pub(crate) const SHARES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 1.0];
/// Their names.
pub(crate) const SHARE_NAMES: [&str; 5] = ["p50", "p90", "p99", "p99.9", "max"];
/// The index of p99.
const P99: usize = 2;
/// From this utilization on the generator itself may have been the limit.
const TOO_BUSY: f64 = 0.95;

/// One operation.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReportRow {
    pub(crate) id: &'static str,
    pub(crate) title: String,
    /// The unit of the rate.
    pub(crate) unit: &'static str,
    pub(crate) per_second: f64,
    /// The ratio to the baseline, and the name of the baseline.
    pub(crate) ratio: Option<(f64, &'static str)>,
    /// At [`SHARES`], in milliseconds, with all connections; `None` if a single response was measured.
    pub(crate) latencies: Option<[f64; 5]>,
    /// The same with one connection.
    pub(crate) alone: Option<[f64; 5]>,
    /// The server's memory after the row, and its peak private memory, in MiB.
    pub(crate) memory: Option<(Memory, f64)>,
    pub(crate) failed: u64,
    /// The share of requests refused because of overload, if that is allowed.
    pub(crate) refused: Option<f64>,
    /// The generator's utilization.
    pub(crate) busy: f64,
    /// A remark.
    pub(crate) note: Option<String>,
}

impl ReportRow {
    pub(crate) fn of(id: &'static str, title: String, sample: &Sample) -> Self {
        Self {
            id,
            title,
            unit: "answers",
            per_second: sample.per_second(),
            latencies: Some(sample.percentiles(SHARES)),
            failed: sample.failed,
            busy: sample.busy,
            ..Self::default()
        }
    }

    pub(crate) fn is_generator_the_limit(&self) -> bool {
        self.busy > TOO_BUSY
    }
}

/// A whole run.
#[derive(Debug, Clone, Default)]
pub(crate) struct BenchReport {
    pub(crate) users: u64,
    pub(crate) partners: u64,
    pub(crate) seconds: f64,
    pub(crate) connections: usize,
    /// The server's and the generator's; `None` if not pinned.
    pub(crate) cores: Option<(usize, usize)>,
    pub(crate) machine: String,
    pub(crate) in_memory: bool,
    pub(crate) seeding_seconds: f64,
    pub(crate) database_bytes: u64,
    pub(crate) idle: Memory,
    /// From its start to the first response, in milliseconds: the median of several starts.
    pub(crate) start_ms: f64,
    pub(crate) binary_bytes: u64,
    pub(crate) rows: Vec<ReportRow>,
}

impl BenchReport {
    pub(crate) fn failed(&self) -> u64 {
        self.rows.iter().map(|row| row.failed).sum()
    }

    /// The conditions of the run.
    pub(crate) fn conditions(&self) -> String {
        let cores = match self.cores {
            Some((server, load)) => format!("server on core {server}, generator on core {load}"),
            None => "not pinned to cores".to_owned(),
        };
        format!(
            "Tenantry {}, {} users ({} partners of 20 and one huge partner), {} s a row, {} connections, {cores}, {}",
            env!("CARGO_PKG_VERSION"),
            grouped(self.users),
            grouped(self.partners),
            self.seconds,
            self.connections,
            self.machine,
        )
    }

    /// What a reader of the figures has to know.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut all = Vec::new();
        if self.in_memory {
            all.push(
                "the directory is in memory: writes were not durable; set one on a disk with --dir"
                    .to_owned(),
            );
        }
        if self.cores.is_none() {
            all.push("server and generator shared their cores: rates and ratios are unreliable".to_owned());
        }
        if cfg!(debug_assertions) {
            all.push("this binary is not optimized: build it with --release".to_owned());
        }
        let busy: Vec<&str> = self.rows.iter().filter(|r| r.is_generator_the_limit()).map(|r| r.id).collect();
        if !busy.is_empty() {
            all.push(format!(
                "the generator was busy all the time: the server may be faster than reported for {}, and ratios to it \
                 may look better than they are",
                busy.join(", ")
            ));
        }
        for row in &self.rows {
            if row.failed > 0 {
                all.push(format!("{}: {} responses were not as expected", row.id, row.failed));
            }
            all.extend(row.note.as_ref().map(|note| format!("{}: {note}", row.id)));
        }
        all
    }

    pub(crate) fn text(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}\n", self.conditions())?;
        let width = self.rows.iter().map(|row| row.title.chars().count()).max().unwrap_or(0);
        writeln!(
            out,
            "{:width$}  {:>10}  {:>13}  {:>7}  {:>8} {:>8}  {:>8} {:>8}  {:>7} {:>7}",
            "OPERATION",
            "RATE/s",
            "RATIO",
            "REFUSED",
            "P50 ms",
            "P99 ms",
            "1: P50",
            "1: P99",
            "PRIVATE",
            "MAPPED"
        )?;
        for row in &self.rows {
            let ratio = row.ratio.map_or(String::new(), |(ratio, name)| format!("{ratio:.3} {name:6}"));
            let refused = row.refused.map_or(String::new(), |share| format!("{:.1} %", share * 100.0));
            let pair = |of: Option<[f64; 5]>| match of {
                Some([p50, _, p99, ..]) => format!("{p50:8.2} {p99:8.2}"),
                None => " ".repeat(17),
            };
            let memory = row.memory.map_or(String::new(), |(m, _)| format!("{:7.1} {:7.1}", m.own, m.mapped));
            let line = format!(
                "{:width$}  {:>10}  {ratio:>13}  {refused:>7}  {}  {}  {memory}",
                row.title,
                grouped(row.per_second.round() as u64),
                pair(row.latencies),
                pair(row.alone),
            );
            writeln!(out, "{}", line.trim_end())?;
        }
        writeln!(
            out,
            "\nidle memory              {:8.1} MiB private, {:.1} MiB of mapped files",
            self.idle.own, self.idle.mapped
        )?;
        writeln!(out, "start to first response  {:8.0} ms", self.start_ms)?;
        writeln!(out, "binary                   {:8.1} MiB", mib(self.binary_bytes))?;
        let rate = self.users as f64 / self.seeding_seconds.max(1e-9);
        writeln!(
            out,
            "seeding                  {:8.0} users/s, database {:.1} MiB",
            rate,
            mib(self.database_bytes)
        )?;
        writeln!(out, "columns \"1:\" are with one connection, the others with all of them")?;
        writeln!(out, "ratios to p99 are of latencies: less is better")?;
        if self.rows.iter().any(|row| row.ratio.is_some_and(|(_, name)| name == "D")) {
            writeln!(
                out,
                "D is the Kolmogorov-Smirnov statistic of the times of 100 refusals and those of unknown users, up to \
                 0.276 they are indistinguishable; or of 500 searches and those for a word that nobody has, up to 0.123"
            )?;
        }
        self.warnings().iter().try_for_each(|warning| writeln!(out, "note: {warning}"))
    }

    pub(crate) fn json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        let cores = self.cores.map(|(server, load)| json!({ "server": server, "generator": load }));
        json!({
            "tenantry": env!("CARGO_PKG_VERSION"),
            "users": self.users,
            "smallPartners": self.partners,
            "seconds": self.seconds,
            "connections": self.connections,
            "machine": self.machine,
            "cores": cores,
            "durable": !self.in_memory,
            "optimised": !cfg!(debug_assertions),
            "rows": rows,
            "idleMemory": memory(self.idle),
            "startMs": rounded(self.start_ms),
            "binaryMiB": rounded(mib(self.binary_bytes)),
            "seedingUsersPerSecond": rounded(self.users as f64 / self.seeding_seconds.max(1e-9)),
            "databaseMiB": rounded(mib(self.database_bytes)),
            "warnings": self.warnings(),
        })
    }
}

fn row(row: &ReportRow) -> Value {
    json!({
        "id": row.id,
        "title": row.title,
        "unit": row.unit,
        "perSecond": rounded(row.per_second),
        "ratio": row.ratio.map(|(ratio, _)| rounded(ratio)),
        "against": row.ratio.map(|(_, name)| name),
        "latencyMs": row.latencies.map(latencies),
        "oneConnectionMs": row.alone.map(latencies),
        "memory": row.memory.map(|(after, _)| memory(after)),
        "mostOwnMiB": row.memory.map(|(_, most)| rounded(most)),
        "generatorBusy": rounded(row.busy),
        "failed": row.failed,
        "refused": row.refused.map(rounded),
    })
}

fn latencies(of: [f64; 5]) -> Value {
    SHARE_NAMES
        .iter()
        .zip(of)
        .map(|(name, ms)| ((*name).to_owned(), rounded(ms)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn memory(of: Memory) -> Value {
    json!({ "ownMiB": rounded(of.own), "mappedMiB": rounded(of.mapped) })
}

/// The p99 of latencies at [`SHARES`].
pub(crate) fn p99(of: [f64; 5]) -> f64 {
    of.get(P99).copied().unwrap_or_default()
}

pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Four decimal places are more than the precision of the measurements.
fn rounded(number: f64) -> Value {
    json!((number * 10_000.0).round() / 10_000.0)
}
