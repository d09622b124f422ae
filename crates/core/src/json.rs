//! Parsing JSON with all errors reported at once (B6): `Fields` parses an object, `id_list` a list of ids.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{Error, FieldError};
use crate::json::ids::Ids;
pub use crate::json::ids::{MAX_IDS, id_list};
pub use crate::json::lists::{name_list, object_list};
pub use crate::json::members::{Members, Property, Shape, id_list_schema, id_schema};
use crate::model::Status;
use crate::values::whole_number;

mod ids;
mod lists;
mod members;

/// Maximum number of members of a body's object: many times what any operation knows, and a bound on the work.
const MAX_FIELDS: usize = 100;

/// A field that can be omitted (unchanged), cleared (`null`) or set (B7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field is not in the body.
    Absent,
    /// The field is `null`.
    Null,
    /// The field has a value.
    Value(T),
}

impl<T> Patch<T> {
    /// The value for a create, where absent and null mean the same.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// The value after an update of `present`.
    pub fn or(self, present: Option<T>) -> Option<T> {
        match self {
            Self::Absent => present,
            Self::Null => None,
            Self::Value(value) => Some(value),
        }
    }
}

/// Whether a field is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Required (PUT).
    Required,
    /// Omit to leave unchanged (PATCH).
    Optional,
}

/// The fields of a JSON object, parsed one by one; errors are collected.
///
/// A reader that returns `None` for a required field has recorded an error, so [`Fields::finish_with`] can unwrap every
/// value with `?`.
#[derive(Debug)]
pub struct Fields {
    entries: Vec<Entry>,
    /// With the position of the field in the document, by which they are listed; missing fields come last.
    errors: Vec<(usize, FieldError)>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    value: Value,
    known: bool,
}

