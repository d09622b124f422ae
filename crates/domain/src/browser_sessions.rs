//! Sessions of browsers, which people open by signing in on a page. Their cookie is `bs_<partner>_<random>`; the database
//! only has its SHA-256.
//!
//! A session ends after a while without use, at the latest after a week, or after a month if the person asked to be kept
//! signed in. Each sign-in and each change of the password has a new cookie.

use serde_json::json;
use zeroize::Zeroizing;

use crate::events::{self, EventKind};
use crate::services::Services;
use crate::tokens::{self, Origin};
use crate::unit;
use tenantry_core::clock::{DAY, HOUR, Millis};
use tenantry_core::error::{Denial, Result};
use tenantry_core::model::{PartnerId, UserId};
use tenantry_core::random::Random;
use tenantry_core::values;
use tenantry_store::access::{Admin, BrowserFacts, Caller, Member, SignInFacts, Within, system_within};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::browser_sessions as stored;
use tenantry_store::tables::browser_sessions::NewBrowserSession;

pub use tenantry_core::authentication::{ACR_PASSWORD, ACR_SECOND_FACTOR, AuthenticationMethod};

/// A session that is not used for this long ends.
pub const IDLE: Millis = 12 * HOUR;

/// The longest life of a session.
pub const LONGEST: Millis = 7 * DAY;

/// The life of a session of somebody who asked to be kept signed in.
pub const KEPT: Millis = 30 * DAY;

/// How long an expired session is stored: another process may have seen it in use.
const STORED: Millis = DAY;

/// The session of a browser whose user may use it now.
#[derive(Debug, Clone)]
pub struct BrowserSession {
    /// The partner.
    pub pid: PartnerId,
    /// Its name.
    pub session_id: String,
    /// Whose it is.
    pub user_id: UserId,
    /// When the person last gave the password or a passkey.
    pub auth_time: Millis,
    /// The authentication context class: 1 = password, 2 = a second factor.
    pub acr: i64,
    /// The authentication methods, as bits.
    pub amr: i64,
    /// Whether a new password must be set first (B22).
    pub is_restricted: bool,
    /// Whether a second factor must be added first.
    pub lacks_factor: bool,
    /// Whether the user is a partner admin.
    pub is_admin: bool,
    /// Whether the person asked to be kept signed in.
    pub is_kept: bool,
    caller: Caller,
}

impl BrowserSession {
    /// The caller, for transactions of its requests.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Its user, for what needs no further right.
    ///
    /// # Errors
    /// The password must be set first (B22), or a second factor added.
    pub fn member(&self) -> Result<Member> {
        Member::of(self.caller.clone())
    }

    /// Its user, possibly one who must first set a password.
    ///
    /// # Errors
    /// None.
    pub fn restricted_member(&self) -> Result<Member> {
        Member::even_restricted(self.caller.clone())
    }

    /// Its user, possibly one who must first add a second factor.
    ///
    /// # Errors
    /// The password must be set first (B22).
    pub fn member_adding_factor(&self) -> Result<Member> {
        Member::adding_factor(self.caller.clone())
    }

    /// Its user as a partner admin.
    ///
    /// # Errors
    /// The user is not an admin.
    pub fn admin(&self) -> Result<Admin> {
        Admin::of(&self.caller)
    }

    fn of(facts: &BrowserFacts, now: Millis) -> Option<Self> {
        let caller = Caller::admit_browser(facts, now)?;
        let of = facts.caller();
        let SignInFacts { auth_time, acr, amr } = of.signed_in();
        Some(Self {
            pid: of.pid(),
            session_id: of.session_id().to_owned(),
            user_id: of.user_id()?,
            auth_time,
            acr,
            amr,
            is_restricted: of.is_restricted(),
            lacks_factor: caller.restriction() == Some(Denial::SecondFactorRequired),
            is_admin: of.is_admin(),
            is_kept: facts.is_kept(),
            caller,
        })
    }
}

