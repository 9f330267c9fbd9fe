//! What the kernel programs' debug build logs → perfmon's own log. Only with the feature `kernel-log`
//! (`cargo xtask run --kernel-log`): for engineers, in no release. Format: aya-log.
use std::time::Duration;

use aya::Ebpf;
use aya_log::EbpfLogger;

/// The object whose programs log; `xtask/src/build_ebpf.rs` writes it.
pub(super) const OBJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../perfmon-ebpf/target/perfmon-log.bpf.o");
/// Time between two looks at the programs' log.
const POLL: Duration = Duration::from_millis(20);

/// Shows the log until perfmon ends, on a thread of its own.
pub(super) fn follow(ebpf: &mut Ebpf) {
    let mut logger = match EbpfLogger::init_with_logger(ebpf, Forward) {
        Ok(logger) => logger,
        Err(error) => return tracing::warn!(%error, "The kernel programs were not built to log; use `cargo xtask run --kernel-log`."),
    };
    let show = move || {
        loop {
            logger.flush();
            std::thread::sleep(POLL);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("kernel-log".into()).spawn(show) {
        tracing::warn!(%error, "The kernel programs' log cannot be shown.");
    }
}

/// Hands messages on.
struct Forward;

impl log::Log for Forward {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        tracing::debug!(said = %record.args(), "A kernel program logged.");
    }

    fn flush(&self) {}
}
