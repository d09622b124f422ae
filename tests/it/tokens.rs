//! Revocation (RFC 7009) and introspection (RFC 7662) of tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use tenantry_core::clock::{DAY, HOUR};

use crate::harness::{ADMIN_PASSWORD, T, password_of};
use crate::oauth::{SELF, error, refresh, tokens_of};

/// As stored in the database.
fn hash_of(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(tenantry_domain::tokens::hash(token))
}

/// Tokens were `at.<partner>.<random>` in earlier versions: those that were issued then stay valid until they expire.
#[tokio::test]
async fn tokens_have_no_dots_and_those_of_earlier_versions_are_accepted() {
    let t = T::start().await;
    t.member("fenna").await;
    let (access, token) = tokens_of(&t, "fenna", &password_of("fenna")).await;
    let operator = t.operator().await.token.unwrap();
    for (issued, kind) in [(&access, "at_1_"), (&token, "rt_1_"), (&operator, "op_")] {
        assert!(issued.starts_with(kind) && !issued.contains('.'), "{kind}");
    }
    // The separators are a part of what is hashed: the same random part in the other form is another token.
    let dotted = |token: &str| token.replacen('_', ".", 2);
    let old = [dotted(&access), dotted(&token), operator.replacen('_', ".", 1)];
    old.iter().for_each(|token| t.secret(token));
    t.bearer(&old[0]).get(SELF).await.expect(401);
    for (table, issued, old) in [
        ("access_tokens", &access, &old[0]),
        ("refresh_tokens", &token, &old[1]),
        ("operator_tokens", &operator, &old[2]),
    ] {
        let (new, old) = (hash_of(issued), hash_of(old));
        t.run_sql(&format!("UPDATE {table} SET token_hash = '{old}' WHERE token_hash = '{new}'"));
    }
    // The cache of this process knows nothing of what was changed behind its back.
    let t = t.restart().await;
    t.bearer(&access).get(SELF).await.expect(401);
    t.bearer(&old[0]).get(SELF).await.expect(200);
    t.bearer(&old[2]).get("/operator/v1/partners").await.expect(200);
    t.bearer(&operator).get("/operator/v1/partners").await.expect(401);
    // Separators are not mixed, and the partner is the token's.
    for wrong in
        [old[0].replacen('.', "_", 1), access.replacen('_', ".", 1), old[0].replacen(".1.", ".2.", 1)]
    {
        t.secret(&wrong);
        t.bearer(&wrong).get(SELF).await.expect(401);
    }
    error(&refresh(&t, &token).await, 400, "invalid_grant");
    let next = refresh(&t, &old[1]).await.expect(200);
    assert!(next.body["refresh_token"].as_str().unwrap().starts_with("rt_1_"));
    t.clock.advance(DAY);
    t.bearer(&old[0]).get(SELF).await.expect(401);
}

#[tokio::test]
async fn rfc_7009_a_revoked_token_ends_its_session() {
    let t = T::start().await;
    let (id, _) = t.member("fenna").await;
    let revoke = async |token: &str| {
        t.anonymous().form("/oauth/revoke", &[("client_id", "tenantry"), ("token", token)]).await
    };
    for which in ["access", "refresh"] {
        let (access, token) = tokens_of(&t, "fenna", &password_of("fenna")).await;
        t.bearer(&access).get(SELF).await.expect(200);
        let response = revoke(if which == "access" { &access } else { &token }).await.expect(200);
        assert_eq!(response.header("cache-control"), "no-store");
        t.bearer(&access).get(SELF).await.expect(401);
        error(&refresh(&t, &token).await, 400, "invalid_grant");
        // Again, and with a hint that is wrong: the same response.
        let again =
            [("client_id", "tenantry"), ("token", access.as_str()), ("token_type_hint", "refresh_token")];
        assert_eq!(t.anonymous().form("/oauth/revoke", &again).await.expect(200).text, response.text);
    }
    for unknown in ["x", "at.1.x", "at_1_x", "rt_1_x", "at_77_x", "at_1.x"] {
        revoke(unknown).await.expect(200);
    }
    let events =
        t.admin().await.get(&format!("/api/v1/events?userId={id}&type=session.ended")).await.expect(200);
    assert_eq!(events.body["total"], 2, "each session ended once");
}

