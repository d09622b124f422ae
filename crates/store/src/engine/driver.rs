//! The interface to a database: a few calls, and the differences between databases, by name.

use std::borrow::Cow;
use std::time::Duration;

use crate::engine::offset_index::OffsetView;
use crate::engine::sort_key::SortKey;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{GroupId, PartnerId, UserId};

/// A parameter of a statement. Its `Debug` shows no text: drivers log parameters, and stored mails with passwords are
/// among them.
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

/// The types of columns. There are no others (docs/adr/0005-folded-keys.md: text is compared by bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// A 64-bit integer.
    Int,
    /// Text.
    Text,
}

/// One row of a result. Columns are numbered from 0.
pub trait Row {
    /// An integer; NULL is an error.
    fn int(&self, column: usize) -> Result<i64>;
    /// An integer or NULL.
    fn opt_int(&self, column: usize) -> Result<Option<i64>>;
    /// Text; NULL is an error.
    fn text(&self, column: usize) -> Result<&str>;
    /// Text or NULL.
    fn opt_text(&self, column: usize) -> Result<Option<&str>>;
}

/// A connection. `$1` is the partner if `partner` is given, and `params` are bound to the following numbers; a
/// statement that does not use exactly these fails the first time it runs.
pub trait Connection {
    /// Runs a statement and returns the number of changed rows.
    fn execute(
        &mut self,
        sql: &str,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
    ) -> Result<usize, DbError>;
    /// Runs a statement whose result is not needed before the transaction ends: it may be sent to the database together
    /// with later ones, always in order. `refused` maps its error, here or at a later statement.
    fn execute_later(
        &mut self,
        sql: &str,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
        refused: fn(DbError) -> Error,
    ) -> Result<(), DbError>;
    /// Runs a query and calls `each` for each row.
    fn query(
        &mut self,
        sql: &str,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<()>,
    ) -> Result<(), DbError>;
    /// The result of a count, unless it takes longer than `time`. Also `None` if a count cannot be interrupted.
    fn count_within(
        &mut self,
        _time: Duration,
        _sql: &str,
        _partner: Option<PartnerId>,
        _params: &[Param<'_>],
    ) -> Result<Option<i64>, DbError> {
        Ok(None)
    }
    /// Runs statements without parameters and rows.
    fn batch(&mut self, sql: &str) -> Result<(), DbError>;
    /// The SQL dialect.
    fn dialect(&self) -> Dialect;
    /// The offset index, if there is one.
    fn offset_index(&self) -> Option<OffsetView> {
        None
    }
}

/// An error of a database.
#[derive(Debug)]
pub enum DbError {
    /// A uniqueness constraint of this table was violated.
    Duplicate {
        /// The table of the constraint.
        table: String,
    },
    /// A foreign key was violated: the referenced row is gone.
    Dangling,
    /// The file is not a database, or damaged.
    Damaged(String),
    /// The disk is full.
    Full,
    /// The database is read-only (now): a standby, a setting, a read-only file or file system.
    ReadOnly(String),
    /// Writing to the disk fails for another reason than lack of space.
    Disk(String),
    /// The file, or one that belongs to it, could not be opened.
    CannotOpen(String),
    /// Out of memory.
    NoMemory,
    /// Another program has locked the database.
    Busy,
    /// A statement took too long and was canceled, or the server has no free connections.
    Crowded,
    /// A conflict with another unit of work: retry.
    Overtaken,
    /// The connection is lost, or the server does not respond, or it is read-only (now).
    Lost(String),
    /// The user of the connection lacks a privilege (SQLSTATE 42501).
    Denied(String),
    /// Anything else.
    Other(String),
    /// An error of the caller's code while reading a row.
    Caller(Error),
}

impl DbError {
    /// Whether a uniqueness constraint of `table` was violated.
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
            // The cause was logged where it happened.
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

/// The differences between the databases. Each has a name here (that of the substring index is in search.rs) and one
/// test that runs on both.
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

    /// An id of a sequence, created by the statement that stores it; [`crate::engine::tx::Tx::fresh_id`] provides its
    /// `param`.
    pub fn fresh_id(self, sequence: &str, param: &str) -> String {
        match self {
            Self::Sqlite => param.to_owned(),
            Self::Postgres => format!("coalesce(CAST({param} AS BIGINT), nextval('seq_{sequence}'))"),
        }
    }

    /// The id that [`Self::fresh_id`] has just created in the same transaction; `param` as there.
    pub fn last_id(self, sequence: &str, param: &str) -> String {
        match self {
            Self::Sqlite => param.to_owned(),
            Self::Postgres => format!("coalesce(CAST({param} AS BIGINT), currval('seq_{sequence}'))"),
        }
    }

    /// Forces this index, where the planner would use another one that is also unique but whose rows are scattered.
    /// Written after the table's alias.
    pub fn by_index(self, index: &str) -> String {
        match self {
            Self::Sqlite => format!("INDEXED BY {index}"),
            Self::Postgres => String::new(),
        }
    }

    /// Whether units of work are serialized, so that what one has read does not change until it ends.
    pub fn has_one_writer(self) -> bool {
        match self {
            Self::Sqlite => true,
            Self::Postgres => false,
        }
    }

    /// The end of a query that locks its rows and skips those that another transaction has locked.
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
