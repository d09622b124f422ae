//! What to copy, read from the schemas of the two databases, and what is dropped during the copy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::driver::{ColumnKind, Connection, DbError, Dialect};
use crate::listing::search;
use crate::ops::copy::unfinished;
use tenantry_core::error::{Error, Result};

/// Tables whose rows are not copied as they are: the schema's own versions, SQLite's sequences (which become sequences,
/// and vice versa), and the table of an unfinished copy.
const NOT_COPIED: [&str; 3] = ["schema_versions", "sequences", unfinished::TABLE];

/// A table that both databases have, with the same columns.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    /// In the order of their names, so that a checksum is the same on both databases.
    pub(super) columns: Vec<String>,
    pub(super) kinds: Vec<ColumnKind>,
    /// The primary key of the source.
    pub(super) from_key: Vec<usize>,
    /// The primary key of the target.
    pub(super) to_key: Vec<usize>,
}

impl Table {
    /// The columns as an SQL list.
    pub(super) fn columns_quoted(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|name| quoted(name)).collect();
        names.join(", ")
    }
}

/// A quoted SQL identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[derive(Debug, PartialEq, Eq)]
struct Column {
    kind: ColumnKind,
    may_be_null: bool,
    /// Its position in the primary key.
    key: Option<i64>,
}

/// The tables of a database with their columns, each by its name.
pub(super) struct Layout(BTreeMap<String, BTreeMap<String, Column>>);

const SQLITE_COLUMNS: &str = "SELECT t.name, c.name, c.type, c.\"notnull\", nullif(c.pk, 0) \
     FROM pragma_table_list t JOIN pragma_table_info(t.name) c \
     WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

const POSTGRES_COLUMNS: &str = "SELECT CAST(t.relname AS TEXT), CAST(a.attname AS TEXT), \
     CAST(coalesce(b.typname, y.typname) AS TEXT), CAST(CAST(a.attnotnull AS INTEGER) AS BIGINT), \
     CAST(array_position(CAST(p.indkey AS SMALLINT[]), a.attnum) AS BIGINT) \
     FROM pg_class t JOIN pg_namespace s ON s.oid = t.relnamespace JOIN pg_attribute a ON a.attrelid = t.oid \
     JOIN pg_type y ON y.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = y.typbasetype \
     LEFT JOIN pg_index p ON p.indrelid = t.oid AND p.indisprimary \
     WHERE s.nspname = current_schema() AND t.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped \
     AND a.attgenerated = ''";

impl Layout {
    /// Reads it.
    ///
    /// # Errors
    /// An unsupported kind of object.
    pub(super) fn read(conn: &mut dyn Connection) -> Result<Self> {
        let sql = match conn.dialect() {
            Dialect::Sqlite => {
                check_virtual_tables(conn)?;
                SQLITE_COLUMNS
            }
            Dialect::Postgres => POSTGRES_COLUMNS,
        };
        let mut tables = BTreeMap::<String, BTreeMap<String, Column>>::new();
        conn.query(sql, None, &[], &mut |row| {
            let (table, name) = (row.text(0)?, row.text(1)?);
            if NOT_COPIED.contains(&table) {
                return Ok(());
            }
            let kind = kind(row.text(2)?)
                .ok_or_else(|| unknown(&format!("the type of column {name} of table {table}")))?;
            let column = Column { kind, may_be_null: row.int(3)? == 0, key: row.opt_int(4)? };
            tables.entry(table.to_owned()).or_default().insert(name.to_owned(), column);
            Ok(())
        })?;
        Ok(Self(tables))
    }
}

fn unknown(what: &str) -> Error {
    Error::internal(format!("{what} is unknown to `tenantry copy`"))
}

fn kind(type_name: &str) -> Option<ColumnKind> {
    match type_name.to_ascii_lowercase().as_str() {
        "bigint" | "integer" | "int8" => Some(ColumnKind::Int),
        "text" | "folded_text" => Some(ColumnKind::Text),
        _ => None,
    }
}

/// An index that is not recreated here would be left empty, unnoticed.
fn check_virtual_tables(conn: &mut dyn Connection) -> Result<()> {
    let sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'virtual'";
    Ok(conn.query(sql, None, &[], &mut |row| match row.text(0)? {
        index if search::INDEXES.contains(&index) => Ok(()),
        other => Err(unknown(&format!("the index {other}"))),
    })?)
}

