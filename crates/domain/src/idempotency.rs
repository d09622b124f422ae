//! Idempotency keys: a request with a key takes effect once, however often it is sent.
//!
//! The response is stored in the transaction of the work: neither exists without the other, whatever crashes. Of two
//! concurrent requests the later waits for the earlier one here, in memory; if several processes share a database, the
//! row of the response makes the later unit be retried.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use tenantry_core::clock::{DAY, Millis, SLACK};
use tenantry_core::error::{Conflict, Error, Result};
use tenantry_core::model::{PartnerId, UserId};
use tenantry_core::secret::Secret;
use tenantry_store::engine::sequences::FreshIds;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::stored_responses;

/// How long a response is stored.
const RETENTION: Millis = DAY;

/// Replaces a response that showed a user who has been erased since. The key stays taken: the work must not be done
/// again.
pub(super) const ERASED: &str = "erased";

/// A longer response is not stored: a repeated request then does the work again.
const MAX_LENGTH: usize = 4 * 1024 * 1024;

/// How long the second of two concurrent requests waits for the first.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The identity of a request: a key is specific to the caller, the method and the URL.
#[derive(Debug, Clone, Copy)]
pub struct IdempotentRequest<'a> {
    /// The caller's partner; 0 for an operator.
    pub pid: PartnerId,
    /// The caller, independent of the token.
    pub caller: &'a str,
    /// The method.
    pub method: &'a str,
    /// The canonical path.
    pub path: &'a str,
    /// The query as sent.
    pub query: &'a str,
    /// The key.
    pub key: &'a str,
    /// The body as sent.
    pub body: &'a [u8],
}

/// A response that can be stored.
pub trait Storable: Serialize + DeserializeOwned {
    /// Its size in bytes.
    fn length(&self) -> usize;

    /// The users whose personal values it contains.
    fn users(&self) -> Vec<(PartnerId, UserId)>;

    /// Replaces ids that were assigned in a transaction that is rolled back with null.
    fn hide_ids(&mut self, fresh: &FreshIds);
}

/// A stored response, which an edge sends and replays. Rows must be readable by later versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResponse {
    /// The status, as in HTTP.
    pub status: u16,
    /// The path of the created resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// JSON, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// The side effects of a deletion, for a dry run.
    #[serde(skip)]
    pub effects: Option<Value>,
    /// The body of the first response, if it has a secret: it is never stored.
    #[serde(skip)]
    pub shown_once: Option<Secret>,
}

impl Storable for StoredResponse {
    fn length(&self) -> usize {
        self.body.len()
    }

    fn users(&self) -> Vec<(PartnerId, UserId)> {
        let mut users = Vec::new();
        if let Ok(body) = serde_json::from_str(&self.body) {
            collect_users(&body, &mut users);
        }
        users
    }

    fn hide_ids(&mut self, fresh: &FreshIds) {
        if fresh.is_empty() {
            return;
        }
        self.location = None;
        if let Ok(mut body) = serde_json::from_str(&self.body) {
            hide_ids(&mut body, fresh);
            self.body = body.to_string();
        }
    }
}

/// Members that every representation of a user has besides its ids: an object without them is not a user.
const PERSONAL: [&str; 4] = ["username", "firstName", "lastName", "email"];

/// Finds all users in a response, at any depth. A bare id is not a user.
fn collect_users(body: &Value, users: &mut Vec<(PartnerId, UserId)>) {
    match body {
        Value::Object(members) => {
            let id = |name: &str| members.get(name).and_then(Value::as_i64);
            if let (Some(pid), Some(user_id)) = (id("pid"), id("userId"))
                && PERSONAL.iter().any(|name| members.contains_key(*name))
            {
                users.push((PartnerId(pid), UserId(user_id)));
            }
            members.values().for_each(|value| collect_users(value, users));
        }
        Value::Array(list) => list.iter().for_each(|value| collect_users(value, users)),
        _ => {}
    }
}

