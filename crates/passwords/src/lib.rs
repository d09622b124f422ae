//! Password hashing on dedicated threads: a login storm fills this queue and never slows reads.
//!
//! Two forms are created here. A password that a person chose is stored as an Argon2id PHC string (`$argon2id$...`, RFC
//! 9106). One that the system generated has at least 120 bits of entropy and cannot be guessed: it is stored as
//! `sha256$<base64url>`, so creating users is not a hash benchmark. A login costs one Argon2 either way (contract B23).
//!
//! Hashes imported from other systems (`foreign`) are stored unchanged until their user logs in. Those that cost more
//! than our own are computed on a separate thread, one at a time, and no login waits for it longer than every refusal
//! does (`equalizer`, docs/adr/0021).

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

use tenantry_core::error::FieldError;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::PartnerId;
use tenantry_core::random::Random;
use tenantry_core::supervise::Supervisor;

use pool::{Memory, Pool};
use stored::Stored;

pub use cost::{Work, WorkKind};
pub use equalizer::{Deadlines, TimingEqualizer};
pub use imported::{FirebaseParameters, HashPolicy, ImportedHash, UnusableHashes, import_hash};

mod cost;
mod digests;
mod equalizer;
mod foreign;
#[cfg(test)]
mod foreign_tests;
mod forms;
mod imported;
mod md5_crypt;
mod pool;
#[cfg(test)]
mod product_tests;
mod stored;

/// Default queue length per thread: about a second and a half of work.
pub const QUEUE_PER_THREAD: usize = 64;

const FAST: &str = "sha256$";
const SALT_LEN: usize = 16;
const OUTPUT_LEN: usize = 32;

/// The parameters of Argon2id; its parallelism is 1.
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
    /// Minimal cost: for tests only.
    pub const FOR_TESTS: Self = Self { memory_kib: 64, iterations: 1 };
}

/// For whom a password is hashed: the key of the fair queue. A key that floods it is refused before others are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// The server itself.
    Server,
    /// A partner, for requests of its authenticated users.
    Partner(PartnerId),
    /// The address of an unauthenticated client. Not the partner of the given user: in a storm the waiting time would
    /// reveal whether the user exists (B23).
    Address(IpAddr),
}

impl Whose {
    /// Of IPv6 the first half: the owner of the network chooses the rest (RFC 4291 §2.5.1).
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

/// Hashes and verifies passwords on its own threads. Clones share the threads, which end with the last clone.
#[derive(Clone)]
pub struct Hasher {
    pool: Arc<Pool>,
    whose: Whose,
    params: Params,
    random: Random,
    /// The thread for expensive hashes.
    expensive: Arc<Pool>,
    equalizer: Arc<TimingEqualizer>,
}

/// The result of verifying a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The index of the matching stored password.
    pub matched: Option<usize>,
    /// The indexes of those not compared because they are expensive: see [`Hasher::verify_expensive`].
    pub expensive: Vec<usize>,
    /// When the one ordinary hash that every login costs was done.
    pub hashed: Instant,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

impl Hasher {
    /// Starts `threads` threads with a queue of at most `queue` jobs in all (see [`QUEUE_PER_THREAD`]). Both are at
    /// least one.
    pub fn new(threads: usize, queue: usize, cost: HashCost, random: Random) -> Result<Self> {
        Self::supervised(&Supervisor::default(), threads, queue, cost, random)
    }

    /// As [`Hasher::new`], with threads supervised by `supervisor`.
    ///
    /// # Errors
    /// The cost is invalid, or a thread cannot be started.
    pub fn supervised(
        supervisor: &Supervisor,
        threads: usize,
        queue: usize,
        cost: HashCost,
        random: Random,
    ) -> Result<Self> {
        let params = Params::new(cost.memory_kib, cost.iterations, 1, Some(OUTPUT_LEN))
            .map_err(|e| Error::internal(format!("the cost of the password hash is invalid: {e}")))?;
        let pool = Arc::new(Pool::start(supervisor, threads, queue, pool::IDLE)?);
        let expensive = Arc::new(Pool::start_expensive(supervisor, queue)?);
        let equalizer = Arc::new(TimingEqualizer::new(cost));
        Ok(Self { pool, whose: Whose::Server, params, random, expensive, equalizer })
    }

    /// The same hasher, for jobs of this key.
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

    /// The index of the first of `against`, as stored, that matches this password. It stops there, so its time reveals
    /// the index: use it for a person's own password history, never for a login. A hash over the limits matches no
    /// password.
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

