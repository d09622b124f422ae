//! The OpenAPI document tells the truth: of every operation requests are made from the document, good ones and ones just
//! beyond what it allows, and no response may be other than it says, in status, content type, headers and body.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use crate::authenticators::{Authenticator, with_master_key};
use crate::fixtures::with;
use crate::harness::{Person, T, TestResponse, new_user, password_of};
use schemas::Schemas;

mod schemas;

/// Members and parameters of which more is asked than a schema can say: there must be such a thing, or it must agree with
/// something else. What conforms may be 400 all the same.
const MEANINGFUL: [&str; 30] = [
    "action",
    "cursor",
    "evaluations",
    "expectedCount",
    "externalId",
    "filter",
    "groupId",
    "groups",
    "groupdId",
    "ids",
    "isAdmin",
    "nested",
    "newPassword",
    "objectId",
    "objectType",
    "parentGroupId",
    "permission",
    "permissions",
    "resource",
    "subject",
    // Properties of a client that must agree.
    "grants",
    "kind",
    "partners",
    "pid",
    "postLogoutRedirectUris",
    "redirectUris",
    "requireConsent",
    "requirePkce",
    "scopes",
    "tokenEndpointAuthMethod",
];

/// Operations whose whole body is such a thing: at least a question, one of two members, names of the catalogue.
const MEANINGFUL_BODIES: [&str; 3] = ["evaluate_accesses", "forgot_password", "update_group_wildcards"];

/// Headers that a response has only where the document says so.
const SPECIAL: [&str; 7] =
    ["accept-patch", "etag", "idempotency-replayed", "link", "location", "retry-after", "www-authenticate"];

/// An operation of the document.
#[derive(Clone)]
struct Operation {
    id: String,
    method: Method,
    path: String,
    document: Value,
}

impl Operation {
    fn parameters(&self) -> impl Iterator<Item = &Value> {
        self.document["parameters"].as_array().into_iter().flatten()
    }

    fn takes(&self, name: &str) -> bool {
        self.parameters().any(|parameter| parameter["name"] == name)
    }

    /// The media type of its request bodies, and what the document says of it.
    fn content(&self) -> Option<(&String, &Value)> {
        self.document["requestBody"]["content"].as_object()?.iter().next()
    }
}

/// A request that the document describes.
#[derive(Clone, Default)]
struct Request {
    path: BTreeMap<String, String>,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Option<Value>,
    content_type: Option<String>,
}

/// A server, what is in it, and what was found.
struct Walk<'t> {
    t: &'t T,
    schemas: Schemas,
    admin: Person<'t>,
    operator: Person<'t>,
    robot: (String, String),
    /// A client with two secrets.
    client: String,
    /// What stands in paths and bodies, by name.
    things: BTreeMap<&'static str, i64>,
    fresh: Cell<u32>,
    /// The newest member: whoever changes its own password knows it.
    member: RefCell<String>,
    found: RefCell<BTreeSet<String>>,
    sent: Cell<usize>,
}

impl<'t> Walk<'t> {
    async fn begin(t: &'t T, document: &Value) -> Self {
        let admin = t.admin().await;
        let group = admin.create_group("Walkers").await;
        let user = admin.create_with(&with(&new_user("walker"), json!({ "groups": [group] }))).await;
        let gone = admin.create("gone").await["userId"].as_i64().unwrap();
        admin.delete(&format!("/api/v1/users/{gone}")).await.expect(204);
        let (pid, _) = t.other_partner("beside").await;
        let (client, _) = t.client(1, false).await;
        let secret = admin.post(&format!("/api/v1/clients/{client}/secrets"), &json!({})).await.expect(201);
        t.secret(secret.body["clientSecret"].as_str().unwrap());
        let things = BTreeMap::from([
            ("groupId", group),
            ("userId", user["userId"].as_i64().unwrap()),
            ("gone", gone),
            ("secretId", 1),
            ("pid", pid),
        ]);
        Self {
            t,
            schemas: Schemas::of(document),
            admin,
            operator: t.operator().await,
            robot: t.client(1, true).await,
            client,
            things,
            fresh: Cell::new(0),
            member: RefCell::default(),
            found: RefCell::default(),
            sent: Cell::new(0),
        }
    }

