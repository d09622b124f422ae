//! A whole database into another one: SQLite into PostgreSQL, or back (docs/adr/0015-copies-carry-their-mark.md).
//!
//! The tables to copy are read from the databases themselves, and both must have the same. Rows are read in the order
//! of their key and inserted into the target in chunks, each in one transaction together with the progress. Indexes and
//! foreign keys are dropped before and recreated after. At the end the whole target is read, and its checksums are
//! compared with those of what was read from the source. Until then the target has the table `unfinished_copy`, and no server uses it.

mod ends;
mod layout;
mod rows;
mod unfinished;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use sha2::{Digest as _, Sha256};

use crate::engine::driver::{Connection, Dialect};
use crate::listing::search;
use crate::ops::migrate;
use crate::store::{PostgresOptions, apart};
use ends::End;
use layout::{DeferredObject, Layout, Table};
use rows::{Chunk, Position, Reader};
use tenantry_core::clock::Clock;
use tenantry_core::error::{Error, Result};
use unfinished::Begun;

/// Rows in a chunk: held in memory a few times, and the maximum loss on interruption.
const CHUNK: u64 = 5_000;

/// The location of a database.
#[derive(Debug)]
pub enum CopyLocation<'a> {
    /// An SQLite file. The caller holds its lock.
    Sqlite(&'a Path),
    /// A PostgreSQL database.
    Postgres(PostgresOptions<'a>),
}

/// The stages of a copy, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Compares what an earlier run has copied with the source (rows).
    Compare,
    /// Copies rows.
    Copy,
    /// Creates indexes and foreign keys.
    Build,
    /// Builds SQLite's search index (users).
    Index,
    /// Verifies what was copied (rows).
    Verify,
}

/// The progress of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyProgress<'a> {
    /// The number of open server connections on the source: the servers should have been stopped.
    Servers(u64),
    /// The progress of a stage.
    Step {
        /// Which stage.
        stage: Stage,
        /// The current item: a table, an index.
        at: &'a str,
        /// How much is done.
        done: u64,
        /// How much there is.
        total: u64,
    },
}

/// A callback for progress. An error interrupts the copy, which can be resumed later.
pub type Watch<'a> = dyn FnMut(&CopyProgress<'_>) -> Result<()> + Send + 'a;

/// What was copied and verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyReport {
    /// The source, for people.
    pub from: String,
    /// The target, for people.
    pub to: String,
    /// Whether it resumed an earlier run.
    pub is_resumed: bool,
    /// Each table.
    pub tables: Vec<CopiedTable>,
    /// The last value of each sequence.
    pub sequences: BTreeMap<String, i64>,
}

/// A copied table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub name: String,
    /// The number of rows.
    pub rows: u64,
    /// 64 hexadecimal digits: the sum of the SHA-256 of its rows, independent of their order.
    pub checksum: String,
}

/// Refuses a database that is an unfinished copy.
///
/// # Errors
/// It is one, with a hint.
pub(crate) fn check_finished(conn: &mut dyn Connection, shown: &str) -> Result<()> {
    if !unfinished::exists(conn)? {
        return Ok(());
    }
    Err(Error::internal(format!(
        "{shown} is an unfinished copy (it was not changed): run the same `tenantry copy` again, which resumes where \
         it stopped"
    )))
}

/// Copies everything. The clock's time is recorded for migrations of the target, if any.
///
/// # Errors
/// Any obstacle, with a text for the operator: a source that is missing, of another version, different from that of the
/// start or changed since; a target that is not empty; errors of the databases; a table whose rows differ at the end.
/// What was copied is kept for the next run.
pub fn run(
    from: &CopyLocation<'_>,
    to: &CopyLocation<'_>,
    clock: &Clock,
    watch: &mut Watch<'_>,
) -> Result<CopyReport> {
    apart(|| Move::open(from, to, clock, watch)?.run())
}

