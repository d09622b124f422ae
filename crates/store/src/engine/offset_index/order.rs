//! One order of users: its sample points, the number of users of each kind between two of them, and the changes by the
//! latest commits, so that an older snapshot finds its own page.

use std::collections::{HashMap, VecDeque};

use crate::engine::sort_key::SortKey;
use tenantry_core::model::{PartnerId, Status};
use tenantry_core::user_fields::UserField;

/// The number of users from one sample point to the next.
pub(crate) const SPACING: i64 = 2_048;

/// Once two sample points are this many times as far apart, the order is rebuilt.
const WIDEST: i64 = 4;

/// Up to this offset a page is found without sample points: skipping a few thousand rows takes less than a millisecond.
pub(crate) const NEAR: i64 = 2 * SPACING;

/// Number of changes that are kept for readers with an older snapshot.
const REMEMBERED: usize = 65_536;

/// Kinds of users that are counted separately, so that filters by status and admin flag find their pages, too.
pub(crate) const KINDS: usize = 2 * Status::ALL.len();

/// The kind of a user.
pub(crate) fn kind(status: i64, is_admin: bool) -> usize {
    usize::try_from(status).unwrap_or(0).min(Status::ALL.len() - 1) * 2 + usize::from(is_admin)
}

/// A set of kinds.
pub(crate) type Kinds = [bool; KINDS];

/// The kinds of users with any of these statuses (empty: all) and with this admin flag, if given.
pub(crate) fn kinds(statuses: &[Status], is_admin: Option<bool>) -> Kinds {
    let mut kinds = [false; KINDS];
    for status in Status::ALL.iter().filter(|status| statuses.is_empty() || statuses.contains(status)) {
        for right in [false, true].into_iter().filter(|right| is_admin.is_none_or(|only| only == *right)) {
            if let Some(is_wanted) = kinds.get_mut(kind(status.code(), right)) {
                *is_wanted = true;
            }
        }
    }
    kinds
}

/// A user's position in an order.
pub(crate) type SortPosition = (SortKey, i64);

/// A requested page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) pid: PartnerId,
    pub(crate) sort: UserField,
    pub(crate) descending: bool,
    kinds: Kinds,
    pub(crate) offset: i64,
    pub(crate) size: i64,
}

impl Wanted {
    /// Users with any of these statuses (empty: all) and with this admin flag, if given.
    pub(crate) fn new(
        (pid, sort, descending): (PartnerId, UserField, bool),
        statuses: &[Status],
        is_admin: Option<bool>,
        (offset, size): (i64, i64),
    ) -> Self {
        let kinds = kinds(statuses, is_admin);
        Self { pid, sort, descending, kinds, offset, size }
    }
}

/// Its location, in ascending order: `take` users after `skip` users from the one at `first` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageLocation {
    pub(crate) first: Option<SortPosition>,
    pub(crate) skip: i64,
    pub(crate) take: i64,
}

/// One user added or removed at a position.
#[derive(Debug, Clone)]
pub(crate) struct CountChange {
    pub(crate) position: SortPosition,
    pub(crate) kind: usize,
    pub(crate) by: i64,
}

/// The users from a sample point up to the next one.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The sample point. `None` for the first block: it begins with the first user.
    pub(crate) first: Option<SortPosition>,
    pub(crate) counts: [i64; KINDS],
}

impl Block {
    pub(crate) fn new(first: Option<SortPosition>) -> Self {
        Self { first, counts: [0; KINDS] }
    }

    pub(crate) fn count(&self) -> i64 {
        self.counts.iter().sum()
    }
}

/// The sample points of one order.
#[derive(Debug)]
pub(crate) struct SampledOrder {
    /// The number of users from one sample point to the next when they were built.
    spacing: i64,
    blocks: Vec<Block>,
    /// The last position of any user.
    last: Option<SortPosition>,
    /// The latest changes, each with its commit's number.
    recent: VecDeque<(i64, Vec<CountChange>)>,
    remembered: usize,
    /// A snapshot from before this commit is too old.
    oldest: i64,
}

impl SampledOrder {
    /// As read in a snapshot of commit `oldest`.
    pub(crate) fn new(oldest: i64, spacing: i64, blocks: Vec<Block>, last: Option<SortPosition>) -> Self {
        Self { spacing, blocks, last, recent: VecDeque::new(), remembered: 0, oldest }
    }

