//! Removes expired data.

use std::collections::BTreeMap;

use tenantry_core::error::Result;
use tenantry_domain::services::Services;
use tenantry_domain::{
    deleted_users, erasures, events, expensive_hashes, once, outbox, permission_lists, sessions, throttle,
    unit, user_import, uses,
};
use tenantry_store::access::{Within, nobody, system_within};
use tenantry_store::engine::tx::Tx;

/// Rows of the outbox per transaction.
const LETTERS: usize = 1_000;

/// Access tokens, and sessions with their refresh tokens, per transaction.
const SESSIONS: usize = 500;

/// Failed logins per transaction.
const FAILURES: usize = 1_000;
/// Deleted users per transaction.
const USERS: usize = 500;

/// Events per transaction.
const EVENTS: usize = 500;

/// Partners per query.
const PARTNERS: usize = 100;

/// Stored responses, and imports, per transaction: each may have megabytes, and other writers wait until they are
/// overwritten.
const ANSWERS: usize = 10;

/// Password hashes per transaction.
const HASHES: usize = 1_000;

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Housekeeping {
    /// Messages whose password had expired, and old rows without a message.
    pub letters: usize,
    /// Access tokens and sessions that ended more than a day ago.
    pub sessions: usize,
    /// Failed logins that no longer count for their address.
    pub failures: usize,
    /// Deleted users whose retention had ended.
    pub users: usize,
    /// Responses stored more than a day ago.
    pub answers: usize,
    /// Imports that were not resumed for a week.
    pub imports: usize,
    /// Unfinished changes of permission lists.
    pub lists: usize,
    /// Password hashes whose cost was not yet recorded.
    pub hashes: usize,
    /// Erased users whose events have been blanked.
    pub erasures: usize,
    /// Addresses of sessions that ended a month ago.
    pub addresses: usize,
    /// Events older than `event-days`.
    pub events: usize,
}

impl Housekeeping {
    /// Whether copies of removed data may remain in the write-ahead log.
    pub fn leaves_traces(&self) -> bool {
        self.letters + self.users + self.erasures + self.addresses + self.events > 0
    }
}

/// Removes expired data in steps, so that no request waits long, and stores when sessions were last used.
///
/// # Errors
/// Errors of the store. Completed steps stay.
pub async fn housekeep(services: &Services) -> Result<Housekeeping> {
    let mut done = Housekeeping::default();
    for step in services.uses.take().chunks(SESSIONS) {
        let step = step.to_vec();
        unit::write_large(&services.store, &nobody(), move |tx| uses::store(tx, &step)).await?;
    }
    loop {
        let found = services.store.read(&nobody(), |tx| outbox::list_leftovers(tx, rows(LETTERS))).await?;
        let count = found.len();
        if count > 0 {
            done.letters +=
                unit::write(&services.store, &nobody(), move |tx| outbox::clear(tx, &found)).await?;
        }
        if count < LETTERS {
            break;
        }
    }
    loop {
        let count =
            unit::write_large(&services.store, &nobody(), |tx| sessions::purge(tx, rows(SESSIONS))).await?;
        done.sessions += count;
        if count < SESSIONS {
            break;
        }
    }
    loop {
        let count = unit::write(&services.store, &nobody(), |tx| throttle::purge(tx, rows(FAILURES))).await?;
        done.failures += count;
        if count < FAILURES {
            break;
        }
    }
    done.lists = permission_lists::settle_leftovers(&services.store, &services.large_units).await?;
    done.users = erase_users(services).await?;
    done.erasures = blank_events(services).await?;
    loop {
        let count =
            unit::write_large(&services.store, &nobody(), |tx| erasures::erase_addresses(tx, rows(EVENTS)))
                .await?;
        done.addresses += count;
        if count < EVENTS {
            break;
        }
    }
    done.events = purge_events(services).await?;
    loop {
        let count =
            unit::write_large(&services.store, &nobody(), |tx| once::purge(tx, rows(ANSWERS))).await?;
        done.answers += count;
        if count < ANSWERS {
            break;
        }
    }
    loop {
        let purge = |tx: &mut Tx<'_, Within>| user_import::purge(tx, rows(ANSWERS));
        let count = unit::write_large(&services.store, &nobody(), purge).await?;
        done.imports += count;
        if count < ANSWERS {
            break;
        }
    }
    loop {
        let look = |tx: &mut Tx<'_, Within>| expensive_hashes::look_at(tx, rows(HASHES));
        let count = unit::write_large(&services.store, &nobody(), look).await?;
        done.hashes += count;
        if count < HASHES {
            break;
        }
    }
    unit::write(&services.store, &nobody(), |tx| expensive_hashes::lower(tx)).await?;
    Ok(done)
}

/// Erases deleted users whose retention has ended; each writes an event of its partner.
async fn erase_users(services: &Services) -> Result<usize> {
    let mut erased = 0;
    loop {
        let due = services.store.read(&nobody(), move |tx| deleted_users::list_due(tx, rows(USERS))).await?;
        let count = due.len();
        let mut by_partner: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (pid, user_id) in due {
            by_partner.entry(pid).or_default().push(user_id);
        }
        for (pid, ids) in by_partner {
            unit::write_large(&services.store, &system_within(pid), move |tx| {
                deleted_users::erase_due(tx, &ids)
            })
            .await?;
        }
        erased += count;
        if count < USERS {
            return Ok(erased);
        }
    }
}

/// Blanks the events of erased users, partner by partner.
async fn blank_events(services: &Services) -> Result<usize> {
    let mut done = 0;
    loop {
        let partners =
            services.store.read(&nobody(), |tx| erasures::list_partners(tx, rows(PARTNERS))).await?;
        let mut is_stuck = true;
        for &pid in &partners {
            loop {
                let step = |tx: &mut Tx<'_, Within>| erasures::step(tx, rows(EVENTS));
                let step = unit::write_large(&services.store, &system_within(pid), step).await?;
                done += step.done;
                is_stuck &= step.done == 0;
                if !step.has_more {
                    break;
                }
            }
        }
        // Rows taken by another process are left to it.
        if partners.len() < PARTNERS || is_stuck {
            return Ok(done);
        }
    }
}

/// Removes events older than `event-days`, partner by partner.
async fn purge_events(services: &Services) -> Result<usize> {
    let Some(kept) = services.policy().events else { return Ok(0) };
    let mut gone = 0;
    loop {
        let list = move |tx: &mut Tx<'_, Within>| events::list_partners_with_old(tx, kept, rows(PARTNERS));
        let partners = services.store.scan(&nobody(), list).await?;
        let mut is_stuck = true;
        for &pid in &partners {
            loop {
                let purge = move |tx: &mut Tx<'_, Within>| events::purge(tx, kept, rows(EVENTS));
                let count = unit::write_large(&services.store, &system_within(pid), purge).await?;
                gone += count;
                is_stuck &= count == 0;
                if count < EVENTS {
                    break;
                }
            }
        }
        if partners.len() < PARTNERS || is_stuck {
            return Ok(gone);
        }
    }
}

/// Removes traces of removed messages and personal values from the write-ahead log, and of messages from pages that
/// were split while they contained them. Returns false if there are too many undelivered messages, or if a long read
/// needs the log: try again later.
///
/// # Errors
/// Of the store.
pub async fn scrub(services: &Services) -> Result<bool> {
    let is_rewritten =
        unit::write_large(&services.store, &nobody(), |tx| outbox::rewrite(tx, rows(LETTERS))).await?;
    // Unconditionally: most traces are in the log.
    Ok(services.store.empty_log().await? && is_rewritten)
}

fn rows(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
