//! The address of a PostgreSQL database, with credentials.

use std::path::Path;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::engine::postgres::url::{PostgresUrl, RootCert, TlsMode};
use crate::engine::postgres::{CONNECTING, GRACE};
use tenantry_tls::{Authorities, Verify};

/// The address and credentials. `Debug` hides the password (the driver does that).
#[derive(Clone)]
pub(crate) struct Address {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: MakeRustlsConnect,
    /// The server cancels a statement after this time.
    pub(super) timeout: Duration,
}

impl Address {
    /// Parses a URL.
    ///
    /// # Errors
    /// What is wrong with it or with the certificates, without the password in it.
    pub(crate) fn parse(url: &str, ca_file: Option<&Path>, timeout: Duration) -> Result<Self, String> {
        let PostgresUrl { mut config, tls, root_cert } =
            PostgresUrl::parse(url).map_err(|what| format!("database-url {what}"))?;
        let is_local = config.get_hosts().iter().all(is_here) && !config.get_hosts().is_empty();
        // Users' passwords cross this connection: to other machines only with TLS, unless configured otherwise.
        let default = if is_local && root_cert.is_none() { TlsMode::Disable } else { TlsMode::Full };
        let mode = tls.unwrap_or(default);
        config.ssl_mode(match mode {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Full | TlsMode::Chain => SslMode::Require,
        });
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECTING);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(timeout + GRACE);
        }
        Ok(Self { config, tls: connector(mode, root_cert.as_ref(), ca_file)?, timeout })
    }

    /// Sets the application name of its connections.
    pub(crate) fn named(mut self, application_name: &str) -> Self {
        self.config.application_name(application_name);
        self
    }

    /// The address for people: hosts and database, no password.
    pub(crate) fn shown(&self) -> String {
        let ports = self.config.get_ports();
        let addresses = || self.config.get_hostaddrs().iter().map(ToString::to_string).collect::<Vec<_>>();
        let hosts: Vec<String> = self
            .config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(at, host)| {
                let port = ports.get(at).or_else(|| ports.first()).copied().unwrap_or(5432);
                match host {
                    Host::Tcp(name) => format!("{name}:{port}"),
                    #[cfg(unix)]
                    Host::Unix(path) => format!("{}:{port}", path.display()),
                }
            })
            .collect();
        let hosts = if hosts.is_empty() { addresses() } else { hosts };
        format!("{}/{}", hosts.join(","), self.config.get_dbname().unwrap_or_default())
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// Certificates are always verified, against the public authorities or those of a file; that of the URL counts.
fn connector(
    mode: TlsMode,
    root_cert: Option<&RootCert>,
    ca_file: Option<&Path>,
) -> Result<MakeRustlsConnect, String> {
    let (setting, file) = match root_cert {
        Some(RootCert::Public) => ("database-url: sslrootcert", None),
        Some(RootCert::File(path)) => ("database-url: sslrootcert", Some(path.as_path())),
        None => ("database-ca-file", ca_file),
    };
    let authorities = match file {
        // Without TLS the file is of no use, and need not be there.
        Some(_) if mode == TlsMode::Disable => Authorities::public(),
        Some(path) => Authorities::of_file(path).map_err(|what| format!("{setting}: {what}"))?,
        None if mode == TlsMode::Chain => {
            return Err(String::from(
                "database-url has sslmode=verify-ca with the public authorities, which sign for everybody: use \
                 sslmode=verify-full, or name the file of a private authority with sslrootcert or database-ca-file",
            ));
        }
        None => Authorities::public(),
    };
    let verify = if mode == TlsMode::Chain { Verify::Chain } else { Verify::Full };
    Ok(MakeRustlsConnect::new(tenantry_tls::client(&authorities, verify)?.0))
}
