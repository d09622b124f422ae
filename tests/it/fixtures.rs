//! Bodies and populations that several files of tests use.

use std::path::Path;

use serde_json::Value;

use tenantry_core::model::{GroupId, PartnerId, Profile, Status, User};
use tenantry_core::values;
use tenantry_domain::unit;
use tenantry_store::access::Operator;
use tenantry_store::tables::{groups, users};

use crate::harness::{Person, T};

/// A body with some members set to something else.
pub fn with(body: &Value, changes: Value) -> Value {
    let mut body = body.clone();
    let (Value::Object(members), Value::Object(changes)) = (&mut body, changes) else { panic!("no objects") };
    members.extend(changes);
    body
}

/// A body without some of its members.
pub fn without(body: &Value, names: &[&str]) -> Value {
    let mut body = body.clone();
    body.as_object_mut().unwrap().retain(|name, _| !names.contains(&name.as_str()));
    body
}

/// A file of tests/field.
pub fn field(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The ids of users or groups in a list.
pub fn ids(list: &Value) -> Vec<i64> {
    list.as_array()
        .unwrap_or_else(|| panic!("no array: {list}"))
        .iter()
        .map(|row| row["userId"].as_i64().or_else(|| row["groupId"].as_i64()).unwrap())
        .collect()
}

impl Person<'_> {
    /// Every user of the partner as the plain list tells it: for "nothing was changed".
    pub async fn everybody(&self) -> Value {
        self.get("/api/v1/users/").await.expect(200).body
    }

    /// All events of the partner, oldest first.
    pub async fn events(&self) -> Vec<Value> {
        let response = self.get("/api/v1/events?pageSize=1000").await.expect(200);
        assert_eq!(response.header("link"), "", "more events than a page");
        response.list().to_vec()
    }
}

/// Puts `count` INACTIVE users `<prefix>0`, `<prefix>1`, ... into a partner below the rules: for lists that HTTP
/// could not fill in reasonable time.
pub async fn seed(t: &T, pid: i64, prefix: &'static str, count: usize, groups: Vec<GroupId>) {
    const UNIT: usize = 20_000;
    let rights = Operator::of_this_machine().as_admin_of(PartnerId(pid));
    for from in (0..count).step_by(UNIT) {
        let groups_of_each = groups.clone();
        unit::write_large(&t.app.store, &rights, move |tx| {
            for n in from..count.min(from + UNIT) {
                let username = values::username(&format!("{prefix}{n}")).unwrap();
                let user = User {
                    pid: tx.pid(),
                    user_id: users::next_id(tx)?,
                    username: username.shown.clone(),
                    status: Status::Inactive,
                    profile: Profile {
                        first_name: format!("First{}", n % 97),
                        last_name: format!("Last{}", n % 1_009),
                        email: format!("{prefix}{n}@example.com"),
                        title: (n % 3 == 0).then(|| String::from("Archivist of the northern wing")),
                        ..Profile::default()
                    },
                    groups: groups_of_each.clone(),
                    is_admin: false,
                    created_at: tx.now(),
                    updated_at: tx.now(),
                    last_login_at: None,
                    version: 1,
                };
                users::insert_uncounted(tx, &user, &username)?;
            }
            let inserted = count.min(from + UNIT) - from;
            groups::count_in_each(tx, &groups_of_each, i64::try_from(inserted).unwrap())
        })
        .await
        .unwrap();
    }
}

/// Whether the groups in each user's row are those of its memberships wherever they count (migrations/0009); for how many
/// users they do not count.
pub fn check_groups_in_rows(t: &T) -> usize {
    let rows = t.ask_sql(
        "SELECT CAST(u.user_id AS TEXT), CASE WHEN u.groups_version = u.version THEN u.group_ids ELSE '' END, \
         coalesce((SELECT string_agg(CAST(m.group_id AS TEXT), ',') FROM memberships m \
         WHERE m.pid = u.pid AND m.user_id = u.user_id), '') FROM users u",
    );
    let sorted = |ids: &str| {
        let mut ids: Vec<i64> =
            ids.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().unwrap()).collect();
        ids.sort_unstable();
        ids
    };
    let counting = rows.iter().filter(|row| !row[1].is_empty());
    for row in counting.clone() {
        assert_eq!(sorted(&row[1]), sorted(&row[2]), "{row:?}");
    }
    rows.len() - counting.count()
}
