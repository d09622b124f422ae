//! The address of a PostgreSQL database, with credentials.

use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::engine::postgres::{CONNECTING, GRACE};

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
    /// What is wrong with it, without the password in it.
    pub(crate) fn parse(url: &str, ca_file: Option<&Path>, timeout: Duration) -> Result<Self, String> {
        let mut config: tokio_postgres::Config = url.parse().map_err(|e: tokio_postgres::Error| {
            // The parser's message names the parameter, never its value.
            let why = e.source().map_or_else(|| e.to_string(), ToString::to_string);
            format!("database-url is not the URL of a PostgreSQL database ({why})")
        })?;
        if config.get_hosts().is_empty() {
            return Err(String::from("database-url has no host"));
        }
        if config.get_dbname().is_none() {
            return Err(String::from("database-url has no database"));
        }
        if config.get_user().is_none() {
            return Err(String::from("database-url has no user"));
        }
        if !url.contains("sslmode=") {
            // Users' passwords cross this connection: to other machines only with TLS, unless configured otherwise.
            let mode =
                if config.get_hosts().iter().all(is_here) { SslMode::Disable } else { SslMode::Require };
            config.ssl_mode(mode);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECTING);
        }
        config.application_name(application_name());
        config.keepalives_idle(Duration::from_secs(30));
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(timeout + GRACE);
        }
        Ok(Self { config, tls: tls(ca_file)?, timeout })
    }

    /// The address for people: hosts and database, no password.
    pub(crate) fn shown(&self) -> String {
        let ports = self.config.get_ports();
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
        format!("{}/{}", hosts.join(","), self.config.get_dbname().unwrap_or_default())
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

/// The application name of server connections: it contains the schema they use, so that a server can detect one of an
/// earlier version beside it (those up to schema 9 only use "tenantry").
pub(crate) fn application_name() -> String {
    format!("tenantry/{}", crate::ops::migrate::KNOWN)
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

/// Certificates are always checked, against the public authorities or those of `ca_file`.
fn tls(ca_file: Option<&Path>) -> Result<MakeRustlsConnect, String> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let wrong = |e: &dyn std::fmt::Display| {
                format!("database-ca-file: {} contains no readable certificates: {e}", path.display())
            };
            let all = CertificateDer::pem_file_iter(path).map_err(|e| wrong(&e))?;
            for certificate in all {
                roots.add(certificate.map_err(|e| wrong(&e))?).map_err(|e| wrong(&e))?;
            }
            if roots.is_empty() {
                return Err(wrong(&"it has none"));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS cannot be set up: {e}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
