//! The files of an import: the input, streamed twice; the plan; the report.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::cli::command_error::CommandError;
use tenantry_core::error::{Error, FieldError};
use tenantry_core::printable::printable_json;
use tenantry_core::rows::{BatchSize, GZIP, RawRow, ReadOptions, Splitter, Text};
use tenantry_domain::user_import::{ImportOptions, RowOutcome};
use tenantry_passwords::UnusableHashes;

/// Size of a read, in bytes.
const PIECE: usize = 256 * 1024;

/// What is known of an input before the import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    /// SHA-256, in hexadecimal.
    pub(super) checksum: String,
    /// Number of rows.
    pub(super) rows: u64,
}

impl Input {
    /// Reads the whole input.
    pub(super) fn look(path: &Path, options: &ReadOptions) -> Result<Self, CommandError> {
        let (mut digest, mut batches, mut rows) =
            (Sha256::new(), Batches::open(path, options, BatchSize::ALONE)?, 0);
        while let Some(batch) = batches.next_noting(&mut |bytes| digest.update(bytes))? {
            rows += batch.len() as u64;
        }
        Ok(Self { checksum: hex(&digest.finalize()), rows })
    }

    /// What identifies an import of it: the same file read otherwise has other rows.
    pub(super) fn key(&self, options: &ReadOptions) -> String {
        hex(&Sha256::new().chain_update(format!("{options:?} ")).chain_update(&self.checksum).finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The rows of an input, in batches.
pub(super) struct Batches {
    path: PathBuf,
    file: Box<dyn Read>,
    piece: Vec<u8>,
    splitter: Splitter,
    rows: Vec<RawRow>,
    has_ended: bool,
    size: BatchSize,
}

impl Batches {
    pub(super) fn open(path: &Path, options: &ReadOptions, size: BatchSize) -> Result<Self, CommandError> {
        let file = File::open(path).map_err(|e| CommandError::of_named_file("read", path, &e))?;
        let is_file = file.metadata().is_ok_and(|meta| meta.is_file());
        if !is_file {
            let detail = format!("{} is not a regular file: an import reads its input twice", path.display());
            return Err(CommandError::new("io", detail));
        }
        Ok(Self {
            path: path.to_owned(),
            file: unpacked(file).map_err(|e| CommandError::of_named_file("read", path, &e))?,
            piece: vec![0; PIECE],
            splitter: Splitter::new(options.clone()),
            rows: Vec::new(),
            has_ended: false,
            size,
        })
    }

    /// The next rows; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<RawRow>>, CommandError> {
        self.next_noting(&mut |_| {})
    }

    fn next_noting(&mut self, note: &mut dyn FnMut(&[u8])) -> Result<Option<Vec<RawRow>>, CommandError> {
        loop {
            let end = self.size.full(&self.rows).or_else(|| self.has_ended.then_some(self.rows.len()));
            if let Some(end) = end {
                let rest = self.rows.split_off(end);
                let batch = std::mem::replace(&mut self.rows, rest);
                return Ok(Some(batch).filter(|batch| !batch.is_empty()));
            }
            let count = self
                .file
                .read(&mut self.piece)
                .map_err(|e| CommandError::of_named_file("read", &self.path, &e))?;
            let bytes = self.piece.get(..count).unwrap_or_default();
            note(bytes);
            let split = match count {
                0 => {
                    self.has_ended = true;
                    self.splitter.finish(&mut self.rows)
                }
                _ => self.splitter.push(bytes, &mut self.rows),
            };
            split.map_err(|errors| self.refuse(errors))?;
        }
    }

    /// Errors that are not about a column are about the file.
    fn refuse(&self, mut errors: Vec<FieldError>) -> CommandError {
        for error in errors.iter_mut().filter(|error| error.field.is_empty()) {
            error.field = self.path.display().to_string().into();
        }
        Error::Invalid(errors).into()
    }
}

/// The content of a file that may be compressed with gzip.
fn unpacked(mut file: File) -> io::Result<Box<dyn Read>> {
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(GZIP.len() as u64).read_to_end(&mut head)?;
    file.rewind()?;
    Ok(if head == GZIP { Box::new(MultiGzDecoder::new(BufReader::new(file))) } else { Box::new(file) })
}

/// The version of the format of plans.
pub(super) const PLAN_VERSION: u32 = 2;

/// The first line of a plan: the import that it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PlanHead {
    /// The version of the format.
    pub(super) plan: u32,
    /// SHA-256 of the input.
    pub(super) input: String,
    pub(super) partner: i64,
    pub(super) reading: ReadOptions,
    pub(super) options: ImportOptions,
    pub(super) allow_weak_hashes: bool,
    pub(super) unknown_hashes: UnusableHashes,
    pub(super) rows: u64,
}

/// The last line: proves that the plan is complete and unmodified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFoot {
    /// SHA-256 of everything before.
    checksum: String,
}

