//! Logins by password, in steps: authentication (`authenticate`), admission, the session, and its tokens. The
//! password grant runs all of them. Failures are counted (B23).
//!
//! A wrong password, an unknown user, an INACTIVE, LOCKED or temporarily refused one and a client of another partner
//! are handled alike: one argon2, one write, the same text, and a response at the same moment (docs/adr/0021).

use std::net::IpAddr;

use serde_json::json;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::browser_sessions::{self, Opened};
use crate::clients::{self, ClientIdentity};
use crate::events;
use crate::expensive_hashes::{self, Candidate, Compared};
use crate::factors::second_steps::PendingSignIn;
use crate::factors::{self, devices};
use crate::services::Services;
use crate::sessions::{self, OpenedSession, Opening};
use crate::sign_in_counts::SignInWay;
use crate::tokens::{self, Granted, Origin};
use crate::{email_verifications, login_failures, passwords, policy, throttle, unit};
use tenantry_core::authentication::{ACR_PASSWORD, AuthenticationMethod, PASSWORD_ALONE, REMEMBERED_DEVICE};
use tenantry_core::clients::ClientGrant;
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, GrantError, Result};
use tenantry_core::model::{PUBLIC_CLIENT, PartnerId, Status, User, UserId};
use tenantry_core::scopes::TokenScopes;
use tenantry_core::values;
use tenantry_passwords::{Verdict, Whose, Work};
use tenantry_store::access::{SignInFacts, Within, nobody, system_within};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::passwords::{Stored, end_permanent, list_present, rehash};
use tenantry_store::tables::users;

fn refused() -> Error {
    Error::Grant(GrantError::InvalidGrant, "wrong username or password".into())
}

/// The password grant (RFC 6749 §4.3): authenticates, opens a session and issues its tokens, the last two in one
/// transaction.
///
/// # Errors
/// As [`authenticate`]; `unauthorized_client` and `invalid_scope` if the client is not registered for this.
pub async fn grant_password(
    services: &Services,
    client: &ClientIdentity,
    username: &str,
    password: Zeroizing<String>,
    origin: Origin,
    scopes: TokenScopes,
) -> Result<Granted> {
    let granted = grant_uncounted(services, client, username, password, origin, scopes).await;
    let way = SignInWay::PasswordGrant;
    services.sign_ins.count(way, &granted, |granted| granted.password_change_required);
    granted
}

async fn grant_uncounted(
    services: &Services,
    client: &ClientIdentity,
    username: &str,
    password: Zeroizing<String>,
    origin: Origin,
    scopes: TokenScopes,
) -> Result<Granted> {
    client.require(ClientGrant::Password)?;
    let scopes = client.api_scopes(scopes)?;
    let person = authenticate(services, client, username, password, origin.address).await?;
    let (user_id, password_id) = (person.found.user_id, person.used.password_id);
    let client_id = client.client_id().to_owned();
    let limited = limited_address(client, origin.address);
    let alone = client.client().filter(|client| client.password_alone).map(|client| client.is_product());
    let granted = unit::write(&services.store, &system_within(person.found.pid), move |tx| {
        let Some(examined) = examine(tx, user_id, password_id, &client_id)? else {
            // A correct password that does not log in (locked, refused, ended) is not a failed guess, nor is one that
            // was not compared; one that was compared with an expensive hash was counted already.
            count_failure(tx, limited, None)?;
            return Ok(Attempted::Refused);
        };
        // What the server requires, no client of a partner can waive.
        let is_required = tx.policy().factor_requirement.due(examined.0.is_admin, 0).is_some();
        let is_alone = alone.is_some_and(|is_product| is_product || !is_required);
        if !is_alone && !factors::asked_of(tx, user_id)?.is_empty() {
            return Ok(Attempted::FactorNeeded);
        }
        let admitted = admit(tx, examined)?;
        let session = open_session(tx, &admitted, &client_id, &origin, (scopes, is_alone))?;
        tokens::issue(tx, &session).map(Attempted::Done)
    })
    .await?;
    match granted {
        Attempted::Done(granted) => {
            person.store_anew(services).await;
            Ok(granted)
        }
        // Nothing to hide from whoever has the password.
        Attempted::FactorNeeded => Err(Error::SecondFactorNeeded),
        Attempted::Refused => Err(person.attempt.refuse(services).await),
    }
}

/// What came of a right password.
enum Attempted<T> {
    /// Signed in.
    Done(T),
    /// The user has a second factor.
    FactorNeeded,
    /// The user may not sign in.
    Refused,
}

/// A sign-in on a page. Not `Debug`: it holds secrets.
pub struct SigningIn<'a> {
    /// As typed.
    pub username: &'a str,
    /// As typed.
    pub password: Zeroizing<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether the person asked to be kept signed in.
    pub is_kept: bool,
    /// The cookie of the browser's session, if it has one: a session of another user ends.
    pub previous: Option<String>,
    /// The cookie of a remembered device, if the browser has one.
    pub device: Option<String>,
}

