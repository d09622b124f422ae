//! Searches that many users match (B27), with every kind of filter and order, held against the plainest way to find
//! the same.

use std::time::Duration;

use serde_json::{Value, json};

use crate::binary::TIMEOUT;
use crate::databases::is_postgres;
use crate::fixtures::{ids, seed, with};
use crate::harness::{Person, T, new_user};
use tenantry_core::model::GroupId;

const USERS: &str = "/api/v1/users";

/// More than the total is counted to, so that each way to find a page is taken.
const SEEDED: usize = 10_600;

/// A search: the term and the other parameters.
#[derive(Debug)]
struct Search<'s> {
    term: &'s str,
    filter: &'s str,
    order: &'s str,
    is_descending: bool,
}

fn matches(user: &Value, term: &str) -> bool {
    let is_number = term.parse().is_ok_and(|number: i64| user["userId"] == number);
    is_number
        || ["username", "firstName", "lastName", "email", "title"]
            .iter()
            .any(|name| user[*name].as_str().is_some_and(|text| text.to_lowercase().contains(term)))
}

fn passes(user: &Value, filter: &str) -> bool {
    match filter.split_once('=') {
        None => true,
        Some(("status", _)) => filter.split('&').any(|one| one["status=".len()..] == user["status"]),
        Some(("isAdmin", flag)) => user["isAdmin"] == (flag == "true"),
        Some(("groupId", _)) => {
            let groups = user["groups"].as_array().unwrap();
            let is_in = |one: &str| groups.contains(&json!(one["groupId=".len()..].parse::<i64>().unwrap()));
            filter.split('&').any(is_in)
        }
        Some(other) => panic!("{other:?}"),
    }
}

/// All hits in their order.
fn plain(everybody: &[Value], search: &Search<'_>) -> Vec<i64> {
    let mut hits: Vec<&Value> =
        everybody.iter().filter(|user| matches(user, search.term) && passes(user, search.filter)).collect();
    let text = |user: &Value| user[search.order].as_str().map(str::to_lowercase);
    hits.sort_by_cached_key(|user| (text(user), user["userId"].as_i64()));
    if search.is_descending {
        hits.reverse();
    }
    hits.iter().map(|user| user["userId"].as_i64().unwrap()).collect()
}

/// What a page says of how many there are.
#[derive(Debug, PartialEq, Eq)]
enum Total {
    Exact(usize),
    AtLeast(usize),
}

fn total(page: &Value) -> Total {
    let count = usize::try_from(page["total"].as_i64().unwrap()).unwrap();
    if page.get("totalIsExact") == Some(&json!(false)) { Total::AtLeast(count) } else { Total::Exact(count) }
}

