//! What users may do, and why (contract, part C).
//!
//! A user has what its groups have, and what the groups above those have. The one question that products ask on every
//! request, `find_facts`, is a statement of bounded work, seldom two: see `docs/adr/0013-permission-evaluation.md`.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::hash::Hash;
use std::sync::OnceLock;

use crate::engine::driver::{Dialect, Param, Row};
use crate::engine::tx::Tx;
use crate::listing::lists::{EXACT_TOTAL, Total};
use crate::tables::nesting;
use crate::tables::permission_changes::COUNTS;
use tenantry_core::error::Result;
use tenantry_core::model::{Grant, GroupId, NamedGroup, ObjectId, Source, UserId};

/// Groups that are tried from the object's side before the query starts from the user's side.
const TRIED: usize = 8;

/// Maximum number of sources of one permission that are reported.
pub const MAX_SOURCES: i64 = 100;

/// May this be done to that object?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The object's type.
    pub object_type: String,
    /// The object's id, as text; empty where the action is a wildcard's own name.
    pub object_id: String,
    /// A per-object permission, or the name of a wildcard.
    pub action: String,
    /// The wildcards by which the action is allowed on every object of the type.
    pub wildcards: Vec<String>,
}

impl Question {
    /// As parameters `$n` to `$n+2` and on: type, id, action, wildcards.
    fn params<'a>(&'a self, params: &mut Vec<Param<'a>>) {
        params.extend([&self.object_type, &self.object_id, &self.action].map(Param::from));
        params.extend(self.wildcards.iter().map(Param::from));
    }
}

/// What decides a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvaluationFacts {
    /// Whether a group of the user has it.
    pub is_granted: bool,
    /// Whether the user is a partner admin.
    pub is_admin: bool,
}

/// `$n`, `$n+1`, ..., `count` of them.
fn numbered(first: usize, count: usize) -> impl Iterator<Item = String> {
    (first..first + count).map(|n| format!("${n}"))
}

/// The groups that have the permission, each row one. Type, id, action and wildcards begin at `$first`.
fn granting(first: usize, wildcards: usize) -> String {
    let mut sql = format!(
        "SELECT p.group_id AS group_id FROM group_permissions p WHERE p.pid = $1 AND p.object_type = ${first} \
         AND p.object_id = ${} AND p.permission = ${} AND {COUNTS}",
        first + 1,
        first + 2
    );
    // Each by itself: of a list of values SQLite makes a table first, which costs more than all the rest.
    for wildcard in numbered(first + 3, wildcards) {
        let _ = write!(
            sql,
            " UNION ALL SELECT w.group_id AS group_id FROM group_wildcards w WHERE w.pid = $1 AND w.wildcard = {wildcard}"
        );
    }
    sql
}

/// The groups whose members have the permission: those of [`granting`] with all below them.
fn reaching(first: usize, wildcards: usize) -> String {
    format!(
        "SELECT a.group_id AS group_id FROM ({}) g CROSS JOIN group_ancestors a \
         WHERE a.pid = $1 AND a.ancestor_id = g.group_id",
        granting(first, wildcards)
    )
}

/// Whether a group of the user, or one above it, has the permission, found from the user's side.
fn from_user(user: &str, first: usize, wildcards: usize) -> String {
    let by_wildcard = numbered(first + 3, wildcards).fold(String::new(), |mut sql, wildcard| {
        let _ = write!(
            sql,
            " OR EXISTS (SELECT 1 FROM group_wildcards w WHERE w.pid = $1 AND w.wildcard = {wildcard} \
             AND w.group_id = a.ancestor_id)"
        );
        sql
    });
    format!(
        "EXISTS (SELECT 1 FROM memberships m CROSS JOIN group_ancestors a WHERE m.pid = $1 AND m.user_id = {user} \
         AND a.pid = $1 AND a.group_id = m.group_id AND (EXISTS (SELECT 1 FROM group_permissions p WHERE p.pid = $1 \
         AND p.object_type = ${first} AND p.object_id = ${} AND p.permission = ${} AND p.group_id = a.ancestor_id \
         AND {COUNTS})\
         {by_wildcard}))",
        first + 1,
        first + 2
    )
}

