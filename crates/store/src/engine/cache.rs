//! The cache in memory: callers, so that a request with a known token needs no query of its own, and representations of
//! users that are read often.
//!
//! Invalidation is exact. Every entry remembers the generations of the user, session and partner it depends on; a
//! change bumps them after COMMIT and before the response, so an entry from before the change is not used by the next
//! request. A fill reads the counter of all invalidations before it queries and stores its entry only if that has not
//! changed, so a change that commits between query and insert is never missed.
//!
//! If other processes write to the same database, their changes arrive through a channel (`listen.rs`). The cache is
//! then used only under a lease, which is renewed by what comes back through that channel.

use std::any::TypeId;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::access::{BrowserFacts, TokenFacts};
use crate::engine::tx::CacheKey;
use tenantry_core::error::Result;
use tenantry_core::model::{PartnerId, User, UserId};

/// Maximum number of cached tokens.
const CALLERS: usize = 131_072;

/// Maximum number of cached browser sessions.
const BROWSERS: usize = 65_536;

/// Maximum number of web origins for which is cached whether a client has a redirect URI there.
const ORIGINS: usize = 4_096;

/// Maximum number of cached users, each in one representation.
const USERS: usize = 16_384;

/// The number of users for which a first read is remembered.
const READ_ONCE: usize = 65_536;

/// Generations are per slot, not per user: two users in one slot cause each other cache misses.
const SLOTS: usize = 16_384;

/// Changes without notification (a login changes `lastLoginAt`) become visible in other processes after this time.
const USER_LIFE: Duration = Duration::from_secs(1);

/// SHA-256 of an access token, or of the cookie of a browser session.
pub type TokenHash = [u8; 32];

/// A user as shown in responses: serialized once, not on each read, and one allocation instead of ten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownUser {
    /// Its tag (RFC 9110 §8.8.3), without quotes.
    pub tag: String,
    /// The response body.
    pub body: Bytes,
}

/// A representation of users in responses (RFC 9110 section 3.2). Its output is cached by its type, so that an edge is
/// never served the bytes of another one. All values of one type must serialize alike, for the lifetime of the process.
pub trait UserRepresentation: 'static {
    /// Serializes a user for the cache: all callers get the same bytes.
    ///
    /// # Errors
    /// It cannot be serialized.
    fn show(&self, user: &User) -> Result<ShownUser>;
}

/// A user in a representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct UserKey {
    pid: PartnerId,
    user_id: UserId,
    representation: TypeId,
}

impl UserKey {
    pub(crate) fn of<R: UserRepresentation>(pid: PartnerId, user_id: UserId) -> Self {
        Self { pid, user_id, representation: TypeId::of::<R>() }
    }
}

/// The cached data.
pub(crate) struct Cache {
    callers: quick_cache::sync::Cache<TokenHash, Entry<TokenFacts>>,
    browsers: quick_cache::sync::Cache<TokenHash, Entry<BrowserFacts>>,
    origins: quick_cache::sync::Cache<String, Entry<bool>>,
    users: quick_cache::sync::Cache<UserKey, Entry<ShownUser>>,
    read_once: ReadOnce,
    generations: Vec<AtomicU64>,
    /// Incremented when everything is invalidated.
    epoch: AtomicU64,
    invalidations: AtomicU64,
    lease: Lease,
}

struct Entry<T> {
    value: Arc<T>,
    epoch: u64,
    /// Slots and generations that it depends on.
    seen: [(usize, u64); 3],
    since: Instant,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), ..*self }
    }
}

/// Taken before a query, so that its result is cached only if nothing has changed meanwhile.
pub(crate) struct Filling {
    invalidations: u64,
}

/// Taken before a read whose result is kept elsewhere than in this cache: tells later whether the result is current.
#[derive(Debug, Clone, Copy)]
pub struct Freshness {
    was_believed: bool,
    epoch: u64,
    slot: usize,
    generation: u64,
}

