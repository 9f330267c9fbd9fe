//! Servers under observation. All answer `/hello` (12 bytes), `/bytes/1000`, `/bytes/100000` and 404; those marked `dynamic` also
//! `/bytes/N`, `/sleep/MS`, `POST /echo`, `/status/N` and `/stream/N` (N pieces of 10 bytes).
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::need::{Need, find, python};
use crate::process::Running;
use crate::programs::built_by_go;
use crate::{free_port, workspace};

/// A server program and how it is run.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Name in messages.
    pub name: &'static str,
    /// What must be installed.
    pub needs: &'static [Need],
    /// Whether it is a program of the tests with all routes, or serves files only.
    pub dynamic: bool,
    command: fn(&Path, u16) -> Result<Command>,
}

/// nginx: sendfile, keep-alive, IPv4, IPv6 and a unix socket.
pub const NGINX: Kind = Kind { name: "nginx", needs: &[Need::Program("nginx")], dynamic: false, command: nginx };
/// `python -m http.server`.
pub const HTTP_SERVER: Kind = Kind { name: "http.server", needs: &[Need::Python], dynamic: false, command: http_server };
/// uvicorn with h11 on asyncio, a FastAPI application.
pub const UVICORN_H11: Kind = Kind { name: "uvicorn-h11", needs: &[Need::Python], dynamic: true, command: uvicorn_h11 };
/// uvicorn with httptools on uvloop, the same application.
pub const UVICORN_HTTPTOOLS: Kind = Kind { name: "uvicorn-httptools", needs: &[Need::Python], dynamic: true, command: uvicorn_httptools };
/// gunicorn with two forked workers, which close each connection.
pub const GUNICORN: Kind = Kind { name: "gunicorn", needs: &[Need::Python], dynamic: true, command: gunicorn };
/// aiohttp.
pub const AIOHTTP: Kind = Kind { name: "aiohttp", needs: &[Need::Python], dynamic: true, command: aiohttp };
/// node's http module.
pub const NODE: Kind = Kind { name: "node", needs: &[Need::Program("node")], dynamic: true, command: node };
/// Go's net/http.
pub const GO: Kind = Kind { name: "go", needs: &[Need::Python], dynamic: true, command: go };
/// Java's com.sun.net.httpserver.
pub const JAVA: Kind = Kind { name: "java", needs: &[Need::Program("javac")], dynamic: true, command: java };

/// A shop that takes orders at `POST /orders?fail=1&wait=MS&size=N`; it has none of the other routes.
pub const ORDERS: Kind = Kind { name: "orders", needs: &[Need::Python], dynamic: false, command: orders };

/// nginx with HTTP/2 on its port, which a client must know beforehand.
pub const NGINX_H2: Kind = Kind { name: "nginx-h2", needs: &[Need::Program("nginx")], dynamic: false, command: nginx_h2 };
/// nginx over TLS.
pub const NGINX_TLS: Kind =
    Kind { name: "nginx-tls", needs: &[Need::Program("nginx"), Need::Program("openssl")], dynamic: false, command: nginx_tls };
/// nginx over TLS with a libssl of its own, a file that no other program uses.
pub const NGINX_OWN_TLS: Kind =
    Kind { name: "nginx-own-tls", needs: &[Need::Program("nginx"), Need::Program("openssl")], dynamic: false, command: nginx_own_tls };
/// uvicorn over TLS with h11 on asyncio: the library is apart from the socket.
pub const UVICORN_H11_TLS: Kind =
    Kind { name: "uvicorn-h11-tls", needs: &[Need::Python, Need::Program("openssl")], dynamic: true, command: uvicorn_h11_tls };
/// uvicorn over TLS with httptools on uvloop.
pub const UVICORN_HTTPTOOLS_TLS: Kind =
    Kind { name: "uvicorn-httptools-tls", needs: &[Need::Python, Need::Program("openssl")], dynamic: true, command: uvicorn_httptools_tls };

/// A running server; ended when dropped.
pub struct Server {
    /// Its program.
    pub kind: Kind,
    /// Its TCP port.
    pub port: u16,
    running: Running,
    folder: TempDir,
}

impl Server {
    /// Starts it on a free port and waits until it listens.
    pub fn start(kind: Kind) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let files = folder.path().join("files");
        std::fs::create_dir_all(files.join("bytes"))?;
        std::fs::write(files.join("hello"), "hello world\n")?;
        std::fs::write(files.join("bytes/1000"), [b'x'; 1_000])?;
        std::fs::write(files.join("bytes/100000"), vec![b'x'; 100_000])?;
        let port = free_port()?;
        let mut command = (kind.command)(folder.path(), port)?;
        let mut running = Running::start(&mut command, &folder.path().join("server.log"))?;
        running.listens(port).with_context(|| format!("{} did not start", kind.name))?;
        Ok(Self { kind, port, running, folder })
    }

    /// Process id of its first process.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The certificate of a server over TLS, which signs itself.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// nginx's unix socket.
    pub fn unix_socket(&self) -> PathBuf {
        self.folder.path().join("nginx.sock")
    }
}

fn orders(_: &Path, port: u16) -> Result<Command> {
    let mut command = Command::new(python());
    command.arg(script("orders.py")).arg(port.to_string());
    Ok(command)
}

fn script(name: &str) -> PathBuf {
    workspace().join("tests/servers").join(name)
}

