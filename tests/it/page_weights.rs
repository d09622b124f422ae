//! What the first view of a page costs: the page, its styles, scripts and icon, as they are transferred.

use reqwest::{Method, header};

use crate::harness::{T, TestResponse};
use crate::products::{Product, set};
use crate::tabs::Tab;

/// Maximum number of bytes of the first view of a page.
const MOST: usize = 40_000;

/// The bytes of a response with its head.
fn transferred(headers: &header::HeaderMap, body: usize) -> usize {
    let head: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    "HTTP/1.1 200 OK".len() + 4 + head + body
}

/// The bytes of a page with what it loads, by somebody who has never been there.
async fn weight(t: &T, page: &TestResponse) -> usize {
    let mut total = transferred(&page.headers, page.text.len());
    let files = page.text.split(['"', ' ']).filter(|path| path.starts_with("/static/"));
    for file in files.collect::<std::collections::BTreeSet<_>>() {
        let request = t.anonymous().request(Method::GET, file).header(header::ACCEPT_ENCODING, "gzip");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{file}");
        let headers = response.headers().clone();
        total += transferred(&headers, response.bytes().await.unwrap().len());
    }
    total
}

#[tokio::test]
async fn the_first_view_of_every_page_is_small() {
    let t = T::start().await;
    t.member("fenna").await;
    let nobody = t.tab();
    let fenna = t.tab_of("fenna").await;
    t.admin().await.create("new").await;
    let temporary = t.mailed_password("new").await;
    let restricted = t.tab();
    restricted.sign_in("new", &temporary).await.to("/set-password");
    let shop = Product::new(&t).await;
    let mut parameters = shop.parameters();
    set(&mut parameters, "response_mode", "form_post");
    set(&mut parameters, "prompt", "none");
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
    let form = format!("/oauth/authorize?{query}");
    set(&mut parameters, "prompt", "consent");
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
    let consent = fenna.get(&format!("/oauth/authorize?{query}")).await.expect(303);
    let consent = consent.header("location").to_owned();
    let pages: [(&Tab<'_>, &str); 19] = [
        (&nobody, "/sign-in"),
        (&nobody, "/signed-out"),
        (&nobody, "/forgot-password"),
        (&nobody, "/forgot-password?sent=1"),
        (&nobody, "/forgot-username"),
        (&nobody, "/forgot-username?sent=1"),
        (&nobody, "/verify-email?link=stale"),
        (&nobody, "/nothing"),
        (&nobody, "/oauth/authorize?client_id=nobody"),
        (&nobody, &form),
        (&restricted, "/set-password"),
        (&fenna, &consent),
        (&fenna, "/choose-account"),
        (&fenna, "/account"),
        (&fenna, "/account/password"),
        (&fenna, "/account/sessions"),
        (&fenna, "/account/applications"),
        (&fenna, "/account/language"),
        (&fenna, "/sign-out"),
    ];
    for (tab, path) in pages {
        for language in ["en", "zh-Hans", "fr"] {
            let separator = if path.contains('?') { '&' } else { '?' };
            let page = tab.get(&format!("{path}{separator}language={language}")).await;
            assert!(page.text.contains("</html>"), "{path}: {}", page.text);
            let bytes = weight(&t, &page).await;
            assert!(bytes <= MOST, "{path} in {language}: {bytes} bytes");
            assert!(bytes > 2_000, "{path}: {bytes} bytes, which is no page");
        }
    }
}
