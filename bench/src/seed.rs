//! The temporary database: one huge partner and many small ones.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::names::{Names, username};
use crate::scratch::Stop;
use tenantry::app::App;
use tenantry::cli::command_error::CommandError;
use tenantry::cli::print::ProgressLine;
use tenantry::config::Config;
use tenantry_core::clients::ClientKind;
use tenantry_core::clock::Clock;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{GroupId, ObjectId, ObjectPermissions, PartnerId, Profile, Status};
use tenantry_core::random::Random;
use tenantry_core::values;
use tenantry_domain::client_changes::{self, ClientChange, NewClient};
use tenantry_domain::groups::NewGroup;
use tenantry_domain::users::NewUser;
use tenantry_domain::{groups, partners, permissions, unit, users};
use tenantry_passwords::HashCost;
use tenantry_store::access::{Admin, Operator};

/// The password of the huge partner's admin.
pub(crate) const PASSWORD: &str = "Bench.Tea-Cup-71";
/// Users per transaction.
const BATCH: u64 = 10_000;
/// Maximum number of small partners, and the users of each.
const SMALL_PARTNERS: u64 = 1_000;
const SMALL_USERS: u64 = 20;
/// Minimum number of users of the huge partner.
const FEWEST: u64 = 80;
/// Groups of the huge partner, and the permission entries of each.
const GROUPS: i64 = 20;
const ENTRIES: i64 = 1_000;

/// The content of the database.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seeded {
    /// Users of the huge partner created in sequence; their ids are consecutive.
    pub(crate) users: u64,
    pub(crate) first_id: i64,
    /// The user who is in all groups.
    pub(crate) permitted: i64,
    /// The number of small partners.
    pub(crate) partners: u64,
    /// A client with admin rights of one of the small partners, and its secret.
    pub(crate) small_client: (String, String),
    /// The ids of users of that partner.
    pub(crate) small_ids: std::ops::Range<i64>,
    /// The duration.
    pub(crate) seconds: f64,
}

impl Seeded {
    /// Permission entries that evaluations are about.
    pub(crate) const OBJECTS: u64 = (GROUPS * ENTRIES) as u64;
}

/// Opens the database in `dir` like a server, without serving.
pub(crate) fn open(dir: &Path) -> Result<App> {
    let flags = [(String::from("data-dir"), dir.display().to_string())];
    let config = Config::load(flags, [], |_| Err(std::io::ErrorKind::NotFound.into()))
        .map_err(|errors| Error::internal(format!("{errors:?}")))?;
    App::assemble(config, Clock::system(), Random::system(), HashCost::OWASP)
}

/// How `count` users are distributed: users of the huge partner, and small partners of [`SMALL_USERS`] each.
///
/// # Errors
/// The small partners leave too few users for the huge one.
pub(crate) fn shares(count: u64, partners: Option<u64>) -> Result<(u64, u64), CommandError> {
    let partners = partners.unwrap_or_else(|| (count / 100).clamp(1, SMALL_PARTNERS));
    match count.checked_sub(partners * SMALL_USERS).filter(|huge| *huge >= FEWEST) {
        Some(huge) => Ok((huge, partners)),
        None => {
            let least = partners * SMALL_USERS + FEWEST;
            let detail =
                format!("{partners} partners of {SMALL_USERS} and a larger one need --users {least} or more");
            Err(CommandError::new("invalid", detail))
        }
    }
}

