//! Password hashing on threads of its own: a login storm fills this queue and never slows a read.
//!
//! Two forms are made here. A password that a person chose is an Argon2id PHC string (`$argon2id$...`, RFC 9106). One that
//! the system made has 120 bits and more, which nobody searches through: it is `sha256$<base64url>`, so creating users
//! is no hash benchmark. A login takes the time of an Argon2 either way (contract B23).
//!
//! Hashes that came with their users from another system (`foreign`) stand as they came until their user logs in. Those
//! that cost more than our own are computed on a thread of their own, one at a time, and no login waits for it longer
//! than every refusal does (`equalizer`, docs/adr/0021).

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;
use zeroize::Zeroizing;

use tenantry_core::error::{Error, Result};
use tenantry_core::model::PartnerId;
use tenantry_core::random::Random;
use tenantry_core::supervise::Supervisor;
use tenantry_core::values::Bad;

use pool::{Memory, Pool};
use stored::Stored;

pub use cost::{Work, WorkKind};
pub use equalizer::{Deadlines, TimingEqualizer};

mod cost;
mod equalizer;
mod foreign;
#[cfg(test)]
mod foreign_tests;
mod forms;
mod pool;
mod stored;

/// How many jobs may wait for each thread, unless told otherwise: about a second and a half of work.
pub const QUEUE_PER_THREAD: usize = 64;

const FAST: &str = "sha256$";
const SALT_LEN: usize = 16;
const OUTPUT_LEN: usize = 32;

/// What one Argon2id costs; its parallelism is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
}

impl HashCost {
    /// OWASP's Password Storage Cheat Sheet: m=19456 (19 MiB), t=2, p=1.
    pub const OWASP: Self = Self { memory_kib: 19_456, iterations: 2 };
    /// Next to nothing: for tests only.
    pub const FOR_TESTS: Self = Self { memory_kib: 64, iterations: 1 };
}

/// For whom a password is hashed: they take turns, and who floods the queue is refused before others are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// The server itself.
    Server,
    /// A partner, one of whose users has shown a token.
    Partner(PartnerId),
    /// Somebody at this address who is not logged in. Not the partner of the user that is named: by how long that takes
    /// in a storm it could be told whether there is such a user (B23).
    Address(IpAddr),
}

impl Whose {
    /// Of IPv6 the first half: the rest is chosen by whoever has the network (RFC 4291 §2.5.1).
    pub fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            v4 => v4,
        })
    }
}

/// Hashes and verifies passwords on its own threads. Clones share them; they end with the last clone.
#[derive(Clone)]
pub struct Hasher {
    pool: Arc<Pool>,
    whose: Whose,
    params: Params,
    random: Random,
    /// One thread.
    expensive: Arc<Pool>,
    equalizer: Arc<TimingEqualizer>,
}

/// What verifying a login came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which of the stored passwords it is.
    pub matched: Option<usize>,
    /// Which of them were not compared, since they are expensive: see [`Hasher::verify_expensive`].
    pub expensive: Vec<usize>,
    /// When the one ordinary hash was done that every login takes.
    pub hashed: Instant,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

impl Hasher {
    /// Starts `threads` threads, for which at most `queue` jobs may wait in all (see [`QUEUE_PER_THREAD`]). Both are at
    /// least one.
    pub fn new(threads: usize, queue: usize, cost: HashCost, random: Random) -> Result<Self> {
        Self::supervised(&Supervisor::default(), threads, queue, cost, random)
    }

    /// The same, of threads that belong to a server.
    ///
    /// # Errors
    /// The cost is impossible, or a thread cannot be started.
    pub fn supervised(
        supervisor: &Supervisor,
        threads: usize,
        queue: usize,
        cost: HashCost,
        random: Random,
    ) -> Result<Self> {
        let params = Params::new(cost.memory_kib, cost.iterations, 1, Some(OUTPUT_LEN))
            .map_err(|e| Error::internal(format!("the password hash's cost is impossible: {e}")))?;
        let pool = Arc::new(Pool::start(supervisor, threads, queue, pool::IDLE)?);
        let expensive = Arc::new(Pool::start_expensive(supervisor, queue)?);
        let equalizer = Arc::new(TimingEqualizer::new(cost));
        Ok(Self { pool, whose: Whose::Server, params, random, expensive, equalizer })
    }

