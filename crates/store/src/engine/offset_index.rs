//! The offset index: a sample point at every 2,048th user of an order and the number of users between two of them, so
//! that any page among millions is a short scan from a sample point (docs/adr/0018-offset-index.md); and the number of
//! users that a search with many hits finds.
//!
//! It is in memory, for SQLite, where every change comes through this process. An order is indexed when a deep page of
//! it is requested, a search when it finds more than are counted: a thread reads it from the database
//! (`listing/offset_index_builder.rs`) in the background. From then on each commit updates the entries. A commit that
//! changes an order has a number, which is stored in the database as well: so a reader can exclude those of the latest
//! changes that are not in its snapshot.
//!
//! It knows neither the database nor tables: commits and readers provide the numbers, and [`UserKeys`] what users are
//! sorted and found by.

mod order;

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use order::{Block, KINDS, Kinds, NEAR, PageLocation, SPACING, SampledOrder, Wanted, kind, kinds};

use order::{CountChange, SortPosition};

use crate::engine::sort_key::SortKey;
use tenantry_core::model::{PartnerId, User, UserId};
use tenantry_core::search_terms::SearchTerm;
use tenantry_core::user_fields::UserField;

/// Maximum number of indexed orders. Each takes about a megabyte for ten million users.
const ORDERS: usize = 256;

/// Maximum number of counted searches. Every change of a user is compared with each of them.
const SEARCHES: usize = 64;

/// A search that was not requested for this long is no longer counted.
const FORGOTTEN: Duration = Duration::from_mins(5);

/// How long a reader counts what is not indexed yet before it returns a lower bound.
const COUNTING: Duration = Duration::from_millis(40);

/// What an entry indexes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum IndexKey {
    /// The sample points of an order.
    Order(UserField),
    /// The number of users that have this term (B27): an order in which all of them have one position.
    Search(SearchTerm),
}

impl IndexKey {
    fn is_search(&self) -> bool {
        matches!(self, Self::Search(_))
    }
}

/// The position of all users that a search finds.
pub(crate) const ALL_HITS: SortPosition = (SortKey::Int(0), 0);

/// What users are sorted and found by; defined outside the engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UserKeys {
    /// The sort key of a user in an order.
    pub(crate) sort_key: fn(UserField, &User) -> SortKey,
    /// The searched text.
    pub(crate) search_text: fn(&User) -> String,
    /// Whether a search for a term finds the user with this text.
    pub(crate) is_found_by: fn(&User, &str, &SearchTerm) -> bool,
}

/// A change of a user's positions by a unit.
#[derive(Debug)]
pub(crate) enum OrderChange {
    /// A user was added, removed or changed.
    User { before: Option<Box<User>>, after: Option<Box<User>> },
    /// Only a time changed.
    Time { pid: PartnerId, user_id: UserId, kind: usize, sort: UserField, before: i64, after: i64 },
}

impl OrderChange {
    pub(crate) fn of(before: Option<&User>, after: Option<&User>) -> Self {
        let boxed = |user: &User| Box::new(user.clone());
        Self::User { before: before.map(boxed), after: after.map(boxed) }
    }

    /// A time of a user with this status and admin flag.
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

/// A change while it is applied. The texts of a user are built once, however many searches need them.
struct Taken<'a> {
    change: &'a OrderChange,
    texts: OnceCell<[Option<String>; 2]>,
}

impl<'a> Taken<'a> {
    fn new(change: &'a OrderChange) -> Self {
        Self { change, texts: OnceCell::new() }
    }

    fn deltas(&self, keys: &UserKeys, key: &IndexKey, deltas: &mut Vec<CountChange>) {
        let mut push =
            |position: SortPosition, kind: usize, by: i64| deltas.push(CountChange { position, kind, by });
        match (self.change, key) {
            (OrderChange::User { before, after }, _) => {
                let users = [before.as_deref(), after.as_deref()];
                let positions = match key {
                    IndexKey::Order(order) => {
                        users.map(|user| user.map(|u| ((keys.sort_key)(*order, u), u.user_id.0)))
                    }
                    IndexKey::Search(term) => {
                        let [old, new] =
                            self.texts.get_or_init(|| users.map(|user| user.map(keys.search_text)));
                        let position = |user: &Option<Box<User>>, text: &Option<String>| {
                            let (user, text) = (user.as_ref()?, text.as_ref()?);
                            (keys.is_found_by)(user, text, term).then_some(ALL_HITS)
                        };
                        [position(before, old), position(after, new)]
                    }
                };
                let kinds = users.map(|user| user.map_or(0, |u| kind(u.status.code(), u.is_admin)));
                let ([old, new], [old_kind, new_kind]) = (positions, kinds);
                if old == new && old_kind == new_kind {
                    return;
                }
                if let Some(position) = old {
                    push(position, old_kind, -1);
                }
                if let Some(position) = new {
                    push(position, new_kind, 1);
                }
            }
            (OrderChange::Time { user_id, kind, sort, before, after, .. }, IndexKey::Order(order))
                if sort == order && before != after =>
            {
                push((SortKey::Int(*before), user_id.0), *kind, -1);
                push((SortKey::Int(*after), user_id.0), *kind, 1);
            }
            (OrderChange::Time { .. }, _) => {}
        }
    }
}

