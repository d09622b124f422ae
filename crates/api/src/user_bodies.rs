//! Users as bodies show them: the answer, and what requests may say. Schemas and readers are derived from the fields of
//! users (`user_fields.rs`).

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::SerializeStruct as _;
use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::{PartialSchema, ToSchema};

use tenantry_core::clock::{Millis, rfc3339};
use tenantry_core::error::Result;
use tenantry_core::model::User;
use tenantry_core::user_fields::{ProfileField, UserField};
use tenantry_domain::conditions;
use tenantry_http::answers::written;
use tenantry_http::state::AppState;
use tenantry_store::engine::cache::{ShownUser, UserRepresentation};

/// A user (B3).
#[derive(Debug, Clone, Copy)]
pub struct UserBody<'a> {
    user: &'a User,
    is_admin_as_string: bool,
}

impl<'a> UserBody<'a> {
    /// A user as every answer shows it.
    pub(super) fn of(user: &'a User, app: &AppState) -> Self {
        Self { user, is_admin_as_string: app.settings().is_admin_as_string }
    }
}

/// Users as this API shows them by themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonUsers {
    is_admin_as_string: bool,
}

impl JsonUsers {
    pub(super) fn of(app: &AppState) -> Self {
        Self { is_admin_as_string: app.settings().is_admin_as_string }
    }
}

impl UserRepresentation for JsonUsers {
    fn show(&self, user: &User) -> Result<ShownUser> {
        let body = written(&UserBody { user, is_admin_as_string: self.is_admin_as_string })?.into();
        Ok(ShownUser { tag: conditions::tag_of_user(user), body })
    }
}

impl Serialize for UserBody<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let user = self.user;
        let mut body = serializer.serialize_struct("User", UserField::ALL.len())?;
        for field in &UserField::ALL {
            let name = field.name();
            match field {
                UserField::Pid => body.serialize_field(name, &user.pid),
                UserField::UserId => body.serialize_field(name, &user.user_id),
                UserField::Username => body.serialize_field(name, &user.username),
                UserField::Status => body.serialize_field(name, user.status.as_str()),
                UserField::Profile(field) => body.serialize_field(name, &field.get(&user.profile)),
                UserField::Groups => body.serialize_field(name, &user.groups),
                // For clients written to the letter (B4).
                UserField::IsAdmin if self.is_admin_as_string => {
                    body.serialize_field(name, if user.is_admin { "true" } else { "false" })
                }
                UserField::IsAdmin => body.serialize_field(name, &user.is_admin),
                UserField::CreatedAt => body.serialize_field(name, &Time(user.created_at)),
                UserField::UpdatedAt => body.serialize_field(name, &Time(user.updated_at)),
                UserField::LastLoginAt => body.serialize_field(name, &user.last_login_at.map(Time)),
            }?;
        }
        body.end()
    }
}

/// A time as RFC 3339.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(pub(super) Millis);

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(self.0))
    }
}

/// A body of a request that sets fields of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestKind {
    Create,
    Update,
    Patch,
    UpdateSelf,
    PatchSelf,
}

impl RequestKind {
    fn is_patch(self) -> bool {
        matches!(self, Self::Patch | Self::PatchSelf)
    }

    fn is_of_self(self) -> bool {
        matches!(self, Self::UpdateSelf | Self::PatchSelf)
    }

    fn takes(self, field: UserField) -> bool {
        match field {
            UserField::Profile(field) => !self.is_of_self() || field.spec().is_self_editable,
            UserField::Groups | UserField::IsAdmin => !self.is_of_self(),
            other => other.is_writable(),
        }
    }

    fn requires(self, field: UserField) -> bool {
        match field {
            _ if self.is_patch() => false,
            UserField::Username => self != Self::UpdateSelf,
            UserField::Status => true,
            UserField::Profile(field) => field.spec().is_required,
            _ => false,
        }
    }

    /// Beside what a field is: what is good there, and what it means to omit or clear it.
    fn description(self, field: UserField) -> Option<String> {
        let is_nullable = matches!(field, UserField::Profile(field) if !field.spec().is_required);
        let text = match (self, field) {
            (Self::Create, UserField::Username) => "1 to 255 characters; an e-mail address can be one.",
            (Self::Create, UserField::Status) => {
                "ACTIVE, INACTIVE or LOCKED. An ACTIVE user is mailed a temporary password."
            }
            (Self::Create, UserField::Groups) => "Ids of groups of this partner; none by default.",
            (Self::Create, UserField::IsAdmin) => "`true` or `false`, also as strings; false by default.",
            (Self::Create, UserField::Profile(field)) => return Some(field.spec().with_length()),
            (Self::UpdateSelf, UserField::Profile(ProfileField::Email)) => {
                "For a while after a change password mail still goes to the old address."
            }
            (Self::Patch | Self::PatchSelf, _) if is_nullable => "Null clears the value.",
            (Self::Patch, UserField::Groups) => "All groups from now on.",
            (Self::Update, UserField::Groups) => "All groups from now on; omit to leave unchanged.",
            _ if is_nullable => "Omit to leave unchanged; null clears the value.",
            _ if self.is_patch() || self.requires(field) => return None,
            _ => "Omit to leave unchanged.",
        };
        Some(text.to_owned())
    }

    /// Together they are the example of the whole body. That of a patch names little.
    fn example(self, field: UserField) -> Option<Value> {
        match (self, field) {
            (Self::Update | Self::Patch | Self::UpdateSelf, UserField::Profile(ProfileField::LastName)) => {
                Some(json!("King"))
            }
            (Self::Patch, UserField::Profile(ProfileField::Title)) => Some(Value::Null),
            (Self::PatchSelf, UserField::Profile(field @ ProfileField::PhoneNumber)) => {
                Some(json!(field.spec().example))
            }
            (Self::UpdateSelf, UserField::Username) => example(field),
            _ if self.requires(field) => example(field),
            _ => None,
        }
    }

