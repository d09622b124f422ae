//! Units of work: one transaction each, with the rules that hold at the end of every one.

use super::partners;
use crate::access::Scope;
use crate::error::Result;
use crate::storage::{Outcome, Store, Tx};

/// Runs `work` in a transaction and answers when it is on disk. It may run more than once.
pub async fn write<T, F>(store: &Store, scope: &impl Scope, work: F) -> Result<T>
where
    T: Send + 'static,
    F: Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    store.write(scope, move |tx| end(tx, &work)).await
}

/// Like [`write`], for work on thousands of rows: nobody else waits in its transaction.
pub async fn write_large<T, F>(store: &Store, scope: &impl Scope, work: F) -> Result<T>
where
    T: Send + 'static,
    F: Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    store.write_large(scope, move |tx| end(tx, &work)).await
}

fn end<T>(tx: &mut Tx<'_>, work: impl Fn(&mut Tx<'_>) -> Result<T>) -> Result<Outcome<T>> {
    let value = work(tx)?;
    partners::keep_an_admin(tx)?;
    Ok(Outcome::Commit(value))
}
