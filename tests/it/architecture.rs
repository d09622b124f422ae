//! The house (docs/ARCHITECTURE.md), as far as the compiler cannot hold it: which crates may depend on what, and what may
//! be written where.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The map: which of our crates each one may use.
#[rustfmt::skip]
const MAY_USE: &[(&str, &[&str])] = &[
    ("core",      &[]),
    ("passwords", &["core"]),
    ("tls",       &[]),
    ("mail",      &["core", "tls"]),
    ("store",     &["core", "passwords", "tls", "mail"]),
    ("domain",    &["core", "passwords", "mail", "store"]),
    ("http",      &["core", "store", "domain"]),
    ("api",       &["core", "store", "domain", "http"]),
    ("oauth",     &["core", "store", "domain", "http"]),
    ("web",       &["core", "store", "domain", "http"]),
    ("worker",    &["core", "mail", "store", "domain"]),
];

/// Which crates may depend on these; "tenantry" is the binary.
#[rustfmt::skip]
const MAY_DEPEND: &[(&str, &[&str])] = &[
    ("axum",           &["http", "api", "oauth", "web", "tenantry"]),
    ("hyper",          &["http", "api", "tenantry"]),
    ("hyper-util",     &["http", "tenantry"]),
    ("tower",          &["http"]),
    ("utoipa",         &["http", "api", "oauth", "tenantry"]),
    ("rusqlite",       &["store"]),
    ("tokio-postgres", &["store"]),
    // core refuses addresses that the mail library cannot take (B19); the settings have a sender.
    ("lettre",         &["mail", "core", "tenantry"]),
    ("clap",           &["tenantry"]),
    ("getrandom",      &["core"]),
];

/// Words that may stand only in these files (or folders, with a slash at the end).
#[rustfmt::skip]
const ONLY_IN: &[(&str, &[&str])] = &[
    ("rusqlite",          &["crates/store/src/engine/sqlite.rs"]),
    ("tokio_postgres",    &["crates/store/src/engine/postgres.rs", "crates/store/src/engine/postgres/"]),
    ("lettre::",          &["crates/mail/src/", "crates/core/src/values/email.rs", "src/config/"]),
    // The settings read public-url as the URI that HTTP means; `tenantry health` is a client.
    ("hyper::",           &["crates/http/src/", "crates/api/src/", "src/config/values.rs", "src/cli/health.rs"]),
    ("clap::",            &["src/cli/", "src/config/"]),
    ("SystemTime::now",   &["crates/core/src/clock.rs"]),
    ("Timestamp::now",    &[]),
    ("getrandom::",       &["crates/core/src/random.rs"]),
    ("std::env::var",     &["src/config/", "src/cli/"]),
    ("unscoped()",        &["crates/store/src/"]),
    // Whoever builds an admin from a name has found it in the entry of a bulk operation.
    ("of_bulk_operation(", &["crates/store/src/access.rs", "crates/domain/src/bulk_operations/"]),
];

/// What SQL begins with, in a string: it stands in the store only.
const SQL: [&str; 8] =
    ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "CREATE ", "ALTER ", "DROP ", "PRAGMA "];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The crates of the house by name, each with its folder; "tenantry" is the binary.
fn rooms() -> BTreeMap<String, PathBuf> {
    let entries = std::fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let mut rooms: BTreeMap<_, _> =
        entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path)).collect();
    rooms.insert("tenantry".to_owned(), root().to_owned());
    rooms
}

/// What a crate depends on, but for its tests.
fn dependencies(folder: &Path) -> Vec<String> {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    // No second way in.
    assert!(!manifest.contains_key("target") && !manifest.contains_key("build-dependencies"), "{folder:?}");
    manifest["dependencies"].as_table().unwrap().keys().cloned().collect()
}

/// Every source file that ships, by its path, with its text.
pub fn sources() -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut todo: Vec<PathBuf> = rooms().into_values().map(|folder| folder.join("src")).collect();
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                all.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    all.sort();
    all
}

