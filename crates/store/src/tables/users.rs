//! Users.

use std::fmt::Write as _;
use std::sync::LazyLock;

use crate::engine::driver::{Dialect, Param, Row};
use crate::engine::offset_index::OrderChange;
use crate::engine::sequences::Sequence;
use crate::engine::sqlite::search_index::{SEPARATOR, SearchChange};
use crate::engine::tx::{CacheKey, Counter, Tx};
use crate::listing::lists::exact_id;
use crate::listing::search;
use crate::tables::memberships;
use tenantry_core::clock::Millis;
use tenantry_core::error::{Conflict, Error, Result};
use tenantry_core::model::{GroupId, PartnerId, Profile, Status, User, UserId, Username};
use tenantry_core::search_terms::{SearchTerm, without_accents};
use tenantry_core::user_fields::{ProfileField, ProfileSpec, UserField};
use tenantry_core::values::fold;

/// The columns of a user, in the order of [`read`]; `u` is the table.
pub(crate) fn columns() -> &'static str {
    static COLUMNS: LazyLock<String> = LazyLock::new(|| {
        let profile: Vec<_> =
            ProfileField::ALL.into_iter().map(|field| format!("u.{}", field.spec().column)).collect();
        format!(
            "u.pid, u.user_id, u.username, u.status, {}, u.is_admin, u.created_at, u.updated_at, u.last_login_at, \
             u.version, {GROUPS}",
            profile.join(", ")
        )
    });
    &COLUMNS
}

/// The groups of a user, as ids separated by commas: from the row if they are of the row's version, otherwise from the
/// memberships (migrations/0009).
const GROUPS: &str = "CASE WHEN u.groups_version = u.version THEN u.group_ids ELSE \
     (SELECT string_agg(CAST(m.group_id AS TEXT), ',') FROM memberships m \
     WHERE m.pid = u.pid AND m.user_id = u.user_id) END";

/// Reads [`columns`].
pub(crate) fn read(row: &dyn Row) -> Result<User> {
    const FIRST: usize = 4;
    const NEXT: usize = FIRST + ProfileField::ALL.len();
    let mut profile = Profile::default();
    for (at, field) in ProfileField::ALL.iter().enumerate() {
        field.set(&mut profile, row.opt_text(FIRST + at)?.map(str::to_owned));
    }
    Ok(User {
        pid: PartnerId(row.int(0)?),
        user_id: UserId(row.int(1)?),
        username: row.text(2)?.to_owned(),
        status: Status::from_code(row.int(3)?).ok_or_else(|| Error::internal("a user has no such status"))?,
        profile,
        is_admin: row.int(NEXT)? != 0,
        created_at: row.int(NEXT + 1)?,
        updated_at: row.int(NEXT + 2)?,
        last_login_at: Some(row.int(NEXT + 3)?).filter(|&at| at != 0),
        version: row.int(NEXT + 4)?,
        groups: row.opt_text(NEXT + 5)?.map_or_else(Vec::new, read_groups),
    })
}

fn read_groups(ids: &str) -> Vec<GroupId> {
    let mut groups: Vec<_> = ids.split(',').filter_map(|id| id.parse().ok()).map(GroupId).collect();
    groups.sort_unstable();
    groups
}

/// Groups in the form of a row: `,5,12,`, so that an id can be appended, and removed with its commas.
fn group_ids(groups: &[GroupId]) -> String {
    let mut ids = String::from(",");
    for group in groups {
        let _ = write!(ids, "{},", group.0);
    }
    ids
}

/// The folded keys of strings (B26, B27).
pub(crate) struct Keys {
    username: String,
    profile: [String; ProfileField::ALL.len()],
    /// The searched text, if it is not the keys as they are (`listing/search.rs`).
    search: Option<String>,
}

/// The key of an optional string: null sorts before everything, including the empty string.
pub fn optional_key(value: Option<&str>) -> String {
    value.map_or_else(String::new, |v| format!("{SEPARATOR}{}", fold(v)))
}

/// The key of a profile field.
pub fn profile_key(field: ProfileField, profile: &Profile) -> String {
    let value = field.get(profile);
    let spec = field.spec();
    if spec.is_required { (spec.key)(value.unwrap_or_default()) } else { optional_key(value) }
}

