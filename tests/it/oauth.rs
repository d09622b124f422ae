//! The token edge: RFC 6749, 7009, 7662; technical accounts (B28); and the `oauth2` crate as a client we did not write.

use oauth2::basic::{BasicClient, BasicTokenType};
use oauth2::{
    AccessToken, AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, IntrospectionUrl, RefreshToken,
    RequestTokenError, ResourceOwnerPassword, ResourceOwnerUsername, RevocationUrl, StandardRevocableToken,
    TokenIntrospectionResponse as _, TokenResponse as _, TokenUrl,
};
use reqwest::{Method, header};
use serde_json::{Value, json};

use tenantry_core::model::PartnerId;
use tenantry_domain::{client_changes, unit};
use tenantry_store::access::Operator;

use crate::harness::{ADMIN_PASSWORD, Person, T, TestResponse, new_user, password_of};

pub const SELF: &str = "/api/v1/users/self";
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The tokens of a login through the public client.
pub async fn tokens_of(t: &T, username: &str, password: &str) -> (String, String) {
    let response = t.try_login(username, password).await.expect(200);
    let text = |name: &str| response.body[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

pub async fn refresh(t: &T, token: &str) -> TestResponse {
    t.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

#[track_caller]
pub fn error(response: &TestResponse, status: u16, code: &str) {
    assert_eq!(
        (response.status.as_u16(), &response.body["error"]),
        (status, &json!(code)),
        "{}",
        response.text
    );
    assert_eq!(response.header("cache-control"), "no-store");
    assert_eq!(response.header("pragma"), "no-cache");
    assert_eq!(response.header("content-type"), "application/json");
    assert!(response.body["error_description"].as_str().is_some_and(|d| !d.is_empty()));
    let challenge = if status == 401 { r#"Basic realm="oauth""# } else { "" };
    assert_eq!(response.header("www-authenticate"), challenge);
}

pub async fn raw(t: &T, path: &str, content_type: &str, body: &str) -> TestResponse {
    t.anonymous().send(Method::POST, path, Some(body.as_bytes().to_vec()), content_type).await
}

#[tokio::test]
async fn invalid_request() {
    let t = T::start().await;
    for body in [
        "client_id=tenantry",
        "client_id=tenantry&grant_type=",
        "client_id=tenantry&grant_type=password",
        "client_id=tenantry&grant_type=password&username=admin",
        "client_id=tenantry&grant_type=password&password=x",
        "client_id=tenantry&grant_type=password&username=admin&password=",
        "client_id=tenantry&grant_type=refresh_token",
        "client_id=tenantry&grant_type=password&grant_type=password&username=admin&password=x",
        "client_id=tenantry&client_id=tenantry&grant_type=password&username=admin&password=x",
        "client_id=tenantry&grant_type=password&username=admin&password=x&extra=1&extra=2",
    ] {
        error(&raw(&t, "/oauth/token", FORM, body).await, 400, "invalid_request");
    }
    let good = format!("client_id=tenantry&grant_type=password&username=admin&password={ADMIN_PASSWORD}");
    for kind in ["", "application/json", "text/plain", "multipart/form-data"] {
        error(&raw(&t, "/oauth/token", kind, &good).await, 400, "invalid_request");
    }
    // Parameters in the URL would be in every log on the way.
    let response = raw(&t, "/oauth/token?grant_type=password", FORM, &good).await;
    error(&response, 400, "invalid_request");
    for path in ["/oauth/revoke", "/oauth/introspect"] {
        error(&raw(&t, path, "application/json", "{}").await, 400, "invalid_request");
    }
    error(&raw(&t, "/oauth/revoke", FORM, "client_id=tenantry").await, 400, "invalid_request");
    // Unknown parameters are ignored (RFC 6749 §3.2); a charset and upper case in the type are fine.
    let kind = "Application/X-WWW-Form-UrlEncoded; charset=UTF-8";
    let response = raw(&t, "/oauth/token", kind, &format!("{good}&extra=1")).await.expect(200);
    for name in ["access_token", "refresh_token"] {
        t.secret(response.body[name].as_str().unwrap());
    }
    t.secret(ADMIN_PASSWORD);
    t.anonymous().get("/oauth/token").await.expect(405);
}

#[tokio::test]
async fn invalid_client() {
    let t = T::start().await;
    let robot = t.client(1, false).await;
    let grant = ("grant_type", "client_credentials");
    let nobody = t.anonymous();
    for form in [
        vec![grant],
        vec![grant, ("client_id", "nobody")],
        vec![grant, ("client_id", "cl.1.unknown"), ("client_secret", "x")],
        vec![grant, ("client_id", &robot.0)],
        vec![grant, ("client_id", &robot.0), ("client_secret", "wrong")],
        // The public client has no secret.
        vec![
            ("grant_type", "password"),
            ("username", "admin"),
            ("password", "x"),
            ("client_id", "tenantry"),
            ("client_secret", "x"),
        ],
    ] {
        for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
            error(&nobody.form(path, &form).await, 401, "invalid_client");
        }
    }
    for client in [(robot.0.as_str(), "wrong"), ("nobody", "x"), ("tenantry", "x"), ("", "")] {
        let client = (client.0.to_owned(), client.1.to_owned());
        error(&t.form_as(&client, "/oauth/token", &[grant]).await, 401, "invalid_client");
    }
    for value in ["Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Bearer x", "Digest x"] {
        let request = nobody
            .request(Method::POST, "/oauth/token")
            .header(header::AUTHORIZATION, value)
            .header(header::CONTENT_TYPE, FORM)
            .body("grant_type=client_credentials");
        error(&TestResponse::of(request.send().await.unwrap()).await, 401, "invalid_client");
    }
}

/// RFC 6749 section 2.3 forbids more than one way, but some clients use two, the vendor's sample client among them.
#[tokio::test]
async fn a_client_that_identifies_itself_twice_must_say_the_same_twice() {
    let t = T::start().await;
    t.member("fenna").await;
    let (robot, other) = (t.client(1, false).await, t.client(1, false).await);
    let (id, secret) = (robot.0.as_str(), robot.1.as_str());
    let password = password_of("fenna");
    let account = vec![("grant_type", "client_credentials")];
    let login = vec![("grant_type", "password"), ("username", "fenna"), ("password", password.as_str())];
    let form = [account[0], ("client_id", id), ("client_secret", secret)];
    let response = t.anonymous().form("/oauth/token", &form).await.expect(200);
    t.secret(response.body["access_token"].as_str().unwrap());
    let refresh_token = {
        let response = t.form_as(&robot, "/oauth/token", &login).await.expect(200);
        response.body["refresh_token"].as_str().unwrap().to_owned()
    };
    let requests = [
        ("/oauth/token", account),
        ("/oauth/token", login),
        ("/oauth/token", vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())]),
        ("/oauth/introspect", vec![("token", "x")]),
        ("/oauth/revoke", vec![("token", "x")]),
    ];
    for (path, form) in &requests {
        for (said, status) in [
            (vec![("client_id", id), ("client_secret", secret)], 200),
            (vec![("client_id", id)], 200),
            (vec![("client_secret", secret)], 200),
            // A parameter without a value counts as left out (section 3.2).
            (vec![("client_id", id), ("client_secret", "")], 200),
            (vec![("client_id", ""), ("client_secret", "")], 200),
            (vec![("client_id", id), ("client_secret", "other")], 400),
            (vec![("client_id", id), ("client_secret", other.1.as_str())], 400),
            (vec![("client_id", other.0.as_str()), ("client_secret", other.1.as_str())], 400),
            (vec![("client_id", other.0.as_str())], 400),
            (vec![("client_id", "tenantry")], 400),
            (vec![("client_secret", "other")], 400),
        ] {
            let form: Vec<_> = form.iter().copied().chain(said.iter().copied()).collect();
            let response = t.form_as(&robot, path, &form).await;
            assert_eq!(response.status, status, "{path} {form:?}: {}", response.text);
            if status == 400 {
                error(&response, 400, "invalid_request");
            }
        }
        // The wrong secret by HTTP Basic stays wrong, whatever the form says.
        for wrong in ["other", ""] {
            let form: Vec<_> =
                form.iter().copied().chain([("client_id", id), ("client_secret", secret)]).collect();
            let response = t.form_as(&(id.to_owned(), wrong.to_owned()), path, &form).await;
            error(&response, 401, "invalid_client");
        }
    }
    // The public client has no secret: empty ones say so as well.
    let public = (String::from("tenantry"), String::new());
    let form = [("grant_type", "password"), ("username", "admin"), ("password", ADMIN_PASSWORD)];
    for said in
        [vec![], vec![("client_id", "tenantry")], vec![("client_id", "tenantry"), ("client_secret", "")]]
    {
        let form: Vec<_> = form.iter().copied().chain(said).collect();
        t.form_as(&public, "/oauth/token", &form).await.expect(200);
    }
    let form: Vec<_> = form.iter().copied().chain([("client_id", id), ("client_secret", secret)]).collect();
    error(&t.form_as(&public, "/oauth/token", &form).await, 400, "invalid_request");
}

/// RFC 6749 section 2.3.1: id and secret are form-encoded before they are joined by a colon.
#[tokio::test]
async fn http_basic_is_form_encoded() {
    let t = T::start().await;
    let robot = t.client(1, false).await;
    let all = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let encoded = (all(&robot.0), all(&robot.1));
    let separators = (robot.0.replace('_', "%5f"), robot.1.clone());
    for client in [encoded, separators] {
        let form =
            [("grant_type", "client_credentials"), ("client_id", &robot.0), ("client_secret", &robot.1)];
        t.form_as(&client, "/oauth/token", &form[..1]).await.expect(200);
        t.form_as(&client, "/oauth/token", &form).await.expect(200);
        // A form is decoded once.
        let twice = [form[0], ("client_id", client.0.as_str())];
        error(&t.form_as(&client, "/oauth/token", &twice).await, 400, "invalid_request");
    }
    let broken = (robot.0.clone(), format!("{}%2", robot.1));
    error(
        &t.form_as(&broken, "/oauth/token", &[("grant_type", "client_credentials")]).await,
        401,
        "invalid_client",
    );
}

#[tokio::test]
async fn the_other_errors_of_rfc_6749() {
    let t = T::start().await;
    let response = t.token(&[("grant_type", "client_credentials")]).await;
    error(&response, 400, "unauthorized_client");
    for grant in ["implicit", "AUTHORIZATION_CODE", "PASSWORD", "urn:ietf:params:oauth:grant-type:jwt-bearer"]
    {
        error(&t.token(&[("grant_type", grant)]).await, 400, "unsupported_grant_type");
    }
    error(&t.try_login("admin", "Wrong.Guess-00x").await, 400, "invalid_grant");
    for token in ["x", "rt.1.x", "rt_1_x", "rt_0_x", "rt_9_x", "rt_1.x", "at_1_x"] {
        error(&refresh(&t, token).await, 400, "invalid_grant");
    }
}

#[tokio::test]
async fn b28_a_refresh_token_works_only_for_its_client() {
    let t = T::start().await;
    t.member("fenna").await;
    let (one, two) = (t.client(1, false).await, t.client(1, true).await);
    let password = password_of("fenna");
    let login = [("grant_type", "password"), ("username", "fenna"), ("password", password.as_str())];
    let response = t.form_as(&one, "/oauth/token", &login).await.expect(200);
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", response.body["refresh_token"].as_str().unwrap()),
    ];
    error(&t.form_as(&two, "/oauth/token", &form).await, 400, "invalid_grant");
    error(&t.token(&form).await, 400, "invalid_grant");
    t.form_as(&one, "/oauth/token", &form).await.expect(200);
    // And one of the public client not for a confidential one.
    let (_, token) = tokens_of(&t, "fenna", &password).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    error(&t.form_as(&one, "/oauth/token", &form).await, 400, "invalid_grant");
    t.token(&form).await.expect(200);
}

