//! Lists of objects and of names, as a whole body.

use serde::de::{
    Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer,
};
use serde_json::Value;

use crate::error::{Error, FieldError, Result};
use crate::json::ids::MAX_LISTED;
use crate::json::{Fields, ObjectMembers, pointer, syntax, text, wrong_type};

/// Parses a list of objects with `read`, which takes an element's index and fields; errors are at `/<index>/<field>`.
///
/// # Errors
/// One error of the whole document, or the first errors of its elements.
pub fn object_list<T>(bytes: &[u8], read: impl Fn(usize, Fields) -> Result<T>) -> Result<Vec<T>> {
    const EXPECTED: &str = "an array of objects";
    let elements: Vec<Element> =
        serde_json::from_str(text(bytes, EXPECTED)?).map_err(|e| syntax(&e, EXPECTED))?;
    let mut list = Vec::with_capacity(elements.len());
    let mut errors = Vec::new();
    for (index, element) in elements.into_iter().enumerate() {
        let found = match element {
            Element::Object(members) => Fields::of(members).and_then(|fields| read(index, fields)),
            Element::Other(value) => Err(wrong_type("an object", &value).into()),
        };
        match found {
            Ok(one) => list.push(one),
            Err(Error::Invalid(own)) => {
                let place = |error: FieldError| FieldError {
                    field: format!("/{index}{}", error.field).into(),
                    ..error
                };
                errors.extend(own.into_iter().map(place));
            }
            Err(other) => return Err(other),
        }
        if errors.len() >= MAX_LISTED {
            errors.truncate(MAX_LISTED);
            break;
        }
    }
    if errors.is_empty() { Ok(list) } else { Err(Error::Invalid(errors)) }
}

/// Parses a list of names without duplicates. `check` returns what is wrong with a name.
///
/// # Errors
/// As [`object_list`].
pub fn name_list(
    bytes: &[u8],
    check: impl Fn(&str) -> Option<(&'static str, String)>,
) -> Result<Vec<String>> {
    const EXPECTED: &str = "an array of names";
    let values: Vec<Value> =
        serde_json::from_str(text(bytes, EXPECTED)?).map_err(|e| syntax(&e, EXPECTED))?;
    let mut names: Vec<String> = Vec::new();
    let mut errors = Vec::new();
    for (index, value) in values.iter().enumerate() {
        match value.as_str() {
            Some(name) => match check(name) {
                Some((code, detail)) => errors.push(FieldError::new(format!("/{index}"), code, detail)),
                // There are few valid names, so this list stays short.
                None if names.iter().any(|n| n == name) => {}
                None => names.push(name.to_owned()),
            },
            None => {
                errors.push(wrong_type("a string", value).at(format!("/{index}")));
            }
        }
        if errors.len() >= MAX_LISTED {
            break;
        }
    }
    if errors.is_empty() { Ok(names) } else { Err(Error::Invalid(errors)) }
}

impl Fields {
    fn of(members: ObjectMembers) -> Result<Self> {
        let ObjectMembers { entries, doubled, too_many } = members;
        if too_many {
            return Err(FieldError::new("", "too-many-fields", "the object has too many members").into());
        }
        let error = |(place, name): (usize, String)| {
            (place, FieldError::new(pointer(&name), "duplicate-field", "is given more than once"))
        };
        Ok(Self { entries, errors: doubled.into_iter().map(error).collect() })
    }
}

/// An element of a list: its members if it is an object.
enum Element {
    Object(ObjectMembers),
    /// Any other value, as a placeholder of the same type.
    Other(Value),
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Element;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Element, E> {
                Ok(Element::Other(Value::Bool(value)))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Element, E> {
                Ok(Element::Other(Value::from(value)))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Element, E> {
                Ok(Element::Other(Value::from(value)))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Element, E> {
                Ok(Element::Other(Value::from(0)))
            }
            fn visit_str<E>(self, _: &str) -> Result<Element, E> {
                Ok(Element::Other(Value::String(String::new())))
            }
            fn visit_unit<E>(self) -> Result<Element, E> {
                Ok(Element::Other(Value::Null))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Element, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Element::Other(Value::Array(Vec::new())))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Element, A::Error> {
                ObjectMembers::deserialize(MapAccessDeserializer::new(map)).map(Element::Object)
            }
        }
        deserializer.deserialize_any(Any)
    }
}