    fn block_of(&self, position: &SortPosition) -> usize {
        let after =
            self.blocks.partition_point(|block| block.first.as_ref().is_none_or(|first| first <= position));
        after.saturating_sub(1)
    }

    /// Applies the changes of a commit; false when the sample points are now too far apart.
    pub(crate) fn take(&mut self, number: i64, deltas: Vec<CountChange>) -> bool {
        let mut is_fit = true;
        for delta in &deltas {
            if delta.by > 0 && self.last.as_ref().is_none_or(|last| delta.position > *last) {
                // Orders by time grow at their end.
                if self.blocks.last().is_some_and(|block| block.count() >= self.spacing) {
                    self.blocks.push(Block::new(Some(delta.position.clone())));
                }
                self.last = Some(delta.position.clone());
            }
            let at = self.block_of(&delta.position);
            if let Some(block) = self.blocks.get_mut(at) {
                if let Some(count) = block.counts.get_mut(delta.kind) {
                    *count += delta.by;
                }
                is_fit &= block.count() <= self.spacing.saturating_mul(WIDEST);
            }
        }
        self.remembered += deltas.len();
        self.recent.push_back((number, deltas));
        while self.remembered > REMEMBERED
            && let Some((number, deltas)) = self.recent.pop_front()
        {
            self.remembered -= deltas.len();
            self.oldest = number;
        }
        is_fit
    }

    /// The number of users of these kinds in a snapshot of commit `number`; `None` if that is too old.
    pub(crate) fn total(&self, kinds: &Kinds, number: i64) -> Option<i64> {
        if number < self.oldest {
            return None;
        }
        let counted = |kind: usize| kinds.get(kind).copied().unwrap_or(false);
        let counts = self.blocks.iter().flat_map(|block| block.counts.iter().enumerate());
        let now: i64 = counts.filter(|(kind, _)| counted(*kind)).map(|(_, count)| count).sum();
        let ahead = self.ahead_of(number).filter(|delta| counted(delta.kind));
        Some(now - ahead.map(|delta| delta.by).sum::<i64>())
    }

    /// The changes that a snapshot of commit `number` does not include.
    fn ahead_of(&self, number: i64) -> impl Iterator<Item = &CountChange> {
        self.recent.iter().rev().take_while(move |(of, _)| *of > number).flat_map(|(_, deltas)| deltas)
    }

