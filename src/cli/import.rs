//! `tenantry import`: imports a file of users, as a dry run, a plan or for real; resumes an interrupted import.

use std::io::Write;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cli::args::ImportArgs;
use crate::cli::command_error::CommandError;
use crate::cli::data_access::DataAccess;
use crate::cli::import_files::{
    Batches, ImportReport, Input, PLAN_VERSION, PlanHead, PlanReader, PlanWriter,
};
use crate::cli::operations::Operation;
use crate::cli::operations::import::{Begun, ImportOperation as Do, check_plan};
use crate::cli::progress::Bar;
use crate::cli::{Failure, print};
use tenantry_core::model::PartnerId;
use tenantry_core::rows::{BatchSize, Format, RawRow, ReadOptions};
use tenantry_domain::user_import::{Existing, ImportOptions, RowAction, RowCounts, RowOutcome, Seen};
use tenantry_passwords::{FirebaseParameters, HashPolicy, UnusableHashes};

/// Number of rejected rows that are printed if no report is written.
const REPORTED: usize = 20;

/// Part of what an import is stored under: one that an earlier version began is not resumed, since rows were counted
/// differently.
const KEY_VERSION: u32 = 2;

/// Runs the command.
pub(super) fn run(args: &ImportArgs, access: &DataAccess, out: &mut impl Write) -> Result<(), Failure> {
    let reading = reading(args)?;
    let input = Input::look(&args.file, &reading)?;
    let existing = match &args.apply {
        Some(plan) => PlanReader::open(plan)?.head.options.existing,
        None => args.existing,
    };
    let options = ImportOptions { send_mail: args.send_mail, existing };
    let key = format!("{KEY_VERSION} {existing:?} {}", input.key(&reading));
    let import = Import { args, access, reading, options, key, input, hashes: hash_policy(args)? };
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
            import.plan(out)
        }
        (None, None) => import.run(begun, None, out),
    }
}

/// How the file is read.
fn reading(args: &ImportArgs) -> Result<ReadOptions, CommandError> {
    let options = ReadOptions {
        format: format_of(args)?,
        delimiter: args.delimiter,
        ignored_columns: args.ignore_columns.clone(),
    };
    if options.suits_format() {
        return Ok(options);
    }
    Err(CommandError::new("invalid", "--delimiter and --ignore-column are only for CSV"))
}

/// The given format, or that of the file name.
fn format_of(args: &ImportArgs) -> Result<Format, CommandError> {
    let name = args.file.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let by_name = match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "csv" | "tsv" => Some(Format::Csv),
        "ndjson" | "jsonl" => Some(Format::Ndjson),
        _ => None,
    };
    args.format.or(by_name).ok_or_else(|| {
        CommandError::new("invalid", "set --format to ndjson or csv: it cannot be derived from the file name")
    })
}

/// Which password hashes are taken, by the options.
fn hash_policy(args: &ImportArgs) -> Result<HashPolicy, CommandError> {
    let read = |path: &PathBuf| {
        let text =
            std::fs::read_to_string(path).map_err(|e| CommandError::of_named_file("read", path, &e))?;
        FirebaseParameters::parse(&text).map_err(|wrong| {
            let detail = format!(
                "{} must contain the hash_config of the Firebase console, under \"Password hash parameters\": {wrong}",
                path.display()
            );
            CommandError::new("invalid", detail)
        })
    };
    Ok(HashPolicy {
        allow_weak: args.allow_weak_hashes,
        unknown: args.unknown_hashes.unwrap_or_default(),
        firebase: args.firebase_hash_config.as_ref().map(read).transpose()?,
    })
}

/// Takes the rows of a batch and their outcomes; `None` if they were done before.
type EachBatch<'e> = dyn FnMut(&[RawRow], Option<Vec<RowOutcome>>) -> Result<(), Failure> + 'e;

/// An import of one file.
struct Import<'a> {
    args: &'a ImportArgs,
    access: &'a DataAccess<'a>,
    reading: ReadOptions,
    options: ImportOptions,
    input: Input,
    key: String,
    hashes: HashPolicy,
}