    /// The same, for somebody.
    #[must_use]
    pub fn on_behalf_of(&self, whose: Whose) -> Self {
        Self { whose, ..self.clone() }
    }

    /// The PHC string to store for a password that a person chose.
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String> {
        let salt = self.random.bytes::<SALT_LEN>();
        let params = self.params.clone();
        self.pool
            .submit(self.whose, move |memory, _| {
                let mut output = Zeroizing::new([0; OUTPUT_LEN]);
                memory.argon2(
                    Algorithm::Argon2id,
                    Version::V0x13,
                    &params,
                    &password,
                    &salt,
                    &mut *output,
                )?;
                let encode = || {
                    Ok::<_, argon2::password_hash::Error>(PasswordHash {
                        algorithm: ARGON2ID_IDENT,
                        version: Some(Version::V0x13.into()),
                        params: ParamsString::try_from(&params)?,
                        salt: Some(Salt::new(&salt)?),
                        hash: Some(Output::new(&*output)?),
                    })
                };
                let phc = encode()
                    .map_err(|e| Error::internal(format!("a password hash cannot be encoded: {e}")))?;
                Ok(phc.to_string())
            })
            .await
    }

    /// Which of `against`, as stored, is this password: the first that is. Stops there, so its time tells how far it
    /// got: for comparing with a person's own history, never for a login. One over the bounds is no password.
    pub async fn verify(&self, password: Zeroizing<String>, against: Vec<String>) -> Result<Option<usize>> {
        self.pool
            .submit(self.whose, move |memory, wanted| {
                for (index, stored) in against.iter().enumerate() {
                    if !wanted() {
                        break;
                    }
                    let Some(stored) = Stored::parse_within_bounds(stored)? else { continue };
                    if stored.is(&password, memory)? {
                        return Ok(Some(index));
                    }
                }
                Ok(None)
            })
            .await
    }

    /// Whether a login with this password succeeds: which of the user's current passwords, as stored, it is (a temporary
    /// one may be good beside the permanent one); `stored` is empty for a user that does not exist, or that may not log
    /// in whatever its password is.
    ///
    /// Takes one ordinary hash, whatever is stored (B23). On top of it come cheaper ones of other systems; expensive ones
    /// are left to [`Hasher::verify_expensive`], and those over the bounds are nobody's password. All are compared, also
    /// after one was found. What it took shows nowhere: see [`TimingEqualizer`].
    pub async fn verify_login(&self, password: Zeroizing<String>, stored: Vec<String>) -> Result<Verdict> {
        let (params, equalizer) = (self.params.clone(), Arc::clone(&self.equalizer));
        self.pool
            .submit(self.whose, move |memory, _| {
                let all = stored.iter().map(|s| Stored::parse_within_bounds(s)).collect::<Result<Vec<_>>>();
                let is_own = |one: &Option<Stored>| one.as_ref().is_some_and(|one| one.is_made_with(&params));
                let own = all.as_ref().ok().and_then(|all| all.iter().position(is_own));
                let begun = Instant::now();
                let mut matched = None;
                match own.zip(all.as_ref().ok()).and_then(|(at, all)| Some((at, all.get(at)?.as_ref()?))) {
                    Some((at, own)) => matched = own.is(&password, memory)?.then_some(at),
                    None => compute_for_nothing(memory, &params, &password)?,
                }
                let hashed = Instant::now();
                equalizer.learn_ordinary(hashed - begun);
                let mut expensive = Vec::new();
                for (index, one) in all?.iter().enumerate() {
                    match one {
                        Some(_) if own == Some(index) => {}
                        Some(one) if one.work().is_some_and(Work::is_expensive) => expensive.push(index),
                        Some(one) if one.is(&password, memory)? => matched = matched.or(Some(index)),
                        _ => {}
                    }
                }
                Ok(Verdict { matched, expensive, hashed })
            })
            .await
    }

