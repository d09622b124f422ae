//! The rules of a password, as pages show them: a script checks them while it is typed, and the server lists those that
//! the password violates.

use tenantry_core::account_policy::PasswordPolicy;
use tenantry_core::error::FieldError;
use tenantry_core::languages::Language;
use tenantry_core::model::User;
use tenantry_domain::policies;
use tenantry_http::page_error::PageError;
use tenantry_http::state::AppState;
use tenantry_store::access::Member;

/// A rule, as a page shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    Length,
    Characters,
    Ends,
    UpperCase,
    LowerCase,
    Digit,
    Special,
    Names,
    Common,
    UsedBefore,
    LengthNist,
    CharactersNist,
    NamesNist,
}

impl Rule {
    /// The rules of a policy, in the order of the page.
    pub fn of(policy: PasswordPolicy) -> &'static [Self] {
        match policy {
            PasswordPolicy::Contract => &Self::CONTRACT,
            PasswordPolicy::Nist => &Self::NIST,
        }
    }

    const NIST: [Self; 5] =
        [Self::LengthNist, Self::CharactersNist, Self::NamesNist, Self::Common, Self::UsedBefore];

    const CONTRACT: [Self; 10] = [
        Self::Length,
        Self::Characters,
        Self::Ends,
        Self::UpperCase,
        Self::LowerCase,
        Self::Digit,
        Self::Special,
        Self::Names,
        Self::Common,
        Self::UsedBefore,
    ];

    /// Its name in the page, for the script.
    pub fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Characters => "characters",
            Self::Ends => "ends",
            Self::UpperCase => "upper-case",
            Self::LowerCase => "lower-case",
            Self::Digit => "digit",
            Self::Special => "special",
            Self::Names => "names",
            Self::Common => "common",
            Self::UsedBefore => "used-before",
            Self::LengthNist => "length-nist",
            Self::CharactersNist => "characters-nist",
            Self::NamesNist => "names-nist",
        }
    }

    /// Its text, which completes "Your password:". The language is a reference because templates pass references.
    pub fn text(self, language: &Language) -> &'static str {
        let language = *language;
        match self {
            Self::Length => text!(language, "rule-length"),
            Self::Characters => text!(language, "rule-characters"),
            Self::Ends => text!(language, "rule-ends"),
            Self::UpperCase => text!(language, "rule-upper-case"),
            Self::LowerCase => text!(language, "rule-lower-case"),
            Self::Digit => text!(language, "rule-digit"),
            Self::Special => text!(language, "rule-special"),
            Self::Names => text!(language, "rule-names"),
            Self::Common => text!(language, "rule-common"),
            Self::UsedBefore => text!(language, "rule-used-before"),
            Self::LengthNist => text!(language, "rule-length-nist"),
            Self::CharactersNist => text!(language, "rule-characters-nist"),
            Self::NamesNist => text!(language, "rule-names-nist"),
        }
    }

    /// The rule that an error of a password is about.
    fn of_code(code: &str) -> Option<Self> {
        Some(match code {
            "too-short" | "too-long" => Self::Length,
            "bad-character" => Self::Characters,
            "bad-first-character" | "bad-last-character" => Self::Ends,
            "no-upper-case" => Self::UpperCase,
            "no-lower-case" => Self::LowerCase,
            "no-digit" => Self::Digit,
            "no-special" => Self::Special,
            "contains-username" | "contains-first-name" | "contains-last-name" | "contains-email" => {
                Self::Names
            }
            "common" => Self::Common,
            "used-before" => Self::UsedBefore,
            _ => return None,
        })
    }

    /// The same rule of a policy.
    fn by(self, policy: PasswordPolicy) -> Self {
        match (policy, self) {
            (PasswordPolicy::Nist, Self::Length) => Self::LengthNist,
            (PasswordPolicy::Nist, Self::Characters) => Self::CharactersNist,
            (PasswordPolicy::Nist, Self::Names) => Self::NamesNist,
            (_, other) => other,
        }
    }

    /// The rules of a policy that these errors of a new password are about, each once.
    pub fn broken_by(errors: &[FieldError], policy: PasswordPolicy) -> Vec<Self> {
        let broken: Vec<Self> =
            errors.iter().filter_map(|error| Some(Self::of_code(error.code)?.by(policy))).collect();
        Self::of(policy).iter().copied().filter(|rule| broken.contains(rule)).collect()
    }
}

/// The policy of the passwords of whoever uses a session.
pub async fn policy_of(app: &AppState, member: &Member) -> Result<PasswordPolicy, PageError> {
    Ok(app.store.scan(member, |tx| policies::effective(tx)).await?.password_policy)
}

/// What a user's password must not contain, one per line, for the script.
pub fn names_of(user: &User) -> String {
    let profile = &user.profile;
    [&user.username, &profile.first_name, &profile.last_name, &profile.email]
        .map(|name| name.replace('\n', " "))
        .join("\n")
}

#[cfg(test)]
mod tests {
    use tenantry_domain::policy::{self, Person};

    use super::*;

    #[test]
    fn every_error_of_the_policy_is_a_rule_that_the_page_shows() {
        let person =
            Person { username: "fenna", first_name: "Fenna", last_name: "Jansen", email: "f@example.com" };
        for password in [
            "",
            "x",
            &"x".repeat(50),
            "é: ",
            "-password-",
            "password123!A",
            "fennaJansenf@example.com",
            "UPPER-CASE-0000",
        ] {
            for rules in PasswordPolicy::ALL {
                let Err(errors) = policy::check_by(rules, password, &person) else { continue };
                for error in &errors {
                    let rule = Rule::of_code(error.code).unwrap().by(rules);
                    assert!(Rule::of(rules).contains(&rule), "{}", error.code);
                }
                assert!(!Rule::broken_by(&errors, rules).is_empty());
            }
        }
    }
}
