//! What an evaluation asks, as it came: only the members that count are kept, so a question costs no map of its members.
//! Whether they are what they should be is found afterwards, all errors at once.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// What should be an object.
#[derive(Debug)]
pub(super) enum Read<T> {
    Object(T),
    /// Something else.
    Other,
}

/// A question, or what of it stands at the top of a batch.
#[derive(Debug, Default)]
pub(super) struct EvaluationRequest {
    pub(super) subject: Option<Read<Part>>,
    pub(super) action: Option<Read<Part>>,
    pub(super) resource: Option<Read<Part>>,
    /// The questions of a batch.
    pub(super) evaluations: Option<Value>,
    pub(super) options: Option<Value>,
}

/// A subject, a resource or an action.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) kind: Option<Value>,
    pub(super) id: Option<Value>,
    pub(super) name: Option<Value>,
}

/// The names of members that count somewhere.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Member {
    Subject,
    Action,
    Resource,
    Evaluations,
    Options,
    Type,
    Id,
    Name,
    #[serde(other)]
    Other,
}

/// Takes the members that count; of one that comes twice, the last. Others must be JSON all the same, so they are read.
trait Members: Default {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &Member, members: &mut A) -> Result<(), A::Error>;
}

impl Members for EvaluationRequest {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &Member, members: &mut A) -> Result<(), A::Error> {
        match name {
            Member::Subject => self.subject = Some(members.next_value()?),
            Member::Action => self.action = Some(members.next_value()?),
            Member::Resource => self.resource = Some(members.next_value()?),
            Member::Evaluations => self.evaluations = Some(members.next_value()?),
            Member::Options => self.options = Some(members.next_value()?),
            Member::Type | Member::Id | Member::Name | Member::Other => drop(members.next_value::<Value>()?),
        }
        Ok(())
    }
}

impl Members for Part {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &Member, members: &mut A) -> Result<(), A::Error> {
        match name {
            Member::Type => self.kind = Some(members.next_value()?),
            Member::Id => self.id = Some(members.next_value()?),
            Member::Name => self.name = Some(members.next_value()?),
            _ => drop(members.next_value::<Value>()?),
        }
        Ok(())
    }
}

impl<'de, T: Members> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader(PhantomData))
    }
}

/// Reads whatever comes: what is no object is no error here.
struct Reader<T>(PhantomData<T>);

impl<'de, T: Members> Visitor<'de> for Reader<T> {
    type Value = Read<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Read<T>, A::Error> {
        let mut object = T::default();
        while let Some(name) = members.next_key()? {
            object.take(&name, &mut members)?;
        }
        Ok(Read::Object(object))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Read<T>, A::Error> {
        while list.next_element::<Value>()?.is_some() {}
        Ok(Read::Other)
    }

    fn visit_unit<E>(self) -> Result<Read<T>, E> {
        Ok(Read::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Read<T>, E> {
        Ok(Read::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Read<T>, E> {
        Ok(Read::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Read<T>, E> {
        Ok(Read::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Read<T>, E> {
        Ok(Read::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Read<T>, E> {
        Ok(Read::Other)
    }
}