/// What comes after the right password. Not `Debug`: it holds cookies.
pub enum FirstStep {
    /// The person is signed in.
    SignedIn(SignedIn),
    /// The person is asked for a second factor.
    SecondFactor(PendingSignIn),
}

impl FirstStep {
    /// The session, unless a second factor is asked for.
    pub fn signed_in(self) -> Option<SignedIn> {
        match self {
            Self::SignedIn(signed_in) => Some(signed_in),
            Self::SecondFactor(_) => None,
        }
    }
}

/// An opened browser session. Not `Debug`: it holds the cookie.
pub struct SignedIn {
    /// The value of the cookie.
    pub cookie: Zeroizing<String>,
    /// The partner.
    pub pid: PartnerId,
    /// Who signed in.
    pub user_id: UserId,
    /// The name of the session.
    pub session_id: String,
    /// Whether a new password must be set first (B22).
    pub is_restricted: bool,
    /// The cookie of a device that is remembered from now on.
    pub device: Option<Zeroizing<String>>,
}

/// Signs a person in on a page: authenticates as the password grant does, and opens a browser session, or asks for a second
/// factor.
///
/// # Errors
/// As [`authenticate`].
pub async fn sign_in(services: &Services, signing: SigningIn<'_>) -> Result<FirstStep> {
    let first = sign_in_uncounted(services, signing).await;
    // One that asks for a second factor counts when that is given.
    if !matches!(first, Ok(FirstStep::SecondFactor(_))) {
        let is_restricted =
            |first: &FirstStep| matches!(first, FirstStep::SignedIn(signed_in) if signed_in.is_restricted);
        services.sign_ins.count(SignInWay::Page, &first, is_restricted);
    }
    first
}

async fn sign_in_uncounted(services: &Services, signing: SigningIn<'_>) -> Result<FirstStep> {
    let SigningIn { username, password, origin, is_kept, previous, device } = signing;
    let client = ClientIdentity::BuiltIn;
    let person = authenticate(services, &client, username, password, origin.address).await?;
    let (pid, user_id, password_id) = (person.found.pid, person.found.user_id, person.used.password_id);
    let (limited, before) = (limited_address(&client, origin.address), previous.clone());
    let opened = unit::write(&services.store, &system_within(pid), move |tx| {
        let Some(examined) = examine(tx, user_id, password_id, PUBLIC_CLIENT)? else {
            count_failure(tx, limited, None)?;
            return Ok(Attempted::Refused);
        };
        let has_factor = !factors::asked_of(tx, user_id)?.is_empty();
        let is_remembered = has_factor && devices::is_remembered(tx, user_id, device.as_deref())?;
        if has_factor && !is_remembered {
            return Ok(Attempted::FactorNeeded);
        }
        let admitted = admit(tx, examined)?;
        users::set_logged_in(tx, &admitted.user)?;
        let remembered = if is_remembered { REMEMBERED_DEVICE } else { 0 };
        let opening = browser_sessions::Opening {
            user_id,
            origin: &origin,
            is_kept,
            restricted: admitted.restricted,
            previous: before.as_deref(),
            acr: ACR_PASSWORD,
            amr: AuthenticationMethod::Password.bit() | remembered,
        };
        Ok(Attempted::Done((browser_sessions::open(tx, &opening)?, admitted.restricted.is_some())))
    })
    .await?;
    let (Opened { session_id, cookie }, is_restricted) = match opened {
        Attempted::Done(opened) => opened,
        Attempted::FactorNeeded => {
            let at = services.clock.read().latest;
            let pending = PendingSignIn { pid, user_id, password_id, at, is_kept };
            return Ok(FirstStep::SecondFactor(pending));
        }
        Attempted::Refused => return Err(person.attempt.refuse(services).await),
    };
    person.store_anew(services).await;
    // One of another partner is out of the transaction's reach; one of this partner has ended there.
    if let Some(previous) = previous {
        browser_sessions::end_by_cookie(services, &previous).await?;
    }
    let signed_in = SignedIn { cookie, pid, user_id, session_id, is_restricted, device: None };
    Ok(FirstStep::SignedIn(signed_in))
}

/// A person who has just given the correct password. No session is open yet: a page or a second factor may come
/// between, so the transaction that opens one checks everything again. Not `Debug`: it holds the password.
pub struct Authenticated {
    found: FoundUser,
    used: Stored,
    password: Zeroizing<String>,
    attempt: Attempt,
}

