//! Somebody with a browser without scripts: a cookie jar, and forms that are filled in. Every page that it is shown is
//! checked to be well-formed HTML.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use reqwest::{Method, StatusCode, header};

use crate::harness::T;

/// The number that the database answers to SQL.
pub fn number(t: &T, sql: &str) -> i64 {
    t.ask_sql(sql)[0][0].parse().unwrap()
}

/// Elements without an end tag.
const VOID: [&str; 6] = ["meta", "link", "input", "br", "img", "hr"];

impl T {
    /// Somebody with a browser that has no cookies yet.
    pub fn browser(&self) -> PageVisitor<'_> {
        PageVisitor {
            t: self,
            http: reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
            address: self.address,
            cookies: BTreeMap::new(),
            headers: vec![
                (String::from("accept"), String::from("text/html,application/xhtml+xml,*/*;q=0.8")),
                (String::from("user-agent"), String::from("Mozilla/5.0 (tests)")),
            ],
            keeps_cookies: true,
        }
    }

    /// Somebody who has signed in on the page, with a permanent password.
    pub async fn signed_in(&self, username: &str, password: &str) -> PageVisitor<'_> {
        let mut browser = self.browser();
        let page = browser.sign_in(username, password).await;
        assert_eq!(page.status, 303, "{}", page.text);
        browser
    }
}

/// See the module.
#[derive(Clone)]
pub struct PageVisitor<'t> {
    t: &'t T,
    http: reqwest::Client,
    address: SocketAddr,
    pub cookies: BTreeMap<String, String>,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    pub keeps_cookies: bool,
}

impl<'t> PageVisitor<'t> {
    /// The same browser at another server.
    pub fn at(&self, t: &'t T) -> Self {
        Self { t, address: t.address, ..self.clone() }
    }

    /// The same browser with another header.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The cookie of its session.
    pub fn session_cookie(&self) -> Option<&str> {
        self.cookies.get("tenantry").or_else(|| self.cookies.get("__Host-tenantry")).map(String::as_str)
    }

    /// One request; redirects are not followed.
    pub async fn send(&mut self, method: Method, path: &str, form: Option<&[(String, String)]>) -> Shown {
        let mut request = self.http.request(method, format!("http://{}{path}", self.address));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if let Some(form) = form {
            if !self.headers.iter().any(|(name, _)| name == "origin" || name == "sec-fetch-site") {
                request = request.header("sec-fetch-site", "same-origin");
                request = request.header("origin", format!("http://{}", self.address));
            }
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        }
        let response = request.send().await.unwrap();
        for line in response.headers().get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else if self.keeps_cookies {
                if !name.ends_with("language") {
                    self.t.secret(value);
                }
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Shown::of(path, response).await
    }

    /// Opens a page; redirects are not followed.
    pub async fn get(&mut self, path: &str) -> Shown {
        self.send(Method::GET, path, None).await
    }

    /// Opens a page and follows where it leads on this server.
    pub async fn open(&mut self, path: &str) -> Shown {
        let shown = self.get(path).await;
        self.follow(shown).await
    }

    /// Follows a redirect, and others after it.
    pub async fn follow(&mut self, mut shown: Shown) -> Shown {
        for _ in 0..10 {
            if shown.status != StatusCode::SEE_OTHER {
                return shown;
            }
            let location = shown.header("location").to_owned();
            assert!(location.starts_with('/'), "leads elsewhere: {location}");
            shown = self.get(&location).await;
        }
        panic!("redirects without end")
    }

    /// Submits the first POST form of a page with its first button, as filled in by `fields`; redirects are not followed.
    pub async fn submit(&mut self, page: &Shown, fields: &[(&str, &str)]) -> Shown {
        self.submit_form(page.form(), fields).await
    }

    /// Submits a form as filled in by `fields`; redirects are not followed.
    pub async fn submit_form(
        &mut self,
        (action, mut form): (String, Vec<(String, String)>),
        fields: &[(&str, &str)],
    ) -> Shown {
        for (name, value) in fields {
            form.retain(|(known, _)| known != name);
            form.push(((*name).to_owned(), (*value).to_owned()));
        }
        self.send(Method::POST, &action, Some(&form)).await
    }

    /// Opens the sign-in page and submits it.
    pub async fn sign_in(&mut self, username: &str, password: &str) -> Shown {
        self.t.secret(password);
        let page = self.get("/sign-in").await.expect(200);
        self.submit(&page, &[("username", username), ("password", password)]).await
    }
}

/// What a browser is shown.
#[derive(Debug)]
pub struct Shown {
    pub path: String,
    pub status: StatusCode,
    pub headers: header::HeaderMap,
    pub text: String,
}

impl Shown {
    async fn of(path: &str, response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let shown = Self { path: path.to_owned(), status, headers, text: response.text().await.unwrap() };
        if shown.header("content-type").starts_with("text/html") && !path.starts_with("/docs") {
            check_html(&shown.text);
        }
        shown
    }

