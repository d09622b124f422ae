//! The substring index (B27): one name for what the databases do differently.

use std::fmt::Write as _;

use super::driver::{Connection, DbError, Dialect};
use crate::model::{PartnerId, UserId};

/// Parts the values of one user in the index. Control characters are refused in values and in terms, so a match
/// never runs from one value into the next.
pub(super) const SEPARATOR: char = '\u{1}';

/// What the index must learn of one user.
#[derive(Debug)]
pub(super) struct SearchChange {
    pub(super) pid: PartnerId,
    pub(super) user_id: UserId,
    /// Whether the index has an older text of it.
    pub(super) known: bool,
    /// The text from now on; none for a deleted user.
    pub(super) text: Option<String>,
}

/// Brings the index up to date, once per group of units. FTS5 flushes its pending terms at every SAVEPOINT, so
/// doing this inside the units would cost four times as much.
pub(super) fn apply(conn: &mut dyn Connection, changes: &[SearchChange]) -> Result<(), DbError> {
    match conn.dialect() {
        // An index of the users' own rows (migrations/0001_initial.sql), which the database keeps itself.
        Dialect::Postgres => {}
        Dialect::Sqlite => {
            for change in changes {
                if change.known {
                    conn.execute("DELETE FROM user_search WHERE rowid = $1", None, &[change.user_id.into()])?;
                }
                if let Some(text) = &change.text {
                    conn.execute(
                        "INSERT INTO user_search (rowid, partner, text) VALUES ($1, $2, $3)",
                        None,
                        &[change.user_id.into(), (&partner_token(change.pid)).into(), text.into()],
                    )?;
                }
            }
        }
    }
    Ok(())
}

/// The text that the index holds of a user, as SQL: for what the index does not find, and for walks. The index of
/// PostgreSQL is made over exactly this text.
pub(super) const TEXT: &str = "(u.username_key || '\u{1}' || u.first_name_key || '\u{1}' || u.last_name_key || '\u{1}' || \
     u.email_key || u.title_key || u.phone_number_key || u.external_id_key)";

/// A test of [`TEXT`] for a term, and the value to bind at `param` for it.
pub(super) fn test(dialect: Dialect, param: &str, term: &str) -> (String, String) {
    match dialect {
        Dialect::Sqlite => (dialect.contains(TEXT, param), term.to_owned()),
        // LIKE is what the trigram index knows; nothing in the term is a wildcard.
        Dialect::Postgres => (format!("{TEXT} LIKE {param}"), like_pattern(term)),
    }
}

fn like_pattern(term: &str) -> String {
    let mut out = String::with_capacity(term.len() + 2);
    out.push('%');
    for c in term.chars() {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('%');
    out
}

/// The expression that finds the users of a partner whose text holds a term of three characters or more, for
/// `user_search MATCH $n`. The term is quoted whole: nothing in it is an operator.
pub(super) fn match_expression(pid: PartnerId, term: &str) -> String {
    let mut out = String::with_capacity(term.len() + 40);
    let _ = write!(out, "partner : \"{}\" AND text : \"", partner_token(pid));
    for c in term.chars() {
        if c == '"' {
            out.push('"');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// A partner as exactly three characters, so that it is one trigram: digits to the base 16,384 from U+4E00 on.
/// Enough for 4 × 10^12 partners.
fn partner_token(pid: PartnerId) -> String {
    (0..3)
        .rev()
        .map(|place| {
            let digit = (pid.0 >> (14 * place)) & 0x3fff;
            u32::try_from(digit).ok().and_then(|d| char::from_u32(0x4e00 + d)).unwrap_or('\u{4e00}')
        })
        .collect()
}
