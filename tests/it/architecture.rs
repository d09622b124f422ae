//! The house (src/lib.rs): one way down. Reads the sources and fails on an arrow that goes up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The map: what each part may use. A part is a file or folder directly under `src/`; its own insides are its own.
#[rustfmt::skip]
const MAY_USE: &[(&str, &[&str])] = &[
    // the edges
    ("main",     &["cli"]),
    ("cli",      &["api", "http", "router", "bare", "worker", "app", "domain", "storage", LEAVES]),
    ("api",      &["http", "domain", "storage", LEAVES]),
    ("oauth",    &["http", "domain", "storage", LEAVES]),
    ("worker",   &["domain", "storage", LEAVES]),
    // what the edges of HTTP share
    ("http",     &["domain", "storage", LEAVES]),
    // all of HTTP
    ("router",   &["api", "oauth", "http", "openapi", LEAVES]),
    ("openapi",  &["router", "http", LEAVES]),
    ("bare",     &[]),
    // what a process is made of
    ("app",      &["http", "domain", "storage", LEAVES]),
    // the rules
    ("domain",   &["storage", LEAVES]),
    // SQL
    ("storage",  &[LEAVES]),
    // the leaves
    ("access",   &[LEAVES]),
    ("catalogue",&[LEAVES]),
    ("clock",    &[LEAVES]),
    ("config",   &[LEAVES]),
    ("error",    &[LEAVES]),
    ("fair",     &[LEAVES]),
    ("hashing",  &[LEAVES]),
    ("json",     &[LEAVES]),
    ("log",      &[LEAVES]),
    ("mail",     &[LEAVES]),
    ("model",    &[LEAVES]),
    ("random",   &[LEAVES]),
    ("rows",     &[LEAVES]),
    ("supervise",&[LEAVES]),
    ("user_fields", &[LEAVES]),
    ("values",   &[LEAVES]),
    ("lib",      &[]),
];

/// Stands for every leaf.
const LEAVES: &str = "(leaves)";
const LEAF: [&str; 16] = [
    "access",
    "catalogue",
    "clock",
    "config",
    "error",
    "fair",
    "hashing",
    "json",
    "log",
    "mail",
    "model",
    "random",
    "rows",
    "supervise",
    "user_fields",
    "values",
];

/// Words that may stand only in these files (or folders, with a slash at the end).
#[rustfmt::skip]
const ONLY_IN: &[(&str, &[&str])] = &[
    ("axum::",            &["http/", "api/", "oauth/", "router.rs", "openapi.rs", "bare.rs"]),
    // config reads public-url as the URI that HTTP means.
    ("hyper::",           &["http/", "api/", "bare.rs", "config/values.rs"]),
    ("hyper_util::",      &["http/"]),
    ("tower::",           &["http/"]),
    ("utoipa",            &["http/", "api/", "oauth/", "router.rs", "openapi.rs"]),
    ("http::StatusCode",  &["http/", "api/", "oauth/"]),
    ("rusqlite",          &["storage/sqlite.rs"]),
    ("tokio_postgres",    &["storage/postgres.rs", "storage/postgres/"]),
    // values.rs refuses addresses that the mail library cannot take (B19).
    ("lettre::",          &["mail/", "config/", "values.rs"]),
    ("clap::",            &["cli/", "config/"]),
    ("SystemTime::now",   &["clock.rs"]),
    ("Timestamp::now",    &[]),
    ("getrandom::",       &["random.rs"]),
    ("std::env::var",     &["config/", "cli/"]),
    ("unscoped()",        &["storage/"]),
    // Whoever builds an admin from a name has found it in the entry of a bulk operation.
    ("of_bulk_operation(", &["access.rs", "domain/bulk_operations/"]),
];

/// What SQL begins with, in a string: it stands in storage only.
const SQL: [&str; 8] =
    ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "CREATE ", "ALTER ", "DROP ", "PRAGMA "];

/// Every source file by its path below `src/`, with its text.
pub fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    let mut todo: Vec<PathBuf> = vec![root.clone()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                all.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    all.sort();
    all
}

