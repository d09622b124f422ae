//! Users, one at a time.

use std::fmt::Write as _;

use super::driver::{Dialect, Param, Row};
use super::fences::OrderChange;
use super::lists::exact_id;
use super::memberships;
use super::search::{self, SEPARATOR, SearchChange};
use super::sequences::Sequence;
use super::tx::{Counter, Stale, Tx};
use super::user_queries::UserSort;
use crate::clock::Millis;
use crate::error::{Conflict, Error, Result};
use crate::model::{GroupId, PartnerId, Status, User, UserId, Username};
use crate::values::fold;

/// The columns of a user, in the order that [`read`] takes them; `u` is the table.
pub(super) const COLUMNS: &str = "u.pid, u.user_id, u.username, u.status, u.first_name, u.last_name, u.email, \
     u.title, u.phone_number, u.is_admin, u.external_id, u.created_at, u.updated_at, u.last_login_at, u.version";

/// The groups of a user, their ids with commas between them, for the column after [`COLUMNS`]: as the row has them
/// where they are of the row's version, otherwise from the memberships (migrations/0009).
pub(super) const GROUPS: &str = "CASE WHEN u.groups_version = u.version THEN u.group_ids ELSE \
     (SELECT string_agg(CAST(m.group_id AS TEXT), ',') FROM memberships m \
     WHERE m.pid = u.pid AND m.user_id = u.user_id) END";

/// Reads [`COLUMNS`] and [`GROUPS`].
pub(super) fn read(row: &dyn Row) -> Result<User> {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Ok(User {
        pid: PartnerId(row.int(0)?),
        user_id: UserId(row.int(1)?),
        username: row.text(2)?.to_owned(),
        status: Status::from_code(row.int(3)?).ok_or_else(|| Error::internal("a user has no such status"))?,
        first_name: row.text(4)?.to_owned(),
        last_name: row.text(5)?.to_owned(),
        email: row.text(6)?.to_owned(),
        title: owned(row.opt_text(7)?),
        phone_number: owned(row.opt_text(8)?),
        is_admin: row.int(9)? != 0,
        external_id: owned(row.opt_text(10)?),
        created_at: row.int(11)?,
        updated_at: row.int(12)?,
        last_login_at: Some(row.int(13)?).filter(|&at| at != 0),
        groups: row.opt_text(15)?.map_or_else(Vec::new, read_groups),
        version: row.int(14)?,
    })
}

fn read_groups(ids: &str) -> Vec<GroupId> {
    let mut groups: Vec<_> = ids.split(',').filter_map(|id| id.parse().ok()).map(GroupId).collect();
    groups.sort_unstable();
    groups
}

/// Groups as a row has them: `,5,12,`, so that one is added behind and taken out with its commas.
fn group_ids(groups: &[GroupId]) -> String {
    let mut ids = String::from(",");
    for group in groups {
        let _ = write!(ids, "{},", group.0);
    }
    ids
}

/// The keys that strings are sorted, searched and filtered by (B26, B27).
pub(super) struct Keys {
    username: String,
    first_name: String,
    last_name: String,
    email: String,
    title: String,
    phone_number: String,
    external_id: String,
}

/// The key of an optional string: null comes before everything, the empty string included.
pub fn optional_key(value: Option<&str>) -> String {
    value.map_or_else(String::new, |v| format!("{SEPARATOR}{}", fold(v)))
}

impl Keys {
    pub(super) fn of(user: &User) -> Self {
        Self {
            username: fold(&user.username),
            first_name: fold(&user.first_name),
            last_name: fold(&user.last_name),
            email: fold(&user.email),
            title: optional_key(user.title.as_deref()),
            phone_number: optional_key(user.phone_number.as_deref()),
            external_id: optional_key(user.external_id.as_deref()),
        }
    }

    /// What the substring index holds of a user; the SQL of it is `search::TEXT`.
    pub(super) fn search_text(&self) -> String {
        let Self { username, first_name, last_name, email, title, phone_number, external_id } = self;
        // The optional keys bring their own separator.
        format!(
            "{username}{SEPARATOR}{first_name}{SEPARATOR}{last_name}{SEPARATOR}{email}{title}{phone_number}{external_id}"
        )
    }
}

/// Takes the next user id (B24).
pub fn next_id(tx: &mut Tx<'_>) -> Result<UserId> {
    tx.next_id(Sequence::Users).map(UserId)
}

/// Stores a new user with its username and groups.
///
/// # Errors
/// `username-taken`, `external-id-taken`: the database's word (B8, B3).
pub fn insert(tx: &mut Tx<'_>, user: &User, username: &Username) -> Result<()> {
    insert_uncounted(tx, user, username)?;
    super::groups::count_in_each(tx, &user.groups, 1)
}

