//! Fences: where every 2,048th user of an order stands, and how many stand between two of them, so that any page of
//! millions is a short walk from a fence (docs/adr/0018-fences.md); and of a search that many match, how many they are.
//!
//! They are in memory, for SQLite, where every change comes through this process. An order gets them when somebody asks
//! for a deep page of it, a search when it finds more than are counted: a thread reads them from the index, beside
//! everything else. From then on each commit brings them up to date. A commit that changes an order has a number, which
//! stands in the database, too: so a reader knows which of the latest changes its snapshot does not have, and leaves them
//! out.

mod build;
mod order;

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use build::Builder;
pub(crate) use order::{Found, Kinds, NEAR, Wanted, kinds};

use order::{Fenced, Place, Step, kind};

use crate::engine::driver::{Connection, DbError};
use crate::engine::sqlite::Sqlite;
use crate::listing::lists::SortKey;
use crate::listing::user_queries::sort_key;
use crate::tables::users;
use tenantry_core::model::{PartnerId, User, UserId};
use tenantry_core::user_fields::UserField;

/// Orders that have fences at once. Of ten million users each takes about a megabyte.
const ORDERS: usize = 256;

/// Searches whose users are counted at once. Every change of a user is held against each of them.
const SEARCHES: usize = 64;

/// A search that nobody asked for in this time is no longer counted.
const FORGOTTEN: Duration = Duration::from_mins(5);

/// How long a reader counts what is not kept yet, before it is content with a lower bound.
const COUNTING: Duration = Duration::from_millis(40);

/// What is kept of a partner's users.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Kept {
    /// The fences of an order.
    Order(UserField),
    /// How many users hold this term (B27): an order in which all of them stand at one place.
    Search(String),
}

impl Kept {
    fn is_search(&self) -> bool {
        matches!(self, Self::Search(_))
    }
}

/// The place of all whom a search finds.
const FOUND: Place = (SortKey::Int(0), 0);

/// What a unit changed of one user's places.
#[derive(Debug)]
pub(crate) enum OrderChange {
    /// A user came, went, or is another now.
    User { before: Option<Box<User>>, after: Option<Box<User>> },
    /// Only one thing of it changed, a time.
    Time { pid: PartnerId, user_id: UserId, kind: usize, sort: UserField, before: i64, after: i64 },
}

impl OrderChange {
    pub(crate) fn of(before: Option<&User>, after: Option<&User>) -> Self {
        let boxed = |user: &User| Box::new(user.clone());
        Self::User { before: before.map(boxed), after: after.map(boxed) }
    }

    /// A time of a user with this status and right.
    pub(crate) fn of_time(
        (pid, user_id): (PartnerId, UserId),
        (status, is_admin): (i64, bool),
        sort: UserField,
        (before, after): (i64, i64),
    ) -> Self {
        Self::Time { pid, user_id, kind: kind(status, is_admin), sort, before, after }
    }

    fn pid(&self) -> Option<PartnerId> {
        match self {
            Self::User { before, after } => before.as_ref().or(after.as_ref()).map(|user| user.pid),
            Self::Time { pid, .. } => Some(*pid),
        }
    }
}

/// A change while it is taken in. The texts of a user are made once, whatever number of searches asks for them.
struct Taken<'a> {
    change: &'a OrderChange,
    texts: OnceCell<[Option<String>; 2]>,
}

impl<'a> Taken<'a> {
    fn new(change: &'a OrderChange) -> Self {
        Self { change, texts: OnceCell::new() }
    }

    fn steps(&self, kept: &Kept, steps: &mut Vec<Step>) {
        let mut push = |place: Place, kind: usize, by: i64| steps.push(Step { place, kind, by });
        match (self.change, kept) {
            (OrderChange::User { before, after }, _) => {
                let users = [before.as_deref(), after.as_deref()];
                let places = match kept {
                    Kept::Order(order) => users.map(|user| user.map(|u| (sort_key(*order, u), u.user_id.0))),
                    Kept::Search(term) => {
                        let [old, new] =
                            self.texts.get_or_init(|| users.map(|user| user.map(users::text_of)));
                        let place = |user: &Option<Box<User>>, text: &Option<String>| {
                            let (user, text) = (user.as_ref()?, text.as_ref()?);
                            users::is_found_by(user, text, term).then_some(FOUND)
                        };
                        [place(before, old), place(after, new)]
                    }
                };
                let kinds = users.map(|user| user.map_or(0, |u| kind(u.status.code(), u.is_admin)));
                let ([old, new], [old_kind, new_kind]) = (places, kinds);
                if old == new && old_kind == new_kind {
                    return;
                }
                if let Some(place) = old {
                    push(place, old_kind, -1);
                }
                if let Some(place) = new {
                    push(place, new_kind, 1);
                }
            }
            (OrderChange::Time { user_id, kind, sort, before, after, .. }, Kept::Order(order))
                if sort == order && before != after =>
            {
                push((SortKey::Int(*before), user_id.0), *kind, -1);
                push((SortKey::Int(*after), user_id.0), *kind, 1);
            }
            (OrderChange::Time { .. }, _) => {}
        }
    }
}

