//! The hot paths, in process and without sockets, so that `scripts/instructions` can count their instructions.
//! - `instructions seed DIR`: creates a small database, and DIR/token with a token of its admin.
//! - `instructions WHAT DIR COUNT`: repeats an operation COUNT times. WHAT is `token` (a token check), `get` (GET one
//!   user), `evaluate` (a permission evaluation) or `create` (POST a user, durable when it is answered).

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request};
use metrics_exporter_prometheus::PrometheusBuilder;
use tenantry::app::App;
use tenantry::config::Config;
use tenantry::router;
use tenantry_core::clients::{ClientAuthMethod, ClientKind};
use tenantry_core::clock::Clock;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{GroupId, ObjectId, ObjectPermissions, PartnerId, Profile, Status};
use tenantry_core::random::Random;
use tenantry_core::scopes::TokenScopes;
use tenantry_core::values;
use tenantry_domain::client_changes::{self, ClientChange, NewClient};
use tenantry_domain::groups::NewGroup;
use tenantry_domain::users::NewUser;
use tenantry_domain::{clients, groups, partners, permissions, tokens, unit, users};
use tenantry_http::observe::Metrics;
use tenantry_passwords::HashCost;
use tenantry_store::access::Operator;
use tower::ServiceExt as _;

/// Users in the database.
const USERS: u64 = 500;
/// Groups of the first user, and permission entries of each group.
const GROUPS: i64 = 20;
const ENTRIES: i64 = 100;
/// The admin's id; the others follow.
const ADMIN: u64 = 1;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["seed", dir] => seed(Path::new(dir)).await,
        [what, dir, count] => repeat(what, Path::new(dir), count.parse().unwrap_or(0)).await,
        // `cargo bench` runs every benchmark without arguments.
        _ => {
            println!("instructions: seed DIR | token|get|evaluate|create DIR COUNT");
            Ok(())
        }
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("instructions: {e}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn assemble(dir: &Path) -> Result<App> {
    let config = Config { worker_threads: 1, ..Config::for_tests(dir) };
    // The same salts and tokens in every run.
    App::assemble(config, Clock::system(), Random::seeded(1), HashCost::OWASP)
}

fn user(n: u64, groups: Vec<GroupId>) -> Result<NewUser> {
    let username = format!("user-{n}");
    Ok(NewUser {
        profile: Profile {
            first_name: String::from("Zoé"),
            last_name: String::from("de Vries"),
            email: format!("{username}@example.com"),
            title: Some(String::from("Engineer")),
            phone_number: Some(String::from("+31 20 1234567")),
            ..Profile::default()
        },
        username: values::username(&username).map_err(|bad| bad.at("/username"))?,
        status: Status::Active,
        groups,
        is_admin: n == ADMIN,
    })
}

async fn seed(dir: &Path) -> Result<()> {
    let (app, by) = (assemble(dir)?, Operator::of_this_machine());
    let admin = user(ADMIN, Vec::new())?;
    unit::write(&app.store, &by, move |tx| partners::bootstrap(tx, &admin, "none")).await?;
    let rights = by.as_admin_of(PartnerId(1));
    unit::write_large(&app.store, &rights, move |tx| {
        let mut all = Vec::new();
        for n in 0..GROUPS {
            let text = NewGroup { name: format!("Group {n}"), description: String::new(), parent: None };
            let group = groups::create(tx, &text)?.group_id;
            let entry = |id: i64| ObjectPermissions {
                object_type: String::from("SEGMENT"),
                object_id: ObjectId { text: id.to_string(), is_number: true },
                permissions: vec![String::from("READ")],
            };
            let list: Vec<_> = (n * ENTRIES..(n + 1) * ENTRIES).map(entry).collect();
            permissions::replace(tx, group, &list)?;
            all.push(group);
        }
        for n in 2..USERS + 2 {
            let groups = if n == 2 { all.clone() } else { Vec::new() };
            users::create_without_password(tx, &user(n, groups)?)?;
        }
        Ok(())
    })
    .await?;
    let settings =
        ClientChange { name: Some(String::from("count")), is_admin: Some(true), ..ClientChange::default() };
    let new = NewClient { kind: ClientKind::Confidential, settings };
    let rights = by.as_admin_of(PartnerId(1));
    let made = unit::write(&app.store, &rights, move |tx| client_changes::create(tx, &new)).await?;
    let (id, method) = (made.client.client_id, ClientAuthMethod::Basic);
    let client = clients::authenticate(&app, &id, made.secret, method).await?;
    let origin = tokens::Origin { address: std::net::Ipv4Addr::LOCALHOST.into(), user_agent: None };
    let granted = tokens::grant_client_credentials(&app, &client, origin, TokenScopes::ALL_API).await?;
    std::fs::write(dir.join("token"), granted.access_token.as_bytes())
        .map_err(|e| Error::internal(e.to_string()))
}

async fn repeat(what: &str, dir: &Path, count: u64) -> Result<()> {
    let app = assemble(dir)?;
    let token = std::fs::read_to_string(dir.join("token")).map_err(|e| Error::internal(e.to_string()))?;
    let recorder = PrometheusBuilder::new().build_recorder();
    let service = router::service(&app, &Arc::new(Metrics::new(&recorder)));
    let asker = Asker { service, token };
    for n in 0..count {
        match what {
            "token" => drop(tokens::authenticate(&app, &asker.token).await?),
            // A different one each time, so that most come from the database and not from the cache.
            "get" => {
                let id = 2 + n % USERS;
                asker.ask(Method::GET, &format!("/api/v1/users/{id}"), String::new(), 200).await?;
            }
            "evaluate" => asker.ask(Method::POST, "/access/v1/evaluation", question(n), 200).await?,
            "create" => asker.ask(Method::POST, "/api/v1/users", created(n), 201).await?,
            _ => return Err(Error::internal(format!("{what} is not measured"))),
        }
    }
    Ok(())
}

fn question(n: u64) -> String {
    let object = n * 7 % (GROUPS * ENTRIES).unsigned_abs();
    format!(
        r#"{{"subject":{{"type":"user","id":"2"}},"action":{{"name":"READ"}},"resource":{{"type":"SEGMENT","id":"{object}"}}}}"#
    )
}

fn created(n: u64) -> String {
    format!(
        r#"{{"username":"new-{n}","status":"ACTIVE","firstName":"Zoé","lastName":"de Vries","email":"new-{n}@example.com"}}"#
    )
}

/// The API without a network.
struct Asker {
    service: router::Service,
    token: String,
}

impl Asker {
    async fn ask(&self, method: Method, path: &str, body: String, status: u16) -> Result<()> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(Body::from(body))
            .map_err(|e| Error::internal(e.to_string()))?;
        let Ok(answer) = self.service.clone().oneshot(request).await;
        if answer.status().as_u16() != status {
            return Err(Error::internal(format!("{path} was answered with {}", answer.status())));
        }
        axum::body::to_bytes(answer.into_body(), 1 << 20)
            .await
            .map(drop)
            .map_err(|e| Error::internal(e.to_string()))
    }
}
