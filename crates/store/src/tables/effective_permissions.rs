//! All permissions of a user (contract, part C), and where each of a page of them comes from.

use std::collections::{HashMap, HashSet};

use crate::engine::driver::{Dialect, Param, Row};
use crate::engine::tx::Tx;
use crate::tables::evaluations::{MAX_SOURCES, OF_USER, OF_USER_TEST, Question, sources_with_paths};
use crate::tables::permission_changes::COUNTS;
use tenantry_core::error::Result;
use tenantry_core::model::{Effective, Grant, GroupId, NamedGroup, ObjectId, Source, UserId};

/// The wildcards of a user's groups, and of those above them; each once.
pub fn wildcards_of(tx: &mut Tx<'_>, user_id: UserId) -> Result<Vec<String>> {
    tx.rows(
        &format!(
            "SELECT DISTINCT w.wildcard FROM {OF_USER} CROSS JOIN group_wildcards w WHERE {OF_USER_TEST} \
             AND w.pid = $1 AND w.group_id = a.ancestor_id"
        ),
        &[user_id.into()],
        |row| row.text(0).map(str::to_owned),
    )
}

/// What a user may do with single objects. `known` holds `TYPE PERMISSION` of the catalogue: what groups have of
/// another one does not count.
fn on_objects(tx: &Tx<'_>, more: &str) -> String {
    let known = tx.dialect().text_set("$3");
    format!(
        "SELECT p.object_type AS object_type, p.object_id AS object_id, p.permission AS permission, \
         max(p.is_number) AS is_number FROM {OF_USER} CROSS JOIN group_permissions p WHERE {OF_USER_TEST} \
         AND p.pid = $1 AND p.group_id = a.ancestor_id AND {COUNTS} AND (p.object_type || ' ' || p.permission) IN {known}{more} \
         GROUP BY p.object_type, p.object_id, p.permission"
    )
}

/// How many permissions on single objects a user has.
pub fn count_on_objects(tx: &mut Tx<'_>, user_id: UserId, known: &str) -> Result<i64> {
    let sql = format!("SELECT count(*) FROM ({}) e", on_objects(tx, ""));
    Ok(tx.row(&sql, &[user_id.into(), known.into()], |row| row.int(0))?.unwrap_or(0))
}

/// Where a page of a user's permissions on objects begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectPosition {
    /// After so many.
    Offset(i64),
    /// After this type, id and permission.
    After([String; 3]),
}

/// A page of a user's permissions on single objects, by type, id and permission; without their sources.
pub fn list_on_objects(
    tx: &mut Tx<'_>,
    user_id: UserId,
    known: &str,
    from: &ObjectPosition,
    size: i64,
) -> Result<Vec<Effective>> {
    let (more, skip) = match from {
        ObjectPosition::Offset(_) => ("", " OFFSET $5"),
        ObjectPosition::After(_) => (" AND (p.object_type, p.object_id, p.permission) > ($5, $6, $7)", ""),
    };
    let sql = format!(
        "SELECT e.object_type, e.object_id, e.permission, e.is_number FROM ({}) e \
         ORDER BY e.object_type, e.object_id, e.permission LIMIT $4{skip}",
        on_objects(tx, more)
    );
    let mut params = vec![user_id.into(), known.into(), size.into()];
    match from {
        ObjectPosition::Offset(offset) => params.push((*offset).into()),
        ObjectPosition::After(key) => params.extend(key.iter().map(Param::from)),
    }
    tx.rows(&sql, &params, |row| {
        Ok(Effective {
            object_type: row.text(0)?.to_owned(),
            object_id: Some(ObjectId { text: row.text(1)?.to_owned(), is_number: row.int(3)? != 0 }),
            permission: row.text(2)?.to_owned(),
            sources: Vec::new(),
        })
    })
}

