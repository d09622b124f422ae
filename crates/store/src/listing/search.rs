//! The substring index (B27): one name for what the databases do differently.

use std::sync::LazyLock;

use crate::engine::driver::{Connection, DbError, Dialect};
use crate::engine::sqlite::search_index::{SearchChange, apply, push_gram};
use crate::engine::tx::Tx;
use tenantry_core::error::Result;
use tenantry_core::model::{PartnerId, UserId};
use tenantry_core::user_fields::{ProfileField, ProfileSpec};

/// Users whose texts are read in one go to index all of them.
const TEXTS: i64 = 20_000;

/// The indexes that SQLite has, beside the tables that FTS5 makes for them: of trigrams, and of single characters and
/// pairs. PostgreSQL has an index of the users' own rows (migrations/0001_initial.sql), which it keeps itself.
pub(crate) const INDEXES: [&str; 2] = [TRIGRAMS, "user_grams"];

/// The index of trigrams.
pub(crate) const TRIGRAMS: &str = "user_search";

/// The places of the partner `$1` in the index `s`, as SQL.
pub(crate) const PLACES: &str = "s.rowid BETWEEN ($1 << 36) AND ($1 << 36) + 68719476735";

/// The user who stands at a place of the partner `$1` in the index `s`, as SQL.
pub(crate) const USER_THERE: &str = "(s.rowid - ($1 << 36))";

/// The place of a user of the partner `$1`, as SQL.
pub(crate) fn place_of(user_id: &str) -> String {
    format!("($1 << 36) + {user_id}")
}

/// Indexes all users of a schema that is on its way to the present one: a database whose indexes are new.
pub(crate) fn fill(conn: &mut dyn Connection) -> Result<(), DbError> {
    let mut last = 0;
    loop {
        let mut texts = texts_after(conn, &FIRST_TEXT, last)?;
        let Some(end) = texts.last() else { return Ok(()) };
        last = end.user_id.0;
        apply(conn, &mut texts)?;
    }
}

/// The text that the indexes hold of a user.
pub(crate) fn text_of(tx: &mut Tx<'_>, user_id: UserId) -> Result<Option<String>> {
    let sql = format!("SELECT {} FROM users u WHERE u.pid = $1 AND u.user_id = $2", *TEXT);
    tx.row(&sql, &[user_id.into()], |row| Ok(row.text(0)?.to_owned()))
}

/// The texts of the next users of any partner, by number. `text` is [`TEXT`] or that of an older schema.
pub(crate) fn texts_after(
    conn: &mut dyn Connection,
    text: &str,
    last: i64,
) -> Result<Vec<SearchChange>, DbError> {
    let sql = format!(
        "SELECT u.pid, u.user_id, {text} FROM users u WHERE u.user_id > $1 ORDER BY u.user_id LIMIT {TEXTS}"
    );
    let mut texts = Vec::new();
    conn.query(&sql, None, &[last.into()], &mut |row| {
        let (pid, user_id) = (PartnerId(row.int(0)?), UserId(row.int(1)?));
        texts.push(SearchChange { pid, user_id, before: None, after: Some(row.text(2)?.to_owned()) });
        Ok(())
    })?;
    Ok(texts)
}

/// The profile fields that search indexes have had from the beginning, which released migrations know. On PostgreSQL one
/// index is made over their keys together (0001_initial.sql). A later field has an index of its own there, of the rows
/// that have a value.
const FIRST: [ProfileField; 6] = [
    ProfileField::FirstName,
    ProfileField::LastName,
    ProfileField::Email,
    ProfileField::Title,
    ProfileField::PhoneNumber,
    ProfileField::ExternalId,
];

fn searched() -> impl Iterator<Item = ProfileField> {
    ProfileField::ALL.into_iter().filter(|field| field.spec().is_searched)
}

/// The username's key and those of these fields, as SQL.
fn joined_keys(fields: impl Iterator<Item = ProfileField>) -> String {
    let mut sql = String::from("(u.username_key");
    for ProfileSpec { key_column, is_required, .. } in fields.map(ProfileField::spec) {
        // The optional keys bring their own separator.
        sql.push_str(if *is_required { " || '\u{1}' || u." } else { " || u." });
        sql.push_str(key_column);
    }
    sql.push(')');
    sql
}

/// The text that the indexes of SQLite hold of a user, as SQL: for what the index does not find, and for walks.
pub(crate) static TEXT: LazyLock<String> = LazyLock::new(|| joined_keys(searched()));

/// The text of the [`FIRST`] fields: PostgreSQL's index covers it, and an older schema has nothing else.
pub(crate) static FIRST_TEXT: LazyLock<String> = LazyLock::new(|| joined_keys(FIRST.into_iter()));

