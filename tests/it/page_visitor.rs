//! Somebody with a browser without scripts, a step at a time: redirects are followed only if the test says so. Every page that
//! it is shown is checked to be well-formed HTML.

use std::ops::{Deref, DerefMut};

use reqwest::{Method, StatusCode, header};

use crate::harness::T;
use crate::jar::{HtmlForm, Jar, attribute_of, check_html, language_of, origin_of, post_forms, unescape};

/// The number that the database answers to SQL.
pub fn number(t: &T, sql: &str) -> i64 {
    t.ask_sql(sql)[0][0].parse().unwrap()
}

impl T {
    /// Somebody with a browser that has no cookies yet.
    pub fn browser(&self) -> PageVisitor<'_> {
        PageVisitor { t: self, jar: Jar::of(self) }
    }

    /// Somebody who has signed in on the page, with a permanent password.
    pub async fn signed_in(&self, username: &str, password: &str) -> PageVisitor<'_> {
        let mut browser = self.browser();
        let page = browser.sign_in(username, password).await;
        assert_eq!(page.status, 303, "{}", page.text);
        browser
    }
}

/// See the module. Cookies and headers are those of its jar.
#[derive(Clone)]
pub struct PageVisitor<'t> {
    t: &'t T,
    jar: Jar,
}

impl Deref for PageVisitor<'_> {
    type Target = Jar;

    fn deref(&self) -> &Jar {
        &self.jar
    }
}

impl DerefMut for PageVisitor<'_> {
    fn deref_mut(&mut self) -> &mut Jar {
        &mut self.jar
    }
}

impl<'t> PageVisitor<'t> {
    /// The same browser at another server.
    pub fn at(&self, t: &'t T) -> Self {
        let mut jar = self.jar.clone();
        jar.origin = origin_of(t);
        Self { t, jar }
    }

    /// The same browser with another header.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.jar.set_header(name, value);
        self
    }

    /// The cookie of its session.
    pub fn session_cookie(&self) -> Option<&str> {
        self.cookies.get("tenantry").or_else(|| self.cookies.get("__Host-tenantry")).map(String::as_str)
    }

    /// One request; redirects are not followed.
    pub async fn send(&mut self, method: Method, path: &str, form: Option<&[(String, String)]>) -> Shown {
        Shown::of(path, self.jar.send(method, path, form).await).await
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
        language_of(&self.text)
    }

    /// The action and the filled-in fields of the first POST form, pressed with its first button.
    pub fn form(&self) -> (String, Vec<(String, String)>) {
        self.form_where(|_| true)
    }

    /// The same of the first POST form with this attribute.
    pub fn form_with(&self, attribute: &str) -> (String, Vec<(String, String)>) {
        self.form_where(|form| form.attributes.contains_key(attribute))
    }

    fn form_where(&self, is_meant: impl Fn(&HtmlForm) -> bool) -> (String, Vec<(String, String)>) {
        let form = post_forms(&self.text).into_iter().find(|form| form.button.is_some() && is_meant(form));
        let form = form.unwrap_or_else(|| panic!("{} has no form with a button: {}", self.path, self.text));
        let action = if form.action.is_empty() { self.path.clone() } else { form.action };
        let button = form.button.filter(|(name, _)| !name.is_empty());
        let fields = form.inputs.into_iter().map(|input| (input.name, input.value)).chain(button);
        (action, fields.collect())
    }

    /// The value of an attribute that one element has.
    pub fn attribute(&self, name: &str) -> Option<String> {
        attribute_of(&self.text, name)
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
