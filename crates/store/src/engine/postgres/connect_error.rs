//! Why a connection to PostgreSQL fails, and how to fix it.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::{future::Future, pin::Pin};

use tokio_postgres::Socket;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::engine::driver::DbError;

/// Why a connection fails. Messages quote names of hosts, users and databases, never a password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The host has no address.
    #[error("{0}; check the host name in database-url")]
    Dns(String),
    /// Connection refused: the port is closed, or the socket file is missing.
    #[error("{0}; {IS_IT_RUNNING}")]
    Refused(String),
    /// The host is unreachable.
    #[error("{0}; {IS_IT_RUNNING}")]
    Unreachable(String),
    /// A timeout.
    #[error("{0}; {IS_IT_RUNNING}")]
    TimedOut(String),
    /// No TLS, or none that is trusted.
    #[error("{0}; check sslmode in database-url, database-ca-file, and the server's certificate")]
    Tls(String),
    /// The server asks for a password, and the URL has none.
    #[error("{0}; set user and password in database-url (postgres://user:password@...)")]
    NoPassword(String),
    /// SQLSTATE class 28: user, password or pg_hba.conf.
    #[error("{0}; check user and password in database-url ({ESCAPED}), and the server's pg_hba.conf")]
    Authentication(String),
    /// `channel_binding=require`, and the server has no TLS or its certificate cannot be bound.
    #[error(
        "{0}; set channel_binding=prefer in database-url, or use TLS and a password of the method scram-sha-256"
    )]
    ChannelBinding(String),
    /// SQLSTATE class 3D: the server has no such database.
    #[error("{0}; check database-url, or create the database with CREATE DATABASE")]
    NoDatabase(String),
    /// SQLSTATE class 42: this user may not connect to the database.
    #[error("{0}; its owner must grant this user the right (GRANT CONNECT ON DATABASE)")]
    NotPermitted(String),
    /// SQLSTATE 53300.
    #[error("the server has too many connections; raise its max_connections or lower database-pool-size")]
    TooManyConnections,
    /// The server is read-only.
    #[error("{0}; database-url must point to the primary")]
    ReadOnly(String),
    /// The server refuses for another, possibly temporary reason: it starts, stops or recovers.
    #[error("{message}; {IS_IT_RUNNING}")]
    Server { sqlstate: SqlState, message: String },
    /// The connection was closed, or what listens there does not speak PostgreSQL's protocol.
    #[error("{0}; {IS_IT_RUNNING}")]
    Protocol(String),
    /// The session could not be set up.
    #[error("{}", shown(.0))]
    SetUp(DbError),
}

/// Unescaped, `%41` is another character of the password.
const ESCAPED: &str = "where @ is written %40 and % is written %25";

const IS_IT_RUNNING: &str = "is the server running there, and is its port the one in database-url?";

/// The error of a statement, for people.
fn shown(e: &DbError) -> String {
    match e {
        DbError::Other(why) => why.trim_start_matches("postgres: ").to_owned(),
        other => format!("{other:?}"),
    }
}

impl From<DbError> for ConnectError {
    fn from(e: DbError) -> Self {
        match e {
            DbError::Lost(why) => Self::Protocol(why),
            DbError::ReadOnly(why) => Self::ReadOnly(why),
            DbError::Crowded => Self::TooManyConnections,
            other => Self::SetUp(other),
        }
    }
}

/// For servers that were reached before: an error that needs intervention is not [`DbError::Lost`].
impl From<ConnectError> for DbError {
    fn from(e: ConnectError) -> Self {
        match e {
            ConnectError::TooManyConnections => Self::Crowded,
            ConnectError::Authentication(_) | ConnectError::NoDatabase(_) | ConnectError::NotPermitted(_) => {
                Self::Other(format!("postgres: {e}"))
            }
            ConnectError::SetUp(e) => e,
            ConnectError::Dns(why)
            | ConnectError::Refused(why)
            | ConnectError::Unreachable(why)
            | ConnectError::TimedOut(why)
            | ConnectError::Tls(why)
            | ConnectError::NoPassword(why)
            | ConnectError::ChannelBinding(why)
            | ConnectError::ReadOnly(why)
            | ConnectError::Server { message: why, .. }
            | ConnectError::Protocol(why) => Self::Lost(why),
        }
    }
}

