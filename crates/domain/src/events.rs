//! Events: the audit log of changes. They never contain a password, token or hash.

use serde_json::{Map, Value, json};

use crate::sessions::OpenedSession;
use tenantry_core::clock::Millis;
use tenantry_core::error::Result;
use tenantry_core::model::{Event, Group, GroupId, PartnerId, User, UserId};
use tenantry_core::user_fields::{self, UserField};
use tenantry_store::access::{Admin, Operator};
use tenantry_store::engine::tx::Tx;
use tenantry_store::listing::lists::Total;
use tenantry_store::tables::events::{
    EventPosition, EventQuery, NewEvent, insert, insert_with_address, select, total,
};
use tenantry_store::tables::sessions::ADDRESS_KEPT;

/// The kinds of events, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the event of that name")]
pub enum EventKind {
    UserCreated,
    UserUpdated,
    UserDeleted,
    UserRestored,
    UserErased,
    UserLocked,
    UserLoginRefused,
    EmailVerified,
    FactorAdded,
    FactorRemoved,
    RecoveryCodesMade,
    RecoveryCodeUsed,
    UserSignedIn,
    UserSignedOut,
    PasswordIssued,
    PasswordReset,
    PasswordChanged,
    SessionStarted,
    SessionEnded,
    SessionReplayed,
    GroupCreated,
    GroupUpdated,
    GroupDeleted,
    GroupMemberAdded,
    GroupMemberRemoved,
    GroupPermissionsChanged,
    GroupWildcardsChanged,
    PartnerCreated,
    PartnerRenamed,
    PartnerSuspended,
    PartnerResumed,
    PartnerDeleted,
    BrandingUpdated,
    BrandingDeleted,
    PolicyUpdated,
    ClientCreated,
    ClientUpdated,
    ClientRevoked,
    ClientSecretAdded,
    ClientSecretRemoved,
    ConsentGranted,
    ConsentWithdrawn,
    MailSetAside,
    KeyCreated,
    KeyRotated,
    KeysReset,
    KeysResealed,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 47] = [
        Self::UserCreated,
        Self::UserUpdated,
        Self::UserDeleted,
        Self::UserRestored,
        Self::UserErased,
        Self::UserLocked,
        Self::UserLoginRefused,
        Self::EmailVerified,
        Self::FactorAdded,
        Self::FactorRemoved,
        Self::RecoveryCodesMade,
        Self::RecoveryCodeUsed,
        Self::UserSignedIn,
        Self::UserSignedOut,
        Self::PasswordIssued,
        Self::PasswordReset,
        Self::PasswordChanged,
        Self::SessionStarted,
        Self::SessionEnded,
        Self::SessionReplayed,
        Self::GroupCreated,
        Self::GroupUpdated,
        Self::GroupDeleted,
        Self::GroupMemberAdded,
        Self::GroupMemberRemoved,
        Self::GroupPermissionsChanged,
        Self::GroupWildcardsChanged,
        Self::PartnerCreated,
        Self::PartnerRenamed,
        Self::PartnerSuspended,
        Self::PartnerResumed,
        Self::PartnerDeleted,
        Self::BrandingUpdated,
        Self::BrandingDeleted,
        Self::PolicyUpdated,
        Self::ClientCreated,
        Self::ClientUpdated,
        Self::ClientRevoked,
        Self::ClientSecretAdded,
        Self::ClientSecretRemoved,
        Self::ConsentGranted,
        Self::ConsentWithdrawn,
        Self::MailSetAside,
        Self::KeyCreated,
        Self::KeyRotated,
        Self::KeysReset,
        Self::KeysResealed,
    ];

    /// The name, as stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::UserCreated => "user.created",
            Self::UserUpdated => "user.updated",
            Self::UserDeleted => "user.deleted",
            Self::UserRestored => "user.restored",
            Self::UserErased => "user.erased",
            Self::UserLocked => "user.locked",
            Self::UserLoginRefused => "user.login_refused",
            Self::EmailVerified => "user.email_verified",
            Self::FactorAdded => "factor.added",
            Self::FactorRemoved => "factor.removed",
            Self::RecoveryCodesMade => "factor.recovery_codes_made",
            Self::RecoveryCodeUsed => "factor.recovery_code_used",
            Self::UserSignedIn => "user.signed_in",
            Self::UserSignedOut => "user.signed_out",
            Self::PasswordIssued => "password.issued",
            Self::PasswordReset => "password.reset",
            Self::PasswordChanged => "password.changed",
            Self::SessionStarted => "session.started",
            Self::SessionEnded => "session.ended",
            Self::SessionReplayed => "session.replayed",
            Self::GroupCreated => "group.created",
            Self::GroupUpdated => "group.updated",
            Self::GroupDeleted => "group.deleted",
            Self::GroupMemberAdded => "group.member_added",
            Self::GroupMemberRemoved => "group.member_removed",
            Self::GroupPermissionsChanged => "group.permissions_changed",
            Self::GroupWildcardsChanged => "group.wildcards_changed",
            Self::PartnerCreated => "partner.created",
            Self::PartnerRenamed => "partner.renamed",
            Self::PartnerSuspended => "partner.suspended",
            Self::PartnerResumed => "partner.resumed",
            Self::PartnerDeleted => "partner.deleted",
            Self::BrandingUpdated => "branding.updated",
            Self::BrandingDeleted => "branding.deleted",
            Self::PolicyUpdated => "policy.updated",
            Self::ClientCreated => "client.created",
            Self::ClientUpdated => "client.updated",
            Self::ClientRevoked => "client.revoked",
            Self::ClientSecretAdded => "client.secret_added",
            Self::ClientSecretRemoved => "client.secret_removed",
            Self::ConsentGranted => "consent.granted",
            Self::ConsentWithdrawn => "consent.withdrawn",
            Self::MailSetAside => "mail.set_aside",
            Self::KeyCreated => "key.created",
            Self::KeyRotated => "key.rotated",
            Self::KeysReset => "key.reset",
            Self::KeysResealed => "key.resealed",
        }
    }
}

