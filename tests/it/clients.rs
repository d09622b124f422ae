//! OAuth clients: what they are registered for, and who manages them.

use reqwest::Method;
use serde_json::{Value, json};

use tenantry_core::clients::ClientKind;
use tenantry_core::model::PartnerId;
use tenantry_domain::client_changes::{ClientChange, NewClient};

use crate::consents;
use crate::databases::is_postgres;
use crate::fixtures::with;
use crate::harness::{Person, T, TestResponse, password_of};

/// A client with this redirect URI.
pub fn with_uri(kind: ClientKind, uri: &str) -> NewClient {
    let settings = ClientChange {
        name: Some(String::from("shop")),
        redirect_uris: Some(vec![uri.to_owned()]),
        ..ClientChange::default()
    };
    NewClient { kind, settings }
}

/// A row in every table of clients: a product client for one partner, and what a user allows a client.
pub async fn populate(t: &T, person: &Person<'_>, client_id: &str) {
    let mut new = with_uri(ClientKind::Confidential, "https://shop.example/cb");
    new.settings.partners = Some(Some(vec![PartnerId(1)]));
    t.product_client(new).await;
    consents::consent(t, person, client_id).await;
}

pub const CLIENTS: &str = "/api/v1/clients";
const ANY: &str = "/operator/v1/clients";
pub const URI: &str = "https://shop.example/cb";

/// The `client_id` and the secret of a client that was just made.
fn credentials(t: &T, answer: &TestResponse) -> (String, String) {
    let id = answer.body["clientId"].as_str().unwrap().to_owned();
    let secret = answer.body["clientSecret"].as_str().unwrap().to_owned();
    t.secret(&secret);
    (id, secret)
}

/// The status of an introspection, which shows whether a client is authenticated.
async fn knock(t: &T, client: &(String, String)) -> u16 {
    t.form_as(client, "/oauth/introspect", &[("token", "x")]).await.status.as_u16()
}

/// As [`knock`], with the secret in the form.
async fn knock_by_form(t: &T, client: &(String, String)) -> u16 {
    let form = [("token", "x"), ("client_id", &*client.0), ("client_secret", &*client.1)];
    t.anonymous().form("/oauth/introspect", &form).await.status.as_u16()
}

