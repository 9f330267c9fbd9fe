//! Finds out who is at the other end of accepted connections. In: a socket that listens; out: connections with their callers, each as soon as
//! its caller is known. A lookup in the kernel's socket table may wait: it runs on a thread for blocking work, a few at once, so that neither
//! a handler nor another connection waits for it. Does not decide what a caller may do.
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::task::spawn_blocking;

use super::caller::Caller;
use super::owner::OwnerLookup;
use super::transport::{ListeningSocket, Transport, TransportPeer};
use crate::limits;

/// An accepted connection, its caller, and from where.
pub(super) struct Introduced {
    pub stream: Transport,
    pub caller: Caller,
    pub from: Arc<str>,
}

/// Tells the user at a peer's address that is connected to a local one; may block.
type UserOf = dyn Fn(SocketAddr, SocketAddr) -> Option<u32> + Send + Sync;

/// Connections whose callers are being found out.
pub(super) struct Introductions {
    owners: OwnerLookup,
    user_of: Arc<UserOf>,
    under_way: FuturesUnordered<Pin<Box<dyn Future<Output = Introduced> + Send>>>,
}

impl Introductions {
    pub fn new() -> Self {
        let owners = OwnerLookup::new();
        Self { owners, user_of: Arc::new(move |peer, local| owners.user_of(peer, local)), under_way: FuturesUnordered::new() }
    }

    /// The next connection whose caller is known. Accepts further ones meanwhile.
    pub async fn next(&mut self, socket: &mut ListeningSocket) -> Introduced {
        loop {
            tokio::select! {
                Some(introduced) = self.under_way.next() => return introduced,
                stream = socket.accept(), if self.under_way.len() < limits::HTTP_LOOKUPS => {
                    if let Some(introduced) = self.begin(stream) {
                        return introduced;
                    }
                }
            }
        }
    }

    /// The caller, if no lookup is needed to know it; begins one else.
    fn begin(&self, stream: Transport) -> Option<Introduced> {
        let is_loopback = |address: SocketAddr| address.ip().to_canonical().is_loopback();
        let (caller, from) = match stream.peer() {
            TransportPeer::Tcp { peer, local } if is_loopback(local) && is_loopback(peer) => {
                self.under_way.push(Box::pin(look_up(Arc::clone(&self.user_of), stream, peer, local)));
                return None;
            }
            TransportPeer::Tcp { peer, .. } => (Caller::Remote(peer.ip().to_canonical()), peer.to_string().into()),
            TransportPeer::User(uid) => (self.owners.known(uid).map_or(Caller::Unknown, Caller::User), "unix".into()),
            TransportPeer::Unknown => (Caller::Unknown, "unknown".into()),
        };
        Some(Introduced { stream, caller, from })
    }
}

/// The lookup comes before the question whether the connection still stands: then the owner that was found is that of this connection, not of
/// a later one with the same ports.
async fn look_up(user_of: Arc<UserOf>, stream: Transport, peer: SocketAddr, local: SocketAddr) -> Introduced {
    // No answer when the program ends or the lookup panicked.
    let uid = spawn_blocking(move || user_of(peer, local)).await.ok().flatten();
    let uid = uid.filter(|_| matches!(stream.peer(), TransportPeer::Tcp { .. }));
    Introduced { stream, caller: uid.map_or(Caller::Unknown, Caller::User), from: peer.to_string().into() }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, Mutex};
    use std::time::Duration;

    use super::*;

    /// Lookups that wait until they are let go.
    #[derive(Default)]
    struct Gate {
        open: Mutex<bool>,
        opened: Condvar,
        waiting: AtomicUsize,
    }

    impl Gate {
        fn wait(&self) {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let open = self.open.lock().unwrap();
            // A lookup on a runtime's thread would never be let go: the test shall fail, not hang.
            drop(self.opened.wait_timeout_while(open, Duration::from_secs(20), |open| !*open).unwrap());
        }

        fn open(&self) {
            *self.open.lock().unwrap() = true;
            self.opened.notify_all();
        }
    }

    /// On one thread, which a lookup would hold.
    #[tokio::test]
    async fn a_lookup_that_stalls_holds_nobody_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut socket = ListeningSocket::tcp(listener, None).unwrap();
        let stalled = TcpStream::connect(address).unwrap();
        let (port, gate) = (stalled.local_addr().unwrap().port(), Arc::new(Gate::default()));
        let mut introductions = Introductions::new();
        let gate_of_lookup = Arc::clone(&gate);
        introductions.user_of = Arc::new(move |peer, _| {
            if peer.port() == port {
                gate_of_lookup.wait();
            }
            Some(7)
        });
        let others: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        for _ in &others {
            let other = introductions.next(&mut socket).await;
            assert!(other.caller == Caller::User(7) && !other.from.ends_with(&format!(":{port}")), "{}", other.from);
        }
        assert!(!*gate.open.lock().unwrap());
        gate.open();
        assert!(introductions.next(&mut socket).await.from.ends_with(&format!(":{port}")));
    }

    #[tokio::test]
    async fn so_many_lookups_run_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut socket = ListeningSocket::tcp(listener, None).unwrap();
        let gate = Arc::new(Gate::default());
        let mut introductions = Introductions::new();
        let gate_of_lookup = Arc::clone(&gate);
        introductions.user_of = Arc::new(move |_, _| {
            gate_of_lookup.wait();
            None
        });
        let clients: Vec<TcpStream> = (0..limits::HTTP_LOOKUPS + 4).map(|_| TcpStream::connect(address).unwrap()).collect();
        let none = tokio::time::timeout(Duration::from_millis(300), introductions.next(&mut socket)).await;
        assert!(none.is_err() && introductions.under_way.len() == limits::HTTP_LOOKUPS);
        assert!(gate.waiting.load(Ordering::Relaxed) <= limits::HTTP_LOOKUPS);
        gate.open();
        for _ in &clients {
            assert_eq!(introductions.next(&mut socket).await.caller, Caller::Unknown);
        }
    }
}