    /// Verifies a login: which of the user's current passwords, as stored, matches (a temporary one can be valid beside
    /// the permanent one). `stored` is empty for a user that does not exist, or that may not log in whatever its
    /// password is.
    ///
    /// Costs one ordinary hash, whatever is stored (B23), plus cheaper imported hashes; expensive ones are left to
    /// [`Hasher::verify_expensive`], and those over the limits match no password. All are compared, even after a match.
    /// [`TimingEqualizer`] hides the time.
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

    /// Whether the password matches an expensive hash. It is computed on a separate thread; `guard` is dropped when the
    /// computation has ended, even if nobody waits for the result any more. The caller must hold the only slot.
    pub async fn verify_expensive(
        &self,
        password: Zeroizing<String>,
        stored: String,
        guard: impl Send + 'static,
    ) -> Result<bool> {
        self.expensive
            .submit(self.whose, move |memory, _| {
                let _guard = guard;
                Stored::parse_within_bounds(&stored)?.map_or(Ok(false), |stored| stored.is(&password, memory))
            })
            .await
    }

    /// Measures the time of this kind of work, on the thread of [`Hasher::verify_expensive`].
    pub async fn calibrate(&self, kind: WorkKind, guard: impl Send + 'static) -> Result<()> {
        /// The fastest run counts: other load only makes it slower.
        const RUNS: usize = 3;
        let equalizer = Arc::clone(&self.equalizer);
        self.expensive
            .submit(self.whose, move |memory, _| {
                let _guard = guard;
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

    /// Whether this is the current form and cost. Otherwise the password is stored again at the next login.
    pub fn is_current(&self, stored: &str) -> bool {
        Stored::parse(stored).is_ok_and(|stored| stored.is_made_with(&self.params))
    }

    /// The number of jobs waiting for a thread, for the metrics.
    pub fn waiting(&self) -> usize {
        self.pool.waiting()
    }

    /// The number of Argon2s computed so far, for the metrics. A login costs one, whatever its result (B23).
    pub fn computed(&self) -> u64 {
        self.pool.runs()
    }

    /// The number of expensive hashes computed so far.
    pub fn computed_expensive(&self) -> u64 {
        self.expensive.jobs()
    }
}

/// Computes one ordinary hash and discards it.
fn compute_for_nothing(memory: &mut Memory, params: &Params, password: &str) -> Result<()> {
    let mut output = Zeroizing::new([0; OUTPUT_LEN]);
    let (id, version) = (Algorithm::Argon2id, Version::V0x13);
    memory.argon2(id, version, params, password, &[0; SALT_LEN], &mut *output)?;
    std::hint::black_box(&output);
    Ok(())
}

/// The stored form of a password that the system generated, with at least 120 bits of entropy. A password that a person
/// chose must never be stored like this.
pub fn system_generated(password: &str) -> String {
    format!("{FAST}{}", URL_SAFE_NO_PAD.encode(Sha256::digest(password)))
}

/// Checks an imported password hash: its form must be known, and its cost within the limits of the hash threads.
///
/// # Errors
/// `unknown-hash`, `hash-too-expensive`. Their text reveals nothing of the hash.
pub fn check_foreign(hash: &str) -> Result<(), FieldError> {
    stored::check_foreign(hash)
}

/// The work of verifying a stored password, if it is expensive; `None` for any other, including one over the limits,
/// which is never computed.
pub fn work_of(stored: &str) -> Option<Work> {
    // Most stored passwords are our own.
    if stored.starts_with(FAST) {
        return None;
    }
    Stored::parse(stored).ok()?.work().filter(|work| work.is_expensive())
}

/// Whether a stored password is over the limits, so that its user cannot log in.
pub fn is_over_the_bounds(stored: &str) -> bool {
    matches!(Stored::parse_within_bounds(stored), Ok(None))
}

/// Whether `stored` is [`system_generated`] of `secret`; compared in constant time.
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
    async fn hashed_passwords_are_verified() {
        let hasher = hasher();
        let one = hasher.hash(secret("one")).await.unwrap();
        let two = hasher.hash(secret("two")).await.unwrap();
        assert!(one.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{one}");
        assert_ne!(one, hasher.hash(secret("one")).await.unwrap(), "each has its own salt");
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
    async fn an_unknown_stored_form_is_an_internal_error_without_details() {
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
            assert_eq!(error.to_string(), "a stored password has an unknown form");
            assert_eq!(hasher.computed() - before, 1);
            assert!(hasher.verify(secret("x"), vec![stored.into()]).await.is_err());
        }
        assert!(Hasher::new(1, 1, HashCost { memory_kib: 1, iterations: 1 }, Random::seeded(1)).is_err());
        assert_eq!(format!("{hasher:?}"), "Hasher");
    }
}
