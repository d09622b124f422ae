//! Who may do what: every operation of the OpenAPI document, by every kind of caller, against one table.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use tenantry_core::clock::HOUR;
use tenantry_core::model::{PartnerId, Profile, Status};
use tenantry_core::values;
use tenantry_domain::users::NewUser;
use tenantry_domain::{unit, users};
use tenantry_store::access::Operator;

use crate::harness::{Answer, Person, T, password_of};

/// The kinds of callers, in the order of the columns of [`TABLE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nobody,
    ExpiredToken,
    Member,
    MemberWithTemporaryPassword,
    Admin,
    AdminWithTemporaryPassword,
    OtherPartnersAdmin,
    TechnicalAccount,
    TechnicalAdmin,
    Operator,
    SuspendedPartnersAdmin,
}

const KINDS: [Kind; 11] = [
    Kind::Nobody,
    Kind::ExpiredToken,
    Kind::Member,
    Kind::MemberWithTemporaryPassword,
    Kind::Admin,
    Kind::AdminWithTemporaryPassword,
    Kind::OtherPartnersAdmin,
    Kind::TechnicalAccount,
    Kind::TechnicalAdmin,
    Kind::Operator,
    Kind::SuspendedPartnersAdmin,
];

/// The golden table. A request names things of partner 1, so another partner's admin gets 404 for it, and 201, 200 or
/// 204 where it names nothing and therefore means the admin's own partner. The operations of `/oauth` know clients, not
/// bearers: the request comes from the public client, and a bearer token beside it is a client that cannot be.
#[rustfmt::skip]
const TABLE: &[(&str, [u16; 11])] = &[
    //                              nobody exp  memb m-tmp adm a-tmp oth  tech t-adm oper susp
    ("list_users",                  [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401]),
    ("create_user",                 [401, 401, 403, 403, 201, 403, 201, 403, 201, 401, 401]),
    ("get_user",                    [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401]),
    ("update_user",                 [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401]),
    ("patch_user",                  [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401]),
    ("delete_user",                 [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401]),
    ("bulk_delete_users",           [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401]),
    ("list_deleted_users",          [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401]),
    ("restore_user",                [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401]),
    ("erase_user",                  [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401]),
    ("bulk_create_users",           [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401]),
    ("bulk_patch_users",            [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401]),
    ("import_users",                [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401]),
    ("export_users",                [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401]),
    ("reset_user_password",         [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401]),
    ("get_self",                    [401, 401, 200, 200, 200, 200, 200, 403, 403, 401, 401]),
    ("update_self",                 [401, 401, 200, 403, 200, 403, 200, 403, 403, 401, 401]),
    ("patch_self",                  [401, 401, 200, 403, 200, 403, 200, 403, 403, 401, 401]),
    ("update_own_password",         [401, 401, 200, 200, 200, 200, 200, 403, 403, 401, 401]),
    ("put_own_password",            [401, 401, 200, 200, 200, 200, 200, 403, 403, 401, 401]),
    ("reset_own_password",          [401, 401, 200, 403, 200, 403, 200, 403, 403, 401, 401]),
    ("put_own_password_reset",      [401, 401, 200, 403, 200, 403, 200, 403, 403, 401, 401]),
    ("forgot_password",             [202, 202, 202, 202, 202, 202, 202, 202, 202, 202, 202]),
    ("list_own_sessions",           [401, 401, 200, 403, 200, 403, 200, 403, 403, 401, 401]),
    ("end_own_sessions",            [401, 401, 204, 403, 204, 403, 204, 403, 403, 401, 401]),
    ("end_own_session",             [401, 401, 204, 403, 204, 403, 204, 403, 403, 401, 401]),
    ("list_user_sessions",          [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401]),
    ("end_user_sessions",           [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401]),
    ("end_user_session",            [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401]),
    ("list_groups",                 [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401]),
    ("create_group",                [401, 401, 403, 403, 201, 403, 201, 403, 201, 401, 401]),
    ("get_group",                   [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401]),
    ("update_group",                [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401]),
    ("patch_group",                 [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401]),
    ("delete_group",                [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401]),
    ("bulk_delete_groups",          [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401]),
    ("bulk_delete_groups_by_delete",[401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401]),
    ("add_member",                  [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401]),
    ("remove_member",               [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401]),
    ("add_members",                 [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401]),
    ("remove_members",              [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401]),
    // Another partner's group is a fault here, as the source prints.
    ("list_group_permissions",      [401, 401, 403, 403, 200, 403, 400, 403, 200, 401, 401]),
    ("update_group_permissions",    [401, 401, 403, 403, 200, 403, 400, 403, 200, 401, 401]),
    ("update_group_wildcards",      [401, 401, 403, 403, 200, 403, 400, 403, 200, 401, 401]),
    ("list_object_types",           [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401]),
    ("get_object_type",             [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401]),
    // Of another user; members may ask about themselves.
    ("list_user_permissions",       [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401]),
    ("list_self_permissions",       [401, 401, 200, 403, 200, 403, 200, 403, 403, 401, 401]),
    ("list_holders",                [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401]),
    // About a user of partner 1: who is of another one is told that nobody of that number may do anything.
    ("evaluate_access",             [401, 401, 403, 403, 200, 403, 200, 200, 200, 401, 401]),
    ("evaluate_accesses",           [401, 401, 403, 403, 200, 403, 200, 200, 200, 401, 401]),
    ("list_events",                 [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401]),
    ("list_partners",               [401, 401, 401, 401, 401, 401, 401, 401, 401, 200, 401]),
    ("create_partner",              [401, 401, 401, 401, 401, 401, 401, 401, 401, 201, 401]),
    ("get_partner",                 [401, 401, 401, 401, 401, 401, 401, 401, 401, 200, 401]),
    ("update_partner",              [401, 401, 401, 401, 401, 401, 401, 401, 401, 200, 401]),
    ("delete_partner",              [401, 401, 401, 401, 401, 401, 401, 401, 401, 204, 401]),
    ("issue_token",                 [200, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("revoke_token",                [200, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("introspect_token",            [400, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401]),
];

/// The body of a request.
enum Body {
    None,
    Json(Value),
    Rows(Value),
    Form(Vec<(&'static str, String)>),
}

/// A server and what the requests name.
struct Stage<'t> {
    t: &'t T,
    expired: Person<'t>,
    suspended: Person<'t>,
    robot: (String, String),
    admin_robot: (String, String),
    operator: Person<'t>,
    next: std::cell::Cell<u32>,
}

/// Somebody with the password they logged in with.
struct Caller<'t> {
    person: Person<'t>,
    password: String,
}

impl<'t> Stage<'t> {
    async fn set(t: &'t T) -> Self {
        let expired = t.admin().await;
        t.clock.advance(6 * HOUR);
        let (pid, suspended) = t.other_partner("suspended").await;
        let operator = t.operator().await;
        operator
            .patch(&format!("/operator/v1/partners/{pid}"), &json!({ "suspended": true }))
            .await
            .expect(200);
        let (robot, admin_robot) = (t.client(1, false).await, t.client(1, true).await);
        Self { t, expired, suspended, robot, admin_robot, operator, next: std::cell::Cell::new(0) }
    }

    fn fresh(&self, what: &str) -> String {
        self.next.set(self.next.get() + 1);
        format!("{what}{}", self.next.get())
    }

    /// A new user of partner 1 and its temporary password.
    async fn user(&self, is_admin: bool) -> (i64, String, String) {
        let username = self.fresh("u");
        let new = NewUser {
            username: values::username(&username).unwrap(),
            status: Status::Active,
            profile: Profile {
                first_name: String::from("Fenna"),
                last_name: String::from("Jansen"),
                email: String::from("fenna@example.com"),
                ..Profile::default()
            },
            groups: Vec::new(),
            is_admin,
        };
        let by = Operator::of_this_machine().as_admin_of(PartnerId(1));
        let made = unit::write(&self.t.app.store, &by, move |tx| users::create_and_tell(tx, &new)).await;
        let (user, password) = made.unwrap();
        (user.user_id.0, username, password.unwrap())
    }

    async fn caller(&self, kind: Kind) -> Caller<'t> {
        let restricted = async |is_admin| {
            let (_, username, password) = self.user(is_admin).await;
            let person = self.t.login(&username, &password).await;
            (person, username, password)
        };
        let ordinary = async |is_admin| {
            let (person, username, password) = restricted(is_admin).await;
            let new = password_of(&username);
            let body = json!({ "oldPassword": password, "newPassword": new });
            person.post("/api/v1/users/self/update-password", &body).await.expect(200);
            Caller { person, password: new }
        };
        let without = |person: Person<'t>| Caller { person, password: String::from("x") };
        match kind {
            Kind::Nobody => without(self.t.anonymous()),
            Kind::ExpiredToken => without(self.expired.clone()),
            Kind::Member => ordinary(false).await,
            Kind::Admin => ordinary(true).await,
            Kind::MemberWithTemporaryPassword | Kind::AdminWithTemporaryPassword => {
                let (person, _, password) = restricted(kind == Kind::AdminWithTemporaryPassword).await;
                Caller { person, password }
            }
            Kind::OtherPartnersAdmin => {
                let name = self.fresh("other");
                let (_, person) = self.t.other_partner(&name).await;
                Caller { person, password: password_of(&format!("{name}-admin")) }
            }
            Kind::TechnicalAccount => without(self.t.technical_account(&self.robot).await),
            Kind::TechnicalAdmin => without(self.t.technical_account(&self.admin_robot).await),
            Kind::Operator => without(self.operator.clone()),
            Kind::SuspendedPartnersAdmin => without(self.suspended.clone()),
        }
    }

    /// The smallest valid body of an operation, by this caller, and the values of its path's parameters.
    async fn request(&self, operation: &str, caller: &Caller<'_>) -> (String, Body) {
        let user = async || self.user(false).await.0;
        let group = async || {
            let account = self.t.technical_account(&self.admin_robot).await;
            account.create_group(&self.fresh("group")).await
        };
        let partner = async || {
            let body = json!({ "name": self.fresh("p"), "adminUsername": self.fresh("pa"), "adminEmail": "p@example.com" });
            let made = self.operator.post("/operator/v1/partners", &body).await.expect(201);
            made.body["pid"].as_i64().unwrap()
        };
        let own = || json!({ "status": "ACTIVE", "firstName": "Fenna", "lastName": "Jansen", "email": "fenna@example.com" });
        let named = || {
            let mut body = own();
            body["username"] = json!(self.fresh("named"));
            body
        };
        let names = async |path: &str, person: &Person<'_>| {
            let list = person.get(path).await;
            list.list()
                .first()
                .map_or(String::from("none"), |row| row["sessionId"].as_str().unwrap().to_owned())
        };
        let both = |id: i64, name: String| format!("{id}/{name}");
        match operation {
            "end_own_session" => {
                return (names("/api/v1/users/self/sessions", &caller.person).await, Body::None);
            }
            "end_user_session" => {
                let (id, username, password) = self.user(false).await;
                self.t.login(&username, &password).await;
                let account = self.t.technical_account(&self.admin_robot).await;
                let path = format!("/api/v1/users/{id}/sessions");
                return (both(id, names(&path, &account).await), Body::None);
            }
            _ => {}
        }
        let (id, body) = match operation {
            "import_users" => (0, Body::Rows(named())),
            "list_users"
            | "export_users"
            | "list_groups"
            | "list_events"
            | "list_partners"
            | "get_self"
            | "list_self_permissions"
            | "list_object_types"
            | "list_own_sessions"
            | "end_own_sessions" => (0, Body::None),
            "forgot_password" => (0, Body::Json(json!({ "username": "nobody" }))),
            "list_user_sessions" | "end_user_sessions" => (user().await, Body::None),
            "create_user" => (0, Body::Json(named())),
            "update_user" => (user().await, Body::Json(named())),
            "get_user" | "delete_user" | "reset_user_password" => (user().await, Body::None),
            "bulk_delete_users" => (0, Body::Json(json!([user().await]))),
            "list_deleted_users" => (0, Body::None),
            "restore_user" | "erase_user" => {
                let (id, account) = (user().await, self.t.technical_account(&self.admin_robot).await);
                account.delete(&format!("/api/v1/users/{id}")).await.expect(204);
                (id, Body::None)
            }
            "bulk_create_users" => (0, Body::Json(json!({ "users": [named()] }))),
            "bulk_patch_users" => {
                (0, Body::Json(json!({ "ids": [user().await], "patch": { "title": "T" } })))
            }
            "patch_user" => (user().await, Body::Json(json!({ "lastName": "King" }))),
            "patch_self" => (0, Body::Json(json!({ "lastName": "King" }))),
            "patch_group" => (group().await, Body::Json(json!({ "description": "New" }))),
            "update_self" => (0, Body::Json(own())),
            "update_own_password" | "put_own_password" => (
                0,
                Body::Json(json!({ "oldPassword": caller.password, "newPassword": "Zy9.Saucer-Quilt-4x" })),
            ),
            "reset_own_password" | "put_own_password_reset" => (0, Body::None),
            "create_group" => (0, Body::Json(json!({ "name": self.fresh("g") }))),
            "update_group" => (group().await, Body::Json(json!({ "name": self.fresh("g") }))),
            "get_group" | "delete_group" => (group().await, Body::None),
            "bulk_delete_groups" | "bulk_delete_groups_by_delete" => (0, Body::Json(json!([group().await]))),
            "create_partner" => (
                0,
                Body::Json(
                    json!({ "name": self.fresh("p"), "adminUsername": self.fresh("pa"), "adminEmail": "p@example.com" }),
                ),
            ),
            "get_partner" | "delete_partner" => (partner().await, Body::None),
            "update_partner" => (partner().await, Body::Json(json!({ "suspended": true }))),
            "issue_token" => {
                let (_, username, password) = self.user(false).await;
                (
                    0,
                    Body::Form(vec![
                        ("grant_type", String::from("password")),
                        ("username", username),
                        ("password", password),
                    ]),
                )
            }
            "revoke_token" | "introspect_token" => {
                let (_, username, password) = self.user(false).await;
                let token = self.t.login(&username, &password).await.token.unwrap();
                (0, Body::Form(vec![("token", token)]))
            }
            "add_members" => (group().await, Body::Json(json!([user().await]))),
            "remove_members" => {
                let (group, user) = (group().await, user().await);
                self.join(group, user).await;
                (group, Body::Json(json!([user])))
            }
            "list_group_permissions" => (group().await, Body::None),
            "update_group_permissions" => (
                group().await,
                Body::Json(json!([{ "objectType": "SEGMENT", "objectId": 563, "permissions": ["READ"] }])),
            ),
            "update_group_wildcards" => (group().await, Body::Json(json!(["VIEW_TAGS"]))),
            "list_user_permissions" => (user().await, Body::None),
            "evaluate_access" => (0, Body::Json(question(user().await))),
            "evaluate_accesses" => (0, Body::Json(json!({ "evaluations": [question(user().await)] }))),
            "add_member" => return (format!("{}/{}", group().await, user().await), Body::None),
            "remove_member" => {
                let (group, user) = (group().await, user().await);
                self.join(group, user).await;
                return (format!("{group}/{user}"), Body::None);
            }
            "get_object_type" => return (String::from("SEGMENT"), Body::None),
            "list_holders" => {
                let query = "?objectType=SEGMENT&objectId=563&permission=READ";
                return (String::from(query), Body::None);
            }
            other => panic!("the operation {other} is new: say here how it is called, and in TABLE who may"),
        };
        (id.to_string(), body)
    }

    async fn join(&self, group: i64, user: i64) {
        let account = self.t.technical_account(&self.admin_robot).await;
        account.put(&format!("/api/v1/groups/{group}/users/{user}"), &Value::Null).await.expect(204);
    }

    async fn status(&self, operation: &str, method: &Method, path: &str, kind: Kind) -> Answer {
        let caller = self.caller(kind).await;
        let (id, body) = self.request(operation, &caller).await;
        let mut path = path.to_owned();
        // One value for each parameter of the path; a query stands alone.
        for value in id.split('/') {
            path = match path.split_once('{') {
                Some((before, rest)) => format!("{before}{value}{}", rest.split_once('}').unwrap().1),
                None if value.starts_with('?') => format!("{path}{value}"),
                None => path,
            };
        }
        match body {
            Body::None => caller.person.send(method.clone(), &path, None, "").await,
            Body::Json(body) => {
                caller
                    .person
                    .send(method.clone(), &path, Some(body.to_string().into_bytes()), "application/json")
                    .await
            }
            Body::Rows(row) => {
                let row = Some(row.to_string().into_bytes());
                caller.person.send(method.clone(), &path, row, "application/x-ndjson").await
            }
            Body::Form(mut form) => {
                form.push(("client_id", String::from("tenantry")));
                let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
                caller.person.form(&path, &form).await
            }
        }
    }
}

/// May this user read segment 563?
fn question(user: i64) -> Value {
    json!({
        "subject": { "type": "user", "id": user.to_string() },
        "action": { "name": "READ" },
        "resource": { "type": "SEGMENT", "id": 563 },
    })
}

/// Every operation of the document: its id, method and path.
fn operations() -> Vec<(String, Method, String)> {
    let document = tenantry::router::document();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"]
                .as_str()
                .unwrap_or_else(|| panic!("{method} {path} has no operationId"));
            all.push((id.to_owned(), method.to_uppercase().parse().unwrap(), path.clone()));
        }
    }
    all
}

