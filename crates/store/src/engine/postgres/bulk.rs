//! Many rows in one statement on PostgreSQL: an `INSERT ... VALUES` becomes an `INSERT ... SELECT` from arrays, one
//! array per parameter. SQL is still written once, for one row; consecutive inserts are combined here.

use std::fmt::Write as _;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type};

use crate::engine::driver::Param;

/// An owned parameter.
pub(super) enum Owned {
    Null,
    Int(i64),
    Text(String),
}

impl Owned {
    pub(super) fn param(&self) -> Param<'_> {
        match self {
            Self::Null => Param::Null,
            Self::Int(v) => Param::Int(*v),
            Self::Text(v) => Param::Text(v),
        }
    }
}

impl From<Param<'_>> for Owned {
    fn from(param: Param<'_>) -> Self {
        match param {
            Param::Null => Self::Null,
            Param::Int(v) => Self::Int(v),
            Param::Text(v) => Self::Text(v.to_owned()),
        }
    }
}

/// Whether many of it can be combined.
pub(super) fn is_plain_insert(sql: &str) -> bool {
    sql.starts_with("INSERT INTO ") && sql.contains(" VALUES (") && sql.ends_with(')')
}

/// Whether a writing statement only adds rows, so that it waits for no row of another unit and keeps none waiting.
pub(super) fn only_adds(sql: &str) -> bool {
    sql.starts_with("INSERT INTO ") && !sql.contains(" DO UPDATE ")
}

/// The statement that stores many rows where `sql`, whose parameters have these types, stores one. `None` for
/// statements that cannot be combined: those that are no plain insert.
pub(super) fn many(sql: &str, types: &[Type]) -> Option<String> {
    if !is_plain_insert(sql) {
        return None;
    }
    let (into, values) = sql.split_once(" VALUES (")?;
    let values = values.strip_suffix(')')?;
    let mut out = format!("{into} SELECT ");
    let mut rest = values;
    while let Some((before, after)) = rest.split_once('$') {
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, after) = after.split_at(end);
        let _ = write!(out, "{before}r.c{number}");
        rest = after;
    }
    out.push_str(rest);
    out.push_str(" FROM unnest(");
    for (at, ty) in (1..).zip(types) {
        let array = if *base(ty) == Type::INT8 { "BIGINT[]" } else { "TEXT[]" };
        let comma = if at > 1 { ", " } else { "" };
        let _ = write!(out, "{comma}CAST(${at} AS {array})");
    }
    out.push_str(") AS r (");
    for at in 1..=types.len() {
        let _ = write!(out, "{}c{at}", if at > 1 { ", " } else { "" });
    }
    out.push(')');
    Some(out)
}

fn base(ty: &Type) -> &Type {
    match ty.kind() {
        Kind::Domain(inner) => inner,
        _ => ty,
    }
}

/// One parameter of many rows.
pub(super) struct Column<'r> {
    pub(super) rows: &'r [Vec<Owned>],
    pub(super) at: usize,
}

impl std::fmt::Debug for Column<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} values", self.rows.len())
    }
}

impl ToSql for Column<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let values = self.rows.iter().map(|row| row.get(self.at).unwrap_or(&Owned::Null));
        if *ty == Type::INT8_ARRAY {
            let int = |value: &Owned| match value {
                Owned::Null => Ok(None),
                Owned::Int(v) => Ok(Some(*v)),
                Owned::Text(_) => Err("a text is given where the statement takes numbers"),
            };
            values.map(int).collect::<Result<Vec<Option<i64>>, _>>()?.to_sql(ty, out)
        } else {
            let text = |value| match value {
                &Owned::Null => Ok(None),
                Owned::Text(v) => Ok(Some(v.as_str())),
                &Owned::Int(_) => Err("a number is given where the statement takes texts"),
            };
            values.map(text).collect::<Result<Vec<Option<&str>>, _>>()?.to_sql(ty, out)
        }
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_insert_of_one_row_becomes_one_of_many() {
        let sql = "INSERT INTO events (pid, event_id, kind) VALUES ($1, coalesce(CAST($3 AS BIGINT), nextval('seq')), $2)";
        assert_eq!(
            many(sql, &[Type::INT8, Type::TEXT, Type::INT8]).unwrap(),
            "INSERT INTO events (pid, event_id, kind) SELECT r.c1, coalesce(CAST(r.c3 AS BIGINT), nextval('seq')), r.c2 \
             FROM unnest(CAST($1 AS BIGINT[]), CAST($2 AS TEXT[]), CAST($3 AS BIGINT[])) AS r (c1, c2, c3)"
        );
        for other in [
            "UPDATE users SET status = $2 WHERE pid = $1",
            "INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO NOTHING",
        ] {
            assert!(many(other, &[Type::INT8]).is_none());
        }
    }
}