impl Keys {
    pub(crate) fn of(user: &User) -> Self {
        let username = fold(&user.username);
        let profile = ProfileField::ALL.map(|field| profile_key(field, &user.profile));
        // The key of an address has the ASCII form of its domain: it is also found as typed.
        let typed = Some(&user.profile.email).filter(|email| !email.is_ascii());
        let is_ascii = typed.is_none() && username.is_ascii() && profile.iter().all(|key| key.is_ascii());
        let keys = Self { username, profile, search: None };
        let search = (!is_ascii).then(|| {
            let mut text = keys.joined();
            if let Some(typed) = typed {
                text.push(SEPARATOR);
                text.push_str(&fold(typed));
            }
            without_accents(&text).into_owned()
        });
        Self { search, ..keys }
    }

    /// The searched text of a user; `search::TEXT` is the same in SQL.
    pub(crate) fn search_text(&self) -> String {
        self.search.clone().unwrap_or_else(|| self.joined())
    }

    fn joined(&self) -> String {
        let length = self.profile.iter().map(|key| 1 + key.len()).sum::<usize>() + self.username.len();
        let mut text = String::with_capacity(length);
        text.push_str(&self.username);
        for (field, key) in ProfileField::ALL.into_iter().zip(&self.profile) {
            let ProfileSpec { is_searched, is_required, .. } = field.spec();
            if *is_searched {
                // Optional keys include their own separator.
                text.extend(is_required.then_some(SEPARATOR));
                text.push_str(key);
            }
        }
        text
    }
}

/// The searched text of a user whose keys are not ASCII.
const SEARCH_KEY: &str = "search_key";

/// The columns that a create and an update write, in the order of their parameters from `$3` on. `groups_version` is
/// written as well: it equals the version.
fn written_columns() -> Vec<&'static str> {
    let mut columns = vec!["username", "status"];
    columns.extend(ProfileField::ALL.map(|field| field.spec().column));
    columns.extend(["is_admin", "updated_at", "username_key"]);
    columns.extend(ProfileField::ALL.map(|field| field.spec().key_column));
    columns.extend([SEARCH_KEY, "group_ids", "version"]);
    columns
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let columns = written_columns();
    let (last, params) = (columns.len() + 2, (3..).zip(&columns).map(|(n, _)| format!("${n}")));
    format!(
        "INSERT INTO users (pid, user_id, {}, groups_version, created_at, last_login_at) \
         VALUES ($1, $2, {}, ${last}, ${}, ${})",
        columns.join(", "),
        params.collect::<Vec<_>>().join(", "),
        last + 1,
        last + 2
    )
});

static UPDATE: LazyLock<String> = LazyLock::new(|| {
    let columns = written_columns();
    let assigned = |(n, column): (usize, &&str)| match *column {
        // Never the key that is there already: so a trigger of PostgreSQL knows servers that do not write keys
        // (migrations/0018). Separators at the end do not count.
        SEARCH_KEY => format!(
            "{column} = CASE WHEN {column} = CAST(${n} AS TEXT) THEN CAST(${n} AS TEXT) || '{SEPARATOR}' \
             ELSE CAST(${n} AS TEXT) END"
        ),
        // A change of the address takes the proof back that it is the user's (`tables/email_verifications.rs`).
        "email" => format!(
            "{column} = ${n}, verified_email = CASE WHEN email = CAST(${n} AS TEXT) THEN verified_email END"
        ),
        _ => format!("{column} = ${n}"),
    };
    let (last, assigned) = (columns.len() + 2, (3..).zip(&columns).map(assigned));
    let assigned = assigned.collect::<Vec<_>>().join(", ");
    format!("UPDATE users SET {assigned}, groups_version = ${last} WHERE pid = $1 AND user_id = $2")
});

/// The parameters of a create: the id, [`written_columns`], and last the times of creation and of the last login, which
/// an update does not change.
fn values<'u>(
    user: &'u User,
    keys: &'u Keys,
    groups: &'u str,
) -> [Param<'u>; 11 + 2 * ProfileField::ALL.len()] {
    let before = [user.user_id.into(), (&user.username).into(), user.status.code().into()];
    let profile = ProfileField::ALL.into_iter().map(|field| Param::from(field.get(&user.profile)));
    let between = [user.is_admin.into(), user.updated_at.into(), (&keys.username).into()];
    let keys_search = keys.search.as_ref();
    let keys = keys.profile.iter().map(Param::from);
    let last_login_at = user.last_login_at.unwrap_or(0);
    let behind = [
        keys_search.into(),
        groups.into(),
        user.version.into(),
        user.created_at.into(),
        last_login_at.into(),
    ];
    let mut all = before.into_iter().chain(profile).chain(between).chain(keys).chain(behind);
    std::array::from_fn(|_| all.next().unwrap_or(Param::Null))
}