    /// Whether this is the password of an expensive hash. Computed on a thread of its own; `turn` is dropped when that has
    /// ended, also if nobody waits for the answer any more. Whoever calls this holds the only turn there is.
    pub async fn verify_expensive(
        &self,
        password: Zeroizing<String>,
        stored: String,
        turn: impl Send + 'static,
    ) -> Result<bool> {
        self.expensive
            .submit(self.whose, move |memory, _| {
                let _turn = turn;
                Stored::parse_within_bounds(&stored)?.map_or(Ok(false), |stored| stored.is(&password, memory))
            })
            .await
    }

    /// Measures what work of this kind takes here, as [`Hasher::verify_expensive`] does it.
    pub async fn calibrate(&self, kind: WorkKind, turn: impl Send + 'static) -> Result<()> {
        /// The fastest counts: what else the machine does only makes it slower.
        const RUNS: usize = 3;
        let equalizer = Arc::clone(&self.equalizer);
        self.expensive
            .submit(self.whose, move |memory, _| {
                let _turn = turn;
                let sample = Stored::parse(kind.sample())?;
                let mut best = Duration::MAX;
                for _ in 0..RUNS {
                    let begun = Instant::now();
                    sample.is("Calibration.Tea-1", memory)?;
                    best = best.min(begun.elapsed());
                }
                if let Some(work) = sample.work() {
                    equalizer.learn_work(work, best);
                }
                Ok(())
            })
            .await
    }

    /// Decides when refused logins are answered.
    pub fn equalizer(&self) -> &TimingEqualizer {
        &self.equalizer
    }

    /// Whether this is how the password would be stored today. Otherwise it is stored anew at the next login.
    pub fn is_current(&self, stored: &str) -> bool {
        Stored::parse(stored).is_ok_and(|stored| stored.is_made_with(&self.params))
    }

    /// How many jobs wait for a thread, for the metrics.
    pub fn waiting(&self) -> usize {
        self.pool.waiting()
    }

    /// How many Argon2s were computed so far, for the metrics. A login costs one, whatever comes of it (B23).
    pub fn computed(&self) -> u64 {
        self.pool.runs()
    }

    /// How many expensive hashes were computed so far.
    pub fn computed_expensive(&self) -> u64 {
        self.expensive.jobs()
    }
}

/// One ordinary hash that nobody needs.
fn compute_for_nothing(memory: &mut Memory, params: &Params, password: &str) -> Result<()> {
    let mut output = Zeroizing::new([0; OUTPUT_LEN]);
    let (id, version) = (Algorithm::Argon2id, Version::V0x13);
    memory.argon2(id, version, params, password, &[0; SALT_LEN], &mut *output)?;
    std::hint::black_box(&output);
    Ok(())
}

/// The form in which a password is stored that the system itself made, with 120 bits of entropy or more. A password
/// that a person chose must never be stored so.
pub fn system_generated(password: &str) -> String {
    format!("{FAST}{}", URL_SAFE_NO_PAD.encode(Sha256::digest(password)))
}

/// Checks a password hash that comes from another system: it must be in a form that is known here, and cost no more
/// than the hash threads can bear.
///
/// # Errors
/// `unknown-hash`, `hash-too-expensive`. Their text says nothing of the hash.
pub fn check_foreign(hash: &str) -> Result<(), Bad> {
    stored::check_foreign(hash)
}

/// What comparing with a stored password takes, where that is more than one of our own; none for any other, also for one
/// over the bounds, which is never computed.
pub fn work_of(stored: &str) -> Option<Work> {
    // Most are our own.
    if stored.starts_with(FAST) {
        return None;
    }
    Stored::parse(stored).ok()?.work().filter(|work| work.is_expensive())
}

/// Whether a stored password costs more than the bounds allow, so that nobody can log in with it.
pub fn is_over_the_bounds(stored: &str) -> bool {
    matches!(Stored::parse_within_bounds(stored), Ok(None))
}

