//! The branding of a partner: set by its admins, shown to anybody.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use tenantry_core::model::PartnerId;
use tenantry_domain::branding::{self, PageBranding};
use tenantry_domain::logins::{self, FirstStep, SigningIn};
use tenantry_domain::tokens::Origin;

use crate::harness::{Person, T, TestResponse, password_of};
use crate::products::{self, Product};

const PATH: &str = "/api/v1/branding";
const LOGO: &str = "/api/v1/branding/logo";

/// A branding.
pub fn branding() -> Value {
    json!({ "name": "Example Ltd", "color": "#0B57D0" })
}

/// A logo of one pixel.
pub fn png() -> Vec<u8> {
    let file =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    STANDARD.decode(file).unwrap()
}

async fn put_logo(who: &Person<'_>, file: Vec<u8>) -> TestResponse {
    who.send(Method::PUT, LOGO, Some(file), "image/png").await
}

async fn shown(t: &T, pid: i64) -> Option<Arc<PageBranding>> {
    branding::find(&t.app, PartnerId(pid)).await.unwrap()
}

/// The kinds of the events of brandings, the oldest first.
fn events(t: &T) -> Vec<String> {
    let rows = t.ask_sql("SELECT kind FROM events WHERE kind LIKE 'branding.%' ORDER BY event_id");
    rows.into_iter().map(|mut row| row.remove(0)).collect()
}

#[tokio::test]
async fn a_branding_is_set_changed_and_removed() {
    let t = T::start().await;
    let admin = t.admin().await;
    assert_eq!(admin.get(PATH).await.expect(404).body["code"], "branding-not-found");
    put_logo(&admin, png()).await.expect(404);
    admin.delete(PATH).await.expect(404);
    let set = admin.put(PATH, &branding()).await.expect(200);
    assert_eq!((&set.body["name"], &set.body["color"]), (&json!("Example Ltd"), &json!("#0b57d0")));
    assert_eq!(set.body["logo"], Value::Null);
    assert_eq!(admin.get(PATH).await.expect(200).body, set.body);
    t.clock.advance(1_000);
    let with_logo = put_logo(&admin, png()).await.expect(200);
    assert_eq!((&with_logo.body["logo"]["width"], &with_logo.body["logo"]["height"]), (&json!(1), &json!(1)));
    assert_ne!(with_logo.body["updatedAt"], set.body["updatedAt"]);
    // Name and color change without the logo.
    let renamed = admin.put(PATH, &json!({ "name": "Other", "color": "#ffd400" })).await.expect(200);
    assert_eq!((&renamed.body["name"], &renamed.body["logo"]), (&json!("Other"), &with_logo.body["logo"]));
    admin.delete(LOGO).await.expect(204);
    assert_eq!(admin.get(PATH).await.expect(200).body["logo"], Value::Null);
    admin.delete(PATH).await.expect(204);
    admin.get(PATH).await.expect(404);
    let (updated, deleted) = ("branding.updated", "branding.deleted");
    assert_eq!(events(&t), [updated, updated, updated, updated, deleted]);
}

#[tokio::test]
async fn what_does_not_change_anything_is_no_event_and_no_version() {
    let t = T::start().await;
    let admin = t.admin().await;
    let first = admin.put(PATH, &branding()).await.expect(200);
    let again = admin.put(PATH, &json!({ "name": "Example Ltd", "color": "#0b57d0" })).await.expect(200);
    assert_eq!(first.header("etag"), again.header("etag"));
    let with_logo = put_logo(&admin, png()).await.expect(200);
    assert_ne!(first.header("etag"), with_logo.header("etag"));
    assert_eq!(put_logo(&admin, png()).await.expect(200).header("etag"), with_logo.header("etag"));
    assert_eq!(events(&t).len(), 2);
}

