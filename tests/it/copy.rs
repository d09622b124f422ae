//! `tenantry copy`: a populated database goes over whole, in both directions, whenever it is broken off. On PostgreSQL
//! the way is SQLite, PostgreSQL, SQLite; without it, from file to file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use tenantry::config::DatabaseUrl;
use tenantry_core::clock::Clock;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::PartnerId;
use tenantry_core::random::Random;
use tenantry_core::scopes::TokenScopes;
use tenantry_core::signing_alg::SigningAlg;
use tenantry_domain::forgot_username;
use tenantry_domain::logins::{self, SigningIn};
use tenantry_domain::sealer::MasterKey;
use tenantry_domain::signing_keys::{sign, verify_hint};
use tenantry_domain::tokens::Origin;
use tenantry_domain::unit;
use tenantry_store::access::{Within, system_within};
use tenantry_store::engine::tx::Tx;
use tenantry_store::ops::copy::{self, CopyLocation, CopyProgress, CopyReport, Stage};
use tenantry_store::tables::authorization_codes::{self, Authentication, AuthorizationCode};

use crate::clients;
use crate::databases::{self, Database, is_postgres};
use crate::fixtures::{ids, seed, with};
use crate::harness::{START, T, new_user, password_of};

/// A database to copy into.
pub struct Other {
    pub file: PathBuf,
    pub postgres: Option<Database>,
}

impl Other {
    /// An empty one: of PostgreSQL where there is one.
    pub fn new(t: &Path, name: &str) -> Self {
        Self { file: t.join(name), postgres: is_postgres().then(Database::blank) }
    }

    pub fn url(&self) -> String {
        let postgres = self.postgres.as_ref().and_then(Database::url);
        postgres.unwrap_or_else(|| format!("sqlite:{}", self.file.display()))
    }

    /// Runs SQL on it.
    pub fn run(&self, sql: &str) {
        match &self.postgres {
            Some(database) => database.run(Path::new(""), sql),
            None => rusqlite::Connection::open(&self.file).unwrap().execute_batch(sql).unwrap(),
        }
    }
}

/// Copies, and breaks off where `is_enough` says so.
fn copy_until(
    from: &str,
    to: &str,
    is_enough: impl FnMut(Stage, &str, u64) -> bool + Send,
) -> Result<CopyReport> {
    let mut is_enough = is_enough;
    let mut watch = |progress: &CopyProgress<'_>| match *progress {
        CopyProgress::Step { stage, at, done, total } => {
            assert!(done <= total, "{progress:?}");
            if is_enough(stage, at, done) { Err(Error::internal("broken off")) } else { Ok(()) }
        }
        CopyProgress::Servers(_) => Ok(()),
    };
    let (from, to) = (databases::parsed(from), databases::parsed(to));
    copy::run(&place(&from), &place(&to), &Clock::manual(START), &mut watch)
}

fn place(url: &DatabaseUrl) -> CopyLocation<'_> {
    match url {
        DatabaseUrl::Sqlite(path) => CopyLocation::Sqlite(path),
        DatabaseUrl::Postgres(url) => CopyLocation::Postgres(databases::options(url.expose())),
    }
}

fn copied(from: &str, to: &str) -> CopyReport {
    copy_until(from, to, |_, _, _| false).unwrap()
}

fn why_not(from: &str, to: &str) -> String {
    copy_until(from, to, |_, _, _| false).unwrap_err().to_string()
}

/// A server on SQLite, whatever the suite runs on, and the URL of its database.
async fn on_sqlite() -> (T, String) {
    let t = T::with(|config| {
        config.database_url = DatabaseUrl::Sqlite(config.data_dir.join("tenantry.db"));
        // Both databases have it.
        config.master_key = Some(MasterKey::generate(&Random::seeded(1)));
    })
    .await;
    let url = format!("sqlite:{}", t.dir.path().join("tenantry.db").display());
    (t, url)
}

/// What people have in hands when their database moves.
struct Hands {
    access: String,
    refresh: String,
    /// A used refresh token, and the one that it was exchanged for.
    exchanged: (String, String),
    client: (String, String),
    operator: String,
    /// An ID token.
    id_token: String,
    /// The path of a second page, with its cursor.
    next: String,
    group: i64,
    last_user: i64,
    last_event: i64,
}