/// Like [`insert`], but for the number of members of its groups: whoever stores many users counts them once.
///
/// # Errors
/// As [`insert`].
pub fn insert_uncounted(tx: &mut Tx<'_>, user: &User, username: &Username) -> Result<()> {
    let keys = Keys::of(user);
    tx.execute_later(
        "INSERT INTO users (pid, user_id, username, status, first_name, last_name, email, title, phone_number, \
         is_admin, external_id, created_at, updated_at, username_key, first_name_key, last_name_key, email_key, \
         title_key, phone_number_key, external_id_key, version, groups_version, group_ids) VALUES \
         ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $21, $22)",
        &[
            user.user_id.into(),
            (&user.username).into(),
            user.status.code().into(),
            (&user.first_name).into(),
            (&user.last_name).into(),
            (&user.email).into(),
            user.title.as_ref().into(),
            user.phone_number.as_ref().into(),
            user.is_admin.into(),
            user.external_id.as_ref().into(),
            user.created_at.into(),
            user.updated_at.into(),
            (&keys.username).into(),
            (&keys.first_name).into(),
            (&keys.last_name).into(),
            (&keys.email).into(),
            (&keys.title).into(),
            (&keys.phone_number).into(),
            (&keys.external_id).into(),
            user.version.into(),
            (&group_ids(&user.groups)).into(),
        ],
        taken,
    )?;
    claim_username(tx, user.user_id, username)?;
    add_memberships(tx, user.user_id, &user.groups)?;
    tx.count(Counter::Users, 1);
    tx.reorder(OrderChange::of(None, Some(user)));
    index(tx, user.user_id, None, Some(keys.search_text()));
    Ok(())
}

/// Stores what changed of a user: everything but its id, its creation and its logins. `after` has the next version.
///
/// # Errors
/// As [`insert`].
pub fn update(tx: &mut Tx<'_>, before: &User, after: &User, username: &Username) -> Result<()> {
    let keys = Keys::of(after);
    let text = keys.search_text();
    let indexed = if text == Keys::of(before).search_text() { None } else { indexed(tx, after.user_id)? };
    tx.execute(
        "UPDATE users SET username = $3, status = $4, first_name = $5, last_name = $6, email = $7, title = $8, \
         phone_number = $9, is_admin = $10, external_id = $11, updated_at = $12, username_key = $13, \
         first_name_key = $14, last_name_key = $15, email_key = $16, title_key = $17, phone_number_key = $18, \
         external_id_key = $19, version = $20, groups_version = $20, group_ids = $21 WHERE pid = $1 AND user_id = $2",
        &[
            after.user_id.into(),
            (&after.username).into(),
            after.status.code().into(),
            (&after.first_name).into(),
            (&after.last_name).into(),
            (&after.email).into(),
            after.title.as_ref().into(),
            after.phone_number.as_ref().into(),
            after.is_admin.into(),
            after.external_id.as_ref().into(),
            after.updated_at.into(),
            (&keys.username).into(),
            (&keys.first_name).into(),
            (&keys.last_name).into(),
            (&keys.email).into(),
            (&keys.title).into(),
            (&keys.phone_number).into(),
            (&keys.external_id).into(),
            after.version.into(),
            (&group_ids(&after.groups)).into(),
        ],
    )
    .map_err(taken)?;
    tx.forget(Stale::User(after.pid, after.user_id));
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
        super::groups::count_members(tx, group, -1)?;
    }
    add_memberships(tx, after.user_id, &come)?;
    super::groups::count_in_each(tx, &come, 1)?;
    tx.reorder(OrderChange::of(Some(before), Some(after)));
    if indexed.is_some() {
        index(tx, after.user_id, indexed, Some(text));
    }
    Ok(())
}

/// The text that searches look at.
pub(super) fn text_of(user: &User) -> String {
    Keys::of(user).search_text()
}

/// Whether a search for a term, folded already, finds the user with this text (B27).
pub(super) fn is_found_by(user: &User, text: &str, term: &str) -> bool {
    text.contains(term) || exact_id(term) == Some(user.user_id.0)
}

