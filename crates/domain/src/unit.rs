//! Units of work: one transaction each, with the rules that hold at the end of every one.

use std::sync::Arc;

use crate::conditions::{self, Condition, Target};
use crate::idempotency::{self, IdempotencyKey, Storable};
use crate::last_admin;
use tenantry_core::error::Result;
use tenantry_store::access::Scope;
use tenantry_store::engine::tx::{Outcome, Tx};
use tenantry_store::store::Store;
use tenantry_store::tables::{browser_sessions, sessions};

/// Runs `work` in a transaction and returns when it is on disk. It may run more than once. The caller must
/// still be allowed to: writes look at the database, not at cached callers.
pub async fn write<S, T, F>(store: &Store, scope: &S, work: F) -> Result<T>
where
    S: Scope + Clone + Send + 'static,
    T: Send + 'static,
    F: Fn(&mut Tx<'_, S>) -> Result<T> + Send + 'static,
{
    store.write(scope, move |tx| run(tx, &work).map(Outcome::Commit)).await
}

/// Like [`write()`], for work on thousands of rows: no other unit shares its transaction.
pub async fn write_large<S, T, F>(store: &Store, scope: &S, work: F) -> Result<T>
where
    S: Scope + Clone + Send + 'static,
    T: Send + 'static,
    F: Fn(&mut Tx<'_, S>) -> Result<T> + Send + 'static,
{
    store.write_large(scope, move |tx| run(tx, &work).map(Outcome::Commit)).await
}

/// Like [`write_large`], and takes everything back at its end.
pub async fn dry_run_large<S, T, F>(store: &Store, scope: &S, work: F) -> Result<T>
where
    S: Scope + Clone + Send + 'static,
    T: Send + 'static,
    F: Fn(&mut Tx<'_, S>) -> Result<T> + Send + 'static,
{
    store.write_large(scope, move |tx| run(tx, &work).map(Outcome::Rollback)).await
}

/// Says what a large unit of work would say, by reading alone, beside the writer. Whoever asks for it must still be
/// allowed to.
pub async fn dry_run_by_reading<S, T, F>(store: &Store, scope: &S, work: F) -> Result<T>
where
    S: Scope + Clone + Send + 'static,
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_, S>) -> Result<T> + Send + 'static,
{
    let read = move |tx: &mut Tx<'_, S>| {
        recheck(tx)?;
        work(tx)
    };
    store.scan(scope, read).await
}

/// How a unit of work is written. Edges fill it from the request, the rules look at it, [`write_in`] obeys it.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// A real run that is rolled back at its end: nothing is changed, nothing is sent.
    pub dry_run: bool,
    /// Work on thousands of rows.
    pub is_large: bool,
    /// What the condition is about; without this it is about nothing.
    pub target: Option<Target>,
    /// The state that the target must be in.
    pub condition: Condition,
    /// The idempotency key: a request that repeats it gets the stored response.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// The outcome of a unit.
#[derive(Debug)]
pub enum Done<T> {
    /// It was done now (or would have been).
    Now(T),
    /// It was done before; this was its response.
    Replayed(T),
}

/// Like [`write()`], with options.
///
/// # Errors
/// Those of `work`; [`tenantry_core::error::Error::Precondition`]; `idempotency-key-reused`.
pub async fn write_in<S, T, F>(store: &Store, scope: &S, options: WriteOptions, work: F) -> Result<Done<T>>
where
    S: Scope + Clone + Send + 'static,
    T: Storable + Send + 'static,
    F: Fn(&mut Tx<'_, S>) -> Result<T> + Send + 'static,
{
    let is_large = options.is_large;
    // What is taken back, and what waits for another that does the same, would hold up those it shares with.
    let may_share = !options.dry_run && options.idempotency_key.is_none();
    let run = move |tx: &mut Tx<'_, S>| options.run(tx, &work);
    match (is_large, may_share) {
        (true, _) => store.write_large(scope, run).await,
        (false, true) => store.write_shared(scope, run).await,
        (false, false) => store.write(scope, run).await,
    }
}

/// Looks at the whole of a large unit before it begins, off the writer: whether who asks may, and on what condition.
///
/// # Errors
/// Those of `work`; [`tenantry_core::error::Error::Precondition`].
pub(super) async fn check_whole<S, T, F>(
    store: &Store,
    scope: &S,
    options: &Arc<WriteOptions>,
    work: F,
) -> Result<T>
where
    S: Scope + Clone + Send + 'static,
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_, S>) -> Result<T> + Send + 'static,
{
    let options = Arc::clone(options);
    store
        .scan(scope, move |tx| {
            recheck(tx)?;
            options.check(tx)?;
            work(tx)
        })
        .await
}

/// Has a large unit begin: `work` writes down what is to be done. The response of an earlier one, if it was done before;
/// that of this one is due at its end.
///
/// # Errors
/// As [`write_in`].
pub(super) async fn begin<S, T, F>(
    store: &Store,
    scope: &S,
    options: &Arc<WriteOptions>,
    work: F,
) -> Result<Option<T>>
where
    S: Scope + Clone + Send + 'static,
    T: Storable + Send + 'static,
    F: Fn(&mut Tx<'_, S>) -> Result<()> + Send + 'static,
{
    let options = Arc::clone(options);
    store
        .write_large(scope, move |tx| {
            recheck(tx)?;
            if let Some(key) = &options.idempotency_key {
                if let Some(response) = idempotency::find(tx, key)? {
                    return Ok(Outcome::Commit(Some(response)));
                }
                idempotency::begin(tx, key)?;
            }
            options.check(tx)?;
            work(tx).map(|()| Outcome::Commit(None))
        })
        .await
}

impl WriteOptions {
    /// Checks the condition, if there is one.
    pub(super) fn check(&self, tx: &mut Tx<'_>) -> Result<()> {
        match &self.target {
            Some(target) => conditions::check(tx, target, &self.condition),
            None => Ok(()),
        }
    }

    fn run<S: Scope + 'static, T: Storable>(
        &self,
        tx: &mut Tx<'_, S>,
        work: impl Fn(&mut Tx<'_, S>) -> Result<T>,
    ) -> Result<Outcome<Done<T>>> {
        let key = self.idempotency_key.as_ref().filter(|_| !self.dry_run);
        if let Some(key) = key {
            // Authorization comes first, also for a replayed response.
            recheck(tx)?;
            if let Some(response) = idempotency::find(tx, key)? {
                return Ok(Outcome::Commit(Done::Replayed(response)));
            }
            idempotency::begin(tx, key)?;
        }
        let mut value = run(tx, |tx| {
            self.check(tx)?;
            work(tx)
        })?;
        if self.dry_run {
            value.hide_ids(tx.fresh_ids());
            return Ok(Outcome::Rollback(Done::Now(value)));
        }
        if let Some(key) = key {
            idempotency::store(tx, key, &value)?;
        }
        Ok(Outcome::Commit(Done::Now(value)))
    }
}

/// Looks again, in the transaction itself, whether the caller whose request it is may still do this.
fn recheck(tx: &mut Tx<'_>) -> Result<()> {
    let Some(caller) = tx.scope().caller().cloned() else { return Ok(()) };
    let takes_admin = tx.scope().takes_admin();
    let session_id = caller.session_id();
    let state = if caller.is_browser() {
        browser_sessions::find_state(tx, session_id)?
    } else {
        sessions::find_state(tx, session_id)?
    };
    caller.recheck(state, takes_admin)
}

fn run<S: Scope + 'static, T>(tx: &mut Tx<'_, S>, work: impl Fn(&mut Tx<'_, S>) -> Result<T>) -> Result<T> {
    recheck(tx)?;
    let value = work(tx)?;
    last_admin::keep_an_admin(tx)?;
    Ok(value)
}