/// Fills the database in `dir`, `shares` as [`shares`] gives them.
pub(crate) async fn seed(dir: &Path, shares: (u64, u64), stop: &Stop) -> Result<Seeded, CommandError> {
    let (app, begun) = (open(dir)?, Instant::now());
    let (by, (huge, partners)) = (Operator::of_this_machine(), shares);
    let count = huge + partners * SMALL_USERS;
    let mut seeding = Seeding { app, by, names: Names::new(), stop, progress: ProgressLine::new(), count };
    seeding.found().await?;
    let rights = by.as_admin_of(PartnerId(1));
    let ids = seeding.groups(&rights).await?;
    let first_id = seeding.many(&rights, 0..huge, &ids).await?;
    seeding.permit(&rights, &ids).await?;
    let all = NewUser { groups: ids, ..seeding.person(u64::MAX, Status::Active)? };
    let permitted = seeding.create(&rights, vec![all]).await?;
    let (small_client, small_ids) = seeding.small_partners(huge, partners).await?;
    Ok(Seeded {
        users: huge,
        first_id,
        permitted,
        partners,
        small_client,
        small_ids,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

struct Seeding<'s> {
    app: App,
    by: Operator,
    names: Names,
    stop: &'s Stop,
    progress: ProgressLine,
    count: u64,
}

impl Seeding<'_> {
    /// The huge partner and its admin.
    async fn found(&self) -> Result<()> {
        let person = self.person(0, Status::Active)?;
        let profile = Profile { external_id: None, ..person.profile };
        let admin = NewUser { username: checked("admin")?, is_admin: true, profile, ..person };
        let (by, hash) = (self.by, self.app.hasher.hash(PASSWORD.to_owned().into()).await?);
        unit::write(&self.app.store, &by, move |tx| partners::bootstrap(tx, &admin, &hash)).await?;
        Ok(())
    }

    async fn groups(&self, rights: &Admin) -> Result<Vec<GroupId>> {
        unit::write(&self.app.store, rights, move |tx| {
            (0..GROUPS)
                .map(|n| {
                    let text =
                        NewGroup { name: format!("Group {n}"), description: String::new(), parent: None };
                    groups::create(tx, &text).map(|group| group.group_id)
                })
                .collect()
        })
        .await
    }

    /// Creates users in large units. Returns the id of the first; the others are consecutive.
    async fn many(
        &mut self,
        rights: &Admin,
        from: std::ops::Range<u64>,
        groups: &[GroupId],
    ) -> Result<i64, CommandError> {
        let (mut first_id, mut at) = (None, from.start);
        while at < from.end {
            self.stop.check()?;
            let end = from.end.min(at + BATCH);
            let batch: Result<Vec<NewUser>> = (at..end).map(|n| self.member(n, groups)).collect();
            let id = self.create(rights, batch?).await?;
            first_id.get_or_insert(id);
            self.progress.say(&format!("seeding: {end} of {} users", self.count));
            at = end;
        }
        Ok(first_id.unwrap_or_default())
    }

    /// Returns the id of the first.
    async fn create(&self, rights: &Admin, batch: Vec<NewUser>) -> Result<i64> {
        unit::write_large(&self.app.store, rights, move |tx| {
            let mut first = None;
            for new in &batch {
                let user = users::create_without_password(tx, new)?;
                first.get_or_insert(user.user_id.0);
            }
            Ok(first.unwrap_or_default())
        })
        .await
    }

    fn person(&self, n: u64, status: Status) -> Result<NewUser> {
        let names = self.names.of(n);
        let username = username(&names, n);
        let mut profile = Profile {
            email: format!("{username}@example.com"),
            first_name: names.0,
            last_name: names.1,
            title: n.is_multiple_of(3).then(|| String::from("Engineer")),
            phone_number: n.is_multiple_of(2).then(|| format!("+31 20 {:07}", n % 10_000_000)),
            ..Profile::default()
        };
        profile.external_id = n.is_multiple_of(4).then(|| format!("ext-{n}"));
        Ok(NewUser { profile, username: checked(&username)?, status, groups: Vec::new(), is_admin: false })
    }

    /// One of the users: every tenth is INACTIVE, each is in one group, every second one in two.
    fn member(&self, n: u64, groups: &[GroupId]) -> Result<NewUser> {
        let status = if n % 10 == 9 { Status::Inactive } else { Status::Active };
        let count = groups.len().max(1) as u64;
        let mut places = vec![n % count];
        if n.is_multiple_of(2) {
            places.push((n * 7 + 3) % count);
        }
        let mut own: Vec<GroupId> =
            places.iter().filter_map(|at| groups.get(usize::try_from(*at).ok()?)).copied().collect();
        own.sort_unstable();
        own.dedup();
        Ok(NewUser { groups: own, is_admin: n % 1_000 == 999, ..self.person(n, status)? })
    }

    /// Gives each group its permission entries.
    async fn permit(&self, rights: &Admin, groups: &[GroupId]) -> Result<(), CommandError> {
        for (n, group) in (0_i64..).zip(groups.iter().copied()) {
            self.stop.check()?;
            unit::write_large(&self.app.store, rights, move |tx| {
                let entry = |id: i64| ObjectPermissions {
                    object_type: String::from("SEGMENT"),
                    object_id: ObjectId { text: id.to_string(), is_number: true },
                    permissions: vec![String::from("READ"), String::from("WRITE")],
                };
                let list: Vec<_> = (n * ENTRIES..(n + 1) * ENTRIES).map(entry).collect();
                permissions::replace(tx, group, &list)
            })
            .await?;
        }
        Ok(())
    }

    /// Creates the small partners, whose users are numbered from `first`. Returns a client and the users of one of
    /// them.
    async fn small_partners(
        &mut self,
        first: u64,
        count: u64,
    ) -> Result<((String, String), std::ops::Range<i64>), CommandError> {
        let (mut last, mut first_id) = (PartnerId(0), 0);
        for at in 0..count {
            self.stop.check()?;
            let from = first + at * SMALL_USERS;
            last = self.partner(from).await?;
            let rights = self.by.as_admin_of(last);
            first_id = self.many(&rights, from + 1..from + SMALL_USERS, &[]).await?;
        }
        let ids = first_id..first_id + i64::try_from(SMALL_USERS).unwrap_or(2) - 1;
        let settings = ClientChange {
            name: Some(String::from("bench")),
            is_admin: Some(true),
            ..ClientChange::default()
        };
        let new = NewClient { kind: ClientKind::Confidential, settings };
        let rights = self.by.as_admin_of(last);
        let made = unit::write(&self.app.store, &rights, move |tx| client_changes::create(tx, &new)).await?;
        let secret = made.secret.map(|secret| secret.to_string()).unwrap_or_default();
        Ok(((made.client.client_id, secret), ids))
    }

    async fn partner(&self, n: u64) -> Result<PartnerId> {
        let by = self.by;
        let person = self.person(n, Status::Active)?;
        let profile = Profile { external_id: None, ..person.profile };
        let admin = NewUser { is_admin: true, profile, ..person };
        unit::write(&self.app.store, &by, move |tx| {
            let made = partners::create(tx, &format!("Partner {n}"), &admin, true)?;
            Ok(made.partner.pid)
        })
        .await
    }
}

fn checked(name: &str) -> Result<tenantry_core::model::Username> {
    values::username(name).map_err(|bad| bad.at("/username").into())
}

/// Creates users without HTTP, one after the other, each in a separate durable transaction. Returns the rate per
/// second.
pub(crate) async fn create_in_a_loop(dir: &Path, time: Duration, stop: &Stop) -> Result<f64, CommandError> {
    let app = open(dir)?;
    let (rights, names, begun) =
        (Operator::of_this_machine().as_admin_of(PartnerId(1)), Names::new(), Instant::now());
    let mut made = 0_u64;
    while begun.elapsed() < time {
        stop.check()?;
        let (first_name, last_name) = names.of(made);
        let new = NewUser {
            username: checked(&format!("loop-{made}"))?,
            status: Status::Active,
            profile: Profile {
                first_name,
                last_name,
                email: format!("loop-{made}@example.com"),
                title: Some(String::from("Engineer")),
                phone_number: Some(String::from("+31 20 1234567")),
                ..Profile::default()
            },
            groups: Vec::new(),
            is_admin: false,
        };
        unit::write(&app.store, &rights, move |tx| users::create(tx, &new)).await?;
        made += 1;
    }
    Ok(made as f64 / begun.elapsed().as_secs_f64())
}

/// Computes argon2id hashes on one thread with a full queue. Returns the rate per second.
pub(crate) async fn hash_in_a_loop(time: Duration, stop: &Stop) -> Result<f64, CommandError> {
    let hasher = tenantry_passwords::Hasher::new(1, 2, HashCost::OWASP, Random::system())?;
    let hash = || hasher.hash(PASSWORD.to_owned().into());
    // The first one allocates the memory that the others reuse.
    hash().await?;
    let begun = Instant::now();
    let some = async || {
        let mut made = 0_u32;
        while made == 0 || begun.elapsed() < time {
            stop.check()?;
            hash().await?;
            made += 1;
        }
        Ok::<_, CommandError>(made)
    };
    let (one, other) = tokio::try_join!(some(), some())?;
    Ok(f64::from(one + other) / begun.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_are_in_the_huge_partner() {
        let of = |count, partners| shares(count, partners).unwrap();
        assert_eq!([100, 200, 1_000].map(|count| of(count, None)), [(80, 1), (160, 2), (800, 10)]);
        assert_eq!(of(10_000_000, None), (9_980_000, 1_000));
        assert_eq!(of(3_000_000, Some(100_000)), (1_000_000, 100_000));
        let refused = shares(1_000, Some(50)).unwrap_err();
        assert!(refused.detail.contains("--users 1080 or more"), "{}", refused.detail);
    }
}