/// Assigns the next user id (B24).
pub fn next_id(tx: &mut Tx<'_>) -> Result<UserId> {
    tx.next_id(Sequence::Users).map(UserId)
}

/// Stores a new user with its username and groups.
///
/// # Errors
/// `username-taken`, `external-id-taken`, from unique constraints (B8, B3).
pub fn insert(tx: &mut Tx<'_>, user: &User, username: &Username) -> Result<()> {
    insert_uncounted(tx, user, username)?;
    crate::tables::groups::count_in_each(tx, &user.groups, 1)
}

/// As [`insert`], but without updating the number of members of its groups: callers that store many users update it
/// once.
///
/// # Errors
/// As [`insert`].
pub fn insert_uncounted(tx: &mut Tx<'_>, user: &User, username: &Username) -> Result<()> {
    let (keys, groups) = (Keys::of(user), group_ids(&user.groups));
    tx.execute_later(&INSERT, &values(user, &keys, &groups), taken)?;
    claim_username(tx, user.user_id, username)?;
    add_memberships(tx, user.user_id, &user.groups)?;
    tx.count(Counter::Users, 1);
    tx.reorder(OrderChange::of(None, Some(user)));
    index(tx, user.user_id, None, Some(keys.search_text()));
    Ok(())
}

/// Stores the changes of a user: everything except its id, its creation and its logins. `after` has the next version.
///
/// # Errors
/// As [`insert`].
pub fn update(tx: &mut Tx<'_>, before: &User, after: &User, username: &Username) -> Result<()> {
    let keys = Keys::of(after);
    let text = keys.search_text();
    let indexed = if text == Keys::of(before).search_text() { None } else { indexed(tx, after.user_id)? };
    let groups = group_ids(&after.groups);
    let [values @ .., _created_at, _last_login_at] = &values(after, &keys, &groups);
    tx.execute(&UPDATE, values).map_err(taken)?;
    tx.invalidate(CacheKey::User(after.pid, after.user_id));
    if before.username != after.username {
        tx.execute("DELETE FROM usernames WHERE pid = $1 AND user_id = $2", &[after.user_id.into()])?;
        claim_username(tx, after.user_id, username)?;
    }
    let gone: Vec<_> = before.groups.iter().filter(|g| !after.groups.contains(g)).copied().collect();
    let come: Vec<_> = after.groups.iter().filter(|g| !before.groups.contains(g)).copied().collect();
    for group in gone {
        tx.execute(
            "DELETE FROM memberships WHERE pid = $1 AND group_id = $2 AND user_id = $3",
            &[group.into(), after.user_id.into()],
        )?;
        crate::tables::groups::count_members(tx, group, -1)?;
    }
    add_memberships(tx, after.user_id, &come)?;
    crate::tables::groups::count_in_each(tx, &come, 1)?;
    tx.reorder(OrderChange::of(Some(before), Some(after)));
    if indexed.is_some() {
        index(tx, after.user_id, indexed, Some(text));
    }
    Ok(())
}

/// Stores the search keys of the next users of any partner that lack theirs, and returns their number: users whom a
/// server of an older version has stored or changed.
pub fn store_search_keys(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    Ok(search::fill_keys(&mut *tx.conn, limit)?)
}

/// The searched text.
pub(crate) fn text_of(user: &User) -> String {
    Keys::of(user).search_text()
}

/// Whether a search for a term matches a user with this text (B27).
pub(crate) fn is_found_by(user: &User, text: &str, term: &SearchTerm) -> bool {
    term.words().all(|word| text.contains(word) || exact_id(word) == Some(user.user_id.0))
}

/// Deletes a user and its dependent rows; its username becomes free at once. The caller updates the number of members
/// of its groups, so that deletions of many users update it once.
pub fn delete_uncounted(tx: &mut Tx<'_>, user: &User) -> Result<()> {
    let indexed = indexed(tx, user.user_id)?;
    crate::tables::sessions::note_end_of_all(tx, user.user_id)?;
    // Username, memberships, passwords, sessions and their tokens are deleted with it (ON DELETE CASCADE).
    tx.execute("DELETE FROM users WHERE pid = $1 AND user_id = $2", &[user.user_id.into()])?;
    crate::tables::outbox::withdraw(tx, user.user_id)?;
    tx.count(Counter::Users, -1);
    tx.reorder(OrderChange::of(Some(user), None));
    tx.invalidate(CacheKey::User(tx.pid(), user.user_id));
    index(tx, user.user_id, indexed, None);
    Ok(())
}

