//! Recovery codes: ten, each of 80 random bits, good once. The database only has their SHA-256.

use serde_json::json;
use zeroize::Zeroizing;

use super::{Factor, conflict, has_any, mail, step_up};
use crate::events::{self, EventKind};
use crate::services::Services;
use crate::tokens;
use crate::{unit, users};
use tenantry_core::error::Result;
use tenantry_core::model::{User, UserId};
use tenantry_core::random::Random;
use tenantry_mail::EmailContent;
use tenantry_store::access::Member;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::factors as stored;

/// How many a user gets.
pub const COUNT: usize = 10;

/// The letters and digits of a code: without those that look like another one (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Characters of a code, of five bits each: 80 bits.
const LENGTH: usize = 16;

/// A code in four groups, so that it can be read and typed.
fn generate(random: &Random) -> Zeroizing<String> {
    let mut code = Zeroizing::new(String::with_capacity(LENGTH + 3));
    for at in 0..LENGTH {
        if at > 0 && at % 4 == 0 {
            code.push('-');
        }
        code.extend(ALPHABET.get(random.below(ALPHABET.len())).map(|byte| char::from(*byte)));
    }
    code
}

/// A code as it is hashed: what people type differently does not count. `None` if it cannot be one.
fn normalized(code: &str) -> Option<Zeroizing<String>> {
    let mut plain = Zeroizing::new(String::with_capacity(LENGTH));
    for c in code.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let c = match c.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        };
        if plain.len() == LENGTH || !u8::try_from(c).is_ok_and(|byte| ALPHABET.contains(&byte)) {
            return None;
        }
        plain.push(c);
    }
    (plain.len() == LENGTH).then_some(plain)
}

/// Makes new codes in place of all former ones.
pub(crate) fn make_in(tx: &mut Tx<'_>, user_id: UserId) -> Result<Vec<Zeroizing<String>>> {
    let codes: Vec<_> = (0..COUNT).map(|_| generate(tx.random())).collect();
    let hashes: Vec<_> =
        codes.iter().filter_map(|code| normalized(code)).map(|code| tokens::hash(&code)).collect();
    stored::replace_recovery_codes(tx, user_id, &hashes)?;
    Ok(codes)
}

/// Makes new recovery codes for the caller, in place of all former ones.
///
/// # Errors
/// `no-factor` if the user has no second factor; a sign-in that is too old.
pub async fn make(services: &Services, member: &Member) -> Result<Vec<Zeroizing<String>>> {
    step_up::expect_fresh(services, member).await?;
    unit::write(&services.store, member, make_own).await
}

/// As [`make`], in the transaction.
///
/// # Errors
/// As [`make`].
fn make_own(tx: &mut Tx<'_, Member>) -> Result<Vec<Zeroizing<String>>> {
    let user = users::get_self(tx)?;
    if !has_any(tx, user.user_id)? {
        return Err(conflict("no-factor", "recovery codes replace a second factor: add one first"));
    }
    let codes = make_in(tx, user.user_id)?;
    let after = json!({ "factor": Factor::RecoveryCode.name() });
    events::record_user(tx, EventKind::RecoveryCodesMade, user.user_id, None, Some(after))?;
    let (username, factor) = (user.username.clone(), Factor::RecoveryCode.mail_name());
    mail(tx, &user, EmailContent::FactorAdded { username, factor })?;
    Ok(codes)
}

/// Uses a recovery code of a user. Returns whether it was right, and not used before.
pub(super) fn use_code(tx: &mut Tx<'_>, user: &User, code: &str) -> Result<bool> {
    let Some(code) = normalized(code) else { return Ok(false) };
    // Recovery codes replace another factor.
    if !has_any(tx, user.user_id)? || !stored::use_recovery_code(tx, user.user_id, &tokens::hash(&code))? {
        return Ok(false);
    }
    let left = stored::recovery_codes(tx, user.user_id)?.left;
    let after = json!({ "factor": Factor::RecoveryCode.name() });
    events::record_user(tx, EventKind::RecoveryCodeUsed, user.user_id, None, Some(after))?;
    let content = EmailContent::RecoveryCodeUsed { username: user.username.clone(), left };
    mail(tx, user, content)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_have_80_bits_and_are_read_leniently() {
        let random = Random::seeded(1);
        let codes: HashSet<String> = (0..1_000).map(|_| generate(&random).as_str().to_owned()).collect();
        assert_eq!(codes.len(), 1_000);
        for code in &codes {
            assert_eq!((code.len(), code.matches('-').count()), (19, 3), "{code}");
            let plain = normalized(code).unwrap();
            assert_eq!(plain.as_str(), code.replace('-', ""));
            assert_eq!(normalized(&code.to_uppercase().replace('-', " ")), Some(plain));
        }
        assert_eq!(normalized("OIL0-0000-0000-0000").unwrap().as_str(), "0110000000000000");
        for other in
            ["", "123456", "0000-0000-0000-000", "0000-0000-0000-00000", "u000-0000-0000-0000", "é000"]
        {
            assert_eq!(normalized(other), None, "{other}");
        }
    }
}
