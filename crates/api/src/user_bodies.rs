//! Users as bodies show them: the response, and what requests may say. Schemas and readers are derived from the fields of
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

use crate::self_service::self_change;
use tenantry_core::clock::{Millis, rfc3339};
use tenantry_core::error::Result;
use tenantry_core::json::{Presence, Shape};
use tenantry_core::model::{PartnerId, Status, User};
use tenantry_core::user_fields::{ProfileField, UserField};
use tenantry_domain::conditions;
use tenantry_domain::user_records::{new_user, user_change};
use tenantry_http::responses::written;
use tenantry_http::state::AppState;
use tenantry_store::engine::cache::{ShownUser, UserRepresentation};

/// A user (B3).
#[derive(Debug, Clone, Copy)]
pub struct UserBody<'a> {
    user: &'a User,
    is_admin_as_string: bool,
}

impl<'a> UserBody<'a> {
    /// A user as every response shows it.
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
    let time = Some(SchemaFormat::KnownFormat(KnownFormat::DateTime));
    let nullable_text = || SchemaType::from_iter([Type::String, Type::Null]);
    let schema = match field {
        UserField::Groups => {
            let ids = ArrayBuilder::new().items(id());
            return ids.description(description).example(example).build().into();
        }
        UserField::Pid | UserField::UserId => id(),
        UserField::IsAdmin => of_type(Type::Boolean.into()),
        UserField::LastLoginAt => of_type(nullable_text()).format(time),
        UserField::CreatedAt | UserField::UpdatedAt => of_type(Type::String.into()).format(time),
        UserField::Status => of_type(Type::String.into()).enum_values(Some(Status::NAMES)),
        UserField::Profile(ProfileField::Email) => {
            of_type(Type::String.into()).format(Some(SchemaFormat::Custom(String::from("idn-email"))))
        }
        UserField::Profile(field) if !field.spec().is_required => of_type(nullable_text()),
        UserField::Username | UserField::Profile(_) => of_type(Type::String.into()),
    };
    schema.description(description).example(example).build().into()
}

impl PartialSchema for UserBody<'_> {
    fn schema() -> RefOr<Schema> {
        let mut schema = ObjectBuilder::new().description(Some("A user."));
        for field in UserField::ALL {
            let description = match field {
                UserField::Pid => "The partner it belongs to.",
                UserField::UserId => "Its id: positive, ascending with creation, never reused.",
                UserField::Username => {
                    "As typed. Unique on the server, compared by RFC 8265 UsernameCaseMapped."
                }
                UserField::Status => "Only ACTIVE users may log in.",
                UserField::Profile(field) => field.spec().description,
                UserField::Groups => "Ids of its groups, ascending.",
                UserField::IsAdmin => {
                    "Whether it is a partner admin. A string if the server runs with `is-admin-as-string`."
                }
                UserField::CreatedAt | UserField::UpdatedAt => "RFC 3339, UTC.",
                UserField::LastLoginAt => "RFC 3339, UTC; null if never.",
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

/// The schemas of request bodies that set fields of a user.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let patch = |about, example| Shape::of_change(about).like(example);
    let writes_back = "A value that was read can be sent back.";
    vec![
        ("CreateUser", Shape::of_new("A new user.").asked(|from| new_user(from, PartnerId(0)))),
        (
            "UpdateUser",
            Shape::of_change(writes_back).asked(|from| user_change(from, Presence::Required, None)),
        ),
        (
            "PatchUser",
            patch(
                "A merge patch (RFC 7396): only the given properties change.",
                json!({ "lastName": "King", "title": null }),
            )
            .asked(|from| user_change(from, Presence::Optional, None)),
        ),
        (
            "UpdateSelf",
            Shape::of_change(writes_back).asked(|from| self_change(from, Presence::Required, None)),
        ),
        (
            "PatchSelf",
            patch(
                "A merge patch of the logged-in user (RFC 7396): only the given properties change.",
                json!({ "phoneNumber": "+31 20 123 4567" }),
            )
            .asked(|from| self_change(from, Presence::Optional, None)),
        ),
    ]
}
