//! Groups in the console: a level of their tree, one group with its members, and their forms.

use serde_json::{Value, json};

use crate::console_users::act;
use crate::harness::{Person, T, new_user};
use crate::tabs::{unescaped, value_of};

async fn group(admin: &Person<'_>, id: i64) -> Value {
    admin.get(&format!("/api/v1/groups/{id}")).await.expect(200).body
}

#[tokio::test]
async fn a_group_is_created_nested_renamed_and_deleted() {
    let t = T::start().await;
    let admin = t.admin().await;
    let mut browser = t.console().await;
    assert!(browser.get("/console/groups").await.expect(200).says("There is no group yet."));
    let page = browser.get("/console/groups/new").await.expect(200);
    let again = browser.submit(&page, &[("name", " ")]).await.expect(400);
    assert!(again.says("This field cannot be empty."));
    let unknown = browser.submit(&page, &[("name", "Sales"), ("parent", "Nowhere")]).await.expect(400);
    assert!(unknown.says("There is no group of this name."));
    let made =
        browser.submit(&page, &[("name", " Sales & more "), ("description", "We sell")]).await.expect(303);
    let sales = made.header("location").split('?').next().unwrap().to_owned();
    let id: i64 = sales.rsplit('/').next().unwrap().parse().unwrap();
    assert_eq!(group(&admin, id).await["name"], "Sales & more");
    assert!(
        browser
            .submit(&page, &[("name", "SALES & MORE")])
            .await
            .expect(409)
            .says("Another group has this name.")
    );
    // One in it, by the link of its page.
    let shown = browser.get(made.header("location")).await.expect(200);
    assert!(shown.says("The group is created."));
    let link =
        unescaped(shown.text.split("/console/groups/new?parent=").nth(1).unwrap().split('"').next().unwrap());
    let page = browser.get(&format!("/console/groups/new?parent={link}")).await.expect(200);
    assert_eq!(value_of(&page.text, "parent").as_deref(), Some("Sales & more"));
    let made = browser.submit(&page, &[("name", "Utrecht")]).await.expect(303);
    let utrecht = made.header("location").split('?').next().unwrap().to_owned();
    let inner: i64 = utrecht.rsplit('/').next().unwrap().parse().unwrap();
    assert_eq!(group(&admin, inner).await["parentGroupId"], id);
    let shown = browser.get(&utrecht).await.expect(200);
    assert!(shown.says(&format!("<a href=\"{sales}\"><bdi>Sales & more</bdi></a>")), "{}", shown.text);
    let level = browser.get("/console/groups").await.expect(200);
    assert!(level.says("1 group") && !level.says("Utrecht"), "{}", level.text);
    assert!(browser.get("/console/groups?search=utr").await.says("<bdi>Utrecht</bdi>"));
    assert!(browser.get(&sales).await.says("<bdi>Utrecht</bdi>"));
    for bad in ["page=x", "page=0", "x=1", "search=%00"] {
        browser.get(&format!("/console/groups?{bad}")).await.expect(400);
    }
    // A cycle, and a move out.
    let page = browser.get(&sales).await.expect(200);
    assert!(
        browser.submit(&page, &[("parent", "Utrecht")]).await.expect(409).says("cannot be nested in itself")
    );
    let page = browser.get(&utrecht).await.expect(200);
    browser
        .submit(&page, &[("parent", ""), ("name", "Utrecht (old)")])
        .await
        .expect_to(&format!("{utrecht}?done=saved"));
    assert_eq!(group(&admin, inner).await["parentGroupId"], Value::Null);
    act(&mut browser, &utrecht, &[("do", "delete")]).await.expect_to("/console/groups?done=deleted");
    browser.get(&utrecht).await.expect(404);
    for wrong in ["dance", "", "remove-user x", "remove-user 1"] {
        act(&mut browser, &sales, &[("do", wrong)]).await.expect(404);
    }
}