/// Whether `secret` is what [`system_generated`] made `stored` of; in constant time.
pub fn is_system_generated(secret: &str, stored: &str) -> bool {
    system_generated(secret).as_bytes().ct_eq(stored.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher() -> Hasher {
        Hasher::new(1, 8, HashCost::FOR_TESTS, Random::seeded(1)).unwrap()
    }

    fn secret(s: &str) -> Zeroizing<String> {
        Zeroizing::new(s.to_owned())
    }

    #[test]
    fn a_network_is_one_address() {
        let whose = |text: &str| Whose::address(text.parse().unwrap());
        assert_eq!(whose("2001:db8:1:2::3"), whose("2001:db8:1:2:ffff::9"));
        assert_ne!(whose("2001:db8:1:2::3"), whose("2001:db8:1:3::3"));
        assert_eq!(whose("::ffff:192.0.2.1"), whose("192.0.2.1"));
        assert_ne!(whose("192.0.2.2"), whose("192.0.2.1"));
    }

    #[tokio::test]
    async fn what_was_hashed_is_verified() {
        let hasher = hasher();
        let one = hasher.hash(secret("one")).await.unwrap();
        let two = hasher.hash(secret("two")).await.unwrap();
        assert!(one.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{one}");
        assert_ne!(one, hasher.hash(secret("one")).await.unwrap(), "each has its salt");
        let all = vec![one, two, system_generated("three")];
        for (index, password) in ["one", "two", "three"].into_iter().enumerate() {
            assert_eq!(hasher.verify(secret(password), all.clone()).await.unwrap(), Some(index));
            assert_eq!(
                hasher.verify_login(secret(password), all.clone()).await.unwrap().matched,
                Some(index)
            );
        }
        assert_eq!(hasher.verify(secret("four"), all.clone()).await.unwrap(), None);
        assert_eq!(hasher.verify_login(secret("four"), all).await.unwrap().matched, None);
        assert_eq!(hasher.verify(secret("four"), vec![]).await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_reference_vector_with_its_own_parameters() {
        // From the reference implementation's test.c.
        let stored = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let hasher = hasher();
        assert_eq!(
            hasher.verify_login(secret("password"), vec![stored.into()]).await.unwrap().matched,
            Some(0)
        );
        let wrong = hasher.verify_login(secret("passwore"), vec![stored.into()]).await.unwrap();
        assert_eq!((wrong.matched, wrong.expensive), (None, vec![]));
        assert_eq!(system_generated("abc"), "sha256$ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
    }

    #[tokio::test]
    async fn a_login_costs_one_argon2() {
        let hasher = hasher();
        let slow = hasher.hash(secret("slow")).await.unwrap();
        let fast = system_generated("fast");
        let mut before = hasher.computed();
        for (stored, password, expected) in [
            (vec![], "slow", None),
            (vec![fast.clone()], "fast", Some(0)),
            (vec![fast.clone()], "slow", None),
            (vec![slow.clone()], "slow", Some(0)),
            (vec![slow.clone()], "fast", None),
            (vec![fast.clone(), slow.clone()], "fast", Some(0)),
            (vec![fast.clone(), slow.clone()], "slow", Some(1)),
            (vec![slow.clone(), fast.clone()], "fast", Some(1)),
            (vec![slow, fast], "none", None),
        ] {
            assert_eq!(
                hasher.verify_login(secret(password), stored.clone()).await.unwrap().matched,
                expected
            );
            let after = hasher.computed();
            assert_eq!(after - before, 1, "{password} against {} stored", stored.len());
            before = after;
        }
    }

    #[tokio::test]
    async fn what_cannot_be_verified_is_our_fault_and_says_nothing() {
        let hasher = hasher();
        for stored in [
            "",
            "secret-thing",
            "sha256$secret-thing",
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ",
            "$2x$05$abcdefghijklmnopqrstuu8.veTXNDPV2eEsdpKNczMw2otgh5LnK",
        ] {
            let before = hasher.computed();
            let error = hasher.verify_login(secret("x"), vec![stored.into()]).await.unwrap_err();
            assert_eq!(error.to_string(), "a stored password is in no form that this server knows");
            assert_eq!(hasher.computed() - before, 1);
            assert!(hasher.verify(secret("x"), vec![stored.into()]).await.is_err());
        }
        assert!(Hasher::new(1, 1, HashCost { memory_kib: 1, iterations: 1 }, Random::seeded(1)).is_err());
        assert_eq!(format!("{hasher:?}"), "Hasher");
    }
}
