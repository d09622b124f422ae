//! The statements of the store, on a connection to PostgreSQL.

use tokio_postgres::types::ToSql;

use super::bulk::{self, Owned};
use super::line::Later;
use super::{LATER, Postgres, ROWS};
use crate::engine::driver::{Connection, DbError, Dialect, Param, Row};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::PartnerId;

/// The partner and the parameters, as the driver expects them.
fn bound<'p>(partner: Option<PartnerId>, params: &'p [Param<'p>]) -> Vec<Param<'p>> {
    partner.map(|pid| Param::Int(pid.0)).into_iter().chain(params.iter().copied()).collect()
}

impl Connection for Postgres {
    fn execute(
        &mut self,
        sql: &str,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
    ) -> Result<usize, DbError> {
        self.observe(sql)?;
        let params = bound(partner, params);
        let statement = self.prepare(sql, params.len())?;
        let changed = self.run(async |client| client.execute_raw(&statement, params.iter()).await)?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    fn execute_later(
        &mut self,
        sql: &str,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
        refused: fn(DbError) -> Error,
    ) -> Result<(), DbError> {
        self.observe(sql)?;
        let params = bound(partner, params);
        let statement = self.prepare(sql, params.len())?;
        let row: Vec<Owned> = params.into_iter().map(Owned::from).collect();
        // Rows of plain inserts can be combined as long as only plain inserts are between them: a row that references
        // another one comes after it in any case.
        let same = self
            .later
            .iter_mut()
            .rev()
            .take_while(|l| bulk::is_plain_insert(&l.sql))
            .find(|l| *l.sql == *sql);
        match same {
            Some(same) if same.rows.len() < ROWS => {
                same.rows.push(row);
                return Ok(());
            }
            _ => self.later.push(Later { sql: sql.into(), statement, rows: vec![row], refused }),
        }
        if self.later.len() < LATER { Ok(()) } else { self.catch_up() }
    }

    fn query(
        &mut self,
        sql: &str,
        partner: Option<PartnerId>,
        params: &[Param<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<()>,
    ) -> Result<(), DbError> {
        self.observe(sql)?;
        let params = bound(partner, params);
        let statement = self.prepare(sql, params.len())?;
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| p as _).collect();
        let rows = self.run(async |client| client.query(&statement, &params).await)?;
        for row in rows {
            each(&row)?;
        }
        Ok(())
    }

    fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        self.run(async |client| client.batch_execute(sql).await)
    }

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }
}
