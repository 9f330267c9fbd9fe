//! Server-sent events (WHATWG HTML, 9.2) as bytes: text, or one gzip stream that is flushed after each event, so that an event leaves at
//! once and repeats of earlier ones cost next to nothing.
use std::io::Write as _;

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

/// The events of one client.
pub(super) enum EventWriter {
    Plain(Vec<u8>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
}

impl EventWriter {
    pub fn new(gzip: bool) -> Self {
        if gzip { Self::Gzip(Box::new(GzEncoder::new(Vec::new(), Compression::default()))) } else { Self::Plain(Vec::new()) }
    }

    /// Adds an event; false when it cannot be written as JSON.
    pub fn event<T: Serialize>(&mut self, name: &str, data: &T) -> bool {
        match serde_json::to_vec(data) {
            Ok(json) => {
                self.text(name, &json);
                true
            }
            Err(error) => {
                tracing::error!(%error, "An event could not be written as JSON.");
                false
            }
        }
    }

    /// Adds an event with data that is JSON already; JSON as serde writes it has no line breaks, so the data is one line.
    pub fn text(&mut self, name: &str, json: &[u8]) {
        for piece in [b"event: ", name.as_bytes(), b"\ndata: ", json, b"\n\n"] {
            match self {
                Self::Plain(bytes) => bytes.extend_from_slice(piece),
                // Writing to memory does not fail.
                Self::Gzip(packer) => packer.write_all(piece).unwrap_or_default(),
            }
        }
    }

    /// What was written since the last call.
    pub fn take(&mut self) -> Bytes {
        match self {
            Self::Plain(bytes) => std::mem::take(bytes).into(),
            Self::Gzip(packer) => {
                packer.flush().ok();
                std::mem::take(packer.get_mut()).into()
            }
        }
    }
}
