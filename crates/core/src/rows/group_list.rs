//! The groups in a cell of CSV: names separated by `;`. A name that would be taken for something else is in quotes, which
//! are doubled within it. `#12` is the group with id 12.
//!
//! Digits alone were the id in earlier versions, and are what people write for a group named by a year. Only the
//! groups of the partner can tell, so they are left to the import.

use serde_json::{Value, json};

use crate::values;

/// The member of a group that is given by its name, or perhaps by its id.
pub const NAME_OR_ID: &str = "nameOrId";

/// Separates the groups.
const BETWEEN: &str = ";";

/// Writes the names of groups; `None` if there are none.
pub fn write<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<String> = names.map(quoted).collect();
    (!names.is_empty()).then(|| names.join(BETWEEN))
}

/// A name, in quotes if it has a separator of any dialect or looks like an id.
fn quoted(name: &str) -> String {
    let is_plain = !name.is_empty()
        && !name.contains([';', ',', '|', '\t', '"'])
        && !name.starts_with('#')
        && !name.bytes().all(|b| b.is_ascii_digit())
        && name.trim() == name;
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Parses a cell into an array: a string is a name, a number is an id, and `{"nameOrId":"12"}` can be either. Quotes that
/// are not closed, or followed by something else, are part of a name.
pub fn parse(cell: &str, separators: &[char]) -> Value {
    let (mut groups, mut rest) = (Vec::new(), cell);
    while !rest.is_empty() {
        let group;
        (group, rest) = next(rest.trim_start(), separators);
        groups.extend(group);
    }
    Value::Array(groups)
}

/// The first group of a list, if there is one before the first separator; and what follows that.
fn next<'a>(list: &'a str, separators: &[char]) -> (Option<Value>, &'a str) {
    if let Some((name, rest)) = quoted_name(list) {
        let rest = rest.trim_start();
        if rest.is_empty() {
            return (Some(Value::from(name)), rest);
        }
        if let Some(rest) = rest.strip_prefix(separators) {
            return (Some(Value::from(name)), rest);
        }
    }
    let (group, rest) = list.split_once(separators).unwrap_or((list, ""));
    (unquoted(group.trim()), rest)
}

/// A name in quotes at the beginning, and what follows it.
fn quoted_name(list: &str) -> Option<(String, &str)> {
    let (mut name, mut rest) = (String::new(), list.strip_prefix('"')?);
    loop {
        let (part, behind) = rest.split_once('"')?;
        name.push_str(part);
        match behind.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, behind)),
        }
    }
}

fn unquoted(group: &str) -> Option<Value> {
    if group.is_empty() {
        return None;
    }
    if let Some(id) = group.strip_prefix('#').and_then(values::whole_number) {
        return Some(Value::from(id));
    }
    let is_digits = group.bytes().all(|b| b.is_ascii_digit());
    Some(if is_digits { json!({ NAME_OR_ID: group }) } else { Value::from(group) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_survive_separators_and_digits() {
        for (names, expected) in [
            (&["Editors"][..], "Editors"),
            (&["Editors", "Ærø Sailors"], "Editors;Ærø Sailors"),
            (&["2024", "007", "R2"], "\"2024\";\"007\";R2"),
            (&["A;B", "a, b", "x|y"], "\"A;B\";\"a, b\";\"x|y\""),
            (&["#12", "C# devs", "say \"hi\""], "\"#12\";C# devs;\"say \"\"hi\"\"\""),
        ] {
            assert_eq!(write(names.iter().copied()).as_deref(), Some(expected));
        }
        assert_eq!(write([].into_iter()), None);
    }

    #[test]
    fn names_and_ids_are_told_apart() {
        for (cell, expected) in [
            ("", json!([])),
            (" ; ;", json!([])),
            ("Editors", json!(["Editors"])),
            (" Editors ; Ærø Sailors;", json!(["Editors", "Ærø Sailors"])),
            ("#12;12; \"12\" ;\"#12\"", json!([12, { "nameOrId": "12" }, "12", "#12"])),
            ("#x;C# devs;#0012", json!(["#x", "C# devs", "#0012"])),
            ("\"A;B\";a, b", json!(["A;B", "a, b"])),
            ("say \"hi\"", json!(["say \"hi\""])),
            ("\"open;x", json!(["\"open", "x"])),
            ("\"a\"b;c", json!(["\"a\"b", "c"])),
        ] {
            assert_eq!(parse(cell, &[';']), expected, "{cell}");
        }
        assert_eq!(parse("a,b|c;d", &[',', '|']), json!(["a", "b", "c;d"]));
    }

    proptest! {
        #[test]
        fn what_is_written_is_parsed(names in prop::collection::vec("[a1#;,| \"é]{1,6}", 1..6)) {
            let names: Vec<&str> = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
            let cell = write(names.iter().copied()).unwrap_or_default();
            for separators in [&[';'][..], &[';', '|'], &[';', ',', '|']] {
                prop_assert_eq!(parse(&cell, separators), json!(names), "{}", cell);
            }
        }
    }
}
