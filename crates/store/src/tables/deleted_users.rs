//! Deleted users, for as long as they can be restored.

use serde::{Deserialize, Serialize};

use crate::engine::driver::{Connection, DbError, Param, Row};
use crate::engine::tx::Tx;
use crate::listing::lists::{EXACT_TOTAL, Position, SortKey, Total, search_test};
use crate::tables::passkeys::Passkey;
use crate::tables::users::{self, Keys};
use crate::tables::{expensive_hashes, passkeys, passwords};
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{PartnerId, User, UserId, Username};
use tenantry_core::search_terms::{SearchTerm, without_accents};

/// A user as it was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedUser {
    /// The user.
    pub user: User,
    /// When it was deleted.
    pub deleted_at: Millis,
}

/// The content of a row, which must be readable by later versions. Not `Debug`: hashes must not be logged.
#[derive(Serialize, Deserialize)]
struct Record {
    user: User,
    failed_logins: i64,
    refused_until: Millis,
    held_email: Option<String>,
    held_until: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verified_email: Option<String>,
    passwords: Vec<Password>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    passkeys: Vec<StoredPasskey>,
}

#[derive(Serialize, Deserialize)]
struct StoredPasskey {
    credential_hash: String,
    #[serde(flatten)]
    passkey: Passkey,
}

#[derive(Serialize, Deserialize)]
struct Password {
    password_id: i64,
    hash: String,
    temporary: i64,
    present: i64,
    created_at: Millis,
    expires_at: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mailed_to: Option<String>,
}

/// Stores a user that is about to be deleted, with its passwords.
pub fn insert(tx: &mut Tx<'_>, user: &User) -> Result<()> {
    let passwords = tx.rows(
        "SELECT password_id, hash, temporary, present, created_at, expires_at, mailed_to FROM passwords \
         WHERE pid = $1 AND user_id = $2 ORDER BY password_id",
        &[user.user_id.into()],
        |row| {
            Ok(Password {
                password_id: row.int(0)?,
                hash: row.text(1)?.to_owned(),
                temporary: row.int(2)?,
                present: row.int(3)?,
                created_at: row.int(4)?,
                expires_at: row.int(5)?,
                mailed_to: row.opt_text(6)?.map(str::to_owned),
            })
        },
    )?;
    let record = tx.row(
        "SELECT failed_logins, refused_until, held_email, held_until, verified_email FROM users \
         WHERE pid = $1 AND user_id = $2",
        &[user.user_id.into()],
        |row| {
            let text = |column| Ok::<_, Error>(row.opt_text(column)?.map(str::to_owned));
            Ok((row.int(0)?, row.int(1)?, text(2)?, row.int(3)?, text(4)?))
        },
    )?;
    let (failed_logins, refused_until, held_email, held_until, verified_email) = record.unwrap_or_default();
    let user_id = user.user_id;
    let passkeys = list_passkeys(tx, user_id)?;
    let text = Keys::of(user).search_text();
    let (updated_at, user) = (user.updated_at, user.clone());
    let record = Record {
        user,
        failed_logins,
        refused_until,
        held_email,
        held_until,
        verified_email,
        passwords,
        passkeys,
    };
    let record = serde_json::to_string(&record)
        .map_err(|e| Error::internal(format!("a deleted user cannot be serialized: {e}")))?;
    let now = tx.now_after(updated_at);
    tx.execute(
        "INSERT INTO deleted_users (pid, user_id, deleted_at, search_text, record) VALUES ($1, $2, $3, $4, $5)",
        &[user_id.into(), now.into(), (&text).into(), (&record).into()],
    )?;
    Ok(())
}

fn list_passkeys(tx: &mut Tx<'_>, user_id: UserId) -> Result<Vec<StoredPasskey>> {
    let found = passkeys::list(tx, user_id)?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let hashes = passkeys::list_hashes(tx, user_id)?;
    let found = found.into_iter().filter_map(|passkey| {
        let (_, credential_hash) = hashes.iter().find(|(id, _)| *id == passkey.passkey_id)?;
        Some(StoredPasskey { credential_hash: credential_hash.clone(), passkey })
    });
    Ok(found.collect())
}

