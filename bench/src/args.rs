//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Measure this machine: a server on a temporary database, over HTTP
///
/// Seeds an SQLite database, starts a server on it, sends it typical requests on 127.0.0.1, and prints rates, latencies
/// and memory, with ratios to a bare endpoint measured in alternation. Your own data and settings are neither used nor
/// changed, and nothing is left behind.
#[derive(Debug, Clone, PartialEq, Parser)]
#[command(name = "tenantry-bench", version)]
pub struct BenchArgs {
    /// Users in the database, 100 to 20000000
    #[arg(long, value_name = "COUNT", default_value = "100000", value_parser = clap::value_parser!(u64).range(100..=20_000_000))]
    pub users: u64,
    /// Small partners of 20 users each; one huge partner has the other users [default: one for each 100 users, at most
    /// 1000]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=500_000))]
    pub partners: Option<u64>,
    /// How long each row is measured, 0.1 to 600
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub seconds: f64,
    /// Concurrent connections
    #[arg(long, value_name = "COUNT", default_value = "64", value_parser = connections)]
    pub connections: usize,
    /// Cores of the server and of the load generator, such as 0,1 [default: the first two]
    #[arg(long, value_name = "SERVER,LOAD", value_parser = cores)]
    pub cores: Option<(usize, usize)>,
    /// Where the database is created; must be on a disk, or writes are not durable
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    pub dir: PathBuf,
    /// Write the figures to this file as JSON; - prints them instead of the table
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with plots to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The server to measure: a `tenantry` binary [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    pub server: Option<PathBuf>,
    /// Measure only the server, and a quiet partner, under overload
    #[arg(long)]
    pub only_overload: bool,
    /// Measure only how much the times of searches for what other partners have, and of refused logins, differ, and
    /// logins beside expensive password hashes
    #[arg(long, conflicts_with = "only_overload")]
    pub only_refusals: bool,
    /// Measure only signing in: pages, authorization codes, tokens, and what clients ask for
    #[arg(long, conflicts_with_all = ["only_overload", "only_refusals"])]
    pub only_sign_in: bool,
    /// Copy the users to this empty PostgreSQL database, and sign in there
    #[arg(long, value_name = "URL", requires = "only_sign_in", value_parser = postgres_url)]
    pub database_url: Option<String>,
    /// Keep the database
    #[arg(long)]
    pub keep: bool,
}

impl Eq for BenchArgs {}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=600.0).contains(seconds));
    seconds.ok_or_else(|| "must be 0.1 to 600 seconds".into())
}

fn postgres_url(text: &str) -> Result<String, String> {
    let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
    is_url.then(|| text.to_owned()).ok_or_else(|| "must be a postgres:// URL".into())
}

fn connections(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=1_000).contains(count));
    count.ok_or_else(|| "must be 1 to 1000 connections".into())
}

fn cores(text: &str) -> Result<(usize, usize), String> {
    let pair =
        text.split_once(',').and_then(|(server, load)| Some((server.parse().ok()?, load.parse().ok()?)));
    pair.filter(|(server, load)| server != load)
        .ok_or_else(|| "must be two different cores, such as 0,1".into())
}
