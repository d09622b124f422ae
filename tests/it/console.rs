//! The console: who may open which page, what every page has in common, and that nothing of another partner is on one.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;
use tenantry_core::languages::Language;

use crate::harness::{ADMIN_PASSWORD, T, new_user, password_of};
use crate::page_visitor::{PageVisitor, Shown};
use crate::tabs::value_of;

/// Every page, and what it answers to a GET: to nobody, a member, a session that must first set a password, an admin, the
/// admin of another partner, and the bearer of an admin's token, who is nobody here. `{id}` is a user of the first partner.
#[rustfmt::skip]
const TABLE: &[(&str, [&str; 6])] = &[
    //                                   nobody  member restricted admin  other  bearer
    ("/console",                        ["sign", "403", "set",     "200", "200", "sign"]),
    ("/console/deleted",                ["sign", "403", "set",     "200", "200", "sign"]),
    ("/console/groups",                 ["sign", "403", "set",     "200", "200", "sign"]),
    ("/console/groups/new",             ["sign", "403", "set",     "200", "200", "sign"]),
    ("/console/groups/{id}",            ["sign", "403", "set",     "200", "404", "sign"]),
    ("/console/users",                  ["sign", "403", "set",     "200", "200", "sign"]),
    ("/console/users/new",              ["sign", "403", "set",     "200", "200", "sign"]),
    ("/console/users/{id}",             ["sign", "403", "set",     "200", "404", "sign"]),
    ("/console/users/{id}/sessions",    ["sign", "403", "set",     "200", "404", "sign"]),
    ("/console/users/{id}/permissions", ["sign", "403", "set",     "200", "404", "sign"]),
    ("/console/users/{id}/history",     ["sign", "403", "set",     "200", "404", "sign"]),
    ("/console/users/{id}/json",        ["sign", "403", "set",     "200", "404", "sign"]),
];

/// The pages with forms, and what a form of each sends beside its token.
pub const FORMS: &[(&str, &[(&str, &str)])] = &[
    (
        "/console/users/new",
        &[("username", "mallory"), ("firstName", "M"), ("lastName", "M"), ("email", "m@example.com")],
    ),
    ("/console/users/{id}", &[("do", "lock")]),
    ("/console/users/{id}", &[("do", "delete")]),
    ("/console/users/{id}", &[("do", "reset-password")]),
    ("/console/users/{id}/sessions", &[("end", "all")]),
    ("/console/deleted", &[("restore", "1")]),
    ("/console/groups/new", &[("name", "Mallory")]),
    ("/console/groups/{id}", &[("do", "delete")]),
    ("/console/groups/{id}", &[("do", "add-user"), ("user", "fenna")]),
];

/// A page of a user, or of a group.
fn of(path: &str, (user, group): (i64, i64)) -> String {
    let id = if path.starts_with("/console/groups") { group } else { user };
    path.replace("{id}", &id.to_string())
}

impl T {
    /// The first admin, signed in in a browser.
    pub async fn console(&self) -> PageVisitor<'_> {
        self.signed_in("admin", ADMIN_PASSWORD).await
    }
}

/// A browser of each column of the table.
async fn callers(t: &T) -> ((i64, i64), Vec<PageVisitor<'_>>) {
    let (user, _) = t.member("fenna").await;
    let group = t.admin().await.create_group("Sales").await;
    t.admin().await.create("new").await;
    let temporary = t.mailed_password("new").await;
    let mut restricted = t.browser();
    restricted.sign_in("new", &temporary).await.expect_to("/set-password");
    let token = t.admin().await.token.unwrap();
    let bearer = t.browser().with_header("authorization", &format!("Bearer {token}"));
    t.other_partner("globex").await;
    let other = t.signed_in("globex-admin", &password_of("globex-admin")).await;
    let member = t.signed_in("fenna", &password_of("fenna")).await;
    ((user, group), vec![t.browser(), member, restricted, t.console().await, other, bearer])
}

fn expected(path: &str, code: &str) -> String {
    let next = path.replace('/', "%2F");
    match code {
        "sign" => format!("303 /sign-in?next={next}"),
        "set" => format!("303 /set-password?next={next}"),
        code => code.to_owned(),
    }
}

