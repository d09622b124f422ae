//! Current passwords and their history. Hashes only (tenantry_passwords).

use crate::engine::sequences::Sequence;
use crate::engine::tx::Tx;
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::UserId;
use tenantry_passwords::Work;

/// A stored password. Not `Debug`: hashes must not be logged.
#[derive(Clone)]
pub struct Stored {
    /// Its id.
    pub password_id: i64,
    /// The hash, in the form of tenantry_passwords.
    pub hash: String,
    /// Generated and mailed; can only be used to set a permanent one (B22).
    pub is_temporary: bool,
    /// When it was set.
    pub created_at: Millis,
    /// When it expires; `None` if never. An expired permanent one still opens a restricted session (B22).
    pub expires_at: Option<Millis>,
    /// The address that a temporary one was mailed to.
    pub mailed_to: Option<String>,
}

/// The current passwords, including expired ones.
pub fn list_present(tx: &mut Tx<'_>, user_id: UserId) -> Result<Vec<Stored>> {
    select(tx, "present = 1", user_id, 10)
}

/// The newest `count` permanent passwords, including the current one.
pub fn list_history(tx: &mut Tx<'_>, user_id: UserId, count: i64) -> Result<Vec<Stored>> {
    select(tx, "temporary = 0", user_id, count)
}

fn select(tx: &mut Tx<'_>, which: &str, user_id: UserId, limit: i64) -> Result<Vec<Stored>> {
    tx.rows(
        &format!(
            "SELECT password_id, hash, temporary, created_at, expires_at, mailed_to FROM passwords \
             WHERE pid = $1 AND user_id = $2 AND {which} ORDER BY password_id DESC LIMIT $3"
        ),
        &[user_id.into(), limit.into()],
        |row| {
            Ok(Stored {
                password_id: row.int(0)?,
                hash: row.text(1)?.to_owned(),
                is_temporary: row.int(2)? != 0,
                created_at: row.int(3)?,
                expires_at: Some(row.int(4)?).filter(|&at| at != 0),
                mailed_to: row.opt_text(5)?.map(str::to_owned),
            })
        },
    )
}

/// The current permanent passwords of users, by user.
pub fn list_permanent(tx: &mut Tx<'_>, users: &[UserId]) -> Result<Vec<(i64, String)>> {
    let ids: Vec<i64> = users.iter().map(|user| user.0).collect();
    let list = serde_json::json!(ids).to_string();
    let set = tx.dialect().int_set("$2");
    tx.rows(
        &format!(
            "SELECT p.user_id, p.hash FROM passwords p WHERE p.pid = $1 AND p.user_id IN {set} AND p.present = 1 \
             AND p.temporary = 0 ORDER BY p.password_id"
        ),
        &[list.as_str().into()],
        |row| Ok((row.int(0)?, row.text(1)?.to_owned())),
    )
}

/// Whether the user ever had a password (B16).
pub fn has_any(tx: &mut Tx<'_>, user_id: UserId) -> Result<bool> {
    let found =
        tx.row("SELECT 1 FROM passwords WHERE pid = $1 AND user_id = $2 LIMIT 1", &[user_id.into()], |_| {
            Ok(())
        })?;
    Ok(found.is_some())
}

/// Makes this the user's only current password. Former temporary ones are deleted, former permanent ones stay in the
/// history, of which only the newest `history` are kept.
pub fn replace(tx: &mut Tx<'_>, user_id: UserId, new: &NewPassword<'_>, history: i64) -> Result<()> {
    delete_temporary(tx, user_id)?;
    end_permanent(tx, user_id)?;
    insert(tx, user_id, new)?;
    tx.execute(
        "DELETE FROM passwords WHERE pid = $1 AND user_id = $2 AND temporary = 0 AND password_id NOT IN \
         (SELECT p.password_id FROM passwords p WHERE p.pid = $1 AND p.user_id = $2 AND p.temporary = 0 \
          ORDER BY p.password_id DESC LIMIT $3)",
        &[user_id.into(), history.into()],
    )?;
    Ok(())
}

/// Deletes the temporary passwords of a user.
pub fn delete_temporary(tx: &mut Tx<'_>, user_id: UserId) -> Result<()> {
    tx.execute("DELETE FROM passwords WHERE pid = $1 AND user_id = $2 AND temporary = 1", &[user_id.into()])?;
    Ok(())
}

/// Invalidates the permanent password of a user; it stays in the history.
pub fn end_permanent(tx: &mut Tx<'_>, user_id: UserId) -> Result<()> {
    tx.execute(
        "UPDATE passwords SET present = 0 WHERE pid = $1 AND user_id = $2 AND present = 1 AND temporary = 0",
        &[user_id.into()],
    )?;
    Ok(())
}

/// Stores a new hash of the same password, unless the password was changed meanwhile.
pub fn rehash(tx: &mut Tx<'_>, user_id: UserId, stored: &Stored, hash: &str) -> Result<()> {
    let (kind, work) = cost(hash);
    tx.execute(
        "UPDATE passwords SET hash = $5, cost_kind = $6, cost_work = $7 \
         WHERE pid = $1 AND user_id = $2 AND password_id = $3 AND hash = $4",
        &[
            user_id.into(),
            stored.password_id.into(),
            (&stored.hash).into(),
            hash.into(),
            kind.into(),
            work.into(),
        ],
    )?;
    Ok(())
}

/// The stored cost of a hash: kind and work, 0 if it is not expensive.
pub(crate) fn cost(hash: &str) -> (i64, i64) {
    tenantry_passwords::work_of(hash).map_or((0, 0), numbers)
}

pub(crate) fn numbers(work: Work) -> (i64, i64) {
    (work.kind.number(), i64::try_from(work.amount).unwrap_or(i64::MAX))
}

/// A password to store. Not `Debug`, like [`Stored`].
pub struct NewPassword<'a> {
    /// The hash, in the form of tenantry_passwords.
    pub hash: &'a str,
    /// Generated and mailed.
    pub is_temporary: bool,
    /// When it expires; `None` if never.
    pub expires_at: Option<Millis>,
    /// The address that a temporary one is mailed to.
    pub mailed_to: Option<&'a str>,
}

/// Stores the first password of a new user. An expensive one must be recorded with it
/// ([`crate::tables::expensive_hashes::record`]).
pub fn insert(tx: &mut Tx<'_>, user_id: UserId, new: &NewPassword<'_>) -> Result<()> {
    let ((fresh, id), now) = (tx.fresh_id(Sequence::Passwords, "$3")?, tx.now());
    let (kind, work) = cost(new.hash);
    tx.execute_later(
        &format!(
            "INSERT INTO passwords (pid, user_id, password_id, hash, temporary, present, created_at, expires_at, \
             cost_kind, cost_work, mailed_to) VALUES ($1, $2, {fresh}, $4, $5, 1, $6, $7, $8, $9, $10)"
        ),
        &[
            user_id.into(),
            id.into(),
            new.hash.into(),
            new.is_temporary.into(),
            now.into(),
            new.expires_at.unwrap_or(0).into(),
            kind.into(),
            work.into(),
            new.mailed_to.into(),
        ],
        Error::from,
    )?;
    Ok(())
}