/// Serializes this unit with every other one that locks or changes the same user. Needed if a unit decides by what it
/// reads of a user and then writes elsewhere: two such units would not see each other.
pub fn lock_row(tx: &mut Tx<'_>, user_id: UserId) -> Result<()> {
    tx.lock_row(
        "UPDATE users SET failed_logins = failed_logins WHERE pid = $1 AND user_id = $2",
        &[user_id.into()],
    )
}

/// The indexed text of a user, if the search indexes must be updated. Read from the row, not computed from the user: a
/// newer version may fold differently.
fn indexed(tx: &mut Tx<'_>, user_id: UserId) -> Result<Option<String>> {
    match tx.dialect() {
        Dialect::Sqlite => search::text_of(tx, user_id),
        Dialect::Postgres => Ok(None),
    }
}

fn index(tx: &mut Tx<'_>, user_id: UserId, before: Option<String>, after: Option<String>) {
    let pid = tx.pid();
    tx.effects.search.push(SearchChange { pid, user_id, before, after });
}

fn claim_username(tx: &mut Tx<'_>, user_id: UserId, username: &Username) -> Result<()> {
    tx.execute_later(
        "INSERT INTO usernames (name_key, pid, user_id) VALUES ($3, $1, $2)",
        &[user_id.into(), (&username.key).into()],
        taken,
    )
}

fn add_memberships(tx: &mut Tx<'_>, user_id: UserId, groups: &[GroupId]) -> Result<()> {
    for &group in groups {
        tx.execute_later(
            "INSERT INTO memberships (pid, group_id, user_id) VALUES ($1, $2, $3)",
            &[group.into(), user_id.into()],
            Error::from,
        )?;
    }
    Ok(())
}

fn taken(e: crate::engine::driver::DbError) -> Error {
    if e.is_duplicate_in("usernames") {
        username_taken()
    } else if e.is_duplicate_in("users") {
        external_id_taken()
    } else {
        e.into()
    }
}

/// B8.
pub fn username_taken() -> Error {
    Conflict::field("username-taken", "/username", "this username is taken")
}

/// B3.
pub fn external_id_taken() -> Error {
    let detail = "another user of this partner has this externalId";
    Conflict::field("external-id-taken", "/externalId", detail)
}

/// Which of these usernames, by key, are taken (B8).
pub fn list_taken_usernames(tx: &mut Tx<'_>, keys: &[&str]) -> Result<Vec<String>> {
    let list = serde_json::json!(keys).to_string();
    let set = tx.dialect().text_set("$1");
    let sql = format!("SELECT n.name_key FROM usernames n WHERE n.name_key IN {set}");
    tx.unscoped().rows(&sql, &[Param::Text(&list)], |row| Ok(row.text(0)?.to_owned()))
}

/// Which of these external ids are taken in the partner (B3).
pub fn list_taken_external_ids(tx: &mut Tx<'_>, ids: &[&str]) -> Result<Vec<String>> {
    let list = serde_json::json!(ids).to_string();
    let set = tx.dialect().text_set("$2");
    let sql = format!("SELECT u.external_id FROM users u WHERE u.pid = $1 AND u.external_id IN {set}");
    tx.rows(&sql, &[Param::Text(&list)], |row| Ok(row.text(0)?.to_owned()))
}

/// The users of the partner with these usernames, by key.
pub fn list_by_username(tx: &mut Tx<'_>, keys: &[&str]) -> Result<Vec<User>> {
    let (columns, set) = (columns(), tx.dialect().text_set("$2"));
    let from = "usernames n JOIN users u ON u.pid = n.pid AND u.user_id = n.user_id";
    let sql = format!("SELECT {columns} FROM {from} WHERE n.pid = $1 AND n.name_key IN {set}");
    list_by(tx, &sql, keys)
}