/// Something in every table, and every kind of value.
async fn populate(t: &T) -> Hands {
    let admin = t.admin().await;
    let group = admin.create_group("Ærø «sailors» \\ 100%_").await;
    admin
        .post("/api/v1/groups/", &json!({ "name": "Empty", "description": "nobody \"yet\"" }))
        .await
        .expect(201);
    let path = format!("/api/v1/groups/{group}");
    let list =
        json!([{ "objectType": "SEGMENT", "objectId": "s-\u{2603}", "permissions": ["READ", "WRITE"] }]);
    admin.put(&format!("{path}/permissions"), &list).await.expect(200);
    admin.put(&format!("{path}/wildcards"), &json!(["VIEW_ALL_SEGMENTS"])).await.expect(200);
    admin.post("/api/v1/groups/", &json!({ "name": "Below", "parentGroupId": group })).await.expect(201);
    for (username, first, last, title) in [
        ("zoë.müller", "Zoë", "Müller-Lüdenscheidt", json!("Dr. 👩🏽‍🚀 ﷽")),
        ("straße", "Ünal", "Ødegård", json!(null)),
        ("אבג", "שלום", "العربية", json!("a\\b'c\"d")),
        ("quote", "O'Brien", "N\u{303}and\u{fa}", json!("x")),
    ] {
        let mut user = new_user(username);
        user["email"] = json!(format!("u{}@example.com", username.len() + last.len()));
        user["firstName"] = json!(first);
        user["lastName"] = json!(last);
        user["title"] = title;
        user["groups"] = json!([group]);
        user["externalId"] = json!(format!("ext-{username}"));
        admin.create_with(&user).await;
    }
    admin.put("/api/v1/branding", &crate::branding::branding()).await.expect(200);
    let logo = Some(crate::branding::png());
    admin.send(reqwest::Method::PUT, "/api/v1/branding/logo", logo, "image/png").await.expect(200);
    // A member with two passwords in the history; a user who never logged in and whose mail still waits.
    let (_, member) = t.member("mia").await;
    let access = member.token.clone().unwrap();
    let login =
        t.token(&[("grant_type", "password"), ("username", "mia"), ("password", &password_of("mia"))]).await;
    let refresh = login.body["refresh_token"].as_str().unwrap().to_owned();
    // A session of one scope, whose refresh token was just exchanged.
    let form = [
        ("grant_type", "password"),
        ("username", "mia"),
        ("password", &*password_of("mia")),
        ("scope", "read"),
    ];
    let reader = t.token(&form).await.expect(200).body["refresh_token"].as_str().unwrap().to_owned();
    let exchanged = t.token(&[("grant_type", "refresh_token"), ("refresh_token", &reader)]).await.expect(200);
    // Somebody who is signed in on a page.
    let signing = SigningIn {
        username: "mia",
        password: password_of("mia").into(),
        origin: Origin { address: [192, 0, 2, 7].into(), user_agent: Some(String::from("a browser")) },
        is_kept: true,
        previous: None,
        device: None,
    };
    let signed_in = logins::sign_in(&t.app, signing).await.unwrap().signed_in().unwrap();
    let code = AuthorizationCode {
        client_id: String::from("a client"),
        user_id: signed_in.user_id,
        browser_session: signed_in.session_id,
        redirect_uri: String::from("https://shop.example/callback"),
        challenge: None,
        nonce: None,
        scopes: TokenScopes::ALL,
        authentication: Authentication::default(),
        expires_at: 4_000_000_000_000,
    };
    let store = move |tx: &mut Tx<'_, Within>| authorization_codes::insert(tx, &[7; 32], &code);
    unit::write(&t.app.store, &system_within(PartnerId(1)), store).await.unwrap();
    // Deleted numbers must not come again (B24).
    let gone = admin.create("gone").await["userId"].as_i64().unwrap();
    admin.delete(&format!("/api/v1/users/{gone}")).await.expect(204);
    // A user that is erased, which the worker has not seen to; the key of the cursors, and a cursor.
    let erased = admin.create("erased").await["userId"].as_i64().unwrap();
    admin.delete(&format!("/api/v1/users/{erased}")).await.expect(204);
    admin.delete(&format!("/api/v1/users/deleted/{erased}")).await.expect(204);
    let page = admin.get("/api/v1/users?pageSize=1&sortBy=lastName").await.expect(200);
    let next = page.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    // Answers that are kept for requests that come again, one of which shows a user; a forgotten password, and one that is still to be seen to.
    let key = admin.request(reqwest::Method::POST, "/api/v1/groups/").header("idempotency-key", "k-1");
    let kept = key.json(&json!({ "name": "Kept" })).send().await.unwrap();
    assert_eq!(kept.status(), 201);
    // What a crash left of a large list of permissions, and who had the large unit of a partner.
    let behind = rusqlite::Connection::open(t.dir.path().join("tenantry.db")).unwrap();
    let leftover = format!("INSERT INTO permission_changes VALUES (1, {}, 1, 2, 1, 1)", group + 1);
    behind.execute_batch(&leftover).unwrap();
    behind.execute_batch("INSERT INTO large_units VALUES (1, 'somebody', 1)").unwrap();
    // Second factors, and since when the server requires one.
    for (table, values) in [
        ("totp_secrets", "'sealed.AAAA', 60000000, 1, 2, 3"),
        ("recovery_codes", "'hash', 1, 0"),
        ("remembered_devices", "'hash', 1, 4000000000000"),
    ] {
        let insert = format!(
            "INSERT INTO {table} SELECT u.pid, u.user_id, {values} FROM users u WHERE u.username = 'quote'"
        );
        behind.execute_batch(&insert).unwrap();
    }
    // A passkey, its credential, and a challenge that was answered.
    for insert in [
        "INSERT INTO passkeys SELECT u.pid, u.user_id, 'k-1', 'Y3JlZA', 'aGFuZGxl', 'a2V5', 7, 'internal hybrid', 1, 1, \
         'Zoë’s phone', 1, 2 FROM users u WHERE u.username = 'quote'",
        "INSERT INTO passkey_credentials SELECT 'hash', u.pid, u.user_id, 'k-1' FROM users u WHERE u.username = 'quote'",
        "INSERT INTO passkey_challenges VALUES (1, 'challenge', 4000000000000)",
    ] {
        behind.execute_batch(insert).unwrap();
    }
    behind.execute_batch("INSERT INTO second_factor_floors VALUES (2, 1800000000000)").unwrap();
    drop(behind);
    let key = admin.request(reqwest::Method::POST, "/api/v1/users").header("idempotency-key", "k-2");
    assert_eq!(key.json(&new_user("once")).send().await.unwrap().status(), 201);
    // An import that can be gone on with.
    let key = admin.request(reqwest::Method::POST, "/api/v1/users/import").header("idempotency-key", "i-1");
    let expensive = crate::foreign_hashes::BCRYPT.replace("$05$", "$12$");
    let row = with(&new_user("moved"), json!({ "passwordHash": expensive })).to_string();
    let moved = key.header("content-type", "application/x-ndjson").body(row).send().await.unwrap();
    assert_eq!(moved.status(), 200);
    for who in ["mia", "nobody-here"] {
        let asked = json!({ "username": who });
        t.anonymous().post("/api/v1/users/forgot-password", &asked).await.expect(202);
        if who == "mia" {
            t.mails().await;
        }
    }
    // Usernames that were asked for.
    let address = [192, 0, 2, 7].into();
    forgot_username::ask(&t.app, address, "mia@example.com").await.unwrap();
    t.mails().await;
    forgot_username::ask(&t.app, address, "nobody-here@example.com").await.unwrap();
    // Another partner, suspended, and a third.
    let (pid, _) = t.other_partner("other").await;
    t.other_partner("third").await;
    let operator = t.operator().await;
    operator.patch(&format!("/operator/v1/partners/{pid}"), &json!({ "suspended": true })).await.expect(200);
    let client = t.client(1, true).await;
    t.technical_account(&client).await;
    clients::populate(t, &member, &client.0).await;
    // By an address that is nobody's, for the limit per address.
    assert_eq!(t.try_login("nobody-here", "wrong").await.status, 400);
    assert_eq!(t.try_login("mia", "wrong").await.status, 400);
    // A bulk operation that was broken off; whom it is for is gone already.
    let behind = rusqlite::Connection::open(t.dir.path().join("tenantry.db")).unwrap();
    let broken_off = format!(
        "INSERT INTO bulk_operations (pid, operation_id, actor, change, total, changed, kept, begun_at, owner, lease_until) \
         VALUES (1, 'moves', 'user:1', '\"deleteUsers\"', 1, 0, '[]', 1, 'another', 0); \
         INSERT INTO bulk_operation_ids (pid, state, piece, ids) VALUES (1, 'pending', 1, '[{gone}]')"
    );
    behind.execute_batch(&broken_off).unwrap();
    drop(behind);
    let last_user = admin.create("waiting").await["userId"].as_i64().unwrap();
    let last_event =
        admin.events().await.iter().map(|event| event["eventId"].as_i64().unwrap()).max().unwrap();
    let id_token = sign(&t.app, SigningAlg::Es256, &json!({ "sub": "1" })).await.unwrap();
    let exchanged = (reader, exchanged.body["refresh_token"].as_str().unwrap().to_owned());
    Hands {
        access,
        refresh,
        exchanged,
        client,
        operator: operator.token.unwrap(),
        id_token,
        next,
        group,
        last_user,
        last_event,
    }
}

