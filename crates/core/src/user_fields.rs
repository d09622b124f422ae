//! The fields of a user, each declared once.
//!
//! A `ProfileField` is a text field of a user, such as its title. Its declaration here determines its column, its
//! check, whether the search covers it and who may change it. Statements, readers of rows and bodies, CSV, exports,
//! sort orders, events and the schemas of the OpenAPI document are derived from that. A `UserField` is any field,
//! including those with rules of their own. Depends only on `clock`, `json`, `model` and `values`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value, json};

use crate::clock::rfc3339;
use crate::error::FieldError;
use crate::json::Property;
use crate::model::{Profile, User};
use crate::values::{self, EMAIL, LINE, LOCALE, OPTIONAL_LINE, Text};

/// The declaration of a profile field.
#[derive(Debug)]
pub struct ProfileSpec {
    /// The name in requests, responses, CSV, exports and events.
    pub name: &'static str,
    /// The column of `users`. NULL if the field is null.
    pub column: &'static str,
    /// The column of the folded key, by which users are sorted, searched and filtered (B26).
    pub key_column: &'static str,
    /// Every user has one: create and PUT require it, and it is never null. A field that is not required is null until
    /// it is set, and `null` clears it.
    pub is_required: bool,
    /// Search covers it (B27).
    pub is_searched: bool,
    /// Users can change their own. Otherwise only a partner admin can change it.
    pub is_self_editable: bool,
    /// Several users of a partner can have the same value.
    pub is_shareable: bool,
    /// What it looks like.
    pub text: &'static Text,
    /// The folded key of a value (B26).
    pub key: fn(&str) -> String,
    /// Checks a value and returns it unchanged (B19).
    pub check: fn(&str) -> Result<&str, FieldError>,
    /// A description for the OpenAPI document.
    pub description: &'static str,
    /// A valid value for the OpenAPI document.
    pub example: &'static str,
    get: fn(&Profile) -> Option<&str>,
    set: fn(&mut Profile, Option<String>),
}

impl ProfileSpec {
    /// It as a member of a request's body.
    pub const fn member(&self) -> Property {
        Property::new(self.name, self.description).of(self.text).like(self.example)
    }
}

/// A text field of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the field of that name")]
pub enum ProfileField {
    FirstName,
    LastName,
    Email,
    Title,
    PhoneNumber,
    ExternalId,
    DisplayName,
    Locale,
}

impl ProfileField {
    /// Every profile field, in the order of the columns.
    pub const ALL: [Self; 8] = [
        Self::FirstName,
        Self::LastName,
        Self::Email,
        Self::Title,
        Self::PhoneNumber,
        Self::ExternalId,
        Self::DisplayName,
        Self::Locale,
    ];

