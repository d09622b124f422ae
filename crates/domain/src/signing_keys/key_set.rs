//! The keys in memory.

use std::sync::Arc;

use bytes::Bytes;
use jsonwebtoken::jwk::JwkSet;
use sha2::{Digest as _, Sha256};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::KeyState;
use super::material::Material;
use crate::sealer::Sealer;
use tenantry_core::clock::{Millis, SLACK};
use tenantry_core::error::{Error, Result};
use tenantry_core::signing_alg::SigningAlg;
use tenantry_store::engine::cache::Freshness;
use tenantry_store::tables::signing_keys::{SigningKeyRow, TABLE};

/// The public keys as clients fetch them (RFC 7517 section 5), made once.
#[derive(Debug, Clone)]
pub struct PublishedKeys {
    /// The JSON document.
    pub body: Bytes,
    /// Its entity tag, without quotes.
    pub tag: String,
}

/// A stored key that was opened.
#[derive(Debug, Clone)]
pub(super) struct OpenedKey {
    pub(super) row: SigningKeyRow,
    pub(super) material: Arc<Material>,
}

/// All keys at one moment.
#[derive(Debug)]
pub(super) struct KeySet {
    pub(super) keys: Vec<OpenedKey>,
    pub(super) published: Arc<PublishedKeys>,
    freshness: Freshness,
    /// When the next key stops being published.
    until: Millis,
}

/// Opens a stored key; `None` if it was changed, or sealed with another master key.
pub(super) fn open(sealer: &Sealer, row: &SigningKeyRow) -> Option<Material> {
    let key = sealer.open(TABLE, &row.kid, &row.key)?;
    let material =
        if row.is_private { Material::private(row.alg, &key) } else { Material::public(row.alg, &key) }?;
    (material.kid() == row.kid).then_some(material)
}

impl KeySet {
    /// Opens the keys; `before` has some of them already. Keys that cannot be opened are left out, and logged.
    pub(super) fn new(
        sealer: &Sealer,
        rows: Vec<SigningKeyRow>,
        before: Option<&Self>,
        freshness: Freshness,
        now: Millis,
    ) -> Result<Self> {
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            let known = before.and_then(|before| before.find(&row.kid)).filter(|key| {
                (key.row.alg, key.row.is_private, &key.row.key) == (row.alg, row.is_private, &row.key)
            });
            let material = match known {
                Some(key) => Arc::clone(&key.material),
                None => match open(sealer, &row) {
                    Some(material) => Arc::new(material),
                    None => {
                        tracing::error!(
                            kid = row.kid,
                            alg = row.alg.name(),
                            "a signing key cannot be unsealed and is not used: its row was changed, or sealed with another \
                             master key; `tenantry key reset` removes it"
                        );
                        continue;
                    }
                },
            };
            keys.push(OpenedKey { row, material });
        }
        let is_published = |key: &&OpenedKey| key.row.gone_at.is_none_or(|gone| now < gone);
        let until = keys.iter().filter(is_published).filter_map(|key| key.row.gone_at).min();
        let published = publish(keys.iter().filter(is_published))?;
        Ok(Self { published: Arc::new(published), keys, freshness, until: until.unwrap_or(Millis::MAX) })
    }

    pub(super) fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// Whether the published keys are those of this moment.
    pub(super) fn is_of(&self, now: Millis) -> bool {
        now < self.until
    }

    /// The key that signs now.
    pub(super) fn signer(&self, alg: SigningAlg, now: Millis) -> Option<&OpenedKey> {
        signer(self.keys.iter().filter(|key| key.row.alg == alg && key.material.is_private()), now)
    }

    /// The key with this id, published or not.
    pub(super) fn find(&self, kid: &str) -> Option<&OpenedKey> {
        self.keys.iter().find(|key| key.row.kid == kid)
    }
}

/// Which of the keys of an algorithm signs now: the newest that has begun to. Another server's clock may be ahead: a key
/// that begins in a moment is good if there is no other.
pub(super) fn signer<'k>(
    keys: impl Iterator<Item = &'k OpenedKey> + Clone,
    now: Millis,
) -> Option<&'k OpenedKey> {
    let current = |at: Millis| {
        let keys = keys.clone().filter(move |key| KeyState::of(&key.row, at) == KeyState::Current);
        keys.max_by_key(|key| key.row.current_from)
    };
    current(now).or_else(|| current(now + SLACK))
}

fn publish<'k>(keys: impl Iterator<Item = &'k OpenedKey>) -> Result<PublishedKeys> {
    let set = JwkSet { keys: keys.map(|key| key.material.jwk().clone()).collect() };
    let body = serde_json::to_vec(&set).map_err(|e| Error::internal(format!("the keys: {e}")))?;
    let tag = URL_SAFE_NO_PAD.encode(Sha256::digest(&body).get(..12).unwrap_or_default());
    Ok(PublishedKeys { body: body.into(), tag })
}
