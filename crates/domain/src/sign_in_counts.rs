//! Sign-ins by outcome, since the start of the process, for its metrics.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use tenantry_core::error::Error;

const METRIC: &str = "tenantry_sign_ins_total";

/// How a person signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInWay {
    /// On the page.
    Page,
    /// By the password grant.
    PasswordGrant,
    /// With a passkey, without a password.
    Passkey,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInOutcome {
    /// The person is signed in.
    SignedIn,
    /// The person is signed in, but must set a password first (B22).
    PasswordRequired,
    /// Wrong username or password, or a user that may not sign in.
    Refused,
    /// The address has too many failures.
    TooMany,
    /// The server was busy, or failed.
    Unavailable,
}

impl SignInWay {
    const ALL: [Self; 3] = [Self::Page, Self::PasswordGrant, Self::Passkey];

    fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::PasswordGrant => "password_grant",
            Self::Passkey => "passkey",
        }
    }
}

impl SignInOutcome {
    const ALL: [Self; 5] =
        [Self::SignedIn, Self::PasswordRequired, Self::Refused, Self::TooMany, Self::Unavailable];

    fn name(self) -> &'static str {
        match self {
            Self::SignedIn => "signed_in",
            Self::PasswordRequired => "password_required",
            Self::Refused => "refused",
            Self::TooMany => "too_many_failures",
            Self::Unavailable => "unavailable",
        }
    }

    fn of<T>(result: &Result<T, Error>, is_restricted: impl FnOnce(&T) -> bool) -> Self {
        match result {
            Ok(granted) if is_restricted(granted) => Self::PasswordRequired,
            Ok(_) => Self::SignedIn,
            Err(Error::Grant(..) | Error::SecondFactorNeeded) => Self::Refused,
            Err(Error::TooMany(_)) => Self::TooMany,
            Err(_) => Self::Unavailable,
        }
    }
}

/// The counts.
#[derive(Debug, Default)]
pub struct SignInCounts([[AtomicU64; SignInOutcome::ALL.len()]; SignInWay::ALL.len()]);

impl SignInCounts {
    /// Counts a sign-in by its result.
    pub(super) fn count<T>(
        &self,
        way: SignInWay,
        result: &Result<T, Error>,
        is_restricted: impl FnOnce(&T) -> bool,
    ) {
        self.count_outcome(way, SignInOutcome::of(result, is_restricted));
    }

    /// Counts a sign-in.
    pub(super) fn count_outcome(&self, way: SignInWay, outcome: SignInOutcome) {
        if let Some(count) = self.0.get(way as usize).and_then(|counts| counts.get(outcome as usize)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Appends the counts in the text format of Prometheus.
    pub fn render(&self, text: &mut String) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {METRIC} Sign-ins by way and outcome.\n# TYPE {METRIC} counter");
        for (way, counts) in SignInWay::ALL.iter().zip(&self.0) {
            for (outcome, count) in SignInOutcome::ALL.iter().zip(counts) {
                let (way, outcome, count) = (way.name(), outcome.name(), count.load(Ordering::Relaxed));
                let _ = writeln!(text, "{METRIC}{{way=\"{way}\",outcome=\"{outcome}\"}} {count}");
            }
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_count() {
        let counts = SignInCounts::default();
        counts.count(SignInWay::Page, &Ok(true), |restricted| *restricted);
        counts.count(SignInWay::Page, &Ok(false), |restricted| *restricted);
        counts.count(SignInWay::PasswordGrant, &Err::<bool, _>(Error::internal("x")), |_| false);
        let mut text = String::new();
        counts.render(&mut text);
        for line in [
            r#"tenantry_sign_ins_total{way="page",outcome="signed_in"} 1"#,
            r#"tenantry_sign_ins_total{way="page",outcome="password_required"} 1"#,
            r#"tenantry_sign_ins_total{way="page",outcome="refused"} 0"#,
            r#"tenantry_sign_ins_total{way="password_grant",outcome="unavailable"} 1"#,
        ] {
            assert!(text.lines().any(|known| known == line), "{text}");
        }
    }
}
