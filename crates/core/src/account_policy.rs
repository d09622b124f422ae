//! The account policy: lifetimes and limits that the operator sets.

use crate::clock::{DAY, HOUR, Millis, SECOND};

/// Who needs a second factor to sign in. In the order of strictness; stored as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecondFactorPolicy {
    /// Nobody is asked for one, and none can be added.
    Off,
    /// Whoever has added one is asked for it.
    Optional,
    /// Partner admins need one, others may have one.
    Admins,
    /// Every user needs one.
    Everybody,
}

impl SecondFactorPolicy {
    /// Every policy, in order.
    pub const ALL: [Self; 4] = [Self::Off, Self::Optional, Self::Admins, Self::Everybody];

    /// Their names.
    pub const NAMES: [&'static str; 4] =
        [Self::Off.name(), Self::Optional.name(), Self::Admins.name(), Self::Everybody.name()];

    /// Its name in settings and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Admins => "admins",
            Self::Everybody => "everybody",
        }
    }

    /// The policy of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }

    /// The stored number.
    pub const fn code(self) -> i64 {
        match self {
            Self::Off => 0,
            Self::Optional => 1,
            Self::Admins => 2,
            Self::Everybody => 3,
        }
    }

    /// From the stored number. A number of a later version counts as the strictest policy.
    pub fn from_code(code: i64) -> Self {
        Self::ALL.into_iter().find(|policy| policy.code() == code).unwrap_or(Self::Everybody)
    }
}

/// The rules of permanent passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordPolicy {
    /// Those of the contract (part C, Passwords).
    Contract,
    /// Those of NIST SP 800-63B: long, of any characters, and not common.
    Nist,
}

impl PasswordPolicy {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Contract, Self::Nist];

    /// Their names.
    pub const NAMES: [&'static str; 2] = [Self::Contract.name(), Self::Nist.name()];

    /// Its name in settings and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contract => "contract",
            Self::Nist => "nist",
        }
    }

    /// The policy of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }

    /// The stored number; 0 is no policy.
    pub const fn code(self) -> i64 {
        match self {
            Self::Contract => 1,
            Self::Nist => 2,
        }
    }

    /// From the stored number.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.code() == code)
    }
}

impl std::fmt::Display for SecondFactorPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::fmt::Display for PasswordPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How long a user of whom a second factor is required may still do without.
pub const FACTOR_GRACE: Millis = 7 * DAY;

/// Since when a second factor is required, by the server or a partner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FactorRequirement {
    /// Of partner admins.
    pub admins_since: Option<Millis>,
    /// Of every user.
    pub everybody_since: Option<Millis>,
}

impl FactorRequirement {
    /// From when on a user cannot do without a second factor; `None` if none is required. New users have as long as those
    /// who were there.
    pub fn due(&self, is_admin: bool, created_at: Millis) -> Option<Millis> {
        let admins = self.admins_since.filter(|_| is_admin);
        let since = admins.into_iter().chain(self.everybody_since).min()?;
        Some(since.max(created_at) + FACTOR_GRACE)
    }

    /// From when on a user cannot do without a second factor, by either of two requirements.
    pub fn due_by_either(&self, other: &Self, is_admin: bool, created_at: Millis) -> Option<Millis> {
        let both = [self.due(is_admin, created_at), other.due(is_admin, created_at)];
        both.into_iter().flatten().min()
    }
}

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
    /// Who needs a second factor, whatever a partner's policy is.
    pub second_factor: SecondFactorPolicy,
    /// Since when; the database knows.
    pub factor_requirement: FactorRequirement,
    /// How long a browser can be remembered in which a second factor was given; 0 = not at all.
    pub remember_device: Millis,
    /// The rules of passwords of partners that have not chosen others.
    pub password_policy: PasswordPolicy,
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
        second_factor: SecondFactorPolicy::Optional,
        factor_requirement: FactorRequirement { admins_since: None, everybody_since: None },
        remember_device: 30 * DAY,
        password_policy: PasswordPolicy::Contract,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_factor_is_due_a_week_after_it_was_required_or_the_user_was_created() {
        let admins = FactorRequirement { admins_since: Some(5 * DAY), everybody_since: None };
        let both = FactorRequirement { admins_since: Some(5 * DAY), everybody_since: Some(9 * DAY) };
        let none = FactorRequirement::default();
        assert_eq!(none.due(true, 0), None);
        assert_eq!((admins.due(true, DAY), admins.due(false, DAY)), (Some(12 * DAY), None));
        assert_eq!(admins.due(true, 8 * DAY), Some(15 * DAY));
        // A stricter policy gives admins no more time.
        assert_eq!((both.due(true, 0), both.due(false, 0)), (Some(12 * DAY), Some(16 * DAY)));
        assert_eq!(none.due_by_either(&both, false, 0), Some(16 * DAY));
        assert_eq!(admins.due_by_either(&both, true, 0), Some(12 * DAY));
        assert_eq!(none.due_by_either(&none, true, 0), None);
    }

    #[test]
    fn policies_are_known_by_name_and_number() {
        for policy in SecondFactorPolicy::ALL {
            assert_eq!(SecondFactorPolicy::parse(policy.name()), Some(policy));
            assert_eq!(SecondFactorPolicy::from_code(policy.code()), policy);
        }
        assert_eq!(SecondFactorPolicy::from_code(9), SecondFactorPolicy::Everybody);
        for policy in PasswordPolicy::ALL {
            assert_eq!(PasswordPolicy::parse(policy.name()), Some(policy));
            assert_eq!(PasswordPolicy::from_code(policy.code()), Some(policy));
        }
        assert_eq!(PasswordPolicy::from_code(0), None);
    }
}
