//! The pages of the account: what each shows and changes, and to whom.

use serde_json::{Value, json};

use tenantry_core::clock::{DAY, HOUR, MINUTE};
use tenantry_core::languages::Language;
use tenantry_mail::EmailContent;

use crate::harness::{ADMIN_PASSWORD, Person, T, password_of};
use crate::tabs::{Tab, value_of};
use crate::verify_email::is_verified;

const PAGES: [&str; 6] = [
    "/account",
    "/account/password",
    "/account/security",
    "/account/sessions",
    "/account/applications",
    "/account/language",
];

const FIELDS: [&str; 7] =
    ["username", "firstName", "lastName", "displayName", "title", "phoneNumber", "email"];

/// The profile form of a page as it stands, with some values replaced.
fn filled(page: &str, changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut form = vec![(String::from("token"), value_of(page, "token").unwrap())];
    for field in FIELDS {
        let was = value_of(page, &format!("was-{field}")).unwrap();
        let typed = changes.iter().find(|(name, _)| *name == field).map(|(_, typed)| (*typed).to_owned());
        form.push((field.to_owned(), typed.unwrap_or_else(|| value_of(page, field).unwrap())));
        form.push((format!("was-{field}"), was));
    }
    form
}

fn borrowed(form: &[(String, String)]) -> Vec<(&str, &str)> {
    form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Changes fields on the profile page.
async fn save(tab: &Tab<'_>, changes: &[(&str, &str)]) -> crate::harness::TestResponse {
    let page = tab.get("/account").await.expect(200).text;
    tab.post("/account", &borrowed(&filled(&page, changes))).await
}

async fn own(person: &Person<'_>) -> Value {
    person.get("/api/v1/users/self").await.expect(200).body
}

#[tokio::test]
async fn a_stranger_is_sent_to_sign_in_and_back() {
    let t = T::start().await;
    t.member("fenna").await;
    for page in PAGES {
        let tab = t.tab();
        let next = format!("/sign-in?next={}", page.replace('/', "%2F"));
        tab.get(page).await.to(&next);
        tab.post(page, &[("token", "x")]).await.to(&next);
        t.secret(&password_of("fenna"));
        let form = [("username", "fenna"), ("password", &*password_of("fenna"))];
        tab.submit(&next, &form).await.to(page);
        tab.get(page).await.expect(200);
    }
    let verify = "/account/verify-email";
    t.tab().post(verify, &[]).await.to("/sign-in?next=%2Faccount");
}

#[tokio::test]
async fn whoever_must_set_a_password_does_that_first() {
    let t = T::start().await;
    t.admin().await.create("fenna").await;
    let password = t.mailed_password("fenna").await;
    let tab = t.tab();
    tab.sign_in("fenna", &password).await.to("/set-password");
    for page in PAGES {
        let next = format!("/set-password?next={}", page.replace('/', "%2F"));
        tab.get(page).await.to(&next);
        tab.post(page, &[("token", "x")]).await.to(&next);
    }
}

#[tokio::test]
async fn a_form_needs_the_token_of_its_session() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    t.member("ina").await;
    let (tab, other) = (t.tab_of("fenna").await, t.tab_of("ina").await);
    let before = own(&fenna).await;
    let foreign = other.token("/account").await;
    let page = tab.get("/account").await.expect(200).text;
    for token in ["", "x", &foreign] {
        let mut form = filled(&page, &[("firstName", "Mallory")]);
        form[0].1 = token.to_owned();
        tab.post("/account", &borrowed(&form)).await.expect(400);
    }
    for page in &PAGES[1..] {
        tab.post(page, &[("end", "all"), ("withdraw", "x"), ("to", "nl")]).await.expect(400);
    }
    tab.post("/account/verify-email", &[]).await.expect(400);
    assert_eq!(own(&fenna).await, before);
    tab.get("/account").await.expect(200);
}

