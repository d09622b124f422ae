use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};

use super::*;
use crate::client_changes::{self, ClientChange, NewClient};
use crate::sealer::{self, MasterKey, MasterKeyProblem};
use crate::testing;
use tenantry_core::clients::{Client, ClientKind};
use tenantry_core::clock::{Clock, MINUTE, rfc3339};
use tenantry_core::random::Random;
use tenantry_store::access::Operator;

struct Started {
    dir: tempfile::TempDir,
    clock: Clock,
    services: Services,
}

async fn start(master_key: Option<MasterKey>) -> Started {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::manual(1_800_000_000_000));
    let services = testing::services_with(dir.path(), &clock, &Random::seeded(1), master_key).unwrap();
    sealer::adopt(&services, true).await.unwrap();
    Started { dir, clock, services }
}

impl Started {
    async fn restart(self, master_key: Option<MasterKey>) -> Self {
        let Self { dir, clock, services } = self;
        drop(services);
        let services = testing::services_with(dir.path(), &clock, &Random::seeded(2), master_key).unwrap();
        Self { dir, clock, services }
    }

    fn claims(&self) -> Value {
        let now = self.clock.now() / SECOND;
        json!({ "sub": "7", "iat": now, "exp": now + 300 })
    }

    async fn sign(&self, alg: SigningAlg) -> String {
        sign(&self.services, alg, &self.claims()).await.unwrap()
    }

    async fn keys(&self) -> JwkSet {
        serde_json::from_slice(&jwks(&self.services).await.unwrap().body).unwrap()
    }

    async fn states(&self) -> Vec<(SigningAlg, &'static str)> {
        let keys = list(&self.services, by()).await.unwrap();
        keys.iter().map(|key| (key.alg, key.state.map_or("unusable", KeyState::name))).collect()
    }

    /// Registers a client that receives ID tokens with this algorithm.
    async fn use_it(&self, alg: SigningAlg) -> Client {
        let settings = ClientChange {
            name: Some(String::from("shop")),
            redirect_uris: Some(vec![String::from("https://shop.example/callback")]),
            id_token_alg: Some(alg),
            ..ClientChange::default()
        };
        let new = NewClient { kind: ClientKind::Public, settings };
        let create = move |tx: &mut Tx<'_, Operator>| client_changes::create_product(tx, &new);
        unit::write(&self.services.store, &by(), create).await.unwrap().client
    }

    async fn event_kinds(&self) -> Vec<String> {
        let read = |tx: &mut Tx<'_, tenantry_store::access::Admin>| {
            let query = tenantry_store::tables::events::EventQuery::default();
            let from = tenantry_store::tables::events::EventPosition::Offset(0);
            events::list_page(tx, &query, from, 100)
        };
        let admin = by().as_admin_of(PartnerId(0));
        let (_, found) = self.services.store.scan(&admin, read).await.unwrap();
        found.into_iter().rev().map(|event| event.kind).collect()
    }
}

fn by() -> Operator {
    Operator::of_this_machine()
}

fn key(seed: u64) -> Option<MasterKey> {
    Some(MasterKey::generate(&Random::seeded(seed)))
}

/// As a client verifies a token: with what it has fetched.
fn verify(token: &str, keys: &JwkSet) -> bool {
    let header = jsonwebtoken::decode_header(token).unwrap();
    let Some(jwk) = keys.find(&header.kid.unwrap()) else { return false };
    let mut validation = Validation::new(header.alg);
    validation.validate_exp = false;
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(jwk).unwrap(), &validation).is_ok()
}

#[tokio::test]
async fn a_key_is_made_when_its_algorithm_is_first_used() {
    let t = start(None).await;
    assert!(t.keys().await.keys.is_empty(), "no algorithm is in use");
    let mut signed = Vec::new();
    for alg in [SigningAlg::EdDsa, SigningAlg::Es256, SigningAlg::Rs256] {
        let token = t.sign(alg).await;
        assert!(verify(&token, &t.keys().await));
        signed.push(token);
        assert_eq!(t.keys().await.keys.len(), signed.len());
    }
    // They stay, also in a process that is started anew.
    let t = t.restart(None).await;
    let keys = t.keys().await;
    assert!(signed.iter().all(|token| verify(token, &keys)));
    assert!(verify(&t.sign(SigningAlg::Rs256).await, &keys));
    let mut text = String::new();
    t.services.signing_keys.render(&mut text);
    assert!(text.contains("tenantry_token_signatures_total{alg=\"RS256\"} 1\n"), "{text}");
    assert!(text.contains("tenantry_token_signatures_total{alg=\"ES256\"} 0\n"), "{text}");
}

