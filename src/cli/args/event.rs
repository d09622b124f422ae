//! The arguments of `tenantry event`.

use clap::{Args, Subcommand};

use crate::cli::args::values::partner_id;
use tenantry_core::model::PartnerId;

/// `tenantry event ...`
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum EventCommand {
    /// List the events of the server, or of a partner
    ///
    /// Events of the server belong to no partner: changes of product clients and of the keys that sign ID tokens.
    List(EventList),
}

/// `tenantry event list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct EventList {
    /// The id of the partner, also of one that was deleted [default: the events of the server]
    #[arg(long, value_parser = partner_id)]
    pub partner: Option<PartnerId>,
    /// Only events of this type, such as key.rotated; repeat it for several
    #[arg(long = "type", value_name = "TYPE")]
    pub kinds: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