/// Which of these users a search for a term, folded already, finds.
pub(super) fn holding(tx: &mut Tx<'_>, ids: &[i64], term: &str) -> Result<Vec<i64>> {
    let list = serde_json::json!(ids).to_string();
    let (set, (test, value)) = (tx.dialect().int_set("$2"), search::test(tx.dialect(), "$3", term));
    let sql = format!(
        "SELECT u.user_id FROM users u WHERE u.pid = $1 AND u.user_id IN {set} AND ({test} OR u.user_id = $4)"
    );
    let number = exact_id(term).unwrap_or(0);
    tx.rows(&sql, &[Param::Text(&list), Param::Text(&value), number.into()], |row| row.int(0))
}

/// Removes a user and everything that is its own; the name is free at once. Left to the caller is the number of members of
/// its groups: whoever removes many users counts them once.
pub fn delete_uncounted(tx: &mut Tx<'_>, user: &User) -> Result<()> {
    let indexed = indexed(tx, user.user_id)?;
    super::sessions::note_end_of_all(tx, user.user_id)?;
    // Username, memberships, passwords, sessions and their tokens go with it (ON DELETE CASCADE).
    tx.execute("DELETE FROM users WHERE pid = $1 AND user_id = $2", &[user.user_id.into()])?;
    super::outbox::withdraw(tx, user.user_id)?;
    tx.count(Counter::Users, -1);
    tx.reorder(OrderChange::of(Some(user), None));
    tx.forget(Stale::User(tx.pid(), user.user_id));
    index(tx, user.user_id, indexed, None);
    Ok(())
}

/// Has this unit and every other one that claims or changes the same user run one after the other. Needed where a
/// unit decides by what it read of a user and then writes elsewhere: two such units would not see each other.
pub fn claim(tx: &mut Tx<'_>, user_id: UserId) -> Result<()> {
    tx.claim(
        "UPDATE users SET failed_logins = failed_logins WHERE pid = $1 AND user_id = $2",
        &[user_id.into()],
    )
}

/// What the search indexes hold of a user, where they must be told of it. From the row, not from the user: a newer
/// version may fold otherwise.
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

fn taken(e: super::driver::DbError) -> Error {
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

/// Which of these usernames, by their keys, anybody has (B8).
pub fn list_taken_usernames(tx: &mut Tx<'_>, keys: &[&str]) -> Result<Vec<String>> {
    let list = serde_json::json!(keys).to_string();
    let set = tx.dialect().text_set("$1");
    let sql = format!("SELECT n.name_key FROM usernames n WHERE n.name_key IN {set}");
    tx.unscoped().rows(&sql, &[Param::Text(&list)], |row| Ok(row.text(0)?.to_owned()))
}

/// Which of these external ids users of the partner have (B3).
pub fn list_taken_external_ids(tx: &mut Tx<'_>, ids: &[&str]) -> Result<Vec<String>> {
    let list = serde_json::json!(ids).to_string();
    let set = tx.dialect().text_set("$2");
    let sql = format!("SELECT u.external_id FROM users u WHERE u.pid = $1 AND u.external_id IN {set}");
    tx.rows(&sql, &[Param::Text(&list)], |row| Ok(row.text(0)?.to_owned()))
}

/// One user of the partner.
pub fn find(tx: &mut Tx<'_>, user_id: UserId) -> Result<Option<User>> {
    const SQL: &str = const_format_find();
    tx.row(SQL, &[user_id.into()], read)
}

/// [`COLUMNS`] and [`GROUPS`] written out: a `const` cannot be made of other strings, and building the text for
/// every point read would cost more than its lookup in the statement cache. A test compares them.
const fn const_format_find() -> &'static str {
    "SELECT u.pid, u.user_id, u.username, u.status, u.first_name, u.last_name, u.email, \
     u.title, u.phone_number, u.is_admin, u.external_id, u.created_at, u.updated_at, u.last_login_at, u.version, \
     CASE WHEN u.groups_version = u.version THEN u.group_ids ELSE \
     (SELECT string_agg(CAST(m.group_id AS TEXT), ',') FROM memberships m \
     WHERE m.pid = u.pid AND m.user_id = u.user_id) END \
     FROM users u WHERE u.pid = $1 AND u.user_id = $2"
}

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

/// Who has a username, on the whole server (B8): the login needs no partner.
pub fn find_username(tx: &mut Tx<'_>, key: &str) -> Result<Option<(PartnerId, UserId)>> {
    let found = tx.unscoped().rows(
        "SELECT pid, user_id FROM usernames WHERE name_key = $1",
        &[key.into()],
        |row| Ok((PartnerId(row.int(0)?), UserId(row.int(1)?))),
    )?;
    Ok(found.into_iter().next())
}