#[tokio::test]
async fn the_profile_is_shown_and_changed() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let tab = t.tab_of("fenna").await;
    let page = tab.get("/account").await.expect(200).hides("Your changes are saved.");
    for (field, value) in [("username", "fenna"), ("lastName", "Jansen"), ("email", "fenna@example.com")] {
        assert_eq!(value_of(&page.text, field).as_deref(), Some(value));
    }
    let changes = [
        ("username", "fenna.j"),
        ("firstName", "Fenna <b>"),
        ("displayName", " Fen \"F\" "),
        ("title", "Dr."),
        ("phoneNumber", "+31 20 123"),
    ];
    save(&tab, &changes).await.to("/account?done=saved");
    let page = tab.get("/account?done=saved").await.expect(200).says("Your changes are saved.");
    assert!(!page.text.contains("Fenna <b>"), "{}", page.text);
    assert_eq!(value_of(&page.text, "firstName").as_deref(), Some("Fenna <b>"));
    let user = own(&fenna).await;
    let expected = json!({
        "username": "fenna.j", "firstName": "Fenna <b>", "lastName": "Jansen", "displayName": "Fen \"F\"",
        "title": "Dr.", "phoneNumber": "+31 20 123", "email": "fenna@example.com",
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&user[field], value, "{field}");
    }
    // What can be empty is cleared.
    save(&tab, &[("displayName", ""), ("title", " ")]).await.to("/account?done=saved");
    let user = own(&fenna).await;
    assert_eq!((&user["displayName"], &user["title"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn errors_are_shown_at_their_field_with_what_was_typed() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    t.member("ina").await;
    let tab = t.tab_of("fenna").await;
    let before = own(&fenna).await;
    let long = "x".repeat(300);
    for (field, typed, problem) in [
        ("username", "", "This field cannot be empty."),
        ("username", "two words", "without spaces"),
        ("username", "INA", "Somebody else has this username."),
        ("firstName", " ", "This field cannot be empty."),
        ("lastName", &long, "This is too long."),
        ("lastName", "a\u{7}b", "a character that cannot be used"),
        ("firstName", "\u{200b}\u{ad}", "This"),
        ("title", "a\u{1b}b", "a character that cannot be used"),
        ("email", "", "This field cannot be empty."),
        ("email", "no address", "not a valid e-mail address"),
        ("email", "ä@example.com", "not a valid e-mail address"),
    ] {
        let answer = save(&tab, &[(field, typed), ("phoneNumber", "12345")]).await.expect(400);
        let answer = answer.says(problem).says("Nothing was saved yet.");
        let trimmed = tenantry_core::values::trim(typed);
        assert_eq!(value_of(&answer.text, field).as_deref(), Some(trimmed), "{field}");
        assert_eq!(value_of(&answer.text, "phoneNumber").as_deref(), Some("12345"));
        assert!(answer.text.contains(&format!("id=\"{field}-problem\"")), "{field}: {}", answer.text);
        assert_eq!(answer.text.matches("aria-invalid").count(), 1, "{field}");
        assert_eq!(own(&fenna).await, before, "{field} {typed:?}");
    }
    // All of them at once.
    let answer = save(&tab, &[("firstName", ""), ("email", "x")]).await.expect(400);
    assert_eq!(answer.text.matches("aria-invalid").count(), 2);
}

#[tokio::test]
async fn a_change_of_somebody_else_is_not_overwritten_unseen() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    let (tab, admin) = (t.tab_of("fenna").await, t.admin().await);
    let path = format!("/api/v1/users/{id}");
    let page = tab.get("/account").await.expect(200).text;
    admin.patch(&path, &json!({ "lastName": "de Vries", "title": "Prof." })).await.expect(200);
    // Another field was changed here.
    tab.post("/account", &borrowed(&filled(&page, &[("firstName", "Fen")]))).await.to("/account?done=saved");
    let user = own(&fenna).await;
    assert_eq!((&user["firstName"], &user["lastName"]), (&json!("Fen"), &json!("de Vries")));
    // The same one.
    let stale = filled(&page, &[("lastName", "Smit"), ("title", "Dr."), ("phoneNumber", "1")]);
    let answer = tab.post("/account", &borrowed(&stale)).await.expect(400);
    let answer = answer.says("changed elsewhere meanwhile, to “de Vries”").says("to “Prof.”");
    assert_eq!(value_of(&answer.text, "lastName").as_deref(), Some("Smit"));
    assert_eq!(own(&fenna).await["lastName"], "de Vries");
    assert_eq!(own(&fenna).await["phoneNumber"], Value::Null, "nothing is half done");
    // Whoever has seen that saves again.
    let form = filled(&answer.text, &[]);
    tab.post("/account", &borrowed(&form)).await.to("/account?done=saved");
    let user = own(&fenna).await;
    assert_eq!((&user["lastName"], &user["title"]), (&json!("Smit"), &json!("Dr.")));
    // Twice does no harm, and writes nothing.
    let tag = fenna.get("/api/v1/users/self").await.header("etag").to_owned();
    tab.post("/account", &borrowed(&form)).await.to("/account?done=saved");
    assert_eq!(fenna.get("/api/v1/users/self").await.header("etag"), tag);
}

#[tokio::test]
async fn the_hold_of_a_changed_address_is_explained() {
    let t = T::start().await;
    t.member("fenna").await;
    let tab = t.tab_of("fenna").await;
    tab.get("/account").await.expect(200).hides("former address").says("This address is verified.");
    save(&tab, &[("email", "new@example.net")]).await.to("/account?done=saved");
    let page = tab.get("/account").await.expect(200);
    let page = page.says("your former address, f***@example.com, until 2026-11-24 09:00 UTC");
    page.hides("fenna@example.com").says("This address is not verified yet.");
    t.clock.advance(DAY + MINUTE);
    let tab = t.tab_of("fenna").await;
    tab.get("/account").await.expect(200).hides("former address");
}

/// The links of mails to an address.
pub async fn links(t: &T, address: &str) -> Vec<String> {
    let links = t.mails_to(address).await.into_iter().filter_map(|mail| match mail.content {
        EmailContent::VerifyEmail { link, .. } => Some(link.expose().to_owned()),
        _ => None,
    });
    links.inspect(|link| t.secret(link)).collect()
}

#[tokio::test]
async fn a_link_is_mailed_and_its_button_verifies_the_address() {
    let t = T::start().await;
    let (id, _) = t.member("fenna").await;
    let tab = t.tab_of("fenna").await;
    save(&tab, &[("email", "new@example.net")]).await.to("/account?done=saved");
    assert!(!is_verified(&t, id).await);
    tab.submit_from("/account", "/account/verify-email", &[]).await.to("/account?done=link");
    tab.get("/account?done=link").await.expect(200).says("We have sent a link to new@example.net.");
    let [link] = links(&t, "new@example.net").await.try_into().unwrap();
    let path = format!("/verify-email?link={link}");
    // A mail scanner follows it, as often as it likes, without a session.
    for _ in 0..3 {
        t.tab().get(&path).await.expect(200).says("Is new@example.net your e-mail address?");
    }
    assert!(!is_verified(&t, id).await);
    // The mail is read on another device.
    let phone = t.tab();
    phone.post(&path, &[("token", "x")]).await.expect(400);
    assert!(!is_verified(&t, id).await);
    phone.submit(&path, &[]).await.to(&path);
    assert!(is_verified(&t, id).await);
    phone.get(&path).await.expect(200).says("new@example.net is verified.");
    tab.get("/account").await.expect(200).says("This address is verified.");
    // Sent twice.
    let token = phone.token("/sign-in").await;
    phone.post(&path, &[("token", &token)]).await.to(&path);
    let events = t.admin().await.get("/api/v1/events?type=user.email_verified").await.expect(200);
    assert_eq!(events.list().len(), 1);
    assert_eq!(events.list()[0]["after"], json!({ "email": "new@example.net" }));
    // There is nothing more to send.
    t.clock.advance(HOUR);
    let token = tab.token("/account").await;
    tab.post("/account/verify-email", &[("token", &token)]).await.to("/account");
    assert_eq!(links(&t, "new@example.net").await.len(), 1);
}

#[tokio::test]
async fn a_link_is_good_for_its_user_and_address_for_a_day() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    let admin = t.admin().await;
    let tab = t.tab_of("fenna").await;
    let gone = async |link: &str, why: &str| {
        let path = format!("/verify-email?link={link}");
        let answer = t.tab().get(&path).await.expect(400);
        assert!(answer.text.contains("This link no longer works"), "{why}: {}", answer.text);
        let tab = t.tab();
        let token = tab.token("/sign-in").await;
        tab.post(&path, &[("token", &token)]).await.expect(400);
        assert!(!is_verified(&t, id).await, "{why}");
    };
    save(&tab, &[("email", "one@example.net")]).await.to("/account?done=saved");
    tab.submit_from("/account", "/account/verify-email", &[]).await.to("/account?done=link");
    let [one] = links(&t, "one@example.net").await.try_into().unwrap();
    // Changed, foreign, none.
    gone("", "none").await;
    gone("x", "no link").await;
    gone(&format!("{one}A"), "longer").await;
    let mut other = one.clone().into_bytes();
    let last = other.len() - 1;
    other[last] = if other[last] == b'A' { b'B' } else { b'A' };
    gone(&String::from_utf8(other).unwrap(), "changed").await;
    // Another address, even in the case of its letters.
    for email in ["two@example.net", "One@example.net"] {
        fenna.patch("/api/v1/users/self", &json!({ "email": email })).await.expect(200);
        gone(&one, email).await;
    }
    // The same again: it proves what it says.
    fenna.patch("/api/v1/users/self", &json!({ "email": "one@example.net" })).await.expect(200);
    // Whoever may not sign in proves nothing.
    for status in ["INACTIVE", "LOCKED"] {
        admin.patch(&format!("/api/v1/users/{id}"), &json!({ "status": status })).await.expect(200);
        gone(&one, status).await;
    }
    admin.patch(&format!("/api/v1/users/{id}"), &json!({ "status": "ACTIVE" })).await.expect(200);
    t.clock.advance(DAY);
    gone(&one, "a day later").await;
    let tab = t.tab_of("fenna").await;
    tab.submit_from("/account", "/account/verify-email", &[]).await.to("/account?done=link");
    let two = links(&t, "one@example.net").await.pop().unwrap();
    t.admin().await.delete(&format!("/api/v1/users/{id}")).await.expect(204);
    gone(&two, "deleted").await;
}

