//! Claims about a user (OpenID Connect Core §5): which ones a scope or the parameter `claims` requests, and their values.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use tenantry_core::clock::{Millis, SECOND};
use tenantry_core::scopes::{TokenScope, TokenScopes};

/// A claim that can be requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The name that is shown.
    Name,
    /// First name.
    GivenName,
    /// Last name.
    FamilyName,
    /// The username.
    PreferredUsername,
    /// When the user was last changed, in seconds since 1970.
    UpdatedAt,
    /// Language and region.
    Locale,
    /// The e-mail address.
    Email,
    /// Whether the address was proven to be the user's.
    EmailVerified,
    /// The phone number.
    PhoneNumber,
    /// The names of the user's groups.
    Groups,
    /// The ids of the user's groups.
    GroupIds,
    /// The id of the user's partner.
    Pid,
    /// The name of the user's partner.
    Partner,
}

impl Claim {
    /// Every claim. Sets are stored by this order: add new ones at the end.
    pub const ALL: [Self; 13] = [
        Self::Name,
        Self::GivenName,
        Self::FamilyName,
        Self::PreferredUsername,
        Self::UpdatedAt,
        Self::Locale,
        Self::Email,
        Self::EmailVerified,
        Self::PhoneNumber,
        Self::Groups,
        Self::GroupIds,
        Self::Pid,
        Self::Partner,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::GivenName => "given_name",
            Self::FamilyName => "family_name",
            Self::PreferredUsername => "preferred_username",
            Self::UpdatedAt => "updated_at",
            Self::Locale => "locale",
            Self::Email => "email",
            Self::EmailVerified => "email_verified",
            Self::PhoneNumber => "phone_number",
            Self::Groups => "groups",
            Self::GroupIds => "group_ids",
            Self::Pid => "pid",
            Self::Partner => "partner",
        }
    }

    /// The scope that requests it (§5.4).
    pub const fn scope(self) -> TokenScope {
        match self {
            Self::Name
            | Self::GivenName
            | Self::FamilyName
            | Self::PreferredUsername
            | Self::UpdatedAt
            | Self::Locale => TokenScope::Profile,
            Self::Email | Self::EmailVerified => TokenScope::Email,
            Self::PhoneNumber => TokenScope::Phone,
            Self::Groups | Self::GroupIds => TokenScope::Groups,
            Self::Pid | Self::Partner => TokenScope::Partner,
        }
    }

    const fn bit(self) -> i64 {
        1 << self as i64
    }
}

/// A set of claims.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimSet(i64);

impl ClaimSet {
    /// The claims that these scopes request.
    pub fn of_scopes(scopes: TokenScopes) -> Self {
        Claim::ALL.into_iter().filter(|claim| scopes.contains(claim.scope())).collect()
    }

    /// The set as it is stored.
    pub fn to_bits(self) -> i64 {
        self.0
    }

    /// A stored set.
    pub fn from_bits(bits: i64) -> Self {
        Self(bits)
    }

    /// Whether the set has this claim.
    pub fn contains(self, claim: Claim) -> bool {
        self.0 & claim.bit() != 0
    }

    /// Whether the set has no claim.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The claims that are in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The claims that are in both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The scopes that request these claims.
    pub fn scopes(self) -> TokenScopes {
        Claim::ALL.into_iter().filter(|claim| self.contains(*claim)).map(Claim::scope).collect()
    }
}

impl FromIterator<Claim> for ClaimSet {
    fn from_iter<I: IntoIterator<Item = Claim>>(claims: I) -> Self {
        Self(claims.into_iter().fold(0, |all, claim| all | claim.bit()))
    }
}

/// What is known about a user, for claims.
#[derive(Debug, Clone)]
pub struct ClaimedUser {
    /// The user.
    pub user: tenantry_core::model::User,
    /// Whether the address was proven to be the user's.
    pub is_email_verified: bool,
    /// Its groups, by id.
    pub groups: Vec<(i64, String)>,
    /// The name of its partner.
    pub partner: String,
}

impl ClaimedUser {
    /// Adds the requested claims that have a value.
    pub fn add_to(&self, claims: &mut Map<String, Value>, requested: ClaimSet) {
        for claim in Claim::ALL.into_iter().filter(|claim| requested.contains(*claim)) {
            if let Some(value) = self.value(claim) {
                claims.insert(claim.name().to_owned(), value);
            }
        }
    }

    fn value(&self, claim: Claim) -> Option<Value> {
        let profile = &self.user.profile;
        let text = |text: &str| (!text.is_empty()).then(|| Value::from(text));
        match claim {
            Claim::Name => match profile.display_name.as_deref() {
                Some(name) => text(name),
                None => text(format!("{} {}", profile.first_name, profile.last_name).trim()),
            },
            Claim::GivenName => text(&profile.first_name),
            Claim::FamilyName => text(&profile.last_name),
            Claim::PreferredUsername => text(&self.user.username),
            Claim::UpdatedAt => Some(Value::from(seconds(self.user.updated_at))),
            Claim::Locale => text(profile.locale.as_deref().unwrap_or_default()),
            Claim::Email => text(&profile.email),
            // Says nothing without an address.
            Claim::EmailVerified => (!profile.email.is_empty()).then(|| Value::from(self.is_email_verified)),
            Claim::PhoneNumber => text(profile.phone_number.as_deref().unwrap_or_default()),
            Claim::Groups => Some(self.groups.iter().map(|(_, name)| Value::from(name.as_str())).collect()),
            Claim::GroupIds => Some(self.groups.iter().map(|(id, _)| Value::from(*id)).collect()),
            Claim::Pid => Some(Value::from(self.user.pid.0)),
            Claim::Partner => text(&self.partner),
        }
    }
}