/// The result.
#[derive(Default)]
struct Count {
    rows: RowCounts,
    /// The first rejected rows, as text.
    reported: Vec<String>,
    /// Rows were rejected because their users exist.
    has_existing: bool,
}

impl Count {
    /// Counts rows; in `reported` are all that did not become users as they are.
    fn add(&mut self, rows: usize, reported: &[RowOutcome]) {
        reported.iter().for_each(|outcome| self.rows.add(outcome));
        self.rows.created += (rows - reported.len().min(rows)) as u64;
        let rejected = reported.iter().filter(|outcome| outcome.action == RowAction::Reject);
        let is_taken = |code: &str| matches!(code, "username-taken" | "external-id-taken");
        self.has_existing |=
            reported.iter().flat_map(|outcome| &outcome.errors).any(|reason| is_taken(&reason.code));
        let room = REPORTED.saturating_sub(self.reported.len());
        self.reported.extend(rejected.take(room).map(RowOutcome::to_string));
    }

    /// The result of a dry run.
    fn expected(&self, hashes: &HashPolicy) -> Value {
        let RowCounts { created, updated, skipped, failed, dropped_hashes } = self.rows;
        let reported = json!({
            "wouldCreate": created,
            "wouldUpdate": updated,
            "wouldSkip": skipped,
            "wouldReject": failed,
        });
        match hashes.unknown {
            UnusableHashes::Refuse => reported,
            UnusableHashes::Drop => merged(reported, json!({ "wouldDropHashes": dropped_hashes })),
        }
    }
}

