//! The substring indexes of SQLite (B27) as commits keep them; what is asked of them is `listing/search.rs`.

use crate::engine::driver::{Connection, DbError, Dialect};
use tenantry_core::model::{PartnerId, UserId};

/// Parts the values of one user in the index. Control characters are refused in values and in terms, so a match
/// never runs from one value into the next.
pub(crate) const SEPARATOR: char = '\u{1}';

/// What the indexes must learn of one user.
#[derive(Debug)]
pub(crate) struct SearchChange {
    pub(crate) pid: PartnerId,
    pub(crate) user_id: UserId,
    /// The text that they hold of it; none for a new user.
    pub(crate) before: Option<String>,
    /// The text from now on; none for a deleted user.
    pub(crate) after: Option<String>,
}

/// The bits of a place that are the user's: room for 68 billion users, and for 134 million partners. `PLACES`, `USER_THERE`
/// and `place_of` of `listing/search.rs` have the same in them.
pub(crate) const USER_BITS: u32 = 36;

/// Where a user stands in the indexes: its own number below, its partner's above it. So the users of a partner stand side
/// by side in every list of an index, and a search reads that part of the list alone, whatever the other partners have.
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

/// Brings the indexes up to date, once per group of units. FTS5 flushes its pending terms at every SAVEPOINT, so
/// doing this inside the units would cost four times as much.
///
/// A deletion is told by the text that goes: `before` must be what the index holds, to the letter.
pub(crate) fn apply(conn: &mut dyn Connection, changes: &mut [SearchChange]) -> Result<(), DbError> {
    if conn.dialect() == Dialect::Postgres {
        return Ok(());
    }
    // FTS5 also flushes where a row comes before the last one. The changes of one user keep their order.
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

/// A character, or two that stand side by side, as one word of the index, which knows letters and digits.
pub(crate) fn push_gram(to: &mut String, first: u64, second: Option<u64>) {
    push_hex(to, first);
    if let Some(second) = second {
        to.push('x');
        push_hex(to, second);
    }
}

/// A user has some fifty of these words, and what is in `std::fmt` takes ten times as long.
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