#[tokio::test]
async fn links_are_limited() {
    let t = T::start().await;
    t.member("fenna").await;
    let tab = t.tab_of("fenna").await;
    save(&tab, &[("email", "new@example.net")]).await.to("/account?done=saved");
    tab.submit_from("/account", "/account/verify-email", &[]).await.to("/account?done=link");
    let refused = tab.submit_from("/account", "/account/verify-email", &[]).await.expect(429);
    refused.says("in 1 minute.");
    for _ in 1..10 {
        t.clock.advance(MINUTE);
        tab.submit_from("/account", "/account/verify-email", &[]).await.to("/account?done=link");
    }
    t.clock.advance(HOUR);
    let refused =
        tab.submit_from("/account", "/account/verify-email", &[]).await.expect(429).says("minutes.");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 60, "{:?}", refused.headers);
    assert_eq!(links(&t, "new@example.net").await.len(), 10);
    // Another address does not begin anew.
    save(&tab, &[("email", "victim@example.net")]).await.to("/account?done=saved");
    tab.submit_from("/account", "/account/verify-email", &[]).await.expect(429);
    assert!(links(&t, "victim@example.net").await.is_empty());
}

#[tokio::test]
async fn the_password_is_changed_and_ends_other_sessions() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let (tab, other) = (t.tab_of("fenna").await, t.tab_of("fenna").await);
    tab.get("/account/password")
        .await
        .expect(200)
        .says("signed out everywhere else")
        .says("has 12 to 40 characters");
    let old = password_of("fenna");
    let new = "Zy9.Saucer-Quilt-4x";
    t.secret(new);
    let submit = async |old: &str, new: &str| {
        t.secret(old);
        tab.submit("/account/password", &[("oldPassword", old), ("newPassword", new)]).await
    };
    // Both at once, and nothing of them in the page.
    let answer = submit("Wrong.Guess-00x", "short").await.expect(400);
    let answer = answer
        .says("This is not your current password.")
        .says("This password cannot be used. These rules are not met yet");
    answer.hides("Wrong.Guess-00x").hides("value=\"short\"");
    submit(&old, &old).await.expect(400).says("is not one of your last 12 passwords");
    submit(&old, "Jansen.Quilt-4x9").await.expect(400).says("does not contain your username, name");
    submit("Wrong.Guess-00x", new).await.expect(400).hides("This password cannot be used");
    other.get("/account").await.expect(200);
    submit(&old, new).await.to("/account/password?done=changed");
    tab.get("/account/password?done=changed").await.expect(200).says("Your password is changed.");
    other.get("/account").await.to("/sign-in?next=%2Faccount");
    fenna.get("/api/v1/users/self").await.expect(401);
    t.try_login("fenna", &old).await.expect(400);
    t.login("fenna", new).await;
    // Sent again: the old password is no longer that.
    submit(&old, new).await.expect(400);
}

