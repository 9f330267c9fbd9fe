//! The targets by name.
mod bodies;
mod events;
mod files;
mod protocols;
mod texts;

/// All of them. `xtask/src/fuzz/mod.rs` has the same names.
pub const ALL: [(&str, fn(&[u8])); 17] = [
    ("decode", events::decode),
    ("recording", events::recording),
    ("http1", protocols::http1),
    ("websocket", protocols::websocket),
    ("detect", protocols::detect),
    ("tls", protocols::tls),
    ("coding", bodies::coding),
    ("sse", bodies::sse),
    ("json", bodies::json),
    ("model_call", bodies::model_call),
    ("elf", files::elf),
    ("maps", files::maps),
    ("cgroup", files::cgroup),
    ("config", files::config),
    ("endpoint", texts::endpoint),
    ("redact", texts::redact),
    ("query", texts::query),
];
