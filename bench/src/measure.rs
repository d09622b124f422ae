//! Measures the rows.
//!
//! The machine's speed changes during a run, and with it every rate. So a row and the bare endpoint alternate in short
//! slices, and a row's ratio is the median of its slices' ratios.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::bulk;
use crate::large_lists;
use crate::load::{self, Load, Sample};
use crate::overload;
use crate::refusals;
use crate::report::{BenchReport, ReportRow, SHARES};
use crate::rows::{self, Against, Plan, Tokens};
use crate::scratch::{Cores, Stop, pin};
use crate::search_times;
use crate::seed::{self, Seeded};
use crate::server::{self, Bare, Server};
use crate::sign_in;
use tenantry::cli::command_error::CommandError;
use tenantry::cli::print::ProgressLine;
use tenantry::cli::progress::grouped;

/// Minimum number of users of a run that also measures large changes and refused logins.
const FOR_LARGE_ROWS: u64 = 10_000;

/// Number of slices of a row and of its baseline.
const TURNS: u32 = 8;
/// Number of starts of which the median is reported.
const STARTS: usize = 5;
/// How long the server is idle before its idle memory is read.
const QUIET: Duration = Duration::from_secs(1);
/// Concurrent logins.
const LOGINS: usize = 16;
/// Maximum wait until deep pages are fast.
const WARM_UP: Duration = Duration::from_secs(1);
const WARM_UP_PER_USER: Duration = Duration::from_micros(6);
/// Users per import.
const IMPORTED: u64 = 50_000;
/// Users per bulk delete.
const DELETED: u64 = 10_000;

/// A part of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Only {
    Overload,
    Refusals,
    SignIn,
}

/// The parameters of a run.
pub(crate) struct Bench<'a> {
    pub(crate) binary: &'a Path,
    pub(crate) data: &'a Path,
    /// The database on which people sign in, if it is not that of `data`.
    pub(crate) database_url: Option<&'a str>,
    pub(crate) seeded: &'a Seeded,
    pub(crate) time: Duration,
    pub(crate) connections: usize,
    pub(crate) cores: Option<Cores>,
    pub(crate) stop: &'a Stop,
}

