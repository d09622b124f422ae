//! The types of events, for people.

use tenantry_core::languages::Language;
use tenantry_domain::events::EventKind;

/// What an event of this type is called; its type, if that is not known.
pub fn name(kind: &str, l: Language) -> &str {
    let Some(known) = EventKind::ALL.into_iter().find(|known| known.name() == kind) else { return kind };
    match known {
        EventKind::UserCreated => text!(l, "event-user-created"),
        EventKind::UserUpdated => text!(l, "event-user-updated"),
        EventKind::UserDeleted => text!(l, "event-user-deleted"),
        EventKind::UserRestored => text!(l, "event-user-restored"),
        EventKind::UserErased => text!(l, "event-user-erased"),
        EventKind::UserLocked => text!(l, "event-user-locked"),
        EventKind::UserLoginRefused => text!(l, "event-user-login-refused"),
        EventKind::EmailVerified => text!(l, "event-email-verified"),
        EventKind::UserSignedIn => text!(l, "event-user-signed-in"),
        EventKind::UserSignedOut => text!(l, "event-user-signed-out"),
        EventKind::PasswordIssued => text!(l, "event-password-issued"),
        EventKind::PasswordReset => text!(l, "event-password-reset"),
        EventKind::PasswordChanged => text!(l, "event-password-changed"),
        EventKind::SessionStarted => text!(l, "event-session-started"),
        EventKind::SessionEnded => text!(l, "event-session-ended"),
        EventKind::SessionReplayed => text!(l, "event-session-replayed"),
        EventKind::GroupCreated => text!(l, "event-group-created"),
        EventKind::GroupUpdated => text!(l, "event-group-updated"),
        EventKind::GroupDeleted => text!(l, "event-group-deleted"),
        EventKind::GroupMemberAdded => text!(l, "event-group-member-added"),
        EventKind::GroupMemberRemoved => text!(l, "event-group-member-removed"),
        EventKind::GroupPermissionsChanged | EventKind::GroupWildcardsChanged => {
            text!(l, "event-group-permissions-changed")
        }
        EventKind::MailSetAside => text!(l, "event-mail-set-aside"),
        EventKind::ConsentGranted => text!(l, "event-consent-granted"),
        EventKind::ConsentWithdrawn => text!(l, "event-consent-withdrawn"),
        _ => kind,
    }
}
