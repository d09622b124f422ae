//! Users in the console: the list shows what the API lists, and one user is changed as over the API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Person, T, new_user, password_of};
use crate::page_visitor::{PageVisitor, Shown};
use crate::tabs::{unescaped, value_of};

/// The usernames of the rows of a list.
fn listed(page: &Shown) -> Vec<String> {
    let rows = page.text.split("<th scope=\"row\"><a href=\"").skip(1);
    rows.map(|row| unescaped(row.split("<bdi>").nth(1).unwrap().split("</bdi>").next().unwrap())).collect()
}

/// Forty users, a few of each kind, in groups that are nested.
async fn populate(admin: &Person<'_>) -> (i64, i64) {
    let outer = admin.create_group("Outer").await;
    let inner = json!({ "name": "Inner", "description": "", "parentGroupId": outer });
    let inner = admin.post("/api/v1/groups", &inner).await.expect(201).body["groupId"].as_i64().unwrap();
    for number in 0..40_i64 {
        let names = ["Åsa", "Zoë", "van Dijk", "李雷", "أحمد"];
        let status = ["ACTIVE", "INACTIVE", "LOCKED"][usize::try_from(number % 3).unwrap()];
        let groups = match number % 5 {
            0 => vec![outer],
            1 => vec![inner],
            _ => vec![],
        };
        let user = json!({
            "username": format!("user{number:02}"), "status": status, "isAdmin": number % 7 == 0, "groups": groups,
            "firstName": names[usize::try_from(number % 5).unwrap()], "lastName": format!("Nr {}", 40 - number),
            "email": format!("u{}@example.com", number % 10), "externalId": format!("crm-{number}"),
        });
        admin.create_with(&user).await;
    }
    (outer, inner)
}