/// The fences of one order, or what is known until they are there.
#[derive(Debug)]
enum State {
    /// Being read; the changes since then.
    Building(Vec<(i64, Vec<Step>)>),
    Ready(Fenced),
    /// A search that finds users whose ids are too far apart.
    Countless,
}

/// What is kept, and what is known of its keeping.
#[derive(Debug)]
struct Book {
    /// How many were begun when this one was: changes from before that have no number.
    begun: u64,
    state: State,
    /// When it was last asked for.
    asked: Instant,
}

impl Book {
    /// Whether it is no longer worth its part of every write, by now.
    fn is_forgotten(&self, kept: &Kept, now: Instant) -> bool {
        kept.is_search() && now.duration_since(self.asked) > FORGOTTEN
    }
}

/// All fences.
#[derive(Debug)]
pub(crate) struct Fences {
    books: Mutex<HashMap<(PartnerId, Kept), Book>>,
    /// Held from where a commit looks which orders have fences until it is done: an order that gets them meanwhile
    /// would miss its changes.
    gate: Mutex<()>,
    /// How many books were begun.
    begun: AtomicU64,
    /// How long a reader may count what is not kept, in microseconds.
    patience: AtomicU64,
    wanted: SyncSender<(PartnerId, Kept)>,
}

/// The fences as a reader may use them.
#[derive(Debug, Clone)]
pub(crate) struct View {
    fences: Arc<Fences>,
    /// How many books were begun before its snapshot was opened. It may be older than what later ones say, and no number
    /// would tell.
    begun: u64,
}

impl View {
    /// To be taken before the snapshot is opened.
    pub(crate) fn of(fences: &Arc<Fences>) -> Self {
        Self { begun: fences.begun.load(Ordering::SeqCst), fences: Arc::clone(fences) }
    }

    /// Where a page is in the snapshot that `conn` reads. None where there are no fences: then they are made, and found
    /// by a later page.
    pub(crate) fn seek(&self, conn: &mut dyn Connection, wanted: &Wanted) -> Result<Option<Found>, DbError> {
        let order = (wanted.pid, Kept::Order(wanted.sort));
        let found = self.ready(conn, &order, |fenced, number| fenced.seek(wanted, number))?;
        if found.is_none() {
            self.ask_for(order);
        }
        Ok(found)
    }

    /// How many users of these kinds there are, in the snapshot that `conn` reads. None where that is not kept.
    pub(crate) fn total(
        &self,
        conn: &mut dyn Connection,
        kept: &(PartnerId, Kept),
        kinds: &Kinds,
    ) -> Result<Option<i64>, DbError> {
        self.ready(conn, kept, |fenced, number| fenced.total(kinds, number))
    }

    /// What `f` finds in fences that are there, for the snapshot that `conn` reads.
    fn ready<T>(
        &self,
        conn: &mut dyn Connection,
        kept: &(PartnerId, Kept),
        f: impl FnOnce(&Fenced, i64) -> Option<T>,
    ) -> Result<Option<T>, DbError> {
        let is_ready = |book: &&Book| matches!(book.state, State::Ready(_)) && book.begun <= self.begun;
        if held(&self.fences.books).get(kept).filter(is_ready).is_none() {
            return Ok(None);
        }
        // Read without the lock: commits take it.
        let number = number(conn, NUMBER)?;
        let mut books = held(&self.fences.books);
        let Some(book) = books.get_mut(kept).filter(|book| is_ready(&&**book)) else { return Ok(None) };
        book.asked = Instant::now();
        Ok(match &book.state {
            State::Ready(fenced) => f(fenced, number),
            State::Building(_) | State::Countless => None,
        })
    }