/// What ships: without the tests at the end of a file, the files of tests, and comments.
pub fn shipped(file: &str, text: &str) -> String {
    if file.ends_with("tests.rs") || file.ends_with("testing.rs") {
        return String::new();
    }
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn no_dependency_points_upwards() {
    let (rooms, mut wrong) = (rooms(), Vec::new());
    for (room, folder) in rooms.iter().filter(|(room, _)| *room != "tenantry") {
        let allowed = MAY_USE.iter().find(|(name, _)| name == room);
        let Some((_, allowed)) = allowed else {
            wrong.push(format!("{room} is not on the map"));
            continue;
        };
        for name in dependencies(folder) {
            match name.strip_prefix("tenantry") {
                Some(rest) if !allowed.contains(&rest.trim_start_matches('-')) => {
                    wrong.push(format!("{room} must not use {name}"));
                }
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let there: BTreeSet<_> = rooms.keys().map(String::as_str).filter(|room| *room != "tenantry").collect();
    assert_eq!(there, MAY_USE.iter().map(|(room, _)| *room).collect(), "the map names exactly what is there");
}

#[test]
fn libraries_stay_in_their_rooms() {
    let mut having: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (room, folder) in rooms() {
        for name in dependencies(&folder) {
            having.entry(name).or_default().insert(room.clone());
        }
    }
    for (library, allowed) in MAY_DEPEND {
        let allowed: BTreeSet<String> = allowed.iter().map(|room| (*room).to_owned()).collect();
        assert_eq!(having.get(*library), Some(&allowed), "{library}");
    }
}

#[test]
fn some_words_occur_in_one_place_only() {
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
            if quoted && !file.starts_with("crates/store/") {
                wrong.push(format!("{file}, line {number} of its code: SQL belongs to the store: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The engine knows transactions and who asks for them (`access`), and nothing of what is built from it.
#[test]
fn the_engine_of_the_store_uses_nothing_that_is_built_from_it() {
    let sources = sources();
    let engine: Vec<_> =
        sources.iter().filter(|(file, _)| file.starts_with("crates/store/src/engine/")).collect();
    assert!(engine.len() > 15, "{}", engine.len());
    let above = ["crate::tables", "crate::listing", "crate::ops", "crate::store"];
    let access = std::fs::read_to_string("crates/store/src/access.rs").unwrap();
    assert!(!access.contains("use crate::"), "access is below the engine");
    let wrong: Vec<_> = engine
        .iter()
        .filter(|(file, text)| above.iter().any(|name| shipped(file, text).contains(name)))
        .collect();
    let wrong: Vec<_> = wrong.iter().map(|(file, _)| file).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    // What every connection may name knows no connection.
    let index = "crates/store/src/engine/offset_index";
    for (file, text) in engine.iter().filter(|(file, _)| file.starts_with(index)) {
        assert!(!shipped(file, text).contains("engine::driver"), "{file}");
    }
}

#[test]
fn every_restricted_word_occurs_somewhere() {
    // A rule about a word that nobody writes any more checks nothing.
    let sources = sources();
    for (word, places) in ONLY_IN.iter().filter(|(_, places)| !places.is_empty()) {
        let found = sources.iter().any(|(file, text)| shipped(file, text).contains(word));
        assert!(found, "{word} is nowhere, not even in {places:?}");
    }
}

/// The tables of PostgreSQL by name, each with its definition; `schema_versions` is made by crates/store/src/ops/migrate.rs.
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
fn the_sharding_instructions_name_every_table() {
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

/// The files of the documentation, by path from the root.
fn documents() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for folder in ["", "docs", "docs/adr"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "md") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                all.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    all
}

#[test]
fn the_documentation_names_files_and_tests_that_exist() {
    let folders = ["crates/", "src/", "tests/", "scripts/", "docs/", "migrations/", "bench/"];
    let mut wrong = Vec::new();
    for (document, text) in documents() {
        // Every second piece is between backquotes.
        let quoted: Vec<&str> = text.split('`').collect();
        let mut file = String::new();
        for (index, words) in quoted.iter().enumerate().skip(1).step_by(2) {
            if folders.iter().any(|folder| words.starts_with(folder))
                && !words.contains(['<', ' ', '*', '\n'])
            {
                if !root().join(words).exists() {
                    wrong.push(format!("{document}: there is no {words}"));
                }
                file = std::fs::read_to_string(root().join(words)).unwrap_or_default();
            } else if let Some(test) = words.strip_suffix("_...")
                && quoted[index - 1].ends_with(" (")
                && !file.contains(&format!("fn {test}_"))
            {
                wrong.push(format!("{document}: no test {words} in the file named before it"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One library of cryptography: aws-lc-rs. The lock file has the name of another one, which an optional feature of rustls-webpki
/// mentions; what is built does not have it.
#[test]
fn the_binary_is_built_without_ring() {
    let tree = |edges: &str| {
        // For this target only: those of others need not have been downloaded.
        let args = ["tree", "--offline", "--locked", "--package", "tenantry", "--prefix", "none"];
        let output = std::process::Command::new(env!("CARGO"))
            .args(args)
            .args(["--edges", edges])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = tree("normal,build");
    let names: BTreeSet<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains("aws-lc-rs") && names.contains("rustls"), "{names:?}");
    for other in ["ring", "openssl", "native-tls"] {
        assert!(!names.contains(other), "{other}: see `cargo tree --invert {other}`");
    }
}

/// A longer one hides a second idea.
#[test]
fn no_source_file_has_more_than_650_lines() {
    let (mut found, mut long) = (0, Vec::new());
    let mut todo: Vec<PathBuf> =
        ["src", "crates", "bench", "tests", "fuzz"].map(|folder| root().join(folder)).to_vec();
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found += 1;
                let lines = std::fs::read_to_string(&path).unwrap().lines().count();
                if lines > 650 {
                    long.push((path, lines));
                }
            }
        }
    }
    assert!(found > 300, "{found}");
    assert!(long.is_empty(), "split by idea: {long:?}");
}
