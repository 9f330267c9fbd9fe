//! Accepts connections and bounds them: `limits::HTTP_CONNECTIONS` at once, half of them for admitted callers, a
//! share for each other user and address. A caller beyond its share gets a reserved place, on which health and metrics are served; further
//! connections are closed at once. Requests that arrive slowly and answers that are not read have deadlines.
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::access::Access;
use super::caller::{Caller, Peer};
use super::introduction::{Introduced, Introductions};
use super::transport::{ListeningSocket, Transport};
use crate::counters::Counters;
use crate::limits;

/// A connection is closed after this time without a byte in either direction; the stream sends something every second.
const IDLE: Duration = Duration::from_secs(30);
/// Time for a request, from its first byte (of the first one: from the connection) until its head, and its body, are here.
const REQUEST: Duration = Duration::from_secs(10);
/// The same on a reserved place.
const RESERVED_REQUEST: Duration = Duration::from_secs(2);
/// Time in which a client takes what has been written for it.
const WRITE: Duration = Duration::from_secs(30);

/// Counts the begins and ends of handlers of a connection, which tell its timer that a request has arrived.
#[derive(Debug, Default)]
pub(super) struct RequestClock(AtomicU64);

impl RequestClock {
    pub fn tick(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn ticks(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Connections by who has them, over all sockets that listen.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<HashMap<PlaceHolder, usize>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum PlaceHolder {
    /// One caller; `reserved` are those beyond its ordinary ones.
    Caller { caller: HeldBy, reserved: bool },
    /// All admitted callers, or all others, together.
    All { admitted: bool, reserved: bool },
}

/// The host part of an IPv6 address is its owner's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum HeldBy {
    User(u32),
    Unknown,
    Network(IpAddr),
}

impl HeldBy {
    fn of(caller: Caller) -> Self {
        match caller {
            Caller::User(uid) => Self::User(uid),
            Caller::Unknown => Self::Unknown,
            Caller::Remote(IpAddr::V6(ip)) => Self::Network(Ipv6Addr::from(u128::from(ip) >> 64 << 64).into()),
            Caller::Remote(ip) => Self::Network(ip),
        }
    }
}

/// A place, given back when it is dropped.
#[derive(Debug)]
struct HeldPlace {
    places: Arc<Places>,
    holders: [PlaceHolder; 2],
    reserved: bool,
}

impl Places {
    /// A place for one more connection: an ordinary one, else a reserved one, else none.
    fn take(self: &Arc<Self>, caller: Caller, admitted: bool) -> Option<HeldPlace> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for reserved in [false, true] {
            let holders = [PlaceHolder::Caller { caller: HeldBy::of(caller), reserved }, PlaceHolder::All { admitted, reserved }];
            let limits = match (reserved, admitted) {
                (false, true) => [limits::HTTP_CONNECTIONS / 2; 2],
                (false, false) => [limits::HTTP_CONNECTIONS_EACH, limits::HTTP_CONNECTIONS / 2],
                (true, _) => [limits::HTTP_RESERVED_EACH, limits::HTTP_RESERVED],
            };
            if holders.iter().zip(limits).all(|(holder, limit)| held.get(holder).is_none_or(|count| *count < limit)) {
                for holder in holders {
                    *held.entry(holder).or_default() += 1;
                }
                return Some(HeldPlace { places: self.clone(), holders, reserved });
            }
        }
        None
    }
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        let mut held = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        for holder in self.holders {
            if let Some(count) = held.get_mut(&holder) {
                *count -= 1;
                if *count == 0 {
                    held.remove(&holder);
                }
            }
        }
    }
}

pub(super) struct BoundedListener {
    socket: ListeningSocket,
    places: Arc<Places>,
    access: Access,
    introductions: Introductions,
    counters: Arc<Counters>,
}

impl BoundedListener {
    pub fn new(socket: ListeningSocket, places: Arc<Places>, access: Access, counters: Arc<Counters>) -> Self {
        Self { socket, places, access, introductions: Introductions::new(), counters }
    }
}

