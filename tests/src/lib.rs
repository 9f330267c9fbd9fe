//! Shared code of perfmon's live, replay and API tests, which are in `tests/tests/`, one file for each topic. Servers and clients under
//! observation are real programs (`servers/`, `clients/`); each ends when its value is dropped.
pub mod answers;
pub mod canary;
pub mod chat;
pub mod client;
pub mod demo;
pub mod events;
pub mod fleet;
pub mod kept;
pub mod load;
pub mod made_recording;
pub mod mail_sink;
pub mod mariadb;
pub mod metrics_engine;
pub mod model;
pub mod need;
pub mod neighbour;
pub mod otlp;
pub mod perfmon;
mod ports;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod promql;
pub mod receiver;
pub mod record;
pub mod script;
pub mod server;
pub mod terminal;
pub mod traced;
pub mod websocket;
pub mod wire;

use std::path::{Path, PathBuf};
use std::time::Duration;

use perfmon_user::clock::boot_now_ns;

pub use ports::free_port;

/// A password, and what texts of queries hold: nothing of them may appear anywhere.
pub const CANARY: &str = "canary7Q";

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// How many rounds a test of repetition makes: `TESTED_ROUNDS`, else what CI has time for.
pub fn rounds(in_ci: usize) -> usize {
    std::env::var("TESTED_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(in_ci)
}

/// Asks `done` every 20 ms until it gives a value, at most for `seconds`.
pub fn wait_until<T>(seconds: u64, mut done: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<Option<T>> {
    let deadline = boot_now_ns() + seconds * 1_000_000_000;
    loop {
        let value = done()?;
        if value.is_some() || boot_now_ns() > deadline {
            return Ok(value);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