struct Move<'w, 'f> {
    source: End,
    target: End,
    tables: Vec<Table>,
    /// The rows of each table.
    totals: Vec<u64>,
    sequences: BTreeMap<String, i64>,
    begun: Begun,
    watch: &'w mut Watch<'f>,
}

impl<'w, 'f> Move<'w, 'f> {
    fn open(
        from: &CopyLocation<'_>,
        to: &CopyLocation<'_>,
        clock: &Clock,
        watch: &'w mut Watch<'f>,
    ) -> Result<Self> {
        let mut source = End::source(from)?;
        let mut target = End::target(to, clock)?;
        if source.identity(from)? == target.identity(to)? {
            return Err(Error::internal(format!("{} is the same database on both sides", source.shown)));
        }
        source.keep_for_copy(true)?;
        target.keep_for_copy(false)?;
        let servers = source.servers()?;
        if servers > 0 {
            watch(&CopyProgress::Servers(servers))?;
        }
        source.begin_reading()?;
        search::check_keys(source.conn())?;
        let tables = layout::agree(&Layout::read(source.conn())?, &Layout::read(target.conn())?)?;
        let totals = tables.iter().map(|table| source.count(&table.name)).collect::<Result<Vec<u64>, _>>()?;
        // After the snapshot, so that no id in it is allocated again.
        let sequences = source.sequences()?;
        let begun = Begun {
            from: source.shown.clone(),
            schema: migrate::KNOWN,
            fingerprint: fingerprint(&tables, &totals, &sequences),
        };
        Ok(Self { source, target, tables, totals, sequences, begun, watch })
    }

    fn run(mut self) -> Result<CopyReport> {
        let is_resumed = unfinished::exists(self.target.conn())?;
        if is_resumed {
            self.check_begun()?;
        } else {
            self.begin()?;
        }
        let mut positions = self.positions()?;
        self.compare(&positions)?;
        self.copy(&mut positions)?;
        self.source.conn().batch("ROLLBACK")?;
        self.build()?;
        self.index()?;
        let sequences = self.sequences.clone();
        self.target.in_transaction(|target| target.set_sequences(&sequences))?;
        let tables = self.verify(&positions)?;
        self.target.finish()?;
        let (from, to) = (self.source.shown, self.target.shown);
        Ok(CopyReport { from, to, is_resumed, tables, sequences })
    }

    /// Creates the table of an unfinished copy in the target and drops what is recreated at the end.
    fn begin(&mut self) -> Result<()> {
        let (tables, begun) = (&self.tables, &self.begun);
        let deferred = layout::list_deferred(self.target.conn())?;
        self.target.in_transaction(|target| {
            for table in tables {
                if target.count(&table.name)? > 0 {
                    return Err(Error::internal(format!(
                        "{} is not empty (table {} has rows), and the target of a copy must be empty: use another \
                         one, or {}",
                        target.shown,
                        table.name,
                        target.how_to_empty()
                    )));
                }
            }
            unfinished::create(target.conn())?;
            unfinished::put(target.conn(), unfinished::BEGUN, begun)?;
            unfinished::put(target.conn(), unfinished::DEFERRED, &deferred)?;
            // Foreign keys are last and need indexes.
            for part in deferred.iter().rev().filter(|part| !part.remove.is_empty()) {
                target.conn().batch(&part.remove)?;
            }
            Ok(())
        })
    }

    /// Refuses to resume with a different source.
    fn check_begun(&mut self) -> Result<()> {
        let begun: Option<Begun> = unfinished::get(self.target.conn(), unfinished::BEGUN)?;
        let Some(begun) = begun else { return Err(self.anew("its bookkeeping is missing")) };
        if begun.schema != self.begun.schema {
            return Err(self.anew("it was started by another version of Tenantry"));
        }
        if begun.fingerprint != self.begun.fingerprint {
            let why = if begun.from == self.begun.from {
                format!("{} has changed since it was started", begun.from)
            } else {
                format!("it was started from {}, and {} has different content", begun.from, self.begun.from)
            };
            return Err(self.anew(&why));
        }
        Ok(())
    }

