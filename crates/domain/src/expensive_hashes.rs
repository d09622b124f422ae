//! Passwords whose hash costs more than one of our own: they are compared one at a time, partners are served
//! round-robin, and each is checked again before it costs anything (docs/adr/0021).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use crate::services::Services;
use crate::{login_failures, unit};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{PartnerId, UserId};
use tenantry_passwords::{Deadlines, Work};
use tenantry_store::access::{Within, nobody, system_within};
use tenantry_store::engine::slots::Slot;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::expensive_hashes as stored;
use tenantry_store::tables::passwords::{self, Stored};

/// How long an authenticated caller waits for a slot.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The result of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    /// It matches.
    Same,
    /// It does not match, which was counted (B23).
    Different,
    /// It was not compared, or not in time: others were first, or the user may no longer log in.
    Not,
}

/// A user's expensive password.
pub(super) struct Candidate {
    pub(super) pid: PartnerId,
    pub(super) user_id: UserId,
    pub(super) stored: Stored,
}

/// The most expensive hash of each kind that any user has. The time of a kind is measured when it is first met.
pub(super) async fn list(services: &Services) -> Result<Vec<Work>> {
    let works = services.store.read(&nobody(), |tx| stored::list(tx)).await?;
    for work in &works {
        if services.hasher.equalizer().begins_calibration(work.kind) {
            let (services, kind) = (services.clone(), work.kind);
            tokio::spawn(async move {
                let measured = match services.expensive_slots.take(PartnerId(0)).await {
                    Ok(slot) => services.hasher.calibrate(kind, slot).await,
                    Err(busy) => Err(busy),
                };
                if let Err(error) = measured {
                    services.hasher.equalizer().give_up_calibration(kind);
                    tracing::debug!(%error, "the time of a kind of hash was not measured");
                }
            });
        }
    }
    Ok(works)
}

/// Compares a password with an expensive hash, and counts a wrong one. Returns by `deadlines.end`; a comparison that
/// has begun by then continues and is counted, even if no client waits for it.
pub(super) async fn compare(
    services: &Services,
    candidate: Candidate,
    password: Zeroizing<String>,
    deadlines: Deadlines,
) -> Compared {
    let (response, result) = oneshot::channel();
    let services = services.clone();
    tokio::spawn(async move {
        let compared = with_slot(&services, &candidate, password, deadlines.begin, &response).await;
        let compared = compared.unwrap_or_else(|error| {
            tracing::warn!(%error, "an expensive password hash was not compared");
            Compared::Not
        });
        let _ = response.send(compared);
    });
    match timeout_at(deadlines.end, result).await {
        Ok(Ok(compared)) => compared,
        _ => Compared::Not,
    }
}

async fn with_slot(
    services: &Services,
    candidate: &Candidate,
    password: Zeroizing<String>,
    begin: Instant,
    response: &oneshot::Sender<Compared>,
) -> Result<Compared> {
    let Candidate { pid, user_id, stored } = candidate;
    let (pid, user_id) = (*pid, *user_id);
    let Ok(Ok(slot)) = timeout_at(begin, services.expensive_slots.take(pid)).await else {
        return Ok(Compared::Not);
    };
    let slot = Arc::new(slot);
    // Meanwhile the user may have been locked, the password changed, or used for another login.
    let (password_id, hash) = (stored.password_id, stored.hash.clone());
    let look_again = move |tx: &mut Tx<'_, Within>| {
        let present = passwords::list_present(tx, user_id)?;
        let is_there = present.iter().any(|p| p.password_id == password_id && p.hash == hash);
        Ok(is_there && login_failures::may_log_in(tx, user_id)?)
    };
    let is_good = services.store.read(&system_within(pid), look_again).await?;
    if !is_good || response.is_closed() || Instant::now() > begin {
        return Ok(Compared::Not);
    }
    let hash = stored.hash.clone();
    if services.hasher.verify_expensive(password, hash, Arc::clone(&slot)).await? {
        return Ok(Compared::Same);
    }
    // Before the next comparison, which may be for the same user.
    let count = move |tx: &mut Tx<'_, Within>| login_failures::count(tx, user_id);
    unit::write(&services.store, &system_within(pid), count).await?;
    drop(slot);
    Ok(Compared::Different)
}

/// For an authenticated user, whose existence is not secret.
pub(super) fn patiently() -> Deadlines {
    let begin = Instant::now() + TIMEOUT;
    Deadlines { begin, end: begin + TIMEOUT }
}