async fn compare(admin: &Person<'_>, everybody: &[Value], search: &Search<'_>) -> usize {
    const SIZE: usize = 40;
    let Search { term, filter, order, is_descending } = search;
    let path = format!(
        "/api/v1/users?search={term}&{filter}&sortBy={order}&descending={is_descending}&pageSize={SIZE}"
    );
    let hits = plain(everybody, search);
    // Near, in the middle, and where it is shorter to sort all hits than to walk to them.
    for page in [0, 2, hits.len() / 2 / SIZE, hits.len() / SIZE] {
        let response = admin.get(&format!("{path}&page={page}")).await.expect(200).body;
        let expected: Vec<i64> = hits.iter().skip(page * SIZE).take(SIZE).copied().collect();
        assert_eq!(ids(&response["list"]), expected, "{path}&page={page}");
        let total = total(&response);
        // Of more than ten thousand it is exact as soon as it is kept, which it is on SQLite alone.
        let is_many = hits.len() > 10_000;
        let is_right = match total {
            Total::Exact(count) => count == hits.len() && !(is_many && is_postgres()),
            Total::AtLeast(count) => is_many && count == 10_000,
        };
        assert!(is_right, "{path}&page={page}: {total:?}");
    }
    hits.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b27_every_page_of_a_search_is_the_one_it_should_be() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (some, all) = (admin.create_group("Some").await, admin.create_group("All").await);
    // Another partner's users, of the same names, come between and count for nothing.
    let (other, olga) = t.other_partner("acme").await;
    seed(&t, 1, "needle", SEEDED / 2, vec![GroupId(all)]).await;
    seed(&t, other, "needle-of-acme", 300, Vec::new()).await;
    seed(&t, 1, "needle-", SEEDED / 2, vec![GroupId(some), GroupId(all)]).await;
    // Those that no term is about make the walk to the last hits longer than it takes to sort all hits.
    seed(&t, 1, "hay", 2_000, Vec::new()).await;
    t.run_sql(
        "UPDATE users SET status = CASE user_id % 7 WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE 0 END, \
         is_admin = CASE WHEN user_id % 11 = 3 OR user_id = 1 THEN 1 ELSE 0 END WHERE pid = 1; \
         UPDATE users SET status = 0 WHERE user_id = 1",
    );
    let list = admin.everybody().await;
    let everybody = list.as_array().unwrap();
    let (some, all) = (format!("groupId={some}"), format!("groupId={some}&groupId={all}"));
    let filters =
        ["", "status=ACTIVE", "status=INACTIVE&status=LOCKED", "isAdmin=false", "isAdmin=true", &some, &all];
    let mut most = 0;
    // Of three characters and more, of two, of one, and of digits, which may be a user's number.
    for term in ["needle", "needle-", "le", "7", "12", "123", "needle-of-acme"] {
        for filter in filters {
            for order in ["userId", "lastName", "title"] {
                let is_descending = order == "lastName";
                let search = Search { term, filter, order, is_descending };
                most = most.max(compare(&admin, everybody, &search).await);
            }
        }
    }
    assert!(most > 10_000, "{most}");
    let own = olga.get("/api/v1/users?search=needle&pageSize=1").await.expect(200).body;
    assert_eq!(own["total"], 300);
}

