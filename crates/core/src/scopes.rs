//! The scopes of tokens (RFC 6749 §3.3): those of OpenID Connect and those of the API.

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenScope {
    /// An OpenID Connect request: an ID token, and the user's id at the userinfo endpoint.
    OpenId,
    /// The user's names, language and the time of the last change (OpenID Connect Core §5.4).
    Profile,
    /// The user's e-mail address.
    Email,
    /// The user's phone number.
    Phone,
    /// The user's groups.
    Groups,
    /// The user's partner.
    Partner,
    /// A refresh token that outlives the browser session (OpenID Connect Core §11).
    OfflineAccess,
    /// Reading with the API: GET, HEAD and permission evaluations.
    Read,
    /// Everything else of the API.
    Write,
}

impl TokenScope {
    /// Every scope, in the order in which [`TokenScopes`] names them.
    pub const ALL: [Self; 9] = [
        Self::OpenId,
        Self::Profile,
        Self::Email,
        Self::Phone,
        Self::Groups,
        Self::Partner,
        Self::OfflineAccess,
        Self::Read,
        Self::Write,
    ];

    /// Its name in requests and responses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenId => "openid",
            Self::Profile => "profile",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Groups => "groups",
            Self::Partner => "partner",
            Self::OfflineAccess => "offline_access",
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// The scope of this name. Names are compared exactly.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }

    const fn bit(self) -> u16 {
        match self {
            Self::Read => 1,
            Self::Write => 2,
            Self::OpenId => 4,
            Self::Profile => 8,
            Self::Email => 16,
            Self::Phone => 32,
            Self::Groups => 64,
            Self::Partner => 128,
            Self::OfflineAccess => 256,
        }
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenScopes(u16);

impl TokenScopes {
    /// No scope.
    pub const NONE: Self = Self(0);

    /// Every scope.
    pub const ALL: Self = Self(0x1FF);

    /// Those of the API: what a login by password and a technical account get.
    pub const ALL_API: Self = Self(TokenScope::Read.bit() | TokenScope::Write.bit());

    /// Those of OpenID Connect.
    pub const ALL_OPENID: Self = Self(Self::ALL.0 & !Self::ALL_API.0);

    /// The known scopes of a `scope` parameter; others are ignored.
    pub fn parse(text: &str) -> Self {
        text.split_whitespace().filter_map(TokenScope::parse).collect()
    }

    /// The set as it is stored.
    pub fn to_bits(self) -> i64 {
        self.0.into()
    }

    /// A stored set.
    pub fn from_bits(bits: i64) -> Self {
        Self(u16::try_from(bits & Self::ALL.to_bits()).unwrap_or(0))
    }

    /// Whether the set has this scope.
    pub fn contains(self, scope: TokenScope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether the set has no scope.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it is that of an OpenID Connect request.
    pub fn is_openid(self) -> bool {
        self.contains(TokenScope::OpenId)
    }

    /// Whether all of its scopes are in the other set.
    pub fn is_subset_of(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The scopes that are in both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The scopes that are in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Its scopes that the other set does not have.
    #[must_use]
    pub fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Its scopes, always in the same order.
    pub fn iter(self) -> impl Iterator<Item = TokenScope> {
        TokenScope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }

    /// The value of a `scope` parameter: names separated by a space, always in the same order.
    pub fn names(self) -> String {
        self.iter().map(TokenScope::name).collect::<Vec<_>>().join(" ")
    }
}

impl FromIterator<TokenScope> for TokenScopes {
    fn from_iter<I: IntoIterator<Item = TokenScope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |all, scope| all | scope.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_scopes_are_parsed_and_others_ignored() {
        for (text, parsed) in [
            ("read", "read"),
            ("write", "write"),
            ("write read", "read write"),
            ("read read", "read"),
            (" read ", "read"),
            ("read  write", "read write"),
            ("openid read profile", "openid profile read"),
            ("address", ""),
            ("offline_access partner groups phone email profile openid", OPENID),
            ("READ", ""),
            ("OpenID", ""),
            ("read,write", ""),
            ("readwrite", ""),
            ("", ""),
            ("\u{3000}", ""),
        ] {
            assert_eq!(TokenScopes::parse(text).names(), parsed, "{text:?}");
        }
    }

    const OPENID: &str = "openid profile email phone groups partner offline_access";

    #[test]
    fn sets_are_stored_as_numbers() {
        let [none, read, write, both] = ["", "read", "write", "read write"].map(TokenScopes::parse);
        for set in [none, read, write, both, TokenScopes::ALL_OPENID, TokenScopes::ALL] {
            assert_eq!(TokenScopes::from_bits(set.to_bits()), set);
            assert!(set.is_subset_of(TokenScopes::ALL) && none.is_subset_of(set));
        }
        assert_eq!((read.to_bits(), write.to_bits(), both.to_bits()), (1, 2, 3));
        let bits = TokenScope::ALL.map(|scope| TokenScopes::from_iter([scope]).to_bits());
        assert_eq!(bits, [4, 8, 16, 32, 64, 128, 256, 1, 2], "stored: never change them");
        assert_eq!(TokenScopes::from_iter(TokenScope::ALL), TokenScopes::ALL);
        // A bit that a later version may add.
        assert_eq!(TokenScopes::from_bits(513), read);
        assert!(!both.is_subset_of(read) && !write.is_subset_of(read));
        assert!(none.is_empty() && !read.is_empty());
    }

    #[test]
    fn sets_are_combined() {
        let (api, openid) = (TokenScopes::ALL_API, TokenScopes::ALL_OPENID);
        assert_eq!((api.names(), openid.names()), (String::from("read write"), String::from(OPENID)));
        assert_eq!(api.union(openid), TokenScopes::ALL);
        assert_eq!(api.intersection(openid), TokenScopes::NONE);
        assert_eq!(TokenScopes::ALL.difference(openid), api);
        assert!(openid.is_openid() && !api.is_openid());
    }
}
