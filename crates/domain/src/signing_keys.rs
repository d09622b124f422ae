//! The keys that sign ID tokens.
//!
//! A key is *next* from when it is made, *current* from `current_from`, *old* from `old_from`, and *gone* from `gone_at`.
//! These are stored times, so all servers of a database switch at the same moment without writing anything. A next key
//! is published long enough before it signs that every client has fetched it; an old one as long as tokens that it has
//! signed are valid, and an hour more.

mod key_set;
mod material;
mod notices;
mod rotation;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, OwnedMutexGuard};
use zeroize::Zeroizing;

pub use key_set::PublishedKeys;
use key_set::{KeySet, OpenedKey, open, signer};
use material::{Material, generate};
pub use rotation::{ListedKey, Reset, keep, list, reset, rotate};

use crate::events::{self, EventKind};
use crate::sealer::Sealer;
use crate::services::Services;
use crate::unit;
use tenantry_core::account_policy::AccountPolicy;
use tenantry_core::clock::{DAY, HOUR, Millis, SECOND};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::PartnerId;
use tenantry_core::signing_alg::SigningAlg;
use tenantry_store::access::nobody;
use tenantry_store::engine::slots::Slots;
use tenantry_store::engine::tx::{CacheKey, Tx};
use tenantry_store::tables::signing_keys::{self as table, SigningKeyRow, TABLE};

/// How long a key is published before it signs.
pub const PUBLISHED_BEFORE: Millis = DAY;

/// How long a key signs.
pub const ROTATED_EVERY: Millis = 90 * DAY;

/// How long an old key is published after its last token has ended.
pub const PUBLISHED_AFTER: Millis = HOUR;

/// How long the public part of a key is stored after it is gone, for `id_token_hint`.
pub const STORED_AFTER: Millis = 90 * DAY;

/// When a key begins to sign that is made current at once: every server must know it by then.
const AT_ONCE: Millis = 5 * SECOND;

/// Maximum number of waiting RSA signatures.
const WAITING_SIGNATURES: usize = 1_024;

/// The longest lifetime of a token that a key may sign, which decides how long it is published.
pub fn longest_token(policy: &AccountPolicy) -> Millis {
    policy.access_token.max(HOUR)
}

/// What a key is used for at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It is published and does not sign yet.
    Next,
    /// It signs.
    Current,
    /// It signs no more; it is published, since tokens that it has signed may be valid.
    Old,
    /// It is not published.
    Gone,
}

impl KeyState {
    fn of(key: &SigningKeyRow, now: Millis) -> Self {
        if key.gone_at.is_some_and(|at| at <= now) {
            Self::Gone
        } else if key.old_from.is_some_and(|at| at <= now) {
            Self::Old
        } else if key.current_from <= now {
            Self::Current
        } else {
            Self::Next
        }
    }

    /// Its name, as commands show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Old => "old",
            Self::Gone => "gone",
        }
    }
}

/// The keys in memory, and what this process has signed.
#[derive(Debug)]
pub struct SigningKeys {
    loaded: RwLock<Option<Arc<KeySet>>>,
    /// Held while this process makes a key.
    making: Arc<Mutex<()>>,
    /// RSA signatures in progress: each occupies a core.
    slots: Slots,
    signatures: [AtomicU64; SigningAlg::ALL.len()],
}

impl SigningKeys {
    /// No keys yet. `threads` is the maximum number of concurrent RSA signatures.
    pub(super) fn new(threads: usize) -> Self {
        Self {
            loaded: RwLock::default(),
            making: Arc::default(),
            slots: Slots::new(threads.max(1), WAITING_SIGNATURES, "too many tokens are waiting to be signed"),
            signatures: Default::default(),
        }
    }

