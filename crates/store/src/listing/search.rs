//! Substring search of users (B27): one name for what the databases do differently.
//!
//! The searched text of a user is its folded keys, separated by U+0001, without accents. `users.search_key` has it if
//! the keys are not ASCII; otherwise it is null, and the text is the keys as they are.

use std::sync::LazyLock;

use crate::engine::driver::{Connection, DbError, Dialect, Param};
use crate::engine::sqlite::search_index::{self, Gram, SearchChange, apply};
use crate::engine::tx::Tx;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{PartnerId, UserId};
use tenantry_core::search_terms::{SearchTerm, without_accents};
use tenantry_core::user_fields::{ProfileField, ProfileSpec};

/// Users whose texts are read in one go to index all of them.
const TEXTS: i64 = 20_000;

/// Users of a partner up to which PostgreSQL compares each of them with the term, instead of reading the index that all
/// partners share: then a search reads nothing of other partners' ([ADR 28](../../../../docs/adr/0028-search-by-partner.md)).
pub(crate) const FEW_USERS: i64 = 1_000;

/// The indexes that SQLite has, beside the tables that FTS5 makes for them: of trigrams, and of single characters and
/// pairs. PostgreSQL has indexes of the users' own rows (migrations 0001, 0014 and 0018), which it keeps itself.
pub(crate) const INDEXES: [&str; 2] = [TRIGRAMS, GRAMS];

const TRIGRAMS: &str = "user_search";
const GRAMS: &str = "user_grams";

/// Indexes all users of a schema that is on its way to the present one: a database whose indexes are new. `progress` is
/// called with the number of users done.
pub(crate) fn fill(conn: &mut dyn Connection, progress: &mut dyn FnMut(u64)) -> Result<(), DbError> {
    let (mut last, mut done) = (0, 0);
    search_index::set_memory(conn, search_index::MEMORY_OF_A_FILL)?;
    while let Some(part) = index_after(conn, last)? {
        last = part.last;
        done += part.users;
        progress(done);
    }
    search_index::set_memory(conn, search_index::MEMORY)
}

/// Users that were indexed.
pub(crate) struct Indexed {
    /// The id of the last.
    pub(crate) last: i64,
    pub(crate) users: u64,
}

/// Indexes the next users of any partner, by id, and stores the search keys that they lack. None if there are no more.
pub(crate) fn index_after(conn: &mut dyn Connection, last: i64) -> Result<Option<Indexed>, DbError> {
    let sql = format!(
        "SELECT u.pid, u.user_id, {}, u.search_key FROM users u WHERE u.user_id > $1 ORDER BY u.user_id LIMIT {TEXTS}",
        *KEYS
    );
    let (mut texts, mut keys) = (Vec::new(), Vec::new());
    conn.query(&sql, None, &[last.into()], &mut |row| {
        let (pid, user_id) = (PartnerId(row.int(0)?), UserId(row.int(1)?));
        let (text, is_new) = match (row.text(2)?, row.opt_text(3)?) {
            (_, Some(key)) => (key.to_owned(), false),
            (ascii, None) if ascii.is_ascii() => (ascii.to_owned(), false),
            (text, None) => (without_accents(text).into_owned(), true),
        };
        if is_new {
            keys.push((pid, user_id, text.clone()));
        }
        texts.push(SearchChange { pid, user_id, before: None, after: Some(text) });
        Ok(())
    })?;
    let Some(end) = texts.last() else { return Ok(None) };
    let indexed = Indexed { last: end.user_id.0, users: texts.len() as u64 };
    for (pid, user_id, key) in keys {
        let set = "UPDATE users SET search_key = $3 WHERE pid = $1 AND user_id = $2";
        conn.execute(set, Some(pid), &[user_id.into(), (&key).into()])?;
    }
    apply(conn, &mut texts)?;
    Ok(Some(indexed))
}

/// The text that the indexes hold of a user.
pub(crate) fn text_of(tx: &mut Tx<'_>, user_id: UserId) -> Result<Option<String>> {
    let sql = format!("SELECT {} FROM users u WHERE u.pid = $1 AND u.user_id = $2", *TEXT);
    tx.row(&sql, &[user_id.into()], |row| Ok(row.text(0)?.to_owned()))
}

