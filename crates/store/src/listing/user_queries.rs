//! Which users, in which order: what is asked for, and the statement that finds them.

use std::fmt::Write as _;
use std::sync::LazyLock;

use crate::engine::driver::{Dialect, Param, Row};
use crate::engine::tx::{Counter, Tx};
use crate::listing::lists::{EXACT_TOTAL, SortKey, counted, exact_id};
use crate::listing::search::{self, Lookup};
use crate::tables::users::profile_key;
use tenantry_core::error::Result;
use tenantry_core::model::{GroupId, Status, User};
use tenantry_core::search_terms::SearchTerm;
use tenantry_core::user_fields::UserField;
use tenantry_core::values::fold;

/// The orders of a list of users, by name (B26): every field but the groups. A user's `pid` is the same throughout a list,
/// so it sorts by id.
pub fn sort_names() -> &'static [(&'static str, UserField)] {
    static NAMES: LazyLock<Vec<(&'static str, UserField)>> = LazyLock::new(|| {
        let order = |field| if field == UserField::Pid { UserField::UserId } else { field };
        let is_order = |field: &UserField| *field != UserField::Groups;
        UserField::ALL.into_iter().filter(is_order).map(|field| (field.name(), order(field))).collect()
    });
    &NAMES
}

/// The column that users are sorted by in an order.
pub(crate) fn sort_column(order: UserField) -> &'static str {
    match order {
        UserField::Pid | UserField::UserId | UserField::Groups => "user_id",
        UserField::Username => "username_key",
        UserField::Status => "status",
        UserField::Profile(field) => field.spec().key_column,
        UserField::IsAdmin => "is_admin",
        UserField::CreatedAt => "created_at",
        UserField::UpdatedAt => "updated_at",
        UserField::LastLoginAt => "last_login_at",
    }
}

/// What a row is sorted by in an order, from its column.
pub(crate) fn read_sort_key(order: UserField, row: &dyn Row, column: usize) -> Result<SortKey> {
    Ok(match order {
        UserField::Username | UserField::Profile(_) => SortKey::Text(row.text(column)?.to_owned()),
        _ => SortKey::Int(row.int(column)?),
    })
}

/// What `user` is sorted by in an order.
pub fn sort_key(order: UserField, user: &User) -> SortKey {
    match order {
        UserField::Pid | UserField::UserId | UserField::Groups => SortKey::Int(user.user_id.0),
        UserField::Username => SortKey::Text(fold(&user.username)),
        UserField::Status => SortKey::Int(user.status.code()),
        UserField::Profile(field) => SortKey::Text(profile_key(field, &user.profile)),
        UserField::IsAdmin => SortKey::Int(i64::from(user.is_admin)),
        UserField::CreatedAt => SortKey::Int(user.created_at),
        UserField::UpdatedAt => SortKey::Int(user.updated_at),
        UserField::LastLoginAt => SortKey::Int(user.last_login_at.unwrap_or(0)),
    }
}

/// Which users, in which order. Text is folded already.
#[derive(Debug, Clone)]
pub struct UserQuery {
    /// Any of these statuses; empty = all.
    pub status: Vec<Status>,
    /// Only admins, or only others.
    pub is_admin: Option<bool>,
    /// Any of these.
    pub username: Vec<String>,
    /// Any of these.
    pub email: Vec<String>,
    /// Any of these.
    pub external_id: Vec<String>,
    /// In any of these groups; empty = all users (B14).
    pub groups: Vec<GroupId>,
    /// Members of groups nested in these count as well.
    pub nested: bool,
    /// Having each word of this term (B27), which is without accents.
    pub search: Option<SearchTerm>,
    /// The order.
    pub sort: UserField,
    /// The other way round.
    pub descending: bool,
}

impl UserQuery {
    /// All users, ascending by id (B13).
    pub fn all() -> Self {
        Self {
            status: Vec::new(),
            is_admin: None,
            username: Vec::new(),
            email: Vec::new(),
            external_id: Vec::new(),
            groups: Vec::new(),
            nested: false,
            search: None,
            sort: UserField::UserId,
            descending: false,
        }
    }

