//! The commands that manage the keys that sign ID tokens, and whom a reset concerns.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::binary::{GIVEN, Home};
use crate::harness::T;
use tenantry::app::App;
use tenantry::config::Config;
use tenantry_core::clients::ClientKind;
use tenantry_core::clock::Clock;
use tenantry_core::random::Random;
use tenantry_core::signing_alg::SigningAlg;
use tenantry_domain::client_changes::{ClientChange, NewClient};
use tenantry_domain::signing_keys;
use tenantry_mail::{Email, EmailContent};
use tenantry_passwords::HashCost;
use tenantry_store::access::Operator;

/// Makes a key in the data of a home where no server runs.
async fn make_key(home: &Home, alg: SigningAlg) {
    let config = Config::for_tests(&home.data());
    let app = App::assemble(config, Clock::system(), Random::system(), HashCost::FOR_TESTS).unwrap();
    app.prepare().await.unwrap();
    signing_keys::sign(&app, alg, &json!({})).await.unwrap();
    drop(app);
}

fn states(keys: &Value) -> Vec<&str> {
    keys.as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_list_rotate_and_reset_keys() {
    let home = Home::new();
    assert_eq!(home.serve().terminate().code, Some(0));
    assert_eq!(home.json("key list"), json!([]));
    assert_eq!(home.json("key rotate"), json!([]), "there is nothing to rotate");
    // The command that creates a client makes its key.
    home.json(
        "client create --partner 1 --name shop --redirect-uri https://shop.example/cb --id-token-alg ES256",
    );
    // Without a server and with one.
    assert_eq!(states(&home.json("key list")), ["current"]);
    let server = home.serve();
    let rotated = home.json("key rotate");
    assert_eq!((states(&rotated), &rotated), (vec!["current", "next"], &home.json("key list")));
    assert_eq!(rotated[0]["oldFrom"], rotated[1]["currentFrom"]);
    let table = home.command("key list").done();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0].join(" "), "ALG STATE KID SIGNS FROM UNTIL PUBLISHED UNTIL");
    assert_eq!((&rows[1][..2], &rows[2][..2]), (&["ES256", "current"][..], &["ES256", "next"][..]));
    assert_eq!(rows[2][2], rotated[1]["kid"].as_str().unwrap());
    let now = home.json("key rotate --now");
    assert_eq!(now[1]["kid"], rotated[1]["kid"], "the key that is published already");
    assert!(now[1]["currentFrom"].as_str() < rotated[1]["currentFrom"].as_str());
    let published = server.anonymous().get("/oauth/jwks").await.expect(200).body;
    assert_eq!(published["keys"].as_array().unwrap().len(), 2);
    assert!(home.command("key reset").refused(1).contains("all keys can be unsealed"));
    let all = home.json("key reset --force");
    assert_eq!((all["removed"].as_array().unwrap().len(), all["made"].as_array().unwrap().len()), (2, 1));
    assert_eq!(all["mailed"], 1, "the admin of the partner with the client");
    let events = home.json("event list");
    let kinds: Vec<&str> =
        events.as_array().unwrap().iter().map(|one| one["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["key.created", "key.rotated", "key.rotated", "key.reset"]);
    assert_eq!(home.json("event list --type key.reset"), json!([events[3]]));
    assert!(home.command("event list").done().contains("key.reset"));
    assert!(home.command("event list --type key.gone").refused(1).contains("key.rotated"));
    let of_partner = home.json("event list --partner 1");
    assert!(of_partner.as_array().unwrap().iter().any(|one| one["type"] == "client.created"), "{of_partner}");
    let published = server.anonymous().get("/oauth/jwks").await.expect(200).body;
    assert_eq!((&published["keys"][0]["kid"], &published["keys"][1]), (&all["made"][0], &Value::Null));
    assert_eq!(server.terminate().code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_master_key_is_replaced_by_a_command() {
    let home = Home::new();
    assert_eq!(home.serve().terminate().code, Some(0));
    make_key(&home, SigningAlg::Es256).await;
    // A backup says that it needs the key.
    let made = home.json("backup sealed.db");
    assert!(made["masterKey"].as_str().unwrap().starts_with("needed: "), "{made}");
    let file = home.data().join("master.key");
    let lost = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let said = home.refused(&[], &GIVEN).refused(1);
    for part in ["tenantry-data/master.key is missing", "tenantry-data/tenantry.db", "`tenantry key reset`"] {
        assert!(said.contains(part), "{said}");
    }
    // Other commands do not need it, and do not make another.
    assert_eq!(home.json("partner list")[0]["pid"], 1);
    assert_eq!(states(&home.json("key list")), ["unusable"]);
    assert!(home.command("key rotate").refused(1).contains("sealed with a master key"));
    assert!(!file.exists());
    let reset = home.json("key reset");
    assert_eq!((reset["removed"].as_array().unwrap().len(), reset["made"].as_array().unwrap().len()), (1, 1));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_ne!(std::fs::read(&file).unwrap(), lost);
    let server = home.serve();
    let published = server.anonymous().get("/oauth/jwks").await.expect(200).body;
    assert_eq!(published["keys"][0]["kid"], reset["made"][0]);
    assert_eq!(server.terminate().code, Some(0));
    // The backup still needs the old one.
    let restored = home.json("restore sealed.db");
    assert!(restored["masterKey"].as_str().unwrap().starts_with("needed: "), "{restored}");
    let said = home.refused(&[], &GIVEN).refused(1);
    assert!(said.contains("another master key than that in ./tenantry-data/master.key"), "{said}");
    std::fs::write(&file, lost).unwrap();
    assert_eq!(home.serve().terminate().code, Some(0));
    // A copy needs it as well.
    let copied = home.command("copy --to sqlite:copy.db");
    assert!(copied.out.contains("need the same (master-key-file)"), "{copied:?}");
}

/// A client whose ID tokens are signed with this algorithm.
fn signed_with(name: &str, alg: SigningAlg) -> NewClient {
    let settings = ClientChange {
        name: Some(name.to_owned()),
        redirect_uris: Some(vec![String::from("https://shop.example/cb")]),
        id_token_alg: Some(alg),
        ..ClientChange::default()
    };
    NewClient { kind: ClientKind::Public, settings }
}

/// Admins whose clients get ID tokens that were signed with a removed key are told, in their language.
#[tokio::test]
async fn a_reset_is_mailed_to_the_admins_of_affected_partners() {
    let t = T::start().await;
    let admin = t.admin().await;
    admin.patch("/api/v1/users/self", &json!({ "locale": "nl" })).await.expect(200);
    let (pid, _) = t.other_partner("other").await;
    let (unaffected, _) = t.other_partner("third").await;
    t.member("mia").await;
    for (pid, name, alg) in [
        (1, "Shop", SigningAlg::Es256),
        (1, "Portal", SigningAlg::Es256),
        (pid, "Wiki", SigningAlg::EdDsa),
        (unaffected, "Robot", SigningAlg::Rs256),
    ] {
        t.new_client(pid, signed_with(name, alg)).await;
    }
    t.product_client(signed_with("Product", SigningAlg::Es256)).await;
    for alg in [SigningAlg::Es256, SigningAlg::EdDsa] {
        signing_keys::sign(&t.app, alg, &json!({})).await.unwrap();
    }
    let resets = async |t: &T| -> Vec<Email> {
        let mails = t.mails().await;
        mails
            .into_iter()
            .filter(|mail| matches!(mail.content, EmailContent::SigningKeysReset { .. }))
            .collect()
    };
    let by = Operator::of_this_machine();
    // Nothing is lost: it is refused, and nobody is told.
    signing_keys::reset(&t.app, by, false).await.unwrap_err();
    assert!(resets(&t).await.is_empty());
    let done = signing_keys::reset(&t.app, by, true).await.unwrap();
    assert_eq!((done.removed.len(), done.made.len(), done.mailed), (2, 2, 2));
    let mut mails = resets(&t).await;
    mails.sort_by(|a, b| a.to.address.cmp(&b.to.address));
    let [first, second] = &mails[..] else { panic!("{mails:?}") };
    assert_eq!((first.to.address.as_str(), first.language.tag()), ("admin@example.com", "nl"));
    assert_eq!((second.to.address.as_str(), second.language.tag()), ("other-admin@example.com", "en"));
    let names = |mail: &Email| match &mail.content {
        EmailContent::SigningKeysReset { applications, .. } => {
            let mut names = applications.clone();
            names.sort();
            names
        }
        other => panic!("{other:?}"),
    };
    assert_eq!((names(first), names(second)), (vec!["Portal".into(), "Shop".into()], vec!["Wiki".into()]));
}
