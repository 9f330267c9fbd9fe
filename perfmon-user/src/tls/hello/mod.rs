//! The first handshake message of a direction. In: the content of its records, in any pieces; out: [`HelloInfo`], once: the server name that
//! the client asks for (RFC 6066, section 3), or the record overhead of the server's version and cipher. Bounded; garbage yields nothing.
use super::cursor::{Cursor, Read, Shortfall};
use super::record::{RecordType, Walked};

/// Most bytes of a hello that are kept. With post-quantum key shares a hello has 1,700 bytes.
const LONGEST: usize = 4_096;
/// Handshake messages and extensions (RFC 8446, sections 4 and 4.2).
pub(super) const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const SERVER_NAME: u16 = 0;
const SUPPORTED_VERSIONS: u16 = 43;

/// Collects the first handshake message of one direction.
#[derive(Debug, Default)]
pub struct Hello {
    bytes: Vec<u8>,
    /// Of the extensions, bytes of those that were looked at: the next piece goes on behind them.
    passed: usize,
    over: bool,
    said: Option<HelloInfo>,
}

/// The facts taken from a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelloInfo {
    /// From a ClientHello.
    Client {
        /// Requested host name.
        server_name: Option<String>,
    },
    /// From a ServerHello.
    Server {
        /// Bytes that each record adds to its plaintext.
        overhead: u32,
    },
}

impl Hello {
    /// Handles the next item of the record walk. A hello may span several records; nothing else may stand between them.
    pub fn push(&mut self, walked: Walked<'_>) {
        if self.over {
            return;
        }
        match walked {
            Walked::Record { header, .. } if header.kind == RecordType::Handshake => {}
            Walked::Fragment(bytes) => self.bytes(bytes),
            Walked::Record { .. } | Walked::Hole | Walked::Hidden(_) | Walked::Foreign => self.end(),
        }
    }

    /// Takes the facts, once.
    pub fn take(&mut self) -> Option<HelloInfo> {
        self.said.take()
    }

    /// Whether the hello is complete or given up.
    pub fn is_over(&self) -> bool {
        self.over
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let room = LONGEST - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        match said(&self.bytes, &mut self.passed) {
            Err(Shortfall::NeedMore) if bytes.len() < room => {}
            said => {
                self.said = said.ok();
                self.end();
            }
        }
    }

    fn end(&mut self) {
        self.over = true;
        self.bytes = Vec::new();
    }
}

/// Parses a ClientHello or ServerHello (RFC 8446, sections 4.1.2 and 4.1.3) as soon as the needed fields are there; `passed` extensions were
/// looked at before, so that a hello in many pieces takes time like one in one.
fn said(bytes: &[u8], passed: &mut usize) -> Read<HelloInfo> {
    let mut cursor = Cursor::of_stream(bytes);
    let kind = cursor.u8()?;
    if kind != CLIENT_HELLO && kind != SERVER_HELLO {
        return Err(Shortfall::Malformed);
    }
    let mut body = cursor.vector(3)?;
    // Version, random, session id.
    body.take(2 + 32)?;
    body.vector(1)?;
    if kind == SERVER_HELLO {
        return server(body, passed);
    }
    // Ciphers, compressions.
    body.vector(2)?;
    body.vector(1)?;
    let server_name = extension(body, SERVER_NAME, passed)?.map(name).transpose()?.flatten();
    Ok(HelloInfo::Client { server_name })
}

fn server(mut body: Cursor<'_>, passed: &mut usize) -> Read<HelloInfo> {
    let cipher = body.u16()?;
    // Compression.
    body.u8()?;
    let is_13 = match extension(body, SUPPORTED_VERSIONS, passed)? {
        Some(mut version) => version.u16()? == 0x0304,
        None => false,
    };
    Ok(HelloInfo::Server { overhead: overhead(is_13, cipher) })
}

/// The content of an extension behind the `passed` ones, which grow; `None` when a complete hello lacks it.
fn extension<'a>(mut body: Cursor<'a>, wanted: u16, passed: &mut usize) -> Read<Option<Cursor<'a>>> {
    if body.is_at_end() {
        return Ok(None);
    }
    let mut extensions = body.vector(2)?;
    extensions.take(*passed)?;
    while !extensions.is_at_end() {
        let number = extensions.u16()?;
        let content = extensions.vector(2)?;
        if number == wanted {
            return Ok(Some(content));
        }
        *passed += 2 + 2 + content.left();
    }
    Ok(None)
}

/// The host name in a server name list; `None` when it is not a valid host name.
fn name(mut content: Cursor<'_>) -> Read<Option<String>> {
    let mut names = content.vector(2)?;
    if names.u8()? != 0 {
        return Ok(None);
    }
    let len = names.u16()?;
    let name = names.take(len.into())?;
    let is_name = !name.is_empty() && name.len() <= 253 && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte));
    Ok(is_name.then(|| String::from_utf8_lossy(name).to_ascii_lowercase()))
}

/// Header 5 and, in TLS 1.3, tag 16 and type 1; in 1.2 a tag of 16 with (GCM) or without (ChaCha20: 0xcca8 and on) an explicit nonce of 8.
fn overhead(is_13: bool, cipher: u16) -> u32 {
    match (is_13, cipher) {
        (true, _) => 22,
        (false, 0xcca8..=0xccae) => 21,
        (false, _) => 29,
    }
}

#[cfg(test)]
mod tests;
