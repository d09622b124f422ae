//! How a person signed in: the class and the methods of an authentication, as ID tokens and introspection show them.

/// The class (`acr`) of a password.
pub const ACR_PASSWORD: i64 = 1;

/// The class (`acr`) of two factors, or of a passkey with user verification.
pub const ACR_SECOND_FACTOR: i64 = 2;

/// An authentication method (RFC 8176). Stored as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthenticationMethod {
    /// A password.
    Password,
    /// A one-time password: of an authenticator app, or a recovery code.
    OneTimePassword,
    /// Several factors.
    MultipleFactors,
    /// Proof of possession of a key: a passkey.
    ProofOfPossession,
    /// A test of the user's presence: a passkey that has verified the user.
    UserPresence,
}

impl AuthenticationMethod {
    /// Every method.
    pub const ALL: [Self; 5] = [
        Self::Password,
        Self::OneTimePassword,
        Self::MultipleFactors,
        Self::ProofOfPossession,
        Self::UserPresence,
    ];

    /// Its bit.
    pub const fn bit(self) -> i64 {
        match self {
            Self::Password => 1,
            Self::OneTimePassword => 2,
            Self::MultipleFactors => 4,
            Self::ProofOfPossession => 8,
            Self::UserPresence => 16,
        }
    }

    /// Its name in `amr`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "pwd",
            Self::OneTimePassword => "otp",
            Self::MultipleFactors => "mfa",
            Self::ProofOfPossession => "pop",
            Self::UserPresence => "user",
        }
    }

    /// The names of the methods with these bits.
    pub fn names(bits: i64) -> Vec<&'static str> {
        Self::ALL.into_iter().filter(|method| bits & method.bit() != 0).map(Self::name).collect()
    }
}

/// Stored with the methods, but none of them: a second factor was given in this browser before, and was not asked for
/// again.
pub const REMEMBERED_DEVICE: i64 = 1 << 16;

/// Stored with the methods, but none of them: the client may do without a second factor.
pub const PASSWORD_ALONE: i64 = 1 << 17;

/// Whether a sign-in counts as one with a second factor where one is required of the user.
pub const fn has_second_factor(acr: i64, amr: i64) -> bool {
    acr >= ACR_SECOND_FACTOR || amr & (REMEMBERED_DEVICE | PASSWORD_ALONE) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_methods_have_names() {
        let amr = AuthenticationMethod::Password.bit() | AuthenticationMethod::MultipleFactors.bit();
        assert_eq!(AuthenticationMethod::names(amr | REMEMBERED_DEVICE), ["pwd", "mfa"]);
        let all = AuthenticationMethod::ALL.iter().fold(0, |all, method| all | method.bit());
        assert_eq!(all.count_ones(), 5);
        assert!(has_second_factor(2, 0) && has_second_factor(1, REMEMBERED_DEVICE | 1));
        assert!(!has_second_factor(1, all));
    }
}