/// The partner of a user id, for operators, who name users of any partner.
pub fn find_partner_of(tx: &mut Tx<'_>, user_id: UserId) -> Result<Option<PartnerId>> {
    // No index leads with user_id alone: partners are few, and an operator waits.
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
    /// In a row.
    pub count: i64,
    /// The last ACTIVE admin's logins are refused until then; 0 = they are not.
    pub refused_until: Millis,
}

/// What is known of a user's failed logins.
pub fn failures(tx: &mut Tx<'_>, user_id: UserId) -> Result<Failures> {
    let found = tx.row(
        "SELECT failed_logins, refused_until FROM users WHERE pid = $1 AND user_id = $2",
        &[user_id.into()],
        |row| Ok(Failures { count: row.int(0)?, refused_until: row.int(1)? }),
    )?;
    Ok(found.unwrap_or_default())
}

/// Stores a user's failed logins.
pub fn set_failures(tx: &mut Tx<'_>, user_id: UserId, failures: Failures) -> Result<()> {
    tx.execute(
        "UPDATE users SET failed_logins = $3, refused_until = $4 WHERE pid = $1 AND user_id = $2",
        &[user_id.into(), failures.count.into(), failures.refused_until.into()],
    )?;
    Ok(())
}

/// Whether the user may log in now, if it knows its password: it is ACTIVE, its logins are not refused for a while, and its
/// partner is not suspended.
pub fn may_log_in(tx: &mut Tx<'_>, user_id: UserId) -> Result<bool> {
    let (active, now) = (Status::Active.code(), tx.now());
    let found = tx.row(
        "SELECT 1 FROM users u JOIN partners t ON t.pid = u.pid WHERE u.pid = $1 AND u.user_id = $2 \
         AND u.status = $3 AND u.refused_until <= $4 AND t.suspended = 0",
        &[user_id.into(), active.into(), now.into()],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Counts a refused login that no user's count is raised by. Besides being of interest, it makes refusing cost
/// the same write as counting does, so the time of an answer tells nothing (B23).
pub fn count_unknown_login(tx: &mut Tx<'_>) {
    tx.effects.counters.push((PartnerId(0), Counter::RefusedLogins, 1));
}

/// Stores a login: when, and that the row of failures is over.
pub fn set_logged_in(tx: &mut Tx<'_>, user: &User) -> Result<()> {
    let (now, user_id) = (tx.now(), user.user_id);
    tx.execute_later(
        "UPDATE users SET last_login_at = $3, failed_logins = 0, refused_until = 0, version = users.version + 1, \
         groups_version = users.groups_version + 1 WHERE pid = $1 AND user_id = $2",
        &[user_id.into(), now.into()],
        Error::from,
    )?;
    tx.reorder(OrderChange::of_time(
        (user.pid, user_id),
        (user.status.code(), user.is_admin),
        UserSort::LastLoginAt,
        (user.last_login_at.unwrap_or(0), now),
    ));
    // Only `lastLoginAt` shows it, and logins are many.
    tx.forget_here(Stale::User(tx.pid(), user_id));
    Ok(())
}

/// The version of a user; none when there is no such user.
pub fn version(tx: &mut Tx<'_>, user_id: UserId) -> Result<Option<i64>> {
    let sql = "SELECT u.version FROM users u WHERE u.pid = $1 AND u.user_id = $2";
    tx.row(sql, &[user_id.into()], |row| row.int(0))
}

/// Raises the version of every member of a group: what they show of their groups changes.
pub(super) fn touch_members(tx: &mut Tx<'_>, group_id: GroupId) -> Result<()> {
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

/// Where password mail goes although the address was changed (B25).
pub fn held_email(tx: &mut Tx<'_>, user_id: UserId) -> Result<Option<String>> {
    let now = tx.now();
    let found = tx.row(
        "SELECT held_email FROM users WHERE pid = $1 AND user_id = $2 AND held_until > $3",
        &[user_id.into(), now.into()],
        |row| Ok(row.opt_text(0)?.map(str::to_owned)),
    )?;
    Ok(found.flatten())
}

/// Has password mail go to `address` until `until`, or to the present address again.
pub fn hold_email(tx: &mut Tx<'_>, user_id: UserId, hold: Option<(&str, Millis)>) -> Result<()> {
    let (address, until) = hold.unzip();
    tx.execute(
        "UPDATE users SET held_email = $3, held_until = $4 WHERE pid = $1 AND user_id = $2",
        &[user_id.into(), address.into(), until.unwrap_or(0).into()],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_point_read_asks_for_what_read_takes() {
        assert_eq!(
            const_format_find(),
            format!("SELECT {COLUMNS}, {GROUPS} FROM users u WHERE u.pid = $1 AND u.user_id = $2")
        );
    }
}
