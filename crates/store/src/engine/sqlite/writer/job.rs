//! A unit of work in the writer, and its outcome.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::access::Scope;
use crate::engine::driver::DbError;
use crate::engine::sequences::Numbers;
use crate::engine::shared::Shared;
use crate::engine::sqlite::Sqlite;
use crate::engine::tx::{Effects, Outcome, Tx};
use tenantry_core::error::{Error, Result};

/// A unit of work in the writer.
pub(super) trait Job: Send {
    /// Runs the work while `waiting` small units wait; returns whether to commit it.
    fn run(
        &mut self,
        conn: &mut Sqlite,
        effects: &mut Effects,
        numbers: &mut Numbers,
        shared: &Shared,
        waiting: &AtomicUsize,
    ) -> bool;
    /// Sends the result, or why the whole batch failed.
    fn reply(self: Box<Self>, batch: Result<(), &BatchLost>);
    /// Whether it writes so much that others should not wait in its transaction.
    fn is_large(&self) -> bool;
    /// Why it was temporarily impossible, if so.
    fn unavailable(&self) -> Option<BatchLost>;
}

/// Why a batch was not committed.
#[derive(Debug)]
pub(super) enum BatchLost {
    /// Returned to all units as it is.
    Unavailable {
        what: Cow<'static, str>,
        retry_after: Duration,
        cause: String,
    },
    Other(String),
}

impl BatchLost {
    pub(super) fn of(e: DbError) -> Self {
        let why = match &e {
            DbError::Disk(cause) | DbError::ReadOnly(cause) => cause.clone(),
            _ => String::new(),
        };
        match Self::from(Error::from(e)) {
            Self::Unavailable { what, retry_after, .. } => {
                Self::Unavailable { what, retry_after, cause: why }
            }
            other => other,
        }
    }

    pub(super) fn error(&self) -> Error {
        match self {
            Self::Unavailable { what, retry_after, .. } => {
                Error::Unavailable { what: what.clone(), retry_after: *retry_after }
            }
            Self::Other(what) => Error::Internal(Cow::Owned(format!("a batch was not committed: {what}"))),
        }
    }
}

impl BatchLost {
    /// For the log.
    pub(super) fn cause(&self) -> String {
        match self {
            Self::Unavailable { what, cause, .. } if cause.is_empty() => what.to_string(),
            Self::Unavailable { what, cause, .. } => format!("{what} ({cause})"),
            Self::Other(what) => what.clone(),
        }
    }
}

impl From<Error> for BatchLost {
    fn from(e: Error) -> Self {
        match e {
            Error::Unavailable { what, retry_after } => {
                Self::Unavailable { what, retry_after, cause: String::new() }
            }
            other => Self::Other(other.to_string()),
        }
    }
}

pub(super) struct Unit<S, T, F> {
    pub(super) scope: S,
    pub(super) large: bool,
    pub(super) work: F,
    pub(super) result: Result<T>,
    pub(super) reply: oneshot::Sender<Result<T>>,
}

impl<S, T, F> Job for Unit<S, T, F>
where
    S: Scope + Clone + Send + 'static,
    T: Send + 'static,
    F: Fn(&mut Tx<'_, S>) -> Result<Outcome<T>> + Send + 'static,
{
    fn run(
        &mut self,
        conn: &mut Sqlite,
        effects: &mut Effects,
        numbers: &mut Numbers,
        shared: &Shared,
        waiting: &AtomicUsize,
    ) -> bool {
        if self.reply.is_closed() {
            // The requester is gone before anything was written: there is nothing to acknowledge.
            self.result = Err(Error::internal("nobody waits for this unit of work"));
            return false;
        }
        let mut tx =
            Tx::open(conn, effects, self.scope.clone(), shared.context()).numbered(numbers).awaited(waiting);
        // A panic only affects its unit: the SAVEPOINT rolls back its writes.
        let (result, keep) = match catch_unwind(AssertUnwindSafe(|| (self.work)(&mut tx))) {
            Ok(Ok(Outcome::Commit(value))) => (Ok(value), true),
            Ok(Ok(Outcome::Rollback(value))) => (Ok(value), false),
            Ok(Err(e)) => (Err(e), false),
            Err(_) => (Err(Error::internal("a unit of work panicked")), false),
        };
        self.result = result;
        keep
    }

    fn reply(self: Box<Self>, batch: Result<(), &BatchLost>) {
        let result = match batch {
            Ok(()) => self.result,
            Err(lost) => Err(lost.error()),
        };
        // The requester may have gone away; what is committed stays committed.
        let _ = self.reply.send(result);
    }

    fn is_large(&self) -> bool {
        self.large
    }

    fn unavailable(&self) -> Option<BatchLost> {
        match &self.result {
            Err(Error::Unavailable { what, retry_after }) => {
                Some(BatchLost::from(Error::Unavailable { what: what.clone(), retry_after: *retry_after }))
            }
            _ => None,
        }
    }
}