    fn schema(self, description: &str) -> RefOr<Schema> {
        let mut schema = ObjectBuilder::new().description(Some(description));
        for field in UserField::writable().filter(|field| self.takes(*field)) {
            schema =
                schema.property(field.name(), property(field, self.description(field), self.example(field)));
            if self.requires(field) {
                schema = schema.required(field.name());
            }
        }
        schema.build().into()
    }
}

/// An example of a field, as JSON. None for one that may be null.
fn example(field: UserField) -> Option<Value> {
    Some(match field {
        UserField::Pid => json!(1),
        UserField::UserId => json!(2),
        UserField::Username => json!("ada"),
        UserField::Status => json!("ACTIVE"),
        UserField::Profile(field) if field.spec().is_required => json!(field.spec().example),
        UserField::IsAdmin => json!(false),
        UserField::CreatedAt | UserField::UpdatedAt => json!("2026-11-23T09:00:00.000Z"),
        UserField::Profile(_) | UserField::Groups | UserField::LastLoginAt => return None,
    })
}

/// An example of these fields, with null where there is nothing to show.
pub(super) fn example_of(fields: impl IntoIterator<Item = UserField>) -> Map<String, Value> {
    let empty = |field| if field == UserField::Groups { json!([]) } else { Value::Null };
    let member = |field: UserField| (field.name().to_owned(), example(field).unwrap_or_else(|| empty(field)));
    fields.into_iter().map(member).collect()
}

/// The schema of a field.
#[expect(
    deprecated,
    reason = "derived schemas say `example`, too, of which src/openapi/common.rs makes examples"
)]
fn property(field: UserField, description: Option<String>, example: Option<Value>) -> Schema {
    let id = || {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
    };
    let of_type = |schema_type: SchemaType| ObjectBuilder::new().schema_type(schema_type);
    let nullable_text = || SchemaType::from_iter([Type::String, Type::Null]);
    let schema = match field {
        UserField::Groups => {
            let ids = ArrayBuilder::new().items(id());
            return ids.description(description).example(example).build().into();
        }
        UserField::Pid | UserField::UserId => id(),
        UserField::IsAdmin => of_type(Type::Boolean.into()),
        UserField::LastLoginAt => of_type(nullable_text()),
        UserField::Profile(field) if !field.spec().is_required => of_type(nullable_text()),
        UserField::Username
        | UserField::Status
        | UserField::Profile(_)
        | UserField::CreatedAt
        | UserField::UpdatedAt => of_type(Type::String.into()),
    };
    schema.description(description).example(example).build().into()
}

impl PartialSchema for UserBody<'_> {
    fn schema() -> RefOr<Schema> {
        let mut schema = ObjectBuilder::new().description(Some("A user."));
        for field in UserField::ALL {
            let description = match field {
                UserField::Pid => "The partner it belongs to.",
                UserField::UserId => "Its number: positive, ascending with creation, never used again.",
                UserField::Username => {
                    "As typed. Unique on the whole server, compared by RFC 8265 UsernameCaseMapped."
                }
                UserField::Status => "Only ACTIVE users may log in.",
                UserField::Profile(field) => field.spec().description,
                UserField::Groups => "Ids of its groups, ascending.",
                UserField::IsAdmin => {
                    "Whether it is a partner admin. A string if the server runs with `is-admin-as-string`."
                }
                UserField::CreatedAt | UserField::UpdatedAt => "RFC 3339, UTC.",
                UserField::LastLoginAt => "RFC 3339, UTC; null = never.",
            };
            let property = property(field, Some(description.to_owned()), example(field));
            schema = schema.property(field.name(), property).required(field.name());
        }
        schema.build().into()
    }
}

impl ToSchema for UserBody<'_> {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("User")
    }
}

/// The body of a create (A1, B30).
#[derive(Debug)]
pub enum CreateUser {}

/// The body of an update (A2, B7).
#[derive(Debug)]
pub enum UpdateUser {}

/// The body of a merge patch (RFC 7396).
#[derive(Debug)]
pub enum PatchUser {}

/// The body of a self-update (A3, B9).
#[derive(Debug)]
pub enum UpdateSelf {}

/// The body of a merge patch of oneself (RFC 7396).
#[derive(Debug)]
pub enum PatchSelf {}

impl PartialSchema for CreateUser {
    fn schema() -> RefOr<Schema> {
        RequestKind::Create.schema("The body of a create.")
    }
}
impl PartialSchema for UpdateUser {
    fn schema() -> RefOr<Schema> {
        RequestKind::Update.schema("The body of an update. What was read can be written back.")
    }
}
impl PartialSchema for PatchUser {
    fn schema() -> RefOr<Schema> {
        RequestKind::Patch.schema("The body of a merge patch (RFC 7396): only what is named changes.")
    }
}
impl PartialSchema for UpdateSelf {
    fn schema() -> RefOr<Schema> {
        RequestKind::UpdateSelf.schema("The body of a self-update.")
    }
}
impl PartialSchema for PatchSelf {
    fn schema() -> RefOr<Schema> {
        RequestKind::PatchSelf.schema("The body of a merge patch of oneself (RFC 7396).")
    }
}

impl ToSchema for CreateUser {}
impl ToSchema for UpdateUser {}
impl ToSchema for PatchUser {}
impl ToSchema for UpdateSelf {}
impl ToSchema for PatchSelf {}