#[tokio::test]
async fn a_client_that_fetches_the_keys_at_once_gets_the_one_that_is_being_made() {
    let t = start(None).await;
    make_missing(&t.services);
    assert!(t.keys().await.keys.is_empty(), "no client uses any");
    t.use_it(SigningAlg::Es256).await;
    make_missing(&t.services);
    assert_eq!(t.keys().await.keys.len(), 1);
    t.use_it(SigningAlg::EdDsa).await;
    make_missing(&t.services);
    make_missing(&t.services);
    assert_eq!(t.keys().await.keys.len(), 2);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    t.services.signing_keys.idle().await;
    assert_eq!(t.keys().await.keys.len(), 2, "each once");
    assert_eq!(t.event_kinds().await.iter().filter(|kind| *kind == "key.created").count(), 2);
}

#[tokio::test]
async fn a_key_is_published_a_day_before_it_signs_and_after_its_last_token() {
    let alg = SigningAlg::Es256;
    let t = start(key(1)).await;
    let first = t.sign(alg).await;
    let before = t.keys().await;
    rotate(&t.services, by(), false).await.unwrap();
    assert_eq!(t.states().await, [(alg, "current"), (alg, "next")]);
    assert_eq!(t.keys().await.keys.len(), 2, "the next key is published");
    assert!(verify(&t.sign(alg).await, &before), "the first key signs");
    // Another rotation waits for that one.
    rotate(&t.services, by(), false).await.unwrap();
    assert_eq!(t.states().await.len(), 2);
    let fetched = t.keys().await;
    t.clock.advance(PUBLISHED_BEFORE - 1);
    let last = t.sign(alg).await;
    assert!(verify(&last, &before));
    t.clock.advance(1);
    assert_eq!(t.states().await, [(alg, "old"), (alg, "current")]);
    let new = t.sign(alg).await;
    assert!(!verify(&new, &before) && verify(&new, &fetched), "clients have it since yesterday");
    let kept = longest_token(t.services.policy()) + PUBLISHED_AFTER;
    t.clock.advance(kept - 1);
    assert!(verify(&last, &t.keys().await) && verify(&first, &t.keys().await));
    t.clock.advance(1);
    assert_eq!(t.states().await, [(alg, "gone"), (alg, "current")]);
    assert!(!verify(&last, &t.keys().await) && verify(&new, &t.keys().await));
    assert_eq!(t.event_kinds().await, ["key.rotated", "key.created"]);
}

#[tokio::test]
async fn a_rotation_at_once_takes_effect_when_every_server_has_the_key() {
    let alg = SigningAlg::EdDsa;
    let t = start(key(1)).await;
    let first = t.sign(alg).await;
    rotate(&t.services, by(), true).await.unwrap();
    let fetched = t.keys().await;
    t.clock.advance(AT_ONCE);
    let second = t.sign(alg).await;
    assert!(verify(&second, &fetched) && verify(&first, &fetched));
    assert_ne!(
        jsonwebtoken::decode_header(&first).unwrap().kid,
        jsonwebtoken::decode_header(&second).unwrap().kid
    );
    // A key that waits for its turn is taken.
    rotate(&t.services, by(), false).await.unwrap();
    let fetched = t.keys().await;
    rotate(&t.services, by(), true).await.unwrap();
    t.clock.advance(AT_ONCE);
    assert_eq!(t.states().await, [(alg, "old"), (alg, "old"), (alg, "current")]);
    assert!(verify(&t.sign(alg).await, &fetched));
    // The first key signed only for a moment more: it is published no longer than its tokens need.
    let old = list(&t.services, by()).await.unwrap();
    let kept = longest_token(t.services.policy()) + PUBLISHED_AFTER;
    assert!(old.iter().all(|key| key.gone_at == key.old_from.map(|at| at + kept)), "{old:?}");
}