impl Import<'_> {
    fn pid(&self) -> PartnerId {
        self.args.partner
    }

    fn options_of(&self, plan: Option<&PlanHead>) -> ImportOptions {
        plan.map_or(self.options, |plan| plan.options)
    }

    /// A plan contains the options, but no secret.
    fn hashes(&self, plan: Option<&PlanHead>) -> HashPolicy {
        let hashes = self.hashes.clone();
        match plan {
            Some(plan) => {
                HashPolicy { allow_weak: plan.allow_weak_hashes, unknown: plan.unknown_hashes, ..hashes }
            }
            None => hashes,
        }
    }

    fn ask<T: DeserializeOwned>(&self, operation: Do) -> Result<T, CommandError> {
        let reported = self.access.run(Operation::Import(operation))?;
        serde_json::from_value(reported)
            .map_err(|e| CommandError::new("internal", format!("cannot parse the server's response: {e}")))
    }

    fn begin(&self) -> Result<Begun, CommandError> {
        self.ask(Do::Begin { pid: self.pid(), key: self.key.clone() })
    }

    /// Known after the first operation, when it is clear who does the work.
    fn batch_size(&self) -> BatchSize {
        if self.access.is_alone() { BatchSize::ALONE } else { BatchSize::SHARED }
    }

    /// Refuses a dry run of an import that was interrupted.
    fn refuse_to_go_on(&self, begun: &Begun) -> Result<(), CommandError> {
        if begun.rows == 0 {
            return Ok(());
        }
        let detail = format!(
            "an import of this file was interrupted after {} rows: run it without --dry-run and --plan to resume it",
            begun.rows
        );
        Err(CommandError::new("import-under-way", detail))
    }

    fn head(&self) -> PlanHead {
        PlanHead {
            plan: PLAN_VERSION,
            input: self.input.checksum.clone(),
            partner: self.pid().0,
            reading: self.reading.clone(),
            options: self.options,
            allow_weak_hashes: self.hashes.allow_weak,
            unknown_hashes: self.hashes.unknown,
            rows: self.input.rows,
        }
    }

    fn check_head(&self, head: &PlanHead) -> Result<(), CommandError> {
        let own = PlanHead {
            options: head.options,
            allow_weak_hashes: head.allow_weak_hashes,
            unknown_hashes: head.unknown_hashes,
            ..self.head()
        };
        if *head == own {
            return Ok(());
        }
        let detail = "the plan is for another file, partner, format, delimiter or choice of columns: create one for \
                      this import with --plan";
        Err(CommandError::new("bad-plan", detail))
    }

    /// Dry-runs all rows that are not done; the results of each batch are passed to `each`.
    fn dry_run(
        &self,
        begun: &Begun,
        plan: Option<&PlanHead>,
        each: &mut EachBatch<'_>,
    ) -> Result<(), Failure> {
        let mut batches = Batches::open(&self.args.file, &self.reading, self.batch_size())?;
        let (options, hashes) = (self.options_of(plan), self.hashes(plan));
        let (mut seen, mut done) = (Seen::new(options.existing), 0);
        let mut bar = Bar::new("checking", "rows", self.input.rows);
        while let Some(mut rows) = batches.next()? {
            let known = known(begun, done, rows.len());
            done += rows.len() as u64;
            let new = rows.split_off(known);
            if known > 0 {
                each(&rows, None)?;
            }
            if !new.is_empty() {
                let (pid, rows, hashes) = (self.pid(), new.clone(), hashes.clone());
                let mut outcomes: Vec<RowOutcome> = self.ask(Do::Rehearse { pid, rows, options, hashes })?;
                seen.check(&mut outcomes);
                each(&new, Some(outcomes))?;
            }
            bar.update(done);
        }
        Ok(())
    }

    /// Prints the result that each row would have.
    fn plan(&self, out: &mut impl Write) -> Result<(), Failure> {
        let (mut count, mut lines) = (Count::default(), Vec::new());
        let mut report = self.args.report.as_deref().map(|path| ImportReport::open(path, 0)).transpose()?;
        self.dry_run(&Begun::default(), None, &mut |rows, outcomes| {
            let outcomes = outcomes.unwrap_or_default();
            if !self.args.json {
                outcomes.iter().for_each(|outcome| lines.push(outcome.to_string()));
                lines.drain(..).try_for_each(|line| writeln!(out, "{line}"))?;
            }
            let reported: Vec<RowOutcome> =
                outcomes.into_iter().filter(|outcome| !outcome.is_created()).collect();
            count.add(rows.len(), &reported);
            if let Some(report) = &mut report {
                report.add(rows, &reported)?;
            }
            Ok(())
        })?;
        print::one(out, self.args.json, &merged(json!({ "dryRun": true }), count.expected(&self.hashes)))?;
        self.refuse_rejected(&count, "would be")
    }

    fn write_plan(&self, mut plan: PlanWriter, out: &mut impl Write) -> Result<(), Failure> {
        let mut count = Count::default();
        self.dry_run(&Begun::default(), None, &mut |rows, outcomes| {
            let outcomes = outcomes.unwrap_or_default();
            plan.add(&outcomes)?;
            let reported: Vec<RowOutcome> =
                outcomes.into_iter().filter(|outcome| !outcome.is_created()).collect();
            count.add(rows.len(), &reported);
            Ok(())
        })?;
        plan.finish()?;
        let path = self.args.plan.as_ref().map(|path| path.display().to_string());
        print::one(out, self.args.json, &merged(json!({ "plan": path }), count.expected(&self.hashes)))?;
        self.refuse_rejected(&count, "would be")
    }

    /// Fails before anything is done if the plan differs from what would happen.
    fn check(&self, begun: &Begun, mut plan: PlanReader) -> Result<(), Failure> {
        let head = plan.head.clone();
        self.dry_run(begun, Some(&head), &mut |rows, outcomes| {
            let planned = plan.next(rows.len())?;
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
            .map(|path| ImportReport::open(path, begun.newest.record))
            .transpose()?;
        let mut count = Count { rows: begun.counts, ..Count::default() };
        let mut batches = Batches::open(&self.args.file, &self.reading, self.batch_size())?;
        let mut bar = Bar::new("importing", "rows", self.input.rows);
        let (mut done, head) = (0, plan.as_ref().map(|plan| plan.head.clone()));
        while let Some(mut rows) = batches.next()? {
            let known = known(&begun, done, rows.len());
            let planned = plan.as_mut().map(|plan| plan.next(rows.len())).transpose()?;
            let planned = planned.map(|mut planned| planned.split_off(known));
            let new = rows.split_off(known);
            if let Some(report) = &mut report {
                let of_these = |outcome: &&RowOutcome| {
                    let is_in = |records: RangeInclusive<u64>| records.contains(&outcome.place.record);
                    rows.first().zip(rows.last()).is_some_and(|(a, b)| is_in(a.record..=b.record))
                };
                let reported: Vec<RowOutcome> =
                    begun.newest.reported.iter().filter(of_these).cloned().collect();
                report.add(&rows, &reported)?;
            }
            done += known as u64;
            if !new.is_empty() {
                let reported = self.batch(done, &new, head.as_ref(), planned)?;
                done += new.len() as u64;
                count.add(new.len(), &reported);
                if let Some(report) = &mut report {
                    report.add(&new, &reported)?;
                }
            }
            bar.update(done);
        }
        let () = self.ask(Do::End { pid: self.pid(), key: self.key.clone() })?;
        drop(bar);
        let hashes = self.hashes(head.as_ref());
        self.conclude(&begun, &count, &hashes, start, out)
    }

    fn batch(
        &self,
        from: u64,
        rows: &[RawRow],
        plan: Option<&PlanHead>,
        planned: Option<Vec<RowOutcome>>,
    ) -> Result<Vec<RowOutcome>, CommandError> {
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        let (pid, key, rows) = (self.pid(), self.key.clone(), rows.to_vec());
        let (options, hashes) = (self.options_of(plan), self.hashes(plan));
        let operation = Do::Batch { pid, key, from, rows, options, hashes, planned };
        self.ask(operation).map_err(|error| {
            let detail = format!(
                "{}\nthe previous rows are imported: run the same command again to resume",
                error.detail
            );
            CommandError { detail, ..error }
        })
    }

    fn conclude(
        &self,
        begun: &Begun,
        count: &Count,
        hashes: &HashPolicy,
        start: Instant,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let RowCounts { created, updated, skipped, failed, dropped_hashes } = count.rows;
        let mut reported = json!({
            "created": created,
            "updated": updated,
            "skipped": skipped,
            "rejected": failed,
        });
        if hashes.unknown == UnusableHashes::Drop {
            reported = merged(reported, json!({ "droppedHashes": dropped_hashes }));
        }
        let more = json!({
            "resumed": begun.rows > 0,
            "seconds": (start.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        });
        print::one(out, self.args.json, &merged(reported, more))?;
        self.refuse_rejected(count, "were")
    }

    /// A command that rejects rows does not exit with 0.
    fn refuse_rejected(&self, count: &Count, were: &str) -> Result<(), Failure> {
        let failed = count.rows.failed;
        if failed == 0 {
            return Ok(());
        }
        let mut detail = format!("{failed} of {} rows {were} rejected", self.input.rows);
        match &self.args.report {
            Some(path) => detail.push_str(&format!(": see {}", path.display())),
            // Every row is printed, or planned.
            None if self.args.plan.is_some() || self.args.dry_run && !self.args.json => {}
            None => {
                detail.push_str(", the first of them:\n");
                detail.push_str(&count.reported.join("\n"));
            }
        }
        if count.has_existing && self.options.existing == Existing::Refuse {
            detail.push_str(
                "\nto skip or update users that exist already, use --existing skip or --existing update",
            );
        }
        Err(CommandError::new("rows-rejected", detail).into())
    }
}

/// An object with the members of both.
fn merged(mut object: Value, more: Value) -> Value {
    if let (Value::Object(members), Value::Object(more)) = (&mut object, more) {
        members.extend(more);
    }
    object
}

/// How many of the next rows are done.
fn known(begun: &Begun, done: u64, rows: usize) -> usize {
    let left = u64::try_from(begun.rows).unwrap_or(0).saturating_sub(done);
    usize::try_from(left).unwrap_or(usize::MAX).min(rows)
}
