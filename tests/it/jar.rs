//! The browser of all tests that need none with a window: it keeps cookies, sends forms as browsers do, and reads HTML. Three
//! files speak through it: page_visitor.rs a step at a time, tabs.rs a form in a line, visitor.rs from page to page until the
//! server leads elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, header};

use crate::harness::{Secrets, T};

/// What a browser keeps and sends.
#[derive(Clone)]
pub struct Jar {
    http: reqwest::Client,
    /// Where it is: scheme, host and port.
    pub origin: String,
    /// Where cookies are noted, which must not be logged.
    secrets: Option<Secrets>,
    pub cookies: BTreeMap<String, String>,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    pub keeps_cookies: bool,
}

impl Jar {
    /// A browser without cookies at a server with this origin.
    pub fn at(origin: &str) -> Self {
        let none = reqwest::redirect::Policy::none();
        Self {
            http: reqwest::Client::builder().no_proxy().redirect(none).build().unwrap(),
            origin: origin.to_owned(),
            secrets: None,
            cookies: BTreeMap::new(),
            headers: vec![
                (String::from("accept"), String::from("text/html,application/xhtml+xml,*/*;q=0.8")),
                (String::from("user-agent"), String::from("Mozilla/5.0 (X11; Linux) Firefox/140.0")),
            ],
            keeps_cookies: true,
        }
    }

    /// A browser without cookies at the server of a test.
    pub fn of(t: &T) -> Self {
        Self { secrets: Some(t.secrets()), ..Self::at(&origin_of(t)) }
    }

    /// The same browser with another header.
    pub fn set_header(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// One request, to a path or an address; redirects are not followed.
    pub async fn send(
        &mut self,
        method: Method,
        to: &str,
        form: Option<&[(String, String)]>,
    ) -> reqwest::Response {
        let url = if to.starts_with('/') { format!("{}{to}", self.origin) } else { to.to_owned() };
        let mut request = self.http.request(method, url);
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
                request =
                    request.header("sec-fetch-site", "same-origin").header(header::ORIGIN, &self.origin);
            }
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        }
        let response = request.send().await.unwrap();
        for line in response.headers().get_all(header::SET_COOKIE) {
            self.keep(line.to_str().unwrap());
        }
        response
    }

    fn keep(&mut self, line: &str) {
        let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
        let (name, value) = pair.split_once('=').unwrap();
        if attributes.split(';').any(|attribute| attribute.trim() == "Max-Age=0") {
            self.cookies.remove(name);
        } else if self.keeps_cookies {
            if let Some(secrets) = self.secrets.as_ref().filter(|_| !name.ends_with("language")) {
                secrets.lock().unwrap().push(value.to_owned());
            }
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// The origin at which a test reaches its server.
pub fn origin_of(t: &T) -> String {
    format!("http://{}", t.address)
}

/// A form of a page that is posted.
#[derive(Debug)]
pub struct HtmlForm {
    pub attributes: BTreeMap<String, String>,
    /// Empty for the page itself.
    pub action: String,
    /// Fields that a browser sends as they are.
    pub inputs: Vec<HtmlInput>,
    /// The name and value of its first button.
    pub button: Option<(String, String)>,
}

#[derive(Debug)]
pub struct HtmlInput {
    pub name: String,
    pub value: String,
    pub autocomplete: String,
}

/// The forms of a page that are posted.
pub fn post_forms(html: &str) -> Vec<HtmlForm> {
    let (mut forms, mut is_inside) = (Vec::new(), false);
    for tag in tags(html) {
        let of = |name: &str| tag.attributes.get(name).cloned();
        match (tag.name.as_str(), is_inside.then(|| forms.last_mut()).flatten()) {
            ("form", _) if tag.is_end => is_inside = false,
            ("form", _) if of("method").is_some_and(|method| method.eq_ignore_ascii_case("post")) => {
                let action = of("action").unwrap_or_default();
                let attributes = tag.attributes.clone();
                forms.push(HtmlForm { attributes, action, inputs: Vec::new(), button: None });
                is_inside = true;
            }
            ("input", Some(HtmlForm { inputs, .. })) => {
                let is_box = of("type").is_some_and(|t| t == "checkbox" || t == "radio");
                if let Some(name) = of("name").filter(|_| !is_box || of("checked").is_some()) {
                    let (value, autocomplete) = (of("value"), of("autocomplete"));
                    inputs.push(HtmlInput {
                        name,
                        value: value.unwrap_or_default(),
                        autocomplete: autocomplete.unwrap_or_default(),
                    });
                }
            }
            ("button", Some(HtmlForm { button: button @ None, .. }))
                if !tag.is_end && of("type").is_none_or(|t| t == "submit") =>
            {
                *button = Some((of("name").unwrap_or_default(), of("value").unwrap_or_default()));
            }
            _ => {}
        }
    }
    forms
}

/// The value of an attribute that one element has.
pub fn attribute_of(html: &str, name: &str) -> Option<String> {
    tags(html).into_iter().find_map(|mut tag| tag.attributes.remove(name))
}

/// The language of a page.
pub fn language_of(html: &str) -> String {
    let html = tags(html).into_iter().find(|tag| tag.name == "html").unwrap();
    html.attributes["lang"].clone()
}

struct Tag {
    name: String,
    is_end: bool,
    attributes: BTreeMap<String, String>,
}

/// Text of HTML as a person sees it.
pub fn unescape(text: &str) -> String {
    const ENTITIES: [(&str, &str); 9] = [
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ];
    let (mut shown, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once('&') {
        shown.push_str(before);
        let reference = &rest[before.len()..];
        let known = ENTITIES.iter().find(|(entity, _)| reference.starts_with(entity));
        let (entity, character) = known.copied().unwrap_or(("&", "&"));
        shown.push_str(character);
        rest = if entity.len() == 1 { behind } else { &reference[entity.len()..] };
    }
    shown + rest
}

/// All tags in order. Panics if the text is not well-formed.
fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = html.strip_prefix("<!doctype html>\n").unwrap_or_else(|| panic!("no page: {html}"));
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

/// Elements without an end tag.
const VOID: [&str; 6] = ["meta", "link", "input", "br", "img", "hr"];

/// HTML that every browser reads alike and a screen reader can use, without anything inline, and with links to this server
/// only, except for the form that is posted to a client.
pub fn check_html(html: &str) {
    let mut open: Vec<String> = Vec::new();
    let (mut ids, mut references, mut headings) = (BTreeSet::new(), Vec::new(), 0);
    for Tag { name, is_end, attributes } in tags(html) {
        if is_end {
            assert_eq!(open.pop().as_ref(), Some(&name), "an end tag without its element: {html}");
            continue;
        }
        for (attribute, value) in &attributes {
            assert!(!attribute.starts_with("on") && attribute != "style", "inline {attribute}: {html}");
            let is_ours = !attributes.contains_key("data-client-form");
            if is_ours && ["href", "src", "action"].contains(&attribute.as_str()) {
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