impl Listener for BoundedListener {
    type Io = Watched<Transport>;
    type Addr = PeerAddress;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Introduced { stream, caller, from } = self.introductions.next(&mut self.socket).await;
            let Some(place) = self.places.take(caller, self.access.admits(caller)) else {
                self.counters.http_connections_refused.inc();
                continue;
            };
            if let Err(error) = stream.bound_send_buffer(limits::HTTP_SEND_BUFFER) {
                tracing::debug!(%error, "The send buffer of a client stays as large as the kernel makes it.");
            }
            let times = if place.reserved { ConnectionTimes { request: RESERVED_REQUEST, ..TIMES } } else { TIMES };
            let clock = Arc::new(RequestClock::default());
            let peer = Peer { from, caller, reserved: place.reserved, clear_text: stream.clear_text(), clock: clock.clone() };
            let watched = Watched { _place: Some(place), ..Watched::new(stream, times, clock, self.counters.clone()) };
            return (watched, PeerAddress(peer));
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        let (from, clear_text, clock) = ("here".into(), Arc::default(), Arc::default());
        Ok(PeerAddress(Peer { from, caller: Caller::Unknown, reserved: false, clear_text, clock }))
    }
}

/// The peer of a connection, as axum hands it on.
#[derive(Clone, Debug)]
pub(super) struct PeerAddress(pub Peer);

impl Connected<IncomingStream<'_, BoundedListener>> for PeerAddress {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// How long a connection may take for what.
#[derive(Clone, Copy, Debug)]
struct ConnectionTimes {
    idle: Duration,
    request: Duration,
    write: Duration,
}

const TIMES: ConnectionTimes = ConnectionTimes { idle: IDLE, request: REQUEST, write: WRITE };

/// A connection that fails when no byte moves for a time, a request takes too long to arrive, or its answer to be taken.
pub(super) struct Watched<T> {
    io: T,
    times: ConnectionTimes,
    idle: Pin<Box<Sleep>>,
    /// A request arrives: its deadline, and the clock at its begin.
    request: Option<(Pin<Box<Sleep>>, u64)>,
    /// Bytes wait to be taken.
    write: Option<Pin<Box<Sleep>>>,
    clock: Arc<RequestClock>,
    /// The client's receive window is full.
    unread: bool,
    counters: Arc<Counters>,
    /// Held for the life of the connection.
    _place: Option<HeldPlace>,
}

impl<T> Watched<T> {
    fn new(io: T, times: ConnectionTimes, clock: Arc<RequestClock>, counters: Arc<Counters>) -> Self {
        let request = Some((Box::pin(sleep(times.request)), clock.ticks()));
        Self { io, times, idle: Box::pin(sleep(times.idle)), request, write: None, clock, unread: false, counters, _place: None }
    }

    /// Passes the result on. Progress restarts the timer of idleness; the deadlines run on.
    fn judge<R>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if self.request.as_ref().is_some_and(|(_, begun)| *begun != self.clock.ticks()) {
            self.request = None;
        }
        let late = self.request.as_mut().is_some_and(|(deadline, _)| deadline.as_mut().poll(context).is_ready())
            || self.write.as_mut().is_some_and(|deadline| deadline.as_mut().poll(context).is_ready());
        if result.is_ready() && !late {
            self.idle.set(sleep(self.times.idle));
            return result;
        }
        if late || self.idle.as_mut().poll(context).is_ready() {
            if std::mem::take(&mut self.unread) {
                self.counters.http_clients_stalled.inc();
            }
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<T: Unpin> Watched<T> {
    /// The deadline of writing runs until everything is taken.
    fn await_reader(&mut self, context: &mut Context<'_>, result: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        if result.is_ready() {
            self.write = None;
            return result;
        }
        self.unread = true;
        if self.write.is_none() {
            self.write = Some(Box::pin(sleep(self.times.write)));
        }
        self.judge(context, result)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.io).poll_read(context, buffer);
        let result = self.judge(context, result);
        if buffer.filled().len() > before && self.request.is_none() {
            self.request = Some((Box::pin(sleep(self.times.request)), self.clock.ticks()));
        }
        result
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(context, bytes);
        self.unread = result.is_pending();
        if self.unread && self.write.is_none() {
            self.write = Some(Box::pin(sleep(self.times.write)));
        }
        self.judge(context, result)
    }

