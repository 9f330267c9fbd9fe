//! What perfmon's live, replay and API tests share. The tests themselves stand in `tests/tests/`: a file for each topic.
//! Servers and clients under observation are real programs (`servers/`, `clients/`); every one is ended when its value is dropped.
use std::path::{Path, PathBuf};

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}
