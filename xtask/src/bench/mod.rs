//! `cargo xtask bench`: what perfmon costs, measured on this machine and written into docs/performance.md; what many of
//! them cost an engine, into docs/how-to/many-hosts.md.
mod databases;
pub mod document;
mod hosts;
mod load;
mod nginx;
mod overhead;
mod paired;
mod perfmon;
mod pieces;
mod records;
mod report;

use anyhow::Result;
use clap::Subcommand;

/// What to measure.
#[derive(Subcommand)]
pub enum Bench {
    /// nginx serving 1 KiB without perfmon, with a former one and with this one, in paired rounds
    Overhead(overhead::Args),
    /// Each piece of perfmon (resources, TLS, model calls, alerts, history, export, page) switched on and off, in paired rounds
    Pieces(pieces::Args),
    /// Redis and PostgreSQL under their own load programs, without perfmon and with it, in paired rounds
    Databases(databases::Args),
    /// What counting a record costs, by piece, in this tree and a former one
    Records(records::Args),
    /// What 1 to 1,000 hosts cost Prometheus and VictoriaMetrics: series, bytes of a scrape, bytes on disk
    Hosts,
}

/// Measures and writes.
pub fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Overhead(args) => overhead::run(args),
        Bench::Pieces(args) => pieces::run(args),
        Bench::Databases(args) => databases::run(args),
        Bench::Records(args) => records::run(args),
        Bench::Hosts => hosts::run(),
    }
}
