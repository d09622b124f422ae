//! The state of handlers: the services of `domain`, and the settings that only HTTP uses.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::cors::CorsOrigins;
use crate::forwarded::ForwardedHeader;
use crate::public_path::PublicPath;
use crate::visitors::Visitors;
use tenantry_domain::services::Services;
use tenantry_domain::webauthn::{NoRelyingParty, RelyingParty};

/// The state of all routes. It dereferences to its [`Services`]. Clones share it.
#[derive(Debug, Clone)]
pub struct AppState {
    services: Services,
    settings: Arc<HttpSettings>,
    visitors: Arc<Visitors>,
    relying_party: Result<Arc<RelyingParty>, NoRelyingParty>,
}

/// Settings of the HTTP edges.
#[derive(Debug, Clone, Default)]
pub struct HttpSettings {
    /// Trusted proxies; see [`HttpSettings::trusts`].
    pub trusted_proxies: Vec<IpNet>,
    /// The header of trusted proxies that names the client.
    pub forwarded_header: ForwardedHeader,
    /// Where clients see the server.
    pub public_url: String,
    /// Maximum number of requests of pages per minute and client address, of browsers without a session; 0 = no limit.
    pub page_requests_per_address: u32,
    /// The path of the public URL; `None` is the root.
    pub public_path: Option<PublicPath>,
    /// The origins whose scripts may use the server.
    pub cors_origins: CorsOrigins,
    /// Clients that may read the metrics on the API's listener; see [`HttpSettings::allows_metrics`].
    pub metrics_allow: Vec<IpNet>,
    /// Whether responses have `isAdmin` as a string (B4).
    pub is_admin_as_string: bool,
}

impl HttpSettings {
    /// Whether the peer is a trusted proxy (`Forwarded`, `X-Forwarded-For`, `X-Forwarded-Prefix`). An IPv4 address over
    /// an IPv6 socket counts as IPv4.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }

    /// The origin of the public URL.
    pub fn public_origin(&self) -> &str {
        let host = self.public_url.find("://").map_or(0, |at| at + 3);
        let end = self.public_url.get(host..).and_then(|rest| rest.find('/'));
        end.and_then(|end| self.public_url.get(..host + end)).unwrap_or(&self.public_url)
    }

    /// The name of the server in authenticator apps.
    pub fn authenticator_name(&self) -> String {
        let host = self.public_url.split_once("://").map_or("", |(_, rest)| rest);
        format!("Tenantry ({})", host.split(['/', ':']).next().unwrap_or_default())
    }

    /// Whether browsers see the server over https: then its cookies are `Secure`.
    pub fn is_https(&self) -> bool {
        self.public_url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
    }

    /// Whether the peer may read the metrics on the API's listener.
    pub fn allows_metrics(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.metrics_allow.iter().any(|net| net.contains(&peer))
    }
}

impl AppState {
    /// Combines services and HTTP settings.
    pub fn new(services: Services, settings: HttpSettings) -> Self {
        let visitors = Arc::new(Visitors::limited_to(settings.page_requests_per_address));
        let relying_party = RelyingParty::of_url(&settings.public_url).map(Arc::new);
        Self { services, settings: Arc::new(settings), visitors, relying_party }
    }

    /// This server, as the authenticators of passkeys know it.
    ///
    /// # Errors
    /// Browsers offer no passkeys at its public URL.
    pub fn relying_party(&self) -> Result<&RelyingParty, NoRelyingParty> {
        self.relying_party.as_deref().map_err(|no| *no)
    }

    /// The requests of nobody, by address.
    pub(super) fn visitors(&self) -> &Visitors {
        &self.visitors
    }

    /// The services.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// The settings of the HTTP edges.
    pub fn settings(&self) -> &HttpSettings {
        &self.settings
    }

    /// The settings of the HTTP edges, shared.
    pub(super) fn shared_settings(&self) -> Arc<HttpSettings> {
        Arc::clone(&self.settings)
    }
}

impl std::ops::Deref for AppState {
    type Target = Services;
    fn deref(&self) -> &Services {
        &self.services
    }
}
