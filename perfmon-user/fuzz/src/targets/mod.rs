//! The targets by name, each with the bytes of the heap that it may hold at once and keep behind it. The limits are those that the parsers state,
//! or for a whole pipeline and for files of one's own twice what the longest input needs. Shares of a budget and the budget itself hold each
//! other, so a pipeline that ends while something is held for a process keeps these few bytes.
mod bodies;
mod events;
mod files;
mod protocols;
mod texts;
mod traffic;

/// Name, bytes of the heap at once and behind it, what it does with an input.
pub type Target = (&'static str, [usize; 2], fn(&[u8]));

const KB: usize = 1 << 10;
const MB: usize = 1 << 20;

/// All of them. `xtask/src/fuzz/mod.rs` has the same names.
pub const ALL: [Target; 27] = [
    ("decode", [4 * MB, 4 * KB], events::decode),
    ("recording", [16 * MB, 4 * KB], events::recording),
    ("pipeline", [8 * MB, 4 * KB], events::pipeline),
    ("http1", [4 * MB, 0], protocols::http1),
    ("http1_valid", [4 * MB, 0], traffic::http1_valid),
    ("websocket", [64 * KB, 0], protocols::websocket),
    ("redis", [4 * MB, 0], protocols::redis),
    ("postgres", [4 * MB, 0], protocols::postgres),
    ("mysql", [4 * MB, 0], protocols::mysql),
    ("memcached", [4 * MB, 0], protocols::memcached),
    ("dns", [4 * MB, 0], protocols::dns),
    ("mongodb", [4 * MB, 0], protocols::mongodb),
    ("sql", [2 * MB, 0], texts::sql),
    ("detect", [4 * KB, 0], protocols::detect),
    ("tls", [16 * KB, 0], protocols::tls),
    ("hello", [16 * KB, 0], protocols::hello),
    ("coding", [8 * MB, 0], bodies::coding),
    ("sse", [256 * KB, 0], bodies::sse),
    ("json", [4 * MB, 0], bodies::json),
    ("model_call", [8 * MB, 0], bodies::model_call),
    ("elf", [8 * MB, 0], files::elf),
    ("maps", [512 * KB, 0], files::maps),
    ("cgroup", [512 * KB, 0], files::cgroup),
    ("config", [4 * MB, 0], files::config),
    ("endpoint", [4 * MB, 0], texts::endpoint),
    ("redact", [256 * KB, 0], texts::redact),
    ("query", [256 * KB, 0], texts::query),
];