/// The sample points of one order, or its state until it is built.
#[derive(Debug)]
enum EntryState {
    /// Being built; the changes since then.
    Building(Vec<(i64, Vec<CountChange>)>),
    Ready(SampledOrder),
    /// A search that finds users whose ids are too far apart.
    Countless,
}

/// An entry and its bookkeeping.
#[derive(Debug)]
struct IndexEntry {
    /// The number of entries begun when this one was: earlier changes have no number.
    begun: u64,
    state: EntryState,
    /// When it was last requested.
    asked: Instant,
}

impl IndexEntry {
    /// Whether it is no longer worth its cost on every write.
    fn is_forgotten(&self, key: &IndexKey, now: Instant) -> bool {
        key.is_search() && now.duration_since(self.asked) > FORGOTTEN
    }
}

/// All entries.
#[derive(Debug)]
pub(crate) struct OffsetIndex {
    entries: Mutex<HashMap<(PartnerId, IndexKey), IndexEntry>>,
    /// Held from where a commit reads which orders are indexed until it is done: an order that is indexed meanwhile
    /// would miss its changes.
    gate: Mutex<()>,
    /// The number of entries begun.
    begun: AtomicU64,
    keys: UserKeys,
    /// How long a reader may count what is not indexed, in microseconds.
    timeout: AtomicU64,
    wanted: SyncSender<(PartnerId, IndexKey)>,
}

/// A reader's view of the index.
#[derive(Debug, Clone)]
pub(crate) struct OffsetView {
    index: Arc<OffsetIndex>,
    /// The number of entries begun before its snapshot was opened. The snapshot may be older than later entries, and no
    /// number would show it.
    begun: u64,
}

impl OffsetView {
    /// Must be called before the snapshot is opened.
    pub(crate) fn of(index: &Arc<OffsetIndex>) -> Self {
        Self { begun: index.begun.load(Ordering::SeqCst), index: Arc::clone(index) }
    }

    /// The location of a page in the snapshot whose last commit has the number that `number` reads. `None` if the order
    /// is not indexed: then it gets indexed, and a later page finds it.
    pub(crate) fn seek<E>(
        &self,
        wanted: &Wanted,
        number: impl FnOnce() -> Result<i64, E>,
    ) -> Result<Option<PageLocation>, E> {
        let order = (wanted.pid, IndexKey::Order(wanted.sort));
        let found = self.ready(number, &order, |samples, number| samples.seek(wanted, number))?;
        if found.is_none() {
            self.ask_for(order);
        }
        Ok(found)
    }

    /// The number of users of these kinds in that snapshot. `None` if that is not indexed.
    pub(crate) fn total<E>(
        &self,
        key: &(PartnerId, IndexKey),
        kinds: &Kinds,
        number: impl FnOnce() -> Result<i64, E>,
    ) -> Result<Option<i64>, E> {
        self.ready(number, key, |samples, number| samples.total(kinds, number))
    }

    /// The result of `f` on an existing entry, for that snapshot.
    fn ready<T, E>(
        &self,
        number: impl FnOnce() -> Result<i64, E>,
        key: &(PartnerId, IndexKey),
        f: impl FnOnce(&SampledOrder, i64) -> Option<T>,
    ) -> Result<Option<T>, E> {
        let is_ready =
            |entry: &&IndexEntry| matches!(entry.state, EntryState::Ready(_)) && entry.begun <= self.begun;
        if held(&self.index.entries).get(key).filter(is_ready).is_none() {
            return Ok(None);
        }
        // Read without the lock: commits take it.
        let number = number()?;
        let mut entries = held(&self.index.entries);
        let Some(entry) = entries.get_mut(key).filter(|entry| is_ready(&&**entry)) else { return Ok(None) };
        entry.asked = Instant::now();
        Ok(match &entry.state {
            EntryState::Ready(samples) => f(samples, number),
            EntryState::Building(_) | EntryState::Countless => None,
        })
    }