impl ConnectError {
    /// Classifies the driver's error. Its kind is private, so `stage` says what the driver was doing.
    pub(super) fn of(e: &tokio_postgres::Error, config: &tokio_postgres::Config, stage: Stage) -> Self {
        let why = message(e);
        if let Some(db) = e.as_db_error() {
            return Self::of_server(db.code(), why);
        }
        if let Some(io) = e.source().and_then(|source| source.downcast_ref::<io::Error>()) {
            return Self::of_io(io, stage, why);
        }
        let has_tls_failed = e.source().is_some_and(|source| source.is::<HandshakeError>());
        let lacks_tls = stage == Stage::Connected && config.get_ssl_mode() == SslMode::Require;
        if has_tls_failed || (lacks_tls && e.source().is_some()) {
            Self::Tls(why)
        } else if config.get_channel_binding() == ChannelBinding::Require && why.contains("channel binding") {
            Self::ChannelBinding(why)
        } else if config.get_password().is_none() && e.source().is_some() {
            Self::NoPassword(why)
        } else {
            Self::Protocol(why)
        }
    }

    fn of_server(sqlstate: &SqlState, message: String) -> Self {
        if *sqlstate == SqlState::TOO_MANY_CONNECTIONS {
            return Self::TooManyConnections;
        }
        match sqlstate.code().get(..2) {
            Some("28") => Self::Authentication(message),
            Some("3D") => Self::NoDatabase(message),
            Some("42") => Self::NotPermitted(message),
            _ => Self::Server { sqlstate: sqlstate.clone(), message },
        }
    }

    fn of_io(e: &io::Error, stage: Stage, why: String) -> Self {
        // After the handshake, too, as when the server requires a client certificate.
        if e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
            return Self::Tls(why);
        }
        match (e.raw_os_error(), e.kind()) {
            (_, io::ErrorKind::TimedOut) => Self::TimedOut(why),
            (Some(_), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Self::Refused(why),
            (Some(_), io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                Self::Unreachable(why)
            }
            (Some(_), _) | (None, io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) => {
                Self::Protocol(why)
            }
            // The driver's own, for `target_session_attrs=read-write`.
            (None, io::ErrorKind::PermissionDenied) => Self::ReadOnly(why),
            (None, io::ErrorKind::InvalidInput | io::ErrorKind::Other) if stage != Stage::Connecting => {
                Self::Protocol(why)
            }
            // getaddrinfo's errors are not system errors, and have no kind of their own.
            (None, _) => Self::Dns(why),
        }
    }
}

/// All causes of an error in one line. Errors of connecting only quote names of users and databases.
pub(super) fn message(e: &tokio_postgres::Error) -> String {
    let mut text = e.as_db_error().map_or_else(|| e.to_string(), |db| db.message().to_owned());
    let mut cause = if e.as_db_error().is_some() { None } else { e.source() };
    while let Some(e) = cause {
        text.push_str(": ");
        text.push_str(&e.to_string());
        cause = e.source();
    }
    text
}

/// The progress of an attempt to connect. With several hosts, that of the last one reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Resolving and connecting.
    Connecting,
    /// Connected.
    Connected,
    /// TLS is established.
    Secured,
}

/// The driver's TLS connector; records the stage.
pub(super) struct NotedTls {
    tls: MakeRustlsConnect,
    stage: Arc<AtomicU8>,
}

/// The recorded stage.
pub(super) struct StageOf(Arc<AtomicU8>);

impl StageOf {
    pub(super) fn get(&self) -> Stage {
        match self.0.load(Ordering::Relaxed) {
            CONNECTING => Stage::Connecting,
            CONNECTED => Stage::Connected,
            _ => Stage::Secured,
        }
    }
}

const CONNECTING: u8 = 0;
const CONNECTED: u8 = 1;
const SECURED: u8 = 2;

impl NotedTls {
    pub(super) fn new(tls: MakeRustlsConnect) -> (Self, StageOf) {
        let stage = Arc::new(AtomicU8::new(CONNECTING));
        (Self { tls, stage: Arc::clone(&stage) }, StageOf(stage))
    }
}

type RustlsConnect = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;

/// The driver's TLS connector for one connection.
pub(super) struct NotedConnect {
    tls: RustlsConnect,
    stage: Arc<AtomicU8>,
}

/// The TLS handshake failed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct HandshakeError(io::Error);

impl MakeTlsConnect<Socket> for NotedTls {
    type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
    type TlsConnect = NotedConnect;
    type Error = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Error;