/// The tables to copy, if both sides have the same.
///
/// # Errors
/// The table or column that differs.
pub(super) fn agree(from: &Layout, to: &Layout) -> Result<Vec<Table>> {
    let differ = |what: String| Error::internal(format!("the schemas of the two databases differ: {what}"));
    if let Some(name) = to.0.keys().find(|name| !from.0.contains_key(*name)) {
        return Err(differ(format!("the source has no table {name}")));
    }
    let mut tables = Vec::new();
    for (name, columns) in &from.0 {
        let there = to.0.get(name).ok_or_else(|| differ(format!("the target has no table {name}")))?;
        let wrong = columns.iter().find(|(column, here)| {
            !there.get(*column).is_some_and(|there| {
                let is_key = here.key.is_some() || there.key.is_some();
                here.kind == there.kind && (is_key || here.may_be_null == there.may_be_null)
            })
        });
        let extra = there.keys().find(|column| !columns.contains_key(*column));
        if let Some(column) = wrong.map(|(column, _)| column).or(extra) {
            return Err(differ(format!("column {column} of table {name}")));
        }
        let (from_key, to_key) = (key_of(columns), key_of(there));
        if from_key.is_empty() || to_key.is_empty() {
            return Err(differ(format!("table {name} has no primary key")));
        }
        tables.push(Table {
            name: name.clone(),
            columns: columns.keys().cloned().collect(),
            kinds: columns.values().map(|column| column.kind).collect(),
            from_key,
            to_key,
        });
    }
    Ok(tables)
}

fn key_of(columns: &BTreeMap<String, Column>) -> Vec<usize> {
    let mut key: Vec<(i64, usize)> =
        columns.values().enumerate().filter_map(|(at, column)| Some((column.key?, at))).collect();
    key.sort_unstable();
    key.into_iter().map(|(_, at)| at).collect()
}

/// An object of the target that is dropped during the copy, since building it once from all rows is much faster: an
/// index, a foreign key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DeferredObject {
    pub(super) name: String,
    pub(super) make: String,
    #[serde(default, skip_serializing)]
    pub(super) remove: String,
}

const SQLITE_INDEXES: &str = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";

/// Except those of a primary key or a uniqueness constraint.
const POSTGRES_INDEXES: &str = "SELECT CAST(c.relname AS TEXT), pg_get_indexdef(c.oid) FROM pg_index i \
     JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace s ON s.oid = c.relnamespace \
     WHERE s.nspname = current_schema() AND NOT EXISTS (SELECT 1 FROM pg_constraint k \
     WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x')) ORDER BY c.relname";

const POSTGRES_KEYS: &str = "SELECT CAST(k.conname AS TEXT), pg_get_constraintdef(k.oid), CAST(t.relname AS TEXT) \
     FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_namespace s ON s.oid = k.connamespace \
     WHERE s.nspname = current_schema() AND k.contype = 'f' ORDER BY t.relname, k.conname";

/// The objects to drop, in the order in which they are recreated.
pub(super) fn list_deferred(conn: &mut dyn Connection) -> Result<Vec<DeferredObject>, DbError> {
    let (mut found, dialect) = (Vec::new(), conn.dialect());
    let indexes = match dialect {
        Dialect::Sqlite => SQLITE_INDEXES,
        Dialect::Postgres => POSTGRES_INDEXES,
    };
    conn.query(indexes, None, &[], &mut |row| {
        let (name, make) = (row.text(0)?.to_owned(), row.text(1)?.to_owned());
        let remove = format!("DROP INDEX {}", quoted(&name));
        found.push(DeferredObject { name, make, remove });
        Ok(())
    })?;
    // SQLite does not check foreign keys meanwhile, but all of them at the end.
    if dialect == Dialect::Postgres {
        conn.query(POSTGRES_KEYS, None, &[], &mut |row| {
            let (name, table) = (row.text(0)?.to_owned(), quoted(row.text(2)?));
            let make = format!("ALTER TABLE {table} ADD CONSTRAINT {} {}", quoted(&name), row.text(1)?);
            let remove = format!("ALTER TABLE {table} DROP CONSTRAINT {}", quoted(&name));
            found.push(DeferredObject { name, make, remove });
            Ok(())
        })?;
        // Without it the first queries would be planned for empty tables.
        found.push(DeferredObject {
            name: String::from("statistics"),
            make: String::from("ANALYZE"),
            remove: String::new(),
        });
    }
    Ok(found)
}
