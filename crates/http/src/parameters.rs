//! Parameters of requests, each declared once: readers take names and bounds from here, and so does the OpenAPI document.

use std::marker::PhantomData;

use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter as Document, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::{RefOr, Required, Schema};

use tenantry_core::json::id_schema;
use tenantry_core::values::{ANY_TEXT, ONE_LINE, Text};

/// A parameter of a request.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    about: &'static str,
    place: ParameterLocation,
    kind: ParameterKind,
    is_required: bool,
}

#[derive(Debug, Clone, Copy)]
enum ParameterLocation {
    Path,
    Query,
    Header,
}

#[derive(Debug, Clone, Copy)]
enum ParameterKind {
    Flag,
    Id,
    Ids,
    Integer(i64, i64),
    Text(&'static Text),
    Texts(&'static Text),
    OneOf(fn() -> Vec<&'static str>),
    AnyOf(fn() -> Vec<&'static str>),
    Names(fn() -> Vec<&'static str>),
}

impl Parameter {
    const fn query(name: &'static str, kind: ParameterKind, about: &'static str) -> Self {
        Self { name, about, place: ParameterLocation::Query, kind, is_required: false }
    }

    /// `true`, `false`, in any case of letters, or empty, which means true.
    pub const fn flag(name: &'static str, about: &'static str) -> Self {
        Self::query(name, ParameterKind::Flag, about)
    }

    /// Ids: the parameter may be repeated.
    pub const fn ids(name: &'static str, about: &'static str) -> Self {
        Self::query(name, ParameterKind::Ids, about)
    }

    /// An integer within these bounds.
    pub const fn integer(name: &'static str, least: i64, most: i64, about: &'static str) -> Self {
        Self::query(name, ParameterKind::Integer(least, most), about)
    }

    /// A text.
    pub const fn text(name: &'static str, text: &'static Text, about: &'static str) -> Self {
        Self::query(name, ParameterKind::Text(text), about)
    }

    /// Texts: the parameter may be repeated.
    pub const fn texts(name: &'static str, text: &'static Text, about: &'static str) -> Self {
        Self::query(name, ParameterKind::Texts(text), about)
    }

    /// One of these names.
    pub const fn one_of(name: &'static str, names: fn() -> Vec<&'static str>, about: &'static str) -> Self {
        Self::query(name, ParameterKind::OneOf(names), about)
    }

    /// Some of these names: the parameter may be repeated.
    pub const fn any_of(name: &'static str, names: fn() -> Vec<&'static str>, about: &'static str) -> Self {
        Self::query(name, ParameterKind::AnyOf(names), about)
    }

    /// Some of these names, separated by commas.
    pub const fn names(name: &'static str, names: fn() -> Vec<&'static str>, about: &'static str) -> Self {
        Self::query(name, ParameterKind::Names(names), about)
    }

    /// The order of a list.
    pub const fn sort_by(names: fn() -> Vec<&'static str>) -> Self {
        Self::one_of("sortBy", names, "The property to sort by; the first one by default.")
    }

    /// An id in the path.
    pub const fn path_id(name: &'static str, about: &'static str) -> Self {
        Self {
            place: ParameterLocation::Path,
            is_required: true,
            ..Self::query(name, ParameterKind::Id, about)
        }
    }

    /// A text in the path.
    pub const fn path_text(name: &'static str, text: &'static Text, about: &'static str) -> Self {
        Self { place: ParameterLocation::Path, is_required: true, ..Self::text(name, text, about) }
    }

    /// A header.
    pub const fn header(name: &'static str, text: &'static Text, about: &'static str) -> Self {
        Self { place: ParameterLocation::Header, ..Self::text(name, text, about) }
    }

    /// Makes the parameter required.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    /// The minimum and maximum of an integer.
    pub const fn bounds(&self) -> (i64, i64) {
        match self.kind {
            ParameterKind::Integer(least, most) => (least, most),
            _ => (i64::MIN, i64::MAX),
        }
    }

    /// Its JSON Schema.
    pub fn schema(&self) -> Value {
        let list = |items: Value| json!({ "type": "array", "items": items });
        let choice = |names: fn() -> Vec<&'static str>| json!({ "type": "string", "enum": names() });
        match self.kind {
            ParameterKind::Flag => json!({ "type": "boolean" }),
            ParameterKind::Id => id_schema(),
            ParameterKind::Ids => list(id_schema()),
            ParameterKind::Integer(least, most) => {
                json!({ "type": "integer", "format": "int64", "minimum": least, "maximum": most })
            }
            ParameterKind::Text(text) => text.schema(),
            ParameterKind::Texts(text) => list(text.schema()),
            ParameterKind::OneOf(names) => choice(names),
            ParameterKind::AnyOf(names) | ParameterKind::Names(names) => list(choice(names)),
        }
    }

    /// Its representation in the OpenAPI document.
    pub fn document(&self) -> Document {
        let place = match self.place {
            ParameterLocation::Path => ParameterIn::Path,
            ParameterLocation::Query => ParameterIn::Query,
            ParameterLocation::Header => ParameterIn::Header,
        };
        let schema: Option<RefOr<Schema>> = serde_json::from_value(self.schema()).ok();
        let style = matches!(self.kind, ParameterKind::Names(_)).then_some(ParameterStyle::Form);
        ParameterBuilder::new()
            .name(self.name)
            .parameter_in(place)
            .required(if self.is_required { Required::True } else { Required::False })
            .description(Some(self.about))
            .explode(style.as_ref().map(|_| false))
            .style(style)
            .schema(schema)
            .build()
    }
}

/// Implemented by what is parsed from parameters: names them.
pub trait ReadFrom {
    /// The parameters.
    const PARAMETERS: &'static [&'static Parameter];
}

/// Documents the parameters of an extractor: `params(Of<UserPath>)`.
#[derive(Debug)]
pub struct Of<T>(PhantomData<T>);

impl<T: ReadFrom> IntoParams for Of<T> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Document> {
        T::PARAMETERS.iter().map(|parameter| parameter.document()).collect()
    }
}

/// The page number.
pub static PAGE: Parameter =
    Parameter::integer("page", 0, i32::MAX as i64, "Page number, from 0. Not together with `cursor`.");
/// The page size.
pub static PAGE_SIZE: Parameter =
    Parameter::integer("pageSize", 1, 1_000, "The maximum number of rows per page; 10 by default.");
/// The cursor of a page.
pub static CURSOR: Parameter = Parameter::text(
    "cursor",
    &Text::like(1..=usize::MAX, "^[A-Za-z0-9_-]+$"),
    "The start of the page, from the `Link` of the previous page; instead of `page`. Repeat its other parameters.",
);
/// The direction of the order.
pub static DESCENDING: Parameter = Parameter::flag("descending", "Reverses the order.");
/// The search term.
pub static SEARCH: Parameter = Parameter::text(
    "search",
    &ONE_LINE,
    "Only rows that contain each of these words, at most 8, separated by spaces. Case does not matter; in lists of users, \
     accents do not either.",
);
/// Whether it is a dry run.
pub static DRY_RUN: Parameter = Parameter::flag(
    "dryRun",
    "Validates the request and changes nothing: errors and conflicts are reported as usual, success with `200` and a preview.",
);
/// The key that makes a request safe to retry.
pub static IDEMPOTENCY_KEY: Parameter = Parameter::header(
    "Idempotency-Key",
    &Text::like(1..=LONGEST_KEY, "^[!-~]+$"),
    "A unique key, such as a UUID. Repeating the request with the same key within 24 hours returns the first response, with `Idempotency-Replayed: true`; a different body with that key is `409`.",
);
/// Maximum length of an `Idempotency-Key`, in characters.
pub const LONGEST_KEY: usize = 255;
/// The precondition of a change.
pub static IF_MATCH: Parameter =
    Parameter::header("If-Match", &TAGS, "An `ETag`: if it is not current, nothing is changed (`412`).");
/// The version that the client has.
pub static IF_NONE_MATCH: Parameter = Parameter::header(
    "If-None-Match",
    &TAGS,
    "An `ETag`: if it is current, the response is `304` without a body.",
);
/// `*`, or a list of tags (RFC 9110 §13.1).
const TAGS: Text = Text::like(1..=usize::MAX, r#"^\s*(\*|(W/)?"[^"]*"(\s*,\s*(W/)?"[^"]*")*)\s*$"#);

/// A user.
pub static USER_ID: Parameter = Parameter::path_id("userId", "The user's id.");
/// A group.
pub static GROUP_ID: Parameter = Parameter::path_id("groupId", "The group's id.");
/// A partner.
pub static PARTNER_ID: Parameter = Parameter::path_id("pid", "The partner's id.");
/// A session.
pub static SESSION_ID: Parameter = Parameter::path_text(
    "sessionId",
    &Text::like(1..=usize::MAX, "^[A-Za-z0-9_-]+$"),
    "The session's id, as listed.",
);
/// A second factor.
pub static FACTOR_ID: Parameter = Parameter::path_text("factorId", &ANY_TEXT, "The factor's id, as listed.");
/// An OAuth client.
pub static CLIENT_ID: Parameter = Parameter::path_text("clientId", &ANY_TEXT, "The client's id, as listed.");
/// A secret of an OAuth client.
pub static SECRET_ID: Parameter = Parameter::path_id("secretId", "The secret's id, as listed.");
/// An object type.
pub static OBJECT_TYPE: Parameter =
    Parameter::path_text("objectType", &ANY_TEXT, "The name of the object type, as listed.");