/// What a group counts that has the permission and is one of the user's; any other that has it counts one.
const HELD: usize = 2 * TRIED;

/// The text of [`find_facts`]: a few of the groups that have it are tried. The sum shows whether one of them is
/// the user's, and whether there are more than were tried.
fn decision_sql(dialect: Dialect, wildcards: usize) -> String {
    format!(
        "SELECT u.is_admin, (SELECT CAST(coalesce(sum(CASE WHEN EXISTS (SELECT 1 FROM memberships m {} WHERE m.pid = $1 \
         AND m.user_id = $2 AND m.group_id = r.group_id) THEN {HELD} ELSE 1 END), 0) AS BIGINT) \
         FROM ({} LIMIT {}) r) FROM users u WHERE u.pid = $1 AND u.user_id = $2 AND u.status = 0 \
         AND EXISTS (SELECT 1 FROM partners t WHERE t.pid = $1 AND t.suspended = 0)",
        dialect.by_index("memberships_by_user"),
        reaching(3, wildcards),
        TRIED + 1
    )
}

/// The reversed question: a row where the user has it.
fn reversed_sql(wildcards: usize) -> String {
    format!("SELECT 1 WHERE {}", from_user("$2", 3, wildcards))
}

/// What [`find_facts`] asks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Texts {
    decision: String,
    reversed: String,
}

/// The texts are written once for each usual number of wildcards: making them would cost as much as the question.
fn texts(dialect: Dialect, wildcards: usize) -> Cow<'static, Texts> {
    const USUAL: usize = 4;
    static TEXTS: [[OnceLock<Texts>; USUAL]; 2] = [const { [const { OnceLock::new() }; USUAL] }; 2];
    let make = || Texts { decision: decision_sql(dialect, wildcards), reversed: reversed_sql(wildcards) };
    let known = TEXTS.get(usize::from(dialect.has_one_writer())).and_then(|texts| texts.get(wildcards));
    known.map_or_else(|| Cow::Owned(make()), |texts| Cow::Borrowed(texts.get_or_init(make)))
}

/// The response to a question about a user. `None` = there is no such ACTIVE user, or its partner is
/// suspended: such a one has no permissions.
///
/// Where more groups have the permission than are tried, and none of these is the user's, the question is reversed.
/// Both ways are bounded, whatever the other side's size.
pub fn find_facts(tx: &mut Tx<'_>, user_id: UserId, question: &Question) -> Result<Option<EvaluationFacts>> {
    let wildcards = question.wildcards.len();
    let mut params = Vec::with_capacity(4 + wildcards);
    params.push(user_id.into());
    question.params(&mut params);
    let read = |row: &dyn Row| Ok((row.int(0)? != 0, usize::try_from(row.int(1)?).unwrap_or(0)));
    let texts = texts(tx.dialect(), wildcards);
    let Some((is_admin, sum)) = tx.row(&texts.decision, &params, read)? else {
        return Ok(None);
    };
    let mut is_granted = sum >= HELD;
    if !is_granted && sum > TRIED {
        is_granted = tx.row(&texts.reversed, &params, |_| Ok(()))?.is_some();
    }
    Ok(Some(EvaluationFacts { is_granted, is_admin }))
}

/// The groups of a user, and those above them.
pub(super) const OF_USER: &str = "memberships m CROSS JOIN group_ancestors a";
pub(super) const OF_USER_TEST: &str =
    "m.pid = $1 AND m.user_id = $2 AND a.pid = $1 AND a.group_id = m.group_id";

/// Where a user's permission comes from: at most [`MAX_SOURCES`].
pub fn list_sources(tx: &mut Tx<'_>, user_id: UserId, question: &Question) -> Result<Vec<Source>> {
    Ok(list_sources_of(tx, &[user_id], question)?.remove(&user_id).unwrap_or_default())
}