#[tokio::test]
async fn b28_a_technical_account_is_no_user() {
    let t = T::start().await;
    let (pid, _) = t.other_partner("other").await;
    let admin = t.admin().await;
    let before = admin.get("/api/v1/users?page=0").await.expect(200).body;
    for is_admin in [false, true] {
        let robot = t.client(1, is_admin).await;
        let form = [("grant_type", "client_credentials")];
        let response = t.form_as(&robot, "/oauth/token", &form).await.expect(200);
        let names: Vec<_> = response.body.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["access_token", "token_type", "expires_in", "scope"], "no refresh token");
        let account = t.technical_account(&robot).await;
        for (method, path, body) in [
            (Method::GET, SELF, None),
            (Method::PUT, "/api/v1/users/self/update", Some(json!({}))),
            (Method::POST, "/api/v1/users/self/update-password", Some(json!({}))),
            (Method::PUT, "/api/v1/users/self/update-password", Some(json!({}))),
            (Method::POST, "/api/v1/users/self/reset-password", None),
            (Method::PUT, "/api/v1/users/self/reset-password", None),
        ] {
            let kind = if body.is_some() { "application/json" } else { "" };
            let response = account
                .send(method.clone(), path, body.map(|b: Value| b.to_string().into_bytes()), kind)
                .await;
            assert_eq!(
                (response.status.as_u16(), &response.body["code"]),
                (403, &json!("no-user")),
                "{method} {path}"
            );
        }
        if is_admin {
            let user = account.create("made-by-robot").await;
            assert_eq!(user["pid"], 1);
            let events = admin.get("/api/v1/events?type=user.created&descending").await.expect(200);
            assert_eq!(events.list()[0]["actor"], format!("client:{}", robot.0));
            // Itself cannot be deleted, so it may delete every user but the last admin (B10).
            account.delete(&format!("/api/v1/users/{}", user["userId"])).await.expect(204);
            assert_eq!(account.delete("/api/v1/users/1").await.expect(409).body["code"], "last-admin");
            account.get(&format!("/api/v1/users/{}", pid + 1)).await.expect(404);
        } else {
            // It asks permission evaluations, and nothing else.
            let question = json!({
                "subject": { "type": "user", "id": "1" }, "action": { "name": "READ" },
                "resource": { "type": "SEGMENT", "id": "1" },
            });
            account.post("/access/v1/evaluation", &question).await.expect(200);
            for path in ["/api/v1/users", "/api/v1/users/1", "/api/v1/groups", "/api/v1/events"] {
                assert_eq!(account.get(path).await.expect(403).body["code"], "technical-account", "{path}");
            }
            assert_eq!(
                account.post("/api/v1/users", &new_user("x")).await.expect(403).body["code"],
                "technical-account"
            );
        }
    }
    // In no list and no count.
    assert_eq!(admin.get("/api/v1/users?page=0").await.expect(200).body["total"], before["total"]);
    assert_eq!(
        admin.get("/api/v1/users").await.expect(200).body.as_array().unwrap().len() as u64,
        before["total"]
    );
}