    /// How long a reader may count this. `None` if it is known to be too much.
    pub(crate) fn time_to_count(&self, key: &(PartnerId, IndexKey)) -> Option<Duration> {
        let is_countless = |entry: &IndexEntry| matches!(entry.state, EntryState::Countless);
        let timeout = Duration::from_micros(self.index.timeout.load(Ordering::Relaxed));
        let is_too_much = timeout.is_zero() || held(&self.index.entries).get(key).is_some_and(is_countless);
        (!is_too_much).then_some(timeout)
    }

    /// Requests an entry, unless it exists or is being built.
    pub(crate) fn ask_for(&self, key: (PartnerId, IndexKey)) {
        if let Some(entry) = held(&self.index.entries).get_mut(&key) {
            entry.asked = Instant::now();
            return;
        }
        // If the queue is full, a later page requests it again.
        let _ = self.index.wanted.try_send(key);
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OffsetIndex {
    pub(crate) fn new(wanted: SyncSender<(PartnerId, IndexKey)>, keys: UserKeys) -> Self {
        let (begun, timeout) = (AtomicU64::new(0), AtomicU64::default());
        let this = Self { entries: Mutex::default(), gate: Mutex::default(), begun, keys, timeout, wanted };
        this.let_count_for(COUNTING);
        this
    }

    /// Wakes the thread that builds entries.
    pub(crate) fn wake_builder(&self) {
        let _ = self.wanted.try_send((PartnerId(0), IndexKey::Order(UserField::UserId)));
    }

    /// How long a reader may count what is not indexed.
    pub(crate) fn let_count_for(&self, time: Duration) {
        self.timeout.store(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Commits the open transaction of `conn`, and with it its changes of the orders. `next_number` stores and returns
    /// the number of a commit that changes an order.
    pub(crate) fn commit<C, E>(
        &self,
        conn: &mut C,
        changes: &[OrderChange],
        next_number: impl FnOnce(&mut C) -> Result<i64, E>,
        commit: impl FnOnce(&mut C) -> Result<(), E>,
    ) -> Result<(), E> {
        if changes.is_empty() {
            return commit(conn);
        }
        let _gate = held(&self.gate);
        self.take(changes, || next_number(conn))?;
        // The changes of a failed commit are lost.
        commit(conn).inspect_err(|_| held(&self.entries).clear())
    }

    fn take<E>(
        &self,
        changes: &[OrderChange],
        next_number: impl FnOnce() -> Result<i64, E>,
    ) -> Result<(), E> {
        let indexed: HashSet<PartnerId> = held(&self.entries).keys().map(|(pid, _)| *pid).collect();
        let of_indexed = changes.iter().filter(|c| c.pid().is_some_and(|pid| indexed.contains(&pid)));
        let changes: Vec<_> = of_indexed.map(Taken::new).collect();
        if changes.is_empty() {
            return Ok(());
        }
        let number = next_number()?;
        let now = Instant::now();
        held(&self.entries).retain(|(pid, key), entry| {
            if entry.is_forgotten(key, now) {
                return false;
            }
            let mut deltas = Vec::new();
            for taken in changes.iter().filter(|taken| taken.change.pid() == Some(*pid)) {
                taken.deltas(&self.keys, key, &mut deltas);
            }
            match &mut entry.state {
                _ if deltas.is_empty() => true,
                EntryState::Building(since) => {
                    since.push((number, deltas));
                    true
                }
                EntryState::Ready(samples) => samples.take(number, deltas),
                EntryState::Countless => true,
            }
        });
        Ok(())
    }

    /// Drops all entries: it is unknown whether they include the last commit.
    pub(crate) fn forget_all(&self) {
        let _gate = held(&self.gate);
        held(&self.entries).clear();
    }

    /// The number of indexed orders.
    pub(crate) fn count(&self) -> usize {
        let entries = held(&self.entries);
        let is_ready = |(key, entry): &(&(PartnerId, IndexKey), &IndexEntry)| {
            !key.1.is_search() && matches!(entry.state, EntryState::Ready(_))
        };
        entries.iter().filter(is_ready).count()
    }

    /// Begins an entry, which commits update from now on; false if there is one.
    pub(crate) fn begin(&self, key: &(PartnerId, IndexKey)) -> bool {
        let _gate = held(&self.gate);
        let mut entries = held(&self.entries);
        if entries.contains_key(key) {
            return false;
        }
        let alike = || entries.iter().filter(|((_, other), _)| other.is_search() == key.1.is_search());
        if alike().count() >= if key.1.is_search() { SEARCHES } else { ORDERS } {
            // Only one is built at a time, this one.
            let longest = alike().min_by_key(|(_, entry)| entry.asked).map(|(key, _)| key.clone());
            longest.and_then(|key| entries.remove(&key));
        }
        let begun = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let entry = IndexEntry { begun, state: EntryState::Building(Vec::new()), asked: Instant::now() };
        entries.insert(key.clone(), entry);
        true
    }

    /// Stores what was read, and the number of the last commit included; nothing if reading failed.
    pub(crate) fn finish(&self, key: &(PartnerId, IndexKey), read: Option<(i64, Option<SampledOrder>)>) {
        let mut entries = held(&self.entries);
        let Some(IndexEntry { begun, state: EntryState::Building(since), asked }) = entries.remove(key)
        else {
            return;
        };
        let state = match read {
            None => return,
            Some((_, None)) => EntryState::Countless,
            Some((number, Some(mut samples))) => {
                let mut since = since.into_iter().filter(|(of, _)| *of > number);
                if !since.all(|(of, deltas)| samples.take(of, deltas)) {
                    return;
                }
                EntryState::Ready(samples)
            }
        };
        entries.insert(key.clone(), IndexEntry { begun, state, asked });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use tenantry_core::user_fields::ProfileField;

    const KEYS: UserKeys = UserKeys {
        sort_key: |_, user| SortKey::Int(user.user_id.0),
        search_text: |user| user.username.to_string(),
        is_found_by: |_, text, term| term.words().all(|word| text.contains(word)),
    };

    #[expect(clippy::unnecessary_wraps, reason = "stands for a read")]
    fn number() -> Result<i64, Infallible> {
        Ok(0)
    }

    #[test]
    fn of_too_many_searches_the_least_recently_used_is_dropped() {
        let (wanted, _asked) = std::sync::mpsc::sync_channel(1);
        let index = OffsetIndex::new(wanted, KEYS);
        let term = |n: usize| SearchTerm::parse(&n.to_string()).unwrap().unwrap();
        let search = |n: usize| (PartnerId(1), IndexKey::Search(term(n)));
        let order = (PartnerId(1), IndexKey::Order(UserField::Profile(ProfileField::Email)));
        let begun = Instant::now();
        assert!(index.begin(&order) && !index.begin(&order));
        for n in 0..SEARCHES {
            assert!(index.begin(&search(n)));
            index.finish(&search(n), Some((7, None)));
            // The second one was requested first.
            let asked = begun + Duration::from_secs(if n == 1 { 0 } else { 1 });
            held(&index.entries).get_mut(&search(n)).unwrap().asked = asked;
        }
        assert!(index.begin(&search(SEARCHES)));
        let entries = held(&index.entries);
        assert_eq!(entries.len(), SEARCHES + 1);
        assert!(!entries.contains_key(&search(1)) && entries.contains_key(&order));
        let entry = &entries[&search(0)];
        let later = |wait: Duration| entry.asked + wait;
        assert!(matches!(entry.state, EntryState::Countless));
        assert!(!entry.is_forgotten(&search(0).1, later(FORGOTTEN)));
        assert!(entry.is_forgotten(&search(0).1, later(FORGOTTEN + Duration::from_nanos(1))));
        assert!(!entry.is_forgotten(&order.1, later(FORGOTTEN * 2)));
    }

    /// A commit from before an entry was begun has no number, so a snapshot from before it cannot be distinguished from
    /// one that includes it.
    #[test]
    fn an_older_snapshot_does_not_use_a_newer_count() {
        let (wanted, asked) = std::sync::mpsc::sync_channel(1);
        let index = Arc::new(OffsetIndex::new(wanted, KEYS));
        let key = (PartnerId(1), IndexKey::Search(SearchTerm::parse("ada").unwrap().unwrap()));
        let before = OffsetView::of(&index);
        before.ask_for(key.clone());
        assert_eq!(asked.try_recv(), Ok(key.clone()));
        assert!(index.begin(&key));
        let after = OffsetView::of(&index);
        let all = kinds(&[], None);
        assert_eq!(after.total(&key, &all, number).unwrap(), None, "it is being read");
        let mut block = Block::new(None);
        block.counts[0] = 12_000;
        index.finish(&key, Some((0, Some(SampledOrder::new(0, i64::MAX, vec![block], Some(ALL_HITS))))));
        assert_eq!(after.total(&key, &all, number).unwrap(), Some(12_000));
        assert_eq!(before.total(&key, &all, number).unwrap(), None);
        before.ask_for(key);
        assert!(asked.try_recv().is_err(), "it is there");
    }
}
