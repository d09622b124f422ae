//! Plain data: partners, users, groups, sessions and events. No rules, no SQL, no HTTP.

use serde::{Deserialize, Serialize};

pub use crate::clients::Client;
use crate::clock::Millis;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A tenant (`pid`).
    PartnerId
);
id!(
    /// A user (`userId`): positive, ascending with creation, never reused (B24).
    UserId
);
id!(
    /// A group (`groupId`).
    GroupId
);

/// Whether a user may log in. Stored as a number, in this order, which is also the order of the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// May log in.
    Active,
    /// May not log in; the data stays.
    Inactive,
    /// Locked by failed logins or by an admin.
    Locked,
}

impl Status {
    /// Every status, in order.
    pub const ALL: [Self; 3] = [Self::Active, Self::Inactive, Self::Locked];

    /// Their names.
    pub const NAMES: [&'static str; 3] =
        [Self::Active.as_str(), Self::Inactive.as_str(), Self::Locked.as_str()];

    /// The name as the contract prints it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::Locked => "LOCKED",
        }
    }

    /// The stored number.
    pub fn code(self) -> i64 {
        match self {
            Self::Active => 0,
            Self::Inactive => 1,
            Self::Locked => 2,
        }
    }

    /// From the stored number.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.code() == code)
    }

    /// From the contract's name, exactly as printed.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }
}

/// A username as typed and as compared (RFC 8265 UsernameCaseMapped, B8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username {
    /// As typed; used for display.
    pub shown: String,
    /// Used for comparison; unique on the whole server.
    pub key: String,
}

/// The text fields of a user. `user_fields.rs` declares their properties. Deleted users are stored as JSON with these
/// names: do not rename them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// Address for mail; not unique (B19).
    pub email: String,
    /// Job title.
    pub title: Option<String>,
    /// Phone number, as typed.
    pub phone_number: Option<String>,
    /// The product's own key for this user, unique in the partner.
    pub external_id: Option<String>,
    /// Shown instead of first and last name.
    pub display_name: Option<String>,
    /// Language and region, a BCP 47 tag as it was sent.
    pub locale: Option<String>,
}

/// A complete user (B3). Deleted users are stored as JSON with these names: do not rename them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The partner it belongs to.
    pub pid: PartnerId,
    /// Its id.
    pub user_id: UserId,
    /// As typed.
    pub username: String,
    /// Whether it may log in.
    pub status: Status,
    /// Its text fields.
    #[serde(flatten)]
    pub profile: Profile,
    /// Ids of its groups, ascending.
    pub groups: Vec<GroupId>,
    /// Whether it is a partner admin.
    pub is_admin: bool,
    /// When it was created.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
    /// When it last logged in.
    pub last_login_at: Option<Millis>,
    /// Incremented by every change of any of these fields, memberships included.
    pub version: i64,
}

/// A group of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The partner it belongs to.
    pub pid: PartnerId,
    /// Its id.
    pub group_id: GroupId,
    /// Unique within the partner, compared folded.
    pub name: String,
    /// For people.
    pub description: String,
    /// The group that it is nested in: its members also have the permissions of the parent.
    pub parent: Option<GroupId>,
    /// Incremented by every change of any of these fields, memberships included, and of its permissions.
    pub version: i64,
    /// How many users are in it.
    pub membership_count: i64,
    /// Names of the wildcard permissions it has.
    pub wildcards: Vec<String>,
    /// Ids of its users, ascending.
    pub users: Vec<UserId>,
}

/// The id of an object that permissions refer to. Opaque: an integer or a string, returned as it was given, and
/// compared by its text, so 563 and "563" are the same object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectId {
    /// The string, or the integer's digits.
    pub text: String,
    /// Whether it was given as an integer.
    pub is_number: bool,
}

impl Serialize for ObjectId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.is_number, self.text.parse::<i64>(), self.text.parse::<u64>()) {
            (true, Ok(number), _) => serializer.serialize_i64(number),
            (true, _, Ok(number)) => serializer.serialize_u64(number),
            _ => serializer.serialize_str(&self.text),
        }
    }
}

/// The permissions of a group on one object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectPermissions {
    /// A type of the catalogue.
    pub object_type: String,
    /// The object of that type.
    pub object_id: ObjectId,
    /// Names of per-object permissions of that type, without duplicates, in the given order.
    pub permissions: Vec<String>,
}

/// A permission of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// A type of the catalogue.
    pub object_type: String,
    /// Which object; none = every object of the type.
    pub object_id: Option<ObjectId>,
    /// A per-object permission, or the name of a wildcard.
    pub permission: String,
    /// Where it comes from, if that was requested.
    pub sources: Vec<Source>,
}

/// Where a user's permission comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A group.
    Group {
        /// The group that has it.
        group_id: GroupId,
        /// That group's name.
        name: String,
        /// From the user's own group up to the one that has the permission.
        path: Vec<NamedGroup>,
        /// What grants it.
        by: Grant,
    },
    /// The user is a partner admin, and the setting `admins-have-all-permissions` is on.
    Admin,
}

/// A group by id and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedGroup {
    /// Its id.
    pub group_id: GroupId,
    /// Its name.
    pub name: String,
}

/// What of a group grants a permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// This wildcard.
    Wildcard(String),
    /// The entry for this object in its list.
    Entry(ObjectId),
}

/// A user who has a permission, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The user.
    pub user_id: UserId,
    /// As typed.
    pub username: String,
    /// Where the permission comes from.
    pub sources: Vec<Source>,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partner {
    /// Its id.
    pub pid: PartnerId,
    /// Its name, unique on the server, compared folded.
    pub name: String,
    /// Users of a suspended partner cannot log in, and its tokens are refused.
    pub suspended: bool,
    /// The number of its users.
    pub users: i64,
    /// When it was created.
    pub created_at: Millis,
}

/// The built-in public OAuth client: no secret, grants `password` and `refresh_token`.
pub const PUBLIC_CLIENT: &str = "tenantry";

/// What a session consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// The tokens of one login: a token family.
    Tokens,
    /// A browser in which the user is signed in on the pages.
    Browser,
}

impl SessionKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Tokens, Self::Browser];

    /// Its name, as shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Browser => "browser",
        }
    }
}

/// A session: where a user is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Random. Identifies the session; it is not a credential.
    pub session_id: String,
    /// What it consists of.
    pub kind: SessionKind,
    /// The OAuth client it was opened through; [`PUBLIC_CLIENT`] for a browser.
    pub client_id: String,
    /// The client's name; `None` for the built-in client.
    pub client_name: Option<String>,
    /// The browser session in which the tokens were requested, unless it has ended.
    pub browser_session: Option<String>,
    /// The client's address.
    pub address: Option<String>,
    /// The client's user agent.
    pub user_agent: Option<String>,
    /// Opened with a temporary or expired password (B22).
    pub is_restricted: bool,
    /// When it was opened.
    pub created_at: Millis,
    /// When it was last used, accurate to about five minutes.
    pub last_used_at: Millis,
    /// When it ends unless it is refreshed.
    pub expires_at: Millis,
}

/// An entry of the audit log. It never contains a password, token or hash.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Ascending with time within a process.
    pub event_id: i64,
    /// When it happened.
    pub at: Millis,
    /// What happened, such as `user.created`.
    pub kind: String,
    /// Who did it.
    pub actor: String,
    /// The affected user, if any.
    pub user_id: Option<UserId>,
    /// The affected group, if any.
    pub group_id: Option<GroupId>,
    /// The changed values, before.
    pub before: Option<serde_json::Value>,
    /// The changed values, after.
    pub after: Option<serde_json::Value>,
}