/// The part that a file belongs to.
fn part(file: &str) -> &str {
    let first = file.split('/').next().unwrap();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// What ships: without the tests at the end of a file, the files of tests, and comments.
pub fn shipped(file: &str, text: &str) -> String {
    if file.ends_with("tests.rs") || file.ends_with("testing.rs") {
        return String::new();
    }
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The paths below `crate::` that some code names, as segments, groups in braces taken apart.
fn uses(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        expand(rest, &mut Vec::new(), &mut found);
    }
    found
}

/// Reads `a::b`, `{a, b::{c, d}}` ... at the start of `text`; returns what follows.
fn expand<'t>(mut text: &'t str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'t str {
    let depth = prefix.len();
    loop {
        text = text.trim_start();
        if let Some(mut inner) = text.strip_prefix('{') {
            loop {
                inner = expand(inner, prefix, found).trim_start();
                match inner.strip_prefix(',') {
                    Some(next) if next.trim_start().starts_with('}') => inner = next.trim_start(),
                    Some(next) => inner = next,
                    None => break,
                }
                if inner.starts_with('}') {
                    break;
                }
            }
            prefix.truncate(depth);
            return inner.strip_prefix('}').unwrap_or(inner);
        }
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        prefix.push(text[..end].to_owned());
        text = &text[end..];
        match text.strip_prefix("::") {
            Some(next) if !next.starts_with('<') => text = next,
            _ => break,
        }
    }
    found.push(prefix.clone());
    prefix.truncate(depth);
    text
}

#[test]
fn paths_are_read() {
    let code = "use crate::a::B;\nuse crate::{c::{D, e::F}, g};\nlet x = crate::h::i(crate::j);";
    let read: Vec<String> = uses(code).iter().map(|path| path.join("::")).collect();
    assert_eq!(read, ["a::B", "c::D", "c::e::F", "g", "h::i", "j"]);
}

#[test]
fn no_arrow_goes_up() {
    let map: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut parts = BTreeSet::new();
    for (file, text) in sources() {
        let own = part(&file);
        parts.insert(own.to_owned());
        let Some(allowed) = map.get(own) else {
            wrong.push(format!("{file}: the part {own} is not on the map"));
            continue;
        };
        // The binary names the library by its name.
        let code = shipped(&file, &text).replace("tenantry::", "crate::");
        for path in uses(&code) {
            let target = path[0].as_str();
            if target == own || !map.contains_key(target) {
                continue;
            }
            let is_allowed =
                allowed.contains(&target) || (allowed.contains(&LEAVES) && LEAF.contains(&target));
            if !is_allowed {
                wrong.push(format!("{file}: {own} must not use {}", path.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let known: BTreeSet<_> = map.keys().map(|&name| name.to_owned()).collect();
    assert_eq!(parts, known, "the map names exactly what is there");
}

#[test]
fn some_words_stand_in_one_place_only() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        for (number, line) in shipped(&file, &text).lines().enumerate() {
            for (word, places) in ONLY_IN {
                let is_there = places
                    .iter()
                    .any(|place| file == *place || place.ends_with('/') && file.starts_with(place));
                if line.contains(word) && !is_there {
                    wrong.push(format!("{file}, line {number} of its code: {word} belongs to {places:?}"));
                }
            }
            let quoted = SQL.iter().any(|word| line.contains(&format!("\"{word}")));
            if quoted && part(&file) != "storage" {
                wrong.push(format!("{file}, line {number} of its code: SQL belongs to storage: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_words_are_where_they_belong() {
    // A rule about a word that nobody writes any more checks nothing.
    let sources = sources();
    for (word, places) in ONLY_IN.iter().filter(|(_, places)| !places.is_empty()) {
        let found = sources.iter().any(|(file, text)| shipped(file, text).contains(word));
        assert!(found, "{word} is nowhere, not even in {places:?}");
    }
}

/// The tables of PostgreSQL by name, each with its definition; `schema_versions` is made by storage/migrate.rs.
fn tables() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut tables = BTreeMap::from([("schema_versions".to_owned(), String::new())]);
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("--@sqlite"));
        let lines = lines.map(|line| line.replace("--@postgres ", ""));
        // A comment may hold a semicolon.
        let sql: String = lines.map(|line| line.split("--").next().unwrap().to_owned() + "\n").collect();
        for definition in sql.split("CREATE TABLE ").skip(1) {
            let definition = definition.split_once(';').unwrap().0;
            tables.insert(definition.split_whitespace().next().unwrap().to_owned(), definition.to_owned());
        }
    }
    tables
}

#[test]
fn the_way_to_shard_names_every_table() {
    let text = include_str!("../../docs/OPERATIONS.md");
    let mut named = BTreeSet::new();
    let mut wrong = Vec::new();
    let tables = tables();
    for line in text.lines().filter(|line| line.starts_with("SELECT create_")) {
        let words: Vec<_> = line.split('\'').collect();
        let (table, column) = (words[1], words.get(3).copied().unwrap_or_default());
        named.insert(table.to_owned());
        // Citus takes no primary key without the column that it shards by.
        let definition = tables.get(table).map_or("", String::as_str);
        if line.contains("create_distributed_table")
            && ![',', ')'].iter().any(|end| definition.contains(&format!("PRIMARY KEY ({column}{end}")))
        {
            wrong.push(format!("the primary key of {table} does not begin with {column}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(named, tables.into_keys().collect(), "docs/OPERATIONS.md, Sharding, and migrations/");
}
