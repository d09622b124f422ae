//! The arguments.

use std::path::PathBuf;

use clap::Parser;

/// Measure this machine: a server on a throw-away database, asked over HTTP
///
/// Seeds an SQLite database, starts a server on it, asks it on 127.0.0.1 what products ask, and prints rates, latencies
/// and memory, with ratios to a bare endpoint measured in turns with it. Nothing of your own data or settings is touched
/// or used, and nothing is left behind.
#[derive(Debug, Clone, PartialEq, Parser)]
#[command(name = "tenantry-bench", version)]
pub struct BenchArgs {
    /// Users in the database, 100 to 20000000
    #[arg(long, value_name = "COUNT", default_value = "100000", value_parser = clap::value_parser!(u64).range(100..=20_000_000))]
    pub users: u64,
    /// Small partners of 20 users each beside the huge one, which has the other users [default: one for each 100 users,
    /// at most 1000]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=500_000))]
    pub partners: Option<u64>,
    /// How long each row is measured, 0.1 to 600
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub seconds: f64,
    /// Connections at once
    #[arg(long, value_name = "COUNT", default_value = "64", value_parser = connections)]
    pub connections: usize,
    /// Cores of the server and of the load generator, such as 0,1 [default: the first two]
    #[arg(long, value_name = "SERVER,LOAD", value_parser = cores)]
    pub cores: Option<(usize, usize)>,
    /// Where the database is made; on a disk, or writes cost nothing
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    pub dir: PathBuf,
    /// Write the figures into this file as JSON; - prints them instead of the table
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with plots into this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The server to measure: a binary `tenantry` [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    pub server: Option<PathBuf>,
    /// Measure only what becomes of the server, and of a quiet partner, under too much load
    #[arg(long)]
    pub only_overload: bool,
    /// Measure only logins beside expensive password hashes, and how much refused logins differ in time
    #[arg(long, conflicts_with = "only_overload")]
    pub only_refusals: bool,
    /// Leave the database behind
    #[arg(long)]
    pub keep: bool,
}

impl Eq for BenchArgs {}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=600.0).contains(seconds));
    seconds.ok_or_else(|| "give 0.1 to 600 seconds".into())
}

fn connections(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=1_000).contains(count));
    count.ok_or_else(|| "give 1 to 1000 connections".into())
}

fn cores(text: &str) -> Result<(usize, usize), String> {
    let pair =
        text.split_once(',').and_then(|(server, load)| Some((server.parse().ok()?, load.parse().ok()?)));
    pair.filter(|(server, load)| server != load).ok_or_else(|| "give two different cores, such as 0,1".into())
}
