//! Somebody with a browser without scripts, from page to page: redirects are followed as far as the server leads, and forms are
//! filled in by what their fields are for.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode, header};
use tokio::sync::Mutex;
use url::Url;

use crate::harness::T;
use crate::jar::{HtmlForm, HtmlInput, Jar, check_html, post_forms};

/// A browser without scripts.
pub struct Visitor {
    origin: Url,
    jar: Mutex<Jar>,
}

/// Where a visitor is: a page of the server, or the address elsewhere that the server has sent the visitor to.
#[derive(Debug)]
pub struct Page {
    pub url: Url,
    /// The status of a page; of the redirect if it leads elsewhere.
    pub status: StatusCode,
    pub html: String,
    is_elsewhere: bool,
}

/// A form of a page.
#[derive(Debug)]
pub struct Form {
    pub action: Url,
    inputs: Vec<HtmlInput>,
    /// The name and value of its first button.
    button: Option<(String, String)>,
}

impl Visitor {
    /// Somebody who has never been there.
    pub fn of(t: &T) -> Self {
        Self::at(&t.app.config.public_url)
    }

    /// Somebody who has never been at the server with this URL.
    pub fn at(url: &str) -> Self {
        let origin = Url::parse(url).unwrap();
        let jar = Jar::at(&origin.origin().ascii_serialization());
        Self { origin, jar: Mutex::new(jar) }
    }

    /// The same browser at the server with another URL.
    pub async fn moved_to(&self, url: &str) -> Self {
        let moved = Self::at(url);
        moved.jar.lock().await.cookies.clone_from(&self.jar.lock().await.cookies);
        moved
    }

    /// Opens an address, absolute or a path.
    pub async fn open(&self, to: &str) -> Page {
        self.go(Method::GET, self.origin.join(to).unwrap(), None).await
    }

    /// Posts a form to an address of the server, as its own pages do.
    pub async fn post(&self, to: &str, fields: &[(&str, &str)]) -> Page {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.go(Method::POST, self.origin.join(to).unwrap(), Some(fields.collect())).await
    }

    /// Fills the page's main form, by `autocomplete` or name, and presses its first button.
    pub async fn submit(&self, page: &Page, fields: &[(&str, &str)]) -> Page {
        let form = page.form();
        let filled = form.filled(fields);
        self.go(Method::POST, form.action, Some(filled)).await
    }

    /// Signs in if the page asks for it, and allows what it is asked next.
    pub async fn sign_in(&self, page: Page, username: &str, password: &str) -> Page {
        assert!(page.asks("current-password"), "{} does not ask for a password:\n{}", page.url, page.html);
        let page = self.submit(&page, &[("username", username), ("current-password", password)]).await;
        if page.url.path() == "/consent" { self.submit(&page, &[]).await } else { page }
    }

    async fn go(&self, mut method: Method, mut url: Url, mut form: Option<Vec<(String, String)>>) -> Page {
        let mut jar = self.jar.lock().await;
        for _ in 0..10 {
            let response = jar.send(method.clone(), url.as_str(), form.take().as_deref()).await;
            let (status, headers) = (response.status(), response.headers().clone());
            let html = response.text().await.unwrap();
            let Some(to) = headers.get(header::LOCATION).filter(|_| status.is_redirection()) else {
                let is_page =
                    headers.get(header::CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"text/html"));
                // An answer in a form leads elsewhere.
                if is_page && !url.path().starts_with("/oauth/authorize") {
                    check_html(&html);
                }
                return Page { url, status, html, is_elsewhere: false };
            };
            assert!(status == 303 || method == Method::GET, "{status} would repeat the {method} to {url}");
            url = url.join(to.to_str().unwrap()).unwrap();
            method = Method::GET;
            if url.origin() != self.origin.origin() {
                return Page { url, status, html, is_elsewhere: true };
            }
        }
        panic!("it goes in circles at {url}");
    }
}

impl Page {
    /// The address elsewhere that the server leads to.
    #[track_caller]
    pub fn elsewhere(&self) -> &Url {
        assert!(self.is_elsewhere, "{} {} is a page of the server:\n{}", self.status, self.url, self.html);
        &self.url
    }

    /// A page of the server.
    #[track_caller]
    pub fn here(self, status: u16) -> Self {
        assert!(!self.is_elsewhere, "it leads to {}", self.url);
        assert_eq!(self.status.as_u16(), status, "{}:\n{}", self.url, self.html);
        self
    }

    /// Whether its main form has a field of this `autocomplete`.
    pub fn asks(&self, autocomplete: &str) -> bool {
        !self.is_elsewhere
            && post_forms(&self.html)
                .first()
                .is_some_and(|form| form.inputs.iter().any(|input| input.autocomplete == autocomplete))
    }

    /// The page's main form: the first one that is posted.
    #[track_caller]
    pub fn form(&self) -> Form {
        let form = post_forms(&self.html).into_iter().next();
        let HtmlForm { action, inputs, button, .. } =
            form.unwrap_or_else(|| panic!("{} {} has no form:\n{}", self.status, self.url, self.html));
        Form { action: self.url.join(&action).unwrap(), inputs, button }
    }
}

impl Form {
    /// The values of all fields, by name.
    pub fn values(&self) -> BTreeMap<String, String> {
        self.inputs.iter().map(|input| (input.name.clone(), input.value.clone())).collect()
    }

    fn filled(&self, fields: &[(&str, &str)]) -> Vec<(String, String)> {
        let inputs = self.inputs.iter().filter(|input| !input.name.is_empty()).map(|input| {
            let given = fields.iter().find(|(key, _)| {
                input.name == *key || input.autocomplete.split(' ').any(|token| token == *key)
            });
            (input.name.clone(), given.map_or(&*input.value, |(_, value)| value).to_owned())
        });
        inputs.chain(self.button.clone().filter(|(name, _)| !name.is_empty())).collect()
    }
}
