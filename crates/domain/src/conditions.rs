//! Entity tags of users, groups and OAuth clients, and preconditions (RFC 9110 §13).

use tenantry_core::error::{Error, Result};
use tenantry_core::model::{Client, Group, GroupId, User, UserId};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::branding::{self, Branding};
use tenantry_store::tables::{clients, groups, policies, users};

/// The resource of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A user.
    User(UserId),
    /// A group.
    Group(GroupId),
    /// The branding of the transaction's partner.
    Branding,
    /// The policies of the transaction's partner.
    Policy,
    /// An OAuth client.
    Client(String),
}

impl Target {
    /// The tag of a version of it. It contains the resource, so that tags of different resources differ.
    pub fn tag(&self, version: i64) -> String {
        match self {
            Self::User(id) => format!("u{id}-{version}"),
            Self::Group(id) => format!("g{id}-{version}"),
            // It is read by those of its partner alone.
            Self::Branding => format!("b-{version}"),
            Self::Policy => format!("p-{version}"),
            Self::Client(id) => format!("c{id}-{version}"),
        }
    }
}

/// The tag of a user, which changes with every change of its representation.
pub fn tag_of_user(user: &User) -> String {
    Target::User(user.user_id).tag(user.version)
}

/// The tag of a group, which changes with every change of its representation, members included.
pub fn tag_of_group(group: &Group) -> String {
    Target::Group(group.group_id).tag(group.version)
}

/// The tag of an OAuth client, which changes with every change of its representation.
pub fn tag_of_client(client: &Client) -> String {
    Target::Client(client.client_id.clone()).tag(client.version)
}

/// The tags of a precondition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// `*`: any tag.
    Any,
    /// Any of these.
    These(Vec<String>),
}

/// The tag of a branding.
pub fn tag_of_branding(branding: &Branding) -> String {
    Target::Branding.tag(branding.version)
}

/// What servers that compress a response append to its tag: Apache's mod_deflate and mod_brotli, Jetty, and others.
const SUFFIXES: [&str; 5] = ["-gzip", "-br", "-zstd", ";gzip", "--gzip"];

impl Tags {
    fn has(&self, tag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|known| is_form_of(known, tag)),
        }
    }
}

/// Whether `known` is a tag, or the form of it that a compressing proxy made.
fn is_form_of(known: &str, tag: &str) -> bool {
    known.strip_prefix(tag).is_some_and(|suffix| suffix.is_empty() || SUFFIXES.contains(&suffix))
}

/// The preconditions of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// The current tag must be among these.
    pub if_match: Option<Tags>,
    /// The current tag must not be among these.
    pub if_none_match: Option<Tags>,
}

impl Condition {
    /// Whether the client already has the representation with `tag`.
    pub fn knows(&self, tag: &str) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| tags.has(tag))
    }

    fn allows(&self, tag: &str) -> bool {
        self.if_match.as_ref().is_none_or(|tags| tags.has(tag)) && !self.knows(tag)
    }
}

/// Checks preconditions against the database, in the transaction that writes. If the resource does not exist, the write
/// itself fails.
///
/// # Errors
/// [`Error::Precondition`].
pub(super) fn check(tx: &mut Tx<'_>, target: &Target, condition: &Condition) -> Result<()> {
    if *condition == Condition::default() {
        return Ok(());
    }
    let version = match target {
        Target::User(id) => users::version(tx, *id)?,
        Target::Group(id) => groups::version(tx, *id)?,
        Target::Branding => branding::version(tx)?,
        Target::Policy => policies::version(tx)?,
        Target::Client(id) => clients::version(tx, id)?,
    };
    match version {
        // A write creates it if there is none.
        None if *target == Target::Branding && condition.if_match.is_some() => Err(Error::Precondition),
        Some(version) if !condition.allows(&target.tag(version)) => Err(Error::Precondition),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_as_the_rfc_says() {
        let these = |tags: &[&str]| Some(Tags::These(tags.iter().map(|&tag| tag.to_owned()).collect()));
        for (if_match, if_none_match, is_allowed) in [
            (None, None, true),
            (Some(Tags::Any), None, true),
            (these(&["u1-1"]), None, false),
            (these(&["u1-1", "u1-2"]), None, true),
            (these(&[]), None, false),
            (None, Some(Tags::Any), false),
            (None, these(&["u1-1"]), true),
            (None, these(&["u1-2"]), false),
            (these(&["u1-2"]), these(&["u1-2"]), false),
            (these(&["u1-2-gzip"]), None, true),
            (these(&["u1-1", "u1-2-br"]), None, true),
            (these(&["u1-2-zstd"]), None, true),
            (these(&["u1-2;gzip"]), None, true),
            (these(&["u1-2--gzip"]), None, true),
            (None, these(&["u1-2-gzip"]), false),
            (these(&["u1-1-gzip"]), None, false),
            (these(&["u1-20"]), None, false),
            (these(&["u1-2-"]), None, false),
            (these(&["u1-2-gzip-gzip"]), None, false),
            (these(&["u1-2-gzip2"]), None, false),
            (these(&["-gzip"]), None, false),
        ] {
            let condition = Condition { if_match, if_none_match };
            assert_eq!(condition.allows("u1-2"), is_allowed, "{condition:?}");
        }
    }
}