    fn anew(&self, why: &str) -> Error {
        let (shown, how) = (&self.target.shown, self.target.how_to_empty());
        Error::internal(format!("cannot resume the copy into {shown}: {why}; to start over, {how}"))
    }

    fn positions(&mut self) -> Result<Vec<Position>> {
        let target = &mut self.target;
        let position = |table: &Table| {
            Ok(unfinished::get(target.conn(), &unfinished::position_of(&table.name))?.unwrap_or_default())
        };
        self.tables.iter().map(position).collect()
    }

    /// Rereads what an earlier run has copied: it must be unchanged.
    fn compare(&mut self, positions: &[Position]) -> Result<()> {
        let total = positions.iter().map(|position| position.digest.rows).sum();
        let mut done = 0;
        for (table, position) in self.tables.iter().zip(positions) {
            let mut reader = Reader::new(table, &table.from_key, Position::default());
            while reader.position.digest.rows < position.digest.rows {
                let limit = CHUNK.min(position.digest.rows - reader.position.digest.rows);
                let read =
                    reader.next(self.source.conn(), limit).map_err(|e| in_table(&table.name, e))?.len();
                done += read as u64;
                (self.watch)(&CopyProgress::Step { stage: Stage::Compare, at: &table.name, done, total })?;
                if (read as u64) < limit {
                    break;
                }
            }
            if reader.position.digest != position.digest {
                let (from, name) = (&self.begun.from, &table.name);
                return Err(self.anew(&format!("table {name} of {from} has changed since it was started")));
            }
        }
        Ok(())
    }

    /// Copies all rows, one thread reading and this one writing.
    fn copy(&mut self, positions: &mut [Position]) -> Result<()> {
        let total = self.totals.iter().sum();
        let mut done: u64 = positions.iter().map(|position| position.digest.rows).sum();
        let Self { source, target, tables, watch, .. } = self;
        let (tables, before) = (&*tables, positions.to_vec());
        let (send, chunks) = sync_channel(2);
        std::thread::scope(|scope| {
            let reading = scope.spawn(move || read_all(source, tables, before, &send));
            let mut written = |chunks: Receiver<Read>| {
                for Read { at, chunk, position } in chunks {
                    let (Some(table), Some(kept)) = (tables.get(at), positions.get_mut(at)) else { continue };
                    write(target, table, &chunk, &position)?;
                    *kept = position;
                    done += chunk.len() as u64;
                    watch(&CopyProgress::Step { stage: Stage::Copy, at: &table.name, done, total })?;
                }
                Ok(())
            };
            // In this order: when writing fails, its end of the channel is dropped, and reading ends, too.
            let written = written(chunks);
            let read = reading.join().unwrap_or_else(|_| Err(Error::internal("reading the source panicked")));
            written.and(read)
        })
    }

    /// Recreates what was dropped.
    fn build(&mut self) -> Result<()> {
        let mut left: Vec<DeferredObject> =
            unfinished::get(self.target.conn(), unfinished::DEFERRED)?.unwrap_or_default();
        let total = left.len() as u64;
        while !left.is_empty() {
            let part = left.remove(0);
            let done = total - left.len() as u64 - 1;
            (self.watch)(&CopyProgress::Step { stage: Stage::Build, at: &part.name, done, total })?;
            self.target
                .in_transaction(|target| {
                    target.conn().batch(&part.make)?;
                    Ok(unfinished::put(target.conn(), unfinished::DEFERRED, &left)?)
                })
                .map_err(|e| named(&format!("making {}", part.name), e))?;
        }
        if total > 0 {
            (self.watch)(&CopyProgress::Step { stage: Stage::Build, at: "all", done: total, total })?;
        }
        self.target.check_keys()
    }