    fn loaded(&self) -> Option<Arc<KeySet>> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, alg: SigningAlg) {
        if let Some(counter) =
            SigningAlg::ALL.iter().position(|one| *one == alg).and_then(|at| self.signatures.get(at))
        {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Appends the numbers of signatures in the text format of Prometheus.
    pub fn render(&self, text: &mut String) {
        const NAME: &str = "tenantry_token_signatures_total";
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {NAME} ID tokens signed, by algorithm.\n# TYPE {NAME} counter");
        for (alg, count) in SigningAlg::ALL.iter().zip(&self.signatures) {
            let _ = writeln!(text, "{NAME}{{alg=\"{}\"}} {}", alg.name(), count.load(Ordering::Relaxed));
        }
        text.push('\n');
    }

    /// Waits until this process makes no key any more.
    pub async fn idle(&self) {
        drop(self.making.lock().await);
    }
}

/// The keys, from memory if nothing has changed.
async fn load(services: &Services) -> Result<Arc<KeySet>> {
    let now = services.clock.read().latest;
    match services.signing_keys.loaded() {
        Some(set) if services.store.is_fresh(set.freshness()) && set.is_of(now) => Ok(set),
        _ => reload(services).await,
    }
}

/// The keys that are stored now.
async fn reload(services: &Services) -> Result<Arc<KeySet>> {
    let (keys, now) = (&services.signing_keys, services.clock.read().latest);
    let before = keys.loaded();
    let freshness = services.store.freshness(&CacheKey::SERVER);
    let rows = services.store.read(&nobody(), |tx| table::list(tx)).await?;
    let set = Arc::new(KeySet::new(&services.sealer, rows, before.as_deref(), freshness, now)?);
    *keys.loaded.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&set));
    Ok(set)
}

/// Makes the signing keys that clients need and that do not exist yet, in the background. Call it after every transaction
/// that creates or updates a client. A key that is still missing is made by the first signature.
pub fn make_missing(services: &Services) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    // Locked here, so that whoever fetches the keys from now on waits for the new ones.
    let making = Arc::clone(&services.signing_keys.making).try_lock_owned().ok();
    let services = services.clone();
    runtime.spawn(async move {
        let made = match making {
            Some(making) => make_missing_locked(&services, &making).await,
            None => make_missing_now(&services).await,
        };
        if let Err(error) = made {
            tracing::error!(%error, "signing keys could not be made; the first token tries again");
        }
    });
}

/// As [`make_missing`], in the foreground. Returns the number of new keys.
async fn make_missing_now(services: &Services) -> Result<usize> {
    let making = Arc::clone(&services.signing_keys.making).lock_owned().await;
    make_missing_locked(services, &making).await
}

async fn make_missing_locked(services: &Services, making: &OwnedMutexGuard<()>) -> Result<usize> {
    let sealer = Arc::clone(&services.sealer);
    let missing = services.store.read(&nobody(), move |tx| find_missing(tx, &sealer)).await?;
    for alg in &missing {
        make_locked(services, *alg, making).await?;
    }
    Ok(missing.len())
}

/// The algorithms that clients use and for which no key signs now.
fn find_missing(tx: &mut Tx<'_>, sealer: &Sealer) -> Result<Vec<SigningAlg>> {
    let (keys, now) = (open_all(tx, sealer)?, tx.latest());
    let mut algorithms = table::list_algorithms_in_use(tx)?;
    algorithms.retain(|alg| find_stored_signer(&keys, *alg, now).is_none());
    Ok(algorithms)
}

/// Makes a key, unless one signs now.
async fn make(services: &Services, alg: SigningAlg) -> Result<()> {
    let making = Arc::clone(&services.signing_keys.making).lock_owned().await;
    make_locked(services, alg, &making).await
}

async fn make_locked(services: &Services, alg: SigningAlg, _: &OwnedMutexGuard<()>) -> Result<()> {
    if load(services).await?.signer(alg, services.clock.read().latest).is_some() {
        return Ok(());
    }
    let key = NewKey::make(alg).await?;
    let sealer = Arc::clone(&services.sealer);
    unit::write(&services.store, &nobody(), move |tx| insert_first(tx, &sealer, &key)).await
}

