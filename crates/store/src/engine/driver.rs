//! What storage asks of a database: a few calls, and the few places where databases differ, by name.

use std::borrow::Cow;
use std::time::Duration;

use crate::engine::offset_index::OffsetView;
use crate::engine::sort_key::SortKey;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{GroupId, PartnerId, UserId};

/// A value handed to a statement. Its `Debug` shows no text: drivers print parameters in their logs, and letters with
/// passwords are among them.
#[derive(Clone, Copy)]
pub enum Param<'a> {
    /// NULL.
    Null,
    /// A 64-bit integer; booleans are 0 and 1.
    Int(i64),
    /// Text.
    Text(&'a str),
}

impl std::fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Int(v) => write!(f, "{v}"),
            Self::Text(_) => f.write_str("'...'"),
        }
    }
}

impl From<i64> for Param<'_> {
    fn from(v: i64) -> Self {
        Self::Int(v)
    }
}
impl From<bool> for Param<'_> {
    fn from(v: bool) -> Self {
        Self::Int(i64::from(v))
    }
}
impl From<PartnerId> for Param<'_> {
    fn from(v: PartnerId) -> Self {
        Self::Int(v.0)
    }
}
impl From<UserId> for Param<'_> {
    fn from(v: UserId) -> Self {
        Self::Int(v.0)
    }
}
impl From<GroupId> for Param<'_> {
    fn from(v: GroupId) -> Self {
        Self::Int(v.0)
    }
}
impl<'a> From<&'a str> for Param<'a> {
    fn from(v: &'a str) -> Self {
        Self::Text(v)
    }
}
impl<'a> From<&'a String> for Param<'a> {
    fn from(v: &'a String) -> Self {
        Self::Text(v)
    }
}
impl SortKey {
    pub(crate) fn param(&self) -> Param<'_> {
        match self {
            Self::Int(v) => Param::Int(*v),
            Self::Text(v) => Param::Text(v),
        }
    }
}
impl<'a, T: Into<Param<'a>>> From<Option<T>> for Param<'a> {
    fn from(v: Option<T>) -> Self {
        v.map_or(Self::Null, Into::into)
    }
}

/// What a column holds. There are no other kinds (docs/adr/0005-folded-keys.md: text is compared by bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// A 64-bit integer.
    Int,
    /// Text.
    Text,
}

/// One row of an answer. Columns count from 0.
pub trait Row {
    /// An integer; NULL is a fault.
    fn int(&self, column: usize) -> Result<i64>;
    /// An integer or NULL.
    fn opt_int(&self, column: usize) -> Result<Option<i64>>;
    /// Text; NULL is a fault.
    fn text(&self, column: usize) -> Result<&str>;
    /// Text or NULL.
    fn opt_text(&self, column: usize) -> Result<Option<&str>>;
}

