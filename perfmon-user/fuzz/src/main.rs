//! Fuzzing of everything that reads what others wrote. In: bytes from libFuzzer, and the name of a target in `PERFMON_FUZZ_TARGET`; out:
//! nothing, or an abort at the first panic or broken promise. Each target says what its bytes mean.
#![no_main]
mod connection;
mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// What is fuzzed in this run.
static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

/// The target that the environment names. Without one nothing can be done.
fn chosen() -> fn(&[u8]) {
    let name = std::env::var("PERFMON_FUZZ_TARGET").unwrap_or_default();
    let Some((_, target)) = targets::ALL.iter().find(|(known, _)| *known == name) else {
        let known: Vec<_> = targets::ALL.iter().map(|(name, _)| *name).collect();
        eprintln!("PERFMON_FUZZ_TARGET is {name:?}; it must be one of {}", known.join(", "));
        std::process::exit(2);
    };
    *target
}

fuzz_target!(|data: &[u8]| TARGET.get_or_init(chosen)(data));
