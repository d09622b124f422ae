//! Partners and operator tokens. The scope consists of partners, so this file uses `Tx::unscoped` throughout.

use crate::access::KnownOperatorToken;
use crate::engine::driver::Row;
use crate::engine::sequences::Sequence;
use crate::engine::tx::{CacheKey, Counter, Tx};
use crate::listing::lists::{Total, search_test};
use tenantry_core::clock::Millis;
use tenantry_core::error::{Conflict, Error, Result};
use tenantry_core::model::{GroupId, Partner, PartnerId};
use tenantry_core::search_terms::SearchTerm;
use tenantry_core::values::fold;

const COLUMNS: &str = "p.pid, p.name, p.suspended, p.created_at, \
     (SELECT CAST(coalesce(sum(c.value), 0) AS BIGINT) FROM counters c WHERE c.pid = p.pid AND c.name = 'users')";

fn read(row: &dyn Row) -> Result<Partner> {
    Ok(Partner {
        pid: PartnerId(row.int(0)?),
        name: row.text(1)?.to_owned(),
        suspended: row.int(2)? != 0,
        created_at: row.int(3)?,
        users: row.int(4)?,
    })
}

/// Stores a new partner and assigns its id.
///
/// # Errors
/// `partner-name-taken`, from the unique constraint.
pub fn insert(tx: &mut Tx<'_>, name: &str) -> Result<PartnerId> {
    let (id, now) = (tx.next_id(Sequence::Partners)?, tx.now());
    tx.unscoped()
        .execute(
            "INSERT INTO partners (pid, name, name_key, created_at) VALUES ($1, $2, $3, $4)",
            &[id.into(), name.into(), (&fold(name)).into(), now.into()],
        )
        .map_err(taken)?;
    tx.effects.counters.push((PartnerId(0), Counter::Partners, 1));
    Ok(PartnerId(id))
}

fn taken(e: crate::engine::driver::DbError) -> Error {
    if e.is_duplicate_in("partners") {
        Conflict::field("partner-name-taken", "/name", "another partner has this name")
    } else {
        e.into()
    }
}

/// One partner.
pub fn find(tx: &mut Tx<'_>, pid: PartnerId) -> Result<Option<Partner>> {
    let sql = format!("SELECT {COLUMNS} FROM partners p WHERE p.pid = $1");
    Ok(tx.unscoped().rows(&sql, &[pid.into()], read)?.into_iter().next())
}

/// Whether there is any partner: an empty database has none.
pub fn any(tx: &mut Tx<'_>) -> Result<bool> {
    Ok(!tx.unscoped().rows("SELECT 1 FROM partners LIMIT 1", &[], |_| Ok(()))?.is_empty())
}

/// Whether a partner is suspended or does not exist.
pub fn is_suspended(tx: &mut Tx<'_>, pid: PartnerId) -> Result<bool> {
    let found =
        tx.unscoped()
            .rows("SELECT suspended FROM partners WHERE pid = $1", &[pid.into()], |row| row.int(0))?;
    Ok(found.first().is_none_or(|&suspended| suspended != 0))
}

/// As [`crate::tables::users::lock_row`], for the partner of the transaction: for rules over many of its rows, such as B10.
pub fn lock_row(tx: &mut Tx<'_>) -> Result<()> {
    tx.lock_row("UPDATE partners SET suspended = suspended WHERE pid = $1", &[])
}

/// Makes concurrent creations of the first partner wait for each other, so that the second one sees the result of the
/// first.
pub fn claim_all(tx: &mut Tx<'_>) -> Result<()> {
    if !tx.dialect().has_one_writer() {
        tx.unscoped().execute("LOCK TABLE partners IN SHARE ROW EXCLUSIVE MODE", &[])?;
    }
    Ok(())
}

/// Renames a partner.
///
/// # Errors
/// As [`insert`].
pub fn rename(tx: &mut Tx<'_>, pid: PartnerId, name: &str) -> Result<()> {
    tx.unscoped()
        .execute(
            "UPDATE partners SET name = $2, name_key = $3 WHERE pid = $1",
            &[pid.into(), name.into(), (&fold(name)).into()],
        )
        .map_err(taken)?;
    Ok(())
}

/// Suspends or resumes a partner.
pub fn set_suspended(tx: &mut Tx<'_>, pid: PartnerId, suspended: bool) -> Result<()> {
    tx.unscoped()
        .execute("UPDATE partners SET suspended = $2 WHERE pid = $1", &[pid.into(), suspended.into()])?;
    tx.invalidate(CacheKey::Partner(pid));
    Ok(())
}

/// Tables whose rows a partner's deletion removes in steps, with their key columns. Users come before, groups after;
/// their dependent rows are deleted with them.
const STEPWISE: [(&str, &str); 6] = [
    ("deleted_users", "user_id"),
    ("sessions", "session_id"),
    ("session_addresses", "event_id"),
    ("outbox", "mail_id"),
    ("kept_answers", "key_hash"),
    ("imports", "import_key"),
];

/// Deletes the first `limit` rows that a partner without users still has. Returns their number; `None` if [`delete`]
/// deletes the rest.
pub fn delete_rows(tx: &mut Tx<'_>, limit: usize) -> Result<usize> {
    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
    for (table, key) in STEPWISE {
        let sql = format!(
            "DELETE FROM {table} WHERE pid = $1 AND {key} IN \
             (SELECT t.{key} FROM {table} t WHERE t.pid = $1 LIMIT $2)"
        );
        let gone = tx.execute(&sql, &[rows.into()])?;
        if gone > 0 {
            return Ok(gone);
        }
    }
    let group =
        tx.row("SELECT g.group_id FROM groups g WHERE g.pid = $1 ORDER BY g.group_id LIMIT 1", &[], |row| {
            row.int(0).map(GroupId)
        })?;
    let Some(group) = group else { return Ok(0) };
    let gone = crate::tables::permissions::delete_first(tx, group, rows)?;
    if gone < limit {
        crate::tables::groups::delete(tx, group)?;
    }
    Ok(gone + 1)
}

