//! Keys that sign ID tokens. They are the server's, so this file uses `Tx::unscoped`.

use crate::engine::driver::Row;
use crate::engine::tx::{CacheKey, Tx};
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Result};
use tenantry_core::signing_alg::SigningAlg;

/// The name of the table, by which keys are sealed.
pub const TABLE: &str = "signing_keys";

/// A stored key.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeyRow {
    /// Its id: the thumbprint of RFC 7638.
    pub kid: String,
    /// Its algorithm.
    pub alg: SigningAlg,
    /// PKCS#8, or the public key if it is not [private](Self::is_private); as the sealer has made it.
    pub key: String,
    /// Whether it can sign.
    pub is_private: bool,
    /// When it was made.
    pub created_at: Millis,
    /// When it begins to sign.
    pub current_from: Millis,
    /// When its successor begins to sign.
    pub old_from: Option<Millis>,
    /// When it is no longer published.
    pub gone_at: Option<Millis>,
}

impl std::fmt::Debug for SigningKeyRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Unsealed if there is no master key.
        f.debug_struct("SigningKeyRow")
            .field("kid", &self.kid)
            .field("alg", &self.alg)
            .field("current_from", &self.current_from)
            .field("old_from", &self.old_from)
            .field("gone_at", &self.gone_at)
            .finish_non_exhaustive()
    }
}

/// All keys, those of an algorithm in the order in which they sign.
///
/// # Errors
/// None of its own.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<SigningKeyRow>> {
    let sql = "SELECT k.kid, k.alg, k.key, k.is_private, k.created_at, k.current_from, k.old_from, k.gone_at \
               FROM signing_keys k ORDER BY k.alg, k.current_from, k.kid";
    tx.unscoped().rows(sql, &[], read)
}

fn read(row: &dyn Row) -> Result<SigningKeyRow> {
    let alg = SigningAlg::parse(row.text(1)?)
        .ok_or_else(|| Error::internal("a signing key has an unknown algorithm"))?;
    Ok(SigningKeyRow {
        kid: row.text(0)?.to_owned(),
        alg,
        key: row.text(2)?.to_owned(),
        is_private: row.int(3)? != 0,
        created_at: row.int(4)?,
        current_from: row.int(5)?,
        old_from: row.opt_int(6)?,
        gone_at: row.opt_int(7)?,
    })
}

/// Stores a new key.
///
/// # Errors
/// None of its own.
pub fn insert(tx: &mut Tx<'_>, key: &SigningKeyRow) -> Result<()> {
    let times = (key.created_at, key.current_from, key.old_from, key.gone_at);
    tx.unscoped().execute(
        "INSERT INTO signing_keys (kid, alg, key, is_private, created_at, current_from, old_from, gone_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            (&key.kid).into(),
            key.alg.name().into(),
            (&key.key).into(),
            key.is_private.into(),
            times.0.into(),
            times.1.into(),
            times.2.into(),
            times.3.into(),
        ],
    )?;
    tx.invalidate(CacheKey::SERVER);
    Ok(())
}

/// Stores the times of a key.
///
/// # Errors
/// None of its own.
pub fn set_times(tx: &mut Tx<'_>, key: &SigningKeyRow) -> Result<()> {
    tx.unscoped().execute(
        "UPDATE signing_keys SET current_from = $2, old_from = $3, gone_at = $4 WHERE kid = $1",
        &[(&key.kid).into(), key.current_from.into(), key.old_from.into(), key.gone_at.into()],
    )?;
    tx.invalidate(CacheKey::SERVER);
    Ok(())
}

/// Replaces what is stored of a key.
///
/// # Errors
/// None of its own.
pub fn set_key(tx: &mut Tx<'_>, kid: &str, key: &str, is_private: bool) -> Result<()> {
    tx.unscoped().execute(
        "UPDATE signing_keys SET key = $2, is_private = $3 WHERE kid = $1",
        &[kid.into(), key.into(), is_private.into()],
    )?;
    tx.invalidate(CacheKey::SERVER);
    Ok(())
}

/// Deletes a key.
///
/// # Errors
/// None of its own.
pub fn delete(tx: &mut Tx<'_>, kid: &str) -> Result<()> {
    tx.unscoped().execute("DELETE FROM signing_keys WHERE kid = $1", &[kid.into()])?;
    tx.invalidate(CacheKey::SERVER);
    Ok(())
}

/// The algorithms of clients that can receive ID tokens: those with the grant `authorization_code`.
///
/// # Errors
/// None of its own.
pub fn list_algorithms_in_use(tx: &mut Tx<'_>) -> Result<Vec<SigningAlg>> {
    // The index is partial: by this condition it is found.
    let sql = "SELECT 1 FROM clients c WHERE c.id_token_alg = $1 AND c.grants % 2 = 1 LIMIT 1";
    let of_products = "SELECT 1 FROM product_clients c \
                       WHERE c.id_token_alg = $1 AND c.grants % 2 = 1 AND c.revoked_at = 0 LIMIT 1";
    let mut found = Vec::new();
    for alg in SigningAlg::ALL {
        for sql in [sql, of_products] {
            if !found.contains(&alg) && !tx.unscoped().rows(sql, &[alg.name().into()], |_| Ok(()))?.is_empty()
            {
                found.push(alg);
            }
        }
    }
    Ok(found)
}
