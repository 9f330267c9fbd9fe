//! HTTP over a unix socket. In: the path of the socket; out: an agent that sends every request there, whatever host its URL names. Waits no
//! longer than the request's own deadline. Specification: unix(7).
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};
use ureq::{Agent, Error};

/// An agent whose requests all go to the socket.
pub(super) fn agent(path: PathBuf, config: Config) -> Agent {
    Agent::with_parts(config, UnixConnector { path }, NoResolver)
}

/// The socket needs no address.
#[derive(Debug)]
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

#[derive(Debug)]
struct UnixConnector {
    path: PathBuf,
}

impl Connector for UnixConnector {
    type Out = UnixTransport;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<UnixTransport>, Error> {
        let stream = UnixStream::connect(&self.path)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(UnixTransport { stream, buffers }))
    }
}

#[derive(Debug)]
struct UnixTransport {
    stream: UnixStream,
    buffers: LazyBuffers,
}

impl Transport for UnixTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.set_write_timeout(timeout.not_zero().map(|time| *time))?;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output).map_err(|error| in_time(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.set_read_timeout(timeout.not_zero().map(|time| *time))?;
        let read = loop {
            match self.stream.read(self.buffers.input_append_buf()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.map_err(|error| in_time(error, timeout))?,
            }
        };
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        // Each command asks a few times; a connection of its own for each costs nothing.
        false
    }
}

fn in_time(error: std::io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use super::*;

    fn config(timeout: Duration) -> Config {
        Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).proxy(None).build()
    }

    #[test]
    fn requests_go_to_the_socket_and_silence_has_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 4_096];
            let read = stream.read(&mut head).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").unwrap();
            let silent = listener.accept().unwrap();
            (String::from_utf8_lossy(&head[..read]).into_owned(), silent)
        });
        let mut answer = agent(path.clone(), config(Duration::from_secs(10))).get("http://localhost/x").call().unwrap();
        assert_eq!(answer.body_mut().read_to_string().unwrap(), "hello");
        let silent = agent(path.clone(), config(Duration::from_millis(200))).get("http://localhost/x").call().unwrap_err();
        assert!(matches!(silent, Error::Timeout(_)), "{silent}");
        assert!(server.join().unwrap().0.starts_with("GET /x HTTP/1.1\r\n"));
        std::fs::remove_file(&path).unwrap();
        let absent = agent(path, config(Duration::from_secs(1))).get("http://localhost/x").call().unwrap_err();
        assert!(matches!(absent, Error::Io(error) if error.kind() == ErrorKind::NotFound));
    }
}