/// Deletes a partner that has no users any more, with its groups, clients and sessions. Its events stay.
pub fn delete(tx: &mut Tx<'_>, pid: PartnerId) -> Result<()> {
    let mut all = tx.unscoped();
    all.execute("DELETE FROM partners WHERE pid = $1", &[pid.into()])?;
    all.execute("DELETE FROM outbox WHERE pid = $1", &[pid.into()])?;
    all.execute("DELETE FROM kept_answers WHERE pid = $1", &[pid.into()])?;
    let origins = all.execute("DELETE FROM client_origins WHERE pid = $1", &[pid.into()])?;
    all.execute("DELETE FROM counters WHERE pid = $1 AND name <> 'events'", &[pid.into()])?;
    // Totals are written at the end of the batch: this unit's changes of the partner's totals would recreate them.
    tx.effects.counters.retain(|(of, counter, _)| *of != pid || *counter == Counter::Events);
    tx.effects.counters.push((PartnerId(0), Counter::Partners, -1));
    if origins > 0 {
        tx.invalidate(CacheKey::SERVER);
    }
    tx.invalidate(CacheKey::Partner(pid));
    Ok(())
}

/// The start of a page of partners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartnerPosition {
    /// After this many rows.
    Offset(i64),
    /// After this partner.
    After(PartnerId),
}

/// A page of partners whose name contains each word of the term, ascending.
pub fn select(
    tx: &mut Tx<'_>,
    search: Option<&SearchTerm>,
    from: PartnerPosition,
    size: i64,
) -> Result<Vec<Partner>> {
    let (skip, start) = match from {
        PartnerPosition::Offset(offset) => (offset, 0),
        PartnerPosition::After(pid) => (0, pid.0),
    };
    let mut params = vec![start.into(), size.into(), skip.into()];
    let mut conditions = String::from("p.pid > $1");
    if let Some(term) = search {
        conditions.push_str(" AND ");
        conditions.push_str(&search_test(tx.dialect(), term, SEARCHED, (1, &mut params)));
    }
    let sql =
        format!("SELECT {COLUMNS} FROM partners p WHERE {conditions} ORDER BY p.pid LIMIT $2 OFFSET $3");
    tx.unscoped().rows(&sql, &params, read)
}

/// The number of partners whose name contains each word of the term.
pub fn total(tx: &mut Tx<'_>, search: Option<&SearchTerm>) -> Result<Total> {
    let count = match search {
        None => tx.unscoped().rows(
            "SELECT CAST(coalesce(sum(value), 0) AS BIGINT) FROM counters WHERE pid = 0 AND name = 'partners'",
            &[],
            |row| row.int(0),
        )?,
        Some(term) => {
            let mut params = Vec::new();
            let test = search_test(tx.dialect(), term, SEARCHED, (1, &mut params));
            let sql = format!("SELECT count(*) FROM partners p WHERE {test}");
            tx.unscoped().rows(&sql, &params, |row| row.int(0))?
        }
    };
    Ok(Total { count: count.first().copied().unwrap_or(0), is_exact: true })
}

/// What a search looks at.
const SEARCHED: (&[&str], Option<&str>) = (&["p.name_key"], None);

/// An operator token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorToken {
    /// Its id.
    pub token_id: i64,
    /// A description.
    pub name: String,
    /// When it was created.
    pub created_at: Millis,
}

/// Stores the hash of an operator token.
pub fn insert_operator_token(tx: &mut Tx<'_>, hash: &str, name: &str) -> Result<i64> {
    let (id, now) = (tx.next_id(Sequence::OperatorTokens)?, tx.now());
    tx.unscoped().execute(
        "INSERT INTO operator_tokens (token_id, token_hash, name, created_at) VALUES ($1, $2, $3, $4)",
        &[id.into(), hash.into(), name.into(), now.into()],
    )?;
    Ok(id)
}

/// Whether this is the hash of an operator token.
pub fn find_operator_token(tx: &mut Tx<'_>, hash: &str) -> Result<Option<KnownOperatorToken>> {
    let found =
        tx.unscoped()
            .rows("SELECT 1 FROM operator_tokens WHERE token_hash = $1", &[hash.into()], |_| Ok(()))?;
    Ok(found.first().map(|()| KnownOperatorToken(())))
}

/// All operator tokens.
pub fn list_operator_tokens(tx: &mut Tx<'_>) -> Result<Vec<OperatorToken>> {
    tx.unscoped().rows(
        "SELECT token_id, name, created_at FROM operator_tokens ORDER BY token_id",
        &[],
        |row| {
            Ok(OperatorToken {
                token_id: row.int(0)?,
                name: row.text(1)?.to_owned(),
                created_at: row.int(2)?,
            })
        },
    )
}

/// Revokes an operator token. Returns whether it existed.
pub fn delete_operator_token(tx: &mut Tx<'_>, token_id: i64) -> Result<bool> {
    Ok(tx.unscoped().execute("DELETE FROM operator_tokens WHERE token_id = $1", &[token_id.into()])? > 0)
}