/// The server over a copy does what the first one would.
async fn check(t: &T, hands: &Hands, before: &Value, password: &str) {
    assert_eq!(t.bearer(&hands.access).get("/api/v1/users/self").await.status, 200);
    let refreshed = t.token(&[("grant_type", "refresh_token"), ("refresh_token", &hands.refresh)]).await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.body);
    let (used, newest) = &hands.exchanged;
    let again = t.token(&[("grant_type", "refresh_token"), ("refresh_token", used)]).await.expect(200);
    assert_eq!((&again.body["refresh_token"], &again.body["scope"]), (&json!(newest), &json!("read")));
    let mia = t.login("mia", password).await;
    let admin = t.admin().await;
    assert_eq!(without_login_times(&admin.everybody().await), *before);
    assert_eq!(t.bearer(&hands.operator).get("/operator/v1/partners").await.status, 200);
    t.technical_account(&hands.client).await;
    assert!(verify_hint(&t.app, &hands.id_token).await.unwrap().is_some());
    sign(&t.app, SigningAlg::Es256, &json!({ "sub": "1" })).await.unwrap();
    admin.get(&hands.next).await.expect(200);
    // Searches find: in each script, by three characters and by one.
    for (term, count) in [("LÜDENSCH", 1), ("שלום", 1), ("ext-", 4), ("o'b", 1), ("odegard", 1), ("👩", 1)]
    {
        let url =
            reqwest::Url::parse_with_params("http://x/api/v1/users/", [("search", term), ("pageSize", "50")]);
        let url = url.unwrap();
        let found = admin.get(&format!("{}?{}", url.path(), url.query().unwrap())).await.expect(200);
        assert_eq!(
            (&found.body["total"], found.list().len()),
            (&json!(count), count),
            "{term}: {}",
            found.body
        );
    }
    // An interrupted operation resumes.
    let mut tasks = tenantry_domain::bulk_operations::take_up(&t.app).await.unwrap();
    assert_eq!(tasks.remove(0).await.unwrap().unwrap().status, 204);
    // Numbers continue after the last ones.
    let next = admin.create("newcomer").await;
    assert_eq!(next["userId"], hands.last_user + 1);
    assert!(admin.create_group("Newcomers").await > hands.group + 3);
    let events = admin.events().await;
    let numbers: Vec<i64> = events.iter().map(|event| event["eventId"].as_i64().unwrap()).collect();
    assert!(numbers.iter().any(|n| *n > hands.last_event), "{numbers:?}");
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len());
    // The password history was copied.
    let again = json!({ "oldPassword": password, "newPassword": password });
    assert_ne!(mia.post("/api/v1/users/self/update-password", &again).await.status, 200);
    // The waiting mail is sent, with a password that works.
    let temporary = t.mailed_password("waiting").await;
    t.login("waiting", &temporary).await;
    // The partner that was suspended still is.
    assert_ne!(t.try_login("other-admin", &password_of("other-admin")).await.status, 200);
    assert_eq!(t.try_login("third-admin", &password_of("third-admin")).await.status, 200);
}