fn told(shown: &Shown) -> String {
    format!("{} {}", shown.status.as_u16(), shown.header("location")).trim().to_owned()
}

#[tokio::test]
async fn who_may_open_which_page_of_the_console() {
    let routed: BTreeSet<String> = crate::architecture::sources()
        .iter()
        .filter(|(file, _)| file.starts_with("crates/web/src/console"))
        .flat_map(|(_, text)| {
            let code: String = text.split_whitespace().collect();
            let paths =
                code.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
            paths.collect::<Vec<_>>()
        })
        .collect();
    let tabled: BTreeSet<String> = TABLE.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(routed, tabled, "each page of the console has a row in TABLE");

    let t = T::start().await;
    let (id, callers) = callers(&t).await;
    let mut wrong = Vec::new();
    for (column, caller) in callers.into_iter().enumerate() {
        for (path, row) in TABLE {
            let path = of(path, id);
            let shown = caller.clone().get(&path).await;
            let expected = expected(&path, row[column]);
            if told(&shown) != expected {
                wrong.push(format!("{path} by {column}: {} instead of {expected}", told(&shown)));
            }
            // A script is never led to another page, which it would put into this one.
            let part = caller.clone().with_header("tenantry-fragment", "1").get(&path).await;
            let expected = if shown.status == 303 { 401 } else { shown.status.as_u16() };
            assert_eq!(part.status.as_u16(), expected, "{path} by {column}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn forms_of_the_console_need_the_right_and_the_token_of_the_session() {
    let t = T::start().await;
    let (id, callers) = callers(&t).await;
    let admin = t.admin().await;
    let before = admin.get("/api/v1/users?pageSize=100").await.expect(200).body;
    let token =
        value_of(&t.console().await.get("/console/users/new").await.expect(200).text, "token").unwrap();
    for (path, fields) in FORMS {
        let path = of(path, id);
        for (column, caller) in callers.iter().enumerate() {
            let mut form: Vec<(String, String)> =
                fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let sent = caller.clone().send(Method::POST, &path, Some(&form)).await;
            let row = TABLE.iter().find(|(page, _)| of(page, id) == path).unwrap().1[column];
            // Without a token it is refused as a whole.
            let wanted =
                if matches!(row, "200" | "404") { String::from("400") } else { expected(&path, row) };
            assert_eq!(told(&sent), wanted, "{path} by {column}");
            // The token of another session.
            form.push((String::from("token"), token.clone()));
            let sent = caller.clone().send(Method::POST, &path, Some(&form)).await;
            assert_eq!(told(&sent), wanted, "{path} by {column}");
            // A form of another site.
            let foreign = caller.clone().with_header("sec-fetch-site", "cross-site");
            let sent = { foreign }.send(Method::POST, &path, Some(&form)).await;
            assert!(matches!(sent.status.as_u16(), 303 | 403), "{path} by {column}: {}", sent.status);
        }
    }
    // The admin of another partner, with a token of theirs.
    let mut other = callers[4].clone();
    let token = value_of(&other.get("/console/users/new").await.expect(200).text, "token").unwrap();
    for (path, fields) in FORMS.iter().filter(|(path, _)| path.contains("{id}")) {
        let mut form: Vec<(String, String)> = vec![(String::from("token"), token.clone())];
        form.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        other.send(Method::POST, &of(path, id), Some(&form)).await.expect(404);
    }
    let after = admin.get("/api/v1/users?pageSize=100").await.expect(200).body;
    assert_eq!(after, before);
}

#[tokio::test]
async fn pages_of_the_console_have_their_headers() {
    let t = T::start().await;
    let id = (t.member("fenna").await.0, t.admin().await.create_group("Sales").await);
    let (mut admin, mut member) = (t.console().await, t.signed_in("fenna", &password_of("fenna")).await);
    for (path, _) in TABLE {
        let path = of(path, id);
        for shown in [admin.get(&path).await.expect(200), member.get(&path).await.expect(403)] {
            assert_eq!(
                shown.header("content-security-policy"),
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
                 frame-ancestors 'none'; form-action 'self'"
            );
            assert_eq!(shown.header("cross-origin-opener-policy"), "same-origin");
            assert_eq!(shown.header("cache-control"), "no-store");
            assert_eq!(shown.header("referrer-policy"), "same-origin");
            assert_eq!(shown.header("x-frame-options"), "DENY");
            assert_eq!(shown.header("x-content-type-options"), "nosniff");
            let vary = shown.header("vary").to_owned();
            for name in ["cookie", "accept-language", "accept-encoding", "tenantry-fragment"] {
                assert!(vary.contains(name), "{vary}");
            }
        }
    }
    assert!(member.get("/console").await.says("You are signed in as Fenna Jansen"));
}

#[tokio::test]
async fn whoever_comes_from_elsewhere_is_led_to_where_they_wanted() {
    let t = T::start().await;
    let mut browser = t.browser();
    let page = "/console/users?status=ACTIVE&sortBy=username&page=1";
    let shown = browser.get(page).await;
    let sign_in = shown.header("location").to_owned();
    assert_eq!(sign_in, "/sign-in?next=%2Fconsole%2Fusers%3Fstatus%3DACTIVE%26sortBy%3Dusername%26page%3D1");
    let form = browser.get(&sign_in).await.expect(200);
    let fields = [("username", "admin"), ("password", ADMIN_PASSWORD)];
    browser.submit(&form, &fields).await.expect_to(page);
    browser.get(page).await.expect(200);
    // The root leads admins here, and nobody else.
    browser.get("/").await.expect_to("/console");
    t.member("fenna").await;
    t.signed_in("fenna", &password_of("fenna")).await.get("/").await.expect_to("/account");
    t.browser().get("/").await.expect_to("/account");
    // The first admin of a new server has a temporary password.
    t.admin().await.create_with(&json!({ "isAdmin": true, "username": "second", "status": "ACTIVE", "firstName": "S", "lastName": "S", "email": "s@example.com" })).await;
    let temporary = t.mailed_password("second").await;
    let mut second = t.browser();
    let form = second.get("/sign-in?next=%2Fconsole").await.expect(200);
    t.secret(&temporary);
    let set = second.submit(&form, &[("username", "second"), ("password", &temporary)]).await;
    set.expect_to("/set-password?next=%2Fconsole");
    let form = second.get("/set-password?next=%2Fconsole").await.expect(200);
    t.secret("Quite.Another-Kettle-8");
    second.submit(&form, &[("newPassword", "Quite.Another-Kettle-8")]).await.expect_to("/console");
    second.get("/console").await.expect(200);
}

#[tokio::test]
async fn an_admin_who_is_none_any_more_sees_and_changes_nothing() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, _) = t.member("fenna").await;
    let fenna = format!("/api/v1/users/{id}");
    admin.patch(&fenna, &json!({ "isAdmin": true })).await.expect(200);
    let mut browser = t.signed_in("fenna", &password_of("fenna")).await;
    let page = browser.get("/console/users/new").await.expect(200);
    let fields = FORMS[0].1;
    admin.patch(&fenna, &json!({ "isAdmin": false })).await.expect(200);
    browser.submit(&page, fields).await.expect(403);
    browser.get("/console/users").await.expect(403);
    // The session ends while the page is open: after signing in, the form is there again.
    admin.patch(&fenna, &json!({ "isAdmin": true })).await.expect(200);
    let page = browser.get("/console/users/new").await.expect(200);
    admin.delete(&format!("{fenna}/sessions")).await.expect(204);
    browser.submit(&page, fields).await.expect_to("/sign-in?next=%2Fconsole%2Fusers%2Fnew");
    assert_eq!(admin.get("/api/v1/users?username=mallory&pageSize=1").await.body["total"], 0);
}

#[tokio::test]
async fn nothing_of_another_partner_is_on_a_page() {
    let t = T::start().await;
    let (_, globex) = t.other_partner("globex").await;
    let group = globex.create_group("Sector Zurg").await;
    let mut theirs = new_user("zurg");
    theirs["groups"] = json!([group]);
    let zurg = globex.create_with(&theirs).await["userId"].as_i64().unwrap();
    let own = (t.member("fenna").await.0, t.admin().await.create_group("Sales").await);
    let mut admin = t.console().await;
    let mut seen = Vec::new();
    for (path, _) in TABLE {
        seen.push(admin.get(&of(path, own)).await.expect(200));
        if path.contains("{id}") {
            seen.push(admin.get(&of(path, (zurg, group))).await.expect(404));
            for unknown in ["0", "-1", "9223372036854775807", "99999999999999999999", "x", "1e3", "%3Cb%3E"] {
                admin.get(&path.replace("{id}", unknown)).await.expect(404);
            }
        }
    }
    seen.push(admin.get("/console/users?search=zurg").await.expect(200));
    seen.push(admin.get("/console/users?username=zurg").await.expect(200));
    seen.push(admin.get(&format!("/console/users?groupId={group}")).await.expect(400));
    for page in seen {
        let text = page.text.replace("value=\"zurg\"", "").replace("<bdi>zurg</bdi>", "").to_lowercase();
        assert!(!text.contains("sector zurg") && !text.contains("zurg@"), "{}: {}", page.path, page.text);
        // Its own three users: the admin, and fenna.
        assert!(page.says("2 users") || page.status == 400, "{}: {}", page.path, page.text);
    }
}

/// What somebody writes who wants to be a part of the page.
const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'&amp;{{7*7}}";

#[tokio::test]
async fn hostile_text_in_every_field_stays_text_on_every_page() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group(HOSTILE).await;
    let mut hostile = new_user("hostile");
    for field in ["firstName", "lastName", "title", "phoneNumber", "externalId", "displayName"] {
        hostile[field] = json!(HOSTILE);
    }
    hostile["groups"] = json!([group]);
    let id = admin.create_with(&hostile).await["userId"].as_i64().unwrap();
    let list = json!([{ "objectType": "SEGMENT", "objectId": HOSTILE, "permissions": ["READ"] }]);
    admin.put(&format!("/api/v1/groups/{group}/permissions"), &list).await.expect(200);
    let mut browser = t.console().await;
    let columns: String =
        ["username", "firstName", "lastName", "title", "phoneNumber", "externalId", "displayName", "groups"]
            .map(|column| format!("&columns={column}"))
            .concat();
    let mut paths: Vec<String> = TABLE.iter().map(|(path, _)| of(path, (id, group))).collect();
    let encoded: String = form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    paths.push(format!("/console/users?search=hostile{columns}"));
    for parameter in [
        "search",
        "username",
        "email",
        "externalId",
        "groupId",
        "status",
        "isAdmin",
        "sortBy",
        "page",
        "columns",
        "nested",
        "x",
    ] {
        paths.push(format!("/console/users?{parameter}={encoded}"));
        paths.push(format!("/console/users?groupId={group}&{parameter}={encoded}"));
    }
    paths.push(format!("/console/users/{encoded}"));
    let mut shown = 0;
    for path in paths {
        // Every page is checked to be well-formed, without anything inline.
        let page = browser.get(&path).await;
        assert!(
            !page.text.contains("<script>") && !page.text.contains("<img src=x"),
            "{path}: {}",
            page.text
        );
        shown += usize::from(page.says("<script>alert(1)</script>"));
    }
    assert!(shown > 10, "{shown}");
    // What the form gives back.
    let page = browser.get("/console/users/new").await.expect(200);
    let fields = [
        ("username", HOSTILE),
        ("firstName", HOSTILE),
        ("lastName", HOSTILE),
        ("email", HOSTILE),
        ("locale", HOSTILE),
    ];
    let again = browser.submit(&page, &fields).await.expect(400);
    assert!(!again.text.contains("<script>"));
    assert_eq!(value_of(&again.text, "firstName").as_deref(), Some(HOSTILE));
}