/// The users of the partner with these external ids.
pub fn list_by_external_id(tx: &mut Tx<'_>, ids: &[&str]) -> Result<Vec<User>> {
    let (columns, set) = (columns(), tx.dialect().text_set("$2"));
    list_by(tx, &format!("SELECT {columns} FROM users u WHERE u.pid = $1 AND u.external_id IN {set}"), ids)
}

fn list_by(tx: &mut Tx<'_>, sql: &str, texts: &[&str]) -> Result<Vec<User>> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let list = serde_json::json!(texts).to_string();
    tx.rows(sql, &[Param::Text(&list)], read)
}

/// One user of the partner.
pub fn find(tx: &mut Tx<'_>, user_id: UserId) -> Result<Option<User>> {
    tx.row(&FIND, &[user_id.into()], read)
}

static FIND: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {} FROM users u WHERE u.pid = $1 AND u.user_id = $2", columns()));

/// Which of these ids are not users of the partner.
pub fn list_unknown(tx: &mut Tx<'_>, ids: &[i64]) -> Result<Vec<i64>> {
    let list = serde_json::json!(ids).to_string();
    let set = tx.dialect().int_set("$2");
    let known = tx.rows(
        &format!("SELECT u.user_id FROM users u WHERE u.pid = $1 AND u.user_id IN {set}"),
        &[Param::Text(&list)],
        |row| row.int(0),
    )?;
    let known: std::collections::HashSet<_> = known.into_iter().collect();
    Ok(ids.iter().filter(|id| !known.contains(id)).copied().collect())
}

/// Whether the partner has an ACTIVE admin (B10).
pub fn has_active_admin(tx: &mut Tx<'_>) -> Result<bool> {
    Ok(!active_admins(tx, 1)?.is_empty())
}

/// The first `limit` ACTIVE admins of the partner.
pub fn active_admins(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<UserId>> {
    tx.rows(
        "SELECT user_id FROM users WHERE pid = $1 AND is_admin = 1 AND status = 0 ORDER BY user_id LIMIT $2",
        &[limit.into()],
        |row| row.int(0).map(UserId),
    )
}

/// The user with a username, on the whole server (B8): logins need no partner.
pub fn find_username(tx: &mut Tx<'_>, key: &str) -> Result<Option<(PartnerId, UserId)>> {
    let found = tx.unscoped().rows(
        "SELECT pid, user_id FROM usernames WHERE name_key = $1",
        &[key.into()],
        |row| Ok((PartnerId(row.int(0)?), UserId(row.int(1)?))),
    )?;
    Ok(found.into_iter().next())
}

/// The partner of a user id, for operators, who can refer to users of any partner.
pub fn find_partner_of(tx: &mut Tx<'_>, user_id: UserId) -> Result<Option<PartnerId>> {
    // No index leads with user_id alone: there are few partners, and an operator can wait.
    let found = tx.unscoped().rows(
        "SELECT u.pid FROM partners p JOIN users u ON u.pid = p.pid AND u.user_id = $1",
        &[user_id.into()],
        |row| Ok(PartnerId(row.int(0)?)),
    )?;
    Ok(found.into_iter().next())
}

/// Failed logins of a user (B23).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures {
    /// Failures in a row.
    pub count: i64,
    /// Until when logins of the last ACTIVE admin are refused; 0 if they are not.
    pub refused_until: Millis,
}

/// A user's failed logins.
pub fn failures(tx: &mut Tx<'_>, user_id: UserId) -> Result<Failures> {
    let found = tx.row(
        "SELECT failed_logins, refused_until FROM users WHERE pid = $1 AND user_id = $2",
        &[user_id.into()],
        read_failures,
    )?;
    Ok(found.unwrap_or_default())
}

fn read_failures(row: &dyn Row) -> Result<Failures> {
    Ok(Failures { count: row.int(0)?, refused_until: row.int(1)? })
}

/// Stores a user's failed logins.
pub fn set_failures(tx: &mut Tx<'_>, user_id: UserId, failures: Failures) -> Result<()> {
    tx.execute(
        "UPDATE users SET failed_logins = $3, refused_until = $4 WHERE pid = $1 AND user_id = $2",
        &[user_id.into(), failures.count.into(), failures.refused_until.into()],
    )?;
    Ok(())
}