#[tokio::test]
async fn a_stale_form_of_a_group_shows_both_versions() {
    let t = T::start().await;
    let admin = t.admin().await;
    let id = admin.create_group("Sales").await;
    let (path, api) = (format!("/console/groups/{id}"), format!("/api/v1/groups/{id}"));
    let mut browser = t.console().await;
    let page = browser.get(&path).await.expect(200);
    admin.patch(&api, &json!({ "name": "Selling", "description": "We sell" })).await.expect(200);
    let stale = browser.submit(&page, &[("name", "Vendors")]).await.expect(412);
    let versions =
        stale.text.split("id=\"versions-title\"").nth(1).unwrap().split("</section>").next().unwrap();
    assert!(
        versions.contains("Selling") && versions.contains("Vendors") && !versions.contains("We sell"),
        "{versions}"
    );
    assert_eq!(group(&admin, id).await["name"], "Selling");
    browser.submit(&stale, &[]).await.expect_to(&format!("{path}?done=saved"));
    let now = group(&admin, id).await;
    assert_eq!((&now["name"], &now["description"]), (&json!("Vendors"), &json!("We sell")));
    // A member who comes meanwhile makes no form stale.
    let page = browser.get(&path).await.expect(200);
    let mut fenna = new_user("fenna");
    fenna["groups"] = json!([id]);
    admin.create_with(&fenna).await;
    browser.submit(&page, &[("name", "Sales")]).await.expect_to(&format!("{path}?done=saved"));
}

#[tokio::test]
async fn members_are_listed_added_and_removed() {
    let t = T::start().await;
    let admin = t.admin().await;
    let id = admin.create_group("Sales").await;
    let path = format!("/console/groups/{id}");
    let mut last = 0;
    for number in 0..30 {
        let mut user = new_user(&format!("user{number:02}"));
        user["groups"] = json!([id]);
        last = admin.create_with(&user).await["userId"].as_i64().unwrap();
    }
    let fenna = admin.create("fenna").await["userId"].as_i64().unwrap();
    let (_, globex) = t.other_partner("globex").await;
    let zurg = globex.create("zurg").await["userId"].as_i64().unwrap();
    let mut browser = t.console().await;
    let page = browser.get(&path).await.expect(200);
    assert!(
        page.says("30 users")
            && page.says("of 2")
            && page.says("<bdi>user24</bdi>")
            && !page.says("<bdi>user25</bdi>")
    );
    assert!(browser.get(&format!("{path}?page=2")).await.says("<bdi>user29</bdi>"));
    let saved = format!("{path}?done=saved");
    act(&mut browser, &path, &[("do", "add-user"), ("user", " FENNA ")]).await.expect_to(&saved);
    assert!(group(&admin, id).await["users"].as_array().unwrap().contains(&json!(fenna)));
    act(&mut browser, &path, &[("do", &format!("remove-user {last}"))]).await.expect_to(&saved);
    assert_eq!(group(&admin, id).await["membershipCount"], 30);
    // Nobody, somebody of another partner, and no member.
    for who in ["", "nobody", "zurg"] {
        let refused = act(&mut browser, &path, &[("do", "add-user"), ("user", who)]).await.expect(404);
        assert!(refused.says("There is no such user"), "{}", refused.text);
    }
    for action in [format!("remove-user {last}"), format!("remove-user {zurg}")] {
        act(&mut browser, &path, &[("do", &action)]).await.expect(404);
    }
    assert_eq!(group(&admin, id).await["membershipCount"], 30);
}

#[tokio::test]
async fn ten_thousand_groups_are_a_page_at_a_time() {
    let t = T::start().await;
    t.admin().await.create_group("First").await;
    t.run_sql(
        "INSERT INTO groups (pid, group_id, name, name_key, description, description_key, parent_group_id, created_at, updated_at) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) \
         SELECT 1, 100000 + i, 'Group ' || i, 'group ' || i, '', '', 0, 0, 0 FROM n",
    );
    let mut browser = t.console().await;
    let page = browser.get("/console/groups").await.expect(200);
    assert!(page.says("10,001 groups") && page.says("of 201"), "{}", page.text);
    assert_eq!(page.text.matches("<th scope=\"row\">").count(), 50);
    assert!(page.text.len() < 40_000);
    let last = browser.get("/console/groups?page=201").await.expect(200);
    assert_eq!(last.text.matches("<th scope=\"row\">").count(), 1);
    assert!(browser.get("/console/groups?search=9999").await.expect(200).says("Group 9999"));
    let page = browser.get("/console/groups/new").await.expect(200);
    assert_eq!(page.text.matches("<option ").count(), 100);
}
