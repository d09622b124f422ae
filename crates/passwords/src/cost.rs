//! The cost of verifying a stored password, derived from the parameters of its hash, not measured.

use std::time::Duration;

use crate::HashCost;

/// A hash function; each has its own unit of work. The numbers are stored (migrations/0010).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkKind {
    /// KiB of memory times passes.
    Argon2 = 1,
    /// Two to the power of the cost parameter.
    Bcrypt = 2,
    /// N times r times p.
    Scrypt = 3,
    /// Rounds times blocks of output, as for the next two.
    Pbkdf2Sha1 = 4,
    /// See [`WorkKind::Pbkdf2Sha1`].
    Pbkdf2Sha256 = 5,
    /// See [`WorkKind::Pbkdf2Sha1`].
    Pbkdf2Sha512 = 6,
    /// Rounds, as for the next one.
    Sha256Crypt = 7,
    /// See [`WorkKind::Sha256Crypt`].
    Sha512Crypt = 8,
    /// Blocks of an iterated digest, as for the next three.
    Md5 = 9,
    /// See [`WorkKind::Md5`].
    Sha1 = 10,
    /// See [`WorkKind::Md5`].
    Sha256 = 11,
    /// See [`WorkKind::Md5`].
    Sha512 = 12,
}

impl WorkKind {
    /// All kinds, ordered by number.
    pub const ALL: [Self; 12] = [
        Self::Argon2,
        Self::Bcrypt,
        Self::Scrypt,
        Self::Pbkdf2Sha1,
        Self::Pbkdf2Sha256,
        Self::Pbkdf2Sha512,
        Self::Sha256Crypt,
        Self::Sha512Crypt,
        Self::Md5,
        Self::Sha1,
        Self::Sha256,
        Self::Sha512,
    ];

    /// The stored number.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// The kind with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Nanoseconds per unit of work on a slow current core (x86-64 without SHA instructions). It determines which
    /// hashes are expensive, and is used until there is a measurement.
    fn assumed_nanos(self) -> u64 {
        match self {
            Self::Argon2 | Self::Pbkdf2Sha256 => 500,
            Self::Scrypt => 400,
            Self::Bcrypt => 60_000,
            Self::Pbkdf2Sha1 => 350,
            Self::Pbkdf2Sha512 => 800,
            Self::Sha256Crypt | Self::Sha512Crypt => 1_000,
            Self::Md5 => 150,
            Self::Sha1 => 200,
            Self::Sha256 => 300,
            Self::Sha512 => 450,
        }
    }

    /// A hash of this kind that takes about ten milliseconds, to measure the time of a unit of its work. Large enough
    /// not to fit into the processor's caches.
    pub(super) fn sample(self) -> &'static str {
        match self {
            Self::Argon2 => {
                "$argon2id$v=19$m=65536,t=1,p=1$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"
            }
            Self::Bcrypt => "$2b$08$abcdefghijklmnopqrstuuKNj3B0UBWGwSQWggCU91.xLxJdl9ZBe",
            Self::Scrypt => {
                "$scrypt$ln=15,r=8,p=1$c2FsdC1vZi0xNi1ieXRlcw$t0eig3u7j79EEbQA0++MN4/EzZmNHsfI7f2SZ61FvOI"
            }
            Self::Pbkdf2Sha1 => "$pbkdf2$30000$c2FsdC1vZi0xNi1ieXRlcw$ERbME8fjPpBzdJUDSB5zFKuzdO4",
            Self::Pbkdf2Sha256 => {
                "$pbkdf2-sha256$30000$c2FsdC1vZi0xNi1ieXRlcw$gwzkXi.SaqAMTywRIfNTayiPnL3Yp8FzYgd6mEbe7XU"
            }
            Self::Pbkdf2Sha512 => {
                "$pbkdf2-sha512$30000$c2FsdC1vZi0xNi1ieXRlcw$VDj.LMZtm.iYSAC7MA3RJFXFkulDfi9tZQlTyx5Rvb1FmXSGlkc2eyuExxi8PXdBZWge.VbCNAWQM7VPJ7FDOg"
            }
            Self::Sha256Crypt => "$5$rounds=20000$saltsalt$6QYbGV/SRTWPYM/F8Rpc3hUDnieem0Fe4yv1J/fXpmD",
            Self::Sha512Crypt => {
                "$6$rounds=20000$saltsalt$FhTRcsoAljsx1GYh8f8QfeRERprjCYy0EDqplHVawz0V8XzqrnRm/0T8l/jpR7DV2vMRUG9QOs1GN45MManP3/"
            }
            Self::Md5 => "$shiro1$MD5$50000$AQIDBAUGBwgJCgsMDQ4PEA==$mpTt1qhL+o+oa2d1MJlc/g==",
            Self::Sha1 => "$shiro1$SHA-1$50000$AQIDBAUGBwgJCgsMDQ4PEA==$kwkoyamUZFNwalTTA3T1rtmPxR8=",
            Self::Sha256 => {
                "$shiro1$SHA-256$30000$AQIDBAUGBwgJCgsMDQ4PEA==$mcIUsQZKWLn9MYrGGrg1wioLNyZfyacWOcEYCkLiMzw="
            }
            Self::Sha512 => {
                "$shiro1$SHA-512$20000$AQIDBAUGBwgJCgsMDQ4PEA==$hwixocCiNTIghURkGrkH332PAln40j19JsgS7QaRWMDw3xCmr1kCs5zrHNVUMhngMRUKsUxHAzcLt2I9YreMgA=="
            }
        }
    }
}

