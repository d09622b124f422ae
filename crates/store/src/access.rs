//! Callers and their rights. This is the authorization file: nothing else builds a `Caller`, `Member`, `Admin` or
//! `Operator`, and domain functions take a transaction that was opened for the one they need (`Tx<'_, Admin>`), so
//! calling one without the check does not compile.
//!
//! It is in the crate of the store because its decisions use facts of the database: their fields are private to this
//! crate, so nothing else can create or change them, and the constructors take nothing else. Two entry points are
//! public and greppable: `Operator::of_this_machine`, for processes that can write the data directory, and
//! `system_within`, which is not a caller. `tests/it/architecture.rs` checks that `Admin::of_bulk_operation` is only
//! called with the entry of an operation.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tenantry_core::authentication::has_second_factor;
use tenantry_core::clock::Millis;
use tenantry_core::error::{Denial, Error, Result, TokenError};
use tenantry_core::model::{PartnerId, UserId};
use tenantry_core::scopes::{TokenScope, TokenScopes};

/// The stored facts of an access token.
#[derive(Debug, Clone)]
pub struct TokenFacts {
    /// The partner the token belongs to.
    pub(crate) pid: PartnerId,
    /// The session (token family) it belongs to.
    pub(crate) session_id: String,
    /// The user, or none for a technical account (B28).
    pub(crate) user_id: Option<UserId>,
    /// The OAuth client it was given to.
    pub(crate) client_id: String,
    /// Whether the user (or technical account) is a partner admin.
    pub(crate) is_admin: bool,
    /// Whether the user's status is ACTIVE; true for a technical account.
    pub(crate) is_active: bool,
    /// Whether the partner is suspended.
    pub(crate) is_suspended: bool,
    /// Opened with a temporary or expired password (B22).
    pub(crate) is_restricted: bool,
    /// What the token may be used for.
    pub(crate) scopes: TokenScopes,
    /// When the token was issued.
    pub(crate) issued_at: Millis,
    /// When the token expires.
    pub(crate) expires_at: Millis,
    /// When its use was last recorded; kept here so that a request does not need a query.
    pub(crate) noted: LastUse,
    /// Whether these are the facts of a browser session, which has no token.
    pub(crate) is_browser: bool,
    /// How the user signed in.
    pub(crate) signed_in: SignInFacts,
    /// From when on the user cannot do without a second factor.
    pub(crate) factor_due: Option<Millis>,
}

/// How the user of a session signed in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SignInFacts {
    /// When the person last gave the password or a passkey; 0 if that is not known.
    pub auth_time: Millis,
    /// The authentication context class: 1 = password, 2 = a second factor; 0 if that is not known.
    pub acr: i64,
    /// The authentication methods, as bits.
    pub amr: i64,
}

impl TokenFacts {
    /// The partner the token belongs to.
    pub fn pid(&self) -> PartnerId {
        self.pid
    }

    /// The session (token family) it belongs to.
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// The user, or none for a technical account (B28).
    pub fn user_id(&self) -> Option<UserId> {
        self.user_id
    }

    /// The OAuth client it was given to.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Whether the user (or technical account) is a partner admin.
    pub fn is_admin(&self) -> bool {
        self.is_admin
    }

    /// Opened with a temporary or expired password (B22).
    pub fn is_restricted(&self) -> bool {
        self.is_restricted
    }

    /// What the token may be used for.
    pub fn scopes(&self) -> TokenScopes {
        self.scopes
    }

    /// When the token was issued.
    pub fn issued_at(&self) -> Millis {
        self.issued_at
    }

    /// When the token expires.
    pub fn expires_at(&self) -> Millis {
        self.expires_at
    }

    /// How the user signed in.
    pub fn signed_in(&self) -> SignInFacts {
        self.signed_in
    }

    /// Whether a second factor is required of the user now, and the session has none.
    pub fn lacks_factor(&self, now: Millis) -> bool {
        self.factor_due.is_some_and(|due| now >= due)
            && self.user_id.is_some()
            && !has_second_factor(self.signed_in.acr, self.signed_in.amr)
    }

    /// Whether a use at `now` should be recorded; true for only one of several concurrent calls.
    pub fn is_use_due(&self, now: Millis) -> bool {
        self.noted.is_due(now)
    }
}

/// How often the use of a token is recorded: a write for each request would cost more than the request.
const NOTED_EVERY: Millis = 5 * tenantry_core::clock::MINUTE;

/// When the use of a token was last recorded.
#[derive(Debug, Default)]
pub struct LastUse(AtomicI64);

impl Clone for LastUse {
    fn clone(&self) -> Self {
        Self(AtomicI64::new(self.0.load(Ordering::Relaxed)))
    }
}