fn without_login_times(users: &Value) -> Value {
    let mut users = users.clone();
    for user in users.as_array_mut().unwrap() {
        user["lastLoginAt"] = Value::Null;
    }
    users
}

#[tokio::test]
async fn everything_survives_a_copy_there_and_back() {
    let (t, from) = on_sqlite().await;
    let hands = populate(&t).await;
    let before = without_login_times(&t.admin().await.everybody().await);
    let (there, back) = (Other::new(t.dir.path(), "there.db"), t.dir.path().join("back.db"));
    let first = copied(&from, &there.url());
    let second = copied(&there.url(), &format!("sqlite:{}", back.display()));
    assert_eq!(first.tables, second.tables, "rows and checksums are the same on the way there and back");
    assert_eq!(first.sequences, second.sequences);
    assert!(!first.is_resumed && !second.is_resumed);

    // Nothing that the schema has was forgotten. Who adds a table puts something into it in `populate`.
    let mut tables = BTreeSet::new();
    let conn = rusqlite::Connection::open(&back).unwrap();
    let mut all =
        conn.prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'").unwrap();
    let mut rows = all.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let name: String = row.get(0).unwrap();
        if !name.starts_with("sqlite_") && !["schema_versions", "sequences"].contains(&name.as_str()) {
            tables.insert(name);
        }
    }
    let counts: BTreeMap<&str, u64> = first.tables.iter().map(|t| (t.name.as_str(), t.rows)).collect();
    assert_eq!(tables.iter().map(String::as_str).collect::<BTreeSet<_>>(), counts.keys().copied().collect());
    for (name, rows) in &counts {
        assert!(*rows > 0, "nothing in {name} was copied: populate it here");
    }
    drop(rows);
    // The schema is whole again: the same indexes as in a database that was never copied into.
    let indexes = |path: &Path| -> BTreeSet<String> {
        let conn = rusqlite::Connection::open(path).unwrap();
        let mut all = conn.prepare("SELECT coalesce(sql, name) FROM sqlite_master").unwrap();
        all.query_map([], |row| row.get(0)).unwrap().map(std::result::Result::unwrap).collect()
    };
    assert_eq!(indexes(&back), indexes(&t.dir.path().join("tenantry.db")));

    for url in [there.url(), format!("sqlite:{}", back.display())] {
        let copy = t.over(databases::parsed(&url)).await;
        check(&copy, &hands, &before, &password_of("mia")).await;
    }
}

