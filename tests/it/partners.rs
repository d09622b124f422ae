//! Partners over HTTP, for products that sign up tenants from code.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::databases::is_postgres;
use crate::fixtures::with;
use crate::harness::{ADMIN_PASSWORD, Person, T, password_of};
use crate::user_fields::nulls;

const PARTNERS: &str = "/operator/v1/partners";
const SELF: &str = "/api/v1/users/self";

fn new_partner(name: &str, admin: &str) -> Value {
    json!({ "name": name, "adminUsername": admin, "adminEmail": format!("{admin}@example.com") })
}

async fn create(operator: &Person<'_>, name: &str, admin: &str) -> i64 {
    let response = operator.post(PARTNERS, &new_partner(name, admin)).await.expect(201);
    response.body["pid"].as_i64().unwrap()
}

fn path(pid: i64) -> String {
    format!("{PARTNERS}/{pid}")
}

#[tokio::test]
async fn a_partner_is_created_with_its_admin() {
    let t = T::start().await;
    let operator = t.operator().await;
    let body = json!({
        "name": "Example Ltd", "adminUsername": "olga@example.com", "adminEmail": "olga@example.com",
        "adminFirstName": "Olga", "adminLastName": "Ó Ceallaigh",
    });
    let response = operator.post(PARTNERS, &body).await.expect(201);
    assert_eq!(response.header("location"), "/operator/v1/partners/2");
    assert_eq!(
        response.body,
        json!({
            "pid": 2, "name": "Example Ltd", "suspended": false, "users": 1, "createdAt": "2026-11-23T09:00:00.000Z",
            "admin": with(&nulls(), json!({
                "pid": 2, "userId": 2, "username": "olga@example.com", "status": "ACTIVE", "firstName": "Olga",
                "lastName": "Ó Ceallaigh", "email": "olga@example.com", "groups": [], "isAdmin": true,
                "createdAt": "2026-11-23T09:00:00.000Z", "updatedAt": "2026-11-23T09:00:00.000Z", "lastLoginAt": null,
            })),
        })
    );
    let mut partner = response.body;
    partner.as_object_mut().unwrap().remove("admin");
    assert_eq!(operator.get(&path(2)).await.expect(200).body, partner);

    // B16: the password comes by mail, is temporary, and opens this partner and no other.
    let olga = t.login("olga@example.com", &t.mailed_password("olga@example.com").await).await;
    assert_eq!(olga.get(SELF).await.expect(200).body["pid"], 2);
    let body = json!({ "oldPassword": t.mailed_password("olga@example.com").await, "newPassword": password_of("o") });
    olga.post("/api/v1/users/self/update-password", &body).await.expect(200);
    let all = olga.get("/api/v1/users").await.expect(200).body;
    assert_eq!(all.as_array().unwrap().len(), 1);
    olga.get("/api/v1/users/1").await.expect(404);
    let events = olga.get("/api/v1/events?type=partner.created").await.expect(200);
    assert_eq!(
        (&events.list()[0]["actor"], &events.list()[0]["after"]),
        (&json!("operator"), &json!({ "name": "Example Ltd" }))
    );
}

#[tokio::test]
async fn names_are_admin_unless_given() {
    let t = T::start().await;
    let response = t.operator().await.post(PARTNERS, &new_partner("Example", "olga")).await.expect(201);
    assert_eq!(
        (&response.body["admin"]["firstName"], &response.body["admin"]["lastName"]),
        (&json!("Admin"), &json!("Admin"))
    );
}

#[tokio::test]
async fn names_and_usernames_that_are_taken_are_conflicts_and_leave_nothing() {
    let t = T::start().await;
    let operator = t.operator().await;
    create(&operator, "Straße", "olga").await;
    for (body, code, field) in [
        (new_partner("STRASSE", "other"), "partner-name-taken", "/name"),
        (new_partner("Default", "other"), "partner-name-taken", "/name"),
        (new_partner("Other", "OLGA"), "username-taken", "/adminUsername"),
        (new_partner("Other", "admin"), "username-taken", "/adminUsername"),
    ] {
        let response = operator.post(PARTNERS, &body).await.expect(409);
        assert_eq!(response.body["code"], code, "{body}");
        assert_eq!(response.faults(), [format!("{field} {code}")], "{body}");
    }
    assert_eq!(operator.get(PARTNERS).await.expect(200).body["total"], 2);
    assert_eq!(t.mails().await.len(), 1, "only the first one was mailed");
    // Nothing of the refused ones holds on to a name.
    let pid = create(&operator, "Other", "other").await;
    // Nor on a number, where units of work run one after the other.
    assert!(if is_postgres() { pid > 2 } else { pid == 3 }, "{pid}");
}