impl Fields {
    /// Parses an object.
    ///
    /// # Errors
    /// One error of the whole document (`field` is empty): it is not JSON, not an object, or has too many members.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let text = text(bytes, "an object")?;
        let members: ObjectMembers = serde_json::from_str(text).map_err(|e| syntax(&e, "an object"))?;
        let ObjectMembers { entries, doubled, too_many } = members;
        if too_many {
            let detail = format!("the object has more than {MAX_FIELDS} members");
            return Err(FieldError::new("", "too-many-fields", detail).into());
        }
        let error = |(place, name): (usize, String)| {
            (place, FieldError::new(pointer(&name), "duplicate-field", "is given more than once"))
        };
        let errors = doubled.into_iter().map(error).collect();
        Ok(Self { entries, errors })
    }

    /// A required string.
    pub fn required<T, E: Into<FieldError>>(
        &mut self,
        name: &'static str,
        check: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.must(name, |value| string(value, check))
    }

    /// An optional string that cannot be `null` (B30).
    pub fn optional<T, E: Into<FieldError>>(
        &mut self,
        name: &'static str,
        check: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.may(name, |value| string(value, check))
    }

    /// A string that is required or optional, and cannot be `null`.
    pub fn string<T, E: Into<FieldError>>(
        &mut self,
        presence: Presence,
        name: &'static str,
        check: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match presence {
            Presence::Required => self.required(name, check),
            Presence::Optional => self.optional(name, check),
        }
    }

    /// A string that can be omitted or cleared. An invalid one is recorded and returns [`Patch::Absent`].
    pub fn nullable<T, E: Into<FieldError>>(
        &mut self,
        name: &'static str,
        check: impl FnOnce(&str) -> Result<T, E>,
    ) -> Patch<T> {
        let patch = self.may(name, |value| match value {
            Value::Null => Ok(Patch::Null),
            value => string(value, check).map(Patch::Value),
        });
        patch.unwrap_or(Patch::Absent)
    }

    /// A required status, by name.
    pub fn required_status(&mut self, name: &'static str) -> Option<Status> {
        self.required(name, status)
    }

    /// An optional boolean, or one of the strings `"true"` and `"false"` in any case of letters (B4).
    pub fn optional_bool(&mut self, name: &'static str) -> Option<bool> {
        self.may(name, boolean)
    }

    /// As [`Fields::optional_bool`], but required.
    pub fn required_bool(&mut self, name: &'static str) -> Option<bool> {
        self.must(name, boolean)
    }

    /// An optional integer within `range`.
    pub fn optional_integer(&mut self, name: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        self.may(name, |value| integer(value, &range))
    }

    /// A required integer within `range`.
    pub fn required_integer(&mut self, name: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        self.must(name, |value| integer(value, &range))
    }

    /// An id, 1 to 2^63-1 (B17), that can be omitted or `null`.
    pub fn nullable_id(&mut self, name: &'static str) -> Patch<i64> {
        let patch = self.may(name, |value| match value {
            Value::Null => Ok(Patch::Null),
            value => id(value).map(Patch::Value),
        });
        patch.unwrap_or(Patch::Absent)
    }

    /// A required value of any type.
    pub fn required_value<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Result<T, FieldError>,
    ) -> Option<T> {
        self.must(name, read)
    }

    /// Spells a string differently, if there is one of this name.
    pub fn respell(&mut self, name: &str, spell: impl FnOnce(&str) -> String) {
        let entry = self.entries.iter_mut().find(|entry| entry.name == name);
        if let Some(Entry { value: Value::String(text), .. }) = entry {
            *text = spell(text);
        }
    }

    /// Marks a member as known; its value is parsed elsewhere, by [`members()`]. Returns whether the body has it.
    pub fn pass(&mut self, name: &'static str) -> bool {
        self.take(name).is_some()
    }

    /// Drops a field whatever its value. Call it before any field is parsed: errors are in the order of fields.
    pub fn ignore(&mut self, name: &str) {
        self.entries.retain(|entry| entry.name != name);
    }

    /// An optional list of ids, 1 to 2^63-1 (B17), returned in ascending order without duplicates (B30). Each invalid
    /// element is an error of its own, at `/<name>/<index>`.
    pub fn optional_ids(&mut self, name: &'static str) -> Option<Vec<i64>> {
        let (place, value) = self.take(name)?;
        let value = match value {
            value @ Value::Array(_) => value,
            other => {
                self.push_error(place, name, wrong_type("an array of ids", &other));
                return None;
            }
        };
        // Parsing from a value cannot fail: elements of every type are accepted and checked one by one.
        let ids = Ids::deserialize(value).unwrap_or_default();
        match ids.judge(&format!("/{name}")) {
            Ok(ids) => Some(ids),
            Err(errors) => {
                self.errors.extend(errors.into_iter().map(|error| (place, error)));
                None
            }
        }
    }

    /// As [`Fields::optional_ids`], but required.
    pub fn required_ids(&mut self, name: &'static str) -> Option<Vec<i64>> {
        if self.has(name) { self.optional_ids(name) } else { self.missing(name) }
    }

    /// A read-only field: ignored if it equals the resource's value, otherwise an error (B6). On a create `expected` is
    /// `None` or `null`: the field must be absent or null. An id may be a string of digits (B17).
    pub fn response_only(&mut self, name: &'static str, expected: Option<Value>) {
        let expected = expected.unwrap_or(Value::Null);
        if let Some((place, value)) = self.take(name)
            && !agrees(&value, &expected)
        {
            let detail = if expected.is_null() {
                "is set by the server: omit it"
            } else {
                "is set by the server and cannot be changed: omit it, or send the current value"
            };
            self.push_error(place, name, FieldError::from(("read-only", detail)));
        }
    }

    /// A read-only field that is ignored, whatever its value (B6): it can have changed since it was read.
    pub fn ignored(&mut self, name: &'static str) {
        self.take(name);
    }

    /// Whether the body has the field, parsed or not.
    pub fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.name == name)
    }

    /// Records an error of a field, for checks that only the handler can make.
    pub fn error(&mut self, name: &'static str, error: impl Into<FieldError>) {
        let place = self.entries.iter().position(|entry| entry.name == name).unwrap_or(usize::MAX);
        self.push_error(place, name, error.into());
    }

    /// Returns all errors: those of fields in the body, in its order, then missing fields in the order of parsing.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is any error, including unknown fields.
    pub fn finish(self) -> Result<(), Error> {
        self.finish_with(|| Some(()))
    }

    /// As [`Fields::finish`], then builds the result: `fields.finish_with(|| Some(NewUser { username: username?, .. }))`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is any error; [`Error::Internal`] if there is none and `build` returns `None`.
    pub fn finish_with<T>(mut self, build: impl FnOnce() -> Option<T>) -> Result<T, Error> {
        for (place, entry) in self.entries.iter().enumerate().filter(|(_, entry)| !entry.known) {
            let error = FieldError::new(pointer(&entry.name), "unknown-field", "is not a known field");
            self.errors.push((place, error));
        }
        if self.errors.is_empty() {
            return build().ok_or_else(|| Error::internal("a valid body lacks a value"));
        }
        // The sort is stable: errors of one field keep their order.
        self.errors.sort_by_key(|(place, _)| *place);
        Err(Error::Invalid(self.errors.into_iter().map(|(_, error)| error).collect()))
    }

    fn take(&mut self, name: &str) -> Option<(usize, Value)> {
        let (place, entry) = self.entries.iter_mut().enumerate().find(|(_, entry)| entry.name == name)?;
        entry.known = true;
        Some((place, std::mem::take(&mut entry.value)))
    }

    fn may<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Result<T, FieldError>,
    ) -> Option<T> {
        let (place, value) = self.take(name)?;
        read(&value).map_err(|error| self.push_error(place, name, error)).ok()
    }

    fn must<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Result<T, FieldError>,
    ) -> Option<T> {
        if self.has(name) { self.may(name, read) } else { self.missing(name) }
    }

    fn missing<T>(&mut self, name: &'static str) -> Option<T> {
        self.push_error(usize::MAX, name, FieldError::from(("required", "is required")));
        None
    }

    fn push_error(&mut self, place: usize, name: &str, error: FieldError) {
        self.errors.push((place, error.at(pointer(name))));
    }
}