impl Cache {
    /// A cache that is always valid, for the only process of a database; or one that needs a lease.
    pub(crate) fn new(is_alone: bool) -> Self {
        Self {
            callers: quick_cache::sync::Cache::new(CALLERS),
            browsers: quick_cache::sync::Cache::new(BROWSERS),
            origins: quick_cache::sync::Cache::new(ORIGINS),
            users: quick_cache::sync::Cache::new(USERS),
            read_once: ReadOnce((0..READ_ONCE).map(|_| AtomicU32::new(0)).collect()),
            generations: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            epoch: AtomicU64::new(0),
            invalidations: AtomicU64::new(0),
            lease: Lease {
                origin: Instant::now(),
                until: AtomicU64::new(if is_alone { u64::MAX } else { 0 }),
            },
        }
    }

    /// The cached facts of a token.
    pub(crate) fn caller(&self, hash: &TokenHash) -> Option<Arc<TokenFacts>> {
        self.believed(self.callers.get(hash)?).map(|entry| entry.value)
    }

    /// The cached facts of a browser session.
    pub(crate) fn browser(&self, hash: &TokenHash) -> Option<Arc<BrowserFacts>> {
        self.believed(self.browsers.get(hash)?).map(|entry| entry.value)
    }

    /// Whether a client has a redirect URI of this web origin, if that is cached.
    pub(crate) fn origin(&self, origin: &str) -> Option<bool> {
        self.believed(self.origins.get(origin)?).map(|entry| *entry.value)
    }

    /// The cached representation of a user.
    pub(crate) fn user(&self, key: UserKey) -> Option<Arc<ShownUser>> {
        let entry = self.believed(self.users.get(&key)?)?;
        (self.lease.is_for_ever() || entry.since.elapsed() < USER_LIFE).then_some(entry.value)
    }

    /// Must be called before the query.
    pub(crate) fn filling(&self) -> Filling {
        Filling { invalidations: self.invalidations.load(Ordering::SeqCst) }
    }

    /// Stores the facts of a token.
    pub(crate) fn keep_caller(&self, filling: &Filling, hash: &TokenHash, facts: &Arc<TokenFacts>) {
        if let Some(entry) = self.entry(filling, facts, needs_of(facts)) {
            self.callers.insert(*hash, entry);
        }
    }

    /// Stores the facts of a browser session.
    pub(crate) fn keep_browser(&self, filling: &Filling, hash: &TokenHash, facts: &Arc<BrowserFacts>) {
        if let Some(entry) = self.entry(filling, facts, needs_of(&facts.caller)) {
            self.browsers.insert(*hash, entry);
        }
    }

    /// Stores whether a client has a redirect URI of this web origin.
    pub(crate) fn keep_origin(&self, filling: &Filling, origin: &str, is_known: bool) {
        if let Some(entry) = self.entry(filling, &Arc::new(is_known), [slot(&CacheKey::SERVER); 3]) {
            self.origins.insert(origin.to_owned(), entry);
        }
    }

    /// Stores a user, unless this is the first time that it is read: if users are read at random among millions,
    /// storing each costs a seventh of reading it, and evicts those that are read often.
    pub(crate) fn keep_user(&self, filling: &Filling, key: UserKey, user: &Arc<ShownUser>) {
        if self.read_once.is_new(key) {
            return;
        }
        let of_user = slot(&CacheKey::User(key.pid, key.user_id));
        let needs = [of_user, of_user, slot(&CacheKey::Partner(key.pid))];
        if let Some(entry) = self.entry(filling, user, needs) {
            self.users.insert(key, entry);
        }
    }

    fn entry<T>(&self, filling: &Filling, value: &Arc<T>, needs: [usize; 3]) -> Option<Entry<T>> {
        let entry = Entry {
            value: Arc::clone(value),
            epoch: self.epoch.load(Ordering::SeqCst),
            seen: needs.map(|slot| (slot, self.generation(slot))),
            since: Instant::now(),
        };
        // Read after the generations: if it has not changed, they belong to what was read.
        let is_current = self.invalidations.load(Ordering::SeqCst) == filling.invalidations;
        (is_current && self.lease.holds()).then_some(entry)
    }