#[tokio::test]
async fn wrong_old_passwords_lock_the_account() {
    let t = T::start().await;
    t.member("fenna").await;
    let tab = t.tab_of("fenna").await;
    let form = [("oldPassword", "Wrong.Guess-00x"), ("newPassword", "Zy9.Saucer-Quilt-4x")];
    t.secret("Wrong.Guess-00x");
    t.secret("Zy9.Saucer-Quilt-4x");
    for _ in 0..5 {
        tab.submit("/account/password", &form).await.expect(400);
    }
    tab.get("/account/password").await.to("/sign-in?next=%2Faccount%2Fpassword");
}

/// The values of the buttons that end sessions.
fn buttons(page: &str) -> Vec<String> {
    let values = page.split("name=\"end\" value=\"").skip(1);
    values.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let (_, ina) = t.member("ina").await;
    let tab = t.tab_of("fenna").await;
    t.clock.advance(MINUTE);
    let other = t.tab_of("fenna").await;
    let page = tab.get("/account/sessions").await.expect(200);
    let page = page.says("Firefox · Linux").says("This browser").says("Signed in with username and password");
    let page = page.says("from 127.0.0.1").says("2026-11-23 09:01 UTC").hides("tenantry-").text;
    let all = buttons(&page);
    let [first, browser, another, tokens @ .., last] = &all[..] else { panic!("{all:?}") };
    assert_eq!((first.as_str(), last.as_str(), tokens.is_empty()), ("others", "all", false));
    // This browser comes first.
    let (this, that) = (browser.as_str(), another.as_str());
    tab.submit("/account/sessions", &[("end", that)]).await.to("/account/sessions?done=ended");
    tab.get("/account/sessions?done=ended").await.expect(200).says("The session has ended.");
    other.get("/account").await.to("/sign-in?next=%2Faccount");
    // Again: it is gone, and nothing happens.
    tab.submit("/account/sessions", &[("end", that)]).await.expect(404).says("no such session any more");
    for token in tokens {
        tab.submit("/account/sessions", &[("end", token)]).await.to("/account/sessions?done=ended");
    }
    fenna.get("/api/v1/users/self").await.expect(401);
    tab.get("/account/sessions").await.expect(200).says("No application has access");
    // Somebody else's.
    let victim = t.tab_of("ina").await;
    let hers = buttons(&victim.get("/account/sessions").await.expect(200).text);
    for id in &hers[1..hers.len() - 1] {
        tab.submit("/account/sessions", &[("end", id)]).await.expect(404);
    }
    for unknown in ["", "x", "x y", "others "] {
        tab.submit("/account/sessions", &[("end", unknown)]).await.expect(404);
    }
    victim.get("/account").await.expect(200);
    ina.get("/api/v1/users/self").await.expect(200);
    // This one: the browser is signed out.
    tab.submit("/account/sessions", &[("end", this)]).await.to("/signed-out");
    tab.get("/account").await.to("/sign-in?next=%2Faccount");
}

