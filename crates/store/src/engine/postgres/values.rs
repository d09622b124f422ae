//! Converts values to and from PostgreSQL, and maps its errors.

use std::error::Error as _;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type};

use crate::engine::driver::{DbError, Param, Row};
use crate::engine::postgres::connect_error::message;
use tenantry_core::error::{Error, Result};

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match *self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(v) => match *ty {
                Type::INT8 => v.to_sql(ty, out),
                Type::INT4 => i32::try_from(v)?.to_sql(ty, out),
                Type::BOOL => (v != 0).to_sql(ty, out),
                _ => Err(format!("a number is given where the statement takes {ty}").into()),
            },
            Self::Text(v) => match *ty {
                Type::INT8 | Type::INT4 | Type::BOOL => {
                    Err(format!("a text is given where the statement takes {ty}").into())
                }
                // jsonb has a version before its text.
                Type::JSONB => {
                    out.extend_from_slice(&[1]);
                    out.extend_from_slice(v.as_bytes());
                    Ok(IsNull::No)
                }
                _ => {
                    out.extend_from_slice(v.as_bytes());
                    Ok(IsNull::No)
                }
            },
        }
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

fn wrong_type(column: usize) -> Error {
    Error::Internal(format!("column {column} of an answer has an unexpected type").into())
}

impl Row for tokio_postgres::Row {
    fn int(&self, column: usize) -> Result<i64> {
        self.opt_int(column)?.ok_or_else(|| wrong_type(column))
    }
    fn opt_int(&self, column: usize) -> Result<Option<i64>> {
        let ty = self.columns().get(column).map(tokio_postgres::Column::type_);
        let value = match ty {
            Some(&Type::INT8) => self.try_get::<_, Option<i64>>(column),
            Some(&Type::INT4) => self.try_get::<_, Option<i32>>(column).map(|v| v.map(i64::from)),
            Some(&Type::BOOL) => self.try_get::<_, Option<bool>>(column).map(|v| v.map(i64::from)),
            _ => return Err(wrong_type(column)),
        };
        value.map_err(|_| wrong_type(column))
    }
    fn text(&self, column: usize) -> Result<&str> {
        self.opt_text(column)?.ok_or_else(|| wrong_type(column))
    }
    fn opt_text(&self, column: usize) -> Result<Option<&str>> {
        self.try_get::<_, Option<&str>>(column).map_err(|_| wrong_type(column))
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(e: tokio_postgres::Error) -> Self {
        let Some(db) = e.as_db_error() else {
            let is_ours = e.source().is_some_and(|s| s.downcast_ref::<std::io::Error>().is_none());
            // Values that do not fit a statement are a bug of ours; everything else is an error of the connection.
            return if is_ours && !e.is_closed() {
                Self::Other(format!("postgres: {}", message(&e)))
            } else {
                Self::Lost(message(&e))
            };
        };
        match db.code() {
            &SqlState::UNIQUE_VIOLATION => {
                Self::Duplicate { table: db.table().unwrap_or_default().to_owned() }
            }
            &SqlState::FOREIGN_KEY_VIOLATION => Self::Dangling,
            &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => Self::Overtaken,
            &SqlState::DISK_FULL => Self::Full,
            &SqlState::LOCK_NOT_AVAILABLE | &SqlState::QUERY_CANCELED | &SqlState::TOO_MANY_CONNECTIONS => {
                Self::Crowded
            }
            // A primary that became a standby, or is configured read-only.
            &SqlState::READ_ONLY_SQL_TRANSACTION => Self::ReadOnly(db.message().to_owned()),
            &SqlState::IO_ERROR => Self::Disk(db.message().to_owned()),
            // A server that stops or starts.
            &SqlState::ADMIN_SHUTDOWN
            | &SqlState::CRASH_SHUTDOWN
            | &SqlState::CANNOT_CONNECT_NOW
            | &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
            | &SqlState::IDLE_SESSION_TIMEOUT
            | &SqlState::DATABASE_DROPPED => Self::Lost(db.message().to_owned()),
            code if code.code().starts_with("08") => Self::Lost(db.message().to_owned()),
            &SqlState::INSUFFICIENT_PRIVILEGE => Self::Denied(db.message().to_owned()),
            // The message of a bad statement names columns. Others may quote values: only the code is used.
            code if code.code().starts_with("42") => {
                Self::Other(format!("postgres: {} ({})", db.message(), code.code()))
            }
            code => {
                let at = db.constraint().or(db.table()).unwrap_or("no table");
                Self::Other(format!("postgres: error {} at {at}", code.code()))
            }
        }
    }
}