/// A plan that is being written. It is renamed when it is complete.
pub(super) struct PlanWriter {
    path: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
    digest: Sha256,
}

impl PlanWriter {
    pub(super) fn create(path: &Path, head: &PlanHead) -> Result<Self, CommandError> {
        let partial = partial(path)?;
        let file = create(&partial)?;
        let (path, file, digest) = (path.to_owned(), BufWriter::new(file), Sha256::new());
        let mut this = Self { path, partial, file, digest };
        this.line(&json!(head))?;
        Ok(this)
    }

    pub(super) fn add(&mut self, outcomes: &[RowOutcome]) -> Result<(), CommandError> {
        outcomes.iter().try_for_each(|outcome| self.line(&json!(outcome)))
    }

    fn line(&mut self, line: &Value) -> Result<(), CommandError> {
        let line = format!("{line}\n");
        self.digest.update(&line);
        self.file
            .write_all(line.as_bytes())
            .map_err(|e| CommandError::of_named_file("write the plan", &self.path, &e))
    }

    pub(super) fn finish(mut self) -> Result<(), CommandError> {
        let checksum = hex(&self.digest.clone().finalize());
        self.line(&json!(PlanFoot { checksum }))?;
        let failed = |e: io::Error| CommandError::of_named_file("write the plan", &self.path, &e);
        self.file.flush().map_err(failed)?;
        self.file.get_ref().sync_all().map_err(failed)?;
        std::fs::rename(&self.partial, &self.path).map_err(failed)
    }
}

/// Refuses an existing name. Returns the temporary name of the file.
pub(super) fn partial(path: &Path) -> Result<PathBuf, CommandError> {
    if path.symlink_metadata().is_ok() {
        let detail = format!(
            "{} exists already and was not changed: use another file, or move that one away",
            path.display()
        );
        return Err(CommandError::new("io", detail));
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    Ok(PathBuf::from(name))
}

/// A new file private to this user; replaces an existing one.
pub(super) fn create(path: &Path) -> Result<File, CommandError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| CommandError::of_named_file("write", path, &e))
}

/// A plan, read row by row.
pub(super) struct PlanReader {
    pub(super) head: PlanHead,
    path: PathBuf,
    file: BufReader<File>,
}

impl PlanReader {
    /// Opens a plan that is complete and unmodified.
    pub(super) fn open(path: &Path) -> Result<Self, CommandError> {
        let open = || File::open(path).map_err(|e| CommandError::of_named_file("read the plan", path, &e));
        check_whole(path, BufReader::new(open()?))?;
        let mut file = BufReader::new(open()?);
        let mut line = String::new();
        file.read_line(&mut line).map_err(|e| CommandError::of_named_file("read the plan", path, &e))?;
        let head: PlanHead = serde_json::from_str(&line).map_err(|_| no_plan(path))?;
        if head.plan != PLAN_VERSION {
            return Err(no_plan(path));
        }
        Ok(Self { head, path: path.to_owned(), file })
    }

    /// The planned results of the next rows.
    pub(super) fn next(&mut self, count: usize) -> Result<Vec<RowOutcome>, CommandError> {
        let mut outcomes = Vec::with_capacity(count);
        for _ in 0..count {
            let mut line = String::new();
            self.file
                .read_line(&mut line)
                .map_err(|e| CommandError::of_named_file("read the plan", &self.path, &e))?;
            outcomes.push(serde_json::from_str(&line).map_err(|_| no_plan(&self.path))?);
        }
        Ok(outcomes)
    }
}

