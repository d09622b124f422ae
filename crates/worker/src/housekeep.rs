//! Removes expired data.

use std::collections::BTreeMap;
use std::pin::Pin;

use tenantry_core::error::Result;
use tenantry_core::model::PartnerId;
use tenantry_domain::services::Services;
use tenantry_domain::{
    authorization_codes, browser_sessions, client_changes, deleted_users, erasures, events, expensive_hashes,
    factors, idempotency, outbox, passkeys, permission_lists, refresh, sessions, set_clocks, signing_keys,
    throttle, unit, user_import, users, uses,
};
use tenantry_store::access::{nobody, system_within};
use tenantry_store::engine::tx::Tx;

/// Rows of the outbox per transaction.
const MAILS: usize = 1_000;

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

/// Search keys of users per transaction.
const KEYS: usize = 1_000;

/// Password hashes per transaction.
const HASHES: usize = 1_000;

/// The numbers of removed rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Housekeeping {
    /// Messages whose password had expired, and old rows without a message.
    pub mails: usize,
    /// Access tokens and sessions that ended more than a day ago.
    pub sessions: usize,
    /// Browser sessions that ended more than a day ago.
    pub browsers: usize,
    /// Devices that are no longer remembered.
    pub devices: usize,
    /// Answered challenges of passkeys that expired more than an hour ago.
    pub challenges: usize,
    /// Sessions that product clients may no longer have.
    pub client_sessions: usize,
    /// Authorization codes that expired more than an hour ago.
    pub codes: usize,
    /// Used refresh tokens that no longer return their successor.
    pub successors: usize,
    /// Times that were ahead because the clock was set back.
    pub times: usize,
    /// Failed logins that no longer count for their address.
    pub failures: usize,
    /// Deleted users whose retention had ended.
    pub users: usize,
    /// Responses stored more than a day ago.
    pub responses: usize,
    /// Imports that were not resumed for a week.
    pub imports: usize,
    /// Unfinished changes of permission lists.
    pub lists: usize,
    /// Password hashes whose cost was not yet recorded.
    pub hashes: usize,
    /// Erased users whose events have been blanked.
    pub erasures: usize,
    /// Users stored by a server of an older version, and now searchable by all their words.
    pub search_keys: usize,
    /// Addresses of sessions that ended a month ago.
    pub addresses: usize,
    /// Events older than `event-days`.
    pub events: usize,
    /// Signing keys that were rotated or removed.
    pub signing_keys: usize,
}

impl Housekeeping {
    /// Whether copies of removed data may remain in the write-ahead log.
    pub fn leaves_traces(&self) -> bool {
        self.mails + self.users + self.erasures + self.addresses + self.events > 0
    }
}

/// A job of housekeeping, done in steps until nothing is left to do.
struct Job {
    /// Its name in the log.
    name: &'static str,
    work: Work,
    /// The count that it reports to.
    counted: fn(&mut Housekeeping) -> &mut usize,
}

