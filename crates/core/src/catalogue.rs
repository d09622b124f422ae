//! The permission catalogue: the object types, the permissions on a single object of each, the wildcards on all of
//! them, and what each wildcard grants (contract, part C).

use serde_json::{Map, Value, json};

/// Maximum number of types in a catalogue, and of names in each list of a type.
const MAX_NAMES: usize = 1_000;
/// Maximum length of a name, in characters.
const MAX_NAME: usize = 100;

/// An object type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectType {
    /// Its name.
    pub name: String,
    /// Permissions that a group can have on a single object.
    pub per_object: Vec<String>,
    /// Permissions that a group can have on all objects.
    pub wildcards: Vec<Wildcard>,
}

/// A permission on all objects of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard {
    /// Its name, unique in the catalogue.
    pub name: String,
    /// The per-object permissions that it grants on every object of its type; possibly none.
    pub grants: Vec<String>,
}

impl ObjectType {
    /// Whether a group can have this permission on one object.
    pub fn has_permission(&self, name: &str) -> bool {
        self.per_object.iter().any(|p| p == name)
    }

    /// Whether the type has this wildcard.
    pub fn has_wildcard(&self, name: &str) -> bool {
        self.wildcards.iter().any(|w| w.name == name)
    }

    /// The wildcards that allow `action` on every object: those that grant it, and the one of that name.
    pub fn wildcards_for<'a>(&'a self, action: &'a str) -> impl Iterator<Item = &'a str> {
        let allows = move |w: &&Wildcard| w.name == action || w.grants.iter().any(|p| p == action);
        self.wildcards.iter().filter(allows).map(|w| w.name.as_str())
    }

    /// Whether `action` is a permission or a wildcard of the type.
    pub fn knows(&self, action: &str) -> bool {
        self.has_permission(action) || self.has_wildcard(action)
    }
}

/// All object types, in the order in which responses list them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    types: Vec<ObjectType>,
}