#[tokio::test]
async fn keys_are_rotated_every_ninety_days_and_removed_in_the_end() {
    let alg = SigningAlg::Es256;
    let t = start(key(1)).await;
    assert_eq!(keep(&t.services).await.unwrap(), 0, "no client, no key, nothing to do");
    t.use_it(alg).await;
    assert_eq!(keep(&t.services).await.unwrap(), 1, "the client needs a key");
    let first = t.sign(alg).await;
    t.clock.advance(ROTATED_EVERY - PUBLISHED_BEFORE - 1);
    assert_eq!(keep(&t.services).await.unwrap(), 0);
    t.clock.advance(1);
    assert_eq!(keep(&t.services).await.unwrap(), 1);
    assert_eq!(keep(&t.services).await.unwrap(), 0);
    assert_eq!(t.states().await, [(alg, "current"), (alg, "next")]);
    t.clock.advance(PUBLISHED_BEFORE + MINUTE);
    // The private key is not needed any more.
    assert_eq!(keep(&t.services).await.unwrap(), 1);
    assert_eq!(t.states().await, [(alg, "old"), (alg, "current")]);
    assert!(verify(&first, &t.keys().await));
    assert!(verify_hint(&t.services, &first).await.unwrap().is_some());
    let rows = t.services.store.scan(&nobody(), |tx| table::list(tx)).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.is_private).collect::<Vec<_>>(), [false, true]);
    t.clock.advance(ROTATED_EVERY);
    assert_eq!(keep(&t.services).await.unwrap(), 1);
    assert_eq!(t.states().await, [(alg, "gone"), (alg, "current"), (alg, "next")]);
    // Still good for a hint.
    assert!(verify_hint(&t.services, &first).await.unwrap().is_some());
    t.clock.advance(STORED_AFTER);
    keep(&t.services).await.unwrap();
    assert!(verify_hint(&t.services, &first).await.unwrap().is_none());
}