    /// The driver calls this when the socket is connected, with or without TLS.
    fn make_tls_connect(&mut self, domain: &str) -> Result<NotedConnect, Self::Error> {
        self.stage.store(CONNECTED, Ordering::Relaxed);
        let tls = MakeTlsConnect::<Socket>::make_tls_connect(&mut self.tls, domain)?;
        Ok(NotedConnect { tls, stage: Arc::clone(&self.stage) })
    }
}

impl TlsConnect<Socket> for NotedConnect {
    type Stream = <RustlsConnect as TlsConnect<Socket>>::Stream;
    type Error = HandshakeError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, HandshakeError>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move {
            let stream = self.tls.connect(stream).await.map_err(HandshakeError)?;
            self.stage.store(SECURED, Ordering::Relaxed);
            Ok(stream)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;
    use crate::engine::postgres::{Address, Postgres, Role};

    const SOON: Duration = Duration::from_millis(300);

    fn refused(url: &str) -> ConnectError {
        let address = Address::parse(url, None, Duration::from_secs(5)).unwrap();
        let error = Postgres::connect(&address, Role::Write).err().unwrap();
        assert!(!error.to_string().contains("hush"), "{error}");
        error
    }

    /// The result of connecting to a scripted server on a thread: one response per message.
    fn answered(responses: &[&[u8]], user: &str, parameters: &str) -> ConnectError {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("postgres://{user}@{}/t?{parameters}", listener.local_addr().unwrap());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut socket, _) = listener.accept().unwrap();
                for (at, response) in responses.iter().enumerate() {
                    // Only the first message has no letter before its length.
                    let mut head = vec![0; if at == 0 { 4 } else { 5 }];
                    socket.read_exact(&mut head).unwrap();
                    let length: [u8; 4] = head[head.len() - 4..].try_into().unwrap();
                    let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
                    socket.read_exact(&mut rest).unwrap();
                    socket.write_all(response).unwrap();
                }
                // A server with a single response closes the connection.
                if responses.len() > 1 {
                    let _ = socket.read_to_end(&mut Vec::new());
                }
            });
            refused(&url)
        })
    }

    /// PostgreSQL's documentation, "Message Formats": ErrorResponse.
    fn server_says(code: &str, message: &str) -> ConnectError {
        let fields: Vec<u8> = [("S", "FATAL"), ("V", "FATAL"), ("C", code), ("M", message)]
            .iter()
            .flat_map(|(kind, text)| [kind.as_bytes(), text.as_bytes(), &[0]].concat())
            .chain([0])
            .collect();
        let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
        answered(&[&[&b"E"[..], &length, &fields].concat()], "robot:hush", "sslmode=disable")
    }

    #[test]
    fn a_host_without_an_address_is_dns() {
        let error = refused("postgres://robot:hush@db.invalid/t?sslmode=disable");
        assert!(matches!(&error, ConnectError::Dns(why) if why.contains("lookup")), "{error:?}");
        assert!(error.to_string().ends_with("check the host name in database-url"));
        assert!(matches!(DbError::from(error), DbError::Lost(_)));
    }

    #[test]
    fn a_closed_port_and_a_missing_socket_are_refused() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for url in [
            format!("postgres://robot:hush@{free}/t"),
            String::from("postgres://robot:hush@%2Fno%2Fsuch%2Fdirectory/t"),
        ] {
            let error = refused(&url);
            assert!(matches!(error, ConnectError::Refused(_)), "{error:?}");
            assert!(error.to_string().contains("is the server running there"), "{error}");
        }
    }

    #[test]
    fn a_server_that_is_silent_is_timed_out() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("postgres://robot:hush@{}/t", listener.local_addr().unwrap());
        let address = Address::parse(&url, None, Duration::from_secs(5)).unwrap();
        let error = Postgres::connect_within(&address, Role::Write, Some(SOON)).err().unwrap();
        assert!(matches!(error, ConnectError::TimedOut(_)), "{error:?}");
    }

    #[test]
    fn tls_that_the_server_lacks_or_spoils_is_tls() {
        for response in [&b"N"[..], b"Sgarbage, not a record of TLS"] {
            let error = answered(&[response], "robot:hush", "sslmode=require");
            assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
            assert!(error.to_string().contains("check sslmode in database-url, database-ca-file"));
        }
        // Without a password as well: TLS comes first.
        assert!(matches!(answered(&[b"N"], "robot", "sslmode=require"), ConnectError::Tls(_)));
    }

    #[test]
    fn a_missing_required_password_is_named() {
        // In clear text, MD5 with a salt, SCRAM.
        for response in [
            &b"R\0\0\0\x08\0\0\0\x03"[..],
            b"R\0\0\0\x0c\0\0\0\x05salt",
            b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0",
        ] {
            let error = answered(&[response], "robot", "sslmode=disable");
            assert!(matches!(error, ConnectError::NoPassword(_)), "{error:?}");
            assert!(error.to_string().contains("set user and password in database-url"), "{error}");
        }
        // The server has no TLS, and the URL does not require it.
        let error = answered(&[b"N"], "robot", "sslmode=prefer");
        assert!(matches!(error, ConnectError::Protocol(_)), "{error:?}");
    }

    #[test]
    fn refusals_of_the_server_are_known_by_sqlstate() {
        type Is = fn(&ConnectError) -> bool;
        let cases: [(&str, Is, &str); 6] = [
            ("28P01", |e| matches!(e, ConnectError::Authentication(_)), "check user and password in"),
            ("28000", |e| matches!(e, ConnectError::Authentication(_)), "the server's pg_hba.conf"),
            ("3D000", |e| matches!(e, ConnectError::NoDatabase(_)), "CREATE DATABASE"),
            ("42501", |e| matches!(e, ConnectError::NotPermitted(_)), "GRANT CONNECT ON DATABASE"),
            ("53300", |e| matches!(e, ConnectError::TooManyConnections), "lower database-pool-size"),
            (
                "57P03",
                |e| matches!(e, ConnectError::Server { sqlstate, .. } if *sqlstate == SqlState::CANNOT_CONNECT_NOW),
                "is the server running there",
            ),
        ];
        for (code, is_it, remedy) in cases {
            // The message of another variant is not one.
            let error = server_says(code, "TLS lookup, password missing");
            assert!(is_it(&error), "{code}: {error:?}");
            assert!(error.to_string().contains(remedy), "{code}: {error}");
        }
        assert!(matches!(DbError::from(server_says("53300", "sorry")), DbError::Crowded));
        assert!(matches!(DbError::from(server_says("28P01", "no")), DbError::Other(_)));
        assert!(matches!(DbError::from(server_says("57P03", "starting up")), DbError::Lost(_)));
    }

    #[test]
    fn a_server_of_another_protocol_is_named_as_such() {
        let error = answered(&[b"HTTP/1.1 400 Bad Request\r\n\r\n"], "robot:hush", "sslmode=disable");
        assert!(matches!(error, ConnectError::Protocol(_)), "{error:?}");
        let error = answered(&[b""], "robot:hush", "sslmode=disable");
        assert!(matches!(error, ConnectError::Protocol(_)), "{error:?}");
    }

    #[test]
    fn a_read_only_server_is_an_error() {
        // AuthenticationOk, ReadyForQuery, then the response to SHOW transaction_read_only: a row of one column, "on".
        let hello = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
        let columns = [&b"T\0\0\0\x1b\0\x01on\0"[..], &[0; 18]].concat();
        let row = b"D\0\0\0\x0c\0\x01\0\0\0\x02onC\0\0\0\x09SHOW\0Z\0\0\0\x05I";
        let responses = [&hello[..], &[&columns[..], row].concat()];
        let error = answered(&responses, "robot:hush", "sslmode=disable&target_session_attrs=read-write");
        assert!(matches!(error, ConnectError::ReadOnly(_)), "{error:?}");
        assert!(error.to_string().ends_with("database-url must point to the primary"), "{error}");
    }

    #[test]
    fn errors_of_setting_up_the_session_keep_their_meaning() {
        assert!(matches!(ConnectError::from(DbError::Lost("gone".into())), ConnectError::Protocol(_)));
        assert!(matches!(ConnectError::from(DbError::Crowded), ConnectError::TooManyConnections));
        let error = ConnectError::from(DbError::Other(String::from("postgres: no such setting (42704)")));
        assert_eq!(error.to_string(), "no such setting (42704)");
        assert!(matches!(DbError::from(error), DbError::Other(_)));
        let unreachable = io::Error::from_raw_os_error(113);
        let error = ConnectError::of_io(&unreachable, Stage::Connecting, unreachable.to_string());
        assert!(matches!(error, ConnectError::Unreachable(_)), "{error:?}");
    }
}
