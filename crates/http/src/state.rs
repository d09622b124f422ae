//! What handlers work with: the services of the rules, and the settings that only HTTP knows.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use tenantry_domain::services::Services;

/// The state of every route. It is used as the [`Services`] that it contains. Clones share it.
#[derive(Debug, Clone)]
pub struct AppState {
    services: Services,
    settings: Arc<HttpSettings>,
}

/// Settings of the HTTP edges.
#[derive(Debug, Clone, Default)]
pub struct HttpSettings {
    /// Proxies that may say for whom they speak; see [`HttpSettings::trusts`].
    pub trusted_proxies: Vec<IpNet>,
    /// Who may read the metrics where the API is served; see [`HttpSettings::allows_metrics`].
    pub metrics_allow: Vec<IpNet>,
    /// Whether answers carry `isAdmin` as a string (B4).
    pub is_admin_as_string: bool,
}

impl HttpSettings {
    /// Whether the peer may say for whom it speaks (`Forwarded`, `X-Forwarded-For`). An IPv4 address that came in
    /// over an IPv6 socket counts as what it is.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }

    /// Whether the peer may read the metrics where the API is served.
    pub fn allows_metrics(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.metrics_allow.iter().any(|net| net.contains(&peer))
    }
}

impl AppState {
    /// Services with the settings of HTTP.
    pub fn new(services: Services, settings: HttpSettings) -> Self {
        Self { services, settings: Arc::new(settings) }
    }

    /// The services, for what is not of HTTP.
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