#[tokio::test]
async fn b28_a_confidential_client_logs_in_users_of_its_own_partner_only() {
    let t = T::start().await;
    let (id, _) = t.member("fenna").await;
    let (pid, _) = t.other_partner("other").await;
    let stranger = t.client(pid, true).await;
    let password = password_of("fenna");
    let login = [("grant_type", "password"), ("username", "fenna"), ("password", password.as_str())];
    for _ in 0..6 {
        let before = t.app.hasher.computed();
        let response = t.form_as(&stranger, "/oauth/token", &login).await;
        error(&response, 400, "invalid_grant");
        assert_eq!(response.body["error_description"], "wrong username or password");
        assert_eq!(t.app.hasher.computed() - before, 1, "as dear as any other refusal");
    }
    // Nor can it lock them.
    let wrong = [("grant_type", "password"), ("username", "fenna"), ("password", "Wrong.Guess-00x")];
    for _ in 0..6 {
        error(&t.form_as(&stranger, "/oauth/token", &wrong).await, 400, "invalid_grant");
    }
    let user = t.admin().await.get(&format!("/api/v1/users/{id}")).await.expect(200).body;
    assert_eq!(user["status"], "ACTIVE");
    let form =
        [("grant_type", "password"), ("username", "other-admin"), ("password", &password_of("other-admin"))];
    t.form_as(&stranger, "/oauth/token", &form).await.expect(200);
}