/// Stores the search keys of the next users that lack theirs, and returns their number: those whom a server of a
/// version before 0018 has stored or changed on PostgreSQL.
pub(crate) fn fill_keys(conn: &mut dyn Connection, limit: i64) -> Result<usize, DbError> {
    if conn.dialect() == Dialect::Sqlite {
        return Ok(0);
    }
    let lacking = format!(
        "SELECT u.pid, u.user_id, {} FROM users u WHERE {} ORDER BY u.user_id LIMIT $1 FOR UPDATE SKIP LOCKED",
        *KEYS, *LACKS_KEY
    );
    let mut keys = Vec::new();
    conn.query(&lacking, None, &[limit.into()], &mut |row| {
        keys.push((row.int(0)?, row.int(1)?, without_accents(row.text(2)?).into_owned()));
        Ok(())
    })?;
    let list = serde_json::json!(keys).to_string();
    let set = "UPDATE users SET search_key = CAST(k.value ->> 2 AS TEXT) \
               FROM jsonb_array_elements(CAST($1 AS JSONB)) k \
               WHERE users.pid = CAST(k.value ->> 0 AS BIGINT) AND users.user_id = CAST(k.value ->> 1 AS BIGINT)";
    if !keys.is_empty() {
        conn.execute(set, None, &[Param::Text(&list)])?;
    }
    Ok(keys.len())
}

/// Refuses a database where users lack their search keys ([`fill_keys`]).
pub(crate) fn check_keys(conn: &mut dyn Connection) -> Result<()> {
    let mut lacking = 0;
    if conn.dialect() == Dialect::Postgres {
        let sql = format!("SELECT count(*) FROM users u WHERE {}", *LACKS_KEY);
        conn.query(&sql, None, &[], &mut |row| {
            lacking = row.int(0)?;
            Ok(())
        })?;
    }
    if lacking == 0 {
        return Ok(());
    }
    Err(Error::internal(format!(
        "{lacking} users were stored by a server of an older version and are not yet searchable by all their words: run \
         `tenantry migrate` with this version, and stop the older servers"
    )))
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

/// The keys of a user, with their accents, as SQL.
static KEYS: LazyLock<String> = LazyLock::new(|| joined_keys(searched()));

/// The searched text of a user, as SQL: for what no index finds, and for walks.
pub(crate) static TEXT: LazyLock<String> = LazyLock::new(|| format!("coalesce(u.search_key, {})", *KEYS));

/// The keys of the [`FIRST`] fields: PostgreSQL's index covers them.
pub(crate) static FIRST_KEYS: LazyLock<String> = LazyLock::new(|| joined_keys(FIRST.into_iter()));

/// Whether a row of PostgreSQL lacks its search key: the condition of the index of these rows.
pub(crate) static LACKS_KEY: LazyLock<String> =
    LazyLock::new(|| format!("u.search_key IS NULL AND octet_length({0}) > char_length({0})", *KEYS));

/// The test of PostgreSQL that its indexes know, of the parameter `$?`. A word without accents that is in the keys is
/// also in their form without accents, so the keys of all rows are tested, in whichever index they are.
static POSTGRES_TEST: LazyLock<String> = LazyLock::new(|| {
    let later = searched().filter(|field| !FIRST.contains(field)).map(|field| {
        let key = field.spec().key_column;
        // The first half is the condition of its index.
        format!(" OR (u.{key} <> '' AND u.{key} LIKE $?)")
    });
    format!(
        "({} LIKE $?{} OR (u.search_key IS NOT NULL AND u.search_key LIKE $?))",
        *FIRST_KEYS,
        later.collect::<String>()
    )
});

/// A test of a user's text for a word, and the value to bind at `param` for it. If `by_index` is false, no index of
/// texts answers it.
pub(crate) fn test(dialect: Dialect, by_index: bool, param: &str, word: &str) -> (String, String) {
    match dialect {
        // LIKE is what the trigram indexes know; nothing in the word is a wildcard.
        Dialect::Postgres if by_index => (POSTGRES_TEST.replace("$?", param), like_pattern(word)),
        _ => (dialect.contains(&TEXT, param), word.to_owned()),
    }
}

fn like_pattern(word: &str) -> String {
    let mut out = String::with_capacity(word.len() + 2);
    out.push('%');
    for c in word.chars() {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('%');
    out
}

/// How one of SQLite's indexes finds a term.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lookup<'t> {
    pub(crate) index: &'static str,
    /// What it must MATCH, once the partner's tag is in it ([`matches()`]).
    pub(crate) expression: String,
    /// Words that it cannot find, of which each of its users must be tested.
    pub(crate) untested: Vec<&'t str>,
}

/// The index `index`, `s`, matches the expression bound at `param`, as SQL. The tag of every word in it is made of the
/// transaction's partner: no other partner's word can be asked for.
pub(crate) fn matches(index: &str, param: &str) -> String {
    format!(
        "s.{index} MATCH replace({param}, char({}), $1 || '{}')",
        u32::from(TAG),
        search_index::END_OF_TAG
    )
}

/// Stands for the tag of the partner in an expression. Terms have no control characters.
const TAG: char = '\u{2}';

/// How a term is found in one index: its words of three and more characters by their trigrams, or shorter words by
/// themselves if there are no others.
pub(crate) fn lookup(term: &SearchTerm) -> Lookup<'_> {
    let (long, short): (Vec<_>, Vec<_>) = term.words().partition(|word| word.chars().nth(2).is_some());
    let all_of = |words: &[&str]| words.iter().map(|word| phrase(word)).collect::<Vec<_>>().join(" AND ");
    if long.is_empty() {
        return Lookup { index: GRAMS, expression: all_of(&short), untested: Vec::new() };
    }
    Lookup { index: TRIGRAMS, expression: all_of(&long), untested: short }
}

