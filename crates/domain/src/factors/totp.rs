//! Authenticator apps: time-based one-time passwords (RFC 6238), six digits, thirty seconds, SHA-1, which every app knows.

use std::sync::Arc;

use totp_rs::{Builder, Secret, Totp};
use zeroize::Zeroizing;

use super::{
    Factor, conflict, expect_offered, forget_with_last, has_any, note_added, note_removed, recovery_codes,
    step_up,
};
use crate::sealer::Sealer;
use crate::services::Services;
use crate::{unit, users};
use tenantry_core::clock::{HOUR, Millis, SECOND};
use tenantry_core::error::{Error, FieldError, Missing, Result};
use tenantry_core::model::{PartnerId, User, UserId};
use tenantry_store::access::{Member, Operator, Scope as _};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::factors as stored;
use tenantry_store::tables::factors::{TOTP_SECRETS, sealed_row};

/// How long a secret can be confirmed after it was made.
const PENDING: Millis = HOUR;

/// The length of a secret in bytes (RFC 4226 §4).
const LENGTH: usize = 20;

/// A secret, as it is shown to its user once. Not `Debug`.
pub struct ShownSecret {
    /// The key to type, in base32.
    pub key: Zeroizing<String>,
    /// `otpauth://totp/...`, which apps read as a QR code.
    pub uri: Zeroizing<String>,
}

fn builder(secret: &[u8]) -> Builder {
    Builder::new().with_secret(Secret::from(secret.to_vec()))
}

fn show(secret: &[u8], issuer: &str, user: &User) -> Result<ShownSecret> {
    // A colon separates the two.
    let plain = |text: &str| text.replace(':', " ");
    let totp =
        builder(secret).with_issuer(Some(plain(issuer))).with_account_name(plain(&user.username)).build();
    let malformed = |e: totp_rs::TotpError| Error::internal(format!("a secret cannot be shown: {e}"));
    let totp = totp.map_err(malformed)?;
    let key = Zeroizing::new(totp.secret().to_base32());
    Ok(ShownSecret { key, uri: Zeroizing::new(totp.to_url().map_err(malformed)?) })
}

/// Refuses where secrets would stand unsealed in the database.
///
/// # Errors
/// `no-master-key`.
fn expect_sealing(sealer: &Sealer) -> Result<()> {
    if sealer.has_key() {
        return Ok(());
    }
    let detail = "authenticator apps need a master key, so that their secrets do not stand unsealed in the database: the \
                  operator sets master-key-file";
    Err(conflict("no-master-key", detail))
}

/// Makes a secret for the caller, in place of one that was not confirmed.
///
/// # Errors
/// `factor-exists` if the user has an authenticator app, `no-master-key`, `second-factor-off`; a sign-in that is too old.
pub async fn begin(services: &Services, member: &Member, issuer: &str) -> Result<ShownSecret> {
    step_up::expect_fresh(services, member).await?;
    expect_sealing(&services.sealer)?;
    let secret = Zeroizing::new(services.random.bytes::<LENGTH>());
    let (pid, user_id) = (member.pid(), member.user_id());
    let sealed = services.sealer.seal(TOTP_SECRETS, &sealed_row(pid, user_id), &*secret)?;
    let sealer = Arc::clone(&services.sealer);
    let begin = move |tx: &mut Tx<'_, Member>| {
        sealer.claim(tx)?;
        expect_offered(tx)?;
        if stored::begin_totp(tx, user_id, &sealed)? {
            return users::get_self(tx);
        }
        Err(conflict("factor-exists", "you have an authenticator app: remove it before you add another one"))
    };
    let user = unit::write(&services.store, member, begin).await?;
    show(&*secret, issuer, &user)
}

/// The caller's secret that is waiting for its first code; `None` if there is none. Only for as long as the sign-in is
/// recent: it is shown again.
///
/// # Errors
/// A sign-in that is too old.
pub async fn find_pending(services: &Services, member: &Member, issuer: &str) -> Result<Option<ShownSecret>> {
    step_up::expect_fresh(services, member).await?;
    let user_id = member.user_id();
    let read = move |tx: &mut Tx<'_, Member>| Ok((users::get_self(tx)?, find_waiting(tx, user_id)?));
    let (user, waiting) = services.store.scan(member, read).await?;
    let row = sealed_row(member.pid(), user_id);
    let secret = waiting.and_then(|waiting| services.sealer.open(TOTP_SECRETS, &row, &waiting.secret));
    secret.map(|secret| show(&secret, issuer, &user)).transpose()
}

fn find_waiting(tx: &mut Tx<'_>, user_id: UserId) -> Result<Option<stored::TotpSecret>> {
    let now = tx.latest();
    let found = stored::find_totp(tx, user_id)?;
    Ok(found.filter(|totp| totp.confirmed_at.is_none() && now < totp.created_at + PENDING))
}