    fn fresh(&self, what: &str) -> String {
        self.fresh.set(self.fresh.get() + 1);
        format!("{what}{}", self.fresh.get())
    }

    /// A request that must succeed.
    async fn base(&self, operation: &Operation, who: &Person<'_>) -> Request {
        let thing = |name: &str| self.things[name];
        let mut request = Request::default();
        if operation.path.starts_with("/api/v1/branding") {
            who.put("/api/v1/branding", &crate::branding::branding()).await.expect(200);
        }
        match operation.id.as_str() {
            "make_own_recovery_codes" | "remove_own_factor" => drop(self.t.add_authenticator(who).await),
            "remove_user_factor" => {
                let (id, ..) = self.t.member_with_authenticator(&self.fresh("member")).await;
                request.path.insert(String::from("userId"), id.to_string());
            }
            _ => {}
        }
        for parameter in operation.parameters() {
            let name = parameter["name"].as_str().unwrap();
            match (parameter["in"].as_str().unwrap(), name) {
                ("path", "userId") if ["restore_user", "erase_user"].contains(&operation.id.as_str()) => {
                    request.path.insert(name.to_owned(), thing("gone").to_string());
                }
                ("path", "sessionId") => {
                    let sessions = if operation.id.contains("own") { "self" } else { "1" };
                    let list = who.get(&format!("/api/v1/users/{sessions}/sessions")).await.expect(200);
                    request
                        .path
                        .insert(name.to_owned(), list.list()[0]["sessionId"].as_str().unwrap().to_owned());
                    request.path.insert(String::from("userId"), String::from("1"));
                }
                ("path", "clientId") => {
                    // One that can get a second secret, or lose one of two.
                    let id = match operation.id.starts_with("add_") {
                        true => self.t.client(1, false).await.0,
                        false => self.client.clone(),
                    };
                    request.path.insert(name.to_owned(), id);
                }
                ("path", "factorId") => drop(request.path.insert(name.to_owned(), String::from("totp"))),
                ("path", "objectType") => drop(request.path.insert(name.to_owned(), String::from("SEGMENT"))),
                ("path", name) => {
                    request.path.entry(name.to_owned()).or_insert_with(|| thing(name).to_string());
                }
                (_, "objectType") => request.query.push((name.to_owned(), String::from("SEGMENT"))),
                (_, "objectId") => request.query.push((name.to_owned(), String::from("563"))),
                (_, "permission") => request.query.push((name.to_owned(), String::from("READ"))),
                (_, "force") => request.query.push((name.to_owned(), String::from("true"))),
                _ => {}
            }
        }
        if let Some((kind, content)) = operation.content() {
            let mut body = content["example"].clone();
            self.adapt(&operation.id, &mut body);
            if operation.id == "confirm_own_factor" {
                let factor = json!({ "factor": "totp" });
                let begun = who.post("/api/v1/users/self/factors", &factor).await.expect(200).body;
                let app = Authenticator::new(self.t, begun["key"].as_str().unwrap());
                body = json!({ "code": app.code(self.t) });
            }
            request.body = Some(body);
            request.content_type = Some(kind.clone());
        }
        request
    }

    /// Makes the example of a body one that can be done here.
    fn adapt(&self, operation: &str, body: &mut Value) {
        let (user, group) = (self.things["userId"], self.things["groupId"]);
        match operation {
            "create_user" | "update_user" | "update_self" => body["username"] = json!(self.fresh("named")),
            "bulk_create_users" => body["users"] = json!([new_user(&self.fresh("named"))]),
            "bulk_patch_users" => *body = json!({ "ids": [user], "patch": body["patch"] }),
            "create_group" | "update_group" => body["name"] = json!(self.fresh("Group")),
            "create_any_client" => drop(body.as_object_mut().unwrap().remove("partners")),
            "update_any_client" | "patch_any_client" => *body = json!({ "name": "Web shop" }),
            "create_partner" | "update_partner" => body["name"] = json!(self.fresh("Partner")),
            "bulk_delete_users" | "add_members" | "remove_members" => *body = json!([user]),
            "bulk_delete_groups" | "bulk_delete_groups_by_delete" => *body = json!([group]),
            "import_users" => *body = json!(format!("{}\n", new_user(&self.fresh("named")))),
            "update_own_password" | "put_own_password" => {
                *body = json!({ "oldPassword": password_of(&self.member.borrow()), "newPassword": "Zy9.Saucer-Quilt-4x" });
                self.t.secret("Zy9.Saucer-Quilt-4x");
            }
            "patch_policy" => *body = json!({ "secondFactor": "optional", "passwordPolicy": null }),
            "issue_token" => *body = json!({ "grant_type": "client_credentials" }),
            "revoke_token" | "introspect_token" => *body = json!({ "token": "at.1.unknown" }),
            _ => {}
        }
        if operation == "create_partner" {
            body["adminUsername"] = json!(self.fresh("named"));
        }
    }

