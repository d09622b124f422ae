//! Rotation and housekeeping of keys, and what commands do with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use super::key_set::open;
use super::notices;
use super::{
    AT_ONCE, KeyState, NewKey, PUBLISHED_AFTER, PUBLISHED_BEFORE, ROTATED_EVERY, STORED_AFTER, longest_token,
    of_event, open_all,
};
use crate::events::{self, EventKind};
use crate::factors;
use crate::sealer::{self, MasterKeyProblem, Sealer};
use crate::services::Services;
use crate::unit;
use tenantry_core::clock::{Millis, SLACK};
use tenantry_core::error::{Conflict, Error, Result};
use tenantry_core::signing_alg::SigningAlg;
use tenantry_store::access::{Operator, nobody};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::server_keys;
use tenantry_store::tables::signing_keys::{self as table, SigningKeyRow, TABLE};

/// A key in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// Its id.
    pub kid: String,
    /// Its algorithm.
    pub alg: SigningAlg,
    /// What it is used for; `None` if it cannot be unsealed.
    pub state: Option<KeyState>,
    /// When it was made.
    pub created_at: Millis,
    /// When it begins to sign.
    pub current_from: Millis,
    /// When it stops.
    pub old_from: Option<Millis>,
    /// When it is no longer published.
    pub gone_at: Option<Millis>,
}

/// The result of [`reset`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// The ids of keys that were removed.
    pub removed: Vec<String>,
    /// The keys that sign from now on.
    pub made: Vec<ListedKey>,
    /// The number of admins who get a mail.
    pub mailed: usize,
}

/// All keys, those of an algorithm in the order in which they sign.
///
/// # Errors
/// None of its own.
pub async fn list(services: &Services, by: Operator) -> Result<Vec<ListedKey>> {
    let sealer = Arc::clone(&services.sealer);
    services.store.scan(&by, move |tx| listed(tx, &sealer)).await
}

fn listed(tx: &mut Tx<'_>, sealer: &Sealer) -> Result<Vec<ListedKey>> {
    let now = tx.latest();
    let shape = |row: SigningKeyRow| {
        let is_open = open(sealer, &row).is_some();
        let SigningKeyRow { kid, alg, created_at, current_from, old_from, gone_at, .. } = row.clone();
        let state = is_open.then(|| KeyState::of(&row, now));
        ListedKey { kid, alg, state, created_at, current_from, old_from, gone_at }
    };
    Ok(table::list(tx)?.into_iter().map(shape).collect())
}

/// Sets when each key stops to sign: when the next one of its algorithm begins. A key that is replaced is published until
/// the last token that it can sign has ended, and a while more. Keys that cannot be opened do not count.
pub(super) fn settle(tx: &mut Tx<'_>, sealer: &Sealer) -> Result<usize> {
    let kept = longest_token(tx.policy()) + PUBLISHED_AFTER;
    let (keys, now) = (open_all(tx, sealer)?, tx.latest());
    let mut changed = 0;
    for (at, key) in keys.iter().enumerate() {
        let successor = keys.get(at + 1).filter(|next| next.row.alg == key.row.alg);
        // One that was ended without a successor stays so.
        let ended = key.row.old_from.filter(|at| *at <= now);
        let old_from = successor.map(|next| next.row.current_from).or(ended);
        // The longest lifetime of a token may have been raised, which keys are published longer for, or lowered.
        let gone_at =
            old_from.map(|at| at + kept).max(key.row.gone_at.filter(|_| key.row.old_from == old_from));
        let is_over = key.row.gone_at.is_some_and(|at| at <= now);
        if is_over || (key.row.old_from, key.row.gone_at) == (old_from, gone_at) {
            continue;
        }
        table::set_times(tx, &SigningKeyRow { old_from, gone_at, ..key.row.clone() })?;
        changed += 1;
    }
    Ok(changed)
}

/// Replaces the current key of each algorithm by another one: in 24 hours, when every client has fetched it, or with
/// `at_once` in a few seconds, when every server has it. Returns all keys. A key that is waiting for its turn already is not
/// replaced.
///
/// # Errors
/// A conflict, if the master key is missing.
pub async fn rotate(services: &Services, by: Operator, at_once: bool) -> Result<Vec<ListedKey>> {
    services.sealer.expect_key()?;
    let _making = services.signing_keys.making.lock().await;
    let mut fresh = BTreeMap::new();
    for key in list(services, by).await? {
        if !fresh.contains_key(&key.alg) && matches!(key.state, Some(KeyState::Current)) {
            fresh.insert(key.alg, NewKey::make(key.alg).await?);
        }
    }
    let sealer = Arc::clone(&services.sealer);
    let work = move |tx: &mut Tx<'_, Operator>| {
        for key in fresh.values() {
            rotate_in(tx, &sealer, key, at_once)?;
        }
        listed(tx, &sealer)
    };
    unit::write(&services.store, &by, work).await
}