/// Records an event of a user.
pub fn record_user(
    tx: &mut Tx<'_>,
    kind: EventKind,
    user: UserId,
    before: Option<Value>,
    after: Option<Value>,
) -> Result<()> {
    insert(tx, &NewEvent { kind: kind.name(), user_id: Some(user), before, after, ..NewEvent::default() })
}

/// Records that a session of a user was opened; its address is blanked some time after its end.
pub(super) fn record_session(
    tx: &mut Tx<'_>,
    user: UserId,
    after: Value,
    session: &OpenedSession,
) -> Result<()> {
    let event = NewEvent {
        kind: EventKind::SessionStarted.name(),
        user_id: Some(user),
        after: Some(after),
        ..NewEvent::default()
    };
    insert_with_address(tx, &event, &session.session_id, session.ends_at + ADDRESS_KEPT)
}

/// Records that a user signed in on a page; the address is blanked some time after the end of the browser session.
pub(super) fn record_sign_in(
    tx: &mut Tx<'_>,
    user: UserId,
    after: Value,
    session_id: &str,
    ends_at: Millis,
) -> Result<()> {
    let event = NewEvent {
        kind: EventKind::UserSignedIn.name(),
        user_id: Some(user),
        after: Some(after),
        ..NewEvent::default()
    };
    insert_with_address(tx, &event, session_id, ends_at + ADDRESS_KEPT)
}

/// Events from before this time are not kept; none = all are kept.
fn kept_since(tx: &Tx<'_>) -> Option<Millis> {
    tx.policy().events.map(|kept| tx.now() - kept)
}

/// Removes those of the first `limit` events of the transaction's partner that are older than `event-days`. Returns
/// their number.
///
/// # Errors
/// None of its own.
pub fn purge(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    let Some(before) = kept_since(tx) else { return Ok(0) };
    tenantry_store::tables::events::purge(tx, before, limit)
}

/// Partners with events older than `event-days`.
///
/// # Errors
/// None of its own.
pub fn list_partners_with_old(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<PartnerId>> {
    let Some(before) = kept_since(tx) else { return Ok(Vec::new()) };
    tenantry_store::tables::events::list_partners_with_old(tx, before, limit)
}

/// Records an event of a group.
pub fn record_group(
    tx: &mut Tx<'_>,
    kind: EventKind,
    group: GroupId,
    before: Option<Value>,
    after: Option<Value>,
) -> Result<()> {
    insert(tx, &NewEvent { kind: kind.name(), group_id: Some(group), before, after, ..NewEvent::default() })
}

/// Records that a user joined or left a group, with all groups of the user before and after.
pub fn record_membership(
    tx: &mut Tx<'_>,
    kind: EventKind,
    (group, user): (GroupId, UserId),
    before: &[GroupId],
    after: &[GroupId],
) -> Result<()> {
    let groups = |of: &[GroupId]| Some(json!({ "groups": of }));
    insert(
        tx,
        &NewEvent {
            kind: kind.name(),
            user_id: Some(user),
            group_id: Some(group),
            before: groups(before),
            after: groups(after),
        },
    )
}

/// Records an event of the partner.
pub fn record(tx: &mut Tx<'_>, kind: EventKind, before: Option<Value>, after: Option<Value>) -> Result<()> {
    insert(tx, &NewEvent { kind: kind.name(), before, after, ..NewEvent::default() })
}

/// A user as an event shows it.
pub fn of_user(user: &User) -> Value {
    user_fields::to_json(user, UserField::writable())
}

/// A group as an event shows it.
pub fn of_group(group: &Group) -> Value {
    json!({
        "name": group.name,
        "description": group.description,
        "parentGroupId": group.parent,
        "wildcards": group.wildcards,
        "users": group.users,
    })
}

/// Only the members that differ.
pub fn difference(before: Value, after: Value) -> Option<(Value, Value)> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return None };
    let changed: Vec<String> = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value))
        .map(|(key, _)| key.clone())
        .collect();
    if changed.is_empty() {
        return None;
    }
    let only = |mut all: Map<String, Value>| {
        all.retain(|key, _| changed.contains(key));
        Value::Object(all)
    };
    Some((only(before), only(after)))
}

/// A page of the events of the server, which belong to no partner, and how many there are in all; from one snapshot.
///
/// # Errors
/// None of its own.
pub fn list_server_page(
    tx: &mut Tx<'_, Operator>,
    query: &EventQuery,
    from: EventPosition,
    size: i64,
) -> Result<(Total, Vec<Event>)> {
    tx.enter_partner(PartnerId(0));
    Ok((total(tx, query)?, select(tx, query, from, size)?))
}

/// A page of the partner's events, and how many there are in all; from one snapshot.
///
/// # Errors
/// None of its own.
pub fn list_page(
    tx: &mut Tx<'_, Admin>,
    query: &EventQuery,
    from: EventPosition,
    size: i64,
) -> Result<(Total, Vec<Event>)> {
    Ok((total(tx, query)?, select(tx, query, from, size)?))
}