    async fn send(&self, operation: &Operation, request: &Request, who: &Person<'_>) -> TestResponse {
        let mut path = operation.path.clone();
        for (name, value) in &request.path {
            let value: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            path = path.replace(&format!("{{{name}}}"), &value.replace('+', "%20"));
        }
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&request.query).finish();
        if !query.is_empty() {
            path = format!("{path}?{query}");
        }
        let mut sent = who.request(operation.method.clone(), &path);
        for (name, value) in &request.headers {
            sent = sent.header(name, value);
        }
        if operation.path.starts_with("/oauth/") {
            sent = sent.basic_auth(&self.robot.0, Some(&self.robot.1));
        }
        if let (Some(body), Some(kind)) = (&request.body, &request.content_type) {
            let bytes = match (kind.as_str(), body) {
                ("image/png", _) => crate::branding::png(),
                ("application/x-www-form-urlencoded", Value::Object(members)) => {
                    let text =
                        |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let pairs = members.iter().map(|(name, value)| (name, text(value)));
                    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes()
                }
                ("application/x-ndjson" | "text/csv", Value::String(text)) => text.clone().into_bytes(),
                _ => body.to_string().into_bytes(),
            };
            sent = sent.header("content-type", kind).body(bytes);
        }
        self.sent.set(self.sent.get() + 1);
        let response = TestResponse::of(sent.send().await.unwrap()).await;
        for name in ["access_token", "refresh_token", "clientSecret"] {
            response.body[name].as_str().into_iter().for_each(|token| self.t.secret(token));
        }
        response
    }

    fn note(&self, operation: &Operation, what: &str, fault: impl std::fmt::Display) {
        self.found.borrow_mut().insert(format!("{} ({what}): {fault}", operation.id));
    }

    /// Holds a response against the document.
    fn hold(&self, operation: &Operation, what: &str, response: &TestResponse) {
        let status = response.status.as_str();
        let note = |fault: String| self.note(operation, what, format!("{status}, {fault}"));
        let Some(said) = operation.document["responses"].get(status) else {
            return note(format!("is not in the document: {}", response.text));
        };
        let kind = response.header("content-type").split(';').next().unwrap_or_default().trim();
        match (said["content"].as_object(), kind) {
            (None, "") => {}
            (None, kind) => note(format!("has a body of {kind}")),
            (Some(content), kind) => match content.get(kind) {
                None => note(format!("{kind:?} is not in the document")),
                Some(content) if kind == "application/json" || kind.ends_with("+json") => {
                    if let Some(fault) = self.schemas.fault(&content["schema"], &response.body, true) {
                        note(format!("{fault} in {}", response.text));
                    }
                }
                Some(_) => {}
            },
        }
        let headers = said["headers"].as_object().unwrap();
        for (name, header) in headers {
            let header = self.schemas.resolve(header);
            let value = response.header(name);
            if value.is_empty() {
                if header["required"] == true {
                    note(format!("{name} is missing"));
                }
                continue;
            }
            let is_integer = header["schema"]["type"] == "integer";
            let value = if is_integer { value.parse().unwrap_or_default() } else { json!(value) };
            if let Some(fault) = self.schemas.fault(&header["schema"], &value, true) {
                note(format!("{name}: {fault}"));
            }
        }
        let known: BTreeSet<String> = headers.keys().map(|name| name.to_lowercase()).collect();
        for name in SPECIAL.into_iter().filter(|name| response.headers.contains_key(*name)) {
            if !known.contains(name) {
                note(format!("the header {name} is not in the document"));
            }
        }
    }

    /// Sends a request and holds its response against the document: what conforms is not 400, and what does not is refused.
    async fn try_one(
        &self,
        operation: &Operation,
        request: &Request,
        who: &Person<'_>,
        what: &str,
        is_good: bool,
    ) {
        let response = self.send(operation, request, who).await;
        self.hold(operation, what, &response);
        let status = response.status.as_u16();
        let is_meaningful = MEANINGFUL_BODIES.contains(&operation.id.as_str())
            || MEANINGFUL.iter().any(|name| what.split(' ').any(|word| word == *name));
        if is_good && status == 400 && !is_meaningful {
            self.note(operation, what, format!("conforms and is refused: {}", response.text));
        }
        if !is_good && status < 400 {
            self.note(operation, what, format!("does not conform and is accepted: {status}"));
        }
    }

    async fn vary_parameters(&self, operation: &Operation, base: &Request, who: &Person<'_>) {
        for parameter in operation.parameters() {
            let (name, place) = (parameter["name"].as_str().unwrap(), parameter["in"].as_str().unwrap());
            let schema = &parameter["schema"];
            let is_list = schema["type"] == "array";
            let one = if is_list { &schema["items"] } else { schema };
            let without = |request: &mut Request| match place {
                "path" => drop(request.path.remove(name)),
                "query" => request.query.retain(|(own, _)| own != name),
                _ => request.headers.retain(|(own, _)| own != name),
            };
            let is_text = one["type"] == "string";
            let mut seen = BTreeSet::new();
            for (what, value) in self.schemas.vary(one, &Value::Null) {
                let text = match &value {
                    Value::String(text) => text.clone(),
                    Value::Number(number) if !is_text => number.to_string(),
                    Value::Bool(flag) if !is_text => flag.to_string(),
                    _ => continue,
                };
                let fits = match place {
                    "path" => !text.is_empty(),
                    "query" => true,
                    _ => !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b)),
                };
                // User 1 is who asks: with a new password everything else would be refused.
                let is_own = operation.id == "reset_user_password" && text == "1";
                if !fits || is_own || !seen.insert(text.clone()) {
                    continue;
                }
                let mut request = base.clone();
                without(&mut request);
                match place {
                    "path" => drop(request.path.insert(name.to_owned(), text)),
                    "query" => request.query.push((name.to_owned(), text)),
                    _ => request.headers.push((name.to_owned(), text)),
                }
                // A header's value is trimmed on its way.
                let arrives = match &value {
                    Value::String(text) if place == "header" => json!(text.trim()),
                    other => other.clone(),
                };
                let is_good = self.schemas.fault(one, &arrives, false).is_none();
                self.try_one(operation, &request, who, &format!("{place} {name} {what} {value}"), is_good)
                    .await;
            }
            if parameter["required"] == true && place == "query" {
                let mut request = base.clone();
                without(&mut request);
                self.try_one(operation, &request, who, &format!("without {name}"), false).await;
            }
        }
        let mut request = base.clone();
        request.query.push((String::from("nobodyKnowsThis"), String::from("1")));
        self.try_one(operation, &request, who, "an unknown parameter", false).await;
    }

    async fn vary_body(&self, operation: &Operation, base: &Request, who: &Person<'_>) {
        let (Some((kind, content)), Some(body)) = (operation.content(), &base.body) else { return };
        let mut request = base.clone();
        request.content_type = Some(String::from("text/plain"));
        self.try_one(operation, &request, who, "another content type", false).await;
        request.body = None;
        // An import of no rows is one.
        if operation.id != "import_users" {
            self.try_one(operation, &request, who, "no body", false).await;
        }
        let is_form = kind == "application/x-www-form-urlencoded";
        if !kind.ends_with("json") && !is_form || operation.id == "import_users" {
            return;
        }
        let schema = &content["schema"];
        for (what, value) in self.schemas.vary(schema, body) {
            let is_good = is_form || self.schemas.fault(schema, &value, false).is_none();
            if is_form && !value.is_object() {
                continue;
            }
            let mut request = base.clone();
            request.body = Some(self.renamed(operation, value, body));
            let what = format!("body {what}");
            if is_form {
                // What a grant needs is no matter of its schema.
                let response = self.send(operation, &request, who).await;
                self.hold(operation, &what, &response);
            } else {
                self.try_one(operation, &request, who, &what, is_good).await;
            }
        }
    }

    /// A variation that leaves the name of something as it was gets a new one: the name may be taken by now.
    fn renamed(&self, operation: &Operation, mut value: Value, base: &Value) -> Value {
        if operation.takes("dryRun") {
            return value;
        }
        for name in ["username", "name", "adminUsername"] {
            if base.get(name).is_some() && value.get(name) == base.get(name) {
                value[name] = json!(self.fresh("named"));
            }
        }
        value
    }

    /// Who may call an operation.
    async fn caller(&self, operation: &Operation) -> Person<'t> {
        match operation.document["tags"][0].as_str().unwrap() {
            "operator" => self.operator.clone(),
            "oauth" => self.t.anonymous(),
            "self" if operation.id != "forgot_password" => {
                self.member.replace(self.fresh("member"));
                let name = self.member.borrow().clone();
                self.t.member(&name).await.1
            }
            _ => self.admin.clone(),
        }
    }

    async fn walk(&self, operation: &Operation) {
        let who = self.caller(operation).await;
        let mut base = self.base(operation, &who).await;
        if operation.takes("dryRun") {
            base.query.push((String::from("dryRun"), String::from("true")));
        }
        // Its own password is changed and its own sessions end only once: these are done at the end.
        let is_once = operation.id.contains("own_password");
        if !is_once {
            let response = self.send(operation, &base, &who).await;
            self.hold(operation, "as described", &response);
            if !response.status.is_success() {
                self.note(operation, "as described", format!("{} {}", response.status, response.text));
            }
            self.vary_parameters(operation, &base, &who).await;
            self.vary_body(operation, &base, &who).await;
        }
        if operation.path.starts_with("/oauth/") {
            return;
        }
        for (name, person) in [("nobody", self.t.anonymous()), ("a wrong token", self.t.bearer("at.1.x"))] {
            let response = self.send(operation, &base, &person).await;
            self.hold(operation, name, &response);
        }
    }

    /// Does it, and does it again with the key of the first time.
    async fn carry_out(&self, operation: &Operation) {
        let who = self.caller(operation).await;
        let mut base = self.base(operation, &who).await;
        if operation.takes("Idempotency-Key") {
            base.headers.push((String::from("Idempotency-Key"), self.fresh("key")));
            let response = self.send(operation, &base, &who).await;
            self.hold(operation, "for the first time", &response);
        }
        let response = self.send(operation, &base, &who).await;
        self.hold(operation, "done", &response);
        if operation.id.contains("own_password") && response.status != 200 {
            self.note(operation, "done", &response.text);
        }
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                document: operation.clone(),
            });
        }
    }
    // What takes something away comes last.
    all.sort_by_key(|operation| {
        (operation.method == Method::DELETE || operation.id.contains("delete"), operation.id.clone())
    });
    all
}