#[tokio::test]
async fn a_server_that_was_down_for_months_publishes_its_next_key_for_a_day_all_the_same() {
    let alg = SigningAlg::EdDsa;
    let t = start(key(1)).await;
    t.use_it(alg).await;
    t.sign(alg).await;
    t.clock.advance(3 * ROTATED_EVERY);
    let token = t.sign(alg).await;
    keep(&t.services).await.unwrap();
    assert_eq!(t.states().await, [(alg, "current"), (alg, "next")]);
    t.clock.advance(PUBLISHED_BEFORE);
    assert_eq!(t.states().await, [(alg, "old"), (alg, "current")]);
    assert!(verify(&token, &t.keys().await));
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_stop_signing() {
    let alg = SigningAlg::Es256;
    let t = start(key(1)).await;
    t.sign(alg).await;
    rotate(&t.services, by(), true).await.unwrap();
    t.clock.advance(MINUTE);
    keep(&t.services).await.unwrap();
    t.clock.set_by(-10 * DAY);
    let t = Started { clock: Clock::manual(t.clock.now()), ..t }.restart(key(1)).await;
    let token = t.sign(alg).await;
    assert!(verify(&token, &t.keys().await));
}

#[tokio::test]
async fn tokens_of_this_server_are_hints_even_if_they_have_expired() {
    let t = start(key(1)).await;
    for alg in SigningAlg::ALL {
        let expired = json!({ "sub": "7", "exp": 1 });
        let token = sign(&t.services, alg, &expired).await.unwrap();
        assert_eq!(Value::Object(verify_hint(&t.services, &token).await.unwrap().unwrap()), expired);
        let other = start(None).await;
        assert!(verify_hint(&other.services, &token).await.unwrap().is_none());
        let foreign = sign(&other.services, alg, &expired).await.unwrap();
        assert!(verify_hint(&t.services, &foreign).await.unwrap().is_none());
        // The header of a key of ours, the signature of another.
        let (of_ours, of_another) = (token.rsplit_once('.').unwrap().0, foreign.rsplit_once('.').unwrap().1);
        assert!(verify_hint(&t.services, &format!("{of_ours}.{of_another}")).await.unwrap().is_none());
    }
    for bad in ["", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "\u{e9}"] {
        assert!(verify_hint(&t.services, bad).await.unwrap().is_none(), "{bad}");
    }
    let too_long = json!({ "exp": (t.clock.now() + longest_token(t.services.policy())) / SECOND + 60 });
    sign(&t.services, SigningAlg::Es256, &too_long).await.unwrap_err();
}

#[tokio::test]
async fn private_keys_are_sealed_with_the_master_key() {
    let t = start(key(1)).await;
    for alg in SigningAlg::ALL {
        t.sign(alg).await;
    }
    let rows = t.services.store.scan(&nobody(), |tx| table::list(tx)).await.unwrap();
    assert!(rows.iter().all(|row| row.key.starts_with("sealed.")), "{rows:?}");
    assert!(!format!("{rows:?}").contains("sealed."), "Debug shows no key");
    // Without the key, or with another one, no key can be used and none is made beside them.
    let t = t.restart(key(2)).await;
    assert_eq!(t.services.sealer.problem(), Some(MasterKeyProblem::Wrong));
    sign(&t.services, SigningAlg::Es256, &t.claims()).await.unwrap_err();
    let t = t.restart(None).await;
    assert_eq!(t.services.sealer.problem(), Some(MasterKeyProblem::Missing));
    sign(&t.services, SigningAlg::Es256, &t.claims()).await.unwrap_err();
    assert_eq!(t.states().await.len(), 3);
    let t = t.restart(key(1)).await;
    assert_eq!(t.services.sealer.problem(), None);
    t.sign(SigningAlg::Es256).await;
}

#[tokio::test]
async fn keys_that_stood_unsealed_are_sealed_when_there_is_a_master_key() {
    let t = start(None).await;
    let token = t.sign(SigningAlg::EdDsa).await;
    let t = t.restart(key(1)).await;
    sealer::adopt(&t.services, false).await.unwrap();
    let rows = t.services.store.scan(&nobody(), |tx| table::list(tx)).await.unwrap();
    assert!(rows[0].key.starts_with("sealed."));
    assert!(verify(&token, &t.keys().await) && verify(&t.sign(SigningAlg::EdDsa).await, &t.keys().await));
    let t = t.restart(None).await;
    assert_eq!(t.services.sealer.problem(), Some(MasterKeyProblem::Missing));
}

#[tokio::test]
async fn a_changed_row_is_not_used_and_another_key_is_made() {
    let alg = SigningAlg::Es256;
    let t = start(key(1)).await;
    t.sign(alg).await;
    let forged = Material::private(alg, &generate(alg).unwrap()).unwrap();
    let unsealed = format!("plain.{}", base64_of(forged.public_bytes()));
    let rows = t.services.store.scan(&nobody(), |tx| table::list(tx)).await.unwrap();
    let (kid, sealed) = (rows[0].kid.clone(), rows[0].key.clone());
    let (mut changed, forged_kid) = (sealed.clone(), forged.kid().to_owned());
    changed.replace_range(60..61, if &changed[60..61] == "A" { "B" } else { "A" });
    let row = SigningKeyRow { kid: forged_kid.clone(), key: unsealed, is_private: false, ..rows[0].clone() };
    let work = move |tx: &mut Tx<'_>| {
        table::set_key(tx, &kid, &changed, true)?;
        // Whoever can write the database must not be able to publish a key.
        table::insert(tx, &row)
    };
    unit::write(&t.services.store, &nobody(), move |tx| work(tx)).await.unwrap();
    assert!(t.keys().await.keys.is_empty());
    let token = t.sign(alg).await;
    let keys = t.keys().await;
    assert!(verify(&token, &keys) && keys.find(&forged_kid).is_none() && keys.keys.len() == 1);
    let mut states: Vec<_> = t.states().await.into_iter().map(|(_, state)| state).collect();
    states.sort_unstable();
    assert_eq!(states, ["current", "unusable", "unusable"]);
    // Sealed for another row.
    let swapped = SigningKeyRow { kid: String::from("other"), key: sealed, ..rows[0].clone() };
    let insert = move |tx: &mut Tx<'_>| table::insert(tx, &swapped);
    unit::write(&t.services.store, &nobody(), move |tx| insert(tx)).await.unwrap();
    assert_eq!(t.keys().await.keys.len(), 1);
    // A reset removes them, and keeps the good one.
    let done = reset(&t.services, by(), false).await.unwrap();
    assert_eq!((done.removed.len(), done.made.len()), (3, 0));
    assert!(verify(&token, &t.keys().await));
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test]
async fn a_reset_replaces_what_a_lost_master_key_has_sealed() {
    let t = start(key(1)).await;
    let lost = [t.sign(SigningAlg::Es256).await, t.sign(SigningAlg::EdDsa).await];
    let refused = reset(&t.services, by(), false).await.unwrap_err();
    assert!(
        refused.to_string().contains("nothing") || refused.to_string().contains("can be unsealed"),
        "{refused}"
    );
    let t = t.restart(None).await;
    let refused = reset(&t.services, by(), false).await.unwrap_err();
    assert!(refused.to_string().contains("master-key-file"), "{refused}");
    let t = t.restart(key(2)).await;
    let done = reset(&t.services, by(), false).await.unwrap();
    assert_eq!((done.removed.len(), done.made.len()), (2, 2));
    assert_eq!(t.event_kinds().await.first().map(String::as_str), Some("key.reset"));
    let keys = t.keys().await;
    assert!(lost.iter().all(|token| !verify(token, &keys)));
    assert!(verify(&t.sign(SigningAlg::Es256).await, &keys), "in use at once");
    // The database knows the new key.
    let t = t.restart(key(1)).await;
    assert_eq!(t.services.sealer.problem(), Some(MasterKeyProblem::Wrong));
    let t = t.restart(key(2)).await;
    assert_eq!(t.services.sealer.problem(), None);
    // With force all of them, and without a master key if need be.
    let token = t.sign(SigningAlg::Es256).await;
    let done = reset(&t.services, by(), true).await.unwrap();
    assert_eq!((done.removed.len(), done.made.len()), (2, 2));
    assert!(!verify(&token, &t.keys().await));
    let t = t.restart(None).await;
    reset(&t.services, by(), true).await.unwrap();
    assert!(verify(&t.sign(SigningAlg::EdDsa).await, &t.keys().await));
    let t = t.restart(None).await;
    assert_eq!(t.services.sealer.problem(), None);
}