#[tokio::test]
async fn conditions_hold() {
    let t = T::start().await;
    let admin = t.admin().await;
    let put = async |header: &str, value: &str| {
        let request = admin.request(Method::PUT, PATH).header(header, value);
        TestResponse::of(request.json(&branding()).send().await.unwrap()).await
    };
    put("if-match", "*").await.expect(412);
    put("if-match", "\"b-1\"").await.expect(412);
    assert_eq!(shown(&t, 1).await, None);
    let tag = put("if-none-match", "*").await.expect(200).header("etag").to_owned();
    put("if-none-match", "*").await.expect(412);
    put("if-match", &tag).await.expect(200);
    let known = admin.request(Method::GET, PATH).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(known.status(), 304);
    // A later one is not the deleted one.
    admin.delete(PATH).await.expect(204);
    t.clock.advance(1);
    let later = admin.put(PATH, &branding()).await.expect(200);
    assert_ne!(later.header("etag"), tag);
    put("if-match", &tag).await.expect(412);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let t = T::start().await;
    let admin = t.admin().await;
    let dry = |path: &str| format!("{path}?dryRun=true");
    let tried = admin.put(&dry(PATH), &branding()).await.expect(200);
    assert_eq!((&tried.body["dryRun"], &tried.body["result"]["name"]), (&json!(true), &json!("Example Ltd")));
    admin.get(PATH).await.expect(404);
    admin.put(PATH, &branding()).await.expect(200);
    admin.send(Method::PUT, &dry(LOGO), Some(png()), "image/png").await.expect(200);
    assert_eq!(admin.get(PATH).await.expect(200).body["logo"], Value::Null);
    admin.delete(&dry(PATH)).await.expect(200);
    admin.get(PATH).await.expect(200);
}

#[tokio::test]
async fn bad_input_is_named_and_changes_nothing() {
    let t = T::start().await;
    let admin = t.admin().await;
    for (body, fields) in [
        (json!({}), vec!["/name", "/color"]),
        (json!({ "name": "", "color": "#0b57d0" }), vec!["/name"]),
        (json!({ "name": "A\nB", "color": "#0b57d0" }), vec!["/name"]),
        (json!({ "name": "A", "color": "red" }), vec!["/color"]),
        (json!({ "name": "A", "color": "#fff;}body{display:none" }), vec!["/color"]),
        (json!({ "name": "A", "color": "#0b57d0", "css": "x" }), vec!["/css"]),
    ] {
        let answer = admin.put(PATH, &body).await.expect(400);
        let named: Vec<&str> =
            answer.body["errors"].as_array().unwrap().iter().filter_map(|e| e["field"].as_str()).collect();
        assert_eq!(named, fields, "{body}");
    }
    admin.get(PATH).await.expect(404);
    admin.put(PATH, &branding()).await.expect(200);
    for file in [b"".as_slice(), b"GIF89a", b"<svg xmlns='http://www.w3.org/2000/svg'/>", &png()[..40]] {
        let answer = put_logo(&admin, file.to_vec()).await.expect(400);
        assert_eq!(answer.body["errors"][0]["code"], "malformed-image");
    }
    put_logo(&admin, vec![0; 256 * 1024 + 1]).await.expect(413);
    for kind in ["image/svg+xml", "image/jpeg", "application/octet-stream", "application/json"] {
        let answer = admin.send(Method::PUT, LOGO, Some(png()), kind).await.expect(415);
        assert!(answer.body["detail"].as_str().unwrap().contains("image/png"), "{}", answer.text);
    }
    assert_eq!(admin.get(PATH).await.expect(200).body["logo"], Value::Null);
}