fn parse(text: &str) -> Result<Record> {
    serde_json::from_str(text).map_err(|_| Error::internal("a deleted user cannot be parsed"))
}

/// A user deleted after `since`.
pub fn find(tx: &mut Tx<'_>, user_id: UserId, since: Millis) -> Result<Option<DeletedUser>> {
    tx.row(
        "SELECT d.record, d.deleted_at FROM deleted_users d \
         WHERE d.pid = $1 AND d.user_id = $2 AND d.deleted_at > $3",
        &[user_id.into(), since.into()],
        read,
    )
}

fn read(row: &dyn Row) -> Result<DeletedUser> {
    Ok(DeletedUser { user: parse(row.text(0)?)?.user, deleted_at: row.int(1)? })
}

/// Restores a user as `user`, with its passwords, and deletes its row here.
///
/// # Errors
/// As [`users::insert`]; internal if it is not here.
pub fn restore(tx: &mut Tx<'_>, user: &User, username: &Username) -> Result<()> {
    let id = user.user_id;
    let record = tx
        .row(
            "SELECT d.record FROM deleted_users d WHERE d.pid = $1 AND d.user_id = $2",
            &[id.into()],
            |row| parse(row.text(0)?),
        )?
        .ok_or_else(|| Error::internal("a deleted user is gone"))?;
    delete(tx, id)?;
    users::insert(tx, user, username)?;
    tx.execute(
        "UPDATE users SET last_login_at = $3, failed_logins = $4, refused_until = $5, held_email = $6, \
         held_until = $7, verified_email = $8 WHERE pid = $1 AND user_id = $2",
        &[
            id.into(),
            user.last_login_at.unwrap_or(0).into(),
            record.failed_logins.into(),
            record.refused_until.into(),
            record.held_email.as_ref().into(),
            record.held_until.into(),
            record.verified_email.as_ref().into(),
        ],
    )?;
    for password in &record.passwords {
        let (kind, work) = passwords::cost(&password.hash);
        tx.execute(
            "INSERT INTO passwords (pid, user_id, password_id, hash, temporary, present, created_at, expires_at, \
             cost_kind, cost_work, mailed_to) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            &[
                id.into(),
                password.password_id.into(),
                (&password.hash).into(),
                password.temporary.into(),
                password.present.into(),
                password.created_at.into(),
                password.expires_at.into(),
                kind.into(),
                work.into(),
                password.mailed_to.as_ref().into(),
            ],
        )?;
    }
    for StoredPasskey { credential_hash, passkey } in &record.passkeys {
        // One that somebody else has registered meanwhile stays theirs.
        passkeys::insert(tx, id, passkey, credential_hash)?;
    }
    expensive_hashes::record(tx, record.passwords.iter().map(|password| password.hash.as_str()))
}

/// Deletes a deleted user permanently. Returns whether it was here.
pub fn delete(tx: &mut Tx<'_>, user_id: UserId) -> Result<bool> {
    // secure_delete zeroes the content.
    let gone = tx.execute("DELETE FROM deleted_users WHERE pid = $1 AND user_id = $2", &[user_id.into()])?;
    Ok(gone > 0)
}

/// Users of any partner that were deleted before `before`.
pub fn list_old(tx: &mut Tx<'_>, before: Millis, limit: i64) -> Result<Vec<(PartnerId, UserId)>> {
    tx.unscoped().rows(
        "SELECT d.pid, d.user_id FROM deleted_users d WHERE d.deleted_at <= $1 ORDER BY d.deleted_at LIMIT $2",
        &[before.into(), limit.into()],
        |row| Ok((PartnerId(row.int(0)?), UserId(row.int(1)?))),
    )
}

/// The sort orders of deleted users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the property of that name")]
pub enum DeletedSort {
    UserId,
    DeletedAt,
}