/// Makes the secret that the caller was shown a factor, by a first code. The session counts as one with a second factor
/// from now on. Returns new recovery codes, if the user had none.
///
/// # Errors
/// Not found if no secret is waiting; an error at `/code`; a sign-in that is too old.
pub async fn confirm(services: &Services, member: &Member, code: &str) -> Result<Confirmed> {
    step_up::expect_fresh(services, member).await?;
    let (sealer, code, time) =
        (Arc::clone(&services.sealer), Zeroizing::new(code.to_owned()), services.clock.read().now);
    let user_id = member.user_id();
    let confirm = move |tx: &mut Tx<'_, Member>| {
        tenantry_store::tables::users::lock_row(tx, user_id)?;
        expect_offered(tx)?;
        let waiting = find_waiting(tx, user_id)?.ok_or(Error::NotFound(Missing::Factor))?;
        let Some(step) = matching_step(tx, &sealer, user_id, &waiting, &code, time) else {
            let detail = "this is not the code that the app shows now: check the clock of the device, and type the next code";
            return Err(FieldError::new("/code", "wrong-code", detail).into());
        };
        let is_first = !has_any(tx, user_id)?;
        stored::confirm_totp(tx, user_id)?;
        stored::use_totp_step(tx, user_id, step)?;
        let user = users::get_self(tx)?;
        note_added(tx, &user, Factor::Totp)?;
        let recovery_codes = is_first.then(|| recovery_codes::make_in(tx, user_id)).transpose()?;
        let cookie = step_up::raise(tx, step_up::BY_CODE)?;
        Ok(Confirmed { recovery_codes, cookie })
    };
    unit::write(&services.store, member, confirm).await
}

/// A factor was added. Not `Debug`: it holds secrets.
pub struct Confirmed {
    /// New recovery codes, if the user had no factor before.
    pub recovery_codes: Option<Vec<Zeroizing<String>>>,
    /// The new cookie of a browser session.
    pub cookie: Option<Zeroizing<String>>,
}

/// Whether a text can be the code of an app; spaces, as apps show them, do not count.
pub(super) fn digits(code: &str) -> Option<String> {
    let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    (digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

/// The step of a code, one step early or late: `None` if it is wrong.
fn matching_step(
    tx: &Tx<'_>,
    sealer: &Sealer,
    user_id: UserId,
    totp: &stored::TotpSecret,
    code: &str,
    now: Millis,
) -> Option<i64> {
    let secret = sealer.open(TOTP_SECRETS, &sealed_row(tx.pid(), user_id), &totp.secret)?;
    let step = check(&builder(&secret).build().ok()?, code, now)?;
    (step > totp.last_step).then_some(step)
}

fn check(totp: &Totp, code: &str, now: Millis) -> Option<i64> {
    let seconds = u64::try_from(now / SECOND).ok()?;
    totp.check(&digits(code)?, seconds).and_then(|step| i64::try_from(step).ok())
}

/// Uses the code of a user's app. Returns whether it was right, and of a step that was not used before.
pub(super) fn use_code(tx: &mut Tx<'_>, sealer: &Sealer, user_id: UserId, code: &str) -> Result<bool> {
    let Some(totp) = stored::find_totp(tx, user_id)?.filter(|totp| totp.confirmed_at.is_some()) else {
        return Ok(false);
    };
    let now = tx.now();
    match matching_step(tx, sealer, user_id, &totp, code, now) {
        Some(step) => stored::use_totp_step(tx, user_id, step),
        None => Ok(false),
    }
}

/// Removes the secrets that cannot be unsealed any more, of all partners, since the master key was lost; their users are mailed
/// a notice. Returns their number.
pub(crate) fn remove_lost(tx: &mut Tx<'_, Operator>, sealer: &Sealer) -> Result<usize> {
    /// Rows per query.
    const CHUNK: i64 = 1_000;
    let (mut after, mut lost) = ((PartnerId(0), UserId(0)), 0);
    loop {
        let rows = stored::list_totp_after(tx, after, CHUNK)?;
        let Some(last) = rows.last() else { break };
        after = (last.pid, last.user_id);
        for row in rows {
            if sealer.open(TOTP_SECRETS, &sealed_row(row.pid, row.user_id), &row.secret).is_some() {
                continue;
            }
            tx.enter_partner(row.pid);
            if stored::delete_totp(tx, row.user_id)?
                && let Some(user) = tenantry_store::tables::users::find(tx, row.user_id)?
            {
                forget_with_last(tx, row.user_id)?;
                note_removed(tx, &user, Factor::Totp)?;
            }
            lost += 1;
        }
    }
    tx.enter_partner(PartnerId(0));
    Ok(lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, Appendix B, the last six digits.
        let totp = builder(b"12345678901234567890").build().unwrap();
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let at = |seconds: i64| check(&totp, code, seconds * SECOND);
            assert_eq!(at(seconds), Some(seconds / 30));
            assert_eq!((at(seconds - 30), at(seconds + 30)), (Some(seconds / 30), Some(seconds / 30)));
            assert_eq!((at(seconds - 60), at(seconds + 60)), (None, None), "more than one step away");
        }
        assert_eq!(check(&totp, " 287 082 ", 59 * SECOND), Some(1));
        for other in ["", "28708", "2870820", "+87082", "２８７０８２", "94287082"] {
            assert_eq!(check(&totp, other, 59 * SECOND), None, "{other}");
        }
    }
}
