//! Passkeys: WebAuthn credentials of users. All binary values are base64url.
//!
//! `passkey_credentials` finds a passkey before the partner is known, so some functions use `Tx::unscoped`.

use serde::{Deserialize, Serialize};

use crate::engine::driver::Row;
use crate::engine::tx::Tx;
use tenantry_core::clock::Millis;
use tenantry_core::error::Result;
use tenantry_core::model::{PartnerId, UserId};

/// A passkey of a user. Deleted users are stored with theirs as JSON: do not rename its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passkey {
    /// Its name in the API.
    pub passkey_id: String,
    /// The id that its authenticator gave it.
    pub credential_id: String,
    /// What its authenticator calls the user.
    pub user_handle: String,
    /// A COSE_Key.
    pub public_key: String,
    /// The signature counter; 0 if the authenticator has none.
    pub sign_count: i64,
    /// How browsers reach the authenticator, separated by spaces.
    pub transports: String,
    /// Whether it can be on several devices.
    pub is_backup_eligible: bool,
    /// Whether it is.
    pub is_backed_up: bool,
    /// What the user calls it.
    pub name: String,
    /// When it was added.
    pub created_at: Millis,
    /// When it was last used.
    pub last_used_at: Option<Millis>,
}

/// Where a passkey is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyOwner {
    /// The partner.
    pub pid: PartnerId,
    /// Whose it is.
    pub user_id: UserId,
    /// Its id.
    pub passkey_id: String,
}

const COLUMNS: &str = "k.passkey_id, k.credential_id, k.user_handle, k.public_key, k.sign_count, k.transports, \
                       k.backup_eligible, k.backed_up, k.name, k.created_at, k.last_used_at";

fn read(row: &dyn Row) -> Result<Passkey> {
    let text = |column| row.text(column).map(str::to_owned);
    Ok(Passkey {
        passkey_id: text(0)?,
        credential_id: text(1)?,
        user_handle: text(2)?,
        public_key: text(3)?,
        sign_count: row.int(4)?,
        transports: text(5)?,
        is_backup_eligible: row.int(6)? != 0,
        is_backed_up: row.int(7)? != 0,
        name: text(8)?,
        created_at: row.int(9)?,
        last_used_at: Some(row.int(10)?).filter(|&at| at != 0),
    })
}

/// Stores a passkey. Returns whether it did: not if its credential is registered already, by whichever user.
pub fn insert(tx: &mut Tx<'_>, user_id: UserId, passkey: &Passkey, credential_hash: &str) -> Result<bool> {
    tx.execute(
        "INSERT INTO passkeys (pid, user_id, passkey_id, credential_id, user_handle, public_key, sign_count, \
         transports, backup_eligible, backed_up, name, created_at, last_used_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        &[
            user_id.into(),
            (&passkey.passkey_id).into(),
            (&passkey.credential_id).into(),
            (&passkey.user_handle).into(),
            (&passkey.public_key).into(),
            passkey.sign_count.into(),
            (&passkey.transports).into(),
            passkey.is_backup_eligible.into(),
            passkey.is_backed_up.into(),
            (&passkey.name).into(),
            passkey.created_at.into(),
            passkey.last_used_at.unwrap_or(0).into(),
        ],
    )?;
    let is_new = tx.execute(
        "INSERT INTO passkey_credentials (pid, user_id, passkey_id, credential_hash) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (credential_hash) DO NOTHING",
        &[user_id.into(), (&passkey.passkey_id).into(), credential_hash.into()],
    )?;
    if is_new == 0 {
        delete(tx, user_id, &passkey.passkey_id)?;
    }
    Ok(is_new > 0)
}

/// Whose passkey has this credential.
pub fn find_owner(tx: &mut Tx<'_>, credential_hash: &str) -> Result<Option<PasskeyOwner>> {
    let found = tx.unscoped().rows(
        "SELECT pid, user_id, passkey_id FROM passkey_credentials WHERE credential_hash = $1",
        &[credential_hash.into()],
        |row| {
            Ok(PasskeyOwner {
                pid: PartnerId(row.int(0)?),
                user_id: UserId(row.int(1)?),
                passkey_id: row.text(2)?.to_owned(),
            })
        },
    )?;
    Ok(found.into_iter().next())
}

/// A passkey of a user.
pub fn find(tx: &mut Tx<'_>, user_id: UserId, passkey_id: &str) -> Result<Option<Passkey>> {
    tx.row(
        &format!(
            "SELECT {COLUMNS} FROM passkeys k WHERE k.pid = $1 AND k.user_id = $2 AND k.passkey_id = $3"
        ),
        &[user_id.into(), passkey_id.into()],
        read,
    )
}