/// Whether a password matches one of these, of any cost; for an authenticated user.
pub(super) async fn is_any_of(
    services: &Services,
    pid: PartnerId,
    password: &Zeroizing<String>,
    hashes: Vec<String>,
) -> Result<bool> {
    let (expensive, ordinary): (Vec<_>, Vec<_>) =
        hashes.into_iter().partition(|hash| tenantry_passwords::work_of(hash).is_some());
    let hasher = services.hasher.on_behalf_of(tenantry_passwords::Whose::Partner(pid));
    if hasher.verify(password.clone(), ordinary).await?.is_some() {
        return Ok(true);
    }
    for hash in expensive {
        let slot = take(services, pid).await?;
        if hasher.verify_expensive(password.clone(), hash, slot).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn take(services: &Services, pid: PartnerId) -> Result<Slot> {
    match timeout_at(patiently().begin, services.expensive_slots.take(pid)).await {
        Ok(slot) => slot,
        Err(_) => Err(busy()),
    }
}

/// The error for an authenticated caller that did not get a slot.
pub(super) fn busy() -> Error {
    Error::Unavailable { what: "password hashing is busy".into(), retry_after: Duration::from_secs(1) }
}

/// Records the cost of at most `limit` stored passwords that have none yet. Returns their number.
///
/// # Errors
/// None of its own.
pub fn look_at(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    let (count, over) = stored::look_at(tx, limit)?;
    if over > 0 {
        tracing::warn!(
            users = over,
            "password hashes cost more to verify than the limits allow: these users cannot log in until their \
             passwords are reset"
        );
    }
    Ok(count)
}

/// Lowers the recorded most expensive hashes to those that users have.
///
/// # Errors
/// None of its own.
pub fn lower(tx: &mut Tx<'_>) -> Result<()> {
    stored::lower(tx)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users as domain_users;
    use crate::users::NewUser;
    use crate::{partners, testing};
    use tenantry_core::clock::{Clock, MINUTE};
    use tenantry_core::model::{Profile, Status};
    use tenantry_core::random::Random;
    use tenantry_core::values;
    use tenantry_passwords::work_of;
    use tenantry_store::access::Operator;
    use tenantry_store::tables::passwords::NewPassword;
    use tenantry_store::tables::users;

    const PASSWORD: &str = "Old.Tea-Pot-71";
    const HASH: &str = "$2b$09$abcdefghijklmnopqrstuuDdhAjlf4Mi9B9IF4SmJWRvZLw53HXkq";

    struct Server {
        services: Services,
        _dir: tempfile::TempDir,
    }

    fn person(username: &str) -> NewUser {
        NewUser {
            username: values::username(username).unwrap(),
            status: Status::Active,
            profile: Profile {
                first_name: String::from("Fenna"),
                last_name: String::from("Jansen"),
                email: String::from("fenna@example.com"),
                ..Profile::default()
            },
            groups: Vec::new(),
            is_admin: username.starts_with("admin"),
        }
    }

    impl Server {
        /// Two partners.
        async fn start() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let services =
                testing::services(dir.path(), &Clock::manual(1_000_000), &Random::seeded(1)).unwrap();
            let (by, admin) = (Operator::of_this_machine(), person("admin"));
            unit::write(&services.store, &by, move |tx| partners::bootstrap(tx, &admin, "hash"))
                .await
                .unwrap();
            let admin = person("admin-2");
            unit::write(&services.store, &by, move |tx| partners::create(tx, "Two", &admin, true).map(drop))
                .await
                .unwrap();
            Self { services, _dir: dir }
        }

        /// A user of a partner with an expensive password.
        async fn user(&self, pid: i64, name: &str) -> Candidate {
            let (pid, new) = (PartnerId(pid), person(name));
            assert!(work_of(HASH).is_some());
            let make = move |tx: &mut Tx<'_, Within>| {
                let user_id = domain_users::insert(tx, &new)?.user_id;
                let hash = NewPassword { hash: HASH, is_temporary: false, expires_at: None, mailed_to: None };
                passwords::insert(tx, user_id, &hash)?;
                Ok(Candidate { pid, user_id, stored: passwords::list_present(tx, user_id)?.remove(0) })
            };
            unit::write(&self.services.store, &system_within(pid), make).await.unwrap()
        }

        /// Begins to compare, and waits for a slot, as the `nth` that does.
        async fn queue(
            &self,
            of: &Candidate,
            password: &str,
            nth: usize,
        ) -> tokio::task::JoinHandle<Compared> {
            let (services, password) = (self.services.clone(), Zeroizing::new(password.to_owned()));
            let candidate = Candidate { pid: of.pid, user_id: of.user_id, stored: of.stored.clone() };
            let job = tokio::spawn(async move { compare(&services, candidate, password, forever()).await });
            while self.services.expensive_slots.waiting() < nth {
                tokio::task::yield_now().await;
            }
            job
        }

        async fn failures(&self, of: &Candidate) -> i64 {
            let user_id = of.user_id;
            let read = move |tx: &mut Tx<'_, Within>| users::failures(tx, user_id);
            self.services.store.read(&system_within(of.pid), read).await.unwrap().count
        }
    }

    fn forever() -> Deadlines {
        let begin = Instant::now() + Duration::from_secs(3_600);
        Deadlines { begin, end: begin }
    }

    /// What may happen to a user while its password waits to be compared.
    type Meanwhile = fn(&mut Tx<'_>, &Candidate) -> Result<()>;

    #[tokio::test]
    async fn a_login_that_is_refused_while_it_waits_costs_no_hash() {
        let cases: [(&str, Meanwhile); 6] = [
            ("nothing", |_, _| Ok(())),
            ("locked", |tx, of| {
                let user = users::find(tx, of.user_id)?.unwrap();
                domain_users::lock(tx, &user)
            }),
            ("refused for a while", |tx, of| {
                let until = tx.steady() + 10 * MINUTE;
                users::set_failures(tx, of.user_id, users::Failures { count: 5, refused_until: until })
            }),
            ("reset", |tx, of| passwords::end_permanent(tx, of.user_id)),
            ("logged in elsewhere", |tx, of| passwords::rehash(tx, of.user_id, &of.stored, "$new$")),
            ("deleted", |tx, of| {
                let user = users::find(tx, of.user_id)?.unwrap();
                users::delete_uncounted(tx, &user)
            }),
        ];
        for (what, meanwhile) in cases {
            let server = Server::start().await;
            let fenna = Arc::new(server.user(1, "fenna").await);
            let slot = server.services.expensive_slots.take(PartnerId(1)).await.unwrap();
            let job = server.queue(&fenna, PASSWORD, 1).await;
            let of = Arc::clone(&fenna);
            let change = move |tx: &mut Tx<'_, Within>| meanwhile(tx, &of);
            unit::write(&server.services.store, &system_within(fenna.pid), change).await.unwrap();
            drop(slot);
            let (expected, computed) =
                if what == "nothing" { (Compared::Same, 1) } else { (Compared::Not, 0) };
            assert_eq!(job.await.unwrap(), expected, "{what}");
            assert_eq!(server.services.hasher.computed_expensive(), computed, "{what}");
        }
    }

    #[tokio::test]
    async fn a_failure_is_counted_before_the_next_guess_so_that_the_sixth_is_not_computed() {
        let server = Server::start().await;
        let fenna = server.user(1, "fenna").await;
        let slot = server.services.expensive_slots.take(PartnerId(1)).await.unwrap();
        let mut jobs = Vec::new();
        for nth in 1..=12 {
            jobs.push(server.queue(&fenna, "Old.Tea-Pot-72", nth).await);
        }
        drop(slot);
        let mut found = Vec::new();
        for job in jobs {
            found.push(job.await.unwrap());
        }
        assert_eq!(found, [vec![Compared::Different; 5], vec![Compared::Not; 7]].concat());
        assert_eq!((server.services.hasher.computed_expensive(), server.failures(&fenna).await), (5, 5));
    }

    #[tokio::test]
    async fn partners_are_served_round_robin_and_others_do_not_wait() {
        let server = Server::start().await;
        let (mut jobs, mut nth) = (Vec::new(), 0);
        let slot = server.services.expensive_slots.take(PartnerId(1)).await.unwrap();
        for (pid, name) in [(1, "a"), (1, "b"), (1, "c"), (2, "d")] {
            nth += 1;
            jobs.push((name, server.queue(&server.user(pid, name).await, PASSWORD, nth).await));
        }
        // An ordinary login has threads of its own.
        let verdict = server.services.hasher.verify_login(Zeroizing::new("x".into()), vec![]).await.unwrap();
        assert_eq!(verdict.matched, None);
        let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
        let jobs: Vec<_> = jobs
            .into_iter()
            .map(|(name, job)| {
                let done = done.clone();
                tokio::spawn(async move {
                    assert_eq!(job.await.unwrap(), Compared::Same);
                    done.send(name).unwrap();
                })
            })
            .collect();
        drop((slot, done));
        let mut names = Vec::new();
        while let Some(name) = order.recv().await {
            names.push(name);
        }
        for job in jobs {
            job.await.unwrap();
        }
        assert_eq!(names, ["a", "d", "b", "c"]);
    }

    #[tokio::test]
    async fn canceled_or_late_logins_cost_nothing() {
        let server = Server::start().await;
        let fenna = server.user(1, "fenna").await;
        let slot = server.services.expensive_slots.take(PartnerId(1)).await.unwrap();
        let gone = server.queue(&fenna, PASSWORD, 1).await;
        gone.abort();
        assert!(gone.await.is_err());
        // The time to begin is over, the time to answer is not.
        let late = Deadlines { begin: Instant::now(), end: forever().end };
        let candidate = Candidate { pid: fenna.pid, user_id: fenna.user_id, stored: fenna.stored.clone() };
        let password = Zeroizing::new(PASSWORD.to_owned());
        assert_eq!(compare(&server.services, candidate, password, late).await, Compared::Not);
        // Whoever waits gets a response when that time is over, although the slot is still another one's.
        let candidate = Candidate { pid: fenna.pid, user_id: fenna.user_id, stored: fenna.stored.clone() };
        let password = Zeroizing::new(PASSWORD.to_owned());
        let soon = Deadlines { begin: forever().begin, end: Instant::now() };
        assert_eq!(compare(&server.services, candidate, password, soon).await, Compared::Not);
        drop(slot);
        // A later one is taken.
        assert_eq!(server.queue(&fenna, PASSWORD, 0).await.await.unwrap(), Compared::Same);
        assert_eq!(server.services.hasher.computed_expensive(), 1);
    }
}