    pub(crate) fn is_everybody(&self) -> bool {
        self.status.is_empty()
            && self.is_admin.is_none()
            && self.username.is_empty()
            && self.email.is_empty()
            && self.external_id.is_empty()
            && self.groups.is_empty()
            && self.search.is_none()
    }

    /// Whether it filters by nothing but status and rights.
    pub(crate) fn is_by_kind(&self) -> bool {
        Self { status: Vec::new(), is_admin: None, ..self.clone() }.is_everybody()
    }

    /// Whether it searches, and filters by nothing else but status and rights.
    pub(crate) fn is_search_by_kind(&self) -> bool {
        self.search.is_some() && Self { search: None, ..self.clone() }.is_by_kind()
    }

    /// The group, if membership in one group is the only filter.
    pub(crate) fn only_group(&self) -> Option<GroupId> {
        let &[group] = self.groups.as_slice() else { return None };
        Self { groups: Vec::new(), ..self.clone() }.is_everybody().then_some(group)
    }

    /// Whether it filters by name: users are found by that, however many match the term.
    fn names_some(&self) -> bool {
        !(self.username.is_empty() && self.email.is_empty() && self.external_id.is_empty())
    }
}

/// What a statement starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccessPath {
    /// Hits of a search index. Ascending ids come without a sort.
    Search,
    /// Those who have parts of the term ([`search::parts`]): each hit, and others.
    Parts,
    /// All users of the partner, which are few, each tested: no index of texts is read, which others share.
    Few,
    /// Members of the group, or the users themselves. Ascending ids come without a sort.
    Source,
    /// All users in the wanted order, each tested.
    Walk,
    /// These users, who pass the whole query.
    Hits(Vec<i64>),
}

/// What finds the fewest rows to look at.
pub(crate) fn narrowest(tx: &mut Tx<'_>, query: &UserQuery) -> Result<AccessPath> {
    if query.search.is_none() {
        return Ok(AccessPath::Source);
    }
    Ok(match tx.dialect() {
        Dialect::Sqlite if are_few(tx, query)? => AccessPath::Source,
        Dialect::Sqlite => AccessPath::Search,
        Dialect::Postgres if counted(tx, Counter::Users)? <= search::FEW_USERS => AccessPath::Few,
        // The planner chooses between the trigram indexes and a scan.
        Dialect::Postgres => AccessPath::Source,
    })
}

/// A statement under construction. `$1` is the partner.
pub(crate) struct Statement {
    pub(crate) from: String,
    pub(crate) conditions: String,
    /// The id column to order and seek by when the order is by id.
    pub(crate) id: &'static str,
    /// Whether it reads a search index, `s`, and no user's row.
    pub(crate) is_of_index: bool,
    values: Vec<SortKey>,
}