/// The test of PostgreSQL, of the parameter `$?`.
static POSTGRES_TEST: LazyLock<String> = LazyLock::new(|| {
    let later = searched().filter(|field| !FIRST.contains(field)).map(|field| {
        let key = field.spec().key_column;
        // The first half is the condition of its index.
        format!(" OR (u.{key} <> '' AND u.{key} LIKE $?)")
    });
    format!("({} LIKE $?{})", *FIRST_TEXT, later.collect::<String>())
});

/// A test of a user's text for a term, and the value to bind at `param` for it.
pub(crate) fn test(dialect: Dialect, param: &str, term: &str) -> (String, String) {
    match dialect {
        Dialect::Sqlite => (dialect.contains(&TEXT, param), term.to_owned()),
        // LIKE is what the trigram indexes know; nothing in the term is a wildcard.
        Dialect::Postgres => (POSTGRES_TEST.replace("$?", param), like_pattern(term)),
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

/// Which of SQLite's indexes finds a term, and what it must MATCH, at [`PLACES`] of the partner. None for a term that
/// neither can find.
pub(crate) fn lookup(term: &str) -> Option<(&'static str, String)> {
    let mut chars = term.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some(first), second, None) => {
            let mut word = String::from('"');
            let code = |c: char| u64::from(u32::from(c));
            push_gram(&mut word, code(first), second.map(code));
            word.push('"');
            Some(("user_grams", word))
        }
        // FTS5 indexes the last two characters of the plane as the one before them, so of these three each would find
        // the others.
        (_, _, Some(_)) if !term.contains(['\u{fffd}', '\u{fffe}', '\u{ffff}']) => {
            Some((TRIGRAMS, quoted(term)))
        }
        _ => None,
    }
}

/// What the index of trigrams must MATCH to find all who hold a term, and few others: those who have each third trigram of
/// it, wherever. That reads a third of the lists that the whole term needs. None for a term that is too short for it.
pub(crate) fn parts(term: &str) -> Option<String> {
    let places: Vec<usize> = term.char_indices().map(|(at, _)| at).chain([term.len()]).collect();
    let trigrams: Vec<&str> = places.windows(4).filter_map(|w| term.get(*w.first()?..*w.last()?)).collect();
    let (last, others) = trigrams.split_last()?;
    let is_shorter = trigrams.len() > 3 && lookup(term).is_some();
    is_shorter.then(|| {
        let parts: Vec<_> = others.iter().step_by(3).chain([last]).map(|part| quoted(part)).collect();
        parts.join(" AND ")
    })
}

/// A term as FTS5 reads it as one phrase: nothing in it is an operator.
fn quoted(term: &str) -> String {
    format!("\"{}\"", term.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sqlite::search_index::{USER_BITS, grams, place};

    #[test]
    fn grams_are_the_characters_and_pairs_within_each_value() {
        let words = grams("aba\u{1}ü\u{1}\u{1}");
        assert_eq!(words, "61 61x62 62 62x61 fc ");
        assert_eq!(lookup("ba"), Some(("user_grams", String::from("\"62x61\""))));
        assert_eq!(lookup("ü"), Some(("user_grams", String::from("\"fc\""))));
        assert_eq!(lookup("a\"b"), Some(("user_search", String::from("\"a\"\"b\""))));
        assert_eq!(lookup("ab\u{fffe}"), None);
    }

    #[test]
    fn the_parts_of_a_term_reach_from_its_beginning_to_its_end() {
        for (term, expected) in [
            ("abcdef", Some(r#""abc" AND "def""#)),
            ("abcdefg", Some(r#""abc" AND "def" AND "efg""#)),
            ("abcdefgh", Some(r#""abc" AND "def" AND "fgh""#)),
            ("ada\"ﬁöß", Some("\"ada\" AND \"\"\"ﬁö\" AND \"ﬁöß\"")),
            ("abcde", None),
            ("ab", None),
            ("", None),
            ("abcdef\u{ffff}", None),
        ] {
            assert_eq!(parts(term).as_deref(), expected, "{term}");
        }
    }

    #[test]
    fn users_of_a_partner_are_contiguous() {
        let place = |pid, user_id| place(PartnerId(pid), UserId(user_id)).ok();
        let last = (1 << USER_BITS) - 1;
        assert_eq!(place(1, last).map(|place| place + 1), place(2, 0));
        assert_eq!(place((1 << 27) - 1, last), Some(i64::MAX));
        for (pid, user_id) in [(1 << 27, 1), (-1, 1), (1, last + 1), (1, -1)] {
            assert_eq!(place(pid, user_id), None, "{pid} {user_id}");
        }
        // What the SQL has in it.
        assert!(PLACES.contains(&format!("<< {}", USER_BITS)) && PLACES.ends_with(&last.to_string()));
        assert!(USER_THERE.contains(&format!("<< {}", USER_BITS)));
        assert!(place_of("$2").contains(&format!("<< {}", USER_BITS)));
    }
}