impl LastUse {
    /// A token issued at this time, which counts as a use.
    pub fn since(issued_at: Millis) -> Self {
        Self(AtomicI64::new(issued_at))
    }

    /// Whether a use at `now` should be recorded; true for only one of several concurrent calls.
    pub fn is_due(&self, now: Millis) -> bool {
        let noted = self.0.load(Ordering::Relaxed);
        now >= noted + NOTED_EVERY
            && self.0.compare_exchange(noted, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// The stored state of an existing session.
#[derive(Debug, Clone, Copy)]
pub struct SessionState {
    /// As in [`TokenFacts`].
    pub(crate) is_admin: bool,
    /// As in [`TokenFacts`].
    pub(crate) is_active: bool,
    /// As in [`TokenFacts`].
    pub(crate) is_suspended: bool,
}

/// The stored facts of a browser session.
#[derive(Debug)]
pub struct BrowserFacts {
    /// Whose it is.
    pub(crate) caller: Arc<TokenFacts>,
    /// Whether the person asked to be kept signed in.
    pub(crate) is_kept: bool,
    /// When it ends, even if it is used.
    pub(crate) ends_at: Millis,
    /// When it ends, unless it is used again; later than what is stored if it was used since.
    pub(crate) expires_at: AtomicI64,
}

impl BrowserFacts {
    /// The facts of the caller.
    pub fn caller(&self) -> &TokenFacts {
        &self.caller
    }

    /// Whether the person asked to be kept signed in.
    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// When it ends, even if it is used.
    pub fn ends_at(&self) -> Millis {
        self.ends_at
    }

    /// When it ends, unless it is used again.
    pub fn expires_at(&self) -> Millis {
        self.expires_at.load(Ordering::Relaxed)
    }

    /// Extends it to `until`, but not beyond its end. Returns the new time.
    pub fn extend(&self, until: Millis) -> Millis {
        let until = until.min(self.ends_at);
        self.expires_at.fetch_max(until, Ordering::Relaxed).max(until)
    }
}

/// The bearer of a valid access token, or whoever uses a browser session. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller(Arc<TokenFacts>, Option<Denial>);

impl Caller {
    /// Admits the bearer of a token, or returns what is wrong with it.
    pub fn admit(facts: &Arc<TokenFacts>, now: Millis) -> Result<Self, TokenError> {
        if !facts.is_active || facts.is_suspended {
            return Err(TokenError::Invalid);
        }
        if now >= facts.expires_at {
            return Err(TokenError::Expired);
        }
        Ok(Self::at(facts, now))
    }

    fn at(facts: &Arc<TokenFacts>, now: Millis) -> Self {
        let restriction = if facts.is_restricted {
            Some(Denial::PasswordChangeRequired)
        } else {
            facts.lacks_factor(now).then_some(Denial::SecondFactorRequired)
        };
        Self(Arc::clone(facts), restriction)
    }

    /// Why the session can do next to nothing: a password must be set first (B22), or a second factor added.
    pub fn restriction(&self) -> Option<Denial> {
        self.1
    }

    /// How the user signed in.
    pub fn signed_in(&self) -> SignInFacts {
        self.0.signed_in
    }

    /// Admits whoever uses a browser session; `None` if it has ended.
    pub fn admit_browser(facts: &BrowserFacts, now: Millis) -> Option<Self> {
        let caller = &facts.caller;
        let is_valid = caller.is_active && !caller.is_suspended && now < facts.expires_at();
        is_valid.then(|| Self::at(caller, now))
    }

    /// Whether this is a browser session, which pages serve and the API does not.
    pub fn is_browser(&self) -> bool {
        self.0.is_browser
    }

    /// Refuses a token without this scope. A token's scopes never change, so this is not rechecked.
    pub fn require(&self, scope: TokenScope) -> Result<()> {
        if self.0.scopes.contains(scope) {
            Ok(())
        } else {
            Err(Error::Forbidden(Denial::InsufficientScope(scope)))
        }
    }

    /// Rechecks in the transaction that writes: since the request was admitted its body was received, which may take
    /// minutes, and passwords were hashed.
    pub fn recheck(&self, state: Option<SessionState>, as_admin: bool) -> Result<()> {
        match state {
            Some(now) if now.is_active && !now.is_suspended => {
                if now.is_admin || !as_admin {
                    Ok(())
                } else {
                    Err(Error::Forbidden(Denial::NotAdmin))
                }
            }
            _ => Err(Error::Unauthenticated(TokenError::Invalid)),
        }
    }

    /// What the token may be used for.
    pub fn scopes(&self) -> TokenScopes {
        self.0.scopes
    }

    /// The session the token belongs to.
    pub fn session_id(&self) -> &str {
        &self.0.session_id
    }

    /// The user, unless this is a technical account.
    pub fn user_id(&self) -> Option<UserId> {
        self.0.user_id
    }

    /// The partner.
    pub fn pid(&self) -> PartnerId {
        self.0.pid
    }
}

/// A logged-in user, for operations that need no further right (A3, A5, ...).
#[derive(Debug, Clone)]
pub struct Member {
    caller: Caller,
    user_id: UserId,
}

impl Member {
    /// Refuses technical accounts (B28), and sessions that must first change the password (B22) or add a second factor.
    pub fn of(caller: Caller) -> Result<Self> {
        let member = Self::even_restricted(caller)?;
        member.caller.restriction().map_or(Ok(()), |denial| Err(Error::Forbidden(denial)))?;
        Ok(member)
    }

    /// Like [`Member::of`], but admits a session that must first add a second factor: only to add one.
    pub fn adding_factor(caller: Caller) -> Result<Self> {
        let restriction = caller.restriction().filter(|denial| *denial != Denial::SecondFactorRequired);
        let member = Self::even_restricted(caller)?;
        restriction.map_or(Ok(()), |denial| Err(Error::Forbidden(denial)))?;
        Ok(member)
    }

    /// Like [`Member::of`], but admits a session that must first change the password or add a second factor: only for A4
    /// and A7.
    pub fn even_restricted(caller: Caller) -> Result<Self> {
        match caller.user_id() {
            Some(user_id) => Ok(Self { caller, user_id }),
            None => Err(Error::Forbidden(Denial::NoUser)),
        }
    }

    /// The user.
    pub fn user_id(&self) -> UserId {
        self.user_id
    }

    /// The session the request belongs to.
    pub fn session_id(&self) -> &str {
        self.caller.session_id()
    }

    /// Whether that is a browser session.
    pub fn is_browser(&self) -> bool {
        self.caller.is_browser()
    }

    /// Whose request it is.
    pub fn as_caller(&self) -> &Caller {
        &self.caller
    }
}

/// Who may manage a partner: a user with `isAdmin`, a technical account created with `--admin`, or an operator.
#[derive(Debug, Clone)]
pub struct Admin {
    pid: PartnerId,
    actor: Actor,
    user_id: Option<UserId>,
    /// `None` for an operator.
    caller: Option<Caller>,
}

impl Admin {
    /// Refuses everybody else (B12, B22, B28).
    pub fn of(caller: &Caller) -> Result<Self> {
        let denial = if let Some(denial) = caller.restriction() {
            denial
        } else if caller.0.is_admin {
            return Ok(Self {
                pid: caller.pid(),
                actor: caller.actor(),
                user_id: caller.user_id(),
                caller: Some(caller.clone()),
            });
        } else if caller.user_id().is_none() {
            Denial::TechnicalAccount
        } else {
            Denial::NotAdmin
        };
        Err(Error::Forbidden(denial))
    }

    /// The admin who began a bulk operation, which was authorized then and always completes: its entry contains the
    /// actor. `None` for a text that is not an [`Actor`].
    pub fn of_bulk_operation(pid: PartnerId, actor: &str) -> Option<Self> {
        let actor = Actor::parse(actor)?;
        let user_id = match actor {
            Actor::User(id) => Some(id),
            Actor::Client(_) | Actor::Operator | Actor::System => None,
        };
        Some(Self { pid, actor, user_id, caller: None })
    }

    /// The admin's own user, unless it is a technical account or an operator.
    pub fn user_id(&self) -> Option<UserId> {
        self.user_id
    }
}

/// Who may request evaluations: admins and technical accounts for any user of the partner, a member for itself
/// (contract, part C; B28).
#[derive(Debug, Clone)]
pub struct Requester {
    caller: Caller,
    /// The only user that may be the subject; `None` for any.
    only: Option<UserId>,
}

impl Requester {
    /// For evaluations. Refuses sessions that must first change the password (B22) or add a second factor.
    pub fn of(caller: Caller) -> Result<Self> {
        caller.restriction().map_or(Ok(()), |denial| Err(Error::Forbidden(denial)))?;
        let only = caller.user_id().filter(|_| !caller.0.is_admin);
        Ok(Self { caller, only })
    }

    /// For all other requests about permissions: a technical account without `--admin` may not (B28).
    pub fn beyond_evaluations(caller: Caller) -> Result<Self> {
        let requester = Self::of(caller)?;
        if requester.only.is_none() && !requester.caller.0.is_admin {
            return Err(Error::Forbidden(Denial::TechnicalAccount));
        }
        Ok(requester)
    }

    /// A request about oneself.
    pub fn of_self(member: &Member) -> Self {
        Self { caller: member.caller.clone(), only: Some(member.user_id) }
    }

    /// Refuses a subject other than the allowed one; `None` is a subject that cannot be a user.
    pub fn may_ask_about(&self, user_id: Option<UserId>) -> Result<()> {
        if self.only.is_none() || self.only == user_id {
            Ok(())
        } else {
            Err(Error::Forbidden(Denial::NotYourself))
        }
    }
}

impl Scope for Requester {
    fn pid(&self) -> PartnerId {
        self.caller.pid()
    }
    fn actor(&self) -> Actor {
        self.caller.actor()
    }
    fn caller(&self) -> Option<&Caller> {
        Some(&self.caller)
    }
}

/// A known operator token.
#[derive(Debug, Clone, Copy)]
pub struct KnownOperatorToken(pub(crate) ());

/// Who runs the server: the command line, or the bearer of an operator token. Outside of any partner, until it is
/// [within](Operator::within) one or the transaction enters one.
#[derive(Debug, Clone, Copy)]
pub struct Operator {
    pid: PartnerId,
}

impl Operator {
    /// Authorized by write access to the data directory (command line, `control.sock`).
    pub fn of_this_machine() -> Self {
        Self { pid: PartnerId(0) }
    }

    /// Authorized by a known operator token.
    pub fn by_token(known: Option<KnownOperatorToken>) -> Result<Self> {
        match known {
            Some(KnownOperatorToken(())) => Ok(Self { pid: PartnerId(0) }),
            None => Err(Error::Unauthenticated(TokenError::Invalid)),
        }
    }

    /// The operator within one partner, with an operator's rights.
    #[must_use]
    pub fn within(self, pid: PartnerId) -> Self {
        Self { pid }
    }

    /// The operator within one partner, with an admin's rights.
    pub fn as_admin_of(self, pid: PartnerId) -> Admin {
        Admin { pid, actor: Actor::Operator, user_id: None, caller: None }
    }
}

/// The server itself within one partner: logins, mail delivery, expiry. Not for requests of a caller.
pub fn system_within(pid: PartnerId) -> Within {
    Within { pid }
}

/// No caller and no partner: for requests before authentication (token lookup). A statement that is not unscoped finds
/// nothing.
pub fn nobody() -> Within {
    Within { pid: PartnerId(0) }
}

/// The server itself, within one partner or none.
#[derive(Debug, Clone)]
pub struct Within {
    pid: PartnerId,
}

/// The actor recorded in events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A user.
    User(UserId),
    /// A technical account, by its client.
    Client(String),
    /// The operator.
    Operator,
    /// The server itself.
    System,
}

impl Actor {
    /// Parses the output of `Display`.
    fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("user", id)) => id.parse().ok().map(UserId).map(Self::User),
            Some(("client", id)) => Some(Self::Client(id.to_owned())),
            None if text == "operator" => Some(Self::Operator),
            None if text == "system" => Some(Self::System),
            _ => None,
        }
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Client(id) => write!(f, "client:{id}"),
            Self::Operator => f.write_str("operator"),
            Self::System => f.write_str("system"),
        }
    }
}