/// Whether the user may log in with the right password: it is ACTIVE, its partner is not suspended, and its logins are
/// not temporarily refused, as `is_refused` tells from its failures.
pub fn may_log_in(
    tx: &mut Tx<'_>,
    user_id: UserId,
    is_refused: impl FnOnce(&Failures) -> bool,
) -> Result<bool> {
    let active = Status::Active.code();
    let found = tx.row(
        "SELECT u.failed_logins, u.refused_until FROM users u JOIN partners t ON t.pid = u.pid \
         WHERE u.pid = $1 AND u.user_id = $2 AND u.status = $3 AND t.suspended = 0",
        &[user_id.into(), active.into()],
        read_failures,
    )?;
    Ok(found.is_some_and(|failures| !is_refused(&failures)))
}

/// Counts a refused login that is not counted for a user. This makes refusing cost the same write as counting does, so
/// response times reveal nothing (B23).
pub fn count_unknown_login(tx: &mut Tx<'_>) {
    tx.effects.counters.push((PartnerId(0), Counter::RefusedLogins, 1));
}

/// Stores the time of a login, and resets the count of failures.
pub fn set_logged_in(tx: &mut Tx<'_>, user: &User) -> Result<()> {
    let (now, user_id) = (tx.now_after(user.created_at.max(user.last_login_at.unwrap_or(0))), user.user_id);
    tx.execute_later(
        "UPDATE users SET last_login_at = $3, failed_logins = 0, refused_until = 0, version = users.version + 1, \
         groups_version = users.groups_version + 1 WHERE pid = $1 AND user_id = $2",
        &[user_id.into(), now.into()],
        Error::from,
    )?;
    tx.reorder(OrderChange::of_time(
        (user.pid, user_id),
        (user.status.code(), user.is_admin),
        UserField::LastLoginAt,
        (user.last_login_at.unwrap_or(0), now),
    ));
    // Only `lastLoginAt` shows it, and there are many logins.
    tx.invalidate_here(CacheKey::User(tx.pid(), user_id));
    Ok(())
}

/// The version of a user; `None` if there is no such user.
pub fn version(tx: &mut Tx<'_>, user_id: UserId) -> Result<Option<i64>> {
    let sql = "SELECT u.version FROM users u WHERE u.pid = $1 AND u.user_id = $2";
    tx.row(sql, &[user_id.into()], |row| row.int(0))
}

/// Increments the version of every member of a group, since their groups change.
pub(crate) fn touch_members(tx: &mut Tx<'_>, group_id: GroupId) -> Result<()> {
    let limit = i64::try_from(memberships::FORGET_SINGLY + 1).unwrap_or(i64::MAX);
    let members = memberships::members_after(tx, group_id, UserId(0), limit)?;
    tx.execute(
        "UPDATE users SET version = users.version + 1 WHERE pid = $1 AND user_id IN \
         (SELECT m.user_id FROM memberships m WHERE m.pid = $1 AND m.group_id = $2)",
        &[group_id.into()],
    )?;
    memberships::forget(tx, members.into_iter().map(|id| id.0));
    Ok(())
}

/// The address for password mail after a change of address (B25).
pub fn held_email(tx: &mut Tx<'_>, user_id: UserId) -> Result<Option<String>> {
    let now = tx.steady();
    let found = tx.row(
        "SELECT held_email FROM users WHERE pid = $1 AND user_id = $2 AND held_until > $3",
        &[user_id.into(), now.into()],
        |row| Ok(row.opt_text(0)?.map(str::to_owned)),
    )?;
    Ok(found.flatten())
}

/// The address of [`held_email`], and until when.
pub fn email_hold(tx: &mut Tx<'_>, user_id: UserId) -> Result<Option<(String, Millis)>> {
    let now = tx.steady();
    let found = tx.row(
        "SELECT held_email, held_until FROM users WHERE pid = $1 AND user_id = $2 AND held_until > $3",
        &[user_id.into(), now.into()],
        |row| Ok((row.opt_text(0)?.map(str::to_owned), row.int(1)?)),
    )?;
    Ok(found.and_then(|(address, until)| Some((address?, until))))
}

/// Sends password mail to `address` until `until`, or to the current address again.
pub fn hold_email(tx: &mut Tx<'_>, user_id: UserId, hold: Option<(&str, Millis)>) -> Result<()> {
    let (address, until) = hold.unzip();
    tx.execute(
        "UPDATE users SET held_email = $3, held_until = $4 WHERE pid = $1 AND user_id = $2",
        &[user_id.into(), address.into(), until.unwrap_or(0).into()],
    )?;
    Ok(())
}
