//! The thread that reads fences from the database.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::{Block, Fenced, Fences, NUMBER, SPACING, kind, number};
use crate::error::{Error, Result};
use crate::model::PartnerId;
use crate::storage::driver::{Connection as _, DbError};
use crate::storage::sqlite::{Sqlite, Use};
use crate::storage::user_queries::UserSort;

/// The thread. It ends with this.
pub(in crate::storage) struct Builder {
    fences: Option<Arc<Fences>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Builder {
    pub(in crate::storage) fn start(path: &Path) -> Result<Self> {
        let (wanted, orders) = mpsc::sync_channel(64);
        let fences = Arc::new(Fences { books: Mutex::default(), gate: Mutex::default(), wanted });
        let is_over = Arc::new(AtomicBool::new(false));
        let (weak, over, path) = (Arc::downgrade(&fences), Arc::clone(&is_over), path.to_owned());
        let work = move || {
            let fences = || weak.upgrade();
            build_all(&path, &orders, &fences, &over);
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
            let _ = fences.wanted.try_send((PartnerId(0), UserSort::UserId));
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn build_all(
    path: &Path,
    orders: &Receiver<(PartnerId, UserSort)>,
    fences: &dyn Fn() -> Option<Arc<Fences>>,
    is_over: &AtomicBool,
) {
    let mut conn = None;
    while let Ok(order) = orders.recv() {
        let Some(fences) = fences().filter(|_| !is_over.load(Ordering::SeqCst)) else { return };
        if !fences.begin(order) {
            continue;
        }
        let read = match &mut conn {
            Some(conn) => read(conn, order, is_over),
            none => match Sqlite::open(path, Use::Scan) {
                Ok(opened) => read(none.insert(opened), order, is_over),
                Err(e) => Err(e),
            },
        };
        fences.finish(order, read.inspect_err(|e| tracing::warn!(?e, "fences could not be read")).ok());
    }
}

/// Reads the fences of an order, in one snapshot; and the number of the last commit that the snapshot has.
fn read(
    conn: &mut Sqlite,
    order: (PartnerId, UserSort),
    is_over: &AtomicBool,
) -> Result<(i64, Fenced), DbError> {
    conn.control("BEGIN")?;
    let read = read_in(conn, order, is_over);
    conn.control("COMMIT")?;
    read
}

fn read_in(
    conn: &mut Sqlite,
    (pid, order): (PartnerId, UserSort),
    is_over: &AtomicBool,
) -> Result<(i64, Fenced), DbError> {
    let number = number(conn, NUMBER)?;
    // Most users are ACTIVE and no admins: so only the others are looked up in the indexes that know it.
    let mut kinds: HashMap<i64, (i64, bool)> = HashMap::new();
    conn.query(
        "SELECT user_id, status FROM users WHERE pid = $1 AND status > 0",
        Some(pid),
        &[],
        &mut |row| {
            kinds.entry(row.int(0)?).or_default().0 = row.int(1)?;
            Ok(())
        },
    )?;
    conn.query("SELECT user_id FROM users WHERE pid = $1 AND is_admin = 1", Some(pid), &[], &mut |row| {
        kinds.entry(row.int(0)?).or_default().1 = true;
        Ok(())
    })?;
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
    Ok((
        number,
        Fenced { spacing: SPACING, blocks, last, recent: VecDeque::new(), remembered: 0, oldest: number },
    ))
}
