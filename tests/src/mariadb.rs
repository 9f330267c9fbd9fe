//! A MariaDB server of the tests' own.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;

use crate::need::{Need, is_root};
use crate::process::{Running, output};
use crate::server::make_certificate;
use crate::{CANARY, free_port};

/// What it takes.
pub const NEEDS: [Need; 3] = [Need::Perfmon, Need::Program("mariadbd"), Need::Program("mariadb-slap")];
/// Where clients find it.
pub const TCP: &str = "tcp";
/// Over its unix socket.
pub const UNIX: &str = "socket";
/// Over TCP inside TLS.
pub const TLS: &str = "tls";

/// A MariaDB server with a database `shop` and a user of that name, run by an unprivileged user.
pub struct MariaDb {
    /// Where it listens.
    pub port: u16,
    socket: PathBuf,
    _server: Running,
    _folder: TempDir,
}

impl MariaDb {
    /// Starts one; the user's password is [`CANARY`].
    pub fn start() -> Result<Self> {
        Self::start_with(false)
    }

    /// Starts one that also speaks TLS.
    pub fn start_with_tls() -> Result<Self> {
        Self::start_with(true)
    }

    fn start_with(tls: bool) -> Result<Self> {
        let (port, folder) = (free_port()?, tempfile::tempdir()?);
        let (data, socket) = (folder.path().join("data"), folder.path().join("socket"));
        let user: &[&str] = if is_root() { &["--user=mysql"] } else { &[] };
        let certificate = if tls { Some(make_certificate(folder.path())?) } else { None };
        if is_root() {
            output(Command::new("chown").args(["-R", "mysql"]).arg(folder.path()))?;
        }
        let mut install = Command::new("mariadb-install-db");
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]).args(user);
        output(install.arg(format!("--datadir={}", data.display())))?;
        let mut command = Command::new("mariadbd");
        command.args(["--no-defaults", "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=16M", &format!("--port={port}")]).args(user);
        command.arg(format!("--datadir={}", data.display())).arg(format!("--socket={}", socket.display()));
        if let Some((certificate, key)) = certificate {
            command.arg(format!("--ssl-cert={}", certificate.display())).arg(format!("--ssl-key={}", key.display()));
        }
        let log = tempfile::NamedTempFile::new()?.into_temp_path();
        let mut server = Running::start(&mut command, &log)?;
        server.listens(port)?;
        let server = Self { port, socket, _server: server, _folder: folder };
        let grant = format!(
            "create database shop; create user shop identified by '{CANARY}'; grant all on *.* to shop; delete from mysql.global_priv where user = ''; flush privileges"
        );
        let mut root = Command::new("mariadb");
        root.args(["--no-defaults", "-u", "root", "-S"]).arg(&server.socket).args(["-e", &grant]);
        output(&mut root)?;
        Ok(server)
    }

    /// A client program of that user.
    pub fn client(&self, name: &str, way: &str) -> Command {
        let mut command = Command::new(name);
        command.args(["--no-defaults", "-u", "shop", &format!("-p{CANARY}")]);
        match way {
            UNIX => command.arg("-S").arg(&self.socket),
            TLS => command.args(["--ssl", "-h", "127.0.0.1", "-P", &self.port.to_string()]),
            _ => command.args(["-h", "127.0.0.1", "-P", &self.port.to_string()]),
        };
        command
    }

    /// Runs statements.
    pub fn query(&self, way: &str, sql: &str) -> Result<String> {
        output(self.client("mariadb", way).args(["--batch", "--skip-column-names", "shop", "-e", sql]))
    }

    /// The server's own figures of these names.
    pub fn status(&self, names: &[&str]) -> Result<BTreeMap<String, u64>> {
        let text = self.query(UNIX, "show global status")?;
        let line = |line: &str| {
            let (name, value) = line.split_once('\t')?;
            names.contains(&name).then(|| Some((name.to_owned(), value.parse().ok()?)))?
        };
        Ok(text.lines().filter_map(line).collect())
    }

    /// Statements by verb, by the server's own count since its start.
    pub fn counts(&self) -> Result<BTreeMap<String, u64>> {
        let text = self.query(TCP, "show global status like 'Com_%'")?;
        let verbs = ["select", "insert", "update", "delete", "begin", "commit"];
        let line = |line: &str| {
            let (name, count) = line.strip_prefix("Com_")?.split_once('\t')?;
            Some((name.to_uppercase(), count.parse().ok()?)).filter(|(_, count)| verbs.contains(&name) && *count > 0)
        };
        Ok(text.lines().filter_map(line).collect())
    }
}
