//! What a JSON Schema of the document says of a value, and values at its bounds. It knows the keywords that the document has,
//! and panics at one that it does not know.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::{Value, json};

/// Keywords that only describe.
const DESCRIPTIONS: [&str; 6] =
    ["description", "example", "default", "readOnly", "title", "contentMediaType"];

/// The schemas of a document.
pub struct Schemas {
    document: Value,
    patterns: BTreeMap<String, Regex>,
}

impl Schemas {
    pub fn of(document: &Value) -> Self {
        let mut patterns = BTreeMap::new();
        collect(document, &mut patterns);
        Self { document: document.clone(), patterns }
    }

    /// What a reference stands for.
    pub fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(target) => self.resolve(self.document.pointer(&target[1..]).unwrap()),
            None => value,
        }
    }

    /// Why a value does not conform, if it does not. A strict look also finds members of objects that are not described.
    pub fn fault(&self, schema: &Value, value: &Value, strict: bool) -> Option<String> {
        let schema = self.resolve(schema);
        for (keyword, rule) in schema.as_object()? {
            if let Some(fault) = self.broken(keyword, rule, value, strict) {
                return Some(fault);
            }
        }
        let is_closed = schema.get("additionalProperties") == Some(&json!(false));
        let names = self.known(schema).filter(|_| strict || is_closed)?;
        let unknown = value.as_object()?.keys().find(|name| !names.contains(*name))?;
        Some(format!("{unknown} is not described"))
    }

    fn broken(&self, keyword: &str, rule: &Value, value: &Value, strict: bool) -> Option<String> {
        let no = || Some(format!("{keyword} {rule}: {value}"));
        let size = || rule.as_u64().unwrap();
        let at = |place: &str, fault: Option<String>| fault.map(|fault| format!("{place}: {fault}"));
        let matches = |branches: &Value| {
            branches.as_array().unwrap().iter().filter(|one| self.fault(one, value, strict).is_none()).count()
        };
        match (keyword, value) {
            ("type", _) => {
                let kinds = rule.as_array().map_or_else(|| vec![rule], |kinds| kinds.iter().collect());
                if kinds.iter().any(|kind| is_of(kind.as_str().unwrap(), value)) { None } else { no() }
            }
            ("enum", _) if rule.as_array().unwrap().contains(value) => None,
            ("enum", _) => no(),
            ("oneOf", _) if matches(rule) == 1 => None,
            ("anyOf", _) if matches(rule) > 0 => None,
            ("oneOf" | "anyOf", _) => no(),
            ("allOf", _) => rule.as_array().unwrap().iter().find_map(|part| self.fault(part, value, false)),
            ("minimum", Value::Number(number)) if number.as_f64() < rule.as_f64() => no(),
            ("maximum", Value::Number(number)) if number.as_f64() > rule.as_f64() => no(),
            ("minLength", Value::String(text)) if (text.chars().count() as u64) < size() => no(),
            ("maxLength", Value::String(text)) if text.chars().count() as u64 > size() => no(),
            ("pattern", Value::String(text)) if !self.patterns[rule.as_str().unwrap()].is_match(text) => no(),
            ("format", Value::String(text)) if !has_format(rule.as_str().unwrap(), text) => no(),
            ("minItems", Value::Array(list)) if (list.len() as u64) < size() => no(),
            ("maxItems", Value::Array(list)) if list.len() as u64 > size() => no(),
            ("items", Value::Array(list)) => {
                list.iter().find_map(|one| at("[]", self.fault(rule, one, strict)))
            }
            ("required", Value::Object(members)) => {
                let missing =
                    rule.as_array().unwrap().iter().find(|n| !members.contains_key(n.as_str().unwrap()))?;
                Some(format!("{missing} is missing in {value}"))
            }
            ("properties", Value::Object(members)) => members.iter().find_map(|(name, value)| {
                rule.get(name).and_then(|property| at(name, self.fault(property, value, strict)))
            }),
            (
                "minimum"
                | "maximum"
                | "minLength"
                | "maxLength"
                | "pattern"
                | "format"
                | "minItems"
                | "maxItems"
                | "items"
                | "required"
                | "properties"
                | "additionalProperties"
                | "propertyNames",
                _,
            ) => None,
            (other, _) if DESCRIPTIONS.contains(&other) => None,
            (other, _) => panic!("the keyword {other} is not known here"),
        }
    }

    /// The members that an object may have; none where others may come, too.
    fn known(&self, schema: &Value) -> Option<BTreeSet<String>> {
        let schema = self.resolve(schema);
        if let Some(parts) = schema.get("allOf") {
            let parts = parts.as_array().unwrap();
            return parts
                .iter()
                .map(|part| self.known(part))
                .collect::<Option<Vec<_>>>()
                .map(|sets| sets.into_iter().flatten().collect());
        }
        Some(schema.get("properties")?.as_object().unwrap().keys().cloned().collect())
    }

    /// Other values for a place where `base` stands, each with what it is about: some conform, some do not.
    pub fn vary(&self, schema: &Value, base: &Value) -> Vec<(String, Value)> {
        let schema = self.resolve(schema);
        let mut all: Vec<(String, Value)> = Vec::new();
        for other in [json!(null), json!(true), json!(7), json!(1.5), json!("x"), json!([]), json!({})] {
            all.push((String::from("another type"), other));
        }
        for branch in schema.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
            all.extend(self.vary(branch, base));
        }
        for name in schema.get("enum").and_then(Value::as_array).into_iter().flatten() {
            all.push((String::from("enum"), name.clone()));
        }
        let number = |name: &str| schema.get(name).and_then(Value::as_i64);
        for (name, by) in [("minimum", -1), ("maximum", 1)] {
            if let Some(bound) = number(name) {
                all.push((name.to_owned(), json!(bound)));
                all.push((name.to_owned(), json!(bound.saturating_add(by))));
            }
        }
        if schema.get("type").is_some_and(|kind| kind == "string" || kind == &json!(["string", "null"])) {
            all.extend(self.texts(schema));
        }
        if let Some(items) = schema.get("items") {
            let first = base.get(0).cloned().unwrap_or_default();
            all.extend(
                self.vary(items, &first).into_iter().map(|(what, one)| (format!("[] {what}"), json!([one]))),
            );
            if let Some(most) = number("maxItems").filter(|most| *most <= 1_000) {
                let one = if first.is_null() { json!({}) } else { first };
                all.push((String::from("maxItems"), json!(vec![one; usize::try_from(most).unwrap() + 1])));
            }
        }
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if property.get("readOnly") == Some(&json!(true)) || !base.is_object() {
                continue;
            }
            let own = base.get(name).cloned().unwrap_or_default();
            for (what, value) in self.vary(property, &own) {
                let mut changed = base.clone();
                changed[name] = value;
                all.push((format!("{name} {what}"), changed));
            }
            if base.get(name).is_some() {
                let mut changed = base.clone();
                changed.as_object_mut().unwrap().remove(name);
                all.push((format!("{name} absent"), changed));
            }
        }
        if base.is_object() {
            let mut changed = base.clone();
            changed["nobodyKnowsThis"] = json!(1);
            all.push((String::from("unknown member"), changed));
        }
        all
    }

    /// Texts at the bounds of a schema, and beyond.
    fn texts(&self, schema: &Value) -> Vec<(String, Value)> {
        let mut all = vec![(String::from("no such value"), json!("no-such-value"))];
        let pattern = schema.get("pattern").map(|pattern| &self.patterns[pattern.as_str().unwrap()]);
        let is_email = schema.get("format") == Some(&json!("idn-email"));
        let of_length = |length: usize| match length {
            // A local part has at most 64 characters, a label of a host 63.
            _ if is_email && length > 12 => {
                let rest = length.saturating_sub(2);
                let labels: Vec<String> = "b"
                    .repeat(rest)
                    .as_bytes()
                    .chunks(60)
                    .map(|l| String::from_utf8_lossy(l).into_owned())
                    .collect();
                let host = labels.join(".");
                format!("a@{}", &host[..rest.min(host.len())].trim_end_matches('.'))
            }
            _ => "a".repeat(length),
        };
        let number =
            |name: &str| schema.get(name).and_then(Value::as_u64).map(|n| usize::try_from(n).unwrap());
        for length in [number("minLength"), number("minLength").map(|n| n.saturating_sub(1))] {
            all.extend(length.map(|length| (String::from("minLength"), json!(of_length(length)))));
        }
        for length in [number("maxLength"), number("maxLength").map(|n| n + 1)].into_iter().flatten() {
            let text = of_length(length);
            if pattern.is_none_or(|pattern| pattern.is_match(&text)) {
                all.push((String::from("maxLength"), json!(text)));
            }
        }
        if let Some(pattern) = pattern {
            let broken = [" a", "a\u{1}b", "a b", "é", ":", "\"", "-"]
                .into_iter()
                .filter(|text| !pattern.is_match(text));
            all.extend(broken.map(|text| (String::from("pattern"), json!(text))));
        }
        if is_email {
            all.push((String::from("format"), json!("no address")));
        }
        all
    }
}

