//! Discovery, the keys that sign ID tokens, and the master key.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Value, json};

use crate::databases::is_postgres;
use crate::harness::{START, T};
use tenantry::app::App;
use tenantry::config::Config;
use tenantry_core::clients::ClientKind;
use tenantry_core::clock::{Clock, DAY, HOUR, MINUTE, SECOND};
use tenantry_core::error::Error;
use tenantry_core::random::Random;
use tenantry_core::signing_alg::SigningAlg;
use tenantry_domain::client_changes::{self, ClientChange, NewClient};
use tenantry_domain::sealer::MasterKey;
use tenantry_domain::{signing_keys, unit};
use tenantry_passwords::HashCost;
use tenantry_store::access::Operator;
use tenantry_store::engine::tx::Tx;

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// The seconds for which a response may be stored.
fn max_age(control: &str) -> i64 {
    control.strip_prefix("public, max-age=").unwrap_or_else(|| panic!("{control}")).parse().unwrap()
}

async fn sign(t: &T, alg: SigningAlg) -> String {
    let now = t.clock.now() / SECOND;
    signing_keys::sign(&t.app, alg, &json!({ "sub": "1", "iat": now, "exp": now + 300 })).await.unwrap()
}

/// Registers clients that receive ID tokens, with these algorithms.
pub async fn use_algorithms(t: &T, algorithms: &[SigningAlg]) {
    for alg in algorithms {
        let settings = ClientChange {
            name: Some(String::from("shop")),
            redirect_uris: Some(vec![String::from("https://shop.example/callback")]),
            id_token_alg: Some(*alg),
            ..ClientChange::default()
        };
        let new = NewClient { kind: ClientKind::Public, settings };
        let create = move |tx: &mut Tx<'_, Operator>| client_changes::create_product(tx, &new);
        unit::write(&t.app.store, &Operator::of_this_machine(), create).await.unwrap();
    }
}

async fn rotate(t: &T, at_once: bool) -> Vec<signing_keys::ListedKey> {
    signing_keys::rotate(&t.app, Operator::of_this_machine(), at_once).await.unwrap()
}