/// Makes a key the successor of the current one of its algorithm.
fn rotate_in(tx: &mut Tx<'_>, sealer: &Sealer, key: &NewKey, at_once: bool) -> Result<()> {
    sealer.claim(tx)?;
    let now = tx.latest();
    let from = now + if at_once { AT_ONCE } else { PUBLISHED_BEFORE };
    let next = open_all(tx, sealer)?
        .into_iter()
        .map(|key| key.row)
        .find(|row| row.alg == key.alg && row.is_private && matches!(KeyState::of(row, now), KeyState::Next));
    let row = match next {
        Some(next) if next.current_from <= from => return Ok(()),
        // What is published already is what clients have.
        Some(next) => {
            let next = SigningKeyRow { current_from: from, ..next };
            table::set_times(tx, &next)?;
            next
        }
        None => key.insert(tx, sealer, from)?,
    };
    settle(tx, sealer)?;
    tracing::info!(alg = row.alg.name(), kid = row.kid, "the signing key is rotated");
    events::record(tx, EventKind::KeyRotated, None, Some(of_event(&row)))
}

/// Makes missing keys, rotates those that are due, or ends them if no client uses their algorithm any more, removes
/// private keys that sign no more, and in the end the public ones. Returns the number of changes.
///
/// # Errors
/// Those of the store. Without the master key nothing is done.
pub async fn keep(services: &Services) -> Result<usize> {
    let mut done = super::make_missing_now(services).await?;
    let sealer = Arc::clone(&services.sealer);
    let due = services.store.read(&nobody(), move |tx| find_due(tx, &sealer)).await?;
    for (alg, is_in_use) in due.rotated {
        // An algorithm that no client uses any more: its key is not replaced.
        let key = if is_in_use { Some(NewKey::make(alg).await?) } else { None };
        let sealer = Arc::clone(&services.sealer);
        let work = move |tx: &mut Tx<'_>| {
            // Another process may have done it.
            if !find_due(tx, &sealer)?.rotated.contains(&(alg, is_in_use)) {
                return Ok(());
            }
            match &key {
                Some(key) => rotate_in(tx, &sealer, key, false),
                None => end(tx, &sealer, alg),
            }
        };
        unit::write(&services.store, &nobody(), move |tx| work(tx)).await?;
        done += 1;
    }
    if due.is_untidy {
        let sealer = Arc::clone(&services.sealer);
        done += unit::write(&services.store, &nobody(), move |tx| tidy(tx, &sealer)).await?;
    }
    Ok(done)
}

/// What housekeeping has to do.
#[derive(Debug, Default)]
struct Due {
    /// Algorithms whose newest key has signed long enough, and whether clients use them.
    rotated: Vec<(SigningAlg, bool)>,
    /// Whether keys have to be removed, or their times set.
    is_untidy: bool,
}

fn find_due(tx: &mut Tx<'_>, sealer: &Sealer) -> Result<Due> {
    let (now, kept) = (tx.latest(), longest_token(tx.policy()) + PUBLISHED_AFTER);
    let keys = open_all(tx, sealer)?;
    let mut newest = BTreeMap::new();
    let mut due = Due::default();
    for key in keys.iter().map(|key| &key.row) {
        // In the order in which they sign.
        newest.insert(key.alg, key);
        let (signs, is_gone) =
            (key.old_from.is_none_or(|at| now < at + SLACK), key.gone_at.is_some_and(|at| at <= now));
        let is_short = key.old_from.zip(key.gone_at).is_some_and(|(from, gone)| gone < from + kept);
        due.is_untidy |= (!signs && key.is_private) || is_forgotten(key, now) || (is_short && !is_gone);
    }
    let in_use = table::list_algorithms_in_use(tx)?;
    let is_due = |key: &&SigningKeyRow| {
        key.old_from.is_none() && now >= key.current_from + ROTATED_EVERY - PUBLISHED_BEFORE
    };
    due.rotated =
        newest.values().copied().filter(is_due).map(|key| (key.alg, in_use.contains(&key.alg))).collect();
    Ok(due)
}

/// Ends the newest key of an algorithm, which no client uses any more. Tokens that it has signed can still be verified.
fn end(tx: &mut Tx<'_>, sealer: &Sealer, alg: SigningAlg) -> Result<()> {
    sealer.claim(tx)?;
    let (now, kept) = (tx.latest(), longest_token(tx.policy()) + PUBLISHED_AFTER);
    for key in open_all(tx, sealer)?.into_iter().map(|key| key.row).filter(|row| row.alg == alg) {
        if key.old_from.is_none() {
            let ended = SigningKeyRow { old_from: Some(now), gone_at: Some(now + kept), ..key };
            table::set_times(tx, &ended)?;
            tracing::info!(alg = alg.name(), kid = ended.kid, "no client uses the signing key any more");
        }
    }
    Ok(())
}