#[tokio::test]
async fn a_copy_into_postgresql_has_every_index_and_key() {
    if !is_postgres() {
        return;
    }
    let (t, from) = on_sqlite().await;
    t.admin().await.create("one").await;
    let (there, fresh) = (Other::new(t.dir.path(), ""), Database::new());
    copied(&from, &there.url());
    let made = |url: String| async move {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let sql = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL \
             SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint \
             WHERE connamespace = 'public'::regnamespace AND convalidated";
        let rows = client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<BTreeSet<_>>()
    };
    let wanted = made(fresh.url().unwrap()).await;
    assert!(
        wanted.iter().any(|one| one.contains("users_search"))
            && wanted.iter().any(|one| one.contains("FOREIGN KEY"))
    );
    assert_eq!(made(there.url()).await, wanted);
}

#[tokio::test]
async fn servers_connected_to_the_source_are_reported() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let beside = t.beside().await;
    beside.admin().await;
    let (from, to) = (t.database.url().unwrap(), t.dir.path().join("to.db"));
    let mut servers = 0;
    let mut watch = |progress: &CopyProgress<'_>| {
        if let CopyProgress::Servers(n) = progress {
            servers = *n;
        }
        Ok(())
    };
    let from = databases::parsed(&from);
    copy::run(&place(&from), &CopyLocation::Sqlite(&to), &Clock::manual(START), &mut watch).unwrap();
    assert!(servers >= 2, "each has at least the connection that it listens on: {servers}");
}