#[tokio::test]
async fn pages_of_the_console_are_small_and_parts_are_smaller() {
    let t = T::start().await;
    let admin = t.admin().await;
    let mut id = (0, admin.create_group("Sales").await);
    for number in 0..40 {
        let user = json!({
            "username": format!("somebody-with-a-long-name-{number}"), "status": "ACTIVE", "firstName": "Wilhelmina",
            "lastName": format!("van den Berg-Jansen {number}"), "email": format!("w.vandenberg.{number}@subsidiary.example.com"),
        });
        id.0 = admin.create_with(&user).await["userId"].as_i64().unwrap();
    }
    let mut browser = t.console().await.with_header("accept-encoding", "gzip");
    for (path, _) in TABLE {
        let path = of(path, id);
        let page = t.browser_bytes(&mut browser, &path, false).await;
        let mut total = page.0;
        for file in page.1 {
            let response = t
                .anonymous()
                .request(Method::GET, &file)
                .header("accept-encoding", "gzip")
                .send()
                .await
                .unwrap();
            total += response.bytes().await.unwrap().len();
        }
        let part = t.browser_bytes(&mut browser, &path, true).await.0;
        assert!(total <= 60 * 1024, "{path}: a first view of {total} bytes");
        assert!(part <= 15 * 1024 && part < page.0, "{path}: a part of {part} bytes");
    }
}

