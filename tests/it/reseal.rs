//! `tenantry key reseal`, and what a lost master key takes with it.

use serde_json::json;

use tenantry::app::App;
use tenantry::config::Config;
use tenantry_core::clock::Clock;
use tenantry_core::error::Error;
use tenantry_passwords::HashCost;

use tenantry_core::model::{PartnerId, UserId};
use tenantry_core::random::Random;
use tenantry_core::signing_alg::SigningAlg;
use tenantry_domain::sealer::{self, MasterKey};
use tenantry_domain::signing_keys;
use tenantry_mail::{Email, EmailContent, Mailer, Memory};
use tenantry_store::access::Operator;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::factors::list_totp_after;

use crate::authenticators::started;
use crate::binary::Home;
use crate::databases::is_postgres;
use crate::harness::START;
use crate::keys;

fn another_key() -> MasterKey {
    MasterKey::generate(&Random::seeded(2))
}

/// The data of a server that has stopped, with whatever master key.
async fn opened(config: Config) -> App {
    loop {
        let app = App::assemble(config.clone(), Clock::manual(START), Random::system(), HashCost::FOR_TESTS);
        match app {
            Err(Error::Conflict(conflict)) if conflict.code == "locked" => {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            other => return other.unwrap(),
        }
    }
}

#[tokio::test]
async fn everything_is_sealed_with_the_new_key_and_nothing_with_the_former_one() {
    let t = started().await;
    keys::use_algorithms(&t, &[SigningAlg::Es256]).await;
    signing_keys::sign(&t.app, SigningAlg::Es256, &json!({ "sub": "1" })).await.unwrap();
    let (_, app, _) = t.member_with_authenticator("fenna").await;
    let sealed = || t.ask_sql("SELECT secret FROM totp_secrets UNION ALL SELECT key FROM signing_keys");
    let before = sealed();
    let by = Operator::of_this_machine();
    assert_eq!(sealer::reseal(&t.app, by, &another_key()).await.unwrap(), before.len());
    let after = sealed();
    assert!(after.iter().all(|row| !before.contains(row) && row[0].starts_with("sealed.")));
    // The key of this process is the former one.
    assert!(sealer::reseal(&t.app, by, &another_key()).await.is_err());
    let kid = t.ask_sql("SELECT kid FROM signing_keys");
    let t = t.restart_with(|config| config.master_key = Some(another_key())).await;
    assert_eq!(t.ask_sql("SELECT kid FROM signing_keys"), kid);
    signing_keys::sign(&t.app, SigningAlg::Es256, &json!({ "sub": "1" })).await.unwrap();
    t.tab_with_code("fenna", &app).await.get("/account").await.expect(200);
    let same = sealer::reseal(&t.app, by, &another_key()).await.unwrap_err().to_string();
    assert!(same.contains("already"), "{same}");
}

#[tokio::test]
async fn a_lost_master_key_takes_authenticator_apps_with_it_and_their_users_are_told() {
    let t = started().await;
    t.member_with_authenticator("fenna").await;
    t.member("ina").await;
    let by = Operator::of_this_machine();
    let (mut config, _dir, _database, _) = keys::stopped(t);
    config.master_key = Some(another_key());
    let app = opened(config).await;
    signing_keys::reset(&app, by, false).await.unwrap();
    let all = |tx: &mut Tx<'_, Operator>| list_totp_after(tx, (PartnerId(0), UserId(0)), 10);
    assert_eq!(app.store.scan(&by, all).await.unwrap().len(), 0);
    let mail = Memory::default();
    tenantry_worker::deliver_due(&app, &Mailer::Memory(mail.clone())).await.unwrap();
    let is_told = |email: &Email| matches!(&email.content, EmailContent::FactorRemoved { username, .. } if username == "fenna");
    assert!(mail.sent().iter().any(is_told));
}

#[tokio::test]
async fn the_command_needs_the_server_to_be_stopped_and_both_keys() {
    if is_postgres() {
        return;
    }
    let home = Home::new();
    let (new, file) = (another_key(), home.path().join("new.key"));
    std::fs::write(&file, new.to_text().as_bytes()).unwrap();
    let line = format!("key reseal --new-key-file {}", file.display());
    let server = home.serve();
    assert!(home.command(&line).refused(1).contains("stop it first"));
    assert_eq!(server.terminate().code, Some(0));
    assert!(home.command("key reseal --new-key-file nowhere").refused(1).contains("nowhere"));
    let bad = home.path().join("bad.key");
    std::fs::write(&bad, "no key").unwrap();
    let with_bad = format!("key reseal --new-key-file {}", bad.display());
    assert!(home.command(&with_bad).refused(1).contains("is not a master key"));
    assert_eq!(home.json(&line), json!({ "resealed": 0 }));
    // It is the server's when it is in its place.
    std::fs::rename(&file, home.data().join("master.key")).unwrap();
    assert_eq!(home.serve().terminate().code, Some(0));
}