    fn believed<T>(&self, entry: Entry<T>) -> Option<Entry<T>> {
        let is_current = entry.epoch == self.epoch.load(Ordering::SeqCst)
            && entry.seen.iter().all(|&(slot, generation)| self.generation(slot) == generation);
        (is_current && self.lease.holds()).then_some(entry)
    }

    /// Invalidates what has changed. Called after COMMIT, before the response, and on notification by another process.
    pub(crate) fn invalidate<'s>(&self, keys: impl IntoIterator<Item = &'s CacheKey>) {
        let mut keys = keys.into_iter().peekable();
        if keys.peek().is_none() {
            return;
        }
        self.invalidations.fetch_add(1, Ordering::SeqCst);
        for what in keys {
            if *what == CacheKey::All {
                self.epoch.fetch_add(1, Ordering::SeqCst);
            } else if let Some(generation) = self.generations.get(slot(what)) {
                generation.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    /// Must be called before the read.
    pub(crate) fn freshness(&self, of: &CacheKey) -> Freshness {
        let slot = slot(of);
        Freshness {
            was_believed: self.lease.holds(),
            epoch: self.epoch.load(Ordering::SeqCst),
            slot,
            generation: self.generation(slot),
        }
    }

    /// Whether nothing has been invalidated since that concerns it.
    pub(crate) fn is_fresh(&self, freshness: &Freshness) -> bool {
        freshness.was_believed
            && freshness.epoch == self.epoch.load(Ordering::SeqCst)
            && freshness.generation == self.generation(freshness.slot)
            && self.lease.holds()
    }

    /// Invalidates everything: it is unknown what was missed.
    pub(crate) fn invalidate_all(&self) {
        self.invalidations.fetch_add(1, Ordering::SeqCst);
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Extends the lease to `life` after `heard`.
    pub(crate) fn renew(&self, heard: Instant, life: Duration) {
        self.lease.renew(heard, life);
    }

    /// Whether the cache may be used now.
    pub(crate) fn is_believed(&self) -> bool {
        self.lease.holds()
    }

    fn generation(&self, slot: usize) -> u64 {
        self.generations.get(slot).map_or(0, |g| g.load(Ordering::SeqCst))
    }
}

/// Users that were read, each in the slot of its hash, until another one replaces it.
struct ReadOnce(Box<[AtomicU32]>);

impl ReadOnce {
    /// Whether this is the first read of the user that is remembered. Remembers it.
    fn is_new(&self, key: UserKey) -> bool {
        let hash = hash(&key);
        // Half of the hash is the slot, the other half is the content.
        let (place, mark) = ((hash >> 32) % READ_ONCE as u64, hash as u32);
        let place = usize::try_from(place).ok().and_then(|at| self.0.get(at));
        place.is_none_or(|place| place.swap(mark, Ordering::Relaxed) != mark)
    }
}

/// The end of the lease, in milliseconds from its origin; `u64::MAX` = forever.
struct Lease {
    origin: Instant,
    until: AtomicU64,
}

impl Lease {
    fn renew(&self, heard: Instant, life: Duration) {
        if !self.is_for_ever() {
            let until = (heard + life).saturating_duration_since(self.origin).as_millis();
            self.until.store(u64::try_from(until).unwrap_or(0), Ordering::SeqCst);
        }
    }

    fn is_for_ever(&self) -> bool {
        self.until.load(Ordering::Relaxed) == u64::MAX
    }

    fn holds(&self) -> bool {
        // The only process of a database does not read the clock.
        self.is_for_ever()
            || self.origin.elapsed().as_millis() < u128::from(self.until.load(Ordering::SeqCst))
    }
}

/// What the facts of a caller depend on.
fn needs_of(facts: &TokenFacts) -> [usize; 3] {
    [
        facts.user_id.map_or(0, |id| slot(&CacheKey::User(facts.pid, id))),
        slot(&CacheKey::Session(facts.pid, facts.session_id.clone())),
        slot(&CacheKey::Partner(facts.pid)),
    ]
}

fn slot(what: &CacheKey) -> usize {
    usize::try_from(hash(what) % SLOTS as u64).unwrap_or(0)
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(user: i64) -> Arc<TokenFacts> {
        Arc::new(TokenFacts {
            pid: PartnerId(1),
            session_id: String::from("s"),
            user_id: Some(UserId(user)),
            client_id: String::from("tenantry"),
            is_admin: false,
            is_active: true,
            is_suspended: false,
            is_restricted: false,
            scopes: tenantry_core::scopes::TokenScopes::ALL_API,
            issued_at: 0,
            expires_at: 1,
            noted: crate::access::LastUse::default(),
            is_browser: false,
            signed_in: crate::access::SignInFacts::default(),
            factor_due: None,
        })
    }

    /// A representation that is a constant text.
    struct Text;

    impl UserRepresentation for Text {
        fn show(&self, _: &User) -> Result<ShownUser> {
            Ok((*shown()).clone())
        }
    }

    /// Another one.
    struct OtherText;

    impl UserRepresentation for OtherText {
        fn show(&self, user: &User) -> Result<ShownUser> {
            Text.show(user)
        }
    }

    fn ada() -> UserKey {
        UserKey::of::<Text>(PartnerId(1), UserId(5))
    }

    fn shown() -> Arc<ShownUser> {
        Arc::new(ShownUser { tag: String::from("u5-1"), body: Bytes::from_static(b"ada") })
    }

    #[test]
    fn each_representation_has_its_own_bytes_and_all_are_forgotten_together() {
        let cache = Cache::new(true);
        let other = UserKey::of::<OtherText>(PartnerId(1), UserId(5));
        let other_shown =
            Arc::new(ShownUser { tag: String::from("w1"), body: Bytes::from_static(b"<ada/>") });
        for _ in 0..2 {
            cache.keep_user(&cache.filling(), ada(), &shown());
        }
        assert_eq!(cache.user(other), None);
        cache.keep_user(&cache.filling(), other, &other_shown);
        assert_eq!(cache.user(other), None, "it was read once only");
        cache.keep_user(&cache.filling(), other, &other_shown);
        assert_eq!((cache.user(ada()), cache.user(other)), (Some(shown()), Some(other_shown)));
        cache.invalidate([&CacheKey::User(PartnerId(1), UserId(5))]);
        assert_eq!((cache.user(ada()), cache.user(other)), (None, None));
    }

    #[test]
    fn an_entry_is_valid_until_its_user_session_or_partner_changes() {
        let cache = Cache::new(true);
        let hash = [7; 32];
        cache.keep_user(&cache.filling(), ada(), &shown());
        assert!(cache.user(ada()).is_none(), "it was read once only");
        for key in [
            CacheKey::User(PartnerId(1), UserId(5)),
            CacheKey::Session(PartnerId(1), String::from("s")),
            CacheKey::Partner(PartnerId(1)),
        ] {
            cache.keep_caller(&cache.filling(), &hash, &facts(5));
            cache.keep_user(&cache.filling(), ada(), &shown());
            assert_eq!(cache.caller(&hash).unwrap().user_id, Some(UserId(5)));
            assert_eq!(cache.user(ada()), Some(shown()));
            cache.invalidate([&key]);
            assert!(cache.caller(&hash).is_none());
            let is_session = matches!(key, CacheKey::Session(..));
            assert_eq!(cache.user(ada()).is_some(), is_session);
        }
        cache.keep_caller(&cache.filling(), &hash, &facts(5));
        cache.invalidate([&CacheKey::Partner(PartnerId(2)), &CacheKey::All]);
        assert!(cache.caller(&hash).is_none());
        cache.keep_caller(&cache.filling(), &hash, &facts(5));
        cache.invalidate_all();
        assert!(cache.caller(&hash).is_none());
    }

    #[test]
    fn the_caches_of_sessions_and_origins_are_bounded() {
        let cache = Cache::new(true);
        let facts = Arc::new(BrowserFacts {
            caller: facts(5),
            is_kept: false,
            ends_at: 1,
            expires_at: std::sync::atomic::AtomicI64::new(1),
        });
        for n in 0..1_000_000_u64 {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&n.to_be_bytes());
            cache.keep_browser(&cache.filling(), &hash, &facts);
        }
        assert!((BROWSERS / 2..=BROWSERS).contains(&cache.browsers.len()), "{}", cache.browsers.len());
        for n in 0..3 * ORIGINS {
            cache.keep_origin(&cache.filling(), &format!("https://{n}.example"), false);
        }
        assert!((ORIGINS / 2..=ORIGINS).contains(&cache.origins.len()), "{}", cache.origins.len());
    }

    #[test]
    fn an_origin_is_cached_until_the_redirect_uris_of_clients_change() {
        let cache = Cache::new(true);
        let origin = "https://spa.example";
        assert_eq!(cache.origin(origin), None);
        for is_known in [true, false] {
            cache.keep_origin(&cache.filling(), origin, is_known);
            assert_eq!((cache.origin(origin), cache.origin("https://other.example")), (Some(is_known), None));
            cache.invalidate([&CacheKey::User(PartnerId(0), UserId(5))]);
            assert_eq!(cache.origin(origin), Some(is_known));
            cache.invalidate([&CacheKey::SERVER]);
            assert_eq!(cache.origin(origin), None);
        }
        let filling = cache.filling();
        cache.invalidate([&CacheKey::SERVER]);
        cache.keep_origin(&filling, origin, true);
        assert_eq!(cache.origin(origin), None, "a change overtook the read");
    }

    #[test]
    fn a_fill_overtaken_by_an_invalidation_is_not_cached() {
        let cache = Cache::new(true);
        let hash = [8; 32];
        let filling = cache.filling();
        cache.invalidate([&CacheKey::User(PartnerId(1), UserId(5))]);
        cache.keep_caller(&filling, &hash, &facts(5));
        assert!(cache.caller(&hash).is_none());
        for invalidate_all in [true, false, true] {
            let filling = cache.filling();
            if invalidate_all {
                cache.invalidate_all();
            }
            cache.keep_user(&filling, ada(), &shown());
            assert_eq!(cache.user(ada()).is_some(), !invalidate_all);
        }
    }

    #[test]
    fn what_is_cached_elsewhere_is_fresh_until_it_changes() {
        let server = CacheKey::Partner(PartnerId(0));
        let cache = Cache::new(true);
        let before = cache.freshness(&server);
        cache.invalidate([&CacheKey::Partner(PartnerId(1)), &CacheKey::User(PartnerId(0), UserId(5))]);
        assert!(cache.is_fresh(&before));
        cache.invalidate([&server]);
        assert!(!cache.is_fresh(&before));
        let before = cache.freshness(&server);
        assert!(cache.is_fresh(&before));
        cache.invalidate_all();
        assert!(!cache.is_fresh(&before));
        // Without a lease, changes of other processes may have been missed.
        let cache = Cache::new(false);
        let before = cache.freshness(&server);
        assert!(!cache.is_fresh(&before));
        cache.renew(Instant::now(), Duration::from_secs(3_600));
        assert!(!cache.is_fresh(&before) && cache.is_fresh(&cache.freshness(&server)));
    }

    #[test]
    fn without_a_lease_the_cache_is_not_used() {
        let cache = Cache::new(false);
        let hash = [9; 32];
        cache.keep_caller(&cache.filling(), &hash, &facts(5));
        assert!(cache.caller(&hash).is_none(), "there was no lease yet");
        cache.renew(Instant::now(), Duration::from_secs(3_600));
        assert!(cache.caller(&hash).is_none(), "what was read without a lease was not kept");
        cache.keep_caller(&cache.filling(), &hash, &facts(5));
        assert!(cache.caller(&hash).is_some());
        cache.renew(Instant::now(), Duration::ZERO);
        assert!(cache.caller(&hash).is_none(), "the lease has ended");
    }
}
