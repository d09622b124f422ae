//! Second factors of users: authenticator apps, recovery codes, and the devices on which none is asked for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::engine::cache::TokenHash;
use crate::engine::tx::Tx;
use tenantry_core::clock::Millis;
use tenantry_core::error::Result;
use tenantry_core::model::{PartnerId, UserId};

/// The name of the table whose secrets are sealed.
pub const TOTP_SECRETS: &str = "totp_secrets";

/// The name of the row of a user's secret, by which it is sealed.
pub fn sealed_row(pid: PartnerId, user_id: UserId) -> String {
    format!("{pid}/{user_id}")
}

fn stored(hash: &TokenHash) -> String {
    URL_SAFE_NO_PAD.encode(hash)
}

/// The authenticator app of a user. `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret {
    /// Sealed.
    pub secret: String,
    /// The step of the newest code that was used; -1 if none was.
    pub last_step: i64,
    /// When it was made.
    pub created_at: Millis,
    /// When a first code was typed. Without it, it is no factor.
    pub confirmed_at: Option<Millis>,
    /// When it was last used.
    pub used_at: Option<Millis>,
}

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TotpSecret").field("created_at", &self.created_at).finish_non_exhaustive()
    }
}

/// A user's authenticator app, also one that is not confirmed.
pub fn find_totp(tx: &mut Tx<'_>, user_id: UserId) -> Result<Option<TotpSecret>> {
    tx.row(
        "SELECT t.secret, t.last_step, t.created_at, t.confirmed_at, t.used_at FROM totp_secrets t \
         WHERE t.pid = $1 AND t.user_id = $2",
        &[user_id.into()],
        |row| {
            let some = |at: Millis| Some(at).filter(|at| *at != 0);
            Ok(TotpSecret {
                secret: row.text(0)?.to_owned(),
                last_step: row.int(1)?,
                created_at: row.int(2)?,
                confirmed_at: some(row.int(3)?),
                used_at: some(row.int(4)?),
            })
        },
    )
}

