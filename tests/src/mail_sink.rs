//! A mail server in this process that accepts every mail and stores it (RFC 5321, without TLS).
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

/// The server; its threads end with the test.
#[derive(Clone)]
pub struct MailSink {
    port: u16,
    mails: Arc<Mutex<Vec<String>>>,
}

impl MailSink {
    /// Listens on a free port.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let sink = Self { port: listener.local_addr()?.port(), mails: Arc::default() };
        let taking = sink.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(std::io::Result::ok) {
                let taking = taking.clone();
                // A client that goes away ends its connection alone.
                std::thread::spawn(move || taking.serve(stream).ok());
            }
        });
        Ok(sink)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// Header and body of each mail so far.
    pub fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn serve(&self, mut stream: TcpStream) -> Result<()> {
        stream.write_all(b"220 sink ESMTP\r\n")?;
        let mut mail: Option<String> = None;
        for line in BufReader::new(stream.try_clone()?).lines() {
            let line = line?;
            let answer = match (&mut mail, line.as_str()) {
                (Some(_), ".") => {
                    self.mails.lock().unwrap_or_else(PoisonError::into_inner).extend(mail.take());
                    "250 accepted\r\n"
                }
                (Some(text), line) => {
                    text.push_str(line);
                    text.push('\n');
                    continue;
                }
                (None, "DATA") => {
                    mail = Some(String::new());
                    "354 go on\r\n"
                }
                (None, "QUIT") => "221 bye\r\n",
                (None, _) => "250 fine\r\n",
            };
            stream.write_all(answer.as_bytes())?;
        }
        Ok(())
    }
}