    /// The location of the page in a snapshot of commit `number`; `None` if that is too old.
    pub(crate) fn seek(&self, wanted: &Wanted, number: i64) -> Option<PageLocation> {
        if number < self.oldest {
            return None;
        }
        let counted = |kind: usize| wanted.kinds.get(kind).copied().unwrap_or(false);
        let mut ahead: HashMap<usize, i64> = HashMap::new();
        for delta in self.ahead_of(number).filter(|delta| counted(delta.kind)) {
            *ahead.entry(self.block_of(&delta.position)).or_default() += delta.by;
        }
        let of = |(at, block): (usize, &Block)| -> i64 {
            let all = block.counts.iter().enumerate().filter(|(kind, _)| counted(*kind));
            all.map(|(_, count)| count).sum::<i64>() - ahead.get(&at).copied().unwrap_or(0)
        };
        let total: i64 = self.blocks.iter().enumerate().map(of).sum();
        let end =
            if wanted.descending { total - wanted.offset } else { (wanted.offset + wanted.size).min(total) };
        let start = if wanted.descending { (end - wanted.size).max(0) } else { wanted.offset };
        let take = (end - start).max(0);
        let mut before = 0;
        for (at, block) in self.blocks.iter().enumerate() {
            let count = of((at, block));
            if before + count > start || at + 1 == self.blocks.len() {
                return Some(PageLocation {
                    first: block.first.clone(),
                    skip: (start - before).max(0),
                    take,
                });
            }
            before += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Rows = BTreeMap<SortPosition, usize>;

    /// The ids of a page of these rows, determined in the simplest way.
    fn plain(rows: &Rows, wanted: &Wanted) -> Vec<i64> {
        let counts = |kind: &usize| wanted.kinds[*kind];
        let mut ids: Vec<i64> =
            rows.iter().filter(|(_, kind)| counts(kind)).map(|((_, id), _)| *id).collect();
        if wanted.descending {
            ids.reverse();
        }
        let (offset, size) = (wanted.offset as usize, wanted.size as usize);
        ids.into_iter().skip(offset).take(size).collect()
    }

    /// The same, from the result of `seek`.
    fn by_sample(rows: &Rows, wanted: &Wanted, found: &PageLocation) -> Vec<i64> {
        let behind = rows.iter().filter(|(position, kind)| {
            wanted.kinds[**kind] && found.first.as_ref().is_none_or(|first| first <= position)
        });
        let ids = behind.map(|((_, id), _)| *id).skip(found.skip as usize).take(found.take as usize);
        let mut ids: Vec<i64> = ids.collect();
        if wanted.descending {
            ids.reverse();
        }
        ids
    }

    proptest! {
        /// After any changes in any order, each snapshot finds its own page.
        #[test]
        fn every_snapshot_finds_its_own_page(
            changes in proptest::collection::vec((0_i64..60, 0_i64..12, 0..KINDS, any::<bool>()), 1..150),
            asked in proptest::collection::vec((0_usize..150, 0_i64..90, 1_i64..9, any::<bool>(), 1_u8..64), 20),
        ) {
            let mut samples = SampledOrder::new(0, 4, vec![Block::new(None)], None);
            let mut now: HashMap<i64, (i64, usize)> = HashMap::new();
            let picture = |now: &HashMap<i64, (i64, usize)>| -> Rows {
                now.iter().map(|(id, (key, kind))| ((SortKey::Int(*key), *id), *kind)).collect()
            };
            let mut snapshots = vec![picture(&now)];
            for (number, (id, key, kind, stays)) in (1..).zip(changes) {
                let mut deltas = Vec::new();
                if let Some((key, kind)) = now.remove(&id) {
                    deltas.push(CountChange { position: (SortKey::Int(key), id), kind, by: -1 });
                }
                if stays {
                    now.insert(id, (key, kind));
                    deltas.push(CountChange { position: (SortKey::Int(key), id), kind, by: 1 });
                }
                samples.take(number, deltas);
                snapshots.push(picture(&now));
            }
            for (at, offset, size, descending, kinds) in asked {
                let at = at % snapshots.len();
                let mut wanted = Wanted::new((PartnerId(1), UserField::CreatedAt, descending), &[], None, (offset, size));
                wanted.kinds = std::array::from_fn(|kind| kinds & (1 << kind) != 0);
                let found = samples.seek(&wanted, at as i64).unwrap();
                prop_assert_eq!(by_sample(&snapshots[at], &wanted, &found), plain(&snapshots[at], &wanted));
                let total = snapshots[at].values().filter(|kind| wanted.kinds[**kind]).count() as i64;
                prop_assert_eq!(samples.total(&wanted.kinds, at as i64), Some(total));
            }
        }
    }

    #[test]
    fn a_snapshot_that_is_too_old_is_not_guessed_at() {
        let mut samples = SampledOrder::new(7, 4, vec![Block::new(None)], None);
        let wanted = Wanted::new((PartnerId(1), UserField::CreatedAt, false), &[], None, (0, 1));
        assert_eq!((samples.seek(&wanted, 6), samples.seek(&wanted, 7).is_some()), (None, true));
        assert_eq!((samples.total(&wanted.kinds, 6), samples.total(&wanted.kinds, 7)), (None, Some(0)));
        let delta = |id| CountChange { position: (SortKey::Int(1), id), kind: 0, by: 1 };
        samples.take(8, (0..REMEMBERED as i64).map(delta).collect());
        assert!(samples.seek(&wanted, 7).is_some());
        assert!(samples.take(9, vec![delta(-1)]));
        assert_eq!((samples.seek(&wanted, 7), samples.seek(&wanted, 8).is_some()), (None, true));
        // A user before the first sample point extends the first block.
        let is_fit: Vec<bool> = (10..40).map(|n| samples.take(n, vec![delta(-n)])).collect();
        assert!(is_fit[0] && !is_fit[29], "{is_fit:?}");
    }
}
