//! A person with a browser without scripts: cookies, forms, and redirects followed as far as the server leads.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use regex::Regex;
use reqwest::{Method, StatusCode, header};
use url::Url;

use crate::harness::T;

/// A browser without scripts.
pub struct Visitor {
    http: reqwest::Client,
    origin: Url,
    cookies: Mutex<BTreeMap<String, String>>,
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
    inputs: Vec<Input>,
    /// The name and value of its first button.
    button: Option<(String, String)>,
}

#[derive(Debug)]
struct Input {
    name: String,
    value: String,
    autocomplete: String,
}

impl Visitor {
    /// Somebody who has never been there.
    pub fn of(t: &T) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self {
            http: http.build().unwrap(),
            origin: Url::parse(&t.app.config.public_url).unwrap(),
            cookies: Mutex::default(),
        }
    }

    /// Opens an address, absolute or a path.
    pub async fn open(&self, to: &str) -> Page {
        self.go(Method::GET, self.origin.join(to).unwrap(), None).await
    }

    /// Posts a form to an address of the server, as its own pages do.
    pub async fn post(&self, to: &str, fields: &[(&str, &str)]) -> Page {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.go(Method::POST, self.origin.join(to).unwrap(), Some(body)).await
    }

    /// Fills the page's main form, by `autocomplete` or name, and presses its first button.
    pub async fn submit(&self, page: &Page, fields: &[(&str, &str)]) -> Page {
        let form = page.form();
        let body = form.filled(fields);
        self.go(Method::POST, form.action, Some(body)).await
    }

    /// Signs in if the page asks for it, and allows what it is asked next.
    pub async fn sign_in(&self, page: Page, username: &str, password: &str) -> Page {
        assert!(page.asks("current-password"), "{} does not ask for a password:\n{}", page.url, page.html);
        let page = self.submit(&page, &[("username", username), ("current-password", password)]).await;
        if page.url.path() == "/consent" { self.submit(&page, &[]).await } else { page }
    }

    async fn go(&self, mut method: Method, mut url: Url, mut body: Option<String>) -> Page {
        for _ in 0..10 {
            let mut request = self.http.request(method.clone(), url.clone());
            let cookies = self.cookies.lock().unwrap().clone();
            if !cookies.is_empty() {
                let pairs: Vec<String> =
                    cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
                request = request.header(header::COOKIE, pairs.join("; "));
            }
            if let Some(body) = body.take() {
                request = request
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .header(header::ORIGIN, self.origin.origin().ascii_serialization())
                    .header("sec-fetch-site", "same-origin")
                    .body(body);
            }
            let response = request.header(header::ACCEPT, "text/html").send().await.unwrap();
            let (status, headers) = (response.status(), response.headers().clone());
            self.keep(&headers);
            let html = response.text().await.unwrap();
            let Some(to) = headers.get(header::LOCATION).filter(|_| status.is_redirection()) else {
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

    fn keep(&self, headers: &header::HeaderMap) {
        let mut cookies = self.cookies.lock().unwrap();
        for set in headers.get_all(header::SET_COOKIE) {
            let set = set.to_str().unwrap();
            let (pair, attributes) = set.split_once(';').unwrap_or((set, ""));
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.to_ascii_lowercase().replace(' ', "").split(';').any(|a| a == "max-age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
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
            && self.forms().first().is_some_and(|f| f.inputs.iter().any(|i| i.autocomplete == autocomplete))
    }

    /// The page's main form: the first one that is posted.
    #[track_caller]
    pub fn form(&self) -> Form {
        let forms = self.forms();
        forms
            .into_iter()
            .next()
            .unwrap_or_else(|| panic!("{} {} has no form:\n{}", self.status, self.url, self.html))
    }

    fn forms(&self) -> Vec<Form> {
        static FORM: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"(?s)<form\b([^>]*)>(.*?)</form>").unwrap());
        static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?s)<(input|button)\b([^>]*)>").unwrap());
        let mut forms = Vec::new();
        for form in FORM.captures_iter(&self.html) {
            let attributes = attributes(&form[1]);
            let get = |name: &str| attributes.get(name).cloned().unwrap_or_default();
            if !get("method").eq_ignore_ascii_case("post") {
                continue;
            }
            let mut made =
                Form { action: self.url.join(&get("action")).unwrap(), inputs: Vec::new(), button: None };
            for tag in TAG.captures_iter(&form[2]) {
                let attributes = self::attributes(&tag[2]);
                let get = |name: &str| attributes.get(name).cloned().unwrap_or_default();
                if &tag[1] == "button" {
                    if made.button.is_none() && get("type") != "button" {
                        made.button = Some((get("name"), get("value")));
                    }
                } else if !matches!(get("type").as_str(), "checkbox" | "radio")
                    || attributes.contains_key("checked")
                {
                    let (name, value) = (get("name"), get("value"));
                    made.inputs.push(Input { name, value, autocomplete: get("autocomplete") });
                }
            }
            forms.push(made);
        }
        forms
    }
}

impl Form {
    /// The values of all fields, by name.
    pub fn values(&self) -> BTreeMap<String, String> {
        self.inputs.iter().map(|input| (input.name.clone(), input.value.clone())).collect()
    }

    fn filled(&self, fields: &[(&str, &str)]) -> String {
        let mut body = form_urlencoded::Serializer::new(String::new());
        for input in self.inputs.iter().filter(|input| !input.name.is_empty()) {
            let given = fields.iter().find(|(key, _)| {
                input.name == *key || input.autocomplete.split(' ').any(|token| token == *key)
            });
            body.append_pair(&input.name, given.map_or(&input.value, |(_, value)| value));
        }
        if let Some((name, value)) = self.button.as_ref().filter(|(name, _)| !name.is_empty()) {
            body.append_pair(name, value);
        }
        body.finish()
    }
}

fn attributes(tag: &str) -> BTreeMap<String, String> {
    static ATTRIBUTE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"([a-zA-Z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'))?"#).unwrap());
    let unescape = |text: &str| {
        let text =
            text.replace("&quot;", "\"").replace("&#34;", "\"").replace("&#39;", "'").replace("&#x27;", "'");
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&#60;", "<")
            .replace("&#62;", ">")
            .replace("&#38;", "&")
            .replace("&amp;", "&")
    };
    ATTRIBUTE
        .captures_iter(tag)
        .map(|found| {
            let value = found.get(2).or(found.get(3)).map_or("", |value| value.as_str());
            (found[1].to_ascii_lowercase(), unescape(value))
        })
        .collect()
}