    /// Builds SQLite's search indexes from the users.
    fn index(&mut self) -> Result<()> {
        if self.target.dialect() == Dialect::Postgres {
            return Ok(());
        }
        let total = self.target.count("users")?;
        let mut last: i64 = unfinished::get(self.target.conn(), unfinished::SEARCH)?.unwrap_or_default();
        let mut done = self.target.count(search::INDEXES[0])?;
        while let Some(part) = self.target.in_transaction(|target| {
            let part = search::index_after(target.conn(), last)?;
            if let Some(part) = &part {
                unfinished::put(target.conn(), unfinished::SEARCH, &part.last)?;
            }
            Ok(part)
        })? {
            last = part.last;
            done += part.users;
            (self.watch)(&CopyProgress::Step { stage: Stage::Index, at: "search", done, total })?;
        }
        for index in search::INDEXES {
            if self.target.count(index)? != total {
                return Err(self.anew("a search index does not hold each user once"));
            }
        }
        Ok(())
    }

    /// Reads the whole target and compares it with what was read from the source.
    fn verify(&mut self, positions: &[Position]) -> Result<Vec<CopiedTable>> {
        let total = self.totals.iter().sum();
        let (mut done, mut copied, mut wrong) = (0, Vec::new(), Vec::new());
        for (table, position) in self.tables.iter().zip(positions) {
            let mut reader = Reader::new(table, &table.to_key, Position::default());
            while !reader.position.is_end {
                let read = reader.next(self.target.conn(), CHUNK).map_err(|e| in_table(&table.name, e))?;
                done += read.len() as u64;
                (self.watch)(&CopyProgress::Step { stage: Stage::Verify, at: &table.name, done, total })?;
            }
            let (here, there) = (reader.position.digest, position.digest);
            if here != there {
                wrong.push(format!("table {} ({} rows there, {} here)", table.name, there.rows, here.rows));
            }
            copied.push(CopiedTable { name: table.name.clone(), rows: here.rows, checksum: here.checksum() });
        }
        if self.target.sequences()? != self.sequences {
            wrong.push(String::from("the sequences"));
        }
        if wrong.is_empty() {
            return Ok(copied);
        }
        Err(Error::internal(format!(
            "{} differs from what was read from {}: {}. It is not served. Find out what else writes to it, or \
             whether its disk fails; then {} and copy again",
            self.target.shown,
            self.source.shown,
            wrong.join(", "),
            self.target.how_to_empty()
        )))
    }
}

/// Rows read from a table, and the position after them.
struct Read {
    /// Which table.
    at: usize,
    chunk: Chunk,
    position: Position,
}

fn read_all(source: &mut End, tables: &[Table], from: Vec<Position>, send: &SyncSender<Read>) -> Result<()> {
    for (at, (table, position)) in tables.iter().zip(from).enumerate() {
        let mut reader = Reader::new(table, &table.from_key, position);
        while !reader.position.is_end {
            let chunk = reader.next(source.conn(), CHUNK).map_err(|e| in_table(&table.name, e))?;
            if send.send(Read { at, chunk, position: reader.position.clone() }).is_err() {
                // Writing has failed and reports why.
                return Ok(());
            }
        }
    }
    Ok(())
}

fn write(target: &mut End, table: &Table, chunk: &Chunk, position: &Position) -> Result<()> {
    target
        .in_transaction(|target| {
            if chunk.len() > 0 {
                target.fill(table, chunk)?;
            }
            Ok(unfinished::put(target.conn(), &unfinished::position_of(&table.name), position)?)
        })
        .map_err(|e| in_table(&table.name, e))
}

/// The search texts of the users with ids above `last`.
fn fingerprint(tables: &[Table], totals: &[u64], sequences: &BTreeMap<String, i64>) -> String {
    let mut hash = Sha256::new();
    for (table, total) in tables.iter().zip(totals) {
        hash.update(format!("{} {total}\n", table.name));
    }
    for (name, value) in sequences {
        hash.update(format!("{name} {value}\n"));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn in_table(name: &str, e: impl Into<Error>) -> Error {
    named(&format!("table {name}"), e.into())
}

/// Adds the context to an error.
fn named(what: &str, e: Error) -> Error {
    match e {
        Error::Internal(why) => Error::internal(format!("{what}: {why}")),
        other => other,
    }
}