    /// For how long a reader may count this for itself. None where it is known to be too much.
    pub(crate) fn time_to_count(&self, kept: &(PartnerId, Kept)) -> Option<Duration> {
        let is_countless = |book: &Book| matches!(book.state, State::Countless);
        let patience = Duration::from_micros(self.fences.patience.load(Ordering::Relaxed));
        let is_too_much = patience.is_zero() || held(&self.fences.books).get(kept).is_some_and(is_countless);
        (!is_too_much).then_some(patience)
    }

    /// Has it made, unless it is there or being made.
    pub(crate) fn ask_for(&self, kept: (PartnerId, Kept)) {
        if let Some(book) = held(&self.fences.books).get_mut(&kept) {
            book.asked = Instant::now();
            return;
        }
        // Where many wait already, a later page asks again.
        let _ = self.fences.wanted.try_send(kept);
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const NUMBER: &str = "SELECT value FROM counters WHERE pid = 0 AND name = 'order_changes' AND slot = 0";
const NEXT_NUMBER: &str = "INSERT INTO counters (pid, name, slot, value) VALUES (0, 'order_changes', 0, 1) \
     ON CONFLICT (pid, name, slot) DO UPDATE SET value = counters.value + 1 RETURNING value";

fn number(conn: &mut dyn Connection, sql: &str) -> Result<i64, DbError> {
    let mut number = 0;
    conn.query(sql, None, &[], &mut |row| {
        number = row.int(0)?;
        Ok(())
    })?;
    Ok(number)
}

impl Fences {
    fn new(wanted: SyncSender<(PartnerId, Kept)>) -> Self {
        let (begun, patience) = (AtomicU64::new(0), AtomicU64::default());
        let this = Self { books: Mutex::default(), gate: Mutex::default(), begun, patience, wanted };
        this.let_count_for(COUNTING);
        this
    }

    /// How long a reader may count what is not kept.
    pub(crate) fn let_count_for(&self, time: Duration) {
        self.patience.store(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Commits the open transaction, and with it what it changes of the orders.
    pub(crate) fn commit(&self, conn: &mut Sqlite, changes: &[OrderChange]) -> Result<(), DbError> {
        if changes.is_empty() {
            return conn.control("COMMIT");
        }
        let _gate = held(&self.gate);
        self.take(conn, changes)?;
        // What a commit that fails would have changed is known to nobody any more.
        conn.control("COMMIT").inspect_err(|_| held(&self.books).clear())
    }

    fn take(&self, conn: &mut Sqlite, changes: &[OrderChange]) -> Result<(), DbError> {
        let fenced: HashSet<PartnerId> = held(&self.books).keys().map(|(pid, _)| *pid).collect();
        let of_fenced = changes.iter().filter(|c| c.pid().is_some_and(|pid| fenced.contains(&pid)));
        let changes: Vec<_> = of_fenced.map(Taken::new).collect();
        if changes.is_empty() {
            return Ok(());
        }
        let number = number(conn, NEXT_NUMBER)?;
        let now = Instant::now();
        held(&self.books).retain(|(pid, kept), book| {
            if book.is_forgotten(kept, now) {
                return false;
            }
            let mut steps = Vec::new();
            for taken in changes.iter().filter(|taken| taken.change.pid() == Some(*pid)) {
                taken.steps(kept, &mut steps);
            }
            match &mut book.state {
                _ if steps.is_empty() => true,
                State::Building(since) => {
                    since.push((number, steps));
                    true
                }
                State::Ready(fenced) => fenced.take(number, steps),
                State::Countless => true,
            }
        });
        Ok(())
    }

    /// Forgets all fences: nobody knows whether the last commit is in them.
    pub(crate) fn forget_all(&self) {
        let _gate = held(&self.gate);
        held(&self.books).clear();
    }

    /// How many orders have fences.
    pub(crate) fn count(&self) -> usize {
        let books = held(&self.books);
        let is_ready = |(kept, book): &(&(PartnerId, Kept), &Book)| {
            !kept.1.is_search() && matches!(book.state, State::Ready(_))
        };
        books.iter().filter(is_ready).count()
    }

    fn begin(&self, kept: &(PartnerId, Kept)) -> bool {
        let _gate = held(&self.gate);
        let mut books = held(&self.books);
        if books.contains_key(kept) {
            return false;
        }
        let alike = || books.iter().filter(|((_, other), _)| other.is_search() == kept.1.is_search());
        if alike().count() >= if kept.1.is_search() { SEARCHES } else { ORDERS } {
            // Only one is being made at a time, this one.
            let longest = alike().min_by_key(|(_, book)| book.asked).map(|(kept, _)| kept.clone());
            longest.and_then(|kept| books.remove(&kept));
        }
        let begun = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let book = Book { begun, state: State::Building(Vec::new()), asked: Instant::now() };
        books.insert(kept.clone(), book);
        true
    }

    /// Takes what was read, and the number of the last commit that was there to read; nothing where reading failed.
    fn finish(&self, kept: &(PartnerId, Kept), read: Option<(i64, Option<Fenced>)>) {
        let mut books = held(&self.books);
        let Some(Book { begun, state: State::Building(since), asked }) = books.remove(kept) else { return };
        let state = match read {
            None => return,
            Some((_, None)) => State::Countless,
            Some((number, Some(mut fenced))) => {
                let mut since = since.into_iter().filter(|(of, _)| *of > number);
                if !since.all(|(of, steps)| fenced.take(of, steps)) {
                    return;
                }
                State::Ready(fenced)
            }
        };
        books.insert(kept.clone(), Book { begun, state, asked });
    }
}

#[cfg(test)]
mod tests {
    use super::order::Block;
    use super::*;
    use crate::engine::sqlite::Use;
    use tenantry_core::user_fields::ProfileField;

    #[test]
    fn of_too_many_searches_the_one_asked_for_longest_ago_goes() {
        let (wanted, _asked) = std::sync::mpsc::sync_channel(1);
        let fences = Fences::new(wanted);
        let search = |n: usize| (PartnerId(1), Kept::Search(n.to_string()));
        let order = (PartnerId(1), Kept::Order(UserField::Profile(ProfileField::Email)));
        let begun = Instant::now();
        assert!(fences.begin(&order) && !fences.begin(&order));
        for n in 0..SEARCHES {
            assert!(fences.begin(&search(n)));
            fences.finish(&search(n), Some((7, None)));
            // The second one was asked for first.
            let asked = begun + Duration::from_secs(if n == 1 { 0 } else { 1 });
            held(&fences.books).get_mut(&search(n)).unwrap().asked = asked;
        }
        assert!(fences.begin(&search(SEARCHES)));
        let books = held(&fences.books);
        assert_eq!(books.len(), SEARCHES + 1);
        assert!(!books.contains_key(&search(1)) && books.contains_key(&order));
        let book = &books[&search(0)];
        let later = |wait: Duration| book.asked + wait;
        assert!(matches!(book.state, State::Countless));
        assert!(!book.is_forgotten(&search(0).1, later(FORGOTTEN)));
        assert!(book.is_forgotten(&search(0).1, later(FORGOTTEN + Duration::from_nanos(1))));
        assert!(!book.is_forgotten(&order.1, later(FORGOTTEN * 2)));
    }

    /// A commit from before a book was begun has no number, so a snapshot from before it cannot be told from one that has
    /// it.
    #[test]
    fn whoever_may_not_see_what_a_book_counted_is_told_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = Sqlite::open(&dir.path().join("f.db"), Use::Write).unwrap();
        conn.batch("CREATE TABLE counters (pid, name, slot, value)").unwrap();
        let (wanted, asked) = std::sync::mpsc::sync_channel(1);
        let fences = Arc::new(Fences::new(wanted));
        let kept = (PartnerId(1), Kept::Search(String::from("ada")));
        let before = View::of(&fences);
        before.ask_for(kept.clone());
        assert_eq!(asked.try_recv(), Ok(kept.clone()));
        assert!(fences.begin(&kept));
        let after = View::of(&fences);
        let all = kinds(&[], None);
        assert_eq!(after.total(&mut conn, &kept, &all).unwrap(), None, "it is being read");
        let mut block = Block::new(None);
        block.counts[0] = 12_000;
        fences.finish(&kept, Some((0, Some(Fenced::new(0, i64::MAX, vec![block], Some(FOUND))))));
        assert_eq!(after.total(&mut conn, &kept, &all).unwrap(), Some(12_000));
        assert_eq!(before.total(&mut conn, &kept, &all).unwrap(), None);
        before.ask_for(kept);
        assert!(asked.try_recv().is_err(), "it is there");
    }
}
