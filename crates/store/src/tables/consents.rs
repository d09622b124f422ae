//! What users have allowed clients to learn about them.

use crate::engine::driver::Param;
use crate::engine::tx::Tx;
use tenantry_core::clock::Millis;
use tenantry_core::error::Result;
use tenantry_core::model::UserId;
use tenantry_core::scopes::TokenScopes;

/// A consent with the name of its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The client.
    pub client_id: String,
    /// The client's name.
    pub client_name: String,
    /// What it may learn.
    pub scopes: TokenScopes,
    /// When it was first given.
    pub created_at: Millis,
    /// When it last grew.
    pub updated_at: Millis,
}

/// What a user has allowed a client.
pub fn find(tx: &mut Tx<'_>, user_id: UserId, client_id: &str) -> Result<Option<TokenScopes>> {
    tx.row(
        "SELECT c.scopes FROM consents c WHERE c.pid = $1 AND c.user_id = $2 AND c.client_id = $3",
        &[user_id.into(), client_id.into()],
        |row| row.int(0).map(TokenScopes::from_bits),
    )
}

/// Stores what a user allows a client.
pub fn set(tx: &mut Tx<'_>, user_id: UserId, client_id: &str, scopes: TokenScopes) -> Result<()> {
    let now = tx.now();
    tx.execute(
        "INSERT INTO consents (pid, user_id, client_id, scopes, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5) \
         ON CONFLICT (pid, user_id, client_id) DO UPDATE SET scopes = excluded.scopes, updated_at = excluded.updated_at",
        &[user_id.into(), client_id.into(), scopes.to_bits().into(), now.into()],
    )?;
    Ok(())
}

/// The consents of a user, oldest first, after that of `after`; of clients that still exist.
pub fn list(
    tx: &mut Tx<'_>,
    user_id: UserId,
    after: Option<(Millis, &str)>,
    size: i64,
) -> Result<Vec<Consent>> {
    let (at, id) = after.unwrap_or((i64::MIN, ""));
    tx.rows(
        "SELECT c.client_id, k.name, c.scopes, c.created_at, c.updated_at FROM consents c \
         JOIN clients k ON k.pid = c.pid AND k.client_id = c.client_id \
         WHERE c.pid = $1 AND c.user_id = $2 AND (c.created_at, c.client_id) > ($3, $4) \
         ORDER BY c.created_at, c.client_id LIMIT $5",
        &[user_id.into(), Param::Int(at), id.into(), Param::Int(size)],
        |row| {
            Ok(Consent {
                client_id: row.text(0)?.to_owned(),
                client_name: row.text(1)?.to_owned(),
                scopes: TokenScopes::from_bits(row.int(2)?),
                created_at: row.int(3)?,
                updated_at: row.int(4)?,
            })
        },
    )
}

/// Withdraws a consent. Returns whether there was one.
pub fn delete(tx: &mut Tx<'_>, user_id: UserId, client_id: &str) -> Result<bool> {
    let gone = tx.execute(
        "DELETE FROM consents WHERE pid = $1 AND user_id = $2 AND client_id = $3",
        &[user_id.into(), client_id.into()],
    )?;
    Ok(gone > 0)
}