/// Whether a user has a confirmed authenticator app.
pub fn has_totp(tx: &mut Tx<'_>, user_id: UserId) -> Result<bool> {
    let found = tx.row(
        "SELECT 1 FROM totp_secrets t WHERE t.pid = $1 AND t.user_id = $2 AND t.confirmed_at <> 0",
        &[user_id.into()],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Stores a secret that is not confirmed, in place of another one that is not. Returns whether it was stored: not if the
/// user has a confirmed one.
pub fn begin_totp(tx: &mut Tx<'_>, user_id: UserId, secret: &str) -> Result<bool> {
    let now = tx.now();
    let stored = tx.execute(
        "INSERT INTO totp_secrets (pid, user_id, secret, last_step, created_at, confirmed_at, used_at) \
         VALUES ($1, $2, $3, -1, $4, 0, 0) ON CONFLICT (pid, user_id) DO UPDATE SET secret = excluded.secret, \
         created_at = excluded.created_at WHERE totp_secrets.confirmed_at = 0",
        &[user_id.into(), secret.into(), now.into()],
    )?;
    Ok(stored > 0)
}

/// Makes a secret a factor: a first code was typed.
pub fn confirm_totp(tx: &mut Tx<'_>, user_id: UserId) -> Result<()> {
    let now = tx.now();
    tx.execute(
        "UPDATE totp_secrets SET confirmed_at = $3 WHERE pid = $1 AND user_id = $2",
        &[user_id.into(), now.into()],
    )?;
    Ok(())
}

/// Uses the code of a step. Returns whether it could be used: not if one of this step or a later one was.
pub fn use_totp_step(tx: &mut Tx<'_>, user_id: UserId, step: i64) -> Result<bool> {
    let now = tx.now();
    let used = tx.execute(
        "UPDATE totp_secrets SET last_step = $3, used_at = $4 WHERE pid = $1 AND user_id = $2 AND last_step < $3",
        &[user_id.into(), step.into(), now.into()],
    )?;
    Ok(used > 0)
}

/// Removes a user's authenticator app. Returns whether there was a confirmed one.
pub fn delete_totp(tx: &mut Tx<'_>, user_id: UserId) -> Result<bool> {
    let was_factor = has_totp(tx, user_id)?;
    tx.execute("DELETE FROM totp_secrets WHERE pid = $1 AND user_id = $2", &[user_id.into()])?;
    Ok(was_factor)
}

/// A stored secret, of any partner.
#[derive(Clone)]
pub struct SealedTotp {
    /// The partner.
    pub pid: PartnerId,
    /// The user.
    pub user_id: UserId,
    /// The secret as it is stored.
    pub secret: String,
}

/// Secrets of all partners, after this one, in the order of their keys.
pub fn list_totp_after(tx: &mut Tx<'_>, after: (PartnerId, UserId), limit: i64) -> Result<Vec<SealedTotp>> {
    tx.unscoped().rows(
        "SELECT t.pid, t.user_id, t.secret FROM totp_secrets t WHERE (t.pid, t.user_id) > ($1, $2) \
         ORDER BY t.pid, t.user_id LIMIT $3",
        &[after.0.into(), after.1.into(), limit.into()],
        |row| {
            Ok(SealedTotp {
                pid: PartnerId(row.int(0)?),
                user_id: UserId(row.int(1)?),
                secret: row.text(2)?.to_owned(),
            })
        },
    )
}

/// Stores a secret that was sealed again.
pub fn set_totp_secret(tx: &mut Tx<'_>, row: &SealedTotp) -> Result<()> {
    tx.unscoped().execute(
        "UPDATE totp_secrets SET secret = $3 WHERE pid = $1 AND user_id = $2",
        &[row.pid.into(), row.user_id.into(), (&row.secret).into()],
    )?;
    Ok(())
}

/// Replaces all recovery codes of a user.
pub fn replace_recovery_codes(tx: &mut Tx<'_>, user_id: UserId, hashes: &[TokenHash]) -> Result<()> {
    let now = tx.now();
    tx.execute("DELETE FROM recovery_codes WHERE pid = $1 AND user_id = $2", &[user_id.into()])?;
    for hash in hashes {
        tx.execute(
            "INSERT INTO recovery_codes (pid, user_id, code_hash, created_at, used_at) VALUES ($1, $2, $3, $4, 0)",
            &[user_id.into(), (&stored(hash)).into(), now.into()],
        )?;
    }
    Ok(())
}

/// Uses a recovery code. Returns whether it could be used.
pub fn use_recovery_code(tx: &mut Tx<'_>, user_id: UserId, hash: &TokenHash) -> Result<bool> {
    let now = tx.now();
    let used = tx.execute(
        "UPDATE recovery_codes SET used_at = $4 WHERE pid = $1 AND user_id = $2 AND code_hash = $3 AND used_at = 0",
        &[user_id.into(), (&stored(hash)).into(), now.into()],
    )?;
    Ok(used > 0)
}

/// The recovery codes of a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecoveryCodes {
    /// How many are left.
    pub left: i64,
    /// When they were made; `None` if there are none.
    pub created_at: Option<Millis>,
    /// When one was last used.
    pub used_at: Option<Millis>,
}

/// How many recovery codes a user has left, and when they were made.
pub fn recovery_codes(tx: &mut Tx<'_>, user_id: UserId) -> Result<RecoveryCodes> {
    let found = tx.row(
        "SELECT CAST(coalesce(sum(CASE WHEN c.used_at = 0 THEN 1 ELSE 0 END), 0) AS BIGINT), \
         coalesce(max(c.created_at), 0), coalesce(max(c.used_at), 0) FROM recovery_codes c \
         WHERE c.pid = $1 AND c.user_id = $2",
        &[user_id.into()],
        |row| {
            let some = |at: Millis| Some(at).filter(|at| *at != 0);
            Ok(RecoveryCodes { left: row.int(0)?, created_at: some(row.int(1)?), used_at: some(row.int(2)?) })
        },
    )?;
    Ok(found.unwrap_or_default())
}

/// Removes the recovery codes of a user.
pub fn delete_recovery_codes(tx: &mut Tx<'_>, user_id: UserId) -> Result<()> {
    tx.execute("DELETE FROM recovery_codes WHERE pid = $1 AND user_id = $2", &[user_id.into()])?;
    Ok(())
}

/// Remembers a device of a user until `expires_at`. Of more than `most`, the oldest are forgotten.
pub fn remember_device(
    tx: &mut Tx<'_>,
    user_id: UserId,
    hash: &TokenHash,
    expires_at: Millis,
    most: i64,
) -> Result<()> {
    let now = tx.now();
    tx.execute(
        "INSERT INTO remembered_devices (pid, user_id, token_hash, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5)",
        &[user_id.into(), (&stored(hash)).into(), now.into(), expires_at.into()],
    )?;
    tx.execute(
        "DELETE FROM remembered_devices WHERE pid = $1 AND user_id = $2 AND token_hash NOT IN \
         (SELECT d.token_hash FROM remembered_devices d WHERE d.pid = $1 AND d.user_id = $2 \
         ORDER BY d.expires_at DESC, d.token_hash LIMIT $3)",
        &[user_id.into(), most.into()],
    )?;
    Ok(())
}

/// Whether a device of a user is remembered now.
pub fn is_remembered(tx: &mut Tx<'_>, user_id: UserId, hash: &TokenHash) -> Result<bool> {
    let now = tx.latest();
    let found = tx.row(
        "SELECT 1 FROM remembered_devices d WHERE d.pid = $1 AND d.user_id = $2 AND d.token_hash = $3 \
         AND d.expires_at > $4",
        &[user_id.into(), (&stored(hash)).into(), now.into()],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// The number of devices of a user that are remembered.
pub fn count_devices(tx: &mut Tx<'_>, user_id: UserId) -> Result<i64> {
    let now = tx.latest();
    let count = tx.row(
        "SELECT count(*) FROM remembered_devices d WHERE d.pid = $1 AND d.user_id = $2 AND d.expires_at > $3",
        &[user_id.into(), now.into()],
        |row| row.int(0),
    )?;
    Ok(count.unwrap_or(0))
}

/// Forgets all devices of a user.
pub fn forget_devices(tx: &mut Tx<'_>, user_id: UserId) -> Result<()> {
    tx.execute("DELETE FROM remembered_devices WHERE pid = $1 AND user_id = $2", &[user_id.into()])?;
    Ok(())
}

/// Deletes devices that are no longer remembered since `before`, of all partners, at most `limit`. Returns their number.
pub fn purge_devices(tx: &mut Tx<'_>, before: Millis, limit: i64) -> Result<usize> {
    let take = tx.dialect().take_rows();
    Ok(tx.unscoped().execute(
        &format!(
            "DELETE FROM remembered_devices WHERE (pid, user_id, token_hash) IN \
             (SELECT d.pid, d.user_id, d.token_hash FROM remembered_devices d WHERE d.expires_at < $1 \
             ORDER BY d.expires_at LIMIT $2{take})"
        ),
        &[before.into(), limit.into()],
    )?)
}