/// The nginx configuration in a folder; `/proxy/` asks another server, here itself.
fn nginx(folder: &Path, port: u16) -> Result<Command> {
    let socket = folder.join("nginx.sock").display().to_string();
    let values = [
        ("{folder}", folder.display().to_string()),
        ("{socket}", socket),
        ("{port}", port.to_string()),
        ("{workers}", "2".into()),
        ("{affinity}", "auto".into()),
        ("{upstream}", format!("127.0.0.1:{port}")),
    ];
    let template = std::fs::read_to_string(script("nginx.conf"))?;
    let conf = folder.join("nginx.conf");
    std::fs::write(&conf, values.iter().fold(template, |text, (name, value)| text.replace(name, value)))?;
    let mut command = Command::new(find("nginx").context("nginx is not installed")?);
    command.arg("-c").arg(conf).arg("-p").arg(folder).args(["-e", "stderr"]);
    Ok(command)
}

/// The same with HTTP/2 on its port.
fn nginx_h2(folder: &Path, port: u16) -> Result<Command> {
    let command = nginx(folder, port)?;
    let conf = folder.join("nginx.conf");
    let plain = format!("listen 127.0.0.1:{port} backlog=4096;");
    std::fs::write(&conf, std::fs::read_to_string(&conf)?.replace(&plain, &format!("listen 127.0.0.1:{port} http2;")))?;
    Ok(command)
}

/// The same with TLS on its port.
fn nginx_tls(folder: &Path, port: u16) -> Result<Command> {
    let (certificate, key) = make_certificate(folder)?;
    let command = nginx(folder, port)?;
    let conf = folder.join("nginx.conf");
    let secured = std::fs::read_to_string(&conf)?.replace(
        &format!("listen 127.0.0.1:{port} backlog=4096;"),
        &format!("listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {};", certificate.display(), key.display()),
    );
    std::fs::write(&conf, secured)?;
    Ok(command)
}

fn nginx_own_tls(folder: &Path, port: u16) -> Result<Command> {
    let libraries = folder.join("lib");
    std::fs::create_dir(&libraries)?;
    std::fs::copy(libssl()?, libraries.join("libssl.so.3"))?;
    let mut command = nginx_tls(folder, port)?;
    command.env("LD_LIBRARY_PATH", libraries);
    Ok(command)
}

/// The libssl that nginx uses.
pub fn libssl() -> Result<PathBuf> {
    let listed = Command::new("ldd").arg(find("nginx").context("nginx is not installed")?).output()?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let line = listed.lines().find(|line| line.contains("libssl.so.3 =>")).context("nginx is not linked with libssl.so.3")?;
    Ok(line.split_whitespace().nth(2).context("ldd found no libssl.so.3")?.into())
}

/// A certificate for 127.0.0.1 that signs itself, and its key.
pub fn make_certificate(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    command.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"]).arg(&key).arg("-out").arg(&certificate);
    let made = command.output().context("cannot start openssl")?;
    ensure!(made.status.success(), "openssl failed: {}", String::from_utf8_lossy(&made.stderr));
    Ok((certificate, key))
}

// With its defaults. With keep-alive (`--protocol HTTP/1.1`), its two small writes for an answer meet the delayed acknowledgement: the
// client waits 40 ms for bytes that the server has long passed to the kernel, which no server-side record can show.
fn http_server(folder: &Path, port: u16) -> Result<Command> {
    let mut command = Command::new(python());
    command.args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"]).arg(folder.join("files")).arg(port.to_string());
    Ok(command)
}

fn uvicorn(port: u16, http: &str, event_loop: &str) -> Command {
    let mut command = Command::new(python());
    command.args(["-m", "uvicorn", "fastapi_app:app", "--no-access-log", "--log-level", "warning", "--app-dir"]).arg(script(""));
    command.args(["--port", &port.to_string(), "--http", http, "--loop", event_loop]);
    command
}

fn uvicorn_h11(_: &Path, port: u16) -> Result<Command> {
    Ok(uvicorn(port, "h11", "asyncio"))
}

fn uvicorn_httptools(_: &Path, port: u16) -> Result<Command> {
    Ok(uvicorn(port, "httptools", "uvloop"))
}

fn secured(folder: &Path, mut command: Command) -> Result<Command> {
    let (certificate, key) = make_certificate(folder)?;
    command.arg("--ssl-certfile").arg(certificate).arg("--ssl-keyfile").arg(key);
    Ok(command)
}

fn uvicorn_h11_tls(folder: &Path, port: u16) -> Result<Command> {
    secured(folder, uvicorn(port, "h11", "asyncio"))
}

fn uvicorn_httptools_tls(folder: &Path, port: u16) -> Result<Command> {
    secured(folder, uvicorn(port, "httptools", "uvloop"))
}

fn gunicorn(_: &Path, port: u16) -> Result<Command> {
    let mut command = Command::new(python());
    command.args(["-m", "gunicorn", "wsgi_app:app", "--workers", "2", "--log-level", "warning", "--no-control-socket", "--chdir"]);
    command.arg(script("")).args(["--bind", &format!("127.0.0.1:{port}")]);
    Ok(command)
}

fn aiohttp(_: &Path, port: u16) -> Result<Command> {
    let mut command = Command::new(python());
    command.arg(script("aiohttp_server.py")).arg(port.to_string());
    Ok(command)
}

fn node(_: &Path, port: u16) -> Result<Command> {
    let mut command = Command::new("node");
    command.arg(script("node_server.js")).arg(port.to_string());
    Ok(command)
}

fn go(_: &Path, port: u16) -> Result<Command> {
    let mut command = Command::new(built_by_go(&script("go_server.go"))?);
    command.arg(port.to_string());
    Ok(command)
}

/// `nodelay`: without it the answer's second half waits for the client's delayed acknowledgement, 40 ms that only the client sees.
fn java(_: &Path, port: u16) -> Result<Command> {
    let mut command = Command::new("java");
    command.args(["-Xshare:auto", "-Dsun.net.httpserver.nodelay=true"]).arg(script("JavaServer.java")).arg(port.to_string());
    Ok(command)
}
