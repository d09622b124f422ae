//! `tenantry import`: imports a file of users, as a dry run, a plan or for real; resumes an interrupted import.

use std::io::Write;
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde_json::json;

use crate::cli::args::ImportArgs;
use crate::cli::import_files::{Batches, ImportReport, Input, PlanHead, PlanReader, PlanWriter};
use crate::cli::operations::Operation;
use crate::cli::operations::import::{Begun, ImportOperation as Do, check_plan};
use crate::cli::progress::Bar;
use crate::cli::refusal::Refusal;
use crate::cli::way::Way;
use crate::cli::{Failure, print};
use tenantry_core::model::PartnerId;
use tenantry_core::rows::{BatchSize, Format, RawRow};
use tenantry_domain::user_import::{RowOutcome, Seen};

/// Number of rejected rows that are printed if no report is written.
const TOLD: usize = 20;

/// Runs the command.
pub(super) fn run(args: &ImportArgs, way: &Way, out: &mut impl Write) -> Result<(), Failure> {
    let format = format_of(args)?;
    let input = Input::look(&args.file, format)?;
    let import = Import { args, way, format, key: format!("{format:?} {}", input.checksum), input };
    let begun = import.begin()?;
    match (&args.plan, &args.apply) {
        (Some(path), _) => {
            import.refuse_to_go_on(&begun)?;
            let plan = PlanWriter::create(path, &import.head())?;
            Ok(import.write_plan(plan, out)?)
        }
        (None, Some(path)) => {
            let plan = || PlanReader::open(path);
            import.check_head(&plan()?.head)?;
            import.check(&begun, plan()?)?;
            import.run(begun, Some(plan()?), out)
        }
        (None, None) if args.dry_run => {
            import.refuse_to_go_on(&begun)?;
            import.tell(out)
        }
        (None, None) => import.run(begun, None, out),
    }
}

/// The given format, or that of the file name.
fn format_of(args: &ImportArgs) -> Result<Format, Refusal> {
    let ending = args.file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let by_name = match ending.to_ascii_lowercase().as_str() {
        "csv" => Some(Format::Csv),
        "ndjson" | "jsonl" => Some(Format::Ndjson),
        _ => None,
    };
    args.format.or(by_name).ok_or_else(|| {
        Refusal::new("invalid", "set --format to ndjson or csv: it cannot be derived from the file name")
    })
}

/// An import of one file.
struct Import<'a> {
    args: &'a ImportArgs,
    way: &'a Way<'a>,
    format: Format,
    input: Input,
    key: String,
}

/// The result.
#[derive(Default)]
struct Count {
    created: u64,
    failed: u64,
    /// The first rejected rows, as text.
    told: Vec<String>,
}

impl Count {
    fn add(&mut self, rows: usize, rejected: &[RowOutcome]) {
        self.failed += rejected.len() as u64;
        self.created += (rows - rejected.len().min(rows)) as u64;
        let room = TOLD.saturating_sub(self.told.len());
        self.told.extend(rejected.iter().take(room).map(RowOutcome::to_string));
    }
}