/// The scope of a transaction: its partner and its actor.
pub trait Scope {
    /// The partner whose rows the transaction sees.
    fn pid(&self) -> PartnerId;
    /// The actor of its events.
    fn actor(&self) -> Actor;
    /// The caller of the request, if there is one: a transaction that writes rechecks it.
    fn caller(&self) -> Option<&Caller> {
        None
    }
    /// Whether it requires a partner admin.
    fn takes_admin(&self) -> bool {
        false
    }
}

impl Scope for Caller {
    fn pid(&self) -> PartnerId {
        self.0.pid
    }
    fn actor(&self) -> Actor {
        match self.0.user_id {
            Some(id) => Actor::User(id),
            None => Actor::Client(self.0.client_id.clone()),
        }
    }
    fn caller(&self) -> Option<&Caller> {
        Some(self)
    }
}

impl Scope for Member {
    fn pid(&self) -> PartnerId {
        self.caller.pid()
    }
    fn actor(&self) -> Actor {
        self.caller.actor()
    }
    fn caller(&self) -> Option<&Caller> {
        Some(&self.caller)
    }
}

impl Scope for Admin {
    fn pid(&self) -> PartnerId {
        self.pid
    }
    fn actor(&self) -> Actor {
        self.actor.clone()
    }
    fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }
    fn takes_admin(&self) -> bool {
        true
    }
}

impl Scope for Operator {
    fn pid(&self) -> PartnerId {
        self.pid
    }
    fn actor(&self) -> Actor {
        Actor::Operator
    }
}

impl Scope for Within {
    fn pid(&self) -> PartnerId {
        self.pid
    }
    fn actor(&self) -> Actor {
        Actor::System
    }
}
