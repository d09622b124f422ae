//! Who is calling, and what that lets them do. This is the authorization file: nothing else builds a
//! `Caller`, `Member`, `Admin` or `Operator`, and domain functions take a transaction that was opened for the one they
//! need (`Tx<'_, Admin>`), so calling one without the check does not compile.
//!
//! It stands in the crate of the store, for what it decides by are facts of the database: their fields are this crate's,
//! so nobody else can make or change them, and the constructors take nothing else. Two doors are open to everybody and
//! greppable: `Operator::of_this_machine`, for whoever may write the data directory, and `system_within`, which is no
//! caller. That `Admin::of_bulk_operation` is called with the entry of an operation only is held by
//! `tests/it/architecture.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tenantry_core::clock::Millis;
use tenantry_core::error::{Denial, Error, Result, TokenError};
use tenantry_core::model::{PartnerId, UserId};

/// What the database says of an access token.
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
    /// When the token was given.
    pub(crate) issued_at: Millis,
    /// When the token ends.
    pub(crate) expires_at: Millis,
    /// When its use was last noted; kept beside the facts so that a request need not look for it.
    pub(crate) noted: LastUse,
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

    /// When the token was given.
    pub fn issued_at(&self) -> Millis {
        self.issued_at
    }

    /// When the token ends.
    pub fn expires_at(&self) -> Millis {
        self.expires_at
    }

    /// Whether a use at `now` is worth noting; of several that ask at once one is told so.
    pub fn is_use_due(&self, now: Millis) -> bool {
        self.noted.is_due(now)
    }
}

/// How often the use of a token is noted: a write for each request would cost more than the request.
const NOTED_EVERY: Millis = 5 * tenantry_core::clock::MINUTE;

/// When the use of a token was last noted.
#[derive(Debug, Default)]
pub struct LastUse(AtomicI64);

impl Clone for LastUse {
    fn clone(&self) -> Self {
        Self(AtomicI64::new(self.0.load(Ordering::Relaxed)))
    }
}

impl LastUse {
    /// A token given at this time, which its session remembers as a use.
    pub fn since(issued_at: Millis) -> Self {
        Self(AtomicI64::new(issued_at))
    }