impl DeletedSort {
    /// Every order, by the property's name.
    pub const NAMES: [(&'static str, Self); 2] = [("userId", Self::UserId), ("deletedAt", Self::DeletedAt)];

    fn column(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::DeletedAt => "deleted_at",
        }
    }

    /// The sort key of a deleted user.
    pub fn key_of(self, deleted: &DeletedUser) -> SortKey {
        match self {
            Self::UserId => SortKey::Int(deleted.user.user_id.0),
            Self::DeletedAt => SortKey::Int(deleted.deleted_at),
        }
    }
}

/// A query for deleted users.
#[derive(Debug, Clone)]
pub struct DeletedQuery {
    /// Having each word of this term (B27), which is without accents.
    pub search: Option<SearchTerm>,
    /// The order.
    pub sort: DeletedSort,
    /// Descending.
    pub descending: bool,
}

/// The conditions, whose values come after those in `params`.
fn conditions<'q>(tx: &Tx<'_>, query: &'q DeletedQuery, params: &mut Vec<Param<'q>>) -> String {
    let mut conditions = String::from("d.pid = $1 AND d.deleted_at > $2");
    if let Some(term) = &query.search {
        let searched: (&[&str], _) = (&["d.search_text"], Some("d.user_id"));
        conditions.push_str(" AND ");
        conditions.push_str(&search_test(tx.dialect(), term, searched, (2, params)));
    }
    conditions
}

/// Stores the searched texts of rows of a schema that had them with accents.
pub(crate) fn drop_accents(conn: &mut dyn Connection) -> Result<(), DbError> {
    let mut texts = Vec::new();
    conn.query("SELECT d.pid, d.user_id, d.search_text FROM deleted_users d", None, &[], &mut |row| {
        if !row.text(2)?.is_ascii() {
            let text = without_accents(row.text(2)?).into_owned();
            texts.push((PartnerId(row.int(0)?), UserId(row.int(1)?), text));
        }
        Ok(())
    })?;
    for (pid, user_id, text) in texts {
        let sql = "UPDATE deleted_users SET search_text = $3 WHERE pid = $1 AND user_id = $2";
        conn.execute(sql, Some(pid), &[user_id.into(), (&text).into()])?;
    }
    Ok(())
}

/// The number of users deleted after `since` that match the query.
pub fn total(tx: &mut Tx<'_>, query: &DeletedQuery, since: Millis) -> Result<Total> {
    let mut params = vec![since.into()];
    let conditions = conditions(tx, query, &mut params);
    let sql = format!(
        "SELECT count(*) FROM (SELECT 1 FROM deleted_users d WHERE {conditions} LIMIT {}) hits",
        if query.search.is_some() { EXACT_TOTAL + 1 } else { i64::MAX }
    );
    let count = tx.row(&sql, &params, |row| row.int(0))?.unwrap_or(0);
    let is_exact = query.search.is_none() || count <= EXACT_TOTAL;
    Ok(Total { count: if is_exact { count } else { EXACT_TOTAL }, is_exact })
}

/// A page of users deleted after `since`.
pub fn select(
    tx: &mut Tx<'_>,
    query: &DeletedQuery,
    since: Millis,
    from: &Position,
    size: i64,
) -> Result<Vec<DeletedUser>> {
    let mut params = vec![since.into(), Param::Int(size)];
    let (order, beyond) = if query.descending { ("DESC", "<") } else { ("ASC", ">") };
    let column = query.sort.column();
    let (after, skip) = match from {
        Position::Offset(offset) => {
            params.push(Param::Int(*offset));
            (String::new(), "OFFSET $4")
        }
        Position::After(key, id) => {
            params.push(key.param());
            params.push(Param::Int(*id));
            (format!(" AND (d.{column}, d.user_id) {beyond} ($4, $5)"), "")
        }
    };
    let conditions = conditions(tx, query, &mut params);
    let sql = format!(
        "SELECT d.record, d.deleted_at FROM deleted_users d WHERE {conditions}{after} \
         ORDER BY d.{column} {order}, d.user_id {order} LIMIT $3 {skip}"
    );
    tx.rows(&sql, &params, read)
}
