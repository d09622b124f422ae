//! The two databases have the same schema: tables, columns, uniqueness and foreign keys. What differs is named here,
//! with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tenantry_core::account_policy::AccountPolicy;
use tenantry_core::clock::Clock;
use tenantry_core::random::Random;
use tenantry_store::store::Store;

use crate::databases::{Database, is_postgres};

/// What a table is, whatever database it is in.
#[derive(Debug, Default, PartialEq, Eq)]
struct Table {
    /// By name: the kind of its type, and whether it may be null.
    columns: BTreeMap<String, (String, bool)>,
    /// The sets of columns that are unique.
    unique: BTreeSet<Vec<String>>,
    /// Columns, table and columns referred to, and what a deletion there does.
    foreign: BTreeSet<(Vec<String>, String, Vec<String>, String)>,
}

type Schema = BTreeMap<String, Table>;

/// Tables of one database only.
const ONLY_SQLITE: [(&str, &str); 3] = [
    ("sequences", "PostgreSQL has sequences of its own"),
    ("user_search", "PostgreSQL's substring indexes are of the table users"),
    ("user_grams", "users of short words are found by a scan there"),
];

/// Uniqueness of one database only.
const ONLY_POSTGRES_UNIQUE: [(&str, &[&str], &str); 0] = [];
const ONLY_SQLITE_UNIQUE: [(&str, &[&str], &str); 1] = [(
    "users",
    &["user_id"],
    "the rowid (docs/adr/0009-users-by-rowid.md); ids come from one sequence in both",
)];

/// What the type of a column comes to: SQLite's affinity, which for our names is text or integer.
fn kind(of: &str) -> &'static str {
    let of = of.to_ascii_lowercase();
    match of.as_str() {
        "bigint" | "integer" => "integer",
        "text" | "folded_text" => "text",
        _ => panic!("a type that the two databases do not share: {of}"),
    }
}

fn sqlite(path: &Path) -> Schema {
    let db = rusqlite::Connection::open(path).unwrap();
    let texts = |sql: &str, columns: usize| -> Vec<Vec<String>> {
        let mut statement = db.prepare(sql).unwrap();
        let read = |row: &rusqlite::Row<'_>| {
            (0..columns)
                .map(|n| {
                    Ok(match row.get_ref(n)? {
                        rusqlite::types::ValueRef::Integer(n) => n.to_string(),
                        rusqlite::types::ValueRef::Text(t) => String::from_utf8_lossy(t).into_owned(),
                        _ => String::new(),
                    })
                })
                .collect::<rusqlite::Result<Vec<String>>>()
        };
        statement.query_map([], read).unwrap().map(Result::unwrap).collect()
    };
    let mut schema = Schema::new();
    let tables =
        texts("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')", 1);
    for name in tables.into_iter().map(|mut row| row.remove(0)).filter(|name| !name.starts_with("sqlite_")) {
        let table = schema.entry(name.clone()).or_default();
        if ["user_search", "user_grams"].contains(&name.as_str()) {
            continue;
        }
        let mut key = Vec::new();
        for row in texts(&format!("SELECT name, type, \"notnull\", pk FROM pragma_table_info('{name}')"), 4) {
            let place: usize = row[3].parse().unwrap();
            if place > 0 {
                key.push((place, row[0].clone()));
            }
            // An INTEGER PRIMARY KEY is the rowid, which is never null.
            let nullable = row[2] == "0" && !(row[1] == "INTEGER" && place > 0);
            table.columns.insert(row[0].clone(), (kind(&row[1]).to_owned(), nullable));
        }
        key.sort();
        table.unique.insert(key.into_iter().map(|(_, column)| column).collect());
        let indexes = "SELECT name FROM pragma_index_list('{name}') WHERE \"unique\" = 1";
        for index in texts(&indexes.replace("{name}", &name), 1) {
            let columns =
                texts(&format!("SELECT name FROM pragma_index_info('{}') ORDER BY seqno", index[0]), 1);
            table.unique.insert(columns.into_iter().map(|mut row| row.remove(0)).collect());
        }
        let mut foreign = BTreeMap::<String, (Vec<String>, String, Vec<String>, String)>::new();
        let keys = "SELECT id, \"from\", \"table\", \"to\", on_delete FROM pragma_foreign_key_list('{name}') ORDER BY id, seq";
        for row in texts(&keys.replace("{name}", &name), 5) {
            let key = foreign.entry(row[0].clone()).or_default();
            key.0.push(row[1].clone());
            key.1.clone_from(&row[2]);
            key.2.push(row[3].clone());
            key.3.clone_from(&row[4]);
        }
        table.foreign = foreign.into_values().collect();
    }
    schema
}

