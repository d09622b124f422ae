//! A browser without a window: it keeps cookies and sends the forms of pages.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::{Method, header};

use crate::harness::{T, TestResponse, password_of};

/// A browser of a person.
pub struct Tab<'t> {
    t: &'t T,
    http: reqwest::Client,
    cookies: Mutex<BTreeMap<String, String>>,
    user_agent: &'static str,
}

impl T {
    /// A browser without cookies.
    pub fn tab(&self) -> Tab<'_> {
        let none = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().no_proxy().redirect(none).build().unwrap();
        Tab { t: self, http, cookies: Mutex::default(), user_agent: "Mozilla/5.0 (X11; Linux) Firefox/140.0" }
    }

    /// A browser in which somebody has signed in.
    pub async fn tab_of(&self, username: &str) -> Tab<'_> {
        let tab = self.tab();
        tab.sign_in(username, &password_of(username)).await.to("/account");
        tab
    }
}

impl Tab<'_> {
    async fn send(&self, method: Method, path: &str, form: Option<&[(&str, &str)]>) -> TestResponse {
        let mut request = self.http.request(method, format!("http://{}{path}", self.t.address));
        let cookies = self.cookies.lock().unwrap().clone();
        if !cookies.is_empty() {
            let pairs: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, pairs.join("; "));
        }
        request = request.header(header::USER_AGENT, self.user_agent).header(header::ACCEPT, "text/html");
        if let Some(form) = form {
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
            request = request.header("sec-fetch-site", "same-origin");
        }
        let answer = TestResponse::of(request.send().await.unwrap()).await;
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let (pair, rest) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            if rest.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                if !name.ends_with("language") {
                    self.t.secret(value);
                }
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// The header with the cookie of its session.
    pub fn session_cookie(&self) -> String {
        let cookies = self.cookies.lock().unwrap();
        format!("tenantry={}", cookies.get("tenantry").unwrap())
    }

    pub async fn get(&self, path: &str) -> TestResponse {
        self.send(Method::GET, path, None).await
    }

    /// Sends a form as it is.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> TestResponse {
        self.send(Method::POST, path, Some(form)).await
    }

    /// The token of the forms of a page.
    pub async fn token(&self, page: &str) -> String {
        let answer = self.get(page).await;
        let token = value_of(&answer.text, "token").unwrap_or_else(|| panic!("{page}: {}", answer.text));
        self.t.secret(&token);
        token
    }

    /// Opens a page, fills in a form of it and sends it to `path`.
    pub async fn submit_from(&self, page: &str, path: &str, form: &[(&str, &str)]) -> TestResponse {
        let token = self.token(page).await;
        let mut form = form.to_vec();
        form.push(("token", &token));
        self.post(path, &form).await
    }

    /// Opens a page, fills in its form and sends it.
    pub async fn submit(&self, page: &str, form: &[(&str, &str)]) -> TestResponse {
        self.submit_from(page, page, form).await
    }

    /// Signs in on the page.
    pub async fn sign_in(&self, username: &str, password: &str) -> TestResponse {
        self.t.secret(password);
        self.submit("/sign-in", &[("username", username), ("password", password)]).await
    }
}

/// The value of an input of a page.
pub fn value_of(page: &str, name: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("name=\"{name}\""))?;
    let tag = rest.split('>').next()?;
    let (_, value) = tag.split_once("value=\"")?;
    let value = value.split('"').next()?;
    Some(unescaped(value))
}

/// Text of HTML as a person sees it.
pub fn unescaped(html: &str) -> String {
    let mut text = html.to_owned();
    for (entity, c) in [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")] {
        text = text.replace(entity, c);
    }
    text
}

impl TestResponse {
    /// Asserts that it redirects there.
    #[track_caller]
    pub fn to(self, location: &str) -> Self {
        assert_eq!((self.status.as_u16(), self.header("location")), (303, location), "{}", self.text);
        self
    }

    /// Asserts that the page says this.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(unescaped(&self.text).contains(text), "no {text:?} in {}", self.text);
        self
    }

    /// Asserts that the page does not say this.
    #[track_caller]
    pub fn hides(self, text: &str) -> Self {
        assert!(!unescaped(&self.text).contains(text), "{text:?} in {}", self.text);
        self
    }
}
