//! A stored password, taken apart.

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::FAST;
use super::foreign::Foreign;
use super::forms::{self, Flaw};
use super::pool::Memory;
use crate::error::{Error, Result};
use crate::values::Bad;

/// A hash that asks for more memory is not computed: it would push everything else out of it.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_ITERATIONS: u32 = 10;
const MAX_PARALLELISM: u32 = 8;

/// See the module.
pub(super) enum Stored {
    Argon2(Algorithm, Version, Params, Salt, Output),
    Fast([u8; 32]),
    Foreign(Foreign),
}

/// See [`super::check_foreign`].
pub(super) fn check_foreign(hash: &str) -> Result<(), Bad> {
    let checked = if hash.starts_with(FAST) { Err(Flaw::Unknown) } else { Stored::read(hash).map(drop) };
    checked.map_err(|flaw| match flaw {
        Flaw::Unknown => Bad::new(
            "unknown-hash",
            "is in no form that is known here: argon2, bcrypt, scrypt, PBKDF2, sha256-crypt, sha512-crypt or salted SHA",
        ),
        Flaw::TooDear(limits) => {
            Bad::new("hash-too-dear", format!("would take too long to verify: the limits are {limits}"))
        }
    })
}

impl Stored {
    /// The text of an error says nothing of the hash: it goes to the log.
    pub(super) fn parse(stored: &str) -> Result<Self> {
        Self::read(stored)
            .map_err(|_| Error::internal("a stored password is in no form that this server knows"))
    }

    fn read(stored: &str) -> Result<Self, Flaw> {
        if let Some(digest) = stored.strip_prefix(FAST) {
            let digest = URL_SAFE_NO_PAD.decode(digest).ok().and_then(|d| d.try_into().ok());
            return digest.map(Self::Fast).ok_or(Flaw::Unknown);
        }
        let bare = forms::without_scheme(stored);
        if bare.starts_with("$argon2") {
            return Self::read_argon2(bare);
        }
        forms::read(bare).map(Self::Foreign)
    }

    fn read_argon2(stored: &str) -> Result<Self, Flaw> {
        let parse = || {
            let phc = PasswordHash::new(stored).ok()?;
            let kind = Algorithm::try_from(phc.algorithm.as_str()).ok()?;
            let params = Params::try_from(&phc).ok()?;
            // The reference implementation takes a missing version for 0x10 (encoding.c, decode_string).
            let version = phc.version.map_or(Ok(Version::V0x10), Version::try_from).ok()?;
            Some(Self::Argon2(kind, version, params, phc.salt?, phc.hash?))
        };
        let parsed = parse().ok_or(Flaw::Unknown)?;
        match &parsed {
            Self::Argon2(_, _, params, ..)
                if params.m_cost() > MAX_MEMORY_KIB
                    || params.t_cost() > MAX_ITERATIONS
                    || params.p_cost() > MAX_PARALLELISM =>
            {
                Err(Flaw::TooDear("256 MiB, t=10 and p=8"))
            }
            _ => Ok(parsed),
        }
    }

    /// Whether comparing with it costs an Argon2.
    pub(super) fn is_argon2(&self) -> bool {
        matches!(self, Self::Argon2(..))
    }

    /// Whether comparing with it costs something else.
    pub(super) fn is_foreign(&self) -> bool {
        matches!(self, Self::Foreign(_))
    }

    /// Whether it is an Argon2id of just this cost.
    pub(super) fn is_made_with(&self, wanted: &Params) -> bool {
        let cost = |p: &Params| (p.m_cost(), p.t_cost(), p.p_cost());
        match self {
            Self::Argon2(Algorithm::Argon2id, Version::V0x13, params, ..) => cost(params) == cost(wanted),
            _ => false,
        }
    }

    /// Whether it is the hash of this password; in constant time.
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