#[tokio::test]
async fn all_sessions_end_at_once() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let (tab, other) = (t.tab_of("fenna").await, t.tab_of("fenna").await);
    tab.submit("/account/sessions", &[("end", "others")]).await.to("/account/sessions?done=others");
    tab.get("/account/sessions?done=others").await.expect(200).says("signed out everywhere else");
    other.get("/account").await.to("/sign-in?next=%2Faccount");
    fenna.get("/api/v1/users/self").await.expect(401);
    let again = t.login("fenna", &password_of("fenna")).await;
    tab.submit("/account/sessions", &[("end", "all")]).await.to("/signed-out");
    again.get("/api/v1/users/self").await.expect(401);
    tab.get("/account").await.to("/sign-in?next=%2Faccount");
}

#[tokio::test]
async fn the_language_is_chosen() {
    let t = T::start().await;
    let (_, fenna) = t.member("fenna").await;
    let tab = t.tab_of("fenna").await;
    for language in Language::ALL {
        let tag = language.tag();
        tab.submit("/account/language", &[("to", tag)]).await.to("/account/language?done=saved");
        assert_eq!(own(&fenna).await["locale"], tag);
        for page in PAGES {
            let page = tab.get(page).await.expect(200);
            assert!(page.text.contains(&format!("<html lang=\"{tag}\">")), "{tag}");
        }
    }
    tab.submit("/account/language", &[("to", "tlh")]).await.expect(400);
    tab.submit("/account/language", &[("to", "")]).await.to("/account/language?done=saved");
    assert_eq!(own(&fenna).await["locale"], Value::Null);
}