/// Runs in this thread, in a separate runtime on the server's core.
pub(crate) fn on_server_core<T>(
    cores: Option<Cores>,
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let failed = |e| CommandError::new("internal", format!("cannot start the runtime: {e}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    pin(cores.map(|cores| cores.server));
    let done = runtime.block_on(work);
    pin(cores.map(|cores| cores.load));
    done
}

impl Bench<'_> {
    /// Measures everything, or only a part.
    pub(crate) fn run(&self, report: &mut BenchReport, only: Option<Only>) -> Result<(), CommandError> {
        let mut progress = ProgressLine::new();
        pin(self.cores.map(|cores| cores.load));
        if !matches!(only, Some(Only::Refusals | Only::SignIn)) {
            self.rows_and_overload(report, only == Some(Only::Overload), &mut progress)?;
        }
        // They take minutes: a small run skips them unless they were requested.
        if only == Some(Only::Refusals) || (only.is_none() && self.seeded.users >= FOR_LARGE_ROWS) {
            report.rows.extend(search_times::rows(self, &mut progress)?);
            report.rows.extend(refusals::rows(self, &mut progress)?);
        }
        if only == Some(Only::SignIn) {
            report.rows.extend(sign_in::rows(self, &mut progress)?);
        }
        Ok(())
    }

    fn rows_and_overload(
        &self,
        report: &mut BenchReport,
        only_overload: bool,
        progress: &mut ProgressLine,
    ) -> Result<(), CommandError> {
        let server = if only_overload {
            Server::start(self.binary, self.data, self.cores, self.stop)?
        } else {
            self.rows(report, progress)?
        };
        let tokens = self.tokens(&server)?;
        report.rows.extend(overload::rows(self, &server, &tokens, progress)?);
        if self.seeded.users < FOR_LARGE_ROWS {
            return Ok(());
        }
        report.rows.extend(bulk::rows(self, &server, &tokens, progress)?);
        progress.say("measuring: a small write beside large lists of permissions");
        report.rows.push(large_lists::row(self, &server, &tokens)?);
        Ok(())
    }

    /// The rows except those of overload; and the server, which keeps running.
    fn rows(&self, report: &mut BenchReport, progress: &mut ProgressLine) -> Result<Server, CommandError> {
        progress.say("measuring creates without HTTP");
        let looped = on_server_core(self.cores, seed::create_in_a_loop(self.data, self.time, self.stop))?;
        report.rows.push(rate(
            "create-loop",
            "create users in a loop without HTTP, one transaction each",
            looped,
        ));
        report.start_ms = self.starts()?;
        let server = Server::start(self.binary, self.data, self.cores, self.stop)?;
        self.pause(QUIET)?;
        report.idle = server.memory();
        let mut measuring = Measuring::start(self, &server, looped)?;
        report.rows.push(measuring.base()?);
        let tokens = self.tokens(&server)?;
        for plan in rows::reads(self.seeded, &tokens) {
            progress.say(&format!("measuring: {}", plan.title));
            report.rows.push(measuring.row(plan)?);
        }
        progress.say("measuring the rest");
        report.rows.push(measuring.list()?);
        report.rows.extend(measuring.logins()?);
        report.rows.push(measuring.row(rows::creates(&tokens))?);
        report.rows.push(measuring.import()?);
        report.rows.push(measuring.delete()?);
        drop(measuring);
        Ok(server)
    }

    pub(crate) fn tokens(&self, server: &Server) -> Result<Tokens, CommandError> {
        let (id, secret) = &self.seeded.small_client;
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let huge = server.token(&rows::login(), self.stop)?;
        Ok(Tokens { huge, small: server.token(&form, self.stop)? })
    }

    /// The median of several starts, in milliseconds.
    fn starts(&self) -> Result<f64, CommandError> {
        let starts: Result<Vec<f64>, CommandError> = (0..STARTS)
            .map(|_| {
                Ok(Server::start(self.binary, self.data, self.cores, self.stop)?.start.as_secs_f64()
                    * 1_000.0)
            })
            .collect();
        Ok(middle(starts?))
    }

    pub(crate) fn pause(&self, time: Duration) -> Result<(), CommandError> {
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.stop.check()?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

fn rate(id: &'static str, title: &str, per_second: f64) -> ReportRow {
    ReportRow { id, title: title.to_owned(), unit: "operations", per_second, ..ReportRow::default() }
}

pub(crate) fn middle(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or_default()
}

struct Measuring<'a> {
    bench: &'a Bench<'a>,
    server: &'a Server,
    bare: Bare,
    huge: String,
    /// Creates per second without HTTP.
    looped: f64,
}

impl<'a> Measuring<'a> {
    fn start(bench: &'a Bench<'a>, server: &'a Server, looped: f64) -> Result<Self, CommandError> {
        let huge = server.token(&rows::login(), bench.stop)?;
        Ok(Self { bench, server, bare: Bare::start(bench.cores)?, huge, looped })
    }

    fn load(&self, plan: &mut Plan<'_>, connections: usize, time: Duration) -> Result<Sample, CommandError> {
        let address = self.server.address;
        let load = self.many(address, connections, time);
        load::run(&Load { status: plan.status, ..load }, &mut plan.ask, self.bench.stop)
    }

    fn bare(&self, connections: usize, time: Duration) -> Result<Sample, CommandError> {
        let load = self.many(self.bare.address, connections, time);
        load::run(&load, &mut rows::ask_bare(&self.huge), self.bench.stop)
    }

    /// A closed-loop load. A single client sleeps until its response arrives.
    fn many(&self, address: SocketAddr, connections: usize, time: Duration) -> Load {
        let is_awake = connections > 1 && self.bench.cores.is_some();
        Load { address, connections, time, status: 200, may_refuse: false, is_awake }
    }

    /// The bare endpoint itself.
    fn base(&self) -> Result<ReportRow, CommandError> {
        let (time, connections) = (self.bench.time, self.bench.connections);
        self.bare(connections, time / 8)?;
        let row = ReportRow::of("bare", "bare endpoint, 300 bytes".into(), &self.bare(connections, time)?);
        Ok(ReportRow { alone: Some(self.bare(1, time / 4)?.percentiles(SHARES)), ..row })
    }

    fn row(&mut self, mut plan: Plan<'_>) -> Result<ReportRow, CommandError> {
        let time = self.bench.time;
        let connections = if plan.connections == 0 { self.bench.connections } else { plan.connections };
        let timeout = WARM_UP + WARM_UP_PER_USER * u32::try_from(self.bench.seeded.users).unwrap_or(u32::MAX);
        let was_warm =
            !plan.warms_up || server::warm_up(self.server.address, &mut plan.ask, timeout, self.bench.stop)?;
        // Utilization and failures are reported only for the main part.
        let mut failed = self.load(&mut plan, connections, time / 8)?.failed;
        let watch = self.server.watch();
        let (sample, ratio) = self.against(&mut plan, connections)?;
        let most = watch.end();
        let alone = if plan.alone { Some(self.load(&mut plan, 1, time / 4)?) } else { None };
        failed += alone.as_ref().map_or(0, |alone| alone.failed);
        let mut row = ReportRow::of(plan.id, plan.title, &sample);
        row.failed += failed;
        row.ratio = Some((ratio, plan.against.name()));
        row.alone = alone.map(|alone| alone.percentiles(SHARES));
        row.memory = Some((self.server.memory(), most));
        row.note = (!was_warm).then(|| "its pages did not become fast in time".to_owned());
        Ok(row)
    }

    /// A row, and its ratio to its baseline.
    fn against(&self, plan: &mut Plan<'_>, connections: usize) -> Result<(Sample, f64), CommandError> {
        let bench = self.bench;
        match plan.against {
            Against::Bare => self.in_turns(plan, connections, TURNS, |time| {
                self.bare(connections, time).map(|sample| sample.per_second())
            }),
            // A hash takes too long for shorter slices.
            Against::Hash => self.in_turns(plan, connections, TURNS / 2, |time| {
                on_server_core(bench.cores, seed::hash_in_a_loop(time, bench.stop))
            }),
            Against::Loop => {
                let sample = self.load(plan, connections, bench.time)?;
                let ratio = sample.per_second() / self.looped;
                Ok((sample, ratio))
            }
        }
    }

    /// A row in slices that alternate with its baseline, a rate; and the median of their ratios.
    fn in_turns(
        &self,
        plan: &mut Plan<'_>,
        connections: usize,
        turns: u32,
        other: impl Fn(Duration) -> Result<f64, CommandError>,
    ) -> Result<(Sample, f64), CommandError> {
        let slice = self.bench.time / turns;
        let (mut all, mut ratios) = (Sample::default(), Vec::new());
        for _ in 0..turns {
            let rate = other(slice / 4)?;
            let sample = self.load(plan, connections, slice * 3 / 4)?;
            ratios.push(sample.per_second() / rate.max(1e-9));
            all.add(sample);
        }
        Ok((all, middle(ratios)))
    }

    /// The whole list, as one response.
    fn list(&self) -> Result<ReportRow, CommandError> {
        let bench = self.bench;
        let (request, bare) = (rows::ask_list(&self.huge), self.bare(bench.connections, bench.time / 8)?);
        let before = self.server.memory();
        let watch = self.server.watch();
        let answer = load::once(self.server.address, &request, bench.stop)?;
        let most = watch.end();
        let per_second = bench.seeded.users as f64 / answer.took.as_secs_f64();
        let title = format!(
            "full list, {:.1} MB in {:.0} ms, memory +{:.1} MiB (users/s)",
            answer.length as f64 / 1e6,
            answer.took.as_secs_f64() * 1_000.0,
            (most - before.own).max(0.0)
        );
        Ok(ReportRow {
            unit: "users",
            ratio: Some((per_second / bare.per_second(), "bare")),
            memory: Some((self.server.memory(), most)),
            failed: u64::from(answer.status != 200),
            ..rate("list", &title, per_second)
        })
    }

    /// Logins, and their effect on a client that reads.
    fn logins(&mut self) -> Result<[ReportRow; 2], CommandError> {
        let alone = self.row(rows::logins(LOGINS))?;
        let (bench, address) = (self.bench, self.server.address);
        let logging_in = {
            let (time, stop) = (bench.time, bench.stop.clone());
            let load =
                Load { address, connections: LOGINS, time, status: 200, may_refuse: false, is_awake: false };
            std::thread::spawn(move || load::run(&load, &mut rows::logins(LOGINS).ask, &stop))
        };
        let load = Load {
            address,
            connections: 1,
            time: bench.time / 2,
            status: 200,
            may_refuse: false,
            is_awake: false,
        };
        let mut ask = rows::ask_user(&self.huge, bench.seeded, bench.seeded.users);
        let reads = bench.pause(bench.time / 4).and_then(|()| load::run(&load, &mut ask, bench.stop));
        let logins =
            logging_in.join().unwrap_or_else(|_| Err(CommandError::new("internal", "a thread panicked")))?;
        let title = format!("GET one user with one connection, beside {LOGINS} clients that log in");
        let mut beside = ReportRow::of("get-beside-logins", title, &reads?);
        (beside.alone, beside.latencies) = (beside.latencies, None);
        beside.failed += logins.failed;
        Ok([alone, beside])
    }

    /// An import of prepared users, each with a hash of another system.
    fn import(&self) -> Result<ReportRow, CommandError> {
        let count = IMPORTED.min(self.bench.seeded.users / 2);
        let request = rows::import(&self.huge, "in", count);
        let watch = self.server.watch();
        let answer = load::once(self.server.address, &request, self.bench.stop)?;
        let most = watch.end();
        let per_second = count as f64 / answer.took.as_secs_f64();
        let title = format!("import of {} prepared users over HTTP (users/s)", grouped(count));
        let told = format!(r#""created":{count},"#);
        let is_done = answer.status == 200 && String::from_utf8_lossy(&answer.body).contains(&told);
        Ok(ReportRow {
            unit: "users",
            ratio: Some((per_second / self.looped, "loop")),
            memory: Some((self.server.memory(), most)),
            failed: u64::from(!is_done),
            ..rate("import", &title, per_second)
        })
    }

    /// A bulk delete of the last seeded users.
    fn delete(&self) -> Result<ReportRow, CommandError> {
        let seeded = self.bench.seeded;
        let count = DELETED.min(seeded.users / 2);
        let end = seeded.first_id + i64::try_from(seeded.users).unwrap_or_default();
        let ids: Vec<i64> = (end - i64::try_from(count).unwrap_or_default()..end).collect();
        let mut request = Vec::new();
        rows::post(
            &mut request,
            &self.huge,
            "/api/v1/users/bulk-delete",
            &serde_json::json!(ids).to_string(),
        );
        let watch = self.server.watch();
        let answer = load::once(self.server.address, &request, self.bench.stop)?;
        let most = watch.end();
        let per_second = count as f64 / answer.took.as_secs_f64();
        let title = format!(
            "bulk delete of {} in {:.0} ms (users/s)",
            grouped(count),
            answer.took.as_secs_f64() * 1_000.0
        );
        Ok(ReportRow {
            unit: "users",
            ratio: Some((per_second / self.looped, "loop")),
            memory: Some((self.server.memory(), most)),
            failed: u64::from(answer.status != 204),
            ..rate("delete", &title, per_second)
        })
    }
}
