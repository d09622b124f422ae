//! Units of work: one transaction each, with the rules that hold at the end of every one.

use super::partners;
use crate::access::{Caller, Scope};
use crate::error::Result;
use crate::storage::{Outcome, Store, Tx, sessions};

/// Runs `work` in a transaction and answers when it is on disk. It may run more than once. Whoever asks for it must
/// still be allowed to: writes look at the database, not at cached callers.
pub async fn write<T, F>(store: &Store, scope: &impl Scope, work: F) -> Result<T>
where
    T: Send + 'static,
    F: Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    store.write(scope, whole(scope, work)).await
}

/// Like [`write()`], for work that only adds rows: many such units may share a transaction.
pub async fn write_new<T, F>(store: &Store, scope: &impl Scope, work: F) -> Result<T>
where
    T: Send + 'static,
    F: Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    store.write_new(scope, whole(scope, work)).await
}

/// Like [`write()`], for work on thousands of rows: nobody else waits in its transaction.
pub async fn write_large<T, F>(store: &Store, scope: &impl Scope, work: F) -> Result<T>
where
    T: Send + 'static,
    F: Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    store.write_large(scope, whole(scope, work)).await
}

/// `work` with what holds at the beginning and at the end of every unit.
fn whole<T, F>(scope: &dyn Scope, work: F) -> impl Fn(&mut Tx<'_>) -> Result<Outcome<T>> + Send + use<T, F>
where
    F: Fn(&mut Tx<'_>) -> Result<T> + Send,
{
    let (caller, takes_admin) = (scope.caller().cloned(), scope.takes_admin());
    move |tx| run(tx, caller.as_ref(), takes_admin, &work)
}

fn run<T>(
    tx: &mut Tx<'_>,
    caller: Option<&Caller>,
    takes_admin: bool,
    work: impl Fn(&mut Tx<'_>) -> Result<T>,
) -> Result<Outcome<T>> {
    if let Some(caller) = caller {
        caller.readmit(sessions::find_standing(tx, caller.session_id())?, takes_admin)?;
    }
    let value = work(tx)?;
    partners::keep_an_admin(tx)?;
    Ok(Outcome::Commit(value))
}
