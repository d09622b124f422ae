//! The form of a user: its fields, what is wrong with them, and how it becomes the body of a request of the API.

use std::collections::HashMap;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use tenantry_core::error::{Conflict, Error, FieldError};
use tenantry_core::languages::Language;
use tenantry_core::model::{Status, User};
use tenantry_core::user_fields::{ProfileField, UserField};
use tenantry_core::values;
use tenantry_http::pages::PageForm;

/// The text fields of the form, in its order.
pub const FIELDS: [UserField; 9] = [
    UserField::Username,
    UserField::Profile(ProfileField::FirstName),
    UserField::Profile(ProfileField::LastName),
    UserField::Profile(ProfileField::DisplayName),
    UserField::Profile(ProfileField::Email),
    UserField::Profile(ProfileField::PhoneNumber),
    UserField::Profile(ProfileField::Title),
    UserField::Profile(ProfileField::ExternalId),
    UserField::Profile(ProfileField::Locale),
];

/// The name of a field, for people.
pub fn field_name(field: UserField, l: Language) -> &'static str {
    match field {
        UserField::Pid => "",
        UserField::UserId => text!(l, "console-user-id"),
        UserField::Username => text!(l, "field-username"),
        UserField::Status => text!(l, "console-status"),
        UserField::Profile(ProfileField::FirstName) => text!(l, "field-first-name"),
        UserField::Profile(ProfileField::LastName) => text!(l, "field-last-name"),
        UserField::Profile(ProfileField::Email) => text!(l, "field-email"),
        UserField::Profile(ProfileField::Title) => text!(l, "field-title"),
        UserField::Profile(ProfileField::PhoneNumber) => text!(l, "field-phone-number"),
        UserField::Profile(ProfileField::ExternalId) => text!(l, "console-external-id"),
        UserField::Profile(ProfileField::DisplayName) => text!(l, "field-display-name"),
        UserField::Profile(ProfileField::Locale) => text!(l, "language"),
        UserField::Groups => text!(l, "console-groups"),
        UserField::IsAdmin => text!(l, "console-is-admin"),
        UserField::CreatedAt => text!(l, "console-created"),
        UserField::UpdatedAt => text!(l, "console-updated"),
        UserField::LastLoginAt => text!(l, "console-last-login"),
    }
}

/// The name of a status, for people.
pub fn status_name(status: Status, l: Language) -> &'static str {
    match status {
        Status::Active => text!(l, "console-active"),
        Status::Inactive => text!(l, "console-inactive"),
        Status::Locked => text!(l, "console-locked"),
    }
}

fn hint(field: UserField, l: Language) -> Option<&'static str> {
    match field {
        UserField::Profile(ProfileField::DisplayName) => Some(text!(l, "console-display-name-hint")),
        UserField::Profile(ProfileField::ExternalId) => Some(text!(l, "console-external-id-hint")),
        UserField::Profile(ProfileField::Locale) => Some(text!(l, "console-locale-hint")),
        _ => None,
    }
}

fn is_optional(field: UserField) -> bool {
    matches!(field, UserField::Profile(field) if !field.spec().is_required)
}

fn kind(field: UserField) -> &'static str {
    match field {
        UserField::Profile(ProfileField::Email) => "email",
        UserField::Profile(ProfileField::PhoneNumber) => "tel",
        _ => "text",
    }
}

/// The value of a field as a form has it.
pub fn value_of(field: UserField, user: &User) -> &str {
    match field {
        UserField::Username => &user.username,
        UserField::Profile(field) => field.get(&user.profile).unwrap_or_default(),
        _ => "",
    }
}

/// What was typed, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Attempt {
    /// What was typed, by the name of the field.
    pub typed: HashMap<&'static str, String>,
    /// What the form began with.
    pub was: HashMap<&'static str, String>,
    /// Whether the user is to be a partner admin.
    pub is_admin: bool,
    /// Whether it was one when the form was opened.
    pub was_admin: bool,
    /// What is wrong.
    pub errors: Vec<FieldError>,
}

impl Attempt {
    /// Reads the form. Keyboards of phones add white space at the ends.
    pub fn read(form: &mut PageForm) -> Self {
        let mut attempt = Self::default();
        for field in FIELDS {
            let name = field.name();
            attempt.typed.insert(name, values::trim(&form.take(name)).to_owned());
            attempt.was.insert(name, form.take(&format!("was-{name}")).as_str().to_owned());
        }
        attempt.is_admin = form.is_checked("isAdmin");
        attempt.was_admin = form.is_checked("was-isAdmin");
        attempt
    }

    /// What was typed into a field.
    pub fn typed(&self, field: UserField) -> &str {
        self.typed.get(field.name()).map_or("", String::as_str)
    }

    /// Whether a field was changed.
    pub fn has_changed(&self, field: UserField) -> bool {
        self.was.get(field.name()).is_none_or(|was| was != self.typed(field))
    }

