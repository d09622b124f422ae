//! What users have allowed clients.

use tenantry_core::clients::ClientKind;
use tenantry_core::scopes::TokenScopes;
use tenantry_domain::{consents, tokens, unit};
use tenantry_store::access::Member;
use tenantry_store::engine::tx::Tx;

use crate::clients::{CLIENTS, URI, session_of, with_uri};
use crate::harness::{Person, T, password_of};

/// The scope of a person's own requests.
async fn scope_of(t: &T, person: &Person<'_>) -> Member {
    let token = person.token.as_deref().unwrap();
    Member::of(tokens::authenticate(&t.app, token).await.unwrap()).unwrap()
}

/// A user allows a client these scopes.
pub async fn grant(t: &T, person: &Person<'_>, client_id: &str, scopes: TokenScopes) {
    let client_id = client_id.to_owned();
    let grant = move |tx: &mut Tx<'_, Member>| consents::grant_own(tx, &client_id, scopes);
    unit::write(&t.app.store, &scope_of(t, person).await, grant).await.unwrap();
}

/// A user allows a client everything.
pub async fn consent(t: &T, person: &Person<'_>, client_id: &str) {
    grant(t, person, client_id, TokenScopes::ALL_OPENID).await;
}

#[tokio::test]
async fn a_consent_is_kept_until_it_is_withdrawn_or_its_user_or_client_is_gone() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (mia, _) = t.member("mia").await;
    let count = || t.ask_sql("SELECT count(*) FROM consents")[0][0].clone();
    let made = t.new_client(1, with_uri(ClientKind::Confidential, URI)).await;
    let (id, member) = (made.0.clone(), t.login("mia", &password_of("mia")).await);
    consent(&t, &member, &id).await;
    consent(&t, &member, &id).await;
    assert_eq!(count(), "1");
    t.clock.advance(1);
    let token = session_of(&t, "mia", &id).await;
    t.bearer(&token).get("/api/v1/users/self").await.expect(200);
    let scope = scope_of(&t, &member).await;
    let listed = t.app.store.scan(&scope, |tx| consents::list_own(tx, None, 10)).await.unwrap();
    assert_eq!(
        (listed.len(), listed[0].client_id.as_str(), listed[0].client_name.as_str()),
        (1, &*id, "shop")
    );
    assert_eq!(listed[0].scopes, TokenScopes::ALL_OPENID);
    let withdraw = {
        let id = id.clone();
        move |tx: &mut Tx<'_, Member>| consents::withdraw_own(tx, &id)
    };
    unit::write(&t.app.store, &scope, withdraw.clone()).await.unwrap();
    assert_eq!(count(), "0");
    t.bearer(&token).get("/api/v1/users/self").await.expect(401);
    member.get("/api/v1/users/self").await.expect(200);
    unit::write(&t.app.store, &scope, withdraw).await.unwrap_err();
    let kinds: Vec<_> = admin.events().await.iter().map(|event| event["type"].clone()).collect();
    for (kind, count) in [("consent.granted", 1), ("consent.withdrawn", 1)] {
        assert_eq!(kinds.iter().filter(|known| *known == kind).count(), count, "{kind}");
    }
    // It goes with the client, and with the user.
    consent(&t, &member, &id).await;
    admin.delete(&format!("{CLIENTS}/{id}")).await.expect(204);
    assert_eq!(count(), "0");
    let (id, _) = t.new_client(1, with_uri(ClientKind::Confidential, URI)).await;
    consent(&t, &member, &id).await;
    admin.delete(&format!("/api/v1/users/{mia}")).await.expect(204);
    assert_eq!(count(), "0");
}
