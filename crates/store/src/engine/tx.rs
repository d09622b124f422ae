//! A transaction: opened for somebody, it knows on whose behalf it runs, the partner, the time and the policy.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::access::{Actor, Admin, Operator, Scope, SessionState};
use crate::engine::driver::{Connection, DbError, Dialect, Param, Row};
use crate::engine::offset_index::OrderChange;
use crate::engine::pace::Pace;
use crate::engine::sequences::{FreshIds, Numbers, Sequence};
use crate::engine::sqlite::search_index::SearchChange;
use tenantry_core::account_policy::AccountPolicy;
use tenantry_core::clock::{Millis, Reading};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{PartnerId, UserId};
use tenantry_core::random::Random;

/// The outcome of a unit of work.
#[derive(Debug)]
pub enum Outcome<T> {
    /// Commit.
    Commit(T),
    /// Roll back, but return the value.
    Rollback(T),
}

/// Maximum number of rows of a large unit if others wait for the rows it has locked.
const LOCKING: usize = 1_000;

/// A stored total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Users of a partner.
    Users,
    /// Groups of a partner.
    Groups,
    /// Events of a partner.
    Events,
    /// Partners of the server (stored under partner 0).
    Partners,
    /// Refused logins that count for no user (stored under partner 0).
    RefusedLogins,
}

impl Counter {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Groups => "groups",
            Self::Events => "events",
            Self::Partners => "partners",
            Self::RefusedLogins => "refused_logins",
        }
    }
}

/// Cache entries to invalidate once a change is committed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CacheKey {
    /// A user, and every token of it.
    User(PartnerId, UserId),
    /// Every token of a session.
    Session(PartnerId, String),
    /// Every user and token of a partner.
    Partner(PartnerId),
    /// Everything: for rare changes that concern all partners.
    All,
}

impl CacheKey {
    /// What belongs to no partner: the signing keys, and the web origins of clients.
    pub const SERVER: Self = Self::Partner(PartnerId(0));
}

/// What a unit causes beside its rows. Applied by the write path: the index and the counters once per batch before
/// COMMIT, the cache after it.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) search: Vec<SearchChange>,
    pub(crate) counters: Vec<(PartnerId, Counter, i64)>,
    pub(crate) orders: Vec<OrderChange>,
    pub(crate) invalidated: Vec<CacheKey>,
    pub(crate) invalidated_here: Vec<CacheKey>,
    pub(crate) mail: bool,
    admins_touched: bool,
    admin_rule_waived: bool,
}

impl Effects {
    /// Writes each total once.
    pub(crate) fn write_counters(&self, conn: &mut dyn Connection, slot: i64) -> Result<(), DbError> {
        // In order, so that two transactions cannot deadlock.
        let mut sums = BTreeMap::<_, i64>::new();
        for &(pid, counter, by) in &self.counters {
            *sums.entry((pid, counter.name())).or_default() += by;
        }
        for ((pid, name), by) in sums {
            conn.execute_later(
                "INSERT INTO counters (pid, name, slot, value) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (pid, name, slot) DO UPDATE SET value = counters.value + excluded.value",
                Some(pid),
                &[name.into(), slot.into(), by.into()],
                Error::from,
            )?;
        }
        Ok(())
    }

    /// Adds the effects of a committed unit.
    pub(crate) fn absorb(&mut self, unit: Self) {
        self.search.extend(unit.search);
        self.counters.extend(unit.counters);
        self.orders.extend(unit.orders);
        self.invalidated.extend(unit.invalidated);
        self.invalidated_here.extend(unit.invalidated_here);
        self.mail |= unit.mail;
        self.admins_touched |= unit.admins_touched;
        self.admin_rule_waived |= unit.admin_rule_waived;
    }
}

/// Queries that units in a shared transaction run once: they see one snapshot, and none of them changes a row, so the
/// second result would be the same. A unit that needs no result from the database has its rows sent together with all
/// others.
#[derive(Default)]
pub(crate) struct Common {
    /// Units in the transaction.
    units: usize,
    /// Ids that were taken and not yet used. Unused ones leave a gap.
    numbers: HashMap<&'static str, Vec<i64>>,
    session_states: HashMap<(PartnerId, String), Option<SessionState>>,
}

impl Common {
    pub(crate) fn of(units: usize) -> Self {
        Self { units, ..Self::default() }
    }
}

/// Shared by all transactions of a store.
#[derive(Clone, Copy)]
pub(crate) struct Context<'c> {
    pub(crate) time: Reading,
    pub(crate) random: &'c Random,
    pub(crate) policy: &'c AccountPolicy,
}