#[tokio::test]
async fn a_revoked_client_and_its_tokens_lose_access_at_once() {
    let t = T::start().await;
    t.member("fenna").await;
    let robot = t.client(1, true).await;
    let account = t.technical_account(&robot).await;
    account.get("/api/v1/users").await.expect(200);
    let password = password_of("fenna");
    let login = [("grant_type", "password"), ("username", "fenna"), ("password", password.as_str())];
    let response = t.form_as(&robot, "/oauth/token", &login).await.expect(200);
    let fenna = t.bearer(response.body["access_token"].as_str().unwrap());
    fenna.get(SELF).await.expect(200);
    let direct = t.login("fenna", &password).await;

    let (by, id) = (Operator::of_this_machine(), robot.0.clone());
    unit::write(&t.app.store, &by.as_admin_of(PartnerId(1)), move |tx| client_changes::revoke(tx, &id))
        .await
        .unwrap();
    account.get("/api/v1/users").await.expect(401);
    fenna.get(SELF).await.expect(401);
    direct.get(SELF).await.expect(200);
    for form in [
        vec![("grant_type", "client_credentials")],
        login.to_vec(),
        vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", response.body["refresh_token"].as_str().unwrap()),
        ],
    ] {
        error(&t.form_as(&robot, "/oauth/token", &form).await, 401, "invalid_client");
    }
}