/// A key that is not stored yet.
struct NewKey {
    alg: SigningAlg,
    kid: String,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl NewKey {
    async fn make(alg: SigningAlg) -> Result<Self> {
        let making = tokio::task::spawn_blocking(move || {
            let pkcs8 = generate(alg)?;
            let material = Material::private(alg, &pkcs8)
                .ok_or_else(|| Error::internal("a signing key that was just made is malformed"))?;
            Ok(Self { alg, kid: material.kid().to_owned(), pkcs8 })
        });
        making.await.unwrap_or_else(|_| Err(Error::internal("making a signing key panicked")))
    }

    /// Stores it: it signs from `current_from`.
    fn insert(&self, tx: &mut Tx<'_>, sealer: &Sealer, current_from: Millis) -> Result<SigningKeyRow> {
        let row = SigningKeyRow {
            kid: self.kid.clone(),
            alg: self.alg,
            key: sealer.seal(TABLE, &self.kid, &self.pkcs8)?,
            is_private: true,
            created_at: tx.now(),
            current_from,
            old_from: None,
            gone_at: None,
        };
        table::insert(tx, &row)?;
        Ok(row)
    }
}

/// Stores the first key of an algorithm, unless another process was faster.
fn insert_first(tx: &mut Tx<'_>, sealer: &Sealer, key: &NewKey) -> Result<()> {
    sealer.claim(tx)?;
    let now = tx.latest();
    if find_stored_signer(&open_all(tx, sealer)?, key.alg, now).is_some() {
        return Ok(());
    }
    let row = key.insert(tx, sealer, now)?;
    rotation::settle(tx, sealer)?;
    events::record(tx, EventKind::KeyCreated, None, Some(of_event(&row)))
}

/// Which of the stored keys of an algorithm signs now.
fn find_stored_signer(keys: &[OpenedKey], alg: SigningAlg, now: Millis) -> Option<&OpenedKey> {
    signer(keys.iter().filter(|key| key.row.alg == alg && key.row.is_private), now)
}

/// The keys that can be opened.
fn open_all(tx: &mut Tx<'_>, sealer: &Sealer) -> Result<Vec<OpenedKey>> {
    let opened = table::list(tx)?.into_iter().filter_map(|row| {
        let material = Arc::new(open(sealer, &row)?);
        Some(OpenedKey { row, material })
    });
    Ok(opened.collect())
}

fn of_event(key: &SigningKeyRow) -> Value {
    json!({ "kid": key.kid, "alg": key.alg.name(), "currentFrom": tenantry_core::clock::rfc3339(key.current_from) })
}

/// Signs the claims of an ID token: a JWT with `alg`, `typ` and `kid`. Its `exp` must not be later than
/// [`longest_token`] from now, since its key is not published longer.
///
/// # Errors
/// Unavailable, if too many signatures are waiting; a conflict, if the master key is missing.
pub async fn sign(services: &Services, alg: SigningAlg, claims: &Value) -> Result<String> {
    let now = services.clock.read().latest;
    let exp = claims.get("exp").and_then(Value::as_i64).unwrap_or(0);
    if exp.saturating_mul(SECOND) > now + longest_token(services.policy()) + SECOND {
        return Err(Error::internal("a token would live longer than its key is published"));
    }
    let material = find_signer(services, alg, now).await?;
    let body =
        serde_json::to_vec(claims).map_err(|e| Error::internal(format!("the claims of a token: {e}")))?;
    let token = if alg == SigningAlg::Rs256 {
        let pid = claims.get("pid").and_then(Value::as_i64).unwrap_or(0);
        let slot = services.signing_keys.slots.take(PartnerId(pid)).await?;
        let signing = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            material.sign(&body)
        });
        signing.await.unwrap_or_else(|_| Err(Error::internal("signing a token panicked")))?
    } else {
        // Less than a switch to another thread takes.
        material.sign(&body)?
    };
    services.signing_keys.count(alg);
    Ok(token)
}

async fn find_signer(services: &Services, alg: SigningAlg, now: Millis) -> Result<Arc<Material>> {
    let find = |set: Arc<KeySet>, now| set.signer(alg, now).map(|key| Arc::clone(&key.material));
    if let Some(material) = find(load(services).await?, now) {
        return Ok(material);
    }
    make(services, alg).await?;
    // If another server made it, this one may not have been notified yet. It signs from when it was made, which is later
    // than `now`.
    let now = services.clock.read().latest;
    find(reload(services).await?, now)
        .ok_or_else(|| Error::internal(format!("there is no {} key", alg.name())))
}

/// The public keys of the algorithms in use, which verify all ID tokens that are valid, and those of tomorrow.
///
/// # Errors
/// None of its own.
pub async fn jwks(services: &Services) -> Result<Arc<PublishedKeys>> {
    // A client whose algorithm was not used before fetches the keys at once.
    if services.signing_keys.making.try_lock().is_err() {
        services.signing_keys.idle().await;
    }
    Ok(Arc::clone(&load(services).await?.published))
}

/// The claims of an ID token that this server has signed, for `id_token_hint`. It may have expired, even long ago: the
/// caller must check `iss` and `aud`, and must not take it for a login.
///
/// # Errors
/// None of its own.
pub async fn verify_hint(services: &Services, token: &str) -> Result<Option<Map<String, Value>>> {
    let Some(kid) = jsonwebtoken::decode_header(token).ok().and_then(|header| header.kid) else {
        return Ok(None);
    };
    let set = load(services).await?;
    Ok(set.find(&kid).and_then(|key| key.material.verify(token)))
}