/// Waits until another server has the keys of this one: that takes milliseconds, and the clock of a test stands meanwhile.
async fn knows_the_keys_of(t: &T, other: &T) {
    while Client::of(other).await.keys != Client::of(t).await.keys {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A client that has fetched the keys.
struct Client {
    keys: JwkSet,
    fetched_at: i64,
    max_age: i64,
}

impl Client {
    async fn of(t: &T) -> Self {
        let fetched_at = t.clock.now();
        let answer = t.anonymous().get("/oauth/jwks").await.expect(200);
        let max_age = max_age(answer.header("cache-control")) * SECOND;
        Self { keys: serde_json::from_value(answer.body).unwrap(), fetched_at, max_age }
    }

    fn is_expired(&self, now: i64) -> bool {
        now >= self.fetched_at + self.max_age
    }

    /// Whether it can verify a token with what it has.
    fn verifies(&self, token: &str) -> bool {
        let header = jsonwebtoken::decode_header(token).unwrap();
        let Some(jwk) = self.keys.find(&header.kid.unwrap()) else { return false };
        let mut validation = Validation::new(header.alg);
        validation.validate_exp = false;
        jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(jwk).unwrap(), &validation).is_ok()
    }
}

#[tokio::test]
async fn the_metadata_describes_the_server() {
    let t = T::start().await;
    let issuer = t.app.config.public_url.clone();
    assert_eq!(issuer, format!("http://localhost:{}", t.address.port()));
    let openid = t.anonymous().get(OPENID).await.expect(200);
    let found = &openid.body;
    assert_eq!(found["issuer"], issuer);
    for (name, path) in [
        ("authorization_endpoint", "/oauth/authorize"),
        ("token_endpoint", "/oauth/token"),
        ("userinfo_endpoint", "/oauth/userinfo"),
        ("jwks_uri", "/oauth/jwks"),
        ("end_session_endpoint", "/oauth/logout"),
        ("revocation_endpoint", "/oauth/revoke"),
        ("introspection_endpoint", "/oauth/introspect"),
    ] {
        assert_eq!(found[name], format!("{issuer}{path}"), "{name}");
    }
    for (name, value) in [
        ("response_types_supported", json!(["code"])),
        ("response_modes_supported", json!(["query", "form_post"])),
        (
            "grant_types_supported",
            json!(["authorization_code", "refresh_token", "client_credentials", "password"]),
        ),
        ("subject_types_supported", json!(["public"])),
        ("id_token_signing_alg_values_supported", json!(["RS256", "ES256", "EdDSA"])),
        (
            "token_endpoint_auth_methods_supported",
            json!(["client_secret_basic", "client_secret_post", "none"]),
        ),
        ("code_challenge_methods_supported", json!(["S256"])),
        ("prompt_values_supported", json!(["none", "login", "consent", "select_account"])),
        ("claims_parameter_supported", json!(true)),
        ("request_parameter_supported", json!(false)),
        ("request_uri_parameter_supported", json!(false)),
        ("authorization_response_iss_parameter_supported", json!(true)),
        ("ui_locales_supported", json!(["en", "nl", "sv", "fr", "zh-Hans", "it"])),
    ] {
        assert_eq!(found[name], value, "{name}");
    }
    for (name, members) in [
        ("scopes_supported", ["openid", "offline_access", "partner"]),
        ("claims_supported", ["sub", "pid", "email_verified"]),
    ] {
        let all = found[name].as_array().unwrap();
        assert!(members.iter().all(|member| all.contains(&json!(member))), "{name}");
    }
    assert!(openid.header("content-type").starts_with("application/json"));
    assert_eq!(max_age(openid.header("cache-control")), 3_600);
    assert_eq!(openid.header("access-control-allow-origin"), "*");
    assert_eq!(openid.header("access-control-allow-credentials"), "");
    // RFC 8414 has the same document, and nothing is below it.
    let oauth = t.anonymous().get(OAUTH).await.expect(200);
    assert_eq!((&oauth.text, oauth.header("etag")), (&openid.text, openid.header("etag")));
    for path in [format!("{OPENID}/x"), format!("{OAUTH}/iam"), format!("{OAUTH}//")] {
        let status = t.anonymous().get(&path).await.status;
        assert!(status == 404 || path.ends_with("//"), "{path}: {status}");
    }
    t.anonymous().post(OPENID, &json!({})).await.expect(405);
}

#[tokio::test]
async fn metadata_and_keys_are_not_sent_again_if_they_are_known() {
    let t = T::start().await;
    sign(&t, SigningAlg::Es256).await;
    for path in [OPENID, OAUTH, "/oauth/jwks"] {
        let first = t.anonymous().get(path).await.expect(200);
        let ask = async |tag: &str| {
            let request = t.anonymous().request(reqwest::Method::GET, path).header("if-none-match", tag);
            request.send().await.unwrap()
        };
        for tag in [first.header("etag"), &format!("W/{}", first.header("etag")), "*"] {
            let again = ask(tag).await;
            assert_eq!(again.status(), 304, "{path} {tag}");
            assert_eq!(again.headers()["etag"], first.headers["etag"]);
            assert_eq!(again.headers()["cache-control"], first.headers["cache-control"]);
            assert_eq!(again.headers()["access-control-allow-origin"], "*");
        }
        assert_eq!(ask("\"another\"").await.status(), 200);
        let head = t.anonymous().request(reqwest::Method::HEAD, path).send().await.unwrap();
        assert_eq!((head.status().as_u16(), &head.headers()["etag"]), (200, &first.headers["etag"]));
    }
}

/// With a path in the issuer, OpenID clients ask below it, and others for the path after the well-known one.
#[tokio::test]
async fn the_metadata_of_an_issuer_with_a_path_is_found_in_both_ways() {
    let t = T::with(|config| config.public_url = String::from("https://users.example.com/iam/a")).await;
    // A proxy removes the path of the first.
    for path in
        [OPENID, OAUTH, &format!("{OAUTH}/iam/a"), &format!("{OPENID}/iam/a"), &format!("{OAUTH}/iam/a/")]
    {
        let found = t.anonymous().get(path).await.expect(200).body;
        assert_eq!(found["issuer"], "https://users.example.com/iam/a", "{path}");
        assert_eq!(found["jwks_uri"], "https://users.example.com/iam/a/oauth/jwks");
    }
    for path in [format!("{OAUTH}/iam"), format!("{OAUTH}/iam/b"), format!("{OPENID}/iam/a/b")] {
        t.anonymous().get(&path).await.expect(404);
    }
}

#[tokio::test]
async fn the_key_set_has_public_keys_of_the_algorithms_in_use() {
    let t = T::start().await;
    let empty = t.anonymous().get("/oauth/jwks").await.expect(200);
    assert_eq!(empty.body, json!({ "keys": [] }));
    assert_eq!(
        (empty.header("access-control-allow-origin"), max_age(empty.header("cache-control"))),
        ("*", 300)
    );
    let mut tags = vec![empty.header("etag").to_owned()];
    for (count, alg) in SigningAlg::ALL.into_iter().enumerate() {
        let token = sign(&t, alg).await;
        let answer = t.anonymous().get("/oauth/jwks").await.expect(200);
        let keys = answer.body["keys"].as_array().unwrap();
        assert_eq!(keys.len(), count + 1);
        let key = keys.iter().find(|key| key["alg"] == alg.name()).unwrap();
        assert_eq!(key["use"], "sig");
        let secret = ["d", "p", "q", "dp", "dq", "qi", "k"];
        assert!(secret.iter().all(|member| key.get(member).is_none()), "{key}");
        assert_eq!(jsonwebtoken::decode_header(&token).unwrap().kid.as_deref(), key["kid"].as_str());
        assert!(Client::of(&t).await.verifies(&token));
        assert!(!tags.contains(&answer.header("etag").to_owned()));
        tags.push(answer.header("etag").to_owned());
    }
    assert!(t.log().contains("") && !t.log().contains("PRIVATE"));
}

/// Clients that fetch the keys as often as they are told to, and never otherwise, verify every token while keys are rotated
/// again and again and the time passes. Of several servers, each signs and publishes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verification_fails_while_keys_are_rotated() {
    let t = Arc::new(T::start().await);
    let mut servers = vec![Arc::clone(&t)];
    if is_postgres() {
        servers.push(Arc::new(t.beside().await));
    }
    use_algorithms(&t, &SigningAlg::ALL).await;
    for alg in SigningAlg::ALL {
        sign(&t, alg).await;
    }
    let (stop, signed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    for (number, alg) in SigningAlg::ALL.into_iter().chain([SigningAlg::Es256]).enumerate() {
        let (servers, stop, signed) = (servers.clone(), Arc::clone(&stop), Arc::clone(&signed));
        tasks.push(tokio::spawn(async move {
            let at = |n: usize| &servers[n % servers.len()];
            let mut client = Client::of(at(number)).await;
            let mut round = number;
            while !stop.load(Ordering::Relaxed) {
                round += 1;
                let (from, to) = (at(round), at(round + 1));
                let expires_at = from.clock.now() + 300 * SECOND;
                let token = sign(from, alg).await;
                // A client that gets the token now looks whether its keys are still good now.
                if client.is_expired(from.clock.now()) {
                    client = Client::of(to).await;
                }
                // Unless days have passed meanwhile.
                let is_verified = client.verifies(&token) || from.clock.now() >= expires_at;
                assert!(is_verified, "{} in round {round}", alg.name());
                signed.fetch_add(1, Ordering::Relaxed);
                // A signature is made without waiting: these loops would keep both threads, and nothing else would run.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }));
    }
    // Half a year, by the housekeeping alone and with rotations by hand. It looks again after a moment, not at once, since the
    // servers need the cores.
    let moment = Duration::from_millis(2);
    for step in 0..40 {
        let before = signed.load(Ordering::Relaxed);
        if step % 10 == 3 {
            rotate(&t, false).await;
        }
        signing_keys::keep(&t.app).await.unwrap();
        // The others know within milliseconds, of a day.
        knows_the_keys_of(&t, servers.last().unwrap()).await;
        while signed.load(Ordering::Relaxed) < before + 8 && !tasks.iter().any(|task| task.is_finished()) {
            tokio::time::sleep(moment).await;
        }
        t.clock.advance(if step % 3 == 0 { 11 * DAY } else { 5 * HOUR });
        if tasks.iter().any(|task| task.is_finished()) {
            break;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let keys = signing_keys::list(&t.app, Operator::of_this_machine()).await.unwrap();
    assert!(keys.len() > 6, "it was rotated: {keys:?}");
}

/// A client that fetches the keys when it sees an unknown one verifies the tokens of a rotation at once.
#[tokio::test]
async fn a_rotation_at_once_is_seen_by_clients_that_ask_for_unknown_keys() {
    let t = T::start().await;
    let other = if is_postgres() { Some(t.beside().await) } else { None };
    let other = other.as_ref().unwrap_or(&t);
    let alg = SigningAlg::EdDsa;
    let first = sign(&t, alg).await;
    let client = Client::of(&t).await;
    rotate(&t, true).await;
    knows_the_keys_of(&t, other).await;
    t.clock.advance(6 * SECOND);
    for server in [&t, other] {
        let token = sign(server, alg).await;
        assert!(!client.verifies(&token));
        for server in [&t, other] {
            let fetched = Client::of(server).await;
            assert!(fetched.verifies(&token) && fetched.verifies(&first));
        }
    }
}

/// Of servers that need a key at once, one makes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_agree_on_a_key() {
    let t = T::start().await;
    let beside = if is_postgres() { vec![t.beside().await, t.beside().await] } else { Vec::new() };
    let [a, b, c] = match &beside[..] {
        [one, two] => [&t, one, two],
        _ => [&t, &t, &t],
    };
    for alg in SigningAlg::ALL {
        let (a, b, c) = tokio::join!(sign(a, alg), sign(b, alg), sign(c, alg));
        let kids = [a, b, c].map(|token| jsonwebtoken::decode_header(&token).unwrap().kid.unwrap());
        assert!(kids.iter().all(|kid| *kid == kids[0]), "{kids:?}");
    }
    assert_eq!(t.ask_sql("SELECT count(*) FROM signing_keys"), [["3"]]);
    assert_eq!(t.ask_sql("SELECT count(*) FROM events WHERE kind = 'key.created'"), [["3"]]);
    // What one rotates, the others know.
    rotate(&t, false).await;
    knows_the_keys_of(&t, b).await;
    knows_the_keys_of(&t, c).await;
    t.clock.advance(DAY);
    let token = sign(c, SigningAlg::Es256).await;
    assert!(Client::of(b).await.verifies(&token));
    assert_eq!(t.ask_sql("SELECT count(*) FROM events WHERE kind = 'key.rotated'"), [["3"]]);
}

fn master_key() -> MasterKey {
    MasterKey::generate(&Random::system())
}

/// What a server of these settings says, if it does not start.
async fn prepared(config: Config, clock: &Clock) -> Result<App, String> {
    let app = App::assemble(config, clock.clone(), Random::system(), HashCost::FOR_TESTS);
    let app = app.map_err(|error| told(&error))?;
    app.prepare().await.map_err(|error| told(&error))?;
    Ok(app)
}

fn told(error: &Error) -> String {
    match error {
        Error::Conflict(conflict) if conflict.code == "master-key" => conflict.detail.to_string(),
        other => panic!("{other:?}"),
    }
}

/// A server over the data of another that has stopped.
async fn started(config: Config) -> Result<App, String> {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        // The one before lets go of its file in a moment.
        let app = App::assemble(config.clone(), Clock::manual(START), Random::system(), HashCost::FOR_TESTS);
        match app {
            Err(Error::Conflict(conflict))
                if conflict.code == "locked" && tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            Err(error) => return Err(told(&error)),
            Ok(app) => return app.prepare().await.map(|()| app).map_err(|error| told(&error)),
        }
    }
}

/// Stops a server; its data stays, with its settings.
pub fn stopped(t: T) -> (Config, Arc<tempfile::TempDir>, Arc<crate::databases::Database>, PathBuf) {
    let (config, dir, database) = (t.app.config.clone(), Arc::clone(&t.dir), Arc::clone(&t.database));
    let file = dir.path().join("master.key");
    drop(t);
    (config, dir, database, file)
}

#[tokio::test]
async fn on_sqlite_the_master_key_is_a_file_of_the_data_directory() {
    if is_postgres() {
        return;
    }
    let t = T::start().await;
    let file = t.dir.path().join("master.key");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(MasterKey::parse(text.strip_suffix('\n').unwrap()).is_some());
    t.secret(text.trim());
    let token = sign(&t, SigningAlg::Rs256).await;
    let [[stored]] =
        &t.ask_sql("SELECT key FROM signing_keys")[..].iter().map(|row| [row[0].clone()]).collect::<Vec<_>>()
            [..]
    else {
        panic!("one key")
    };
    assert!(stored.starts_with("sealed."));
    t.secret(stored);
    // It stays.
    let t = t.restart().await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    assert!(Client::of(&t).await.verifies(&token));
    assert!(!t.log().contains("other users can read the master key"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let t = t.restart().await;
    assert!(t.log().contains("other users can read the master key: run chmod 600 on it"));
    assert!(Client::of(&t).await.verifies(&token));
}

#[tokio::test]
async fn a_server_without_the_master_key_of_sealed_rows_does_not_start() {
    let key = master_key();
    let t = T::with(|config| config.master_key = is_postgres().then(|| key.clone())).await;
    sign(&t, SigningAlg::EdDsa).await;
    let clock = t.clock.clone();
    let (config, _dir, _database, file) = stopped(t);
    let database = config.database_url.to_string();
    if is_postgres() {
        let none = Config { master_key: None, ..config.clone() };
        let text = started(none.clone()).await.unwrap_err();
        assert!(text.contains("this server has none") && text.contains("master-key-file"), "{text}");
        assert!(text.contains("tenantry key reset") && text.contains(&database), "{text}");
    } else {
        let kept = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let text = started(config.clone()).await.unwrap_err();
        let names = [file.to_str().unwrap(), &database, "is missing", "tenantry key reset"];
        assert!(names.iter().all(|name| text.contains(name)), "{text}");
        assert!(!file.exists(), "no other key is made in its place");
        // Something else is there.
        for bad in ["", "not a key\n", &kept[..20]] {
            std::fs::write(&file, bad).unwrap();
            let text = started(config.clone()).await.unwrap_err();
            assert!(text.contains(&format!("{} is not a master key", file.display())), "{text}");
        }
        std::fs::write(&file, format!("{}\n", *master_key().to_text())).unwrap();
        let text = started(config.clone()).await.unwrap_err();
        assert!(
            text.contains("another master key than that in") && text.contains(file.to_str().unwrap()),
            "{text}"
        );
        // Whoever puts the right one back goes on.
        std::fs::write(&file, kept).unwrap();
    }
    let wrong = Config { master_key: Some(master_key()), ..config.clone() };
    let text = started(wrong).await.unwrap_err();
    assert!(text.contains("another master key than that of the setting master-key"), "{text}");
    let app = started(config).await.unwrap();
    let now = clock.now() / SECOND;
    signing_keys::sign(&app, SigningAlg::EdDsa, &json!({ "exp": now + 60 })).await.unwrap();
}

#[tokio::test]
async fn on_postgresql_keys_are_stored_unsealed_without_a_master_key_and_a_warning_says_so() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    assert!(t.log().contains("the keys that sign tokens stand unsealed in the database"));
    let token = sign(&t, SigningAlg::Es256).await;
    assert!(t.ask_sql("SELECT key FROM signing_keys")[0][0].starts_with("plain."));
    // From the first start with a key on they are sealed, and a server without it is refused.
    let key = master_key();
    let with_key = t.beside_with(t.clock.clone(), |config| config.master_key = Some(key.clone())).await;
    assert!(t.ask_sql("SELECT key FROM signing_keys")[0][0].starts_with("sealed."));
    assert!(Client::of(&with_key).await.verifies(&token));
    assert!(Client::of(&with_key).await.verifies(&sign(&with_key, SigningAlg::Es256).await));
    let config = t.app.config.clone();
    assert!(prepared(config.clone(), &t.clock).await.unwrap_err().contains("this server has none"));
    let other = Config { master_key: Some(master_key()), ..config };
    assert!(prepared(other, &t.clock).await.unwrap_err().contains("another master key"));
    // The first server makes no key beside the sealed ones.
    let refused = signing_keys::sign(&t.app, SigningAlg::EdDsa, &json!({})).await.unwrap_err();
    assert!(refused.to_string().contains("sealed with a master key"), "{refused}");
    assert_eq!(t.ask_sql("SELECT count(*) FROM signing_keys"), [["1"]]);
}

/// Of servers that start at once with different keys, one succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_with_different_master_keys_do_not_both_start() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    sign(&t, SigningAlg::EdDsa).await;
    let config = |key| Config { master_key: Some(key), ..t.app.config.clone() };
    let (one, two) =
        tokio::join!(prepared(config(master_key()), &t.clock), prepared(config(master_key()), &t.clock));
    let (good, refused) = match (one, two) {
        (Ok(app), Err(text)) | (Err(text), Ok(app)) => (app, text),
        both => panic!("{both:?}"),
    };
    assert!(refused.contains("another master key"), "{refused}");
    signing_keys::sign(&good, SigningAlg::EdDsa, &json!({})).await.unwrap();
}

#[tokio::test]
async fn a_changed_row_is_not_published_and_does_not_sign() {
    let key = master_key();
    let t = T::with(|config| config.master_key = Some(key.clone())).await;
    let old = sign(&t, SigningAlg::Es256).await;
    // Whoever can only write the database cannot have a key of theirs published, nor use one for something else.
    t.run_sql("UPDATE signing_keys SET alg = 'EdDSA'");
    let t = t.restart().await;
    assert_eq!(t.anonymous().get("/oauth/jwks").await.body, json!({ "keys": [] }));
    assert!(t.log().contains("a signing key cannot be unsealed and is not used"));
    let new = sign(&t, SigningAlg::Es256).await;
    let client = Client::of(&t).await;
    assert!(client.verifies(&new) && !client.verifies(&old) && client.keys.keys.len() == 1);
    let hint = signing_keys::verify_hint(&t.app, &old).await.unwrap();
    assert!(hint.is_none());
}

#[tokio::test]
async fn signatures_are_counted_by_algorithm() {
    let t = T::with(|config| config.metrics_allow = vec!["127.0.0.1/32".parse().unwrap()]).await;
    sign(&t, SigningAlg::EdDsa).await;
    sign(&t, SigningAlg::EdDsa).await;
    let text = t.anonymous().get("/metrics").await.expect(200).text;
    for line in ["{alg=\"RS256\"} 0", "{alg=\"ES256\"} 0", "{alg=\"EdDSA\"} 2"] {
        assert!(text.contains(&format!("\ntenantry_token_signatures_total{line}\n")), "{text}");
    }
}

/// The worker rotates keys without being asked.
#[tokio::test]
async fn housekeeping_rotates_keys() {
    let t = T::start().await;
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().signing_keys, 0);
    use_algorithms(&t, &[SigningAlg::Es256]).await;
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().signing_keys, 1, "a client needs it");
    assert_eq!(Client::of(&t).await.keys.keys.len(), 1);
    sign(&t, SigningAlg::Es256).await;
    t.clock.advance(90 * DAY);
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().signing_keys, 1);
    t.clock.advance(DAY + MINUTE);
    assert_eq!(
        tenantry_worker::housekeep(&t.app).await.unwrap().signing_keys,
        1,
        "the private key is removed"
    );
    let found = t.ask_sql("SELECT is_private FROM signing_keys ORDER BY current_from");
    assert_eq!(found, [["0"], ["1"]]);
    assert_eq!(Client::of(&t).await.keys.keys.len(), 2);
}