/// The partner of a cookie; `None` if it cannot be one of ours.
fn partner_of(cookie: &str) -> Option<PartnerId> {
    let (pid, secret) = cookie.strip_prefix("bs_")?.split_once('_')?;
    let pid = values::whole_number(pid).filter(|pid| *pid > 0)?;
    (!secret.is_empty() && cookie.len() <= 100 && secret.bytes().all(|b| b.is_ascii_graphic()))
        .then_some(PartnerId(pid))
}

fn make_cookie(random: &Random, pid: PartnerId) -> Zeroizing<String> {
    Zeroizing::new(format!("bs_{pid}_{}", random.token::<32>()))
}

/// The session with this cookie, if it is active and its user may use it. Records that it is used.
///
/// # Errors
/// None of its own.
pub async fn find(services: &Services, cookie: &str) -> Result<Option<BrowserSession>> {
    let Some(pid) = partner_of(cookie) else { return Ok(None) };
    let time = services.clock.read();
    let is_valid = |facts: &BrowserFacts| time.latest < facts.expires_at();
    let facts = services.store.find_browser_session(pid, &tokens::hash(cookie), is_valid).await?;
    let Some(facts) = facts else { return Ok(None) };
    let session = BrowserSession::of(&facts, time.latest);
    if session.is_some() && facts.caller().is_use_due(time.now) {
        let until = if facts.is_kept() { facts.ends_at() } else { time.latest + IDLE };
        services.uses.note_browser(facts.caller(), time.now, facts.extend(until));
    }
    Ok(session)
}

/// A sign-in to open a session for.
#[derive(Debug)]
pub(super) struct Opening<'a> {
    pub(super) user_id: UserId,
    pub(super) origin: &'a Origin,
    /// Whether the person asked to be kept signed in.
    pub(super) is_kept: bool,
    /// Set for a session that must first change the password: the expiry of that password, if it has one.
    pub(super) restricted: Option<Option<Millis>>,
    /// The authentication context class.
    pub(super) acr: i64,
    /// The authentication methods, as bits.
    pub(super) amr: i64,
    /// The cookie of the browser's session, if it has one.
    pub(super) previous: Option<&'a str>,
}

/// An open session.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) session_id: String,
    pub(super) cookie: Zeroizing<String>,
}

/// When a session that is opened now ends: unless it is used, and at the latest.
fn ends(tx: &Tx<'_>, is_kept: bool) -> (Millis, Millis) {
    let now = tx.latest();
    if is_kept { (now + KEPT, now + KEPT) } else { (now + IDLE, now + LONGEST) }
}

/// Opens a session. If the browser has a session of the same user, that continues with a new cookie; one of another user
/// ends.
pub(super) fn open(tx: &mut Tx<'_>, opening: &Opening<'_>) -> Result<Opened> {
    let (cookie, pid) = (make_cookie(tx.random(), tx.pid()), tx.pid());
    let cookie_hash = tokens::hash(&cookie);
    let previous = match opening.previous.filter(|previous| partner_of(previous) == Some(pid)) {
        Some(previous) => stored::find_owner(tx, &tokens::hash(previous))?,
        None => None,
    };
    let (mut expires_at, mut ends_at) = ends(tx, opening.is_kept);
    if let Some(Some(until)) = opening.restricted {
        ends_at = ends_at.min(until);
        expires_at = expires_at.min(until);
    }
    let (address, user_agent) = (opening.origin.address.to_string(), opening.origin.kept_user_agent());
    let again = match previous {
        Some((session_id, user_id)) if user_id == opening.user_id => Some(session_id),
        Some((session_id, user_id)) => {
            sign_out(tx, user_id, &session_id)?;
            None
        }
        None => None,
    };
    let is_again = again.is_some();
    let session_id = again.unwrap_or_else(|| tx.random().token::<16>());
    let new = NewBrowserSession {
        session_id: &session_id,
        cookie_hash: &cookie_hash,
        user_id: opening.user_id,
        is_restricted: opening.restricted.is_some(),
        is_kept: opening.is_kept,
        acr: opening.acr,
        amr: opening.amr,
        expires_at,
        ends_at,
        address: &address,
        user_agent: user_agent.as_deref(),
    };
    if is_again {
        stored::replace(tx, &new)?;
    } else {
        stored::insert(tx, &new)?;
    }
    let after = json!({ "address": opening.origin.address });
    events::record_sign_in(tx, opening.user_id, after, &session_id, ends_at)?;
    Ok(Opened { session_id, cookie })
}