impl Import<'_> {
    fn pid(&self) -> PartnerId {
        self.args.partner
    }

    fn send_mail(&self, plan: Option<&PlanHead>) -> bool {
        plan.map_or(self.args.send_mail, |plan| plan.send_mail)
    }

    fn ask<T: DeserializeOwned>(&self, operation: Do) -> Result<T, Refusal> {
        let told = self.way.run(Operation::Import(operation))?;
        serde_json::from_value(told)
            .map_err(|e| Refusal::new("internal", format!("cannot parse the server's response: {e}")))
    }

    fn begin(&self) -> Result<Begun, Refusal> {
        self.ask(Do::Begin { pid: self.pid(), key: self.key.clone() })
    }

    /// Known after the first operation, when it is clear who does the work.
    fn batch_size(&self) -> BatchSize {
        if self.way.is_alone() { BatchSize::ALONE } else { BatchSize::SHARED }
    }

    /// Refuses a dry run of an import that was interrupted.
    fn refuse_to_go_on(&self, begun: &Begun) -> Result<(), Refusal> {
        if begun.rows == 0 {
            return Ok(());
        }
        let detail = format!(
            "an import of this file was interrupted after {} rows: run it without --dry-run and --plan to resume it",
            begun.rows
        );
        Err(Refusal::new("import-under-way", detail))
    }

    fn head(&self) -> PlanHead {
        PlanHead {
            plan: 1,
            input: self.input.checksum.clone(),
            partner: self.pid().0,
            format: self.format,
            send_mail: self.args.send_mail,
            rows: self.input.rows,
        }
    }

    fn check_head(&self, head: &PlanHead) -> Result<(), Refusal> {
        let own = PlanHead { send_mail: head.send_mail, ..self.head() };
        if *head == own {
            return Ok(());
        }
        let detail =
            "the plan is for another file, partner or format: create one for this import with --plan";
        Err(Refusal::new("bad-plan", detail))
    }

    /// Dry-runs all rows that are not done; the results of each batch are passed to `each`.
    fn dry_run(
        &self,
        begun: &Begun,
        send_mail: bool,
        each: &mut dyn FnMut(usize, Option<Vec<RowOutcome>>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut batches = Batches::open(&self.args.file, self.format, self.batch_size())?;
        let (mut seen, mut done) = (Seen::default(), 0);
        let mut bar = Bar::new("checking", "rows", self.input.rows);
        while let Some(mut rows) = batches.next()? {
            let known = known(begun, done, rows.len());
            done += rows.len() as u64;
            let new = rows.split_off(known);
            if known > 0 {
                each(known, None)?;
            }
            if !new.is_empty() {
                let mut outcomes: Vec<RowOutcome> =
                    self.ask(Do::Rehearse { pid: self.pid(), rows: new, send_mail })?;
                seen.check(&mut outcomes);
                each(outcomes.len(), Some(outcomes))?;
            }
            bar.tell(done);
        }
        Ok(())
    }

    /// Prints the result that each row would have.
    fn tell(&self, out: &mut impl Write) -> Result<(), Failure> {
        let (mut count, mut lines) = (Count::default(), Vec::new());
        let mut report = self.args.report.as_deref().map(|path| ImportReport::open(path, 0)).transpose()?;
        self.dry_run(&Begun::default(), self.args.send_mail, &mut |rows, outcomes| {
            let outcomes = outcomes.unwrap_or_default();
            if !self.args.json {
                outcomes.iter().for_each(|outcome| lines.push(outcome.to_string()));
                lines.drain(..).try_for_each(|line| writeln!(out, "{line}"))?;
            }
            let rejected: Vec<RowOutcome> =
                outcomes.into_iter().filter(|outcome| !outcome.is_good()).collect();
            count.add(rows, &rejected);
            if let Some(report) = &mut report {
                report.add(&[], &rejected)?;
            }
            Ok(())
        })?;
        let told = json!({ "dryRun": true, "wouldCreate": count.created, "wouldReject": count.failed });
        Ok(print::one(out, self.args.json, &told)?)
    }

    fn write_plan(&self, mut plan: PlanWriter, out: &mut impl Write) -> Result<(), Failure> {
        let mut count = Count::default();
        self.dry_run(&Begun::default(), self.args.send_mail, &mut |rows, outcomes| {
            let outcomes = outcomes.unwrap_or_default();
            plan.add(&outcomes)?;
            let rejected: Vec<RowOutcome> =
                outcomes.into_iter().filter(|outcome| !outcome.is_good()).collect();
            count.add(rows, &rejected);
            Ok(())
        })?;
        plan.finish()?;
        let path = self.args.plan.as_ref().map(|path| path.display().to_string());
        let told = json!({ "plan": path, "wouldCreate": count.created, "wouldReject": count.failed });
        Ok(print::one(out, self.args.json, &told)?)
    }

    /// Fails before anything is done if the plan differs from what would happen.
    fn check(&self, begun: &Begun, mut plan: PlanReader) -> Result<(), Failure> {
        let send_mail = plan.head.send_mail;
        self.dry_run(begun, send_mail, &mut |rows, outcomes| {
            let planned = plan.next(rows)?;
            match outcomes {
                Some(outcomes) => Ok(check_plan(&planned, &outcomes)?),
                None => Ok(()),
            }
        })
    }

    /// Imports the rows that are not done.
    fn run(&self, begun: Begun, mut plan: Option<PlanReader>, out: &mut impl Write) -> Result<(), Failure> {
        let start = Instant::now();
        let mut report = self
            .args
            .report
            .as_deref()
            .map(|path| ImportReport::open(path, begun.newest.line))
            .transpose()?;
        let number = |n: i64| u64::try_from(n).unwrap_or(0);
        let mut count =
            Count { created: number(begun.created), failed: number(begun.failed), told: Vec::new() };
        let mut batches = Batches::open(&self.args.file, self.format, self.batch_size())?;
        let mut bar = Bar::new("importing", "rows", self.input.rows);
        let (mut done, send_mail) = (0, self.send_mail(plan.as_ref().map(|plan| &plan.head)));
        while let Some(mut rows) = batches.next()? {
            let known = known(&begun, done, rows.len());
            let planned = plan.as_mut().map(|plan| plan.next(rows.len())).transpose()?;
            let planned = planned.map(|mut planned| planned.split_off(known));
            let new = rows.split_off(known);
            if let Some(report) = &mut report {
                let of_these = |outcome: &&RowOutcome| rows.iter().any(|row| row.line == outcome.line);
                let told: Vec<RowOutcome> = begun.newest.rejected.iter().filter(of_these).cloned().collect();
                report.add(&rows, &told)?;
            }
            done += known as u64;
            if !new.is_empty() {
                let rejected = self.batch(done, &new, send_mail, planned)?;
                done += new.len() as u64;
                count.add(new.len(), &rejected);
                if let Some(report) = &mut report {
                    report.add(&new, &rejected)?;
                }
            }
            bar.tell(done);
        }
        let () = self.ask(Do::End { pid: self.pid(), key: self.key.clone() })?;
        drop(bar);
        self.conclude(&begun, &count, start, out)
    }

    fn batch(
        &self,
        from: u64,
        rows: &[RawRow],
        send_mail: bool,
        planned: Option<Vec<RowOutcome>>,
    ) -> Result<Vec<RowOutcome>, Refusal> {
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        let (pid, key, rows) = (self.pid(), self.key.clone(), rows.to_vec());
        let operation = Do::Batch { pid, key, from, rows, send_mail, planned };
        self.ask(operation).map_err(|refusal| {
            let detail = format!(
                "{}\nthe previous rows are imported: run the same command again to resume",
                refusal.detail
            );
            Refusal { detail, ..refusal }
        })
    }

    fn conclude(
        &self,
        begun: &Begun,
        count: &Count,
        start: Instant,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let told = json!({
            "created": count.created,
            "rejected": count.failed,
            "resumed": begun.rows > 0,
            "seconds": (start.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        });
        print::one(out, self.args.json, &told)?;
        if count.failed == 0 {
            return Ok(());
        }
        let mut detail = format!("{} of {} rows were rejected", count.failed, self.input.rows);
        match &self.args.report {
            Some(path) => detail.push_str(&format!(": see {}", path.display())),
            None => {
                detail.push_str(", the first of them:\n");
                detail.push_str(&count.told.join("\n"));
            }
        }
        Err(Refusal::new("rows-rejected", detail).into())
    }
}

/// How many of the next rows are done.
fn known(begun: &Begun, done: u64, rows: usize) -> usize {
    let left = u64::try_from(begun.rows).unwrap_or(0).saturating_sub(done);
    usize::try_from(left).unwrap_or(usize::MAX).min(rows)
}
