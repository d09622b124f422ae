//! Callers, cached: a request with a token seen before costs no database work of its own.
//!
//! Invalidation is exact. Every entry remembers the generation of its user, session and partner; a change bumps
//! them after COMMIT and before the answer, so an entry from before the change is not believed at the next
//! request. A fill takes the counter of all invalidations before it reads and keeps its entry only if that has
//! not moved, so a change that commits between read and insert is never overlooked.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::tx::Stale;
use crate::access::TokenFacts;
use crate::error::Result;

/// How many tokens are kept.
const CAPACITY: usize = 131_072;

/// Generations are kept for slots, not for each user: two users in one slot cost each other a cache miss.
const SLOTS: usize = 16_384;

/// SHA-256 of an access token.
pub type TokenHash = [u8; 32];

/// Callers by the hash of their token.
pub(super) struct CallerCache {
    entries: quick_cache::sync::Cache<TokenHash, Entry>,
    generations: Vec<AtomicU64>,
    invalidations: AtomicU64,
}

#[derive(Clone)]
struct Entry {
    facts: Arc<TokenFacts>,
    /// Slot and generation of the user (if any), the session and the partner.
    seen: [(usize, u64); 3],
}

impl CallerCache {
    pub(super) fn new() -> Self {
        Self {
            entries: quick_cache::sync::Cache::new(CAPACITY),
            generations: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            invalidations: AtomicU64::new(0),
        }
    }

    /// What is known of a token, from memory or through `read`.
    pub(super) fn get_or_read(
        &self,
        hash: &TokenHash,
        read: impl FnOnce() -> Result<Option<TokenFacts>>,
    ) -> Result<Option<Arc<TokenFacts>>> {
        if let Some(entry) = self.entries.get(hash)
            && entry.seen.iter().all(|&(slot, generation)| self.generation(slot) == generation)
        {
            return Ok(Some(entry.facts));
        }
        let before = self.invalidations.load(Ordering::SeqCst);
        let Some(facts) = read()?.map(Arc::new) else { return Ok(None) };
        let slots = [
            facts.user_id.map_or(0, |id| slot(&Stale::User(facts.pid, id))),
            slot(&Stale::Session(facts.pid, facts.session_id.clone())),
            slot(&Stale::Partner(facts.pid)),
        ];
        let seen = slots.map(|slot| (slot, self.generation(slot)));
        // Read after the generations: if it has not moved, they belong to what was read.
        if self.invalidations.load(Ordering::SeqCst) == before {
            self.entries.insert(*hash, Entry { facts: Arc::clone(&facts), seen });
        }
        Ok(Some(facts))
    }

    /// Forgets callers. Called after COMMIT, before the answer.
    pub(super) fn forget(&self, stale: &[Stale]) {
        if stale.is_empty() {
            return;
        }
        self.invalidations.fetch_add(1, Ordering::SeqCst);
        for what in stale {
            if let Some(generation) = self.generations.get(slot(what)) {
                generation.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn generation(&self, slot: usize) -> u64 {
        self.generations.get(slot).map_or(0, |g| g.load(Ordering::SeqCst))
    }
}

fn slot(what: &Stale) -> usize {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    usize::try_from(hasher.finish() % SLOTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PartnerId, UserId};

    fn facts(user: i64) -> TokenFacts {
        TokenFacts {
            pid: PartnerId(1),
            session_id: String::from("s"),
            user_id: Some(UserId(user)),
            client_id: String::from("tenantry"),
            is_admin: false,
            is_active: true,
            is_suspended: false,
            is_restricted: false,
            issued_at: 0,
            expires_at: 1,
            noted: crate::access::LastUse::default(),
        }
    }

    #[test]
    fn an_entry_is_believed_until_its_user_session_or_partner_changes() {
        let cache = CallerCache::new();
        let hash = [7; 32];
        for stale in [
            Stale::User(PartnerId(1), UserId(5)),
            Stale::Session(PartnerId(1), String::from("s")),
            Stale::Partner(PartnerId(1)),
        ] {
            cache.get_or_read(&hash, || Ok(Some(facts(5)))).unwrap();
            let kept = cache.get_or_read(&hash, || panic!("must come from memory")).unwrap();
            assert_eq!(kept.unwrap().user_id, Some(UserId(5)));
            cache.forget(&[stale]);
            assert!(cache.get_or_read(&hash, || Ok(None)).unwrap().is_none());
        }
    }

    #[test]
    fn a_fill_that_an_invalidation_overtook_is_not_kept() {
        let cache = CallerCache::new();
        let hash = [8; 32];
        cache
            .get_or_read(&hash, || {
                cache.forget(&[Stale::User(PartnerId(1), UserId(5))]);
                Ok(Some(facts(5)))
            })
            .unwrap();
        assert!(cache.get_or_read(&hash, || Ok(None)).unwrap().is_none());
    }
}
