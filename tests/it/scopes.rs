//! Scopes (RFC 6749 section 3.3): what is granted, what a token may do with it, and what it is told that it may not.

use reqwest::{Method, header};
use serde_json::json;

use crate::harness::{ADMIN_PASSWORD, Person, T, TestResponse, new_user, password_of};
use crate::oauth::{FORM, SELF, error, raw, refresh};

const LOGIN: [(&str, &str); 3] =
    [("grant_type", "password"), ("username", "admin"), ("password", ADMIN_PASSWORD)];

/// Every `scope` that is not only of known ones, and what is granted for it.
const REQUESTED: [(&str, &str); 18] = [
    ("read", "read"),
    ("write", "write"),
    ("read write", "read write"),
    ("write read", "read write"),
    ("read write ", "read write"),
    (" read", "read"),
    ("read  read", "read"),
    ("read write openid", "read write"),
    ("openid read", "read"),
    ("profile write email", "write"),
    ("openid", "read write"),
    ("openid profile email", "read write"),
    ("offline_access", "read write"),
    ("https://api.example.com/.default", "read write"),
    // Names are compared exactly, and separated by spaces only.
    ("READ", "read write"),
    ("read,write", "read write"),
    (" ", "read write"),
    ("", "read write"),
];

async fn login<'t>(t: &'t T, scope: &str) -> Person<'t> {
    let form: Vec<_> = LOGIN.into_iter().chain([("scope", scope)]).collect();
    let response = t.token(&form).await.expect(200);
    t.bearer(response.body["access_token"].as_str().unwrap())
}

#[track_caller]
fn lacks(scope: &str, response: &TestResponse) {
    assert_eq!(
        (response.status.as_u16(), &response.body["code"]),
        (403, &json!("insufficient-scope")),
        "{}",
        response.text
    );
    assert_eq!(response.header("content-type"), "application/problem+json");
    let challenge = format!(
        "Bearer realm=\"oauth\", error=\"insufficient_scope\", error_description=\"The token lacks the scope {scope}\", \
         scope=\"{scope}\""
    );
    assert_eq!(response.header("www-authenticate"), challenge);
}

#[tokio::test]
async fn unknown_scopes_are_ignored_and_the_response_names_what_was_granted() {
    let t = T::start().await;
    let robot = t.client(1, true).await;
    for (requested, granted) in REQUESTED {
        for (form, is_robot) in
            [(&LOGIN[..], false), (&LOGIN[..], true), (&[("grant_type", "client_credentials")], true)]
        {
            let form: Vec<_> = form.iter().copied().chain([("scope", requested)]).collect();
            let response =
                if is_robot { t.form_as(&robot, "/oauth/token", &form).await } else { t.token(&form).await };
            assert_eq!(response.expect(200).body["scope"], granted, "{requested:?}");
        }
    }
    assert_eq!(t.token(&LOGIN).await.expect(200).body["scope"], "read write");
}