/// RFC 7009 section 2.1, B28: a client revokes what was given to itself, whatever kind of token and of client; of other
/// tokens the response is 200 and they go on.
#[tokio::test]
async fn rfc_7009_a_client_revokes_only_tokens_that_were_given_to_itself() {
    let t = T::start().await;
    let (id, _) = t.member("fenna").await;
    let (pid, _) = t.other_partner("other").await;
    let public = (String::from("tenantry"), String::new());
    let (robot, sibling) = (t.client(1, true).await, t.client(1, true).await);
    let clients = [public.clone(), robot.clone(), sibling, t.client(pid, true).await];
    let password = password_of("fenna");
    let login = [("grant_type", "password"), ("username", "fenna"), ("password", password.as_str())];
    let account = [("grant_type", "client_credentials")];
    for (owner, grant, path) in [
        (&public, &login[..], SELF),
        (&robot, &login[..], SELF),
        // A technical account has an access token only.
        (&robot, &account[..], "/api/v1/users/1"),
    ] {
        for name in ["access_token", "refresh_token"] {
            let tokens = t.form_as(owner, "/oauth/token", grant).await.expect(200).body;
            let Some(token) = tokens[name].as_str() else {
                assert_eq!((name, grant.len()), ("refresh_token", 1));
                continue;
            };
            let bearer = t.bearer(tokens["access_token"].as_str().unwrap());
            for other in clients.iter().filter(|client| client.0 != owner.0) {
                let response = t.form_as(other, "/oauth/revoke", &[("token", token)]).await.expect(200);
                assert_eq!(response.text, "{}");
                bearer.get(path).await.expect(200);
            }
            // The refresh token goes on as well, with its own client.
            if let Some(refresh) = tokens["refresh_token"].as_str().filter(|_| name == "access_token") {
                let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
                t.form_as(owner, "/oauth/token", &form).await.expect(200);
            }
            t.form_as(owner, "/oauth/revoke", &[("token", token)]).await.expect(200);
            bearer.get(path).await.expect(401);
        }
    }
    let admin = t.admin().await;
    let ended = admin.get(&format!("/api/v1/events?userId={id}&type=session.ended")).await.expect(200);
    assert_eq!(
        ended.body["total"], 4,
        "one for each session that its own client ended, none for the attempts"
    );
}

#[tokio::test]
async fn rfc_7662_what_a_good_token_is_worth() {
    let t = T::start().await;
    let (id, _) = t.member("fenna").await;
    let robot = t.client(1, true).await;
    let (access, token) = tokens_of(&t, "fenna", &password_of("fenna")).await;
    let response = t.form_as(&robot, "/oauth/introspect", &[("token", &access)]).await.expect(200);
    assert_eq!(response.header("cache-control"), "no-store");
    let start = crate::harness::START / 1_000;
    assert_eq!(
        response.body,
        json!({
            "active": true, "scope": "read write", "client_id": "tenantry", "username": "fenna",
            "token_type": "bearer", "exp": start + 21_600, "iat": start, "sub": id.to_string(), "pid": 1,
            "isAdmin": false, "acr": "1", "amr": ["pwd"], "auth_time": start,
        })
    );
    let form = [("token", token.as_str()), ("token_type_hint", "refresh_token")];
    let response = t.form_as(&robot, "/oauth/introspect", &form).await;
    assert_eq!(
        response.expect(200).body,
        json!({
            "active": true, "scope": "read write", "client_id": "tenantry", "username": "fenna",
            "exp": start + 2_592_000, "iat": start, "sub": id.to_string(), "pid": 1, "isAdmin": false,
            "acr": "1", "amr": ["pwd"], "auth_time": start,
        })
    );
    let technical = t.technical_account(&robot).await;
    let response =
        t.form_as(&robot, "/oauth/introspect", &[("token", technical.token.as_deref().unwrap())]).await;
    assert_eq!(
        response.expect(200).body,
        json!({
            "active": true, "scope": "read write", "client_id": robot.0, "token_type": "bearer",
            "exp": start + 21_600, "iat": start, "sub": robot.0, "pid": 1, "isAdmin": true,
        })
    );
}

