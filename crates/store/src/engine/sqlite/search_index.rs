//! Maintains the substring indexes of SQLite (B27); `listing/search.rs` queries them.

use crate::engine::driver::{Connection, DbError, Dialect};
use tenantry_core::model::{PartnerId, UserId};

/// Separates the values of one user in the index. Control characters are refused in values and in terms, so that a
/// match never spans two values.
pub(crate) const SEPARATOR: char = '\u{1}';

/// A change of one user in the indexes.
#[derive(Debug)]
pub(crate) struct SearchChange {
    pub(crate) pid: PartnerId,
    pub(crate) user_id: UserId,
    /// The indexed text; `None` for a new user.
    pub(crate) before: Option<String>,
    /// The new text; `None` for a deleted user.
    pub(crate) after: Option<String>,
}

/// The bits of a row id for the user's id: room for 68 billion users, and for 134 million partners. `PLACES`,
/// `USER_THERE` and `place_of` of `listing/search.rs` must match.
pub(crate) const USER_BITS: u32 = 36;

/// The row id of a user in the indexes: the user's id in the lower bits, the partner's above. So the users of a partner
/// are contiguous in every list of an index, and a search reads only that part of the list, however large the other
/// partners are.
pub(crate) fn place(pid: PartnerId, user_id: UserId) -> Result<i64, DbError> {
    let has_room = pid.0 >> (i64::BITS - 1 - USER_BITS) == 0 && user_id.0 >> USER_BITS == 0;
    if !has_room {
        let (user, partner) = (user_id.0, pid.0);
        return Err(DbError::Other(format!(
            "the search indexes have no place for user {user} of partner {partner}"
        )));
    }
    Ok(pid.0 << USER_BITS | user_id.0)
}

/// Updates the indexes, once per batch of units. FTS5 flushes its pending terms at every SAVEPOINT, so doing this
/// inside the units would cost four times as much.
///
/// A deletion needs the deleted text: `before` must be exactly what is indexed.
pub(crate) fn apply(conn: &mut dyn Connection, changes: &mut [SearchChange]) -> Result<(), DbError> {
    if conn.dialect() == Dialect::Postgres {
        return Ok(());
    }
    // FTS5 also flushes when row ids are not ascending. The changes of one user keep their order.
    changes.sort_by_key(|change| (change.pid, change.user_id));
    for change in changes.iter() {
        let place = place(change.pid, change.user_id)?;
        for (text, sql) in [
            (&change.before, "INSERT INTO user_search (user_search, rowid, text) VALUES ('delete', $1, $2)"),
            (&change.after, "INSERT INTO user_search (rowid, text) VALUES ($1, $2)"),
        ] {
            if let Some(text) = text {
                conn.execute(sql, None, &[place.into(), text.into()])?;
            }
        }
    }
    for change in changes.iter() {
        let place = place(change.pid, change.user_id)?;
        for (text, sql) in [
            (&change.before, "INSERT INTO user_grams (user_grams, rowid, grams) VALUES ('delete', $1, $2)"),
            (&change.after, "INSERT INTO user_grams (rowid, grams) VALUES ($1, $2)"),
        ] {
            if let Some(text) = text {
                conn.execute(sql, None, &[place.into(), (&grams(text)).into()])?;
            }
        }
    }
    Ok(())
}

/// A character, or two adjacent ones, as one word of the index, which only has letters and digits.
pub(crate) fn push_gram(to: &mut String, first: u64, second: Option<u64>) {
    push_hex(to, first);
    if let Some(second) = second {
        to.push('x');
        push_hex(to, second);
    }
}

/// A user has some fifty of these words, and `std::fmt` takes ten times as long.
fn push_hex(to: &mut String, number: u64) {
    let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
    to.extend(
        (0..digits).rev().filter_map(|place| char::from_digit((number >> (4 * place)) as u32 & 0xf, 16)),
    );
}

/// Every character and every pair of a text, each once.
pub(crate) fn grams(text: &str) -> String {
    // Both characters of a pair as one number: sorting them is half of the work.
    let packed = |first: char, second: Option<char>| {
        u64::from(u32::from(first)) << 32 | second.map_or(0, |c| u64::from(u32::from(c)) + 1)
    };
    let mut all = Vec::with_capacity(2 * text.len());
    let mut before = None;
    for c in text.chars() {
        let c = Some(c).filter(|c| *c != SEPARATOR);
        if let Some(c) = c {
            all.push(packed(c, None));
            if let Some(before) = before {
                all.push(packed(before, Some(c)));
            }
        }
        before = c;
    }
    all.sort_unstable();
    all.dedup();
    let mut words = String::with_capacity(all.len() * 6);
    for gram in all {
        push_gram(&mut words, gram >> 32, (gram & 0xffff_ffff).checked_sub(1));
        words.push(' ');
    }
    words
}
