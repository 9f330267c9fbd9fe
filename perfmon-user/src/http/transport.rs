//! What bytes travel over: TCP, TLS over TCP, or a unix socket. In: sockets that listen; out: connections as one type. A TLS handshake runs
//! inside the connection's first reads, so it has the deadline of a request and holds no other connection up. Bytes that are no TLS are passed
//! on as they are, and the connection is marked as one in clear text.
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use super::ServerCertificate;

/// First byte of a TLS connection: a record of type handshake, RFC 8446 section 5.1.
const HANDSHAKE: u8 = 22;

/// A socket that listens.
pub enum ListeningSocket {
    /// TCP, with TLS where an acceptor is there.
    Tcp(TcpListener, Option<TlsAcceptor>),
    /// A unix socket.
    Unix(UnixListener),
}

impl ListeningSocket {
    /// TCP; with a certificate, TLS. Call it inside the runtime.
    pub fn tcp(listener: std::net::TcpListener, certificate: Option<Arc<ServerCertificate>>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let acceptor = certificate.map(ServerCertificate::acceptor).transpose().map_err(io::Error::other)?;
        Ok(Self::Tcp(TcpListener::from_std(listener)?, acceptor))
    }

    /// A unix socket. Call it inside the runtime.
    pub fn unix(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::Unix(UnixListener::from_std(listener)?))
    }

    pub(super) async fn accept(&mut self) -> Transport {
        match self {
            Self::Tcp(listener, None) => Transport::Tcp(Listener::accept(listener).await.0),
            Self::Tcp(listener, Some(acceptor)) => {
                let stream = Listener::accept(listener).await.0;
                Transport::Opening { stream, acceptor: acceptor.clone(), clear_text: Arc::default() }
            }
            Self::Unix(listener) => Transport::Unix(Listener::accept(listener).await.0),
        }
    }
}

/// A connection.
pub(super) enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// The first byte says whether it is TLS.
    Opening {
        stream: TcpStream,
        acceptor: TlsAcceptor,
        clear_text: Arc<AtomicBool>,
    },
    Handshake(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
    /// Its handshake failed.
    Failed,
}

/// Who may be at the other end.
pub(super) enum TransportPeer {
    Tcp { peer: SocketAddr, local: SocketAddr },
    User(u32),
    Unknown,
}

impl Transport {
    /// The other end, as the kernel has it now.
    pub fn peer(&self) -> TransportPeer {
        let addresses = |stream: &TcpStream| Some(TransportPeer::Tcp { peer: stream.peer_addr().ok()?, local: stream.local_addr().ok()? });
        let peer = match self {
            Self::Tcp(stream) | Self::Opening { stream, .. } => addresses(stream),
            Self::Unix(stream) => stream.peer_cred().ok().map(|credentials| TransportPeer::User(credentials.uid())),
            Self::Handshake(_) | Self::Tls(_) | Self::Failed => None,
        };
        peer.unwrap_or(TransportPeer::Unknown)
    }

    /// Set once a request in clear text came where TLS is spoken.
    pub fn clear_text(&self) -> Arc<AtomicBool> {
        match self {
            Self::Opening { clear_text, .. } => clear_text.clone(),
            _ => Arc::default(),
        }
    }

    /// Limits what the kernel holds of unread answers.
    pub fn bound_send_buffer(&self, bytes: usize) -> rustix::io::Result<()> {
        use rustix::net::sockopt::set_socket_send_buffer_size as set;
        match self {
            Self::Tcp(stream) | Self::Opening { stream, .. } => set(stream, bytes),
            Self::Unix(stream) => set(stream, bytes),
            Self::Handshake(_) | Self::Tls(_) | Self::Failed => Ok(()),
        }
    }

    /// One step towards a connection that can be read.
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let next = match self {
            Self::Opening { stream, .. } => {
                let mut first = [0];
                let known = ready!(stream.poll_peek(context, &mut ReadBuf::new(&mut first)))?;
                let Self::Opening { stream, acceptor, clear_text } = std::mem::replace(self, Self::Failed) else { return Poll::Pending };
                match (known, first) {
                    (1.., [HANDSHAKE]) => Self::Handshake(Box::new(acceptor.accept(stream))),
                    (known, _) => {
                        clear_text.store(known > 0, Ordering::Relaxed);
                        Self::Tcp(stream)
                    }
                }
            }
            Self::Handshake(accept) => match ready!(Pin::new(accept).poll(context)) {
                Ok(stream) => Self::Tls(Box::new(stream)),
                Err(error) => {
                    tracing::debug!(%error, "A TLS handshake failed.");
                    *self = Self::Failed;
                    return Poll::Ready(Err(error));
                }
            },
            _ => return Poll::Ready(Ok(())),
        };
        *self = next;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Transport {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut *self {
                Self::Tcp(stream) => return Pin::new(stream).poll_read(context, buffer),
                Self::Unix(stream) => return Pin::new(stream).poll_read(context, buffer),
                Self::Tls(stream) => return Pin::new(stream).poll_read(context, buffer),
                Self::Failed => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
                Self::Opening { .. } | Self::Handshake(_) => ready!(self.poll_open(context))?,
            }
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Opening { .. } | Self::Handshake(_) | Self::Failed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            // The kernel has what was written.
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) | Self::Opening { stream, .. } => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Handshake(_) | Self::Failed => Poll::Ready(Ok(())),
        }
    }
}