    /// Its declaration.
    pub const fn spec(self) -> &'static ProfileSpec {
        match self {
            Self::FirstName => &ProfileSpec {
                name: "firstName",
                column: "first_name",
                key_column: "first_name_key",
                is_required: true,
                is_searched: true,
                is_self_editable: true,
                is_shareable: true,
                text: &LINE,
                key: values::fold,
                check: values::person_name,
                description: "Given name.",
                example: "Ada",
                get: |profile| Some(&profile.first_name),
                set: |profile, value| profile.first_name = value.unwrap_or_default(),
            },
            Self::LastName => &ProfileSpec {
                name: "lastName",
                column: "last_name",
                key_column: "last_name_key",
                is_required: true,
                is_searched: true,
                is_self_editable: true,
                is_shareable: true,
                text: &LINE,
                key: values::fold,
                check: values::person_name,
                description: "Family name.",
                example: "Lovelace",
                get: |profile| Some(&profile.last_name),
                set: |profile, value| profile.last_name = value.unwrap_or_default(),
            },
            Self::Email => &ProfileSpec {
                name: "email",
                column: "email",
                key_column: "email_key",
                is_required: true,
                is_searched: true,
                is_self_editable: true,
                is_shareable: true,
                text: &EMAIL,
                key: values::email_key,
                check: values::email,
                description: "The e-mail address; not unique. Its domain may be internationalized.",
                example: "ada@example.com",
                get: |profile| Some(&profile.email),
                set: |profile, value| profile.email = value.unwrap_or_default(),
            },
            Self::Title => &ProfileSpec {
                name: "title",
                column: "title",
                key_column: "title_key",
                is_required: false,
                is_searched: true,
                is_self_editable: true,
                is_shareable: true,
                text: &OPTIONAL_LINE,
                key: values::fold,
                check: values::optional_text,
                description: "Job title.",
                example: "Engineer",
                get: |profile| profile.title.as_deref(),
                set: |profile, value| profile.title = value,
            },
            Self::PhoneNumber => &ProfileSpec {
                name: "phoneNumber",
                column: "phone_number",
                key_column: "phone_number_key",
                is_required: false,
                is_searched: true,
                is_self_editable: true,
                is_shareable: true,
                text: &OPTIONAL_LINE,
                key: values::fold,
                check: values::optional_text,
                description: "Telephone number, as typed.",
                example: "+31 20 123 4567",
                get: |profile| profile.phone_number.as_deref(),
                set: |profile, value| profile.phone_number = value,
            },
            Self::ExternalId => &ProfileSpec {
                name: "externalId",
                column: "external_id",
                key_column: "external_id_key",
                is_required: false,
                is_searched: true,
                is_self_editable: false,
                is_shareable: false,
                text: &LINE,
                key: values::fold,
                check: values::external_id,
                description: "The product's key of the user, unique in the partner.",
                example: "crm-4711",
                get: |profile| profile.external_id.as_deref(),
                set: |profile, value| profile.external_id = value,
            },
            Self::DisplayName => &ProfileSpec {
                name: "displayName",
                column: "display_name",
                key_column: "display_name_key",
                is_required: false,
                is_searched: true,
                is_self_editable: true,
                is_shareable: true,
                text: &OPTIONAL_LINE,
                key: values::fold,
                check: values::display_name,
                description: "The name to display instead of first and last name.",
                example: "Ada, Countess of Lovelace",
                get: |profile| profile.display_name.as_deref(),
                set: |profile, value| profile.display_name = value,
            },
            Self::Locale => &ProfileSpec {
                name: "locale",
                column: "locale",
                key_column: "locale_key",
                is_required: false,
                is_searched: false,
                is_self_editable: true,
                is_shareable: true,
                text: &LOCALE,
                key: values::fold,
                check: values::locale,
                description: "Language and region, as a BCP 47 tag such as en or pt-BR.",
                example: "en-GB",
                get: |profile| profile.locale.as_deref(),
                set: |profile, value| profile.locale = value,
            },
        }
    }

    /// The name in requests, responses, CSV, exports and events.
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    /// Finds a field by its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Its value in a profile.
    pub fn get(self, profile: &Profile) -> Option<&str> {
        (self.spec().get)(profile)
    }

    /// Sets a checked value. A required field is never null: `None` makes it empty.
    pub fn set(self, profile: &mut Profile, value: Option<String>) {
        (self.spec().set)(profile, value);
    }
}

/// A change of a profile: fields that are not named stay unchanged. It is serialized as an object with the names of the
/// API, for example in the entries of bulk operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileChange(Vec<(ProfileField, Option<String>)>);

impl ProfileChange {
    /// Sets a field, or clears it.
    pub fn set(&mut self, field: ProfileField, value: Option<String>) {
        self.0.retain(|(other, _)| *other != field);
        self.0.push((field, value));
    }

    /// Keeps only the fields for which `which` is true.
    #[must_use]
    pub fn only(mut self, which: impl Fn(&ProfileSpec) -> bool) -> Self {
        self.0.retain(|(field, _)| which(field.spec()));
        self
    }

    /// Applies the change.
    pub fn apply(&self, to: &mut Profile) {
        self.0.iter().for_each(|(field, value)| field.set(to, value.clone()));
    }
}

