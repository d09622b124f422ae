//! Parses a stored password.

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::FAST;
use crate::cost::{Work, WorkKind};
use crate::foreign::Foreign;
use crate::forms::{self, HashError};
use crate::pool::Memory;
use tenantry_core::error::FieldError;
use tenantry_core::error::{Error, Result};

/// A hash that needs more memory is not computed: it would displace everything else from memory.
const MAX_MEMORY_KIB: u32 = 128 * 1024;
/// KiB times passes: 512 MiB are written in total.
const MAX_WORK: u64 = 512 * 1024;
/// Lanes are computed sequentially; each pass over each of them has a fixed cost, which the two limits above do not
/// cover if there is little memory.
const MAX_PARALLELISM: u32 = 8;
const MAX_ITERATIONS: u32 = 100;

/// A parsed stored password.
pub(super) enum Stored {
    Argon2(Algorithm, Version, Params, Salt, Output),
    Fast([u8; 32]),
    Foreign(Foreign),
}

fn argon2_work(params: &Params) -> u64 {
    u64::from(params.m_cost()) * u64::from(params.t_cost())
}

fn unreadable() -> Error {
    Error::internal("a stored password has an unknown form")
}

/// See [`crate::check_foreign`].
pub(super) fn check_foreign(hash: &str) -> Result<(), FieldError> {
    read_foreign(hash).map(drop).map_err(|error| match error {
        HashError::Unknown => FieldError::of_value(
            "unknown-hash",
            "has an unknown form; known are argon2, bcrypt, scrypt, PBKDF2, sha256-crypt, sha512-crypt, salted SHA, and \
             those of ASP.NET Identity, Drupal, Firebase, Keycloak, Shiro and WordPress",
        ),
        HashError::CostTooHigh(limits) => {
            let detail = format!("would take too long to verify: the limits are {limits}");
            FieldError::of_value("hash-too-expensive", detail)
        }
    })
}

fn read_foreign(hash: &str) -> Result<Stored, HashError> {
    if hash.starts_with(FAST) { Err(HashError::Unknown) } else { Stored::read(hash) }
}

/// Whether a hash of another system has a known form, whatever it costs.
pub(super) fn is_known(hash: &str) -> bool {
    !matches!(read_foreign(hash), Err(HashError::Unknown))
}

/// The name of a weak hash; see [`Foreign::weakness`].
pub(super) fn weakness(hash: &str) -> Option<&'static str> {
    match read_foreign(hash) {
        Ok(Stored::Foreign(foreign)) => foreign.weakness(),
        _ => None,
    }
}

impl Stored {
    /// The text of an error reveals nothing of the hash: it goes to the log.
    pub(super) fn parse(stored: &str) -> Result<Self> {
        Self::read(stored).map_err(|_| unreadable())
    }

    /// As [`Stored::parse`]; `None` for a hash over the limits, which is never computed.
    pub(super) fn parse_within_bounds(stored: &str) -> Result<Option<Self>> {
        match Self::read(stored) {
            Ok(stored) => Ok(Some(stored)),
            Err(HashError::CostTooHigh(_)) => Ok(None),
            Err(HashError::Unknown) => Err(unreadable()),
        }
    }

    fn read(stored: &str) -> Result<Self, HashError> {
        if let Some(digest) = stored.strip_prefix(FAST) {
            let digest = URL_SAFE_NO_PAD.decode(digest).ok().and_then(|d| d.try_into().ok());
            return digest.map(Self::Fast).ok_or(HashError::Unknown);
        }
        let bare = forms::without_scheme(stored);
        if bare.starts_with("$argon2") {
            return Self::read_argon2(bare);
        }
        forms::read(bare).map(Self::Foreign)
    }

    fn read_argon2(stored: &str) -> Result<Self, HashError> {
        let parse = || {
            let phc = PasswordHash::new(stored).ok()?;
            let kind = Algorithm::try_from(phc.algorithm.as_str()).ok()?;
            let params = Params::try_from(&phc).ok()?;
            // The reference implementation treats a missing version as 0x10 (encoding.c, decode_string).
            let version = phc.version.map_or(Ok(Version::V0x10), Version::try_from).ok()?;
            Some(Self::Argon2(kind, version, params, phc.salt?, phc.hash?))
        };
        let parsed = parse().ok_or(HashError::Unknown)?;
        match &parsed {
            Self::Argon2(_, _, params, ..)
                if params.m_cost() > MAX_MEMORY_KIB
                    || argon2_work(params) > MAX_WORK
                    || params.t_cost() > MAX_ITERATIONS
                    || params.p_cost() > MAX_PARALLELISM =>
            {
                Err(HashError::CostTooHigh("m = 128 MiB, 512 MiB for m times t, t=100 and p=8"))
            }
            _ => Ok(parsed),
        }
    }

    /// The work of verifying it; `None` if it is negligible.
    pub(super) fn work(&self) -> Option<Work> {
        match self {
            Self::Argon2(_, _, params, ..) => {
                Some(Work { kind: WorkKind::Argon2, amount: argon2_work(params) })
            }
            Self::Fast(_) => None,
            Self::Foreign(foreign) => foreign.work(),
        }
    }

    /// Whether it is an Argon2id of exactly this cost.
    pub(super) fn is_made_with(&self, wanted: &Params) -> bool {
        let cost = |p: &Params| (p.m_cost(), p.t_cost(), p.p_cost());
        match self {
            Self::Argon2(Algorithm::Argon2id, Version::V0x13, params, ..) => cost(params) == cost(wanted),
            _ => false,
        }
    }

    /// Whether it is the hash of this password; compared in constant time.
    pub(super) fn is(&self, password: &str, memory: &mut Memory) -> Result<bool> {
        match self {
            Self::Argon2(kind, version, params, salt, expected) => {
                let mut buffer = Zeroizing::new([0; Output::MAX_LENGTH]);
                let output = buffer
                    .get_mut(..expected.len())
                    .ok_or_else(|| Error::internal("a stored hash is too long"))?;
                memory.argon2(*kind, *version, params, password, salt, output)?;
                Ok(output.ct_eq(expected.as_bytes()).into())
            }
            Self::Fast(expected) => Ok(Sha256::digest(password).as_slice().ct_eq(expected).into()),
            Self::Foreign(foreign) => foreign.is(password),
        }
    }
}