#[tokio::test]
async fn the_list_is_that_of_the_api_in_every_order_with_every_filter() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (outer, inner) = populate(&admin).await;
    let mut browser = t.console().await;
    let queries = [
        String::new(),
        String::from("sortBy=username"),
        String::from("sortBy=username&descending=true"),
        String::from("sortBy=lastName&pageSize=7"),
        String::from("sortBy=email&descending=true&pageSize=10"),
        String::from("sortBy=status"),
        String::from("sortBy=isAdmin&descending=true"),
        String::from("sortBy=lastLoginAt&descending=true"),
        String::from("sortBy=createdAt&descending=true"),
        String::from("status=LOCKED"),
        String::from("status=LOCKED&status=INACTIVE&sortBy=firstName"),
        String::from("isAdmin=true&status=ACTIVE"),
        String::from("isAdmin=false&sortBy=externalId"),
        String::from("search=asa"),
        String::from("search=u&pageSize=5"),
        String::from("search=%E6%9D%8E%E9%9B%B7&sortBy=username"),
        String::from("username=USER07"),
        String::from("username=user07&username=user08"),
        String::from("email=U3@example.com"),
        String::from("externalId=CRM-12"),
        format!("groupId={outer}"),
        format!("groupId={outer}&nested=true"),
        format!("groupId={outer}&groupId={inner}&status=ACTIVE&sortBy=username"),
    ];
    for query in queries {
        for page in [1, 2, 3] {
            let size = if query.contains("pageSize") { "" } else { "&pageSize=25" };
            let api =
                admin.get(&format!("/api/v1/users?{query}{size}&page={}", page - 1)).await.expect(200).body;
            let shown = browser.get(&format!("/console/users?{query}&page={page}")).await.expect(200);
            let names: Vec<String> = api["list"]
                .as_array()
                .unwrap()
                .iter()
                .map(|user| user["username"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(listed(&shown), names, "{query} page {page}");
            let total = api["total"].as_i64().unwrap();
            let said = if total == 1 { String::from("1 user") } else { format!("{total} users") };
            assert!(shown.says(&said), "{query}: no {said} in {}", shown.text);
            // The call that it names gives the same.
            let curl =
                unescaped(shown.text.split("<code>curl ").nth(1).unwrap().split("</code>").next().unwrap());
            let path = curl.split("/api/v1").nth(1).unwrap().trim_end_matches('\'');
            assert_eq!(admin.get(&format!("/api/v1{path}")).await.expect(200).body, api, "{query}");
        }
    }
    // Forms send empty fields.
    let shown = browser.get("/console/users?search=&status=LOCKED&isAdmin=&username=&email=&groupId=&columns=email&columns=username").await;
    assert_eq!(listed(&shown.expect(200)).len(), 13);
}

#[tokio::test]
async fn state_is_in_the_address_and_links_keep_it() {
    let t = T::start().await;
    let admin = t.admin().await;
    populate(&admin).await;
    let mut browser = t.console().await;
    let page = browser
        .get("/console/users?status=ACTIVE&sortBy=username&columns=username&columns=email&pageSize=10")
        .await;
    let text = unescaped(&page.expect(200).text);
    let rest = "columns=username&columns=email&pageSize=10";
    // Sorting by the same column turns it around; by another one starts over.
    assert!(
        text.contains(&format!("/console/users?status=ACTIVE&sortBy=username&descending=true&{rest}\"")),
        "{text}"
    );
    assert!(text.contains(&format!("/console/users?status=ACTIVE&sortBy=email&{rest}\"")), "{text}");
    assert!(
        text.contains(&format!("/console/users?status=ACTIVE&sortBy=username&{rest}&page=2\"")),
        "{text}"
    );
    // Without the filter.
    assert!(text.contains(&format!("/console/users?sortBy=username&{rest}\"")), "{text}");
    assert!(text.contains("aria-sort=\"ascending\"") && text.contains("of 2"), "{text}");
    assert!(!text.contains("<th scope=\"col\">Last name"));
    // Any page, also one that is not there.
    let far = browser.get("/console/users?page=50000").await.expect(200);
    assert!(far.says("The list does not have so many pages.") && far.says("of 2"));
    assert!(
        browser.get("/console/users?search=nobody-of-this-name").await.expect(200).says("No user matches.")
    );
}

#[tokio::test]
async fn malformed_filters_are_marked_and_nothing_is_listed() {
    let t = T::start().await;
    populate(&t.admin().await).await;
    let mut browser = t.console().await;
    for (query, label) in [
        ("status=SLEEPING", "Status: SLEEPING"),
        ("isAdmin=maybe", "Administrator: maybe"),
        ("groupId=x", "Group: x"),
        ("groupId=999999", "Group: 999999"),
        ("nested=true", "Also groups nested in it: Yes"),
        ("search=%00", "cannot be used:"),
        ("username=a+b", "Username: a b"),
        ("sortBy=shoeSize", "Order"),
        ("descending=down", "Order"),
        ("page=0", "Page"),
        ("page=-3", "Page"),
        ("page=x", "Page"),
        ("pageSize=100000", "Rows per page"),
        ("columns=password", "Columns"),
        ("shoeSize=44", "shoeSize"),
        ("search=u1&search=u", "Search: u1"),
        ("username=%ff", "Username"),
    ] {
        let page = browser.get(&format!("/console/users?{query}&email=u1%40example.com")).await.expect(400);
        assert_eq!(listed(&page), Vec::<String>::new(), "{query}");
        let text = unescaped(&page.text).replace("<bdi>", "").replace("</bdi>", "");
        assert!(text.contains("class=\"bad\"") && text.contains(label), "{query}: {text}");
        assert!(page.says("Remove what is marked above."), "{query}");
        // The other filter stays, and the link without the bad one works.
        assert!(text.contains("E-mail address: u1@example.com"), "{query}: {text}");
        let bad = page.text.split("class=\"bad\"").nth(1).unwrap();
        let href = unescaped(bad.split("href=\"").nth(1).unwrap().split('"').next().unwrap());
        let mended = browser.get(&href).await.expect(200);
        assert_eq!(listed(&mended).len(), 4, "{query}: {href}");
    }
}

/// A form of a page of a user.
pub async fn act(browser: &mut PageVisitor<'_>, path: &str, fields: &[(&str, &str)]) -> Shown {
    let page = browser.get(path).await.expect(200);
    let mut form = vec![(String::from("token"), value_of(&page.text, "token").unwrap())];
    form.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    browser.send(Method::POST, path, Some(&form)).await
}

async fn user(admin: &Person<'_>, id: i64) -> Value {
    admin.get(&format!("/api/v1/users/{id}")).await.expect(200).body
}

#[tokio::test]
async fn a_user_is_created_and_edited() {
    let t = T::start().await;
    let admin = t.admin().await;
    let mut browser = t.console().await;
    let page = browser.get("/console/users/new").await.expect(200);
    let wrong =
        [("username", "a b"), ("firstName", ""), ("lastName", "x"), ("email", "nowhere"), ("locale", "?")];
    let again = browser.submit(&page, &wrong).await.expect(400);
    for said in [
        "Nothing was saved yet.",
        "letters, digits",
        "This field cannot be empty.",
        "not a valid e-mail",
        "not a language tag",
    ] {
        assert!(again.says(said), "{said}: {}", again.text);
    }
    let right = [
        ("username", "maria"),
        ("firstName", " María "),
        ("lastName", "O'Neil"),
        ("email", "maria@example.com"),
        ("title", "Dr"),
        ("externalId", "crm-1"),
        ("locale", "nl"),
        ("isAdmin", "true"),
    ];
    let created = browser.submit(&again, &right).await.expect(303);
    let path = created.header("location").split('?').next().unwrap().to_owned();
    let shown = browser.get(created.header("location")).await.expect(200);
    assert!(shown.says("The user is created."));
    let id: i64 = path.rsplit('/').next().unwrap().parse().unwrap();
    let made = user(&admin, id).await;
    assert_eq!(
        (&made["firstName"], &made["isAdmin"], &made["status"]),
        (&json!("María"), &json!(true), &json!("ACTIVE"))
    );
    assert_eq!((&made["phoneNumber"], &made["locale"]), (&Value::Null, &json!("nl")));
    t.mailed_password("maria").await;
    // A name that is taken, and a key that is taken.
    let page = browser.get("/console/users/new").await.expect(200);
    let taken = browser
        .submit(
            &page,
            &[("username", "MARIA"), ("firstName", "M"), ("lastName", "M"), ("email", "m@example.com")],
        )
        .await;
    assert!(taken.expect(409).says("Somebody else has this username."));
    let taken = browser
        .submit(
            &page,
            &[
                ("username", "m2"),
                ("firstName", "M"),
                ("lastName", "M"),
                ("email", "m@example.com"),
                ("externalId", "crm-1"),
            ],
        )
        .await;
    assert!(taken.expect(409).says("Another user has this external id."));

    // The form, as it stands, changes nothing.
    let page = browser.get(&path).await.expect(200);
    browser.submit(&page, &[]).await.expect_to(&format!("{path}?done=saved"));
    assert_eq!(user(&admin, id).await, made);
    let page = browser.get(&path).await.expect(200);
    let saved =
        browser.submit(&page, &[("lastName", "O'Neil-李"), ("title", ""), ("phoneNumber", "+31 6 1")]).await;
    saved.expect_to(&format!("{path}?done=saved"));
    let now = user(&admin, id).await;
    assert_eq!(
        (&now["lastName"], &now["title"], &now["phoneNumber"]),
        (&json!("O'Neil-李"), &Value::Null, &json!("+31 6 1"))
    );
    let page = browser.get(&path).await.expect(200);
    let bad = browser.submit(&page, &[("email", "nowhere"), ("firstName", "Mary")]).await.expect(400);
    assert_eq!(value_of(&bad.text, "firstName").as_deref(), Some("Mary"));
    assert_eq!(user(&admin, id).await, now);
}

#[tokio::test]
async fn a_stale_form_shows_both_versions_and_overwrites_nothing_unseen() {
    let t = T::start().await;
    let admin = t.admin().await;
    let id = admin.create("fenna").await["userId"].as_i64().unwrap();
    let path = format!("/console/users/{id}");
    let (mut one, mut two) = (t.console().await, t.console().await);
    let (first, second) = (one.get(&path).await.expect(200), two.get(&path).await.expect(200));
    let saved = one.submit(&first, &[("lastName", "Bakker"), ("title", "Chief")]).await;
    saved.expect_to(&format!("{path}?done=saved"));
    let stale = two.submit(&second, &[("lastName", "Smit"), ("phoneNumber", "112")]).await.expect(412);
    assert!(stale.says("Somebody else has changed this user") && stale.says("Both versions"));
    let versions =
        stale.text.split("id=\"versions-title\"").nth(1).unwrap().split("</section>").next().unwrap();
    for text in ["Bakker", "Smit", "112"] {
        assert!(versions.contains(text), "{text}: {versions}");
    }
    // What the second one did not touch is as the first one saved it.
    assert!(!versions.contains("Chief"), "{versions}");
    assert_eq!(value_of(&stale.text, "title").as_deref(), Some("Chief"));
    assert_eq!(user(&admin, id).await["lastName"], "Bakker");
    // An error in between does not make the form current.
    let third = two.get(&path).await.expect(200);
    admin.patch(&format!("/api/v1/users/{id}"), &json!({ "title": "Boss" })).await.expect(200);
    let bad = two.submit(&third, &[("email", "nowhere")]).await.expect(400);
    two.submit(&bad, &[("email", "f@example.com")]).await.expect(412);
    assert_eq!(user(&admin, id).await["title"], "Boss");
    // Saving again, having seen both.
    let current = admin.get(&format!("/api/v1/users/{id}")).await.expect(200).body;
    assert_eq!(current["email"], "fenna@example.com");
    let fourth = two.get(&path).await.expect(200);
    admin.patch(&format!("/api/v1/users/{id}"), &json!({ "title": "Chair" })).await.expect(200);
    let stale = two.submit(&fourth, &[("lastName", "Smit")]).await.expect(412);
    two.submit(&stale, &[]).await.expect_to(&format!("{path}?done=saved"));
    let now = user(&admin, id).await;
    assert_eq!((&now["lastName"], &now["title"]), (&json!("Smit"), &json!("Chair")));
}

#[tokio::test]
async fn status_groups_password_and_deletion() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, fenna) = t.member("fenna").await;
    let path = format!("/console/users/{id}");
    let saved = format!("{path}?done=saved");
    let mut browser = t.console().await;
    act(&mut browser, &path, &[("do", "lock")]).await.expect_to(&saved);
    assert_eq!(user(&admin, id).await["status"], "LOCKED");
    fenna.get("/api/v1/users/self").await.expect(401);
    for (action, status) in [("unlock", "ACTIVE"), ("deactivate", "INACTIVE"), ("activate", "ACTIVE")] {
        act(&mut browser, &path, &[("do", action)]).await.expect_to(&saved);
        assert_eq!(user(&admin, id).await["status"], status);
    }
    let group = admin.create_group("Sales <b>").await;
    act(&mut browser, &path, &[("do", "add-group"), ("group", " SALES <B> ")]).await.expect_to(&saved);
    assert_eq!(user(&admin, id).await["groups"], json!([group]));
    assert!(browser.get(&path).await.says("<bdi>Sales <b></bdi>"));
    let unknown = act(&mut browser, &path, &[("do", "add-group"), ("group", "Sailing")]).await.expect(404);
    assert!(unknown.says("There is no group of this name"));
    let remove = format!("remove-group {group}");
    act(&mut browser, &path, &[("do", &remove)]).await.expect_to(&saved);
    assert_eq!(user(&admin, id).await["groups"], json!([]));
    for wrong in [&*remove, "remove-group 999999", "remove-group x", "dance", ""] {
        act(&mut browser, &path, &[("do", wrong)]).await.expect(404);
    }
    act(&mut browser, &path, &[("do", "reset-password")]).await.expect_to(&format!("{path}?done=reset"));
    t.mailed_password("fenna").await;
    // The last admin stays one, and nobody deletes themselves.
    let own = admin.get("/api/v1/users/self").await.expect(200).body["userId"].as_i64().unwrap();
    let own_path = format!("/console/users/{own}");
    for action in ["lock", "deactivate"] {
        let refused = act(&mut browser, &own_path, &[("do", action)]).await.expect(409);
        assert!(refused.says("the last active administrator"), "{}", refused.text);
    }
    let refused = act(&mut browser, &own_path, &[("do", "delete")]).await.expect(409);
    assert!(refused.says("You cannot delete yourself."));
    let page = browser.get(&own_path).await.expect(200);
    let (action, mut form) = page.form();
    form.retain(|(name, _)| name != "isAdmin");
    let refused = browser.send(Method::POST, &action, Some(&form)).await.expect(409);
    assert!(refused.says("the last active administrator"));
    act(&mut browser, &path, &[("do", "delete")]).await.expect_to("/console/deleted?done=deleted");
    browser.get(&path).await.expect(404);
    admin.get(&format!("/api/v1/users/{id}")).await.expect(404);
}

