//! The sockets of the HTTP server. In: the configured addresses, certificate and groups; out: sockets that listen, or why not. The file of a
//! unix socket that no process listens on any more is replaced when it belongs to this user; other files are left alone.
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::Mode;
use rustix::process::umask;
use tokio::task::JoinHandle;

use crate::cli::Url;
use crate::config::{Config, ListenAddress};
use crate::http::{self, HttpState, ListeningSocket, ServerCertificate};

/// For its owner.
const OWNER_ONLY: u32 = 0o600;
/// For its group too.
const WITH_GROUP: u32 = 0o660;

/// Why the file of a unix socket is not replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum SocketFileRefusal {
    #[error("the file there is no socket; remove it or choose another path")]
    NotASocket,
    #[error("the socket there belongs to user {0}; remove it or choose another path")]
    ForeignOwner(u32),
    #[error("another program is listening there, perhaps another perfmon; choose another path")]
    InUse,
}

/// Sockets that listen; the files of unix sockets are removed with it.
pub struct HttpListeners {
    sockets: Vec<BoundSocket>,
    certificate: Option<Arc<ServerCertificate>>,
}

enum BoundSocket {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// The file of a socket, removed when it is dropped, unless another one has taken its place.
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_own = std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode);
        // What cannot be removed is replaced by the next start.
        if is_own {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

/// A running server.
pub struct HttpServer {
    /// Where people reach it.
    pub url: Url,
    /// Its end.
    pub task: JoinHandle<io::Result<()>>,
}

impl HttpListeners {
    /// Listens at every configured address. `group`: the group that may use unix sockets. Errors: each problem, a sentence.
    pub fn bind(config: &Config, group: Option<u32>) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut sockets = Vec::new();
        for address in &config.listen {
            let bound = match address {
                ListenAddress::Tcp(address) => TcpListener::bind(address).map(BoundSocket::Tcp),
                ListenAddress::Unix(path) => bind_unix(path, group).map(|(listener, file)| BoundSocket::Unix(listener, file)),
            };
            match bound {
                Ok(socket) => sockets.push(socket),
                Err(error) => problems.push(format!("--listen {address}: {}", mend(&error))),
            }
        }
        let files = config.http.tls_cert.as_deref().zip(config.http.tls_key.as_deref());
        match files.map(|(certificate, key)| ServerCertificate::read(certificate, key)).transpose() {
            Ok(certificate) if problems.is_empty() => Ok(Self { sockets, certificate }),
            Ok(_) => Err(problems),
            Err(error) => {
                problems.push(error.to_string());
                Err(problems)
            }
        }
    }

    /// The certificate, which SIGHUP renews.
    pub fn certificate(&self) -> Option<Arc<ServerCertificate>> {
        self.certificate.clone()
    }

    /// Serves until the server is told to end.
    pub fn serve(self, state: Arc<HttpState>) -> anyhow::Result<HttpServer> {
        let (mut sockets, mut files, mut urls) = (Vec::new(), Vec::new(), Vec::new());
        for socket in self.sockets {
            match socket {
                BoundSocket::Tcp(listener) => {
                    urls.push(Url::of(&ListenAddress::Tcp(listener.local_addr()?), self.certificate.is_some()));
                    sockets.push(ListeningSocket::tcp(listener, self.certificate.clone())?);
                }
                BoundSocket::Unix(listener, file) => {
                    urls.push(Url::of(&ListenAddress::Unix(file.path.clone()), false));
                    sockets.push(ListeningSocket::unix(listener)?);
                    files.push(file);
                }
            }
        }
        let url = urls.into_iter().next().ok_or_else(|| anyhow::anyhow!("no address to listen at"))?;
        let served = async move {
            let _files = files;
            http::serve(sockets, state).await
        };
        Ok(HttpServer { url, task: tokio::spawn(served) })
    }
}

fn bind_unix(path: &Path, group: Option<u32>) -> io::Result<(UnixListener, SocketFile)> {
    remove_dead(path)?;
    // The file is private from the moment it is there.
    let before = umask(Mode::from_raw_mode(0o777 & !OWNER_ONLY));
    let bound = UnixListener::bind(path);
    umask(before);
    let listener = bound?;
    let file = SocketFile { path: path.into(), inode: std::fs::symlink_metadata(path)?.ino() };
    if let Some(group) = group {
        std::os::unix::fs::lchown(path, None, Some(group))?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(WITH_GROUP))?;
    }
    Ok((listener, file))
}

/// Removes the socket of a program that is gone.
fn remove_dead(path: &Path) -> io::Result<()> {
    let refuse = |refusal| Err(io::Error::new(io::ErrorKind::AlreadyExists, refusal));
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return refuse(SocketFileRefusal::NotASocket);
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return refuse(SocketFileRefusal::ForeignOwner(found.uid()));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        _ => refuse(SocketFileRefusal::InUse),
    }
}

fn mend(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program is listening there, perhaps another perfmon; choose another address with --listen (port 0 takes a free one)"
                .into()
        }
        io::ErrorKind::AddrNotAvailable => "this host does not have that address; choose one of its own with --listen".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path) -> String {
        bind_unix(path, None).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn a_socket_is_private_replaces_a_dead_one_and_removes_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        let (listener, file) = bind_unix(&path, None).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, OWNER_ONLY);
        assert!(refused(&path).contains("another program"), "{}", refused(&path));
        drop((listener, file));
        assert!(!path.exists());
        let group = rustix::process::getegid().as_raw();
        let (_listener, _file) = bind_unix(&path, Some(group)).unwrap();
        let found = path.metadata().unwrap();
        assert_eq!((found.permissions().mode() & 0o777, found.gid()), (WITH_GROUP, group));
    }

    #[test]
    fn other_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&path, "precious").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for path in [&path, &link] {
            assert!(refused(path).contains("no socket"), "{}", refused(path));
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        // The file of a later socket is not this one's to remove.
        let socket = folder.path().join("socket");
        let (_listener, file) = bind_unix(&socket, None).unwrap();
        std::fs::rename(&path, &socket).unwrap();
        drop(file);
        assert!(socket.exists());
    }

    #[test]
    fn a_socket_of_another_user_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        if std::os::unix::fs::lchown(&path, Some(65_534), None).is_err() {
            return; // only root can give files away
        }
        assert!(refused(&path).contains("user 65534"), "{}", refused(&path));
    }
}