/// As [`lookup`], but it finds all who have a term, and few others: those who have each third trigram of its long words,
/// wherever. That reads a third of the lists that the whole words need. None if no word is long enough for it.
pub(crate) fn parts(term: &SearchTerm) -> Option<Lookup<'_>> {
    let mut parts: Vec<String> = Vec::new();
    let mut is_shorter = false;
    for word in term.words() {
        let trigrams: Vec<Gram<'_>> = search_index::trigrams(word).collect();
        let Some((last, others)) = trigrams.split_last() else { continue };
        is_shorter |= trigrams.len() > 3;
        parts.extend(others.iter().step_by(3).chain([last]).map(|part| phrase(part.0)));
    }
    is_shorter.then(|| Lookup { index: TRIGRAMS, expression: parts.join(" AND "), untested: Vec::new() })
}

/// A word as FTS5 reads it as one phrase of grams: nothing in it is an operator.
fn phrase(word: &str) -> String {
    let mut phrase = String::from('"');
    let mut push = |gram: &str| {
        if phrase.len() > 1 {
            phrase.push(' ');
        }
        phrase.push(TAG);
        phrase.push_str(&gram.replace('"', "\"\""));
    };
    let mut trigrams = search_index::trigrams(word).peekable();
    if trigrams.peek().is_none() {
        push(word);
    }
    trigrams.for_each(|gram| push(gram.0));
    phrase.push('"');
    phrase
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(text: &str) -> SearchTerm {
        SearchTerm::parse(text).unwrap().unwrap()
    }

    fn shown(text: &str) -> String {
        text.replace('\u{2}', "1:")
    }

    #[test]
    fn the_index_of_a_term_is_that_of_its_longest_words() {
        for (text, index, expression, untested) in [
            ("ü", GRAMS, "\"1:ü\"", vec![]),
            ("ba", GRAMS, "\"1:ba\"", vec![]),
            ("ba \"", GRAMS, "\"1:ba\" AND \"1:\"\"\"", vec![]),
            ("a\"b", TRIGRAMS, "\"1:a\"\"b\"", vec![]),
            ("adal", TRIGRAMS, "\"1:ada 1:dal\"", vec![]),
            ("ada x lovel", TRIGRAMS, "\"1:ada\" AND \"1:lov 1:ove 1:vel\"", vec!["x"]),
        ] {
            let term = term(text);
            let found = lookup(&term);
            assert_eq!(
                (found.index, &*shown(&found.expression), found.untested),
                (index, expression, untested),
                "{text}"
            );
        }
    }

    #[test]
    fn the_parts_of_a_term_reach_from_its_beginning_to_its_end() {
        for (text, expected) in [
            ("abcdef", Some(r#""1:abc" AND "1:def""#)),
            ("abcdefg", Some(r#""1:abc" AND "1:def" AND "1:efg""#)),
            ("abcdefgh", Some(r#""1:abc" AND "1:def" AND "1:fgh""#)),
            ("ada\"ıöþ", Some(r#""1:ada" AND "1:""ıö" AND "1:ıöþ""#)),
            ("abcdef xyz ab", Some(r#""1:abc" AND "1:def" AND "1:xyz""#)),
            ("abcde", None),
            ("abcde xyz", None),
            ("ab", None),
        ] {
            let term = term(text);
            let found = parts(&term).map(|found| shown(&found.expression));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