impl Statement {
    pub(crate) fn new(dialect: Dialect, query: &UserQuery, path: &AccessPath) -> Self {
        let mut sql = Self {
            from: String::from("users u"),
            conditions: String::from("u.pid = $1"),
            id: "u.user_id",
            is_of_index: false,
            values: Vec::new(),
        };
        if let AccessPath::Hits(ids) = path {
            let ids = sql.bind(SortKey::Text(serde_json::json!(ids).to_string()));
            let _ = write!(sql.conditions, " AND u.user_id IN {}", dialect.int_set(&ids));
            return sql;
        }
        let lookup = match path {
            AccessPath::Search => query.search.as_ref().map(search::lookup),
            AccessPath::Parts => query.search.as_ref().and_then(search::parts),
            _ => None,
        };
        let searched = lookup.is_some();
        if let (Some(term), Some(lookup)) = (&query.search, lookup) {
            sql.start_from_search(dialect, term, lookup);
        }
        let grouped = matches!(path, AccessPath::Source | AccessPath::Few) && sql.start_from_group(query);
        if let Some(term) = query.search.as_ref().filter(|_| !searched) {
            sql.test_words(dialect, *path != AccessPath::Few, term.words());
        }
        if !grouped && !query.groups.is_empty() {
            let ids: Vec<i64> = query.groups.iter().map(|g| g.0).collect();
            let ids = sql.bind(SortKey::Text(serde_json::json!(ids).to_string()));
            let set = dialect.int_set(&ids);
            let _ = write!(
                sql.conditions,
                " AND EXISTS (SELECT 1 FROM memberships g WHERE g.pid = $1 AND g.user_id = {} \
                 AND g.group_id IN {set})",
                sql.user()
            );
        }
        // A walk is along the index of its order: SQLite would rather sort the millions that another index finds.
        let by = if *path == AccessPath::Walk && dialect == Dialect::Sqlite { "+u" } else { "u" };
        let statuses: Vec<_> = query.status.iter().map(|s| s.code().to_string()).collect();
        if !statuses.is_empty() {
            sql.filter(by, "status", &statuses.join(", "));
        }
        if let Some(is_admin) = query.is_admin {
            sql.filter(by, "is_admin", if is_admin { "1" } else { "0" });
        }
        // Never of an index alone: whoever is asked for by name is not searched for ([`narrowest`]).
        for (column, values) in [
            ("u.username_key", &query.username),
            ("u.email_key", &query.email),
            ("u.external_id_key", &query.external_id),
        ] {
            match values.as_slice() {
                [] => {}
                [one] => {
                    let value = sql.bind(SortKey::Text(one.clone()));
                    let _ = write!(sql.conditions, " AND {column} = {value}");
                }
                many => {
                    let list = sql.bind(SortKey::Text(serde_json::json!(many).to_string()));
                    let _ = write!(sql.conditions, " AND {column} IN {}", dialect.text_set(&list));
                }
            }
        }
        sql
    }

    /// Starts from what a search index finds.
    fn start_from_search(&mut self, dialect: Dialect, term: &SearchTerm, lookup: Lookup<'_>) {
        let Lookup { index, expression, untested } = lookup;
        let expression = self.bind(SortKey::Text(expression));
        let matches = search::matches(index, &expression);
        let ids: Vec<i64> = term.words().filter_map(exact_id).collect();
        if !ids.is_empty() {
            // A word of digits also finds the user of that id (B27).
            let ids = self.bind(SortKey::Text(serde_json::json!(ids).to_string()));
            self.from = format!(
                "(SELECT s.rowid AS user_id FROM {index} s WHERE {matches} UNION SELECT i.value FROM json_each({ids}) i) s \
                 CROSS JOIN users u"
            );
            self.conditions.push_str(" AND u.user_id = s.user_id");
            self.id = "s.user_id";
            if !term.is_one_word() {
                self.test_words(dialect, true, term.words());
            }
            return;
        }
        self.from = format!("{index} s");
        self.conditions = matches;
        self.id = "s.rowid";
        self.is_of_index = true;
        if !untested.is_empty() {
            self.join_users();
            self.is_of_index = false;
            self.test_words(dialect, true, untested.into_iter());
        }
    }