#[tokio::test]
async fn rfc_7662_inactive_in_every_other_case() {
    let t = T::with(|config| config.password_expiry_days = 20).await;
    let admin = t.admin().await;
    let robot = t.client(1, false).await;
    let (pid, other_admin) = t.other_partner("other").await;
    let stranger = t.client(pid, true).await;
    let inactive = async |client: &(String, String), token: &str, why: &str| {
        let response = t.form_as(client, "/oauth/introspect", &[("token", token)]).await.expect(200);
        assert_eq!(response.body, json!({ "active": false }), "{why}");
    };
    let active = async |token: &str| {
        let response = t.form_as(&robot, "/oauth/introspect", &[("token", token)]).await.expect(200);
        assert_eq!(response.body["active"], true);
    };
    for token in ["x", "at.1.x", "at_1_x", "rt_1_x", "op.x", "op_x"] {
        inactive(&robot, token, "unknown").await;
    }
    // Another partner's, in both directions.
    inactive(&robot, other_admin.token.as_deref().unwrap(), "of another partner").await;
    let (access, token) = tokens_of(&t, "admin", ADMIN_PASSWORD).await;
    inactive(&stranger, &access, "of another partner").await;
    inactive(&stranger, &token, "of another partner").await;
    active(&access).await;
    active(&token).await;
    // A session that may only change its password is worth nothing to anybody else.
    admin.create("newcomer").await;
    let newcomer = t.login("newcomer", &t.mailed_password("newcomer").await).await;
    inactive(&robot, newcomer.token.as_deref().unwrap(), "restricted").await;
    // Locked, revoked, used, expired.
    let (id, _) = t.member("fenna").await;
    let (fenna, fennas) = tokens_of(&t, "fenna", &password_of("fenna")).await;
    active(&fenna).await;
    let path = format!("/api/v1/users/{id}");
    let mut user = admin.get(&path).await.expect(200).body;
    user["status"] = json!("LOCKED");
    admin.put(&path, &user).await.expect(200);
    inactive(&robot, &fenna, "locked").await;
    inactive(&robot, &fennas, "locked").await;
    let (_, used) = tokens_of(&t, "admin", ADMIN_PASSWORD).await;
    let next = refresh(&t, &used).await.expect(200).body["refresh_token"].as_str().unwrap().to_owned();
    inactive(&robot, &used, "used").await;
    active(&next).await;
    let form = [("client_id", "tenantry"), ("token", next.as_str())];
    t.anonymous().form("/oauth/revoke", &form).await.expect(200);
    inactive(&robot, &next, "revoked").await;
    // A technical account's, likewise: its own partner's clients see it, another partner's do not.
    let account = t.technical_account(&robot).await;
    active(account.token.as_deref().unwrap()).await;
    inactive(&stranger, account.token.as_deref().unwrap(), "of another partner").await;
    t.clock.advance(6 * HOUR);
    inactive(&robot, &access, "expired").await;
    active(&token).await;
    t.clock.advance(20 * DAY);
    inactive(&robot, &token, "the password has expired").await;
}

#[tokio::test]
async fn rfc_7662_is_for_confidential_clients() {
    let t = T::start().await;
    let admin = t.admin().await;
    let form = [("client_id", "tenantry"), ("token", admin.token.as_deref().unwrap())];
    error(&t.anonymous().form("/oauth/introspect", &form).await, 400, "unauthorized_client");
    error(&admin.form("/oauth/introspect", &form).await, 401, "invalid_client");
}