    /// It as the body of a request.
    pub fn body(&self, status: Status) -> Vec<u8> {
        let mut body = Map::new();
        for field in FIELDS {
            let typed = self.typed(field);
            let value = if typed.is_empty() && is_optional(field) { Value::Null } else { json!(typed) };
            body.insert(field.name().to_owned(), value);
        }
        body.insert(String::from("status"), json!(status));
        body.insert(String::from("isAdmin"), json!(self.is_admin));
        Value::Object(body).to_string().into_bytes()
    }

    /// Takes over changes that somebody else has made meanwhile, where they contradict nothing that was typed.
    pub fn rebase(&mut self, current: &User) {
        for field in FIELDS {
            if !self.has_changed(field) {
                self.typed.insert(field.name(), value_of(field, current).to_owned());
            }
            self.was.insert(field.name(), value_of(field, current).to_owned());
        }
        if self.is_admin == self.was_admin {
            self.is_admin = current.is_admin;
        }
        self.was_admin = current.is_admin;
    }
}

/// A field as the form shows it.
#[derive(Debug)]
pub struct FieldView {
    /// Its name in the API.
    pub name: &'static str,
    /// Its name.
    pub label: &'static str,
    /// What to know about it.
    pub hint: Option<&'static str>,
    /// The type of its input.
    pub kind: &'static str,
    /// Whether it can be empty.
    pub is_optional: bool,
    /// What is in it.
    pub value: String,
    /// What the form began with.
    pub was: String,
    /// What is wrong with it.
    pub problem: Option<String>,
}

impl FieldView {
    /// What describes it: its hint and its problem.
    pub fn described_by(&self) -> String {
        let hint = self.hint.map(|_| format!("{}-hint", self.name));
        let problem = self.problem.as_ref().map(|_| format!("{}-problem", self.name));
        hint.into_iter().chain(problem).collect::<Vec<_>>().join(" ")
    }
}

/// The fields of a form: of an attempt, or of the user as it is.
pub fn fields(user: Option<&User>, attempt: Option<&Attempt>, l: Language) -> Vec<FieldView> {
    let field_view = |field: UserField| {
        let current = user.map_or("", |user| value_of(field, user));
        let error = attempt.and_then(|attempt| {
            attempt.errors.iter().find(|error| error.field.strip_prefix('/') == Some(field.name()))
        });
        FieldView {
            name: field.name(),
            label: field_name(field, l),
            hint: hint(field, l),
            kind: kind(field),
            is_optional: is_optional(field),
            value: attempt.map_or(current, |attempt| attempt.typed(field)).to_owned(),
            was: attempt
                .and_then(|attempt| attempt.was.get(field.name()).cloned())
                .unwrap_or_else(|| current.to_owned()),
            problem: error.map(|error| problem(error, field, l)),
        }
    };
    FIELDS.map(field_view).into()
}

/// What is wrong with a field, for people.
fn problem(error: &FieldError, field: UserField, l: Language) -> String {
    let text = match (error.code, field) {
        ("empty" | "required", _) => text!(l, "problem-empty"),
        ("too-long", _) => text!(l, "problem-too-long"),
        ("username-taken", _) => text!(l, "problem-username-taken"),
        ("external-id-taken", _) => text!(l, "console-problem-external-id-taken"),
        (_, UserField::Username) => text!(l, "problem-username"),
        (_, UserField::Profile(ProfileField::Email)) => text!(l, "problem-email"),
        (_, UserField::Profile(ProfileField::Locale)) => text!(l, "console-problem-locale"),
        ("control-character", _) => text!(l, "problem-control-character"),
        ("invisible", _) => text!(l, "problem-invisible"),
        _ => text!(l, "problem-other"),
    };
    text.to_owned()
}

/// Why a change was refused, if people can do something about it: the status, errors of fields, and what to say.
///
/// # Errors
/// Any other error.
pub fn refusal(error: Error, l: Language) -> Result<(StatusCode, Vec<FieldError>, String), Error> {
    let fix = || text!(l, "problem-fix").to_owned();
    match error {
        Error::Invalid(errors) => Ok((StatusCode::BAD_REQUEST, errors, fix())),
        Error::Conflict(Conflict { code, detail, field, .. }) => match (field, code) {
            (Some(field), _) => Ok((StatusCode::CONFLICT, vec![FieldError::new(field, code, detail)], fix())),
            (None, "last-admin") => {
                Ok((StatusCode::CONFLICT, Vec::new(), text!(l, "console-problem-last-admin").to_owned()))
            }
            (None, "self-delete") => {
                Ok((StatusCode::CONFLICT, Vec::new(), text!(l, "console-problem-self-delete").to_owned()))
            }
            (None, _) => Ok((StatusCode::CONFLICT, Vec::new(), detail.into_owned())),
        },
        other => Err(other),
    }
}