/// The raw members of a body's object, to be parsed as separate documents: a [`Value`] would lose duplicate names in
/// them.
///
/// # Errors
/// As [`Fields::parse`].
pub fn members(bytes: &[u8]) -> Result<HashMap<String, &RawValue>, Error> {
    serde_json::from_str(text(bytes, "an object")?).map_err(|e| syntax(&e, "an object"))
}

/// The raw elements of a JSON array.
///
/// # Errors
/// One error of the whole array.
pub fn elements<'a>(array: &'a str, expected: &str) -> Result<Vec<&'a RawValue>, Error> {
    serde_json::from_str(array).map_err(|e| syntax(&e, expected))
}

/// Checks a status name, for [`Fields::required`] and similar functions.
///
/// # Errors
/// `unknown-status`, which names the three statuses.
pub fn status(name: &str) -> Result<Status, FieldError> {
    Status::parse(name)
        .ok_or_else(|| FieldError::from(("unknown-status", "must be \"ACTIVE\", \"INACTIVE\" or \"LOCKED\"")))
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// White space in JSON (RFC 8259 §2).
const WHITE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Maximum number of characters of an unknown member's name that an error repeats.
const MAX_NAME: usize = 255;

/// The JSON Pointer (RFC 6901 §3) of a member of the document. The name of an unknown member may be megabytes long: it
/// is truncated.
fn pointer(name: &str) -> Cow<'static, str> {
    if let Some((end, _)) = name.char_indices().nth(MAX_NAME) {
        let beginning = name.get(..end).unwrap_or_default();
        return format!("{}…", pointer(beginning)).into();
    }
    if name.contains(['~', '/']) {
        format!("/{}", name.replace('~', "~0").replace('/', "~1")).into()
    } else {
        format!("/{name}").into()
    }
}

/// The document as text, without a byte order mark (B6; RFC 8259 §8.1 allows to ignore one). serde_json would detect
/// invalid UTF-8 itself, but with a less clear error.
///
/// # Errors
/// It is not UTF-8, or empty.
pub fn text<'a>(bytes: &'a [u8], expected: &str) -> Result<&'a str, Error> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let detail = match bytes {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => String::from("the body is UTF-16: send it as UTF-8"),
            _ => format!("the body is not UTF-8 at byte {}", e.valid_up_to()),
        };
        FieldError::new("", "malformed-json", detail)
    })?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if text.trim_matches(WHITE).is_empty() {
        return Err(FieldError::new("", "empty-body", format!("the body is empty: send {expected}")).into());
    }
    Ok(text)
}