#[tokio::test]
async fn deleted_users_are_listed_and_restored_with_their_groups() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (kept, gone) = (admin.create_group("Kept").await, admin.create_group("Gone").await);
    let mut ids = Vec::new();
    for number in 0..30 {
        let mut user = new_user(&format!("user{number:02}"));
        user["groups"] = json!([kept]);
        ids.push(admin.create_with(&user).await["userId"].as_i64().unwrap());
    }
    admin.patch(&format!("/api/v1/users/{}", ids[3]), &json!({ "groups": [kept, gone] })).await.expect(200);
    for id in &ids {
        admin.delete(&format!("/api/v1/users/{id}")).await.expect(204);
    }
    admin.delete(&format!("/api/v1/groups/{gone}")).await.expect(204);
    let mut browser = t.console().await;
    let page = browser.get("/console/deleted").await.expect(200);
    assert!(page.says("30 users") && page.says("of 2"), "{}", page.text);
    assert_eq!(page.text.matches("name=\"restore\"").count(), 25);
    assert_eq!(browser.get("/console/deleted?page=2").await.text.matches("name=\"restore\"").count(), 5);
    let found = browser.get("/console/deleted?search=user07").await.expect(200);
    assert_eq!(found.text.matches("name=\"restore\"").count(), 1);
    for bad in ["page=x", "page=0", "x=1", "search=%00"] {
        browser.get(&format!("/console/deleted?{bad}")).await.expect(400);
    }
    let restored = act(&mut browser, "/console/deleted", &[("restore", &ids[7].to_string())]).await;
    restored.expect_to(&format!("/console/users/{}?done=restored", ids[7]));
    assert_eq!(user(&admin, ids[7]).await["groups"], json!([kept]));
    let some = act(&mut browser, "/console/deleted", &[("restore", &ids[3].to_string())]).await;
    some.expect_to(&format!("/console/users/{}?done=restored-some", ids[3]));
    // It is restored already; another partner's; none.
    let (_, globex) = t.other_partner("globex").await;
    let theirs = globex.create("zurg").await["userId"].as_i64().unwrap();
    globex.delete(&format!("/api/v1/users/{theirs}")).await.expect(204);
    for wrong in [ids[7].to_string(), theirs.to_string(), String::from("x"), String::from("0"), String::new()]
    {
        act(&mut browser, "/console/deleted", &[("restore", &wrong)]).await.expect(404);
    }
    assert!(!browser.get("/console/deleted?search=zurg").await.says("zurg@"));
    // Somebody else has the name by now.
    admin.create("user09").await;
    let taken = act(&mut browser, "/console/deleted", &[("restore", &ids[9].to_string())]).await;
    assert!(taken.expect(409).says("Somebody else has this username by now."));
}