/// The work of computing a hash, in units of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// The hash function.
    pub kind: WorkKind,
    /// The number of units.
    pub amount: u64,
}

impl Work {
    /// The work of one Argon2id.
    pub(super) fn of(cost: HashCost) -> Self {
        let amount = u64::from(cost.memory_kib) * u64::from(cost.iterations);
        Self { kind: WorkKind::Argon2, amount }
    }

    /// Its maximum duration on a slow core.
    pub(super) fn assumed_time(self) -> Duration {
        Duration::from_nanos(self.amount.saturating_mul(self.kind.assumed_nanos()))
    }

    /// Whether it costs more than this server's own hash.
    pub fn is_expensive(self) -> bool {
        self.assumed_time() > Self::of(HashCost::OWASP).assumed_time()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work_of;

    #[test]
    fn samples_are_of_their_kind() {
        for kind in WorkKind::ALL {
            let stored = crate::stored::Stored::parse(kind.sample()).unwrap();
            assert_eq!(stored.work().map(|work| work.kind), Some(kind));
            assert_eq!(WorkKind::from_number(kind.number()), Some(kind));
        }
        assert_eq!(WorkKind::from_number(0), None);
    }

    #[test]
    fn work_is_counted_by_parameters() {
        let bcrypt =
            |cost: u32| format!("$2b${cost:02}$abcdefghijklmnopqrstuuKNj3B0UBWGwSQWggCU91.xLxJdl9ZBe");
        let argon2 = |cost: &str| {
            format!("$argon2id$v=19${cost}$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc")
        };
        for (hash, expected) in [
            (bcrypt(8), None),
            (bcrypt(9), Some((WorkKind::Bcrypt, 512))),
            (bcrypt(13), Some((WorkKind::Bcrypt, 8_192))),
            (argon2("m=19456,t=2,p=1"), None),
            (argon2("m=64,t=1,p=1"), None),
            (argon2("m=19456,t=3,p=1"), Some((WorkKind::Argon2, 58_368))),
            ("$scrypt$ln=14,r=8,p=5$c2FsdA$t0eig3u7j79EEbQA0++MN4/EzZmNHsfI7f2SZ61FvOI".into(), Some((WorkKind::Scrypt, 655_360))),
            // Two blocks of SHA-256 for 64 bytes of output.
            (
                "$pbkdf2-sha256$600000$c2FsdA$VDj.LMZtm.iYSAC7MA3RJFXFkulDfi9tZQlTyx5Rvb1FmXSGlkc2eyuExxi8PXdBZWge.VbCNAWQM7VPJ7FDOg".into(),
                Some((WorkKind::Pbkdf2Sha256, 1_200_000)),
            ),
            ("$5$rounds=535000$saltsalt$6QYbGV/SRTWPYM/F8Rpc3hUDnieem0Fe4yv1J/fXpmD".into(), Some((WorkKind::Sha256Crypt, 535_000))),
            ("{SSHA}nq9U8mmaO/WxGYfpN7Z8Ufqei/FzYWx0c2FsdA==".into(), None),
            ("sha256$ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0".into(), None),
            // Over the limits: it is never computed.
            (bcrypt(14), None),
            ("no hash".into(), None),
        ] {
            let found = work_of(&hash).map(|work| (work.kind, work.amount));
            assert_eq!(found, expected, "{hash}");
        }
    }
}