#[tokio::test]
async fn who_may_do_what() {
    let operations = operations();
    let documented: BTreeSet<&str> = operations.iter().map(|(id, ..)| id.as_str()).collect();
    let tabled: BTreeSet<&str> = TABLE.iter().map(|(id, _)| *id).collect();
    assert_eq!(documented, tabled, "the document and TABLE name the same operations");

    let t = T::with(|config| config.login_failures_per_address = 1_000_000).await;
    let stage = Stage::set(&t).await;
    let mut wrong = Vec::new();
    for (id, method, path) in &operations {
        let (_, row) = TABLE.iter().find(|(name, _)| name == id).unwrap();
        for (kind, expected) in KINDS.into_iter().zip(row) {
            let answer = stage.status(id, method, path, kind).await;
            if answer.status.as_u16() != *expected {
                wrong.push(format!(
                    "{id} by {kind:?}: {} instead of {expected}: {}",
                    answer.status, answer.text
                ));
            }
            check_refusal(id, kind, &answer);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// That each refusal says why, in the contract's words (B12, B22, B28).
fn check_refusal(id: &str, kind: Kind, answer: &Answer) {
    let code = answer.body["code"].as_str().unwrap_or_default();
    match answer.status {
        StatusCode::FORBIDDEN => {
            let expected = match kind {
                Kind::Member if id.starts_with("evaluate") || id == "list_user_permissions" => "not-yourself",
                Kind::Member => "admin-required",
                Kind::MemberWithTemporaryPassword | Kind::AdminWithTemporaryPassword => {
                    "password-change-required"
                }
                Kind::TechnicalAccount | Kind::TechnicalAdmin
                    if id.contains("self") || id.contains("own") =>
                {
                    "no-user"
                }
                Kind::TechnicalAccount => "technical-account",
                _ => panic!("{id} by {kind:?} is forbidden: {}", answer.text),
            };
            assert_eq!(code, expected, "{id} by {kind:?}");
        }
        StatusCode::UNAUTHORIZED if answer.body.get("error").is_none() => {
            let challenge = answer.header("www-authenticate");
            match kind {
                Kind::Nobody => assert_eq!(challenge, r#"Bearer realm="oauth""#, "{id}"),
                _ => assert!(
                    challenge.starts_with(r#"Bearer realm="oauth", error="invalid_token""#),
                    "{challenge}"
                ),
            }
        }
        _ => {}
    }
}
