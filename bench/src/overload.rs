//! The server under overload, and a quiet partner beside one that floods it.

use std::time::{Duration, Instant};

use crate::load::{self, Load, Sample};
use crate::measure::Bench;
use crate::paced::{self, Paced};
use crate::report::{ReportRow, SHARES, p99};
use crate::rows::{self, Tokens};
use crate::seed::Seeded;
use crate::server::Server;
use tenantry::cli::command_error::CommandError;
use tenantry::cli::print::ProgressLine;
use tenantry::cli::progress::grouped;

/// Multiple of the sustainable rate that overloads the server.
const TIMES: f64 = 4.0;
/// Fraction of that rate of the open loop for comparison.
const CALM: f64 = 0.9;
/// Connections of the open loop: for waiting requests and those being refused.
const MANY: usize = 1_024;
/// Requests per second of the quiet client.
const QUIET: f64 = 200.0;
/// How often the quiet client alternates between being alone and beside each flood: the machine's speed changes.
const TURNS: u32 = 4;
/// Users of an import per second of a slice: about what a small machine does in half of that.
const IMPORTED: f64 = 5_000.0;

/// What a partner floods the server with.
#[derive(Debug, Clone, Copy)]
enum Flood {
    Gets,
    Scans,
    Creates,
    Imports,
    Logins,
}

const FLOODS: [(Flood, &str, &str); 5] = [
    (Flood::Gets, "quiet-beside-gets", "GETs"),
    (Flood::Scans, "quiet-beside-scans", "pages and searches"),
    (Flood::Creates, "quiet-beside-creates", "creates"),
    (Flood::Imports, "quiet-beside-imports", "imports, one after the other"),
    (Flood::Logins, "quiet-beside-logins", "logins"),
];

/// Measures both.
pub(crate) fn rows(
    bench: &Bench<'_>,
    server: &Server,
    tokens: &Tokens,
    progress: &mut ProgressLine,
) -> Result<Vec<ReportRow>, CommandError> {
    let overload = Overload { bench, server, tokens };
    progress.say("measuring: creates at 4 × the rate");
    let mut rows = overload.creates()?;
    progress.say("measuring: a quiet partner beside floods");
    rows.extend(overload.neighbours()?);
    Ok(rows)
}

struct Overload<'a> {
    bench: &'a Bench<'a>,
    server: &'a Server,
    tokens: &'a Tokens,
}

impl Overload<'_> {
    fn load(&self, connections: usize, time: Duration, status: u16) -> Load {
        Load { address: self.server.address, connections, time, status, may_refuse: true, is_awake: false }
    }

    /// Creates at the sustainable rate, slightly below it, and at four times that rate.
    fn creates(&self) -> Result<Vec<ReportRow>, CommandError> {
        let (time, stop) = (self.bench.time, self.bench.stop);
        let mut ask = rows::ask_create(&self.tokens.huge, "over".into());
        let closed = self.load(self.bench.connections, time, 201);
        load::run(&Load { time: time / 8, ..closed }, &mut ask, stop)?;
        let sustained = load::run(&closed, &mut ask, stop)?;
        let rate = sustained.per_second();
        let title = format!("creates, {} clients, closed loop", self.bench.connections);
        let refused = Some(sustained.refused_share());
        let base = ReportRow { refused, ..ReportRow::of("create-sustained", title, &sustained) };
        let mut rows = Vec::new();
        for (id, times) in [("create-calm", CALM), ("create-overload", TIMES)] {
            let open = self.load(MANY, time, 201);
            let paced = paced::run(&open, rate * times, &mut ask, stop)?;
            rows.push(asked(id, times, rate * times, &paced, base.latencies));
        }
        rows.insert(0, base);
        Ok(rows)
    }

    /// The latencies of a client of a small partner, alone and while the huge one floods.
    fn neighbours(&self) -> Result<Vec<ReportRow>, CommandError> {
        let slice = self.bench.time / TURNS;
        let mut alone = Sample::default();
        let mut beside = FLOODS.map(|_| (Sample::default(), Sample::default()));
        for turn in 0..TURNS {
            alone.add(self.quiet(slice)?);
            for ((flood, ..), (quiet, flooding)) in FLOODS.into_iter().zip(&mut beside) {
                let (one, other) = self.beside(flood, turn, slice)?;
                quiet.add(one);
                flooding.add(other);
            }
        }
        let base = alone.percentiles(SHARES);
        let title = format!("GET one user, a quiet client of a small partner, {QUIET}/s");
        let mut rows = vec![ReportRow {
            latencies: None,
            alone: Some(base),
            ..ReportRow::of("quiet-alone", title, &alone)
        }];
        for ((_, id, what), (quiet, flooding)) in FLOODS.into_iter().zip(beside) {
            let found = quiet.percentiles(SHARES);
            let title = format!("the same beside {} clients of the huge one: {what}", self.clients(id));
            rows.push(ReportRow {
                ratio: Some((p99(found) / p99(base).max(1e-9), "p99")),
                alone: Some(found),
                failed: quiet.failed + flooding.failed,
                refused: Some(flooding.refused_share()),
                ..ReportRow::of(id, title, &flooding)
            });
        }
        Ok(rows)
    }

    fn clients(&self, id: &str) -> usize {
        if id == "quiet-beside-imports" { 1 } else { self.bench.connections }
    }

    fn quiet(&self, time: Duration) -> Result<Sample, CommandError> {
        let load = Load { may_refuse: false, ..self.load(1, time, 200) };
        let mut ask = rows::ask_neighbour(&self.tokens.small, self.bench.seeded);
        paced::quiet(&load, QUIET, &mut ask, self.bench.stop)
    }

    /// The results of the quiet client in a slice, and of the flood, which begins before and ends after it.
    fn beside(&self, flood: Flood, turn: u32, slice: Duration) -> Result<(Sample, Sample), CommandError> {
        let flooding = {
            let load = self.load(self.bench.connections, slice * 3 / 2, 200);
            let (tokens, seeded) = (self.tokens.clone(), self.bench.seeded.clone());
            let stop = self.bench.stop.clone();
            std::thread::spawn(move || {
                // The quiet client shares a core with this thread. It must wait for the server and not for this thread,
                // so it goes first whenever a response has arrived for it.
                let _ = rustix::process::setpriority_process(None, 19);
                flood.run(&load, turn, &tokens, &seeded, &stop)
            })
        };
        let quiet = self.bench.pause(slice / 4).and_then(|()| self.quiet(slice));
        let flooding =
            flooding.join().unwrap_or_else(|_| Err(CommandError::new("internal", "a thread panicked")))?;
        Ok((quiet?, flooding))
    }
}