/// Where the permission of each of these users comes from, at most [`MAX_SOURCES`] for each; users without one are left
/// out. Two statements, whatever the number of users.
pub fn list_sources_of(
    tx: &mut Tx<'_>,
    users: &[UserId],
    question: &Question,
) -> Result<HashMap<UserId, Vec<Source>>> {
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    let ids = serde_json::json!(users.iter().map(|user| user.0).collect::<Vec<_>>()).to_string();
    let mut params = vec![Param::Text(&ids)];
    question.params(&mut params);
    let sql = sources_sql(tx.dialect(), question.wildcards.len());
    let read = |row: &dyn Row| {
        let by = match row.opt_text(4)? {
            Some(name) => Grant::Wildcard(name.to_owned()),
            None => Grant::Entry(ObjectId { text: question.object_id.clone(), is_number: row.int(5)? != 0 }),
        };
        let group = NamedGroup { group_id: GroupId(row.int(1)?), name: row.text(3)?.to_owned() };
        Ok((UserId(row.int(0)?), group, GroupId(row.int(2)?), by))
    };
    let found = tx.rows(&sql, &params, read)?;
    sources_with_paths(tx, found)
}

/// The sources by what they belong to, from rows of that, the group that has the permission, the user's own group, and
/// what grants it. One statement, for the paths of nested groups.
pub(super) fn sources_with_paths<K: Eq + Hash>(
    tx: &mut Tx<'_>,
    found: Vec<(K, NamedGroup, GroupId, Grant)>,
) -> Result<HashMap<K, Vec<Source>>> {
    let nested = found.iter().filter(|(_, group, member_of, _)| group.group_id != *member_of);
    let nested: BTreeSet<GroupId> = nested.map(|(_, _, member_of, _)| *member_of).collect();
    let paths = nesting::named_paths_up(tx, &nested)?;
    let mut sources: HashMap<K, Vec<Source>> = HashMap::new();
    for (key, group, member_of, by) in found {
        let NamedGroup { group_id, name } = group.clone();
        let path = match paths.get(&member_of).filter(|_| group_id != member_of) {
            None => vec![group],
            Some(up) => {
                let end =
                    up.iter().position(|above| above.group_id == group_id).map_or(up.len(), |at| at + 1);
                up.iter().take(end).cloned().collect()
            }
        };
        sources.entry(key).or_default().push(Source::Group { group_id, name, path, by });
    }
    Ok(sources)
}

/// The text of [`list_sources_of`]: user, the group that has it, the group that the user is in, the former's name,
/// wildcard, and whether the object's id is a number. `$2` is a JSON array of users, and the question begins at `$3`.
fn sources_sql(dialect: Dialect, wildcards: usize) -> String {
    let users = dialect.int_set("$2");
    let of_users = format!(
        "m.pid = $1 AND m.user_id IN {users} AND a.pid = $1 AND a.group_id = m.group_id AND g.pid = $1 \
         AND g.group_id = a.ancestor_id"
    );
    let mut sql = format!(
        "SELECT m.user_id AS user_id, a.ancestor_id AS group_id, m.group_id AS member_of, g.name AS name, \
         CAST(NULL AS TEXT) AS wildcard, p.is_number AS is_number FROM {OF_USER} CROSS JOIN group_permissions p \
         CROSS JOIN groups g WHERE {of_users} AND p.pid = $1 AND p.object_type = $3 AND p.object_id = $4 \
         AND p.permission = $5 AND p.group_id = a.ancestor_id AND {COUNTS}"
    );
    if wildcards > 0 {
        let _ = write!(
            sql,
            " UNION ALL SELECT m.user_id, a.ancestor_id, m.group_id, g.name, CAST(w.wildcard AS TEXT), CAST(0 AS BIGINT) \
             FROM {OF_USER} CROSS JOIN group_wildcards w CROSS JOIN groups g WHERE {of_users} AND w.pid = $1 \
             AND w.wildcard IN ({}) AND w.group_id = a.ancestor_id",
            numbered(6, wildcards).collect::<Vec<_>>().join(", ")
        );
    }
    format!(
        "SELECT t.user_id, t.group_id, t.member_of, t.name, t.wildcard, t.is_number FROM (SELECT s.*, row_number() \
         OVER (PARTITION BY s.user_id ORDER BY s.group_id, s.member_of, coalesce(s.wildcard, '')) AS place \
         FROM ({sql}) s) t WHERE t.place <= {MAX_SOURCES} ORDER BY t.user_id, t.place"
    )
}