#[tokio::test]
async fn technical_names_are_not_shown() {
    let t = T::start().await;
    t.member("fenna").await;
    let tab = t.tab_of("fenna").await;
    for page in PAGES {
        let html = tab.get(page).await.expect(200).text;
        // What stands between tags is what people read.
        let text: String =
            html.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect();
        for word in ["firstName", "phoneNumber", "displayName", "openid", "userId", "pid", "session_id"] {
            assert!(!text.contains(word), "{page}: {word}");
        }
    }
}

#[tokio::test]
async fn a_person_who_was_locked_sees_nothing_more() {
    let t = T::start().await;
    let (id, _) = t.member("fenna").await;
    let tab = t.tab_of("fenna").await;
    let token = tab.token("/account/language").await;
    t.admin().await.patch(&format!("/api/v1/users/{id}"), &json!({ "status": "LOCKED" })).await.expect(200);
    for page in PAGES {
        let next = format!("/sign-in?next={}", page.replace('/', "%2F"));
        tab.get(page).await.to(&next);
    }
    tab.post("/account/language", &[("to", "nl"), ("token", &token)])
        .await
        .to("/sign-in?next=%2Faccount%2Flanguage");
    assert_eq!(t.admin().await.get(&format!("/api/v1/users/{id}")).await.body["locale"], Value::Null);
}

#[tokio::test]
async fn an_admin_has_the_same_pages() {
    let t = T::start().await;
    let tab = t.tab();
    tab.sign_in("admin", crate::harness::ADMIN_PASSWORD).await.to("/account");
    save(&tab, &[("title", "Chief")]).await.to("/account?done=saved");
    let user = t.admin().await.get("/api/v1/users/self").await.expect(200).body;
    assert_eq!((&user["title"], &user["isAdmin"]), (&json!("Chief"), &json!(true)));
}

/// A3 and B9: the own status, too. What is not ACTIVE has no session.
#[tokio::test]
async fn the_own_status_can_be_changed_and_signs_out() {
    let t = T::start().await;
    for (name, status) in [("fenna", "INACTIVE"), ("ina", "LOCKED")] {
        let (id, member) = t.member(name).await;
        let (tab, other) = (t.tab_of(name).await, t.tab_of(name).await);
        tab.get("/account").await.expect(200).says("Account status").says("Only an administrator can");
        let set =
            async |status: &str| tab.submit_from("/account", "/account/status", &[("status", status)]).await;
        set("ACTIVE").await.to("/account");
        for wrong in ["", "active", "DELETED"] {
            set(wrong).await.expect(400);
        }
        member.get("/api/v1/users/self").await.expect(200);
        set(status).await.to("/signed-out");
        tab.get("/account").await.to("/sign-in?next=%2Faccount");
        other.get("/account").await.to("/sign-in?next=%2Faccount");
        member.get("/api/v1/users/self").await.expect(401);
        let user = t.admin().await.get(&format!("/api/v1/users/{id}")).await.expect(200).body;
        assert_eq!(user["status"], status);
        tab.sign_in(name, &password_of(name)).await.expect(400);
    }
    // B10: not the last admin.
    let tab = t.tab();
    tab.sign_in("admin", ADMIN_PASSWORD).await.to("/account");
    let refused = tab.submit_from("/account", "/account/status", &[("status", "INACTIVE")]).await.expect(409);
    refused.says("You are the last active administrator");
    tab.get("/account").await.expect(200);
    // A form without a session comes back to the page.
    let form = [("status", "INACTIVE"), ("token", "x")];
    t.tab().post("/account/status", &form).await.to("/sign-in?next=%2Faccount");
    tab.post("/account/status", &form).await.expect(400);
}
