//! Where a permission comes from, as answers tell it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::permissions::ObjectIdBody;
use tenantry_core::model::{Grant, GroupId, NamedGroup, ObjectId, Source};

/// Where a permission comes from.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PermissionSource)]
pub struct SourceBody<'a> {
    /// The group that has it; null when the server says that partner admins may do everything.
    #[schema(required = true, value_type = Option<i64>)]
    group_id: Option<GroupId>,
    /// That group's name.
    #[schema(required = true)]
    group_name: Option<&'a str>,
    /// Groups: from the one that the user is in, up to the one that has it.
    path: Vec<PathGroupBody<'a>>,
    /// The wildcard that gives it.
    #[schema(required = true)]
    wildcard: Option<&'a str>,
    /// The object whose entry in the group's list gives it.
    #[schema(required = true, value_type = Option<ObjectIdBody>)]
    object_id: Option<&'a ObjectId>,
    /// `admins-have-all-permissions` where that setting gives it.
    #[schema(required = true)]
    setting: Option<&'static str>,
}

/// A group on the way from a user to a permission.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PathGroup)]
pub struct PathGroupBody<'a> {
    /// Its number.
    #[schema(value_type = i64, example = 8)]
    group_id: GroupId,
    /// Its name.
    #[schema(example = "Campaign team")]
    name: &'a str,
}

impl<'a> PathGroupBody<'a> {
    fn of(group: &'a NamedGroup) -> Self {
        Self { group_id: group.group_id, name: &group.name }
    }
}

impl<'a> SourceBody<'a> {
    pub(super) fn of(source: &'a Source) -> Self {
        match source {
            Source::Group { group_id, name, path, by } => {
                let (wildcard, object_id) = match by {
                    Grant::Wildcard(name) => (Some(name.as_str()), None),
                    Grant::Entry(id) => (None, Some(id)),
                };
                Self {
                    group_id: Some(*group_id),
                    group_name: Some(name),
                    path: path.iter().map(PathGroupBody::of).collect(),
                    wildcard,
                    object_id,
                    setting: None,
                }
            }
            Source::Admin => Self {
                group_id: None,
                group_name: None,
                path: Vec::new(),
                wildcard: None,
                object_id: None,
                setting: Some("admins-have-all-permissions"),
            },
        }
    }
}