#[tokio::test]
async fn an_interrupted_copy_resumes_where_it_stopped() {
    let (t, from) = on_sqlite().await;
    populate(&t).await;
    let whole = copied(&from, &Other::new(t.dir.path(), "whole.db").url());
    let (to, mut runs, mut seen) = (Other::new(t.dir.path(), "broken.db"), 0, BTreeSet::new());
    let report = loop {
        runs += 1;
        assert!(runs < 200, "it does not get on");
        // Each run does one step more than the one before. Verifying begins anew each time: only once.
        let mut steps = 0;
        let is_first_verify = !seen.contains("Verify");
        let done = copy_until(&from, &to.url(), |stage, _, _| {
            steps += usize::from(stage != Stage::Compare);
            seen.insert(format!("{stage:?}"));
            (steps > 1 && stage != Stage::Verify) || (stage == Stage::Verify && is_first_verify)
        });
        match done {
            Ok(report) => break report,
            Err(e) => assert_eq!(e.to_string(), "broken off"),
        }
        // Until it is finished, nothing serves it, and nothing else is copied into it.
        let url = databases::parsed(&to.url());
        let config = tenantry::config::Config { database_url: url, ..t.app.config.clone() };
        let refused = tenantry::app::App::assemble(
            config,
            t.clock.clone(),
            tenantry_core::random::Random::system(),
            tenantry_passwords::HashCost::FOR_TESTS,
        );
        assert!(refused.unwrap_err().to_string().contains("run the same `tenantry copy` again"));
    };
    assert!(report.is_resumed && runs > whole.tables.len(), "{runs} runs");
    assert!(seen.len() >= 4, "{seen:?}");
    assert_eq!((report.tables, report.sequences), (whole.tables, whole.sequences));
    t.over(databases::parsed(&to.url())).await.admin().await;
}

#[tokio::test]
async fn a_large_table_is_resumed_in_its_middle() {
    let (t, from) = on_sqlite().await;
    seed(&t, 1, "many", 11_000, Vec::new()).await;
    let to = Other::new(t.dir.path(), "to.db");
    let mut of_users = 0;
    let broken = copy_until(&from, &to.url(), |stage, at, _| {
        of_users += usize::from(stage == Stage::Copy && at == "users");
        of_users == 2
    });
    assert_eq!(broken.unwrap_err().to_string(), "broken off");
    let (mut first, mut compared) = (None, 0);
    let report = copy_until(&from, &to.url(), |stage, at, done| {
        match stage {
            Stage::Compare => compared = done,
            Stage::Copy => drop(first.get_or_insert((at.to_owned(), done))),
            _ => {}
        }
        false
    })
    .unwrap();
    assert_eq!(report.tables.iter().find(|t| t.name == "users").unwrap().rows, 11_001);
    let first = first.unwrap();
    assert!(compared >= 10_000 && first.0 == "users" && first.1 > compared, "{compared} {first:?}");
    let copy = t.over(databases::parsed(&to.url())).await;
    let admin = copy.admin().await;
    let page = admin.get("/api/v1/users/?page=0&pageSize=5&search=many10999").await.expect(200);
    assert_eq!((page.body["total"].clone(), ids(&page.body["list"]).len()), (json!(1), 1));
}

#[tokio::test]
async fn a_copy_does_not_resume_from_a_changed_or_different_source() {
    let (t, from) = on_sqlite().await;
    let admin = t.admin().await;
    let user = admin.create("one").await["userId"].as_i64().unwrap();
    let to = Other::new(t.dir.path(), "to.db");
    let broken = copy_until(&from, &to.url(), |stage, at, _| stage == Stage::Copy && at == "users");
    assert_eq!(broken.unwrap_err().to_string(), "broken off");

    let (another, elsewhere) = on_sqlite().await;
    another.admin().await.create("somebody").await;
    another.admin().await.create("else").await;
    let why = why_not(&elsewhere, &to.url());
    assert!(why.contains("has different content") && why.contains("to start over"), "{why}");

    // A row that was copied already, changed so that no count tells.
    let file = rusqlite::Connection::open(t.dir.path().join("tenantry.db")).unwrap();
    file.execute("UPDATE users SET first_name = 'Changed' WHERE user_id = ?", [user]).unwrap();
    let why = why_not(&from, &to.url());
    assert!(why.contains("table users") && why.contains("has changed since it was started"), "{why}");
    file.execute("UPDATE users SET first_name = 'Fenna' WHERE user_id = ?", [user]).unwrap();

    // A new row.
    admin.create("two").await;
    let why = why_not(&from, &to.url());
    assert!(why.contains("has changed since it was started"), "{why}");
}

