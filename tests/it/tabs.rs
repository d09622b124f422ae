//! Somebody with a browser without scripts who fills in forms, each in a line.

use reqwest::Method;
use tokio::sync::Mutex;

use crate::harness::{T, TestResponse, password_of};
use crate::jar::{Jar, check_html, post_forms, unescape};

/// A browser of a person.
pub struct Tab<'t> {
    t: &'t T,
    jar: Mutex<Jar>,
}

impl T {
    /// A browser without cookies.
    pub fn tab(&self) -> Tab<'_> {
        Tab { t: self, jar: Mutex::new(Jar::of(self)) }
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
        let form =
            form.map(|form| form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let form: Option<Vec<_>> = form.map(Iterator::collect);
        let answer = TestResponse::of(self.jar.lock().await.send(method, path, form.as_deref()).await).await;
        if answer.header("content-type").starts_with("text/html") {
            check_html(&answer.text);
        }
        answer
    }

    /// The header with the cookie of its session.
    pub fn session_cookie(&self) -> String {
        let jar = self.jar.try_lock().unwrap();
        format!("tenantry={}", jar.cookies["tenantry"])
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
    let mut inputs = post_forms(page).into_iter().flat_map(|form| form.inputs);
    inputs.find(|input| input.name == name).map(|input| input.value)
}

/// Text of HTML as a person sees it.
pub fn unescaped(html: &str) -> String {
    unescape(html)
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
