//! Maintains the substring indexes of SQLite (B27); `listing/search.rs` queries them.
//!
//! Every word of these indexes begins with the partner (`17:ada`), so a search looks words up that only this partner's
//! users have: what it reads does not depend on what users of other partners are called, or how many they are
//! (docs/adr/0028-search-by-partner.md).

use crate::engine::driver::{Connection, DbError, Dialect};
use tenantry_core::model::{PartnerId, UserId};

/// Separates the values of one user in the searched text. Control characters are refused in values and in terms, so that
/// a match never spans two values.
pub(crate) const SEPARATOR: char = '\u{1}';

/// Ends the tag, which is the partner's id in decimal: no tag is the beginning of another one.
pub(crate) const END_OF_TAG: char = ':';

/// FTS5's memory for pending terms, per index. A large import is one transaction of thousands of users: with FTS5's
/// megabyte it would leave many small segments, to be merged again and again.
pub(crate) const MEMORY: i64 = 8 << 20;

/// As [`MEMORY`], while all users are indexed.
pub(crate) const MEMORY_OF_A_FILL: i64 = 64 << 20;

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

/// Updates the indexes, once per batch of units. FTS5 flushes its pending terms at every SAVEPOINT, so doing this
/// inside the units would cost four times as much.
///
/// A deletion needs the deleted text: `before` must be exactly what is indexed.
pub(crate) fn apply(conn: &mut dyn Connection, changes: &mut [SearchChange]) -> Result<(), DbError> {
    if conn.dialect() == Dialect::Postgres {
        return Ok(());
    }
    // FTS5 also flushes when row ids are not ascending. The changes of one user keep their order.
    changes.sort_by_key(|change| change.user_id);
    for (grams, delete, insert) in [
        (
            trigrams_of as fn(PartnerId, &str) -> String,
            "INSERT INTO user_search (user_search, rowid, grams) VALUES ('delete', $1, $2)",
            "INSERT INTO user_search (rowid, grams) VALUES ($1, $2)",
        ),
        (
            grams_of,
            "INSERT INTO user_grams (user_grams, rowid, grams) VALUES ('delete', $1, $2)",
            "INSERT INTO user_grams (rowid, grams) VALUES ($1, $2)",
        ),
    ] {
        for change in changes.iter() {
            for (text, sql) in [(&change.before, delete), (&change.after, insert)] {
                if let Some(text) = text {
                    conn.execute(sql, None, &[change.user_id.into(), (&grams(change.pid, text)).into()])?;
                }
            }
        }
    }
    Ok(())
}

/// Sets FTS5's memory for pending terms, in bytes per index.
pub(crate) fn set_memory(conn: &mut dyn Connection, bytes: i64) -> Result<(), DbError> {
    for index in ["user_search", "user_grams"] {
        let sql = format!("INSERT INTO {index} ({index}, rank) VALUES ('hashsize', $1)");
        conn.execute(&sql, None, &[bytes.into()])?;
    }
    Ok(())
}

/// A part of a word that is one word of an index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gram<'w>(pub(crate) &'w str);

/// Every three adjacent characters of a word.
pub(crate) fn trigrams(word: &str) -> impl Iterator<Item = Gram<'_>> {
    windows(word, 3)
}

fn windows(word: &str, length: usize) -> impl Iterator<Item = Gram<'_>> {
    let starts = word.char_indices().map(|(at, _)| at);
    let ends = word.char_indices().map(|(at, _)| at).chain([word.len()]).skip(length);
    starts.zip(ends).filter_map(|(start, end)| word.get(start..end).map(Gram))
}

/// The words of a text that are not parts of others: who searches for a part of a first name also finds it in the e-mail
/// address that contains the name.
fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> =
        text.split(|c: char| c == SEPARATOR || c.is_whitespace()).filter(|word| !word.is_empty()).collect();
    words.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    let mut kept: Vec<&str> = Vec::with_capacity(words.len());
    for word in words {
        if !kept.iter().any(|longer| longer.contains(word)) {
            kept.push(word);
        }
    }
    kept
}

fn tag(pid: PartnerId) -> String {
    format!("{}{END_OF_TAG}", pid.0)
}

/// The trigrams of a text, in order, so that those of a longer word are a phrase. Where the first of a word would continue
/// the last of the word before, the tag alone parts them.
fn trigrams_of(pid: PartnerId, text: &str) -> String {
    let tag = tag(pid);
    let mut all = String::with_capacity(text.len() * (tag.len() + 4));
    let mut push = |gram: &str| {
        all.push_str(&tag);
        all.push_str(gram);
        all.push(' ');
    };
    let mut before: &str = "";
    for word in words(text) {
        for (at, gram) in trigrams(word).enumerate() {
            let mut two = windows(gram.0, 2);
            if at == 0 && two.next().is_some_and(|first| before.ends_with(first.0)) {
                push("");
            }
            push(gram.0);
            before = gram.0;
        }
    }
    all
}

/// Every character and every pair of a text, each once.
fn grams_of(pid: PartnerId, text: &str) -> String {
    let tag = tag(pid);
    let mut all: Vec<&str> = Vec::with_capacity(2 * text.len());
    for word in words(text) {
        all.extend((1..=2).flat_map(|length| windows(word, length)).map(|gram| gram.0));
    }
    all.sort_unstable();
    all.dedup();
    let mut grams = String::with_capacity(all.len() * (tag.len() + 3));
    for gram in all {
        grams.push_str(&tag);
        grams.push_str(gram);
        grams.push(' ');
    }
    grams
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grams_are_the_characters_and_pairs_of_each_word_with_the_partner() {
        assert_eq!(grams_of(PartnerId(7), "aba\u{1}ü ab\u{1}\u{1}"), "7:a 7:ab 7:b 7:ba 7:ü ");
        assert_eq!(grams_of(PartnerId(7), "\u{1}"), "");
    }

    #[test]
    fn trigrams_are_those_of_words_that_no_other_word_contains() {
        let grams = |text: &str| trigrams_of(PartnerId(12), text).replace("12:", "-");
        assert_eq!(
            grams("ada\u{1}lovelace\u{1}ada@x.y"),
            "-lov -ove -vel -ela -lac -ace -ada -da@ -a@x -@x. -x.y "
        );
        assert_eq!(grams("ab\u{1}c \u{1}"), "");
        assert_eq!(grams("abcd same same"), "-abc -bcd -sam -ame ");
        // "xaby" and "abc" are not "xabc".
        assert_eq!(grams("xxab abc"), "-xxa -xab - -abc ");
        assert_eq!(grams("wöäü äüß"), "-wöä -öäü - -äüß ");
    }
}
