//! The thread that builds entries of the offset index from the database.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;

use crate::engine::driver::{Connection as _, DbError, Dialect};
use crate::engine::offset_index::{
    ALL_HITS, Block, IndexKey, KINDS, OffsetIndex, SPACING, SampledOrder, UserKeys, kind,
};
use crate::engine::sqlite::database_file::DatabaseFile;
use crate::engine::sqlite::{Sqlite, Use, commit_numbers};
use crate::listing::user_queries::{AccessPath, Statement, UserQuery, read_sort_key, sort_column, sort_key};
use crate::tables::users;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{PartnerId, Status};
use tenantry_core::search_terms::SearchTerm;
use tenantry_core::supervise::Supervisor;
use tenantry_core::user_fields::UserField;

/// Maximum span of the ids of a counted search, in words of 64 ids: 32 MiB.
const WIDEST: usize = 1 << 22;

/// The thread, which ends when this is dropped.
pub(crate) struct OffsetIndexBuilder {
    index: Option<Arc<OffsetIndex>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl OffsetIndexBuilder {
    pub(crate) fn start(file: &Arc<DatabaseFile>, supervisor: &Supervisor) -> Result<Self> {
        let (wanted, asked) = mpsc::sync_channel(64);
        let keys = UserKeys { sort_key, search_text: users::text_of, is_found_by: users::is_found_by };
        let index = Arc::new(OffsetIndex::new(wanted, keys));
        let is_over = Arc::new(AtomicBool::new(false));
        let (weak, over, file) = (Arc::downgrade(&index), Arc::clone(&is_over), Arc::clone(file));
        let under_way = Cell::new(None);
        #[cfg(test)]
        let tests = supervisor.clone();
        let work = move || {
            let index = || weak.upgrade();
            // An entry interrupted by a panic is dropped: it can be requested again.
            if let (Some(key), Some(index)) = (under_way.take(), weak.upgrade()) {
                index.finish(&key, None);
            }
            let begun = |key: &(PartnerId, IndexKey)| {
                under_way.set(Some(key.clone()));
                #[cfg(test)]
                tests.trip("offset index");
            };
            build_all(&file, &asked, &index, &over, &begun);
        };
        let thread = supervisor
            .thread("offset index", work)
            .map_err(|e| Error::internal(format!("cannot start the thread of the offset index: {e}")))?;
        Ok(Self { index: Some(index), is_over, thread: Some(thread) })
    }

    /// The index that it builds.
    pub(crate) fn index(&self) -> Option<&Arc<OffsetIndex>> {
        self.index.as_ref()
    }
}

impl Drop for OffsetIndexBuilder {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread, which then ends, even if others still hold the index.
        if let Some(index) = self.index.take() {
            index.wake_builder();
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn build_all(
    file: &DatabaseFile,
    wanted: &Receiver<(PartnerId, IndexKey)>,
    index: &dyn Fn() -> Option<Arc<OffsetIndex>>,
    is_over: &AtomicBool,
    begun: &dyn Fn(&(PartnerId, IndexKey)),
) {
    let mut conn = None;
    while let Ok(key) = wanted.recv() {
        let Some(index) = index().filter(|_| !is_over.load(Ordering::SeqCst)) else { return };
        if !index.begin(&key) {
            continue;
        }
        begun(&key);
        let read = match &mut conn {
            Some(conn) => read(conn, &key, is_over),
            none => match Sqlite::open_again(file, Use::Scan) {
                Ok(opened) => read(none.insert(opened), &key, is_over),
                Err(e) => Err(e),
            },
        };
        index.finish(
            &key,
            read.inspect_err(|e| tracing::warn!(?e, "an entry of the offset index could not be read")).ok(),
        );
    }
}

/// Reads an entry in one snapshot, with the number of the last commit of the snapshot.
fn read(
    conn: &mut Sqlite,
    (pid, key): &(PartnerId, IndexKey),
    is_over: &AtomicBool,
) -> Result<(i64, Option<SampledOrder>), DbError> {
    conn.control("BEGIN")?;
    let read = commit_numbers::latest(conn).and_then(|number| {
        let samples = match key {
            IndexKey::Order(order) => Some(read_order(conn, number, (*pid, *order), is_over)?),
            IndexKey::Search(term) => count_hits(conn, number, (*pid, term), is_over)?,
        };
        Ok((number, samples))
    });
    conn.control("COMMIT")?;
    read
}

/// Users who are not ACTIVE or are admins. Most users are neither, so only the indexes on these columns are read.
const BY_STATUS: &str = "SELECT user_id, status FROM users WHERE pid = $1 AND status > 0";
const BY_RIGHT: &str = "SELECT user_id FROM users WHERE pid = $1 AND is_admin = 1 ORDER BY user_id";

/// Status and admin flag of users who are not ACTIVE or are admins.
fn uncommon(conn: &mut Sqlite, pid: PartnerId) -> Result<HashMap<i64, (i64, bool)>, DbError> {
    let mut kinds: HashMap<i64, (i64, bool)> = HashMap::new();
    conn.query(BY_STATUS, Some(pid), &[], &mut |row| {
        kinds.entry(row.int(0)?).or_default().0 = row.int(1)?;
        Ok(())
    })?;
    conn.query(BY_RIGHT, Some(pid), &[], &mut |row| {
        kinds.entry(row.int(0)?).or_default().1 = true;
        Ok(())
    })?;
    Ok(kinds)
}

/// A bit set of users: about a megabyte for ten million.
#[derive(Default)]
struct Users {
    first: i64,
    bits: Vec<u64>,
    count: i64,
}

impl Users {
    /// Adds the next one, whose id is higher; false if it is too far from the first.
    fn push(&mut self, id: i64) -> bool {
        if self.bits.is_empty() {
            self.first = id;
        }
        let Some((at, bit)) = self.position(id).filter(|(at, _)| *at < WIDEST) else { return false };
        self.bits.resize(at + 1, 0);
        if let Some(bits) = self.bits.get_mut(at) {
            *bits |= bit;
        }
        self.count += 1;
        true
    }

    fn contains(&self, id: i64) -> bool {
        self.position(id).is_some_and(|(at, bit)| self.bits.get(at).is_some_and(|bits| bits & bit != 0))
    }

    fn position(&self, id: i64) -> Option<(usize, u64)> {
        let at = usize::try_from(id.checked_sub(self.first)?).ok()?;
        Some((at / 64, 1 << (at % 64)))
    }
}

/// The number of users of each kind that a search finds; `None` if their ids are too far apart.
fn count_hits(
    conn: &mut Sqlite,
    number: i64,
    (pid, term): (PartnerId, &SearchTerm),
    is_over: &AtomicBool,
) -> Result<Option<SampledOrder>, DbError> {
    let query = UserQuery { search: Some(term.clone()), ..UserQuery::all() };
    let sql = Statement::new(Dialect::Sqlite, &query, &AccessPath::Search);
    let (mut hits, mut has_all) = (Users::default(), true);
    let text = format!("{} ORDER BY {}", sql.hits(), sql.id);
    conn.query(&text, Some(pid), &sql.params(), &mut |row| {
        if is_over.load(Ordering::Relaxed) {
            return Err(Error::internal("the store is closed"));
        }
        has_all = has_all && hits.push(row.int(0)?);
        Ok(())
    })?;
    if !has_all {
        return Ok(None);
    }
    let mut admins = Users::default();
    conn.query(BY_RIGHT, Some(pid), &[], &mut |row| {
        let id = row.int(0)?;
        if hits.contains(id) {
            admins.push(id);
        }
        Ok(())
    })?;
    let mut counts = [0; KINDS];
    let mut add = |of: usize, by: i64| {
        if let Some(count) = counts.get_mut(of) {
            *count += by;
        }
    };
    let active = Status::Active.code();
    add(kind(active, false), hits.count - admins.count);
    add(kind(active, true), admins.count);
    conn.query(BY_STATUS, Some(pid), &[], &mut |row| {
        let (id, status) = (row.int(0)?, row.int(1)?);
        if hits.contains(id) {
            let is_admin = admins.contains(id);
            add(kind(active, is_admin), -1);
            add(kind(status, is_admin), 1);
        }
        Ok(())
    })?;
    Ok(Some(SampledOrder::new(number, i64::MAX, vec![Block { first: None, counts }], Some(ALL_HITS))))
}

fn read_order(
    conn: &mut Sqlite,
    number: i64,
    (pid, order): (PartnerId, UserField),
    is_over: &AtomicBool,
) -> Result<SampledOrder, DbError> {
    let kinds = uncommon(conn, pid)?;
    let column = sort_column(order);
    let sql =
        format!("SELECT u.user_id, u.{column} FROM users u WHERE u.pid = $1 ORDER BY u.{column}, u.user_id");
    let (mut blocks, mut inside, mut last) = (vec![Block::new(None)], 0, None);
    conn.query(&sql, Some(pid), &[], &mut |row| {
        let id = row.int(0)?;
        if inside == SPACING {
            if is_over.load(Ordering::Relaxed) {
                return Err(Error::internal("the store is closed"));
            }
            inside = 0;
            blocks.push(Block::new(Some((read_sort_key(order, row, 1)?, id))));
        }
        inside += 1;
        last = Some(id);
        let (status, is_admin) = kinds.get(&id).copied().unwrap_or_default();
        if let Some(count) = blocks.last_mut().and_then(|block| block.counts.get_mut(kind(status, is_admin)))
        {
            *count += 1;
        }
        Ok(())
    })?;
    let last = match last {
        None => None,
        Some(id) => {
            let mut position = None;
            let sql = format!("SELECT u.{column} FROM users u WHERE u.pid = $1 AND u.user_id = $2");
            conn.query(&sql, Some(pid), &[id.into()], &mut |row| {
                position = Some((read_sort_key(order, row, 0)?, id));
                Ok(())
            })?;
            position
        }
    };
    Ok(SampledOrder::new(number, SPACING, blocks, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_known_by_a_bit_each() {
        let mut users = Users::default();
        assert!(!users.contains(0) && !users.contains(7));
        let widest = 7 + 64 * WIDEST as i64;
        for id in [7, 8, 70, 71, 100_000] {
            assert!(users.push(id), "{id}");
        }
        assert!(!users.push(widest) && !users.push(i64::MAX));
        assert_eq!(users.count, 5);
        let there: Vec<i64> = (-100..100_100).filter(|id| users.contains(*id)).collect();
        assert_eq!(there, [7, 8, 70, 71, 100_000]);
        assert!(users.push(widest - 1) && users.contains(widest - 1));
        assert!(![i64::MIN, widest, i64::MAX].iter().any(|id| users.contains(*id)));
    }
}