#[tokio::test]
async fn read_is_for_reading_and_write_for_everything_else() {
    let t = T::start().await;
    let (reader, writer) = (login(&t, "read").await, login(&t, "write").await);
    let robot = t.client(1, true).await;
    let account = async |scope: &str| {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        let response = t.form_as(&robot, "/oauth/token", &form).await.expect(200);
        t.bearer(response.body["access_token"].as_str().unwrap())
    };
    let (reading_account, writing_account) = (account("read").await, account("write").await);
    let question = json!({
        "subject": { "type": "user", "id": "1" }, "action": { "name": "READ" },
        "resource": { "type": "SEGMENT", "id": "1" },
    });
    let questions = json!({ "evaluations": [question] });
    for (reader, writer) in [(&reader, &writer), (&reading_account, &writing_account)] {
        for path in [
            "/api/v1/users",
            "/api/v1/users/1",
            "/v1/users/1/",
            "/api/v1/groups",
            "/api/v1/users/export?format=csv",
        ] {
            for method in [Method::GET, Method::HEAD] {
                reader.send(method.clone(), path, None, "").await.expect(200);
                let refused = writer.send(method.clone(), path, None, "").await;
                if method == Method::HEAD {
                    assert_eq!(refused.status, 403);
                    assert!(refused.header("www-authenticate").contains("scope=\"read\""));
                } else {
                    lacks("read", &refused);
                }
            }
        }
        // Sent by POST, but it only reads.
        for (path, body) in [("/access/v1/evaluation", &question), ("/access/v1/evaluations", &questions)] {
            reader.post(path, body).await.expect(200);
            reader.post(&format!("{path}?explain=true"), body).await.expect(200);
            lacks("read", &writer.post(path, body).await);
        }
        let group = json!({ "name": "Team" });
        lacks("write", &reader.post("/api/v1/groups", &group).await);
        // A dry run is a request to write.
        lacks("write", &reader.post("/api/v1/groups?dryRun=true", &group).await);
        // Said before the body is looked at.
        lacks("write", &reader.send(Method::POST, "/api/v1/users", Some(b"{".to_vec()), "text/plain").await);
        let made = writer.post("/api/v1/groups", &group).await.expect(201).body["groupId"].to_string();
        let path = format!("/api/v1/groups/{made}");
        lacks("write", &reader.put(&path, &json!({ "name": "Other" })).await);
        lacks("write", &reader.patch(&path, &json!({ "name": "Other" })).await);
        lacks("write", &reader.delete(&path).await);
        assert_eq!(reader.get(&path).await.expect(200).body["name"], "Team");
        writer.put(&path, &json!({ "name": "Other" })).await.expect(200);
        writer.patch(&path, &json!({ "description": "Another" })).await.expect(200);
        writer.delete(&path).await.expect(204);
    }
    // Of oneself, too.
    reader.get(SELF).await.expect(200);
    lacks("read", &writer.get(SELF).await);
    lacks("write", &reader.delete("/api/v1/users/self/sessions").await);
    lacks("write", &reader.post("/self/reset-password", &json!({})).await);
    // Not even the stored response of another token's request.
    let keyed = async |person: &Person<'_>| {
        let request = person.request(Method::POST, "/api/v1/groups").header("idempotency-key", "k");
        TestResponse::of(request.json(&json!({ "name": "Once" })).send().await.unwrap()).await
    };
    keyed(&writer).await.expect(201);
    assert_eq!(keyed(&writer).await.expect(201).header("idempotency-replayed"), "true");
    lacks("write", &keyed(&reader).await);
    // Revoking needs no scope: a token may always end itself.
    let form = [("client_id", "tenantry"), ("token", reader.token.as_deref().unwrap())];
    t.anonymous().form("/oauth/revoke", &form).await.expect(200);
    reader.get(SELF).await.expect(401);
    // What another reason forbids is forbidden for it once the scope is there.
    let (_, member) = t.member("fenna").await;
    assert_eq!(member.get("/api/v1/users").await.expect(403).header("www-authenticate"), "");
}

