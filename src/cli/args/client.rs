//! The arguments of `tenantry client`.

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use crate::cli::args::values::{partner_id, positive};
use tenantry_core::model::PartnerId;

/// `tenantry client ...`
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ClientCommand {
    /// Create a client; its secret is printed once
    ///
    /// With a redirect URI it is for logging users in through pages: it has the grants authorization_code and refresh_token
    /// and all scopes of OpenID Connect. Without one it has the grants client_credentials, password and refresh_token, and
    /// the scopes read and write.
    Create(ClientCreate),
    /// List a partner's clients, or the product clients
    List(ClientList),
    /// Change a client; what is omitted stays as it is
    Update(ClientUpdate),
    /// Revoke a client and its tokens
    Revoke(ClientRevoke),
    /// Make a second secret, to exchange the first one for; it is printed once
    AddSecret(ClientAddSecret),
    /// Remove one of two secrets
    RemoveSecret(ClientRemoveSecret),
}

/// `tenantry client create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ClientCreate {
    /// The partner's id
    #[arg(long, value_parser = partner_id, required_unless_present = "product", conflicts_with = "product")]
    pub partner: Option<PartnerId>,
    /// Create a product client, for the users of all partners
    #[arg(long)]
    pub product: bool,
    /// A descriptive name
    #[arg(long)]
    pub name: String,
    /// It has no secret: an application in a browser or on a device
    #[arg(long)]
    pub public: bool,
    /// Give its technical account the rights of a partner admin
    #[arg(long)]
    pub admin: bool,
    /// Its other properties.
    #[command(flatten)]
    pub settings: ClientSettings,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The properties of a client that can be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientSettings {
    /// Where users are sent back to; repeat it for several
    #[arg(long, value_name = "URI")]
    pub redirect_uri: Vec<String>,
    /// Where users may be sent after logging out; repeat it for several, or "" for none
    #[arg(long, value_name = "URI")]
    pub post_logout_redirect_uri: Vec<String>,
    /// A grant it may use: authorization_code, refresh_token, client_credentials or password; repeat it for several
    #[arg(long, value_name = "GRANT")]
    pub grant: Vec<String>,
    /// A scope it may request, such as openid or read; repeat it for several
    #[arg(long, value_name = "SCOPE")]
    pub scope: Vec<String>,
    /// What its ID tokens are signed with: RS256, ES256 or EdDSA
    #[arg(long, value_name = "ALG")]
    pub id_token_alg: Option<String>,
    /// How it authenticates: client_secret_basic, client_secret_post, client_secret for both, or none if it is public
    #[arg(long, value_name = "METHOD")]
    pub auth_method: Option<String>,
    /// Whether users are asked before it learns about them; never for a product client
    #[arg(long, value_name = "true|false")]
    pub require_consent: Option<bool>,
    /// Whether it must use PKCE; always if it is public
    #[arg(long, value_name = "true|false")]
    pub require_pkce: Option<bool>,
    /// Whether users who have a second factor may log in with the password alone, by the grant password
    #[arg(long, value_name = "true|false")]
    pub password_without_second_factor: Option<bool>,
    /// A partner whose users a product client is for; repeat it for several
    #[arg(long, value_name = "PARTNER", value_parser = partner_id)]
    pub allow_partner: Vec<PartnerId>,
    /// A product client is for the users of all partners
    #[arg(long, conflicts_with = "allow_partner")]
    pub allow_all_partners: bool,
}

/// `tenantry client list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ClientList {
    /// The partner's id
    #[arg(long, value_parser = partner_id, required_unless_present = "product", conflicts_with = "product")]
    pub partner: Option<PartnerId>,
    /// List the product clients
    #[arg(long)]
    pub product: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry client update`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ClientUpdate {
    /// The client_id
    #[arg(value_name = "CLIENT_ID")]
    pub client_id: String,
    /// A descriptive name
    #[arg(long)]
    pub name: Option<String>,
    /// Its other properties.
    #[command(flatten)]
    pub settings: ClientSettings,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry client revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ClientRevoke {
    /// The client_id
    #[arg(value_name = "CLIENT_ID")]
    pub client_id: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry client add-secret`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ClientAddSecret {
    /// The client_id
    #[arg(value_name = "CLIENT_ID")]
    pub client_id: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tenantry client remove-secret`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ClientRemoveSecret {
    /// The client_id
    #[arg(value_name = "CLIENT_ID")]
    pub client_id: String,
    /// The id of the secret, which `client list --json` shows
    #[arg(value_name = "SECRET_ID", value_parser = positive)]
    pub secret_id: i64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
