//! The members of request bodies, each declared once: [`Fields`] reads them, and a [`Shape`] makes a JSON Schema of them.
//!
//! A function over `&mut impl Members` requests the members of one kind of body. With `Fields` it parses a body; with a
//! `Shape` it describes one, so the two cannot differ. It requests every member before it uses any.

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

use crate::error::FieldError;
use crate::json::{Fields, Patch, Presence};
use crate::values::{ANY_TEXT, Text};

/// A member of a request's body.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// Its description.
    pub about: &'static str,
    /// A valid value; for lists, the only element.
    pub example: Option<&'static str>,
    /// The format of a text.
    pub text: &'static Text,
    /// Accepted only if its value is the current one.
    pub is_read_only: bool,
}

impl Property {
    /// A member of any kind.
    pub const fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about, example: None, text: &ANY_TEXT, is_read_only: false }
    }

    /// A text of this kind.
    #[must_use]
    pub const fn of(self, text: &'static Text) -> Self {
        Self { text, ..self }
    }

    /// Accepted only if its value is the current one, so that a response can be sent back.
    #[must_use]
    pub const fn read_only(self) -> Self {
        Self { is_read_only: true, ..self }
    }

    /// With an example.
    #[must_use]
    pub const fn like(self, example: &'static str) -> Self {
        Self { example: Some(example), ..self }
    }
}