#[tokio::test]
async fn clients_of_a_suspended_partner_have_no_access() {
    let t = T::start().await;
    let (pid, _) = t.other_partner("other").await;
    let robot = t.client(pid, true).await;
    let account = t.technical_account(&robot).await;
    account.get("/api/v1/users").await.expect(200);
    let operator = t.operator().await;
    let path = format!("/operator/v1/partners/{pid}");
    operator.patch(&path, &json!({ "suspended": true })).await.expect(200);
    account.get("/api/v1/users").await.expect(401);
    error(
        &t.form_as(&robot, "/oauth/token", &[("grant_type", "client_credentials")]).await,
        401,
        "invalid_client",
    );
    operator.patch(&path, &json!({ "suspended": false })).await.expect(200);
    account.get("/api/v1/users").await.expect(200);
}

/// Sends what the `oauth2` crate wants sent. It asks for https, which a server on loopback does not speak.
fn over_http(
    t: &T,
) -> impl Fn(HttpRequest) -> std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, reqwest::Error>> + Send>>
{
    let (http, address) = (reqwest::Client::builder().no_proxy().build().unwrap(), t.address);
    move |request: HttpRequest| {
        let http = http.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let url = format!("http://{address}{}", parts.uri.path());
            let sent = http.request(parts.method, url).headers(parts.headers).body(body).send().await?;
            let mut response = HttpResponse::new(Vec::new());
            *response.status_mut() = sent.status();
            *response.headers_mut() = sent.headers().clone();
            *response.body_mut() = sent.bytes().await?.to_vec();
            Ok(response)
        })
    }
}

#[tokio::test]
async fn the_oauth2_crate_works_with_the_server() {
    let t = T::start().await;
    t.member("fenna").await;
    let http = over_http(&t);
    let url = |path: &str| format!("https://tenantry.example{path}");
    let public = BasicClient::new(ClientId::new("tenantry".into()))
        .set_auth_type(AuthType::RequestBody)
        .set_token_uri(TokenUrl::new(url("/oauth/token")).unwrap())
        .set_revocation_url(RevocationUrl::new(url("/oauth/revoke")).unwrap());
    let robot = t.client(1, true).await;
    let confidential = BasicClient::new(ClientId::new(robot.0.clone()))
        .set_client_secret(ClientSecret::new(robot.1.clone()))
        .set_token_uri(TokenUrl::new(url("/oauth/token")).unwrap())
        .set_introspection_url(IntrospectionUrl::new(url("/oauth/introspect")).unwrap());

    // password
    let (name, password) =
        (ResourceOwnerUsername::new("fenna".into()), ResourceOwnerPassword::new(password_of("fenna")));
    let granted = public.exchange_password(&name, &password).request_async(&http).await.unwrap();
    assert_eq!(*granted.token_type(), BasicTokenType::Bearer);
    assert_eq!(granted.expires_in().unwrap().as_secs(), 21_600);
    assert_eq!(granted.scopes().unwrap().iter().map(|s| s.as_str()).collect::<Vec<_>>(), ["read", "write"]);
    t.bearer(granted.access_token().secret()).get(SELF).await.expect(200);
    let wrong = ResourceOwnerPassword::new("Wrong.Guess-00x".into());
    let Err(RequestTokenError::ServerResponse(refusal)) =
        public.exchange_password(&name, &wrong).request_async(&http).await
    else {
        panic!("a wrong password must be refused")
    };
    assert_eq!(*refusal.error(), oauth2::basic::BasicErrorResponseType::InvalidGrant);

    // refresh
    let old: RefreshToken = granted.refresh_token().unwrap().clone();
    let fresh = public.exchange_refresh_token(&old).request_async(&http).await.unwrap();
    let access: AccessToken = fresh.access_token().clone();
    t.bearer(access.secret()).get(SELF).await.expect(200);

    // introspection
    let told = confidential.introspect(&access).request_async(&http).await.unwrap();
    assert!(told.active());
    assert_eq!((told.username(), told.client_id().map(|id| id.as_str())), (Some("fenna"), Some("tenantry")));

    // revocation
    let token = StandardRevocableToken::from(fresh.refresh_token().unwrap().clone());
    public.revoke_token(token).unwrap().request_async(&http).await.unwrap();
    t.bearer(access.secret()).get(SELF).await.expect(401);
    assert!(!confidential.introspect(&access).request_async(&http).await.unwrap().active());

    // client_credentials
    let granted = confidential.exchange_client_credentials().request_async(&http).await.unwrap();
    assert!(granted.refresh_token().is_none());
    let account: Person<'_> = t.bearer(granted.access_token().secret());
    account.get("/api/v1/users").await.expect(200);
}
