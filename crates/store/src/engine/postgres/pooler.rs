//! Recognizes a pooler that assigns a server connection per transaction or statement (PgBouncer with `pool_mode =
//! transaction`, Supavisor, Odyssey, pgcat). Behind one, notifications are not received, advisory locks are held by
//! nobody, and prepared statements are those of other clients: Tenantry would start and then fail under load.

use tokio_postgres::SimpleQueryMessage;

use crate::engine::driver::{Connection as _, DbError};
use crate::engine::postgres::{Address, Postgres, Role};

/// How often the exchange is repeated, should other clients of the pooler take its connections in between.
const ROUNDS: usize = 3;

const REFUSAL: &str = "database-url leads to a pooler that assigns a connection per transaction or statement (such as \
    PgBouncer with pool_mode = transaction); notifications, advisory locks and prepared statements of Tenantry belong to \
    one connection: connect to PostgreSQL directly, or set pool_mode = session";

/// Refuses a pooler between `conn` and the server.
///
/// # Errors
/// What to change.
pub(crate) fn refuse_poolers(conn: &mut Postgres, address: &Address) -> Result<(), &'static str> {
    // Without a second connection nothing can be said; whatever needs one reports why there is none.
    let Ok(mut other) = Postgres::connect(address, Role::Change) else { return Ok(()) };
    match changes_backend(conn, &mut other) {
        Ok(false) => Ok(()),
        Ok(true) => Err(REFUSAL),
        // In statement mode PgBouncer refuses BEGIN. Any other error will be met again by whoever called this.
        Err(e) if format!("{e:?}").contains("statement pooling") => Err(REFUSAL),
        Err(_) => Ok(()),
    }
}

/// Whether statements of one client connection are executed by different server processes.
///
/// Asking twice would not be enough: a pooler returns the most recently used connection first, so a client that is alone
/// gets the same one each time. Therefore a second client opens a transaction between the questions and so holds a server
/// connection. Behind a pooler it is that of the first client, which is idle, or the first client finds another one when
/// the second has returned its own; either is impossible if each client has its own. A pooler that returns the longest
/// unused connection first changes it with each question.
fn changes_backend(conn: &mut Postgres, other: &mut Postgres) -> Result<bool, DbError> {
    let own = backend(conn)?;
    for _ in 0..ROUNDS {
        other.batch("BEGIN")?;
        // Asked first: if the pool has one connection only, the first client would now wait for it.
        if backend(other)? == own || backend(conn)? != own {
            return Ok(true);
        }
        other.batch("COMMIT")?;
        if backend(conn)? != own || backend(conn)? != own || backend(other)? == own {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The server process at the other end. Not as a prepared statement, which fails behind a pooler.
fn backend(conn: &mut Postgres) -> Result<String, DbError> {
    // With several hosts two processes may have the same number.
    let sql = "SELECT pg_backend_pid() || ' ' || pg_postmaster_start_time()";
    let response = conn.run(async |client| client.simple_query(sql).await)?;
    let found = response.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    found.ok_or_else(|| DbError::Other(String::from("postgres: no answer to pg_backend_pid()")))
}