/// Replaces all newly assigned ids with null, at any depth.
fn hide_ids(body: &mut Value, fresh: &FreshIds) {
    match body {
        Value::Object(members) => {
            for (name, value) in members {
                let is_fresh = match value {
                    Value::Number(id) => id.as_i64().is_some_and(|id| fresh.holds(name, id)),
                    Value::String(id) => fresh.holds_text(name, id),
                    _ => false,
                };
                if is_fresh {
                    *value = Value::Null;
                } else {
                    hide_ids(value, fresh);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| hide_ids(value, fresh)),
        _ => {}
    }
}

/// The exclusive right to do the work of a key. Other requests with the same key wait as long as it lives.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    pid: PartnerId,
    key_hash: String,
    body_hash: String,
    _in_use: Arc<KeyInUse>,
}

impl IdempotencyKey {
    /// The row of the response.
    pub(super) fn key_hash(&self) -> &str {
        &self.key_hash
    }
}

/// Requests in progress, by the hash of their key.
#[derive(Debug, Clone, Default)]
pub struct KeysInUse(Arc<Mutex<HashMap<String, watch::Receiver<()>>>>);

/// A request in progress. Dropping it lets the next one continue.
#[derive(Debug)]
struct KeyInUse {
    all: KeysInUse,
    key_hash: String,
    /// Dropped with this value, which wakes the waiting requests.
    _end: watch::Sender<()>,
}

impl Drop for KeyInUse {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key_hash);
    }
}

impl KeysInUse {
    /// Waits until no other request with this key is in progress.
    ///
    /// # Errors
    /// `idempotency-key-in-use` if one takes too long.
    pub async fn acquire(&self, request: IdempotentRequest<'_>) -> Result<IdempotencyKey> {
        let mut hash = Sha256::new();
        for part in [request.caller, request.method, request.path, request.query, request.key] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.update(request.pid.0.to_le_bytes());
        let key_hash = URL_SAFE_NO_PAD.encode(hash.finalize());
        let body_hash = URL_SAFE_NO_PAD.encode(Sha256::digest(request.body));
        let key_in_use = tokio::time::timeout(TIMEOUT, self.wait(&key_hash)).await.map_err(|_| in_use())?;
        Ok(IdempotencyKey { pid: request.pid, key_hash, body_hash, _in_use: Arc::new(key_in_use) })
    }

    async fn wait(&self, key_hash: &str) -> KeyInUse {
        loop {
            let mut earlier = {
                let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                match all.get(key_hash) {
                    Some(earlier) => earlier.clone(),
                    None => {
                        let (end, waiting) = watch::channel(());
                        all.insert(key_hash.to_owned(), waiting);
                        return KeyInUse { all: self.clone(), key_hash: key_hash.to_owned(), _end: end };
                    }
                }
            };
            // Nothing is ever sent: it ends when the sender is dropped.
            let _ = earlier.changed().await;
        }
    }
}

fn in_use() -> Error {
    let detail = "a request with this Idempotency-Key is still in progress: try again later";
    Conflict::users("idempotency-key-in-use", Vec::new(), detail)
}

/// The stored response of this request, if there is one.
///
/// # Errors
/// `idempotency-key-reused` if the key was used with another body; `idempotency-key-in-use` if a bulk operation with
/// this key is not finished yet.
pub fn find<T: Storable>(tx: &mut Tx<'_>, key: &IdempotencyKey) -> Result<Option<T>> {
    let Some(stored) = stored_responses::find(tx, key.pid, &key.key_hash)? else { return Ok(None) };
    if tx.steady() >= stored.stored_at + RETENTION {
        return Ok(None);
    }
    if stored.body_hash != key.body_hash {
        let detail = "this Idempotency-Key was used with a different body: use a new key for a new request";
        return Err(Conflict::users("idempotency-key-reused", Vec::new(), detail));
    }
    let Some(response) = stored.response else { return Err(in_use()) };
    if response == ERASED {
        let detail = "the response to this Idempotency-Key contained a user who has been erased since: use a new key \
             for a new request";
        return Err(Conflict::users("answer-erased", Vec::new(), detail));
    }
    let broken = |_| Error::internal("a stored response cannot be parsed");
    serde_json::from_str(&response).map(Some).map_err(broken)
}

/// Records that the work begins.
pub(super) fn begin(tx: &mut Tx<'_>, key: &IdempotencyKey) -> Result<()> {
    stored_responses::begin(tx, key.pid, &key.key_hash, &key.body_hash)
}

/// Stores the response of the work, unless it is too long.
pub(super) fn store(tx: &mut Tx<'_>, key: &IdempotencyKey, response: &impl Storable) -> Result<()> {
    store_at(tx, key.pid, &key.key_hash, response)
}