    /// Whether a use at `now` is worth noting; of several that ask at once one is told so.
    pub fn is_due(&self, now: Millis) -> bool {
        let noted = self.0.load(Ordering::Relaxed);
        now >= noted + NOTED_EVERY
            && self.0.compare_exchange(noted, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// What the database says of a session that is still there.
#[derive(Debug, Clone, Copy)]
pub struct SessionState {
    /// As in [`TokenFacts`].
    pub(crate) is_admin: bool,
    /// As in [`TokenFacts`].
    pub(crate) is_active: bool,
    /// As in [`TokenFacts`].
    pub(crate) is_suspended: bool,
}

/// Somebody with a good access token. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller(Arc<TokenFacts>);

impl Caller {
    /// Admits the bearer of a token, or says what is wrong with it.
    pub fn admit(facts: &Arc<TokenFacts>, now: Millis) -> Result<Self, TokenError> {
        if !facts.is_active || facts.is_suspended {
            return Err(TokenError::Invalid);
        }
        if now >= facts.expires_at {
            return Err(TokenError::Expired);
        }
        Ok(Self(Arc::clone(facts)))
    }

    /// Looks again, in the transaction that writes: since the request was admitted its body came in, which may take
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

/// A logged-in user who may do what everybody may (A3, A5, ...).
#[derive(Debug, Clone)]
pub struct Member {
    caller: Caller,
    user_id: UserId,
}

impl Member {
    /// Refuses technical accounts (B28) and sessions that must first change the password (B22).
    pub fn of(caller: Caller) -> Result<Self> {
        let member = Self::even_restricted(caller)?;
        if member.caller.0.is_restricted {
            return Err(Error::Forbidden(Denial::PasswordChangeRequired));
        }
        Ok(member)
    }

    /// Like [`Member::of`], but a session that must first change the password is let in: only for A4 and A7.
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
}

/// Whoever may manage a partner: a user with `isAdmin`, a technical account made with `--admin`, or an operator.
#[derive(Debug, Clone)]
pub struct Admin {
    pid: PartnerId,
    actor: Actor,
    user_id: Option<UserId>,
    /// None for an operator.
    caller: Option<Caller>,
}

impl Admin {
    /// Refuses everybody else (B12, B22, B28).
    pub fn of(caller: &Caller) -> Result<Self> {
        let denial = if caller.0.is_restricted {
            Denial::PasswordChangeRequired
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

    /// Whoever began a bulk operation, which was admitted then and always ends: its entry says who. None for a text
    /// that no [`Actor`] is written as.
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

/// Whoever may ask what users may do: admins and technical accounts about any user of the partner, a member about
/// itself (contract, part C; B28).
#[derive(Debug, Clone)]
pub struct Requester {
    caller: Caller,
    /// The only user that may be asked about; none = any.
    only: Option<UserId>,
}

impl Requester {
    /// For evaluations. Refuses sessions that must first change the password (B22).
    pub fn of(caller: Caller) -> Result<Self> {
        if caller.0.is_restricted {
            return Err(Error::Forbidden(Denial::PasswordChangeRequired));
        }
        let only = caller.user_id().filter(|_| !caller.0.is_admin);
        Ok(Self { caller, only })
    }

    /// For everything else that tells of permissions: a technical account without `--admin` may not (B28).
    pub fn beyond_evaluations(caller: Caller) -> Result<Self> {
        let requester = Self::of(caller)?;
        if requester.only.is_none() && !requester.caller.0.is_admin {
            return Err(Error::Forbidden(Denial::TechnicalAccount));
        }
        Ok(requester)
    }

    /// Asking about oneself.
    pub fn of_self(member: &Member) -> Self {
        Self { caller: member.caller.clone(), only: Some(member.user_id) }
    }

    /// Refuses to be asked about another user than the one that may be; `None` is somebody who cannot be a user.
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

/// The database knows this operator token.
#[derive(Debug, Clone, Copy)]
pub struct KnownOperatorToken(pub(crate) ());

/// Whoever runs the server: the command line, or the bearer of an operator token. Outside of any partner, until it is
/// [within](Operator::within) one or the transaction enters one.
#[derive(Debug, Clone, Copy)]
pub struct Operator {
    pid: PartnerId,
}

impl Operator {
    /// Authority by being able to write the data directory (command line, `control.sock`).
    pub fn of_this_machine() -> Self {
        Self { pid: PartnerId(0) }
    }

    /// Authority by an operator token that the database knows.
    pub fn by_token(known: Option<KnownOperatorToken>) -> Result<Self> {
        match known {
            Some(KnownOperatorToken(())) => Ok(Self { pid: PartnerId(0) }),
            None => Err(Error::Unauthenticated(TokenError::Invalid)),
        }
    }

    /// The operator at work inside one partner, with an operator's rights.
    #[must_use]
    pub fn within(self, pid: PartnerId) -> Self {
        Self { pid }
    }

    /// The operator at work inside one partner, with an admin's rights.
    pub fn as_admin_of(self, pid: PartnerId) -> Admin {
        Admin { pid, actor: Actor::Operator, user_id: None, caller: None }
    }
}

/// The server itself at work inside one partner: logins, mail delivery, expiry. Not for requests of a caller.
pub fn system_within(pid: PartnerId) -> Within {
    Within { pid }
}

/// Nobody in no partner: what a request may see before anybody is known (token lookup). The first statement
/// that is not on the unscoped door finds nothing.
pub fn nobody() -> Within {
    Within { pid: PartnerId(0) }
}

/// The server itself, inside one partner or none.
#[derive(Debug, Clone)]
pub struct Within {
    pid: PartnerId,
}

/// Who did something, as the events tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A user.
    User(UserId),
    /// A technical account, by its client.
    Client(String),
    /// Whoever runs the server.
    Operator,
    /// The server itself.
    System,
}

impl Actor {
    /// Reads what `Display` writes.
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

/// On whose behalf a transaction runs: its partner and its actor.
pub trait Scope {
    /// The partner whose rows the transaction sees.
    fn pid(&self) -> PartnerId;
    /// Whom its events name.
    fn actor(&self) -> Actor;
    /// Whose request it is, if anybody's: a transaction that writes looks again whether it may.
    fn caller(&self) -> Option<&Caller> {
        None
    }
    /// Whether it takes a partner admin.
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