impl T {
    /// The number of bytes of a page as it is transferred, and the files that it loads.
    async fn browser_bytes(
        &self,
        browser: &mut PageVisitor<'_>,
        path: &str,
        is_part: bool,
    ) -> (usize, Vec<String>) {
        let cookies: Vec<String> =
            browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = |gzip: bool| {
            let mut request =
                self.anonymous().request(Method::GET, path).header("cookie", cookies.join("; "));
            if gzip {
                request = request.header("accept-encoding", "gzip");
            }
            if is_part { request.header("tenantry-fragment", "1") } else { request }
        };
        let compressed = request(true).send().await.unwrap();
        assert_eq!(compressed.headers()["content-encoding"], "gzip", "{path}");
        let size = compressed.bytes().await.unwrap();
        let plain = request(false).send().await.unwrap();
        assert!(plain.headers().get("content-encoding").is_none());
        let text = plain.text().await.unwrap();
        let mut unpacked = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&size[..]), &mut unpacked).unwrap();
        // The milliseconds of the footer can have a digit more.
        assert!(unpacked.len().abs_diff(text.len()) < 4, "{path}");
        let files = text.split('"').filter(|value| value.starts_with("/static/")).map(str::to_owned);
        (size.len(), files.collect())
    }
}

#[tokio::test]
async fn the_console_speaks_every_language() {
    let t = T::start().await;
    let id = (t.member("fenna").await.0, t.admin().await.create_group("Sales").await);
    for language in Language::ALL {
        let mut browser = t.console().await.with_header("accept-language", language.tag());
        for (path, _) in TABLE {
            let page = browser.get(&of(path, id)).await.expect(200);
            assert_eq!(page.language(), language.tag());
            assert!(!page.text.contains("No localization"), "{path}");
        }
    }
    let page = t.console().await.with_header("accept-language", "nl").get("/console/users").await;
    assert!(page.says("2 gebruikers") && page.says("Nieuwe gebruiker"));
}

/// No dead link: whatever a page of the console leads to is there.
#[tokio::test]
async fn every_link_of_the_console_leads_somewhere() {
    let t = T::start().await;
    t.member("fenna").await;
    // The events of a user who is gone lead nowhere.
    let gone = t.admin().await.create("gone").await["userId"].clone();
    t.admin().await.delete(&format!("/api/v1/users/{gone}")).await.expect(204);
    let mut browser = t.console().await;
    let (mut left, mut seen) = (vec![String::from("/console")], BTreeSet::new());
    while let Some(path) = left.pop() {
        if !seen.insert(path.clone()) || seen.len() > 150 {
            continue;
        }
        let page = browser.get(&path).await;
        assert!(page.status == 200 || page.status == 303, "{path}: {}", page.status);
        if !path.starts_with("/console") {
            continue;
        }
        for part in page.text.split(" href=\"").skip(1) {
            let href = part.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
            if href.starts_with("/console") || href.starts_with("/account") {
                left.push(href);
            }
        }
    }
    assert!(seen.len() > 20, "{seen:?}");
}
