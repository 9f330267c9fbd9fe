//! The first handshake record of a TLS direction → the server name that the client asks for (RFC 6066, section 3), or what the server's
//! choice of version and cipher adds to each record. Bounded, no allocation beyond the record; garbage is silence.

/// Bytes of a hello that are looked at: post-quantum key shares make it 1,700 bytes, and none is longer than a few thousand.
const LONGEST: usize = 4_096;

/// Collects the beginning of one direction.
#[derive(Debug, Default)]
pub struct Hello {
    bytes: Vec<u8>,
    over: bool,
    said: Option<Said>,
}

/// What a hello says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The client's.
    Client {
        /// Host name that it wants.
        server_name: Option<String>,
    },
    /// The server's.
    Server {
        /// Bytes that each record adds to its plaintext.
        overhead: u32,
    },
}

impl Hello {
    /// The next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.over {
            return;
        }
        let room = LONGEST - self.bytes.len();
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        if complete(&self.bytes) || bytes.len() >= room {
            self.give_up();
        }
    }

    /// No more bytes can be had: what is there must do.
    pub fn give_up(&mut self) {
        if !self.over {
            self.over = true;
            self.said = parse(&self.bytes);
            self.bytes = Vec::new();
        }
    }

    /// What was said, once.
    pub fn take(&mut self) -> Option<Said> {
        self.said.take()
    }

    /// Nothing more is to come.
    pub fn is_over(&self) -> bool {
        self.over
    }
}

/// Whether the first record is whole, or what there is is none.
fn complete(bytes: &[u8]) -> bool {
    match bytes {
        [22, 3, _, high, low, rest @ ..] => rest.len() >= usize::from(u16::from_be_bytes([*high, *low])),
        [22, 3, ..] | [22] | [] => false,
        _ => true,
    }
}

/// A reader of a cut or whole hello: `None` ends it.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    /// A big-endian number of `len` bytes.
    fn number(&mut self, len: usize) -> Option<usize> {
        Some(self.take(len)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// Bytes behind their length; all there are when they were cut.
    fn vector(&mut self, len_bytes: usize) -> Option<Cursor<'a>> {
        let len = self.number(len_bytes)?.min(self.0.len());
        self.take(len).map(Cursor)
    }
}

/// A ClientHello or ServerHello (RFC 8446, sections 4.1.2 and 4.1.3) in its record.
fn parse(bytes: &[u8]) -> Option<Said> {
    let mut cursor = Cursor(bytes);
    if cursor.number(1)? != 22 {
        return None;
    }
    cursor.take(4)?;
    let kind = cursor.number(1)?;
    // Length, version, random, session id.
    cursor.take(3 + 2 + 32)?;
    cursor.vector(1)?;
    match kind {
        1 => {
            cursor.vector(2)?;
            cursor.vector(1)?;
            Some(Said::Client { server_name: server_name(cursor.vector(2)?) })
        }
        2 => {
            let cipher = cursor.number(2)?;
            cursor.take(1)?;
            let is_13 = cursor.vector(2).is_some_and(|extensions| extension(extensions, 43).is_some_and(|version| version.0 == [3, 4]));
            Some(Said::Server { overhead: overhead(is_13, cipher) })
        }
        _ => None,
    }
}

/// The extension of that number.
fn extension(mut extensions: Cursor<'_>, wanted: usize) -> Option<Cursor<'_>> {
    loop {
        let number = extensions.number(2)?;
        let content = extensions.vector(2)?;
        if number == wanted {
            return Some(content);
        }
    }
}

fn server_name(extensions: Cursor<'_>) -> Option<String> {
    let mut names = extension(extensions, 0)?.vector(2)?;
    if names.number(1)? != 0 {
        return None;
    }
    let len = names.number(2)?;
    let name = std::str::from_utf8(names.take(len)?).ok()?;
    let is_name = !name.is_empty() && name.len() <= 253 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    is_name.then(|| name.to_ascii_lowercase())
}

/// Header 5 and, in TLS 1.3, tag 16 and type 1; in 1.2 a tag of 16 with (GCM) or without (ChaCha20: 0xcca8 and on) an explicit nonce of 8.
fn overhead(is_13: bool, cipher: usize) -> u32 {
    match (is_13, cipher) {
        (true, _) => 22,
        (false, 0xcca8..=0xccae) => 21,
        (false, _) => 29,
    }
}

#[cfg(test)]
mod tests;