/// Who counts as a holder beside members of groups.
const ADMINS: &str =
    "SELECT u.user_id AS user_id FROM users u WHERE u.pid = $1 AND u.is_admin = 1 AND u.status = 0";

/// All ACTIVE users who have the permission, found from the groups that have it; each once. The question begins at
/// `$2`.
fn holders_from_groups(wildcards: usize, with_admins: bool) -> String {
    let mut sql = format!(
        "SELECT m.user_id AS user_id FROM ({}) r CROSS JOIN memberships m CROSS JOIN users u WHERE m.pid = $1 \
         AND m.group_id = r.group_id AND u.pid = $1 AND u.user_id = m.user_id AND u.status = 0",
        reaching(2, wildcards)
    );
    if with_admins {
        let _ = write!(sql, " UNION ALL {ADMINS}");
    }
    format!("SELECT DISTINCT h.user_id AS user_id FROM ({sql}) h")
}

/// How many users have the permission; beyond [`EXACT_TOTAL`] that is all that is said.
pub fn count_holders(tx: &mut Tx<'_>, question: &Question, with_admins: bool) -> Result<Total> {
    let sql = format!(
        "SELECT count(*) FROM ({} LIMIT {}) hits",
        holders_from_groups(question.wildcards.len(), with_admins),
        EXACT_TOTAL + 1
    );
    let mut params = Vec::new();
    question.params(&mut params);
    let count = tx.row(&sql, &params, |row| row.int(0))?.unwrap_or(0);
    Ok(Total { count: count.min(EXACT_TOTAL), is_exact: count <= EXACT_TOTAL })
}

/// Where a page of holders begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderPosition {
    /// After so many.
    Offset(i64),
    /// After this user.
    After(UserId),
}

/// A user who has a permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderRow {
    /// The user.
    pub user_id: UserId,
    /// As typed.
    pub username: String,
    /// Whether the user is a partner admin.
    pub is_admin: bool,
}

