//! Pages far from both ends (contract, Paging): by the offset index on SQLite, by skipping on PostgreSQL, and the same on both.

use serde_json::{Value, json};

use crate::binary::until;
use crate::fixtures::{ids, seed};
use crate::harness::{Person, T, new_user};

const SEEDED: usize = 13_000;

const ORDERS: [&str; 6] = ["userId", "lastName", "title", "updatedAt", "isAdmin", "lastLoginAt"];

/// What these users are sorted by, as text that compares as the order does: null first, numbers by their digits.
fn key(user: &Value, order: &str) -> String {
    match &user[order] {
        Value::Null => String::new(),
        Value::String(text) => format!("+{text}"),
        Value::Number(number) => format!("{:020}", number.as_i64().unwrap()),
        other => other.to_string(),
    }
}

/// The page, looked for in the plainest way.
fn plain(everybody: &[Value], order: &str, filter: &str, (page, size): (usize, usize)) -> Vec<i64> {
    let (descending, filter) = match filter.strip_prefix("&descending=true") {
        Some(rest) => (true, rest),
        None => (false, filter),
    };
    let passes = |user: &&Value| match filter {
        "" => true,
        "&isAdmin=false" => user["isAdmin"] == false,
        _ => filter.split("&status=").any(|status| user["status"] == status),
    };
    let mut users: Vec<&Value> = everybody.iter().filter(passes).collect();
    users.sort_by_cached_key(|user| (key(user, order), user["userId"].as_i64()));
    if descending {
        users.reverse();
    }
    users.into_iter().skip(page * size).take(size).map(|user| user["userId"].as_i64().unwrap()).collect()
}

async fn compare(admin: &Person<'_>, what: &str) {
    let everybody = admin.everybody().await;
    let everybody = everybody.as_array().unwrap();
    for order in ORDERS {
        for filter in [
            "",
            "&descending=true",
            "&status=ACTIVE",
            "&descending=true&status=ACTIVE&status=LOCKED",
            "&isAdmin=false",
        ] {
            for page in [60, 79, 93] {
                let path = format!("/api/v1/users?sortBy={order}{filter}&page={page}&pageSize=70");
                let found = admin.get(&path).await.expect(200).body;
                assert_eq!(
                    ids(&found["list"]),
                    plain(everybody, order, filter, (page, 70)),
                    "{what}: {path}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_deep_page_is_the_one_it_should_be_while_users_change() {
    let t = T::start().await;
    seed(&t, 1, "deep", SEEDED, Vec::new()).await;
    // Behind the server's back, before it has asked: keys that many share, and every kind.
    t.run_sql(
        "UPDATE users SET status = CASE user_id % 7 WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE 0 END, \
         is_admin = CASE WHEN user_id % 11 = 3 OR user_id = 1 THEN 1 ELSE 0 END, \
         last_name = 'name' || (user_id % 400), last_name_key = 'name' || (user_id % 400), \
         updated_at = updated_at + user_id % 90 * 1000, last_login_at = user_id % 3 * 1000; \
         UPDATE users SET status = 0 WHERE user_id = 1; \
         UPDATE users SET title = 't' || (user_id % 5), title_key = chr(1) || 't' || (user_id % 5) WHERE user_id % 2 = 1"
            .replace("chr(1)", if t.app.store.is_shared() { "chr(1)" } else { "char(1)" })
            .as_str(),
    );
    let admin = t.admin().await;
    compare(&admin, "before there is an offset index").await;
    if !t.app.store.is_shared() {
        until("there is an offset index", || {
            (t.app.store.count_indexed_orders() == ORDERS.len()).then_some(())
        })
        .await;
    }
    compare(&admin, "by the offset index").await;

    let group = admin.create_group("Some").await;
    for n in 0..60 {
        let mut user = new_user(&format!("new{n}"));
        user["lastName"] = json!(format!("name{}", n * 5));
        user["title"] = if n % 2 == 0 { Value::Null } else { json!("t3") };
        admin.create_with(&user).await;
        let id = 40 + n * 200;
        admin.delete(&format!("/api/v1/users/{}", id + 1)).await.expect(204);
        let change = json!({ "lastName": format!("name{}", n * 3), "title": "t0", "status": "LOCKED" });
        admin.patch(&format!("/api/v1/users/{}", id + 2), &change).await.expect(200);
        admin.put(&format!("/api/v1/groups/{group}/users/{}", id + 3), &Value::Null).await.expect(204);
    }
    compare(&admin, "after changes").await;
    // What is refused, and what is taken back, moves nobody.
    admin.post("/api/v1/users", &new_user("new1")).await.expect(409);
    admin.delete("/api/v1/users/500?dryRun=true").await.expect(200);
    let two = json!({ "users": [new_user("fresh"), new_user("new2")], "atomic": false });
    admin.post("/api/v1/users/bulk", &two).await.expect(200);
    t.member("lou").await;
    admin.post(&format!("/api/v1/users/{}/restore", 41), &json!({})).await.expect(200);
    compare(&admin, "after what was taken back").await;
}