/// A row of the open loop, compared with the latencies at the sustainable rate.
fn asked(id: &'static str, times: f64, rate: f64, paced: &Paced, base: Option<[f64; 5]>) -> ReportRow {
    let Paced { sample, unsent } = paced;
    let title = format!("creates at {times} × that rate, {}/s, open loop", grouped(rate.round() as u64));
    let row = ReportRow::of(id, title, sample);
    let ratio = row.latencies.zip(base).map(|(own, base)| (p99(own) / p99(base).max(1e-9), "p99"));
    let note =
        (*unsent > 0).then(|| format!("{unsent} requests were due and not sent: all connections waited"));
    ReportRow { ratio, refused: Some(sample.refused_share()), note, ..row }
}

impl Flood {
    fn run(
        self,
        load: &Load,
        turn: u32,
        tokens: &Tokens,
        seeded: &Seeded,
        stop: &crate::scratch::Stop,
    ) -> Result<Sample, CommandError> {
        match self {
            // Some of the others are deleted by then.
            Self::Gets => load::run(load, &mut rows::ask_user(&tokens.huge, seeded, seeded.users / 2), stop),
            Self::Scans => load::run(load, &mut rows::ask_scans(tokens, seeded), stop),
            Self::Creates => {
                let mut ask = rows::ask_create(&tokens.huge, format!("flood-{turn}"));
                load::run(&Load { status: 201, ..*load }, &mut ask, stop)
            }
            Self::Logins => load::run(load, &mut rows::logins(load.connections).ask, stop),
            Self::Imports => imports(load, turn, tokens, stop),
        }
    }
}

/// Sequential imports for the duration of the load; users per second.
fn imports(
    load: &Load,
    turn: u32,
    tokens: &Tokens,
    stop: &crate::scratch::Stop,
) -> Result<Sample, CommandError> {
    let count = ((load.time.as_secs_f64() * IMPORTED) as u64).max(10);
    let (mut sample, begun, mut at) = (Sample::default(), Instant::now(), 0);
    while begun.elapsed() < load.time {
        let request = rows::import(&tokens.huge, &format!("import-{turn}-{at}"), count);
        let answer = load::once(load.address, &request, stop)?;
        sample.failed += u64::from(answer.status != load.status);
        sample.answers += count;
        sample.latencies.push(u32::try_from(answer.took.as_nanos() / 100).unwrap_or(u32::MAX));
        at += 1;
    }
    sample.elapsed = begun.elapsed();
    Ok(sample)
}
