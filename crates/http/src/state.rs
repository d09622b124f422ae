//! The state of handlers: the services of `domain`, and the settings that only HTTP uses.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use tenantry_domain::services::Services;

/// The state of all routes. It dereferences to its [`Services`]. Clones share it.
#[derive(Debug, Clone)]
pub struct AppState {
    services: Services,
    settings: Arc<HttpSettings>,
}

/// Settings of the HTTP edges.
#[derive(Debug, Clone, Default)]
pub struct HttpSettings {
    /// Trusted proxies; see [`HttpSettings::trusts`].
    pub trusted_proxies: Vec<IpNet>,
    /// Clients that may read the metrics on the API's listener; see [`HttpSettings::allows_metrics`].
    pub metrics_allow: Vec<IpNet>,
    /// Whether responses have `isAdmin` as a string (B4).
    pub is_admin_as_string: bool,
}

impl HttpSettings {
    /// Whether the peer is a trusted proxy (`Forwarded`, `X-Forwarded-For`). An IPv4 address over an IPv6 socket counts
    /// as IPv4.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
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
        Self { services, settings: Arc::new(settings) }
    }

    /// The services.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// The settings of the HTTP edges.
    pub fn settings(&self) -> &HttpSettings {
        &self.settings
    }
}

impl std::ops::Deref for AppState {
    type Target = Services;
    fn deref(&self) -> &Services {
        &self.services
    }
}