/// Where each of these permissions of a user comes from, at most [`MAX_SOURCES`] for each, in the order of `questions`.
/// Two statements, whatever their number.
pub fn list_sources(tx: &mut Tx<'_>, user_id: UserId, questions: &[Question]) -> Result<Vec<Vec<Source>>> {
    let entries: Vec<String> = questions.iter().map(entry_of).collect();
    let wildcards: HashSet<&String> = questions.iter().flat_map(|question| &question.wildcards).collect();
    let (asked, names) = (serde_json::json!(entries).to_string(), serde_json::json!(wildcards).to_string());
    let params = [user_id.into(), Param::Text(&asked), Param::Text(&names)];
    let mut by_entry: HashMap<String, Vec<Granted>> = HashMap::new();
    let mut by_wildcard: HashMap<String, Vec<Granted>> = HashMap::new();
    for granted in tx.rows(&sources_sql(tx.dialect()), &params, read_granted)? {
        let (known, key) = match &granted.wildcard {
            Some(name) => (&mut by_wildcard, name),
            None => (&mut by_entry, &granted.entry),
        };
        known.entry(key.clone()).or_default().push(granted);
    }
    let mut found = Vec::new();
    for (at, (question, entry)) in questions.iter().zip(&entries).enumerate() {
        let of_wildcards = question.wildcards.iter().filter_map(|name| by_wildcard.get(name));
        let mut all: Vec<&Granted> = by_entry.get(entry).into_iter().chain(of_wildcards).flatten().collect();
        all.sort_by(|one, other| one.position().cmp(&other.position()));
        all.truncate(usize::try_from(MAX_SOURCES).unwrap_or(usize::MAX));
        found.extend(all.into_iter().map(|granted| {
            (at, granted.group.clone(), granted.member_of, granted.grant(&question.object_id))
        }));
    }
    let mut sources = sources_with_paths(tx, found)?;
    Ok((0..questions.len()).map(|at| sources.remove(&at).unwrap_or_default()).collect())
}

/// The text by which [`sources_sql`] finds a question's entries. Types and permissions contain no space.
fn entry_of(question: &Question) -> String {
    format!("{} {} {}", question.object_type, question.action, question.object_id)
}

/// A row of [`sources_sql`].
struct Granted {
    /// As [`entry_of`]; empty for a wildcard.
    entry: String,
    wildcard: Option<String>,
    group: NamedGroup,
    /// The user's own group, which is the same or below.
    member_of: GroupId,
    is_number: bool,
}

impl Granted {
    /// Sources are listed by this.
    fn position(&self) -> (GroupId, GroupId, Option<&str>) {
        (self.group.group_id, self.member_of, self.wildcard.as_deref())
    }

    fn grant(&self, object_id: &str) -> Grant {
        match &self.wildcard {
            Some(name) => Grant::Wildcard(name.clone()),
            None => Grant::Entry(ObjectId { text: object_id.to_owned(), is_number: self.is_number }),
        }
    }
}

fn read_granted(row: &dyn Row) -> Result<Granted> {
    Ok(Granted {
        entry: row.text(0)?.to_owned(),
        wildcard: row.opt_text(1)?.map(str::to_owned),
        group: NamedGroup { group_id: GroupId(row.int(2)?), name: row.text(4)?.to_owned() },
        member_of: GroupId(row.int(3)?),
        is_number: row.int(5)? != 0,
    })
}

/// Entry, wildcard, the group that has it, the group that the user is in, the former's name, and whether the object's id
/// is a number. `$3` is a JSON array of entries as [`entry_of`] writes them, `$4` one of wildcards.
fn sources_sql(dialect: Dialect) -> String {
    let (entries, wildcards) = (dialect.text_set("$3"), dialect.text_set("$4"));
    let of_user = format!("{OF_USER_TEST} AND g.pid = $1 AND g.group_id = a.ancestor_id");
    let entry = "(p.object_type || ' ' || p.permission || ' ' || p.object_id)";
    format!(
        "SELECT t.entry, t.wildcard, t.group_id, t.member_of, t.name, t.is_number FROM (SELECT s.*, row_number() OVER \
         (PARTITION BY s.entry, s.wildcard ORDER BY s.group_id, s.member_of) AS place FROM (\
         SELECT {entry} AS entry, CAST(NULL AS TEXT) AS wildcard, a.ancestor_id AS group_id, m.group_id AS member_of, \
         g.name AS name, p.is_number AS is_number FROM {OF_USER} CROSS JOIN group_permissions p CROSS JOIN groups g \
         WHERE {of_user} AND p.pid = $1 AND p.group_id = a.ancestor_id AND {COUNTS} AND {entry} IN {entries} \
         UNION ALL SELECT CAST('' AS TEXT), CAST(w.wildcard AS TEXT), a.ancestor_id, m.group_id, g.name, \
         CAST(0 AS BIGINT) FROM {OF_USER} CROSS JOIN group_wildcards w CROSS JOIN groups g WHERE {of_user} \
         AND w.pid = $1 AND w.group_id = a.ancestor_id AND w.wildcard IN {wildcards}) s) t \
         WHERE t.place <= {MAX_SOURCES}"
    )
}