/// A wildcard and what it grants.
type DefaultWildcard = (&'static str, &'static [&'static str]);
/// A type, its per-object permissions and its wildcards.
type DefaultType = (&'static str, &'static [&'static str], &'static [DefaultWildcard]);

/// The default catalogue, as in the contract.
#[rustfmt::skip]
const DEFAULT: &[DefaultType] = &[
    ("SEGMENT", &["READ", "WRITE", "CREATE", "DELETE", "MAP_TO_MODELS", "MAP_TO_DESTINATION"], &[
        ("VIEW_ALL_SEGMENTS", &["READ"]),
        ("EDIT_ALL_SEGMENTS", &["WRITE"]),
        ("CREATE_ALL_SEGMENTS", &["CREATE"]),
        ("DELETE_ALL_SEGMENTS", &["DELETE"]),
        ("MAP_ALL_SEGMENTS_TO_MODELS", &["MAP_TO_MODELS"]),
        ("MAP_ALL_TO_DESTINATIONS", &["MAP_TO_DESTINATION"]),
    ]),
    ("TRAIT", &["READ", "WRITE", "CREATE", "DELETE", "MAP_TO_SEGMENTS", "MAP_TO_MODELS"], &[
        ("MAP_ALL_TRAITS_TO_MODELS", &["MAP_TO_MODELS"]),
        ("EDIT_ALL_TRAITS", &["WRITE"]),
        ("VIEW_ALL_TRAITS", &["READ"]),
        ("DELETE_ALL_TRAITS", &["DELETE"]),
        ("CREATE_ALL_ALGO_TRAITS", &[]),
        ("MAP_ALL_TO_SEGMENTS", &["MAP_TO_SEGMENTS"]),
        ("CREATE_ALL_TRAITS", &["CREATE"]),
    ]),
    ("DESTINATION", &["READ", "WRITE", "CREATE", "DELETE"], &[
        ("EDIT_ALL_DESTINATIONS", &["WRITE"]),
        ("CREATE_DESTINATIONS", &["CREATE"]),
        ("VIEW_ALL_DESTINATIONS", &["READ"]),
        ("DELETE_ALL_DESTINATIONS", &["DELETE"]),
    ]),
    ("DERIVED_SIGNALS", &[], &[
        ("VIEW_DERIVED_SIGNALS", &[]),
        ("CREATE_DERIVED_SIGNALS", &[]),
        ("EDIT_DERIVED_SIGNALS", &[]),
        ("DELETE_DERIVED_SIGNALS", &[]),
    ]),
    ("TAGS", &[], &[("VIEW_TAGS", &[])]),
];

impl Default for Catalogue {
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let types = DEFAULT.iter().map(|(name, per_object, wildcards)| ObjectType {
            name: (*name).to_owned(),
            per_object: owned(per_object),
            wildcards: wildcards
                .iter()
                .map(|(name, grants)| Wildcard { name: (*name).to_owned(), grants: owned(grants) })
                .collect(),
        });
        Self { types: types.collect() }
    }
}

impl Catalogue {
    /// All types.
    pub fn types(&self) -> &[ObjectType] {
        &self.types
    }

    /// Finds a type by its name.
    pub fn object_type(&self, name: &str) -> Option<&ObjectType> {
        self.types.iter().find(|t| t.name == name)
    }

    /// Finds the type that a wildcard belongs to.
    pub fn type_of_wildcard(&self, wildcard: &str) -> Option<&ObjectType> {
        self.types.iter().find(|t| t.has_wildcard(wildcard))
    }

    /// Those of `names` that are wildcards of this catalogue, in its order. A group may still have wildcards of a
    /// replaced catalogue, which grant nothing.
    pub fn known_wildcards<'a>(&'a self, names: &[String]) -> Vec<&'a str> {
        let all = self.types.iter().flat_map(|t| &t.wildcards);
        all.filter(|w| names.contains(&w.name)).map(|w| w.name.as_str()).collect()
    }

    /// The catalogue in the form of the configuration: an object of types, each with `perObject`, a list of names, and
    /// `wildcards`, an object of what each of them grants.
    pub fn to_json(&self) -> Value {
        let types = self.types.iter().map(|t| {
            let wildcards = t.wildcards.iter().map(|w| (w.name.clone(), json!(w.grants)));
            let wildcards: Map<String, Value> = wildcards.collect();
            (t.name.clone(), json!({ "perObject": t.per_object, "wildcards": wildcards }))
        });
        Value::Object(types.collect())
    }

    /// Parses the output of [`Catalogue::to_json`].
    ///
    /// # Errors
    /// All problems at once, each with its path.
    pub fn from_json(value: &Value) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let Value::Object(types) = value else {
            return Err(vec![String::from("it must be an object of object types")]);
        };
        if types.is_empty() || types.len() > MAX_NAMES {
            problems.push(format!("it must have 1 to {MAX_NAMES} object types, but has {}", types.len()));
        }
        let types: Vec<_> = types.iter().map(|(name, value)| read_type(name, value, &mut problems)).collect();
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for (object_type, wildcard) in types.iter().flat_map(|t| t.wildcards.iter().map(move |w| (t, w))) {
            let name = wildcard.name.as_str();
            if let Some((_, other)) = seen.iter().find(|(seen, _)| *seen == name) {
                problems.push(format!(
                    "wildcard {name} is in {other} and in {}: its name must be unique, since groups have wildcards \
                     by name alone",
                    object_type.name
                ));
            }
            seen.push((name, &object_type.name));
        }
        if problems.is_empty() { Ok(Self { types }) } else { Err(problems) }
    }
}

fn read_type(name: &str, value: &Value, problems: &mut Vec<String>) -> ObjectType {
    let mut read = ObjectType { name: name.to_owned(), per_object: Vec::new(), wildcards: Vec::new() };
    check_name("object type", name, problems);
    let Value::Object(members) = value else {
        problems.push(format!("object type {name} must be an object with perObject and wildcards"));
        return read;
    };
    for (key, value) in members {
        match (key.as_str(), value) {
            ("perObject", value) => {
                read.per_object = read_names(&format!("{name}.perObject"), value, problems);
            }
            ("wildcards", Value::Object(wildcards)) => {
                read.wildcards = wildcards
                    .iter()
                    .map(|(wildcard, grants)| Wildcard {
                        name: wildcard.clone(),
                        grants: read_names(&format!("{name}.wildcards.{wildcard}"), grants, problems),
                    })
                    .collect();
            }
            ("wildcards", _) => problems.push(format!(
                "{name}.wildcards must be an object: the name of each wildcard with the list of what it grants"
            )),
            (other, _) => {
                problems
                    .push(format!("{name} has an unknown member {other}: it has perObject and wildcards"));
            }
        }
    }
    check_type(&read, problems);
    read
}