/// Authenticates by password. A refused attempt is counted, and all refusals are answered after the same time.
///
/// # Errors
/// `invalid_grant`; [`Error::TooMany`] for an address with too many failures.
pub async fn authenticate(
    services: &Services,
    client: &ClientIdentity,
    username: &str,
    password: Zeroizing<String>,
    address: IpAddr,
) -> Result<Authenticated> {
    let begun = Instant::now();
    let (limited, password) = (limited_address(client, address), policy::composed(password));
    if let Some(address) = limited {
        throttle::check(services, address).await?;
    }
    let found = find(services, client, username).await?;
    let hashes =
        found.as_ref().map(|f| f.present.iter().map(|p| p.hash.clone()).collect()).unwrap_or_default();
    let hasher = services.hasher.on_behalf_of(Whose::address(address));
    let verdict = hasher.verify_login(password.clone(), hashes).await?;
    let mut attempt = Attempt { begun, hashed: verdict.hashed, expensive: None };
    let (scope, wrong) = match found {
        None => (nobody(), None),
        Some(found) => {
            let wrong = match attempt.judge(services, &found, &verdict, &password).await? {
                Guess::Right(used) => return Ok(Authenticated { found, used, password, attempt }),
                Guess::Wrong => Some(found.user_id),
                // One that was not compared is not a failed guess; one that was compared with an expensive hash is
                // counted already.
                Guess::Unjudged => None,
            };
            (system_within(found.pid), wrong)
        }
    };
    unit::write(&services.store, &scope, move |tx| count_failure(tx, limited, wrong)).await?;
    Err(attempt.refuse(services).await)
}

/// The address whose failed logins are limited; none for a confidential client: it has authenticated, and a backend that
/// logs everybody in has one address, which one user's wrong passwords must not block. Failures count for the account all
/// the same (B23).
fn limited_address(client: &ClientIdentity, address: IpAddr) -> Option<IpAddr> {
    match client {
        ClientIdentity::BuiltIn | ClientIdentity::Public(_) => Some(address),
        ClientIdentity::Confidential(_) => None,
    }
}

/// Counts a refused login, for the user whose password was guessed wrong or for no user, and for the address, if it is
/// limited. Only a refusal counts for the address; a busy server's 503 is not caused by the client.
pub(super) fn count_failure(tx: &mut Tx<'_>, limited: Option<IpAddr>, wrong: Option<UserId>) -> Result<()> {
    match wrong {
        Some(user_id) => login_failures::count(tx, user_id)?,
        None => users::count_unknown_login(tx),
    }
    match limited {
        Some(address) => throttle::record_failure(tx, address),
        None => Ok(()),
    }
}

/// The result of checking a password.
enum Guess {
    Right(Stored),
    Wrong,
    /// It was not compared with all stored passwords, or its failure was counted already.
    Unjudged,
}

/// What determines when a refused login is answered.
struct Attempt {
    begun: Instant,
    hashed: Instant,
    /// The most expensive hashes of all users, once they are loaded.
    expensive: Option<Vec<Work>>,
}

impl Attempt {
    async fn expensive(&mut self, services: &Services) -> Result<&[Work]> {
        if self.expensive.is_none() {
            self.expensive = Some(expensive_hashes::list(services).await?);
        }
        Ok(self.expensive.as_deref().unwrap_or_default())
    }

    /// Checks the password, including an expensive hash.
    async fn judge(
        &mut self,
        services: &Services,
        found: &FoundUser,
        verdict: &Verdict,
        password: &Zeroizing<String>,
    ) -> Result<Guess> {
        if let Some(used) = verdict.matched.and_then(|at| found.present.get(at)) {
            return Ok(Guess::Right(used.clone()));
        }
        if !found.may_log_in || found.present.iter().any(|p| tenantry_passwords::is_over_the_bounds(&p.hash))
        {
            return Ok(Guess::Unjudged);
        }
        // A user has at most one permanent password, and only that can be an imported hash.
        let stored = verdict.expensive.first().and_then(|at| found.present.get(*at));
        let Some((stored, own)) =
            stored.and_then(|s| Some((s.clone(), tenantry_passwords::work_of(&s.hash)?)))
        else {
            return Ok(Guess::Wrong);
        };
        let (begun, hashed) = (self.begun, self.hashed);
        let expensive = self.expensive(services).await?;
        let deadlines = services.hasher.equalizer().deadlines(begun, hashed, expensive, own);
        let candidate = Candidate { pid: found.pid, user_id: found.user_id, stored: stored.clone() };
        match expensive_hashes::compare(services, candidate, password.clone(), deadlines).await {
            Compared::Same => Ok(Guess::Right(stored)),
            Compared::Different | Compared::Not => Ok(Guess::Unjudged),
        }
    }

    /// Waits, without a thread, until the time at which all refused logins are answered.
    async fn refuse(mut self, services: &Services) -> Error {
        let (begun, hashed) = (self.begun, self.hashed);
        match self.expensive(services).await {
            Ok(expensive) => {
                let moment = services.hasher.equalizer().refusal_time(begun, hashed, expensive);
                tokio::time::sleep_until(moment).await;
                refused()
            }
            Err(error) => error,
        }
    }
}