fn check_whole(path: &Path, mut file: BufReader<File>) -> Result<(), CommandError> {
    let (mut digest, mut line, mut last) = (Sha256::new(), String::new(), String::new());
    loop {
        line.clear();
        let count =
            file.read_line(&mut line).map_err(|e| CommandError::of_named_file("read the plan", path, &e))?;
        if count == 0 {
            break;
        }
        digest.update(&last);
        std::mem::swap(&mut last, &mut line);
    }
    let foot: PlanFoot = serde_json::from_str(&last).map_err(|_| no_plan(path))?;
    if foot.checksum == hex(&digest.finalize()) { Ok(()) } else { Err(no_plan(path)) }
}

fn no_plan(path: &Path) -> CommandError {
    let detail = format!(
        "{} is not a complete plan of this version, or was modified: create a new one with --plan",
        path.display()
    );
    CommandError::new("bad-plan", detail)
}

/// The rows that did not become users, each as a line of JSON: which it is, what was done, the row and the reasons.
pub(super) struct ImportReport {
    path: PathBuf,
    file: File,
}

impl ImportReport {
    /// A new report. If an import is resumed, existing lines about rows before the record `from` are kept.
    pub(super) fn open(path: &Path, from: u64) -> Result<Self, CommandError> {
        let failed = |e: io::Error| CommandError::of_named_file("write the report", path, &e);
        let mut kept = String::new();
        if from > 0
            && let Ok(file) = File::open(path)
        {
            // A line that was partially written when its command was killed is not JSON; it is of a later row.
            let is_before = |line: &str| {
                let line: Option<Value> = serde_json::from_str(line).ok();
                line.and_then(|line| line.get("record")?.as_u64()).is_some_and(|record| record < from)
            };
            for line in BufReader::new(file).lines() {
                let line = line.map_err(failed)?;
                if is_before(&line) {
                    kept.push_str(&line);
                    kept.push('\n');
                }
            }
        }
        let mut file = create(path)?;
        file.write_all(kept.as_bytes()).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Adds rows of a batch.
    pub(super) fn add(&mut self, batch: &[RawRow], reported: &[RowOutcome]) -> Result<(), CommandError> {
        let mut text = String::new();
        // Both are in the order of the file.
        let mut rows = batch.iter();
        for RowOutcome { place, action, errors, user_id, matched_by, .. } in reported {
            let row = rows.find(|row| row.record == place.record).map(shown);
            let mut line = json!({
                "record": place.record,
                "line": place.line,
                "action": action,
                "row": row,
                "errors": errors,
            });
            if let (Some(user_id), Some(matched_by), Value::Object(members)) =
                (user_id, matched_by, &mut line)
            {
                members.insert(String::from("userId"), json!(user_id));
                members.insert(String::from("matchedBy"), json!(matched_by));
            }
            text.push_str(&printable_json(&line.to_string()));
            text.push('\n');
        }
        self.file
            .write_all(text.as_bytes())
            .map_err(|e| CommandError::of_named_file("write the report", &self.path, &e))
    }
}

/// Whether a member may have a secret, such as `passwordHash`, or Keycloak's `credentials` and `secretData`.
fn may_be_secret(name: &str) -> bool {
    ["password", "credential", "secret", "salt", "hash"].iter().any(|word| name.contains(word))
}

/// A row without its secret. A row that is not an object may have it anywhere, so it is not shown.
fn shown(row: &RawRow) -> Value {
    let text = match &row.text {
        Text::Json(text) => text,
        Text::Faulty { excerpt, .. } => return json!(excerpt),
        Text::Empty | Text::End(_) => return Value::Null,
    };
    match serde_json::from_str(text) {
        Ok(Value::Object(mut members)) => {
            members.retain(|name, _| !may_be_secret(&name.to_lowercase()));
            Value::Object(members)
        }
        _ => Value::Null,
    }
}