#[tokio::test]
async fn pages_show_it_and_files_are_named_by_their_content() {
    let t = T::start().await;
    let admin = t.admin().await;
    assert_eq!(shown(&t, 1).await, None);
    admin.put(PATH, &json!({ "name": "<b>Example</b>", "color": "#ffd400" })).await.expect(200);
    let plain = shown(&t, 1).await.unwrap();
    assert_eq!((plain.name.as_str(), plain.logo.is_none()), ("<b>Example</b>", true));
    put_logo(&admin, png()).await.expect(200);
    let page = shown(&t, 1).await.unwrap();
    assert_eq!(page.stylesheet_path, plain.stylesheet_path);
    let logo = page.logo.as_ref().unwrap().path.clone();
    let nobody = t.anonymous();
    for (path, kind, start) in [
        (&page.stylesheet_path, "text/css; charset=utf-8", b"@layer brand{".as_slice()),
        (&logo, "image/png", b"\x89PNG\r\n\x1a\n"),
    ] {
        let response = nobody.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        for (name, value) in [
            ("content-type", kind),
            ("cache-control", "public, max-age=31536000, immutable"),
            ("content-security-policy", "default-src 'none'; sandbox"),
            ("cross-origin-resource-policy", "same-origin"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(response.headers()[name], value, "{path}: {name}");
        }
        assert!(response.bytes().await.unwrap().starts_with(start));
        // Of another partner, and of another content.
        nobody.get(&path.replace("/branding/1/", "/branding/2/")).await.expect(404);
        nobody.get(&path.replace("/branding/1/", "/branding/01/")).await.expect(404);
    }
    for file in ["1/logo.0.png", "1/logo.png", "1/colors.css", "x/a", "1/a"] {
        nobody.get(&format!("/branding/{file}")).await.expect(404);
    }
    admin.put(PATH, &json!({ "name": "Example", "color": "#0b57d0" })).await.expect(200);
    nobody.get(&page.stylesheet_path).await.expect(404);
    admin.delete(PATH).await.expect(204);
    assert_eq!(shown(&t, 1).await, None);
    nobody.get(&logo).await.expect(404);
}

/// Pages of whoever is signed in show the branding of their partner: its name as text, and its files.
#[tokio::test]
async fn pages_of_a_user_show_it() {
    let t = T::start().await;
    let admin = t.admin().await;
    admin.put(PATH, &json!({ "name": "<b>Example</b>", "color": "#ffd400" })).await.expect(200);
    put_logo(&admin, png()).await.expect(200);
    t.member("mia").await;
    let signing = SigningIn {
        username: "mia",
        password: password_of("mia").into(),
        origin: Origin { address: [192, 0, 2, 7].into(), user_agent: None },
        is_kept: false,
        previous: None,
        device: None,
    };
    let signed_in = logins::sign_in(&t.app, signing).await.ok().and_then(FirstStep::signed_in).unwrap();
    let page = async |path: &str, cookie: &str| {
        let request = t.anonymous().request(Method::GET, path).header("accept", "text/html");
        request.header("cookie", format!("tenantry={cookie}")).send().await.unwrap().text().await.unwrap()
    };
    let account = page("/account", &signed_in.cookie).await;
    let shown = shown(&t, 1).await.unwrap();
    assert!(
        account.contains(&format!("<link rel=\"stylesheet\" href=\"{}\">", shown.stylesheet_path)),
        "{account}"
    );
    assert!(account.contains(&format!("src=\"{}\"", shown.logo.as_ref().unwrap().path)), "{account}");
    assert!(account.contains("&#60;b&#62;Example&#60;/b&#62;") && !account.contains("<b>"), "{account}");
    // Who is nobody, or names a partner, is shown none.
    for path in ["/sign-in", "/sign-in?partner=1", "/sign-in?pid=1"] {
        let sign_in = page(path, "").await;
        assert!(!sign_in.contains("Example") && !sign_in.contains("/branding/"), "{sign_in}");
    }
}

/// Who asks for partner after partner learns the names of those that have set a branding, and nothing of the others.
#[tokio::test]
async fn partners_without_branding_look_like_unknown_ones() {
    let t = T::start().await;
    let (other, admin) = t.other_partner("beside").await;
    admin.put(PATH, &branding()).await.expect(200);
    assert_eq!(shown(&t, 1).await, None);
    assert_eq!(shown(&t, 999).await, None);
    assert_eq!(shown(&t, other).await.unwrap().name, "Example Ltd");
    let operator = t.operator().await;
    let path = format!("/operator/v1/partners/{other}");
    operator.patch(&path, &json!({ "suspended": true })).await.expect(200);
    assert_eq!(shown(&t, other).await, None);
    operator.patch(&path, &json!({ "suspended": false })).await.expect(200);
    assert!(shown(&t, other).await.is_some());
    operator.delete(&format!("{path}?force=true")).await.expect(204);
    assert_eq!(shown(&t, other).await, None);
    assert_eq!(t.ask_sql("SELECT count(*) FROM partner_branding"), [["0"]]);
}

/// A product can name the partner whose users it wants to sign in. The page tells nobody which partners there are.
#[tokio::test]
async fn the_page_of_a_request_for_a_partner_shows_its_branding() {
    let t = T::start().await;
    t.admin().await.put(PATH, &branding()).await.expect(200);
    let product = Product::new(&t).await;
    let sign_in = async |partner: &str| {
        let mut parameters = product.parameters();
        products::set(&mut parameters, "partner", partner);
        let location = product.authorize("", &parameters).await.expect(303).header("location").to_owned();
        let path = location.find("/sign-in").map_or(location.as_str(), |at| &location[at..]);
        product.get(path, "").await.expect(200).text
    };
    let page = sign_in("1").await;
    assert!(page.contains("Example Ltd") && page.contains("/branding/1/colors."), "{page}");
    for other in ["2", "999999"] {
        let page = sign_in(other).await;
        assert!(!page.contains("Example Ltd") && !page.contains("/branding/"), "{other}: {page}");
    }
}