/// Requests the members of a body one by one.
pub trait Members {
    /// A text; never `null`.
    fn text<T, E: Into<FieldError>>(
        &mut self,
        presence: Presence,
        member: &Property,
        check: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T>;

    /// An optional text; null clears it.
    fn nullable_text<T, E: Into<FieldError>>(
        &mut self,
        member: &Property,
        check: impl FnOnce(&str) -> Result<T, E>,
    ) -> Patch<T>;

    /// An optional boolean, or one as a string in any case of letters (B4).
    fn truth(&mut self, member: &Property) -> Option<bool>;

    /// An optional integer within `range`.
    fn integer(&mut self, member: &Property, range: RangeInclusive<i64>) -> Option<i64>;

    /// An optional id; null clears it.
    fn nullable_id(&mut self, member: &Property) -> Patch<i64>;

    /// An optional list of ids.
    fn ids(&mut self, member: &Property) -> Option<Vec<i64>>;

    /// A value of any kind; `schema` returns its JSON Schema.
    fn value<T>(
        &mut self,
        presence: Presence,
        member: &Property,
        schema: impl FnOnce() -> Value,
        read: impl FnOnce(&Value) -> Result<T, FieldError>,
    ) -> Option<T>;

    /// A member that is parsed elsewhere. Returns whether the body has it.
    fn pass(&mut self, presence: Presence, member: &Property, schema: impl FnOnce() -> Value) -> bool;

    /// A member that only responses have; see [`Fields::response_only`].
    fn response_only(&mut self, name: &'static str, expected: Option<Value>);

    /// A member that only responses have; see [`Fields::ignored`].
    fn ignored(&mut self, name: &'static str);

    /// Whether the body has the member, requested or not.
    fn has(&self, name: &str) -> bool;

    /// Records an error of a member.
    fn error(&mut self, name: &'static str, error: impl Into<FieldError>);
}

impl Members for Fields {
    fn text<T, E: Into<FieldError>>(
        &mut self,
        presence: Presence,
        member: &Property,
        check: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.string(presence, member.name, check)
    }

    fn nullable_text<T, E: Into<FieldError>>(
        &mut self,
        member: &Property,
        check: impl FnOnce(&str) -> Result<T, E>,
    ) -> Patch<T> {
        self.nullable(member.name, check)
    }

    fn truth(&mut self, member: &Property) -> Option<bool> {
        self.optional_bool(member.name)
    }

    fn integer(&mut self, member: &Property, range: RangeInclusive<i64>) -> Option<i64> {
        self.optional_integer(member.name, range)
    }

    fn nullable_id(&mut self, member: &Property) -> Patch<i64> {
        Self::nullable_id(self, member.name)
    }

    fn ids(&mut self, member: &Property) -> Option<Vec<i64>> {
        self.optional_ids(member.name)
    }

    fn value<T>(
        &mut self,
        presence: Presence,
        member: &Property,
        _: impl FnOnce() -> Value,
        read: impl FnOnce(&Value) -> Result<T, FieldError>,
    ) -> Option<T> {
        match presence {
            Presence::Optional if !Self::has(self, member.name) => None,
            _ => self.required_value(member.name, read),
        }
    }

    fn pass(&mut self, presence: Presence, member: &Property, _: impl FnOnce() -> Value) -> bool {
        let is_there = Self::pass(self, member.name);
        if presence == Presence::Required && !is_there {
            Self::error(self, member.name, ("required", "is required"));
        }
        is_there
    }

    fn response_only(&mut self, name: &'static str, expected: Option<Value>) {
        Self::response_only(self, name, expected);
    }

    fn ignored(&mut self, name: &'static str) {
        Self::ignored(self, name);
    }

    fn has(&self, name: &str) -> bool {
        Self::has(self, name)
    }

    fn error(&mut self, name: &'static str, error: impl Into<FieldError>) {
        Self::error(self, name, error);
    }
}

/// The JSON Schema of an object, made of the members that a function asks for.
#[derive(Debug)]
pub struct Shape {
    about: &'static str,
    properties: Map<String, Value>,
    required: Vec<&'static str>,
    is_change: bool,
    example: Option<Value>,
}

impl Shape {
    /// That of a body that makes something.
    pub fn of_new(about: &'static str) -> Self {
        Self { about, properties: Map::new(), required: Vec::new(), is_change: false, example: None }
    }

    /// That of a body that changes something: what is omitted stays as it is.
    pub fn of_change(about: &'static str) -> Self {
        Self { is_change: true, ..Self::of_new(about) }
    }

    /// With an example of the whole body, where those of its members together are none.
    #[must_use]
    pub fn like(self, example: Value) -> Self {
        Self { example: Some(example), ..self }
    }

    /// The schema of what `ask` asks for.
    pub fn asked<T>(mut self, ask: impl FnOnce(&mut Self) -> T) -> Value {
        ask(&mut self);
        let mut schema = Map::new();
        let mut say = |name: &str, value: Value| drop(schema.insert(name.to_owned(), value));
        say("type", json!("object"));
        say("description", json!(self.about));
        say("properties", Value::Object(self.properties));
        say("additionalProperties", json!(false));
        if !self.required.is_empty() {
            say("required", json!(self.required));
        }
        if let Some(example) = self.example {
            say("example", example);
        }
        Value::Object(schema)
    }

    fn add(&mut self, presence: Presence, is_nullable: bool, member: &Property, mut schema: Value) {
        if presence == Presence::Required {
            self.required.push(member.name);
        }
        let Some(keywords) = schema.as_object_mut() else { return };
        let omitted = match (self.is_change && presence == Presence::Optional, is_nullable) {
            (true, true) => " Omit to leave unchanged; null clears the value.",
            (true, false) => " Omit to leave unchanged.",
            _ => "",
        };
        let about = format!("{}{omitted}", member.about);
        if !about.is_empty() {
            keywords.insert(String::from("description"), json!(about.trim_start()));
        }
        if let Some(example) = member.example {
            // A text is itself; anything else is written as JSON.
            let is_text = keywords
                .get("type")
                .is_some_and(|kind| kind == "string" || kind == &json!(["string", "null"]));
            let value = match serde_json::from_str(example) {
                Ok(value) if !is_text => value,
                _ => json!(example),
            };
            keywords.insert(String::from("example"), value);
        }
        if member.is_read_only {
            keywords.insert(String::from("readOnly"), json!(true));
        }
        if is_nullable {
            let kind = keywords.get("type").cloned().unwrap_or_default();
            keywords.insert(String::from("type"), json!([kind, "null"]));
        }
        self.properties.insert(member.name.to_owned(), schema);
    }
}

impl Members for Shape {
    fn text<T, E: Into<FieldError>>(
        &mut self,
        presence: Presence,
        member: &Property,
        _: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.add(presence, false, member, member.text.schema());
        None
    }

    fn nullable_text<T, E: Into<FieldError>>(
        &mut self,
        member: &Property,
        _: impl FnOnce(&str) -> Result<T, E>,
    ) -> Patch<T> {
        self.add(Presence::Optional, true, member, member.text.schema());
        Patch::Absent
    }

    fn truth(&mut self, member: &Property) -> Option<bool> {
        self.add(Presence::Optional, false, member, json!({ "type": "boolean" }));
        None
    }

    fn integer(&mut self, member: &Property, range: RangeInclusive<i64>) -> Option<i64> {
        let schema =
            json!({ "type": "integer", "format": "int64", "minimum": range.start(), "maximum": range.end() });
        self.add(Presence::Optional, false, member, schema);
        None
    }

    fn nullable_id(&mut self, member: &Property) -> Patch<i64> {
        self.add(Presence::Optional, true, member, id_schema());
        Patch::Absent
    }

    fn ids(&mut self, member: &Property) -> Option<Vec<i64>> {
        self.add(Presence::Optional, false, member, json!({ "type": "array", "items": id_schema() }));
        None
    }

    fn value<T>(
        &mut self,
        presence: Presence,
        member: &Property,
        schema: impl FnOnce() -> Value,
        _: impl FnOnce(&Value) -> Result<T, FieldError>,
    ) -> Option<T> {
        self.add(presence, false, member, schema());
        None
    }

    fn pass(&mut self, presence: Presence, member: &Property, schema: impl FnOnce() -> Value) -> bool {
        self.add(presence, false, member, schema());
        true
    }

    fn response_only(&mut self, name: &'static str, _: Option<Value>) {
        let about = "Set by the server: omit it, or send it back as it was read.";
        self.properties.insert(name.to_owned(), json!({ "readOnly": true, "description": about }));
    }

    fn ignored(&mut self, name: &'static str) {
        let about = "Set by the server: ignored.";
        self.properties.insert(name.to_owned(), json!({ "readOnly": true, "description": about }));
    }

    fn has(&self, _: &str) -> bool {
        false
    }

    fn error(&mut self, _: &'static str, _: impl Into<FieldError>) {}
}

/// The JSON Schema of an id (B17).
pub fn id_schema() -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 1 })
}

/// The JSON Schema of a body that is a list of ids, as [`super::id_list`] reads it.
pub fn id_list_schema(about: &str) -> Value {
    json!({ "type": "array", "description": about, "items": id_schema(), "example": [2, 3] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::{LINE, group_name};

    const NAME: Property = Property::new("name", "What it is called.").of(&LINE).like("Tib");
    const OWNER: Property = Property::new("owner", "Whose it is.").like("2");
    const TAME: Property = Property::new("tame", "Whether it bites.");

    fn pet(from: &mut impl Members) -> Option<(String, Patch<i64>, Option<bool>)> {
        from.response_only("petId", None);
        let name = from.text(Presence::Required, &NAME, |text| group_name(text).map(str::to_owned));
        let owner = from.nullable_id(&OWNER);
        let tame = from.truth(&TAME);
        Some((name?, owner, tame))
    }

    #[test]
    fn one_function_reads_a_body_and_describes_it() {
        let mut fields = Fields::parse(br#"{"name":"Tib","owner":null,"tame":true}"#).unwrap();
        let read = pet(&mut fields);
        assert_eq!(fields.finish_with(|| read).unwrap(), (String::from("Tib"), Patch::Null, Some(true)));
        let schema = Shape::of_change("A pet.").asked(pet);
        assert_eq!(schema["required"], json!(["name"]));
        assert_eq!(schema["additionalProperties"], false);
        let properties = &schema["properties"];
        assert_eq!(properties["petId"]["readOnly"], true);
        assert_eq!(properties["name"]["maxLength"], 255);
        assert_eq!(properties["name"]["example"], "Tib");
        assert_eq!(properties["owner"]["type"], json!(["integer", "null"]));
        assert_eq!(properties["owner"]["example"], 2);
        let about = "Whose it is. Omit to leave unchanged; null clears the value.";
        assert_eq!(properties["owner"]["description"], about);
        assert_eq!(properties["tame"]["description"], "Whether it bites. Omit to leave unchanged.");
        let of_new = Shape::of_new("A pet.").asked(pet);
        assert_eq!(of_new["properties"]["tame"]["description"], "Whether it bites.");
    }
}