#[tokio::test]
async fn a_row_damaged_during_the_copy_is_detected() {
    let (t, from) = on_sqlite().await;
    populate(&t).await;
    for (table, sql) in [
        ("users", "UPDATE users SET first_name = first_name || ' ' WHERE user_id = 1"),
        ("events", "DELETE FROM events WHERE event_id = 2"),
        ("passwords", "UPDATE passwords SET expires_at = expires_at + 1 WHERE user_id = 1"),
        ("memberships", "DELETE FROM memberships WHERE user_id = 2"),
    ] {
        let to = Other::new(t.dir.path(), &format!("{table}.db"));
        let broken = copy_until(&from, &to.url(), |stage, _, _| stage == Stage::Verify);
        assert_eq!(broken.unwrap_err().to_string(), "broken off");
        to.run(sql);
        let why = why_not(&from, &to.url());
        let named = why.matches("table ").count();
        assert!(why.contains(&format!("table {table} (")) && named == 1, "{why}");
        assert!(why.contains("It is not served"), "{why}");
    }
}

#[tokio::test]
async fn databases_that_cannot_be_copied_are_refused_and_unchanged() {
    let (t, from) = on_sqlite().await;
    t.admin().await.create("one").await;
    let dir = t.dir.path();
    let file = |name: &str| format!("sqlite:{}", dir.join(name).display());

    // The target has something in it.
    let full = Other::new(dir, "full.db");
    copied(&from, &full.url());
    let why = why_not(&from, &full.url());
    assert!(why.contains("is not empty (table ") && why.contains("use another one"), "{why}");
    assert_eq!(
        t.over(databases::parsed(&full.url()))
            .await
            .admin()
            .await
            .everybody()
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );

    // No source, or none of ours.
    assert!(why_not(&file("nothing.db"), &file("new.db")).contains("there is no database"));
    assert!(!dir.join("new.db").exists() && !dir.join("nothing.db").exists());
    std::fs::write(dir.join("text.db"), "not a database at all").unwrap();
    assert!(why_not(&file("text.db"), &file("new.db")).contains("is not a database"));
    std::fs::write(dir.join("empty.db"), "").unwrap();
    assert!(why_not(&file("empty.db"), &file("new.db")).contains("contains nothing of Tenantry"));
    rusqlite::Connection::open(dir.join("foreign.db")).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    assert!(why_not(&file("foreign.db"), &file("new.db")).contains("another program"));
    assert!(why_not(&from, &file("foreign.db")).contains("another program"));

    // The same one, by two names.
    std::os::unix::fs::symlink(dir.join("tenantry.db"), dir.join("link.db")).unwrap();
    assert!(why_not(&from, &file("link.db")).contains("same database on both sides"));
    assert!(why_not(&full.url(), &full.url()).contains("same database on both sides"));

    // Another version of the schema.
    let versions = [
        ("INSERT INTO schema_versions (version, applied_at) VALUES (9999, 0)", "newer version"),
        ("DELETE FROM schema_versions WHERE version > 1", "this version of Tenantry copies"),
    ];
    for (sql, wanted) in versions {
        let other = Other::new(dir, &format!("{}.db", sql.len()));
        copied(&from, &other.url());
        other.run(sql);
        let why = why_not(&other.url(), &file("new.db"));
        assert!(why.contains(wanted), "{why}");
        assert!(
            why.contains("run the newer")
                || why.contains("with this version")
                || why.contains("`tenantry serve`"),
            "{why}"
        );
    }
    assert!(!dir.join("new.db").exists(), "a source that is refused leaves no target behind");

    // A source that is itself unfinished.
    let half = Other::new(dir, "half.db");
    copy_until(&from, &half.url(), |stage, _, _| stage == Stage::Copy).unwrap_err();
    assert!(why_not(&half.url(), &file("new.db")).contains("is itself an unfinished copy"));
}