#[tokio::test]
async fn responses_conform_to_the_document() {
    let t = T::with(|config| {
        with_master_key(config);
        config.forgot_password_per_address = 1_000;
    })
    .await;
    let document = tenantry::router::document();
    let walk = Walk::begin(&t, &document).await;
    let all = operations(&document);
    for operation in &all {
        walk.walk(operation).await;
    }
    for operation in &all {
        walk.carry_out(operation).await;
    }
    let found = walk.found.into_inner();
    let sent = walk.sent.get();
    let shown: Vec<String> = found.iter().map(|one| one.chars().take(400).collect()).collect();
    assert!(found.is_empty(), "{} differences in {sent} requests:\n{}", found.len(), shown.join("\n"));
    assert!(sent > 1_500, "only {sent} requests");
}

/// A tag that is another one, and one that is the present one.
#[tokio::test]
async fn conditions_are_answered_as_described() {
    let t = T::with(with_master_key).await;
    let document = tenantry::router::document();
    let walk = Walk::begin(&t, &document).await;
    for operation in operations(&document) {
        for (header, value, status) in [("If-Match", "\"another\"", 412), ("If-None-Match", "*", 304)] {
            if !operation.takes(header) {
                continue;
            }
            let who = walk.caller(&operation).await;
            let mut request = walk.base(&operation, &who).await;
            request.headers.push((header.to_owned(), value.to_owned()));
            let response = walk.send(&operation, &request, &who).await;
            assert_eq!(response.status, status, "{}: {}", operation.id, response.text);
            walk.hold(&operation, header, &response);
        }
    }
    assert_eq!(walk.found.into_inner(), BTreeSet::new());
}