/// The error of a document that could not be parsed. The parser's syntax errors name a position and never repeat a
/// value; its type errors might, so they are not used.
pub fn syntax(error: &serde_json::Error, expected: &str) -> Error {
    if error.is_data() {
        FieldError::new("", "wrong-type", format!("the body must be {expected}")).into()
    } else {
        FieldError::new("", "malformed-json", format!("the body is not valid JSON: {error}")).into()
    }
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The error of a value that has the wrong type.
pub fn wrong_type(expected: &str, value: &Value) -> FieldError {
    FieldError::from(("wrong-type", format!("must be {expected}, but is {}", found(value))))
}

fn string<T, E: Into<FieldError>>(
    value: &Value,
    check: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, FieldError> {
    match value {
        Value::String(text) => check(text).map_err(Into::into),
        other => Err(wrong_type("a string", other)),
    }
}

fn boolean(value: &Value) -> Result<bool, FieldError> {
    match value {
        Value::Bool(value) => Ok(*value),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Value::String(_) => {
            Err(FieldError::from(("wrong-type", "must be true or false, but is another string")))
        }
        other => Err(wrong_type("true or false", other)),
    }
}

fn integer(value: &Value, range: &RangeInclusive<i64>) -> Result<i64, FieldError> {
    let Value::Number(number) = value else { return Err(wrong_type("an integer", value)) };
    // An integer beyond 64 bits is parsed as a float; it is out of range rather than fractional.
    let whole = !number.is_f64() || number.as_f64().is_some_and(|n| n.abs() >= i64::MAX as f64);
    match number.as_i64() {
        Some(n) if range.contains(&n) => Ok(n),
        _ if whole => {
            let detail = format!("must be from {} to {}", range.start(), range.end());
            Err(FieldError::from(("out-of-range", detail)))
        }
        _ => Err(FieldError::from(("wrong-type", "must be an integer, without fraction or exponent"))),
    }
}

/// An id, 1 to 2^63-1, also as a string of digits (B17).
fn id(value: &Value) -> Result<i64, FieldError> {
    const RANGE: RangeInclusive<i64> = 1..=i64::MAX;
    let Value::String(text) = value else { return integer(value, &RANGE) };
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match whole_number(text) {
        Some(id) if RANGE.contains(&id) => Ok(id),
        // Zero, or more than 64 bits.
        _ if is_number && (text == "0" || !text.starts_with('0')) => {
            Err(FieldError::from(("out-of-range", format!("must be from 1 to {}", i64::MAX))))
        }
        _ => Err(FieldError::from((
            "wrong-type",
            "must be an id: an integer, or a string of its digits without sign or leading zeros",
        ))),
    }
}

/// Whether a value of a body is the expected one; an id may be a string of digits (B17).
fn agrees(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Array(values), Value::Array(expected)) => {
            values.len() == expected.len() && values.iter().zip(expected).all(|(v, e)| agrees(v, e))
        }
        (Value::String(_), Value::Number(number)) => id(value).ok() == number.as_i64(),
        _ => value == expected,
    }
}

/// The members of the document's object, with duplicates kept apart.
struct ObjectMembers {
    entries: Vec<Entry>,
    doubled: Vec<(usize, String)>,
    too_many: bool,
}

impl<'de> Deserialize<'de> for ObjectMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = ObjectMembers;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ObjectMembers, A::Error> {
                let mut members = ObjectMembers { entries: Vec::new(), doubled: Vec::new(), too_many: false };
                while let Some(name) = map.next_key::<String>()? {
                    if members.too_many || members.entries.len() + members.doubled.len() == MAX_FIELDS {
                        members.too_many = true;
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let value = map.next_value()?;
                    match members.entries.iter().position(|entry| entry.name == name) {
                        Some(place) => members.doubled.push((place, name)),
                        None => members.entries.push(Entry { name, value, known: false }),
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests;