#[tokio::test]
async fn the_times_of_a_list_are_those_of_the_rotation() {
    let t = start(None).await;
    t.sign(SigningAlg::Es256).await;
    let now = t.clock.now();
    let keys = rotate(&t.services, by(), false).await.unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0].old_from, Some(now + PUBLISHED_BEFORE), "{}", rfc3339(now));
    assert_eq!((keys[1].created_at, keys[1].current_from), (now, now + PUBLISHED_BEFORE));
    assert_eq!((keys[1].old_from, keys[1].gone_at), (None, None));
}

#[tokio::test]
async fn a_key_that_no_client_uses_any_more_is_not_replaced() {
    let alg = SigningAlg::EdDsa;
    let t = start(key(1)).await;
    let client = t.use_it(alg).await;
    make_missing(&t.services);
    assert_eq!(t.keys().await.keys.len(), 1);
    let token = t.sign(alg).await;
    let id = client.client_id.clone();
    let revoke = move |tx: &mut Tx<'_, Operator>| client_changes::revoke_product(tx, &id);
    unit::write(&t.services.store, &by(), revoke).await.unwrap();
    t.clock.advance(ROTATED_EVERY);
    assert_eq!(keep(&t.services).await.unwrap(), 1);
    assert_eq!(t.states().await, [(alg, "old")]);
    assert!(verify(&token, &t.keys().await), "as long as tokens may be valid");
    t.clock.advance(longest_token(t.services.policy()) + PUBLISHED_AFTER);
    keep(&t.services).await.unwrap();
    assert_eq!(t.states().await, [(alg, "gone")]);
    assert!(t.keys().await.keys.is_empty());
    assert_eq!(keep(&t.services).await.unwrap(), 0);
    // Another client brings another key.
    t.use_it(alg).await;
    assert_eq!(keep(&t.services).await.unwrap(), 1);
    assert_eq!(t.states().await, [(alg, "gone"), (alg, "current")]);
    assert!(verify(&t.sign(alg).await, &t.keys().await));
}
