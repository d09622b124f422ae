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

use tenantry::config::Config;

use crate::authenticators::with_master_key;
use crate::branding::{branding, png};
use crate::harness::{Person, T, TestResponse, password_of};
pub use kinds::{CallerKind, KINDS};

mod kinds;

/// The golden table. A request names things of partner 1, so another partner's admin gets 404 for it, and 201, 200 or
/// 204 where it names nothing and therefore means the admin's own partner. The operations of `/oauth` know clients, not
/// bearers: the request comes from the public client, and a bearer token beside it is a client that cannot be. The last six
/// have tokens with one scope, `read` or `write`. Browsers and OpenID tokens are in authorization_of_browsers.rs.
#[rustfmt::skip]
pub const TABLE: &[(&str, [u16; 17])] = &[
    //                              nobody exp  memb m-tmp adm a-tmp oth  tech t-adm oper susp a-rd a-wr m-rd m-wr t-rd t-wr
    ("list_users",                  [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    ("create_user",                 [401, 401, 403, 403, 201, 403, 201, 403, 201, 401, 401, 403, 201, 403, 403, 403, 403]),
    ("get_user",                    [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    ("update_user",                 [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 403, 200, 403, 403, 403, 403]),
    ("patch_user",                  [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 403, 200, 403, 403, 403, 403]),
    ("delete_user",                 [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("bulk_delete_users",           [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("list_deleted_users",          [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    ("restore_user",                [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 403, 200, 403, 403, 403, 403]),
    ("erase_user",                  [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("bulk_create_users",           [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401, 403, 200, 403, 403, 403, 403]),
    ("bulk_patch_users",            [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 403, 200, 403, 403, 403, 403]),
    ("import_users",                [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401, 403, 200, 403, 403, 403, 403]),
    ("export_users",                [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    ("reset_user_password",         [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 403, 200, 403, 403, 403, 403]),
    ("get_self",                    [401, 401, 200, 200, 200, 200, 200, 403, 403, 401, 401, 200, 403, 200, 403, 403, 403]),
    ("update_self",                 [401, 401, 200, 403, 200, 403, 200, 403, 403, 401, 401, 403, 200, 403, 200, 403, 403]),
    ("patch_self",                  [401, 401, 200, 403, 200, 403, 200, 403, 403, 401, 401, 403, 200, 403, 200, 403, 403]),
    ("update_own_password",         [401, 401, 200, 200, 200, 200, 200, 403, 403, 401, 401, 403, 200, 403, 200, 403, 403]),
    ("put_own_password",            [401, 401, 200, 200, 200, 200, 200, 403, 403, 401, 401, 403, 200, 403, 200, 403, 403]),
    ("reset_own_password",          [401, 401, 200, 403, 200, 403, 200, 403, 403, 401, 401, 403, 200, 403, 200, 403, 403]),
    ("put_own_password_reset",      [401, 401, 200, 403, 200, 403, 200, 403, 403, 401, 401, 403, 200, 403, 200, 403, 403]),
    ("forgot_password",             [202, 202, 202, 202, 202, 202, 202, 202, 202, 202, 202, 202, 202, 202, 202, 202, 202]),
    ("list_own_sessions",           [401, 401, 200, 403, 200, 403, 200, 403, 403, 401, 401, 200, 403, 200, 403, 403, 403]),
    ("end_own_sessions",            [401, 401, 204, 403, 204, 403, 204, 403, 403, 401, 401, 403, 204, 403, 204, 403, 403]),
    ("end_own_session",             [401, 401, 204, 403, 204, 403, 204, 403, 403, 401, 401, 403, 204, 403, 204, 403, 403]),
    ("list_user_sessions",          [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    ("end_user_sessions",           [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("end_user_session",            [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("list_own_factors",            [401, 401, 200, 403, 200, 403, 200, 403, 403, 401, 401, 200, 403, 200, 403, 403, 403]),
    ("add_own_factor",                  [401, 401, 200, 403, 200, 403, 200, 403, 403, 401, 401, 403, 200, 403, 200, 403, 403]),
    // Nothing is waiting to be confirmed, and there is nothing to recover or remove.
    ("confirm_own_factor",          [401, 401, 404, 403, 404, 403, 404, 403, 403, 401, 401, 403, 404, 403, 404, 403, 403]),
    ("make_own_recovery_codes",         [401, 401, 409, 403, 409, 403, 409, 403, 403, 401, 401, 403, 409, 403, 409, 403, 403]),
    ("remove_own_factor",           [401, 401, 404, 403, 404, 403, 404, 403, 403, 401, 401, 403, 404, 403, 404, 403, 403]),
    ("list_user_factors",           [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    ("remove_user_factors",         [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("remove_user_factor",          [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("get_policy",                  [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    ("patch_policy",                [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401, 403, 200, 403, 403, 403, 403]),
    ("list_groups",                 [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    ("create_group",                [401, 401, 403, 403, 201, 403, 201, 403, 201, 401, 401, 403, 201, 403, 403, 403, 403]),
    ("get_group",                   [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    ("update_group",                [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 403, 200, 403, 403, 403, 403]),
    ("patch_group",                 [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 403, 200, 403, 403, 403, 403]),
    ("delete_group",                [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("bulk_delete_groups",          [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("bulk_delete_groups_by_delete",[401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("add_member",                  [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("remove_member",               [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("add_members",                 [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("remove_members",              [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    // Another partner's group is a fault here, as the source prints.
    ("list_group_permissions",      [401, 401, 403, 403, 200, 403, 400, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    ("update_group_permissions",    [401, 401, 403, 403, 200, 403, 400, 403, 200, 401, 401, 403, 200, 403, 403, 403, 403]),
    ("update_group_wildcards",      [401, 401, 403, 403, 200, 403, 400, 403, 200, 401, 401, 403, 200, 403, 403, 403, 403]),
    ("list_object_types",           [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    ("get_object_type",             [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    // Of another user; members may ask about themselves.
    ("list_user_permissions",       [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    ("list_self_permissions",       [401, 401, 200, 403, 200, 403, 200, 403, 403, 401, 401, 200, 403, 200, 403, 403, 403]),
    ("list_holders",                [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    // About a user of partner 1: who is of another one is told that nobody of that number may do anything.
    ("evaluate_access",             [401, 401, 403, 403, 200, 403, 200, 200, 200, 401, 401, 200, 403, 403, 403, 200, 403]),
    ("evaluate_accesses",           [401, 401, 403, 403, 200, 403, 200, 200, 200, 401, 401, 200, 403, 403, 403, 200, 403]),
    ("list_events",                 [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    ("get_branding",                [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    ("set_branding",                [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401, 403, 200, 403, 403, 403, 403]),
    ("delete_branding",             [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("set_branding_logo",           [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 403, 200, 403, 403, 403, 403]),
    ("delete_branding_logo",        [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("list_partners",               [401, 401, 401, 401, 401, 401, 401, 401, 401, 200, 401, 401, 401, 401, 401, 401, 401]),
    ("create_partner",              [401, 401, 401, 401, 401, 401, 401, 401, 401, 201, 401, 401, 401, 401, 401, 401, 401]),
    ("get_partner",                 [401, 401, 401, 401, 401, 401, 401, 401, 401, 200, 401, 401, 401, 401, 401, 401, 401]),
    ("update_partner",              [401, 401, 401, 401, 401, 401, 401, 401, 401, 200, 401, 401, 401, 401, 401, 401, 401]),
    ("delete_partner",              [401, 401, 401, 401, 401, 401, 401, 401, 401, 204, 401, 401, 401, 401, 401, 401, 401]),
    ("list_clients",                [401, 401, 403, 403, 200, 403, 200, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    ("create_client",               [401, 401, 403, 403, 201, 403, 201, 403, 201, 401, 401, 403, 201, 403, 403, 403, 403]),
    ("get_client",                  [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 200, 403, 403, 403, 403, 403]),
    ("update_client",               [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 403, 200, 403, 403, 403, 403]),
    ("patch_client",                [401, 401, 403, 403, 200, 403, 404, 403, 200, 401, 401, 403, 200, 403, 403, 403, 403]),
    ("delete_client",               [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("add_client_secret",           [401, 401, 403, 403, 201, 403, 404, 403, 201, 401, 401, 403, 201, 403, 403, 403, 403]),
    ("remove_client_secret",        [401, 401, 403, 403, 204, 403, 404, 403, 204, 401, 401, 403, 204, 403, 403, 403, 403]),
    ("list_any_clients",            [401, 401, 401, 401, 401, 401, 401, 401, 401, 200, 401, 401, 401, 401, 401, 401, 401]),
    ("create_any_client",           [401, 401, 401, 401, 401, 401, 401, 401, 401, 201, 401, 401, 401, 401, 401, 401, 401]),
    ("get_any_client",              [401, 401, 401, 401, 401, 401, 401, 401, 401, 200, 401, 401, 401, 401, 401, 401, 401]),
    ("update_any_client",           [401, 401, 401, 401, 401, 401, 401, 401, 401, 200, 401, 401, 401, 401, 401, 401, 401]),
    ("patch_any_client",            [401, 401, 401, 401, 401, 401, 401, 401, 401, 200, 401, 401, 401, 401, 401, 401, 401]),
    ("delete_any_client",           [401, 401, 401, 401, 401, 401, 401, 401, 401, 204, 401, 401, 401, 401, 401, 401, 401]),
    ("add_any_client_secret",       [401, 401, 401, 401, 401, 401, 401, 401, 401, 201, 401, 401, 401, 401, 401, 401, 401]),
    ("remove_any_client_secret",    [401, 401, 401, 401, 401, 401, 401, 401, 401, 204, 401, 401, 401, 401, 401, 401, 401]),
    ("list_any_events",             [401, 401, 401, 401, 401, 401, 401, 401, 401, 200, 401, 401, 401, 401, 401, 401, 401]),
    ("issue_token",                 [200, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("revoke_token",                [200, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401]),
    ("introspect_token",            [400, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401]),
];

/// The body of a request.
enum Body {
    None,
    Json(Value),
    Rows(Value),
    Form(Vec<(&'static str, String)>),
    Png(Vec<u8>),
}

/// A server and what the requests name.
pub struct Stage<'t> {
    pub t: &'t T,
    expired: Person<'t>,
    suspended: Person<'t>,
    robot: (String, String),
    admin_robot: (String, String),
    operator: Person<'t>,
    next: std::cell::Cell<u32>,
}

/// Somebody with the password they logged in with.
pub struct Caller<'t> {
    pub person: Person<'t>,
    pub username: String,
    pub password: String,
}

impl<'t> Stage<'t> {
    pub async fn set(t: &'t T) -> Self {
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
        let made =
            unit::write(&self.t.app.store, &by, move |tx| users::create_and_return_password(tx, &new)).await;
        let (user, password) = made.unwrap();
        (user.user_id.0, username, password.unwrap())
    }

    pub async fn caller(&self, kind: CallerKind) -> Caller<'t> {
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
            Caller { person, username, password: new }
        };
        let without =
            |person: Person<'t>| Caller { person, username: String::new(), password: String::from("x") };
        match kind {
            CallerKind::Nobody => without(self.t.anonymous()),
            CallerKind::ExpiredToken => without(self.expired.clone()),
            CallerKind::Member => ordinary(false).await,
            CallerKind::Admin => ordinary(true).await,
            CallerKind::MemberWithTemporaryPassword | CallerKind::AdminWithTemporaryPassword => {
                let (person, username, password) =
                    restricted(kind == CallerKind::AdminWithTemporaryPassword).await;
                Caller { person, username, password }
            }
            CallerKind::OtherPartnersAdmin => {
                let name = self.fresh("other");
                let (_, person) = self.t.other_partner(&name).await;
                let username = format!("{name}-admin");
                Caller { person, password: password_of(&username), username }
            }
            CallerKind::TechnicalAccount => without(self.t.technical_account(&self.robot).await),
            CallerKind::TechnicalAdmin => without(self.t.technical_account(&self.admin_robot).await),
            CallerKind::Operator => without(self.operator.clone()),
            CallerKind::SuspendedPartnersAdmin => without(self.suspended.clone()),
            CallerKind::ReadingAdmin | CallerKind::WritingAdmin => {
                self.scoped(kind, ordinary(true).await).await
            }
            CallerKind::ReadingMember | CallerKind::WritingMember => {
                self.scoped(kind, ordinary(false).await).await
            }
            CallerKind::ReadingTechnicalAccount | CallerKind::WritingTechnicalAccount => {
                let form = [("grant_type", "client_credentials"), ("scope", scope_of(kind))];
                let response = self.t.form_as(&self.robot, "/oauth/token", &form).await.expect(200);
                without(self.t.bearer(response.body["access_token"].as_str().unwrap()))
            }
        }
    }

    /// The same person with a token of one scope.
    async fn scoped(&self, kind: CallerKind, caller: Caller<'t>) -> Caller<'t> {
        let form = [
            ("grant_type", "password"),
            ("username", caller.username.as_str()),
            ("password", caller.password.as_str()),
            ("scope", scope_of(kind)),
        ];
        let response = self.t.token(&form).await.expect(200);
        Caller { person: self.t.bearer(response.body["access_token"].as_str().unwrap()), ..caller }
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
                // Whoever may only write cannot list them.
                let person = match caller.username.as_str() {
                    "" => caller.person.clone(),
                    username => self.t.login(username, &caller.password).await,
                };
                return (names("/api/v1/users/self/sessions", &person).await, Body::None);
            }
            "remove_own_factor" => return (String::from("totp"), Body::None),
            "remove_user_factor" => {
                let id = self.user(false).await.0;
                self.t.run_sql(&format!("INSERT INTO totp_secrets VALUES (1, {id}, 'sealed.x', 1, 1, 1, 0)"));
                return (both(id, String::from("totp")), Body::None);
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
            | "list_own_factors"
            | "make_own_recovery_codes"
            | "get_policy"
            | "end_own_sessions" => (0, Body::None),
            "add_own_factor" => (0, Body::Json(json!({ "factor": "totp" }))),
            "confirm_own_factor" => (0, Body::Json(json!({ "code": "123456" }))),
            "patch_policy" => (0, Body::Json(json!({ "secondFactor": "optional" }))),
            "get_branding" | "delete_branding" | "delete_branding_logo" => {
                self.brand().await;
                (0, Body::None)
            }
            "set_branding" => (0, Body::Json(branding())),
            "set_branding_logo" => {
                self.brand().await;
                (0, Body::Png(png()))
            }
            "forgot_password" => (0, Body::Json(json!({ "username": "nobody" }))),
            "list_user_sessions" | "end_user_sessions" | "list_user_factors" | "remove_user_factors" => {
                (user().await, Body::None)
            }
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
            "list_clients" | "list_any_clients" | "list_any_events" => (0, Body::None),
            "create_client" | "create_any_client" => {
                (0, Body::Json(json!({ "name": "Shop", "redirectUris": ["https://shop.example/cb"] })))
            }
            "get_client" | "get_any_client" | "delete_client" | "delete_any_client" => {
                return (self.t.client(1, false).await.0, Body::None);
            }
            "update_client" | "update_any_client" | "patch_client" | "patch_any_client" => {
                return (self.t.client(1, false).await.0, Body::Json(json!({ "name": "Shop" })));
            }
            "add_client_secret" | "add_any_client_secret" => {
                return (self.t.client(1, false).await.0, Body::Json(json!({})));
            }
            "remove_client_secret" | "remove_any_client_secret" => {
                let (id, _) = self.t.client(1, false).await;
                let account = self.t.technical_account(&self.admin_robot).await;
                account.post(&format!("/api/v1/clients/{id}/secrets"), &json!({})).await.expect(201);
                return (format!("{id}/1"), Body::None);
            }
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

    /// Gives partner 1 a branding.
    async fn brand(&self) {
        let account = self.t.technical_account(&self.admin_robot).await;
        account.put("/api/v1/branding", &branding()).await.expect(200);
    }

    async fn join(&self, group: i64, user: i64) {
        let account = self.t.technical_account(&self.admin_robot).await;
        account.put(&format!("/api/v1/groups/{group}/users/{user}"), &Value::Null).await.expect(204);
    }

    /// The response to an operation; `spell` writes the path in another way.
    pub async fn status(
        &self,
        operation: &str,
        method: &Method,
        path: &str,
        caller: &Caller<'_>,
        spell: fn(&str) -> String,
    ) -> TestResponse {
        let (id, body) = self.request(operation, caller).await;
        let mut path = path.to_owned();
        // One value for each parameter of the path; a query stands alone.
        for value in id.split('/') {
            path = match path.split_once('{') {
                Some((before, rest)) => format!("{before}{value}{}", rest.split_once('}').unwrap().1),
                None if value.starts_with('?') => format!("{path}{value}"),
                None => path,
            };
        }
        let path = spell(&path);
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
            Body::Png(file) => caller.person.send(method.clone(), &path, Some(file), "image/png").await,
            Body::Form(mut form) => {
                form.push(("client_id", String::from("tenantry")));
                let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
                caller.person.form(&path, &form).await
            }
        }
    }
}

/// The scope of a token that has one.
fn scope_of(kind: CallerKind) -> &'static str {
    match kind {
        CallerKind::ReadingAdmin | CallerKind::ReadingMember | CallerKind::ReadingTechnicalAccount => "read",
        _ => "write",
    }
}

/// Whether a refusal is for want of a scope.
fn lacks_scope(kind: CallerKind, method: &Method, id: &str) -> bool {
    let reads = *method == Method::GET || id.starts_with("evaluate");
    match kind {
        CallerKind::ReadingAdmin | CallerKind::ReadingMember | CallerKind::ReadingTechnicalAccount => !reads,
        CallerKind::WritingAdmin | CallerKind::WritingMember | CallerKind::WritingTechnicalAccount => reads,
        _ => false,
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
pub fn operations() -> Vec<(String, Method, String)> {
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

fn settings(config: &mut Config) {
    with_master_key(config);
    config.login_failures_per_address = 1_000_000;
}

#[tokio::test]
async fn who_may_do_what() {
    let operations = operations();
    let documented: BTreeSet<&str> = operations.iter().map(|(id, ..)| id.as_str()).collect();
    let tabled: BTreeSet<&str> = TABLE.iter().map(|(id, _)| *id).collect();
    assert_eq!(documented, tabled, "the document and TABLE name the same operations");

    let t = T::with(settings).await;
    let stage = Stage::set(&t).await;
    let mut wrong = Vec::new();
    for (id, method, path) in &operations {
        let (_, row) = TABLE.iter().find(|(name, _)| name == id).unwrap();
        for (kind, expected) in KINDS.into_iter().zip(row) {
            let response = stage.status(id, method, path, &stage.caller(kind).await, str::to_owned).await;
            if response.status.as_u16() != *expected {
                wrong.push(format!(
                    "{id} by {kind:?}: {} instead of {expected}: {}",
                    response.status, response.text
                ));
            }
            check_refusal(id, method, kind, &response);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// No other spelling of a path is a way around: doubled slashes, a slash at the end, other prefixes (B1).
#[tokio::test]
async fn who_may_do_what_by_other_spellings_of_the_path() {
    fn spell(path: &str) -> String {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let path = path.replace('/', "//");
        let prefix = if path.starts_with("//api//v1//") { "/portal" } else { "" };
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("{prefix}{path}//{query}")
    }
    let t = T::with(settings).await;
    let stage = Stage::set(&t).await;
    let mut wrong = Vec::new();
    for (id, method, path) in &operations() {
        let (_, row) = TABLE.iter().find(|(name, _)| name == id).unwrap();
        for (kind, expected) in KINDS.into_iter().zip(row) {
            use CallerKind::{Admin, Member, MemberWithTemporaryPassword, Nobody, OtherPartnersAdmin};
            if [Nobody, Member, MemberWithTemporaryPassword, Admin, OtherPartnersAdmin].contains(&kind) {
                let response = stage.status(id, method, path, &stage.caller(kind).await, spell).await;
                if response.status.as_u16() != *expected {
                    wrong.push(format!("{id} by {kind:?}: {} instead of {expected}", response.status));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// That each refusal says why, in the contract's words (B12, B22, B28).
fn check_refusal(id: &str, method: &Method, kind: CallerKind, response: &TestResponse) {
    let code = response.body["code"].as_str().unwrap_or_default();
    match response.status {
        StatusCode::FORBIDDEN => {
            let expected = match kind {
                kind if lacks_scope(kind, method, id) => "insufficient-scope",
                CallerKind::Member | CallerKind::ReadingMember | CallerKind::WritingMember
                    if id.starts_with("evaluate") || id == "list_user_permissions" =>
                {
                    "not-yourself"
                }
                CallerKind::Member | CallerKind::ReadingMember | CallerKind::WritingMember => {
                    "admin-required"
                }
                CallerKind::MemberWithTemporaryPassword | CallerKind::AdminWithTemporaryPassword => {
                    "password-change-required"
                }
                CallerKind::TechnicalAccount
                | CallerKind::TechnicalAdmin
                | CallerKind::ReadingTechnicalAccount
                | CallerKind::WritingTechnicalAccount
                    if id.contains("self") || id.contains("own") =>
                {
                    "no-user"
                }
                CallerKind::TechnicalAccount
                | CallerKind::ReadingTechnicalAccount
                | CallerKind::WritingTechnicalAccount => "technical-account",
                _ => panic!("{id} by {kind:?} is forbidden: {}", response.text),
            };
            assert_eq!(code, expected, "{id} by {kind:?}");
            let challenge = response.header("www-authenticate");
            assert_eq!(challenge.contains("insufficient_scope"), code == "insufficient-scope", "{challenge}");
        }
        StatusCode::UNAUTHORIZED if response.body.get("error").is_none() => {
            let challenge = response.header("www-authenticate");
            match kind {
                CallerKind::Nobody => assert_eq!(challenge, r#"Bearer realm="oauth""#, "{id}"),
                _ => assert!(
                    challenge.starts_with(r#"Bearer realm="oauth", error="invalid_token""#),
                    "{challenge}"
                ),
            }
        }
        _ => {}
    }
}