#[tokio::test]
async fn sessions_of_a_user_are_shown_and_ended() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    let path = format!("/console/users/{id}/sessions");
    let mut of_fenna =
        t.signed_in("fenna", &password_of("fenna")).await.with_header("user-agent", "Firefox/140.0 Linux");
    let mut browser = t.console().await;
    let page = browser.get(&path).await.expect(200);
    let ids: Vec<String> = page
        .text
        .split("name=\"end\" value=\"")
        .skip(1)
        .map(|rest| unescaped(rest.split('"').next().unwrap()))
        .collect();
    let sessions = t.admin().await.get(&format!("/api/v1/users/{id}/sessions")).await.expect(200).body;
    let sessions = sessions["list"].as_array().unwrap();
    assert_eq!(ids.len(), sessions.len() + 1, "each, and all: {ids:?}");
    let browsers = sessions.iter().find(|session| session["kind"] == "browser");
    let browsers = browsers.unwrap_or_else(|| panic!("{sessions:?}"));
    let one = &browsers["sessionId"].as_str().unwrap().to_owned();
    assert!(ids.contains(one), "{ids:?}");
    act(&mut browser, &path, &[("end", one)]).await.expect_to(&format!("{path}?done=ended"));
    of_fenna.get("/account").await.expect(303);
    fenna.get("/api/v1/users/self").await.expect(200);
    // It has ended already; one of somebody else; none.
    let own = browser.get("/console/users/1/sessions").await.expect(200);
    let others =
        unescaped(own.text.split("name=\"end\" value=\"").nth(1).unwrap().split('"').next().unwrap());
    for gone in [one, &others, "x", ""] {
        act(&mut browser, &path, &[("end", gone)]).await.expect(404);
    }
    browser.get("/console").await.expect(200);
    act(&mut browser, &path, &[("end", "all")]).await.expect_to(&format!("{path}?done=all"));
    fenna.get("/api/v1/users/self").await.expect(401);
    assert!(browser.get(&path).await.says("not signed in anywhere"));
}

