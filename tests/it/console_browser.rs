//! The console in a real browser: journeys with scripts and without, with the keyboard alone, at two widths; and every page
//! against WCAG 2.2, with pictures.

use serde_json::json;

use crate::browser::{Browser, Scheme};
use crate::harness::{ADMIN_PASSWORD, T};

/// People as a demo has them.
const NAMES: [(&str, &str); 12] = [
    ("Fenna", "Jansen"),
    ("Åsa", "Lindqvist"),
    ("Zoë", "van den Berg-Oosterhuis"),
    ("李", "雷"),
    ("Giulia", "D’Angelo"),
    ("Amélie", "Dupont"),
    ("أحمد", "الحسيني"),
    ("Noa", "שלום"),
    ("Kwame", "Mensah"),
    ("Priya", "Raghunathan"),
    ("Tomasz", "Wiśniewski"),
    ("Chidi", "Okonkwo"),
];

/// Fills a server with people; one of them, and a group.
async fn people(t: &T) -> (i64, i64) {
    let admin = t.admin().await;
    let group = admin.create_group("Head office").await;
    let branch = json!({ "name": "Utrecht branch", "description": "", "parentGroupId": group });
    let branch = admin.post("/api/v1/groups", &branch).await.expect(201).body["groupId"].as_i64().unwrap();
    let list = json!([{ "objectType": "SEGMENT", "objectId": 563, "permissions": ["READ"] }]);
    admin.put(&format!("/api/v1/groups/{group}/permissions"), &list).await.expect(200);
    let mut first = 0;
    for number in 0..37_usize {
        let (given, family) = NAMES[number % NAMES.len()];
        let user = json!({
            "username": format!("person{number:02}"), "firstName": given, "lastName": family,
            "status": if number % 9 == 4 { "LOCKED" } else if number % 9 == 7 { "INACTIVE" } else { "ACTIVE" },
            "email": format!("person{number:02}@example.com"), "title": "Account manager", "isAdmin": number == 1,
            "groups": if number % 3 == 0 { json!([branch]) } else { json!([]) },
        });
        let made = admin.create_with(&user).await["userId"].as_i64().unwrap();
        if first == 0 {
            first = made;
        }
    }
    admin.delete(&format!("/api/v1/users/{}", first + 1)).await.expect(204);
    admin
        .patch(&format!("/api/v1/users/{first}"), &json!({ "lastName": "Bakker", "title": "Director" }))
        .await
        .expect(200);
    (first, group)
}

async fn open(t: &T, browser: &Browser, path: &str) {
    browser.goto(&at(t, path)).await;
    browser.sign_in("admin", ADMIN_PASSWORD).await;
    t.secret(ADMIN_PASSWORD);
    browser.arrives(|url| url.ends_with(path)).await;
}

fn at(t: &T, path: &str) -> String {
    format!("{}{path}", t.app.config.public_url)
}

/// Waits until the page says this.
async fn says(browser: &Browser, text: &str) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let body = browser.text().await;
        if body.contains(text) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "no {text} in {body}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Types into whatever has the focus.
async fn keys(browser: &Browser, keys: &str) {
    for key in keys.chars() {
        let (name, code) = match key {
            '\n' => (String::from("Enter"), 13),
            '\t' => (String::from("Tab"), 9),
            '\u{1b}' => (String::from("Escape"), 27),
            key => (key.to_string(), 0),
        };
        let text = match key {
            '\n' => json!("\r"),
            '\t' | '\u{1b}' => json!(""),
            key => json!(key.to_string()),
        };
        let mut event =
            json!({ "type": "keyDown", "key": name, "text": text, "windowsVirtualKeyCode": code });
        browser.cdp("Input.dispatchKeyEvent", event.clone()).await;
        event["type"] = json!("keyUp");
        browser.cdp("Input.dispatchKeyEvent", event).await;
    }
}

