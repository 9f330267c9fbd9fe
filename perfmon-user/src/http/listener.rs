//! Accepts connections, at most `limits::HTTP_CONNECTIONS` at once, and closes those without progress: a client that sends no request or
//! reads no answer cannot occupy a connection for ever. Further connections wait in the kernel's backlog. Data for a client that does not
//! read is bounded by a small send buffer, which the live stream fills within minutes.
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

use crate::counters::Counters;
use crate::limits;

/// A connection is closed after this time without a byte in either direction; the stream sends something every second.
const IDLE: Duration = Duration::from_secs(30);

pub(super) struct BoundedListener {
    listener: TcpListener,
    places: Arc<Semaphore>,
    counters: Arc<Counters>,
}

impl BoundedListener {
    pub fn new(listener: TcpListener, counters: Arc<Counters>) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(limits::HTTP_CONNECTIONS)), counters }
    }
}

impl Listener for BoundedListener {
    type Io = IdleTimeout<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let place = self.places.clone().acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        if let Err(error) = set_socket_send_buffer_size(&stream, limits::HTTP_SEND_BUFFER) {
            tracing::debug!(%error, "The send buffer of a client stays as large as the kernel makes it.");
        }
        let counters = self.counters.clone();
        (IdleTimeout { io: stream, idle: Box::pin(sleep(IDLE)), limit: IDLE, unread: false, counters, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that fails when no byte moves for a time.
pub(super) struct IdleTimeout<T> {
    io: T,
    idle: Pin<Box<Sleep>>,
    limit: Duration,
    /// The client's receive window is full.
    unread: bool,
    counters: Arc<Counters>,
    /// Held for the life of the connection.
    _place: Option<OwnedSemaphorePermit>,
}

impl<T> IdleTimeout<T> {
    /// Passes the result on. Progress restarts the timer; a pending operation fails when the timer has expired.
    fn judge<R>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if result.is_ready() {
            self.idle.set(sleep(self.limit));
            return result;
        }
        match self.idle.as_mut().poll(context) {
            Poll::Ready(()) => {
                if std::mem::take(&mut self.unread) {
                    self.counters.http_clients_stalled.inc();
                }
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for IdleTimeout<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_read(context, buffer);
        self.judge(context, result)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for IdleTimeout<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(context, bytes);
        self.unread = result.is_pending();
        self.judge(context, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn impatient<T>(io: T, limit: Duration) -> IdleTimeout<T> {
        IdleTimeout { io, idle: Box::pin(sleep(limit)), limit, unread: false, counters: Arc::default(), _place: None }
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_moves_fails() {
        let (_silent, ours) = tokio::io::duplex(64);
        let error = impatient(ours, Duration::from_millis(20)).read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_reader_that_stalls_fails_the_writer() {
        let (_stalled, ours) = tokio::io::duplex(64);
        let mut ours = impatient(ours, Duration::from_millis(20));
        let error = ours.write_all(&[0; 1_000]).await.unwrap_err();
        assert_eq!((error.kind(), ours.counters.http_clients_stalled.get()), (io::ErrorKind::TimedOut, 1));
    }

    #[tokio::test]
    async fn bytes_that_move_keep_it_alive() {
        let (mut other, ours) = tokio::io::duplex(64);
        let mut ours = impatient(ours, Duration::from_millis(500));
        for _ in 0..8 {
            sleep(Duration::from_millis(100)).await;
            other.write_all(b"x").await.unwrap();
            assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 1);
        }
    }
}