fn collect(value: &Value, patterns: &mut BTreeMap<String, Regex>) {
    match value {
        Value::Object(members) => {
            if let Some(pattern) = members.get("pattern").and_then(Value::as_str) {
                patterns.insert(pattern.to_owned(), Regex::new(pattern).unwrap());
            }
            members.values().for_each(|value| collect(value, patterns));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, patterns)),
        _ => {}
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type {other}"),
    }
}

fn has_format(format: &str, text: &str) -> bool {
    match format {
        "date-time" => {
            let shape = |c: char| if c.is_ascii_digit() { '0' } else { c };
            text.chars().map(shape).collect::<String>() == "0000-00-00T00:00:00.000Z"
        }
        "idn-email" => {
            text.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty())
        }
        "uri-reference" => text.starts_with('/'),
        "int32" | "int64" => true,
        other => panic!("there is no format {other}"),
    }
}

#[test]
fn faults_are_found() {
    let document = json!({ "components": { "schemas": {
        "Pet": {
            "type": "object", "required": ["name"], "additionalProperties": false,
            "properties": {
                "name": { "type": "string", "minLength": 1, "maxLength": 3, "pattern": "^[a-z]+$" },
                "legs": { "type": ["integer", "null"], "minimum": 0, "maximum": 4 },
                "tags": { "type": "array", "items": { "type": "string", "enum": ["wild", "tame"] } },
            },
        },
    } } });
    let schemas = Schemas::of(&document);
    let pet = json!({ "$ref": "#/components/schemas/Pet" });
    for good in [json!({ "name": "tib" }), json!({ "name": "a", "legs": null, "tags": ["wild"] })] {
        assert_eq!(schemas.fault(&pet, &good, true), None);
        assert!(schemas.fault(&pet, &good, false).is_none());
    }
    for bad in [
        json!([]),
        json!({}),
        json!({ "name": "" }),
        json!({ "name": "abcd" }),
        json!({ "name": "A" }),
        json!({ "name": "a", "legs": 5 }),
        json!({ "name": "a", "legs": 1.5 }),
        json!({ "name": "a", "tags": ["big"] }),
        json!({ "name": "a", "owner": 1 }),
    ] {
        assert!(schemas.fault(&pet, &bad, false).is_some(), "{bad}");
        assert!(schemas.fault(&pet, &bad, true).is_some(), "{bad}");
    }
    let varied = schemas.vary(&pet, &json!({ "name": "tib", "legs": 4, "tags": ["tame"] }));
    let (good, bad): (Vec<_>, Vec<_>) =
        varied.iter().partition(|(_, value)| schemas.fault(&pet, value, false).is_none());
    assert!(good.len() > 5 && bad.len() > 20, "{varied:?}");
}