    /// A header's value; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts the status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.path, self.text);
        self
    }

    /// Asserts a redirect to this path, which may say that the account comes next.
    #[track_caller]
    pub fn expect_to(&self, location: &str) {
        assert_eq!((self.status.as_u16(), self.leads_to()), (303, location), "{}", self.text);
    }

    /// Where it redirects to, without saying that the account comes next.
    pub fn leads_to(&self) -> &str {
        let location = self.header("location");
        location.strip_suffix("?next=%2Faccount").unwrap_or(location)
    }

    /// Whether this text is on the page.
    pub fn says(&self, text: &str) -> bool {
        unescape(&self.text).contains(text)
    }

    /// The language of the page.
    pub fn language(&self) -> String {
        let html = tags(&self.text).into_iter().find(|tag| tag.name == "html").unwrap();
        html.attributes["lang"].clone()
    }

    /// The action and the filled-in fields of the first POST form.
    pub fn form(&self) -> (String, Vec<(String, String)>) {
        self.form_where(|_| true)
    }

    /// The same of the first POST form with this attribute.
    pub fn form_with(&self, attribute: &str) -> (String, Vec<(String, String)>) {
        self.form_where(|tag| tag.attributes.contains_key(attribute))
    }

    fn form_where(&self, is_meant: impl Fn(&Tag) -> bool) -> (String, Vec<(String, String)>) {
        let mut form = None;
        for tag in tags(&self.text) {
            let of = |name: &str| tag.attributes.get(name).cloned();
            match (&mut form, tag.name.as_str()) {
                (None, "form")
                    if of("method").is_some_and(|m| m.eq_ignore_ascii_case("post")) && is_meant(&tag) =>
                {
                    form = Some((of("action").unwrap_or_else(|| self.path.clone()), Vec::new()));
                }
                (Some((_, fields)), "input") => {
                    let is_box = of("type").is_some_and(|t| t == "checkbox" || t == "radio");
                    if let Some(name) = of("name").filter(|_| !is_box || of("checked").is_some()) {
                        fields.push((name, of("value").unwrap_or_default()));
                    }
                }
                (Some((action, fields)), "button") => {
                    if let Some(name) = of("name") {
                        fields.push((name, of("value").unwrap_or_default()));
                    }
                    return (action.clone(), fields.clone());
                }
                _ => {}
            }
        }
        panic!("{} has no form with a button: {}", self.path, self.text)
    }

    /// The value of an attribute that one element has.
    pub fn attribute(&self, name: &str) -> Option<String> {
        tags(&self.text).into_iter().find_map(|mut tag| tag.attributes.remove(name))
    }
}