#[tokio::test]
async fn permissions_say_why_history_says_what_and_json_is_that_of_the_api() {
    let t = T::start().await;
    let admin = t.admin().await;
    let outer = admin.create_group("Head office").await;
    let inner = json!({ "name": "Branch", "description": "", "parentGroupId": outer });
    let inner = admin.post("/api/v1/groups", &inner).await.expect(201).body["groupId"].as_i64().unwrap();
    let mut fenna = new_user("fenna");
    fenna["groups"] = json!([inner]);
    let id = admin.create_with(&fenna).await["userId"].as_i64().unwrap();
    let list = json!([{ "objectType": "SEGMENT", "objectId": 563, "permissions": ["READ"] }]);
    admin.put(&format!("/api/v1/groups/{outer}/permissions"), &list).await.expect(200);
    let mut browser = t.console().await;
    let api = admin.get(&format!("/api/v1/users/{id}/permissions")).await.expect(200).body;
    let page = browser.get(&format!("/console/users/{id}/permissions")).await.expect(200);
    let total = api["total"].as_i64().unwrap();
    assert!(page.says(&format!("{total} permission")), "{}", page.text);
    if total > 0 {
        assert!(
            page.says("<bdi>Branch</bdi></a> › <a")
                && page.says("<bdi>Head office</bdi>")
                && page.says("<bdi>563</bdi>"),
            "{}",
            page.text
        );
    }
    admin
        .patch(&format!("/api/v1/users/{id}"), &json!({ "lastName": "Bakker", "title": "Dr" }))
        .await
        .expect(200);
    let page = browser.get(&format!("/console/users/{id}/history")).await.expect(200);
    for said in [
        "User changed",
        "User created",
        "Temporary password issued",
        "<del><bdi>Jansen</bdi></del>",
        "<ins><bdi>Bakker</bdi></ins>",
        "by <bdi>you</bdi>",
    ] {
        assert!(page.says(said), "{said}: {}", page.text);
    }
    let events = admin.get(&format!("/api/v1/events?userId={id}")).await.expect(200).body;
    assert!(page.says(&format!("{} events", events["total"])), "{}", page.text);
    let page = browser.get(&format!("/console/users/{id}/json")).await.expect(200);
    let json = page.text.split("<code>{").nth(1).unwrap().split("</code>").next().unwrap();
    let shown: Value = serde_json::from_str(&format!("{{{}", unescaped(json))).unwrap();
    assert_eq!(shown, user(&admin, id).await);
    // The first page: totals, and what happened last.
    let home = browser.get("/console").await.expect(200);
    assert!(home.says("User changed") && home.says("Nothing at the moment."));
    admin.patch(&format!("/api/v1/users/{id}"), &json!({ "status": "LOCKED" })).await.expect(200);
    assert!(browser.get("/console").await.says("1 user is locked"));
}

#[tokio::test]
async fn long_and_right_to_left_names_and_many_groups_fit() {
    let t = T::start().await;
    let admin = t.admin().await;
    let name = "ש".repeat(255);
    let mut groups = Vec::new();
    for number in 0..60 {
        groups.push(admin.create_group(&format!("Group {number} {}", "ق".repeat(40))).await);
    }
    let mut fenna = new_user("fenna");
    fenna["firstName"] = json!(name);
    fenna["groups"] = json!(groups);
    let id = admin.create_with(&fenna).await["userId"].as_i64().unwrap();
    let mut browser = t.console().await;
    let list =
        browser.get("/console/users?columns=username&columns=firstName&columns=groups").await.expect(200);
    assert!(list.says(&format!("<bdi>{name}</bdi>")) && list.says("+57"));
    let page = browser.get(&format!("/console/users/{id}")).await.expect(200);
    assert_eq!(page.text.matches("value=\"remove-group ").count(), 60);
}
