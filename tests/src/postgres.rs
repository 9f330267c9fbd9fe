//! A PostgreSQL server of the tests' own.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::need::{Need, find, is_root};
use crate::process::{Running, output};
use crate::{CANARY, free_port, wait_until};

/// What it takes.
pub const NEEDS: [Need; 3] = [Need::Perfmon, Need::Program("pgbench"), Need::Program("pg_ctlcluster")];

/// A PostgreSQL server with pg_stat_statements, run by an unprivileged user.
pub struct PostgresServer {
    /// Where it listens.
    pub port: u16,
    _server: Running,
    _folder: TempDir,
}

impl PostgresServer {
    /// Starts one with a database `shop`; its superuser's password is [`CANARY`].
    pub fn start() -> Result<Self> {
        let (port, folder) = (free_port()?, tempfile::tempdir()?);
        let (data, password) = (folder.path().join("data"), folder.path().join("password"));
        std::fs::write(&password, CANARY)?;
        if is_root() {
            output(Command::new("chown").args(["-R", "postgres"]).arg(folder.path()))?;
        }
        output(
            as_user(&program("initdb")?).arg("-D").arg(&data).args(["-U", "postgres", "-A", "scram-sha-256"]).arg("--pwfile").arg(password),
        )?;
        let mut command = as_user(&program("postgres")?);
        command.arg("-D").arg(&data).arg("-k").arg(folder.path()).args(["-p", &port.to_string()]);
        command.args(["-c", "shared_preload_libraries=pg_stat_statements", "-c", "pg_stat_statements.max=10000"]);
        let log = tempfile::NamedTempFile::new()?.into_temp_path();
        let mut server = Running::start(&mut command, &log)?;
        server.listens(port)?;
        let server = Self { port, _server: server, _folder: folder };
        wait_until(20, || Ok(server.psql("postgres", &["create extension pg_stat_statements"]).ok()))?.context("no extension")?;
        server.psql("postgres", &["create database shop"])?;
        Ok(server)
    }

    /// A client program of its superuser.
    pub fn client(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.env("PGPASSWORD", CANARY).args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres"]);
        command
    }

    /// Runs statements.
    pub fn psql(&self, database: &str, statements: &[&str]) -> Result<String> {
        let mut command = self.client("psql");
        command.args(["-X", "-q", "-A", "-t", database]);
        statements.iter().for_each(|statement| {
            command.args(["-c", statement]);
        });
        output(&mut command)
    }

    /// Calls by verb, by the server's own count since the last reset.
    pub fn counts(&self) -> Result<BTreeMap<String, u64>> {
        let sql = "select upper(split_part(ltrim(query), ' ', 1)), sum(calls) from pg_stat_statements s join pg_database d on d.oid = s.dbid \
                   where datname = 'shop' group by 1";
        let text = self.psql("postgres", &[sql])?;
        let line =
            |line: &str| line.split_once('|').and_then(|(verb, calls)| Some((verb.trim_end_matches(';').to_owned(), calls.parse().ok()?)));
        Ok(text.lines().filter_map(line).collect())
    }
}

/// A program of the newest PostgreSQL that Debian installed.
fn program(name: &str) -> Result<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    versions.sort();
    let last = versions.pop().context("no PostgreSQL in /usr/lib/postgresql")?;
    Ok(last.join("bin").join(name))
}

fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new(find("setpriv").unwrap_or_else(|| "setpriv".into()));
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
    command
}
