//! The sources of a permission in responses.

use serde::Serialize;
use utoipa::ToSchema;

use crate::permissions::ObjectIdBody;
use tenantry_core::model::{Grant, GroupId, NamedGroup, ObjectId, Source};

/// The source of a permission.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PermissionSource)]
pub struct SourceBody<'a> {
    /// The group that has it; null if the server grants partner admins all permissions.
    #[schema(required = true, value_type = Option<i64>)]
    group_id: Option<GroupId>,
    /// That group's name.
    #[schema(required = true)]
    group_name: Option<&'a str>,
    /// Groups: from the one that contains the user, up to the one that has it.
    path: Vec<PathGroupBody<'a>>,
    /// The wildcard that grants it.
    #[schema(required = true)]
    wildcard: Option<&'a str>,
    /// The object whose entry in the group's list grants it.
    #[schema(required = true, value_type = Option<ObjectIdBody>)]
    object_id: Option<&'a ObjectId>,
    /// `admins-have-all-permissions` if it is granted by that setting.
    #[schema(required = true)]
    setting: Option<&'static str>,
}

/// A group on the way from a user to a permission.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PathGroup)]
pub struct PathGroupBody<'a> {
    /// Its id.
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
