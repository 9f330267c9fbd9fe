//! One message of the DNS (RFC 1035, 4): bytes in, the questions, the code and the addresses of the answer out. Strict where a message says what it
//! is, lenient behind that: an answer that was captured in part still tells its code. Every loop is bounded.
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of the header.
pub const HEADER: usize = 12;
/// Questions that are read of one message.
const QUESTIONS: u16 = 8;
/// Records that are read of one message.
const RECORDS: u16 = 256;
/// Longest name on the wire (RFC 1035, 2.3.4).
const NAME_MAX: usize = 255;
/// Pointers that a name may follow.
const POINTERS: usize = 64;
/// Addresses that are kept of one answer.
const ADDRESSES: usize = 16;
/// The type of the record of EDNS (RFC 6891), which carries the upper bits of the code.
const OPT: u16 = 41;

/// A name and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedName {
    /// In lower case, without the dot at the end; the root is `.`.
    pub name: String,
    /// Type of record, like 1 for `A`.
    pub qtype: u16,
}

/// A question or an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsMessage {
    /// Told by the client, repeated in the answer.
    pub id: u16,
    /// It is an answer.
    pub is_answer: bool,
    /// The answer did not fit: it is to be asked for over TCP.
    pub is_cut: bool,
    /// Code of the answer, its upper bits included where they were seen.
    pub rcode: u16,
    /// What was asked.
    pub questions: Vec<AskedName>,
    /// Addresses of the answer with the seconds that they may be kept.
    pub addresses: Vec<(IpAddr, u32)>,
}

impl DnsMessage {
    /// Reads a message of which `bytes` are the beginning; `None` for what is no standard query or its answer.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER] = bytes.first_chunk()?;
        let is_answer = header[2] & 0x80 != 0;
        let has_questions = (1..=QUESTIONS).contains(&number(header, 4));
        if header[2] & 0x78 != 0 || !has_questions || (!is_answer && !is_opening(bytes)) {
            return None;
        }
        let mut message = Self {
            id: u16::from_be_bytes([header[0], header[1]]),
            is_answer,
            is_cut: is_answer && header[2] & 0x02 != 0,
            rcode: u16::from(header[3] & 0x0f),
            ..Self::default()
        };
        let mut cursor = MessageCursor { bytes, at: HEADER };
        for _ in 0..number(header, 4).min(QUESTIONS) {
            let name = cursor.name()?;
            let (qtype, _class) = (cursor.number()?, cursor.number()?);
            message.questions.push(AskedName { name, qtype });
        }
        if is_answer {
            let records = [6, 8, 10].into_iter().fold(0u16, |sum, at| sum.saturating_add(number(header, at)));
            message.read_records(&mut cursor, records);
        }
        Some(message)
    }

    /// Reads the records of an answer as far as they are there.
    fn read_records(&mut self, cursor: &mut MessageCursor<'_>, records: u16) {
        for _ in 0..records.min(RECORDS) {
            if self.read_record(cursor).is_none() {
                return;
            }
        }
    }

    fn read_record(&mut self, cursor: &mut MessageCursor<'_>) -> Option<()> {
        cursor.skip_name()?;
        let (rtype, _class) = (cursor.number()?, cursor.number()?);
        let (ttl_high, ttl_low, len) = (cursor.number()?, cursor.number()?, cursor.number()?);
        let data = cursor.take(len.into())?;
        if rtype == OPT {
            self.rcode |= (ttl_high >> 8) << 4;
        }
        let address = match (rtype, data.len()) {
            (1, 4) => data.first_chunk().map(|bytes: &[u8; 4]| IpAddr::V4(Ipv4Addr::from(*bytes))),
            (28, 16) => data.first_chunk().map(|bytes: &[u8; 16]| IpAddr::V6(Ipv6Addr::from(*bytes))),
            _ => None,
        };
        if let Some(address) = address
            && self.addresses.len() < ADDRESSES
        {
            self.addresses.push((address, u32::from(ttl_high) << 16 | u32::from(ttl_low)));
        }
        Some(())
    }
}

/// Whether bytes may begin a standard query, or an answer to one, as far as they go.
pub fn is_opening(bytes: &[u8]) -> bool {
    let byte = |at: usize| bytes.get(at).copied();
    let is = |at: usize, judge: fn(u8) -> bool| byte(at).is_none_or(judge);
    let questions = bytes.get(4..6).is_none_or(|bytes| (1..=QUESTIONS).contains(&u16::from_be_bytes([bytes[0], bytes[1]])));
    let is_answer = byte(2).is_some_and(|flags| flags & 0x80 != 0);
    let records = if is_answer {
        is(6, |high| high == 0) && is(8, |high| high == 0)
    } else {
        (6..10).all(|at| is(at, |byte| byte == 0)) && is(11, |low| low <= 2)
    };
    is(2, |flags| flags & 0x78 == 0) && is(4, |high| high == 0) && questions && records && is(10, |high| high == 0)
}

fn number(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// A place in a message.
struct MessageCursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> MessageCursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| number(bytes, 0))
    }

    fn skip_name(&mut self) -> Option<()> {
        for _ in 0..NAME_MAX {
            match *self.take(1)?.first()? {
                0 => return Some(()),
                len @ 1..=63 => drop(self.take(len.into())?),
                0xc0.. => return self.take(1).map(drop),
                _ => return None,
            }
        }
        None
    }

    /// A name as text.
    fn name(&mut self) -> Option<String> {
        let (mut text, mut wire, mut place) = (String::new(), 1, self.at);
        self.skip_name()?;
        for _ in 0..POINTERS + NAME_MAX {
            let len = *self.bytes.get(place)?;
            place += 1;
            match len {
                0 => {
                    text.pop();
                    return Some(if text.is_empty() { ".".to_owned() } else { text });
                }
                1..=63 => {
                    let label = self.bytes.get(place..place + usize::from(len))?;
                    (place, wire) = (place + label.len(), wire + label.len() + 1);
                    if wire > NAME_MAX {
                        return None;
                    }
                    put_label(label, &mut text);
                }
                0xc0.. => place = usize::from(len & 0x3f) << 8 | usize::from(*self.bytes.get(place)?),
                _ => return None,
            }
        }
        None
    }
}

/// Adds a label and a dot, in lower case; what is no letter of a name as in zone files (RFC 1035, 5.1).
fn put_label(label: &[u8], text: &mut String) {
    for byte in label {
        match byte.to_ascii_lowercase() {
            b'.' => text.push_str("\\."),
            b'\\' => text.push_str("\\\\"),
            plain @ 0x21..=0x7e => text.push(char::from(plain)),
            other => drop(write!(text, "\\{other:03}")),
        }
    }
    text.push('.');
}

/// The name of a type of record.
pub fn type_name(qtype: u16) -> String {
    let known = match qtype {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        35 => "NAPTR",
        39 => "DNAME",
        43 => "DS",
        44 => "SSHFP",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        50 => "NSEC3",
        52 => "TLSA",
        64 => "SVCB",
        65 => "HTTPS",
        251 => "IXFR",
        252 => "AXFR",
        255 => "ANY",
        256 => "URI",
        257 => "CAA",
        // RFC 3597, 5.
        other => return format!("TYPE{other}"),
    };
    known.to_owned()
}

/// The name of a code (the registry of RFC 6895, 2.3).
pub fn code_name(rcode: u16) -> String {
    let known = match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        16 => "BADVERS",
        other => return format!("RCODE{other}"),
    };
    known.to_owned()
}