/// How a job is done. Each step is bounded, so that no request waits long.
enum Work {
    /// Rows of all partners: the limit of a transaction, and the transaction. A full one is followed by another.
    Rows(usize, fn(&mut Tx<'_>, i64) -> Result<usize>),
    /// Partner by partner: the limit of a transaction, the partners that have such rows, and a transaction in one of them.
    Partners(usize, ListPartners, fn(&mut Tx<'_>, i64) -> Result<Step>),
    /// A function of its own.
    Own(for<'a> fn(&'a Services) -> Running<'a>),
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<usize>> + Send + 'a>>;

type ListPartners = fn(&mut Tx<'_>, i64) -> Result<Vec<PartnerId>>;

/// The result of a step in a partner.
struct Step {
    done: usize,
    has_more: bool,
}

/// The jobs in their order: times ahead of the clock are moved back first, users are erased before their events are blanked.
const JOBS: [Job; 20] = [
    Job { name: "times ahead", work: Work::Own(|s| Box::pin(move_back(s))), counted: |done| &mut done.times },
    Job { name: "outbox", work: Work::Own(|s| Box::pin(clear_outbox(s))), counted: |done| &mut done.mails },
    Job { name: "sessions", work: Work::Rows(SESSIONS, sessions::purge), counted: |done| &mut done.sessions },
    Job {
        name: "authorization codes",
        work: Work::Rows(SESSIONS, authorization_codes::purge),
        counted: |done| &mut done.codes,
    },
    Job {
        name: "browser sessions",
        work: Work::Rows(SESSIONS, browser_sessions::purge),
        counted: |done| &mut done.browsers,
    },
    Job {
        name: "challenges of passkeys",
        work: Work::Rows(SESSIONS, passkeys::purge),
        counted: |done| &mut done.challenges,
    },
    Job {
        name: "remembered devices",
        work: Work::Rows(SESSIONS, factors::devices::purge),
        counted: |done| &mut done.devices,
    },
    Job {
        name: "sessions of product clients",
        work: Work::Own(|s| Box::pin(client_changes::settle(s))),
        counted: |done| &mut done.client_sessions,
    },
    Job {
        name: "successors of refresh tokens",
        work: Work::Rows(SESSIONS, refresh::forget_successors),
        counted: |done| &mut done.successors,
    },
    Job {
        name: "failed logins",
        work: Work::Rows(FAILURES, throttle::purge),
        counted: |done| &mut done.failures,
    },
    Job {
        name: "lists of permissions",
        work: Work::Own(|s| Box::pin(permission_lists::settle_leftovers(&s.store, &s.large_units))),
        counted: |done| &mut done.lists,
    },
    Job {
        name: "deleted users",
        work: Work::Own(|s| Box::pin(erase_users(s))),
        counted: |done| &mut done.users,
    },
    Job {
        name: "events of erased users",
        work: Work::Partners(EVENTS, erasures::list_partners, blank_events),
        counted: |done| &mut done.erasures,
    },
    Job {
        name: "addresses of sessions",
        work: Work::Rows(EVENTS, erasures::erase_addresses),
        counted: |done| &mut done.addresses,
    },
    Job {
        name: "old events",
        work: Work::Partners(EVENTS, events::list_partners_with_old, purge_events),
        counted: |done| &mut done.events,
    },
    Job {
        name: "stored responses",
        work: Work::Rows(ANSWERS, idempotency::purge),
        counted: |done| &mut done.responses,
    },
    Job { name: "imports", work: Work::Rows(ANSWERS, user_import::purge), counted: |done| &mut done.imports },
    Job {
        name: "password hashes",
        work: Work::Rows(HASHES, expensive_hashes::look_at),
        counted: |done| &mut done.hashes,
    },
    Job {
        name: "search keys",
        work: Work::Rows(KEYS, users::store_search_keys),
        counted: |done| &mut done.search_keys,
    },
    Job {
        name: "signing keys",
        work: Work::Own(|s| Box::pin(signing_keys::keep(s))),
        counted: |done| &mut done.signing_keys,
    },
];

/// Removes expired data in steps, so that no request waits long, and stores when sessions were last used.
///
/// # Errors
/// Errors of the store. Completed steps stay.
pub async fn housekeep(services: &Services) -> Result<Housekeeping> {
    for step in services.uses.take().chunks(SESSIONS) {
        let step = step.to_vec();
        unit::write_large(&services.store, &nobody(), move |tx| uses::store(tx, &step)).await?;
    }
    for step in services.uses.take_of_browsers().chunks(SESSIONS) {
        let step = step.to_vec();
        unit::write_large(&services.store, &nobody(), move |tx| uses::store_of_browsers(tx, &step)).await?;
    }
    let mut done = Housekeeping::default();
    for job in &JOBS {
        let count = job.run(services).await.inspect_err(|error| {
            // The worker logs the error, once per outage.
            tracing::debug!(job = job.name, %error, "housekeeping failed");
        })?;
        if count > 0 {
            tracing::debug!(job = job.name, count, "housekeeping");
        }
        *(job.counted)(&mut done) = count;
    }
    // After the job "password hashes", which may find more expensive ones.
    unit::write(&services.store, &nobody(), |tx| expensive_hashes::lower(tx)).await?;
    Ok(done)
}

impl Job {
    /// Does it until nothing is left; how much was done.
    async fn run(&self, services: &Services) -> Result<usize> {
        let store = &services.store;
        let mut done = 0;
        match self.work {
            Work::Own(work) => work(services).await,
            Work::Rows(limit, step) => loop {
                let count = unit::write_large(store, &nobody(), move |tx| step(tx, rows(limit))).await?;
                done += count;
                if count < limit {
                    return Ok(done);
                }
            },
            Work::Partners(limit, list, step) => loop {
                let partners = store.scan(&nobody(), move |tx| list(tx, rows(PARTNERS))).await?;
                let mut is_stuck = true;
                for &pid in &partners {
                    loop {
                        let within = system_within(pid);
                        let step = unit::write_large(store, &within, move |tx| step(tx, rows(limit))).await?;
                        done += step.done;
                        is_stuck &= step.done == 0;
                        if !step.has_more {
                            break;
                        }
                    }
                }
                // Rows that another process has locked are left to it.
                if partners.len() < PARTNERS || is_stuck {
                    return Ok(done);
                }
            },
        }
    }
}

/// Moves stored times that are ahead of the clock back: it was set back since, in a way that no process could measure.
async fn move_back(services: &Services) -> Result<usize> {
    let store = &services.store;
    let mut done = unit::write(store, &nobody(), |tx| set_clocks::move_back(tx)).await?;
    loop {
        let found = store.read(&nobody(), |tx| outbox::list_waiting_too_long(tx, rows(MAILS))).await?;
        if found.is_empty() {
            break;
        }
        done += found.len();
        unit::write(store, &nobody(), move |tx| outbox::make_due(tx, &found)).await?;
    }
    loop {
        let step =
            unit::write_large(store, &nobody(), |tx| idempotency::move_back(tx, rows(ANSWERS))).await?;
        done += step;
        if step < ANSWERS {
            break;
        }
    }
    if done > 0 {
        tracing::warn!(
            count = done,
            "stored times were ahead of the clock, which was set back: they count as now"
        );
    }
    Ok(done)
}

/// Overwrites messages whose password has expired, and removes old rows without a message.
async fn clear_outbox(services: &Services) -> Result<usize> {
    let mut done = 0;
    loop {
        // Read outside of the writer: this is a scan.
        let found = services.store.read(&nobody(), |tx| outbox::list_unneeded(tx, rows(MAILS))).await?;
        let count = found.len();
        if count > 0 {
            done += unit::write(&services.store, &nobody(), move |tx| outbox::clear(tx, &found)).await?;
        }
        if count < MAILS {
            return Ok(done);
        }
    }
}

/// Erases deleted users whose retention has ended; each writes an event of its partner.
async fn erase_users(services: &Services) -> Result<usize> {
    let mut erased = 0;
    loop {
        let due = services.store.read(&nobody(), |tx| deleted_users::list_due(tx, rows(USERS))).await?;
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

/// Blanks events of erased users.
fn blank_events(tx: &mut Tx<'_>, limit: i64) -> Result<Step> {
    let step = erasures::step(tx, limit)?;
    Ok(Step { done: step.done, has_more: step.has_more })
}

/// Removes events that are older than the policy keeps them.
fn purge_events(tx: &mut Tx<'_>, limit: i64) -> Result<Step> {
    let done = events::purge(tx, limit)?;
    Ok(Step { done, has_more: rows(done) == limit })
}

/// Removes traces of removed messages and personal values from the write-ahead log, and of messages from pages that
/// were split while they contained them. Returns false if there are too many undelivered messages, or if a long read
/// needs the log: try again later.
///
/// # Errors
/// Of the store.
pub async fn scrub(services: &Services) -> Result<bool> {
    let is_rewritten =
        unit::write_large(&services.store, &nobody(), |tx| outbox::rewrite(tx, rows(MAILS))).await?;
    // Unconditionally: most traces are in the log.
    Ok(services.store.empty_log().await? && is_rewritten)
}

fn rows(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