fn check_type(read: &ObjectType, problems: &mut Vec<String>) {
    let name = &read.name;
    if read.per_object.is_empty() && read.wildcards.is_empty() {
        problems.push(format!("object type {name} has neither perObject nor wildcards"));
    }
    if read.wildcards.len() > MAX_NAMES {
        problems.push(format!("{name} has more than {MAX_NAMES} wildcards"));
    }
    for wildcard in &read.wildcards {
        check_name("wildcard", &wildcard.name, problems);
        if read.has_permission(&wildcard.name) {
            problems.push(format!(
                "{name} has {} both in perObject and as a wildcard: evaluations could not tell them apart",
                wildcard.name
            ));
        }
        for granted in wildcard.grants.iter().filter(|p| !read.has_permission(p)) {
            problems.push(format!(
                "{name}.wildcards.{} grants {granted}, which is not in {name}.perObject",
                wildcard.name
            ));
        }
    }
}

fn read_names(place: &str, value: &Value, problems: &mut Vec<String>) -> Vec<String> {
    let Value::Array(list) = value else {
        problems.push(format!("{place} must be a list of names"));
        return Vec::new();
    };
    if list.len() > MAX_NAMES {
        problems.push(format!("{place} has more than {MAX_NAMES} names"));
    }
    let mut names: Vec<String> = Vec::new();
    for value in list {
        match value.as_str() {
            Some(name) if names.iter().any(|n| n == name) => {
                problems.push(format!("{place} has {name} twice"))
            }
            Some(name) => {
                check_name("permission", name, problems);
                names.push(name.to_owned());
            }
            None => problems.push(format!("{place} has {value}, which is not a string")),
        }
    }
    names
}

/// Names occur in paths and in lists separated by spaces.
fn check_name(what: &str, name: &str, problems: &mut Vec<String>) {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"_-.:".contains(&b);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(good) {
        problems.push(format!(
            "{what} {name:?} is not a valid name: use 1 to {MAX_NAME} characters of A-Z a-z 0-9 _ - . :"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_catalogue_of_the_contract() {
        let catalogue = Catalogue::default();
        let names: Vec<_> = catalogue.types().iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["SEGMENT", "TRAIT", "DESTINATION", "DERIVED_SIGNALS", "TAGS"]);
        let segment = catalogue.object_type("SEGMENT").unwrap();
        assert_eq!(segment.wildcards_for("READ").collect::<Vec<_>>(), ["VIEW_ALL_SEGMENTS"]);
        assert_eq!(segment.wildcards_for("VIEW_ALL_SEGMENTS").collect::<Vec<_>>(), ["VIEW_ALL_SEGMENTS"]);
        let traits = catalogue.object_type("TRAIT").unwrap();
        assert_eq!(traits.wildcards_for("CREATE").collect::<Vec<_>>(), ["CREATE_ALL_TRAITS"]);
        assert_eq!(traits.wildcards_for("MAP_TO_SEGMENTS").collect::<Vec<_>>(), ["MAP_ALL_TO_SEGMENTS"]);
        assert!(catalogue.object_type("TAGS").unwrap().per_object.is_empty());
        assert_eq!(catalogue.type_of_wildcard("VIEW_TAGS").unwrap().name, "TAGS");
    }

    #[test]
    fn a_written_catalogue_parses_to_the_same() {
        let catalogue = Catalogue::default();
        assert_eq!(Catalogue::from_json(&catalogue.to_json()), Ok(catalogue));
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let bad = json!({
            "DOC": { "perObject": ["READ", "READ", 7], "wildcards": { "ALL": ["READ", "WRITE"], "READ": [] } },
            "EMPTY": {},
            "a b": { "perObject": "READ", "colour": 1 },
            "LIST": [],
            "WILD": { "wildcards": { "ALL": [] } },
        });
        let problems = Catalogue::from_json(&bad).unwrap_err();
        for wanted in [
            "DOC.perObject has READ twice",
            "DOC.perObject has 7, which is not a string",
            "DOC has READ both in perObject and as a wildcard",
            "DOC.wildcards.ALL grants WRITE, which is not in DOC.perObject",
            "object type EMPTY has neither perObject nor wildcards",
            "object type \"a b\" is not a valid name",
            "a b.perObject must be a list of names",
            "a b has an unknown member colour",
            "object type LIST must be an object",
            "wildcard ALL is in DOC and in WILD",
        ] {
            assert!(problems.iter().any(|p| p.starts_with(wanted)), "{wanted} is not in {problems:#?}");
        }
        assert_eq!(problems.len(), 11, "{problems:#?}");
        assert!(Catalogue::from_json(&json!({})).is_err() && Catalogue::from_json(&json!([])).is_err());
    }
}