/// The passkeys of a user, oldest first.
pub fn list(tx: &mut Tx<'_>, user_id: UserId) -> Result<Vec<Passkey>> {
    tx.rows(
        &format!(
            "SELECT {COLUMNS} FROM passkeys k WHERE k.pid = $1 AND k.user_id = $2 ORDER BY k.created_at, k.passkey_id"
        ),
        &[user_id.into()],
        read,
    )
}

/// The hashes of the credentials of a user, each with the id of its passkey.
pub(super) fn list_hashes(tx: &mut Tx<'_>, user_id: UserId) -> Result<Vec<(String, String)>> {
    tx.rows(
        "SELECT c.passkey_id, c.credential_hash FROM passkey_credentials c WHERE c.pid = $1 AND c.user_id = $2",
        &[user_id.into()],
        |row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned())),
    )
}

/// The number of passkeys of a user.
pub fn count(tx: &mut Tx<'_>, user_id: UserId) -> Result<i64> {
    let found = tx.row(
        "SELECT count(*) FROM passkeys k WHERE k.pid = $1 AND k.user_id = $2",
        &[user_id.into()],
        |row| row.int(0),
    )?;
    Ok(found.unwrap_or(0))
}

/// Stores a name.
pub fn rename(tx: &mut Tx<'_>, user_id: UserId, passkey_id: &str, name: &str) -> Result<()> {
    tx.execute(
        "UPDATE passkeys SET name = $4 WHERE pid = $1 AND user_id = $2 AND passkey_id = $3",
        &[user_id.into(), passkey_id.into(), name.into()],
    )?;
    Ok(())
}

/// Stores a use. Returns whether it did: not if the counter has not grown since the last one, or the passkey is gone.
pub fn set_used(
    tx: &mut Tx<'_>,
    user_id: UserId,
    passkey_id: &str,
    sign_count: i64,
    is_backed_up: bool,
) -> Result<bool> {
    let now = tx.now();
    let changed = tx.execute(
        "UPDATE passkeys SET sign_count = $4, backed_up = $5, last_used_at = $6 \
         WHERE pid = $1 AND user_id = $2 AND passkey_id = $3 AND (sign_count < $4 OR (sign_count = 0 AND $4 = 0))",
        &[user_id.into(), passkey_id.into(), sign_count.into(), is_backed_up.into(), now.into()],
    )?;
    Ok(changed > 0)
}

/// Deletes a passkey. Returns whether it was there.
pub fn delete(tx: &mut Tx<'_>, user_id: UserId, passkey_id: &str) -> Result<bool> {
    // Its credential goes by the foreign key, except where the database is sharded.
    let gone = tx.execute(
        "DELETE FROM passkeys WHERE pid = $1 AND user_id = $2 AND passkey_id = $3",
        &[user_id.into(), passkey_id.into()],
    )?;
    Ok(gone > 0)
}

/// Records that a challenge is answered. Returns whether it was not before.
pub fn use_challenge(tx: &mut Tx<'_>, challenge: &str, expires_at: Millis) -> Result<bool> {
    let is_new = tx.execute(
        "INSERT INTO passkey_challenges (pid, challenge, expires_at) VALUES ($1, $2, $3) \
         ON CONFLICT (pid, challenge) DO NOTHING",
        &[challenge.into(), expires_at.into()],
    )?;
    Ok(is_new > 0)
}

/// Whether a challenge is answered.
pub fn is_challenge_used(tx: &mut Tx<'_>, challenge: &str) -> Result<bool> {
    let found = tx.row(
        "SELECT 1 FROM passkey_challenges c WHERE c.pid = $1 AND c.challenge = $2",
        &[challenge.into()],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Deletes challenges of all partners that expired before `before`, at most `limit`. Returns their number.
pub fn purge_challenges(tx: &mut Tx<'_>, before: Millis, limit: i64) -> Result<usize> {
    let take = tx.dialect().take_rows();
    let gone = tx.unscoped().execute(
        &format!(
            "DELETE FROM passkey_challenges WHERE (pid, challenge) IN (SELECT c.pid, c.challenge \
             FROM passkey_challenges c WHERE c.expires_at < $1 ORDER BY c.expires_at LIMIT $2{take})"
        ),
        &[before.into(), limit.into()],
    )?;
    Ok(gone)
}