pub(super) fn sign_out(tx: &mut Tx<'_>, user_id: UserId, session_id: &str) -> Result<()> {
    if stored::end(tx, session_id)? {
        events::record_user(tx, EventKind::UserSignedOut, user_id, None, None)?;
    }
    Ok(())
}

/// Ends a session, and those whose tokens were requested in it without `offline_access`. One that has ended already is
/// ignored.
///
/// # Errors
/// None of its own.
pub async fn end(services: &Services, session: &BrowserSession) -> Result<()> {
    let (user_id, session_id) = (session.user_id, session.session_id.clone());
    let work = move |tx: &mut Tx<'_, Within>| sign_out(tx, user_id, &session_id);
    unit::write(&services.store, &system_within(session.pid), work).await
}

/// Ends the session with this cookie, also if its user may not use it.
///
/// # Errors
/// None of its own.
pub async fn end_by_cookie(services: &Services, cookie: &str) -> Result<()> {
    let Some(pid) = partner_of(cookie) else { return Ok(()) };
    let hash = tokens::hash(cookie);
    let work = move |tx: &mut Tx<'_, Within>| match stored::find_owner(tx, &hash)? {
        Some((session_id, user_id)) => sign_out(tx, user_id, &session_id),
        None => Ok(()),
    };
    unit::write(&services.store, &system_within(pid), work).await
}

/// Gives a browser session another cookie, after a change of the password.
pub(super) fn renew_cookie(tx: &mut Tx<'_>, session_id: &str) -> Result<Zeroizing<String>> {
    let cookie = make_cookie(tx.random(), tx.pid());
    stored::set_cookie(tx, session_id, &tokens::hash(&cookie))?;
    Ok(cookie)
}

/// Whether a browser session must first set a password.
pub(super) fn is_restricted(tx: &mut Tx<'_>, session_id: &str) -> Result<bool> {
    stored::is_restricted(tx, session_id)
}

/// Makes a restricted session an ordinary one: its user has set a password.
pub(super) fn lift_restriction(tx: &mut Tx<'_>, session_id: &str) -> Result<()> {
    let (kept, not_kept) = (ends(tx, true), ends(tx, false));
    stored::lift_restriction(tx, session_id, |is_kept| if is_kept { kept } else { not_kept })
}

/// Ends a browser session of this user. Returns whether the user had it.
pub(super) fn end_of(tx: &mut Tx<'_>, user_id: UserId, session_id: &str) -> Result<bool> {
    if !stored::is_of(tx, user_id, session_id)? {
        return Ok(false);
    }
    sign_out(tx, user_id, session_id)?;
    Ok(true)
}

/// Removes sessions that ended more than a day ago, of all partners, at most `limit`. Returns their number.
///
/// # Errors
/// None of its own.
pub fn purge(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    let before = tx.steady() - STORED;
    stored::purge(tx, before, limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_cookie_of_ours_is_looked_up() {
        let cookie = make_cookie(&Random::seeded(1), PartnerId(7));
        assert_eq!(partner_of(&cookie), Some(PartnerId(7)));
        let long = format!("bs_1_{}", "a".repeat(200));
        for other in [
            "",
            "bs_",
            "bs_1_",
            "bs_0_abc",
            "bs_-1_abc",
            "bs_x_abc",
            "at_1_abc",
            "bs_1_a\0b",
            "bs_1_é",
            &long,
        ] {
            assert_eq!(partner_of(other), None, "{other:?}");
        }
    }
}