/// A time as tokens have it (RFC 7519 §2, `NumericDate`).
pub fn seconds(at: Millis) -> i64 {
    at.div_euclid(SECOND)
}

/// The parameter `claims` of an authorization request (§5.5), as far as it is understood.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimsRequest {
    /// Claims of the ID token, beside those that each has.
    pub id_token: ClaimSet,
    /// Claims of the userinfo endpoint, beside those of the scopes.
    pub userinfo: ClaimSet,
    /// The user that must sign in, if a certain one is requested.
    pub sub: Option<String>,
    /// Whether a certain class of authentication is essential, and the ones that will do.
    pub acr: Option<Vec<String>>,
}

impl ClaimsRequest {
    /// Parses the parameter. Claims that are not known, and what is requested about them, are ignored (§5.5).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str =
            "claims must be a JSON object with the members userinfo and id_token, which are objects";
        let Ok(Value::Object(members)) = serde_json::from_str(text) else { return Err(SHAPE) };
        let mut request = Self::default();
        for (name, value) in members {
            let set = match name.as_str() {
                "id_token" => &mut request.id_token,
                "userinfo" => &mut request.userinfo,
                _ => continue,
            };
            let Value::Object(claims) = value else { return Err(SHAPE) };
            *set = Claim::ALL.into_iter().filter(|claim| claims.contains_key(claim.name())).collect();
            for (claim, wish) in &claims {
                if !wish.is_null() && !wish.is_object() {
                    return Err("a claim of the parameter claims must be null or a JSON object");
                }
                match claim.as_str() {
                    "sub" => request.add_sub(wish)?,
                    "acr" if wish.get("essential") == Some(&Value::Bool(true)) => {
                        request.acr = Some(texts(wish));
                    }
                    _ => {}
                }
            }
        }
        Ok(request)
    }

    fn add_sub(&mut self, wish: &Value) -> Result<(), &'static str> {
        let Some(value) = wish.get("value") else { return Ok(()) };
        let Some(sub) = value.as_str() else { return Err("the value of the claim sub must be a string") };
        if self.sub.as_deref().is_some_and(|other| other != sub) {
            return Err("the parameter claims requests two different values of sub");
        }
        self.sub = Some(sub.to_owned());
        Ok(())
    }
}

/// The values that are requested of a claim.
fn texts(wish: &Value) -> Vec<String> {
    let several = wish.get("values").and_then(Value::as_array).into_iter().flatten();
    let all = wish.get("value").into_iter().chain(several);
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_request_claims() {
        let of = |scopes: &str| {
            let set = ClaimSet::of_scopes(TokenScopes::parse(scopes));
            assert_eq!(ClaimSet::from_bits(set.to_bits()), set);
            Claim::ALL.into_iter().filter(|c| set.contains(*c)).map(Claim::name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of("openid read write offline_access"), "");
        assert_eq!(of("profile"), "name given_name family_name preferred_username updated_at locale");
        assert_eq!(of("email phone"), "email email_verified phone_number");
        assert_eq!(of("groups partner"), "groups group_ids pid partner");
        let bits: Vec<i64> = Claim::ALL.into_iter().map(Claim::bit).collect();
        assert_eq!(bits, (0..13).map(|at| 1 << at).collect::<Vec<i64>>(), "stored: never change them");
    }

    #[test]
    fn known_claims_are_requested_and_others_ignored() {
        let text = r#"{"userinfo": {"email": null, "https://claims.example/x": {"essential": true}},
            "id_token": {"name": {"essential": true}, "auth_time": null, "sub": {"value": "7"},
                         "acr": {"essential": true, "values": ["1", "2"]}}, "other": 7}"#;
        let request = ClaimsRequest::parse(text).unwrap();
        assert_eq!(request.userinfo, ClaimSet::from_iter([Claim::Email]));
        assert_eq!(request.id_token, ClaimSet::from_iter([Claim::Name]));
        assert_eq!(request.sub.as_deref(), Some("7"));
        assert_eq!(request.acr, Some(vec![String::from("1"), String::from("2")]));
        let voluntary = ClaimsRequest::parse(r#"{"id_token": {"acr": {"value": "9"}}}"#).unwrap();
        assert_eq!(voluntary, ClaimsRequest::default());
    }

    #[test]
    fn what_is_no_claims_parameter_is_refused() {
        for text in [
            "",
            "7",
            "[]",
            "null",
            "{",
            r#"{"userinfo": 7}"#,
            r#"{"id_token": null}"#,
            r#"{"id_token": {"email": true}}"#,
            r#"{"id_token": {"sub": {"value": 7}}}"#,
            r#"{"id_token": {"sub": {"value": "7"}}, "userinfo": {"sub": {"value": "8"}}}"#,
        ] {
            assert!(ClaimsRequest::parse(text).is_err(), "{text}");
        }
    }
}
