//! Challenges. The database knows only those that were answered: a page that shows one stores nothing.
//!
//! A challenge is a time, random bytes, and a code over both and over what it is bound to, such as the cookie of the
//! browser. So it is good where it was shown, and only for a while. The unit that accepts an answer stores the random
//! bytes, so that no answer is good twice.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::cursors::CODE_LENGTH;
use crate::services::Services;
use tenantry_core::clock::{HOUR, MINUTE, Millis};
use tenantry_core::error::Result;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::passkeys as stored;

/// What a challenge is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To add a passkey.
    Register,
    /// To sign in, without a name.
    SignIn,
    /// To confirm a sign-in with a password.
    SecondFactor,
}

impl Purpose {
    /// Codes are of lists of cursors; no list of the API has these names.
    fn name(self) -> &'static [u8] {
        match self {
            Self::Register => b"challenges to add a passkey",
            Self::SignIn => b"challenges to sign in with a passkey",
            Self::SecondFactor => b"challenges to confirm with a passkey",
        }
    }

    /// How long a page that shows it may stay open.
    fn life(self) -> Millis {
        match self {
            Self::Register | Self::SecondFactor => 5 * MINUTE,
            // As the sealed request of an application that the page carries.
            Self::SignIn => HOUR,
        }
    }
}

/// A clock of another server may be ahead.
const SLACK: Millis = MINUTE;

/// The length of the time.
const TIME: usize = 8;

/// The length of the random bytes.
const RANDOM: usize = 16;

/// A challenge that this deployment has made, and that has not expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GoodChallenge {
    /// As it was signed.
    pub(super) bytes: Vec<u8>,
    id: String,
    expires_at: Millis,
}

/// The code over a challenge's beginning, and what it is bound to.
fn bound(start: &[u8], binding: &[&str]) -> Vec<u8> {
    let mut all = start.to_vec();
    for part in binding {
        all.extend_from_slice(&part.len().to_be_bytes());
        all.extend_from_slice(part.as_bytes());
    }
    all
}

/// Makes a challenge, base64url.
pub fn make(services: &Services, purpose: Purpose, binding: &[&str]) -> String {
    let time = services.clock.read().latest.to_be_bytes();
    let start = [&time[..], &services.random.bytes::<RANDOM>()].concat();
    let code = services.cursor_key.code(purpose.name(), &bound(&start, binding));
    URL_SAFE_NO_PAD.encode([&start[..], &code[..]].concat())
}

/// Checks a challenge; `None` if it has expired, is for something else or somebody else, or was not made here.
pub(super) fn check(
    services: &Services,
    purpose: Purpose,
    binding: &[&str],
    challenge: Vec<u8>,
) -> Option<GoodChallenge> {
    if challenge.len() != TIME + RANDOM + CODE_LENGTH {
        return None;
    }
    let (start, code) = challenge.split_at_checked(TIME + RANDOM)?;
    if !services.cursor_key.is_code(code, purpose.name(), &bound(start, binding)) {
        return None;
    }
    let (time, random) = start.split_first_chunk::<TIME>()?;
    let made_at = Millis::from_be_bytes(*time);
    let age = services.clock.read().latest.saturating_sub(made_at);
    let id = URL_SAFE_NO_PAD.encode(random);
    (-SLACK..purpose.life()).contains(&age).then(|| GoodChallenge {
        id,
        expires_at: made_at + purpose.life(),
        bytes: challenge,
    })
}

impl GoodChallenge {
    /// Whether it is answered already.
    pub(super) fn is_answered(&self, tx: &mut Tx<'_>) -> Result<bool> {
        stored::is_challenge_used(tx, &self.id)
    }

    /// Records that it is answered. Returns false if it was before.
    pub(super) fn answer(&self, tx: &mut Tx<'_>) -> Result<bool> {
        stored::use_challenge(tx, &self.id, self.expires_at)
    }
}

/// How long an answered challenge is kept after its end: another server's clock may be behind.
const KEPT: Millis = HOUR;

/// Removes answered challenges that have expired, of all partners, at most `limit`. Returns their number.
///
/// # Errors
/// None of its own.
pub fn purge(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    let before = tx.steady() - KEPT;
    stored::purge_challenges(tx, before, limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use tenantry_core::clock::Clock;
    use tenantry_core::random::Random;

    #[test]
    fn a_challenge_is_good_for_its_purpose_and_browser_until_it_expires() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::manual(1_800_000_000_000));
        let services = testing::services(dir.path(), &clock, &Random::seeded(1)).unwrap();
        for (purpose, life) in
            [(Purpose::Register, 5 * MINUTE), (Purpose::SecondFactor, 5 * MINUTE), (Purpose::SignIn, HOUR)]
        {
            let made = make(&services, purpose, &["cookie", "handle"]);
            let bytes = URL_SAFE_NO_PAD.decode(&made).unwrap();
            let check = |purpose, binding: &[&str], bytes: &[u8]| {
                check(&services, purpose, binding, bytes.to_vec()).is_some()
            };
            assert!(check(purpose, &["cookie", "handle"], &bytes));
            for binding in [&["cookie"][..], &["cookieh", "andle"], &["handle", "cookie"], &["", ""], &[]] {
                assert!(!check(purpose, binding, &bytes), "{binding:?}");
            }
            for other in [Purpose::Register, Purpose::SecondFactor, Purpose::SignIn] {
                assert_eq!(check(other, &["cookie", "handle"], &bytes), other == purpose);
            }
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                assert!(!check(purpose, &["cookie", "handle"], &changed), "{at}");
                assert!(!check(purpose, &["cookie", "handle"], &bytes[..at]), "{at} bytes");
            }
            clock.advance(life - 1);
            assert!(check(purpose, &["cookie", "handle"], &bytes));
            clock.advance(1);
            assert!(!check(purpose, &["cookie", "handle"], &bytes));
        }
    }
}
