//! The live stream with more clients than allowed and with clients that do not read: accepted clients get an event each second, others get
//! an error, the memory for a client is bounded, and the capture loses nothing.
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use perfmon_tests::client::h2load;
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::Perfmon;
use perfmon_tests::server::{self, Server};
use perfmon_tests::wait_until;
use perfmon_user::clock::boot_now_ns;
use perfmon_user::limits;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

const ASK: &[u8] = b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
const CLIENTS: usize = 50;
/// Requests watched while clients must not disturb the capture.
const REQUESTS: u32 = 10_000;
const NEEDS: [Need; 3] = [Need::Perfmon, Need::Program("nginx"), Need::Program("h2load")];

/// A client of the stream and the status that it was answered with.
struct Client {
    reader: BufReader<TcpStream>,
    status: u16,
}

impl Client {
    fn open(port: u16) -> Result<Self> {
        let mut socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        socket.write_all(ASK)?;
        let mut reader = BufReader::new(socket);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).context("no status line")?.parse()?;
        Ok(Self { reader, status })
    }

    /// The times (ms) between the summaries within `seconds`.
    fn gaps(&mut self, seconds: u64) -> Result<Vec<u64>> {
        let end = boot_now_ns() + seconds * 1_000_000_000;
        let (mut line, mut before, mut gaps) = (String::new(), boot_now_ns(), Vec::new());
        while boot_now_ns() < end {
            line.clear();
            anyhow::ensure!(self.reader.read_line(&mut line)? > 0, "the stream ended");
            if line.starts_with("event: summary") {
                gaps.push((boot_now_ns() - before) / 1_000_000);
                before = boot_now_ns();
            }
        }
        Ok(gaps)
    }
}

/// A connection with a small receive buffer that sends `request` and never reads.
fn deaf(port: u16, request: &[u8]) -> Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_recv_buffer_size(4_096)?;
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
    (&socket).write_all(request)?;
    Ok(socket)
}

/// Load on the server under observation; every request must be recorded, and none lost.
fn nothing_is_lost(server: &Server, perfmon: &Perfmon) -> Result<()> {
    let load = h2load(&format!("{}/hello", server.url()), REQUESTS, 10, Some(2_000))?;
    assert_eq!(load.answers, u64::from(REQUESTS));
    let records = perfmon.wait_for(REQUESTS as usize, |record| record.served_by(server.port))?;
    assert_eq!((records.len(), perfmon.lost()?), (REQUESTS as usize, 0));
    Ok(())
}

fn own(perfmon: &Perfmon, pointer: &str) -> Result<u64> {
    perfmon.api("/api/v1/self")?.pointer(pointer).and_then(Value::as_u64).with_context(|| format!("no {pointer} in /api/v1/self"))
}

#[test]
fn many_clients_are_served_or_told_that_there_is_no_place() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let perfmon = Perfmon::start(&["--port", &server.port.to_string()])?;
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::open(perfmon.port())).collect::<Result<_>>()?;
    let turned_away = clients.iter().filter(|client| client.status == 503).count();
    clients.retain(|client| client.status == 200);
    assert_eq!((clients.len(), turned_away), (limits::STREAM_CLIENTS, CLIENTS - limits::STREAM_CLIENTS));
    std::thread::scope(|scope| -> Result<()> {
        let reading: Vec<_> = clients.iter_mut().map(|client| scope.spawn(|| client.gaps(8))).collect();
        nothing_is_lost(&server, &perfmon)?;
        for reader in reading {
            let gaps = reader.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
            // One comes each second; a machine under load may hold some up.
            assert!(gaps.len() >= 4, "only {} summaries in 8 s: {gaps:?} ms apart", gaps.len());
        }
        Ok(())
    })?;
    clients.pop();
    let again = wait_until(10, || Ok(Some(Client::open(perfmon.port())?).filter(|client| client.status == 200)))?;
    again.context("the place of a client that left is not given to the next one")?;
    Ok(())
}

#[test]
fn clients_that_do_not_read_cost_little_and_are_ended() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let server = Server::start(server::NGINX)?;
    let perfmon = Perfmon::start(&["--port", &server.port.to_string()])?;
    let mut reader = Client::open(perfmon.port())?;
    assert_eq!(reader.status, 200);
    let before = own(&perfmon, "/rss_bytes")?;
    let deaf_streams: Vec<Socket> = (0..8).map(|_| deaf(perfmon.port(), ASK)).collect::<Result<_>>()?;
    // Requests far more than any buffer holds.
    let greedy = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_000);
    let mut stuck = deaf(perfmon.port(), &greedy)?;
    std::thread::scope(|scope| -> Result<()> {
        let reading = scope.spawn(|| reader.gaps(10));
        nothing_is_lost(&server, &perfmon)?;
        let gaps = reading.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
        assert!(gaps.len() >= 5, "only {} summaries in 10 s: {gaps:?} ms apart", gaps.len());
        Ok(())
    })?;
    // Ended after 30 s without a byte read, and counted.
    let ended = wait_until(60, || {
        std::thread::sleep(Duration::from_millis(500));
        Ok((own(&perfmon, "/counters/http_clients_stalled")? > 0).then_some(()))
    })?;
    ended.context("a client that does not read is never ended")?;
    stuck.set_read_timeout(Some(Duration::from_secs(20)))?;
    let end = stuck.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
    assert!(matches!(end, Ok(_) | Err(ErrorKind::ConnectionReset)), "the connection is still there: {end:?}");
    let grown = own(&perfmon, "/rss_bytes")?.saturating_sub(before);
    println!("{} deaf clients: {} KiB more", deaf_streams.len() + 1, grown / 1_024);
    // 10,000 requests fill tables too; the memory for the clients is far below that.
    assert!(grown < 32 << 20, "perfmon grew by {grown} bytes");
    Ok(())
}
