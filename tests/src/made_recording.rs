//! A recording that nobody recorded: a connection that a server accepted, operation by operation, with as much of each as was captured. Format: the
//! head of `source/recording.rs`; events: `OpenHeader` and `DataHeader` of `perfmon_common::event`.

const EVENT: u8 = 1;
const KIND_DATA: u32 = 1;
const KIND_OPEN: u32 = 2;
const ROLE_SERVER: u8 = 2;
const LAST_PIECE: u8 = 1;
const HAS_RUN: u8 = 16;
const BEGINS_RUN: u8 = 64;
const SOCK: u64 = 0xffff_8880_0000_1000;
const INODE: u32 = 7;
const PID: u32 = 4_711;
const MS: u64 = 1_000_000;

/// The recording.
pub struct MadeRecording {
    bytes: Vec<u8>,
    now_ns: u64,
    /// Bytes so far, received and sent.
    offsets: [u64; 2],
    run: u16,
    sends: Option<bool>,
}

impl Default for MadeRecording {
    fn default() -> Self {
        let mut made = Self { bytes: b"perfmon\x01".to_vec(), now_ns: 1_000 * MS, offsets: [0; 2], run: 0, sends: None };
        let mut open = Vec::new();
        numbers(&mut open, &[KIND_OPEN, PID]);
        open.extend([SOCK, made.now_ns].iter().flat_map(|number| number.to_le_bytes()));
        numbers(&mut open, &[INODE]);
        // Ports, AF_INET, TCP.
        open.extend([8_000_u16, 40_000, 2, 6].iter().flat_map(|number| number.to_le_bytes()));
        open.extend([ROLE_SERVER, 0, 0, 0]);
        for address in [[127, 0, 0, 1], [127, 0, 0, 1]] {
            open.extend(address);
            open.extend([0; 12]);
        }
        open.resize(184, 0);
        made.event(&open);
        made
    }
}

fn numbers(into: &mut Vec<u8>, numbers: &[u32]) {
    into.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

impl MadeRecording {
    /// The server received something, all of it captured.
    pub fn received(&mut self, bytes: &[u8]) -> &mut Self {
        self.operation(false, bytes, bytes.len())
    }

    /// The server sent something, all of it captured.
    pub fn sent(&mut self, bytes: &[u8]) -> &mut Self {
        self.operation(true, bytes, bytes.len())
    }

    /// The server sent so many bytes, of which nothing was captured.
    pub fn sent_unseen(&mut self, len: usize) -> &mut Self {
        self.operation(true, b"", len)
    }

    fn operation(&mut self, sends: bool, captured: &[u8], len: usize) -> &mut Self {
        self.now_ns += MS;
        let begins = self.sends != Some(sends);
        self.run = self.run.wrapping_add(begins.into());
        self.sends = Some(sends);
        let offset = &mut self.offsets[usize::from(sends)];
        let mut data = Vec::new();
        numbers(&mut data, &[KIND_DATA, captured.len() as u32]);
        data.extend([SOCK, self.now_ns, 0, *offset].iter().flat_map(|number| number.to_le_bytes()));
        numbers(&mut data, &[len as u32, 0, PID, PID, INODE]);
        data.extend(self.run.to_le_bytes());
        data.extend([sends.into(), LAST_PIECE | HAS_RUN | if begins { BEGINS_RUN } else { 0 }]);
        data.extend(captured);
        *offset += len as u64;
        self.event(&data);
        self
    }

    fn event(&mut self, event: &[u8]) {
        self.bytes.extend((1 + 8 + event.len() as u32).to_le_bytes());
        self.bytes.push(EVENT);
        self.bytes.extend(self.now_ns.to_le_bytes());
        self.bytes.extend(event);
    }

    /// The file's content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