#[tokio::test]
async fn an_admin_makes_changes_and_deletes_a_client() {
    let t = T::start().await;
    let admin = t.admin().await;
    let made = admin.post(CLIENTS, &json!({ "name": "Shop", "redirectUris": [URI] })).await.expect(201);
    let client = credentials(&t, &made);
    assert!(client.0.starts_with("cl_1_"), "{}", client.0);
    let path = format!("{CLIENTS}/{}", client.0);
    assert_eq!(made.header("location"), path);
    assert_eq!(knock(&t, &client).await, 200);
    let shown = admin.get(&path).await.expect(200);
    assert_eq!(shown.header("etag"), made.header("etag"));
    let expected = json!({
        "clientId": client.0, "pid": 1, "name": "Shop", "kind": "confidential", "isAdmin": false,
        "redirectUris": [URI], "postLogoutRedirectUris": [], "grants": ["authorization_code", "refresh_token"],
        "scopes": ["openid", "profile", "email", "phone", "groups", "partner", "offline_access"],
        "idTokenAlg": "RS256", "tokenEndpointAuthMethod": "client_secret",
        "requireConsent": true, "requirePkce": true, "passwordWithoutSecondFactor": false, "partners": null,
        "secrets": shown.body["secrets"], "createdAt": shown.body["createdAt"], "updatedAt": shown.body["createdAt"],
    });
    assert_eq!(shown.body, expected);
    assert_eq!(shown.body["secrets"].as_array().unwrap().len(), 1);
    // What was read can be sent back; only what is given changes.
    let same = admin.put(&path, &shown.body).await.expect(200);
    assert_eq!((same.header("etag"), &same.body), (shown.header("etag"), &shown.body), "unchanged");
    t.clock.advance(1_000);
    let change = json!({ "scopes": ["openid"], "idTokenAlg": "ES256", "requirePkce": false });
    let changed = admin.patch(&path, &change).await.expect(200);
    assert_ne!(changed.header("etag"), shown.header("etag"));
    assert_eq!(changed.body["scopes"], json!(["openid"]));
    assert_eq!(
        (&changed.body["idTokenAlg"], &changed.body["redirectUris"]),
        (&json!("ES256"), &json!([URI]))
    );
    let stale = admin
        .request(Method::PATCH, &path)
        .header("if-match", shown.header("etag"))
        .json(&json!({ "name": "Late" }))
        .send();
    assert_eq!(stale.await.unwrap().status(), 412);
    let known = admin.request(Method::GET, &path).header("if-none-match", changed.header("etag")).send();
    assert_eq!(known.await.unwrap().status(), 304);
    let dry = admin.delete(&format!("{path}?dryRun=true")).await.expect(200);
    assert_eq!(dry.body["status"], 204);
    admin.get(&path).await.expect(200);
    // Another partner's admin does not see it.
    let (_, other) = t.other_partner("other").await;
    for answer in [
        other.get(&path).await,
        other.patch(&path, &json!({ "name": "Mine" })).await,
        other.delete(&path).await,
        other.post(&format!("{path}/secrets"), &json!({})).await,
        other.delete(&format!("{path}/secrets/1")).await,
    ] {
        assert_eq!((answer.expect(404).body["code"]).as_str(), Some("client-not-found"));
    }
    assert_eq!(other.get(CLIENTS).await.expect(200).body["total"], 0);

    admin.delete(&path).await.expect(204);
    assert_eq!(knock(&t, &client).await, 401);
    admin.get(&path).await.expect(404);
    admin.delete(&path).await.expect(404);

    let kinds: Vec<_> = admin
        .events()
        .await
        .into_iter()
        .filter(|event| event["type"].as_str().unwrap().starts_with("client."))
        .map(|event| {
            let text = event.to_string();
            assert!(!text.contains(&client.1) && !text.contains("sha256"), "{text}");
            event["type"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(kinds, ["client.created", "client.updated", "client.revoked"]);
}

#[tokio::test]
async fn clients_are_listed_in_pages() {
    let t = T::start().await;
    let admin = t.admin().await;
    for n in 0..5 {
        admin.post(CLIENTS, &json!({ "name": format!("c{n}") })).await.expect(201);
        t.clock.advance(1);
    }
    for (query, expected) in
        [("", ["c0", "c1", "c2", "c3", "c4"]), ("&descending=true", ["c4", "c3", "c2", "c1", "c0"])]
    {
        let mut names = Vec::new();
        let mut next = format!("{CLIENTS}?pageSize=2{query}");
        while !next.is_empty() {
            let page = admin.get(&next).await.expect(200);
            assert_eq!(page.body["total"], 5);
            names.extend(page.list().iter().map(|client| client["name"].as_str().unwrap().to_owned()));
            assert!(page.list().iter().all(|client| client.get("clientSecret").is_none()));
            next = page.header("link").split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        }
        assert_eq!(names, expected);
    }
}

/// What a client must not be, and what is said about it.
#[tokio::test]
async fn wrong_settings_are_refused_with_the_reason() {
    let t = T::start().await;
    let admin = t.admin().await;
    let operator = t.operator().await;
    let shop = json!({ "name": "Shop", "redirectUris": [URI] });
    let many: Vec<_> = (0..33).map(|n| format!("{URI}{n}")).collect();
    for (change, field, word) in [
        (json!({ "redirectUris": ["javascript:alert(1)"] }), "/redirectUris/0", "javascript"),
        (json!({ "redirectUris": [URI, "https://shop.example/*"] }), "/redirectUris/1", "wildcard"),
        (json!({ "redirectUris": [URI, URI] }), "/redirectUris/1", "already"),
        (json!({ "redirectUris": ["http://shop.example/cb"] }), "/redirectUris/0", "https"),
        (json!({ "redirectUris": ["https://shop.example/cb#x"] }), "/redirectUris/0", "fragment"),
        (json!({ "redirectUris": ["https://u@shop.example/cb"] }), "/redirectUris/0", "user name"),
        (json!({ "redirectUris": ["com.example.app:/cb"] }), "/redirectUris/0", "public client"),
        (json!({ "redirectUris": many }), "/redirectUris", "32"),
        (json!({ "redirectUris": URI }), "/redirectUris", "array"),
        (json!({ "redirectUris": [1] }), "/redirectUris", "array"),
        (json!({ "redirectUris": null }), "/redirectUris", "array"),
        (json!({ "postLogoutRedirectUris": ["/bye"] }), "/postLogoutRedirectUris/0", "absolute"),
        (json!({ "redirectUris": [], "grants": ["authorization_code"] }), "/redirectUris", "at least one"),
        (json!({ "grants": [] }), "/grants", "empty"),
        (json!({ "grants": ["implicit"] }), "/grants", "authorization_code"),
        (json!({ "grants": ["refresh_token"] }), "/grants", "authorization_code or password"),
        (json!({ "scopes": [] }), "/scopes", "at least one"),
        (json!({ "scopes": ["address"] }), "/scopes", "openid"),
        (json!({ "scopes": ["email"] }), "/scopes", "need openid"),
        (json!({ "grants": ["client_credentials"], "scopes": ["openid"] }), "/scopes", "read or write"),
        (json!({ "isAdmin": true }), "/isAdmin", "client_credentials"),
        (json!({ "kind": "public", "requirePkce": false }), "/requirePkce", "always"),
        (json!({ "kind": "public", "grants": ["authorization_code", "password"] }), "/grants", "public"),
        (json!({ "kind": "public", "grants": ["client_credentials"] }), "/grants", "public"),
        (
            json!({ "kind": "public", "tokenEndpointAuthMethod": "client_secret_basic" }),
            "/tokenEndpointAuthMethod",
            "public",
        ),
        (json!({ "tokenEndpointAuthMethod": "none" }), "/tokenEndpointAuthMethod", "public"),
        (
            json!({ "tokenEndpointAuthMethod": "private_key_jwt" }),
            "/tokenEndpointAuthMethod",
            "client_secret",
        ),
        (json!({ "idTokenAlg": "none" }), "/idTokenAlg", "RS256"),
        (json!({ "kind": "hidden" }), "/kind", "public"),
        (json!({ "name": "" }), "/name", "empty"),
        (json!({ "name": null }), "/name", ""),
        (json!({ "partners": [1] }), "/partners", ""),
        (json!({ "clientId": "cl_1_mine" }), "/clientId", "server"),
        (json!({ "secrets": [] }), "/secrets", "server"),
    ] {
        let answer = admin.post(CLIENTS, &with(&shop, change.clone())).await.expect(400);
        let errors = answer.body["errors"].as_array().unwrap();
        let found = errors.iter().find(|error| error["field"] == field);
        let detail = found.and_then(|error| error["detail"].as_str());
        assert!(detail.is_some_and(|detail| detail.contains(word)), "{change}: {}", answer.body);
    }
    for (change, field) in [
        (json!({ "requireConsent": true }), "/requireConsent"),
        (json!({ "grants": ["authorization_code", "password"] }), "/grants"),
        (json!({ "grants": ["authorization_code", "client_credentials"], "scopes": ["read"] }), "/grants"),
        (json!({ "partners": [1, 99] }), "/partners/1"),
        (json!({ "partners": ["1"] }), "/partners"),
        (json!({ "pid": 1, "partners": [1] }), "/partners"),
        (json!({ "redirectUris": [] }), "/redirectUris"),
    ] {
        let answer = operator.post(ANY, &with(&shop, change.clone())).await.expect(400);
        assert!(answer.faults().iter().any(|fault| fault.starts_with(field)), "{change}: {}", answer.body);
    }
    assert!(operator.post(ANY, &with(&shop, json!({ "pid": 99 }))).await.expect(400).text.contains("/pid"));
    assert_eq!(admin.get(CLIENTS).await.expect(200).body["total"], 0, "nothing was made");
    assert_eq!(operator.get(ANY).await.expect(200).body["total"], 0, "nothing was made");
    // What it is cannot be changed.
    let made = admin.post(CLIENTS, &shop).await.expect(201);
    credentials(&t, &made);
    let path = made.header("location").to_owned();
    admin.patch(&path, &json!({ "kind": "public" })).await.expect(400);
    admin.patch(&path, &json!({ "pid": 2 })).await.expect(400);
    admin.put(&path, &json!({ "redirectUris": [URI] })).await.expect(400);
}

#[tokio::test]
async fn a_secret_is_exchanged_for_another_while_both_are_good() {
    let t = T::start().await;
    let admin = t.admin().await;
    let made = admin.post(CLIENTS, &json!({ "name": "Shop" })).await.expect(201);
    let old = credentials(&t, &made);
    let path = format!("{CLIENTS}/{}/secrets", old.0);
    let dry = admin.post(&format!("{path}?dryRun=true"), &json!({})).await.expect(200);
    assert!(!dry.text.contains("clientSecret"), "{}", dry.text);
    admin.post(&path, &json!({ "secret": "mine" })).await.expect(400);
    assert_eq!(admin.delete(&format!("{path}/1")).await.expect(409).body["code"], "last-secret");
    let new = credentials(&t, &admin.post(&path, &json!({})).await.expect(201));
    assert_eq!((knock(&t, &old).await, knock(&t, &new).await), (200, 200));
    assert_eq!(admin.post(&path, &json!({})).await.expect(409).body["code"], "too-many-secrets");
    for wrong in ["3", "0", "x"] {
        let answer = admin.delete(&format!("{path}/{wrong}")).await.expect(404);
        assert_eq!(answer.body["code"], "client-secret-not-found");
    }
    admin.delete(&format!("{path}/1")).await.expect(204);
    assert_eq!((knock(&t, &old).await, knock(&t, &new).await), (401, 200));
    let shown = admin.get(&format!("{CLIENTS}/{}", old.0)).await.expect(200);
    assert_eq!(shown.body["secrets"][0]["secretId"], 2);
    assert_eq!(knock(&t, &(new.0.clone(), String::new())).await, 401, "an empty secret is none");
    // A public client has none.
    let public = json!({ "name": "App", "kind": "public", "redirectUris": [URI] });
    let public = admin.post(CLIENTS, &public).await.expect(201);
    assert_eq!((&public.body["secrets"], public.body.get("clientSecret")), (&json!([]), None));
    let path = format!("{}/secrets", public.header("location"));
    assert_eq!(admin.post(&path, &json!({})).await.expect(409).body["code"], "public-client");
    let client = (public.body["clientId"].as_str().unwrap().to_owned(), String::new());
    assert_eq!(knock_by_form(&t, &client).await, 400, "a public client cannot introspect");
    let form = [("token", "x"), ("client_id", &*client.0)];
    t.anonymous().form("/oauth/revoke", &form).await.expect(200);
    let form = [("token", "x"), ("client_id", &*client.0), ("client_secret", "guess")];
    t.anonymous().form("/oauth/revoke", &form).await.expect(401);
}

/// The secret is told once: not to a repeated request, and not to the database.
#[tokio::test]
async fn a_repeated_request_is_answered_without_the_secret() {
    let t = T::start().await;
    let admin = t.admin().await;
    let ask = async |path: &str, body: Value| {
        let request = admin.request(Method::POST, path).header("idempotency-key", "k").json(&body);
        TestResponse::of(request.send().await.unwrap()).await.expect(201)
    };
    let body = json!({ "name": "Shop", "redirectUris": [URI] });
    let client = credentials(&t, &ask(CLIENTS, body.clone()).await);
    let again = ask(CLIENTS, body).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!((&again.body["clientId"], again.body.get("clientSecret")), (&json!(client.0), None));
    let path = format!("{CLIENTS}/{}/secrets", client.0);
    let second = credentials(&t, &ask(&path, json!({})).await);
    assert_eq!(ask(&path, json!({})).await.body.get("clientSecret"), None);
    assert_eq!(admin.get(CLIENTS).await.expect(200).body["total"], 1);
    for table in ["kept_answers", "clients", "events"] {
        let rows = if is_postgres() { "CAST(r AS TEXT)" } else { "*" };
        for row in t.ask_sql(&format!("SELECT {rows} FROM {table} r")) {
            let row = row.join("|");
            assert!(!row.contains(&client.1) && !row.contains(&second.1), "{table}: {row}");
        }
    }
    let dry = admin.post(&format!("{CLIENTS}?dryRun=true"), &json!({ "name": "Try" })).await.expect(200);
    assert!(dry.body["result"].get("clientSecret").is_none(), "{}", dry.body);
    assert_eq!(admin.get(CLIENTS).await.expect(200).body["total"], 1);
}

#[tokio::test]
async fn a_client_authenticates_only_in_the_way_it_is_registered_for() {
    let t = T::start().await;
    let admin = t.admin().await;
    for (method, by_basic, by_form) in
        [("client_secret", 200, 200), ("client_secret_basic", 200, 401), ("client_secret_post", 401, 200)]
    {
        let body = json!({ "name": "Shop", "tokenEndpointAuthMethod": method });
        let client = credentials(&t, &admin.post(CLIENTS, &body).await.expect(201));
        assert_eq!(
            (knock(&t, &client).await, knock_by_form(&t, &client).await),
            (by_basic, by_form),
            "{method}"
        );
        let wrong = (client.0.clone(), String::from("wrong"));
        assert_eq!((knock(&t, &wrong).await, knock_by_form(&t, &wrong).await), (401, 401), "{method}");
        // An ampersand that is not encoded is part of the secret.
        let longer = (client.0.clone(), format!("{}&x=y", client.1));
        assert_eq!((knock(&t, &longer).await, knock_by_form(&t, &longer).await), (401, 401), "{method}");
        // Without its secret it is nobody.
        let form = [("token", "x"), ("client_id", &*client.0)];
        t.anonymous().form("/oauth/revoke", &form).await.expect(401);
    }
}

#[tokio::test]
async fn a_client_has_only_the_grants_and_scopes_it_is_registered_for() {
    let t = T::start().await;
    let admin = t.admin().await;
    t.member("mia").await;
    let password = password_of("mia");
    let login = [("grant_type", "password"), ("username", "mia"), ("password", &*password)];
    let act = [("grant_type", "client_credentials")];
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", "rt_1_x")];
    let forms: [&[(&str, &str)]; 3] = [&login, &act, &refresh];
    for (grants, expected) in [
        (json!(["password"]), ["", "unauthorized_client", "unauthorized_client"]),
        (json!(["client_credentials"]), ["unauthorized_client", "", "unauthorized_client"]),
        (json!(["password", "refresh_token"]), ["", "unauthorized_client", "invalid_grant"]),
    ] {
        let body = json!({ "name": "Robot", "grants": grants });
        let client = credentials(&t, &admin.post(CLIENTS, &body).await.expect(201));
        for (form, expected) in forms.iter().zip(expected) {
            let answer = t.form_as(&client, "/oauth/token", form).await;
            assert_eq!(
                answer.body["error"].as_str().unwrap_or_default(),
                expected,
                "{grants}: {}",
                answer.body
            );
        }
    }
    // Only for pages.
    let shop = credentials(
        &t,
        &admin.post(CLIENTS, &json!({ "name": "Shop", "redirectUris": [URI] })).await.expect(201),
    );
    for form in [&login[..], &act] {
        assert_eq!(
            t.form_as(&shop, "/oauth/token", form).await.expect(400).body["error"],
            "unauthorized_client"
        );
    }
    // Only to read.
    let body = json!({ "name": "Reader", "scopes": ["read"] });
    let reader = credentials(&t, &admin.post(CLIENTS, &body).await.expect(201));
    for form in [&login[..], &act] {
        for (scope, expected) in
            [("", "read"), ("read", "read"), ("openid", "read"), ("write", ""), ("read write", "")]
        {
            let mut form = form.to_vec();
            form.push(("scope", scope));
            let answer = t.form_as(&reader, "/oauth/token", &form).await;
            assert_eq!(
                answer.body["scope"].as_str().unwrap_or_default(),
                expected,
                "{scope}: {}",
                answer.body
            );
            if expected.is_empty() {
                assert_eq!(answer.body["error"], "invalid_scope");
            }
        }
    }
}

/// A session that was opened through a product client, as one by authorization code is.
pub async fn session_of(t: &T, username: &str, client_id: &str) -> String {
    let password = password_of(username);
    let form = [("grant_type", "password"), ("username", username), ("password", &*password)];
    let token = t.token(&form).await.expect(200).body["access_token"].as_str().unwrap().to_owned();
    t.secret(&token);
    t.run_sql(&format!(
        "UPDATE sessions SET client_id = '{client_id}' WHERE session_id = \
         (SELECT s.session_id FROM sessions s WHERE s.client_id = 'tenantry' ORDER BY s.created_at DESC LIMIT 1)"
    ));
    token
}

#[tokio::test]
async fn a_product_client_is_for_the_partners_it_lists() {
    let t = T::start().await;
    let operator = t.operator().await;
    t.member("mia").await;
    let (pid, _) = t.other_partner("other").await;
    let body = json!({ "name": "Product", "redirectUris": [URI], "partners": [1, pid, 1] });
    let made = operator.post(ANY, &body).await.expect(201);
    let client = credentials(&t, &made);
    assert!(client.0.starts_with("cl_0_"), "{}", client.0);
    assert_eq!((&made.body["pid"], &made.body["partners"]), (&json!(null), &json!([1, pid])));
    assert_eq!(made.body["requireConsent"], false);
    assert_eq!(knock(&t, &client).await, 200);
    // Admins neither see nor change it.
    let admin = t.admin().await;
    admin.get(&format!("{CLIENTS}/{}", client.0)).await.expect(404);
    assert_eq!(admin.get(CLIENTS).await.expect(200).body["total"], 0);

    t.clock.advance(1);
    let token = session_of(&t, "mia", &client.0).await;
    t.bearer(&token).get("/api/v1/users/self").await.expect(200);
    // It introspects what was given to it, and nothing else.
    let active = async |token: &str| {
        t.form_as(&client, "/oauth/introspect", &[("token", token)]).await.expect(200).body["active"] == true
    };
    let others = t.login("mia", &password_of("mia")).await.token.unwrap();
    assert_eq!((active(&token).await, active(&others).await), (true, false));

    // The partner leaves: at once.
    let path = format!("{ANY}/{}", client.0);
    operator.patch(&path, &json!({ "partners": [pid] })).await.expect(200);
    t.bearer(&token).get("/api/v1/users/self").await.expect(401);
    assert!(!active(&token).await);
    t.bearer(&others).get("/api/v1/users/self").await.expect(200);
    let rows = || {
        t.ask_sql(&format!("SELECT count(*) FROM sessions WHERE client_id = '{}'", client.0))[0][0].clone()
    };
    assert_eq!(rows(), "1");
    tenantry_worker::housekeep(&t.app).await.unwrap();
    assert_eq!(rows(), "0", "its sessions are deleted");

    // It is for all, and then revoked: at once.
    operator.patch(&path, &json!({ "partners": null })).await.expect(200);
    t.clock.advance(1);
    let token = session_of(&t, "mia", &client.0).await;
    t.bearer(&token).get("/api/v1/users/self").await.expect(200);
    operator.delete(&path).await.expect(204);
    t.bearer(&token).get("/api/v1/users/self").await.expect(401);
    assert_eq!(knock(&t, &client).await, 401);
    operator.get(&path).await.expect(404);
    operator.delete(&path).await.expect(404);
    assert_eq!(operator.get(ANY).await.expect(200).body["total"], 0);
    tenantry_worker::housekeep(&t.app).await.unwrap();
    assert_eq!(rows(), "0");
    assert_eq!(t.ask_sql("SELECT count(*) FROM product_clients")[0][0], "0");
    let events =
        t.ask_sql("SELECT kind FROM events WHERE pid = 0 AND kind LIKE 'client.%' ORDER BY event_id");
    let events: Vec<_> = events.into_iter().flatten().collect();
    assert_eq!(events, ["client.created", "client.updated", "client.updated", "client.revoked"]);
}

#[tokio::test]
async fn an_operator_manages_the_clients_of_any_partner() {
    let t = T::start().await;
    let operator = t.operator().await;
    let (pid, other) = t.other_partner("other").await;
    let made = operator.post(ANY, &json!({ "name": "Robot", "pid": pid })).await.expect(201);
    let client = credentials(&t, &made);
    assert_eq!(made.body["pid"], pid);
    let path = made.header("location").to_owned();
    operator.patch(&path, &json!({ "name": "Droid" })).await.expect(200);
    assert_eq!(other.get(&format!("{CLIENTS}/{}", client.0)).await.expect(200).body["name"], "Droid");
    assert_eq!(operator.get(&format!("{ANY}?pid={pid}")).await.expect(200).body["total"], 1);
    assert_eq!(operator.get(ANY).await.expect(200).body["total"], 0);
    operator.get(&format!("{ANY}?pid=99")).await.expect(400);
    let second = credentials(&t, &operator.post(&format!("{path}/secrets"), &json!({})).await.expect(201));
    operator.delete(&format!("{path}/secrets/1")).await.expect(204);
    assert_eq!((knock(&t, &client).await, knock(&t, &second).await), (401, 200));
    operator.delete(&path).await.expect(204);
    assert_eq!(knock(&t, &second).await, 401);
    for id in ["cl_1_x", "cl_0_x", "cl_x", "x"] {
        operator.get(&format!("{ANY}/{id}")).await.expect(404);
    }
}

/// Clients of earlier versions keep their ids, and what they could do.
#[tokio::test]
async fn client_ids_of_the_old_form_are_good() {
    let t = T::start().await;
    let mut client = t.client(1, true).await;
    let old = client.0.replace('_', ".");
    t.run_sql(&format!("UPDATE clients SET client_id = '{old}' WHERE client_id = '{}'", client.0));
    client.0 = old;
    let robot = t.technical_account(&client).await;
    robot.get("/api/v1/users/").await.expect(200);
    let admin = t.admin().await;
    admin.patch(&format!("{CLIENTS}/{}", client.0), &json!({ "name": "Old" })).await.expect(200);
    assert_eq!((knock(&t, &client).await, knock_by_form(&t, &client).await), (200, 200));
    admin.delete(&format!("{CLIENTS}/{}", client.0)).await.expect(204);
    robot.get("/api/v1/users/").await.expect(401);
}