    /// The server flushes when all that it had to write is written. TLS keeps records that the socket did not take, until then.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_flush(context);
        self.await_reader(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_shutdown(context);
        self.await_reader(context, result)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn impatient<T>(io: T, limit: Duration) -> Watched<T> {
        Watched::new(io, ConnectionTimes { idle: limit, request: LONG, write: LONG }, Arc::default(), Arc::default())
    }

    #[tokio::test]
    async fn a_request_that_trickles_fails() {
        let (mut other, ours) = tokio::io::duplex(64);
        let times = ConnectionTimes { idle: LONG, request: Duration::from_millis(200), write: LONG };
        let mut ours = Watched::new(ours, times, Arc::default(), Arc::default());
        let trickle = async {
            loop {
                other.write_all(b"x").await.unwrap();
                sleep(Duration::from_millis(20)).await;
            }
        };
        let read = async { while ours.read(&mut [0; 1]).await.is_ok() {} };
        tokio::select! { () = trickle => {}, () = read => {} }
        // A handler that began has its request: no deadline while it works.
        let (_other, ours) = tokio::io::duplex(64);
        let clock = Arc::new(RequestClock::default());
        let mut ours = Watched::new(ours, times, clock.clone(), Arc::default());
        clock.tick();
        assert!(tokio::time::timeout(Duration::from_millis(500), ours.read(&mut [0; 1])).await.is_err());
    }

    #[tokio::test]
    async fn a_reader_that_trickles_fails_the_writer() {
        let (mut other, ours) = tokio::io::duplex(16);
        let times = ConnectionTimes { idle: LONG, request: LONG, write: Duration::from_millis(200) };
        let mut ours = Watched::new(ours, times, Arc::default(), Arc::default());
        let trickle = async {
            loop {
                other.read_u8().await.unwrap();
                sleep(Duration::from_millis(20)).await;
            }
        };
        let write = async { ours.write_all(&[0; 10_000]).await.unwrap_err().kind() };
        tokio::select! { () = trickle => {}, kind = write => assert_eq!(kind, io::ErrorKind::TimedOut) }
    }

    #[test]
    fn places_are_shared_by_caller_and_given_back() {
        let places = Arc::new(Places::default());
        let take = |caller, admitted| places.take(caller, admitted);
        let nobody: Vec<_> = (0..300).filter_map(|_| take(Caller::User(65_534), false)).collect();
        assert_eq!(nobody.iter().filter(|place| !place.reserved).count(), limits::HTTP_CONNECTIONS_EACH);
        assert_eq!(nobody.iter().filter(|place| place.reserved).count(), limits::HTTP_RESERVED_EACH);
        assert!(!take(Caller::User(65_533), false).unwrap().reserved, "another user has its own share");
        let others: Vec<_> = (0..1_000).filter_map(|uid| take(Caller::User(uid + 1), false)).collect();
        assert!(others.len() < limits::HTTP_CONNECTIONS);
        let root: Vec<_> = (0..300).filter_map(|_| take(Caller::User(0), true)).collect();
        assert_eq!(root.iter().filter(|place| !place.reserved).count(), limits::HTTP_CONNECTIONS / 2, "whatever others hold");
        assert!(root.iter().any(|place| place.reserved));
        drop((nobody, others, root));
        assert!(places.0.lock().unwrap().is_empty());
        let same = |a: &str, b: &str| HeldBy::of(Caller::Remote(a.parse().unwrap())) == HeldBy::of(Caller::Remote(b.parse().unwrap()));
        assert!(same("2001:db8::1", "2001:db8::2") && !same("2001:db8::1", "2001:db8:0:1::1") && !same("10.0.0.1", "10.0.0.2"));
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