#[tokio::test]
async fn faults_of_a_create_are_all_listed() {
    let t = T::start().await;
    let operator = t.operator().await;
    let response = operator.post(PARTNERS, &json!({})).await.expect(400);
    assert_eq!(response.faults(), ["/name required", "/adminUsername required", "/adminEmail required"]);
    let body = json!({
        "name": "", "adminUsername": "a b", "adminEmail": "x", "adminFirstName": null, "adminLastName": 1, "more": 1,
    });
    let response = operator.post(PARTNERS, &body).await.expect(400);
    let fields: Vec<_> = response.faults().iter().map(|f| f.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(
        fields,
        ["/name", "/adminUsername", "/adminEmail", "/adminFirstName", "/adminLastName", "/more"]
    );
    assert_eq!(operator.get(PARTNERS).await.expect(200).body["total"], 1);
}

#[tokio::test]
async fn only_an_operator_token_is_good_here() {
    let t = T::start().await;
    let operator = t.operator().await;
    let pid = create(&operator, "Example", "olga").await;
    let robot = t.client(1, true).await;
    let (admin, account) = (t.admin().await, t.technical_account(&robot).await);
    for person in [t.anonymous(), admin.clone(), account, t.bearer("op.x"), t.bearer("")] {
        for response in [
            person.get(PARTNERS).await,
            person.get(&path(pid)).await,
            person.post(PARTNERS, &new_partner("Other", "other")).await,
            person.patch(&path(pid), &json!({ "suspended": true })).await,
            person.delete(&path(pid)).await,
        ] {
            assert_eq!(response.status, 401, "{}", response.text);
            let challenge = response.header("www-authenticate");
            let expected = if person.token.is_some() {
                r#"Bearer realm="oauth", error="invalid_token""#
            } else {
                r#"Bearer realm="oauth""#
            };
            assert!(challenge.starts_with(expected), "{challenge}");
        }
    }
    // And an operator token is no login.
    operator.get("/api/v1/users").await.expect(401);
    operator.get(SELF).await.expect(401);
    assert_eq!(operator.get(PARTNERS).await.expect(200).body["total"], 2);
}

#[tokio::test]
async fn a_revoked_operator_token_loses_access_at_once() {
    let t = T::start().await;
    let (one, two) = (t.operator().await, t.operator().await);
    one.get(PARTNERS).await.expect(200);
    let by = tenantry_store::access::Operator::of_this_machine();
    let listed = tenantry_domain::unit::write(&t.app.store, &by, move |tx| {
        let tokens = tenantry_domain::tokens::list_operator_tokens(tx)?;
        tenantry_domain::tokens::revoke_operator_token(tx, tokens[0].token_id)?;
        Ok(tokens)
    });
    assert_eq!(listed.await.unwrap().len(), 2);
    one.get(PARTNERS).await.expect(401);
    two.get(PARTNERS).await.expect(200);
}

#[tokio::test]
async fn the_list_is_paged_and_searched() {
    let t = T::start().await;
    let operator = t.operator().await;
    for n in 1..=14 {
        create(&operator, &format!("Partner {n:02} 100%"), &format!("olga{n}")).await;
    }
    create(&operator, "Straßenbahn_x", "olga-s").await;
    let names = |response: &crate::harness::TestResponse| -> Vec<String> {
        response.list().iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = operator.get(PARTNERS).await.expect(200);
    assert_eq!(
        (&first.body["total"], &first.body["page"], &first.body["pageSize"]),
        (&json!(16), &json!(0), &json!(10))
    );
    assert_eq!(first.list().len(), 10);
    assert_eq!(names(&first)[..2], ["default", "Partner 01 100%"]);
    assert_eq!(first.list()[0]["users"], 1);
    // By cursor, the whole way.
    let (mut seen, mut next) = (names(&first), first.header("link").to_owned());
    while let Some(link) = next.strip_prefix('<').and_then(|l| l.strip_suffix(r#">; rel="next""#)) {
        let page = operator.get(link).await.expect(200);
        assert_eq!((&page.body["page"], &page.body["total"]), (&Value::Null, &json!(16)));
        seen.extend(names(&page));
        next = page.header("link").to_owned();
    }
    assert_eq!(seen.len(), 16);
    assert_eq!(seen[15], "Straßenbahn_x");
    // By number, and past the end.
    let page = operator.get(&format!("{PARTNERS}/?page=3&pageSize=5")).await.expect(200);
    assert_eq!((names(&page), page.header("link")), (vec![String::from("Straßenbahn_x")], ""));
    assert!(operator.get(&format!("{PARTNERS}?page=9")).await.expect(200).list().is_empty());
    for (term, count) in [
        ("partner", 14),
        ("STRASSE", 1),
        ("100%25", 14),
        ("0%25%25", 0),
        ("_", 1),
        ("partner%2001", 1),
        ("*", 0),
        ("", 16),
    ] {
        let page = operator.get(&format!("{PARTNERS}?search={term}")).await.expect(200);
        assert_eq!(page.body["total"], count, "{term}");
        assert_eq!(page.list().len(), count.min(10), "{term}");
    }
    let found = operator.get(&format!("{PARTNERS}?search=partner&pageSize=4")).await.expect(200);
    let link = found.header("link").strip_prefix('<').unwrap().split('>').next().unwrap().to_owned();
    assert_eq!(names(&operator.get(&link).await.expect(200))[0], "Partner 05 100%");
    // The cursor of a search is not one of the whole list (C, Paging).
    let stray = link.replace("search=partner", "");
    assert_eq!(operator.get(&stray).await.expect(400).faults(), ["cursor wrong-cursor"]);
    for (query, fault) in [
        ("pageSize=0", "pageSize out-of-range"),
        ("pageSize=1001", "pageSize out-of-range"),
        ("page=-1", "page out-of-range"),
        ("page=2147483648", "page out-of-range"),
        ("sortBy=name", "sortBy wrong-value"),
        ("serach=x", "serach unknown-parameter"),
        ("cursor=x", "cursor wrong-cursor"),
        ("search=%00", "search control-character"),
    ] {
        assert_eq!(
            operator.get(&format!("{PARTNERS}?{query}")).await.expect(400).faults(),
            [fault],
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_partner_is_renamed() {
    let t = T::start().await;
    let operator = t.operator().await;
    let (one, two) = (create(&operator, "One", "olga").await, create(&operator, "Two", "otto").await);
    let response = operator.patch(&path(one), &json!({ "name": "Uno" })).await.expect(200);
    assert_eq!((&response.body["name"], &response.body["users"]), (&json!("Uno"), &json!(1)));
    // Its own name in other letters is no conflict, another's is.
    operator.patch(&path(one), &json!({ "name": "UNO" })).await.expect(200);
    let response = operator.patch(&path(two), &json!({ "name": "uno" })).await.expect(409);
    assert_eq!(
        (&response.body["code"], response.faults()),
        (&json!("partner-name-taken"), vec![String::from("/name partner-name-taken")])
    );
    assert_eq!(operator.get(&path(two)).await.expect(200).body["name"], "Two");
    // Nothing named, nothing changed.
    assert_eq!(operator.patch(&path(two), &json!({})).await.expect(200).body["name"], "Two");
    let response = operator
        .patch(&path(two), &json!({ "name": null, "suspended": "perhaps", "pid": 7 }))
        .await
        .expect(400);
    assert_eq!(response.faults().len(), 3);
}

#[tokio::test]
async fn users_of_a_suspended_partner_have_no_access_until_it_is_resumed() {
    let t = T::start().await;
    let operator = t.operator().await;
    let (pid, olga) = t.other_partner("other").await;
    let fenna = olga.create("fenna").await["userId"].as_i64().unwrap();
    let temporary = t.mailed_password("fenna").await;
    let person = t.login("fenna", &temporary).await;
    for one in [&olga, &person] {
        one.get(SELF).await.expect(200);
    }
    let response = operator.patch(&path(pid), &json!({ "suspended": true })).await.expect(200);
    assert_eq!(response.body["suspended"], true);
    for one in [&olga, &person] {
        let response = one.get(SELF).await.expect(401);
        assert!(response.header("www-authenticate").contains("invalid_token"));
    }
    for (username, password) in [("other-admin", password_of("other-admin")), ("fenna", temporary.clone())] {
        let response = t.try_login(username, &password).await.expect(400);
        assert_eq!(
            response.body,
            json!({ "error": "invalid_grant", "error_description": "wrong username or password" })
        );
    }
    // Nobody else is touched, and twice is once.
    t.login("admin", ADMIN_PASSWORD).await;
    operator.patch(&path(pid), &json!({ "suspended": true })).await.expect(200);
    operator.patch(&path(pid), &json!({ "suspended": "false" })).await.expect(200);
    for one in [&olga, &person] {
        one.get(SELF).await.expect(200);
    }
    t.login("other-admin", &password_of("other-admin"))
        .await
        .get(&format!("/api/v1/users/{fenna}"))
        .await
        .expect(200);
    let events = olga.get("/api/v1/events?type=partner.suspended&type=partner.resumed").await.expect(200);
    assert_eq!(events.body["total"], 2);
}

#[tokio::test]
async fn a_partner_with_users_is_deleted_only_with_force() {
    let t = T::start().await;
    let operator = t.operator().await;
    let (pid, olga) = t.other_partner("other").await;
    let robot = t.client(pid, true).await;
    let account = t.technical_account(&robot).await;
    let group = olga.create_group("Editors").await;
    let mut user = crate::harness::new_user("fenna");
    user["groups"] = json!([group]);
    olga.create_with(&user).await;
    let temporary = t.mailed_password("fenna").await;
    for query in ["", "?force=false"] {
        let response = operator.delete(&format!("{}{query}", path(pid))).await.expect(409);
        assert_eq!(response.body["code"], "partner-not-empty");
    }
    assert_eq!(
        operator.delete(&format!("{}?forse=true", path(pid))).await.expect(400).faults(),
        ["forse unknown-parameter"]
    );
    olga.get(SELF).await.expect(200);
    operator.delete(&format!("{}?force=true", path(pid))).await.expect(204);
    for one in [&olga, &account] {
        one.get("/api/v1/users").await.expect(401);
    }
    t.try_login("fenna", &temporary).await.expect(400);
    t.form_as(&robot, "/oauth/token", &[("grant_type", "client_credentials")]).await.expect(401);
    operator.get(&path(pid)).await.expect(404);
    operator.delete(&path(pid)).await.expect(404);
    operator.patch(&path(pid), &json!({ "name": "x" })).await.expect(404);
    assert_eq!(operator.get(PARTNERS).await.expect(200).body["total"], 1);
    // Its names are free, its number is not (B24).
    assert_eq!(create(&operator, "other", "other-admin").await, pid + 1);
    t.admin().await.create("fenna").await;
}

#[tokio::test]
async fn only_the_events_of_a_deleted_partner_are_kept() {
    let t = T::start().await;
    let operator = t.operator().await;
    let (pid, olga) = t.other_partner("other").await;
    let robot = t.client(pid, false).await;
    t.technical_account(&robot).await;
    let mut user = crate::harness::new_user("fenna");
    user["groups"] = json!([olga.create_group("Editors").await]);
    olga.create_with(&user).await;
    let rows = || -> BTreeMap<String, i64> {
        let tables = if is_postgres() {
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'pid'"
        } else {
            "SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c \
             WHERE m.type = 'table' AND c.name = 'pid'"
        };
        let count = |table: &str| -> i64 {
            let sql = format!("SELECT count(*) FROM {table} WHERE pid = {pid}");
            t.ask_sql(&sql)[0][0].parse().unwrap()
        };
        let tables = t.ask_sql(tables).into_iter().map(|row| (row[0].clone(), count(&row[0])));
        tables.filter(|(_, count)| *count > 0).collect()
    };
    let before = rows();
    for table in
        ["users", "usernames", "passwords", "groups", "memberships", "clients", "sessions", "access_tokens"]
    {
        assert!(before.contains_key(table), "{table} is not among {before:?}");
    }
    operator.delete(&format!("{}?force=true", path(pid))).await.expect(204);
    // The total of the events stays with them, and the worker blanks what they show of users.
    assert!(rows().contains_key("erasures"));
    tenantry_worker::housekeep(&t.app).await.unwrap();
    let after = rows();
    assert_eq!(after.keys().collect::<Vec<_>>(), ["counters", "events"]);
    assert!(is_postgres() || after["counters"] == 1, "a total may be in several rows on PostgreSQL");
}

#[tokio::test]
async fn a_partner_with_its_admin_only_needs_no_force() {
    let t = T::start().await;
    let operator = t.operator().await;
    let (pid, olga) = t.other_partner("other").await;
    olga.get(SELF).await.expect(200);
    operator.delete(&path(pid)).await.expect(204);
    olga.get(SELF).await.expect(401);
}

#[tokio::test]
async fn b17_ids_that_name_no_partner() {
    let t = T::start().await;
    let operator = t.operator().await;
    for id in ["0", "-1", "7", "x", "1.0", "9223372036854775808", "%31x"] {
        let response = operator.get(&format!("{PARTNERS}/{id}")).await.expect(404);
        assert_eq!(response.body["code"], "partner-not-found", "{id}");
    }
}