/// An open transaction (or a read snapshot; writing in one fails), and its scope `S`: on whose behalf it runs.
///
/// A function that needs the proof of a right takes `&mut Tx<'_, Admin>` (or `Operator`, `Member`, ...): a transaction
/// of that type is only opened for somebody who has shown it. One that needs none takes `&mut Tx<'_>`, which the compiler
/// makes of any of them: `S` is the last field, so it can be unsized to `dyn Scope`.
///
/// Every statement gets the partner as `$1`. SQL that forgets it fails the first time it runs.
pub struct Tx<'c, S: ?Sized = dyn Scope> {
    pub(crate) conn: &'c mut dyn Connection,
    pub(crate) effects: &'c mut Effects,
    common: Option<&'c mut Common>,
    /// The same for a single unit that has announced how many rows it adds.
    ahead: Option<Common>,
    numbers: Option<&'c mut Numbers>,
    /// The number of small units that wait for this one, if known.
    waiting: Option<&'c AtomicUsize>,
    pid: PartnerId,
    context: Context<'c>,
    time_of_day: Millis,
    fresh: FreshIds,
    /// The last field: see above.
    scope: S,
}

impl<'c, S: Scope> Tx<'c, S> {
    pub(crate) fn open(
        conn: &'c mut dyn Connection,
        effects: &'c mut Effects,
        scope: S,
        context: Context<'c>,
    ) -> Self {
        Self {
            conn,
            effects,
            common: None,
            ahead: None,
            numbers: None,
            waiting: None,
            pid: scope.pid(),
            time_of_day: context.time.now,
            context,
            fresh: FreshIds::default(),
            scope,
        }
    }

    /// Marks it as one of several units in a transaction.
    pub(crate) fn in_batch(self, common: &'c mut Common) -> Self {
        Self { common: Some(common), ..self }
    }

    /// Sets the source of its ids.
    pub(crate) fn numbered(self, numbers: &'c mut Numbers) -> Self {
        Self { numbers: Some(numbers), ..self }
    }

    /// Sets the number of small units that wait for it.
    pub(crate) fn awaited(self, waiting: &'c AtomicUsize) -> Self {
        Self { waiting: Some(waiting), ..self }
    }
}

impl Tx<'_, Operator> {
    /// Moves an operator's transaction into a partner (such as one just created).
    pub fn enter_partner(&mut self, pid: PartnerId) {
        self.pid = pid;
    }
}

impl Tx<'_, Admin> {
    /// An operator's `--force`: B10 is not checked in this unit. Being a partner admin is not enough for this.
    pub fn waive_admin_rule(&mut self, _by: Operator) {
        self.effects.admin_rule_waived = true;
    }
}

impl<'c, S: Scope + ?Sized> Tx<'c, S> {
    /// The scope.
    pub fn scope(&self) -> &S {
        &self.scope
    }