    /// Lets only users pass who have each of these words, or the id that a word is.
    fn test_words<'w>(&mut self, dialect: Dialect, by_index: bool, words: impl Iterator<Item = &'w str>) {
        for word in words {
            let (mut test, value) = search::test(dialect, by_index, &self.next_param(), word);
            self.bind(SortKey::Text(value));
            if let Some(id) = exact_id(word) {
                let id = self.bind(SortKey::Int(id));
                test = format!("({test} OR u.user_id = {id})");
            }
            let _ = write!(self.conditions, " AND {test}");
        }
    }

    /// Starts from the members of the group, where only one is asked for; whether it is so.
    fn start_from_group(&mut self, query: &UserQuery) -> bool {
        let &[group] = query.groups.as_slice() else { return false };
        let group = self.bind(SortKey::Int(group.0));
        self.from = String::from("memberships m CROSS JOIN users u");
        let _ = write!(self.conditions, " AND m.pid = $1 AND m.group_id = {group} AND u.user_id = m.user_id");
        self.id = "m.user_id";
        true
    }

    /// The id of the user in a row.
    pub(crate) fn user(&self) -> &'static str {
        if self.is_of_index { "s.rowid" } else { "u.user_id" }
    }

    /// Lets only users pass who have one of these values. Of the users that a search index finds few have rows in memory:
    /// there the column's own index is asked, where neighbours stand side by side.
    fn filter(&mut self, by: &str, column: &str, values: &str) {
        let _ = if self.is_of_index {
            write!(
                self.conditions,
                " AND EXISTS (SELECT 1 FROM users f INDEXED BY users_by_{column} WHERE f.pid = $1 \
                 AND f.{column} IN ({values}) AND f.user_id = s.rowid)"
            )
        } else {
            write!(self.conditions, " AND {by}.{column} IN ({values})")
        };
    }

    /// Reads the users as well: for an order that the index does not have.
    pub(crate) fn join_users(&mut self) {
        if self.is_of_index {
            self.from.push_str(" CROSS JOIN users u");
            self.conditions.push_str(" AND u.pid = $1 AND u.user_id = s.rowid");
        }
    }

    /// The ids of all that the query finds.
    pub(crate) fn hits(&self) -> String {
        self.of_hits(&format!("{} AS user_id", self.user()))
    }

    /// `what` of all that the query finds.
    pub(crate) fn of_hits(&self, what: &str) -> String {
        let Self { from, conditions, .. } = self;
        format!("SELECT {what} FROM {from} WHERE {conditions}")
    }

    /// What the next value will be bound at. `$1` is the partner.
    fn next_param(&self) -> String {
        format!("${}", self.values.len() + 2)
    }

    pub(crate) fn bind(&mut self, value: SortKey) -> String {
        let param = self.next_param();
        self.values.push(value);
        param
    }

    pub(crate) fn params(&self) -> Vec<Param<'_>> {
        self.values.iter().map(SortKey::param).collect()
    }
}

/// Which of these users have each word of a term.
pub(crate) fn having(tx: &mut Tx<'_>, ids: Vec<i64>, term: &SearchTerm) -> Result<Vec<i64>> {
    let mut sql = Statement::new(tx.dialect(), &UserQuery::all(), &AccessPath::Hits(ids));
    sql.test_words(tx.dialect(), true, term.words());
    tx.rows(&sql.hits(), &sql.params(), |row| row.int(0))
}

/// Whether so few users pass the rest of the query that each is better held against the term than each hit of the term
/// against the rest.
fn are_few(tx: &mut Tx<'_>, query: &UserQuery) -> Result<bool> {
    if query.names_some() {
        return Ok(true);
    }
    let among = |tx: &mut Tx<'_>, rows: &str, params: &[Param<'_>]| {
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {rows} LIMIT {}) few", EXACT_TOTAL + 1);
        Ok::<_, tenantry_core::error::Error>(
            tx.row(&sql, params, |row| row.int(0))?.is_some_and(|n| n <= EXACT_TOTAL),
        )
    };
    if let [group] = query.groups.as_slice() {
        let members = "memberships m WHERE m.pid = $1 AND m.group_id = $2";
        if among(tx, members, &[(*group).into()])? {
            return Ok(true);
        }
    }
    // Most users are ACTIVE, and no admins.
    if let ([status], false) = (query.status.as_slice(), query.status.contains(&Status::Active)) {
        let users = "users u WHERE u.pid = $1 AND u.status = $2";
        if among(tx, users, &[status.code().into()])? {
            return Ok(true);
        }
    }
    let admins = "users u WHERE u.pid = $1 AND u.is_admin = 1";
    Ok(query.is_admin == Some(true) && among(tx, admins, &[])?)
}