fn is_forgotten(key: &SigningKeyRow, now: Millis) -> bool {
    key.gone_at.is_some_and(|at| at + STORED_AFTER <= now)
}

fn tidy(tx: &mut Tx<'_>, sealer: &Sealer) -> Result<usize> {
    sealer.claim(tx)?;
    let now = tx.latest();
    let mut done = settle(tx, sealer)?;
    for key in open_all(tx, sealer)? {
        let row = key.row;
        if is_forgotten(&row, now) {
            table::delete(tx, &row.kid)?;
        } else if row.is_private && row.old_from.is_some_and(|at| at + SLACK <= now) {
            let public = sealer.seal(TABLE, &row.kid, key.material.public_bytes())?;
            table::set_key(tx, &row.kid, &public, false)?;
        } else {
            continue;
        }
        done += 1;
    }
    Ok(done)
}

/// Makes new keys in place of those that cannot be unsealed, or with `force` of all: tokens that they have signed can then
/// no longer be verified, of which the admins of affected partners are told by mail. The database recognizes the master key
/// of this process from now on.
///
/// # Errors
/// A conflict, if nothing is lost, or there is no master key to seal with, unless with `force`.
pub async fn reset(services: &Services, by: Operator, force: bool) -> Result<Reset> {
    let _making = services.signing_keys.making.lock().await;
    let problem = services.sealer.problem();
    let before = list(services, by).await?;
    if !force {
        refuse_needless(problem, &before)?;
    }
    let mut fresh = BTreeMap::new();
    for key in &before {
        if key.state != Some(KeyState::Gone) && !fresh.contains_key(&key.alg) {
            fresh.insert(key.alg, NewKey::make(key.alg).await?);
        }
    }
    services.sealer.forgive();
    let sealer = Arc::clone(&services.sealer);
    let work = move |tx: &mut Tx<'_, Operator>| {
        if problem.is_some() {
            server_keys::claim(tx)?;
            sealer::replace(tx, &sealer)?;
        } else {
            sealer.claim(tx)?;
        }
        let (now, mut made) = (tx.latest(), Vec::new());
        let (mut removed, mut algorithms) = (Vec::new(), BTreeSet::new());
        for row in table::list(tx)? {
            if force || open(&sealer, &row).is_none() {
                table::delete(tx, &row.kid)?;
                // Tokens that a key has signed are valid until it is gone.
                if KeyState::of(&row, now) != KeyState::Gone {
                    algorithms.insert(row.alg);
                }
                removed.push(row.kid);
            }
        }
        let lost = factors::totp::remove_lost(tx, &sealer)?;
        for key in fresh.values() {
            let keys = open_all(tx, &sealer)?;
            let mut of_alg =
                keys.iter().map(|one| &one.row).filter(|row| row.alg == key.alg && row.is_private);
            if !of_alg.any(|row| KeyState::of(row, now) == KeyState::Current) {
                made.push(key.insert(tx, &sealer, now)?);
            }
        }
        settle(tx, &sealer)?;
        let kids: Vec<&str> = made.iter().map(|row| row.kid.as_str()).collect();
        tracing::warn!(?removed, made = ?kids, "the signing keys were reset");
        let (before, after) =
            (json!({ "removed": removed }), json!({ "made": kids, "authenticatorsRemoved": lost }));
        events::record(tx, EventKind::KeysReset, Some(before), Some(after))?;
        let mailed = notices::mail_reset(tx, &algorithms)?;
        let made = listed(tx, &sealer)?.into_iter().filter(|key| kids.contains(&key.kid.as_str())).collect();
        Ok(Reset { removed, made, mailed })
    };
    unit::write(&services.store, &by, work).await
}

fn refuse_needless(problem: Option<MasterKeyProblem>, keys: &[ListedKey]) -> Result<()> {
    let conflict = |code, detail: &'static str| {
        Error::Conflict(Conflict { code, detail: detail.into(), field: None, users: Vec::new() })
    };
    match problem {
        // Perhaps only this process lacks it.
        Some(MasterKeyProblem::Missing) => Err(conflict(
            "no-master-key",
            "no master key is set: set master-key-file to a new one (openssl rand -base64 32), or give --force to store \
             keys unsealed",
        )),
        None if keys.iter().all(|key| key.state.is_some()) => Err(conflict(
            "nothing-lost",
            "all keys can be unsealed: use `tenantry key rotate` to replace them, or give --force to make every token \
             that they have signed invalid",
        )),
        _ => Ok(()),
    }
}
