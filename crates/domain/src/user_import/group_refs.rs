//! The groups that rows refer to.

use std::collections::{HashMap, HashSet};

use tenantry_core::error::Result;
use tenantry_core::model::GroupId;
use tenantry_core::values::{fold, group_name, whole_number};
use tenantry_store::access::Admin;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::groups;

/// A reference to a group in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupRef {
    /// By id.
    Id(GroupId),
    /// By name.
    Name(String),
    /// Digits, which can be the name or the id.
    NameOrId(String),
}

/// Why a row cannot refer to a group so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupRefError {
    /// There is no such group.
    Unknown(String),
    /// It may be the id or a name.
    Ambiguous(String),
}

/// The id that digits can be.
fn group_id(digits: &str) -> Option<GroupId> {
    whole_number(digits).filter(|id| *id > 0).map(GroupId)
}

/// The groups of rows.
#[derive(Debug, Default)]
pub struct KnownGroups {
    unknown: HashSet<i64>,
    by_name: HashMap<String, GroupId>,
}

impl KnownGroups {
    /// Looks all of them up at once.
    ///
    /// # Errors
    /// None of its own.
    pub fn find(tx: &mut Tx<'_, Admin>, wanted: &[GroupRef]) -> Result<Self> {
        let (mut ids, mut names) = (Vec::new(), Vec::new());
        for group in wanted {
            match group {
                GroupRef::Id(id) => ids.push(*id),
                GroupRef::NameOrId(digits) => {
                    ids.extend(group_id(digits));
                    names.push(digits.clone());
                }
                // An invalid name does not exist, and PostgreSQL refuses NUL characters.
                GroupRef::Name(name) if group_name(name).is_err() => {}
                GroupRef::Name(name) => names.push(fold(name)),
            }
        }
        ids.sort_unstable();
        ids.dedup();
        names.sort_unstable();
        names.dedup();
        Ok(Self {
            unknown: groups::list_unknown(tx, &ids)?.into_iter().collect(),
            by_name: groups::find_named(tx, &names)?.into_iter().collect(),
        })
    }

    /// The id of a group. Digits are a name only if no group has them as its id: exports of earlier versions have the
    /// ids of another server.
    ///
    /// # Errors
    /// There is no such group, or it is ambiguous.
    pub fn resolve(&self, group: &GroupRef) -> Result<GroupId, GroupRefError> {
        let named = |name: &str| self.by_name.get(&fold(name)).copied();
        let unknown = |group: String| GroupRefError::Unknown(group);
        match group {
            GroupRef::Id(id) if self.unknown.contains(&id.0) => Err(unknown(id.0.to_string())),
            GroupRef::Id(id) => Ok(*id),
            GroupRef::Name(name) => named(name).ok_or_else(|| unknown(format!("\"{name}\""))),
            GroupRef::NameOrId(digits) => {
                if group_id(digits).is_some_and(|id| !self.unknown.contains(&id.0)) {
                    return Err(GroupRefError::Ambiguous(digits.clone()));
                }
                named(digits).ok_or_else(|| unknown(format!("\"{digits}\"")))
            }
        }
    }
}
