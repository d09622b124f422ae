//! What `scripts/bench --database postgres` needs besides the server: a seeded database, and hashes alone.
//!
//! - `workload seed DIR USERS URL`: fills a PostgreSQL database with that many users, groups and an admin. DIR is the
//!   data directory.
//! - `workload hashes SECONDS`: argon2id hashes per second on one thread.

use std::path::Path;
use std::time::{Duration, Instant};

use tenantry::app::App;
use tenantry::config::Config;
use tenantry_core::clock::Clock;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{GroupId, ObjectId, ObjectPermissions, PartnerId, Profile, Status};
use tenantry_core::random::Random;
use tenantry_core::values;
use tenantry_domain::groups::NewGroup;
use tenantry_domain::users::NewUser;
use tenantry_domain::{groups, partners, permissions, unit, users};
use tenantry_mail::{Mailer, Memory};
use tenantry_passwords::HashCost;
use tenantry_store::access::{Admin, Operator};

/// The admin's password in a seeded database.
const ADMIN_PASSWORD: &str = "Bench.Tea-Cup-71";

/// Users created in one transaction while seeding.
const BATCH: usize = 1_000;

const FIRST: [&str; 12] = [
    "Anna",
    "Bram",
    "Chloé",
    "Daan",
    "Emma",
    "Femke",
    "Günther",
    "Hanna",
    "Ivan",
    "Jürgen",
    "Katarína",
    "Liam",
];
const LAST: [&str; 12] = [
    "Andersson",
    "Bakker",
    "Çelik",
    "de Vries",
    "Eriksen",
    "Fernández",
    "García",
    "Hansen",
    "Ivanov",
    "Jansen",
    "Kowalski",
    "Lindqvist",
];

fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return failed(&e),
    };
    let done = match words.as_slice() {
        ["seed", dir, count, url] => runtime.block_on(seed(Path::new(dir), count.parse().unwrap_or(0), url)),
        ["hashes", seconds] => runtime.block_on(hashes(seconds.parse().unwrap_or(5))),
        // `cargo bench` runs every benchmark without arguments.
        _ => {
            println!("workload: seed DIR USERS URL | hashes SECONDS");
            return std::process::ExitCode::SUCCESS;
        }
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => failed(&e),
    }
}

fn failed(e: &dyn std::fmt::Display) -> std::process::ExitCode {
    eprintln!("workload: {e}");
    std::process::ExitCode::FAILURE
}

fn assemble(dir: &Path, url: &str) -> Result<App> {
    let flags = [
        (String::from("data-dir"), dir.display().to_string()),
        (String::from("database-url"), url.to_owned()),
    ];
    let config = Config::load(flags, [], |_| Err(std::io::ErrorKind::NotFound.into()))
        .map_err(|errors| Error::internal(format!("{errors:?}")))?;
    App::assemble(config, Clock::system(), Random::system(), HashCost::OWASP)
}

fn user(n: usize, groups: &[GroupId]) -> Result<NewUser> {
    let pick = |names: &[&'static str], n: usize| {
        names.iter().cycle().nth(n % names.len()).copied().unwrap_or("Ann")
    };
    let username = format!("user-{n}");
    let mut profile = Profile {
        first_name: pick(&FIRST, n.wrapping_mul(7)).to_owned(),
        last_name: pick(&LAST, n.wrapping_mul(11) / 13).to_owned(),
        email: format!("{username}@example.com"),
        title: n.is_multiple_of(3).then(|| String::from("Engineer")),
        phone_number: n.is_multiple_of(2).then(|| format!("+31 20 {n:07}")),
        ..Profile::default()
    };
    profile.external_id = n.is_multiple_of(4).then(|| format!("ext-{n}"));
    Ok(NewUser {
        profile,
        username: values::username(&username).map_err(|bad| bad.at("/username"))?,
        status: if n % 10 == 9 { Status::Inactive } else { Status::Active },
        groups: groups.iter().copied().skip(n % 7).step_by(5).collect(),
        is_admin: n % 1_000 == 999,
    })
}

async fn seed(dir: &Path, count: usize, url: &str) -> Result<()> {
    let app = assemble(dir, url)?;
    let by = Operator::of_this_machine();
    let admin = NewUser {
        username: values::username("admin").map_err(|bad| bad.at("/username"))?,
        is_admin: true,
        status: Status::Active,
        ..user(0, &[])?
    };
    let hash = app.hasher.hash(ADMIN_PASSWORD.to_owned().into()).await?;
    let profile = Profile { external_id: None, email: String::from("admin@example.com"), ..admin.profile };
    let admin = NewUser { profile, ..admin };
    unit::write(&app.store, &by, move |tx| partners::bootstrap(tx, &admin, &hash)).await?;
    let rights = by.as_admin_of(PartnerId(1));
    let ids: Vec<GroupId> = unit::write(&app.store, &rights, move |tx| {
        (0..20)
            .map(|n| {
                let text = NewGroup { name: format!("Group {n}"), description: String::new(), parent: None };
                groups::create(tx, &text).map(|group| group.group_id)
            })
            .collect()
    })
    .await?;
    for first in (0..count).step_by(BATCH) {
        let batch: Result<Vec<NewUser>> = (first..count.min(first + BATCH)).map(|n| user(n, &ids)).collect();
        let batch = batch?;
        // ACTIVE users are mailed a password as with any create; the outbox is emptied below.
        unit::write_large(&app.store, &rights, move |tx| {
            batch.iter().try_for_each(|new| users::create(tx, new).map(drop))
        })
        .await?;
    }
    permit(&app, &rights, &ids).await?;
    let nowhere = Mailer::Memory(Memory::new());
    while tenantry_worker::deliver_due(&app, &nowhere).await?.is_full {}
    println!("{{\"users\": {count}}}");
    Ok(())
}

/// Gives each group 1,000 entries, and creates one more user, who is in all groups, to measure evaluations with.
async fn permit(app: &App, rights: &Admin, groups: &[GroupId]) -> Result<()> {
    for (n, group) in (0_i64..).zip(groups.iter().copied()) {
        unit::write_large(&app.store, rights, move |tx| {
            let entry = |id: i64| ObjectPermissions {
                object_type: String::from("SEGMENT"),
                object_id: ObjectId { text: id.to_string(), is_number: true },
                permissions: vec![String::from("READ"), String::from("WRITE")],
            };
            let list: Vec<_> = (n * 1_000..(n + 1) * 1_000).map(entry).collect();
            permissions::replace(tx, group, &list)
        })
        .await?;
    }
    let groups = groups.to_vec();
    unit::write(&app.store, rights, move |tx| {
        let person = user(0, &[])?;
        let new = NewUser {
            username: values::username("permitted").map_err(|bad| bad.at("/username"))?,
            profile: Profile { external_id: None, ..person.profile },
            groups: groups.clone(),
            ..person
        };
        users::create(tx, &new).map(drop)
    })
    .await
}

async fn hashes(seconds: u64) -> Result<()> {
    let hasher = tenantry_passwords::Hasher::new(1, 1, HashCost::OWASP, Random::system())?;
    let (start, limit) = (Instant::now(), Duration::from_secs(seconds));
    let mut made = 0_u32;
    while start.elapsed() < limit {
        hasher.hash(ADMIN_PASSWORD.to_owned().into()).await?;
        made += 1;
    }
    println!("{{\"per_second\": {:.1}}}", f64::from(made) / start.elapsed().as_secs_f64());
    Ok(())
}