impl Authenticated {
    /// Rehashes an imported permanent password with this server's own parameters, now that the password is known. Only
    /// after the login is granted; otherwise a correct password of a locked user would take longer than a wrong one. If
    /// it fails, the next login does it.
    async fn store_anew(self, services: &Services) {
        let Self { found, used, password, .. } = self;
        if used.is_temporary || services.hasher.is_current(&used.hash) {
            return;
        }
        let hasher = services.hasher.on_behalf_of(Whose::Partner(found.pid));
        let Ok(hash) = hasher.hash(password).await else { return };
        let user_id = found.user_id;
        let store = move |tx: &mut Tx<'_, Within>| rehash(tx, user_id, &used, &hash);
        if let Err(error) = unit::write(&services.store, &system_within(found.pid), store).await {
            tracing::debug!(%error, "a password was not rehashed");
        }
    }
}

struct FoundUser {
    pid: PartnerId,
    user_id: UserId,
    may_log_in: bool,
    /// Empty for a user that may not log in: nothing is compared.
    present: Vec<Stored>,
}

async fn find(services: &Services, client: &ClientIdentity, username: &str) -> Result<Option<FoundUser>> {
    let Some(key) = values::username_key(values::trim(username)) else { return Ok(None) };
    let found = services.store.read(&nobody(), move |tx| users::find_username(tx, &key)).await?;
    let Some((pid, user_id)) = found.filter(|(pid, _)| client.serves(*pid)) else { return Ok(None) };
    let read = move |tx: &mut Tx<'_, Within>| {
        let may_log_in = login_failures::may_log_in(tx, user_id)?;
        Ok((may_log_in, if may_log_in { list_present(tx, user_id)? } else { Vec::new() }))
    };
    let (may_log_in, present) = services.store.read(&system_within(pid), read).await?;
    Ok(Some(FoundUser { pid, user_id, may_log_in, present }))
}

/// A user whose login is admitted.
pub(super) struct Admitted {
    pub(super) user: User,
    /// See [`Opening::restricted`].
    pub(super) restricted: Option<Option<Millis>>,
}

/// A user who may sign in with this password now, if all conditions (still) hold; `None` if refused. Changes nothing: a second
/// factor may come before [`admit`].
pub(super) fn examine(
    tx: &mut Tx<'_>,
    user_id: UserId,
    password_id: i64,
    client_id: &str,
) -> Result<Option<(User, Stored)>> {
    let now = tx.latest();
    let Some(user) = users::find(tx, user_id)? else { return Ok(None) };
    let is_refused = login_failures::is_refused(&users::failures(tx, user_id)?, tx.steady());
    if user.status != Status::Active || is_refused || !clients::is_known(tx, client_id)? {
        return Ok(None);
    }
    let present = list_present(tx, user_id)?;
    let used = present.into_iter().find(|p| p.password_id == password_id);
    Ok(used.filter(|password| !passwords::has_ended(password, now)).map(|password| (user, password)))
}

/// Admits a user whom [`examine`] has found: the password is used from now on.
pub(super) fn admit(tx: &mut Tx<'_>, (user, password): (User, Stored)) -> Result<Admitted> {
    let (now, user_id) = (tx.latest(), user.user_id);
    email_verifications::note_use_of(tx, &user, &password)?;
    let restricted = if password.is_temporary {
        // A requested one was valid beside the permanent one, until now.
        end_permanent(tx, user_id)?;
        Some(password.expires_at)
    } else if passwords::is_overdue(&password, tx.policy(), now) {
        Some(None)
    } else {
        None
    };
    Ok(Admitted { user, restricted })
}

/// Opens the session of a login and records the event.
fn open_session(
    tx: &mut Tx<'_>,
    admitted: &Admitted,
    client_id: &str,
    origin: &Origin,
    (scopes, is_alone): (TokenScopes, bool),
) -> Result<OpenedSession> {
    let Admitted { user, restricted } = admitted;
    users::set_logged_in(tx, user)?;
    let (user_id, browser_session) = (Some(user.user_id), None);
    let alone = if is_alone { PASSWORD_ALONE } else { 0 };
    let signed_in = SignInFacts {
        auth_time: tx.now(),
        acr: ACR_PASSWORD,
        amr: AuthenticationMethod::Password.bit() | alone,
    };
    let opening = Opening {
        client_id,
        user_id,
        origin,
        scopes,
        browser_session,
        restricted: *restricted,
        signed_in,
        by_code: None,
    };
    let session = sessions::open(tx, &opening)?;
    let after = json!({ "clientId": client_id, "address": origin.address });
    events::record_session(tx, user.user_id, after, &session)?;
    Ok(session)
}
