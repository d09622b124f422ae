//! Entity tags of users and groups, and preconditions (RFC 9110 §13).

use tenantry_core::error::{Error, Result};
use tenantry_core::model::{Group, GroupId, User, UserId};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::{groups, users};

/// The resource of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A user.
    User(UserId),
    /// A group.
    Group(GroupId),
}

impl Target {
    /// The tag of a version of it. It contains the resource, so that tags of different resources differ.
    pub fn tag(self, version: i64) -> String {
        match self {
            Self::User(id) => format!("u{id}-{version}"),
            Self::Group(id) => format!("g{id}-{version}"),
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

/// The tags of a precondition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// `*`: any tag.
    Any,
    /// Any of these.
    These(Vec<String>),
}

impl Tags {
    fn has(&self, tag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|known| known == tag),
        }
    }
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
pub(super) fn check(tx: &mut Tx<'_>, target: Target, condition: &Condition) -> Result<()> {
    if *condition == Condition::default() {
        return Ok(());
    }
    let version = match target {
        Target::User(id) => users::version(tx, id)?,
        Target::Group(id) => groups::version(tx, id)?,
    };
    match version {
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
        ] {
            let condition = Condition { if_match, if_none_match };
            assert_eq!(condition.allows("u1-2"), is_allowed, "{condition:?}");
        }
    }
}