/// Asks until the total is exact, which it is from some moment on.
async fn until_exact(admin: &Person<'_>, path: &str) -> usize {
    let asked = async {
        loop {
            match total(&admin.get(path).await.expect(200).body) {
                Total::Exact(count) => return count,
                Total::AtLeast(count) => assert_eq!(count, 10_000, "{path}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, asked).await.unwrap_or_else(|_| panic!("not exact: {path}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_of_many_are_exact_at_once_where_they_are_soon_counted() {
    let t = T::start().await;
    let admin = t.admin().await;
    seed(&t, 1, "needle", 12_000, Vec::new()).await;
    t.app.store.let_count_for(TIMEOUT);
    for query in
        ["search=needle", "search=ee", "search=ne", "search=needle&status=INACTIVE", "status=INACTIVE"]
    {
        for more in ["", "&sortBy=lastName", "&page=1199", "&page=1200"] {
            let path = format!("{USERS}?{query}&pageSize=10{more}");
            let response = admin.get(&path).await.expect(200).body;
            let expected = if is_postgres() { Total::AtLeast(10_000) } else { Total::Exact(12_000) };
            assert_eq!(total(&response), expected, "{path}");
            let rows = if more.contains("1200") { 0 } else { 10 };
            assert_eq!(response["list"].as_array().unwrap().len(), rows, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cached_totals_are_exact_and_follow_every_write() {
    if is_postgres() {
        // Other processes write there, too: the total stays a lower bound.
        return;
    }
    let t = T::start().await;
    let admin = t.admin().await;
    let (other, _) = t.other_partner("acme").await;
    // Two of three are INACTIVE: they are many, too.
    const MANY: usize = 16_000;
    seed(&t, 1, "needle", MANY, Vec::new()).await;
    t.run_sql("UPDATE users SET status = 0 WHERE user_id % 3 = 0");
    let queries = ["search=needle", "search=ee", "search=needle&status=INACTIVE", "isAdmin=false"];
    let inactive = &t.ask_sql("SELECT count(*) FROM users WHERE status = 1")[0][0];
    let (mut all, mut inactive) = (MANY, inactive.parse::<usize>().unwrap());
    assert!(inactive > 10_000, "{inactive}");
    let check = async |all: usize, inactive: usize, what: &str| {
        for query in queries {
            let found = total(&admin.get(&format!("{USERS}?{query}&pageSize=1")).await.expect(200).body);
            let expected = if query.contains("INACTIVE") { inactive } else { all };
            assert_eq!(found, Total::Exact(expected), "{query} {what}");
        }
    };
    // Where no time is spent on counting, the first page has a lower bound.
    t.app.store.let_count_for(Duration::ZERO);
    for query in queries {
        let first = total(&admin.get(&format!("{USERS}?{query}&pageSize=1")).await.expect(200).body);
        // The third one has the counts of the first.
        assert!(first == Total::AtLeast(10_000) || query.contains("INACTIVE"), "{query}: {first:?}");
        until_exact(&admin, &format!("{USERS}?{query}&pageSize=1")).await;
    }
    check(all, inactive, "when they are kept").await;
    let id = admin.create("needle-more").await["userId"].clone();
    all += 1;
    check(all, inactive, "after a create").await;
    admin.patch(&format!("{USERS}/{id}"), &json!({"status": "INACTIVE"})).await.expect(200);
    inactive += 1;
    check(all, inactive, "after a change of status").await;
    let patch = json!({"username": "pin", "firstName": "P", "lastName": "P", "email": "p@example.com"});
    admin.patch(&format!("{USERS}/{id}"), &patch).await.expect(200);
    let without = total(&admin.get(&format!("{USERS}?search=needle&pageSize=1")).await.expect(200).body);
    assert_eq!(without, Total::Exact(all - 1), "after a change of the text");
    admin.delete(&format!("{USERS}/{id}")).await.expect(204);
    (all, inactive) = (all - 1, inactive - 1);
    check(all, inactive, "after a delete").await;
    let first = admin.get(&format!("{USERS}?search=needle&status=INACTIVE&pageSize=5")).await.expect(200);
    admin.post(&format!("{USERS}/bulk-delete"), &json!(ids(&first.body["list"]))).await.expect(204);
    (all, inactive) = (all - 5, inactive - 5);
    check(all, inactive, "after a bulk delete").await;
    // Another partner's users are its own.
    seed(&t, other, "needle-of-acme", 30, Vec::new()).await;
    check(all, inactive, "after creates of another partner").await;
}

/// Of a long term parts are looked for first: who has them all, but not the term, is not found.
#[tokio::test]
async fn b27_parts_of_a_term_in_another_order_are_no_hit() {
    let t = T::start().await;
    let admin = t.admin().await;
    let mut numbers = Vec::new();
    for (username, last_name) in [
        ("abcdefghi", "Plain"),
        ("defghiabc", "Turned"),
        ("abcdef", "Ghi"),
        ("abcxdefxghi", "Parted"),
        ("xabcdefghix", "Within"),
        ("other", "ABCDEFGHI"),
    ] {
        let user = admin.create_with(&with(&new_user(username), json!({ "lastName": last_name }))).await;
        numbers.push(user["userId"].as_i64().unwrap());
    }
    let found = async |query: &str| {
        let page = admin.get(&format!("{USERS}?{query}&page=0")).await.expect(200).body;
        assert_eq!(page["total"], ids(&page["list"]).len());
        ids(&page["list"])
    };
    let [plain, turned, split, parted, within, other] = numbers[..] else { panic!("{numbers:?}") };
    assert_eq!(found("search=abcdefghi").await, [plain, within, other]);
    assert_eq!(found("search=ABCDEFGHI&sortBy=lastName&descending=true").await, [within, plain, other]);
    assert_eq!(found("search=defghi").await, [plain, turned, within, other]);
    assert_eq!(found("search=abcdef").await, [plain, split, within, other]);
    assert_eq!(found("search=xdefxg").await, [parted]);
    assert_eq!(found("search=abcdefghi&status=LOCKED").await, [0_i64; 0]);
    // Nor does a number of six digits find who has its parts.
    admin.create("333222111").await;
    assert_eq!(found("search=222333").await, [0_i64; 0]);
    assert_eq!(found("search=333222").await.len(), 1);
    // But a user has this number itself.
    t.run_sql(
        "INSERT INTO users (pid, user_id, username, status, first_name, last_name, email, is_admin, created_at, \
         updated_at, username_key, first_name_key, last_name_key, email_key, title_key, phone_number_key, \
         external_id_key) VALUES (1, 1234567, 'n', 0, 'N', 'N', 'n@example.com', 0, 1, 1, \
         'n', 'n', 'n', 'n@example.com', '', '', '')",
    );
    assert_eq!(found("search=1234567").await, [1_234_567]);
    assert_eq!(found("search=123456").await, [0_i64; 0]);
}