impl Serialize for ProfileChange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(field, value)| map.serialize_entry(field.name(), value))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for ProfileChange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = ProfileChange;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of profile fields")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<ProfileChange, A::Error> {
                let mut change = ProfileChange::default();
                while let Some(name) = members.next_key::<Cow<'de, str>>()? {
                    let Some(field) = ProfileField::parse(&name) else {
                        members.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    let value: Option<String> = members.next_value()?;
                    if value.is_some() || !field.spec().is_required {
                        change.set(field, value);
                    }
                }
                Ok(change)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A field of a user in responses (B3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the field of that name")]
pub enum UserField {
    Pid,
    UserId,
    Username,
    Status,
    Profile(ProfileField),
    Groups,
    IsAdmin,
    CreatedAt,
    UpdatedAt,
    LastLoginAt,
}

impl UserField {
    /// Every field, in the order of responses, CSV and exports.
    pub const ALL: [Self; 17] = [
        Self::Pid,
        Self::UserId,
        Self::Username,
        Self::Status,
        Self::Profile(ProfileField::FirstName),
        Self::Profile(ProfileField::LastName),
        Self::Profile(ProfileField::Email),
        Self::Profile(ProfileField::Title),
        Self::Profile(ProfileField::PhoneNumber),
        Self::Groups,
        Self::IsAdmin,
        Self::Profile(ProfileField::ExternalId),
        Self::Profile(ProfileField::DisplayName),
        Self::Profile(ProfileField::Locale),
        Self::CreatedAt,
        Self::UpdatedAt,
        Self::LastLoginAt,
    ];

    /// The name in requests, responses, CSV, exports and events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pid => "pid",
            Self::UserId => "userId",
            Self::Username => "username",
            Self::Status => "status",
            Self::Profile(field) => field.name(),
            Self::Groups => "groups",
            Self::IsAdmin => "isAdmin",
            Self::CreatedAt => "createdAt",
            Self::UpdatedAt => "updatedAt",
            Self::LastLoginAt => "lastLoginAt",
        }
    }

    /// Whether requests can set it; events have these fields. The server sets the others.
    pub const fn is_writable(self) -> bool {
        match self {
            Self::Username | Self::Status | Self::Profile(_) | Self::Groups | Self::IsAdmin => true,
            Self::Pid | Self::UserId | Self::CreatedAt | Self::UpdatedAt | Self::LastLoginAt => false,
        }
    }

    /// The fields that requests can set, in order.
    pub fn writable() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|field| field.is_writable())
    }

    /// The fields that an import takes and an export has, in order: those that requests can set, and the times that a
    /// user brings along.
    pub fn portable() -> impl Iterator<Item = Self> {
        let is_portable =
            |field: &Self| field.is_writable() || matches!(field, Self::CreatedAt | Self::LastLoginAt);
        Self::ALL.into_iter().filter(is_portable)
    }

    /// Its value for a user, as JSON.
    pub fn json(self, user: &User) -> Value {
        match self {
            Self::Pid => json!(user.pid),
            Self::UserId => json!(user.user_id),
            Self::Username => json!(user.username),
            Self::Status => json!(user.status),
            Self::Profile(field) => json!(field.get(&user.profile)),
            Self::Groups => json!(user.groups),
            Self::IsAdmin => json!(user.is_admin),
            Self::CreatedAt => json!(rfc3339(user.created_at)),
            Self::UpdatedAt => json!(rfc3339(user.updated_at)),
            Self::LastLoginAt => json!(user.last_login_at.map(rfc3339)),
        }
    }
}

/// These fields of a user as a JSON object.
pub fn to_json(user: &User, fields: impl IntoIterator<Item = UserField>) -> Value {
    let members: Map<String, Value> =
        fields.into_iter().map(|field| (field.name().to_owned(), field.json(user))).collect();
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_profile_field_is_a_field_of_users_and_declared_once() {
        let of_users: Vec<_> = UserField::ALL
            .into_iter()
            .filter_map(|field| match field {
                UserField::Profile(field) => Some(field),
                _ => None,
            })
            .collect();
        assert_eq!(of_users, ProfileField::ALL);
        let names: HashSet<_> = UserField::ALL.into_iter().map(UserField::name).collect();
        assert_eq!(names.len(), UserField::ALL.len());
        let columns = |spec: &'static ProfileSpec| [spec.column, spec.key_column];
        let columns: HashSet<_> = ProfileField::ALL.into_iter().flat_map(|f| columns(f.spec())).collect();
        assert_eq!(columns.len(), 2 * ProfileField::ALL.len());
    }

    #[test]
    fn setting_a_field_changes_no_other_field() {
        for field in ProfileField::ALL {
            let mut profile = Profile::default();
            field.set(&mut profile, Some(String::from("x")));
            for other in ProfileField::ALL {
                let expected =
                    if other == field { Some("x") } else { other.spec().is_required.then_some("") };
                assert_eq!(other.get(&profile), expected, "{field:?} {other:?}");
            }
            field.set(&mut profile, None);
            assert_eq!(profile, Profile::default(), "{field:?}");
        }
    }

    #[test]
    fn lengths_and_examples_agree_with_the_checks() {
        for field in ProfileField::ALL {
            let ProfileSpec { check, text: Text { length, .. }, example, .. } = field.spec();
            assert_eq!(check(example), Ok(*example), "{field:?}");
            assert_eq!(check("").is_ok(), *length.start() == 0, "{field:?}");
            assert_eq!(check(&"a".repeat(length.end() + 1)).unwrap_err().code, "too-long", "{field:?}");
        }
    }

    #[test]
    fn a_change_is_stored_with_the_names_of_the_api() {
        let mut change = ProfileChange::default();
        change.set(ProfileField::LastName, Some(String::from("King")));
        change.set(ProfileField::Title, Some(String::from("Dr")));
        change.set(ProfileField::Title, None);
        let text = serde_json::to_string(&change).unwrap();
        assert_eq!(text, r#"{"lastName":"King","title":null}"#);
        assert_eq!(serde_json::from_str::<ProfileChange>(&text).unwrap(), change);
        // As written by another version.
        let other = r#"{"shoeSize":[44],"firstName":null,"lastName":"King","title":null}"#;
        assert_eq!(serde_json::from_str::<ProfileChange>(other).unwrap(), change);
    }
}