async fn focused(browser: &Browser) -> String {
    let script = "const e = document.activeElement; return e.id || e.textContent.trim() || e.tagName";
    browser.evaluate(script).await.as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn pages_of_the_console_can_be_used_by_everybody() {
    let t = T::start().await;
    let (id, group) = people(&t).await;
    let browser = Browser::start().await;
    open(&t, &browser, "/console").await;
    let mut found = Vec::new();
    let user = format!("/console/users/{id}");
    for (page, path) in [
        ("console", "/console"),
        ("console-users", "/console/users?sortBy=lastName"),
        (
            "console-users-filtered",
            "/console/users?status=ACTIVE&search=a&columns=username&columns=lastName&columns=groups&columns=status&columns=createdAt&pageSize=10",
        ),
        ("console-users-wrong", "/console/users?status=SLEEPING&page=x"),
        ("console-users-none", "/console/users?search=nobody-of-this-name"),
        ("console-new-user", "/console/users/new"),
        ("console-user", &user),
        ("console-user-sessions", "/console/users/1/sessions"),
        ("console-user-permissions", &format!("{user}/permissions")),
        ("console-user-history", &format!("{user}/history")),
        ("console-user-json", &format!("{user}/json")),
        ("console-groups", "/console/groups"),
        ("console-group", &format!("/console/groups/{group}")),
        ("console-new-group", "/console/groups/new?parent=Head%20office"),
        ("console-group-unknown", "/console/groups/999999"),
        ("console-deleted", "/console/deleted"),
        ("console-user-unknown", "/console/users/999999"),
    ] {
        browser.goto(&at(&t, path)).await;
        found.extend(browser.examine(page).await);
    }
    // What opens on these pages.
    browser.goto(&at(&t, "/console/users?status=LOCKED")).await;
    for id in ["filters", "columns", "curl"] {
        browser.finds(&format!("#{id} > summary")).await.click().await.unwrap();
        found.extend(browser.examine(&format!("console-users-{id}")).await);
    }
    browser.wear(1280, Scheme::Light).await;
    browser.finds("#show-keys").await.click().await.unwrap();
    found.extend(browser.examine("console-keys").await);
    // A form that is refused, and one that is out of date.
    browser.goto(&at(&t, &user)).await;
    t.admin().await.patch(&format!("/api/v1/users/{id}"), &json!({ "title": "Chair" })).await.expect(200);
    browser.evaluate("document.getElementById('lastName').value = 'Smit'").await;
    browser.press("#profile button.primary").await;
    says(&browser, "Both versions").await;
    found.extend(browser.examine("console-user-stale").await);
    for language in ["nl", "zh-Hans"] {
        browser.speak(language).await;
        browser.goto(&at(&t, "/console/users")).await;
        found.extend(browser.examine("console-users").await);
    }
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

#[tokio::test]
async fn a_member_is_told_that_the_console_is_not_for_them() {
    let t = T::start().await;
    t.member("fenna").await;
    let browser = Browser::start().await;
    browser.goto(&at(&t, "/console/users")).await;
    browser.sign_in("fenna", &crate::harness::password_of("fenna")).await;
    says(&browser, "The console is for administrators").await;
    assert!(browser.examine("console-refused").await.iter().all(|line| line.contains("403")), "axe");
}

#[tokio::test]
async fn an_admin_finds_edits_and_goes_back_with_scripts() {
    let t = T::start().await;
    people(&t).await;
    let browser = Browser::start().await;
    open(&t, &browser, "/console/users").await;
    says(&browser, "37 users").await;
    // What stands around the list is not fetched again.
    browser.evaluate("window.kept = true").await;
    browser.finds("#sort-lastName").await.click().await.unwrap();
    browser.arrives(|url| url.ends_with("?sortBy=lastName")).await;
    browser.finds("#sort-lastName").await.click().await.unwrap();
    browser.arrives(|url| url.ends_with("?sortBy=lastName&descending=true")).await;
    browser.finds("#page-next").await.click().await.unwrap();
    browser.arrives(|url| url.ends_with("&page=2")).await;
    says(&browser, "of 2").await;
    // Back, and back again: the state is in the address.
    browser.evaluate("history.back()").await;
    browser.arrives(|url| url.ends_with("?sortBy=lastName&descending=true")).await;
    browser.evaluate("history.back()").await;
    browser.arrives(|url| url.ends_with("?sortBy=lastName")).await;
    // Typing searches, and its entries of the history are one.
    browser.finds("#search").await.click().await.unwrap();
    keys(&browser, "lind").await;
    browser.arrives(|url| url.contains("search=lind")).await;
    says(&browser, "2 users").await;
    assert_eq!(focused(&browser).await, "search");
    assert_eq!(browser.evaluate("return document.getElementById('announce').textContent").await, "2 users");
    assert_eq!(browser.evaluate("return window.kept").await, true);
    // A filter, and its removal.
    browser.finds("#filters > summary").await.click().await.unwrap();
    browser.finds("#status-LOCKED").await.click().await.unwrap();
    browser.finds("#filters button").await.click().await.unwrap();
    let url = browser.arrives(|url| url.contains("status=LOCKED")).await;
    assert!(url.ends_with("/console/users?search=lind&status=LOCKED&sortBy=lastName"), "{url}");
    browser.finds(".chips li:nth-child(2) a").await.click().await.unwrap();
    browser.arrives(|url| !url.contains("status=")).await;
    // One of them is opened, edited, and the way back is the list as it was.
    let open = browser.finds("tbody th a").await;
    open.click().await.unwrap();
    browser.arrives(|url| url.contains("/console/users/")).await;
    let field = browser.finds("#title").await;
    field.clear().await.unwrap();
    field.send_keys("Director").await.unwrap();
    browser.press("#profile button.primary").await;
    says(&browser, "Saved.").await;
    assert_eq!(browser.console().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_session_that_ends_in_the_middle_leads_to_signing_in_and_back() {
    let t = T::start().await;
    people(&t).await;
    let browser = Browser::start().await;
    open(&t, &browser, "/console/users").await;
    t.admin().await.delete("/api/v1/users/self/sessions").await.expect(204);
    browser.finds("#sort-lastName").await.click().await.unwrap();
    let url = browser.arrives(|url| url.contains("/sign-in")).await;
    assert!(url.ends_with("next=%2Fconsole%2Fusers%3FsortBy%3DlastName"), "{url}");
    browser.sign_in("admin", ADMIN_PASSWORD).await;
    browser.arrives(|url| url.ends_with("/console/users?sortBy=lastName")).await;
    says(&browser, "37 users").await;
}

#[tokio::test]
async fn the_keyboard_alone_is_enough() {
    let t = T::start().await;
    people(&t).await;
    let browser = Browser::start().await;
    for width in [360, 1440] {
        browser.wear(width, Scheme::Light).await;
        if width == 360 {
            open(&t, &browser, "/console/users?sortBy=username").await;
        } else {
            browser.goto(&at(&t, "/console/users?sortBy=username")).await;
        }
        says(&browser, "37 users").await;
        // The first stop skips what is the same on every page.
        keys(&browser, "\t").await;
        assert_eq!(focused(&browser).await, "Skip to content");
        keys(&browser, "\n").await;
        keys(&browser, "jjk").await;
        assert_eq!(focused(&browser).await, "admin");
        keys(&browser, "j").await;
        assert_eq!(focused(&browser).await, "person00");
        keys(&browser, "\u{1b}").await;
        assert_eq!(browser.evaluate("return document.activeElement.tagName").await, "BODY");
        keys(&browser, "?").await;
        assert_eq!(browser.evaluate("return document.getElementById('keys').open").await, true);
        keys(&browser, "\u{1b}").await;
        assert_eq!(browser.evaluate("return document.getElementById('keys').open").await, false);
        keys(&browser, "/").await;
        assert_eq!(focused(&browser).await, "search");
        keys(&browser, "person03\n").await;
        says(&browser, "1 user").await;
        // A letter that is typed is a letter.
        assert_eq!(browser.evaluate("return document.getElementById('search').value").await, "person03");
        browser.evaluate("document.activeElement.blur()").await;
        keys(&browser, "je").await;
        browser.arrives(|url| url.contains("/console/users/")).await;
        says(&browser, "person03").await;
    }
    // The keys can be turned off.
    browser.goto(&at(&t, "/console/users")).await;
    browser.finds("#show-keys").await.click().await.unwrap();
    browser.finds("#keys-on").await.click().await.unwrap();
    browser.goto(&at(&t, "/console/users")).await;
    says(&browser, "37 users").await;
    keys(&browser, "j").await;
    assert_ne!(focused(&browser).await, "admin");
}

#[tokio::test]
async fn the_core_works_without_scripts() {
    let t = T::start().await;
    let (id, _) = people(&t).await;
    let browser = Browser::start().await;
    browser.scripts(false).await;
    open(&t, &browser, "/console/users").await;
    browser.press("#sort-lastName").await;
    browser.arrives(|url| url.ends_with("?sortBy=lastName")).await;
    browser.press("#page-next").await;
    browser.arrives(|url| url.ends_with("?sortBy=lastName&page=2")).await;
    let field = browser.finds("#page").await;
    field.clear().await.unwrap();
    field.send_keys("1").await.unwrap();
    browser.press("#page-go").await;
    let search = browser.finds("#search").await;
    search.send_keys("jansen").await.unwrap();
    browser.press("#query button").await;
    says(&browser, "3 users").await;
    // Create, edit, lock, delete.
    browser.press(".title a.button").await;
    for (field, value) in
        [("username", "maria"), ("firstName", "María"), ("lastName", "O’Neil"), ("email", "m@example.com")]
    {
        browser.finds(&format!("#{field}")).await.send_keys(value).await.unwrap();
    }
    browser.press("form.card button.primary").await;
    says(&browser, "The user is created.").await;
    browser.press("#status button[value=lock]").await;
    says(&browser, "Locked").await;
    browser.finds("#danger details:last-of-type summary").await.click().await.unwrap();
    browser.press("#danger button[value=delete]").await;
    browser.arrives(|url| url.ends_with("/console/deleted?done=deleted")).await;
    browser.press("button[name=restore]").await;
    says(&browser, "The user is restored").await;
    browser.goto(&at(&t, &format!("/console/users/{id}/history"))).await;
    says(&browser, "User changed").await;
}
