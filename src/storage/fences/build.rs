//! The thread that reads fences from the database.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;

use super::order::{Block, Fenced, KINDS, SPACING, kind};
use super::{COUNTABLE, FOUND, Fences, Kept, NUMBER, number};
use crate::error::{Error, Result};
use crate::model::PartnerId;
use crate::storage::driver::{Connection as _, DbError, Dialect};
use crate::storage::sqlite::{Sqlite, Use};
use crate::storage::user_queries::{Drive, Statement, UserQuery, UserSort};

/// The thread. It ends with this.
pub(in crate::storage) struct Builder {
    fences: Option<Arc<Fences>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Builder {
    pub(in crate::storage) fn start(path: &Path) -> Result<Self> {
        let (wanted, asked) = mpsc::sync_channel(64);
        let fences = Arc::new(Fences::new(wanted));
        let is_over = Arc::new(AtomicBool::new(false));
        let (weak, over, path) = (Arc::downgrade(&fences), Arc::clone(&is_over), path.to_owned());
        let work = move || {
            let fences = || weak.upgrade();
            build_all(&path, &asked, &fences, &over);
        };
        let thread = std::thread::Builder::new()
            .name(String::from("fences"))
            .spawn(work)
            .map_err(|e| Error::internal(format!("cannot start the thread for fences: {e}")))?;
        Ok(Self { fences: Some(fences), is_over, thread: Some(thread) })
    }

    pub(in crate::storage) fn fences(&self) -> Option<&Arc<Fences>> {
        self.fences.as_ref()
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread, which then sees that it is over, whoever else still holds fences.
        if let Some(fences) = self.fences.take() {
            let _ = fences.wanted.try_send((PartnerId(0), Kept::Order(UserSort::UserId)));
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn build_all(
    path: &Path,
    wanted: &Receiver<(PartnerId, Kept)>,
    fences: &dyn Fn() -> Option<Arc<Fences>>,
    is_over: &AtomicBool,
) {
    let mut conn = None;
    while let Ok(kept) = wanted.recv() {
        let Some(fences) = fences().filter(|_| !is_over.load(Ordering::SeqCst)) else { return };
        if !fences.begin(&kept) {
            continue;
        }
        let read = match &mut conn {
            Some(conn) => read(conn, &kept, is_over),
            none => match Sqlite::open(path, Use::Scan) {
                Ok(opened) => read(none.insert(opened), &kept, is_over),
                Err(e) => Err(e),
            },
        };
        fences.finish(&kept, read.inspect_err(|e| tracing::warn!(?e, "fences could not be read")).ok());
    }
}

/// Reads what is to be kept, in one snapshot; and the number of the last commit that the snapshot has.
fn read(
    conn: &mut Sqlite,
    (pid, kept): &(PartnerId, Kept),
    is_over: &AtomicBool,
) -> Result<(i64, Option<Fenced>), DbError> {
    conn.control("BEGIN")?;
    let read = number(conn, NUMBER).and_then(|number| {
        let fenced = match kept {
            Kept::Order(order) => Some(read_order(conn, number, (*pid, *order), is_over)?),
            Kept::Search(term) => count_hits(conn, number, (*pid, term), is_over)?,
        };
        Ok((number, fenced))
    });
    conn.control("COMMIT")?;
    read
}

/// Status and right of users who are not ACTIVE or are admins, unless they are passed over. Most users are neither, so
/// only the indexes that know it are read.
fn uncommon(
    conn: &mut Sqlite,
    pid: PartnerId,
    is_wanted: impl Fn(i64) -> bool,
) -> Result<HashMap<i64, (i64, bool)>, DbError> {
    let mut kinds: HashMap<i64, (i64, bool)> = HashMap::new();
    let by_status = "SELECT user_id, status FROM users WHERE pid = $1 AND status > 0";
    let by_right = "SELECT user_id, 1 FROM users WHERE pid = $1 AND is_admin = 1";
    for (sql, is_status) in [(by_status, true), (by_right, false)] {
        conn.query(sql, Some(pid), &[], &mut |row| {
            let id = row.int(0)?;
            if is_wanted(id) {
                let (status, is_admin) = kinds.entry(id).or_default();
                match is_status {
                    true => *status = row.int(1)?,
                    false => *is_admin = true,
                }
            }
            Ok(())
        })?;
    }
    Ok(kinds)
}

/// How many users of each kind a search finds; none when they are too many.
fn count_hits(
    conn: &mut Sqlite,
    number: i64,
    (pid, term): (PartnerId, &str),
    is_over: &AtomicBool,
) -> Result<Option<Fenced>, DbError> {
    let query = UserQuery { search: Some(term.to_owned()), ..UserQuery::all() };
    let sql = Statement::new(Dialect::Sqlite, &query, &Drive::Search);
    let (mut hits, mut counts) = (Vec::new(), [0; KINDS]);
    let text = format!("{} ORDER BY {} LIMIT {}", sql.hits(), sql.id, COUNTABLE + 1);
    conn.query(&text, Some(pid), &sql.params(), &mut |row| {
        if is_over.load(Ordering::Relaxed) {
            return Err(Error::internal("the store is closed"));
        }
        hits.push(row.int(0)?);
        Ok(())
    })?;
    if hits.len() > COUNTABLE {
        return Ok(None);
    }
    let uncommon = uncommon(conn, pid, |id| hits.binary_search(&id).is_ok())?;
    let mut count = |(status, is_admin): (i64, bool), by: usize| {
        if let Some(count) = counts.get_mut(kind(status, is_admin)) {
            *count += i64::try_from(by).unwrap_or(0);
        }
    };
    count((0, false), hits.len() - uncommon.len());
    uncommon.into_values().for_each(|of| count(of, 1));
    Ok(Some(Fenced::new(number, i64::MAX, vec![Block { first: None, counts }], Some(FOUND))))
}

fn read_order(
    conn: &mut Sqlite,
    number: i64,
    (pid, order): (PartnerId, UserSort),
    is_over: &AtomicBool,
) -> Result<Fenced, DbError> {
    let kinds = uncommon(conn, pid, |_| true)?;
    let column = order.column();
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
            blocks.push(Block::new(Some((order.read_key(row, 1)?, id))));
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
            let mut place = None;
            let sql = format!("SELECT u.{column} FROM users u WHERE u.pid = $1 AND u.user_id = $2");
            conn.query(&sql, Some(pid), &[id.into()], &mut |row| {
                place = Some((order.read_key(row, 0)?, id));
                Ok(())
            })?;
            place
        }
    };
    Ok(Fenced::new(number, SPACING, blocks, last))
}