/// A page of the users who have the permission, ascending. `total` is what [`count_holders`] said in the same
/// transaction: few are sorted; where there are many, users are walked through and each is asked about.
pub fn list_holders(
    tx: &mut Tx<'_>,
    question: &Question,
    with_admins: bool,
    from: HolderPosition,
    size: i64,
    total: Total,
) -> Result<Vec<HolderRow>> {
    let wildcards = question.wildcards.len();
    let mut params = Vec::new();
    question.params(&mut params);
    let next = params.len() + 2;
    params.push(size.into());
    let (beyond, skip) = match from {
        HolderPosition::Offset(offset) => {
            params.push(offset.into());
            (String::new(), format!(" OFFSET ${}", next + 1))
        }
        HolderPosition::After(user) => {
            params.push(user.into());
            (format!(" AND u.user_id > ${}", next + 1), String::new())
        }
    };
    let sql = if total.is_exact {
        format!(
            "SELECT u.user_id, u.username, u.is_admin FROM ({}) s CROSS JOIN users u WHERE u.pid = $1 AND u.user_id = s.user_id\
             {beyond} ORDER BY u.user_id LIMIT ${next}{skip}",
            holders_from_groups(wildcards, with_admins)
        )
    } else {
        let admins = if with_admins { "u.is_admin = 1 OR " } else { "" };
        format!(
            "SELECT u.user_id, u.username, u.is_admin FROM users u WHERE u.pid = $1 AND u.status = 0{beyond} AND ({admins}{}) \
             ORDER BY u.user_id LIMIT ${next}{skip}",
            from_user("u.user_id", 2, wildcards)
        )
    };
    tx.rows(&sql, &params, |row| {
        let username = row.text(1)?.to_owned();
        Ok(HolderRow { user_id: UserId(row.int(0)?), username, is_admin: row.int(2)? != 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::driver::DbError;

    /// On SQLite it would be planned anew for each question, which takes ten times as long as to answer it.
    #[test]
    fn the_hot_statement_is_planned_once() {
        use crate::engine::sqlite::{Sqlite, Use};
        use crate::engine::tx::{Context, Effects};
        use tenantry_core::account_policy::AccountPolicy;
        use tenantry_core::clock::Clock;
        use tenantry_core::random::Random;

        let (dir, clock, random) = (tempfile::tempdir().unwrap(), Clock::manual(1_000), Random::seeded(1));
        let path = dir.path().join("tenantry.db");
        let _store =
            crate::store::Store::open_sqlite(&path, clock.clone(), random.clone(), AccountPolicy::DEFAULT)
                .unwrap();
        let mut conn = Sqlite::open(&path, Use::Point).unwrap();
        for n in 0..5_i64 {
            let question = Question {
                object_type: String::from("SEGMENT"),
                object_id: n.to_string(),
                action: String::from("READ"),
                wildcards: vec![String::from("VIEW_ALL_SEGMENTS")],
            };
            let context = Context {
                time: tenantry_core::clock::Reading::at(1_000),
                random: &random,
                policy: &AccountPolicy::DEFAULT,
            };
            let (mut effects, scope) = (Effects::default(), crate::access::nobody());
            let mut tx = Tx::open(&mut conn, &mut effects, scope, context);
            assert_eq!(find_facts(&mut tx, UserId(n + 1), &question).unwrap(), None);
        }
        assert_eq!(conn.replanned(&texts(Dialect::Sqlite, 1).decision), 0);
    }

    /// A connection that counts what it is asked.
    struct Counting(crate::engine::sqlite::Sqlite, usize);

    impl crate::engine::driver::Connection for Counting {
        fn execute(
            &mut self,
            sql: &str,
            partner: Option<tenantry_core::model::PartnerId>,
            params: &[Param<'_>],
        ) -> Result<usize, DbError> {
            self.1 += 1;
            self.0.execute(sql, partner, params)
        }
        fn execute_later(
            &mut self,
            sql: &str,
            partner: Option<tenantry_core::model::PartnerId>,
            params: &[Param<'_>],
            refused: fn(DbError) -> tenantry_core::error::Error,
        ) -> Result<(), DbError> {
            self.1 += 1;
            self.0.execute_later(sql, partner, params, refused)
        }
        fn query(
            &mut self,
            sql: &str,
            partner: Option<tenantry_core::model::PartnerId>,
            params: &[Param<'_>],
            each: &mut dyn FnMut(&dyn Row) -> Result<()>,
        ) -> Result<(), DbError> {
            self.1 += 1;
            self.0.query(sql, partner, params, each)
        }
        fn batch(&mut self, sql: &str) -> Result<(), DbError> {
            self.1 += 1;
            self.0.batch(sql)
        }
        fn dialect(&self) -> Dialect {
            Dialect::Sqlite
        }
    }

    /// However many holders or permissions a page has, and however they come by them.
    #[test]
    fn the_sources_of_a_page_are_two_statements() {
        use crate::engine::driver::Connection as _;
        use crate::engine::sqlite::{Sqlite, Use};
        use crate::engine::tx::{Context, Effects};
        use tenantry_core::account_policy::AccountPolicy;
        use tenantry_core::clock::Clock;
        use tenantry_core::random::Random;

        let (dir, clock, random) = (tempfile::tempdir().unwrap(), Clock::manual(1_000), Random::seeded(1));
        let path = dir.path().join("tenantry.db");
        drop(crate::store::Store::open_sqlite(&path, clock, random.clone(), AccountPolicy::DEFAULT).unwrap());
        let mut conn = Sqlite::open(&path, Use::Write).unwrap();
        conn.batch("PRAGMA foreign_keys = OFF").unwrap();
        let groups = ["Top", "Middle", "Low"];
        for (id, name) in (1..).zip(groups) {
            let key = name.to_lowercase();
            conn.batch(&format!(
                "INSERT INTO groups (pid, group_id, name, name_key, description, description_key, created_at, updated_at) \
                 VALUES (0, {id}, '{name}', '{key}', '', '', 1, 1)"
            ))
            .unwrap();
            for above in 1..=id {
                conn.batch(&format!(
                    "INSERT INTO group_ancestors (pid, group_id, ancestor_id, distance) VALUES (0, {id}, {above}, {})",
                    id - above
                ))
                .unwrap();
            }
        }
        for user in 1..=40 {
            let member_of = user % 3 + 1;
            conn.batch(&format!(
                "INSERT INTO memberships (pid, group_id, user_id) VALUES (0, {member_of}, {user})"
            ))
            .unwrap();
        }
        conn.batch(
            "INSERT INTO group_wildcards (pid, group_id, wildcard) VALUES (0, 1, 'VIEW_ALL_SEGMENTS')",
        )
        .unwrap();
        conn.batch(
            "INSERT INTO group_permissions (pid, object_type, object_id, permission, group_id, entry, place, is_number) \
             VALUES (0, 'SEGMENT', '7', 'READ', 2, 1, 1, 1), (0, 'SEGMENT', '7', 'WRITE', 2, 1, 2, 0)",
        )
        .unwrap();
        let mut conn = Counting(conn, 0);
        let about = |id: &str, action: &str, wildcards: &[&str]| Question {
            object_type: String::from("SEGMENT"),
            object_id: id.to_owned(),
            action: action.to_owned(),
            wildcards: wildcards.iter().map(|&name| name.to_owned()).collect(),
        };
        let question = about("563", "READ", &["VIEW_ALL_SEGMENTS"]);
        let context = Context {
            time: tenantry_core::clock::Reading::at(1_000),
            random: &random,
            policy: &AccountPolicy::DEFAULT,
        };
        let mut effects = Effects::default();
        let mut tx = Tx::open(&mut conn, &mut effects, crate::access::nobody(), context);
        let all: Vec<UserId> = (1..=50).map(UserId).collect();
        let found = list_sources_of(&mut tx, &all, &question).unwrap();
        assert_eq!(found.len(), 40, "those without the permission are left out");
        let names = |user: i64| match &found[&UserId(user)][..] {
            [Source::Group { group_id: GroupId(1), name, path, by: Grant::Wildcard(_) }] => {
                assert_eq!(name, "Top");
                path.iter().map(|group| (group.group_id.0, group.name.as_str())).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(names(3), [(1, "Top")]);
        assert_eq!(names(1), [(2, "Middle"), (1, "Top")]);
        assert_eq!(names(2), [(3, "Low"), (2, "Middle"), (1, "Top")]);
        // Member of Middle, which has two entries, below Top, which has the wildcard.
        let page = [
            about("7", "WRITE", &[]),
            about("7", "READ", &["VIEW_ALL_SEGMENTS"]),
            about("8", "WRITE", &[]),
            question,
        ];
        let effective =
            crate::tables::effective_permissions::list_sources(&mut tx, UserId(1), &page).unwrap();
        assert_eq!(effective.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 0, 1]);
        drop(tx);
        assert_eq!(conn.1, 2 + 2);
        let mut tx = Tx::open(&mut conn, &mut effects, crate::access::nobody(), context);
        for (one, sources) in page.iter().zip(&effective) {
            assert_eq!(*sources, list_sources(&mut tx, UserId(1), one).unwrap(), "{one:?}");
        }
    }

    #[test]
    fn the_hot_text_is_built_once() {
        let texts = |n| texts(Dialect::Sqlite, n);
        assert!(matches!((texts(1), texts(3)), (Cow::Borrowed(_), Cow::Borrowed(_))));
        for n in [1, 9] {
            assert_eq!(texts(n).decision, decision_sql(Dialect::Sqlite, n));
            assert_eq!(texts(n).reversed, reversed_sql(n));
        }
    }
}