#[tokio::test]
async fn a_refresh_may_ask_for_less_and_not_for_more() {
    let t = T::start().await;
    let robot = t.client(1, false).await;
    let log_in = async |scope: &'static str| {
        let form: Vec<_> = LOGIN.into_iter().chain([("scope", scope)]).collect();
        t.token(&form).await.expect(200).body["refresh_token"].as_str().unwrap().to_owned()
    };
    let scoped = async |token: &str, scope: &str| {
        t.token(&[("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)]).await
    };
    let scope_of = async |token: &str| {
        let response = t.form_as(&robot, "/oauth/introspect", &[("token", token)]).await.expect(200);
        response.body["scope"].as_str().unwrap().to_owned()
    };
    let mut token = log_in("read write").await;
    // The access token has less, the refresh token keeps all.
    for (requested, granted) in [
        ("read", "read"),
        ("write", "write"),
        ("", "read write"),
        ("read openid", "read"),
        ("openid email", "read write"),
    ] {
        let response = scoped(&token, requested).await.expect(200);
        assert_eq!(response.body["scope"], granted, "{requested:?}");
        assert_eq!(scope_of(response.body["access_token"].as_str().unwrap()).await, granted);
        // Again at once, with another choice: the same refresh token, and an access token of its own.
        let again = scoped(&token, "read").await.expect(200);
        assert_eq!(
            (&again.body["scope"], &again.body["refresh_token"]),
            (&json!("read"), &response.body["refresh_token"])
        );
        lacks(
            "write",
            &t.bearer(again.body["access_token"].as_str().unwrap()).delete("/self/sessions").await,
        );
        token = response.body["refresh_token"].as_str().unwrap().to_owned();
        assert_eq!(scope_of(&token).await, "read write");
    }
    for (granted, more) in
        [("read", "write"), ("read", "read write"), ("write", "read"), ("write", "openid read")]
    {
        let token = log_in(granted).await;
        error(&scoped(&token, more).await, 400, "invalid_scope");
        // It was not used up.
        let next = scoped(&token, granted).await.expect(200);
        error(&scoped(&token, more).await, 400, "invalid_scope");
        let next = refresh(&t, next.body["refresh_token"].as_str().unwrap()).await.expect(200);
        assert_eq!(next.body["scope"], granted);
        assert_eq!(scope_of(next.body["refresh_token"].as_str().unwrap()).await, granted);
    }
}

/// Across restarts, and beside a server of an earlier version, which stores all scopes with every token.
#[tokio::test]
async fn scopes_are_stored_with_the_session() {
    let t = T::start().await;
    let robot = t.client(1, false).await;
    let reader = login(&t, "read").await.token.unwrap();
    t.run_sql("UPDATE access_tokens SET scopes = 3");
    lacks("write", &t.bearer(&reader).post("/api/v1/users", &new_user("fenna")).await);
    let response = t.form_as(&robot, "/oauth/introspect", &[("token", &reader)]).await.expect(200);
    assert_eq!(response.body["scope"], "read");
    let t = t.restart().await;
    lacks("write", &t.bearer(&reader).post("/api/v1/users", &new_user("fenna")).await);
    t.bearer(&reader).get("/api/v1/users").await.expect(200);
}

#[tokio::test]
async fn a_session_that_must_change_the_password_needs_the_scopes_as_well() {
    let t = T::start().await;
    t.admin().await.create("fenna").await;
    let temporary = t.mailed_password("fenna").await;
    let log_in = async |scope: &str| {
        let form = [
            ("grant_type", "password"),
            ("username", "fenna"),
            ("password", temporary.as_str()),
            ("scope", scope),
        ];
        let response = t.token(&form).await.expect(200);
        assert_eq!(
            (&response.body["passwordChangeRequired"], &response.body["scope"]),
            (&json!(true), &json!(scope))
        );
        t.bearer(response.body["access_token"].as_str().unwrap())
    };
    let (reader, writer) = (log_in("read").await, log_in("write").await);
    let body = json!({ "oldPassword": temporary, "newPassword": password_of("fenna") });
    let path = "/api/v1/users/self/update-password";
    reader.get(SELF).await.expect(200);
    assert_eq!(reader.get("/self/sessions").await.expect(403).body["code"], "password-change-required");
    lacks("write", &reader.post(path, &body).await);
    lacks("read", &writer.get(SELF).await);
    t.secret(&password_of("fenna"));
    writer.post(path, &body).await.expect(200);
    // An ordinary session now, of the same scope.
    writer.patch(SELF, &json!({ "title": "Dr." })).await.expect(200);
    lacks("read", &writer.get(SELF).await);
}

/// RFC 6750 section 2: a token is sent in one way, and that is the header.
#[tokio::test]
async fn a_token_is_sent_once_and_in_the_header() {
    let t = T::start().await;
    let admin = t.admin().await;
    let token = admin.token.as_deref().unwrap();
    for second in [token, "x"] {
        for path in [SELF, "/api/v1/users", "/operator/v1/partners"] {
            // In either order.
            for (one, two) in [(token, second), (second, token)] {
                let request = t.anonymous().request(Method::GET, path);
                let request = request.bearer_auth(one).header(header::AUTHORIZATION, format!("Bearer {two}"));
                let response = TestResponse::of(request.send().await.unwrap()).await.expect(400);
                assert!(
                    response.body["detail"].as_str().unwrap().contains("two Authorization headers"),
                    "{}",
                    response.text
                );
            }
        }
    }
    let basic = t.anonymous().request(Method::POST, "/oauth/token").header(header::CONTENT_TYPE, FORM);
    let basic =
        basic.basic_auth("a", Some("b")).basic_auth("a", Some("b")).body("grant_type=client_credentials");
    TestResponse::of(basic.send().await.unwrap()).await.expect(400);
    // Beside the header, or in its place, where other people read it: in the URL.
    for path in [SELF, "/api/v1/users", "/api/v1/users/1", "/api/v1/groups", "/api/v1/events"] {
        let beside = admin.get(&format!("{path}?access_token={token}")).await.expect(400);
        assert_eq!(beside.faults(), ["access_token unknown-parameter"], "{path}");
        assert!(!beside.text.contains(token));
        t.anonymous().get(&format!("{path}?access_token={token}")).await.expect(401);
    }
    admin.post(&format!("/access/v1/evaluation?access_token={token}"), &json!({})).await.expect(400);
    // Or in a form.
    let form = format!("access_token={token}");
    admin.send(Method::POST, "/api/v1/users", Some(form.clone().into_bytes()), FORM).await.expect(415);
    raw(&t, "/api/v1/users", FORM, &form).await.expect(401);
}