/// As [`store`], for work that continued after its request: its entry has the row.
pub(super) fn store_at(
    tx: &mut Tx<'_>,
    pid: PartnerId,
    key_hash: &str,
    response: &impl Storable,
) -> Result<()> {
    if response.length() > MAX_LENGTH {
        return stored_responses::delete(tx, pid, key_hash);
    }
    let users = response.users();
    let response = serde_json::to_string(response)
        .map_err(|e| Error::internal(format!("a response cannot be serialized: {e}")))?;
    stored_responses::set(tx, pid, key_hash, &response)?;
    stored_responses::set_users(tx, pid, key_hash, &users)
}

/// Moves at most `limit` responses that were stored ahead of the clock to now. Returns their number.
///
/// # Errors
/// None of its own.
pub fn move_back(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    let most = tx.steady() + SLACK;
    stored_responses::move_back(tx, most, limit)
}

/// Removes at most `limit` expired responses of all partners. Returns their number.
///
/// # Errors
/// None of its own.
pub fn purge(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    let before = tx.steady() - RETENTION;
    stored_responses::purge(tx, before, limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(key: &str) -> IdempotentRequest<'_> {
        IdempotentRequest {
            pid: PartnerId(1),
            caller: "user:1",
            method: "POST",
            path: "/api/v1/users",
            query: "",
            key,
            body: b"{}",
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_waits_for_the_first_and_no_longer_than_five_seconds() {
        let all = KeysInUse::default();
        let first = all.acquire(request("a")).await.unwrap();
        // Another key does not matter.
        drop(all.acquire(request("b")).await.unwrap());
        let begun = tokio::time::Instant::now();
        let Err(Error::Conflict(conflict)) = all.acquire(request("a")).await else {
            panic!("must be refused")
        };
        assert_eq!(conflict.code, "idempotency-key-in-use");
        assert_eq!(begun.elapsed(), TIMEOUT);
        let second = tokio::spawn({
            let all = all.clone();
            async move { all.acquire(request("a")).await.map(drop) }
        });
        tokio::time::sleep(TIMEOUT / 2).await;
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap().unwrap();
        assert!(all.0.lock().unwrap().is_empty(), "nothing is left of it");
    }

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
    struct Text(String);

    impl Storable for Text {
        fn length(&self) -> usize {
            self.0.len()
        }

        fn users(&self) -> Vec<(PartnerId, UserId)> {
            Vec::new()
        }

        fn hide_ids(&mut self, _: &FreshIds) {}
    }

    #[tokio::test]
    async fn a_response_is_stored_up_to_four_megabytes() {
        use crate::unit::{self, Done, WriteOptions};
        use tenantry_store::access::nobody;
        let dir = tempfile::tempdir().unwrap();
        let (clock, random) =
            (tenantry_core::clock::Clock::manual(0), tenantry_core::random::Random::seeded(1));
        let store = tenantry_store::store::Store::open_sqlite(
            &dir.path().join("test.db"),
            clock,
            random,
            tenantry_core::account_policy::AccountPolicy::DEFAULT,
        )
        .unwrap();
        let all = KeysInUse::default();
        for (key, length, is_stored) in [("a", MAX_LENGTH, true), ("b", MAX_LENGTH + 1, false)] {
            for is_again in [false, true] {
                let idempotency_key = Some(all.acquire(request(key)).await.unwrap());
                let options = WriteOptions { idempotency_key, ..WriteOptions::default() };
                let work = move |_: &mut Tx<'_, _>| Ok(Text("\"".repeat(length)));
                let done = unit::write_in(&store, &nobody(), options, work).await.unwrap();
                let (Done::Now(text) | Done::Replayed(text)) = &done;
                assert_eq!(text.length(), length);
                assert_eq!(matches!(done, Done::Replayed(_)), is_stored && is_again, "{key}");
            }
        }
    }

    #[tokio::test]
    async fn the_key_belongs_to_caller_method_path_and_query() {
        let all = KeysInUse::default();
        let base = request("a");
        let hash = async |request| all.acquire(request).await.unwrap().key_hash.clone();
        let own = hash(base).await;
        assert_eq!(hash(IdempotentRequest { body: b"other", ..base }).await, own);
        for other in [
            IdempotentRequest { pid: PartnerId(2), ..base },
            IdempotentRequest { caller: "user:2", ..base },
            IdempotentRequest { method: "PUT", ..base },
            IdempotentRequest { path: "/api/v1/groups", ..base },
            IdempotentRequest { query: "a=b", ..base },
            IdempotentRequest { key: "b", ..base },
        ] {
            assert_ne!(hash(other).await, own, "{other:?}");
        }
    }
}
