//! A client of `/api/v1/stream` that keeps every event until it is dropped.
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use serde_json::Value;

/// Name and data of an event.
pub type Event = (String, Value);

/// The client.
pub struct Events {
    socket: TcpStream,
    came: Arc<Mutex<Vec<Event>>>,
}

impl Events {
    /// Listens to the perfmon of a port.
    pub fn listen(port: u16) -> Result<Self> {
        let mut socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.write_all(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let came: Arc<Mutex<Vec<Event>>> = Arc::default();
        let (reading, keeping) = (BufReader::new(socket.try_clone()?), came.clone());
        std::thread::spawn(move || {
            let mut name = String::new();
            for line in reading.lines().map_while(Result::ok) {
                match line.split_once(": ") {
                    Some(("event", event)) => name = event.to_owned(),
                    Some(("data", data)) => {
                        let data = serde_json::from_str(data).unwrap_or_default();
                        keeping.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), data));
                    }
                    _ => {}
                }
            }
        });
        Ok(Self { socket, came })
    }

    /// Data of all events of a name so far.
    pub fn of(&self, name: &str) -> Vec<Value> {
        let came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        came.iter().filter(|event| event.0 == name).map(|event| event.1.clone()).collect()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // Ends the thread; fails only when the connection is gone.
        self.socket.shutdown(Shutdown::Both).ok();
    }
}
