//! `tenantry config`: prints the settings in force and their origins.

use std::io::{self, Write};

use crate::cli::args::ConfigArgs;
use crate::config::Config;

/// Prints the settings.
pub(super) fn run(config: &Config, args: &ConfigArgs, out: &mut impl Write) -> io::Result<()> {
    out.write_all(config.render(args.json).as_bytes())
}