    /// The operator's account policy.
    pub fn policy(&self) -> &'c AccountPolicy {
        self.context.policy
    }

    /// How many of `rows` a large unit writes that can leave the others to another unit. On PostgreSQL its locks are
    /// held until it ends.
    pub fn part_of(&self, rows: usize) -> usize {
        if self.dialect().has_one_writer() { rows } else { rows.min(LOCKING) }
    }

    /// Whether a step ends here: it has reached its limit, or others wait for the one writer and it has had its share.
    pub fn is_step_over(&self, pace: &Pace) -> bool {
        pace.rows() >= self.part_of(pace.most()) || (self.others_wait() && pace.has_had_its_share())
    }

    /// Whether each statement fails when it runs, never later (see `Connection::execute_later`).
    pub fn refuses_at_once(&self) -> bool {
        self.dialect().has_one_writer()
    }

    /// Whether other units wait for the one writer.
    fn others_wait(&self) -> bool {
        self.waiting.is_some_and(|waiting| waiting.load(Ordering::Relaxed) > 0)
    }

    /// Announces that `count` rows of a kind will be added, so that their ids are fetched in one query. A no-op where
    /// ids are free.
    pub fn expect_rows(&mut self, count: usize) {
        self.ahead = Some(Common::of(count.max(1)));
    }

    /// The partner whose rows this transaction sees.
    pub fn pid(&self) -> PartnerId {
        self.pid
    }

    /// The actor.
    pub fn actor(&self) -> Actor {
        self.scope.actor()
    }

    /// The ids that this transaction has allocated.
    pub fn fresh_ids(&self) -> &FreshIds {
        &self.fresh
    }

    /// The time of this transaction, for times that are shown. It is constant throughout, but for [`Tx::now_after`].
    pub fn now(&self) -> Millis {
        self.context.time.now
    }

    /// The time of this transaction by the clock, which [`Tx::now_after`] does not change: for times that are compared with
    /// those of other requests, and not with a row's.
    pub fn time_of_day(&self) -> Millis {
        self.time_of_day
    }

    /// The time of this transaction, for waiting: see [`Reading::steady`].
    pub fn steady(&self) -> Millis {
        self.context.time.steady
    }

    /// The time of this transaction, for expiry: see [`Reading::latest`].
    pub fn latest(&self) -> Millis {
        self.context.time.latest
    }

    /// The time of a change of a row whose last change was at `at`. If the clock was set back since, that is the time of
    /// the whole transaction from here on: the times of a row, and of its events, do not run backwards.
    pub fn now_after(&mut self, at: Millis) -> Millis {
        self.context.time.now = self.context.time.now.max(at);
        self.now()
    }

    /// The source of randomness.
    pub fn random(&self) -> &'c Random {
        self.context.random
    }

    /// Notes that a partner may have lost an ACTIVE admin, so that B10 is checked before the unit ends.
    pub fn touch_admins(&mut self) {
        self.effects.admins_touched = true;
    }

    /// Whether B10 has to be checked at the end of this unit.
    pub fn must_keep_an_admin(&self) -> bool {
        self.effects.admins_touched && !self.effects.admin_rule_waived
    }

    /// Invalidates cache entries after COMMIT, before the response, in all processes.
    pub fn invalidate(&mut self, key: CacheKey) {
        self.effects.invalidated.push(key);
    }

    /// Runs a part of the unit that can fail alone: then its writes and effects are rolled back, and the unit
    /// continues. The outer result is the database's, the inner one the part's.
    ///
    /// # Errors
    /// The transaction cannot continue.
    pub fn attempt<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T>) -> Result<Result<T>> {
        self.conn.execute("SAVEPOINT attempt", None, &[])?;
        let before = std::mem::take(self.effects);
        let numbers = self.numbers.as_deref().cloned();
        let mut result = part(self);
        let caused = std::mem::replace(self.effects, before);
        if result.is_ok() {
            // Deferred statements fail here at the latest.
            match self.conn.execute("RELEASE attempt", None, &[]) {
                Ok(_) => {
                    self.effects.absorb(caused);
                    return Ok(result);
                }
                Err(e) => result = Err(e.into()),
            }
        }
        // The first may return the failure of a deferred statement. A full disk has rolled back everything already:
        // then the second fails, too, and so does the unit.
        if self.conn.execute("ROLLBACK TO attempt", None, &[]).is_err() {
            self.conn.execute("ROLLBACK TO attempt", None, &[])?;
        }
        self.conn.execute("RELEASE attempt", None, &[])?;
        // The allocated ids were never visible.
        if let Some((now, before)) = self.numbers.as_deref_mut().zip(numbers) {
            *now = before;
        }
        Ok(result)
    }

    /// Like [`Tx::invalidate`], in this process only: for changes that others may see a moment later, and that are too
    /// frequent to notify them.
    pub(crate) fn invalidate_here(&mut self, key: CacheKey) {
        self.effects.invalidated_here.push(key);
    }

    /// A user was added, removed or moved in some order.
    pub(crate) fn reorder(&mut self, change: OrderChange) {
        if self.keeps_orders() {
            self.effects.orders.push(change);
        }
    }

    /// Whether [`OrderChange`]s are needed: with several processes there is no offset index.
    pub(crate) fn keeps_orders(&self) -> bool {
        self.dialect().has_one_writer()
    }

    /// Adds to a stored total of this partner.
    pub(crate) fn count(&mut self, counter: Counter, by: i64) {
        self.effects.counters.push((self.pid, counter, by));
    }

    /// The SQL dialect.
    pub(crate) fn dialect(&self) -> Dialect {
        self.conn.dialect()
    }

    /// Runs a statement and returns the number of changed rows.
    pub(crate) fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<usize, DbError> {
        self.conn.execute(sql, Some(self.pid), params)
    }

    /// Runs a statement whose result this unit does not need; see [`Connection::execute_later`].
    pub(crate) fn execute_later(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        refused: fn(DbError) -> Error,
    ) -> Result<()> {
        Ok(self.conn.execute_later(sql, Some(self.pid), params, refused)?)
    }

    /// Runs an update that changes nothing, so that this unit and every other one that locks or changes the same row
    /// run one after the other. A no-op with a single writer, where they do so anyway.
    ///
    /// Not SELECT FOR UPDATE: a unit with an older snapshot must fail and be retried, not continue with what it read.
    pub(crate) fn lock_row(&mut self, sql: &str, params: &[Param<'_>]) -> Result<()> {
        if !self.dialect().has_one_writer() {
            self.execute(sql, params)?;
        }
        Ok(())
    }

    /// Runs a query and calls `each` for each row.
    pub(crate) fn each(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<()>,
    ) -> Result<(), DbError> {
        self.conn.query(sql, Some(self.pid), params, each)
    }

    /// All rows of a query.
    pub(crate) fn rows<T>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        mut read: impl FnMut(&dyn Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut out = Vec::new();
        self.each(sql, params, &mut |row| {
            out.push(read(row)?);
            Ok(())
        })?;
        Ok(out)
    }

    /// See [`Connection::count_within`].
    pub(crate) fn count_within(
        &mut self,
        time: Duration,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Option<i64>> {
        Ok(self.conn.count_within(time, sql, Some(self.pid), params)?)
    }

    /// The first row of a query, if there is one.
    pub(crate) fn row<T>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        mut read: impl FnMut(&dyn Row) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut out = None;
        self.each(sql, params, &mut |row| {
            if out.is_none() {
                out = Some(read(row)?);
            }
            Ok(())
        })?;
        Ok(out)
    }

    /// Whether the server refuses writes: it is a standby, or configured so. Always false for SQLite.
    pub(crate) fn is_read_only(&mut self) -> Result<bool> {
        let sql = match self.dialect() {
            Dialect::Sqlite => "SELECT 0",
            // Read connections are read-only in any case.
            Dialect::Postgres => {
                "SELECT pg_is_in_recovery() OR EXISTS (SELECT FROM pg_settings \
                 WHERE name = 'default_transaction_read_only' AND reset_val = 'on')"
            }
        };
        Ok(self.unscoped().rows(sql, &[], |row| row.int(0))?.first() == Some(&1))
    }

    /// The only way out of the partner: statements through it see every partner's rows. Only for the `usernames` table,
    /// for partners themselves, and for background work across partners.
    pub(crate) fn unscoped(&mut self) -> Unscoped<'_> {
        Unscoped(self.conn)
    }

    /// A new id, for a row whose id the caller does not need: the SQL for the statement that stores it, and the value
    /// to bind at `param`.
    pub(crate) fn fresh_id(&mut self, sequence: Sequence, param: &str) -> Result<(String, Option<i64>)> {
        let id = match self.dialect() {
            Dialect::Sqlite => Some(self.next_id(sequence)?),
            Dialect::Postgres => None,
        };
        Ok((self.dialect().fresh_id(sequence.name(), param), id))
    }

    /// Records that this transaction has made a client, whose id is random.
    pub(crate) fn note_new_client(&mut self, client_id: &str) {
        self.fresh.add_client(client_id);
    }

    /// An id never used before (B24).
    pub(crate) fn next_id(&mut self, sequence: Sequence) -> Result<i64> {
        let id = self.take_id(sequence)?;
        self.fresh.add(sequence, id);
        Ok(id)
    }

    fn take_id(&mut self, sequence: Sequence) -> Result<i64> {
        let name = sequence.name();
        // The id of a unit that is rolled back is never visible: on SQLite it is reused.
        if let Some(numbers) = self.numbers.as_deref_mut() {
            return Ok(numbers.next(self.conn, name)?);
        }
        if let Some(id) = self.common().and_then(|c| c.numbers.get_mut(name)).and_then(Vec::pop) {
            return Ok(id);
        }
        let count = self.common().map_or(1, |common| common.units);
        let sql = format!("SELECT nextval('seq_{name}') FROM generate_series(1, $1)");
        let mut ids =
            self.unscoped().rows(&sql, &[i64::try_from(count).unwrap_or(1).into()], |row| row.int(0))?;
        // Popped from the end, lowest first.
        ids.reverse();
        let id = ids.pop().ok_or_else(|| Error::internal("a sequence gave no number"))?;
        if let Some(common) = self.common() {
            common.numbers.insert(name, ids);
        }
        Ok(id)
    }

    fn common(&mut self) -> Option<&mut Common> {
        match &mut self.common {
            Some(common) => Some(common),
            None => self.ahead.as_mut(),
        }
    }

    /// The current state of a session: `ask` runs unless a unit of this transaction has asked before.
    pub(crate) fn session_state(
        &mut self,
        session_id: &str,
        ask: impl FnOnce(&mut Self) -> Result<Option<SessionState>>,
    ) -> Result<Option<SessionState>> {
        if self.common.is_none() {
            return ask(self);
        }
        let key = (self.pid, session_id.to_owned());
        if let Some(known) = self.common.as_ref().and_then(|common| common.session_states.get(&key)) {
            return Ok(*known);
        }
        let state = ask(self)?;
        if let Some(common) = &mut self.common {
            common.session_states.insert(key, state);
        }
        Ok(state)
    }
}

/// Statements across partners.
pub(crate) struct Unscoped<'c>(&'c mut dyn Connection);

impl Unscoped<'_> {
    pub(crate) fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<usize, DbError> {
        self.0.execute(sql, None, params)
    }

    pub(crate) fn rows<T>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        mut read: impl FnMut(&dyn Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut out = Vec::new();
        self.0.query(sql, None, params, &mut |row| {
            out.push(read(row)?);
            Ok(())
        })?;
        Ok(out)
    }
}
