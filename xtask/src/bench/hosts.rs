//! `cargo xtask bench hosts`: what 1 to 1,000 hosts cost a Prometheus or VictoriaMetrics: series and bytes of real answers of `/metrics`, bytes
//! on disk of their samples. The measurement is a test of perfmon-tests (live_hosts); its figures go into docs/how-to/many-hosts.md.
use anyhow::{Context, Result};

use super::document;
use crate::install;
use crate::shell::{self, cargo, execute};

const PAGE: &str = "docs/how-to/many-hosts.md";

/// Measures and writes.
pub fn run() -> Result<()> {
    install::programs()?;
    install::packages_of_tests()?;
    let binary = shell::build_perfmon()?;
    std::fs::create_dir_all(shell::cache())?;
    let figures = shell::cache().join("bench-hosts.md");
    let mut test = cargo();
    test.args(["test", "--package", "perfmon-tests", "--test", "live_hosts"]).env("TESTED_PERFMON", binary).env("TESTED_FIGURES", &figures);
    execute(test.args(["--", "--ignored", "--nocapture", "--exact", "what_many_hosts_cost"]))?;
    let text = std::fs::read_to_string(&figures).context("the measurement wrote no figures")?;
    document::write_in(PAGE, "bench hosts", &format!("{}\n\n{}", document::machine()?, text.trim_end()))
}