fn postgres(database: &Database) -> Schema {
    let mut schema = Schema::new();
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() \
        AND table_type = 'BASE TABLE'";
    for row in database.rows(tables) {
        schema.insert(row[0].clone(), Table::default());
    }
    let columns = "SELECT table_name, column_name, coalesce(domain_name, data_type), is_nullable \
        FROM information_schema.columns WHERE table_schema = current_schema()";
    for row in database.rows(columns) {
        let column = (kind(&row[2]).to_owned(), row[3] == "YES");
        schema.get_mut(&row[0]).unwrap().columns.insert(row[1].clone(), column);
    }
    let unique = "SELECT t.relname, string_agg(a.attname, ',' ORDER BY k.place) \
        FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid \
        JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = current_schema() \
        CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (number, place) \
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number \
        WHERE i.indisunique GROUP BY t.relname, i.indexrelid";
    let split = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    for row in database.rows(unique) {
        schema.get_mut(&row[0]).unwrap().unique.insert(split(&row[1]));
    }
    let names = |of: &str, numbers: &str| {
        format!(
            "(SELECT string_agg(a.attname, ',' ORDER BY k.place) FROM unnest(c.{numbers}) WITH ORDINALITY \
             AS k (number, place) JOIN pg_attribute a ON a.attrelid = c.{of} AND a.attnum = k.number)"
        )
    };
    let foreign = format!(
        "SELECT t.relname, {}, f.relname, {}, CASE c.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'a' THEN 'NO ACTION' \
         ELSE CAST(c.confdeltype AS TEXT) END \
         FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class f ON f.oid = c.confrelid \
         JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = current_schema() WHERE c.contype = 'f'",
        names("conrelid", "conkey"),
        names("confrelid", "confkey")
    );
    for row in database.rows(&foreign) {
        let key = (split(&row[1]), row[2].clone(), split(&row[3]), row[4].clone());
        schema.get_mut(&row[0]).unwrap().foreign.insert(key);
    }
    schema
}

#[test]
fn both_databases_have_the_same_schema() {
    if !is_postgres() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tenantry.db");
    drop(Store::open_sqlite(&path, Clock::manual(0), Random::seeded(1), AccountPolicy::DEFAULT).unwrap());
    let (mut here, mut there) = (sqlite(&path), postgres(&Database::new()));
    for (name, reason) in ONLY_SQLITE {
        assert!(here.remove(name).is_some(), "{name} is listed ({reason}) and not there");
        // The index of the texts has tables of its own.
        here.retain(|other, _| !other.starts_with(&format!("{name}_")));
    }
    let known = |all: &[(&str, &[&str], &str)], schema: &mut Schema| {
        for (table, columns, reason) in all {
            let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
            let is_there = schema.get_mut(*table).unwrap().unique.remove(&columns);
            assert!(is_there, "{table} {columns:?} is listed ({reason}) and not there");
        }
    };
    known(&ONLY_SQLITE_UNIQUE, &mut here);
    known(&ONLY_POSTGRES_UNIQUE, &mut there);
    let (names_here, names_there): (Vec<_>, Vec<_>) = (here.keys().collect(), there.keys().collect());
    assert_eq!(names_here, names_there);
    assert!(here.len() > 12, "{names_here:?}");
    for (name, table) in &here {
        assert!(!table.columns.is_empty() && !table.unique.is_empty(), "{name} was not read");
        assert_eq!(table, &there[name], "{name}: SQLite left, PostgreSQL right");
    }
    assert!(here.values().map(|table| table.foreign.len()).sum::<usize>() > 8, "foreign keys were read");
}
