//! The account policy: lifetimes and limits that the operator sets.

use crate::clock::{DAY, HOUR, Millis, SECOND};

/// Lifetimes and limits of accounts, passwords and tokens, as the operator has set them. Every transaction carries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountPolicy {
    /// How long an access token lives.
    pub access_token: Millis,
    /// How long a refresh token lives.
    pub refresh_token: Millis,
    /// How long the refresh token before the newest one returns the newest one again; 0 = not at all.
    pub refresh_reuse: Millis,
    /// How long a temporary password lives.
    pub temporary_password: Millis,
    /// How long a permanent password lives; none = for ever.
    pub password_expiry: Option<Millis>,
    /// Failed logins in a row that lock (B23).
    pub lockout_threshold: i64,
    /// Failed logins of one address in five minutes, after which it has to wait.
    pub failures_per_address: i64,
    /// Forgotten passwords that one address may ask for in five minutes.
    pub forgotten_per_address: i64,
    /// How long password mail goes to the old address after a self-made change (B25); 0 = not at all.
    pub email_hold: Millis,
    /// How long deleted users are kept; 0 = not at all.
    pub deleted_users: Millis,
    /// How long events are kept; none = for ever.
    pub events: Option<Millis>,
}

impl AccountPolicy {
    /// What is in force unless the operator sets something else. A test of `src/app.rs` compares it with the defaults of
    /// the settings.
    pub const DEFAULT: Self = Self {
        access_token: 6 * HOUR,
        refresh_token: 30 * DAY,
        refresh_reuse: 10 * SECOND,
        temporary_password: DAY,
        password_expiry: None,
        lockout_threshold: 5,
        failures_per_address: 100,
        forgotten_per_address: 20,
        email_hold: 24 * HOUR,
        deleted_users: 30 * DAY,
        events: None,
    };
}