/// A page without the challenges that its browser is asked to answer with a passkey, which are random.
pub fn without_challenges(html: &str) -> String {
    let (mut text, mut rest) = (String::new(), html);
    while let Some((before, behind)) = rest.split_once("&#34;challenge&#34;:&#34;") {
        text.push_str(before);
        rest = behind.split_once("&#34;").map_or("", |(_, behind)| behind);
    }
    text + rest
}

struct Tag {
    name: String,
    is_end: bool,
    attributes: BTreeMap<String, String>,
}

fn unescape(text: &str) -> String {
    [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&"), ("&amp;", "&")]
        .into_iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// All tags in order. Panics if the text is not well-formed.
fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = html.strip_prefix("<!doctype html>\n").unwrap();
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        check_text(text);
        let mut quoted = false;
        let end = tag.char_indices().find(|&(_, c)| {
            quoted ^= c == '"';
            c == '>' && !quoted
        });
        let (inside, behind) = (&tag[1..end.unwrap().0], &tag[end.unwrap().0 + 1..]);
        let (is_end, inside) = inside.strip_prefix('/').map_or((false, inside), |inside| (true, inside));
        let (name, mut list) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{inside}");
        let mut attributes = BTreeMap::new();
        while !list.trim_start().is_empty() {
            list = list.trim_start();
            let end = list.find(['=', ' ', '\n']).unwrap_or(list.len());
            let (name, behind) = list.split_at(end);
            let (value, behind) = match behind.strip_prefix("=\"") {
                Some(quoted) => quoted.split_once('"').unwrap(),
                None => ("", behind),
            };
            check_text(value);
            assert!(
                attributes.insert(name.to_owned(), unescape(value)).is_none(),
                "an attribute twice: {inside}"
            );
            list = behind;
        }
        tags.push(Tag { name: name.to_owned(), is_end, attributes });
        rest = behind;
    }
    check_text(rest);
    tags
}

/// Ampersands are those of references.
fn check_text(text: &str) {
    for (at, _) in text.match_indices('&') {
        let reference = text[at..].split_once(';').map_or("", |(reference, _)| reference);
        assert!(reference.len() > 1 && reference.len() < 10, "a bare ampersand: {text}");
    }
}

/// HTML that every browser reads alike and a screen reader can use, without anything inline.
fn check_html(html: &str) {
    let mut open: Vec<String> = Vec::new();
    let (mut ids, mut references, mut headings) = (BTreeSet::new(), Vec::new(), 0);
    for Tag { name, is_end, attributes } in tags(html) {
        if is_end {
            assert_eq!(open.pop().as_ref(), Some(&name), "an end tag without its element: {html}");
            continue;
        }
        for (attribute, value) in &attributes {
            assert!(!attribute.starts_with("on") && attribute != "style", "inline {attribute}: {html}");
            if ["href", "src", "action"].contains(&attribute.as_str()) {
                // An authenticator app on the same device.
                let is_app = attribute == "href" && value.starts_with("otpauth://totp/");
                assert!(is_app || value.starts_with('/') || value.starts_with('#'), "{attribute}={value}");
            }
        }
        if let Some(id) = attributes.get("id") {
            assert!(ids.insert(id.clone()), "the id {id} twice: {html}");
        }
        for reference in ["for", "aria-describedby", "aria-labelledby"] {
            let value = attributes.get(reference).map(String::as_str).unwrap_or_default();
            references.extend(value.split_whitespace().map(str::to_owned));
        }
        match name.as_str() {
            "script" => assert!(attributes.contains_key("src"), "an inline script: {html}"),
            "style" => panic!("an inline style: {html}"),
            "img" => assert!(attributes.contains_key("alt"), "a picture without a text: {html}"),
            "html" => assert!(attributes.contains_key("lang"), "no language: {html}"),
            "h1" => headings += 1,
            _ => {}
        }
        if !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<String>::new(), "elements without an end: {html}");
    assert_eq!(headings, 1, "{html}");
    for reference in references {
        assert!(ids.contains(&reference), "nothing has the id {reference}: {html}");
    }
}
