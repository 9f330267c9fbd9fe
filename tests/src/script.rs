//! Two ends of one TCP connection that follow a script, for traffic that no ordinary server or client makes. Each end is a thread of this
//! process, so perfmon sees both sides of the exchange in it.
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use socket2::SockRef;

/// What an end does next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends bytes in one operation.
    Send(Vec<u8>),
    /// Reads exactly this number of bytes.
    Receive(usize),
    /// Reads until the other end closes or resets.
    ReceiveAll,
    /// Waits, in milliseconds.
    Pause(u64),
    /// Shuts down its own direction and continues reading.
    HalfClose,
    /// Ends the connection with a reset.
    Reset,
}

/// Sends text.
pub fn send(text: impl AsRef<[u8]>) -> Step {
    Step::Send(text.as_ref().to_vec())
}

/// Plays both scripts on a new connection, closes it, and gives the server's port.
pub fn play(client: &[Step], server: &[Step]) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| perform(listener.accept()?.0, server));
        let asked = perform(TcpStream::connect(("127.0.0.1", port))?, client);
        let served = serving.join().map_err(|_| anyhow!("the server's end panicked"))?;
        asked.context("the client's end")?;
        served.context("the server's end")
    })?;
    Ok(port)
}

fn perform(mut socket: TcpStream, steps: &[Step]) -> Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    for step in steps {
        match step {
            Step::Send(bytes) => socket.write_all(bytes).with_context(|| format!("cannot send {} bytes", bytes.len()))?,
            Step::Receive(count) => socket.read_exact(&mut vec![0; *count]).with_context(|| format!("no {count} bytes came"))?,
            Step::ReceiveAll => receive_all(&mut socket)?,
            Step::Pause(ms) => std::thread::sleep(Duration::from_millis(*ms)),
            Step::HalfClose => socket.shutdown(Shutdown::Write)?,
            Step::Reset => SockRef::from(&socket).set_linger(Some(Duration::ZERO))?, // the close that follows sends RST
        }
    }
    Ok(())
}

fn receive_all(socket: &mut TcpStream) -> Result<()> {
    match socket.read_to_end(&mut Vec::new()) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(error.into()),
    }
}