/// A connection. `$1` is the partner where `partner` is given, and `params` are bound from the next number on;
/// a statement that does not use each of them exactly fails the first time it runs.
pub trait Connection {
    /// Runs a statement; how many rows it changed.
    fn execute(
        &mut self,
        sql: &str,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
    ) -> Result<usize, DbError>;
    /// Runs a statement whose answer nobody needs before the transaction ends: it may go to the database together
    /// with later ones, always in order. A refusal becomes what `refused` makes of it, here or at a later statement.
    fn execute_later(
        &mut self,
        sql: &str,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
        refused: fn(DbError) -> Error,
    ) -> Result<(), DbError>;
    /// Runs a query and hands each row to `each`.
    fn query(
        &mut self,
        sql: &str,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<()>,
    ) -> Result<(), DbError>;
    /// What a query counts, unless that takes longer than `time`. None also where a count cannot be given up.
    fn count_within(
        &mut self,
        _time: Duration,
        _sql: &str,
        _partner: Option<PartnerId>,
        _params: &[Param<'_>],
    ) -> Result<Option<i64>, DbError> {
        Ok(None)
    }
    /// Runs statements that take no parameters and give no rows.
    fn batch(&mut self, sql: &str) -> Result<(), DbError>;
    /// Which of the databases this is.
    fn dialect(&self) -> Dialect;
    /// By what deep pages are found, where there is such a thing.
    fn offset_index(&self) -> Option<OffsetView> {
        None
    }
}

/// What a database says when it does not do something.
#[derive(Debug)]
pub enum DbError {
    /// A uniqueness constraint of this table refused the row.
    Duplicate {
        /// The table whose constraint it is.
        table: String,
    },
    /// A foreign key refused the row: what it points to is gone.
    Dangling,
    /// The file is no database, or a damaged one.
    Damaged(String),
    /// The disk is full.
    Full,
    /// The database takes no writes (any more): a standby, a setting, a read-only file or file system.
    ReadOnly(String),
    /// The disk refuses what is written, for another reason than that it is full.
    Disk(String),
    /// The file could not be opened, or what belongs to it.
    CannotOpen(String),
    /// There is no memory left.
    NoMemory,
    /// Another program holds the database.
    Busy,
    /// A statement took too long and was stopped, or the server has no connection to spare.
    Crowded,
    /// Another unit of work changed what this one has read: run it again.
    Overtaken,
    /// The connection is gone, or the server does not answer, or it may not write (any more).
    Lost(String),
    /// The user of the connection lacks a right (SQLSTATE 42501).
    Denied(String),
    /// Anything else.
    Other(String),
    /// What the caller's own code said while reading a row.
    Caller(Error),
}

impl DbError {
    /// Whether a uniqueness constraint of `table` refused the row.
    pub fn is_duplicate_in(&self, table: &str) -> bool {
        matches!(self, Self::Duplicate { table: t } if t == table)
    }
}

impl From<Error> for DbError {
    fn from(e: Error) -> Self {
        Self::Caller(e)
    }
}

impl From<DbError> for Error {
    fn from(e: DbError) -> Self {
        match e {
            DbError::Caller(e) => e,
            DbError::Full => Self::Unavailable {
                what: Cow::Borrowed("the server cannot store anything: its disk is full"),
                retry_after: Duration::from_secs(30),
            },
            DbError::ReadOnly(_) => Self::Unavailable {
                what: Cow::Borrowed("the server cannot store anything: its database is read-only"),
                retry_after: Duration::from_secs(5),
            },
            DbError::Disk(_) => Self::Unavailable {
                what: Cow::Borrowed("the server cannot store anything: writing to its disk fails"),
                retry_after: Duration::from_secs(5),
            },
            DbError::Busy => Self::Unavailable {
                what: Cow::Borrowed("another program has locked the database"),
                retry_after: Duration::from_secs(1),
            },
            DbError::Crowded => Self::Unavailable {
                what: Cow::Borrowed("the database is overloaded"),
                retry_after: Duration::from_secs(1),
            },
            DbError::Overtaken => Self::Unavailable {
                what: Cow::Borrowed("too many concurrent requests change the same data"),
                retry_after: Duration::from_secs(1),
            },
            // Why it is lost was logged where it happened.
            DbError::Lost(_) => Self::Unavailable {
                what: Cow::Borrowed("the database cannot be reached"),
                retry_after: Duration::from_secs(1),
            },
            DbError::Duplicate { table } => Self::Internal(format!("unexpected duplicate in {table}").into()),
            DbError::Dangling => Self::Internal(Cow::Borrowed("a row points to one that is gone")),
            DbError::Damaged(what) => {
                Self::Internal(format!("the database is damaged ({what}): restore a backup").into())
            }
            DbError::NoMemory => Self::Internal(Cow::Borrowed("out of memory")),
            DbError::Denied(what) => Self::Internal(format!("postgres: {what} (42501)").into()),
            DbError::CannotOpen(what) | DbError::Other(what) => Self::Internal(what.into()),
        }
    }
}

/// Where the databases differ. Every difference has its name here (that of the substring index in search.rs) and one
/// test body on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded SQLite.
    Sqlite,
    /// PostgreSQL, shared with other processes.
    Postgres,
}

impl Dialect {
    /// A set of texts from one parameter that holds a JSON array.
    pub fn text_set(self, param: &str) -> String {
        match self {
            Self::Sqlite => format!("(SELECT value FROM json_each({param}))"),
            Self::Postgres => format!("(SELECT jsonb_array_elements_text(CAST({param} AS JSONB)))"),
        }
    }

    /// A set of integers from one parameter that holds a JSON array.
    pub fn int_set(self, param: &str) -> String {
        match self {
            Self::Sqlite => format!("(SELECT value FROM json_each({param}))"),
            Self::Postgres => {
                format!("(SELECT CAST(jsonb_array_elements_text(CAST({param} AS JSONB)) AS BIGINT))")
            }
        }
    }

    /// A number of a sequence, to be made by the statement that stores it, whose `param` [`crate::engine::tx::Tx::fresh_id`]
    /// gives.
    pub fn fresh_id(self, sequence: &str, param: &str) -> String {
        match self {
            Self::Sqlite => param.to_owned(),
            Self::Postgres => format!("coalesce(CAST({param} AS BIGINT), nextval('seq_{sequence}'))"),
        }
    }

    /// The number that [`Self::fresh_id`] has just made in the same transaction; `param` as there.
    pub fn last_id(self, sequence: &str, param: &str) -> String {
        match self {
            Self::Sqlite => param.to_owned(),
            Self::Postgres => format!("coalesce(CAST({param} AS BIGINT), currval('seq_{sequence}'))"),
        }
    }

    /// Has a table read through this index, where the planner would take one that is also unique but whose rows lie
    /// far from each other. Stands behind the table's alias.
    pub fn by_index(self, index: &str) -> String {
        match self {
            Self::Sqlite => format!("INDEXED BY {index}"),
            Self::Postgres => String::new(),
        }
    }

    /// Whether units of work run one after the other, so that what one has read stays so until it ends.
    pub fn has_one_writer(self) -> bool {
        match self {
            Self::Sqlite => true,
            Self::Postgres => false,
        }
    }

    /// The end of a query whose rows this transaction takes for itself: those that another one has taken are left
    /// out.
    pub fn take_rows(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// Whether `haystack` contains `needle`, byte for byte.
    pub fn contains(self, haystack: &str, needle: &str) -> String {
        match self {
            Self::Sqlite => format!("instr({haystack}, {needle}) > 0"),
            Self::Postgres => format!("strpos({haystack}, {needle}) > 0"),
        }
    }
}
